# SPDX-License-Identifier: MIT
"""The page of --html in a browser: is it drawn, in light and in dark, as the numbers say?"""

import json
import math
import os
import re
import signal
import struct
import subprocess
import tempfile
import zlib
from functools import cache
from itertools import accumulate

import load_tool
from load_tool import OR_LATE, Origin, Skip, check, load, need

BROWSER_SECONDS = 10
WINDOW = (1100, 2000)
SCHEMES = {  # the number that the browser has for it, and the colours of the page
    "light": (1, {"back": 0xffffff, "a": 0x0969da, "b": 0xbc4c00, "c": 0x8250df}),
    "dark": (0, {"back": 0x0d1117, "a": 0x58a6ff, "b": 0xf0883e, "c": 0xbc8cff}),
}
# The view box of each chart, and the margins of what is drawn in it.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 280, 70, 12, 10, 26

WATCH = """<script>
var faults = [];
window.addEventListener("error", e => faults.push(String(e.message)));
window.addEventListener("unhandledrejection", e => faults.push(String(e.reason)));
</script>"""
TELL = """<script>
document.body.setAttribute("data-told", JSON.stringify({ faults,
  charts: [...document.querySelectorAll("svg")].map(s => {
    const r = s.getBoundingClientRect();
    return { name: s.getAttribute("aria-label"), x: r.x, y: r.y, width: r.width }; }) }));
</script>"""


class Picture:
    """A PNG of 8 bits a channel, as rows of bytes (PNG specification, 9.2: the filters)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        check(data[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG")
        at, packed = 8, b""
        while at < len(data):
            length, kind = struct.unpack_from(">I4s", data, at)
            chunk = data[at + 8:at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, depth, color, _, _, interlaced = struct.unpack(
                    ">IIBBBBB", chunk)
                check(depth == 8 and color in (2, 6) and not interlaced, "an unusual PNG")
                self.channels = 3 if color == 2 else 4
            elif kind == b"IDAT":
                packed += chunk
            at += length + 12
        self.rows = self.unfiltered(zlib.decompress(packed))

    def unfiltered(self, plain):
        size, step, rows = self.width * self.channels, self.channels, []
        before = bytes(size)
        for y in range(self.height):
            start = y * (size + 1)
            kind, row = plain[start], bytearray(plain[start + 1:start + 1 + size])
            if kind in (2, 4) and not any(row):
                row = before
            elif kind == 2:
                row = bytes((a + b) & 255 for a, b in zip(row, before))
            elif kind == 1:
                for i in range(step):
                    row[i::step] = bytes(accumulate(row[i::step], lambda a, b: (a + b) & 255))
            elif kind:
                self.predict(kind, row, before, step)
            rows.append(row)
            before = row
        return rows

    @staticmethod
    def predict(kind, row, before, step):
        for i, up in enumerate(before):
            left, corner = (row[i - step], before[i - step]) if i >= step else (0, 0)
            if kind == 3:
                near = (left + up) // 2
            else:
                to_left, to_up = abs(up - corner), abs(left - corner)
                to_corner = abs(left + up - 2 * corner)
                near = left if to_left <= to_up and to_left <= to_corner else (
                    up if to_up <= to_corner else corner)
            row[i] = (row[i] + near) & 255

    def at(self, x, y):
        start = int(x) * self.channels
        return tuple(self.rows[int(y)][start:start + 3])


def rgb(number):
    return number >> 16, number >> 8 & 255, number & 255


@cache
def is_drawn(color, line, back):
    """Is this the colour of the line, or at an edge a mixture with 40 percent of it at least?"""
    whole = [a - b for a, b in zip(rgb(line), rgb(back))]
    part = [a - b for a, b in zip(color, rgb(back))]
    share = sum(a * b for a, b in zip(part, whole)) / sum(a * a for a in whole)
    return 0.4 <= share <= 1.1 and all(abs(a - share * b) <= 24 for a, b in zip(part, whole))


def browse(chromium, page, folder, scheme):
    """The picture, and what the page told of itself."""
    shot = os.path.join(folder, f"{scheme}.png")
    process = subprocess.Popen(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--force-device-scale-factor=1", "--hide-scrollbars",
         f"--user-data-dir={folder}/{scheme}", f"--window-size={WINDOW[0]},{WINDOW[1]}",
         f"--blink-settings=preferredColorScheme={SCHEMES[scheme][0]}", f"--screenshot={shot}",
         "--dump-dom", f"file://{page}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        dom, _ = process.communicate(timeout=BROWSER_SECONDS)
    except subprocess.TimeoutExpired as late:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Skip(f"the browser took more than {BROWSER_SECONDS} s") from late
    told = re.search(r'data-told="([^"]*)"', dom)
    if process.returncode != 0 or not os.path.exists(shot):
        raise Skip(f"the browser ended with {process.returncode}, without a picture")
    check(told, f"the page's script did not come to its end: {dom[:2000]}")
    return Picture(shot), json.loads(told[1].replace("&quot;", '"').replace("&amp;", "&"))


class Chart:
    """One chart as drawn."""

    def __init__(self, picture, place, colors):
        self.picture, self.colors, self.name = picture, colors, place["name"]
        self.scale = place["width"] / WIDTH
        self.left, self.top = place["x"], place["y"]

    def x(self, x):
        return self.left + x * self.scale

    def y(self, y):
        return self.top + y * self.scale

    def columns(self):
        return range(math.ceil(self.x(LEFT)) + 2, int(self.x(WIDTH - RIGHT)) - 2)

    def lines(self):
        return range(math.ceil(self.y(TOP)) - 2, int(self.y(HEIGHT - BOTTOM)) + 3)

    def marked(self, column, color):
        """Where in this column the colour is."""
        line, back = self.colors[color], self.colors["back"]
        empty, at = rgb(back), self.picture.at
        return [y for y in self.lines()
                if (seen := at(column, y)) != empty and is_drawn(seen, line, back)]

    def drawn_share(self, color):
        columns = self.columns()
        return sum(1 for x in columns if self.marked(x, color)) / len(columns)


def nines(percentile):
    return math.log10(1 / (1 - min(percentile, 99.99999) / 100))


def check_curve(chart, curve):
    """The curve is whole, rises, and is where the numbers are."""
    check(chart.drawn_share("a") > 0.97, f"{chart.name}: gaps, {chart.drawn_share('a')}")
    lowest = [max(chart.marked(x, "a"), default=None) for x in chart.columns()]
    lowest = [y for y in lowest if y is not None]
    check(all(b <= a + 2 for a, b in zip(lowest, lowest[1:])), f"{chart.name} falls")
    points = [p for p in curve if p[1] > 0]
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    far = max(nines(p[0]) for p in points if p[0] < 100)
    seen = 0
    for percentile, us in points:
        x = int(chart.x(LEFT + nines(percentile) / far * (WIDTH - LEFT - RIGHT)))
        y = chart.y(TOP + (1 - math.log(us / low) / math.log(high / low))
                    * (HEIGHT - TOP - BOTTOM))
        if percentile < 100 and x in chart.columns():
            near = [y for column in (x - 1, x, x + 1) for y in chart.marked(column, "a")]
            check(any(abs(at - y) <= 3 for at in near), (chart.name, percentile, y, near))
            seen += 1
    check(seen > 8, f"{seen} points of the curve")


def check_heat(chart, series):
    """Cells are filled where there were requests, most strongly where there were most."""
    bands = [int(band) for row in series for band in row["heat"]]
    low, high = min(bands), max(bands) + 1
    start = max(series[0]["at_s"] - series[0]["length_s"], 0)
    end = max(row["at_s"] for row in series)
    shades = set()
    for row in series:
        if row["length_s"] < 0.5:
            continue
        x = chart.x(LEFT + (row["at_s"] - row["length_s"] / 2 - start) / (end - start)
                    * (WIDTH - LEFT - RIGHT))
        strengths = {}
        for band in range(low, high):
            y = chart.y(TOP + (1 - (band + 0.5 - low) / (high - low)) * (HEIGHT - TOP - BOTTOM))
            color = chart.picture.at(x, y)
            strengths[band] = sum(abs(a - b) for a, b in zip(color, rgb(chart.colors["back"])))
            shades.add(color)
            check((strengths[band] > 8) == (str(band) in row["heat"]), (chart.name, band, color))
        most = int(max(row["heat"], key=row["heat"].get))
        check(strengths[most] == max(strengths.values()), (chart.name, strengths, row["heat"]))
    check(len(shades) >= 3, f"{chart.name}: {shades}")


def check_page(picture, told, scheme, run):
    check(told["faults"] == [], told["faults"])
    colors = SCHEMES[scheme][1]
    check((picture.width, picture.height) == WINDOW, "the size of the picture")
    check(picture.at(3, 3) == rgb(colors["back"]), (scheme, picture.at(3, 3)))
    charts = {place["name"]: Chart(picture, place, colors) for place in told["charts"]}
    check(list(charts) == ["percentile curve", "Requests per second", "Response time",
                           "heat map"], list(charts))
    check_curve(charts["percentile curve"], run["curve"])
    # From the middle of the first second to the middle of the last.
    check(charts["Requests per second"].drawn_share("a") > 0.5, "the rate is not drawn")
    for color, name in (("a", "p50"), ("b", "p99"), ("c", "max")):
        share = charts["Response time"].drawn_share(color)
        check(share > 0.2, f"{name} over time is drawn in {share} of the columns")
    check_heat(charts["heat map"], run["series"])


def test_the_page_is_drawn_in_light_and_dark():
    chromium = need("chromium")
    with tempfile.TemporaryDirectory() as folder:
        plain, page = os.path.join(folder, "plain.html"), os.path.join(folder, "page.html")
        # So that p50, p99 and the maximum are apart in every second.
        with Origin("--delay", "2ms:70,20ms:27,50ms:2.5,200ms:0.5") as origin:
            load("-c", 60, "-d", 4, "-R", 1000, "--html", plain, "--json", page + ".json",
                 origin.url("/?x=<b>&y=</script>"), status=OR_LATE)
        with open(page + ".json", encoding="utf-8") as file:
            run = json.load(file)["runs"][0]
        with open(plain, encoding="utf-8") as file:
            text = file.read()
        with open(page, "w", encoding="utf-8") as file:
            file.write(text.replace("<body>", "<body>" + WATCH, 1) + TELL)
        for scheme in SCHEMES:
            picture, told = browse(chromium, page, folder, scheme)
            check_page(picture, told, scheme, run)


if __name__ == "__main__":
    load_tool.main(globals())
