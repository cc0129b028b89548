# SPDX-License-Identifier: MIT
"""The test origin, byte by byte: answers, overrides, framing, TCP services, numbers."""

import hashlib
import os
import select
import signal
import socket
import struct
import time

import load_tool
from load_tool import Origin, check, eventually, near


def ask(s, text):
    """Send, and read until the origin closes or, once it has begun, says nothing for a while."""
    got = b""
    s.settimeout(5)
    try:
        s.sendall(text)
        while True:
            more = s.recv(1 << 16)
            if not more:
                break
            got += more
            s.settimeout(0.4)
    except (socket.timeout, ConnectionError):
        pass
    return got


def get(origin, target, extra=""):
    with origin.connect() as s:
        return ask(s, f"GET {target} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode())


def test_a_plain_answer_is_one_kilobyte():
    with Origin() as origin:
        head, body = get(origin, "/").split(b"\r\n\r\n", 1)
        check(head.startswith(b"HTTP/1.1 200 OK"), head)
        check(b"Content-Length: 1024" in head and len(body) == 1024, head)


def delay_of(origin):
    began = time.monotonic()
    with origin.connect() as s:
        s.sendall(b"GET /?delay=50ms HTTP/1.1\r\nHost: x\r\n\r\n")
        s.recv(100)
    return time.monotonic() - began


def test_the_query_overrides():
    with Origin() as origin:
        got = get(origin, "/?size=20&chunked=1&trailers=1&1xx=1&close=1&status=503")
        check(got.startswith(b"HTTP/1.1 103"), got)
        check(b"\r\n\r\nHTTP/1.1 503 " in got, got)
        check(b"Transfer-Encoding: chunked" in got and b"Connection: close" in got, got)
        check(got.endswith(b"0\r\nX-Checked: yes\r\n\r\n"), got)
        check(b"400" in get(origin, "/?size=junk").split(b"\r\n")[0], "junk is refused")
        cut = get(origin, "/?size=100&cut=10")
        check(len(cut.split(b"\r\n\r\n", 1)[1]) == 10, cut)
        check(get(origin, "/?reset=1") == b"", "a reset has no answer")
        eventually(lambda: near(delay_of(origin), 0.065, 0.015, "the delay"))


def test_a_large_echo_comes_back():
    with Origin() as origin:
        data = os.urandom(3_000_000)
        with origin.connect() as s:
            got = bytearray()
            s.setblocking(False)
            head = f"POST /?echo=1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            left = memoryview(head.encode() + data)
            while len(got) < len(data):
                ready = select.select([s], [s] if left else [], [], 5)
                if ready[0]:
                    got += s.recv(1 << 20)
                if ready[1]:
                    left = left[s.send(left[:1 << 18]):]
            while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < len(data):
                check(select.select([s], [], [], 5)[0], "the echo stops")
                got += s.recv(1 << 20)
        check(hashlib.md5(bytes(got).split(b"\r\n\r\n", 1)[1]).digest()
              == hashlib.md5(data).digest(), "the echo differs")


def test_pipelined_requests_are_answered_in_order_after_a_half_close():
    with Origin() as origin:
        with origin.connect() as s:
            s.sendall(b"".join(b"GET /?size=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i + 1)
                               for i in range(500)))
            s.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                more = s.recv(1 << 16)
                if not more:
                    break
                got += more
        at = 0
        for i in range(500):
            end = got.index(b"\r\n\r\n", at)
            check(f"Content-Length: {i + 1}\r\n".encode() in got[at:end + 2], i)
            at = end + 4 + i + 1
        check(at == len(got), "more than was asked for")
        numbers = origin.numbers()
        check(numbers["requests"] == 500 and numbers["answers"] == 500, numbers)
        check(numbers["connections"] == 1 and numbers["open"] == 0, numbers)


def test_malformed_requests_are_counted_and_closed():
    line = b"GET / HTTP/1.1\r\nHost: x\r\n"
    rows = (
        (400, b"NONSENSE\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"\r\n" + line + b"\r\n"),
        (400, line + b"Content-Length: x\r\n\r\n"),
        (400, line + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
        (400, line + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, line + b"Transfer-Encoding: chunked\r\n\r\nz"),
        (400, line + b"Transfer-Encoding: chunked\r\n\r\n0\r\nno field\r\n\r\n"),
        (417, line + b"Expect: the best\r\n\r\n"),
        (431, line + b"A: " + b"a" * 20000),
        (501, line + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"))
    with Origin() as origin:
        for status, text in rows:
            with origin.connect() as s:
                got = ask(s, text)
                check(got.startswith(f"HTTP/1.1 {status} ".encode()), (text[:60], got))
                check(b"Connection: close" in got, got)
        check(origin.numbers()["bad_requests"] == len(rows), "all of them")


def test_a_request_may_come_byte_by_byte():
    chunks = b"5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\n"
    text = b"POST /?echo=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with Origin() as origin, origin.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in text * 2:
            s.sendall(bytes([byte]))
        got = ask(s, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    check(got.count(b"\r\nContent-Length: 11\r\n") == 2 and got.count(b"hello world") == 2, got)
    check(got.endswith(b"Content-Length: 1024\r\nConnection: close\r\n\r\n"), got)


def frame(length, reply, number):
    return struct.pack("<4sIIIIIQ", b"SLF1", 0, length, reply, 0, 0, number) + b"x" * length


def test_tcp_services():
    with Origin(services=("echo", "sink", "source", "rr")) as origin:
        with origin.connect("echo") as s:
            check(ask(s, b"hello") == b"hello", "echo")
        with origin.connect("rr") as s:
            got = ask(s, frame(10, 100, 7) + frame(0, 50, 8))
            check(len(got) == 32 + 100 + 32 + 50 and got[24:32] == struct.pack("<Q", 7), got[:40])
        with origin.connect("source") as s:
            check(s.recv(1 << 16)[:4] == b"SLF1", "source")
        with origin.connect("sink") as s:
            s.sendall(frame(100, 0, 1) + frame(5, 0, 2) + b"junk" * 20)
            s.shutdown(socket.SHUT_WR)
            check(s.recv(1) == b"", "the sink says nothing, and closes")
        numbers = origin.numbers()
        check(numbers["frames_good"] == 4 and numbers["frames_corrupt"] == 1, numbers)
        check(numbers["bytes_in"] > 0 and numbers["bytes_out"] > 0, numbers)


def test_usr1_prints_the_numbers_while_it_runs():
    with Origin("-t", "2") as origin:
        get(origin, "/")
        origin.process.send_signal(signal.SIGUSR1)
        check('"requests":1' in origin.process.stdout.readline(), "one request")


if __name__ == "__main__":
    load_tool.main(globals())
