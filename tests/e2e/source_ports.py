# SPDX-License-Identifier: MIT
"""Local ports: more sessions than one address has of them, by several addresses, by several
destinations, and what happens when there is none left.

All of it happens in a network namespace with a thousand local ports, into which this file starts
itself again. Clients come over a unix socket, so that the ports are those of sluice alone.
"""

import os
import resource
import select
import socket
import subprocess
import sys
import tempfile

import harness
from harness import HOST, Sluice, check, dial, equal, exchange, need
from origins import EchoLoop

PORTS = 1000
FIRST = 40000
INSIDE = f"""ip link set lo up &&
echo '{FIRST} {FIRST + PORTS - 1}' >/proc/sys/net/ipv4/ip_local_port_range && exec "$@" """
MARK = "SLUICE_E2E_NAMESPACE"
SOURCES = ["127.0.0.3", "127.0.0.4", "127.0.0.5"]


class Peers(EchoLoop):
    """An echo server on a port that no connection takes, which knows where its peers are."""

    def __init__(self, host=HOST):
        super().__init__((host, harness.free_port(host)))

    def peers(self):
        return [c.getpeername() for c in list(self.connections.values())]

    def end(self, count):
        """Ends so many from this side, which then remembers the pair of ports, and not sluice."""
        for c in list(self.connections.values())[:count]:
            c.shutdown(socket.SHUT_WR)

    def wait(self, count):
        harness.wait_until(lambda: len(self.connections) == count,
                           lambda: f"{len(self.connections)} of {count} connections")
        return self.peers()


class Front:
    """A sluice that is reached over a unix socket, and its clients."""

    def __init__(self, servers, **upstream):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "front")
        self.sluice = Sluice(servers, bind=self.path, upstream=upstream,
                             proxy={"max_sessions": 4 * PORTS, "workers": 2})
        self.clients = []

    def opened(self, count):
        """Opens so many more, each with an exchange of its own."""
        fresh = [dial(self.path) for _ in range(count)]
        self.clients += fresh
        for n, s in enumerate(fresh):
            try:
                exchange(s, b"session %d\n" % n)
            except OSError as error:
                raise harness.Failure(f"session {n} of {count} is not served: {error}; reasons "
                                      f"{self.sluice.counters().closes()}") from error

    def refused(self):
        with dial(self.path) as s:
            got, how = harness.ending(s)
        equal(got, b"", "what came from no server")
        check(how in ("eof", "reset"), "the client was not told")

    def close_ended(self, count):
        """Waits until so many are ended by the server, and ends them too."""
        poll = select.poll()
        for s in self.clients:
            poll.register(s, select.POLLIN)
        ended = harness.wait_until(
            lambda: len(found := poll.poll(0)) >= count and [fd for fd, _ in found],
            f"{count} clients are not told of the end")
        for s in [s for s in self.clients if s.fileno() in ended]:
            equal(s.recv(1), b"", "what came at the end")
            self.clients.remove(s)
            s.close()

    def __enter__(self):
        self.sluice.__enter__()
        return self

    def __exit__(self, *error):
        for s in self.clients:
            s.close()
        self.sluice.__exit__(*error)
        self.folder.cleanup()


def unique(peers, what):
    equal(len(set(peers)), len(peers), f"different ports {what}")
    check(all(FIRST <= port < FIRST + PORTS for _, port in peers), f"ports out of range {what}")


def test_more_sessions_than_ports_of_one_address():
    """2,500 at one server at one time, by three addresses of a thousand ports each."""
    with Peers() as server, Front([server.address], source=SOURCES) as front:
        front.opened(2500)
        found = server.wait(2500)
        unique(found, "at one server")
        counts = {s: sum(1 for address, _ in found if address == s) for s in SOURCES}
        equal(sum(counts.values()), 2500, f"sessions from those addresses {counts}")
        check(all(700 <= n <= PORTS for n in counts.values()), f"shares of the addresses {counts}")
        for s in front.clients:
            exchange(s, b"all of them are alive")
        now = front.sluice.counters()
        equal((now["sessions"], now["source_failures"], now.closes()), (2500, 0, {}), "counters")


def test_no_port_is_left():
    """Without source there is one address. What is too many is told so; a port that is free again
    is used again."""
    with Peers() as server, Front([server.address]) as front:
        front.opened(PORTS)
        unique(server.wait(PORTS), "without source")
        for _ in range(20):
            front.refused()
        now = front.sluice.wait_count("sessions", PORTS)
        equal(now.closes(), {"NO_PORT": 20}, "reasons")
        server.end(30)
        front.close_ended(30)
        server.wait(PORTS - 30)
        front.sluice.wait_count("sessions", PORTS - 30)
        front.opened(30)
        unique(server.wait(PORTS), "after thirty came free")
        equal(front.sluice.counters().closes(), {"NO_PORT": 20, "SERVER_FINISHED": 30}, "reasons")


def two_destinations(source):
    """Twice as many sessions as ports: a port is taken for a destination, not for itself."""
    with Peers() as one, Peers("127.0.0.2") as two, \
            Front([one.address, two.address], retries=0, **source) as front:
        front.opened(2 * PORTS - 2)
        each = [server.wait(PORTS - 1) for server in (one, two)]
        for peers, what in zip(each, ("at the first", "at the second")):
            unique(peers, what)
        both = {p for _, p in each[0]} & {p for _, p in each[1]}
        check(len(both) >= PORTS - 2, f"{len(both)} ports are used for both destinations")
        equal(front.sluice.counters().closes(), {}, "reasons")


def test_ports_are_shared_by_destinations():
    two_destinations({})


def test_ports_of_a_source_are_shared_by_destinations():
    two_destinations({"source": "127.0.0.3"})


def test_no_port_is_left_at_one_of_two_servers():
    """The server is not to blame, and not ejected; the other is tried."""
    with Peers() as one, Peers("127.0.0.2") as two, \
            Front([f"{harness.written(one.address)} name=one",
                   f"{harness.written(two.address)} weight=0 name=two"], retries=0) as front:
        front.opened(PORTS)
        for _ in range(10):
            front.refused()
        now = front.sluice.wait_count("sessions", PORTS)
        equal((now.closes(), now["servers_ejected"], two.seen), ({"NO_PORT": 10}, 0, 0), "a drained"
              " server is no way out")
    with Peers() as one, Peers("127.0.0.2") as two, \
            Front([f"{harness.written(one.address)} weight=200 name=one",
                   f"{harness.written(two.address)} name=two"], retries=1) as front:
        front.opened(PORTS + 100)
        equal(len(one.peers()) <= PORTS, True, "sessions at the first")
        now = front.sluice.counters()
        equal((now.closes(), now["servers_ejected"]), ({}, 0), "reasons, ejections")
        check(now["connect_retries"] >= 50, f"{now['connect_retries']} retries")


def enter():
    """Starts this file again where it may do what it wants with the ports."""
    try:
        command = [need("unshare"), "-n", "sh", "-c", INSIDE, "sh"]
        need("ip")
    except harness.Skip as why:
        print(f"skip: {why}")
        sys.exit(77)
    can = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    if can.returncode != 0:
        print(f"skip: no network namespace can be made here: {can.stderr.decode()}")
        sys.exit(77)
    os.environ[MARK] = "1"
    os.execv(command[0], [*command, sys.executable, os.path.abspath(__file__), *sys.argv[1:]])


if os.environ.get(MARK) != "1":
    enter()
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if most < 10 * PORTS:
    print(f"skip: {10 * PORTS} descriptors are needed, {most} may be had")
    sys.exit(77)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
harness.main(globals())
