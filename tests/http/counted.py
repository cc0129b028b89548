# SPDX-License-Identifier: MIT
"""Each answer of the proxy's own, and each way in which a session of mode http ends, is counted
once and by its reason."""

import time

import http_peers
from http_peers import Client, HttpOrigin, http_sluice, one_answer, reply, request, route, upstream
import harness
from harness import check, equal


def raw(text):
    return text.replace("\n", "\r\n").encode()


# What is sent, the status of the answer, the counter, and why the session ends.
REFUSED = [
    (raw("GET / HTTP/1.1\n\n"), 400, "http_own_400", "REQUEST_REFUSED"),
    (raw("CONNECT a:1 HTTP/1.1\nHost: a:1\n\n"), 405, "http_own_405", "REQUEST_REFUSED"),
    (b"GET /" + b"a" * 20000 + raw(" HTTP/1.1\nHost: a\n\n"), 414, "http_own_414",
     "REQUEST_REFUSED"),
    (raw("PUT / HTTP/1.1\nHost: a\nExpect: tea\nContent-Length: 1\n\n"), 417, "http_own_417",
     "REQUEST_REFUSED"),
    (raw("GET / HTTP/1.1\nHost: a\n" + "A: b\n" * 101 + "\n"), 431, "http_own_431",
     "REQUEST_REFUSED"),
    (raw("BREW / HTTP/1.1\nHost: a\n\n"), 501, "http_own_501", "REQUEST_REFUSED"),
    (raw("GET / HTTP/2.0\nHost: a\n\n"), 505, "http_own_505", "REQUEST_REFUSED"),
    (raw("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nx\n"), 400, "http_own_400",
     "REQUEST_REFUSED"),
]


def test_refusals():
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        wanted = {}
        for data, status, counter, reason in REFUSED:
            equal(one_answer(sluice, data).status, status, f"status for {data[:60]}")
            wanted[counter] = wanted.get(counter, 0) + 1
            wanted[reason] = wanted.get(reason, 0) + 1
        now = sluice.at_rest()
        for counter in {row[2] for row in REFUSED}:
            equal(now[counter], wanted[counter], counter)
        equal(now.closes(), {"REQUEST_REFUSED": len(REFUSED)}, "close reasons")
        equal(now["http_refused"], len(REFUSED) - 1, "http_refused: all but what is not allowed")
        # The head of the chunked one was right.
        equal(now["http_requests"], 2, "http_requests")


def test_connect_without_a_route_is_not_allowed():
    with HttpOrigin() as origin, http_sluice([origin], listener={"connect": "on"}) as sluice:
        equal(one_answer(sluice, raw("CONNECT a:1 HTTP/1.1\nHost: a:1\n\n")).status, 403, "status")
        equal(sluice.at_rest()["http_own_403"], 1, "http_own_403")


def test_no_route_and_answers_of_routes():
    text = (route("hello", path="/hello", respond="200 hi") + route("away", path="/away",
            redirect="302 http://elsewhere.test/"))
    with http_sluice([("127.0.0.1", 9)], listener={"upstream": []}, text=text) as sluice, \
            Client(sluice) as client:
        equal([client.ask("GET", t).status for t in ("/hello", "/away", "/none", "/hello")],
              [200, 302, 404, 200], "statuses, on one connection")
        client.close()
        now = sluice.at_rest()
        equal((now["http_own_404"], now["http_own_other"]), (1, 3), "own answers")
        equal(now.closes(), {"CLIENT_FINISHED": 1}, "close reasons")


def test_failures_of_servers():
    def bad(_req, link):
        link.send(b"HTTP/1.1 2000 What\r\n\r\n")

    def cut(_req, link):
        link.send(reply(b"x" * 10).replace(b"10", b"99"))
        link.close()

    with HttpOrigin(bad, strict=False) as wrong, HttpOrigin(cut, strict=False) as short, \
            http_sluice([("127.0.0.1", harness.free_port())], upstream={"retries": 0},
                        text=upstream("wrong", wrong) + upstream("short", short)
                        + route("wrong", path="/wrong", upstream="wrong")
                        + route("short", path="/short", upstream="short")) as sluice:
        equal(one_answer(sluice, request()).status, 503, "nobody listens")
        equal(one_answer(sluice, request("GET", "/wrong")).status, 502, "no response")
        with Client(sluice) as client:
            client.send(request("GET", "/short"))
            check(client.ends()[1] in ("eof", "reset"), "a cut response does not end")
        now = sluice.at_rest()
        equal((now["http_own_503"], now["http_own_502"]), (1, 1), "own answers")
        equal(now["http_bad_responses"], 1, "http_bad_responses")
        closes = now.closes()
        equal((closes["RESPONSE_REFUSED"], closes["RESPONSE_CUT"]), (1, 1), "close reasons")


def test_limits_of_time():
    def slow(_req, link):
        time.sleep(1.5)
        link.send(reply())

    with HttpOrigin(slow, strict=False) as origin, \
            http_sluice([origin], listener={"head_timeout": "300ms", "keepalive_timeout": "300ms"},
                        upstream={"server_timeout": "500ms"},
                        text=route("hello", path="/hello", respond="200 hi")) as sluice:
        equal(one_answer(sluice, b"GET / HT").status, 408, "an unfinished head")
        equal(one_answer(sluice, request()).status, 504, "a slow server")
        with Client(sluice) as client:
            equal(client.ask("GET", "/hello").status, 200, "status")
            client.gone()
        now = sluice.at_rest()
        equal((now["http_own_408"], now["http_own_504"]), (1, 1), "own answers")
        closes = now.closes()
        equal((closes["HEAD_TIMEOUT"], closes["KEEPALIVE_TIMEOUT"]), (1, 1), "close reasons")


def test_a_slow_body():
    with HttpOrigin(strict=False) as origin, \
            http_sluice([origin], listener={"body_min_rate": 1000}) as sluice, \
            Client(sluice, timeout=20) as client:
        client.send(raw("POST / HTTP/1.1\nHost: a\nContent-Length: 100000\n\n") + b"x" * 10)
        equal(client.answer().status, 408, "status")
        client.close()
        equal(sluice.at_rest().closes(), {"BODY_TIMEOUT": 1}, "close reasons")


def test_cut_and_last_requests():
    with HttpOrigin(strict=False) as origin, http_sluice([origin]) as sluice:
        with Client(sluice) as client:
            client.send(raw("POST / HTTP/1.1\nHost: a\nContent-Length: 9\n\nabc"))
            origin.wait_requests(0)
            client.half_close()
            client.ends()
        with Client(sluice) as client:
            client.send(request("GET", "/", "Connection: close"))
            equal(client.answer().status, 200, "status")
            client.gone()
        closes = sluice.at_rest().closes()
        equal(closes, {"REQUEST_CUT": 1, "HTTP_FINISHED": 1}, "close reasons")


def test_pools_and_tunnels():
    def script(req, link):
        if req.get("upgrade"):
            link.send(raw("HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n"
                          "Connection: upgrade\n\n"))
            link.send(link.stream.exactly(4))
            link.close()
        elif req.target == "/die":
            link.close()
        else:
            return http_peers.hello(req, link)
        return None

    with HttpOrigin(script, strict=False) as origin, http_sluice([origin]) as sluice:
        with Client(sluice) as client:
            for _ in range(3):
                client.alive()
            equal(sluice.count("pool_idle"), 1, "pool_idle")
            equal(client.ask("GET", "/die").status, 502, "a server that dies twice")
        now = sluice.at_rest()
        # Two more requests on it, and the one that was lost with it and sent again.
        equal((now["pool_reused"], now["http_replays"]), (3, 1), "reused, replayed")
        with Client(sluice) as client:
            client.send(request("GET", "/", "Connection: upgrade", "Upgrade: websocket"))
            equal(client.answer().status, 101, "status")
            client.s.sendall(b"ping")
            client.half_close()
            client.ends()
        equal(sluice.at_rest()["http_tunnels"], 1, "http_tunnels")
        with Client(sluice) as client:
            client.alive()
        sluice.wait_count("pool_idle", 1)
        origin.stop()
        sluice.wait_count("pool_idle", 0)
        equal(sluice.count("pool_ended"), 1, "pool_ended")


def test_lines_of_the_access_log():
    with HttpOrigin() as origin, http_sluice([origin], listener={"access_log": "stderr"}) as sluice:
        with Client(sluice) as client:
            for _ in range(5):
                client.alive()
        now = sluice.at_rest()
        equal((now["access_lines"], now["access_lines_dropped"]), (5, 0), "lines")


harness.main(globals())
