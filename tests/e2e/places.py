# SPDX-License-Identifier: MIT
"""Servers by host name whose addresses change places while requests are under way."""

import json
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
from harness import HOST, Sluice, check, equal, wait_until
from http_peers import Client, HttpOrigin, http_sluice, reply, request
from origins import EchoLoop

NAME = "app.test"
QUICK = {"resolve_min": "50ms", "resolve_max": "1s", "resolve_timeout": "1s"}


class NameServer:
    """Answers A with .addresses, for no time to live; anything else has no records."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                self._one()
            except OSError:
                return

    def _one(self):
        data, peer = self.socket.recvfrom(2048)
        end = 12
        while data[end]:
            end += data[end] + 1
        kind = struct.unpack("!H", data[end + 1:end + 3])[0]
        found = self.addresses if kind == 1 else ()
        answer = data[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        answer += data[12:end + 5]
        for address in found:
            answer += struct.pack("!HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(address)
        self.socket.sendto(answer, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def named(names, port, line="", **options):
    proxy = {"resolver": f"{HOST}:{names.port}", **QUICK, **options.pop("proxy", {})}
    return http_sluice([f"{NAME}:{port} {line}"], proxy=proxy, **options)


def lines_of(sluice):
    with open(os.path.join(sluice.folder, "access.log"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def test_the_log_says_who_answered():
    """Also when another address has the place before the client has read the answer."""
    body = b"x" * 150000
    port = harness.free_port()
    with HttpOrigin(lambda req, link: reply(body), address=("127.0.0.1", port)) as one, \
            HttpOrigin(address=("127.0.0.2", port)) as two, NameServer("127.0.0.1") as names, \
            named(names, port, "addresses=1", listener={
                "access_log": "./access.log", "access_log_format": "json"}) as sluice:
        with Client(sluice.address, receive_buffer=4096) as slow:
            slow.send(request(target="/slow"))
            one.wait_requests(1)
            # The whole response is in, and most of it waits for the client.
            wait_until(lambda: sluice.counters()["pool_idle"] == 1, "the response is not in")
            names.addresses = ("127.0.0.2",)
            sluice.wait_log(r"127\.0\.0\.2:\d+ .* is up")
            with Client(sluice.address) as quick:
                quick.ask(target="/quick")
            two.wait_requests(1)
            equal(len(slow.answer().body), len(body), "the body")
        wait_until(lambda: len(lines_of(sluice)) == 2, "no lines in the access log")
        servers = {line["target"]: line["server"] for line in lines_of(sluice)}
        equal(servers["/quick"], f"127.0.0.2:{port}", "who answered last")
        check(servers["/slow"] != f"127.0.0.2:{port}", f"/slow is said to be of {servers['/slow']}")
        check(len(one.requests) == 1 and len(two.requests) == 1, "the requests at the servers")


def test_all_addresses_exchanged():
    """With as many addresses as places, who comes has the place of who leaves without a wait."""
    port = harness.free_port()
    with HttpOrigin(address=("127.0.0.1", port)) as one, \
            HttpOrigin(address=("127.0.0.2", port)) as two, NameServer("127.0.0.1") as names, \
            named(names, port, "addresses=1") as sluice:
        with Client(sluice.address) as client:
            for turn in range(6):
                equal(client.ask().status, 200, "the status before")
                wait_until(lambda: sluice.counters()["pool_idle"] == 1, "it goes on")
                names.addresses = (f"127.0.0.{2 - turn % 2}",)
                sluice.wait_log(rf"(?s)(?: is up: .*){{{turn + 2}}}")
                equal(client.ask().status, 200, "the status")
                equal(len((two, one)[turn % 2].requests), turn + 1, "its requests")
        check("wait for a place" not in sluice.log(), "an address waited for its place")


def accept_client(listener):
    """The first connection that says something: the others are checks."""
    while True:
        server = listener.accept()[0]
        try:
            if server.recv(1):
                return server
        except ConnectionResetError:
            pass
        server.close()


def test_down_and_back_is_one_fall():
    """An address that is down, leaves while a session has it, and comes back is still down."""
    port = harness.free_port()
    listener = socket.create_server((HOST, port))
    with NameServer(HOST) as names, EchoLoop(("127.0.0.2", port)), \
            Sluice([f"{NAME}:{port} addresses=2"], upstream={
                "health": "tcp", "health_interval": "100ms", "health_fall": 1},
                proxy={"resolver": f"{HOST}:{names.port}", **QUICK}) as sluice:
        with sluice.connect() as held:
            held.sendall(b"x")
            server = accept_client(listener)
            listener.close()
            sluice.wait_log(r"127\.0\.0\.1:\d+ .* is down: ")
            names.addresses = ("127.0.0.2",)
            sluice.wait_log(r"127\.0\.0\.1:\d+ .* is leaving")
            names.addresses = ("127.0.0.1", "127.0.0.2")
            sluice.wait_log(r"127\.0\.0\.1:\d+ .* is down: its name has")
            equal(sluice.count("servers_went_down"), 1, "servers_went_down")
            server.sendall(b"y")
            equal(held.recv(1), b"y", "the session that is kept")
        server.close()


def test_term_while_nobody_answers():
    """No name server at all: sluice starts, says so, and ends at once."""
    with NameServer() as names:
        names.socket.close()
        with named(names, 80, proxy={"resolve_timeout": "300ms", "resolve_max": "10s"}) as sluice:
            check("no answer" in sluice.log(), "the log does not say that nobody answers")
            with Client(sluice.address) as client:
                equal(client.ask().status, 503, "the status")
            started = time.monotonic()
            sluice.stop()
            check(time.monotonic() - started < 2, "the end took too long")


if __name__ == "__main__":
    harness.main(globals())
