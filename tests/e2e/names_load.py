# SPDX-License-Identifier: MIT
"""Addresses change every 100 to 200 ms while the load tool verifies each answer: not one request
fails or is lost, though nothing is tried twice."""

import json
import os
import random
import signal
import subprocess
import tempfile
import time

import harness
from harness import SLUICE_LOAD, Skip, check, equal, wait_until
from named import SLOW, Farm, host, named, resolver_counts, zone
from name_servers import Dnsmasq, Scripted, Unbound

SECONDS = 6
LETTERS = "abcdef"
SERVICE = "_http._tcp.app.test"


class Served:
    """The load tool's origin at all of these addresses; .counts() ends it."""

    def __init__(self, service):
        if not os.access(SLUICE_LOAD, os.X_OK):
            raise Skip("sluice-load is not built")
        with Farm(LETTERS) as farm:  # finds a port that is free at all of them
            self.port = farm.port
        self.process = subprocess.Popen(
            [SLUICE_LOAD, "serve", "--json",
             *[f"{service}={host(c)}:{self.port}" for c in LETTERS]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            wait_until(self.listens, "the origin does not listen")
        except BaseException:
            self.__exit__()
            raise

    def listens(self):
        check(self.process.poll() is None, "the origin ended")
        try:
            for c in LETTERS:
                harness.dial((host(c), self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def counts(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=10)
        return json.loads([line for line in out.splitlines() if line.startswith("{")][-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=10)


class Load:
    """A run of the load tool, to its end."""

    def __init__(self, *arguments):
        self.file = tempfile.NamedTemporaryFile(suffix=".json")
        self.process = subprocess.Popen(
            [SLUICE_LOAD, "--quiet", "--json", self.file.name, "-d", f"{SECONDS}s",
             "--drain", "10s", "--timeout", "10s", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def running(self):
        return self.process.poll() is None

    def result(self):
        said, _ = self.process.communicate(timeout=30)
        equal(self.process.returncode, 0, f"exit status of sluice-load: {said}")
        with open(self.file.name, encoding="utf-8") as f:
            return json.load(f)["runs"][0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running():
            self.process.kill()
        self.process.communicate(timeout=10)
        self.file.close()


def some(choose):
    """One to four of the servers."""
    return "".join(choose.sample(LETTERS, choose.randrange(1, 5)))


def some_records(choose, port):
    """A zone with a service: other servers, weights and priorities each time."""
    letters = some(choose)
    first = choose.randrange(len(letters))  # it has the lowest priority, perhaps with others
    records = [(choose.choice((1, 2)) if n != first else 1, choose.randrange(4), port, f"{c}.test")
               for n, c in enumerate(letters)]
    return {**{f"{c}.test": {"A": [host(c)]} for c in LETTERS}, SERVICE: {"SRV": records}}


def nothing_is_lost(result, there, verified):
    counts = result["counts"]
    check(counts["completed"] > 500 / SLOW, f"{counts['completed']} requests")
    equal(result["errors"], [], "errors")
    for key in ("errors", "lost", "closed_by_target", "unfinished", "not_2xx_3xx", "unsent"):
        equal(counts[key], 0, key)
    equal(counts["completed"], counts["sent"], "answers, and requests sent")
    if verified:
        equal(counts["verified"], counts["completed"], "answers that were checked")
    equal((there["bad_requests"], there["frames_corrupt"]), (0, 0), "at the origin")


def changing(service, *arguments, line="app.test:{port} addresses=8", draw=None, kind=Scripted,
             mode="tcp", short=True, **upstream):
    """Load with these arguments, while the zone is drawn anew again and again."""
    choose = random.Random(7)
    with Served(service) as origin, \
            kind(draw(choose, origin.port) if draw else zone(some(choose))) as names, \
            named(line.format(port=origin.port), names, listener={"mode": mode},
                  proxy={"workers": 2, "resolve_min": "10ms"},
                  upstream={"retries": 0, "eject_after": 0, **upstream}) as sluice:
        scheme = "http" if mode == "http" else "tcp"
        path = "/?echo=1" if mode == "http" else ""
        with Load("-c", "20", *arguments,
                  f"{scheme}://{harness.written(sluice.address)}{path}") as load:
            changes = 0
            while load.running():
                names.set(draw(choose, origin.port) if draw else zone(some(choose)))
                changes += 1
                time.sleep(choose.uniform(0.1, 0.2))
            result = load.result()
        now = sluice.at_rest()
        nothing_is_lost(result, origin.counts(), "--verify" in arguments)
        equal(set(now.closes()) - {"CLIENT_FINISHED"}, set(), f"reasons {now.closes()}")
        equal(now["connect_retries"], 0, "connect_retries")
        if short:
            used = [s for s in now.servers.values() if s["server_connects"]]
            check(len(used) >= 4, f"{len(used)} places were used")
        counts = resolver_counts(sluice)
        check(changes >= 15 / SLOW and counts["changes"] >= changes / 3,
              f"{changes} changes, of which it knows {counts}")


def test_sessions_while_addresses_change():
    changing("rr", "--mode", "rr", "--verify", "--reconnect", "20", "--size", "3K")


def test_short_sessions_while_addresses_change():
    changing("rr", "--mode", "crr", "--verify", "--size", "700", balance="least_sessions")


def test_long_sessions_while_addresses_change():
    """Each lasts as long as the run, wherever it began."""
    changing("rr", "--mode", "rr", "--verify", "--size", "10K", balance="maglev",
             line="app.test:{port} addresses=16", short=False)


def test_requests_while_addresses_change():
    changing("http", "--verify", "--size", "3K", mode="http")


def test_requests_of_short_connections_while_addresses_change():
    changing("http", "--verify", "--reconnect", "5", mode="http", pool="shared", health="tcp",
             health_interval="100ms")


def test_requests_while_addresses_change_at_dnsmasq():
    changing("http", "--verify", "--reconnect", "50", mode="http", kind=Dnsmasq, pool="client")


def test_sessions_while_addresses_change_at_unbound():
    changing("rr", "--mode", "rr", "--verify", "--reconnect", "20", kind=Unbound,
             balance="random_two")


def test_sessions_while_records_of_a_service_change():
    changing("rr", "--mode", "rr", "--verify", "--reconnect", "20", draw=some_records,
             line=SERVICE + " addresses=8")


harness.main(globals())
