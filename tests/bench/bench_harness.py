# SPDX-License-Identifier: MIT
"""The benchmark harness: its statistics on known data, its texts and pictures, and short runs.

SLUICE and SLUICE_LOAD are the programs; without them those in build/ are used.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
TOOL = os.path.join(ROOT, "tools", "bench")
sys.path[:0] = [TOOL, os.path.join(HERE, "..", "load")]

# pylint: disable=wrong-import-position
import chart                      # noqa: E402
import contestants                # noqa: E402
import measure                    # noqa: E402
import report                     # noqa: E402
import results                    # noqa: E402
import scenarios                  # noqa: E402
import stats                      # noqa: E402
from load_tool import check, main, near, Skip  # noqa: E402

SLUICE = os.environ.get("SLUICE") or os.path.join(ROOT, "build", "sluice")
LOAD = os.environ.get("SLUICE_LOAD") or os.path.join(ROOT, "build", "sluice-load")
HEADER = {"versions": {"python": "3"}, "rounds": 9, "seconds": 2, "cpu": "model", "cpus": 2,
          "proxy_cpu": [0], "load_cpu": [1], "kernel": "6.12", "git": "abc", "time": "now"}
SVG = "{http://www.w3.org/2000/svg}"


def samples(scenario, unit="CPU us/request", **columns):
    """Lines of a result file: a list of values per contestant."""
    return [{"kind": "sample", "scenario": scenario, "contestant": name.replace("_", "-"),
             "round": turn, "unit": unit, "value": value, "units": 1000, "errors": 0}
            for name, values in columns.items() for turn, value in enumerate(values)]


def noisy(middle, count=11, seed=1, share=0.03):
    draw = random.Random(seed)
    return [middle * (1 + draw.uniform(-share, share)) for _ in range(count)]


# --- statistics ----------------------------------------------------------------------------------

def test_medians():
    check(stats.median([3, 1, 2]) == 2, "odd")
    check(stats.median([4, 1, 2, 3]) == 2.5, "even")
    check(stats.spread([5, 1, 3]) == (3, 1, 5), "median, least, most")
    check(stats.percentile([0, 10], 0.25) == 2.5, "between neighbours")


def test_paired_ratio_of_known_data():
    exact = stats.paired_ratio([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    check(exact == (0.5, 0.5, 0.5, 5), exact)
    # The machine doubles its cost for both now and then: the pairs do not see it.
    theirs = noisy(10, 15)
    drifting = [value * (2 if turn % 3 == 0 else 1) for turn, value in enumerate(theirs)]
    ours = [0.8 * value for value in drifting]
    paired = stats.paired_ratio(ours, drifting)
    near(paired.ratio, 0.8, 1e-9, "the ratio under drift")
    near(paired.high - paired.low, 0, 1e-9, "its interval")
    noise = stats.paired_ratio(noisy(8, 11, 1), noisy(10, 11, 2))
    check(noise.low < noise.ratio < noise.high, noise)
    check(0.75 < noise.low and noise.high < 0.85, noise)
    check(noise == stats.paired_ratio(noisy(8, 11, 1), noisy(10, 11, 2)), "the seed is fixed")


def test_few_or_bad_rounds():
    few = stats.paired_ratio([1, 1, 1], [2, 2, 2])
    check(few == (0.5, None, None, 3), few)
    check(stats.judge(few) == "", "three rounds judge nothing")
    check(stats.paired_ratio([], []) is None, "no rounds")
    check(stats.paired_ratio([1, 0], [0, 1]) is None, "nothing is divided by 0")
    check(stats.unpaired_ratio([1], []) is None, "one side only")


def test_interval_covers_the_truth():
    """Of 120 experiments whose true ratio is 1, the interval holds it in most."""
    draw = random.Random(7)
    kept, stats.RESAMPLES = stats.RESAMPLES, 200
    try:
        held = 0
        for _ in range(120):
            ratio = stats.paired_ratio([draw.lognormvariate(0, 0.1) for _ in range(15)], [1] * 15)
            held += ratio.low <= 1 <= ratio.high
    finally:
        stats.RESAMPLES = kept
    check(held >= 0.85 * 120, f"{held} of 120")


def test_judging():
    less = stats.Ratio(0.9, 0.85, 0.95, 9)
    check(stats.judge(less) == "better", "less is better")
    check(stats.judge(less, more_is_better=True) == "worse", "unless more is")
    check(stats.judge(less, least=0.2) == "same", "too little to care")
    check(stats.judge(stats.Ratio(0.9, 0.8, 1.1, 9)) == "same", "1 lies in the interval")


def test_order_of_turns():
    names = ["a", "b", "c"]
    turns = [measure.turn_order(names, turn) for turn in range(6)]
    check(turns[0] == names and turns[1] == names[::-1], "ABBA")
    check(turns[2] == ["b", "c", "a"], "the next pair begins with another")
    for name in names:
        check(sum(turn.index(name) for turn in turns) == 6, f"{name} is favoured: {turns}")


# --- comparing, tables ---------------------------------------------------------------------------

def verdicts(before, after, **options):
    return {row[1]: row[-1] for row in report.compare(before, after, **options)}


def test_compare_marks_differences_not_noise():
    before = samples("rr", sluice=noisy(10, seed=1), haproxy=noisy(14, seed=2),
                     nginx=noisy(13, seed=3))
    after = samples("rr", sluice=noisy(8, seed=4), haproxy=noisy(17, seed=5),
                    nginx=noisy(13, seed=6))
    got = verdicts(before, after)
    check(got == {"sluice": "better", "haproxy": "worse", "nginx": "same"}, got)
    text = report.compare_text(({**HEADER, "kernel": "6.12"}, before),
                               ({**HEADER, "kernel": "6.13"}, after))
    check("kernel differs: 6.12 and 6.13" in text, text)
    check("1 better, 1 worse" in text and "WORSE" in text, text)


def test_compare_against_a_peer():
    """A machine that became slower for all of them."""
    before = samples("rr", sluice=noisy(10, seed=1), haproxy=noisy(14, seed=2))
    after = samples("rr", sluice=noisy(20, seed=3), haproxy=noisy(28, seed=4))
    check(verdicts(before, after) == {"sluice": "worse", "haproxy": "worse"}, "plain")
    got = verdicts(before, after, against="haproxy")
    check(got == {"sluice": "same"}, got)


def test_table():
    text = report.table(samples("rr", direct=[], sluice=noisy(5), haproxy=noisy(10),
                                haproxy_splice=noisy(4)))
    head, _, row = text.splitlines()
    check(head.startswith("| scenario | unit | sluice | haproxy | sluice/haproxy |"), head)
    check("nginx" not in head and "direct" not in head, "no column for who has no figures")
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    check(cells[4].startswith("**0.50 ["), f"better, in bold: {cells}")
    check(cells[6].startswith("1.25 [") and cells[6].endswith("(worse)"), cells)
    check(len(cells) == head.count("|") - 1, "cells and heads")
    check("9 rounds of 2 s" in report.table_notes(HEADER), "the method is told")


def test_notes():
    rows = samples("rr-64b-64", sluice=[1.0], haproxy=[2.0])
    rows[0].update(stolen=0.2, rate=10.0)
    rows[1].update(errors=500)
    row = next(row for row in scenarios.SCENARIOS if row.name == "rr-64b-64")
    text = report.scenario_text(row, results.by_scenario(rows)["rr-64b-64"])
    check("disturbed" in text and "500 errors" in text and "sluice/this 0.50" in text, text)


def test_results_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.jsonl")
        writer = results.Writer(path)
        rows = samples("rr", sluice=[1.0, 2.0], haproxy=[3.0])
        for row in [{"kind": "header", "schema": results.SCHEMA}] + rows:
            writer.write(row)
        writer.close()
        header, read = results.read(path)
        check(header["schema"] == results.SCHEMA and read == rows, "as written")
        found = results.by_scenario(read)["rr"]
        check(results.pairs(found["sluice"], found["haproxy"]) == ([1.0], [3.0]),
              "rounds that both have")
        for text in ("", "{\n", "[]\n", '{"schema": "other"}\n'):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            try:
                results.read(path)
            except results.BadFile as why:
                check(path in str(why), why)
            else:
                raise AssertionError(f"{text!r} was taken")


# --- pictures ------------------------------------------------------------------------------------

def test_svg():
    bars = {"sluice": [1.0, 2.0, 4.0], "haproxy <&>": [3.0, 5.0, 6.0]}
    root = ElementTree.fromstring(chart.draw("bulk & more", "CPU ms/GB", bars, "foot"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for word in ("bulk & more", "CPU ms/GB", "sluice", "haproxy <&>", "2.00", "0", "foot"):
        check(word in texts, f"{word!r} is not in {texts}")
    check("prefers-color-scheme: dark" in root.find(f"{SVG}style").text, "dark")
    rects = [r for r in root.iter(f"{SVG}rect") if "bar" in r.get("class")]
    check(len(rects) == 2 and len(list(root.iter(f"{SVG}path"))) == 2, "bars and whiskers")
    widths = [float(rect.get("width")) for rect in rects]
    near(widths[1] / widths[0], 2.5, 0.01, "bars are medians")
    for rect in rects:
        check(float(rect.get("x")) + float(rect.get("width")) < chart.WIDTH, "within the picture")
    zero = chart.draw("nothing", "x", {"sluice": [0.0, 0.0]})
    check(ElementTree.fromstring(zero) is not None, "all values 0")
    for most, step in ((10, 2), (7, 2), (0.3, 0.1), (1200, 500)):
        near(chart.nice_step(most), step, 1e-9, f"ticks of {most}")


# --- who and what --------------------------------------------------------------------------------

def test_scenarios():
    names = [row.name for row in scenarios.SCENARIOS]
    check(len(names) == len(set(names)), "names are unique")
    for row in scenarios.SCENARIOS:
        check(scenarios.service_of(row) in scenarios.SERVICES[row.mode], f"{row.name}: service")
        check(row.metric in scenarios.METRICS, f"{row.name}: metric")
        check(row.name in scenarios.describe(), f"{row.name}: listed")
        check(("-R" in row.arguments) == (row.metric == "p99"), f"{row.name}: p99 is of open loops")
    chosen, unknown = scenarios.choose("rate,http-1k-*,none")
    check([row.name for row in chosen] == ["rate", "http-1k-64", "http-1k-2048"], chosen)
    check(unknown == ["none"], unknown)
    row = next(row for row in scenarios.SCENARIOS if row.name == "http-64k")
    check(scenarios.url_of(row, 5) == "http://127.0.0.1:5/?size=64k", scenarios.url_of(row, 5))


def test_configurations():
    job = contestants.Job("sluice", "http", [("http", 1, 2)], 100, 1000, "F", "wait = latency")
    text = contestants.sluice_config(job)
    check("mode = http\n" in text and "wait = latency\n" in text and "workers = 1\n" in text, text)
    check("mode" not in contestants.sluice_config(job._replace(mode="tcp")), "tcp needs no mode")
    text = contestants.haproxy_config(job._replace(name="haproxy"))
    check("mode http" in text and "http-reuse always" in text and "nosplice" in text, text)
    text = contestants.haproxy_config(job._replace(name="haproxy-splice", mode="tcp"))
    check("option splice-auto" in text and "http-reuse" not in text, text)
    text = contestants.nginx_config(job._replace(name="nginx"))
    check("proxy_http_version 1.1" in text and "keepalive 100;" in text, text)
    check("stream {" in contestants.nginx_config(job._replace(mode="tcp")), "stream")


# --- runs ----------------------------------------------------------------------------------------

def free_base():
    """A --port above which the ports that a run takes are free."""
    offsets = [*range(3), *range(100, 250)]
    bases = list(range(27000, 31900, 300))
    random.shuffle(bases)
    for base in bases:
        with contextlib.ExitStack() as stack:
            try:
                for offset in offsets:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", base + offset))
                return base
            except OSError:
                continue
    raise Skip("no block of free ports from 27000 to 32000")


def command(*words):
    for path in (SLUICE, LOAD):
        if not os.access(path, os.X_OK):
            raise Skip(f"{path} is not built")
    cpus = sorted(os.sched_getaffinity(0))
    return [sys.executable, os.path.join(TOOL, "bench"), "--sluice", SLUICE, "--load", LOAD,
            "--proxy-cpu", str(cpus[0]), "--load-cpu", str(cpus[-1]), "-d", "0.2", *words]


def run(words, status=0):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def test_run():
    port = free_base()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.jsonl")
        out, _ = run(command("-s", "rr-64b-64", "-c", "direct,sluice", "-r", "2", "--table",
                             "--port", str(port), "--out", path, "--svg", folder))
        check("| rr-64b-64 | CPU us/request | " in out, out)
        header, rows = results.read(path)
        check(header["kernel"] == os.uname().release and "sluice" in header["versions"], header)
        order = [(row["round"], row["contestant"]) for row in rows]
        check(order == [(0, "direct"), (0, "sluice"), (1, "sluice"), (1, "direct")], order)
        for row in rows:
            check(row["units"] > 0 and row["errors"] == 0 and row["p99_us"] > 0, row)
            check(row["contestant"] == "direct" or 0.1 < row["value"] < 100000, row)
        ElementTree.parse(os.path.join(folder, "rr-64b-64.svg"))
        bench = os.path.join(TOOL, "bench")
        out, _ = run([sys.executable, bench, "table", path, "--field", "rate"])
        check("| rr-64b-64 | units/s |" in out and "sluice/direct" in out, out)
        out, _ = run([sys.executable, bench, "compare", path, path])
        check("0 better, 0 worse" in out, out)


def test_refused_configuration():
    """A sluice that ends with a message is skipped with it, and the others are measured."""
    port = free_base()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "refuses")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho 'mode = http: must be tcp' >&2\nexit 1\n")
        os.chmod(path, 0o755)
        out, errors = run(command("-s", "http-1k-64", "-c", "direct,sluice", "-r", "1",
                                  "--port", str(port), "--sluice", path))
        check("sluice is skipped in http mode: mode = http: must be tcp" in errors, errors)
        check("direct" in out and "sluice " not in out, out)


def test_idle_memory_and_stopping():
    port = free_base()
    out, _ = run(command("-s", "idle", "-c", "sluice", "-r", "1", "--port", str(port)))
    check("bytes/session" in out and "  sluice" in out, out)
    process = subprocess.Popen(command("-s", "rr-64b-64", "-c", "sluice", "-r", "1000",
                                       "--port", str(port)),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 10
    while not contestants.listens(port + 120) and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    check(process.wait(15) == 128 + signal.SIGTERM, process.returncode)
    check(not contestants.listens(port) and not contestants.listens(port + 120),
          "something was left running")


def test_wrong_words():
    for words, text in ((["-s", "none"], "no scenario is called none"),
                        (["-c", "squid"], "contestants are"),
                        (["-c", "other"], "needs --other"),
                        (["--sluice", "/nothing"], "is not there"),
                        (["compare", "/nothing", "/nothing"], "/nothing: No such file")):
        words = words if words[0] == "compare" else command(*words)[2:]
        _, errors = run([sys.executable, os.path.join(TOOL, "bench"), *words], status=2)
        check(text in errors, errors)
    out, _ = run([sys.executable, os.path.join(TOOL, "bench"), "--list"])
    check(len(out.splitlines()) == len(scenarios.SCENARIOS) + 1, out)
    out, _ = run([sys.executable, os.path.join(TOOL, "bench"), "--help"])
    check("--proxy-cpu" in out and "compare a.jsonl b.jsonl" in out, out)


def test_limit_of_descriptors():
    """Connections are cut to what the limit allows; said in a message."""
    port = free_base()
    words = command("-s", "rr-64b-512", "-c", "direct", "-r", "1", "--port", str(port))
    done = subprocess.run(["sh", "-c", 'ulimit -n 600; exec "$@"', "sh", *words],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0, done.stderr)
    check("rr-64b-512: 512 connections cut to 219 (RLIMIT_NOFILE is 600)" in done.stderr,
          done.stderr)


if __name__ == "__main__":
    main(globals())
