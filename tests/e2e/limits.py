# SPDX-License-Identifier: MIT
"""What is full waits or is refused with a count, and works again when there is room."""

import subprocess
import threading
import time

import harness
import origins
from harness import (HOST, Sluice, check, dial, equal, exchange, free_port, need, pattern,
                     section, silent, wait_until, written)
from origins import EchoLoop, Origin


def served(sockets, payload=b"ping"):
    """Which of them, having sent the payload, were answered by now."""
    done = []
    for s in sockets:
        s.settimeout(0.01)
        try:
            if s.recv(100) == payload:
                done.append(s)
        except TimeoutError:
            pass
        s.settimeout(harness.STEP_SECONDS)
    return done


def queue_behind_a_limit(sluice, address, limit, extra=6):
    """Fills the limit, queues more, frees one by one: each is served in the end, none dropped."""
    holding = [dial(address) for _ in range(limit)]
    for s in holding:
        exchange(s)
    waiting = [dial(address) for _ in range(extra)]
    for s in waiting:
        s.sendall(b"ping")
    time.sleep(0.3)
    equal(len(served(waiting)), 0, "clients served above the limit")
    check(sluice.count("sessions") >= limit, "sessions at the limit")
    for n in range(extra):
        holding.pop(0).close()
        got = wait_until(lambda: served(waiting),
                         lambda: f"none of {len(waiting)} waiting is served after an end, "
                         f"{sluice.count('sessions')} sessions are open")
        equal(len(got), 1, "clients served when one session ended")
        waiting.remove(got[0])
        holding.append(got[0])
        check(sluice.count("sessions") <= limit + 0, f"{sluice.count('sessions')} at step {n}")
    for s in holding:
        exchange(s, b"still here")
        s.close()
    now = sluice.at_rest()
    equal(now["accept_refused"], 0, "accept_refused")
    check(now["accept_pauses"] > 0, "accept_pauses did not count")
    equal(now["sessions_total"], limit + extra, "sessions")
    return now


def test_max_sessions_of_the_proxy():
    with EchoLoop() as origin, Sluice([origin.address], proxy={"max_sessions": 4}) as sluice:
        queue_behind_a_limit(sluice, sluice.address, 4)


def test_max_sessions_of_a_listener():
    with EchoLoop() as origin:
        other = (HOST, free_port())
        text = section("listener other", {"bind": written(other), "upstream": "app"})
        with Sluice([origin.address], listener={"max_sessions": 3}, text=text) as sluice:
            now = queue_behind_a_limit(sluice, sluice.address, 3)
            held = [sluice.connect() for _ in range(3)]
            for s in held:
                exchange(s)
            late = sluice.connect()
            late.sendall(b"late")
            check(silent(late), "a client above the limit of its listener is served")
            more = [dial(other) for _ in range(20)]
            for s in more:
                exchange(s)
            held[0].close()
            equal(harness.receive_exactly(late, 4), b"late", "echo to the one that waited")
            for s in held[1:] + more + [late]:
                s.close()
            check(now["accept_parked"] >= 0, "accept_parked")


def test_max_sessions_one():
    with EchoLoop() as origin, Sluice([origin.address], proxy={"max_sessions": 1}) as sluice:
        queue_behind_a_limit(sluice, sluice.address, 1, extra=4)


def two_workers_at_the_limit(accept):
    """The limit holds over all workers, and all of it can be used."""
    with EchoLoop() as origin, \
            Sluice([origin.address],
                   proxy={"workers": 2, "max_sessions": 8, "accept": accept}) as sluice:
        clients = [sluice.connect() for _ in range(24)]
        for s in clients:
            s.sendall(b"ping")
        done = []
        try:
            wait_until(lambda: done.extend(served([c for c in clients if c not in done]))
                       or len(done) >= 8, lambda: f"{len(done)} of 8 sessions are served "
                       f"({sluice.count('sessions').workers} by worker)", 3)
            check(sluice.count("sessions") <= 8, f"{sluice.count('sessions')} sessions of 8")
            time.sleep(0.2)
            equal(len(done) + len(served([c for c in clients if c not in done])), 8,
                  "clients served at a limit of 8")
        finally:
            for s in clients:
                s.close()
        sluice.at_rest(15)
        exchange_after = sluice.connect()
        exchange(exchange_after)
        exchange_after.close()
        equal(sluice.count("accept_refused"), 0, "accept_refused")


def test_two_workers_kernel():
    two_workers_at_the_limit("kernel")


def test_two_workers_round_robin():
    two_workers_at_the_limit("round_robin")


def test_two_workers_least_sessions():
    two_workers_at_the_limit("least_sessions")


def test_waiting_client_that_leaves():
    """Clients that give up while they wait are no burden on those behind them."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={"max_sessions": 2}) as sluice:
        held = [sluice.connect() for _ in range(2)]
        for s in held:
            exchange(s)
        for n in range(50):
            s = sluice.connect()
            s.sendall(b"x")
            if n % 2:
                harness.reset(s)
            else:
                s.close()
        last = sluice.connect()
        last.sendall(b"last")
        held[0].close()
        equal(harness.receive_exactly(last, 4), b"last", "echo to the last in the queue")
        last.close()
        held[1].close()


def test_churn_at_the_limit():
    """40 clients over 4 sessions, 800 connections in all: every one is served."""
    failed = []
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"workers": 2, "max_sessions": 4}) as sluice:
        def client():
            try:
                for _ in range(20):
                    s = sluice.connect(timeout=20)
                    exchange(s, b"abc")
                    s.close()
            except (OSError, harness.Failure) as error:
                failed.append(str(error))
        threads = [threading.Thread(target=client) for _ in range(40)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(50)
        equal(failed, [], "clients that were not served")
        now = sluice.at_rest()
        equal((now["sessions_total"], now["accept_refused"]), (800, 0), "sessions, refused")


def test_pool_exhaustion_and_recovery():
    """100 stalled readers take all payload memory; when they go, others proceed at once."""
    block = b"d" * 65536
    stop = threading.Event()

    def flood(connection):
        try:
            while not stop.is_set():
                connection.sendall(block)
        except OSError:
            pass
    with Origin(flood) as origin, EchoLoop() as good:
        other = (HOST, free_port())
        text = section("listener other", {"bind": written(other), "upstream": "good"})
        text += section("upstream good", {"server": written(good.address)})
        with Sluice([origin.address], proxy={"buffer_memory": "1M"}, text=text) as sluice:
            stalled = [sluice.connect(receive_buffer=4096) for _ in range(100)]
            now = sluice.wait_count("starvations", lambda n: n > 0)
            check(now["slices_used_peak_bytes"] <= sluice.pool, "more slices than there are")
            late = dial(other)
            late.sendall(b"waits its turn")
            seen = []
            wait_until(lambda: seen.append(sluice.count("server_bytes"))
                       or len(seen) > 1 and seen[-1] == seen[-2], "the flood never stops",
                       pause=0.3)
            before = sluice.cpu_seconds()
            time.sleep(1)
            check(sluice.cpu_seconds() - before < 0.3, "a dry pool keeps the CPU busy")
            stop.set()
            for s in stalled:
                harness.reset(s)
            equal(harness.receive_exactly(late, 14), b"waits its turn", "echo after recovery")
            exchange(late, pattern(500000))
            late.close()
            now = sluice.at_rest()
            check(now["starvations"] > 0 and now["starved"] == 0, "starvations")


def test_stalled_reader_among_thousand():
    """One client stops reading; 1,000 others go on, and their latency stays sane."""
    go = threading.Event()

    def flood(connection):
        try:
            while not go.is_set():
                connection.sendall(b"f" * 65536)
        except OSError:
            pass
    with EchoLoop() as origin, Origin(flood) as flooding:
        other = (HOST, free_port())
        text = section("listener other", {"bind": written(other), "upstream": "flooding"})
        text += section("upstream flooding", {"server": written(flooding.address)})
        with Sluice([origin.address], proxy={"buffer_memory": "2M", "max_sessions": 1100},
                    text=text) as sluice:
            clients = [sluice.connect() for _ in range(1000)]
            stalled = [dial(other, receive_buffer=4096) for _ in range(3)]
            time.sleep(0.3)
            spent = []
            for s in clients * 2:
                start = time.monotonic()
                exchange(s, b"e" * 512)
                spent.append(time.monotonic() - start)
            spent.sort()
            middle, late = spent[len(spent) // 2], spent[len(spent) * 99 // 100]
            check(middle < 0.02 and late < 0.2,
                  f"median {middle * 1e3:.1f} ms, 99 % within {late * 1e3:.1f} ms")
            go.set()
            for s in clients + stalled:
                s.close()


def limit_descriptors(pid, number):
    subprocess.run([need("prlimit"), "--pid", str(pid), f"--nofile={number}:20000"],
                   check=True, timeout=5)


def dial_or_none(sluice):
    """A client that has asked for an echo, or None when it was reset at once."""
    try:
        s = sluice.connect()
        s.sendall(b"ping")
        return s
    except ConnectionError:
        return None


def test_descriptors_run_out():
    """The limit is lowered under a running sluice: it waits without spinning, and recovers."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={"max_sessions": 200}) as sluice:
        held = [sluice.connect() for _ in range(10)]
        for s in held:
            exchange(s)
        limit_descriptors(sluice.pid, sluice.descriptors())
        waiting = [dial_or_none(sluice) for _ in range(20)]
        now = sluice.wait_count("accept_no_descriptor", lambda n: n > 0)
        before, pauses = sluice.cpu_seconds(), now["accept_no_descriptor"]
        time.sleep(1)
        check(sluice.cpu_seconds() - before < 0.2, "out of descriptors, it spins")
        now = sluice.counters()
        check(now["accept_no_descriptor"] - pauses < 200, "it tries again all the time")
        for s in held:
            exchange(s, b"not impressed")
        cut = now.closes().get("NO_DESCRIPTOR", 0)
        check(cut <= 2, f"{cut} clients were cut instead of left in the backlog")
        limit_descriptors(sluice.pid, 20000)
        done, waiting = [], [w for w in waiting if w]
        wait_until(lambda: done.extend(answered([w for w in waiting if w not in done]))
                   or len(done) >= 20 - cut, lambda: f"{len(done)} of 20 served after recovery, "
                   f"{cut} were refused with NO_DESCRIPTOR")
        for s in held + waiting:
            s.close()


def answered(sockets):
    """As served(), where some may have been reset."""
    done = []
    for s in sockets:
        try:
            done += served([s])
        except ConnectionError:
            pass
    return done


def test_no_descriptor_for_the_server():
    """A descriptor for the client but none for the server: a reason of its own, nothing lost."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={"max_sessions": 200}) as sluice:
        held = [sluice.connect() for _ in range(10)]
        for s in held:
            exchange(s)
        limit_descriptors(sluice.pid, sluice.descriptors() + 1)
        late = dial_or_none(sluice)
        time.sleep(0.3)
        now = sluice.counters()
        waits = now["accept_no_descriptor"] > 0
        check(waits or now.closes() == {"NO_DESCRIPTOR": 1},
              f"neither waiting nor NO_DESCRIPTOR: {now.closes()}")
        if late is not None and not waits:
            check(harness.ending(late)[1] in ("eof", "reset"), "the client was not told")
        limit_descriptors(sluice.pid, 20000)
        again = sluice.connect()
        exchange(again)
        for s in held + [again] + ([late] if late else []):
            s.close()


harness.main(globals())
