# SPDX-License-Identifier: MIT
"""Signals, the drain, the log, and the identity that sluice runs under."""

import os
import pwd
import re
import signal
import time

import harness
import origins
from harness import Skip, Sluice, check, dial, ending, equal, exchange, silent, wait_until
from origins import EchoLoop, Origin


def refuses(address):
    """New connections are refused (or, where the socket still was open, reset)."""
    try:
        s = dial(address, timeout=1)
    except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError):
        return True
    how = ending(s, 1)[1]
    s.close()
    return how == "reset"


def drain(signal_number, workers=1, accept="kernel"):
    """An open session goes on to its end while new connections are refused; then exit 0."""
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"workers": workers, "accept": accept}) as sluice:
        s = sluice.connect()
        exchange(s, b"before")
        sluice.signal(signal_number)
        wait_until(lambda: refuses(sluice.address), "new connections are still taken")
        for _ in range(3):
            exchange(s, b"during the drain")
            time.sleep(0.05)
        check(not sluice.ended(), "it ended with a session open")
        s.close()
        equal(sluice.wait(), 0, "exit status when the session had ended")


def test_term_drains():
    drain(signal.SIGTERM)


def test_int_drains():
    drain(signal.SIGINT)


def test_term_drains_two_workers():
    drain(signal.SIGTERM, 2, "kernel")
    drain(signal.SIGTERM, 2, "round_robin")


def test_term_without_sessions():
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        started = time.monotonic()
        sluice.signal(signal.SIGTERM)
        equal(sluice.wait(), 0, "exit status")
        check(time.monotonic() - started < 2, "an idle sluice took 2 s to end")


def test_drain_of_a_transfer():
    """TERM in the middle of a transfer: all of it arrives."""
    data = harness.pattern(3 << 20)
    with Origin(origins.source(data)) as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect(receive_buffer=65536)
        got = harness.receive_exactly(s, 100000)
        sluice.signal(signal.SIGTERM)
        time.sleep(0.3)
        check(got + harness.receive_all(s) == data, "the data differ")
        s.close()
        equal(sluice.wait(), 0, "exit status")


def test_drain_timeout_cuts():
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"drain_timeout": "400ms"}) as sluice:
        s = sluice.connect()
        exchange(s)
        started = time.monotonic()
        sluice.signal(signal.SIGTERM)
        check(ending(s)[1] != "open", "the session was not cut")
        equal(sluice.wait(), 3, "exit status")
        check(0.35 <= time.monotonic() - started <= 2, "drain_timeout of 400 ms")
        s.close()


def test_drain_cut_is_counted():
    """The last counters, or a line at the end, say how many were cut."""
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"drain_timeout": "200ms"}) as sluice:
        clients = [sluice.connect() for _ in range(7)]
        for s in clients:
            exchange(s)
        sluice.signal(signal.SIGTERM)
        equal(sluice.wait(), 3, "exit status")
        check(re.search(r"\b7 sessions cut|DRAIN_CUT 7", sluice.log()),
              f"nothing says that 7 were cut: {sluice.tail(4)}")
        for s in clients:
            s.close()


def second_signal(first, second):
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        s = sluice.connect()
        exchange(s)
        sluice.signal(first)
        wait_until(lambda: refuses(sluice.address), "new connections are still taken")
        started = time.monotonic()
        sluice.signal(second)
        equal(sluice.wait(), 3, "exit status after the second signal")
        check(time.monotonic() - started < 2, "a second signal took 2 s")
        check(ending(s)[1] != "open", "the session was not cut")
        s.close()


def test_second_term_ends_at_once():
    second_signal(signal.SIGTERM, signal.SIGTERM)


def test_second_int_ends_at_once():
    second_signal(signal.SIGINT, signal.SIGINT)


def test_int_after_term_ends_at_once():
    second_signal(signal.SIGTERM, signal.SIGINT)


def test_second_term_while_waiting_at_the_limit():
    """Cut in every stage: connecting, relaying, half closed, and queued in the backlog."""
    with origins.Hanger() as hanger, \
            Sluice([hanger.address], proxy={"max_sessions": 3},
                   upstream={"connect_timeout": "1m"}) as sluice:
        clients = [sluice.connect() for _ in range(6)]
        sluice.wait_count("sessions", 3)
        sluice.signal(signal.SIGTERM)
        time.sleep(0.2)
        sluice.signal(signal.SIGTERM)
        equal(sluice.wait(), 3, "exit status")
        for s in clients:
            check(ending(s)[1] != "open", "a client was not told")
            s.close()


def test_drain_serves_the_backlog():
    """Connections that the kernel completed before TERM get a session or an end, not silence."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={"max_sessions": 2}) as sluice:
        held = [sluice.connect() for _ in range(2)]
        for s in held:
            exchange(s)
        waiting = sluice.connect()
        waiting.sendall(b"ping")
        check(silent(waiting), "served above the limit")
        sluice.signal(signal.SIGTERM)
        check(ending(waiting, 3)[1] != "open" or not silent(waiting, 0.1),
              "a client in the backlog hears nothing during the drain")
        waiting.close()
        for s in held:
            s.close()
        equal(sluice.wait(), 0, "exit status")


def test_hup_does_not_kill():
    with EchoLoop() as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        exchange(s)
        for _ in range(5):
            sluice.signal(signal.SIGHUP)
            time.sleep(0.05)
        exchange(s, b"after HUP")
        s.close()


def test_other_signals():
    """SIGPIPE and window changes are no reason to end."""
    with EchoLoop() as origin, Sluice([origin.address]) as sluice:
        for number in (signal.SIGPIPE, signal.SIGWINCH, signal.SIGCONT, signal.SIGCHLD):
            sluice.signal(number)
        time.sleep(0.1)
        s = sluice.connect()
        exchange(s)
        s.close()


def test_stop_and_continue():
    """SIGSTOP for a while, as a debugger or a frozen machine does."""
    with EchoLoop() as origin, Sluice([origin.address]) as sluice:
        s = sluice.connect()
        exchange(s)
        sluice.signal(signal.SIGSTOP)
        late = sluice.connect()
        late.sendall(b"late")
        s.sendall(b"meanwhile")
        time.sleep(0.4)
        sluice.signal(signal.SIGCONT)
        equal(harness.receive_exactly(s, 9), b"meanwhile", "echo")
        equal(harness.receive_exactly(late, 4), b"late", "echo")
        s.close()
        late.close()


def test_usr1_under_load():
    """A storm of USR1 while bytes flow: no counter report is broken, no byte is lost."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        clients = [sluice.connect() for _ in range(20)]
        for n in range(60):
            sluice.signal(signal.SIGUSR1)
            exchange(clients[n % 20], b"u" * 5000)
        now = sluice.counters()
        equal(now["client_bytes"], 300000, "client_bytes")
        equal(int(now["client_bytes"]), sum(now["client_bytes"].workers), "sum of workers")
        for s in clients:
            s.close()


def names_in(table):
    """The first argument of each row of a table under include/."""
    with open(os.path.join(harness.ROOT, "include", table), encoding="utf-8") as f:
        return re.findall(r"^(?:STAT|GAUGE|CLOSE_REASON)\((\w+)", f.read(), re.M)


def test_usr1_prints_every_counter():
    with EchoLoop() as origin, Sluice([f"{harness.written(origin.address)} name=one"],
                                      proxy={"workers": 2}) as sluice:
        now = sluice.counters()
        wanted = names_in("flow/flow_stats.def") + names_in("ring/ring_stats.def")
        wanted += ["close_" + reason for reason in names_in("flow/close_reason.def")]
        check(len(wanted) > 40, f"tables have {len(wanted)} rows")
        equal(sorted(set(wanted) - set(now)), [], "counters that are not printed")
        check(all(len(c.workers) == 2 for c in now.values()), "a counter without its workers")
        equal(set(now.servers), {"app/one"}, "servers")
        equal(sorted(set(names_in("upstream/server_stats.def")) - set(now.servers["app/one"])),
              [], "server counters that are not printed")


def test_usr1_reopens_the_log():
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"log": "./sluice.log"}, start=False) as sluice:
        log = os.path.join(sluice.folder, "sluice.log")
        old = log + ".1"
        sluice.start(ready=False)
        s = wait_until(lambda: dial_if_open(sluice), "sluice does not listen")
        exchange(s)
        wait_until(lambda: os.path.exists(log), "no log file")
        os.rename(log, old)
        sluice.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(log) and "info ring " in text(log),
                   "the log was not opened again, with the counters in it")
        check("counter client_bytes 4" in text(log), "no counters in the new log")
        size = os.path.getsize(old)
        s.close()
        sluice.signal(signal.SIGTERM)
        equal(sluice.wait(), 0, "exit status")
        equal(os.path.getsize(old), size, "size of the renamed log")
        check("ended" in text(log), f"the end is not in the new log: {text(log)[-300:]}")


def text(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def dial_if_open(sluice):
    check(not sluice.ended(), f"sluice ended with {sluice.status}: {sluice.log()}")
    try:
        return sluice.connect()
    except ConnectionRefusedError:
        return None


def test_log_is_appended_to():
    with EchoLoop() as origin:
        sluice = Sluice([origin.address], proxy={"log": "./sluice.log"}, start=False)
        log = os.path.join(sluice.folder, "sluice.log")
        with sluice:
            with open(log, "w", encoding="ascii") as f:
                f.write("kept\n")
            sluice.start(ready=False)
            wait_until(lambda: dial_if_open(sluice), "sluice does not listen").close()
            sluice.signal(signal.SIGTERM)
            equal(sluice.wait(), 0, "exit status")
            check(text(log).startswith("kept\n") and len(text(log)) > 5, "log was overwritten")


def test_start_report():
    """Version, kernel, ring features, workers, memory, listeners and limits."""
    with EchoLoop() as origin, Sluice([origin.address]) as sluice:
        report = sluice.log()
        for word in ("sluice ", "Linux", "io_uring", "workers", "memory", "listener", "limits",
                     harness.written(sluice.address), harness.written(origin.address)):
            check(word in report, f"the start report has no {word!r}")


def test_start_report_of_memory():
    """The buffers that are reported are the buffers that are reserved."""
    with EchoLoop() as origin:
        for workers, size in ((1, "1M"), (1, "3M"), (2, "1M"), (2, "64M")):
            with Sluice([origin.address],
                        proxy={"workers": workers, "buffer_memory": size}) as sluice:
                told = re.search(r"buffers (\S+) MB", sluice.log())
                check(told, "no buffers in the start report")
                equal(f"{sluice.pool / (1 << 20):g}", f"{float(told[1]):g}",
                      f"MB in slices_free_bytes and in the report, {size} for {workers} workers")


def test_user_nobody():
    if os.getuid() != 0:
        raise Skip("only root can drop privileges")
    nobody = pwd.getpwnam("nobody")
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"user": "nobody", "workers": 2}) as sluice:
        for task in os.listdir(f"/proc/{sluice.pid}/task"):
            status = text(f"/proc/{sluice.pid}/task/{task}/status")
            uids = re.search(r"^Uid:\s+(.*)$", status, re.M)[1].split()
            gids = re.search(r"^Gid:\s+(.*)$", status, re.M)[1].split()
            equal(set(uids), {str(nobody.pw_uid)}, f"uids of thread {task}")
            equal(set(gids), {str(nobody.pw_gid)}, f"gids of thread {task}")
            groups = re.search(r"^Groups:(.*)$", status, re.M)[1].split()
            check("0" not in groups, f"groups of thread {task}: {groups}")
            caps = re.search(r"^CapEff:\s+(\w+)$", status, re.M)[1]
            equal(int(caps, 16), 0, f"capabilities of thread {task}")
        for _ in range(20):
            s = sluice.connect()
            exchange(s, harness.pattern(100000))
            s.close()


def test_user_binds_low_port_first():
    if os.getuid() != 0:
        raise Skip("only root can bind a port below 1024")
    port = next(p for p in range(900, 1000) if not taken(p))
    with EchoLoop() as origin, \
            Sluice([origin.address], bind=(harness.HOST, port), proxy={"user": "nobody"}) as sluice:
        s = sluice.connect()
        exchange(s)
        s.close()


def taken(port):
    try:
        dial((harness.HOST, port), timeout=1).close()
        return True
    except OSError:
        return False


harness.main(globals())
