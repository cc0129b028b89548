# SPDX-License-Identifier: MIT
"""After thousands of sessions of every kind, the ring and the pool are as they were at start."""

import random
import socket
import threading
import time

import bulk_stream
import harness
import origins
from harness import Sluice, check, ending, equal, exchange, pattern, reset
from origins import EchoLoop, Origin

DATA = pattern(200000)


def one_of_a_kind(sluice, choose):
    """One client session of a random kind; what it expects is checked, what may happen is not."""
    kind = choose.choice(["exchange", "half", "empty", "reset", "leave", "bulk"])
    try:
        s = sluice.connect()
    except ConnectionResetError:
        return
    with s:
        if kind == "exchange":
            exchange(s, DATA[:choose.choice([1, 1000, 20000])])
        elif kind == "half":
            s.sendall(DATA[:5000])
            s.shutdown(socket.SHUT_WR)
            equal(ending(s), (DATA[:5000], "eof"), "echo after the client's end")
        elif kind == "reset":
            s.sendall(DATA[:choose.choice([1, 50000])])
            reset(s)
        elif kind == "leave":
            s.sendall(DATA[:50000])
        elif kind == "bulk":
            exchange(s, DATA)


def storm(sluice, threads, rounds):
    errors = []

    def client(seed):
        choose = random.Random(seed)
        try:
            for _ in range(rounds):
                one_of_a_kind(sluice, choose)
        except (OSError, harness.Failure) as error:
            errors.append(f"client {seed}: {error}")
    running = [threading.Thread(target=client, args=(n,)) for n in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join(50)
    equal(errors, [], "errors of clients")


def healthy(sluice, sessions):
    now = sluice.at_rest()
    check(now["sessions_total"] >= sessions, f"{now['sessions_total']} sessions")
    equal(now["sessions_total"], now["accepts"], "sessions, and connections accepted")
    equal(now.ring["kernel_threads"], 0, "kernel threads after the run")
    for name in ("overflows", "starved", "accept_errors", "accept_refused", "handed_back"):
        equal(now[name], 0, name)
    equal(now["slices_free_bytes"], sluice.pool, "slices_free_bytes")
    check(now["slices_used_peak_bytes"] <= sluice.pool, "slices_used_peak_bytes")
    check(now["submissions"] <= now["completions"] * 2 + 1000, "submissions without completion")
    for name in ("enters", "submissions", "completions", "wakes", "receives", "sends"):
        check(now[name] > 0, f"{name} counted nothing")
    check(now["sends"] <= now["send_slices"], "fewer slices than sends")
    for name in ("timeouts", "enter_retries", "full_queue_submits", "gathers", "send_short",
                 "connects_linked", "receive_cancels", "streams"):
        check(now[name] >= 0, name)
    return now


def test_storm():
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        storm(sluice, 8, 250)
        healthy(sluice, 1900)


def test_storm_in_a_small_pool():
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "workers": 2, "buffer_memory": "1M", "max_sessions": 50}) as sluice:
        storm(sluice, 16, 60)
        healthy(sluice, 900)


def test_storm_of_bad_servers():
    """Half of the servers refuse: retries, and still all is in order afterwards."""
    with EchoLoop() as origin, origins.Refuser() as refuser, \
            Sluice([origin.address, refuser.address], proxy={"workers": 2},
                   upstream={"eject_after": 0, "retry_budget": 100}) as sluice:
        storm(sluice, 8, 60)
        now = healthy(sluice, 450)
        check(now["connect_retries"] > 100, f"{now['connect_retries']} retries")


def test_half_closes_need_no_kernel_thread():
    """A half-close must not go through a kernel thread, in either direction."""
    with Origin(origins.end_first(b"bye")) as origin, Sluice([origin.address]) as sluice:
        for _ in range(500):
            s = sluice.connect()
            equal(ending(s), (b"bye", "eof"), "greeting")
            s.sendall(b"later")
            s.close()
        healthy(sluice, 500)


def test_bulk_needs_no_kernel_thread():
    """Large sends that the socket takes piece by piece are not handed to a kernel thread."""
    found = []
    for _ in range(6):
        with Origin(lambda c: bulk_stream.both_ways(c, 32 << 20)) as origin, \
                Sluice([origin.address]) as sluice:
            s = sluice.connect()
            equal(bulk_stream.both_ways(s, 32 << 20), 32 << 20, "bytes")
            s.close()
            origin.result()
            found.append(sluice.at_rest().ring["kernel_threads"])
    equal(found, [0] * len(found), "kernel threads after 32 MiB both ways")


def test_counters_agree_with_the_traffic():
    with Origin(origins.echo) as origin, Sluice([origin.address]) as sluice:
        for n in range(1, 51):
            s = sluice.connect()
            exchange(s, DATA[:n * 100])
            s.close()
        now = sluice.at_rest()
        total = sum(n * 100 for n in range(1, 51))
        equal((now["client_bytes"], now["server_bytes"]), (total, total), "bytes")
        equal((now["accepts"], now["sessions_total"]), (50, 50), "sessions")
        server = next(iter(now.servers.values()))
        equal(server["server_connects"], 50, "server_connects")
        equal(sum(origin.wait_results(50)), total, "bytes at the server")


def test_descriptors_come_home():
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        before = sluice.descriptors()
        storm(sluice, 4, 100)
        sluice.at_rest()
        time.sleep(0.05)
        equal(sluice.descriptors(), before, "open descriptors after 400 sessions")


def test_memory_is_flat():
    """More of the same needs no more memory."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        storm(sluice, 4, 150)
        sluice.at_rest()
        before = sluice.private_bytes()
        storm(sluice, 4, 150)
        sluice.at_rest()
        grown = sluice.private_bytes() - before
        most = (4 << 20) if harness.sanitized() else (256 << 10)
        pool = sluice.pool  # its pages are touched one after the other
        check(grown <= most + pool // 4, f"private memory grew by {grown}")


harness.main(globals())
