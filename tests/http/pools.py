# SPDX-License-Identifier: MIT
"""Connections to servers: kept, reused, limited, found stale, and never between two clients."""

import signal
import threading
import time

import http_peers
from http_peers import Client, HttpOrigin, http_sluice, one_answer, reply, request
import harness
from harness import check, equal, wait_until
import origins


def busy(client_count, sluice, origin, events):
    """So many requests at once, each on a server connection of its own, held by the events."""
    clients = []
    for i in range(client_count):
        client = Client(sluice)
        client.send(request("GET", f"/hold/{i}"))
        clients.append(client)
        origin.wait_requests(i + 1)
    check(all(not e.is_set() for e in events), "an event came early")
    return clients


def holding(events):
    def script(req, link):
        if req.target.startswith("/hold/"):
            events[int(req.target[6:])].wait(harness.STEP_SECONDS)
        return http_peers.hello(req, link)
    return script


def release(clients, events):
    for i, (client, event) in enumerate(zip(clients, events)):
        event.set()
        equal(client.answer().body, f"GET /hold/{i}".encode(), "an answer")
        client.close()


def test_the_newest_is_reused_first():
    events = [threading.Event() for _ in range(4)]
    with HttpOrigin(holding(events)) as origin, http_sluice([origin]) as sluice:
        clients = busy(4, sluice, origin, events)
        equal(origin.opened, 4, "connections for 4 requests at once")
        release(clients, events)
        time.sleep(0.1)
        for i in range(5):
            http_peers.canary(sluice, origin, str(i))
            equal(origin.requests[-1].connection.number, 3, "the connection that came back last")


def test_pool_idle():
    with HttpOrigin() as origin, http_sluice([origin], upstream={"pool_idle": "500ms"}) as sluice:
        http_peers.canary(sluice, origin, "first")
        started = time.monotonic()
        wait_until(lambda: origin.links[0].ended, "the idle connection is still open")
        spent = time.monotonic() - started
        check(0.3 <= spent <= 5, f"the idle connection ended after {spent:.2f} s instead of 0.5")
        http_peers.canary(sluice, origin, "second")
        equal(origin.opened, 2, "connections")


def test_pool_max():
    events = [threading.Event() for _ in range(6)]
    with HttpOrigin(holding(events)) as origin, \
            http_sluice([origin], upstream={"pool_max": 2}) as sluice:
        clients = busy(6, sluice, origin, events)
        release(clients, events)
        wait_until(lambda: len(origin.live()) == 2,
                   lambda: f"{len(origin.live())} idle connections, not 2")
        for i in range(6):
            http_peers.canary(sluice, origin, str(i))
        equal(origin.opened, 6, "connections in all")


def sequence(sluice, origin, clients, requests):
    for i in range(clients):
        with Client(sluice) as client:
            for j in range(requests):
                equal(client.ask("GET", f"/{i}/{j}").body, f"GET /{i}/{j}".encode(), "an answer")
        time.sleep(0.03)
    equal(len(origin.requests), clients * requests, "requests at the server")


def test_pool_off():
    with HttpOrigin() as origin, http_sluice([origin], upstream={"pool": "off"}) as sluice:
        sequence(sluice, origin, 2, 4)
        equal(origin.opened, 8, "connections for 8 requests")
        wait_until(lambda: not origin.live(), "connections are kept")


def test_pool_client():
    """One set per client: his next request goes the same way, another's never does."""
    with HttpOrigin() as origin, http_sluice([origin], upstream={"pool": "client"}) as sluice:
        sequence(sluice, origin, 3, 4)
        equal(origin.opened, 3, "connections for 3 clients")
        owners = {(r.connection.number, r.target.split("/")[1]) for r in origin.requests}
        equal(len(owners), 3, "clients and connections")
        wait_until(lambda: not origin.live(), "connections outlive their clients")


def test_pool_worker():
    with HttpOrigin() as origin, http_sluice([origin], upstream={"pool": "worker"}) as sluice:
        sequence(sluice, origin, 5, 3)
        equal(origin.opened, 1, "connections of one worker")
    with HttpOrigin() as origin, http_sluice(
            [origin], proxy={"workers": 3, "accept": "round_robin"},
            upstream={"pool": "worker"}) as sluice:
        sequence(sluice, origin, 12, 2)
        equal(origin.opened, 3, "connections of three workers")


def test_pool_shared():
    with HttpOrigin() as origin, http_sluice(
            [origin], proxy={"workers": 3, "accept": "round_robin"},
            upstream={"pool": "shared"}) as sluice:
        sequence(sluice, origin, 12, 2)
        check(origin.opened < 3, f"{origin.opened} connections in one set")


def test_a_server_connection_serves_one_at_a_time():
    def script(req, link):
        time.sleep(0.002)
        check(not link.stream.buffer, "a second request before the answer")
        return http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        wrong = []

        def work(number):
            for i in range(20):
                target = f"/{number}/{i}"
                if one_answer(sluice, request("GET", target)).body != f"GET {target}".encode():
                    wrong.append(target)
        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(harness.TEST_SECONDS / 2)
        equal(wrong, [], "wrong answers")
        equal(len(origin.requests), 240, "requests")
        check(origin.opened <= 24, f"{origin.opened} connections for 12 clients")


# --------------------------------------------------------------------- stale connections

def closing(how):
    """Takes a request on a used connection, and ends it without an answer; once."""
    done = []

    def script(req, link):
        if req.target == "/stale" and req.number > 0 and not done:
            done.append(req)
            return link.reset() if how == "reset" else link.close()
        return http_peers.hello(req, link)
    return script


def stale(origin):
    return [r for r in origin.requests if r.target == "/stale"]


def test_a_get_on_a_stale_connection_is_sent_again():
    for how in ("close", "reset"):
        with HttpOrigin(closing(how)) as origin, http_sluice([origin]) as sluice:
            http_peers.canary(sluice, origin, "first")
            with Client(sluice) as client:
                answer = client.ask("GET", "/stale")
                equal((answer.status, answer.body), (200, b"GET /stale"), f"behind a {how}")
                equal(len(stale(origin)), 2, "requests at the server")
                client.alive()


def test_a_post_on_a_stale_connection_is_not():
    for how in ("close", "reset"):
        with HttpOrigin(closing(how)) as origin, http_sluice([origin]) as sluice:
            http_peers.canary(sluice, origin, "first")
            answer = one_answer(sluice, request("POST", "/stale", body=b"money"), "POST")
            equal(answer.status, 502, f"behind a {how}")
            check(len(answer.body) < 4096, "a long error page")
            http_peers.canary(sluice, origin, "after")
            equal(len(stale(origin)), 1, "requests at the server")


def test_nothing_is_sent_again_behind_a_part_of_an_answer():
    def script(req, link):
        if req.target == "/stale" and req.number > 0:
            link.send(b"HTTP/1.1 200 OK\r\nContent-Le")
            return link.close()
        return http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        http_peers.canary(sluice, origin, "first")
        equal(one_answer(sluice, request("GET", "/stale")).status, 502, "status")
        equal(len(stale(origin)), 1, "requests at the server")


def test_a_server_that_never_answers_is_not_asked_for_ever():
    def script(_req, link):
        return link.close()
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        answer = one_answer(sluice, request("GET", "/"))
        check(answer.status in (502, 503), f"status {answer.status}")
        check(len(origin.requests) <= 4, f"{len(origin.requests)} requests at the server")


def test_idle_connections_may_end():
    """EOF, a reset, or bytes on an idle connection: the next request, even a POST, is well."""
    def script(req, link):
        link.send(http_peers.hello(req, link))
        time.sleep(0.02)
        how = req.target.rsplit("/", 1)[1]
        if how == "reset":
            link.reset()
        elif how == "stray":
            link.send(reply(b"stray"))
        else:
            link.close()
    with HttpOrigin(script, strict=False) as origin, http_sluice([origin]) as sluice, \
            Client(sluice) as client:
        for i, how in enumerate(("eof", "reset", "stray") * 3):
            method = "POST" if i % 2 else "GET"
            answer = client.ask(method, f"/{i}/{how}", body=b"b" if i % 2 else None)
            equal((answer.status, answer.body), (200, f"{method} /{i}/{how}".encode()), how)
            time.sleep(0.15)
        equal(len(origin.requests), 9, "requests at the server")
        equal(origin.opened, 9, "connections")


# -------------------------------------------------------------------------- dead servers

def refused(where, what, latest):
    started = time.monotonic()
    answer = one_answer(where, request())
    spent = time.monotonic() - started
    check(answer.status in (502, 503, 504), f"{what}: status {answer.status}")
    check(spent < latest, f"{what}: answered after {spent:.1f} s")
    check(len(answer.body) < 4096, f"{what}: {len(answer.body)} bytes of error page")


def test_dead_servers_are_told_at_once():
    with origins.Refuser() as dead, http_sluice([dead.address]) as sluice:
        for _ in range(3):
            refused(sluice, "a server that refuses", 4)
        with Client(sluice) as client:
            answer = client.ask("POST", "/", body=b"x" * 1000)
            check(answer.status in (502, 503), f"status {answer.status}")
    with origins.Hanger() as dead, \
            http_sluice([dead.address], upstream={"connect_timeout": "300ms"}) as sluice:
        refused(sluice, "a server that hangs", 6)


def test_the_next_server_is_tried():
    """Never sent, so a POST as well goes to another server."""
    with origins.Refuser() as dead, HttpOrigin() as origin, \
            http_sluice([dead.address, origin.address], upstream={"pool": "off"}) as sluice:
        for i in range(6):
            answer = one_answer(sluice, request("POST", f"/{i}", body=b"once"), "POST")
            equal((answer.status, answer.body), (200, f"POST /{i}".encode()), "the answer")
        equal(len(origin.requests), 6, "requests at the server")


def test_retries_0():
    with origins.Refuser() as dead, HttpOrigin() as origin, \
            http_sluice([dead.address, origin.address],
                        upstream={"pool": "off", "retries": 0}) as sluice:
        statuses = [one_answer(sluice, request()).status for _ in range(4)]
        equal(sorted(statuses)[:2], [200, 200], f"statuses {statuses}")
        check(set(statuses) <= {200, 502, 503} and len(set(statuses)) > 1, f"statuses {statuses}")


def test_a_server_that_comes_back():
    with HttpOrigin(name="first") as origin, http_sluice([origin]) as sluice:
        http_peers.canary(sluice, origin, "before")
        address = origin.address
        origin.stop()
        wait_until(lambda: not origin.live(), "the server is still there")
        refused(sluice, "a server that went", 4)
        with HttpOrigin(name="second", address=address) as second:
            http_peers.canary(sluice, second, "after")
            equal(second.opened, 1, "connections")


def test_many_servers_take_their_turns():
    with HttpOrigin(name="a") as a, HttpOrigin(name="b") as b, HttpOrigin(name="c") as c, \
            http_sluice([a, b, c]) as sluice:
        with Client(sluice) as client:
            names = [client.ask().get("x-server") for _ in range(12)]
        for name in "abc":
            equal(names.count(name), 4, f"requests to {name} of {names}")
        equal([o.opened for o in (a, b, c)], [1, 1, 1], "connections to each")


def test_drain_waits_for_an_answer():
    """TERM: who is waiting gets his answer, idle connections end."""
    with HttpOrigin(lambda r, l: time.sleep(0.5) or reply(b"late")) as origin, \
            http_sluice([origin]) as sluice:
        with Client(sluice) as idle, Client(sluice) as client:
            equal(idle.ask().status, 200, "status")
            client.send(request())
            origin.wait_requests(2)
            sluice.signal(signal.SIGTERM)
            answer = client.answer()
            equal((answer.status, answer.body), (200, b"late"), "the answer while draining")
            client.gone()
            idle.gone()
        equal(sluice.wait(), 0, "exit status")


harness.main(globals())
