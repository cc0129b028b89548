# SPDX-License-Identifier: MIT
"""The PROXY protocol with nginx at the other end: it takes what sluice sends, and the other way."""

import itertools
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
import origins
from harness import HOST, Skip, Sluice, check, ending, equal, exchange, need, pattern, wait_until
from http_peers import Client, HttpOrigin, Stream, http_sluice, request, route
from interop_servers import Site
from origins import Origin

NGINX = """
@MODULE@
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  log_format told '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr '
                  '$proxy_protocol_server_port $request_method $request_uri';
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen {host}:@HTTP@ proxy_protocol; access_log {folder}/log told; root {folder}/www;
    client_max_body_size 10m;
    location / {{ add_header Client $proxy_protocol_addr; }}
    location /who {{ return 200 "$proxy_protocol_addr"; }}
  }}
}}
@STREAM@
"""

STREAM = """
stream {{
  server {{ listen {host}:{port}; proxy_pass {host}:@BEHIND@; proxy_protocol on; }}
}}
"""


def stream_module():
    """The line that loads it, or nothing where it is a part of nginx."""
    for folder in ("lib/nginx", "lib64/nginx", "share/nginx"):
        path = f"/usr/{folder}/modules/ngx_stream_module.so"
        if os.path.exists(path):
            return f"load_module {path};"
    said = subprocess.run([need("nginx"), "-V"], capture_output=True, text=True, timeout=10,
                          check=False).stderr
    if "--with-stream" not in said.split():
        raise Skip("nginx has no stream module")
    return ""


class Nginx(Site):
    """An HTTP server that wants a header, or, when behind is a port, a TCP proxy that sends one."""

    def __init__(self, behind=None):
        text = NGINX.replace("@MODULE@", stream_module() if behind else "")
        text = text.replace("@STREAM@", STREAM.replace("@BEHIND@", str(behind)) if behind else "")
        text = text.replace("@HTTP@", str(harness.free_port()) if behind else "{port}")
        super().__init__("nginx", text, "-c", "{conf}", "-p", "{folder}", "-e", "stderr")

    def told(self, target, count=1):
        """Its log's lines about a target: the client's address and port, the server's, method."""
        path = os.path.join(self.folder.name, "log")

        def lines():
            with open(path, encoding="ascii") as f:
                return [words for line in f.read().split("\n")[:-1]
                        if (words := line.split(" "))[-1] == target]
        wait_until(lambda: len(lines()) >= count, lambda: f"nginx logged {lines()}")
        return lines()

    def said(self):
        """All that it has to complain about."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")


def dial_from(address, source):
    return socket.create_connection(address, harness.STEP_SECONDS, (source, 0))


class Over(Client):
    """A client over a socket that is there."""

    def __init__(self, s):  # pylint: disable=super-init-not-called
        self.s, self.stream = s, Stream(s)


def client_from(address, source):
    return Over(dial_from(address, source))


NUMBERS = itertools.count()


def asks(client, nginx):
    """A request: whose it is, by what nginx answers and by what it logs."""
    name = [str(part) for part in client.s.getsockname()[:2]]
    server = [str(part) for part in client.s.getpeername()[:2]]
    target = f"/who?{next(NUMBERS)}"
    equal(client.ask("GET", target).body.decode(), name[0], "the client as nginx sees it")
    equal(nginx.told(target)[0][:4], [*name, *server], "addresses and ports in nginx's log")


def test_nginx_behind_tcp():
    """The address, the port and the listener are the client's; bodies are whole on both ways."""
    body = pattern(3 << 20)
    with Nginx() as nginx:
        with open(os.path.join(nginx.folder.name, "www", "large"), "wb") as f:
            f.write(body)
        for send in ("v1", "v2"):
            with Sluice([nginx.address], upstream={"send_proxy": send}) as sluice:
                for source in ("127.0.0.9", "127.0.0.10"):
                    with client_from(sluice.address, source) as client:
                        asks(client, nginx)
                        asks(client, nginx)
                        got = client.ask("GET", "/large")
                        equal(got.get("client"), source, "the client of the download")
                        check(got.body == body, "the download differs")
                        equal(client.ask("POST", "/who", body=body).status, 200, "an upload")
        check("header" not in nginx.said(), nginx.said())


def test_nginx_behind_http():
    """A connection to nginx is of one client, whoever else asks meanwhile."""
    with Nginx() as nginx:
        for send in ("v1", "v2"):
            for pool in ("client", "off"):
                with http_sluice([nginx.address], proxy={"workers": 2},
                                 upstream={"send_proxy": send, "pool": pool}) as sluice:
                    clients = [client_from(sluice.address, f"127.0.0.{n}") for n in range(9, 13)]
                    for _ in range(3):
                        for client in clients:
                            asks(client, nginx)
                    for client in clients:
                        client.close()
                    now = sluice.at_rest()
                    equal(now.closes(), {"CLIENT_FINISHED": 4}, "reasons")
                    connects = next(iter(now.servers.values()))["server_connects"]
                    equal(connects, 4 if pool == "client" else 12, f"connections, pool = {pool}")
        check("header" not in nginx.said(), nginx.said())


def test_nginx_behind_clients_of_other_families():
    """IPv6 in the header of a connection over IPv4; a client of a unix socket has no address."""
    port = harness.free_port("::1")
    with Nginx() as nginx:
        for send in ("v1", "v2"):
            front = os.path.join(nginx.folder.name, send)
            with Sluice([nginx.address], bind=[("::1", port), front],
                        upstream={"send_proxy": send}) as sluice:
                with Client(sluice) as client:
                    asks(client, nginx)
                with Over(harness.dial(front)) as client:
                    equal(client.ask("GET", f"/who?unix{send}").body, b"", "one without an address")
                equal(nginx.told(f"/who?unix{send}")[0][:4], ["-"] * 4, "its line in the log")


def test_nginx_takes_checks():
    """A check has a header too, which names nobody; nginx answers and does not complain."""
    with Nginx() as nginx:
        for send in ("v1", "v2"):
            with Sluice([nginx.address], upstream={
                    "send_proxy": send, "health": "http", "health_path": f"/who?fit{send}",
                    "health_interval": "50ms"}) as sluice:
                lines = nginx.told(f"/who?fit{send}", 10)
                check(all(line[0] == "-" for line in lines), f"checks in nginx's log: {lines}")
                equal(sluice.count("health_checks_failed"), 0, "health_checks_failed")
        check("header" not in nginx.said(), nginx.said())


# ------------------------------------------------------------------- nginx in front

class Named:
    """Echoes behind a header of version 1, and remembers the header."""

    def __init__(self):
        self.headers = []

    def __call__(self, s):
        got = b""
        while not got.endswith(b"\r\n"):
            got += harness.receive_exactly(s, 1)
        self.headers.append(got.decode("ascii").split())
        return origins.echo(s)


def test_nginx_in_front_of_tcp():
    """Whose it is goes on to the server and into the log; a megabyte comes back as it was."""
    data = pattern(1 << 20)
    for kind in ("v1", "any"):
        named = Named()
        with Origin(named) as origin, Sluice([origin.address], upstream={"send_proxy": "v1"},
                                             listener={"proxy_protocol": kind, "deny": "127.0.0.66",
                                                       "proxy_protocol_from": HOST,
                                                       "access_log": "./log",
                                                       "access_log_format": "json"}) as sluice, \
                Nginx(sluice.address[1]) as nginx:
            names = []
            for source in ("127.0.0.9", "127.0.0.10"):
                with dial_from(nginx.address, source) as s:
                    names.append(s.getsockname())
                    exchange(s, data)
            with dial_from(nginx.address, "127.0.0.66") as s:
                equal(ending(s), (b"", "eof"), "a client that is denied")
            # That nginx listens was found out by a connection too: it was HOST's.
            told = [(h[2], int(h[4])) for h in named.headers if h[2] != HOST]
            equal(told, names, "the clients in the server's headers")
            closes = sluice.at_rest().closes()
            equal(closes["ACCESS_DENIED"], 1, f"ACCESS_DENIED of {closes}")
            equal(sorted(logged_clients(sluice, 3)), ["127.0.0.10", "127.0.0.66", "127.0.0.9"],
                  "clients in the log")


def logged_clients(sluice, count):
    """The clients in the access log, but for HOST."""
    path = os.path.join(sluice.folder, "log")

    def clients():
        with open(path, encoding="utf-8") as f:
            told = [json.loads(line)["client"] for line in f.read().split("\n")[:-1]]
        return [client for client in told if client != HOST]
    wait_until(lambda: len(clients()) >= count, lambda: f"clients in the log: {clients()}")
    return clients()


def test_nginx_in_front_of_http():
    """Each request of a connection is the client's; the header is no part of the first."""
    for kind in ("v1", "any"):
        with HttpOrigin() as origin, http_sluice(
                [origin], listener={"proxy_protocol": kind, "access_log": "./log",
                                    "access_log_format": "json"},
                text=route("all", path="/*", upstream="app", forwarded="x")) as sluice, \
                Nginx(sluice.address[1]) as nginx:
            for source in ("127.0.0.9", "127.0.0.10"):
                with client_from(nginx.address, source) as client:
                    equal(client.ask("POST", "/one", body=b"b" * 100000).get("x-length"), "100000",
                          "the body of a first request")
                    client.send(request("GET", "/two") + request("GET", "/three"))
                    equal([client.answer().status for _ in range(2)], [200, 200], "two at once")
                    asked = origin.requests[-3:]
                    equal([r.get("x-forwarded-for") for r in asked], [source] * 3, "whose it is")
            equal(logged_clients(sluice, 6), ["127.0.0.9"] * 3 + ["127.0.0.10"] * 3, "in the log")


def test_nginx_in_front_of_what_wants_the_other_version():
    """nginx sends version 1; who wants version 2 closes, before a byte reaches a server."""
    with Origin(origins.echo) as origin, Sluice([origin.address],
                                                listener={"proxy_protocol": "v2"}) as sluice, \
            Nginx(sluice.address[1]) as nginx:
        with dial_from(nginx.address, "127.0.0.9") as s:
            check(ending(s)[1] != "open", "the client was not told")
        closes = sluice.at_rest().closes()
        check(list(closes) == ["PROXY_HEADER"] and origin.seen == 0, f"{closes}, {origin.seen}")


def test_nginx_at_both_ends():
    """nginx, sluice and nginx: the last one knows of whom the first one heard."""
    for send in ("v1", "v2"):
        for mode in ("tcp", "http"):
            with Nginx() as back, Sluice(
                    [back.address], listener={"mode": mode, "proxy_protocol": "any"},
                    upstream={"send_proxy": send, "pool": "client"}) as sluice, \
                    Nginx(sluice.address[1]) as front:
                for source in ("127.0.0.9", "127.0.0.10"):
                    with client_from(front.address, source) as client:
                        equal([client.ask("GET", "/who").body.decode() for _ in range(2)],
                              [source] * 2, f"the client at the end, {send}, {mode}")
                check("header" not in back.said(), back.said())


harness.main(globals())
