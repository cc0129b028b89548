# SPDX-License-Identifier: MIT
"""Every kind of address, on both sides."""

import os
import socket
import tempfile

import harness
import origins
from harness import HOST, Skip, Sluice, check, dial, equal, exchange, free_port, pattern
from origins import Origin


def relays(sluice, address=None):
    """One exchange of some size, and both ends."""
    s = dial(address or sluice.address)
    exchange(s, pattern(200000))
    s.shutdown(socket.SHUT_WR)
    equal(harness.ending(s), (b"", "eof"), "end")
    s.close()


def need_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError as error:
        raise Skip(f"no IPv6 loopback here: {error}") from None


def test_unix_to_unix():
    with tempfile.TemporaryDirectory() as folder:
        front, back = os.path.join(folder, "front"), os.path.join(folder, "back")
        with Origin(origins.echo, back), Sluice([back], bind=front) as sluice:
            for _ in range(20):
                relays(sluice)
            equal(sluice.counters().closes().keys(), {"CLIENT_FINISHED"}, "reasons")


def test_unix_reset_is_an_abort():
    """Unix sockets know no reset; unread data at close is the nearest, and ends the session."""
    with tempfile.TemporaryDirectory() as folder:
        back = os.path.join(folder, "back")
        with Origin(origins.talk_first(b"x" * 100000), back), \
                Sluice([back], bind=os.path.join(folder, "front")) as sluice:
            s = sluice.connect()
            s.recv(1, socket.MSG_PEEK)
            s.close()
            sluice.at_rest()


def test_unix_abstract():
    name = f"@sluice-e2e-{os.getpid()}"
    with Origin(origins.echo, name + "-back"), \
            Sluice([f"unix:{name}-back"], bind=f"unix:{name}-front") as sluice:
        relays(sluice, f"{name}-front")


def test_unix_leaves_no_stale_path():
    """A killed sluice leaves its socket behind: the next start must not fail on it."""
    with tempfile.TemporaryDirectory() as folder, Origin(origins.echo) as origin:
        front = os.path.join(folder, "front")
        with Sluice([origin.address], bind=front) as sluice:
            relays(sluice)
            sluice.kill()
        with Sluice([origin.address], bind=front) as sluice:
            relays(sluice)
        check(not os.path.exists(front), "the path is left behind after a clean end")


def test_unix_path_of_another_server():
    """A path on which somebody listens is not taken away from them."""
    with tempfile.TemporaryDirectory() as folder, Origin(origins.echo) as origin:
        front = os.path.join(folder, "front")
        with Origin(origins.talk_first(b"mine"), front):
            with Sluice([origin.address], bind=front, start=False) as sluice:
                sluice.start(ready=False)
                equal(sluice.wait(), 2, "exit status with the path in use")
                check(front in sluice.log(), f"no {front} in: {sluice.log()}")
            s = dial(front)
            equal(harness.receive_exactly(s, 4), b"mine", "greeting of the path's owner")
            s.close()


def test_unix_path_that_is_no_socket():
    """An ordinary file in the place of the socket is never removed."""
    with tempfile.TemporaryDirectory() as folder:
        front = os.path.join(folder, "front")
        with open(front, "w", encoding="ascii") as f:
            f.write("precious")
        with Sluice([(HOST, 9)], bind=front, start=False) as sluice:
            sluice.start(ready=False)
            equal(sluice.wait(), 2, "exit status with a file in the way")
        with open(front, encoding="ascii") as f:
            equal(f.read(), "precious", "the file")


def test_unix_to_tcp_and_back():
    with tempfile.TemporaryDirectory() as folder:
        front, back = os.path.join(folder, "front"), os.path.join(folder, "back")
        with Origin(origins.echo) as tcp, Origin(origins.echo, back):
            with Sluice([tcp.address], bind=front) as sluice:
                relays(sluice)
            with Sluice([back]) as sluice:
                relays(sluice)


def test_ipv6_both_sides():
    need_ipv6()
    with Origin(origins.echo, ("::1", 0)) as origin, \
            Sluice([origin.address], bind=("::1", free_port("::1"))) as sluice:
        for _ in range(10):
            relays(sluice)


def test_dual_stack():
    need_ipv6()
    port = free_port("::")
    with Origin(origins.echo) as origin, Sluice([origin.address], bind=f"*:{port}",
                                                proxy={"workers": 2}) as sluice:
        for _ in range(10):
            relays(sluice, (HOST, port))
            relays(sluice, ("::1", port))


def test_v6_any_is_not_v4():
    """[::]:port beside 0.0.0.0:port: two addresses, both can be had."""
    need_ipv6()
    port = free_port("::")
    with Origin(origins.echo) as origin, \
            Sluice([origin.address], bind=[("::", port), ("0.0.0.0", port)]) as sluice:
        relays(sluice, (HOST, port))
        relays(sluice, ("::1", port))


def test_several_binds():
    with tempfile.TemporaryDirectory() as folder, Origin(origins.echo) as origin:
        front = os.path.join(folder, "front")
        binds = [(HOST, free_port()), (HOST, free_port()), ("127.0.0.2", free_port("127.0.0.2")),
                 front]
        with Sluice([origin.address], bind=binds, proxy={"workers": 2}) as sluice:
            for address in binds * 3:
                relays(sluice, address)


def test_host_name_is_looked_up():
    with Origin(origins.echo) as origin, \
            Sluice([f"localhost:{origin.address[1]}"]) as sluice:
        addresses = {a[4][0] for a in socket.getaddrinfo("localhost", None, socket.AF_INET)}
        if HOST not in addresses:
            raise Skip("localhost is not 127.0.0.1 here")
        relays(sluice)


def inherited(address, workers, accept="kernel"):
    with origins.listen(address) as listening, Origin(origins.echo) as origin:
        where = address if isinstance(address, str) else listening.getsockname()[:2]
        fd = listening.fileno()
        with Sluice([origin.address], bind=f"fd:{fd}", pass_fds=(fd,),
                    proxy={"workers": workers, "accept": accept}) as sluice:
            for _ in range(20):
                relays(sluice, where)


def test_inherited_tcp():
    inherited((HOST, 0), 1)


def test_inherited_two_workers():
    inherited((HOST, 0), 2)
    inherited((HOST, 0), 2, "round_robin")


def test_inherited_unix():
    with tempfile.TemporaryDirectory() as folder:
        inherited(os.path.join(folder, "front"), 2)


def test_inherited_is_no_listener():
    """A descriptor that does not listen, or none at all, is named and refused."""
    with socket.socket() as idle:
        for fd, passed in ((idle.fileno(), (idle.fileno(),)), (900, ())):
            with Sluice([(HOST, 9)], bind=f"fd:{fd}", pass_fds=passed, start=False) as sluice:
                sluice.start(ready=False)
                check(sluice.wait() in (1, 2), f"exit status {sluice.status}")
                check(f"fd:{fd}" in sluice.log(), f"no fd:{fd} in: {sluice.log()}")


def test_unix_two_workers():
    """A unix path has one socket: with accept = kernel both workers take from it."""
    with tempfile.TemporaryDirectory() as folder, Origin(origins.echo) as origin:
        with Sluice([origin.address], bind=os.path.join(folder, "front"),
                    proxy={"workers": 2}) as sluice:
            for _ in range(20):
                relays(sluice)
            held = [sluice.connect() for _ in range(50)]
            for s in held:
                exchange(s)
            for s in held:
                s.close()


harness.main(globals())
