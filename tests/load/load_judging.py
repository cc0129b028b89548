# SPDX-License-Identifier: MIT
"""What is made of measurements: conditions, search, comparison, files, merging, watching."""

import json
import os
import re
import signal
import tempfile
import time

import load_tool
from load_tool import OR_LATE, Origin, check, eventually, load, measure, near, start


def test_fail_if_decides_the_exit_status():
    with Origin() as origin:
        load("-c", 2, "-n", 100, "--fail-if", "p99<1us,errors>0", origin.url())
        out = load("-c", 2, "-n", 100, "--fail-if", "errors>0,p50>1us", origin.url(), status=3)
        check("failed: p50>1us" in out, out)


FOUND = re.compile(r"Highest rate .*: (\d+) req/s")


def test_find_finds_what_the_origin_can_do():
    # One connection and 10 ms to an answer: not more than 100 a second, however quick the machine;
    # a busy one does less, which a closed loop shows.
    def attempt():
        able = measure("-c", 1, "-d", 1, origin.url())["requests_per_s"]
        out = load("-c", 1, "-d", "500ms", "-R", 20, "--find", "p99<200ms,errors=0", origin.url())
        rate = float(FOUND.search(out)[1])
        check(rate <= 104, out)
        check(rate >= 0.7 * able, f"a closed loop does {able}: {out}")
        return out
    with Origin("--delay", "10ms") as origin:
        out = eventually(attempt)
        steps = [line for line in out.splitlines() if re.match(r" +\d+ req/s: ", line)]
        check(len(steps) >= 8 and steps[-1].endswith("holds"), out)
        check(any("does not hold" in line and "again" in line for line in steps), out)
        load("-c", 1, "-d", "200ms", "-R", 20, "--find", "p50<1us", origin.url(), status=3)


def test_find_repeats_a_step_that_a_hiccup_spoiled():
    """The generator, then the origin, stands still for a quarter of the first step."""
    def attempt(of_generator, words):
        with Origin("--delay", "10ms") as origin:
            process = start("-c", 1, "-d", "1200ms", "-R", 25, "--find", "p99<150ms,errors=0",
                            origin.url())
            time.sleep(0.5)
            frozen = process if of_generator else origin.process
            frozen.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            frozen.send_signal(signal.SIGCONT)
            lines = [process.stdout.readline() for _ in range(4)]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
        check(re.search(r" 25 req/s: p99 [23]\d\dms", lines[2]) and words in lines[2], lines)
        check(re.search(r" 25 req/s: p99 \d\d\.\dms, 0 errors: holds", lines[3]), lines)
        check(("; again" in lines[3]) != of_generator, lines)
    eventually(lambda: attempt(True, "p99<150ms, but this program sent late; again"))
    eventually(lambda: attempt(False, "does not hold: p99<150ms; again"))


def test_vs_shows_what_is_added():
    def attempt():
        out = load("-c", 4, "-d", 2, "--vs", origin.url("/"), origin.url("/?delay=5ms"))
        added = re.search(r"p50 .*\+(\d+\.\d+)ms   \(", out)
        check(added and 4.5 <= float(added[1]) <= 7, out)
        check("x0." in out and "ABBA" in out, out)
    with Origin() as origin:
        eventually(attempt)


def test_files_agree_with_each_other():
    with Origin() as origin, tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)
        load("-c", 4, "-d", 2, "-R", 500, "--runs", 2, "--json", path("a.json"), "--csv",
             path("a.csv"), "--hlog", path("a.hlog"), "--html", path("a.html"),
             origin.url("/?a=</b"), status=OR_LATE)
        with open(path("a.json"), encoding="utf-8") as f:
            data = json.load(f)
        counts = [run["counts"] for run in data["runs"]]
        check([c["completed"] + c["unsent"] for c in counts] == [1000, 1000], counts)
        whole = sum(c["completed"] for c in counts)
        with open(path("a.csv"), encoding="utf-8") as f:
            lines = [line.split(",") for line in f.read().splitlines()]
        check(lines[0][:4] == ["run", "at_s", "length_s", "completed"], lines[0])
        check(sum(int(line[3]) for line in lines[1:]) == whole, lines)
        out = load("merge", path("a.hlog"), path("a.hlog"), "-o", path("b.hlog"))
        check(out.startswith(f"{2 * whole} values"), out)
        check(load("merge", path("b.hlog")).split("\n", 1)[1] == out.split("\n", 1)[1], out)
        load("plot", path("a.json"), "-o", path("b.html"))
        pages = []
        for name in ("a.html", "b.html"):
            with open(path(name), encoding="utf-8") as f:
                pages.append(f.read())
        check(pages[0] == pages[1], "plot makes another page than --html")
        page = pages[0]
        check(page.count("</script>") == 2 and "<svg" not in page and "http:" in page, "page")
        load("plot", path("a.csv"), status=1)
        load("merge", path("a.json"), status=1)


def test_a_watched_process_is_reported():
    with Origin() as origin:
        run = measure("-c", 10, "-d", 1, "--watch", origin.process.pid, origin.url())
    process = run["processes"][0]
    check(process["alive"] and 1 < process["cpu_us_per_request"] < 1000, process)
    check(process["rss_end"] > 1e6 and process["fds"] > 10, process)


def test_warm_up_is_not_in_the_numbers():
    with Origin() as origin:
        run = measure("-c", 10, "-d", 1, "-R", 1000, "--warmup", "500ms", origin.url(),
                      status=OR_LATE)
        counts = run["counts"]
        check(counts["completed"] + counts["unsent"] == 1000 and counts["connects"] == 10, counts)
        check(run["times_us"]["response"]["count"] == counts["completed"], run["times_us"])
        near(origin.numbers()["requests"] + counts["unsent"], 1500, 2,
             "requests with those of the warm-up")


def test_poisson_arrivals_reach_the_rate():
    with Origin() as origin:
        run = measure("-c", 10, "-d", 2, "-R", 2000, "--arrival", "poisson", origin.url(),
                      status=OR_LATE)
    near(run["requests_per_s"], 2000, 150, "rate")


if __name__ == "__main__":
    load_tool.main(globals())
