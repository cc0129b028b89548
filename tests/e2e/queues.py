# SPDX-License-Identifier: MIT
"""Sessions and requests that wait for a place at a server: order, limits, leaving, and the end."""

import os
import select
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
import origins
from harness import Sluice, check, ending, equal, exchange, pattern, reset, wait_until, written
from http_peers import Client, HttpOrigin, http_sluice, reply, request
from origins import EchoLoop, Origin, Places, Refuser

TWO = {"workers": 2, "accept": "round_robin"}
ONE_PLACE = {"queue": 10, "queue_timeout": "20s"}


def limited(origin, most, options=""):
    return f"{written(origin.address)} max_sessions={most} {options}"


def first_bytes(order):
    """Notes the first byte of each session, and echoes."""
    def handler(connection):
        data = connection.recv(1)
        order.append(data.decode())
        connection.sendall(data)
        return origins.echo(connection)
    return handler


def waiting(sluice, letters):
    """Sessions that wait, in this order."""
    sessions = []
    start = int(sluice.count("queued"))
    for letter in letters:
        s = sluice.connect()
        s.sendall(letter.encode())
        sessions.append(s)
        sluice.wait_count("queued", start + len(sessions))
    return sessions


def crowd(count, function):
    """Calls function(n) in so many threads; none may fail."""
    errors = []

    def one(number):
        try:
            function(number)
        except (OSError, harness.Failure) as error:
            errors.append(error)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(40)
    equal(errors, [], "errors of clients")


def told(sluice):
    """One too many hears of it, perhaps before connect() returns."""
    try:
        with sluice.connect() as s:
            check(ending(s, 3)[1] != "open", "one too many was not told")
    except ConnectionResetError:
        pass


def served(s, letter):
    equal(harness.receive_exactly(s, 1), letter.encode(), "the answer")
    s.close()


# -------------------------------------------------------------------------- sessions

def test_served_in_order():
    """And a newcomer that is there before the place is free goes behind all of them."""
    order = []
    with Origin(first_bytes(order)) as origin, \
            Sluice([limited(origin, 1)], upstream=ONE_PLACE) as sluice:
        holder = sluice.connect()
        exchange(holder, b"0")
        sessions = waiting(sluice, "12345")
        holder.close()
        newcomer = sluice.connect()
        newcomer.sendall(b"6")
        for letter, s in zip("123456", [*sessions, newcomer]):
            served(s, letter)
        now = sluice.at_rest()
        equal(order, list("0123456"), "the order at the server")
        check(now["queued_total"] in (5, 6), f"queued_total {now['queued_total']}")
        equal((now["queued"], now.closes()), (0, {"CLIENT_FINISHED": 7}), "at the end")


def test_no_overtaking():
    """While some wait, places come and go and newcomers come all the time: still the order."""
    order = []
    letters = [chr(ord("A") + n) for n in range(40)]
    with Origin(first_bytes(order)) as origin, \
            Sluice([limited(origin, 2)], upstream={**ONE_PLACE, "queue": 100}) as sluice:
        sessions = []
        for letter in letters:
            s = sluice.connect()
            s.sendall(letter.encode())
            sessions.append(s)
            if len(sessions) > 6:
                served(sessions[len(sessions) - 7], letters[len(sessions) - 7])
        for letter, s in list(zip(letters, sessions))[-6:]:
            served(s, letter)
        sluice.at_rest()
    # Two at a time: their threads may note them in either order.
    for at, letter in enumerate(order):
        check(abs(letters.index(letter) - at) <= 1, f"the order at the server: {''.join(order)}")


def test_a_full_queue():
    with EchoLoop() as origin, \
            Sluice([limited(origin, 1)], upstream={**ONE_PLACE, "queue": 2}, proxy=TWO) as sluice:
        holder = sluice.connect()
        exchange(holder)
        sessions = waiting(sluice, "ab")
        for _ in range(4):
            told(sluice)
        holder.close()
        letters = dict(zip(sessions, "ab"))
        while letters:  # of two workers, either may be first
            for s in select.select(letters, [], [], 5)[0]:
                served(s, letters.pop(s))
        now = sluice.at_rest()
        equal(now.closes(), {"SERVERS_FULL": 4, "CLIENT_FINISHED": 3}, "reasons")
        equal((now["queued"], now["queued_total"]), (0, 2), "queued, queued_total")


def test_waiting_too_long():
    with EchoLoop() as origin, Sluice([limited(origin, 1)], proxy=TWO, upstream={
            "queue": 10, "queue_timeout": "400ms"}) as sluice:
        holder = sluice.connect()
        exchange(holder)
        started = time.monotonic()
        sessions = [sluice.connect() for _ in range(4)]
        for s in sessions:
            check(ending(s, 5)[1] != "open", "the client was not told")
            s.close()
        spent = time.monotonic() - started
        check(0.35 < spent < 3, f"queue_timeout took {spent:.2f} s")
        exchange(holder)
        holder.close()
        now = sluice.at_rest()
        equal(now.closes(), {"QUEUE_TIMEOUT": 4, "CLIENT_FINISHED": 1}, "reasons")
        equal((now["queued"], now["queued_total"]), (0, 4), "queued, queued_total")


def test_leaving():
    """A client that goes away frees its place in the queue, and nobody is dialled for it."""
    order = []
    with Origin(first_bytes(order)) as origin, \
            Sluice([limited(origin, 1)], upstream={**ONE_PLACE, "queue": 3}) as sluice:
        holder = sluice.connect()
        exchange(holder, b"0")
        one, two, three = waiting(sluice, "123")
        reset(two)
        sluice.wait_count("queued", 2, 3)
        four, = waiting(sluice, "4")
        reset(one)
        sluice.wait_count("queued", 2, 3)
        holder.close()
        served(three, "3")
        served(four, "4")
        now = sluice.at_rest()
        equal(order, list("034"), "the order at the server")
        equal(now.closes(), {"CLIENT_RESET": 2, "CLIENT_FINISHED": 3}, "reasons")


def test_bytes_that_wait_too():
    """What a client sent, and its end, while it waited: all of it arrives."""
    data = pattern(3 << 20)
    with Origin(origins.sink) as origin, \
            Sluice([limited(origin, 1)], upstream=ONE_PLACE) as sluice:
        holder = sluice.connect()
        wait_until(lambda: origin.seen, "no session")
        s = sluice.connect()
        sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(1)), daemon=True)
        sender.start()
        sluice.wait_count("queued", 1)
        time.sleep(0.2)
        check(sluice.count("client_bytes") < len(data), "all of it was taken, for no server")
        holder.close()
        equal(ending(s), (b"", "eof"), "the end")
        sender.join(5)
        total, _, how = origin.wait_results(2)[1]
        equal((total, how), (len(data), "eof"), "at the server")


def test_over_two_workers():
    """Places that one worker frees are used by the other too, and never more than there are."""
    places = Places()

    def handler(connection):
        with places:
            data = connection.recv(100)
            time.sleep(0.005)
            connection.sendall(data)
            equal(connection.recv(1), b"", "the end")

    def client(_number):
        for _ in range(8):
            with sluice.connect() as s:
                exchange(s)
    with Origin(handler) as one, Origin(handler) as two, \
            Sluice([limited(one, 2), limited(two, 1)], proxy=TWO,
                   upstream={**ONE_PLACE, "queue": 100}) as sluice:
        crowd(12, client)
        now = sluice.at_rest()
        equal((now["queued"], now.closes()), (0, {"CLIENT_FINISHED": 96}), "at the end")
        check(now["queued_total"] >= 20, f"queued_total {now['queued_total']}")
        check(all(now["queued_total"].workers), "a worker's sessions never waited")
        # The server sees its end a moment after the place is free.
        check(places.most <= 4, f"{places.most} sessions at the servers")


def test_a_place_that_another_worker_frees():
    """One session of each worker: who waits in one is served when the other's ends."""
    with EchoLoop() as origin, Sluice([limited(origin, 1)], proxy=TWO,
                                      upstream=ONE_PLACE) as sluice:
        for _ in range(3):
            holder = sluice.connect()
            exchange(holder)
            s, = waiting(sluice, "a")
            equal(sorted(sluice.count("sessions").workers), [1, 1], "sessions of the workers")
            holder.close()
            started = time.monotonic()
            served(s, "a")
            check(time.monotonic() - started < 1, "the place was found late")
            sluice.wait_count("sessions", 0)


def test_in_order_over_two_workers():
    """Who waits in the worker that frees the place does not overtake who waits longer in the other
    one; and who is new in a worker where nobody waits does not overtake either."""
    order = []
    with Origin(first_bytes(order)) as origin, Sluice([limited(origin, 1)], proxy=TWO,
                                                      upstream=ONE_PLACE) as sluice:
        holder = sluice.connect()
        holder.sendall(b"0")
        wait_until(lambda: order == ["0"], "the holder is served")
        # Sessions go to the workers in turn; between two of them the clock moves on.
        sessions = [waiting(sluice, letter)[0] for letter in "abcdefgh" if not time.sleep(0.01)]
        holder.close()
        for s, letter in zip(sessions, "abcdefgh"):
            served(s, letter)
        equal("".join(order), "0abcdefgh", "the order of service")
        check(int(sluice.count("queue_nudges")) >= 4, "no worker told the other of a place")


# ------------------------------------------------------------------ servers that go

def test_when_no_server_is_left():
    """Those that wait are told as soon as no server is fit any more."""
    holders = []
    with Origin(lambda c: holders.append(c) or origins.echo(c)) as origin, \
            Sluice([limited(origin, 1)], upstream={
                **ONE_PLACE, "health": "tcp", "health_interval": "100ms", "health_fall": 1,
                "health_timeout": "300ms"}) as sluice:
        holder = sluice.connect()
        exchange(holder)
        sessions = waiting(sluice, "ab")
        origin.ending = True
        origin.socket.shutdown(2)  # nobody listens any more; the session goes on
        origin.socket.close()
        for s in sessions:
            check(ending(s, 5)[1] != "open", "the client still waits")
        exchange(holder, b"still here")
        holder.close()
        equal(sluice.at_rest().closes(), {"NO_SERVER": 2, "CLIENT_FINISHED": 1}, "reasons")


def test_a_failed_connection_lets_the_next_in():
    """A server that refuses does not keep its place, and its queue moves on."""
    with Refuser() as refuser, Sluice([limited(refuser, 1)], upstream={
            **ONE_PLACE, "queue": 100, "eject_after": 0}) as sluice:
        crowd(20, lambda _n: told(sluice))
        equal(sluice.at_rest().closes(), {"CONNECT_REFUSED": 20}, "reasons")


def test_draining_serves_those_who_wait():
    """A second signal ends them."""
    for again in (False, True):
        with EchoLoop() as origin, Sluice([limited(origin, 1)], upstream=ONE_PLACE) as sluice:
            holder = sluice.connect()
            exchange(holder)
            s, = waiting(sluice, "a")
            sluice.signal(signal.SIGTERM)
            time.sleep(0.2)
            if again:
                sluice.signal(signal.SIGTERM)
                check(ending(s, 3)[1] != "open", "the client still waits")
                sluice.wait()
            else:
                exchange(holder)
                holder.close()
                served(s, "a")
                equal(sluice.wait(), 0, "exit status")


# ------------------------------------------------------------------------- requests

class Gate(HttpOrigin):
    """/wait is answered when the gate opens; the rest at once."""

    def __init__(self):
        self.gate = threading.Event()
        super().__init__(self.answer, strict=False)

    def answer(self, req, _link):
        if req.target == "/wait":
            self.gate.wait(20)
        return reply(req.target.encode())


def test_requests_in_order_and_one_too_many():
    """A place is a request's, not a connection's: kept connections take none."""
    with Gate() as server, http_sluice([limited(server, 1)],
                                       upstream={**ONE_PLACE, "queue": 3}) as sluice:
        clients = [Client(sluice) for _ in range(5)]
        for client in clients:
            equal(client.ask().status, 200, "one after the other, none waits")
        equal(sluice.count("queued_total"), 0, "queued_total")
        clients[0].send(request("GET", "/wait"))
        server.wait_requests(6)
        for n, client in enumerate(clients[1:4], 1):
            client.send(request("POST", f"/{n}", body=b"x" * 5000))
            sluice.wait_count("queued", n)
        got = clients[4].ask()
        check(got.status == 503 and b"max_sessions" in got.body, f"one too many: {got.body}")
        server.gate.set()
        equal([c.answer().body for c in clients[:4]], [b"/wait", b"/1", b"/2", b"/3"], "answers")
        equal([r.target for r in server.requests[6:]], ["/1", "/2", "/3"], "the order")
        clients[1].alive()
        for client in clients:
            client.close()
        now = sluice.at_rest()
        equal((now["queued"], now["queued_total"], now["http_own_503"]), (0, 3, 1), "counters")


def test_a_request_of_the_same_turn_does_not_overtake():
    """The end of the holder's request and a newcomer's are seen at once, since sluice was stopped:
    the place is that of the request that waits."""
    with Gate() as server, http_sluice([limited(server, 1)], upstream=ONE_PLACE) as sluice:
        holder, waits, comes = (Client(sluice) for _ in range(3))
        for client in (holder, waits, comes):
            client.alive()
        for turn in range(3):
            before = len(server.requests)
            server.gate.clear()
            holder.send(request("GET", "/wait"))
            server.wait_requests(before + 1)
            waits.send(request("GET", f"/waits/{turn}"))
            sluice.wait_count("queued", 1)
            sluice.signal(signal.SIGSTOP)
            server.gate.set()
            time.sleep(0.1)  # the answer is in sluice's socket before the newcomer's request
            comes.send(request("GET", f"/comes/{turn}"))
            time.sleep(0.1)
            sluice.signal(signal.SIGCONT)
            for client in (holder, waits, comes):
                equal(client.answer().status, 200, "status")
            equal([r.target for r in server.requests[before + 1:]],
                  [f"/waits/{turn}", f"/comes/{turn}"], "the order at the server")
        for client in (holder, waits, comes):
            client.close()


def test_requests_that_wait_too_long():
    with Gate() as server, http_sluice([limited(server, 1)], upstream={
            "queue": 10, "queue_timeout": "300ms"}) as sluice, Client(sluice) as holder:
        holder.send(request("GET", "/wait"))
        server.wait_requests(1)
        started = time.monotonic()
        with Client(sluice) as late:
            got = late.ask()
            equal(got.status, 503, "status")
            check(0.25 < time.monotonic() - started < 3, "queue_timeout is not kept")
            check(b"within queue_timeout" in got.body, f"the answer says {got.body}")
            server.gate.set()
            equal(holder.answer().status, 200, "who had the place")
            late.alive()
        holder.close()
        now = sluice.at_rest()
        equal((now["queued"], now["http_own_503"], len(server.requests)), (0, 1, 2), "counters")


def test_requests_of_clients_that_leave():
    with Gate() as server, http_sluice([limited(server, 1)],
                                       upstream={**ONE_PLACE, "queue": 1}) as sluice:
        with Client(sluice) as holder:
            holder.send(request("GET", "/wait"))
            server.wait_requests(1)
            for _ in range(3):
                client = Client(sluice)
                client.send(request("GET", "/gone"))
                sluice.wait_count("queued", 1)
                reset(client.s)
                sluice.wait_count("queued", 0, 3)
            last = Client(sluice).send(request("GET", "/last"))
            sluice.wait_count("queued", 1)
            server.gate.set()
            equal((holder.answer().status, last.answer().body), (200, b"/last"), "answers")
            last.close()
        equal([r.target for r in server.requests], ["/wait", "/last"], "requests at the server")
        equal(sluice.at_rest()["queued"], 0, "queued")


def test_many_requests_over_two_workers():
    places = Places()

    def script(req, _link):
        with places:
            time.sleep(0.003)
        return reply(req.target.encode())

    def client(number):
        with Client(sluice) as c:
            for n in range(10):
                got = c.ask("GET", f"/{number}/{n}")
                equal((got.status, got.body), (200, f"/{number}/{n}".encode()), "answer")
    with HttpOrigin(script) as one, HttpOrigin(script) as two, \
            http_sluice([limited(one, 1), limited(two, 1)], proxy=TWO,
                        upstream={**ONE_PLACE, "queue": 100}) as sluice:
        crowd(10, client)
        now = sluice.at_rest()
        equal(now["queued"], 0, "queued")
        check(now["queued_total"] >= 10 and places.most <= 2,
              f"{now['queued_total']} waited, {places.most} at a time")


harness.main(globals())
