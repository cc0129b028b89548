# SPDX-License-Identifier: MIT
"""Servers that health checks should see through."""

import threading
import time

import harness
from harness import HOST
from origins import Origin

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
BAD = OK.replace(b"200 OK", b"500 Oh no")


def drip(connection, data, pause):
    for at in range(len(data)):
        connection.sendall(data[at:at + 1])
        time.sleep(pause)


def answer(kind, connection):
    """What a liar of this kind answers, and how it ends."""
    if kind in ("honest", "brief"):
        connection.sendall(OK)
    elif kind == "split":
        drip(connection, OK, 0.001)
    elif kind == "status":
        connection.sendall(BAD)
    elif kind == "drip":
        drip(connection, OK, 1)
    elif kind == "half":
        connection.sendall(OK[:20])
    elif kind == "garbage":
        connection.sendall(b"SSH-2.0-OpenSSH_9.7\r\n")
    elif kind == "endless":
        connection.sendall(OK[:17] + b"A: b\r\n" * 4000)
    elif kind == "reset":
        harness.reset(connection)
    return kind in ("honest", "split", "silent", "endless")  # to be ended by the other side


class Liar(Origin):
    """Treats every connection in the way of its .kind, which may change: see LIES in checks.py.
    honest answers 200 and waits for the other's end, brief answers 200 and ends."""

    def __init__(self, kind, address=(HOST, 0), name=None):
        self.kind, self.name = kind, name or kind
        super().__init__(self._lie, address)

    def _lie(self, connection):
        kind = self.kind
        if kind != "silent":
            connection.recv(4096)
        if answer(kind, connection):
            harness.ending(connection)


class Scripted(Origin):
    """Answers checks by a script, a letter each: g for 200, b for 500; b when it is at its end.
    .count is how many it had of the script; .strangers counts what were no checks."""

    def __init__(self, steps):
        self.steps, self.count, self.strangers = steps, 0, 0
        self.lock = threading.Lock()
        super().__init__(self._play)

    def follow(self, steps):
        with self.lock:
            self.steps, self.count = steps, 0

    def _play(self, connection):
        asked = connection.recv(4096)
        self.strangers += b"sluice-health" not in asked
        with self.lock:
            good = self.steps[self.count:self.count + 1] == "g"
            self.count += 1
        connection.sendall(OK if good else BAD)
