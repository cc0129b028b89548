# SPDX-License-Identifier: MIT
"""The generator against its own origin: counts, times, modes, errors, interruptions."""

import signal
import socket
import threading
import time

import load_tool
from load_tool import OR_LATE, Origin, check, eventually, free_port, load, measure, near, start


def test_wrks_command_line_and_lines():
    with Origin() as origin:
        out = load("-t2", "-c100", "-d1s", "--latency", "-H", "X-A: b", "--timeout", "2s",
                   origin.url())
    for line in ("Running 1s test @ ", "  2 threads and 100 connections", "  Thread Stats   Avg",
                 "    Latency ", "    Req/Sec ", "  Latency Distribution", "     50% ",
                 " requests in 1.", "Requests/sec: ", "Transfer/sec: "):
        check(line in out, f"{line!r} is missing in {out}")


def test_counts_are_the_origins():
    with Origin() as origin:
        run = measure("-c", 20, "-t", 2, "-n", 20001, origin.url())
        numbers = origin.numbers()
    check(run["counts"]["completed"] == run["counts"]["sent"] == 20001, run["counts"])
    check(numbers["requests"] == 20001 and numbers["connections"] == 20, numbers)
    check(numbers["bytes_out"] == run["counts"]["bytes_in"], (numbers, run["counts"]))
    check(numbers["bytes_in"] == run["counts"]["bytes_out"], (numbers, run["counts"]))


def test_percentiles_are_those_of_the_origins_delays():
    def attempt():
        run = measure("-c", 100, "-d", 3, "-R", 1000, origin.url(), status=OR_LATE)
        times = run["times_us"]["response"]
        check(times["count"] + run["counts"]["unsent"] == 3000, times)
        check(times["p50"] < 25000 and 20000 <= times["p75"] < 30000, times)
        check(20000 <= times["p90"] < 30000 and 200000 <= times["p99"] < 220000, times)
    with Origin("--delay", "20ms:50,200ms:5") as origin:
        eventually(attempt)


def test_a_stopped_origin_is_not_omitted():
    with Origin() as origin:
        stalled = []

        def stall():
            time.sleep(1)
            began = time.monotonic()
            origin.process.send_signal(signal.SIGSTOP)
            time.sleep(2)
            origin.process.send_signal(signal.SIGCONT)
            stalled.append((time.monotonic() - began) * 1e6)
        thread = threading.Thread(target=stall)
        thread.start()
        run = measure("-c", 20, "-d", 5, "-R", 1000, "--timeout", "10s", origin.url(),
                      status=OR_LATE)
        thread.join()
    check(run["counts"]["completed"] + run["counts"]["unsent"] == 5000, run["counts"])
    response, service = run["times_us"]["response"], run["times_us"]["service"]
    # Of 5,000, the 2,000 due in the stall waited 0 to 2 s, evenly.
    near(response["p75"], stalled[0] - 1250000, 120000, "response p75")
    near(response["p90"], stalled[0] - 500000, 120000, "response p90")
    near(response["max"], stalled[0], 100000, "response max")
    # In flight were 20, one to a connection.
    check(service["p99"] < 500000 and service["max"] > 1800000, service)


def test_every_mode_against_its_service():
    with Origin(services=("http", "echo", "sink", "source", "rr")) as origin:
        rows = [
            ("-n", 500, "-p", 8, "--verify", "--size", "3k", origin.url("/?chunked=1")),
            ("-n", 500, "-p", 8, "--verify", "--size", 100, "--reply", "5k", origin.tcp("rr")),
            ("-n", 500, "--size", 1, origin.tcp("echo")),
            ("-n", 500, "--mode", "crr", origin.url()),
            ("-n", 500, "--mode", "crr", "-R", 2000, origin.url()),
            ("-n", 500, "--mode", "churn", origin.url()),
            ("-n", 500, "--reconnect", 7, "--lifetime", "100ms", origin.url()),
            ("-n", 500, "--bind", "127.0.7.0/24", "--ramp", "100ms", origin.url("/?1xx=1")),
            ("-n", 500, "-m", "HEAD", origin.url()),
            ("-n", 500, "-b", "text", origin.url("/?echo=1&trailers=1")),
        ]
        for row in rows:
            run = measure("-c", 10, *row, status=OR_LATE)
            check(run["counts"]["completed"] == 500 and run["counts"]["errors"] == 0, (row, run))
            check(run["counts"]["unsent"] == 0, (row, run["counts"]))
            if "--verify" in row:
                check(run["counts"]["verified"] == 500, (row, run["counts"]))
        for direction, name in (("up", "sink"), ("down", "source"), ("both", "echo")):
            run = measure("-c", 4, "-d", 1, "--mode", "stream", "--direction", direction,
                          "--verify", origin.tcp(name))
            check(run["counts"]["errors"] == 0, (direction, run["errors"]))
            check(run["counts"]["bytes_in"] + run["counts"]["bytes_out"] > 1e7, run["counts"])
        run = measure("-c", 2000, "-d", 1, "--mode", "idle", "--conn-rate", "20k", origin.url())
        check(run["counts"]["connects"] == 2000 and run["counts"]["errors"] == 0, run["counts"])
        numbers = origin.numbers()
        check(numbers["frames_corrupt"] == 0 and numbers["frames_good"] > 500, numbers)


def test_misbehaving_clients_are_measured_apart():
    with Origin() as origin:
        run = measure("-c", 40, "-d", 1, "--slow-read", 10, "--slow-write", 10, "--half-close", 10,
                      "--rst", 10, origin.url())
    check(run["counts"]["rude_connections"] >= 16 and run["counts"]["errors"] == 0, run["counts"])
    check(run["counts"]["completed"] > 100 and run["counts"]["rude_faults"] == 0, run["counts"])


def errors_of(run):
    return {(e["phase"], e["what"]) for e in run["errors"]}


def test_errors_have_a_phase_and_a_cause():
    with Origin() as origin:
        for query, timeout, phase, what in (
                ("/?cut=5", "2s", "receive", "closed within an answer"),
                ("/?reset=1", "2s", "receive", "Connection reset by peer"),
                ("/?delay=5s", "200ms", "timeout", "no answer in time (--timeout)")):
            run = measure("-c", 2, "-d", "300ms", "--timeout", timeout, origin.url(query))
            check(errors_of(run) == {(phase, what)}, (query, run["errors"]))
        run = measure("-c", 2, "-n", 10, origin.url("/?status=503"))
        check(run["statuses"] == {"503": 10} and run["counts"]["not_2xx_3xx"] == 10, run)


class Liar:
    """A server that sends the same bytes to whoever asks."""

    def __init__(self, text):
        self.text = text
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
                s.recv(1 << 16)
                s.sendall(self.text)
                s.recv(1 << 16)
                s.close()
            except OSError:
                return


def test_malformed_answers_are_parse_errors_and_wrong_bytes_verify_errors():
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    frame = b"SLF1" + bytes(20) + b"\xff" * 8
    for text, phase, options in (
            (b"garbage\r\n\r\n", "parse", ()),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "parse", ()),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "parse", ()),
            (b"HTTP/1.1 200 OK\r\rA: b\r\nContent-Length: 0\r\n\r\n", "parse", ()),
            (b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "parse", ()),
            (b"HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n", "parse", ()),
            (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 17000, "parse", ()),
            (ok % 1 + b"abc", "parse", ()),
            (ok % 40 + b"x" * 40, "verify", ("--verify",)),
            (ok % 32 + frame, "verify", ("--verify",)),
            (ok % 10 + b"x" * 10, "verify", ("--verify",))):
        liar = Liar(text)
        run = measure("-c", 1, "-d", "200ms", *options, f"http://127.0.0.1:{liar.port}/")
        liar.listener.close()
        check({e["phase"] for e in run["errors"]} == {phase}, (text, run["errors"]))


def test_answers_may_come_in_pieces_of_any_size():
    """1xx, chunks and trailers, byte by byte; what a HEAD is told has no body."""
    long = b"HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    long += b"10;a=\"b\"\r\n0123456789\r\nabcd\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n"
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

    def serve():
        s, _ = listener.accept()
        with s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(10):
                is_head = s.recv(1 << 16).startswith(b"HEAD")
                for byte in short if is_head else long:
                    s.sendall(bytes([byte]))
            s.recv(1)
    for words in ((), ("-m", "HEAD")):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve)
            thread.start()
            run = measure("-c", 1, "-n", 10, *words,
                          f"http://127.0.0.1:{listener.getsockname()[1]}/")
            thread.join(10)
        check(run["counts"]["completed"] == 10 and run["errors"] == [], (words, run["errors"]))
        check(run["counts"]["connects"] == 1, run["counts"])


def test_a_target_that_vanishes_is_reported_and_the_run_goes_on():
    with Origin() as origin:
        process = start("-c", 10, "-d", 3, "-R", 1000, "--json", "-", origin.url())
        time.sleep(1)
        origin.process.kill()
        out, _ = process.communicate(timeout=15)
        origin.process.communicate()
    check(process.returncode in OR_LATE, process.returncode)
    check('"what":"Connection refused"' in out and '"unsent":0' not in out, out)


def test_an_interrupted_run_is_partial():
    with Origin() as origin:
        for number in (signal.SIGINT, signal.SIGTERM):
            process = start("-c", 10, "-d", 20, origin.url())
            time.sleep(1)
            process.send_signal(number)
            out, _ = process.communicate(timeout=5)
            check(process.returncode == 130 and "INTERRUPTED" in out, (process.returncode, out))


def test_bad_words_and_dead_targets_have_their_exit_codes():
    url = f"http://127.0.0.1:{free_port()}/"
    check("did you mean --connections" in load("--conections", 5, url, status=1), "suggestion")
    for words in ((), ("-c", 1, "-t", 2, url), ("-d", "5x", url), ("ftp://x",), ("https://x",),
                  ("-s", "x.lua", url), ("--fail-if", "speed<3", url), ("-p", 99, url),
                  ("--mode", "http", "tcp://127.0.0.1:1")):
        load(*words, status=1)
    check("Connection refused" in load("-c", 5, "-d", 5, url, status=2), "refused")
    load("-c", 5, "-d", 5, "unix:/nowhere/at.all", status=2)


if __name__ == "__main__":
    load_tool.main(globals())
