#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The texts: what a run prints, the table of sluice against its peers, two runs compared."""
import results
import scenarios
import stats

LEAST = 0.02           # differences below this are not called better or worse
STOLEN_MAX = 0.01      # of the proxy's CPU, before a slice is called disturbed: by the hypervisor,
OTHERS_MAX = 0.10      # by other processes
ERRORS_MAX = 0.001     # of the units
PEERS = ("direct", "other", "haproxy", "haproxy-splice", "nginx", "sluice-as-tcp",
         "sluice-routes", "sluice-servers")
MORE_IS_BETTER = ("rate",)
UNITS = {"rate": "units/s", "cpu_us_per_unit": "CPU us/unit", "p50_us": "p50 us",
         "p99_us": "p99 us"}
FIELDS = ("value", *UNITS)


def number(value):
    """Three digits or more, none that say nothing."""
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def spread(values):
    middle, low, high = stats.spread(values)
    return f"{number(middle)} ({number(low)}..{number(high)})"


def ratio_text(ratio):
    if ratio is None:
        return ""
    if ratio.low is None:
        return f"{ratio.ratio:.2f}"
    return f"{ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def _unit(contestants, field):
    if field != "value":
        return UNITS[field]
    return next(s["unit"] for rounds in contestants.values() for s in rounds.values())


# --- a run ---------------------------------------------------------------------------------------

def _notes(samples):
    """What makes the figures of one contestant doubtful."""
    notes = []
    failed = sum("failed" in s for s in samples)
    wrong = sum(s.get("errors", 0) for s in samples)
    units = sum(s.get("units", 0) for s in samples)
    if failed:
        notes.append(f"{failed} slices failed")
    if wrong > ERRORS_MAX * units:
        notes.append(f"{wrong} errors")
    disturbed = sum(s.get("stolen", 0) > STOLEN_MAX or s.get("others", 0) > OTHERS_MAX
                    for s in samples)
    if disturbed:
        notes.append(f"{disturbed} slices disturbed")
    if any(s.get("saturated") and s["unit"] == scenarios.METRICS["p99"].unit for s in samples):
        notes.append("the load tool was too slow")
    return f"  ({', '.join(notes)})" if notes else ""


def scenario_text(row, contestants):
    """The lines of one scenario: the headline, the rate, the p99, the ratio to each peer."""
    count = max(len(rounds) for rounds in contestants.values())
    lines = [f"{row.name}: {row.text}; {scenarios.unit_of(row)}, median and range of {count}"]
    ours = contestants.get("sluice", {})
    for name, rounds in contestants.items():
        values = results.column(rounds)
        words = [f"  {name:15}", f"{spread(values) if values else '-':28}"]
        for field, text in (("rate", "rate"), ("p99_us", "p99 us")):
            figures = results.column(rounds, field)
            if figures:
                words.append(f"{text} {number(stats.median(figures)):>9}")
        if name != "sluice":
            ratio = stats.paired_ratio(*results.pairs(ours, rounds))
            if ratio is not None:
                words.append(f"sluice/this {ratio_text(ratio)}")
        lines.append(" ".join(words).rstrip() + _notes(rounds.values()))
    return "\n".join(lines)


# --- the table -----------------------------------------------------------------------------------

def table(samples, field="value"):
    """Markdown: a row per scenario, a column per peer with its figure and sluice's ratio to it."""
    found = results.by_scenario(samples)
    peers = [name for name in PEERS if any(
        results.column(contestants.get(name, {}), field) for contestants in found.values())]
    heads = ["scenario", "unit", "sluice"]
    for name in peers:
        heads += [name, f"sluice/{name}"]
    lines = ["| " + " | ".join(heads) + " |",
             "|---|---|" + "---:|" * (len(heads) - 2)]
    for scenario, contestants in found.items():
        ours = contestants.get("sluice", {})
        values = results.column(ours, field)
        cells = [scenario, _unit(contestants, field), spread(values) if values else ""]
        for name in peers:
            theirs = contestants.get(name, {})
            values = results.column(theirs, field)
            ratio = stats.paired_ratio(*results.pairs(ours, theirs, field))
            verdict = stats.judge(ratio, LEAST, field in MORE_IS_BETTER)
            text = ratio_text(ratio)
            cells += [spread(values) if values else "",
                      f"**{text}**" if verdict == "better" else
                      f"{text} (worse)" if verdict == "worse" else text]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table_notes(header):
    versions = "; ".join(f"{name} {text}" for name, text in header["versions"].items())
    return (f"Median (least..most) of {header['rounds']} rounds of {header['seconds']:g} s; ratios "
            "are medians of paired rounds\nwith a 95 % bootstrap interval, below 1 sluice costs "
            "less; bold: better beyond noise.\n"
            f"{header['cpu']}, {header['cpus']} CPUs, proxy on {header['proxy_cpu']}, load on "
            f"{header['load_cpu']}, Linux {header['kernel']},\n"
            f"revision {header['git'] or 'unknown'}, {header['time']}.\n{versions}.")


# --- two runs ------------------------------------------------------------------------------------

CIRCUMSTANCES = ("host", "kernel", "cpu", "cpus", "proxy_cpu", "load_cpu", "seconds", "rate",
                 "descriptors", "sessions", "load_threads", "extra", "other_extra")


def _differences(before, after):
    for key in CIRCUMSTANCES:
        if before.get(key) != after.get(key):
            yield f"{key} differs: {before.get(key)} and {after.get(key)}"
    for name, version in before["versions"].items():
        if after["versions"].get(name, version) != version:
            yield f"{name} differs: {version} and {after['versions'][name]}"


def _change(before, after, field, against):
    """The ratio after/before of one contestant, or of its ratio to a peer of the same rounds."""
    if against is None:
        return stats.unpaired_ratio(results.column(after, field), results.column(before, field))
    relative = []
    for rounds, peer in ((after, against[1]), (before, against[0])):
        ours, theirs = results.pairs(rounds, peer, field)
        relative.append([a / b for a, b in zip(ours, theirs) if b > 0])
    return stats.unpaired_ratio(*relative)


def compare(before, after, field="value", against=None, least=LEAST):
    """Rows (scenario, contestant, unit, before, after, Ratio, verdict) of what both runs have."""
    old, new = results.by_scenario(before), results.by_scenario(after)
    rows = []
    for scenario, contestants in old.items():
        for name, rounds in contestants.items():
            later = new.get(scenario, {}).get(name, {})
            ours, theirs = results.column(rounds, field), results.column(later, field)
            if not ours or not theirs or name == against:
                continue
            peers = None if against is None else (contestants.get(against, {}),
                                                  new[scenario].get(against, {}))
            ratio = _change(rounds, later, field, peers)
            if ratio is None:
                continue
            rows.append((scenario, name, _unit(contestants, field), ours, theirs, ratio,
                         stats.judge(ratio, least, field in MORE_IS_BETTER)))
    return rows


def compare_text(one, two, field="value", against=None, least=LEAST):
    """one and two are (header, samples)."""
    lines = [f"note: {text}" for text in _differences(one[0], two[0])]
    rows = compare(one[1], two[1], field, against, least)
    what = "b/a" if against is None else f"b/a of the ratio to {against}"
    lines.append(f"{'scenario':14} {'contestant':15} {'unit':18} {'a':>26} {'b':>26}  {what}")
    for scenario, name, unit, before, after, ratio, verdict in rows:
        mark = {"better": "better", "worse": "WORSE", "same": "", "": "(too few rounds)"}[verdict]
        lines.append(f"{scenario:14} {name:15} {unit:18} {spread(before):>26} {spread(after):>26}"
                     f"  {ratio_text(ratio)} {mark}".rstrip())
    marked = [row[-1] for row in rows]
    lines.append(f"{len(rows)} compared: {marked.count('better')} better, "
                 f"{marked.count('worse')} worse, the others within noise or {least:.0%}")
    return "\n".join(lines)
