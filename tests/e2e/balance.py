# SPDX-License-Identifier: MIT
"""Balancing: which server a session or a request goes to, over one worker and over two."""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
import origins
from harness import HOST, Sluice, check, equal, section, wait_until, written
from http_peers import Client, HttpOrigin, Stream, http_sluice
from origins import Origin, Refuser

METHODS = ("round_robin", "least_sessions", "random_two", "source_hash", "maglev")
TWO = {"workers": 2, "accept": "round_robin"}  # each worker gets every other session
CHECKED = {"health": "tcp", "health_interval": "100ms", "health_fall": 1, "health_rise": 1}
SOURCES = [f"127.0.0.{n}" for n in range(2, 82)]


class Servers:
    """Servers a, b, c .. that greet with their letter, each with its options."""

    def __init__(self, *options):
        self.letters = [chr(ord("a") + n) for n in range(len(options))]
        self.origins = {c: self.origin(c) for c in self.letters}
        self.lines = [f"{written(self.origins[c].address)} name={c} {o}"
                      for c, o in zip(self.letters, options)]

    @staticmethod
    def origin(letter, address=(HOST, 0)):
        return Origin(origins.talk_first(letter.encode()), address)

    def lose(self, letter):
        self.origins[letter].close()

    def bring_back(self, letter):
        self.origins[letter] = self.origin(letter, self.origins[letter].address)

    def seen(self):
        return [self.origins[c].seen for c in self.letters]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for origin in self.origins.values():
            origin.close()


def opened(address, source=HOST, header=b""):
    """A session: (the letter of its server or nothing, its socket)."""
    s = socket.socket()
    s.settimeout(harness.STEP_SECONDS)
    s.bind((source, 0))
    try:
        s.connect(address)
        s.sendall(header)
        return s.recv(1).decode(), s
    except ConnectionError:
        return "", s


def who(address, source=HOST, header=b""):
    letter, s = opened(address, source, header)
    s.close()
    return letter


def several(sluice, count):
    return "".join(who(sluice.address) for _ in range(count))


def held(sluice, count):
    return [opened(sluice.address) for _ in range(count)]


def tally(letters, names="abcd"):
    letters = [one[0] if isinstance(one, tuple) else one for one in letters]
    return [letters.count(c) for c in names]


def close_all(sessions):
    for _, s in sessions:
        s.close()


def smooth(weights, count):
    """The smooth sequence, by its definition."""
    credit, out = dict.fromkeys(weights, 0), ""
    for _ in range(count):
        for letter, weight in weights.items():
            credit[letter] += weight
        best = max(weights, key=lambda c: credit[c])
        credit[best] -= sum(weights.values())
        out += best
    return out


# ------------------------------------------------------------------- round_robin

def test_the_sequence_is_smooth():
    """One worker, choice by choice; a drained server is in no place of it."""
    for weights in ({"a": 5, "b": 1, "c": 1}, {"a": 3, "b": 2, "c": 0, "d": 7}, {"a": 1, "b": 1}):
        with Servers(*(f"weight={w}" for w in weights.values())) as servers, \
                Sluice(servers.lines) as sluice:
            count = 3 * sum(weights.values())
            wanted = smooth({c: w for c, w in weights.items() if w}, count)
            equal(several(sluice, count), wanted, f"servers with {weights}")


def test_the_sequence_of_requests():
    """Requests over one connection take turns like sessions."""
    with HttpOrigin(name="a") as a, HttpOrigin(name="b") as b, http_sluice(
            [f"{written(a.address)} weight=2", f"{written(b.address)} weight=1"]) as sluice, \
            Client(sluice) as client:
        got = "".join(client.ask("GET", "/").get("x-server") for _ in range(12))
        equal(got, smooth({"a": 2, "b": 1}, 12), "servers of requests")


def test_shares_over_two_workers():
    """Whole rounds in each worker give each server exactly its share."""
    with Servers("weight=5", "weight=1", "weight=0", "weight=2") as servers, \
            Sluice(servers.lines, proxy=TWO) as sluice:
        several(sluice, 160)
        now = sluice.at_rest()
        equal(now["sessions_total"].workers, [80, 80], "sessions of the workers")
        equal(servers.seen(), [100, 20, 0, 40], "sessions by server")


def test_the_rest_takes_turns_when_one_is_down():
    with Servers("weight=5", "weight=2", "weight=1") as servers, \
            Sluice(servers.lines, upstream=CHECKED) as sluice:
        servers.lose("a")
        sluice.wait_count("servers_went_down", 1)
        got = several(sluice, 12)
        check("ccc" not in got and tally(got) == [0, 8, 4, 0], f"after the loss: {got}")
        servers.bring_back("a")
        sluice.wait_count("servers_came_up", 1)
        got = several(sluice, 16)
        equal(tally(got), [10, 4, 2, 0], f"after the return: {got}")


def test_slow_start():
    """A server that comes up gets its share little by little."""
    with Servers("", "") as servers, \
            Sluice(servers.lines, upstream={**CHECKED, "slow_start": "2s"}) as sluice:
        servers.lose("b")
        sluice.wait_count("servers_went_down", 1)
        servers.bring_back("b")
        sluice.wait_count("servers_came_up", 1)
        started = time.monotonic()
        got = several(sluice, 30)
        if time.monotonic() - started < 0.4:
            check(got.count("b") <= 8, f"at the start: {got}")
        time.sleep(max(0, started + 2.2 - time.monotonic()))
        equal(tally(several(sluice, 20)), [10, 10, 0, 0], "after slow_start")


# ----------------------------------------------------------------------- backups

def test_a_backup_serves_while_checks_fail():
    with Servers("", "", "backup", "backup weight=0") as servers, \
            Sluice(servers.lines, proxy=TWO, upstream=CHECKED) as sluice:
        equal(tally(several(sluice, 8)), [4, 4, 0, 0], "all are up")
        servers.lose("a")
        sluice.wait_count("servers_went_down", 1)
        equal(several(sluice, 4), "bbbb", "one is left")
        servers.lose("b")
        sluice.wait_count("servers_went_down", 2)
        equal(several(sluice, 4), "cccc", "the backup alone")
        servers.bring_back("a")
        sluice.wait_count("servers_came_up", 1)
        equal(several(sluice, 4), "aaaa", "one is back")


def test_a_backup_serves_while_others_are_ejected():
    port = harness.free_port()
    with Servers("backup") as servers, Sluice(
            [f"{HOST}:{port} name=z", *servers.lines],
            upstream={"retries": 0, "eject_after": 3, "eject_time": "2s"}) as sluice:
        equal(several(sluice, 3), "", "three failures")
        equal(several(sluice, 5), "aaaaa", "ejected")
        equal(sluice.count("servers_ejected"), 1, "servers_ejected")
        sluice.wait_log("warn server app/z is ejected: the server refused the connection")
        with Servers.origin("z", (HOST, port)):
            wait_until(lambda: who(sluice.address) == "z", "the server does not come back", 5)
            equal(several(sluice, 5), "zzzzz", "after eject_time")
            equal(sluice.count("servers_came_up"), 1, "servers_came_up")


def test_a_backup_is_no_place_for_those_too_many():
    with Servers("max_sessions=2", "backup") as servers, Sluice(servers.lines) as sluice:
        sessions = held(sluice, 4)
        equal([c for c, _ in sessions], ["a", "a", "", ""], "servers")
        close_all(sessions)
        equal(sluice.at_rest().closes()["SERVERS_FULL"], 2, "SERVERS_FULL")
        equal(servers.seen(), [2, 0], "sessions by server")


# ------------------------------------------------------ least_sessions, random_two

def test_least_sessions_is_exact():
    """The number of sessions is that over both workers."""
    with Servers("", "", "") as servers, \
            Sluice(servers.lines, proxy=TWO, upstream={"balance": "least_sessions"}) as sluice:
        sessions = held(sluice, 30)
        equal(tally(sessions), [10, 10, 10, 0], "sessions held")
        close_all(one for one in sessions if one[0] == "b")
        sluice.wait_count("sessions", 20)
        more = held(sluice, 10)
        equal(tally(more), [0, 10, 0, 0], "to the one that has none")
        close_all(sessions + more)


def test_least_sessions_by_weight():
    with Servers("weight=2", "weight=1", "weight=0", "weight=3") as servers, \
            Sluice(servers.lines, proxy=TWO, upstream={"balance": "least_sessions"}) as sluice:
        sessions = held(sluice, 36)
        equal(tally(sessions), [12, 6, 0, 18], "sessions held")
        close_all(sessions)


def test_random_two_is_roughly_even():
    with Servers("", "", "", "") as servers, \
            Sluice(servers.lines, proxy=TWO, upstream={"balance": "random_two"}) as sluice:
        sessions = held(sluice, 120)
        check(all(24 <= n <= 36 for n in tally(sessions)), f"of 120: {tally(sessions)}")
        close_all(sessions)
    with Servers("weight=2", "weight=1", "weight=1", "weight=0") as servers, \
            Sluice(servers.lines, proxy=TWO, upstream={"balance": "random_two"}) as sluice:
        sessions = held(sluice, 120)
        counts = tally(sessions)
        check(48 <= counts[0] <= 72 and 22 <= counts[1] <= 38, f"of 120 by 2:1:1: {counts}")
        equal(counts[3], 0, "to a drained server")
        close_all(sessions)


# ------------------------------------------------------------ source_hash, maglev

def homes(address, sources=SOURCES):
    return {source: who(address, source) for source in sources}


def moved_keys(servers, sluice, before):
    """Loses one of four, and gets it back: only its clients move, and all return."""
    lost = before[SOURCES[0]]
    servers.lose(lost)
    sluice.wait_count("servers_went_down", 1)
    during = homes(sluice.address)
    for source in SOURCES:
        if before[source] == lost:
            check(during[source] not in ("", lost), f"{source} is at {during[source]!r}")
        else:
            equal(during[source], before[source], f"the server of {source}")
    heirs = {during[source] for source in SOURCES if before[source] == lost}
    check(len(heirs) > 1, f"all of its clients went to {heirs}")
    equal(homes(sluice.address), during, "the second time")
    servers.bring_back(lost)
    sluice.wait_count("servers_came_up", 1)
    equal(homes(sluice.address), before, "after the return")


def hashed(balance):
    upstream = {**CHECKED, "balance": balance, "retries": 0}
    with Servers("", "", "", "") as servers:
        with Sluice(servers.lines, proxy=TWO, upstream=upstream) as sluice:
            before = homes(sluice.address)
            check(all(8 <= n <= 36 for n in tally(list(before.values()))),
                  f"shares of {len(SOURCES)}: {tally(list(before.values()))}")
            equal(homes(sluice.address, reversed(SOURCES)), before, "the second time")
            moved_keys(servers, sluice, before)
        with Sluice(servers.lines, upstream=upstream) as sluice:
            equal(homes(sluice.address), before, "in another process")


def test_source_hash():
    hashed("source_hash")


def test_maglev():
    hashed("maglev")


def test_hashes_know_weights():
    for balance in ("source_hash", "maglev"):
        with Servers("weight=3", "weight=1", "weight=0") as servers, \
                Sluice(servers.lines, upstream={"balance": balance}) as sluice:
            counts = tally(list(homes(sluice.address).values()))
            check(50 <= counts[0] <= 70 and sum(counts[:2]) == 80, f"{balance}: {counts}")


def test_the_address_of_the_proxy_header_is_hashed():
    other = (HOST, harness.free_port())
    text = section("listener other", {"bind": written(other), "upstream": "app",
                                      "proxy_protocol": "v1"})
    with Servers("", "", "", "") as servers, \
            Sluice(servers.lines, upstream={"balance": "source_hash"}, text=text) as sluice:
        for source in SOURCES[:20]:
            header = f"PROXY TCP4 {source} {HOST} 1 2\r\n".encode()
            equal(who(other, HOST, header), who(sluice.address, source), f"server of {source}")


class FromSource(Client):
    def __init__(self, sluice, source):  # pylint: disable=super-init-not-called
        self.s = socket.create_connection(sluice.address, harness.STEP_SECONDS, (source, 0))
        self.stream = Stream(self.s)


def test_requests_of_a_client_stay():
    with HttpOrigin(name="a") as a, HttpOrigin(name="b") as b, HttpOrigin(name="c") as c:
        named = [f"{written(o.address)} name={o.name}" for o in (a, b, c)]
        with http_sluice(named, proxy=TWO, upstream={"balance": "source_hash"}) as sluice:
            found = set()
            for source in SOURCES[:12]:
                mine = set()
                for _ in range(2):  # connections, perhaps of different workers
                    with FromSource(sluice, source) as client:
                        mine |= {client.ask("GET", "/").get("x-server") for _ in range(3)}
                equal(len(mine), 1, f"servers of {source}")
                found |= mine
            check(len(found) > 1, f"all clients are at {found}")


# ------------------------------------------------------------------ max_sessions

def test_max_sessions_of_a_server():
    """Counted over the workers, whatever the balancing; room is found where there is some."""
    for balance in METHODS:
        with Servers("max_sessions=3", "max_sessions=2 weight=7") as servers, \
                Sluice(servers.lines, proxy=TWO, upstream={"balance": balance}) as sluice:
            sessions = held(sluice, 7)
            equal(tally(sessions), [3, 2, 0, 0], f"{balance}: sessions held")
            now = sluice.counters()
            equal([s["server_sessions"] for s in now.servers.values()], [3, 2], "gauges")
            equal(now.closes(), {"SERVERS_FULL": 2}, f"{balance}: reasons")
            next(s for c, s in sessions if c == "a").close()
            sluice.wait_count("sessions", 4)
            equal(who(sluice.address), "a", f"{balance}: the place that became free")
            close_all(sessions)


def test_a_failed_connection_gives_its_place_back():
    with Refuser() as refuser, Servers("max_sessions=1") as servers, Sluice(
            [f"{written(refuser.address)} max_sessions=1", *servers.lines],
            upstream={"eject_after": 0}) as sluice:
        for _ in range(10):
            letter, s = opened(sluice.address)
            equal(letter, "a", "the server that works")
            s.close()
            sluice.wait_count("sessions", 0)
        check(sluice.count("connect_retries") >= 3, "no retry was counted")


harness.main(globals())
