#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One slice: drive one contestant for a moment and read what it cost; and the rounds of slices.

The load tool is started with a warm-up. While it measures, the proxy's CPU clock is read twice;
CPU seconds per second, divided by the tool's own rate, is the CPU time per unit. Both are rates of
the steady state, so it does not matter that the two windows differ by some milliseconds.
"""
import collections
import json
import os
import socket
import struct
import subprocess
import time

import contestants
import scenarios

LEAD_SECONDS = 0.03        # from the start of the tool until its first request
DRAIN_SECONDS = 1.0
GRACE_SECONDS = 20.0       # for a tool that does not end
TICK = os.sysconf("SC_CLK_TCK")

# at: seconds; cpu_ns: of the proxy; busy and stolen: seconds of its CPU, whoever it was
Reading = collections.namedtuple("Reading", "at cpu_ns busy stolen")


class SliceFailed(Exception):
    """This slice has no numbers; the others may."""


def cpu_ns(pids):
    """User and system time of all threads of these processes, ended ones too: what the two fields
    of /proc/PID/stat sum up to, but in nanoseconds (the clock of clock_getcpuclockid(3))."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def busy_and_stolen(cpus):
    """Seconds that these CPUs worked, for anybody, and that the hypervisor took from them."""
    names = {f"cpu{cpu}" for cpu in cpus}
    with open("/proc/stat", encoding="ascii") as file:
        rows = [line.split() for line in file if line.startswith("cpu")]
    rows = [[int(word) for word in row[1:9]] for row in rows if row[0] in names]
    return (sum(sum(row[:3]) + row[5] + row[6] for row in rows) / TICK,
            sum(row[7] for row in rows) / TICK)


def private_bytes(pids):
    """Memory that only these processes have: what a session really costs in user space."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith(("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")):
                    total += int(line.split()[1]) * 1024
    return total


def settle(pids, seconds=2.0):
    """Until these processes rest: what a slice left behind must not run into the next one."""
    limit = time.monotonic() + seconds
    before = cpu_ns(pids)
    while time.monotonic() < limit:
        time.sleep(0.02)
        now = cpu_ns(pids)
        if now - before < 1e6:
            return
        before = now


def read_at(moment, pids, cpus):
    time.sleep(max(0.0, moment - time.monotonic()))
    return Reading(time.monotonic(), cpu_ns(pids), *busy_and_stolen(cpus))


def turn_order(names, turn):
    """Forwards, then backwards (ABBA); who begins changes after every such pair of rounds."""
    shift = turn // 2 % len(names)
    names = names[shift:] + names[:shift]
    return names if turn % 2 == 0 else names[::-1]


class Bench:
    def __init__(self, children, field, options):
        self.children = children
        self.field = field
        self.options = options

    # --- one slice -----------------------------------------------------------------------------

    def _command(self, scenario, port, connections, warmup, path):
        options = self.options
        rates = {"rate": options.rate, "twentieth": max(1, options.rate // 20)}
        arguments = [word.format(**rates) for word in scenario.arguments]
        return [options.load, "--quiet", "-t", str(min(options.threads, connections)),
                "-c", str(connections), "-d", f"{round(options.seconds * 1000)}ms",
                "--warmup", f"{round(warmup * 1000)}ms",
                "--drain", f"{round(DRAIN_SECONDS * 1000)}ms", "--timeout", "10s",
                "--json", path, *arguments, scenarios.url_of(scenario, port)]

    def _drive(self, scenario, instance, connections):
        """Run the tool; its first run, and the readings at both ends of its measuring."""
        seconds = self.options.seconds
        warmup = min(seconds, 0.2 + connections / 8000)
        path = self.children.path("slice.json", "")
        port = instance.ports[scenarios.service_of(scenario)]
        command = self._command(scenario, port, connections, warmup, path)
        began = time.monotonic()
        child = self.children.start("load", command, self.options.load_cpu)
        try:
            cpus = self.options.proxy_cpu
            first = read_at(began + warmup + LEAD_SECONDS, instance.pids, cpus)
            last = read_at(began + warmup + seconds, instance.pids, cpus)
            child.wait(DRAIN_SECONDS + GRACE_SECONDS)
        except subprocess.TimeoutExpired as why:
            raise SliceFailed("the load tool did not end") from why
        except OSError as why:
            raise SliceFailed(f"the proxy is gone ({why.strerror})") from why
        finally:
            self.children.stop(child)
        if child.returncode not in (0, 4):
            raise SliceFailed(self.children.printed("load") or
                              f"the load tool ended with status {child.returncode}")
        with open(path, encoding="utf-8") as file:
            return json.load(file)["runs"][0], first, last

    def _loaded(self, scenario, instance, connections):
        run, first, last = self._drive(scenario, instance, connections)
        counts, elapsed = run["counts"], run["elapsed_s"]
        units = counts["bytes_in"] / 1e9 if scenario.metric == "gigabyte" else counts["completed"]
        if units <= 0 or elapsed <= 0:
            raise SliceFailed(f"nothing came through ({counts['errors']} errors)")
        times = run["times_us"]["response" if "-R" in scenario.arguments else "service"]
        sample = {"units": units, "elapsed_s": elapsed, "rate": units / elapsed,
                  "p50_us": times["p50"], "p99_us": times["p99"], "errors": counts["errors"],
                  "saturated": run["generator"]["saturated"]}
        if scenario.metric == "gigabyte":
            del sample["p50_us"], sample["p99_us"]
        window = last.at - first.at
        share = (last.cpu_ns - first.cpu_ns) / 1e9 / window
        sample["stolen"] = round((last.stolen - first.stolen) / window, 4)
        sample["others"] = round(max(0.0, (last.busy - first.busy) / window - share), 4)
        if instance.pids:
            sample["cpu_share"] = round(share, 5)
            sample["cpu_us_per_unit"] = share * 1e6 / sample["rate"]
        return sample

    # --- memory --------------------------------------------------------------------------------

    @staticmethod
    def _hold(held, port, count):
        """Connections that say nothing, and end by a reset: nothing lingers in TIME_WAIT."""
        for i in range(count):
            connection = socket.socket()
            held.append(connection)
            connection.settimeout(5)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            connection.bind((f"127.0.1.{1 + i % 8}", 0))
            connection.connect((contestants.HOST, port))

    def _idle(self, scenario, name, connections):
        instance = self.field.fresh(name, scenario.mode)
        held = []
        try:
            settle(instance.pids)
            before = private_bytes(instance.pids)
            self._hold(held, instance.ports[scenarios.service_of(scenario)], connections)
            settle(instance.pids)
            grown = private_bytes(instance.pids) - before
        except OSError as why:
            raise SliceFailed(f"{connections} connections: {why}") from why
        finally:
            for connection in held:
                connection.close()
            self.children.stop(instance.child)
        return {"units": connections, "errors": 0, "bytes_per_session": grown / connections}

    # --- rounds --------------------------------------------------------------------------------

    def slice(self, scenario, name, connections):
        """The sample of one contestant: its figures, and `value`, the scenario's headline."""
        metric = scenarios.METRICS[scenario.metric]
        settle(self.field.living_pids())
        if scenario.metric == "memory":
            sample = self._idle(scenario, name, connections)
        else:
            instance = self.field.get(name, scenario.mode)
            sample = self._loaded(scenario, instance, connections)
        if metric.field in sample:
            sample["value"] = sample[metric.field] * metric.scale
        return sample

    def names_for(self, scenario):
        """Who can take part: the origin alone has no memory of sessions to compare."""
        return [name for name in self.options.contestants
                if not (name == "direct" and scenario.metric == "memory")
                and self.field.get(name, scenario.mode) is not None]

    def rounds(self, scenario, connections):
        """Every sample as (round, contestant, sample or SliceFailed)."""
        names = self.names_for(scenario)
        for turn in range(self.options.rounds):
            for name in turn_order(names, turn):
                try:
                    yield turn, name, self.slice(scenario, name, connections)
                except (SliceFailed, contestants.Refused) as why:
                    yield turn, name, SliceFailed(str(why))
