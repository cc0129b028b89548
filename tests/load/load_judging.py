# SPDX-License-Identifier: MIT
"""What is made of measurements: conditions, search, comparison, files, merging, watching."""

import json
import os
import re
import tempfile

import load_tool
from load_tool import Origin, check, load, measure, near


def test_fail_if_decides_the_exit_status():
    with Origin() as origin:
        load("-c", 2, "-n", 100, "--fail-if", "p99<1us,errors>0", origin.url())
        out = load("-c", 2, "-n", 100, "--fail-if", "errors>0,p50>1us", origin.url(), status=3)
        check("failed: p50>1us" in out, out)


def test_find_finds_what_the_origin_can_do():
    # One connection and 10 ms to an answer: not more than 100 a second.
    with Origin("--delay", "10ms") as origin:
        out = load("-c", 1, "-d", "500ms", "-R", 20, "--find", "p99<100ms,errors=0", origin.url())
        rate = float(re.search(r"Highest rate .*: (\d+) req/s", out)[1])
        check(70 <= rate <= 102, out)
        load("-c", 1, "-d", "200ms", "-R", 20, "--find", "p50<1us", origin.url(), status=3)


def test_vs_shows_what_is_added():
    with Origin() as origin:
        out = load("-c", 4, "-d", 2, "--vs", origin.url("/"), origin.url("/?delay=5ms"))
        added = re.search(r"p50 .*\+(\d+\.\d+)ms   \(", out)
        check(added and 4.5 <= float(added[1]) <= 7, out)
        check("x0." in out and "ABBA" in out, out)


def test_files_agree_with_each_other():
    with Origin() as origin, tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)
        load("-c", 4, "-d", 2, "-R", 500, "--runs", 2, "--json", path("a.json"), "--csv",
             path("a.csv"), "--hlog", path("a.hlog"), "--html", path("a.html"),
             origin.url("/?a=</b"))
        with open(path("a.json"), encoding="utf-8") as f:
            data = json.load(f)
        check([r["counts"]["completed"] for r in data["runs"]] == [1000, 1000], data["runs"])
        with open(path("a.csv"), encoding="utf-8") as f:
            lines = [line.split(",") for line in f.read().splitlines()]
        check(lines[0][:4] == ["run", "at_s", "length_s", "completed"], lines[0])
        check(sum(int(line[3]) for line in lines[1:]) == 2000, lines)
        out = load("merge", path("a.hlog"), path("a.hlog"), "-o", path("b.hlog"))
        check(out.startswith("4000 values"), out)
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
        run = measure("-c", 10, "-d", 1, "-R", 1000, "--warmup", "500ms", origin.url())
        check(run["counts"]["completed"] == 1000 and run["counts"]["connects"] == 10, run["counts"])
        check(run["times_us"]["response"]["count"] == 1000, run["times_us"]["response"])
        near(origin.numbers()["requests"], 1500, 2, "requests with those of the warm-up")


def test_poisson_arrivals_reach_the_rate():
    with Origin() as origin:
        run = measure("-c", 10, "-d", 2, "-R", 2000, "--arrival", "poisson", origin.url())
    near(run["requests_per_s"], 2000, 150, "rate")


if __name__ == "__main__":
    load_tool.main(globals())
