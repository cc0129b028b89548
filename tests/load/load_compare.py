# SPDX-License-Identifier: MIT
"""The same load by wrk and by sluice-load: they must see the same."""

import re
import statistics
import subprocess

import load_tool
from load_tool import RUN_SECONDS, Origin, check, eventually, measure, need

UNIT_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}


def by_wrk(url, connections, seconds):
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s",
                           "--latency", url], capture_output=True, text=True, timeout=RUN_SECONDS,
                          check=True)

    def percentile(name):
        line = re.search(rf"^ +{name}% +([\d.]+)(us|ms|s|m)$", done.stdout, re.M)
        return float(line[1]) * UNIT_US[line[2]]
    rate = re.search(r"^Requests/sec: +([\d.]+)$", done.stdout, re.M)
    return {"rate": float(rate[1]), "p50": percentile(50), "p99": percentile(99)}


def by_us(url, connections, seconds):
    run = measure("-t", 1, "-c", connections, "-d", seconds, "--timeout", "5s", url)
    times = run["times_us"]["service"]
    return {"rate": run["requests_per_s"], "p50": times["p50"], "p99": times["p99"]}


def one_run(how, options, connections, seconds):
    # An origin for each, so that each is given the same delays in the same order.
    with Origin(*options) as origin:
        return how(origin.url(), connections, seconds)


def medians(options, connections, seconds, pairs):
    """Of what wrk saw and of what we saw, in turns."""
    runs = {by_wrk: [], by_us: []}
    for pair in range(pairs):
        for how in (by_wrk, by_us) if pair % 2 else (by_us, by_wrk):
            runs[how].append(one_run(how, options, connections, seconds))
    return [{what: statistics.median(run[what] for run in runs[how])
             for what in ("rate", "p50", "p99")} for how in (by_wrk, by_us)]


def test_wrk_sees_the_same_where_the_origin_decides():
    """Answers take 10 ms, and 5 percent of them 200 ms: rate and percentiles are the origin's."""
    need("wrk")

    def attempt():
        wrks, ours = medians(("--delay", "10ms:95,200ms:5"), 16, 2, pairs=5)
        off = {what: round(100 * (ours[what] / wrks[what] - 1), 2) for what in ours}
        check(all(abs(percent) <= 3 for percent in off.values()),
              f"percent off: {off}; wrk {wrks}, sluice-load {ours}")
        print(f"   percent off wrk: {off}")
    eventually(attempt)


def test_wrk_sees_the_like_where_the_generator_decides():
    """Without a delay the rate is what generator and origin can do together on this machine; ours
    may do more than wrk, not much less, and both must tell of times that make that rate."""
    need("wrk")

    def attempt():
        wrks, ours = medians((), 8, 1, pairs=3)
        check(0.75 <= ours["rate"] / wrks["rate"] <= 4, (wrks, ours))
        for seen in (wrks, ours):
            # Eight requests in flight: rate times mean time is eight, and the median is less.
            check(1 <= seen["rate"] * seen["p50"] / 1e6 <= 9, seen)
        print(f"   wrk {wrks}, sluice-load {ours}")
    eventually(attempt)


if __name__ == "__main__":
    load_tool.main(globals())
