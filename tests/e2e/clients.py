# SPDX-License-Identifier: MIT
"""Who a client is: PROXY protocol in and out, allow and deny, limits of one source, addresses to
dial from."""

import os
import socket
import struct
import subprocess
import tempfile
import time

import harness
import origins
from harness import HOST, Sluice, check, dial, equal, need, receive_exactly
from origins import Origin

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.7", port=1234):
    return f"PROXY TCP4 {source} 192.0.2.1 {port} 80\r\n".encode()


def v2(source="192.0.2.7", port=1234, tlvs=b""):
    body = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 80)
    return V2 + b"\x21\x11" + struct.pack("!H", len(body) + len(tlvs)) + body + tlvs


class Teller:
    """Sends back all that came up to a newline, and remembers the peer's address."""

    def __init__(self):
        self.peers = []

    def __call__(self, s):
        self.peers.append(s.getpeername())
        got = b""
        while not got.endswith(b"!\n"):
            data = s.recv(4096)
            if not data:
                return
            got += data
        s.sendall(got)


def told(address, data):
    """What the teller behind a sluice got, when a client sends this."""
    s = dial(address)
    s.sendall(data + b"hello!\n")
    got = b""
    while not got.endswith(b"hello!\n"):
        more = s.recv(4096)
        check(more, f"the connection ended behind {got!r}")
        got += more
    s.close()
    return got


def closed(address, data, source=HOST):
    """A reset can be faster than connect() returns, or than the data."""
    s = socket.socket()
    s.settimeout(5)
    s.bind((source, 0))
    try:
        s.connect(address)
        s.sendall(data)
    except OSError:
        s.close()
        return
    got, how = harness.ending(s)
    check(got == b"" and how in ("eof", "reset"), f"{data!r}: {got!r}, {how}")
    s.close()


def test_a_header_from_the_client():
    for kind, header in (("v1", v1()), ("v2", v2()), ("any", v1()), ("any", v2()),
                         ("v2", v2(tlvs=b"\x04\x00\x03abc")), ("v2", V2 + b"\x20\x00\x00\x00"),
                         ("v1", b"PROXY UNKNOWN\r\n")):
        with Origin(Teller()) as origin, \
                Sluice([origin.address], listener={"proxy_protocol": kind}) as sluice:
            equal(told(sluice.address, header), b"hello!\n", f"behind {header!r}")


def test_a_header_cut_at_every_byte():
    with Origin(Teller()) as origin, \
            Sluice([origin.address], listener={"proxy_protocol": "any"}) as sluice:
        for header in (v1(), v2()):
            whole = header + b"hello!\n"
            for i in range(1, len(whole), 3):
                s = dial(sluice.address)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(whole[:i])
                time.sleep(0.003)
                s.sendall(whole[i:])
                equal(receive_exactly(s, 7), b"hello!\n", f"cut at {i}")
                s.close()


def test_what_is_no_header_is_closed():
    teller = Teller()
    with Origin(teller) as origin, \
            Sluice([origin.address], listener={"proxy_protocol": "v1"}) as sluice:
        bad = [b"GET / HTTP/1.1\r\n\r\n", v2(), b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 80\r\n",
               b"PROXY TCP4 1.2.3.04 5.6.7.8 1 80\r\n", b"PROXY " + b"x" * 200]
        for data in bad:
            closed(sluice.address, data)
        equal(sluice.at_rest().closes(), {"PROXY_HEADER": len(bad)}, "close reasons")
    equal(teller.peers, [], "connections at the server")


def test_a_header_that_does_not_come_in_time():
    with Origin(Teller()) as origin, \
            Sluice([origin.address], listener={"proxy_protocol": "v1",
                                               "client_timeout": "300ms"}) as sluice:
        closed(sluice.address, b"PROXY TCP4 ")
        equal(sluice.at_rest().closes(), {"PROXY_HEADER": 1}, "close reasons")


def test_unfinished_headers_do_not_use_up_the_memory():
    """Three hundred of them, on memory for a hundred and twenty-eight."""
    with Origin(Teller()) as origin, \
            Sluice([origin.address], proxy={"buffer_memory": "2M"},
                   listener={"proxy_protocol": "v1"}) as sluice:
        slow = [dial(sluice.address) for _ in range(300)]
        for s in slow:
            s.sendall(b"PROXY")
        sluice.wait_count("accepts", 300)
        started = time.monotonic()
        equal(told(sluice.address, v1()), b"hello!\n", "another client's payload")
        check(time.monotonic() - started < 5, "another client had to wait for the unfinished")
        for s in slow:
            s.close()


def test_only_some_may_send_a_header():
    with Origin(Teller()) as origin, \
            Sluice([origin.address], listener={"proxy_protocol": "v1",
                                               "proxy_protocol_from": "10.0.0.0/8"}) as sluice:
        closed(sluice.address, v1() + b"hello!\n")
    with Origin(Teller()) as origin, \
            Sluice([origin.address], listener={"proxy_protocol": "v1",
                                               "proxy_protocol_from": "127.0.0.1"}) as sluice:
        equal(told(sluice.address, v1()), b"hello!\n", "payload")


def test_a_header_to_the_server():
    """In with one version, out with the other: the first client's address."""
    with Origin(Teller()) as origin:
        with Sluice([origin.address], listener={"proxy_protocol": "v2"},
                    upstream={"send_proxy": "v1"}) as sluice:
            got = told(sluice.address, v2())
            check(got.startswith(b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 "), got)
        with Sluice([origin.address], listener={"proxy_protocol": "v1"},
                    upstream={"send_proxy": "v2"}) as sluice:
            got = told(sluice.address, v1())
            equal(got[:16], V2 + b"\x21\x11\x00\x0c", "signature, command, family, length")
            equal(got[16:20], socket.inet_aton("192.0.2.7"), "source")
            equal(got[28:], b"hello!\n", "payload")


def test_a_header_to_a_server_that_speaks_first():
    def speaks(s):
        got = s.recv(200)
        s.sendall(b"got " + got[:10])
    with Origin(speaks) as origin, Sluice([origin.address],
                                          upstream={"send_proxy": "v1"}) as sluice:
        s = dial(sluice.address)
        equal(receive_exactly(s, 14), b"got PROXY TCP4", "answer to the header alone")
        s.close()


def test_a_header_survives_the_next_server():
    with origins.Refuser() as dead, Origin(Teller()) as origin, \
            Sluice([dead.address, origin.address], upstream={"send_proxy": "v1"}) as sluice:
        for _ in range(4):
            got = told(sluice.address, b"")
            equal(got.count(b"PROXY "), 1, f"headers in {got!r}")


def test_allow_and_deny():
    rules = [({"deny": "127.0.0.2"}, {"127.0.0.1": True, "127.0.0.2": False}),
             ({"allow": "127.0.0.2"}, {"127.0.0.1": False, "127.0.0.2": True}),
             ({"deny": "127.0.0.0/8", "allow": "127.0.0.0/30"},
              {"127.0.0.1": True, "127.0.0.5": False})]
    for rule, expected in rules:
        with Origin(Teller()) as origin, Sluice([origin.address], listener=rule) as sluice:
            for source, is_in in expected.items():
                if not is_in:
                    closed(sluice.address, b"hello!\n", source)
                    continue
                s = socket.create_connection(sluice.address, 5, (source, 0))
                s.sendall(b"hello!\n")
                equal(receive_exactly(s, 7), b"hello!\n", source)
                s.close()
            closes = sluice.at_rest().closes()
            equal(closes.get("ACCESS_DENIED"), 1, "ACCESS_DENIED")


def test_the_address_of_the_header_counts():
    with Origin(Teller()) as origin, \
            Sluice([origin.address], listener={"proxy_protocol": "v1",
                                               "deny": "192.0.2.7"}) as sluice:
        closed(sluice.address, v1() + b"hello!\n")
        equal(told(sluice.address, v1("192.0.2.8")), b"hello!\n", "another client")


def test_sessions_of_one_source():
    with Origin(origins.echo) as origin, \
            Sluice([origin.address], listener={"source_sessions": 3}) as sluice:
        held = [dial(sluice.address) for _ in range(3)]
        for s in held:
            harness.exchange(s)
        closed(sluice.address, b"")
        other = socket.create_connection(sluice.address, 5, ("127.0.0.2", 0))
        harness.exchange(other)
        held.pop().close()
        sluice.wait_count("sessions", 3)
        again = dial(sluice.address)
        harness.exchange(again)
        for s in (*held, other, again):
            s.close()
        equal(sluice.at_rest().closes()["SOURCE_SESSIONS"], 1, "SOURCE_SESSIONS")


def test_rate_of_one_source():
    with Origin(origins.echo) as origin, \
            Sluice([origin.address], listener={"source_rate": 5, "source_burst": 5}) as sluice:
        for _ in range(40):
            try:
                dial(sluice.address).close()
            except OSError:
                pass
        sluice.wait_count("accepts", 40)
        closes = sluice.at_rest().closes()
        check(20 <= closes["SOURCE_RATE"] <= 35, f"SOURCE_RATE: {closes}")


def test_addresses_to_dial_from():
    teller = Teller()
    with Origin(teller) as origin, \
            Sluice([origin.address], upstream={"source": ["127.0.0.3", "127.0.0.4"]}) as sluice:
        for _ in range(4):
            told(sluice.address, b"")
        equal(sluice.count("source_failures"), 0, "source_failures")
    equal({p[0] for p in teller.peers}, {"127.0.0.3", "127.0.0.4"}, "peers at the server")


def test_an_address_that_is_not_ours():
    with Origin(Teller()) as origin, \
            Sluice([origin.address], upstream={"source": "192.0.2.77"}) as sluice:
        equal(told(sluice.address, b""), b"hello!\n", "payload")
        check(sluice.count("source_failures") >= 1, "source_failures")


def listens(port):
    with socket.socket() as s:
        return s.connect_ex((HOST, port)) == 0


def test_curl_and_haproxy_send_and_take_headers():
    """curl's header through sluice to HAProxy, which tells whose the request was."""
    haproxy, curl = need("haproxy"), need("curl")
    port = harness.free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"""defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend f
    bind {HOST}:{port} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src]"
""")
        child = subprocess.Popen([haproxy, "-db", "-f", path], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            harness.wait_until(lambda: listens(port), "HAProxy does not listen")
            for send in ("v1", "v2"):
                with Sluice([(HOST, port)], listener={"proxy_protocol": "v1"},
                            upstream={"send_proxy": send}) as sluice:
                    got = subprocess.run(
                        [curl, "-s", "--max-time", "5", "--haproxy-protocol",
                         "--interface", "127.0.0.9", f"http://{HOST}:{sluice.address[1]}/"],
                        capture_output=True, text=True, timeout=10, check=False)
                    equal(got.stdout, "127.0.0.9", f"the client as HAProxy sees it ({send})")
        finally:
            child.kill()
            child.wait()


harness.main(globals())
