# SPDX-License-Identifier: MIT
"""The access log: a line per request or TCP session, whatever a client wrote into it."""

import json
import os
import re
import socket

from http_peers import (Client, HttpOrigin, http_sluice, one_answer, reply, request, route)
import harness
from harness import HOST, Sluice, check, equal, wait_until
import origins

PRINTABLE = re.compile(rb"[\x20-\x7e]*\Z")


class Log:
    """The log's file, in the folder of its sluice."""

    def __init__(self, sluice):
        self.path = os.path.join(sluice.folder, "access.log")

    def bytes(self, path=None):
        try:
            with open(path or self.path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def lines(self, count, path=None):
        """So many lines, and not one more; each whole and printable."""
        wait_until(lambda: self.bytes(path).count(b"\n") >= count,
                   lambda: f"{count} lines are not in the log: {self.bytes(path)!r}")
        text = self.bytes(path)
        check(text.endswith(b"\n"), "half a line")
        got = text[:-1].split(b"\n")
        equal(len(got), count, f"lines of the log, {text!r}")
        for line in got:
            check(PRINTABLE.match(line), f"control characters in {line!r}")
        return [line.decode("ascii") for line in got]

    def objects(self, count):
        return [json.loads(line) for line in self.lines(count)]


def logging(servers, kind="json", listener=None, **options):
    """A sluice with a log, not started yet: its folder has to be known for that."""
    keys = {"access_log": "./access.log", "access_log_format": kind, **(listener or {})}
    return http_sluice(servers, listener=keys, **options)


def test_json():
    with HttpOrigin(lambda r, l: reply(b"a" * 1000)) as origin, \
            logging([origin], text=route("own", path="/own", respond="200 hi")) as sluice:
        log = Log(sluice)
        with Client(sluice) as client:
            equal(client.ask("GET", "/one?x=1", "X-A: b", host="h.test:80").status, 200, "GET")
            equal(client.ask("POST", "/two", body=b"b" * 500).status, 200, "POST")
            equal(client.ask("GET", "/own").status, 200, "a route's answer")
            name = client.s.getsockname()[0]
        one_answer(sluice, b"GET / HTTP/1.1\r\n\r\n")
        got = log.objects(4)
        equal([(o["method"], o["target"], o["status"]) for o in got[:3]],
              [("GET", "/one?x=1", 200), ("POST", "/two", 200), ("GET", "/own", 200)], "requests")
        equal(got[3]["status"], 400, "a request that is refused")
        first, second, own = got[:3]
        equal((first["listener"], first["client"], first["protocol"]), ("web", name, "HTTP/1.1"),
              "who asked")
        check(first["host"] in ("h.test", "h.test:80"), f"host {first['host']}")
        equal(first["upstream"], "app", "upstream")
        check(str(origin.address[1]) in first["server"], f"server {first['server']}")
        equal((first["reused"], second["reused"]), (False, True), "reused")
        equal((own["route"], own["server"]), ("own", None), "a route's own answer")
        check(1000 <= first["bytes_out"] <= 2000, f"bytes_out {first['bytes_out']}")
        check(500 <= second["bytes_in"] <= 1500, f"bytes_in {second['bytes_in']}")
        for o in got:
            check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", o["time"]), o["time"])
            check(isinstance(o["total_us"], int) and 0 <= o["total_us"] < 60e6, "total_us")
        check(first["first_byte_us"] is not None
              and first["first_byte_us"] <= first["total_us"], f"times of {first}")


def test_times_are_true():
    def script(_req, _link):
        harness.time.sleep(0.3)
        return reply()
    with HttpOrigin(script) as origin, logging([origin]) as sluice:
        equal(one_answer(sluice, request()).status, 200, "status")
        (got,) = Log(sluice).objects(1)
        check(250e3 <= got["total_us"] <= 5e6, f"total_us {got['total_us']} of 300 ms")
        check(250e3 <= got["first_byte_us"] <= 5e6, f"first_byte_us {got['first_byte_us']}")
        check(got["head_us"] is None or got["head_us"] < 1e6, f"head_us {got['head_us']}")
        equal(origin.opened, 1, "connections")


def test_text():
    with HttpOrigin() as origin, logging([origin], "text") as sluice, Client(sluice) as client:
        log = Log(sluice)
        for i in range(3):
            client.ask("GET", f"/a?{i}")
        for i, line in enumerate(log.lines(3)):
            check(f'"GET /a?{i} HTTP/1.1" 200 ' in line, line)
            check(f"app/{HOST}:{origin.address[1]}" in line, line)
            for key in ("in=", "out=", "head=", "connect=", "first=", "total=", "host=", "route=",
                        "server=", "tries=1", "conn=", "close="):
                check(f" {key}" in line, f"{key} is not in {line}")


HOSTILE = [
    request("GET", "/a\"b", host="a"), request("GET", "/a'<>`{}|^", host="a"),
    request("GET", "/%0d%0a%1b%5b2J", host="a"),
    b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    b"G\x1bT / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\x1b]0;x\x07b\r\n\r\n",
    b"\x16\x03\x01\x02\x00\n2026-01-01 forged\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\n{\"status\": 200}\r\n\r\n", request("GET", "/\\u0000\\", host="a"),
]


def test_nothing_in_it_is_forged():
    for kind in ("json", "text"):
        with HttpOrigin() as origin, logging([origin], kind) as sluice:
            for data in HOSTILE:
                one_answer(sluice, data)
            lines = Log(sluice).lines(len(HOSTILE))
            for line in lines:
                if kind == "json":
                    o = json.loads(line)
                    check("forged" not in line or o["status"] >= 400, line)
                else:
                    quoted = re.sub(r"\\.", "", line)
                    check(quoted.count('"') in (0, 2), f"a quote in {line}")
                    check(not line.startswith("2026-01-01 forged"), line)


def test_long_requests():
    with HttpOrigin() as origin, logging([origin]) as sluice:
        for size in (1000, 8000, 20000):
            one_answer(sluice, request("GET", "/" + "t" * size))
        for got in Log(sluice).objects(3):
            check(got["target"] is None or got["target"].startswith("/tttt"), "the target")
            check(got["status"] in (200, 414, 431), f"status {got['status']}")


def test_how_it_ended():
    """A request that ends early has the reason, one that ends well has none."""
    def script(req, link):
        if req.target == "/cut":
            link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            link.close()
        elif req.target == "/silent":
            link.rest()
        else:
            return reply()
        return None
    with HttpOrigin(script) as origin, \
            logging([origin], upstream={"server_timeout": "500ms"}) as sluice:
        for target in ("/good", "/cut", "/silent"):
            one_answer(sluice, request("GET", target))
        good, cut, silent = Log(sluice).objects(3)
        equal(good["close"], None, "how a good one ended")
        check(cut["close"], f"how a cut one ended: {cut}")
        equal(silent["status"], 504, "status of a silent server")
        equal(origin.opened, 2, "connections")


def test_tcp_sessions():
    with origins.Origin(origins.echo) as origin, \
            Sluice([origin.address], listener={"access_log": "./access.log",
                                               "access_log_format": "json"}) as sluice:
        with sluice.connect() as s:
            harness.exchange(s, b"x" * 1000)
            s.shutdown(socket.SHUT_WR)
            harness.receive_all(s)
        s = sluice.connect()
        harness.exchange(s)
        harness.reset(s)
        finished, broken = Log(sluice).objects(2)
        equal((finished["protocol"], finished["method"], finished["status"]), ("tcp", None, None),
              "a TCP session")
        equal((finished["bytes_in"], finished["bytes_out"]), (1000, 1000), "bytes")
        check(finished["close"] in (None, "CLIENT_FINISHED", "SERVER_FINISHED"),
              f"close {finished['close']}")
        equal(broken["close"], "CLIENT_RESET", "the reason of a reset")
        check(str(origin.address[1]) in finished["server"], f"server {finished['server']}")


def test_usr1_opens_it_again():
    with HttpOrigin() as origin, logging([origin]) as sluice, Client(sluice) as client:
        log = Log(sluice)
        client.ask("GET", "/first")
        log.lines(1)
        os.rename(log.path, log.path + ".1")
        client.ask("GET", "/second")
        log.lines(2, log.path + ".1")
        equal(sluice.counters()["sessions"], 1, "sessions")  # by USR1
        wait_until(lambda: os.path.exists(log.path), "the log is not opened again")
        client.ask("GET", "/third")
        equal([o["target"] for o in log.objects(1)], ["/third"], "the new file")
        equal(len(log.lines(2, log.path + ".1")), 2, "the old file")


def test_stderr_and_off():
    with HttpOrigin() as origin, http_sluice([origin], listener={"access_log": "stderr"}) as sluice:
        equal(one_answer(sluice, request("GET", "/told")).status, 200, "status")
        sluice.wait_log(r'"GET /told HTTP/1.1" 200 ')
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        equal(one_answer(sluice, request("GET", "/told")).status, 200, "status")
        sluice.at_rest()
        check("/told" not in sluice.log(), "a line without an access log")


harness.main(globals())
