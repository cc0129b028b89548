# SPDX-License-Identifier: MIT
"""Bytes, ends and resets of one session pass through unchanged, in both directions."""

import hashlib
import socket
import threading
import time

import harness
import origins
from harness import HOST, Sluice, check, dial, ending, equal, exchange, pattern, receive_all, reset
from origins import Origin

MIB = 1 << 20


def one_close(sluice, reason):
    """Exactly one session ended since the start, for this reason."""
    now = sluice.wait_count("close_" + reason, 1)
    equal(now.closes(), {reason: 1}, "close reasons")
    return now


def test_client_ends_first():
    answer = pattern(MIB)
    with Origin(origins.answer_after_end(answer)) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        s.sendall(b"question")
        s.shutdown(socket.SHUT_WR)
        equal(hashlib.sha256(receive_all(s)).hexdigest(), hashlib.sha256(answer).hexdigest(),
              "digest of the answer sent after the client's end")
        equal(origin.result(), b"question", "what the server received")
        now = one_close(sluice, "CLIENT_FINISHED")
        equal((now["client_bytes"], now["server_bytes"]), (8, MIB), "bytes counted")
        s.close()


def test_server_ends_first():
    sent = pattern(MIB)
    with Origin(origins.end_first(b"bye")) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        equal(receive_all(s), b"bye", "the greeting, to its end")
        for at in range(0, MIB, MIB // 8):  # goes on well after the server's end
            s.sendall(sent[at:at + MIB // 8])
            time.sleep(0.02)
        check(harness.silent(s, 0.05) is False, "the end of the server's stream stays readable")
        s.close()
        total, digest, how = origin.result()
        equal((total, digest, how), (MIB, hashlib.sha256(sent).hexdigest(), "eof"),
              "what the server received after its own end")
        one_close(sluice, "SERVER_FINISHED")


def test_both_end_at_once():
    barrier = threading.Barrier(2)

    def handler(connection):
        connection.sendall(b"server")
        barrier.wait(5)
        connection.shutdown(socket.SHUT_WR)
        return receive_all(connection)
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        for n in range(1, 41):
            s = sluice.connect()
            s.sendall(b"client")
            equal(harness.receive_exactly(s, 6), b"server", "greeting")
            barrier.wait(5)
            s.shutdown(socket.SHUT_WR)
            equal(receive_all(s), b"", "nothing after the greeting")
            s.close()
            origin.wait_results(n)
        equal(origin.results, [b"client"] * 40, "what the server received")
        closes = sluice.at_rest().closes()
        check(set(closes) <= {"CLIENT_FINISHED", "SERVER_FINISHED"}, f"reasons {closes}")


SIZES = [0, 1, 2, 100, 4095, 4096, 4097, 16383, 16384, 16385, 32768, 65536, 65537, 100001,
         262143, 262144, 262145, 300000]


def test_client_end_right_behind_data():
    data = pattern(max(SIZES))
    with Origin(origins.sink) as origin, Sluice([origin.address]) as sluice:
        for size in SIZES * 6:
            s = sluice.connect()
            s.sendall(data[:size])
            s.shutdown(socket.SHUT_WR)
            equal(ending(s), (b"", "eof"), f"the end after {size} bytes")
            s.close()
        got = sorted(r[0] for r in origin.wait_results(len(SIZES) * 6))
        equal(got, sorted(SIZES * 6), "sizes received")
        equal({r[2] for r in origin.results}, {"eof"}, "ends seen by the server")
        wanted = {size: hashlib.sha256(data[:size]).hexdigest() for size in SIZES}
        check(all(wanted[r[0]] == r[1] for r in origin.results), "digests differ")


def test_server_end_right_behind_data():
    data = pattern(max(SIZES))

    def handler(connection):
        size = int(connection.recv(100))
        connection.sendall(data[:size])
        return size  # and close: the FIN is right behind
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        for size in SIZES * 6:
            s = sluice.connect()
            s.sendall(b"%d" % size)
            got, how = ending(s)
            equal((len(got), how, got == data[:size]), (size, "eof", True), "answer")
            s.close()


def test_close_without_reading_the_end():
    """Data and close() in one breath, over and over: none of it is lost."""
    with Origin(origins.sink) as origin, Sluice([origin.address]) as sluice:
        for n in range(300):
            s = sluice.connect()
            s.sendall(b"x" * (n + 1))
            s.close()
        origin.wait_results(300)
        equal(sorted(r[0] for r in origin.results), list(range(1, 301)), "sizes received")
        equal({r[2] for r in origin.results}, {"eof"}, "ends seen by the server")


def test_client_reset_reaches_server():
    with Origin(origins.sink) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        s.sendall(b"a" * 1000)
        sluice.wait_count("sends", lambda n: n >= 1)
        reset(s)
        total, _, how = origin.result()
        equal((total, how), (1000, "reset"), "what the server saw")
        one_close(sluice, "CLIENT_RESET")


def test_server_reset_reaches_client():
    with Origin(origins.reset_after(b"b" * 1000, 4)) as origin, \
            Sluice([origin.address]) as sluice:
        s = sluice.connect()
        equal(harness.receive_exactly(s, 1000), b"b" * 1000, "bytes before the reset")
        s.sendall(b"stop")
        equal(ending(s), (b"", "reset"), "what the client saw")
        one_close(sluice, "SERVER_RESET")


def test_client_reset_after_its_end():
    """FIN, then a reset while the server is still sending."""
    gone = threading.Event()

    def handler(connection):
        receive_all(connection)
        gone.set()
        try:
            while True:
                connection.sendall(b"z" * 65536)
        except ConnectionResetError:
            return "reset"
        except BrokenPipeError:
            return "pipe"
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        s.shutdown(socket.SHUT_WR)
        check(gone.wait(5), "the client's end did not arrive")
        reset(s)
        check(origin.result() in ("reset", "pipe"), f"the server saw {origin.results}")
        one_close(sluice, "CLIENT_RESET")


def test_server_reset_after_client_end():
    def handler(connection):
        receive_all(connection)
        reset(connection)
        return "reset"
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        s.sendall(b"last words")
        s.shutdown(socket.SHUT_WR)
        equal(ending(s), (b"", "reset"), "what the client saw")
        origin.result()
        one_close(sluice, "SERVER_RESET")


def test_client_reset_after_server_end():
    with Origin(origins.end_first(b"bye")) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        equal(receive_all(s), b"bye", "greeting")
        s.sendall(b"q" * 100)
        sluice.wait_count("client_bytes", 100)
        time.sleep(0.05)
        reset(s)
        total, _, how = origin.result()
        equal((total, how), (100, "reset"), "what the server saw")
        one_close(sluice, "CLIENT_RESET")


def test_reset_while_the_other_end_is_stuck():
    """The server does not read: its window and sluice's are full when the client resets."""
    go = threading.Event()

    def handler(connection):
        go.wait(20)
        return ending(connection)
    with Origin(handler, receive_buffer=8192) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect(send_buffer=16384)
        s.settimeout(0.5)
        try:
            while True:
                s.send(b"c" * 65536)
        except TimeoutError:
            pass
        reset(s)
        one_close(sluice, "CLIENT_RESET")
        go.set()
        equal(origin.result()[1], "reset", "what the server saw")


def test_reset_of_a_client_that_does_not_read():
    """The client is stuck on its own: the server's reset ends it all the same."""
    stuck = threading.Event()

    def handler(connection):
        connection.settimeout(0.5)
        try:
            while True:
                connection.send(b"s" * 65536)
        except TimeoutError:
            stuck.set()
        reset(connection)
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect(receive_buffer=8192)
        check(stuck.wait(20), "the server was never stopped: no back-pressure")
        origin.result()
        one_close(sluice, "SERVER_RESET")
        equal(ending(s)[1], "reset", "what the client saw in the end")


def test_reset_before_the_server_answers():
    """Connect and reset: whatever stage the session has reached, it ends with one reason."""
    with Origin(origins.sink) as origin, Sluice([origin.address]) as sluice:
        for n in range(200):
            s = sluice.connect()
            if n % 2:
                s.sendall(b"x")
            reset(s)
        now = sluice.at_rest()
        check(now["sessions_total"] <= 200, f"{now['sessions_total']} sessions")
        check(set(now.closes()) <= {"CLIENT_RESET", "CLIENT_FINISHED"},
              f"reasons {now.closes()}")


def test_one_byte_writes():
    """60,000 writes of one byte each way, to a server that echoes and reads slowly at first."""
    count = 60000
    release = threading.Event()

    def handler(connection):
        release.wait(20)
        return origins.echo(connection)
    with Origin(handler) as origin, \
            Sluice([origin.address], proxy={"buffer_memory": "2M"}) as sluice:
        s = sluice.connect()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = pattern(count)

        def flood():
            for at in range(count):
                s.send(data[at:at + 1])
        sender = threading.Thread(target=flood)
        sender.start()
        time.sleep(0.5)
        used = sluice.count("slices_used_peak_bytes")
        check(used <= 2 * (256 << 10), f"{used} bytes of slices for a window of 256K")
        release.set()
        equal(harness.receive_exactly(s, count), data, "echo of single bytes")
        sender.join(20)
        s.close()
        equal(origin.result(), count, "bytes at the server")


def test_small_pieces_do_not_eat_the_pool():
    """One byte per slice to a server that never reads: another session still has its turn."""
    go = threading.Event()
    with Origin(origins.hold(go), receive_buffer=4096) as stuck, Origin(origins.echo) as good:
        second = (HOST, harness.free_port())
        text = harness.section("listener other", {"bind": harness.written(second),
                                                  "upstream": "other"})
        text += harness.section("upstream other", {"server": harness.written(good.address)})
        with Sluice([stuck.address], proxy={"buffer_memory": "1M"}, text=text) as sluice:
            flooder = sluice.connect()
            flooder.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            flooder.settimeout(0.3)
            sent = 0
            try:
                while sent < 400000:
                    sent += flooder.send(b"1")
            except TimeoutError:
                pass
            s = dial(second)
            started = time.monotonic()
            exchange(s, pattern(100000))
            check(time.monotonic() - started < 2, "the other session had to wait for 2 s")
            s.close()
            go.set()
            flooder.close()
            stuck.result()


def test_server_speaks_first():
    with Origin(origins.talk_first(b"220 ready\r\n")) as origin, \
            Sluice([origin.address]) as sluice:
        for _ in range(50):
            s = sluice.connect()
            equal(harness.receive_exactly(s, 11), b"220 ready\r\n", "greeting")
            exchange(s, b"EHLO\r\n")
            s.close()


def test_empty_connections():
    with Origin(origins.sink) as origin, Sluice([origin.address]) as sluice:
        for _ in range(500):
            sluice.connect().close()
        now = sluice.at_rest()
        equal(now["sessions_total"], 500, "sessions")
        equal(now.closes(), {"CLIENT_FINISHED": 500}, "reasons")
        origin.wait_results(500)
        equal({r[::2] for r in origin.results}, {(0, "eof")}, "what the server saw")


def test_urgent_and_small_windows():
    """Tiny socket buffers at both ends: only the speed may suffer."""
    data = pattern(2 * MIB)
    with Origin(origins.sink, receive_buffer=2304) as origin, \
            Sluice([origin.address], proxy={"buffer_size": "4K", "session_window": "4K"}) as sluice:
        s = sluice.connect(send_buffer=4608)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        equal(ending(s, 30), (b"", "eof"), "end")
        equal(origin.result()[:2], (len(data), hashlib.sha256(data).hexdigest()), "received")
        s.close()


def test_many_short_connections():
    """2,000 sessions of one exchange each, 8 at a time, over two workers."""
    errors = []
    with origins.EchoLoop() as origin, \
            Sluice([origin.address], proxy={"workers": 2}) as sluice:
        def client(number):
            try:
                for n in range(250):
                    s = sluice.connect()
                    exchange(s, b"%d/%d" % (number, n))
                    s.close()
            except (OSError, harness.Failure) as error:
                errors.append(f"{number}: {error}")
        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(40)
        equal(errors, [], "errors of clients")
        now = sluice.at_rest()
        equal((now["sessions_total"], now.closes()), (2000, {"CLIENT_FINISHED": 2000}), "sessions")
        equal(origin.seen, 2000, "connections at the server")


harness.main(globals())
