# SPDX-License-Identifier: MIT
"""sluice-load against its own origin: counts, times, integrity, bad input."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time

import harness
from harness import Skip, check, equal, free_port, wait_until

LOAD = os.environ.get("SLUICE_LOAD", "")


def need_load():
    if not os.access(LOAD, os.X_OK):
        raise Skip("sluice-load is not built")


class Served:
    """An origin on a free port; what it counted after it was stopped."""

    def __init__(self, *options, service="http"):
        need_load()
        self.address = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [LOAD, "serve", "--json", *options, f"{service}={self.address}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(self._listens, "the origin does not listen")

    def _listens(self):
        host, port = self.address.split(":")
        try:
            harness.dial((host, int(port)), timeout=1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.counts()

    def counts(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=10)
        equal(self.process.returncode, 0, f"exit status of the origin: {err}")
        return json.loads([line for line in out.splitlines() if line.startswith("{")][-1])


def load(*arguments, status=(0, 4)):
    """The report of a run, as its JSON. Status 4, the generator did not get the processor in time,
    is as good as 0 here: counts are looked at, and times of many milliseconds."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([LOAD, "--quiet", "--json", file.name, *arguments],
                              capture_output=True, text=True, timeout=40)
        check(done.returncode in status,
              f"exit status {done.returncode}: {done.stdout} {done.stderr}")
        with open(file.name, encoding="utf-8") as text:
            return json.load(text)["runs"][0]


def test_counts_equal_the_origins():
    with Served() as origin:
        counts = load("-c", "7", "-n", "2000", f"http://{origin.address}/")["counts"]
        there = origin.counts()
    equal((counts["sent"], counts["completed"]), (2000, 2000), "requests")
    equal((there["requests"], there["answers"], there["bad_requests"]), (2000, 2000, 0), "origin")
    equal(there["bytes_in"], counts["bytes_out"], "bytes to the origin")
    equal(there["bytes_out"], counts["bytes_in"], "bytes from the origin")
    equal((counts["in_time"], counts["unfinished"], counts["unsent"]), (2000, 0, 0), "the rest")
    equal((counts["lost"], counts["closed_by_target"]), (0, 0), "connections that broke")


def test_statuses_and_closes_are_counted():
    with Served("--status", "503:25", "--close", "10") as origin:
        run = load("-c", "4", "-n", "4000", f"http://{origin.address}/")
    share = run["counts"]["not_2xx_3xx"] / 4000
    check(0.22 < share < 0.28, f"{share} of the answers are 503")
    equal(run["statuses"]["503"], run["counts"]["not_2xx_3xx"], "by status")
    check(300 < run["counts"]["connects"] < 500, f"connections: {run['counts']}")


def test_percentiles_match_the_delay():
    with Served("--delay", "200ms:5") as origin:
        times = load("-c", "20", "-n", "2000", f"http://{origin.address}/")["times_us"]["service"]
    check(times["p90"] < 100000, f"90 % are not delayed: {times}")
    check(200000 <= times["p99"] < 300000, f"the slowest 5 % are: {times}")


def test_a_stopped_origin_is_not_omitted():
    """One second of silence at 1,000 a second: about 1,000 late answers, but only one slow answer
    for each connection."""
    with Served() as origin:
        def stop():
            time.sleep(1)
            origin.process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            origin.process.send_signal(signal.SIGCONT)
        thread = threading.Thread(target=stop)
        thread.start()
        run = load("-c", "10", "-R", "1000", "-d", "4s", "--timeout", "5s",
                   f"http://{origin.address}/")
        thread.join()
    response, service = run["times_us"]["response"], run["times_us"]["service"]
    check(3900 <= response["count"] <= 4010, f"{response['count']} samples")
    check(response["p90"] > 400000, f"a tenth waited longer than 0.4 s: {response}")
    check(service["p99"] < 400000 < service["max"], f"but few were slow: {service}")
    check(run["counts"]["completed"] == run["counts"]["sent"], "all answered in the end")


def test_integrity_is_checked_both_ways():
    with Served(service="rr") as origin:
        counts = load("--mode", "rr", "--verify", "-c", "5", "-n", "1000", "--size", "3K",
                      f"tcp://{origin.address}")["counts"]
        there = origin.counts()
    equal((counts["verified"], counts["errors"]), (1000, 0), "answers that were checked")
    equal((there["frames_good"], there["frames_corrupt"]), (1000, 0), "frames at the origin")


def test_rude_clients_are_counted_apart():
    with Served() as origin:
        counts = load("-c", "20", "-d", "1s", "--slow-write", "10", "--rst", "10",
                      f"http://{origin.address}/?size=20k")["counts"]
    check(counts["rude_connections"] >= 4, f"{counts['rude_connections']} rude connections")
    check(counts["rude_completed"] + counts["rude_faults"] >= 0, "their answers and faults")
    equal(counts["errors"], 0, "errors of the others")


def test_command_lines_of_wrk():
    with Served() as origin:
        out = subprocess.run([LOAD, "-t2", "-c4", "-d1s", "--latency", "-H", "X-A: b", "--timeout",
                              "2s", f"http://{origin.address}/"], capture_output=True, text=True,
                             timeout=20)
    equal(out.returncode, 0, out.stderr)
    for line in ("2 threads and 4 connections", "requests in", "Requests/sec:", "Transfer/sec:"):
        check(line in out.stdout, f"{line} in {out.stdout}")


def test_bad_input_is_refused_clearly():
    need_load()
    for arguments, status, words in (
            (["--conections", "3", "http://127.0.0.1:9/"], 1, "--connections"),
            (["-d", "1s", f"http://127.0.0.1:{free_port()}/"], 2, "Connection refused"),
            (["-d", "1parsec", "http://127.0.0.1:9/"], 1, "1parsec")):
        done = subprocess.run([LOAD, *arguments], capture_output=True, text=True, timeout=20)
        equal(done.returncode, status, f"exit status of {arguments}: {done.stderr}")
        check(words in done.stderr, f"{words} in {done.stderr}")


def test_interrupted_runs_are_partial():
    with Served() as origin, tempfile.NamedTemporaryFile(suffix=".json") as file:
        process = subprocess.Popen([LOAD, "--quiet", "-d", "20s", "--json", file.name,
                                    f"http://{origin.address}/"], stdout=subprocess.DEVNULL)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.wait(10)
        with open(file.name, encoding="utf-8") as text:
            run = json.load(text)["runs"][0]
    check(run["partial"] and run["counts"]["completed"] > 0, "a partial result with what there was")


harness.main(globals())
