# SPDX-License-Identifier: MIT
"""Origin servers of the end-to-end tests, each in threads of this process."""

import hashlib
import os
import select
import socket
import threading

import harness
from harness import HOST, STEP_SECONDS, check, wait_until


def listen(address=(HOST, 0), backlog=1024):
    """A listening socket; address is (host, port), a path, or @name."""
    if isinstance(address, str):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.bind("\0" + address[1:] if address.startswith("@") else address)
    else:
        s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                          socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(address)
    s.listen(backlog)
    return s


class Origin:
    """Runs handler(connection) in a thread per connection.

    .seen counts connections; .results has what the handlers returned, in the order of their end;
    an exception of a handler is a result too.
    """

    def __init__(self, handler, address=(HOST, 0), backlog=1024, receive_buffer=None):
        self.socket = listen(address, backlog)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.address = address if isinstance(address, str) else self.socket.getsockname()[:2]
        self.path = address if isinstance(address, str) and address[0] != "@" else None
        self.handler = handler
        self.seen = 0
        self.results = []
        self.open = set()
        self.ending = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while not self.ending:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            if self.ending:
                connection.close()
                return
            connection.settimeout(STEP_SECONDS * 3)
            self.seen += 1
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            result = self.handler(connection)
        except (OSError, harness.Failure) as error:
            result = error
        self.open.discard(connection)
        connection.close()
        self.results.append(result)

    def wait_results(self, count, seconds=STEP_SECONDS):
        wait_until(lambda: len(self.results) >= count,
                   lambda: f"{len(self.results)} of {count} connections ended at the origin",
                   seconds)
        return self.results

    def result(self, seconds=STEP_SECONDS):
        return self.wait_results(1, seconds)[0]

    def close(self):
        self.ending = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.socket.close()
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ------------------------------------------------------- handlers of one connection

def echo(connection):
    """Sends back what comes; ends when the peer does."""
    total = 0
    while data := connection.recv(1 << 18):
        connection.sendall(data)
        total += len(data)
    return total


def sink(connection):
    """Reads to the end: (bytes, digest, how it ended)."""
    total, digest, how = 0, hashlib.sha256(), "eof"
    try:
        while data := connection.recv(1 << 18):
            total += len(data)
            digest.update(data)
    except ConnectionResetError:
        how = "reset"
    return total, digest.hexdigest(), how


def source(data):
    """Sends data, ends that direction, and waits for the peer's end."""
    def handler(connection):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return harness.ending(connection)
    return handler


def talk_first(greeting):
    """Greets, then echoes."""
    def handler(connection):
        connection.sendall(greeting)
        return echo(connection)
    return handler


def answer_after_end(data):
    """Reads to the end of the request, and only then answers."""
    def handler(connection):
        got = harness.receive_all(connection)
        connection.sendall(data)
        return got
    return handler


def end_first(greeting):
    """Greets and ends its direction, then reads to the end."""
    def handler(connection):
        connection.sendall(greeting)
        connection.shutdown(socket.SHUT_WR)
        return sink(connection)
    return handler


def reset_after(greeting, count=0):
    """Greets, reads so many bytes, then resets."""
    def handler(connection):
        connection.sendall(greeting)
        harness.receive_exactly(connection, count)
        harness.reset(connection)
        return "reset"
    return handler


def hold(event):
    """Accepts and does nothing until the event."""
    def handler(connection):
        event.wait(harness.TEST_SECONDS)
        return harness.ending(connection, 0.5)
    return handler


# ----------------------------------------------------------------- special servers

class EchoLoop:
    """An echo origin for thousands of connections: one thread, epoll."""

    def __init__(self, address=(HOST, 0), backlog=4096):
        self.socket = listen(address, backlog)
        self.socket.setblocking(False)
        self.address = address if isinstance(address, str) else self.socket.getsockname()[:2]
        self.seen = 0
        self.connections = {}
        self.pending = {}
        self.ending = False
        self.poll = select.epoll()
        self.poll.register(self.socket, select.EPOLLIN)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending:
            for fd, events in self.poll.poll(0.1):
                if fd == self.socket.fileno():
                    self._accept()
                else:
                    self._serve(fd, events)

    def _accept(self):
        for _ in range(256):
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.setblocking(False)
            self.seen += 1
            self.connections[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)

    def _serve(self, fd, events):
        connection = self.connections[fd]
        try:
            waiting = self.pending.pop(fd, None)
            data = waiting if waiting is not None else connection.recv(1 << 16)
            if not data:
                raise ConnectionError
            sent = 0
            try:
                sent = connection.send(data)
            except BlockingIOError:
                pass
            if sent < len(data):
                self.pending[fd] = data[sent:]
                self.poll.modify(fd, select.EPOLLOUT)
            elif waiting is not None:
                self.poll.modify(fd, select.EPOLLIN)
        except BlockingIOError:
            pass
        except OSError:
            self.poll.unregister(fd)
            del self.connections[fd]
            connection.close()

    def close(self):
        self.ending = True
        self.thread.join(STEP_SECONDS)
        self.socket.close()
        for connection in list(self.connections.values()):
            connection.close()
        self.poll.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Places:
    """Counts what handlers do at one time: `with places:`."""

    def __init__(self):
        self.now, self.most, self.lock = 0, 0, threading.Lock()

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self.lock:
            self.now -= 1


class Refuser:
    """An address that refuses: its port is taken, but nobody listens."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind((HOST, 0))
        self.address = self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Hanger:
    """An address that never answers: a listening socket whose backlog is full."""

    def __init__(self, address=(HOST, 0)):
        self.socket = listen(address, 0)
        self.address = address if isinstance(address, str) else self.socket.getsockname()
        target = self.address
        if isinstance(target, str) and target.startswith("@"):
            target = "\0" + target[1:]
        self.filling = []
        for _ in range(8):
            s = socket.socket(self.socket.family, socket.SOCK_STREAM)
            s.setblocking(False)
            try:
                s.connect(target)
            except BlockingIOError:
                pass
            self.filling.append(s)
        probe = socket.socket(self.socket.family, socket.SOCK_STREAM)
        probe.settimeout(0.3)
        try:
            probe.connect(target)
            check(False, "the full backlog of the test's own server took a connection")
        except (TimeoutError, BlockingIOError):
            pass
        finally:
            probe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in [*self.filling, self.socket]:
            s.close()
