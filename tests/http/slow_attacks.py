# SPDX-License-Identifier: MIT
"""The four slow attacks of slowhttptest, a few hundred connections each, while a good client asks
all the time: it is served in time, memory stays as it was, and the attack's connections are ended
by their time limits."""

import subprocess
import threading
import time

import http_peers
from http_peers import Client, HttpOrigin, http_sluice, reply, request
import harness
from harness import check, equal

CONNECTIONS = 250
GROWTH_MAX = 4 << 20  # of private memory, once it was in use
P99_SECONDS_MAX = 2.0  # generous: the machine may be busy with other things
LARGE = reply(b"L" * (4 << 20))
SMALL = reply(b"s" * 300)


def script(req, _link):
    if req.target.startswith("/good"):
        return SMALL
    return LARGE if req.method != "HEAD" else reply(b"")


class GoodClient:
    """Asks again and again, by turns over a kept and over a new connection."""

    def __init__(self, sluice):
        self.sluice, self.times, self.problems = sluice, [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _ask(self, client):
        started = time.monotonic()
        answer = client.ask("GET", "/good")
        self.times.append(time.monotonic() - started)
        if (answer.status, len(answer.body)) != (200, 300):
            self.problems.append(f"status {answer.status}, {len(answer.body)} bytes")

    def _run(self):
        try:
            while not self.stopping.is_set():
                with Client(self.sluice) as client:
                    for _ in range(20):
                        self._ask(client)
                        time.sleep(0.005)
        except (OSError, harness.Failure) as error:
            self.problems.append(str(error))

    def stop(self):
        self.stopping.set()
        self.thread.join(harness.STEP_SECONDS)
        check(not self.problems, f"the good client's troubles: {self.problems[:3]}")
        check(len(self.times) >= 30, f"only {len(self.times)} requests in all the time")
        p99 = sorted(self.times)[len(self.times) * 99 // 100]
        check(p99 <= P99_SECONDS_MAX, f"p99 of the good client: {p99:.2f} s")
        return len(self.times), p99


def warm_up(sluice, count):
    """So many sessions at once, with all in their buffers that there is room for: what is reserved
    is in use from now on, and can only grow by a defect."""
    clients = [Client(sluice) for _ in range(count)]
    for client in clients:
        client.send(b"GET /warm HTTP/1.1\r\nX-A: " + b"w" * 15000)
    sluice.wait_count("sessions", count)
    for client in clients:
        harness.reset(client.s)
    sluice.wait_count("sessions", 0)
    readers = [Client(sluice, receive_buffer=4096) for _ in range(count)]
    for client in readers:
        client.send(request("GET", "/large"))
    time.sleep(1.5)
    for client in readers:
        harness.reset(client.s)
    sluice.wait_count("sessions", 0)


def attack(sluice, seconds, *options, path="/"):
    """Runs the tool; the highest private memory meanwhile."""
    command = [harness.need("slowhttptest"), *options, "-c", str(CONNECTIONS), "-r", "400",
               "-l", str(seconds), "-p", "5", "-v", "1",
               "-u", f"http://{sluice.address[0]}:{sluice.address[1]}{path}"]
    most, started = 0, time.monotonic()
    with open(sluice.log_path + ".attack", "w+", encoding="utf-8", errors="replace") as out, \
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=subprocess.STDOUT, cwd=sluice.folder) as process:
        try:
            while process.poll() is None:
                check(time.monotonic() < started + seconds + 15, "slowhttptest does not end")
                most = max(most, sluice.private_bytes())
                time.sleep(0.1)
        finally:
            process.kill()
        out.seek(0)
        told = out.read()
    check("service available:   NO" not in told, f"slowhttptest found no service:\n{told[-1500:]}")
    return most


def endure(seconds, *options, listener, path="/", enough):
    """One attack from begin to end; the close reasons of all its sessions."""
    harness.need("slowhttptest")
    with HttpOrigin(script, strict=False) as origin, http_sluice(
            [origin], listener={"fin_timeout": "2s", **listener}, proxy={"buffer_memory": "64M"},
            upstream={"server_timeout": "20s"}) as sluice:
        warm_up(sluice, CONNECTIONS)
        before = sluice.private_bytes()
        old = sluice.counters().closes()
        good = GoodClient(sluice)
        most = attack(sluice, seconds, *options, path=path)
        served, p99 = good.stop()
        now = sluice.at_rest()
        closes = {n: v - old.get(n, 0) for n, v in now.closes().items() if v > old.get(n, 0)}
        print(f"  {' '.join(options)}: good {served}, p99 {p99 * 1000:.1f} ms, memory "
              f"{before >> 10} K, then {(most - before) >> 10:+} K; {closes}")
        check(most - before <= GROWTH_MAX, f"memory grew by {(most - before) >> 10} K")
        got = sum(closes.get(reason, 0) for reason in enough)
        check(got >= CONNECTIONS * 9 // 10, f"{got} of {CONNECTIONS} ended by {enough}: {closes}")
        return now


def test_slow_headers():
    now = endure(8, "-H", "-i", "1", "-x", "10", listener={"head_timeout": "3s"},
                 enough=("HEAD_TIMEOUT",))
    check(now["http_own_408"] >= CONNECTIONS * 9 // 10, f"{now['http_own_408']} answers of 408")


def test_slow_body():
    """The rate is looked at over ten seconds."""
    now = endure(16, "-B", "-i", "1", "-x", "10", "-s", "100000", path="/upload",
                 listener={"body_min_rate": 1000, "client_timeout": "20s"},
                 enough=("BODY_TIMEOUT",))
    check(now["http_own_408"] >= CONNECTIONS * 9 // 10, f"{now['http_own_408']} answers of 408")


def test_ranges():
    """Heads of 14 KB that ask for a thousand ranges: they are passed on or refused, cheaply."""
    endure(8, "-R", "-b", "2000", listener={"keepalive_timeout": "2s", "client_timeout": "3s"},
           enough=("KEEPALIVE_TIMEOUT", "CLIENT_FINISHED", "CLIENT_RESET", "REQUEST_REFUSED",
                   "HTTP_FINISHED", "CLIENT_TIMEOUT"))


def test_slow_read():
    """The attack holds nearly all of the memory; the good client gets its part of it."""
    endure(9, "-X", "-k", "3", "-n", "1", "-z", "5", "-w", "512", "-y", "1024", path="/large",
           listener={"client_timeout": "3s"}, enough=("CLIENT_TIMEOUT",))


def test_more_slow_readers_than_memory():
    """A hundred windows do not fit into memory; who wants a few bytes is served all the same."""
    with HttpOrigin(script, strict=False) as origin, http_sluice(
            [origin], listener={"client_timeout": "30s"}, proxy={"buffer_memory": "16M"},
            rests=False) as sluice:
        readers = [Client(sluice, receive_buffer=4096) for _ in range(100)]
        for reader in readers:
            reader.send(request("GET", "/large"))
        time.sleep(1.5)
        started = time.monotonic()
        try:
            for _ in range(5):
                equal(http_peers.one_answer(sluice, request("GET", "/good")).status, 200, "status")
        except harness.Failure as error:
            now = sluice.counters()
            error.add_note(f"{now['slices_free_bytes']} bytes free, {now['starved']} starved")
            raise
        finally:
            for reader in readers:
                harness.reset(reader.s)
        spent = time.monotonic() - started
        check(spent < 5 * P99_SECONDS_MAX, f"five good requests took {spent:.1f} s")
        sluice.at_rest()


harness.main(globals())
