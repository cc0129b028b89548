# SPDX-License-Identifier: MIT
"""What the tests of host names share: servers at addresses of their own, a sluice that knows them
by name, its clients, and what it says in its log."""

import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
import origins
from harness import HOST, Sluice, check, wait_until, written
from http_peers import Client, HttpOrigin, one_answer, request
from origins import Origin

LETTERS = "abcdefgh"
FAST = {"resolve_min": "50ms", "resolve_max": "1s", "resolve_timeout": "1s"}
CHECKED = {"health": "tcp", "health_interval": "100ms", "health_fall": 1, "health_rise": 1}
TWO = {"workers": 2, "accept": "round_robin"}
NO_ANSWER = r"^\S+ warn name app\.test(:\d+)?: no answer: "
AGAIN = r"^\S+ \w+ name app\.test(:\d+)?: answers again$"
SLOW = 3 if harness.sanitized() else 1  # how much longer things may take


def host(letter):
    """a is 127.0.0.2, b is 127.0.0.3 and so on; z is ::1."""
    return "::1" if letter == "z" else f"127.0.0.{2 + LETTERS.index(letter)}"


def hosts(letters):
    return [host(letter) for letter in letters]


def zone(letters, name="app.test"):
    """The addresses of these servers; none: a name without addresses."""
    found = hosts(letters)
    return {name: {"A": [a for a in found if ":" not in a], "AAAA": [a for a in found if ":" in a]}}


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Farm:
    """Servers a, b, c .. at addresses of their own and one port. They greet with their letter and
    echo; those of http tell their letter in X-Server. lose() and bring_back() are of one letter."""

    def __init__(self, letters, kind="tcp", make=None):
        self.kind, self.make, self.origins = kind, make or self.server, {}
        for _ in range(20):
            self.port = harness.free_port()
            try:
                for letter in letters:
                    self.bring_back(letter)
                return
            except OSError:
                self.close()
        raise harness.Skip("no port is free at all of the addresses")

    def server(self, letter, address):
        if self.kind == "http":
            return HttpOrigin(name=letter, address=address, strict=False)
        return Origin(origins.talk_first(letter.encode()), address)

    def address(self, letter):
        """As the log and the counters write it."""
        return written((host(letter), self.port))

    def lose(self, letter):
        origin = self.origins.pop(letter)
        (origin.stop if isinstance(origin, HttpOrigin) else origin.close)()

    def bring_back(self, letter):
        self.origins[letter] = self.make(letter, (host(letter), self.port))

    def line(self, name="app.test", options="addresses=8"):
        return f"{name}:{self.port} {options}"

    def __getitem__(self, letter):
        return self.origins[letter]

    def close(self):
        for letter in list(self.origins):
            self.lose(letter)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def named(servers, names, proxy=None, listener=None, **options):
    """A sluice that asks this name server."""
    return Sluice([servers] if isinstance(servers, str) else servers,
                  proxy={**FAST, "resolver": names.written, **(proxy or {})},
                  listener=listener, **options)


def http_named(servers, names, listener=None, **options):
    return named(servers, names, listener={"mode": "http", **(listener or {})}, **options)


# ------------------------------------------------------------------------- clients

def opened(sluice, source=HOST):
    """A session: (the letter of its server, or nothing, its socket)."""
    s = socket.socket()
    s.settimeout(harness.STEP_SECONDS)
    s.bind((source, 0))
    try:
        s.connect(sluice.address)
        return s.recv(1).decode(), s
    except ConnectionRefusedError:
        s.close()
        raise
    except ConnectionError:
        return "", s


def who(sluice, source=HOST):
    letter, s = opened(sluice, source)
    s.close()
    return letter


def several(sluice, count):
    return "".join(who(sluice) for _ in range(count))


def tally(got, letters="abc"):
    return [got.count(c) for c in letters]


def fair(sluice, letters, rounds=4):
    """Sessions are spread over these servers, give or take one, and none goes elsewhere."""
    got = several(sluice, rounds * len(letters))
    check(len(got) == rounds * len(letters) and set(got) == set(letters)
          and all(abs(got.count(c) - rounds) <= 1 for c in letters),
          f"sessions go to {got!r}, and not to each of {letters!r} in turn")


def held_at(sluice, letter):
    """A session at this server."""
    for _ in range(40):
        got, s = opened(sluice)
        if got == letter:
            return s
        s.close()
    raise harness.Failure(f"of 40 sessions none went to {letter}")


def served(sluice):
    """(status, letter) of a request on a connection of its own."""
    got = one_answer(sluice, request())
    return got.status, got.get("x-server")


def wait_served_by(sluice, letters, seconds=harness.STEP_SECONDS, count=12):
    """Waits until sessions go to these servers, all of them, and to no other."""
    last = []

    def reached():
        last[:] = [several(sluice, count)]
        return set(last[0]) == set(letters) and len(last[0]) == count * bool(letters)
    wait_until(reached, lambda: f"sessions go to {last}, and not to all of {letters!r}", seconds)


def ask_several(sluice, count, client=None):
    """The letters of so many requests over one connection."""
    with client or Client(sluice) as c:
        return "".join(c.ask("GET", "/").get("x-server") or "-" for _ in range(count))


# ------------------------------------------------------------------------- the log

def events(sluice, what, address=None, place=None):
    """Places of the events, in their order: of what is "up" or "leaving"."""
    text = {"up": "is up: its name has this address",
            "leaving": "is leaving: its name does not have this address any more"}[what]
    where = re.escape(address) if address else r"\S+"
    wanted = re.escape(place) if place else r"[^)\s]+"
    return re.findall(rf"server app/{where} \(({wanted})\) {text}$", sluice.log(), re.M)


def wait_event(sluice, what, address, count=1, seconds=harness.STEP_SECONDS):
    """The place of the count-th such event."""
    wait_until(lambda: len(events(sluice, what, address)) >= count,
               lambda: f"of {address} there are {len(events(sluice, what, address))} events of "
                       f"{what}, not {count}:\n{sluice.tail()}", seconds)
    return events(sluice, what, address)[count - 1]


def warnings(sluice, text):
    """How many lines of the log match."""
    return len(re.findall(text, sluice.log(), re.M))


def gaps(times, apart=0.5):
    """Between the beginnings of bursts: a query that is sent again belongs to the one before."""
    first = [t for n, t in enumerate(times) if n == 0 or t - times[n - 1] > apart]
    return [b - a for a, b in zip(first, first[1:])]


def resolver_counts(sluice):
    """What USR1 says of the lookups."""
    found = []

    def told():
        sluice.counters()
        found[:] = re.findall(r"resolver:?((?: \w+[= ]\d+)+)$", sluice.log(), re.M)
        return found
    wait_until(told, "the counters say nothing of the resolver")
    counts = {k: int(v) for k, v in re.findall(r"(\w+)[= ](\d+)", found[-1])}
    for key in ("queries", "answers", "failures", "gone", "changes"):
        check(key in counts, f"{key} is not among the resolver's counters {counts}")
    return counts
