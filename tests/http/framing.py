# SPDX-License-Identifier: MIT
"""Where a message begins and ends, and which fields are whose (RFC 9110, RFC 9112)."""

import threading
import time

import http_peers
from http_peers import (HOP_BY_HOP, Client, HttpOrigin, chunks, head_of, http_sluice, lower,
                        one_answer, reply, request, route, upstream)
import harness
from harness import check, equal


def forwarded(data, script=http_peers.hello, method="GET", **options):
    """One exchange: (the request as the server saw it, the answer as the client saw it)."""
    with HttpOrigin(script) as origin, http_sluice([origin], **options) as sluice:
        answer = one_answer(sluice, data, method)
        return origin.last() if answer.status == 200 else None, answer


def answered(script, data=None, method="GET", **options):
    """The answer to a plain request, when the server answers these bytes or by this script."""
    answer = script if callable(script) else lambda req, link: script
    return forwarded(data or request(method), answer, method, **options)[1]


def no_hop_by_hop(message, but=()):
    for name in HOP_BY_HOP:
        if name not in but:
            equal(message.all(name), [], f"{name} behind the proxy")


# ------------------------------------------------------------------- what goes up

def test_a_request_goes_through_unchanged():
    fields = ["User-Agent: e2e/1.0 (x; y)", "Accept: */*", "X-Twice: 1", "x-lower: \xe9\xff",
              "X-Twice: 2", "X-Empty:", "Cookie: a=1; b=\"2\"", "X-Quoted: \"a\\\"b\", c"]
    seen, answer = forwarded(request("GET", "/a/b%2Fc/../d?x=1&y=%00&&z=a;b", *fields))
    equal(answer.status, 200, "status")
    equal((seen.method, seen.target, seen.version),
          ("GET", "/a/b%2Fc/../d?x=1&y=%00&&z=a;b", "HTTP/1.1"), "the request line")
    equal(seen.get("host"), http_peers.SITE, "Host")
    equal(seen.all("x-twice"), ["1", "2"], "a field that is there twice")
    equal(seen.get("x-lower"), "\xe9\xff", "bytes above 0x7f in a value")
    equal(seen.get("x-empty"), "", "an empty value")
    for field in fields:
        name, _, value = field.partition(":")
        check((name.lower(), value.strip()) in lower(seen.fields), f"{field}: {seen.fields}")
    equal(seen.framing, "none", "framing of a GET")


def test_methods():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for method in "GET HEAD POST PUT DELETE OPTIONS PATCH PROPFIND".split():
            body = b"<b/>" if method in ("POST", "PUT", "PATCH", "PROPFIND") else None
            answer = client.ask(method, "/" + method, body=body)
            equal(answer.status, 200, method)
            equal((origin.last().method, origin.last().body), (method, body or b""), method)
        equal(client.ask("OPTIONS", "*").status, 200, "OPTIONS *")
        equal(origin.last().target, "*", "OPTIONS *")
        status = client.ask("BREW", "/pot").status
        check(status in (200, 501), f"an unknown method that is a token: {status}")


def test_absolute_form_sets_host():
    seen, answer = forwarded(request("GET", "http://real.test:8080/x?y=1", host="other.test"))
    equal(answer.status, 200, "status")
    equal(seen.get("host"), "real.test:8080", "Host of an absolute target")
    check(seen.target in ("/x?y=1", "http://real.test:8080/x?y=1"), f"the target {seen.target}")
    seen, _ = forwarded(request("GET", "http://real.test", host="real.test"))
    check(seen.target in ("/", "http://real.test", "http://real.test/"), seen.target)


def test_absolute_form_is_routed_by_its_own_host():
    with HttpOrigin(name="main") as origin, HttpOrigin(name="real") as real, \
            http_sluice([origin], text=upstream("real", real)
                        + route("r", host="real.test", upstream="real")) as sluice:
        answer = one_answer(sluice, request("GET", "http://real.test/", host="other.test"))
        equal(answer.get("x-server"), "real", "server of an absolute target")


def test_hosts():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for host in ("a", "a.test:80", "127.0.0.1", "[::1]:8080", "xn--bcher-kva.test", "UP.Test",
                     "a_b.test"):
            equal(client.ask("GET", "/", host=host).status, 200, f"Host: {host}")
            equal(origin.last().get("host"), host, "Host at the server")


def test_hop_by_hop_fields_stop_here():
    seen, answer = forwarded(request(
        "GET", "/", "Connection: keep-alive, X-Private, x-other", "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive", "TE: gzip, trailers", "X-Private: 1", "X-Other: 2",
        "X-Kept: 3", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"))
    equal(answer.status, 200, "status")
    no_hop_by_hop(seen, but=("te", "trailer"))
    equal(seen.all("x-private") + seen.all("x-other"), [], "nominated fields")
    equal(seen.get("x-kept"), "3", "another field")
    check([v.lower() for v in seen.all("te")] in ([], ["trailers"]), f"TE: {seen.all('te')}")
    check(not {"x-private", "x-other", "upgrade", "http2-settings"} & set(seen.options()),
          f"Connection: {seen.options()}")


def test_connection_close_of_the_client_is_his_own():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        for i in range(3):
            with Client(sluice) as client:
                answer = client.ask("GET", f"/{i}", "Connection: close")
                equal(answer.status, 200, "status")
                check("close" in answer.options(), f"Connection: {answer.options()}")
                client.gone()
        equal(origin.opened, 1, "connections at the server")


def test_hop_by_hop_fields_of_an_answer():
    answer = answered(reply(b"ok", "Connection: X-Private", "X-Private: 1", "X-Kept: 2",
                            "Keep-Alive: timeout=9, max=77", "Proxy-Connection: keep-alive",
                            "Set-Cookie: a=1", "Set-Cookie: b=2"))
    equal((answer.status, answer.body), (200, b"ok"), "the answer")
    equal(answer.all("x-private"), [], "a nominated field")
    equal(answer.all("proxy-connection"), [], "Proxy-Connection")
    check("timeout=9, max=77" not in answer.all("keep-alive"), "the server's Keep-Alive")
    equal(answer.get("x-kept"), "2", "another field")
    equal(answer.all("set-cookie"), ["a=1", "b=2"], "Set-Cookie, in its order")


def test_content_length_up():
    for body in (b"", b"x", b"hello\r\n\r\nGET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 40):
        seen, answer = forwarded(request("POST", "/", body=body), method="POST")
        equal(answer.status, 200, "status")
        equal((seen.framing, seen.body), ("length", body), "the body")
    seen, answer = forwarded(request("POST", "/"), method="POST")
    equal((answer.status, seen.body), (200, b""), "POST without framing")
    seen, answer = forwarded(head_of("POST / HTTP/1.1", "Host: a", "Content-Length: 0005")
                             + b"hello", method="POST")
    if answer.status != 400:
        equal((answer.status, seen.get("content-length"), seen.body), (200, "5", b"hello"),
              "leading zeros are made canonical")


def test_content_length_with_a_get():
    """A GET may have a body: it is framed and forwarded, or the request is refused."""
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        answer = client.ask("GET", "/", body=b"GET /evil HTTP/1.1\r\n\r\n")
        check(answer.status in (200, 400), f"status {answer.status}")
        if answer.status == 200:
            equal(origin.last().body, b"GET /evil HTTP/1.1\r\n\r\n", "the body")
            client.alive()
        check(all(r.target != "/evil" for r in origin.requests), "a body became a request")


def test_chunked_up():
    head = head_of("POST /c HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
    body = [b"hello", b" ", b"world" * 1000, b"0\r\n\r\n"]
    seen, answer = forwarded(head + chunks(*body), method="POST")
    equal((answer.status, seen.body), (200, b"".join(body)), "chunked")
    seen, answer = forwarded(head.replace(b"chunked", b"Chunked") + b"A\r\n0123456789\r\n"
                             b"00a\r\n0123456789\r\n000\r\n\r\n", method="POST")
    equal((answer.status, seen.body), (200, b"0123456789" * 2), "hex in both cases, zeros")
    seen, answer = forwarded(head + chunks(), method="POST")
    equal((answer.status, seen.body), (200, b""), "an empty chunked body")
    seen, answer = forwarded(head + b"5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n", method="POST")
    equal((answer.status, seen.body), (200, b"hello"), "chunk extensions are ignored")


def test_trailers_up():
    head = head_of("POST /t HTTP/1.1", "Host: a", "Transfer-Encoding: chunked",
                   "Trailer: X-Check")
    seen, answer = forwarded(head + chunks(b"data", trailers=["X-Check: abc", "X-Two: 2"]),
                             method="POST")
    equal((answer.status, seen.body), (200, b"data"), "the body")
    equal(seen.all("x-check"), [], "a trailer is no field of the head")
    equal(lower(seen.trailers), [("x-check", "abc"), ("x-two", "2")], "the trailers")


def test_pipelined_requests_are_answered_in_order():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(b"".join(request("GET", f"/{i}") for i in range(50)))
        for i in range(50):
            equal(client.answer().body, f"GET /{i}".encode(), "an answer")
        client.send(request("POST", "/p", body=b"x" * 3000) + request("GET", "/q")
                    + head_of("POST /r HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
                    + chunks(b"abc") + request("HEAD", "/s") + request("GET", "/t"))
        for line in ("POST /p", "GET /q", "POST /r", "HEAD /s", "GET /t"):
            method = line.split()[0]
            equal(client.answer(method).body, b"" if method == "HEAD" else line.encode(), line)
        check(origin.opened <= 55, f"{origin.opened} connections")


def test_pipelined_requests_to_different_upstreams():
    def slow(req, link):
        time.sleep(0.2)
        return http_peers.hello(req, link)
    with HttpOrigin(slow, name="slow") as first, HttpOrigin(name="fast") as second, \
            http_sluice([first], text=upstream("other", second)
                        + route("o", path="/fast/*", upstream="other")) as sluice, \
            Client(sluice) as client:
        targets = ["/slow/1", "/fast/1", "/fast/2", "/slow/2", "/fast/3"]
        client.send(b"".join(request("GET", t) for t in targets))
        for target in targets:
            answer = client.answer()
            equal((answer.body.decode(), answer.get("x-server")),
                  ("GET " + target, target.split("/")[1]), "an answer")


def test_pipelined_behind_close_is_ignored():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(request("GET", "/last", "Connection: close") + request("GET", "/behind"))
        equal(client.answer().body, b"GET /last", "the answer")
        client.gone()
        equal([r.target for r in origin.requests], ["/last"], "requests at the server")


def test_blank_lines_before_a_request():
    """RFC 9112 2.2: SHOULD ignore at least one CRLF; refusing is the other way."""
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        equal(client.ask("POST", "/", body=b"x").status, 200, "the first")
        client.send(b"\r\n" + request("GET", "/second"))
        status = client.answer().status
        check(status in (200, 400), f"status {status}")


def test_long_targets_and_many_fields():
    """Request lines of 8,000 bytes must work; so must what the limits allow."""
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        target = "/" + "t" * 8000
        equal(client.ask("GET", target).status, 200, "a long target")
        check(origin.last().target == target, "a long target is another one")
        fields = [f"X-Field-{i}: {i}" for i in range(90)]
        equal(client.ask("GET", "/", *fields).status, 200, "90 fields")
        check([f for f in lower(origin.last().fields) if f[0].startswith("x-field-")]
              == [(f"x-field-{i}", str(i)) for i in range(90)], "90 fields are not the same")
        equal(client.ask("GET", "/", "X-Long: " + "v" * 20000).status, 200, "20 KB in a field")
        check(origin.last().get("x-long") == "v" * 20000, "a long value is another one")


# ----------------------------------------------------------------- what comes down

def test_content_length_down():
    for body in (b"", b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"z" * 40000):
        answer = answered(reply(body))
        equal((answer.status, answer.framing, answer.body), (200, "length", body), "the answer")


def test_chunked_down():
    answer = answered(head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
                      + chunks(b"hello", b"0\r\n\r\n", b"w" * 70000))
    equal((answer.status, answer.body, answer.complete),
          (200, b"hello0\r\n\r\n" + b"w" * 70000, True), "the answer")
    answer = answered(head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunks())
    equal((answer.status, answer.body, answer.complete), (200, b"", True), "an empty body")


def test_trailers_down():
    answer = answered(head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked",
                              "Trailer: X-Sum") + chunks(b"body", trailers=["X-Sum: 123"]),
                      request("GET", "/", "TE: trailers", "Connection: TE"))
    equal((answer.body, answer.all("x-sum"), lower(answer.trailers)),
          (b"body", [], [("x-sum", "123")]), "the answer with a trailer")


def until_close(body, *fields, version="HTTP/1.1"):
    def script(_req, link):
        link.send(head_of(f"{version} 200 OK", *fields) + body)
        link.close()
    return script


def test_answers_until_close():
    """To an HTTP/1.1 client as chunks or until close; complete in either form."""
    for version in ("HTTP/1.1", "HTTP/1.0"):
        for body in (b"", b"until close", b"u" * 100000):
            answer = answered(until_close(body, version=version))
            equal((answer.status, answer.body, answer.complete), (200, body, True), "the answer")
            equal(answer.version, "HTTP/1.1", "our version")
            check(answer.framing == "chunked" or "close" in answer.options()
                  or answer.framing == "length",
                  f"framing {answer.framing}, Connection: {answer.options()}")


def test_answers_without_a_body():
    for status in ("204 No Content", "304 Not Modified"):
        with HttpOrigin(lambda r, l, s=status: head_of(f"HTTP/1.1 {s}", 'ETag: "e"')) as origin, \
                http_sluice([origin]) as sluice, Client(sluice) as client:
            for _ in range(3):
                answer = client.ask()
                equal((answer.status, answer.body, answer.get("etag")),
                      (int(status[:3]), b"", '"e"'), "the answer")
            equal(origin.opened, 1, "connections at the server")
    with HttpOrigin(lambda r, l: head_of("HTTP/1.1 304 Not Modified", "Content-Length: 77")) \
            as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for _ in range(2):
            equal(client.ask().status, 304, "a 304 with a length")


def test_a_204_with_a_length_loses_it():
    """The strict parser refuses a 204 with framing; bytes behind it must reach nobody."""
    def script(req, link):
        if req.target == "/204":
            return head_of("HTTP/1.1 204 No Content", "Content-Length: 5") + b"stray"
        return http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        with Client(sluice) as client:
            answer = client.ask("GET", "/204")
            check(answer.status in (204, 502), f"status {answer.status}")
        http_peers.canary(sluice, origin, "behind-204")


def test_head():
    def script(req, link):
        if req.method == "HEAD" and req.target == "/chunked":
            return head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
        if req.method == "HEAD" and req.target == "/close":
            return head_of("HTTP/1.1 200 OK")
        if req.method == "HEAD":
            return head_of("HTTP/1.1 200 OK", "Content-Length: 1234")
        return http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        answer = client.ask("HEAD", "/length")
        equal((answer.status, answer.get("content-length")), (200, "1234"), "HEAD")
        client.alive()
        for target in ("/chunked", "/close"):
            answer = client.ask("HEAD", target)
            equal(answer.status, 200, f"HEAD {target}")
            if "close" in answer.options():
                break
            client.alive()


def test_interim_answers_pass():
    early = head_of("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload")
    answer = answered(head_of("HTTP/1.1 100 Continue") + early + early + reply(b"final"))
    equal((answer.status, answer.body), (200, b"final"), "the answer")
    equal([s for s, _ in answer.interim if s == 103], [103, 103], "the 103s")
    equal(lower(answer.interim[-1][1]), [("link", "</a.css>; rel=preload")], "fields of a 103")


def test_interim_answers_are_not_for_http_1_0():
    answer = answered(head_of("HTTP/1.1 103 Early Hints", "Link: </a>") + reply(b"final"),
                      request("GET", "/", version="HTTP/1.0"))
    equal((answer.status, answer.body, answer.interim), (200, b"final", []), "the answer")


def test_an_interim_answer_comes_at_once():
    go = threading.Event()

    def script(_req, link):
        link.send(head_of("HTTP/1.1 103 Early Hints", "Link: </a>"))
        go.wait(harness.STEP_SECONDS)
        return reply(b"late")
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(request())
        equal(client.stream.line(), b"HTTP/1.1 103 Early Hints", "the 103, before the answer")
        while client.stream.line():
            pass
        go.set()
        equal(client.answer().body, b"late", "the answer")


# ---------------------------------------------------------------------- 100-continue

EXPECTING = request("POST", "/e", "Expect: 100-continue", "Content-Length: 5")


def test_expect_with_a_100_of_the_server():
    def script(req, link):
        equal([v.lower() for v in req.all("expect")], ["100-continue"], "Expect at the server")
        link.send(head_of("HTTP/1.1 100 Continue"))
        return reply(req.read_body())
    with HttpOrigin(script, early=True) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        for _ in range(2):
            client.send(EXPECTING)
            equal(client.stream.line(), b"HTTP/1.1 100 Continue", "the server's 100")
            while client.stream.line():
                pass
            client.send(b"hello")
            answer = client.answer("POST")
            equal((answer.status, answer.body, answer.interim), (200, b"hello", []), "the answer")


def test_expect_of_a_client_that_does_not_wait():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(EXPECTING + b"hello")
        equal(client.answer("POST").status, 200, "the answer")
        equal(origin.last().body, b"hello", "the body")
        client.alive()
        client.send(EXPECTING)
        time.sleep(0.3)
        client.send(b"hello")
        equal(client.answer("POST").status, 200, "the answer without a 100")


def test_expect_with_a_final_answer():
    """The body may be on its way: neither connection may take it for a request."""
    def script(req, link):
        if req.method != "POST":
            return http_peers.hello(req, link)
        link.send(reply(b"no", status="417 Expectation Failed"))
        return link.rest()
    with HttpOrigin(script, early=True) as origin, http_sluice([origin]) as sluice:
        with Client(sluice) as client:
            client.send(request("POST", "/e", "Expect: 100-continue", "Content-Length: 40"))
            equal(client.answer("POST").status, 417, "the final answer")
            client.try_send(request("GET", "/evil", host="a").ljust(40, b"x"))
            client.ends(1)
        http_peers.canary(sluice, origin, "after-417")
        check(origin.requests[-1].connection is not origin.requests[0].connection,
              "a connection with an open body was used again")
        equal(len(origin.requests), 2, "requests at the server")


def test_unknown_expectations():
    seen_or_not = request("POST", "/e", "Expect: 200-ok", body=b"hello")
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        status = one_answer(sluice, seen_or_not, "POST").status
        check(status in (200, 400, 417), f"status {status}")
        status = one_answer(sluice, request("POST", "/e", "Expect: y 100-continue", body=b"hello"),
                            "POST").status
        check(status in (200, 400, 417), f"status {status}")


# -------------------------------------------------------------------------- HTTP/1.0

def test_http_1_0_clients():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        with Client(sluice) as client:
            answer = client.ask("GET", "/old", version="HTTP/1.0")
            equal((answer.status, answer.body), (200, b"GET /old"), "the answer")
            check(answer.framing in ("length", "close"), f"framing {answer.framing}")
            client.gone()
        equal(origin.last().version, "HTTP/1.1", "the version at the server")
        with Client(sluice) as client:
            answer = client.ask("POST", "/old", version="HTTP/1.0", body=b"12345")
            equal((answer.status, origin.last().body), (200, b"12345"), "POST")
        status = one_answer(sluice, b"GET /nohost HTTP/1.0\r\n\r\n").status
        check(status in (200, 400), f"without Host: {status}")


def test_http_1_0_keep_alive():
    """Who asks for keep-alive gets it or an end, and is told which."""
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for i in range(3):
            answer = client.ask("GET", f"/{i}", "Connection: keep-alive", version="HTTP/1.0")
            equal(answer.body, f"GET /{i}".encode(), "the answer")
            if "keep-alive" not in answer.options():
                client.gone()
                return
        answer = client.ask("GET", "/last", version="HTTP/1.0")
        equal(answer.body, b"GET /last", "the last answer")
        client.gone()


def test_chunks_are_not_for_http_1_0():
    answer = answered(head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
                      + chunks(b"one", b"two" * 30000, trailers=["X-T: 1"]),
                      request("GET", "/", "Connection: keep-alive", version="HTTP/1.0"))
    equal((answer.status, answer.body, answer.complete), (200, b"one" + b"two" * 30000, True),
          "the answer")
    check(answer.framing in ("close", "length"), f"framing {answer.framing}")
    equal(answer.all("transfer-encoding"), [], "Transfer-Encoding to an HTTP/1.0 client")


def test_http_1_0_servers():
    """Their connection ends with the answer; the client's goes on."""
    def script(req, link):
        if req.target != "/keep":
            link.close()
            return reply(req.target.encode(), version="HTTP/1.0")
        return reply(b"kept", "Connection: keep-alive", version="HTTP/1.0")
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for target in ("/1", "/2", "/keep", "/keep", "/3", "/4"):
            answer = client.ask("GET", target)
            equal((answer.status, answer.version), (200, "HTTP/1.1"), "the answer")
            check("close" not in answer.options(), f"Connection: {answer.options()}")
        client.ask("GET", "/5", "Connection: close")


def test_a_server_that_closes_leaves_the_client():
    def script(_req, link):
        link.close()
        return reply(b"bye", "Connection: close")
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for _ in range(5):
            answer = client.ask()
            equal((answer.status, answer.body), (200, b"bye"), "the answer")
            check("close" not in answer.options(), f"Connection: {answer.options()}")
        equal(origin.opened, 5, "connections at the server")


harness.main(globals())
