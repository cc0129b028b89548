# SPDX-License-Identifier: MIT
"""What it costs to check a thousand servers: the CPU time of a sluice that does nothing else.

The servers are a thousand addresses of 127.1.0.0/16 and one listening socket for all of them, bound
to the loopback device, so that nobody else can reach it.

A thousand servers every two seconds within one per cent of a CPU would be 20 us for a check. On
loopback the kernel alone takes more: a connection, with the server's half of the handshake and the
reset at its end, is billed to whoever connects. Where this was written, on two virtual CPUs, a
process that does nothing but connect, reset and sleep took 64 to 82 us for a connection, and one
that sends a request and reads its answer 110 to 142 us; sluice took 56 to 72 us for a check of tcp
and 78 to 97 us for one of http, which is 2.8 to 3.6 and 3.9 to 4.9 % of a CPU. What is bounded is
how much dearer than such a process it may be; what it costs as a whole is printed.

check_cost.py --bare KIND PORT is that process.
"""

import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

import harness
from harness import Skip, Sluice, check, wait_until

SERVERS = 1000
INTERVAL = 2          # seconds, the default of health_interval
WINDOW = 8            # seconds of one measurement
WINDOWS = 3           # a busy neighbour costs cache misses: one of so many has to be good
BARE = 2000           # connections of the bare system calls,
BURST = 8             # so many at a time, as those of a sluice that has them due together
MOST = 0.005          # of one CPU, above the bare system calls
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Thousand:
    """Takes connections at every address of the loopback device, and answers what is asked."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        except OSError as error:
            self.socket.close()
            raise Skip(f"a socket cannot be bound to the loopback device: {error}") from error
        self.socket.bind(("0.0.0.0", 0))
        self.socket.listen(4096)
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.connections, self.seen, self.hosts = {}, 0, set()
        self.ending = False
        self.poll = select.epoll()
        self.poll.register(self.socket, select.EPOLLIN)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def addresses(self):
        return [f"127.1.{n // 250}.{n % 250 + 1}:{self.port}" for n in range(SERVERS)]

    def _run(self):
        while not self.ending:
            for fd, _ in self.poll.poll(0.1):
                if fd == self.socket.fileno():
                    self._accept()
                else:
                    self._answer(fd)

    def _accept(self):
        for _ in range(64):
            try:
                connection, _ = self.socket.accept()
            except BlockingIOError:
                return
            except OSError:
                continue
            connection.setblocking(False)
            self.seen += 1
            if len(self.hosts) < SERVERS:
                self.hosts.add(connection.getsockname()[0])
            self.connections[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)

    def _answer(self, fd):
        connection = self.connections[fd]
        try:
            if connection.recv(4096):
                connection.send(ANSWER)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.poll.unregister(fd)
        del self.connections[fd]
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join(harness.STEP_SECONDS)
        self.socket.close()
        for connection in self.connections.values():
            connection.close()
        self.poll.close()


def cpu_seconds(pid):
    """What utime and stime of /proc/PID/stat add up to, in nanoseconds instead of ticks."""
    return time.clock_gettime((~pid << 3) | 2)


def bare(kind, port):
    """Prints the CPU seconds that a connection takes which is used as a check uses it."""
    question = b"GET / HTTP/1.1\r\nHost: bare\r\nConnection: close\r\n\r\n"
    linger = struct.pack("ii", 1, 0)
    started = time.process_time()
    for n in range(BARE):
        s = socket.socket()
        s.connect((f"127.1.{n % 1000 // 250}.{n % 250 + 1}", port))
        if kind == "http":
            s.send(question)
            s.recv(4096)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        s.close()
        if n % BURST == 0:
            time.sleep(BURST * INTERVAL / SERVERS)
    print((time.process_time() - started) / BARE)


def bare_cost(kind, port):
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--bare", kind, str(port)],
                          stdout=subprocess.PIPE, timeout=harness.STEP_SECONDS * 2, check=True)
    return float(done.stdout)


def one_window(sluice):
    """(CPU seconds per second, checks per second). The counters, a line per server, are asked for
    outside of what is measured."""
    checks = sluice.counters()["health_checks"]
    before, started = cpu_seconds(sluice.pid), time.monotonic()
    time.sleep(WINDOW)
    spent, lasted = cpu_seconds(sluice.pid) - before, time.monotonic() - started
    now = sluice.counters()
    check(now["health_checks_failed"] == 0, f"{now['health_checks_failed']} checks failed")
    return spent / lasted, (now["health_checks"] - checks) / lasted


def cost_of(kind):
    """The first window that is good is enough; each says what was found."""
    if harness.sanitized():
        raise Skip("a build with sanitizers says nothing about cost")
    with Thousand() as origin, Sluice(origin.addresses(), upstream={"health": kind}) as sluice:
        wait_until(lambda: origin.seen >= 2 * SERVERS, lambda: f"{origin.seen} checks", 15)
        check(len(origin.hosts) == SERVERS, f"{len(origin.hosts)} servers were checked")
        for _ in range(WINDOWS):
            share, rate = one_window(sluice)
            check(0.85 < rate * INTERVAL / SERVERS < 1.15, f"{rate:.0f} checks per second")
            kernel = bare_cost(kind, origin.port)
            said = f"{rate:.0f} checks per second take {100 * share:.2f} % of a CPU, " \
                   f"{1e6 * share / rate:.1f} us each; bare connections {1e6 * kernel:.1f} us each"
            print(f"{kind}: {said}", flush=True)
            if share <= MOST + kernel * rate:
                return
        check(False, f"{said}, and {100 * MOST} % of a CPU were allowed on top")


def test_a_thousand_checks_of_tcp():
    cost_of("tcp")


def test_a_thousand_checks_of_http():
    cost_of("http")


if sys.argv[1:2] == ["--bare"]:
    bare(sys.argv[2], int(sys.argv[3]))
    sys.exit(0)
harness.main(globals())
