# SPDX-License-Identifier: MIT
"""Real programs through sluice; one that is not installed is skipped."""

import hashlib
import json
import os
import re
import tempfile
import time

import harness
from foreign import NGINX, Handler, Program, PythonServer, output_of, url
from harness import HOST, SLUICE_LOAD, Skip, Sluice, check, equal, free_port, need, pattern

BODY = pattern(3 << 20)


class Pages(Handler):
    """The origin where neither the load tool nor nginx is there."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.answer(BODY if self.path == "/large" else b"small\n")

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.sha256(body).hexdigest().encode())


def http_origin():
    if os.access(SLUICE_LOAD, os.X_OK):
        port = free_port()
        try:
            return Program(port, SLUICE_LOAD, "serve", f"{HOST}:{port}")
        except Skip:
            pass
    return PythonServer(Pages)


def finished_well(sluice, sessions):
    now = sluice.at_rest()
    check(now["sessions_total"] >= sessions, f"{now['sessions_total']} sessions")
    return now


def test_curl():
    curl = need("curl")
    with PythonServer(Pages) as origin, Sluice([origin.address]) as sluice, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "body")
        output_of(curl, "-sSf", "--max-time", "20", "-o", path, url(sluice, "/large"))
        with open(path, "rb") as f:
            check(f.read() == BODY, "the download differs")
        got = output_of(curl, "-sSf", "--max-time", "20", "--data-binary", f"@{path}",
                        "-H", "Expect: 100-continue", url(sluice, "/upload"))
        equal(got, hashlib.sha256(BODY).hexdigest(), "digest of the upload")
        got = output_of(curl, "-sSf", "--max-time", "20", *[url(sluice)] * 20)
        equal(got, "small\n" * 20, "20 requests on one connection")
        finished_well(sluice, 3)


def wrk(*arguments):
    program = need("wrk")
    with http_origin() as origin, \
            Sluice([origin.address], proxy={"workers": 2}) as sluice:
        told = output_of(program, "-t2", "-c64", "-d2s", "--timeout", "5s", *arguments,
                         url(sluice))
        check("Socket errors" not in told and "Non-2xx" not in told, told)
        requests = int(re.search(r"(\d+) requests in", told)[1])
        check(requests > 200, f"{requests} requests in 2 s: {told}")
        finished_well(sluice, 64)


def test_wrk():
    wrk()


def test_wrk_short_connections():
    wrk("-H", "Connection: close")


def iperf3(*arguments):
    program = need("iperf3")
    port = free_port()
    with Program(port, program, "-s", "-B", HOST, "-p", str(port)), \
            Sluice([(HOST, port)], proxy={"workers": 2}) as sluice:
        for _ in range(20):
            told = output_of(program, "-c", HOST, "-p", str(sluice.address[1]), "-t", "2", "-J",
                             *arguments)
            end = json.loads(told)["end"]
            if "sum_sent" in end:
                break
            time.sleep(0.2)  # the server takes the look whether it listens for a first client
        sent, received = end["sum_sent"]["bytes"], end["sum_received"]["bytes"]
        check(received > 10 << 20, f"{received} bytes in 2 s")
        check(received <= sent, f"{received} bytes received of {sent} sent")
        finished_well(sluice, 2)


def test_iperf3():
    iperf3()


def test_iperf3_reverse():
    iperf3("-R")


def test_iperf3_parallel():
    iperf3("-P", "8")


def test_iperf3_parallel_reverse():
    iperf3("-P", "8", "-R")


def test_iperf3_both_ways():
    iperf3("-P", "2", "--bidir")


def test_redis_benchmark():
    server, benchmark = need("redis-server"), need("redis-benchmark")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, \
            Program(port, server, "--bind", HOST, "--port", str(port), "--save", "",
                    "--appendonly", "no", "--dir", folder), \
            Sluice([(HOST, port)], proxy={"workers": 2}) as sluice:
        common = [benchmark, "-h", HOST, "-p", str(sluice.address[1]), "--csv"]
        for options in (["-n", "20000", "-c", "50", "-t", "set,get,lpush,lrange_100"],
                        ["-n", "50000", "-c", "20", "-P", "16", "-t", "set,get"],
                        ["-n", "300", "-c", "10", "-d", "300000", "-t", "set,get"]):
            told = output_of(*common, *options)
            check("GET" in told and "rror" not in told, told)
        finished_well(sluice, 50)


def test_nginx_as_origin():
    nginx, curl = need("nginx"), need("curl")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        conf = os.path.join(folder, "nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(NGINX.format(folder=folder, root=folder, host=HOST, port=port))
        with open(os.path.join(folder, "large"), "wb") as f:
            f.write(BODY)
        with Program(port, nginx, "-c", conf, "-p", folder, "-e", "stderr"), \
                Sluice([(HOST, port)], proxy={"workers": 2}) as sluice:
            for _ in range(5):
                path = os.path.join(folder, "got")
                output_of(curl, "-sSf", "--max-time", "20", "-o", path, url(sluice, "/large"))
                with open(path, "rb") as f:
                    check(f.read() == BODY, "the download differs")
            told = output_of(need("wrk"), "-t1", "-c32", "-d2s", url(sluice, "/large"))
            check("Socket errors" not in told and "Non-2xx" not in told, told)
            finished_well(sluice, 5 + 32)


def sluice_load(*arguments, service="http"):
    """The load tool checks the content of every answer by itself."""
    if not os.access(SLUICE_LOAD, os.X_OK):
        raise Skip("sluice-load is not built")
    port = free_port()
    with Program(port, SLUICE_LOAD, "serve", f"{service}={HOST}:{port}"), \
            Sluice([(HOST, port)], proxy={"workers": 2}) as sluice:
        scheme = "http" if service == "http" else "tcp"
        told = output_of(SLUICE_LOAD, "-d", "2s", *arguments,
                         f"{scheme}://{HOST}:{sluice.address[1]}")
        check(re.search(r"\b0 errors", told), told)
        finished_well(sluice, 1)


def test_load_tool_http():
    sluice_load("-c", "50")


def test_load_tool_verifies():
    sluice_load("-c", "20", "--mode", "rr", "--verify", "--size", "5000", service="rr")


harness.main(globals())
