# SPDX-License-Identifier: MIT
"""Clients and servers of other projects; one that is not installed is skipped."""

import hashlib
import os
import re
import subprocess
import tempfile
import time

from http_peers import Client, HttpOrigin, http_sluice, one_answer, reply, request
from attack_table import CLEAN, CUT, rows
from interop_servers import PAGES, SERVERS, nginx, python
import harness
from foreign import output_of, url
from harness import Failure, Skip, check, equal, need, pattern


def some_server():
    try:
        return nginx()
    except Skip:
        return python()


# -------------------------------------------------------------------------- clients

def test_curl():
    curl = need("curl")
    body = pattern((64 << 20) if harness.full_size() else (8 << 20))
    digest = hashlib.sha256(body).hexdigest()

    def script(req, _link):
        if req.method == "GET":
            return reply(body)
        return reply(hashlib.sha256(req.body).hexdigest().encode())
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "body")
        common = [curl, "-sSf", "--max-time", "30"]
        output_of(*common, "-o", path, url(sluice, "/down"))
        with open(path, "rb") as f:
            check(f.read() == body, "the download differs")
        for options in (["-T", path], ["-T", path, "-H", "Transfer-Encoding: chunked"],
                        ["--data-binary", f"@{path}", "-H", "Expect: 100-continue"],
                        ["--http1.0", "-T", path]):
            equal(output_of(*common, *options, url(sluice, "/up")), digest, f"digest, {options}")
        got = output_of(*common, "-o", os.devnull, "-w", "%{http_code} %{num_connects}\n",
                        "-I", url(sluice, "/head"))
        check(got.startswith("200 "), got)
        equal(len(origin.errors), 0, "errors")


def test_curl_keeps_its_connection():
    curl = need("curl")
    with python() as server, http_sluice([server.address]) as sluice:
        got = output_of(curl, "-sSf", "--max-time", "20", "-w", " %{num_connects}\n",
                        *[url(sluice, f"/c/{i}") for i in range(10)])
        equal(got.split("\n")[:10], ["/c/0 1"] + [f"/c/{i} 0" for i in range(1, 10)], "answers")


def wrk(*arguments):
    program = need("wrk")
    with some_server() as server, \
            http_sluice([server.address], proxy={"workers": 2}) as sluice:
        told = output_of(program, "-t2", "-c64", "-d2s", "--timeout", "5s", *arguments,
                         url(sluice, "/c/1"))
        check("Socket errors" not in told and "Non-2xx" not in told, told)
        check(int(re.search(r"(\d+) requests in", told)[1]) > 100, told)


def test_wrk():
    wrk()


def test_wrk_without_keep_alive():
    wrk("-H", "Connection: close")


def test_ab():
    """HTTP/1.0, with and without keep-alive."""
    program = need("ab")
    with some_server() as server, http_sluice([server.address]) as sluice:
        for options in (["-k"], []):
            told = output_of(program, "-q", "-n", "2000", "-c", "20", *options,
                             url(sluice, "/c/1"))
            for wanted in (r"Complete requests:\s+2000\b", r"Failed requests:\s+0\b"):
                check(re.search(wanted, told), f"{wanted} is not in: {told}")
            check("Non-2xx" not in told, told)


def test_h2load_in_http_1():
    program = need("h2load")
    with some_server() as server, http_sluice([server.address]) as sluice:
        told = output_of(program, "--h1", "-n", "3000", "-c", "20", "-m", "4", url(sluice, "/c/1"))
        check("3000 succeeded, 0 failed, 0 errored, 0 timeout" in told, told)
        check("3000 2xx, 0 3xx, 0 4xx, 0 5xx" in told, told)


def test_slowhttptest():
    """While many clients are slow, another one is served at once."""
    program = need("slowhttptest")
    with python() as server, http_sluice(
            [server.address], listener={"head_timeout": "2s", "client_timeout": "2s"}) as sluice, \
            tempfile.TemporaryDirectory() as folder:
        for mode in ("-H", "-B"):
            slow = subprocess.Popen(
                [program, mode, "-c", "150", "-r", "150", "-i", "1", "-l", "4", "-p", "3",
                 "-o", os.path.join(folder, "report"), "-u", url(sluice, "/c/1")],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True)
            try:
                end = time.monotonic() + 2
                while time.monotonic() < end and slow.poll() is None:
                    started = time.monotonic()
                    equal(one_answer(sluice, request("GET", "/c/2")).body, b"/c/2", "answer")
                    spent = time.monotonic() - started
                    check(spent < 3, f"{mode}: a good client waited {spent:.1f} s")
                    time.sleep(0.1)
            finally:
                slow.kill()
                slow.wait()


# -------------------------------------------------------------------------- servers

def serving(name):
    with SERVERS[name]() as server, http_sluice([server.address]) as sluice:
        with Client(sluice) as client:
            for i in range(50):
                page = f"/c/{i % PAGES}"
                equal(client.ask("GET", page).body, page.encode(), page)
            answer = client.ask("HEAD", "/c/1")
            equal((answer.status in (200, 501), answer.body), (True, b""), "HEAD")
        with Client(sluice) as client:
            client.send(b"".join(request("GET", f"/c/{i}") for i in range(PAGES)))
            for i in range(PAGES):
                equal(client.answer().body, f"/c/{i}".encode(), "pipelined")
            status = client.ask("POST", "/c/1", body=b"x" * 5000).status
            check(200 <= status < 500, f"POST: {status}")
        equal(one_answer(sluice, request("GET", "/c/3", version="HTTP/1.0")).body, b"/c/3", "1.0")


def test_nginx():
    serving("nginx")


def test_haproxy():
    serving("haproxy")


def test_lighttpd():
    serving("lighttpd")


def test_apache2():
    serving("apache2")


def test_node():
    serving("node")


def test_python():
    serving("python")


# ----------------------------------------------------------------- the desync canary

def first_status(sluice, row):
    """The status of an attack's first answer, or None; then the connection is done with."""
    with Client(sluice) as client:
        client.try_send(row[1])
        if row[3] == CUT:
            client.half_close()
        got, how = client.ends(harness.STEP_SECONDS if row[3] != CLEAN else 0.1)
        check(how != "open" or row[3] == CLEAN, "the connection is open")
        return int(got[9:12]) if got.startswith(b"HTTP/1.") else None


def desync(name):
    """Every attack through one kept server connection, and behind each the next client's request:
    he gets his own page. What is forwarded is answered as a plain request is."""
    wrong, count, forwarded = [], 0, 0
    with SERVERS[name]() as server, \
            http_sluice([server.address], upstream={"pool": "worker", "pool_max": 1}) as sluice:
        plain = {one_answer(server.address, data).status for data in (
            request("POST", "/attack", body=b"hello", host="a"), request("GET", "/attack"),
            request("POST", "/attack", body=b"", host="a"))}
        for row in rows():
            count += 1
            page = f"/c/{count % PAGES}"
            try:
                status = first_status(sluice, row)
                if row[3] == CLEAN and status not in row[2]:
                    forwarded += 1
                    # A server may refuse what is odd but not ambiguous, by itself.
                    check(status in plain or (status or 0) >= 400, f"status {status}, not {plain}")
                answer = one_answer(sluice, request("GET", page))
                equal((answer.status, answer.body), (200, page.encode()), "the next client")
            except Failure as failure:
                wrong.append(f"{row[0]}: {failure}")
        for i in range(PAGES):
            equal(one_answer(sluice, request("GET", f"/c/{i}")).body, f"/c/{i}".encode(), "last")
    check(not wrong, f"{len(wrong)} of {count} behind {name}:\n  " + "\n  ".join(wrong))
    print(f"  {count} attacks, {forwarded} forwarded in one form")


def test_desync_nginx():
    desync("nginx")


def test_desync_lighttpd():
    desync("lighttpd")


def test_desync_apache2():
    desync("apache2")


def test_desync_node():
    desync("node")


def test_desync_python():
    desync("python")


def test_desync_haproxy():
    desync("haproxy")


harness.main(globals())
