# SPDX-License-Identifier: MIT
"""A session without progress ends at its timeout, with its reason; one with progress does not."""

import socket
import threading
import time

import harness
import origins
from harness import Sluice, check, ending, equal, exchange, pattern
from origins import Origin

SHORT = 0.3
EARLIEST, LATEST = 0.25, 1.5  # the machine may be busy


def ends_after(s, started, what):
    """The stream ends by itself, not too early and not too late; what came before it."""
    got, how = ending(s)
    spent = time.monotonic() - started
    check(how != "open", f"{what}: the session goes on after {spent:.1f} s")
    check(EARLIEST <= spent <= LATEST, f"{what}: it ended after {spent:.2f} s instead of {SHORT}")
    return got


def one_reason(sluice, reason, count=1):
    now = sluice.wait_count("close_" + reason, count)
    equal(now.closes(), {reason: count}, "reasons")


def test_client_timeout_of_an_idle_session():
    with Origin(origins.sink) as origin, \
            Sluice([origin.address], listener={"client_timeout": "300ms"}) as sluice:
        started = time.monotonic()
        s = sluice.connect()
        ends_after(s, started, "never a byte")
        s.close()
        one_reason(sluice, "CLIENT_TIMEOUT")
        origin.result()


def test_client_timeout_after_an_exchange():
    with Origin(origins.echo) as origin, \
            Sluice([origin.address], listener={"client_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        for _ in range(5):
            exchange(s, b"busy")
            time.sleep(0.15)
        exchange(s, b"last")
        ends_after(s, time.monotonic(), "idle after an exchange")
        s.close()
        one_reason(sluice, "CLIENT_TIMEOUT")


def test_client_timeout_counts_what_it_takes():
    """A client that only reads is no idle client, and neither is one that only sends."""
    def trickle(connection):
        for _ in range(10):
            connection.sendall(b"tick")
            time.sleep(0.1)
        return "done"
    with Origin(trickle) as origin, \
            Sluice([origin.address], listener={"client_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        equal(harness.receive_exactly(s, 40), b"tick" * 10, "a slow download")
        s.close()
        equal(origin.result(), "done", "the server")
    with Origin(origins.sink) as origin, \
            Sluice([origin.address], listener={"client_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        for _ in range(10):
            s.sendall(b"tock")
            time.sleep(0.1)
        s.close()
        equal(origin.result()[0], 40, "a slow upload")
        one_reason(sluice, "CLIENT_FINISHED")


def test_client_timeout_of_a_stalled_reader():
    """The client takes nothing while the server has much to send."""
    def flood(connection):
        try:
            while True:
                connection.sendall(b"f" * 65536)
        except OSError as error:
            return error
    with Origin(flood) as origin, \
            Sluice([origin.address], listener={"client_timeout": "300ms"}) as sluice:
        s = sluice.connect(receive_buffer=4096)
        one_reason(sluice, "CLIENT_TIMEOUT")
        s.close()
        check(isinstance(origin.result(), OSError), "the server was told")


def test_server_timeout_of_an_idle_session():
    with Origin(origins.sink) as origin, \
            Sluice([origin.address], upstream={"server_timeout": "300ms"}) as sluice:
        started = time.monotonic()
        s = sluice.connect()
        ends_after(s, started, "never a byte")
        s.close()
        one_reason(sluice, "SERVER_TIMEOUT")


def test_server_timeout_of_a_silent_server():
    """A question and no answer: the server has 300 ms from its last byte."""
    with Origin(lambda c: time.sleep(2)) as origin, \
            Sluice([origin.address], upstream={"server_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        s.sendall(b"question")
        ends_after(s, time.monotonic(), "no answer")
        s.close()
        one_reason(sluice, "SERVER_TIMEOUT")
        origin.result()


def test_server_timeout_of_a_server_that_takes_nothing():
    stop = threading.Event()
    with Origin(origins.hold(stop), receive_buffer=4096) as origin, \
            Sluice([origin.address], upstream={"server_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        s.settimeout(5)
        try:
            while True:
                s.sendall(b"f" * 65536)
        except TimeoutError:
            raise harness.Failure("the session goes on after 5 s without progress") from None
        except ConnectionError:
            pass
        one_reason(sluice, "SERVER_TIMEOUT")
        stop.set()
        s.close()
        origin.result()


def test_a_busy_session_outlives_both():
    data = pattern(1000)
    with Origin(origins.echo) as origin, \
            Sluice([origin.address], listener={"client_timeout": "250ms", "fin_timeout": "250ms"},
                   upstream={"server_timeout": "250ms"}) as sluice:
        s = sluice.connect()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            exchange(s, data)
            time.sleep(0.05)
        s.close()
        one_reason(sluice, "CLIENT_FINISHED")
        origin.result()


def test_fin_timeout_after_the_client():
    with Origin(lambda c: (harness.receive_all(c), time.sleep(2))) as origin, \
            Sluice([origin.address], listener={"fin_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        s.sendall(b"question")
        s.shutdown(socket.SHUT_WR)
        ends_after(s, time.monotonic(), "client ended, server silent")
        s.close()
        one_reason(sluice, "FIN_TIMEOUT")
        origin.result()


def test_fin_timeout_after_the_server():
    with Origin(origins.end_first(b"bye")) as origin, \
            Sluice([origin.address], listener={"fin_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        equal(harness.receive_exactly(s, 3), b"bye", "greeting")
        total, _, how = origin.result()
        equal((total, how), (0, "reset"), "what the server saw at the timeout")
        s.close()
        one_reason(sluice, "FIN_TIMEOUT")


def test_fin_timeout_is_about_progress():
    """A download that goes on for 1 s after the client's end is not cut at 300 ms."""
    def handler(connection):
        harness.receive_all(connection)
        for _ in range(10):
            connection.sendall(b"slow")
            time.sleep(0.1)
        return "done"
    with Origin(handler) as origin, \
            Sluice([origin.address], listener={"fin_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        s.shutdown(socket.SHUT_WR)
        equal(ending(s), (b"slow" * 10, "eof"), "the answer")
        s.close()
        equal(origin.result(), "done", "the server")
        one_reason(sluice, "CLIENT_FINISHED")


def test_fin_timeout_starts_at_the_end():
    """It does not apply while both directions are open."""
    with Origin(origins.echo) as origin, \
            Sluice([origin.address], listener={"fin_timeout": "100ms"}) as sluice:
        s = sluice.connect()
        time.sleep(0.6)
        exchange(s)
        s.close()
        origin.result()
        one_reason(sluice, "CLIENT_FINISHED")


def test_connect_timeout_is_per_server():
    with origins.Hanger() as one, origins.Hanger() as two, \
            Sluice([one.address, two.address],
                   upstream={"connect_timeout": "300ms", "retries": 1}) as sluice:
        started = time.monotonic()
        s = sluice.connect()
        check(ending(s)[1] != "open", "the client was not told")
        spent = time.monotonic() - started
        check(0.55 <= spent <= 2, f"two servers of 300 ms took {spent:.2f} s")
        s.close()
        one_reason(sluice, "CONNECT_TIMEOUT")


def test_many_timeouts_at_once():
    """500 idle sessions end within a second of each other, all for the same reason."""
    with origins.EchoLoop() as origin, \
            Sluice([origin.address], listener={"client_timeout": "500ms"},
                   proxy={"workers": 2}) as sluice:
        clients = [sluice.connect() for _ in range(500)]
        started = time.monotonic()
        sluice.wait_count("close_CLIENT_TIMEOUT", 500, 5)
        check(time.monotonic() - started < 3, "the timeouts are late")
        equal({ending(s)[1] for s in clients} - {"eof", "reset"}, set(), "ends")
        for s in clients:
            s.close()


harness.main(globals())
