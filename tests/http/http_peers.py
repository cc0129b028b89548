# SPDX-License-Identifier: MIT
"""Peers of the HTTP tests: a scripted origin that records, a raw client, and a strict parser.

Nothing here is lenient: what the parser does not take is a defect of whoever sent it, so a test
that only looks at an answer has checked its framing as well. An origin that got a malformed request
fails the test that used it. Every read has a limit in time.
"""

import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

# pylint: disable=wrong-import-position
import harness
from harness import HOST, STEP_SECONDS, Failure, Sluice, check, dial, equal, section, wait_until

SITE = "site.test"
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
TARGET = re.compile(rb"[\x21-\x7e]+\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)\Z")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)\Z")
LINE_MAX = 1 << 18
# Fields of one connection only: what the proxy writes itself may be there, a copy may not.
HOP_BY_HOP = ("keep-alive", "proxy-connection", "te", "trailer", "upgrade", "http2-settings",
              "proxy-authenticate")


class Malformed(Exception):
    """These bytes are no HTTP message."""


class Ended(Exception):
    """The stream ended inside a message; .how is "eof" or "reset", .body what came of it."""

    def __init__(self, how, body=b""):
        super().__init__(f"the stream ended ({how}) inside a message")
        self.how, self.body = how, body


class Stream:
    """A socket with a buffer; .record, when given, gets every byte that came."""

    def __init__(self, s, record=None):
        self.s, self.record, self.buffer = s, record, bytearray()

    def more(self):
        try:
            data = self.s.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Ended("reset") from error
        if not data:
            raise Ended("eof")
        if self.record is not None:
            self.record += data
        self.buffer += data

    def line(self):
        """The next line without its CRLF; a bare CR or LF in it is malformed."""
        start = 0
        while (end := self.buffer.find(b"\r\n", start)) < 0:
            start = max(len(self.buffer) - 1, 0)
            if len(self.buffer) > LINE_MAX:
                raise Malformed("a line without an end")
            self.more()
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        if b"\r" in line or b"\n" in line:
            raise Malformed(f"a bare CR or LF in {line[:100]!r}")
        return line

    def exactly(self, count):
        while len(self.buffer) < count:
            try:
                self.more()
            except Ended as end:
                raise Ended(end.how, bytes(self.buffer)) from end
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def to_end(self):
        """All until the end of the stream, and how that end was."""
        try:
            while True:
                self.more()
        except Ended as end:
            data = bytes(self.buffer)
            self.buffer.clear()
            return data, end.how


class Message:
    """What requests and responses have in common; fields are (name, value) as text, in order."""

    def __init__(self):
        self.version, self.fields, self.trailers, self.body = "", [], [], b""
        self.complete = False
        self.framing = "none"  # or length, chunked, close, tunnel

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        """The value of a field that may be there once."""
        values = self.all(name)
        check(len(values) <= 1, f"{name} is there {len(values)} times: {values}")
        return values[0] if values else None

    def options(self):
        """The members of Connection, in lower case."""
        return [o.strip().lower() for v in self.all("connection") for o in v.split(",")
                if o.strip()]


def read_fields(stream):
    fields = []
    while line := stream.line():
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name) or CONTROL.search(value):
            raise Malformed(f"the field {line[:100]!r}")
        fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
    return fields


def framing_of(message):
    """(kind, length) that the fields tell; anything ambiguous is malformed."""
    length, coding = message.all("content-length"), message.all("transfer-encoding")
    if len(length) + len(coding) > 1:
        raise Malformed(f"more than one framing: {length} {coding}")
    if coding:
        if coding[0].lower() != "chunked" or message.version != "HTTP/1.1":
            raise Malformed(f"Transfer-Encoding {coding[0]!r} in {message.version}")
        return "chunked", 0
    if length:
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", length[0]):
            raise Malformed(f"Content-Length {length[0]!r}")
        return "length", int(length[0])
    return "none", 0


def read_chunks(stream, message):
    parts = []
    message.chunk_sizes = []
    try:
        while True:
            m = CHUNK_LINE.match(line := stream.line())
            if not m:
                raise Malformed(f"the chunk line {line[:60]!r}")
            size = int(m[1], 16)
            message.chunk_sizes.append(size)
            if size == 0:
                break
            parts.append(stream.exactly(size))
            if stream.exactly(2) != b"\r\n":
                raise Malformed("no CRLF after a chunk")
        message.trailers = read_fields(stream)
    except Ended as end:
        raise Ended(end.how, b"".join(parts) + end.body) from end
    finally:
        message.body = b"".join(parts)


class Request(Message):
    def __init__(self, stream, connection, number):
        super().__init__()
        self.connection, self.number = connection, number
        words = stream.line().split(b" ")
        if len(words) != 3 or not TOKEN.match(words[0]) or not TARGET.match(words[1]) \
                or words[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
            raise Malformed(f"the request line {b' '.join(words)[:100]!r}")
        self.method, self.target, self.version = (w.decode("ascii") for w in words)
        self.fields = read_fields(stream)
        if len(self.all("host")) > 1 or (self.version == "HTTP/1.1" and not self.all("host")):
            raise Malformed(f"Host: {self.all('host')}")
        self.framing, self.length = framing_of(self)
        self.stream = stream

    def read_body(self):
        if self.complete:
            return self.body
        try:
            if self.framing == "length":
                self.body = self.stream.exactly(self.length)
            elif self.framing == "chunked":
                read_chunks(self.stream, self)
        except Ended as end:
            self.body = end.body
            raise
        self.complete = True
        return self.body


class Response(Message):
    """One final answer to a request of this method, with the 1xx before it in .interim."""

    def __init__(self, stream, method):
        super().__init__()
        self.interim, self.how = [], None
        while True:
            m = STATUS_LINE.match(line := stream.line())
            if not m:
                raise Malformed(f"the status line {line[:100]!r}")
            self.version, self.status = m[1].decode(), int(m[2])
            self.reason = m[3].decode("latin-1")
            self.fields = read_fields(stream)
            if self.status == 101 or self.status >= 200:
                break
            check(not self.all("content-length") and not self.all("transfer-encoding"),
                  f"a {self.status} with framing")
            self.interim.append((self.status, self.fields))
        kind, length = framing_of(self)
        if self.status == 101 or (method == "CONNECT" and 200 <= self.status < 300):
            self.framing = "tunnel"
            self.complete = True
            return
        if method == "HEAD" or self.status in (204, 304):
            self.complete = True
            if self.status == 204:
                equal(kind, "none", "framing of a 204")
            return
        self.framing = kind if kind != "none" else "close"
        self._read_body(stream, kind, length)

    def _read_body(self, stream, kind, length):
        try:
            if kind == "length":
                self.body = stream.exactly(length)
            elif kind == "chunked":
                read_chunks(stream, self)
            else:
                self.body, self.how = stream.to_end()
                self.complete = self.how == "eof"
                return
            self.complete = True
        except Ended as end:
            self.body, self.how = end.body, end.how


# ------------------------------------------------------------------------- messages

def request(method="GET", target="/", *fields, host=SITE, body=None, version="HTTP/1.1"):
    """A request; body None: no framing field, bytes: with Content-Length."""
    lines = [f"{method} {target} {version}"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += fields
    lines += [f"Content-Length: {len(body)}"] if body is not None else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def reply(body=b"ok", *fields, status="200 OK", version="HTTP/1.1"):
    lines = [f"{version} {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def head_of(*lines):
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunks(*parts, trailers=()):
    """The parts as chunks, the last chunk and the trailers."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts if p)
    return out + "\r\n".join(["0", *trailers, "", ""]).encode("latin-1")


def lower(fields):
    """Names know no case."""
    return [(n.lower(), v) for n, v in fields]


def split(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


# --------------------------------------------------------------------------- origin

class Link:
    """One connection at the origin, as its script sees it."""

    def __init__(self, origin, s, number):
        self.origin, self.s, self.number = origin, s, number
        self.received = bytearray()
        self.stream = Stream(s, self.received)
        self.requests = []
        self.closing = False
        self.ended = None  # how the proxy ended it

    def send(self, data):
        self.s.sendall(data)

    def pieces(self, data, size=1, pause=0.0):
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in split(data, size):
            self.s.sendall(piece)
            if pause:
                time.sleep(pause)

    def close(self):
        """A clean end after what was sent."""
        self.closing = True

    def rest(self):
        """Reads and records whatever still comes, and answers none of it."""
        self.closing = True
        self.ended = self.stream.to_end()[1]

    def reset(self):
        harness.reset(self.s)
        self.closing = True
        raise Ended("reset by the script")


def hello(req, link):
    """The answer that tells which request, by whom and over which connection."""
    return reply(f"{req.method} {req.target}".encode(), f"X-Server: {link.origin.name}",
                 f"X-Link: {link.number}", f"X-Length: {len(req.body)}")


class HttpOrigin:
    """A server whose script answers: script(request, link) returns bytes to send, or None.

    With early=True the script is called when the head is there, and reads the body itself. .links
    has every connection with every byte that came over it, .requests every request in the order of
    their heads, .errors what was malformed: the test fails when there is one at the end.
    """

    def __init__(self, script=hello, name="one", early=False, address=(HOST, 0), strict=True):
        self.script, self.name, self.early, self.strict = script, name, early, strict
        self.links, self.requests, self.errors = [], [], []
        self.lock = threading.Lock()
        self.ending = False
        self.listener = socket.create_server(address, backlog=512)
        self.address = self.listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.ending:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.settimeout(harness.TEST_SECONDS)
            link = Link(self, s, len(self.links))
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        try:
            while not link.closing:
                self._one(link)
            link.s.shutdown(socket.SHUT_WR)
            link.s.settimeout(2)
            link.stream.to_end()
        except Ended as end:
            link.ended = end.how
        except Malformed as error:
            self.errors.append(f"{error} after {bytes(link.received[:2000])!r}")
        except OSError as error:
            link.ended = str(error)
        except Failure as error:
            self.errors.append(str(error))
        finally:
            link.ended = link.ended or "closed"
            link.s.close()

    def _one(self, link):
        if not link.stream.buffer:
            link.stream.more()
        req = Request(link.stream, link, len(link.requests))
        with self.lock:
            self.requests.append(req)
            link.requests.append(req)
        if not self.early:
            req.read_body()
        if "close" in req.options() or req.version == "HTTP/1.0":
            link.closing = True
        answer = self.script(req, link)
        if answer:
            link.send(answer)

    @property
    def opened(self):
        return len(self.links)

    @property
    def bytes(self):
        return sum(len(link.received) for link in self.links)

    def live(self):
        return [link for link in self.links if link.ended is None]

    def wait_requests(self, count, seconds=STEP_SECONDS):
        wait_until(lambda: len(self.requests) >= count,
                   lambda: f"{len(self.requests)} of {count} requests at the server", seconds)
        return self.requests

    def last(self):
        return self.wait_requests(1)[-1]

    def stop(self):
        """Ends all of it: nobody listens at the address any more."""
        self.ending = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for link in self.live():
            try:
                link.s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        errors = list(self.errors)
        self.stop()
        if kind is None and self.strict:
            check(not errors, f"malformed at server {self.name}: {errors}")


# --------------------------------------------------------------------------- client

class Client:
    """A raw client connection."""

    def __init__(self, where, timeout=STEP_SECONDS, **options):
        address = where.address if isinstance(where, Sluice) else where
        self.s = dial(address, timeout=timeout, **options)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = Stream(self.s)

    def send(self, data):
        self.s.sendall(data)
        return self

    def try_send(self, data):
        """Sends what the other end takes: whether that was all."""
        try:
            self.s.sendall(data)
            return True
        except OSError:
            return False

    def pieces(self, data, size=1, pause=0.0):
        for piece in split(data, size):
            self.s.sendall(piece)
            if pause:
                time.sleep(pause)
        return self

    def answer(self, method="GET"):
        try:
            return Response(self.stream, method)
        except Malformed as error:
            raise Failure(f"a malformed answer: {error}") from error
        except TimeoutError as error:
            raise Failure(f"no answer; so far {bytes(self.stream.buffer[:500])!r}") from error
        except Ended as end:
            raise Failure(f"the connection ended ({end.how}) before an answer; so far "
                          f"{bytes(self.stream.buffer[:500])!r}") from end

    def ask(self, method="GET", target="/", *fields, **options):
        self.send(request(method, target, *fields, **options))
        return self.answer(method)

    def ends(self, seconds=STEP_SECONDS):
        """(bytes before the end, "eof", "reset" or "open" after so long)."""
        before = bytes(self.stream.buffer)
        self.stream.buffer.clear()
        got, how = harness.ending(self.s, seconds)
        return before + got, how

    def gone(self, seconds=STEP_SECONDS):
        """The server side ended the connection, without another byte."""
        got, how = self.ends(seconds)
        check(how != "open", "the connection is still open")
        equal(got, b"", "bytes behind the last answer")

    def alive(self, target="/alive"):
        equal(self.ask("GET", target).status, 200, "another request on this connection")

    def half_close(self):
        self.s.shutdown(socket.SHUT_WR)

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def http_sluice(servers, listener=None, text="", **options):
    """A sluice in mode http; servers are origins or addresses."""
    addresses = [s.address if isinstance(s, HttpOrigin) else s for s in servers]
    return Sluice(addresses, listener={"mode": "http", **(listener or {})}, text=text, **options)


def upstream(name, *servers, **keys):
    """The text of a further [upstream]."""
    addresses = [s.address if isinstance(s, HttpOrigin) else s for s in servers]
    return section(f"upstream {name}",
                   {"server": [harness.written(a) for a in addresses], **keys})


def route(name, **keys):
    return section(f"route {name}", {"listener": "web", **keys})


def one_answer(where, data, method="GET"):
    """The answer to these bytes on a connection of their own."""
    with Client(where) as client:
        client.send(data)
        return client.answer(method)


def canary(where, origin, word):
    """A request of one's own gets the answer to just that request."""
    got = one_answer(where, request("GET", f"/canary/{word}"))
    equal((got.status, got.body), (200, f"GET /canary/{word}".encode()), "the canary's answer")
    equal(origin.requests[-1].target, f"/canary/{word}", "the last request at the server")
