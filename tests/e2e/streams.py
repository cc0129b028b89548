# SPDX-License-Identifier: MIT
"""Long streams, which may take another path than short ones: ends, cuts, mixtures, neighbours."""

import os
import random
import signal
import socket
import tempfile
import threading
import time

import bulk_stream
import harness
import origins
from bulk_stream import PERIOD, TWICE
from harness import (HOST, Sluice, check, dial, ending, equal, exchange, free_port, pattern, reset,
                     section, written)
from origins import EchoLoop, Origin

MIB = 1 << 20
LENGTHS = [MIB - 1, MIB, MIB + 1, 2 * MIB + 4095, 3 * MIB + 65537, 5 * MIB + 7, 8 * MIB]


def stream(size):
    whole, rest = divmod(size, PERIOD)
    return TWICE[:PERIOD] * whole + TWICE[:rest]


def test_long_streams_up():
    """The end, right behind so many bytes, from the client; close() in one breath with it."""
    with Origin(bulk_stream.verify_stream) as origin, Sluice([origin.address]) as sluice:
        for size in LENGTHS * 4:
            s = sluice.connect()
            s.sendall(stream(size))
            s.close()
        equal(sorted(origin.wait_results(len(LENGTHS) * 4, 20)), sorted(LENGTHS * 4), "received")
        now = sluice.at_rest()
        equal(now.closes(), {"CLIENT_FINISHED": len(LENGTHS) * 4}, "reasons")
        equal(now["client_bytes"], sum(LENGTHS) * 4, "client_bytes")
        check(now["spliced_bytes"] <= now["client_bytes"], "more spliced than received")
        check((now["splices"] > 0) == (now["spliced_bytes"] > 0), "splices and spliced_bytes")


def test_long_streams_down():
    def handler(connection):
        connection.sendall(stream(int(connection.recv(100))))
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        for size in LENGTHS * 4:
            s = sluice.connect()
            s.sendall(b"%d" % size)
            equal(bulk_stream.verify_stream(s), size, "bytes received")
            s.close()
        equal(len(origin.wait_results(len(LENGTHS) * 4)), len(LENGTHS) * 4, "sessions")
        equal(sluice.at_rest()["server_bytes"], sum(LENGTHS) * 4, "server_bytes")


def test_long_then_short():
    """Bulk, then questions and answers, then bulk again, in one session and both directions."""
    data = stream(6 * MIB + 11)

    def echo_all(connection):
        for _ in range(2):
            got = harness.receive_exactly(connection, len(data))
            check(got == data, "the bulk differs at the server")
            connection.sendall(got)
            for _ in range(100):
                connection.sendall(harness.receive_exactly(connection, 9))
        return origins.echo(connection)
    with Origin(echo_all) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        for turn in range(2):
            s.sendall(data)
            check(harness.receive_exactly(s, len(data)) == data, f"bulk {turn} differs")
            for n in range(100):
                exchange(s, b"%09d" % n)
            time.sleep(0.2)
        s.shutdown(socket.SHUT_WR)
        equal(ending(s), (b"", "eof"), "end")
        s.close()
        equal(origin.result(), 0, "bytes behind the last exchange")


def test_bulk_one_way_talk_the_other():
    """The download runs while the client asks and is heard."""
    heard = []

    def handler(connection):
        sender = threading.Thread(target=bulk_stream.send_stream, args=(connection, 64 * MIB))
        sender.start()
        while data := connection.recv(100):
            heard.append(data)
        sender.join(20)
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()

        def talk():
            for n in range(50):
                s.sendall(b"%04d" % n)
                time.sleep(0.002)
            s.shutdown(socket.SHUT_WR)
        talker = threading.Thread(target=talk)
        talker.start()
        equal(bulk_stream.verify_stream(s), 64 * MIB, "bytes received")
        talker.join(5)
        s.close()
        origin.result()
        equal(b"".join(heard), b"".join(b"%04d" % n for n in range(50)), "what was said meanwhile")


def test_more_streams_than_pipes():
    """32 streams both ways at once; whatever is scarce is shared, none is cut or stuck."""
    size, results = 4 * MIB + 5, []
    with Origin(lambda c: bulk_stream.both_ways(c, size)) as origin, \
            Sluice([origin.address], proxy={"workers": 2, "buffer_memory": "2M"}) as sluice:
        def client():
            with sluice.connect() as s:
                try:
                    results.append(bulk_stream.both_ways(s, size))
                except (OSError, harness.Failure) as error:
                    results.append(error)
        running = [threading.Thread(target=client) for _ in range(32)]
        for t in running:
            t.start()
        for t in running:
            t.join(50)
        equal(results, [size] * 32, "bytes at the clients")
        equal(origin.wait_results(32), [size] * 32, "bytes at the servers")


def test_nothing_of_a_cut_stream_stays():
    """Streams are reset with bytes under way; not one of those reaches the next session."""
    go = threading.Event()

    def stuck(connection):
        harness.receive_exactly(connection, MIB)
        go.wait(5)
        reset(connection)
    with Origin(stuck) as bad, Origin(bulk_stream.verify_stream) as good:
        second = (HOST, free_port())
        text = section("listener other", {"bind": written(second), "upstream": "good"})
        text += section("upstream good", {"server": written(good.address)})
        with Sluice([bad.address], text=text) as sluice:
            for n in range(1, 9):
                go.clear()
                foul = [sluice.connect() for _ in range(4)]
                for s in foul:
                    s.settimeout(0.2)
                    try:
                        s.sendall(b"\xee" * (16 * MIB))
                    except TimeoutError:
                        pass
                if n % 2:
                    go.set()
                for s in foul:
                    reset(s)
                go.set()
                for _ in range(3):
                    s = dial(second)
                    s.sendall(stream(3 * MIB))
                    s.close()
                equal(good.wait_results(3 * n)[-3:], [3 * MIB] * 3, "bytes of the next sessions")


def test_reset_in_mid_stream():
    """What came before the reset is a prefix of what was sent; both sides see the reset."""
    def handler(connection):
        at = 0
        try:
            while data := connection.recv(1 << 18):
                begin = at % PERIOD
                check(data == TWICE[begin:begin + len(data)], f"wrong byte near {at}")
                at += len(data)
            return at, "eof"
        except ConnectionResetError:
            return at, "reset"
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        for n in range(1, 16):
            s = sluice.connect()
            s.sendall(stream(n * MIB))
            reset(s)
            got, how = origin.wait_results(n)[-1]
            check(how == "reset" and got <= n * MIB, f"{how} after {got} of {n * MIB} bytes")
        equal(sluice.at_rest().closes(), {"CLIENT_RESET": 15}, "reasons")


def test_stuck_stream_hears_a_reset():
    """Megabytes have gone; now the server stands still, and the client resets."""
    go = threading.Event()

    def handler(connection):
        harness.receive_exactly(connection, 8 * MIB)
        go.wait(20)
        return ending(connection)[1]
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        s.settimeout(0.5)
        try:
            while True:
                s.send(TWICE[:65536])
        except TimeoutError:
            pass
        before = sluice.cpu_seconds()
        time.sleep(0.5)
        check(sluice.cpu_seconds() - before < 0.1, "a stuck stream costs CPU time")
        reset(s)
        sluice.wait_count("close_CLIENT_RESET", 1)
        go.set()
        equal(origin.result(), "reset", "what the server saw")


def test_stuck_stream_ends_at_its_timeout():
    stop = threading.Event()

    def handler(connection):
        harness.receive_exactly(connection, 8 * MIB)
        stop.wait(20)
    with Origin(handler) as origin, \
            Sluice([origin.address], upstream={"server_timeout": "400ms"}) as sluice:
        s = sluice.connect()
        try:
            while True:
                s.sendall(TWICE[:65536])
        except TimeoutError:
            raise harness.Failure("a stuck stream outlives server_timeout") from None
        except ConnectionError:
            pass
        equal(sluice.wait_count("close_SERVER_TIMEOUT", 1).closes(), {"SERVER_TIMEOUT": 1},
              "reasons")
        stop.set()
        s.close()
        origin.result()


def test_slow_stream_outlives_its_timeouts():
    """Long, slow, but never without progress for as long as the timeouts."""
    with Origin(lambda c: bulk_stream.verify_stream(c, pause=0.01)) as origin, \
            Sluice([origin.address], listener={"client_timeout": "500ms", "fin_timeout": "500ms"},
                   upstream={"server_timeout": "500ms"}) as sluice:
        s = sluice.connect()
        s.sendall(stream(16 * MIB))
        s.shutdown(socket.SHUT_WR)
        equal(ending(s), (b"", "eof"), "end")
        equal(origin.result(), 16 * MIB, "bytes")
        s.close()
        equal(sluice.at_rest().closes(), {"CLIENT_FINISHED": 1}, "reasons")


def test_drain_cuts_a_stuck_stream():
    with Origin(lambda c: harness.receive_exactly(c, 8 * MIB) and time.sleep(3)) as origin, \
            Sluice([origin.address], proxy={"drain_timeout": "300ms"}) as sluice:
        s = sluice.connect()
        s.settimeout(0.3)
        try:
            while True:
                s.send(TWICE[:65536])
        except TimeoutError:
            pass
        sluice.signal(signal.SIGTERM)
        equal(sluice.wait(), 3, "exit status")
        s.close()
        origin.result()


def test_streams_over_unix_sockets():
    with tempfile.TemporaryDirectory() as folder:
        back, front = os.path.join(folder, "back"), os.path.join(folder, "front")
        for bind, server in ((front, back), (None, back), (front, (HOST, 0))):
            with Origin(lambda c: bulk_stream.both_ways(c, 24 * MIB), server) as origin, \
                    Sluice([origin.address], bind=bind) as sluice:
                s = sluice.connect()
                equal(bulk_stream.both_ways(s, 24 * MIB), 24 * MIB, f"{bind} to {server}")
                s.close()
                equal(origin.result(), 24 * MIB, "bytes at the server")


def test_neighbour_of_a_stream():
    """One worker, four streams at full speed: a small exchange beside them stays quick."""
    def flood(connection):
        try:
            while True:
                connection.sendall(TWICE[:65536])
        except OSError:
            pass
    with Origin(flood) as flooding, EchoLoop() as echo:
        other = (HOST, free_port())
        text = section("listener other", {"bind": written(other), "upstream": "echo"})
        text += section("upstream echo", {"server": written(echo.address)})
        with Sluice([flooding.address], text=text) as sluice:
            streams = [sluice.connect() for _ in range(4)]
            go = threading.Event()

            def drink(s):
                buffer = bytearray(1 << 18)
                try:
                    while not go.is_set():
                        s.recv_into(buffer)
                except OSError:
                    pass
            running = [threading.Thread(target=drink, args=(s,)) for s in streams]
            for t in running:
                t.start()
            s = dial(other)
            spent = []
            for _ in range(200):
                start = time.monotonic()
                exchange(s, b"quick?")
                spent.append(time.monotonic() - start)
            go.set()
            for t in running:
                t.join(5)
            for one in streams + [s]:
                one.close()
            spent.sort()
            check(spent[100] < 0.05, f"median {spent[100] * 1e3:.1f} ms, longest "
                  f"{spent[-1] * 1e3:.1f} ms beside 4 streams")


def test_random_mixture():
    """Pieces of random size with random pauses, both ways: whatever path they take, in order."""
    data = pattern(12 * MIB, 3)

    def pieces(s, seed):
        choose, at = random.Random(seed), 0
        while at < len(data):
            size = choose.choice([1, 700, 16384, 65536, 300000, 2 * MIB])
            s.sendall(data[at:at + size])
            at += size
            if choose.random() < 0.05:
                time.sleep(0.02)
        s.shutdown(socket.SHUT_WR)

    def run(s, seed):
        s.settimeout(30)
        sender = threading.Thread(target=pieces, args=(s, seed))
        sender.start()
        got = harness.receive_all(s)
        sender.join(30)
        return got == data
    for seed in range(3):
        with Origin(lambda c, n=seed: run(c, n + 100)) as origin, \
                Sluice([origin.address], proxy={"buffer_memory": "1M"}) as sluice:
            s = sluice.connect()
            check(run(s, seed), f"the data differ at the client, seed {seed}")
            s.close()
            check(origin.result(), f"the data differ at the server, seed {seed}")


harness.main(globals())
