# SPDX-License-Identifier: MIT
"""What a reading of the HTTP mode with an attacker's eyes found: each test once crashed the proxy,
left a session hanging, or lost or misjudged a request."""

import signal
import socket
import threading
import time

from http_peers import (SITE, Client, HttpOrigin, head_of, hello, http_sluice, reply, request,
                        route)
import harness
from harness import HOST, check, equal, wait_until

CHUNKED = head_of("POST / HTTP/1.1", f"Host: {SITE}", "Transfer-Encoding: chunked")


def sized(length, target="/"):
    return head_of(f"POST {target} HTTP/1.1", f"Host: {SITE}", f"Content-Length: {length}")


def fields(count):
    """So many kilobytes of head."""
    return [f"X-{i}: " + "y" * 1000 for i in range(count)]


def runs(sluice):
    check(not sluice.ended(), f"sluice ended with {sluice.status}:\n{sluice.tail()}")


class TightServer:
    """Takes next to nothing: 2 KB of receive buffer, segments of 100 bytes. serve(socket, number)
    is called for each connection, in a thread of its own."""

    def __init__(self, serve=lambda s, number: None):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 100)
        self.listener.bind((HOST, 0))
        self.listener.listen(16)
        self.address = self.listener.getsockname()
        self.serve, self.connections = serve, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(s)
            threading.Thread(target=self.serve, args=(s, len(self.connections) - 1),
                             daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for s in self.connections:
            s.close()


def answer_a_head(s):
    """Reads to the end of a head, and no further."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(200)
    s.sendall(reply())


# ---------------------------------------------------------------------- timers

def test_a_timer_while_the_server_is_given_back():
    """The answer has come in whole, the client takes none of it, and the session's timer fires."""
    body = b"x" * 5000000
    with HttpOrigin(lambda req, link: reply(body)) as origin, \
            http_sluice([origin], listener={"head_timeout": "1s"},
                        proxy={"session_window": "16M", "buffer_memory": "64M"}) as sluice, \
            Client(sluice, receive_buffer=4096) as client:
        client.send(request())
        sluice.wait_count("pool_idle", 1)
        time.sleep(3)
        runs(sluice)
        equal(client.answer().body, body, "the answer")


def test_a_client_that_stays_after_a_504():
    """Lingering ends by its own timer, whatever the answer was for."""
    def script(req, link):
        link.rest()

    with HttpOrigin(script) as origin, \
            http_sluice([origin], upstream={"server_timeout": "500ms"}) as sluice, \
            Client(sluice) as client:
        equal(client.ask().status, 504, "status")
        sluice.wait_count("sessions", 0, seconds=12)


def test_a_client_that_stays_after_a_408():
    with HttpOrigin(strict=False) as origin, \
            http_sluice([origin], listener={"body_min_rate": 1000}) as sluice, \
            Client(sluice, timeout=20) as client:
        client.send(sized(100000) + b"x" * 10)
        equal(client.answer().status, 408, "status")
        sluice.wait_count("sessions", 0, seconds=12)


def test_a_client_may_be_slower_than_servers():
    """server_timeout is for servers: neither a pause in a body nor a slow reader is one."""
    body = b"x" * 20000000
    with HttpOrigin(lambda req, link: reply(body)) as origin, \
            http_sluice([origin], upstream={"server_timeout": "1s"}) as sluice:
        with Client(sluice) as client:
            client.send(sized(20) + b"x" * 10)
            time.sleep(2.5)
            client.send(b"x" * 10)
            equal(client.answer().status, 200, "status behind a pause")
        with Client(sluice, receive_buffer=4096) as client:
            client.send(request())
            time.sleep(2.5)
            equal(len(client.answer().body), len(body), "bytes for a slow reader")


# ----------------------------------------------------------------- while connecting

def full_server():
    """A listener whose backlog is full: to connect takes for ever."""
    listener = socket.create_server((HOST, 0), backlog=0)
    waiting = []
    for _ in range(3):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
        waiting.append(s)
    time.sleep(0.2)
    return listener, waiting


def test_a_bad_body_while_connecting():
    listener, waiting = full_server()
    with http_sluice([listener.getsockname()], upstream={"connect_timeout": "1s"}) as sluice:
        for bad in (b"zz\r\n", b"5\r\nhelloworld", None):
            with Client(sluice) as client:
                client.send(CHUNKED)
                time.sleep(0.3)
                if bad:
                    client.send(bad)
                else:
                    client.half_close()
                client.ends()
                runs(sluice)
    for s in (*waiting, listener):
        s.close()


def test_a_503_leaves_the_connection():
    """Bytes linked behind a connect that fails were not lost, nor was the client's next request."""
    with http_sluice([(HOST, harness.free_port())]) as sluice, Client(sluice) as client:
        client.send(request("GET", "/1") + request("GET", "/2"))
        for _ in range(2):
            answer = client.answer()
            equal((answer.status, answer.options()), (503, []), "status, Connection")
        equal(client.ask("POST", "/3", body=b"x" * 1000).status, 503, "status")


# ------------------------------------------------------------------ early answers

def test_early_answers_before_the_request_is_sent():
    """Of the request a rest lies in the queue when its answer is out; bytes behind the answer are
    nobody's. Then the same client asks again."""
    def script(req, link):
        if req.method != "POST":
            return hello(req, link)
        time.sleep(0.5)
        link.send(reply() + (b"JUNK" if req.target == "/junk" else b""))
        time.sleep(2)
        link.close()
        return None

    again = 0
    for size in (300000, 600000, 900000, 1500000, 2500000):
        for target in ("/", "/junk"):
            with HttpOrigin(script, early=True, strict=False) as origin, http_sluice(
                    [origin], proxy={"session_window": "1M", "buffer_memory": "64M"}) as sluice, \
                    Client(sluice) as client:
                origin.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.s.settimeout(0.4)
                client.try_send(sized(size, target) + b"x" * size)
                client.s.settimeout(harness.STEP_SECONDS)
                if "close" not in client.answer().options():
                    client.alive("/next")
                    again += 1
                runs(sluice)
    check(again > 0, "no request was early and whole")


def test_an_error_behind_an_interim_answer():
    """Who was told to continue is told as well how it ended."""
    def script(req, link):
        link.send(head_of("HTTP/1.1 100 Continue"))
        if req.target == "/reset":
            link.reset()
        elif req.target == "/bad":
            link.send(b"nonsense\r\n\r\n")
        elif req.target in ("/slow", "/chunk"):
            link.rest()
        else:
            link.close()

    wanted = {"/reset": 502, "/close": 502, "/bad": 502, "/slow": 504, "/chunk": 400}
    with HttpOrigin(script, early=True, strict=False) as origin, \
            http_sluice([origin], upstream={"server_timeout": "1s"}) as sluice:
        for target, status in wanted.items():
            with Client(sluice) as client:
                client.send(head_of(f"POST {target} HTTP/1.1", f"Host: {SITE}",
                                    "Expect: 100-continue", "Transfer-Encoding: chunked"))
                time.sleep(0.3)
                client.try_send(b"zz\r\n" if target == "/chunk" else b"0\r\n\r\n")
                equal(client.answer("POST").status, status, target)


def test_a_504_while_the_head_is_being_sent():
    """What was sent of the request is no part of the answer that took its place."""
    with TightServer(lambda s, number: answer_a_head(s)) as server, \
            http_sluice([server.address], listener={"max_head": 65535},
                        upstream={"server_timeout": "500ms"}) as sluice, Client(sluice) as client:
        equal(client.ask("POST", "/", body=b"x" * 40000).status, 200, "status")
        sluice.wait_count("pool_idle", 1)
        equal(client.ask("GET", "/", *fields(63)).status, 504, "status")
        runs(sluice)


def test_nothing_pipelined_is_lost_when_a_request_is_sent_again():
    """The used connection ends in the middle of a request; behind it there is another one."""
    reset_it = threading.Event()

    def serve(s, number):
        answer_a_head(s)
        if number == 0:
            reset_it.wait(5)
            harness.reset(s)
            return
        answer_a_head(s)

    with TightServer(serve) as server, \
            http_sluice([server.address], listener={"max_head": 65535}) as sluice, \
            Client(sluice) as client:
        equal(client.ask("POST", "/", body=b"x" * 40000).status, 200, "status")
        sluice.wait_count("pool_idle", 1)
        client.send(request("GET", "/a", *fields(60)) + request("GET", "/b"))
        time.sleep(0.5)
        reset_it.set()
        if "close" not in client.answer().options():
            equal(client.answer().status, 200, "status of the second")
        else:
            client.gone()


# ------------------------------------------------------------------------- routes

def test_a_cut_body_for_a_route_that_answers():
    """The whole of it, and its end, in one turn."""
    with http_sluice([(HOST, 9)], text=route("hello", path="/hello", respond="200 hi")) as sluice:
        for _ in range(5):
            with Client(sluice) as client:
                client.alive("/hello")
                sluice.signal(signal.SIGSTOP)
                client.send(sized(10, "/hello") + b"abc").half_close()
                sluice.signal(signal.SIGCONT)
                client.ends()
            time.sleep(0.1)
            runs(sluice)


def test_long_answers_of_routes():
    text = (route("away", path="/away/*", redirect="308 http://elsewhere.test{path}") +
            route("hello", path="/hello", respond="200 hi",
                  add_response_header="Content-Security-Policy: " + "a" * 700))
    with http_sluice([(HOST, 9)], text=text) as sluice:
        for length in range(300, 520, 10):
            with Client(sluice) as client:
                status = client.ask("GET", "/away/" + "x" * length).status
                check(status in (308, 414), f"status {status} for {length} bytes")
        with Client(sluice) as client:
            answer = client.ask("GET", "/hello")
            equal(len(answer.get("Content-Security-Policy")), 700, "an added field")
            equal(answer.body, b"hi", "body")


# ------------------------------------------------------------------------- memory

def test_framing_that_takes_every_slice():
    """Bytes that do not go on, each in a slice of its own, until the window is full of them."""
    bodies = (b"5;" + b"e" * 60 + b"\r\nhello\r\n0\r\n\r\n",
              b"5\r\nhello\r\n0\r\nX-T: " + b"t" * 60 + b"\r\n\r\n")
    with HttpOrigin(strict=False) as origin, http_sluice([origin]) as sluice:
        for body in bodies:
            with Client(sluice) as client:
                client.send(CHUNKED)
                time.sleep(0.1)
                client.pieces(body, 1, 0.005)
                equal(client.answer().status, 200, "status")


def test_a_small_window_takes_a_large_head():
    """The large slice that a head is gathered in is more than twice the window."""
    def script(req, link):
        data = reply(b"hello", *fields(28))
        link.send(data[:17000])
        time.sleep(0.3)
        link.send(data[17000:])

    with HttpOrigin(script) as origin, \
            http_sluice([origin], proxy={"session_window": "64K"}) as sluice, \
            Client(sluice) as client:
        data = request("GET", "/", *fields(28))
        client.send(data[:17000])
        time.sleep(0.3)
        client.send(data[17000:])
        answer = client.answer()
        equal((answer.status, answer.body), (200, b"hello"), "status, body")


def test_heads_that_are_held_keep_no_answer_out():
    """More requests in flight, over used connections, than there are slices."""
    gate = threading.Event()
    count = 200

    def script(req, link):
        gate.wait(20)
        return reply()

    with HttpOrigin(script) as origin, http_sluice([origin],
                                                   proxy={"buffer_memory": "2M"}) as sluice:
        clients = [Client(sluice) for _ in range(count)]
        for turn in (1, 2):
            gate.clear()
            for client in clients:
                client.send(request())
            wait_until(lambda wanted=turn * count: len(origin.requests) == wanted or gate.is_set(),
                       lambda: f"{len(origin.requests)} requests at the server")
            gate.set()
            for client in clients:
                equal(client.answer().status, 200, "status")
        for client in clients:
            client.close()


def test_unfinished_heads_hold_no_memory():
    """Three hundred clients that sent a byte each, on memory for a hundred: others are served."""
    with HttpOrigin() as origin, \
            http_sluice([origin], proxy={"buffer_memory": "2M"}) as sluice:
        slow = [Client(sluice) for _ in range(300)]
        for client in slow:
            client.send(b"G")
        with Client(sluice) as client:
            for _ in range(20):
                client.alive()
        for client in slow:
            client.send(b"ET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in slow:
            equal(client.answer().status, 200, "a head that was finished late")
            client.close()


def test_a_refused_head_request_gets_no_body():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        got, how = client.ends()
        check(got.startswith(b"HTTP/1.1 400 ") and got.endswith(b"\r\n\r\n") and how == "eof",
              f"{got!r}, {how}")


harness.main(globals())
