# SPDX-License-Identifier: MIT
"""Our histogram and its log against HdrHistogram itself: its Java implementation, the first one,
reads what --hlog writes, and finds the same values, percentiles and counts in it."""

import base64
import math
import os
import random
import re
import struct
import subprocess
import tempfile
import zlib

import load_tool
from load_tool import LOAD, OR_LATE, Origin, Skip, check, load, measure, need

JARS = ("/usr/share/java/hdrhistogram.jar", "/usr/share/java/HdrHistogram.jar")
TABLE = os.path.join(os.path.dirname(LOAD), "tests", "load", "histogram_table")
SHAPES = ("log_uniform", "small", "uniform", "exponential", "two_peaks", "powers_of_two")
ROW = re.compile(r"^ *([\d.]+) +([\d.]+) +(\d+)(?: +[\d.]+)?$", re.M)


def reference(folder, log):
    """HistogramLogProcessor's two files: one line an interval, and the percentiles of the whole."""
    java = need("java")
    jar = next((path for path in JARS if os.path.exists(path)), None)
    if jar is None:
        raise Skip("libhdrhistogram-java is not installed")
    out = os.path.join(folder, "out")
    done = subprocess.run([java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", jar,
                           "org.HdrHistogram.HistogramLogProcessor", "-i", log, "-o", out,
                           "-outputValueUnitRatio", "1"], capture_output=True, text=True,
                          timeout=60, check=False)
    check(done.returncode == 0 and "Exception" not in done.stderr, done.stdout + done.stderr)
    with open(out, encoding="utf-8") as lines, open(out + ".hgrm", encoding="utf-8") as table:
        return lines.read(), table.read()


def parsed(table):
    rows = [(float(v), float(p), int(n)) for v, p, n in ROW.findall(table)]
    tail = {name: float(value) for name, value in re.findall(
        r"(Mean|StdDeviation|Max|Total count) += +([\d.]+)", table)}
    return rows, tail


def ours(shape, seed, log):
    if not os.access(TABLE, os.X_OK):
        raise Skip(f"{TABLE} is not built")
    done = subprocess.run([TABLE, shape, str(seed), log], capture_output=True, text=True,
                          timeout=60, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def close(a, b, share=1e-9):
    return math.isclose(a, b, rel_tol=share, abs_tol=0.0011)


def test_percentiles_and_counts_of_random_values():
    base = random.SystemRandom().randrange(1 << 30)
    for number, shape in enumerate(SHAPES):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "log")
            *lines, (mean, deviation, highest, total) = ours(shape, base + number, log)
            rows, tail = parsed(reference(folder, log)[1])
        where = f"{shape}, seed {base + number}"
        check(len(lines) == len(rows) > 5, f"{where}: {len(lines)} steps, not {len(rows)}")
        for (value, percentile, count), (v, p, n) in zip(lines, rows):
            check(int(value) == v and int(count) == n and close(float(percentile) / 100, p),
                  f"{where}: {value} {percentile} {count}, not {v} {p} {n}")
        check(close(float(mean), tail["Mean"]), f"{where}: mean {mean}: {tail}")
        check(close(float(deviation), tail["StdDeviation"], 1e-6), f"{where}: {deviation}: {tail}")
        check(int(highest) == tail["Max"] and int(total) == tail["Total count"],
              f"{where}: {highest}, {total}: {tail}")


def test_each_value_is_in_its_slot():
    """An interval for each value: what the other implementation takes it for has 3 digits right."""
    seed = random.SystemRandom().randrange(1 << 30)
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        values = [int(line[0]) for line in ours("single", seed, log)]
        lines = re.findall(r"^ *[\d.]+: I:1 \( *([\d.]+) +([\d.]+) +([\d.]+) *\)",
                           reference(folder, log)[0], re.M)
    check(len(lines) == len(values) == 1000, f"{len(lines)} intervals of {len(values)}")
    for value, line in zip(values, lines):
        half, nine_tenths, highest = map(float, line)
        check(half == nine_tenths == highest, line)
        check(value <= highest <= value + max(0, value / 1000), f"seed {seed}: {value}: {highest}")


def test_the_log_of_a_run_holds_its_numbers():
    names = {"p50": 50, "p75": 75, "p90": 90, "p99": 99}
    with Origin("--delay", "1ms:80,5ms:19,50ms:1") as origin, \
            tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        run = measure("-c", 20, "-d", 3, "-R", 1000, "--hlog", log, origin.url(), status=OR_LATE)
        lines, table = reference(folder, log)
        twice = os.path.join(folder, "twice")
        merged = load("merge", log, log, "-o", twice)
        doubled = parsed(reference(folder, twice)[1])
    times = run["times_us"]["response"]
    rows, tail = parsed(table)
    check(tail["Total count"] == times["count"] > 2000, (tail, times))
    check(close(tail["Max"] / 1000, times["max"]), (tail, times))
    check(close(tail["Mean"] / 1000, times["mean"], 1e-6), (tail, times))
    check(close(tail["StdDeviation"] / 1000, times["stdev"], 1e-6), (tail, times))
    for name, percent in names.items():
        value = next(v for v, p, _ in rows if p >= percent / 100 - 1e-9)
        exact = any(abs(p - percent / 100) < 1e-9 for _, p, _ in rows)
        check(close(value / 1000, times[name]) or (not exact and value / 1000 >= times[name]),
              (name, value, times))
    check(len(re.findall(r": I:\d+ \(", lines)) >= 3, lines)
    check(merged.startswith(f"{2 * times['count']} values"), merged)
    check(doubled[1]["Total count"] == 2 * times["count"], doubled[1])
    check(doubled[1]["Max"] == tail["Max"], doubled[1])
    check(close(doubled[1]["Mean"], tail["Mean"]), doubled[1])


def compressed(line, level, strategy):
    """The line of a log, its stream made anew by zlib."""
    front, encoding = line.rsplit(",", 1)
    packed = base64.b64decode(encoding)
    squeezer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    stream = squeezer.compress(zlib.decompress(packed[8:])) + squeezer.flush()
    return front + "," + base64.b64encode(
        packed[:4] + struct.pack(">I", len(stream)) + stream).decode()


def test_logs_compressed_in_any_way_are_read():
    with tempfile.TemporaryDirectory() as folder:
        log, other = os.path.join(folder, "log"), os.path.join(folder, "other")
        ours("exponential", random.SystemRandom().randrange(1 << 30), log)
        plain = load("merge", log)
        check(int(plain.split()[0]) > 20000, plain)
        with open(log, encoding="ascii") as file:
            *head, line = file.read().splitlines()
        for level, strategy in ((0, zlib.Z_DEFAULT_STRATEGY), (1, zlib.Z_DEFAULT_STRATEGY),
                                (6, zlib.Z_DEFAULT_STRATEGY), (9, zlib.Z_HUFFMAN_ONLY),
                                (9, zlib.Z_RLE), (9, zlib.Z_FIXED), (9, zlib.Z_FILTERED)):
            with open(other, "w", encoding="ascii") as file:
                file.write("\n".join([*head, compressed(line, level, strategy)]) + "\n")
            check(load("merge", other) == plain, f"level {level}, strategy {strategy}")


if __name__ == "__main__":
    load_tool.main(globals())
