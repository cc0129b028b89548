# SPDX-License-Identifier: MIT
"""Servers that refuse, hang, die, are drained or weighted: who gets a session, and how it ends."""

import os
import socket
import tempfile
import time

import harness
import origins
from harness import HOST, Skip, Sluice, check, ending, equal, exchange, need, pattern, reset
from origins import EchoLoop, Hanger, Origin, Refuser


def ask(sluice, question=b"is anybody there?", seconds=harness.STEP_SECONDS):
    """What a client hears: (bytes, "eof", "reset" or "open"); the reset may be there at once."""
    try:
        s = sluice.connect()
    except ConnectionResetError:
        return b"", "reset"
    with s:
        try:
            s.sendall(question)
        except ConnectionError:  # told once: what is received afterwards ends as if in order
            return ending(s, seconds)[0], "reset"
        return ending(s, seconds)


def ends_with(sluice, reason, within, most=1):
    """A client is let in, hears nothing but the end in that many seconds, for that reason."""
    started = time.monotonic()
    got, how = ask(sluice)
    spent = time.monotonic() - started
    equal(got, b"", "what came from no server")
    check(how != "open", f"the client still waits after {spent:.1f} s")
    check(within[0] <= spent <= within[1], f"it took {spent:.2f} s")
    now = sluice.wait_count("close_" + reason, most)
    equal(now.closes(), {reason: most}, "reasons")
    return now


def told(sluice, *reasons):
    """A client is told of the end; the session ended for one of these reasons."""
    started = time.monotonic()
    check(ask(sluice)[1] != "open", "the client was not told")
    check(time.monotonic() - started < 2, "it took more than 2 s")
    closes = sluice.at_rest().closes()
    check(closes in [{reason: 1} for reason in reasons], f"reasons {closes}")


def test_refused():
    with Refuser() as refuser, Sluice([refuser.address]) as sluice:
        now = ends_with(sluice, "CONNECT_REFUSED", (0, 1))
        server = next(iter(now.servers.values()))
        check(server["server_connect_failures"] >= 1, f"server counters {server}")
        equal(server["server_connects"], 0, "connections made")


def test_refused_often():
    """5 servers that refuse, retries 2: exactly three are tried for each session."""
    refusers = [Refuser() for _ in range(5)]
    with Sluice([r.address for r in refusers], upstream={"retries": 2}) as sluice:
        for n in range(1, 6):
            ends_with(sluice, "CONNECT_REFUSED", (0, 1), n)
        now = sluice.counters()
        equal(now["connect_retries"], 10, "connect_retries")
        tried = sorted(s["server_connect_failures"] for s in now.servers.values())
        equal(sum(tried), 15, f"failures {tried}")
        equal(tried, [3] * 5, "failures by server, which take turns")
    for r in refusers:
        r.socket.close()


def test_no_retries():
    with Refuser() as refuser, EchoLoop() as origin, \
            Sluice([refuser.address, origin.address], upstream={"retries": 0}) as sluice:
        outcome = []
        for _ in range(10):
            outcome.append(ask(sluice, b"ping", 0.3)[0])
        equal((outcome.count(b"ping"), outcome.count(b"")), (5, 5), "answered and refused")
        equal(sluice.count("connect_retries"), 0, "connect_retries")


def test_retry_reaches_the_next():
    """With a server that works among those tried, no client notices, and no byte is lost."""
    data = pattern(50000)
    with Refuser() as one, Refuser() as two, EchoLoop() as origin:
        with Sluice([one.address, two.address, origin.address]) as sluice:
            for _ in range(30):
                s = sluice.connect()
                exchange(s, data)
                s.close()
            now = sluice.at_rest()
            equal(now.closes(), {"CLIENT_FINISHED": 30}, "reasons")
            check(now["connect_retries"] >= 20, f"{now['connect_retries']} retries")


def test_retry_of_a_client_that_ended():
    """The request and its end were there before the connection: both arrive at the next server."""
    with Refuser() as refuser, Origin(origins.answer_after_end(b"answer")) as origin:
        with Sluice([refuser.address, origin.address]) as sluice:
            for n in range(1, 21):
                s = sluice.connect()
                s.sendall(b"question")
                s.shutdown(socket.SHUT_WR)
                equal(ending(s), (b"answer", "eof"), "answer")
                s.close()
                origin.wait_results(n)
            equal(origin.results, [b"question"] * 20, "questions")


def test_more_retries_than_servers():
    with Refuser() as refuser, Sluice([refuser.address], upstream={"retries": 10}) as sluice:
        ends_with(sluice, "CONNECT_REFUSED", (0, 1))


def test_hangs():
    with Hanger() as hanger, \
            Sluice([hanger.address], upstream={"connect_timeout": "300ms"}) as sluice:
        ends_with(sluice, "CONNECT_TIMEOUT", (0.25, 1.5))
        equal(sluice.counters().ring["kernel_threads"], 0, "kernel threads")


def test_hangs_then_the_next():
    with Hanger() as hanger, EchoLoop() as origin, \
            Sluice([hanger.address, origin.address],
                   upstream={"connect_timeout": "200ms"}) as sluice:
        for _ in range(4):
            s = sluice.connect()
            exchange(s, pattern(30000))
            s.close()
        check(sluice.count("connect_retries") >= 1, "no retry was counted")


def test_client_leaves_while_connecting():
    """The client resets or ends while the server still hangs: the session does not linger."""
    with Hanger() as hanger, Sluice([hanger.address],
                                    upstream={"connect_timeout": "5s"}) as sluice:
        clients = [sluice.connect() for _ in range(10)]
        for s in clients:
            s.sendall(b"hello")
        time.sleep(0.2)
        started = time.monotonic()
        for s in clients:
            reset(s)
        now = sluice.wait_count("sessions", 0, 8)
        check(time.monotonic() - started < 2, "a client that reset is kept until connect_timeout")
        equal(now.closes(), {"CLIENT_RESET": 10}, "reasons")


def test_unix_server_is_missing():
    with tempfile.TemporaryDirectory() as folder:
        with Sluice([os.path.join(folder, "nobody")]) as sluice:
            told(sluice, "CONNECT_FAILED", "CONNECT_REFUSED")


def test_unix_server_hangs():
    """A unix socket with a full backlog: connect() there waits in another way than for TCP."""
    with tempfile.TemporaryDirectory() as folder:
        with Hanger(os.path.join(folder, "back")) as hanger, \
                Sluice([hanger.address], upstream={"connect_timeout": "300ms"}) as sluice:
            told(sluice, "CONNECT_TIMEOUT", "CONNECT_FAILED")


def test_unreachable():
    """The kernel itself says that there is no way: TCP has no broadcasts."""
    with Sluice(["255.255.255.255:9"], upstream={"connect_timeout": "300ms"}) as sluice:
        told(sluice, "CONNECT_FAILED")


def test_server_dies_in_mid_stream():
    with Origin(origins.reset_after(b"z" * 300000)) as origin, \
            Sluice([origin.address]) as sluice:
        for n in range(1, 21):
            got, how = ask(sluice, b"")
            equal(how, "reset", f"end of stream {n} after {len(got)} bytes")
            equal(got.strip(b"z"), b"", "bytes before it")
        equal(sluice.at_rest().closes(), {"SERVER_RESET": 20}, "reasons")


def test_server_comes_back():
    """Refused while the server is away, served when it is back: nothing is remembered badly."""
    port = harness.free_port()
    with Sluice([(HOST, port)]) as sluice:
        ends_with(sluice, "CONNECT_REFUSED", (0, 1))
        with EchoLoop((HOST, port)):
            s = sluice.connect()
            exchange(s)
            s.close()
            sluice.wait_count("sessions", 0)
        check(ask(sluice)[1] != "open", "refused again")


# ----------------------------------------------------------------------- weights

def spread(sluice, count):
    for _ in range(count):
        s = sluice.connect()
        exchange(s, b"w")
        s.close()


def test_weights_are_exact():
    loops = [EchoLoop() for _ in range(4)]
    weights = [5, 1, 2, 0]
    servers = [f"{harness.written(o.address)} weight={w} name=s{n}"
               for n, (o, w) in enumerate(zip(loops, weights))]
    with Sluice(servers) as sluice:
        spread(sluice, 80)
        equal([o.seen for o in loops], [50, 10, 20, 0], "sessions by server")
        now = sluice.at_rest()
        equal([now.servers[f"app/s{n}"]["server_connects"] for n in range(4)], [50, 10, 20, 0],
              "server_connects by name")
    for o in loops:
        o.close()


def test_weights_are_interleaved():
    """Of 3:1, four in a row never hold more than three of the heavy one."""
    order = []
    heavy = Origin(lambda c: order.append("h") or origins.echo(c))
    light = Origin(lambda c: order.append("l") or origins.echo(c))
    with heavy, light, Sluice([f"{harness.written(heavy.address)} weight=3",
                               f"{harness.written(light.address)} weight=1"]) as sluice:
        spread(sluice, 40)
        equal((order.count("h"), order.count("l")), (30, 10), "sessions")
        check(all("l" in order[at:at + 4] for at in range(0, 40, 4)), f"order {''.join(order)}")


def test_equal_weights_take_turns():
    loops = [EchoLoop() for _ in range(3)]
    with Sluice([o.address for o in loops]) as sluice:
        spread(sluice, 30)
        equal([o.seen for o in loops], [10, 10, 10], "sessions by server")
    for o in loops:
        o.close()


def test_weights_over_two_workers():
    """Each worker goes through the weights for itself: off by at most one round each."""
    loops = [EchoLoop() for _ in range(2)]
    servers = [f"{harness.written(o.address)} weight={w}" for o, w in zip(loops, (3, 1))]
    with Sluice(servers, proxy={"workers": 2}) as sluice:
        spread(sluice, 200)
        check(abs(loops[0].seen - 150) <= 4, f"{[o.seen for o in loops]} of 3:1")
    for o in loops:
        o.close()


def test_weight_zero_everywhere():
    with EchoLoop() as origin, \
            Sluice([harness.written(origin.address) + " weight=0"]) as sluice:
        ends_with(sluice, "NO_SERVER", (0, 1))
        equal(origin.seen, 0, "sessions at a drained server")


def test_weight_zero_is_no_retry():
    """A drained server gets no session from the retries either."""
    with Refuser() as refuser, EchoLoop() as drained, \
            Sluice([refuser.address, harness.written(drained.address) + " weight=0"]) as sluice:
        ends_with(sluice, "CONNECT_REFUSED", (0, 1))
        equal(drained.seen, 0, "sessions at a drained server")


# ------------------------------------------------------------------- local ports

NAMESPACE = """ip link set lo up &&
echo '40000 40003' >/proc/sys/net/ipv4/ip_local_port_range && exec "$@" """


def test_no_local_port():
    """In a network namespace with four local ports, the fifth session has a reason of its own.

    sluice dials itself there, TCP in the middle: client -> unix -> TCP -> unix -> server."""
    need("ip")
    prefix = [need("unshare"), "-n", "sh", "-c", NAMESPACE, "sh"]
    status, _ = harness.run("-c", "true", command=[*prefix[:3], "-c", NAMESPACE, "sh", "sh"])
    if status != 0:
        raise Skip("no network namespace can be made here")
    with tempfile.TemporaryDirectory() as folder:
        front, back = os.path.join(folder, "front"), os.path.join(folder, "back")
        text = harness.section("listener inner", {"bind": "127.0.0.1:9000", "upstream": "last"})
        text += harness.section("upstream last", {"server": f"unix:{back}"})
        with Origin(origins.echo, back), \
                Sluice(["127.0.0.1:9000"], bind=front, prefix=prefix, text=text) as sluice:
            held = [sluice.connect() for _ in range(4)]
            for s in held:
                exchange(s)
            check(ask(sluice)[1] != "open", "the client was not told")
            equal(sluice.counters().closes(), {"NO_PORT": 1}, "reasons")
            for s in held:
                exchange(s, b"unharmed")
                s.close()


harness.main(globals())
