# SPDX-License-Identifier: MIT
"""Servers that die, hang, flap and fail one and all, while there is load; and servers of other
projects under checks."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

# pylint: disable=wrong-import-position
import harness
import origins
from harness import (HOST, SLUICE_LOAD, Skip, Sluice, check, equal, free_port, need,
                     wait_until, written)
from http_peers import Client, HttpOrigin, http_sluice
from origins import Origin, Refuser

CHECKED = {"health": "tcp", "health_interval": "100ms", "health_timeout": "400ms",
           "health_fall": 2, "health_rise": 2}


class Child:
    """A server in a process of its own, which can be killed, stopped and started again."""

    service = ""

    def __init__(self, name, port, *command, cwd=None):
        self.name, self.address, self.command, self.cwd = name, (HOST, port), command, cwd
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, cwd=self.cwd,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._listens, f"{self.name} does not listen")

    def _listens(self):
        if self.process.poll() is not None:
            raise Skip(f"{self.name} ended with {self.process.returncode}")
        try:
            harness.dial(self.address, timeout=1).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait(harness.STEP_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def served(name, service, *options):
    if not os.access(SLUICE_LOAD, os.X_OK):
        raise Skip("sluice-load is not built")
    port = free_port()
    child = Child(name, port, SLUICE_LOAD, "serve", "--quiet", *options,
                  f"{service}={HOST}:{port}")
    child.service = service
    return child


def named(*servers):
    return [f"{written(s.address)} name={s.name}" for s in servers]


class Load:
    """sluice-load --verify in the background, until .report()."""

    def __init__(self, *arguments):
        self.file = tempfile.NamedTemporaryFile(suffix=".json")
        self.process = subprocess.Popen(
            [SLUICE_LOAD, "--quiet", "-d", "50s", "--verify", "--json", self.file.name,
             "--timeout", "3s", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def report(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        with open(self.file.name, encoding="utf-8") as text:
            return json.load(text)["runs"][0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.file.close()


class Watch:
    """Waits for the next time that the log says so of a server."""

    def __init__(self, sluice):
        self.sluice, self.seen = sluice, {}

    def __call__(self, server, state, seconds=5):
        line = rf"warn server app/{server.name} is {state}:"
        wait_until(lambda: len(re.findall(line, self.sluice.log())) > self.seen.get(line, 0),
                   f"the log does not say again: {line}", seconds)
        self.seen[line] = self.seen.get(line, 0) + 1


def gets_traffic(sluice, server):
    """New connections, or requests over kept ones."""
    def row():
        return sluice.counters().servers[f"app/{server.name}"]
    before = row()["server_connects"]
    wait_until(lambda: row()["server_connects"] > before or
               (server.service == "http" and row()["server_sessions"] > 0),
               f"{server.name} gets nothing after it came up")


def kill(sluice, watch, server):
    """Gone, found out, back, and trusted again."""
    server.kill()
    watch(server, "down")
    server.start()
    watch(server, "up")
    gets_traffic(sluice, server)


def hang(sluice, watch, server):
    """Its kernel still accepts: only a check by HTTP notices, or a timeout."""
    server.process.send_signal(signal.SIGSTOP)
    if server.service == "http":
        watch(server, "down")
    else:
        time.sleep(0.5)
    server.process.send_signal(signal.SIGCONT)
    if server.service == "http":
        watch(server, "up")
    gets_traffic(sluice, server)


def flap(sluice, _watch, server):
    for _ in range(3):
        server.kill()
        time.sleep(0.15)
        server.start()
        time.sleep(0.15)
    gets_traffic(sluice, server)


# What happens, and how often something that is in flight may fail.
TROUBLES = ((kill, 1), (hang, 1), (flap, 3))


def endure(service, *arguments, **listener):
    """No byte is wrong or lost, and what fails was in flight when a server did."""
    servers = [served("one", service), served("two", service),
               served("three", service, "--delay", "3ms:20")]
    keys = {**CHECKED, "connect_timeout": "500ms", "server_timeout": "2s", "eject_time": "300ms",
            "health": "http" if service == "http" else "tcp"}
    try:
        with Sluice(named(*servers), listener=listener, proxy={"workers": 2}, upstream=keys) \
                as sluice, Load("-c", "8", *arguments,
                                target(service, sluice)) as load:
            watch = Watch(sluice)
            time.sleep(0.3)
            for (trouble, _), server in zip(TROUBLES, servers):
                trouble(sluice, watch, server)
            run = load.report()
            now = sluice.at_rest()
    finally:
        for server in servers:
            server.process.send_signal(signal.SIGCONT)
            server.kill()
    counts, events = run["counts"], sum(n for _, n in TROUBLES)
    wrong = sum(e["count"] for e in run["errors"] if e["phase"] in ("verify", "parse"))
    own = sum(int(now[f"http_own_{status}"]) for status in (502, 503, 504))
    refused = sum(counts[f"refused_{status}"] for status in (502, 503, 504))
    equal(wrong, 0, f"wrong answers: {run['errors']}")
    check(refused <= own, f"{refused} refused requests, {own} answers were the proxy's own")
    check(counts["completed"] > 200, f"little was done: {counts}")
    # In flight, or sent over a kept connection that was just ending.
    failed, most = counts["sent"] - counts["verified"] - counts["unfinished"], 2 * events * 8
    check(failed <= most, f"{failed} failed, at most {most} may: {counts}, {run['errors']}, {own}")


def target(service, sluice):
    return (f"http://{HOST}:{sluice.address[1]}/?echo=1" if service == "http" else
            f"tcp://{HOST}:{sluice.address[1]}")


def test_sessions_under_load():
    endure("rr", "--mode", "rr", "--size", "3K", "--reconnect", "20")


def test_requests_under_load():
    endure("http", "--size", "3K", mode="http")


# ------------------------------------------------------------------- retry storms

def test_a_storm_of_sessions():
    """Half of the servers refuse: the others get no more than the budget on top of their share."""
    count, percent, least = 600, 10, 100
    with Refuser() as r1, Refuser() as r2, Origin(origins.talk_first(b"a")) as one, \
            Origin(origins.talk_first(b"b")) as two, \
            Sluice([o.address for o in (r1, one, r2, two)], upstream={
                "eject_after": 0, "retry_budget": percent, "retries": 3}) as sluice:
        answered = 0
        for _ in range(count):
            try:
                with sluice.connect() as s:
                    answered += s.recv(1) != b""
            except ConnectionError:
                pass
        now = sluice.at_rest()
        retries, denied = now["connect_retries"], now["retries_denied"]
        check(retries <= least + count * percent // 100 + 10, f"{retries} retries")
        check(denied > 0, "none was denied")
        equal(now.closes(), {"CLIENT_FINISHED": answered, "CONNECT_REFUSED": count - answered},
              "reasons")
        equal(count - answered, denied, "who was denied a retry was told")
        equal(one.seen + two.seen, answered, "sessions at those that work")


def test_a_storm_of_requests():
    """The two take turns, retries too: the budget of 100 goes to the first 100 requests, then the
    refuser has every second one."""
    with Refuser() as refuser, HttpOrigin() as server, \
            http_sluice([refuser.address, server], upstream={
                "eject_after": 0, "retry_budget": 0}) as sluice, Client(sluice) as client:
        statuses = [client.ask().status for _ in range(400)]
        now = sluice.counters()
        equal((now["connect_retries"], now["retries_denied"]), (100, 150), "retries, denied")
        equal((statuses.count(200), statuses.count(503)), (250, 150), "statuses")
        equal(len(server.requests), 250, "requests at the server")


def test_ejection_ends_a_storm():
    """With ejection on, as by default, few retries are wanted at all."""
    with Refuser() as refuser, Origin(origins.talk_first(b"a")) as origin, \
            Sluice([refuser.address, origin.address], upstream={"retry_budget": 0}) as sluice:
        for _ in range(200):
            with sluice.connect() as s:
                equal(s.recv(1), b"a", "the greeting")
        equal([int(sluice.count(n)) for n in ("servers_ejected", "connect_retries",
                                              "retries_denied")], [1, 5, 0], "counters")


# ------------------------------------------------------------------ other programs

NGINX = """daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 100; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        location = /fit {{ return 204; }}
        location / {{ return 500; }}
    }}
}}
"""
HAPROXY = """defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend f
    bind {host}:{port} accept-proxy
    http-request return status 200 if {{ path /fit }}
    http-request return status 500
"""


def program(name, folder):
    """A server of another project, from its own configuration."""
    path, port = need({"redis": "redis-server"}.get(name, name)), free_port()
    conf = os.path.join(folder, name + ".conf")
    if name == "redis":
        return Child(name, port, path, "--port", str(port), "--bind", HOST, "--save", "",
                     cwd=folder)
    with open(conf, "w", encoding="ascii") as f:
        f.write({"nginx": NGINX, "haproxy": HAPROXY}[name].format(
            folder=folder, host=HOST, port=port))
    return Child(name, port, path, *(["-c", conf, "-p", folder, "-e", "stderr"]
                                     if name == "nginx" else ["-db", "-f", conf]))


def goes_and_comes(name, unfit=None, **keys):
    """Up while it runs; down when it is killed; up when it is back; down by another path."""
    with tempfile.TemporaryDirectory() as folder, program(name, folder) as child, \
            Origin(origins.echo) as other:
        os.chmod(folder, 0o755)
        keys = {**CHECKED, **keys}
        with Sluice([*named(child), other.address], upstream=keys) as sluice:
            watch = Watch(sluice)
            sluice.wait_count("health_checks", lambda n: n >= 4)
            equal(f"app/{name} is" in sluice.log(), False, f"{name} went down, and it runs")
            child.kill()
            watch(child, "down")
            child.start()
            watch(child, "up")
        if unfit:
            with Sluice([*named(child), other.address], upstream={**keys, **unfit}) as sluice:
                sluice.wait_log(f"app/{name} is down: ")


def test_nginx():
    goes_and_comes("nginx", {"health_path": "/"}, health="http", health_path="/fit",
                   health_status=204)


def test_haproxy():
    """Which gets a PROXY header from checks as well."""
    for version in ("v1", "v2"):
        goes_and_comes("haproxy", {"health_path": "/"}, health="http", health_path="/fit",
                       send_proxy=version)


def test_redis():
    """By TCP; and what it answers to HTTP is nothing."""
    goes_and_comes("redis", {"health": "http"})


harness.main(globals())
