# SPDX-License-Identifier: MIT
"""Upgrade and CONNECT: raw bytes flow behind a yes of the server, and only then."""

import hashlib
import threading
import time

import http_peers
from http_peers import Client, HttpOrigin, head_of, http_sluice, reply, request, route
import harness
from harness import check, equal, pattern

WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
YES = head_of("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
CONNECT = request("CONNECT", "inner.test:443", host="inner.test:443")


def asks_upgrade(req):
    return "upgrade" in req.options() and req.all("upgrade")


def echoing(greeting=b"", yes=YES):
    """Says yes to an Upgrade or a CONNECT, greets, and echoes to the end."""
    def script(req, link):
        if not asks_upgrade(req) and req.method != "CONNECT":
            return http_peers.hello(req, link)
        link.send(yes + greeting)
        link.closing = True
        while True:
            data = bytes(link.stream.buffer)
            link.stream.buffer.clear()
            if data:
                link.send(data)
            try:
                link.stream.more()
            except http_peers.Ended as end:
                link.ended = end.how
                return link.send(b" and the end") if end.how == "eof" else None
    return script


def tunnel(client, data=None, method="GET", status=101):
    """Asks and gets a tunnel; what comes behind the answer is in the client's buffer."""
    client.send(data or request("GET", "/chat", *WEBSOCKET))
    answer = client.answer(method)
    equal(answer.status, status, "the answer to a wish for a tunnel")
    return answer


def raw(client, count):
    return client.stream.exactly(count)


def test_upgrade():
    with HttpOrigin(echoing(b"welcome")) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        answer = tunnel(client)
        equal(answer.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "its fields")
        equal([v.lower() for v in answer.all("upgrade")], ["websocket"], "Upgrade")
        check("upgrade" in answer.options(), f"Connection: {answer.options()}")
        equal(raw(client, 7), b"welcome", "what came with the answer")
        for data in (b"\x81\x05hello", b"\x00\xff\r\n\r\n", b"GET /evil HTTP/1.1\r\n\r\n"):
            client.send(data)
            equal(raw(client, len(data)), data, "the echo")
        client.half_close()
        equal(client.ends(), (b" and the end", "eof"), "the rest behind a half-close")
        seen = origin.last()
        equal([v.lower() for v in seen.all("upgrade")], ["websocket"], "Upgrade at the server")
        equal(seen.get("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==", "another field")


def test_bytes_right_behind_an_upgrade():
    """They wait for the server's yes, and are the first of the tunnel."""
    with HttpOrigin(echoing()) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        tunnel(client, request("GET", "/chat", *WEBSOCKET) + b"early bytes")
        equal(raw(client, 11), b"early bytes", "the echo of early bytes")
        client.send(b"later")
        equal(raw(client, 5), b"later", "the echo")
        equal(origin.opened, 1, "connections")


def test_large_amounts_both_ways():
    size = 4 << 20 if harness.full_size() else 1 << 20
    data = pattern(size)
    with HttpOrigin(echoing()) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        tunnel(client)
        sender = threading.Thread(target=client.s.sendall, args=(data,), daemon=True)
        sender.start()
        got = raw(client, size)
        sender.join(harness.STEP_SECONDS)
        equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest(), "the echo")
        equal(origin.opened, 1, "connections")


def test_the_server_ends_first():
    def script(_req, link):
        link.send(YES + b"farewell")
        link.close()
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        tunnel(client)
        equal(client.ends(), (b"farewell", "eof"), "what the server said")
        equal(origin.opened, 1, "connections")


def test_a_tunnel_outlives_the_limits_of_http():
    with HttpOrigin(echoing()) as origin, http_sluice(
            [origin], listener={"head_timeout": "300ms", "keepalive_timeout": "300ms",
                                "body_min_rate": 1000}) as sluice, Client(sluice) as client:
        tunnel(client)
        time.sleep(1.2)
        client.send(b"still here")
        equal(raw(client, 10), b"still here", "the echo")
        equal(origin.opened, 1, "connections")


def test_a_reset_before_is_forgotten():
    """A server resets a request of this client: that is of no matter to its later tunnel."""
    echo = echoing()

    def script(req, link):
        return link.reset() if req.target == "/cut" else echo(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(request("GET", "/cut"))
        equal(client.answer().status, 502, "the answer to the request that was cut")
        tunnel(client)
        time.sleep(1.5)  # longer than what is left after a reset may take
        client.send(b"still here")
        equal(raw(client, 10), b"still here", "the echo")


def test_a_tunnel_is_no_idle_connection():
    """Neither end is used for another request, during or after."""
    with HttpOrigin(echoing()) as origin, http_sluice([origin]) as sluice:
        http_peers.canary(sluice, origin, "before")
        with Client(sluice) as client:
            tunnel(client)
            http_peers.canary(sluice, origin, "during")
            client.send(b"x")
            equal(raw(client, 1), b"x", "the echo")
        http_peers.canary(sluice, origin, "after")
        links = [r.connection.number for r in origin.requests if r.target.startswith("/canary")]
        chat = next(r for r in origin.requests if r.target == "/chat")
        check(chat.connection.number not in links[1:], "the tunnel's connection was used again")


def test_a_no_keeps_http():
    """Behind a 200 or a 426, what follows is a request as any other: parsed and routed."""
    for answer in (reply(b"no"), reply(b"no", "Upgrade: websocket", status="426 Upgrade Required"),
                   reply(b"no", status="403 Forbidden")):
        def script(req, link, a=answer):
            return a if req.target == "/chat" else http_peers.hello(req, link)
        with HttpOrigin(script) as origin, \
                http_sluice([origin], text=route("no", path="/forbidden", respond="403 no")) \
                as sluice, Client(sluice) as client:
            client.send(request("GET", "/chat", *WEBSOCKET) + request("GET", "/forbidden")
                        + request("GET", "/next"))
            equal(client.answer().body, b"no", "the server's no")
            got = client.ends(0.5)[0]
            check(not got or b"HTTP/1.1 403" in got[:12], f"behind the no: {got[:100]!r}")
            check("/forbidden" not in [r.target for r in origin.requests], "a way around a route")
            http_peers.canary(sluice, origin, "after")


def test_an_unasked_yes():
    """101 to a request without Upgrade, and to one whose Upgrade was not passed on."""
    def script(req, link):
        return http_peers.hello(req, link) if "canary" in req.target else YES + b"raw"
    asked = ([], ["Upgrade: websocket"], ["Connection: Upgrade"],
             ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
             ["Connection: Upgrade", "Upgrade: made-up/1.0"])
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        for fields in asked:
            with Client(sluice) as client:
                equal(client.ask("GET", "/", *fields).status, 502, f"a 101 to {fields}")
            http_peers.canary(sluice, origin, "after")


def test_upgrade_protocols():
    h2c = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    chat = ("Connection: Upgrade", "Upgrade: chat")
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for fields in (h2c, chat, ("Connection: Upgrade", "Upgrade: websocket/13 h2c")):
            status = client.ask("GET", "/", *fields).status
            check(status in (200, 400, 501), f"status {status}")
            if status != 200:
                break
            seen = origin.last()
            equal(seen.all("upgrade") + seen.all("http2-settings"), [], f"{fields[1]}: passed on")
            check("upgrade" not in seen.options(), f"Connection: {seen.options()}")
    yes = head_of("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: chat")
    with HttpOrigin(echoing(yes=yes)) as origin, \
            http_sluice([origin], listener={"upgrade_protocols": "chat"}) as sluice:
        with Client(sluice) as client:
            tunnel(client, request("GET", "/", *chat))
            client.send(b"chat")
            equal(raw(client, 4), b"chat", "the echo")
        with Client(sluice) as client:
            equal(client.ask("GET", "/", *WEBSOCKET).status, 200, "websocket where it is not")
            equal(origin.last().all("upgrade"), [], "an Upgrade that is not allowed")


def test_upgrades_that_are_none():
    """HTTP/1.0, a body, or no Connection: never a tunnel."""
    with HttpOrigin(echoing()) as origin, http_sluice([origin]) as sluice:
        for data in (request("GET", "/", *WEBSOCKET, version="HTTP/1.0"),
                     request("GET", "/", *WEBSOCKET[1:]),
                     request("POST", "/", *WEBSOCKET, body=b"GET /evil HTTP/1.1\r\n\r\n"),
                     head_of("GET / HTTP/1.1", "Host: a", *WEBSOCKET,
                             "Transfer-Encoding: chunked") + b"0\r\n\r\n"):
            with Client(sluice) as client:
                client.send(data)
                status = client.answer().status
                check(status != 101, f"a tunnel for {data[:200]!r}")
            http_peers.canary(sluice, origin, "after")


# ---------------------------------------------------------------------------- CONNECT

TUNNEL = head_of("HTTP/1.1 200 Connection Established")


def test_connect_is_off():
    with HttpOrigin(echoing(yes=TUNNEL)) as origin, http_sluice([origin]) as sluice:
        for data in (CONNECT, CONNECT + b"raw bytes",
                     request("CONNECT", "127.0.0.1:22", host="127.0.0.1:22")):
            with Client(sluice) as client:
                client.send(data)
                status = client.answer("GET").status
                check(400 <= status < 500 or status == 501, f"status {status}")
        equal(origin.bytes, 0, "bytes at the server")


def test_connect_wants_a_route():
    """connect = on alone is no open relay, and neither is a route for every method."""
    for text in ("", route("any", path="/*", upstream="app"), route("all", upstream="app")):
        with HttpOrigin(echoing(yes=TUNNEL)) as origin, \
                http_sluice([origin], listener={"connect": "on"}, text=text) as sluice, \
                Client(sluice) as client:
            client.send(CONNECT)
            status = client.answer("GET").status
            check(400 <= status < 500 or status == 501, f"status {status}")
            equal(origin.bytes, 0, "bytes at the server")


def with_connect(script):
    origin = HttpOrigin(script)
    return origin, http_sluice([origin], listener={"connect": "on"},
                               text=route("c", method="CONNECT", upstream="app"))


def test_connect():
    origin, proxy = with_connect(echoing(b"hi", yes=TUNNEL))
    with origin, proxy as sluice, Client(sluice) as client:
        tunnel(client, CONNECT, "CONNECT", 200)
        equal(raw(client, 2), b"hi", "what came with the answer")
        client.send(b"\x16\x03\x01 hello")
        equal(raw(client, 9), b"\x16\x03\x01 hello", "the echo")
        client.half_close()
        equal(client.ends(), (b" and the end", "eof"), "the rest behind a half-close")
        equal((origin.last().method, origin.last().target), ("CONNECT", "inner.test:443"),
              "the request at the server")


def test_connect_and_a_no():
    def script(req, link):
        if req.method == "CONNECT":
            return reply(b"no", status="403 Forbidden")
        return http_peers.hello(req, link)
    origin, proxy = with_connect(script)
    with origin, proxy as sluice, Client(sluice) as client:
        client.send(CONNECT + request("GET", "/behind"))
        answer = client.answer("CONNECT")
        equal((answer.status, answer.body), (403, b"no"), "the server's no")
        got = client.ends(0.5)[0]
        check(not got or got.startswith(b"HTTP/1.1 200 "), f"behind the no: {got[:100]!r}")
        http_peers.canary(sluice, origin, "after")


def test_connect_to_no_authority():
    origin, proxy = with_connect(echoing(yes=TUNNEL))
    with origin, proxy as sluice:
        for target in ("/", "*", "inner.test", "http://inner.test/", "inner.test:", ":443",
                       "inner.test:99999", "u@inner.test:443"):
            with Client(sluice) as client:
                client.send(request("CONNECT", target, host="inner.test"))
                status = client.answer("GET").status
                check(400 <= status < 600, f"CONNECT {target}: {status}")
        equal(origin.bytes, 0, "bytes at the server")


harness.main(globals())
