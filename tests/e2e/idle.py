# SPDX-License-Identifier: MIT
"""Ten thousand idle sessions: all alive, and not a page of memory more.

The clients live in a process of their own, so that each process keeps within its descriptors:
idle.py --clients PORT COUNT opens that many and then obeys lines on its input.
"""

import os
import resource
import subprocess
import sys

import harness
from harness import HOST, Sluice, check, dial, equal, exchange
from origins import EchoLoop

PAGE = 4096


def clients(port, count):
    """Child process: opens, says so; 'ping' exchanges on every one; 'close' closes them."""
    sockets = []
    for line in sys.stdin:
        if line == "open\n":
            sockets = [dial((HOST, port)) for _ in range(count)]
        elif line == "ping\n":
            for s in sockets:
                exchange(s, b"idle?")
        elif line == "close\n":
            for s in sockets:
                s.close()
            sockets = []
        print("done", line, end="", flush=True)


class Clients:
    def __init__(self, port, count):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--clients", str(port), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        equal(self.process.stdout.readline(), f"done {word}\n", "the helper's answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(harness.STEP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def most_sessions():
    """Each process holds one or two descriptors per session, and some for itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(10000, (hard - 200) // 2)


def flat(count, per_session, rounds):
    """Opens, uses and closes so many sessions several times, looking at the memory each time."""
    noise = (2 << 20) if harness.sanitized() else 64 * PAGE  # a sanitizer has memory of its own
    options = {"max_sessions": count + 1, "buffer_memory": "16M", "workers": 2}
    with EchoLoop() as origin, Sluice([origin.address], proxy=options) as sluice, \
            Clients(sluice.address[1], count) as helper:
        s = sluice.connect()
        exchange(s)
        s.close()
        sluice.wait_count("sessions", 0)
        start, opened, after = sluice.private_bytes(), [], []
        for _ in range(rounds):
            helper.order("open")
            sluice.wait_count("sessions", count, 20)
            helper.order("ping")
            now = sluice.counters()
            equal(now["sessions"], count, "sessions")
            # The last sends come home a moment after the last session stands.
            sluice.wait_count("slices_free_bytes", sluice.pool)
            opened.append(sluice.private_bytes())
            helper.order("close")
            sluice.wait_count("sessions", 0, 20)
            after.append(sluice.private_bytes())
        grown = (max(opened) - start) / count
        check(grown <= per_session, f"{grown:.0f} bytes per idle session, more than {per_session}")
        growth = max(opened[1:] + after[1:]) - max(opened[0], after[0])
        check(growth <= noise, f"private memory grows by {growth} from round to round: "
              f"at start {start}, open {opened}, after {after}")
        now = sluice.at_rest(20)
        equal(now["sessions_total"], count * rounds + 1, "sessions in all")
        return grown


def test_many_idle_sessions():
    if harness.sanitized():
        flat(1000, 1 << 20, 3)
    else:
        # 711 were measured: 576 of the session and 128 of its server's connection, and their links.
        flat(most_sessions(), 768, 2)


def test_idle_sessions_are_alive():
    """A tenth of the sessions at work among the idle ones: each answer is right."""
    count = 500 if harness.sanitized() else 4000
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "max_sessions": count + 10, "workers": 2}) as sluice, \
            Clients(sluice.address[1], count) as helper:
        helper.order("open")
        for n in range(200):
            s = sluice.connect()
            exchange(s, b"%d" % n * 100)
            s.close()
        helper.order("ping")
        helper.order("close")


if sys.argv[1:2] == ["--clients"]:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients(int(sys.argv[2]), int(sys.argv[3]))
    sys.exit(0)
harness.main(globals())
