# SPDX-License-Identifier: MIT
"""Which servers are fit: active checks, what follows from them, and ejection by failures."""

import os
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
import origins
from harness import HOST, Sluice, check, equal, wait_until, written
from http_peers import Client, HttpOrigin, http_sluice, one_answer, reply, request
from liars import Liar, Scripted
from origins import Hanger, Origin, Refuser

FAST = {"health_interval": "100ms", "health_timeout": "300ms", "health_fall": 1, "health_rise": 1}
HTTP = {"health": "http", **FAST}
TCP = {"health": "tcp", **FAST}


def named(*origins_):
    return [f"{written(o.address)} name={o.name}" for o in origins_]


def listed(sluice, *names):
    return [int(sluice.count(name)) for name in names]


def greeting(sluice):
    try:
        with sluice.connect() as s:
            return s.recv(1)
    except ConnectionError:
        return b""


# ------------------------------------------------------------------ what is found out

LIES = {
    "silent": "the server did not answer in time",
    "drip": "the server did not answer in time",
    "half": "the server closed the connection without an answer",
    "mute": "the server closed the connection without an answer",
    "status": "the server answered with a status that is not wanted",
    "garbage": "the server answered with what is no response",
    "endless": "the server answered with what is no response",
    "reset": "the server reset the connection",
}


def test_liars():
    """Each is found out, with its reason in the log; those that are honest again come up."""
    liars = [Liar(name) for name in (*LIES, "brief", "split")]
    with HttpOrigin(name="good") as good, Refuser() as refuser, \
            http_sluice([*named(good, *liars), f"{written(refuser.address)} name=refuses"],
                        proxy={"workers": 2}, upstream=HTTP) as sluice:
        sluice.wait_count("servers_went_down", len(LIES) + 1)
        for name, reason in {**LIES, "refuses": "the server refused the connection"}.items():
            sluice.wait_log(f"warn server app/{name} is down: {reason}$")
        check("app/brief is" not in sluice.log(), "200 and an end at once is an answer")
        check("app/split is" not in sluice.log(), "200 in pieces is an answer")
        check(sluice.count("health_checks_failed") >= len(LIES) + 1, "health_checks_failed")
        for liar in liars:
            liar.kind = "honest"
        sluice.wait_count("servers_came_up", len(LIES))
        sluice.wait_log("warn server app/silent is up: the check passed$")
        equal(listed(sluice, "servers_went_down", "servers_ejected"), [len(LIES) + 1, 0], "once")
        equal({one_answer(sluice, request()).status for _ in range(20)}, {200}, "statuses")
    for liar in liars:
        liar.close()


def test_fall_and_rise():
    """Exactly `fall` failures in a row and exactly `rise` passes, counted by checks."""
    steps = "g" + "bbg" * 3 + "bbb" + "gb" * 3 + "ggb" * 2
    with Scripted(steps) as server, HttpOrigin(name="good") as good:
        with http_sluice([f"{written(server.address)} name=s", *named(good)], upstream={
                **HTTP, "health_interval": "40ms", "health_fall": 3, "health_rise": 3}) as sluice:
            wait_until(lambda: server.count > len(steps) + 2, "the checks do not go on")
            equal(listed(sluice, "servers_went_down", "servers_came_up"), [1, 0], "down once")
            equal(server.strangers, 0, "what were no checks")
            server.follow("ggg" + "bbg" * 3)
            wait_until(lambda: server.count > 15, "the checks do not go on")
            equal(listed(sluice, "servers_went_down"), [1 + 1], "down once more, at the end")
            equal(listed(sluice, "servers_came_up"), [1], "up once")


def test_the_first_check_is_enough_and_start_does_not_wait():
    with Hanger() as hanger, Origin(origins.talk_first(b"a")) as origin:
        started = time.monotonic()
        with Sluice([hanger.address, origin.address],
                    upstream={"health": "tcp", "health_interval": "10s", "health_timeout": "8s",
                              "connect_timeout": "200ms"}) as sluice:
            check(time.monotonic() - started < 5, "the start waits for a check")
            for _ in range(4):
                with sluice.connect() as s:
                    equal(s.recv(1), b"a", "while the first check is under way")
            sluice.wait_count("sessions", 0)
            started = time.monotonic()
            sluice.stop()
            check(time.monotonic() - started < 3, "the end waits for a check")
    with Refuser() as refuser, Origin(origins.talk_first(b"a")) as origin, \
            Sluice([refuser.address, origin.address],
                   upstream={**TCP, "health_fall": 50}) as sluice:
        sluice.wait_count("servers_went_down", 1, 2)


def test_one_check_for_all_workers():
    with Liar("honest", name="a") as a, Liar("honest", name="b") as b, \
            Sluice(named(a, b), proxy={"workers": 4},
                   upstream={**HTTP, "health_interval": "100ms"}) as sluice:
        started = time.monotonic()
        time.sleep(1.5)
        seen = [a.seen, b.seen]
        most = (time.monotonic() - started + 0.5) / 0.09 + 1
        check(all(5 <= n <= most for n in seen), f"checks within 1.5 s: {seen}")
        now = sluice.counters()
        check(abs(now["health_checks"] - a.seen - b.seen) <= 3, "health_checks")
        equal(now["health_checks_failed"], 0, "health_checks_failed")


def test_checks_leave_nothing_open():
    with Liar("honest") as a, Liar("silent") as b, Liar("drip") as c, Refuser() as r, \
            Sluice([*named(a, b, c), r.address],
                   upstream={**HTTP, "health_interval": "20ms", "health_timeout": "50ms"}) \
            as sluice:
        sluice.wait_count("health_checks", lambda n: n > 20)
        before = sluice.descriptors()
        sluice.wait_count("health_checks", lambda n: n > 120)
        check(sluice.descriptors() <= before + 4, f"{before} -> {sluice.descriptors()} descriptors")
        sluice.stop()
        for liar in (a, b, c):
            wait_until(lambda liar=liar: not liar.open, "a check's connection is still open", 3)


def test_what_is_asked():
    """Path, host, port and status; the request is well formed, and the session's port not asked."""
    def health(req, _link):
        return reply(b"", status="204 No Content").replace(b"Content-Length: 0\r\n", b"") \
            if req.target == "/fit?now=1" else reply()

    with Origin(origins.talk_first(b"a")) as server, HttpOrigin(health) as checked:
        keys = {**HTTP, "health_path": "/fit?now=1", "health_port": checked.address[1],
                "health_status": "204"}
        with Sluice([server.address], upstream={**keys, "health_host": "fit.test:81"}) as sluice:
            req = checked.wait_requests(3)[0]
            equal((req.method, req.target, req.get("host")), ("GET", "/fit?now=1", "fit.test:81"),
                  "the request")
            equal((server.seen, req.framing, req.options()), (0, "none", ["close"]), "its rest")
            equal(listed(sluice, "health_checks_failed"), [0], "health_checks_failed")
        count = len(checked.requests)
        with Sluice([server.address], upstream={**keys, "health_status": "200-203"}) as sluice:
            sluice.wait_log("is down: the server answered with a status that is not wanted")
            equal(checked.wait_requests(count + 1)[-1].get("host"), written(server.address),
                  "Host by default")


def test_checks_of_tcp_take_any_server():
    """Silent ones too; a server that goes and one that comes back, also by its unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "server")
        with Liar("silent") as silent, Sluice([*named(silent), f"unix:{path} name=u"],
                                              upstream=TCP) as sluice:
            sluice.wait_log("server app/u is down: the server refused the connection")
            with Origin(origins.echo, path):
                sluice.wait_log("server app/u is up: the check passed")
            sluice.wait_count("servers_went_down", 2)
            equal(listed(sluice, "servers_came_up"), [1], "servers_came_up")


# ------------------------------------------------------------------- what follows

def test_all_down():
    """HTTP gets its 503 at once, and TCP its end; nobody is dialled."""
    with Refuser() as one, Refuser() as two, \
            http_sluice([one.address, two.address], upstream=HTTP) as sluice:
        sluice.wait_count("servers_went_down", 2)
        started = time.monotonic()
        equal([one_answer(sluice, request()).status for _ in range(10)], [503] * 10, "statuses")
        check(time.monotonic() - started < 2, "503 is slow")
        now = sluice.counters()
        equal((now["http_own_503"], now["connect_retries"]), (10, 0), "503, retries")
    with Hanger() as hanger, Sluice([hanger.address], upstream=TCP) as sluice:
        sluice.wait_count("servers_went_down", 1)
        equal(greeting(sluice), b"", "the client was told")
        equal(sluice.at_rest().closes(), {"NO_SERVER": 1}, "reasons")


class Pair:
    """Two echo servers whose checks go to one port of their two addresses."""

    def __init__(self, **keys):
        self.ends = [Liar("honest", (HOST, 0))]
        port = self.ends[0].address[1]
        self.ends.append(Liar("honest", ("127.0.0.2", port)))
        self.loops = [origins.EchoLoop(), origins.EchoLoop(("127.0.0.2", 0))]
        self.keys = {**HTTP, "health_port": port, **keys}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in (*self.ends, *self.loops):
            one.close()


def sessions_of(pair, sluice, count=8):
    """Sessions at the first and at the second server."""
    found = [[], []]
    for _ in range(count):
        before = pair.loops[0].seen
        s = sluice.connect()
        harness.exchange(s)
        found[pair.loops[0].seen == before].append(s)
    return found


def test_on_down_close():
    with Pair(on_down="close") as pair, \
            Sluice([o.address for o in pair.loops], upstream=pair.keys,
                   proxy={"workers": 2, "accept": "round_robin"}) as sluice:
        ending, staying = sessions_of(pair, sluice)
        check(ending and staying, "sessions are at one server only")
        pair.ends[0].kind = "status"
        for s in ending:
            check(harness.ending(s, 3)[1] != "open", "a session at the server goes on")
        for s in staying:
            harness.exchange(s)
            s.close()
        equal(sluice.at_rest().closes(), {"SERVER_DOWN": len(ending),
                                          "CLIENT_FINISHED": len(staying)}, "reasons")


def test_on_down_keep():
    with Pair() as pair, Sluice([o.address for o in pair.loops], upstream=pair.keys) as sluice:
        ending, staying = sessions_of(pair, sluice)
        pair.ends[0].kind = "status"
        sluice.wait_count("servers_went_down", 1)
        time.sleep(0.3)
        for s in (*ending, *staying):
            harness.exchange(s)
            s.close()
        equal(sluice.at_rest().closes(), {"CLIENT_FINISHED": 8}, "reasons")


def test_on_down_close_of_requests():
    """Those at the server end; a client between two requests goes on, and no kept connection to
    the server remains."""
    going = threading.Event()
    with Liar("honest") as end, HttpOrigin(
            lambda req, _link: reply() if req.target == "/" else going.wait(20) and None,
            strict=False) as server, http_sluice([server], upstream={
                **HTTP, "health_port": end.address[1], "on_down": "close"}) as sluice:
        with Client(sluice) as resting, Client(sluice) as asking:
            equal(resting.ask().status, 200, "status")
            asking.send(request("GET", "/wait"))
            server.wait_requests(2)
            with Client(sluice) as third:
                equal(third.ask().status, 200, "status")
                end.kind = "status"
                check(asking.ends(3)[1] != "open", "the request goes on")
                sluice.wait_count("pool_idle", 0)
                equal([c.ask().status for c in (resting, third)], [503, 503], "after it")
        going.set()
        equal(sluice.at_rest().closes()["SERVER_DOWN"], 1, "SERVER_DOWN")


# ---------------------------------------------------------------------- ejections

def answers(statuses):
    """A script: these statuses in turn, then 200."""
    waiting = list(statuses)

    def script(_req, link):
        status = waiting.pop(0) if waiting else 200
        return reply(link.origin.name.encode(), status=f"{status} Told")
    return script


def test_ejected_by_its_answers():
    with HttpOrigin(answers([500, 503, 404, 500, 500, 200, 502, 500, 500]), "a") as a, \
            HttpOrigin(name="b") as b, http_sluice(named(a, b), upstream={
                "eject_after": 3, "eject_time": "1500ms"}) as sluice, Client(sluice) as client:
        for _ in range(16):  # eight at a: no three in a row yet
            client.ask()
        equal((len(a.requests), listed(sluice, "servers_ejected")), (8, [0]), "before the third")
        for _ in range(2):
            client.ask()
        sluice.wait_log("server app/a is ejected: the server answered with a status that is not")
        equal({client.ask().status for _ in range(10)}, {200}, "statuses while it is out")
        equal((len(a.requests), listed(sluice, "servers_ejected")), (9, [1]), "it is out")
        wait_until(lambda: client.ask().body == b"a", "it does not come back", 5)
        sluice.wait_log("server app/a is up: its time out of service is over")
        equal(listed(sluice, "servers_came_up", "servers_went_down"), [1, 0], "came up, went down")


def test_ejected_for_other_failures():
    """It ends without an answer, resets, or does not answer in time; and nobody waits twice."""
    for kind, reason, statuses in (("mute", LIES["mute"], {200, 502}),
                                   ("reset", LIES["reset"], {200, 502}),
                                   ("silent", LIES["silent"], {200, 504})):
        with Liar(kind) as liar, HttpOrigin(name="good") as good, http_sluice(
                named(liar, good), upstream={"eject_after": 2, "eject_time": "1m",
                                             "server_timeout": "400ms"}) as sluice:
            equal({one_answer(sluice, request()).status for _ in range(4)}, statuses, "answers")
            sluice.wait_log(f"warn server app/{kind} is ejected: {reason}$")
            equal({one_answer(sluice, request()).status for _ in range(6)}, {200}, "afterwards")
            equal((liar.seen, listed(sluice, "servers_ejected")), (2, [1]), "at the liar")
    with Hanger() as hanger, Origin(origins.talk_first(b"a")) as origin, \
            Sluice([f"{written(hanger.address)} name=h", origin.address], upstream={
                "connect_timeout": "200ms", "eject_after": 2, "eject_time": "1m"}) as sluice:
        for _ in range(8):
            with sluice.connect() as s:
                equal(s.recv(1), b"a", "the greeting")
        sluice.wait_log(f"warn server app/h is ejected: {LIES['silent']}$")
        equal(listed(sluice, "connect_retries", "servers_ejected"), [2, 1], "counters")


def test_a_success_in_between_counts():
    """Refused twice, taken once, and so on: that is no row of three. Two servers take turns."""
    port = harness.free_port()
    with Origin(origins.talk_first(b"b")) as other, \
            Sluice([(HOST, port), other.address], upstream={"eject_after": 3, "retries": 0}) \
            as sluice:
        for _ in range(3):
            equal([greeting(sluice) for _ in range(4)], [b"", b"b"] * 2, "refused twice")
            with Origin(origins.talk_first(b"a"), (HOST, port)):
                equal([greeting(sluice) for _ in range(2)], [b"a", b"b"], "taken once")
        equal(listed(sluice, "servers_ejected"), [0], "servers_ejected")
        equal([greeting(sluice) for _ in range(8)], [b"", b"b"] * 3 + [b"b"] * 2, "thrice")
        equal(listed(sluice, "servers_ejected"), [1], "servers_ejected")


def test_an_ejection_ends_without_traffic():
    with Refuser() as refuser, Origin(origins.talk_first(b"a")) as origin, \
            Sluice([f"{written(refuser.address)} name=r", origin.address], upstream={
                "eject_after": 2, "eject_time": "500ms"}) as sluice:
        equal([greeting(sluice) for _ in range(4)], [b"a"] * 4, "greetings")
        equal(listed(sluice, "servers_ejected"), [1], "servers_ejected")
        sluice.wait_log("server app/r is up: its time out of service is over", 3)
        equal(listed(sluice, "servers_came_up"), [1], "servers_came_up")
        time.sleep(0.5)
        before = sluice.counters()["wakes"]
        time.sleep(1)
        check(sluice.counters()["wakes"] - before <= 3, "a worker without work wakes up")


def test_never_more_than_half():
    for count in (1, 2, 3, 4):
        servers = [HttpOrigin(answers([500] * 99), str(n)) for n in range(count)]
        with http_sluice(named(*servers), upstream={"eject_after": 2, "eject_time": "1m"}) \
                as sluice, Client(sluice) as client:
            equal([client.ask().status for _ in range(10 * count)], [500] * 10 * count, "answers")
            equal(listed(sluice, "servers_ejected"), [count // 2], f"ejected of {count}")
            asked = sorted(len(s.requests) for s in servers)
            equal(asked[:count // 2], [2] * (count // 2), f"requests at {count} servers: {asked}")
        for s in servers:
            s.stop()


harness.main(globals())
