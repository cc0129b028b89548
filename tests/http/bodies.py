# SPDX-License-Identifier: MIT
"""Bodies on their way: large, slow, in pieces, cut short, and answered before they are whole."""

import hashlib
import socket
import threading
import time

import http_peers
from http_peers import (Client, HttpOrigin, chunks, head_of, http_sluice, lower, one_answer, reply,
                        request, split)
import harness
from harness import check, equal, pattern, wait_until

SIZES = (64 << 10, 1 << 20, 20 << 20)


def sizes():
    return SIZES if harness.full_size() else SIZES[:2] + (4 << 20,)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def pumped(s, data):
    """Sends in a thread, so that this one can read."""
    def work():
        try:
            s.sendall(data)
        except OSError:
            pass
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


# ------------------------------------------------------------------------ large ones

def test_large_uploads():
    def script(req, _link):
        return reply(digest(req.body).encode())
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for size in sizes():
            body = pattern(size)
            answer = client.ask("POST", "/length", body=body)
            equal(answer.body.decode(), digest(body), f"digest of {size} bytes up")
            client.send(head_of("PUT /chunked HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
            client.send(chunks(*split(body, 9973)))
            equal(client.answer("PUT").body.decode(), digest(body), f"{size} bytes in chunks up")
        equal(origin.opened, 1, "connections at the server")


def test_large_downloads():
    bodies = {f"/{size}": pattern(size) for size in sizes()}

    def script(req, link):
        body = bodies[req.target]
        if req.get("x-how") == "length":
            return reply(body)
        if req.get("x-how") == "chunked":
            return head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") \
                + chunks(*split(body, 30011))
        link.send(head_of("HTTP/1.1 200 OK") + body)
        return link.close()
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        for target, body in bodies.items():
            for how in ("length", "chunked", "close"):
                with Client(sluice) as client:
                    answer = client.ask("GET", target, "X-How: " + how)
                    check(answer.complete, f"{target} by {how} is cut after {len(answer.body)}")
                    equal(digest(answer.body), digest(body), f"{target} by {how}")


def test_large_bodies_both_ways_at_once():
    """A server that echoes while it reads."""
    size = 1 << 20

    def script(req, link):
        link.send(head_of("HTTP/1.1 200 OK", f"Content-Length: {req.length}"))
        left = req.length
        while left:
            part = link.stream.exactly(min(left, 10000))
            link.send(part)
            left -= len(part)
        req.complete = True
    body = pattern(size)
    with HttpOrigin(script, early=True) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        sender = pumped(client.s, request("POST", "/echo", body=body))
        answer = client.answer("POST")
        equal(digest(answer.body), digest(body), "the echo")
        sender.join(harness.STEP_SECONDS)


def test_a_slow_reader_gets_everything():
    body = pattern(3 << 20)
    with HttpOrigin(lambda r, l: reply(body)) as origin, http_sluice([origin]) as sluice, \
            Client(sluice, receive_buffer=8192) as client:
        client.send(request())
        time.sleep(0.5)
        answer = client.answer()
        equal(digest(answer.body), digest(body), "the body")
        equal(origin.opened, 1, "connections")


# ------------------------------------------------------------------------ in pieces

def test_requests_byte_by_byte():
    chunked = head_of("POST /c HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") \
        + chunks(b"hello", b"world!", trailers=["X-T: 1"])
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.pieces(request("GET", "/byte?a=b", "X-A: b"))
        equal(client.answer().body, b"GET /byte?a=b", "GET")
        client.pieces(request("POST", "/p", body=b"hello world"))
        equal(client.answer("POST").status, 200, "POST")
        equal(origin.last().body, b"hello world", "the body")
        client.pieces(chunked)
        equal(client.answer("POST").status, 200, "chunked POST")
        equal((origin.last().body, lower(origin.last().trailers)), (b"helloworld!", [("x-t", "1")]),
              "the chunked body")
        for size in (2, 3, 7, 11):
            client.pieces(chunked + request("GET", "/tail"), size, 0.001)
            equal(client.answer("POST").status, 200, f"pieces of {size}")
            equal(client.answer().body, b"GET /tail", f"behind pieces of {size}")


def test_answers_byte_by_byte():
    answers = {
        "/length": reply(b"hello world", "X-A: b"),
        "/chunked": head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
        + chunks(b"hello", b" ", b"world", trailers=["X-T: 1"]),
        "/interim": head_of("HTTP/1.1 103 Early Hints", "Link: </x>") + reply(b"hello world"),
    }
    with HttpOrigin(lambda r, l: l.pieces(answers[r.target])) as origin, \
            http_sluice([origin]) as sluice, Client(sluice) as client:
        for target in answers:
            answer = client.ask("GET", target, "TE: trailers", "Connection: TE")
            equal((answer.status, answer.body), (200, b"hello world"), target)
        equal(origin.opened, 1, "connections at the server")


def test_chunks_of_every_size():
    """Chunk lines fall on every place of a buffer."""
    parts = [pattern(n, n) for n in (1, 15, 16, 17, 255, 256, 4095, 4096, 4097, 16383, 16384,
                                     16385, 65535, 65536)] + [b"x"] * 500
    whole = b"".join(parts)

    def script(req, _link):
        equal(digest(req.body), digest(whole), "the body at the server")
        return head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunks(*parts)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        for lead in range(0, 40, 13):
            client.send(head_of("POST / HTTP/1.1", "Host: a", "X-Lead: " + "l" * lead,
                                "Transfer-Encoding: chunked") + chunks(*parts))
            equal(digest(client.answer("POST").body), digest(whole), "the body at the client")
        equal(origin.opened, 1, "connections at the server")


def test_a_body_is_not_buffered_whole():
    """What a slow client has sent is at the server before the rest comes, and the same back."""
    first = threading.Event()

    def script(req, link):
        equal(link.stream.exactly(5), b"first", "the first half")
        first.set()
        link.send(head_of("HTTP/1.1 200 OK", "Content-Length: 10") + b"12345")
        link.stream.exactly(req.length - 5)
        req.complete = True
        return b"67890"
    with HttpOrigin(script, early=True) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        client.send(request("POST", "/", "Content-Length: 11") + b"first")
        check(first.wait(harness.STEP_SECONDS), "the first half of the body is not at the server")
        wait_until(lambda: b"12345" in client.stream.buffer or client.stream.more(),
                   "the first half of the answer is not at the client")
        client.send(b"second")
        equal(client.answer("POST").body, b"1234567890", "the answer")
        equal(origin.opened, 1, "connections")


# ------------------------------------------------------------------------ cut short

def cut(data, how="close"):
    def script(_req, link):
        link.send(data)
        time.sleep(0.05)
        return link.reset() if how == "reset" else link.close()
    return script


def test_a_cut_answer_is_no_whole_one():
    """Whatever the form, the client can tell that the end is missing."""
    chunked = head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    for data in (head_of("HTTP/1.1 200 OK", "Content-Length: 100") + b"only this",
                 chunked + b"5\r\nhello\r\n", chunked + b"64\r\nonly this",
                 chunked + b"5\r\nhello\r\n0\r\n", chunked + b"5\r\nhello\r\n0\r\nX-T: 1\r\n"):
        for how in ("close", "reset"):
            with HttpOrigin(cut(data, how)) as origin, http_sluice([origin]) as sluice, \
                    Client(sluice) as client:
                answer = client.ask()
                check(answer.status in (200, 502), f"status {answer.status}")
                if answer.status == 200:
                    check(not answer.complete, f"{data[-30:]!r} ({how}) became a whole answer")
                    check(b"hello".startswith(answer.body) or b"only this".startswith(answer.body),
                          f"the body {answer.body!r}")


def test_a_cut_answer_for_http_1_0():
    """Without chunks, only a reset can tell an HTTP/1.0 client."""
    data = head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n"
    with HttpOrigin(cut(data)) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        answer = client.ask("GET", "/", version="HTTP/1.0")
        check(answer.status == 502 or not answer.complete, "a cut answer ended cleanly")


def test_a_cut_request_is_no_whole_one():
    for data in (request("POST", "/cut", "Content-Length: 100") + b"only this",
                 head_of("POST /cut HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
                 + b"5\r\nhello\r\n"):
        for how in ("eof", "reset"):
            with HttpOrigin() as origin, http_sluice([origin]) as sluice:
                client = Client(sluice)
                client.send(data)
                wait_until(lambda o=origin: o.bytes > 0, "nothing is at the server")
                time.sleep(0.1)
                if how == "reset":
                    harness.reset(client.s)
                else:
                    client.close()
                wait_until(lambda o=origin: o.links[0].ended, "the server's connection goes on")
                check(not origin.requests or not origin.requests[0].complete, "a whole request")
                http_peers.canary(sluice, origin, how)


def test_a_client_that_leaves_while_he_waits():
    """The server's answer to him must not be someone else's."""
    def script(req, link):
        if req.target == "/slow":
            time.sleep(0.4)
        return http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        for how in (harness.reset, socket.socket.close):
            client = Client(sluice)
            count = len(origin.requests)
            client.send(request("GET", "/slow"))
            origin.wait_requests(count + 1)
            how(client.s)
            for i in range(3):
                http_peers.canary(sluice, origin, f"left-{i}")
            time.sleep(0.5)
            http_peers.canary(sluice, origin, "left-last")


def test_a_half_closed_client_gets_his_answer():
    with HttpOrigin(lambda r, l: time.sleep(0.2) or reply(b"after the end")) as origin, \
            http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(request())
        client.half_close()
        equal(client.answer().body, b"after the end", "the answer")
        client.gone()
        equal(origin.opened, 1, "connections")


# ------------------------------------------------------- answers before the body's end

def early_answer(answer, then="rest"):
    """Answers a POST when its head is there; then reads on, closes or resets."""
    def script(req, link):
        if req.method != "POST":
            return http_peers.hello(req, link)
        link.send(answer)
        if then == "reset":
            time.sleep(0.2)
            return link.reset()
        return link.close() if then == "close" else link.rest()
    return script


def test_early_answers_reach_the_client():
    """While he still sends: 413 and an end, from a server that reads on, closes, or resets."""
    answer = reply(b"too much", status="413 Content Too Large")
    for then in ("rest", "close", "reset"):
        with HttpOrigin(early_answer(answer, then), early=True, strict=False) as origin, \
                http_sluice([origin]) as sluice:
            with Client(sluice) as client:
                client.send(request("POST", "/", "Content-Length: 1000000") + b"x" * 1000)
                got = client.answer("POST")
                equal((got.status, got.body), (413, b"too much"), f"the early answer ({then})")
                for _ in range(20):
                    if not client.try_send(b"y" * 1000):
                        break
            http_peers.canary(sluice, origin, then)
            check(origin.requests[-1].connection is not origin.requests[0].connection,
                  "a connection with an open body was used again")


def test_early_answers_to_large_bodies():
    """The client sends all he has before he reads: he must not lose the answer to a reset."""
    body = pattern(1 << 20)
    for then in ("rest", "close"):
        with HttpOrigin(early_answer(reply(b"no", status="403 Forbidden"), then), early=True) \
                as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
            client.try_send(request("POST", "/", body=body))
            time.sleep(0.2)
            got = client.answer("POST")
            equal((got.status, got.body), (403, b"no"), f"the early answer ({then})")
            equal(origin.requests[0].target, "/", "the request")


def test_an_early_answer_that_takes_long():
    """Both bodies are under way for a while; both arrive whole."""
    def script(req, link):
        link.send(head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"5\r\nearly\r\n")
        body = req.read_body()
        return chunks(digest(body).encode())
    body = pattern(300000)
    with HttpOrigin(script, early=True) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        client.send(request("POST", "/", f"Content-Length: {len(body)}"))
        for part in split(body, 100000):
            client.send(part)
            time.sleep(0.1)
        equal(client.answer("POST").body, b"early" + digest(body).encode(), "the answer")
        equal(origin.requests[0].complete, True, "the request")


def test_one_answer_per_connection_is_enough():
    """Many clients at once, each with an answer of his own."""
    with HttpOrigin() as origin, http_sluice([origin], proxy={"workers": 2}) as sluice:
        wrong = []

        def work(number):
            try:
                with Client(sluice) as client:
                    for i in range(30):
                        target = f"/{number}/{i}"
                        if client.ask("GET", target).body != f"GET {target}".encode():
                            wrong.append(target)
            except harness.Failure as error:
                wrong.append(str(error))
        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(harness.TEST_SECONDS / 2)
        equal(wrong, [], "wrong answers")
        equal(len(origin.requests), 16 * 30, "requests at the server")
        equal(one_answer(sluice, request()).status, 200, "status")


harness.main(globals())
