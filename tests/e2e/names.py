# SPDX-License-Identifier: MIT
"""Servers that are host names: what the file may say, the first answer, what is asked and when.
names_failures.py is about answers that are bad or not there, names_moves.py about addresses that
change, names_srv.py about records of services."""

import os
import re
import tempfile
import time

# pylint: disable=wrong-import-order
import harness
from harness import HOST, Skip, check, equal, need, section, wait_until
from named import (AGAIN, FAST, NO_ANSWER, SLOW, TWO, Farm, gaps, has_ipv6, host, http_named, named,
                   resolver_counts, served, several, tally, wait_event, wait_served_by, warnings,
                   who, zone)
from name_servers import Scripted


# ------------------------------------------------------------------------- the file

def checked(proxy="", upstream="", lines=("app.test:80",)):
    """sluice -t with these: (status, what it prints)."""
    text = f"[proxy]\n{proxy}\n\n"
    text += section("listener web", {"bind": f"{HOST}:1", "upstream": "app"})
    text += section("upstream app", {"server": list(lines)}) + upstream + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "proxy.ini")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return harness.run("-t", "-c", path)


GOOD = [
    {"lines": ["app.test:80"]}, {"lines": ["app.test:80 addresses=1 weight=3 backup name=x"]},
    {"lines": ["app.test:80 addresses=1024"]}, {"lines": ["app.test:80 max_sessions=7"]},
    {"lines": ["app.test:80", "127.0.0.1:80 weight=2", "other.test:81 addresses=4"]},
    {"lines": ["_http._tcp.app.test addresses=3 max_sessions=2 name=x", "127.0.0.1:1 backup"]},
    {"lines": ["_http._tcp.app.test backup"]},
    {"upstream": "resolve = any"}, {"upstream": "resolve = ipv4"}, {"upstream": "resolve = ipv6"},
    {"proxy": "resolver = 127.0.0.1"}, {"proxy": "resolver = 127.0.0.1:5353\nresolver = [::1]:53"},
    {"proxy": "resolver = ::1"},
    {"proxy": "\n".join(f"resolver = 127.0.0.{n}" for n in range(1, 9))},
    {"proxy": "resolve_timeout = 10ms\nresolve_min = 10ms\nresolve_max = 1s\nresolve_hold = 0"},
    {"proxy": "resolve_timeout = 60s\nresolve_min = 1h\nresolve_max = 24h\nresolve_hold = 24h"},
]
BAD = [
    ({"lines": ["127.0.0.1:80 addresses=2"]}, "is for host names"),
    ({"lines": ["[::1]:80 addresses=2"]}, "is for host names"),
    ({"lines": ["app.test:80 addresses=0"]}, "addresses"),
    ({"lines": ["app.test:80 addresses=1025"]}, "addresses"),
    ({"lines": ["app.test:80 addresses=1000", "other.test:80 addresses=25"]}, "1024"),
    ({"lines": ["app.test:80 addresses=1024", "127.0.0.1:1"]}, "1024"),
    ({"lines": ["app.test"]}, "port"),
    ({"lines": ["_http._tcp.app.test weight=2"]}, "weight"),
    ({"lines": ["_http._tcp.app.test:80"]}, "port"),
    ({"lines": ["_http._udp.app.test"]}, "_tcp|port"),
    ({"lines": ["_http.app.test"]}, "_tcp|port"),
    ({"lines": ["_http._tcp.app.test addresses=513"]}, "1024"),  # and as many spare places
    ({"lines": ["127.0.0.1:80"], "upstream": "resolve = ipv4"}, "resolve"),
    ({"upstream": "resolve = both"}, "resolve"),
    ({"proxy": "\n".join(f"resolver = 127.0.0.{n}" for n in range(1, 10))}, "resolver"),
    ({"proxy": "resolver = ns.test"}, "resolver"),
    ({"proxy": "resolve_timeout = 9ms"}, "resolve_timeout"),
    ({"proxy": "resolve_timeout = 61s"}, "resolve_timeout"),
    ({"proxy": "resolve_min = 9ms"}, "resolve_min"),
    ({"proxy": "resolve_max = 999ms"}, "resolve_max"),
    ({"proxy": "resolve_min = 1m\nresolve_max = 2s"}, "resolve_m"),
    ({"proxy": "resolve_hold = 25h"}, "resolve_hold"),
]


def test_what_the_file_may_say():
    for keys in GOOD:
        status, said = checked(**keys)
        check(status == 0 and said.rstrip().endswith(": ok"), f"{keys}: {status}, {said}")
    for keys, word in BAD:
        status, said = checked(**keys)
        check(status == 1 and re.search(r"proxy\.ini:\d+: ", said) and re.search(word, said),
              f"{keys}: {status}, {said}")


def test_a_check_of_the_file_asks_nobody():
    """Names of servers are not looked up by -t, whether they exist or not."""
    with Scripted() as names:
        started = time.monotonic()
        keys = f"resolver = {names.written}\nresolve_timeout = 20s"
        for lines in (["nowhere.test:80"], ["_http._tcp.nowhere.test"]):
            status, said = checked(keys, lines=lines)
            check(status == 0 and said.rstrip().endswith(": ok"), f"{status}, {said}")
        names.fault("silent")
        equal(checked(keys)[0], 0, "status")
        check(time.monotonic() - started < 5, "it took more than 5 s")
        equal(names.asked, [], "queries")


# --------------------------------------------------------------------------- start

def started_in(sluice):
    """Seconds until a first client is served: (how long, by whom)."""
    began = time.monotonic()
    sluice.start(ready=False)
    while True:
        try:
            letter = who(sluice)
            break
        except OSError as error:
            check(time.monotonic() - began < 20 and not sluice.ended(),
                  f"nobody listens: {error}\n{sluice.log()}")
            time.sleep(0.02)
    took = time.monotonic() - began
    sluice.wait_log("^  limits ")
    sluice.pool = sluice.wait_count("sessions", 0)["slices_free_bytes"]
    return took, letter


def test_the_first_round_is_waited_for():
    """A first client finds all addresses, however slow the answer was."""
    with Farm("abc") as farm, Scripted(zone("ab")) as names:
        names.delay = 0.7
        with named(farm.line(), names, proxy={"resolve_timeout": "5s"}, start=False) as sluice:
            took, letter = started_in(sluice)
            check(letter in ("a", "b"), f"the first client got {letter!r}")
            check(took >= 0.6, f"it was served after {took:.2f} s, before there was an answer")
            equal(tally(several(sluice, 12)), [6, 6, 0], "sessions by server")
            counts = resolver_counts(sluice)
            check(counts["queries"] >= 2 and counts["answers"] >= 1 and counts["failures"] == 0,
                  f"counters {counts}")


def test_many_names_are_asked_at_once():
    """Twenty names, half a second for each answer: the first round takes one half-second."""
    name_of = "n{}.test".format
    with Farm("ab") as farm, Scripted() as names:
        names.set({name_of(n): zone("ab"[n % 2], name_of(n))[name_of(n)] for n in range(20)})
        names.delay = 0.5
        lines = [farm.line(name_of(n), "addresses=2") for n in range(20)]
        with named(lines, names, start=False, proxy={
                **TWO, "resolve_timeout": "4s", "resolve_min": "5s",
                "resolve_max": "5s"}) as sluice:
            took, letter = started_in(sluice)
            check(letter in ("a", "b") and took < 3 * SLOW, f"{letter!r} after {took:.1f} s")
            equal(tally(several(sluice, 80), "ab"), [40, 40], "sessions by server")
            most = max(len(names.times(name_of(n))) for n in range(20))
            check(most <= 2, f"a name was asked for {most} times")


def test_a_start_without_a_name_server():
    """503 at once, and when a name server comes, what was asked for works without a restart."""
    with Farm("ab", "http") as farm, Scripted(zone("ab"), start=False) as names:
        began = time.monotonic()
        with http_named(farm.line(), names) as sluice:
            check(time.monotonic() - began < 4 * SLOW, "the start waits too long")
            sluice.wait_log(NO_ANSWER)
            began = time.monotonic()
            equal([served(sluice)[0] for _ in range(5)], [503] * 5, "statuses")
            check(time.monotonic() - began < 1.5, "503 is slow")
            equal(sluice.count("http_own_503"), 5, "http_own_503")
            names.start()
            wait_until(lambda: served(sluice)[0] == 200, "it does not work afterwards", 10)
            wait_until(lambda: {served(sluice) for _ in range(4)} == {(200, "a"), (200, "b")},
                       "not both servers are used")
            sluice.wait_log(AGAIN)


def test_a_start_without_a_name_server_of_tcp():
    """The client is told at once; a server beside it that has an address serves all the time."""
    with Farm("ac") as farm, Scripted(zone("a"), start=False) as names:
        with named(farm.line(), names) as sluice:
            began = time.monotonic()
            equal(several(sluice, 5), "", "greetings")
            check(time.monotonic() - began < 1.5, "the end is slow")
            equal(sluice.at_rest().closes(), {"NO_SERVER": 5}, "reasons")
            names.start()
            wait_served_by(sluice, "a")
        names.stop()
        with named([farm.line(), farm.address("c")], names) as sluice:
            equal(several(sluice, 6), "cccccc", "sessions")
            names.start()
            wait_served_by(sluice, "ac")


def test_silence_at_the_start():
    """No answer, not even a refusal: resolve_timeout is how long the start takes."""
    with Farm("a") as farm, Scripted(zone("a")) as names:
        names.fault("silent")
        with named(farm.line(), names, proxy={"resolve_timeout": "1500ms"}, start=False) as sluice:
            took, letter = started_in(sluice)
            check(letter == "" and 1.2 <= took <= 3 + SLOW, f"{letter!r} after {took:.2f} s")
            sluice.wait_log(NO_ANSWER)
            names.heal()
            wait_served_by(sluice, "a")


def test_slow_start_is_for_those_that_come_later():
    with Farm("abc") as farm, Scripted(zone("b")) as names, \
            named([farm.address("a"), farm.line()], names,
                  upstream={"slow_start": "20s"}) as sluice:
        equal(tally(several(sluice, 20)), [10, 10, 0], "of the first round")
        names.set(zone("bc"))
        wait_event(sluice, "up", farm.address("c"))
        got = tally(several(sluice, 40))
        check(got[2] <= 6 and got[0] >= 14 and got[1] >= 14, f"just after c came: {got}")


# ------------------------------------------------------------------- what is asked

def test_the_time_to_live():
    """Asked again when it is over, but not more often than resolve_min and not later than
    resolve_max; what is remembered elsewhere must not count."""
    with Farm("abc") as farm, Scripted(ttl={"zero.test": 0, "one.test": 1}) as names:
        names.set({**zone("a", "zero.test"), **zone("b", "one.test")})
        with named([farm.line("zero.test"), farm.line("one.test")], names,
                   proxy={"resolve_min": "250ms", "resolve_max": "5m"}) as sluice:
            equal(tally(several(sluice, 4), "ab"), [2, 2], "sessions by server")
            began, before = time.monotonic(), len(names.times("zero.test"))
            time.sleep(3)
            rate = (len(names.times("zero.test")) - before) / (time.monotonic() - began)
            check(2 / SLOW <= rate <= 4.5, f"with a TTL of 0 it is asked {rate:.1f} times a second")
            found = gaps(names.times("one.test"), 0.1)
            check(found and all(0.8 <= g <= 1.6 + SLOW for g in found), f"a TTL of 1 s: {found}")
    with Farm("abc") as farm, Scripted(zone("a"), ttl=100000) as names, \
            named(farm.line(), names) as sluice:
        names.wait_asked(2)
        found = gaps(names.times(), 0.1)
        check(all(0.7 <= g <= 1.5 + SLOW for g in found), f"with a long TTL: {found}")
        names.set(zone("c"))
        wait_served_by(sluice, "c", 5)


def test_which_addresses_are_used():
    if not has_ipv6():
        raise Skip("there is no ::1")
    for family, kinds, letters in (("ipv4", {"A"}, "a"), ("ipv6", {"AAAA"}, "z"),
                                   ("any", {"A", "AAAA"}, "az")):
        with Farm("az") as farm, Scripted(zone("az")) as names, \
                named(farm.line(), names, upstream={"resolve": family}) as sluice:
            equal("".join(sorted(set(several(sluice, 6)))), letters, f"servers with {family}")
            names.wait_asked(2, kind=sorted(kinds)[0])
            equal({a.kind for a in names.asked}, kinds, f"what is asked with {family}")


def test_several_name_servers():
    """One that is silent, refuses or cannot be reached does not matter when the next one knows."""
    for what in ("silent", "SERVFAIL", "REFUSED", "gone"):
        with Farm("abc") as farm, Scripted(zone("c"), start=what != "gone") as bad, \
                Scripted(zone("a")) as good:
            bad.fault(what)
            with named(farm.line(), good, proxy={"resolver": [bad.written, good.written],
                                                 "resolve_timeout": "6s"}) as sluice:
                equal(several(sluice, 2), "aa", f"the first one is {what}")
                good.set(zone("b"))
                wait_served_by(sluice, "b", 15)
                equal(warnings(sluice, NO_ANSWER), 0, "warnings")


NAMESPACE = """mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 &&
exec "$@" """


def own_files(folder, hosts_text, resolv_text):
    """A prefix for sluice, with these in place of the system's files."""
    paths = []
    for name, text in (("hosts", hosts_text), ("resolv.conf", resolv_text)):
        paths.append(os.path.join(folder, name))
        with open(paths[-1], "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(paths[-1], 0o644)
    prefix = [need("unshare"), "-m", "sh", "-c", NAMESPACE, "sh", *paths]
    if harness.run("true", command=prefix)[0] != 0:
        raise Skip("no mount namespace can be made here")
    return prefix


def test_the_hosts_file_is_first():
    """A name that is there has these addresses, whatever the name server says."""
    with tempfile.TemporaryDirectory() as folder, Farm("abc") as farm, Scripted(
            {**zone("c"), **zone("b", "other.test")}) as names:
        os.chmod(folder, 0o755)
        prefix = own_files(folder, f"127.0.0.1 localhost\n{host('a')} app.test\n", "")
        with named([farm.line(), farm.line("other.test")], names, prefix=prefix) as sluice:
            equal(tally(several(sluice, 8)), [4, 4, 0], "sessions by server")
            names.wait_asked(2, "other.test")
            equal(tally(several(sluice, 8)), [4, 4, 0], "sessions by server, later")


def test_the_name_servers_of_the_system():
    """Without resolver: those of /etc/resolv.conf."""
    with tempfile.TemporaryDirectory() as folder, Farm("ab") as farm:
        os.chmod(folder, 0o755)
        try:
            names = Scripted(zone("a"), host="127.0.0.77", port=53)
        except OSError as error:
            raise Skip(f"port 53 cannot be bound: {error}") from error
        prefix = own_files(folder, "127.0.0.1 localhost\n",
                           "nameserver 127.0.0.77\noptions timeout:1\n")
        with names, harness.Sluice([farm.line()], proxy=FAST, prefix=prefix) as sluice:
            equal(several(sluice, 2), "aa", "sessions")
            names.set(zone("b"))
            wait_served_by(sluice, "b")


# --------------------------------------------------------------- nobody waits for it

def test_lookups_stop_nobody():
    """While each lookup waits for its end, sessions are as fast as ever."""
    with Farm("a") as farm, Scripted(zone("a")) as names, \
            named(farm.line(), names, proxy={**TWO, "resolve_timeout": "20s"}) as sluice:
        names.fault("silent")
        names.wait_asked(1)
        slowest, end = 0.0, time.monotonic() + 3
        while time.monotonic() < end:
            began = time.monotonic()
            equal(who(sluice), "a", "a session")
            slowest = max(slowest, time.monotonic() - began)
        check(slowest < 0.7, f"a session took {slowest:.2f} s")
        sluice.wait_count("sessions", 0)
        began = time.monotonic()
        sluice.stop()
        check(time.monotonic() - began < 3, "the end waits for a lookup")


def test_an_idle_sluice_stays_idle():
    """Between two lookups nothing happens."""
    with Farm("a") as farm, Scripted(zone("a"), ttl=60) as names, \
            named(farm.line(), names, proxy={"resolve_max": "5m"}) as sluice:
        equal(who(sluice), "a", "a session")
        time.sleep(0.5)
        before, asked = sluice.cpu_seconds(), len(names.asked)
        time.sleep(2)
        spent = sluice.cpu_seconds() - before
        check(spent <= 0.05, f"{spent:.2f} s of CPU in two idle seconds")
        equal(len(names.asked), asked, "queries")


harness.main(globals())
