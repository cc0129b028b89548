#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One picture per scenario: bars of the medians with whiskers from the least to the most (SVG)."""
import math
import os
from xml.sax.saxutils import escape

import report
import results
import scenarios
import stats

WIDTH, LEFT, RIGHT = 760, 130, 120
TOP, ROW, BAR, BOTTOM = 70, 40, 22, 72

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.faint { fill: #59636e; font-size: 12px; }
.ground { fill: #ffffff; }
.grid { stroke: #d1d9e0; }
.bar { fill: #9aa4af; }
.ours { fill: #2f6fd0; }
.whisker { stroke: #1f2328; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .faint { fill: #9198a1; }
  .ground { fill: #0d1117; }
  .grid { stroke: #3d444d; }
  .bar { fill: #6b7480; }
  .ours { fill: #4c8dff; }
  .whisker { stroke: #e6edf3; }
}
"""


def nice_step(most, steps=5):
    """1, 2 or 5 times a power of ten, about `steps` of which reach `most`."""
    raw = most / steps
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)


def _text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f'{escape(words)}</text>')


def _axis(most, scale, bottom, unit):
    parts = []
    step = nice_step(most)
    for i in range(int(most / step + 1.001)):
        x = LEFT + i * step * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" '
                     f'y2="{bottom}"/>')
        parts.append(_text(x, bottom + 17, f"{i * step:g}", "faint", "middle"))
    parts.append(_text(LEFT + most * scale / 2, bottom + 36, unit, "", "middle"))
    return parts


def _bar(name, values, y, scale):
    middle, low, high = stats.spread(values)
    centre = y + BAR / 2
    ends = [LEFT + max(value, 0) * scale for value in (low, high)]
    return [
        _text(LEFT - 10, centre + 4.5, name, "", "end"),
        f'<rect class="bar{" ours" if name in ("sluice", "other") else ""}" x="{LEFT}" '
        f'y="{y}" width="{max(middle, 0) * scale:.1f}" height="{BAR}">'
        f"<title>{escape(name)}: {report.spread(values)}</title></rect>",
        f'<path class="whisker" d="M{ends[0]:.1f} {centre - 5}v10M{ends[0]:.1f} {centre}'
        f'H{ends[1]:.1f}M{ends[1]:.1f} {centre - 5}v10"/>',
        _text(ends[1] + 8, centre + 4.5, report.number(middle)),
    ]


def draw(title, unit, bars, foot=""):
    """The SVG of one scenario; bars: {contestant: values}."""
    height = TOP + ROW * len(bars) + BOTTOM
    bottom = TOP + ROW * len(bars)
    most = max(max(values) for values in bars.values())
    most = most if most > 0 else 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    count = max(len(values) for values in bars.values())
    rounds = f"{count} rounds" if count > 1 else "1 round"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">',
        f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        _text(20, 28, title, "title"),
        _text(20, 47, f"{unit}; median of {rounds}, whiskers from least to most; "
              "less is better", "faint"),
    ]
    parts += _axis(most, scale, bottom, unit)
    for i, (name, values) in enumerate(bars.items()):
        parts += _bar(name, values, TOP + ROW * i + (ROW - BAR) // 2, scale)
    parts.append(_text(20, height - 12, foot, "faint"))
    return "\n".join(parts + ["</svg>"]) + "\n"


def draw_all(folder, header, samples):
    """A file per scenario that has figures; their paths."""
    os.makedirs(folder, exist_ok=True)
    texts = {row.name: row.text for row in scenarios.SCENARIOS}
    paths = []
    for scenario, contestants in results.by_scenario(samples).items():
        bars = {name: results.column(rounds) for name, rounds in contestants.items()}
        bars = {name: values for name, values in bars.items() if values}
        if not bars:
            continue
        unit = next(s["unit"] for rounds in contestants.values() for s in rounds.values())
        foot = f"{header['cpu']}, Linux {header['kernel']}, {header['git'] or 'no revision'}"
        text = texts.get(scenario, "")
        path = os.path.join(folder, scenario + ".svg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(draw(f"{scenario}: {text}" if text else scenario, unit, bars, foot))
        paths.append(path)
    return paths
