# SPDX-License-Identifier: MIT
"""Large transfers, byte by byte the same at the other end, in every way of sending and storing."""

import socket
import threading
import time

import harness
from bulk_stream import PERIOD, TWICE, both_ways, send_stream, verify_stream
from harness import Skip, Sluice, check, equal, reset
from origins import Origin

MIB = 1 << 20


def transfer(size, sessions=1, servers=None, **options):
    """Both ways at once, in so many sessions at once; the counters afterwards."""
    results = []
    with Origin(lambda c: both_ways(c, size)) as origin, \
            Sluice(servers or [origin.address], **options) as sluice:
        def client():
            s = sluice.connect()
            try:
                results.append(both_ways(s, size))
            except (OSError, harness.Failure) as error:
                results.append(error)
            s.close()
        threads = [threading.Thread(target=client, daemon=True) for _ in range(sessions)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(55)
        equal(results, [size] * sessions, "bytes at the clients")
        equal(origin.wait_results(sessions), [size] * sessions, "bytes at the servers")
        now = sluice.at_rest()
        equal((now["client_bytes"], now["server_bytes"]), (size * sessions,) * 2, "bytes counted")
        return now


def test_64_mib_both_ways():
    transfer(64 * MIB)


def test_1_gib_both_ways():
    if not harness.full_size():
        raise Skip("1 GiB on the release build, or with SLUICE_E2E_FULL=1")
    transfer(1024 * MIB, proxy={"buffer_memory": "64M"})


def test_a_long_stream_is_spliced():
    """Long streams go through pipes, whole and in order; short ones do not."""
    now = transfer(32 * MIB, sessions=4)
    check(now["splices"] >= 8, f"both directions of four sessions: {now['splices']} splices")
    check(now["spliced_bytes"] > 4 * 2 * 16 * MIB, f"only {now['spliced_bytes']} bytes spliced")
    now = transfer(MIB // 2)
    equal((now["splices"], now["spliced_bytes"]), (0, 0), "splices of half a megabyte")


def test_more_streams_than_pipes():
    """Sixteen pipes a worker: the other streams go through slices meanwhile."""
    now = transfer(4 * MIB, sessions=24, proxy={"workers": "1"})
    check(now["splices"] <= 48 and now["spliced_bytes"] > 0, f"{now['splices']} splices")


def test_reset_in_the_middle_of_a_spliced_stream():
    """Bytes in a pipe that nobody takes: the pipe is replaced, the next stream is whole."""
    go = threading.Event()
    with Origin(lambda c: go.wait(30), receive_buffer=16384) as origin, \
            Sluice([origin.address], rests=False) as sluice:
        for _ in range(3):
            s = sluice.connect()
            s.settimeout(1)
            try:
                for _ in range(64):
                    s.sendall(bytes(MIB))
            except TimeoutError:
                pass
            reset(s)
        sluice.wait_count("close_CLIENT_RESET", 3)
        go.set()
    transfer(8 * MIB)


def test_eight_sessions_small_pool():
    """Bulk both ways through a pool of 64 slices: slower, but complete and fair."""
    now = transfer(8 * MIB, sessions=8, proxy={"buffer_memory": "1M"})
    check(now["slices_used_peak_bytes"] <= now["slices_free_bytes"], "more slices than there are")


def test_small_slices():
    transfer(16 * MIB, sessions=2, proxy={"buffer_size": "4K", "session_window": "8K"})


def test_large_slices():
    transfer(32 * MIB, sessions=2, proxy={"buffer_size": "1M", "session_window": "2M",
                                          "buffer_memory": "64M"})


def test_zero_copy_on():
    now = transfer(16 * MIB, sessions=2, proxy={"zero_copy_send": "on"})
    check(now["zero_copy_sends"] > 0, "zero_copy_send = on never sent without copying")
    check(now["zero_copy_copied"] <= now["zero_copy_sends"], "more copied than sent")
    check(0 <= now.ring["zero_copy_ratio"] <= 1, f"ratio {now.ring['zero_copy_ratio']}")


def test_zero_copy_off():
    now = transfer(16 * MIB, proxy={"zero_copy_send": "off"})
    equal(now["zero_copy_sends"], 0, "zero_copy_sends with off")


def test_zero_copy_auto():
    now = transfer(64 * MIB, proxy={"zero_copy_send": "auto"})
    check(now["zero_copy_sends"] * 10 <= now["sends"],
          f"loopback copies all the same, yet {now['zero_copy_sends']} of {now['sends']} sends "
          "insisted on zero-copy")


def test_zero_copy_cut():
    """Sessions are reset while the kernel still holds their slices: all come home."""
    def handler(connection):
        try:
            send_stream(connection, 64 * MIB)
        except OSError:
            pass
    with Origin(handler) as origin, \
            Sluice([origin.address], proxy={"zero_copy_send": "on"}) as sluice:
        for n in range(30):
            s = sluice.connect()
            harness.receive_exactly(s, 1 + n * 20000)
            reset(s)
        now = sluice.at_rest()
        equal(now.closes(), {"CLIENT_RESET": 30}, "reasons")


def test_slow_reader_gets_everything():
    """A reader with pauses: back-pressure all the way to the sender, and no byte lost."""
    size = 4 * MIB

    def handler(connection):
        send_stream(connection, size)
        return connection.recv(1)
    with Origin(handler) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect(receive_buffer=32768)
        equal(verify_stream(s, pause=0.002), size, "bytes")
        s.close()


def send_until_stopped(s, step, most):
    """Sends in pieces until nothing more goes for half a second: how much went."""
    s.settimeout(0.5)
    sent = 0
    try:
        while sent < most:
            begin = sent % PERIOD
            sent += s.send(TWICE[begin:begin + step])
    except TimeoutError:
        pass
    return sent


def test_back_pressure_reaches_the_sender():
    """Who sends to a reader that stands still is stopped, having sent a bounded amount."""
    go = threading.Event()

    def handler(connection):
        go.wait(20)
        return verify_stream(connection)
    with Origin(handler, receive_buffer=16384) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect(send_buffer=65536)
        sent = send_until_stopped(s, 65536, 64 * MIB)
        check(sent < 16 * MIB, f"{sent} bytes went to a server that does not read")
        before = sluice.cpu_seconds()
        time.sleep(0.5)
        check(sluice.cpu_seconds() - before < 0.1, "a stopped session costs CPU time")
        go.set()
        s.shutdown(socket.SHUT_WR)
        equal(origin.result(), sent, "bytes at the server in the end")
        s.close()


def test_slow_reader_costs_one_window():
    """A direction that stands still holds session_window, not a multiple of it."""
    window, held = 256 << 10, {}
    go = threading.Event()
    with Origin(lambda c: go.wait(30), receive_buffer=16384) as origin:
        for step in (1000, 4096, 65536) * 2:
            with Sluice([origin.address], rests=False) as sluice:
                s = sluice.connect(send_buffer=65536)
                send_until_stopped(s, step, 16 * MIB)
                held.setdefault(step, []).append(
                    sluice.pool - sluice.count("slices_free_bytes"))
                s.close()
                sluice.kill()
        go.set()
    check(all(bytes <= window * 2 for list in held.values() for bytes in list),
          f"payload memory held by one direction with a window of {window}: {held}")


def huge_pages(mode):
    return transfer(8 * MIB, proxy={"huge_pages": mode, "buffer_memory": "16M"})


def test_huge_pages_off():
    huge_pages("off")


def test_huge_pages_try():
    huge_pages("try")


def test_huge_pages_require():
    with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as f:
        if int(f.read()) > 0:
            raise Skip("this host has huge pages reserved")
    sluice = Sluice([(harness.HOST, 9)], proxy={"huge_pages": "require"}, start=False)
    with sluice:
        sluice.start(ready=False)
        equal(sluice.wait(), 2, "exit status without huge pages")
        check("vm.nr_hugepages" in sluice.log(), f"no vm.nr_hugepages in: {sluice.log()}")


harness.main(globals())
