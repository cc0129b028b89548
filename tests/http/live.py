# SPDX-License-Identifier: MIT
"""What people put behind a proxy: event streams, WebSockets, large files, many routes, a load."""

import hashlib
import os
import random
import re
import statistics
import subprocess
import threading
import time

from http_peers import (Client, HttpOrigin, http_sluice, reply, head_of, hello, request, route)
import harness
from harness import check, equal, wait_until
import ws_peers
from ws_peers import BINARY, CONTINUATION, PING, PONG, TEXT, WebSocket

EVENT_SECONDS = 0.05
MIB = 1 << 20
BLOCK = random.Random(5).randbytes(MIB)


# -------------------------------------------------------------------------- event streams

def event(number):
    """One Server-Sent Event that tells when it was sent."""
    return f"id: {number}\ndata: {time.monotonic():.6f}\n\n".encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event_source(count, chunked=True):
    def script(_req, link):
        link.send(head_of("HTTP/1.1 200 OK", "Content-Type: text/event-stream",
                          "Cache-Control: no-store",
                          *(["Transfer-Encoding: chunked"] if chunked else [])))
        number = 0
        while count is None or number < count:
            data = event(number)
            link.send(chunk(data) if chunked else data)
            number += 1
            time.sleep(EVENT_SECONDS)
        if chunked:
            link.send(b"0\r\n\r\n")
        else:
            link.close()
    return script


def read_head(client):
    equal(client.stream.line(), b"HTTP/1.1 200 OK", "status line")
    fields = {}
    while line := client.stream.line():
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    return fields


def read_event(client, number, chunked):
    """How long the event was on its way."""
    if chunked:
        size = int(client.stream.line(), 16)
        data = client.stream.exactly(size)
        equal(client.stream.line(), b"", "the end of a chunk")
    else:
        while b"\n\n" not in client.stream.buffer:
            client.stream.more()
        data = client.stream.exactly(client.stream.buffer.index(b"\n\n") + 2)
    now = time.monotonic()
    lines = data.decode().split("\n")
    equal(lines[0], f"id: {number}", "the event's number")
    return now - float(lines[1].removeprefix("data: "))


def listen(sluice, count, chunked, late):
    with Client(sluice) as client:
        client.send(request("GET", "/events", "Accept: text/event-stream"))
        fields = read_head(client)
        equal(fields["content-type"], "text/event-stream", "Content-Type")
        for number in range(count):
            late.append(read_event(client, number, chunked))
        if chunked:
            equal(client.stream.line() + client.stream.line(), b"0", "the last chunk")
        else:
            equal(client.ends(), (b"", "eof"), "the end of the stream")


def punctual(late, what):
    """Batches would show as delays of several intervals; a busy machine makes few of them late."""
    median, worst = statistics.median(late), max(late)
    check(median < EVENT_SECONDS, f"{what}: the median event was {median * 1000:.0f} ms late")
    check(worst < 2, f"{what}: an event was {worst:.2f} s late")
    return median, worst


def test_server_sent_events():
    limits = {"keepalive_timeout": "300ms", "head_timeout": "300ms"}
    for chunked in (True, False):
        late = []
        with HttpOrigin(event_source(30, chunked)) as origin, \
                http_sluice([origin], listener=limits) as sluice:
            listen(sluice, 30, chunked, late)
            median, worst = punctual(late, f"chunked {chunked}")
        print(f"  chunked {chunked}: median {median * 1e6:.0f} us, worst {worst * 1000:.1f} ms")


def test_many_listeners():
    """Forty streams at once, and ordinary requests beside them."""
    late = []
    with HttpOrigin(lambda r, l: event_source(20)(r, l) if r.target == "/events"
                    else hello(r, l)) as origin, http_sluice([origin]) as sluice:
        threads = [threading.Thread(target=listen, args=(sluice, 20, True, late), daemon=True)
                   for _ in range(40)]
        for t in threads:
            t.start()
        with Client(sluice) as client:
            for _ in range(20):
                client.alive()
                time.sleep(0.03)
        for t in threads:
            t.join(20)
        equal(len(late), 800, "events in all")
        punctual(late, "forty streams")


def leaves(script, leave, listener=None):
    """A listener has had one event, and goes; the server is told in a few seconds."""
    with HttpOrigin(script) as origin, http_sluice([origin], listener=listener) as sluice:
        client = Client(sluice)
        client.send(request("GET", "/events"))
        read_head(client)
        read_event(client, 0, True)
        leave(client)
        wait_until(lambda: not origin.live(), "the server still has its connection", 5)
        sluice.wait_count("sessions", 0)
        client.close()
        return sluice.at_rest().closes()


def silent(_req, link):
    link.send(head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunk(event(0)))
    link.rest()


def test_a_listener_leaves():
    leaves(event_source(None), lambda c: c.close())
    leaves(event_source(None), lambda c: harness.reset(c.s))


def test_a_listener_leaves_a_silent_server():
    leaves(silent, lambda c: harness.reset(c.s))
    # A FIN alone may be that of a client that still reads: so long as fin_timeout says.
    closes = leaves(silent, lambda c: c.close(), {"fin_timeout": "1s"})
    check(closes in ({"FIN_TIMEOUT": 1}, {"CLIENT_RESET": 1}), f"reasons {closes}")


def test_a_listener_half_closes():
    closes = leaves(silent, lambda c: c.half_close(), {"fin_timeout": "1s"})
    equal(closes, {"FIN_TIMEOUT": 1}, "close reasons")


# ------------------------------------------------------------------------------ WebSocket

def test_the_example_of_the_standard():
    equal(ws_peers.accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "accept")
    equal(ws_peers.frame(TEXT, b"Hello", bytes.fromhex("37fa213d")),
          bytes.fromhex("818537fa213d7f9f4d5158"), "the masked Hello of section 5.7")


def test_websocket():
    with HttpOrigin(ws_peers.serve_echo) as origin, http_sluice([origin]) as sluice:
        ws = WebSocket(sluice)
        for size in (0, 1, 125, 126, 127, 65535, 65536, 300000, 2 * MIB):
            ws.echo(BLOCK[:size] if size <= MIB else BLOCK * 2)
        ws.echo("Grüße, 世界".encode(), TEXT)
        # A message in fragments, with a ping between them.
        ws.send(TEXT, b"one ", last=False).send(PING, b"p").send(CONTINUATION, b"two", last=True)
        ws.expect(TEXT, b"one ", last=False)
        ws.expect(PONG, b"p")
        ws.expect(CONTINUATION, b"two")
        ws.send(TEXT, b"ping me").expect(PING, b"are you there?")
        ws.send(PONG, b"are you there?").echo(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        ws.close(1000, b"that was all")
        wait_until(lambda: not origin.live(), "the server's connection is still there")
        check((PONG, 14) in origin.links[0].events, "the server got no pong")
        equal(sluice.at_rest()["http_tunnels"], 1, "tunnels")


def test_websocket_greeting():
    """The first frame comes with the answer to the handshake, in one piece."""
    hi = ws_peers.frame(TEXT, b"welcome") + ws_peers.frame(PING, b"1")
    with HttpOrigin(lambda r, l: ws_peers.serve_echo(r, l, hi)) as origin, \
            http_sluice([origin]) as sluice:
        for _ in range(10):
            ws = WebSocket(sluice)
            ws.expect(TEXT, b"welcome")
            ws.expect(PING, b"1")
            ws.send(PONG, b"1").echo(b"x" * 20)
            ws.close()


def test_websocket_is_idle():
    """Limits of HTTP are none of a tunnel."""
    with HttpOrigin(ws_peers.serve_echo) as origin, http_sluice([origin], listener={
            "head_timeout": "200ms", "keepalive_timeout": "200ms"}) as sluice:
        ws = WebSocket(sluice)
        ws.echo(b"first")
        time.sleep(1.2)
        ws.echo(b"second")
        ws.close()


def test_many_websockets():
    """Thirty at once, each with messages of its own, and requests beside them."""
    def script(req, link):
        return ws_peers.serve_echo(req, link) if req.target == "/ws" else hello(req, link)

    def talk(number):
        rng = random.Random(number)
        ws = WebSocket(sluice)
        for i in range(20):
            size = rng.choice((1, 10, 500, 5000, 40000))
            ws.echo(f"{number}/{i} ".encode() + BLOCK[number:number + size], BINARY)
        ws.close()
        done.append(number)

    done = []
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        threads = [threading.Thread(target=talk, args=(i,), daemon=True) for i in range(30)]
        for t in threads:
            t.start()
        with Client(sluice) as client:
            for _ in range(30):
                client.alive()
        for t in threads:
            t.join(30)
        equal(sorted(done), list(range(30)), "conversations that ended well")


def test_websocket_peers_vanish():
    """A reset on one side is told to the other."""
    with HttpOrigin(ws_peers.serve_echo) as origin, http_sluice([origin]) as sluice:
        ws = WebSocket(sluice)
        ws.echo(b"hello")
        harness.reset(ws.client.s)
        wait_until(lambda: not origin.live(), "the server was not told")
        ws = WebSocket(sluice)
        ws.echo(b"hello")
        ws.send(TEXT, b"reset")
        equal(ws.client.ends()[1], "reset", "the client's end")
        ws.client.close()


# ---------------------------------------------------------------------------- large bodies

def bulk_size():
    return 1024 * MIB if harness.full_size() else 64 * MIB


def blocks(size):
    """Blocks that all differ: each begins with its number."""
    for number in range(size // MIB):
        yield number.to_bytes(8, "big") + BLOCK[8:]


def checksum(size):
    digest = hashlib.sha256()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


def digest_of(stream, size, digest):
    """Reads so many bytes."""
    taken = min(size, len(stream.buffer))
    digest.update(stream.exactly(taken))
    left = size - taken
    while left:
        data = stream.s.recv(min(left, MIB))
        check(data, f"the stream ended {left} bytes early")
        digest.update(data)
        left -= len(data)


def digest_of_message(stream, length, digest):
    """Reads a body of that length, or a chunked one; how many bytes."""
    if length is not None:
        digest_of(stream, length, digest)
        return length
    total = 0
    while size := int(stream.line().split(b";")[0], 16):
        digest_of(stream, size, digest)
        equal(stream.line(), b"", "the end of a chunk")
        total += size
    equal(stream.line(), b"", "the end of the chunks")
    return total


def send_blocks(send, size, chunked):
    for block in blocks(size):
        if chunked:
            half = 1 + block[7] * 2000  # chunks of all sizes
            send(chunk(block[:half]) + chunk(block[half:]))
        else:
            send(block)
    if chunked:
        send(b"0\r\n\r\n")


def framing(size, chunked):
    return "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"


def download(chunked):
    size = bulk_size()

    def script(_req, link):
        link.send(head_of("HTTP/1.1 200 OK", framing(size, chunked)))
        send_blocks(link.send, size, chunked)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, \
            Client(sluice, timeout=30) as client:
        client.send(request("GET", "/large"))
        fields = read_head(client)
        length = int(fields["content-length"]) if not chunked else None
        digest = hashlib.sha256()
        equal(digest_of_message(client.stream, length, digest), size, "bytes")
        equal(digest.hexdigest(), checksum(size), "checksum")


def upload(chunked):
    size = bulk_size()

    def script(req, link):
        digest = hashlib.sha256()
        length = req.length if req.framing == "length" else None
        got = digest_of_message(link.stream, length, digest)
        req.complete = True
        return reply(f"{got} {digest.hexdigest()}".encode())
    with HttpOrigin(script, early=True) as origin, http_sluice([origin]) as sluice, \
            Client(sluice, timeout=30) as client:
        client.send(request("PUT", "/large", framing(size, chunked)))
        send_blocks(client.send, size, chunked)
        equal(client.answer("PUT").body, f"{size} {checksum(size)}".encode(), "what arrived")
        client.s.settimeout(harness.STEP_SECONDS)


def test_large_download():
    download(chunked=False)


def test_large_download_in_chunks():
    download(chunked=True)


def test_large_upload():
    upload(chunked=False)


def test_large_upload_in_chunks():
    upload(chunked=True)


# ------------------------------------------------------------------------------------ loads

def hey(sluice, *options, path="/"):
    """How many answers of each status; there may be no error."""
    done = subprocess.run([harness.need("hey"), *options,
                           f"http://{sluice.address[0]}:{sluice.address[1]}{path}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=50, text=True, check=False)
    check("Error distribution" not in done.stdout, f"errors:\n{done.stdout[-2000:]}")
    return {int(status): int(count) for status, count in
            re.findall(r"^\s*\[(\d+)\]\s+(\d+) responses", done.stdout, re.M)}


def test_hey():
    harness.need("hey")
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        equal(hey(sluice, "-n", "1000", "-c", "20"), {200: 1000}, "answers")
        equal(hey(sluice, "-n", "300", "-c", "10", "-disable-keepalive"), {200: 300}, "answers")
        equal(hey(sluice, "-n", "300", "-c", "10", "-m", "POST", "-d", "x" * 5000), {200: 300},
              "answers")
        equal(len(origin.requests), 1600, "requests at the server")
        check(all(len(r.body) == 5000 for r in origin.requests if r.method == "POST"), "bodies")
        equal(sluice.at_rest()["http_requests"], 1600, "requests counted")


def many_routes(count):
    return "".join(
        route(f"r{i}", host=f"h{i}.test", path=[f"/p{i}/*", f"/exact{i}"], upstream="app",
              set_header=f"X-Route: {i}", strip_prefix=f"/p{i}" if i % 2 == 0 else [])
        .replace(f"path = /exact{i}\n", "" if i % 2 == 0 else f"path = /exact{i}\n")
        for i in range(count))


def test_a_thousand_routes():
    with HttpOrigin() as origin, http_sluice([origin], text=many_routes(1000)) as sluice:
        with Client(sluice) as client:
            for i in (999, 0, 500, 998, 1, 777):
                equal(client.ask("GET", f"/p{i}/a", host=f"h{i}.test").status, 200, "status")
                seen = origin.last()
                equal((seen.get("x-route"), seen.target),
                      (str(i), "/a" if i % 2 == 0 else f"/p{i}/a"), f"route {i}")
            client.ask("GET", "/exact999", host="H999.test:80")
            equal(origin.last().get("x-route"), "999", "an exact path")
            client.ask("GET", "/p999/a", host="h998.test")
            equal(origin.last().get("x-route"), None, "a path of another host")
        load = os.environ.get("SLUICE_LOAD", "")
        if os.access(load, os.X_OK):
            address = f"http://{sluice.address[0]}:{sluice.address[1]}/p999/x"
            done = subprocess.run([load, "-c", "8", "-n", "2000", "--host", "h999.test", "--quiet",
                                   address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=50, text=True, check=False)
            check(done.returncode in (0, 4), f"sluice-load: {done.returncode}\n{done.stdout}")
            equal(sum(r.get("x-route") == "999" for r in origin.requests), 2002, "by the last one")


harness.main(globals())
