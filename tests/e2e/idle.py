# SPDX-License-Identifier: MIT
"""Ten thousand idle sessions: all alive, none larger than promised, and not a page of memory more.

The clients live in a process of their own, so that each process keeps within its descriptors:
idle.py --clients MODE PORT COUNT opens that many and then obeys lines on its input.
"""

import os
import resource
import subprocess
import sys

import harness
from harness import HOST, Sluice, check, dial, equal, exchange, section
from origins import EchoLoop

PAGE = 4096
STRAY_BYTES = 8 * PAGE  # of no session: the stack, tables, what others left half used


def ask(s):
    """A request that a route answers."""
    s.sendall(b"GET / HTTP/1.1\r\nHost: idle.test\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nidle!"):
        data = s.recv(4096)
        check(data, f"the connection ended behind {answer!r}")
        answer += data
    equal(answer[:12], b"HTTP/1.1 200", "the answer")


def clients(mode, port, count):
    """Child process: opens, says so; 'ping' exchanges on every one; 'close' closes them."""
    sockets = []
    for line in sys.stdin:
        if line == "open\n":
            sockets = [dial((HOST, port)) for _ in range(count)]
        elif line == "ping\n":
            for s in sockets:
                ask(s) if mode == "http" else exchange(s, b"idle?")
        elif line == "close\n":
            for s in sockets:
                s.close()
            sockets = []
        print("done", line, end="", flush=True)


class Clients:
    def __init__(self, mode, port, count):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--clients", mode, str(port), str(count)],
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


def flat(mode, count, per_session, rounds):
    """Opens, uses and closes so many sessions several times, looking at the memory each time."""
    noise = (2 << 20) if harness.sanitized() else 64 * PAGE  # a sanitizer has memory of its own
    options = {"max_sessions": count + 1, "buffer_memory": "16M", "workers": 2}
    listener = {"mode": mode, "head_timeout": "60s"} if mode == "http" else {}
    text = section("route all", {"listener": "web", "path": "/", "respond": "200 idle!"})
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy=options, listener=listener,
                   text=text if mode == "http" else "") as sluice, \
            Clients(mode, sluice.address[1], count) as helper:
        s = sluice.connect()
        ask(s) if mode == "http" else exchange(s)
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
        print(f"  {count} idle sessions, mode = {mode}: {grown:.0f} bytes each")
        check(grown <= per_session + STRAY_BYTES / count,
              f"{grown:.0f} bytes per idle session, more than {per_session}")
        growth = max(opened[1:] + after[1:]) - max(opened[0], after[0])
        check(growth <= noise, f"private memory grows by {growth} from round to round: "
              f"at start {start}, open {opened}, after {after}")
        now = sluice.at_rest(20)
        equal(now["sessions_total"], count * rounds + 1, "sessions in all")


def test_many_idle_sessions():
    if harness.sanitized():
        flat("tcp", 1000, 1 << 20, 3)
    else:
        # 600 are promised. 448 are the session's, 128 its server connection's, and 8 their links'.
        flat("tcp", most_sessions(), 590, 2)


def test_many_idle_clients():
    """Between two requests of HTTP a client costs its session and a link."""
    if harness.sanitized():
        flat("http", 500, 1 << 20, 2)
    else:
        flat("http", most_sessions() // 2, 458, 2)


def test_idle_sessions_are_alive():
    """A tenth of the sessions at work among the idle ones: each answer is right."""
    count = 500 if harness.sanitized() else 4000
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "max_sessions": count + 10, "workers": 2}) as sluice, \
            Clients("tcp", sluice.address[1], count) as helper:
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
    clients(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    sys.exit(0)
harness.main(globals())
