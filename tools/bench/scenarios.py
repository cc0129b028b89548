#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What can be measured: one row per scenario.

A row is its name, the mode of the proxies, the connections, the origin's service, what is measured,
the arguments of the load tool ({rate} is --rate, {twentieth} a twentieth of it) and what it is
about. A service is a port of the origin; of http it may carry the request's path.
"""
import collections
import fnmatch

Metric = collections.namedtuple("Metric", "unit field scale")
Scenario = collections.namedtuple("Scenario", "name mode connections service metric arguments text")

# What the headline figure of a scenario is: a field of the sample, and what it is multiplied by.
# All of them are costs: less is better.
METRICS = {
    "request": Metric("CPU us/request", "cpu_us_per_unit", 1.0),
    "connection": Metric("CPU us/connection", "cpu_us_per_unit", 1.0),
    "gigabyte": Metric("CPU ms/GB", "cpu_us_per_unit", 1e-3),
    "p99": Metric("p99 us", "p99_us", 1.0),
    "memory": Metric("bytes/session", "bytes_per_session", 1.0),
}


def _rr():
    """Requests and answers of one size, closed loop: each size with each number of connections."""
    for size in ("64b", "1k", "16k"):
        for connections in (64, 512, 2048, 8000):
            yield Scenario(f"rr-{size}-{connections}", "tcp", connections, "rr", "request",
                           ("--mode", "rr", "--size", size.rstrip("b")),
                           f"{size} out and back")


SCENARIOS = (
    Scenario("idle", "tcp", 8000, "rr", "memory", (),
             "user memory per session that says nothing, fresh process"),
    *_rr(),
    Scenario("rr-256k-64", "tcp", 64, "rr", "request", ("--mode", "rr", "--size", "256k"),
             "large messages: 256k out and back"),
    Scenario("crr", "tcp", 64, "rr", "connection",
             ("--mode", "crr", "--size", "64", "--bind", "127.0.1.0/28"),
             "short connections: connect, 64b out and back, close"),
    Scenario("bulk-1", "tcp", 1, "source", "gigabyte",
             ("--mode", "stream", "--direction", "down"), "one download"),
    Scenario("bulk-8", "tcp", 8, "source", "gigabyte",
             ("--mode", "stream", "--direction", "down"), "eight downloads"),
    Scenario("rate", "tcp", 64, "rr", "p99", ("--mode", "rr", "--size", "64", "-R", "{rate}"),
             "open loop at a fixed rate, 64b out and back"),
    Scenario("slow", "tcp", 256, "rr", "p99",
             ("--mode", "rr", "--size", "64", "--reply", "1m", "-R", "{twentieth}",
              "--slow-read", "25%"),
             "p99 of those who read their 1m while a quarter reads 100 bytes/s, open loop"),
    Scenario("http-1k-64", "http", 64, "http:/?size=1k", "request", (), "1k bodies"),
    Scenario("http-1k-2048", "http", 2048, "http:/?size=1k", "request", (), "1k bodies"),
    Scenario("http-close", "http", 64, "http:/?size=1k", "request",
             ("-H", "Connection: close", "--bind", "127.0.1.0/28"),
             "1k bodies, a connection per request"),
    Scenario("http-64k", "http", 64, "http:/?size=64k", "request", (), "64k bodies"),
    Scenario("http-1m", "http", 16, "http:/?size=1m", "request", (), "1m bodies"),
    Scenario("http-rate", "http", 64, "http:/?size=1k", "p99", ("-R", "{rate}"),
             "open loop at a fixed rate, 1k bodies"),
)

SERVICES = {"tcp": ("rr", "source"), "http": ("http",)}  # mode: services that its proxies relay


def choose(words):
    """The scenarios that the comma-separated names and patterns mean, in the table's order;
    and the words that mean none."""
    words = [word for word in words.split(",") if word]
    chosen = [row for row in SCENARIOS if any(fnmatch.fnmatch(row.name, w) for w in words)]
    unknown = [w for w in words if not any(fnmatch.fnmatch(row.name, w) for row in SCENARIOS)]
    return chosen, unknown


def service_of(scenario):
    return scenario.service.split(":")[0]


def url_of(scenario, port):
    service, _, path = scenario.service.partition(":")
    return f"{'http' if service == 'http' else 'tcp'}://127.0.0.1:{port}{path}"


def unit_of(scenario):
    return METRICS[scenario.metric].unit


def describe():
    """The text of --list."""
    lines = [f"{'name':14} {'mode':5} {'conns':>5}  {'measured':18} what"]
    for row in SCENARIOS:
        lines.append(f"{row.name:14} {row.mode:5} {row.connections:5}  {unit_of(row):18} "
                     f"{row.text}")
    return "\n".join(lines)
