# SPDX-License-Identifier: MIT
"""Addresses of a name come and go: what is there goes on, what is new goes to the right one."""

import json
import os
import socket
import struct
import threading
import time

# pylint: disable=wrong-import-order
import harness
from harness import check, equal, exchange, wait_until
from named import (CHECKED, TWO, Farm, ask_several, events, fair, held_at, http_named, named,
                   opened, resolver_counts, several, tally, wait_event, wait_served_by, warnings,
                   who, zone)
from http_peers import Client, HttpOrigin, hello, reply, request, route
from name_servers import Dnsmasq, Scripted, Unbound
from origins import Origin

POOLS = ("worker", "shared", "client")


def come_and_go(kind):
    """Three places, four addresses, in turns: each event, who is served, and which place."""
    with Farm("abcd") as farm, kind(zone("ab")) as names, \
            named(farm.line(options="addresses=3 name=site"), names) as sluice:
        fair(sluice, "ab")
        names.set(zone("abc"))
        wait_event(sluice, "up", farm.address("c"))
        fair(sluice, "abc")
        held = held_at(sluice, "a")
        names.set(zone("bc"))
        place = wait_event(sluice, "leaving", farm.address("a"))
        check(place in ("site#1", "site#2", "site#3"), f"the place {place}")
        fair(sluice, "bc")
        exchange(held, b"untouched")
        ups = len(events(sluice, "up", farm.address("a")))
        names.set(zone("abc"))
        equal(wait_event(sluice, "up", farm.address("a"), ups + 1), place, "the place of a again")
        exchange(held, b"untouched as well")
        fair(sluice, "abc")
        held.close()
        sluice.wait_count("sessions", 0)
        names.set(zone("bc"))
        wait_event(sluice, "leaving", farm.address("a"), 2)
        names.set(zone("bcd"))
        equal(wait_event(sluice, "up", farm.address("d")), place, "the place that a had, of d")
        fair(sluice, "bcd")
        now = sluice.at_rest()
        equal(set(now.closes()), {"CLIENT_FINISHED"}, "reasons")
        for n in (1, 2, 3):
            check(f"app/site#{n}" in now.servers, f"no app/site#{n} in {list(now.servers)}")
        check(resolver_counts(sluice)["changes"] >= 4, "changes")


def test_addresses_come_and_go_at_dnsmasq():
    come_and_go(Dnsmasq)


def test_addresses_come_and_go_at_unbound():
    come_and_go(Unbound)


def test_addresses_come_and_go():
    come_and_go(Scripted)


def test_places_are_called_after_the_line():
    with Farm("a") as farm, Scripted(zone("a")) as names, \
            named(farm.line(options="addresses=2"), names) as sluice:
        equal(who(sluice), "a", "a session")
        found = sluice.wait_count("sessions", 0).servers
        name = f"app/app.test:{farm.port}#"
        equal(sorted(found), [name + "1"], "the places in the counters that were ever used")
        equal(sum(s["server_connects"] for s in found.values()), 1, "server_connects")


# ------------------------------------------------------------------ what is under way

def block(n):
    return struct.pack("!Q", n) * 512


def send_blocks(s, stop):
    count = 0
    while not stop.is_set():
        s.sendall(block(count))
        count += 1
        time.sleep(0.002)
    s.shutdown(socket.SHUT_WR)
    return count


def read_blocks(s):
    count, rest = 0, b""
    while data := s.recv(1 << 16):
        rest += data
        while len(rest) >= len(block(0)):
            if rest[:len(block(0))] != block(count):
                raise harness.Failure(f"block {count} of the stream is another one")
            rest = rest[len(block(0)):]
            count += 1
    check(rest == b"", f"{len(rest)} bytes behind the last block")
    return count


def both_ways(s, stop):
    """(blocks sent, blocks received) until both have ended in order."""
    got = []

    def read():
        try:
            got.append(read_blocks(s))
        except (OSError, harness.Failure) as error:
            got.append(str(error))
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        sent = send_blocks(s, stop)
    except OSError as error:
        sent = str(error)
    reader.join(20)
    return sent, got[0] if got else "it has no end"


def test_a_stream_is_never_cut():
    """Its address leaves, comes back and leaves, and another takes turns with it; on_down = close
    is about servers that are down, not about these."""
    stop = threading.Event()

    def make(letter, address):
        def handler(s):
            s.sendall(letter.encode())
            return both_ways(s, stop)
        return Origin(handler, address)
    with Farm("ab", make=make) as farm, Scripted(zone("a")) as names, named(
            farm.line(options="addresses=2"), names,
            upstream={**CHECKED, "on_down": "close"}) as sluice:
        letter, s = opened(sluice)
        equal(letter, "a", "the server")
        result = []
        client = threading.Thread(target=lambda: result.append(both_ways(s, stop)))
        client.start()
        try:
            for turn in range(3):
                names.set(zone("b"))
                wait_event(sluice, "leaving", farm.address("a"), turn + 1)
                time.sleep(0.3)
                names.set(zone("a"))
                wait_event(sluice, "leaving", farm.address("b"), turn + 1)
            names.set(zone("b"))
            wait_event(sluice, "leaving", farm.address("a"), 4)
            time.sleep(0.5)
        finally:
            stop.set()
            client.join(30)
        sent, received = result[0]
        wait_until(lambda: (received, sent) in farm["a"].results,  # among those of checks
                   lambda: f"the client had {sent} and {received} blocks, servers "
                           f"{[r for r in farm['a'].results if r[0] != 0]}")
        check(sent > 100 and received > 100, f"{sent} and {received} blocks")
        s.close()
        # Both ends stop at once: either may be the first.
        check(sluice.at_rest().closes() in ({"CLIENT_FINISHED": 1}, {"SERVER_FINISHED": 1}),
              f"reasons: {sluice.at_rest().closes()}")


PARTS = [b"%04d" % n * 500 for n in range(30)]


def slowly(req, link):
    """A response that takes a second and a half."""
    if req.target != "/slow":
        return hello(req, link)
    link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Server: %s\r\n\r\n"
              % link.origin.name.encode())
    for part in PARTS:
        link.send(b"%x\r\n%s\r\n" % (len(part), part))
        time.sleep(0.05)
    return b"0\r\n\r\n"


def slow_farm(letters):
    return Farm(letters, "http", lambda letter, address: HttpOrigin(
        slowly, letter, address=address, strict=False))


def test_a_response_is_never_cut():
    """It comes to its end, as does a request whose body is under way; the next goes elsewhere."""
    for pool in (*POOLS, "off"):
        with slow_farm("ab") as farm, Scripted(zone("a")) as names, http_named(
                farm.line(options="addresses=2"), names, proxy=TWO,
                upstream={"pool": pool, "on_down": "close"}) as sluice, \
                Client(sluice) as one, Client(sluice) as two:
            one.send(request("GET", "/slow"))
            two.send(request("POST", "/body", "Content-Length: 20") + b"b" * 10)
            wait_until(lambda: len(farm["a"].requests) >= 2, "the requests do not arrive")
            names.set(zone("b"))
            wait_event(sluice, "leaving", farm.address("a"))
            two.send(b"c" * 10)
            got = two.answer()
            equal((got.status, got.get("x-server"), got.get("x-length")), (200, "a", "20"),
                  f"the body under way, pool = {pool}")
            got = one.answer()
            equal((got.status, got.get("x-server"), got.body == b"".join(PARTS), got.complete),
                  (200, "a", True, True), f"the response under way, pool = {pool}")
            equal([c.ask().get("x-server") for c in (one, two)], ["b", "b"], "the next requests")
            wait_until(lambda: not farm["a"].live(), "a connection to a is still open", 5)


def test_kept_connections_to_an_address_that_left():
    """They are closed, all of them, whoever keeps them."""
    for pool in POOLS:
        with Farm("ab", "http") as farm, Scripted(zone("a")) as names, http_named(
                farm.line(options="addresses=2"), names, proxy=TWO,
                upstream={"pool": pool}) as sluice:
            clients = [Client(sluice) for _ in range(6)]
            equal([c.ask().get("x-server") for c in clients], ["a"] * 6, "servers")
            check(farm["a"].live(), f"nothing is kept with pool = {pool}")
            names.set(zone("b"))
            wait_event(sluice, "leaving", farm.address("a"))
            wait_until(lambda: not farm["a"].live(), f"still open with pool = {pool}", 3)
            sluice.wait_count("pool_idle", 0)
            before = len(farm["a"].requests)
            equal([c.ask().get("x-server") for c in clients], ["b"] * 6, "servers afterwards")
            equal(len(farm["a"].requests), before, "requests at a")
            for c in clients:
                c.close()


# ------------------------------------------------------------------ places used again

def test_a_place_that_is_used_again():
    """One place, two addresses in turns: each request goes to the one that has it."""
    for pool in POOLS:
        with Farm("ab", "http") as farm, Scripted(zone("a")) as names, http_named(
                farm.line(options="addresses=1"), names, proxy=TWO,
                upstream={"pool": pool, "retries": 0}) as sluice:
            clients = [Client(sluice) for _ in range(4)]
            old, new = "a", "b"
            equal([c.ask().get("x-server") for c in clients], [old] * 4, "servers")
            for _ in range(6):
                ups = len(events(sluice, "up", farm.address(new)))
                before = len(farm[old].requests)
                names.set(zone(new))
                wait_event(sluice, "up", farm.address(new), ups + 1)
                for c in clients:
                    equal(ask_several(sluice, 3), new * 3, f"other clients, pool = {pool}")
                    equal([c.ask().get("x-server") for _ in range(3)], [new] * 3, "servers")
                equal(len(farm[old].requests), before, f"requests at {old}, which left")
                old, new = new, old
            for c in clients:
                c.close()


def hammer(sluice, stop, found, errors):
    """Requests over one connection until it is over."""
    try:
        with Client(sluice) as client:
            while not stop.is_set():
                got = client.ask()
                found.append((got.status, got.get("x-server")))
    except (OSError, harness.Failure) as error:
        errors.append(str(error))


def test_a_place_that_is_used_again_under_load():
    """Two places, three addresses in turns, four clients that never stop: no request fails, and
    none goes to an address that is not there."""
    stop, found, errors = threading.Event(), [], []
    with Farm("abc", "http") as farm, Scripted(zone("a")) as names, http_named(
            farm.line(options="addresses=2"), names, proxy=TWO,
            upstream={"pool": "shared", "retries": 0, "eject_after": 0}) as sluice:
        threads = [threading.Thread(target=hammer, args=(sluice, stop, found, errors))
                   for _ in range(4)]
        for t in threads:
            t.start()
        try:
            for turn in range(1, 13):
                new, old, third = ("abc"[(turn - k) % 3] for k in (0, 1, 2))
                before = len(farm[third].requests) if turn > 1 else 0
                ups = len(events(sluice, "up", farm.address(new)))
                lefts = len(events(sluice, "leaving", farm.address(old)))
                names.set(zone(new))
                wait_event(sluice, "up", farm.address(new), ups + 1)
                wait_event(sluice, "leaving", farm.address(old), lefts + 1)
                equal(len(farm[third].requests), before, f"requests at {third}, turn {turn}")
                time.sleep(0.2)
        finally:
            stop.set()
            for t in threads:
                t.join(10)
        equal(errors, [], "errors of clients")
        check(len(found) > 200, f"{len(found)} requests")
        equal({status for status, _ in found}, {200}, "statuses")


def test_more_addresses_than_places():
    """One is used, and stays; the log says how more would be."""
    with Farm("abc") as farm, Scripted(zone("abc")) as names, \
            named(farm.line(options="addresses=1"), names) as sluice:
        first = who(sluice)
        sluice.wait_log(r"^\S+ warn .*app\.test.*addresses=")
        for _ in range(10):
            equal(several(sluice, 4), first * 4, "sessions, while the answers change their order")
            names.wait_asked()
        equal(warnings(sluice, r"^\S+ warn .*app\.test.*addresses="), 1, "warnings")
        equal(events(sluice, "leaving"), [], "what left")
        rest = "abc".replace(first, "")
        names.set(zone(rest))
        wait_event(sluice, "leaving", farm.address(first))
        wait_until(lambda: several(sluice, 3) in (rest[0] * 3, rest[1] * 3),
                   "none of the others has the place")


def test_a_place_is_free_when_its_last_session_has_ended():
    with Farm("ab") as farm, Scripted(zone("a")) as names, \
            named(farm.line(options="addresses=1"), names) as sluice:
        held = held_at(sluice, "a")
        names.set(zone("b"))
        wait_event(sluice, "leaving", farm.address("a"))
        equal(several(sluice, 3), "", "sessions while the only place is taken")
        exchange(held, b"it is mine")
        held.close()
        place = wait_event(sluice, "up", farm.address("b"), seconds=5)
        equal(place, events(sluice, "leaving")[0], "the place")
        equal(several(sluice, 3), "bbb", "sessions afterwards")


# --------------------------------------------------------------- options of the line

def test_options_hold_for_each_address():
    with Farm("abc") as farm, Scripted(zone("ab")) as names:
        with named([farm.line(options="addresses=2 weight=3"), farm.address("c")], names) as sluice:
            equal(tally(several(sluice, 14)), [6, 6, 2], "sessions by weight")
        with named(farm.line(options="addresses=2 max_sessions=2"), names) as sluice:
            sessions = [opened(sluice) for _ in range(5)]
            equal(tally("".join(c for c, _ in sessions)), [2, 2, 0], "sessions held")
            for _, s in sessions:
                s.close()
            equal(sluice.at_rest().closes()["SERVERS_FULL"], 1, "SERVERS_FULL")
        with named([farm.line(options="addresses=2 backup"), farm.address("c")], names,
                   upstream=CHECKED) as sluice:
            equal(several(sluice, 4), "cccc", "while there is another")
            farm.lose("c")
            sluice.wait_count("servers_went_down", 1)
            fair(sluice, "ab")
            farm.bring_back("c")
            sluice.wait_count("servers_came_up", 1)
            equal(several(sluice, 4), "cccc", "when it is back")


def test_what_the_server_and_the_log_are_told():
    """Host is the name with its port, for requests with host_header = server and for checks; in
    the access log the server is its address."""
    with Farm("ab", "http") as farm, Scripted(zone("a")) as names:
        listener = {"access_log": "./log", "access_log_format": "json"}
        text = route("all", path="/*", upstream="app", host_header="server")
        with http_named(farm.line(), names, listener, text=text, upstream={
                "health": "http", "health_interval": "100ms", "health_path": "/fit"}) as sluice:
            equal(ask_several(sluice, 2), "aa", "servers")
            wait_until(lambda: any(r.target == "/fit" for r in farm["a"].requests), "no check")
            told = {r.get("host") for r in farm["a"].requests}
            equal(told, {f"app.test:{farm.port}"}, "Host")
            path = os.path.join(sluice.folder, "log")

            def lines():
                with open(path, encoding="utf-8") as f:
                    return [json.loads(line)["server"] for line in f.read().split("\n")[:-1]]
            wait_until(lambda: len(lines()) == 2, lambda: f"the log: {lines()}")
            equal(lines(), [farm.address("a")] * 2, "servers in the log")
        with named(farm.line(), names, upstream={"health": "http", "health_interval": "100ms",
                                                 "health_host": "fit.test"}) as sluice:
            before = len(farm["a"].requests)
            check(farm["a"].wait_requests(before + 1)[-1].get("host") == "fit.test", "health_host")


# -------------------------------------------------------------------------- checks

def test_a_new_address_is_checked_soon():
    """It is used at once, and found out long before the interval is over."""
    bad = {"b"}

    def fit(req, link):
        return reply(b"no", status="500 No") if link.origin.name in bad else hello(req, link)
    with Farm("abc", make=lambda letter, address: HttpOrigin(
            fit, letter, address=address, strict=False)) as farm, Scripted(zone("a")) as names, \
            named(farm.line(), names, listener={"mode": "http"}, upstream={
                "health": "http", "health_interval": "30s", "health_fall": 1}) as sluice:
        farm["a"].wait_requests(1)
        names.set(zone("abc"))
        wait_event(sluice, "up", farm.address("b"))
        sluice.wait_count("servers_went_down", 1, 4)
        equal(set(ask_several(sluice, 12)), {"a", "c"}, "servers that are asked")
        equal(len(farm["b"].requests) >= 1, True, "checks of b")


def test_an_address_that_left_is_not_checked():
    """Not even when its place has another one, which is."""
    with Farm("abc", "http") as farm, Scripted(zone("ab")) as names, http_named(
            farm.line(options="addresses=2"), names,
            upstream={"health": "http", "health_interval": "50ms"}) as sluice:
        farm["b"].wait_requests(3)
        names.set(zone("a"))
        wait_event(sluice, "leaving", farm.address("b"))
        time.sleep(0.3)
        before = [len(farm[c].requests) for c in "ab"]
        farm["a"].wait_requests(before[0] + 5)
        names.set(zone("ac"))
        wait_event(sluice, "up", farm.address("c"))
        farm["c"].wait_requests(5)
        equal(len(farm["b"].requests), before[1], "checks of b after it left")
        farm.lose("b")
        time.sleep(0.3)
        equal(sluice.count("servers_went_down"), 0, "servers_went_down")


def test_a_place_forgets_what_was_there():
    """A server that is down, or ejected, leaves; the next one in its place is neither."""
    for keys, lost in (({**CHECKED, "health_interval": "300ms"}, "servers_went_down"),
                       ({"eject_after": 2, "eject_time": "1m", "retries": 0}, "servers_ejected")):
        with Farm("abc") as farm, Scripted(zone("ab")) as names, \
                named(farm.line(options="addresses=2"), names, upstream=keys) as sluice:
            fair(sluice, "ab")
            farm.lose("b")
            several(sluice, 8)
            sluice.wait_count(lost, 1)
            equal(several(sluice, 4), "aaaa", f"servers, {lost}")
            names.set(zone("ac"))
            wait_event(sluice, "up", farm.address("c"))
            fair(sluice, "ac")
            time.sleep(0.5)
            fair(sluice, "ac")


def test_checks_take_an_address_down_and_up():
    with Farm("ab") as farm, Scripted(zone("ab")) as names, \
            named(farm.line(), names, upstream=CHECKED, proxy=TWO) as sluice:
        fair(sluice, "ab")
        farm.lose("b")
        sluice.wait_count("servers_went_down", 1)
        equal(several(sluice, 6), "aaaaaa", "while b is down")
        names.set(zone("a"))
        wait_event(sluice, "leaving", farm.address("b"))
        farm.bring_back("b")
        names.set(zone("ab"))
        wait_served_by(sluice, "ab")


# --------------------------------------------------------------------- hashed clients

SOURCES = [f"127.0.1.{n}" for n in range(2, 122)]


def homes(sluice):
    found = {source: who(sluice, source) for source in SOURCES}
    check("" not in found.values(), "a client has no server")
    return found


def moved(before, after, gone="", come=""):
    """How many moved for no reason: neither is their server gone, nor is theirs now a new one."""
    return sum(1 for s in SOURCES if after[s] != before[s] and before[s] not in gone
               and after[s] not in come)


def keeps_clients(balance, strays):
    """Of those who may stay, as many as strays may move all the same (of 120)."""
    upstream = {"balance": balance, "retries": 0}
    with Farm("abcdef") as farm, Scripted(zone("abcd")) as names, \
            named(farm.line(options="addresses=5"), names, proxy=TWO, upstream=upstream) as sluice:
        before = homes(sluice)
        check(all(12 <= n <= 54 for n in tally(list(before.values()), "abcd")),
              f"shares: {tally(list(before.values()), 'abcd')}")
        names.set(zone("abc"))
        wait_event(sluice, "leaving", farm.address("d"))
        after = homes(sluice)
        check("d" not in after.values() and moved(before, after, gone="d") <= strays,
              f"{moved(before, after, gone='d')} moved when d left")
        ups = len(events(sluice, "up", farm.address("d")))
        names.set(zone("abcd"))
        wait_event(sluice, "up", farm.address("d"), ups + 1)
        equal(moved(before, homes(sluice)), 0, "who is elsewhere when d is back")
        names.set(zone("abcde"))
        wait_event(sluice, "up", farm.address("e"))
        after = homes(sluice)
        check(moved(before, after, come="e") <= strays and
              8 <= tally(list(after.values()), "e")[0] <= 45,
              f"e came: {moved(before, after, come='e')} moved, {tally(list(after.values()), 'e')}")
        names.set(zone("bcdf"))  # f takes the place of a or e
        wait_event(sluice, "up", farm.address("f"))
        after = homes(sluice)
        check(moved(before, after, gone="a", come="f") <= strays,
              f"{moved(before, after, gone='a', come='f')} moved when f came for a")
        # Another process, where the addresses have other places, agrees.
        with named(farm.line(options="addresses=9"), names, upstream=upstream) as other:
            equal(moved(after, homes(other)), 0, "who is elsewhere at another sluice")


def test_source_hash_follows_addresses():
    keeps_clients("source_hash", 0)


def test_maglev_follows_addresses():
    keeps_clients("maglev", 18)


harness.main(globals())
