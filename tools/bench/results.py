#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file of results: JSON lines.

The first line is the header (kind "header"): where, when and with what it was measured. Every other
line is one sample (kind "sample"): one contestant in one round of one scenario. A sample's `value`
is the scenario's headline figure in `unit`; less is better. A slice that failed is a line too, with
`failed` and no figures.
"""
import hashlib
import json
import os
import subprocess
import sys
import time

import contestants

SCHEMA = "sluice-bench.1"


class BadFile(Exception):
    """Not a file of results; the message says why."""


def _first_line(command):
    """What a program calls itself; '' when it cannot be asked."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else ""


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return os.uname().machine


def _versions(options):
    versions = {"python": sys.version.split()[0],
                "load": f"{_first_line([options.load, '--version'])} {_digest(options.load)}"}
    for name in options.contestants:
        path = {"sluice": options.sluice, "other": options.other}.get(name)
        if path:
            versions[name] = f"{_first_line([path, '--version'])} {_digest(path)}"
    for name in ("haproxy", "nginx"):
        path = contestants.program(name)
        if path and any(one.startswith(name) for one in options.contestants):
            versions[name] = _first_line([path, "-v"])
    return versions


def header(options, root):
    return {
        "kind": "header", "schema": SCHEMA,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": os.uname().nodename, "kernel": os.uname().release, "cpu": _cpu_model(),
        "cpus": os.cpu_count(), "proxy_cpu": sorted(options.proxy_cpu),
        "load_cpu": sorted(options.load_cpu), "descriptors": options.descriptors,
        "sessions": options.sessions, "seconds": options.seconds, "rounds": options.rounds,
        "rate": options.rate, "load_threads": options.threads, "extra": options.extra,
        "other_extra": options.other_extra, "contestants": options.contestants,
        "versions": _versions(options),
        "git": _first_line(["git", "--no-optional-locks", "-C", root, "describe", "--always",
                            "--dirty", "--abbrev=12"]),
        "command": sys.argv,
    }


class Writer:
    """Lines into a file (or nowhere), each at once, so that an interrupted run is kept."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8") if path else None
        self.rows = []

    def write(self, row):
        self.rows.append(row)
        if self.file:
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()

    def close(self):
        if self.file:
            self.file.close()


def read(path):
    """(header, samples) of a file."""
    rows = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(json.loads(line))
    except OSError as why:
        raise BadFile(f"{path}: {why.strerror}") from why
    except ValueError as why:
        raise BadFile(f"{path}:{number}: not JSON: {why}") from why
    if not rows or not isinstance(rows[0], dict) or rows[0].get("schema") != SCHEMA:
        raise BadFile(f"{path}: the first line is no header of {SCHEMA}")
    return rows[0], [row for row in rows if row.get("kind") == "sample"]


def by_scenario(samples):
    """{scenario: {contestant: {round: sample}}}, in the order of the file."""
    found = {}
    for sample in samples:
        names = found.setdefault(sample["scenario"], {})
        names.setdefault(sample["contestant"], {})[sample["round"]] = sample
    return found


def column(rounds, field="value"):
    """The field of every sample of one contestant that has it."""
    return [sample[field] for sample in rounds.values() if field in sample]


def pairs(ours, theirs, field="value"):
    """The field in the rounds that both have: two lists of one length."""
    common = [turn for turn in ours if turn in theirs
              and field in ours[turn] and field in theirs[turn]]
    return [ours[turn][field] for turn in common], [theirs[turn][field] for turn in common]
