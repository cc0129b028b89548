# SPDX-License-Identifier: MIT
"""Workers: how connections reach them, how they wait, where they run."""

import os
import random
import re
import threading
import time

import harness
from harness import Skip, Sluice, check, equal, exchange, pattern
from origins import EchoLoop

ACCEPT = ("kernel", "round_robin", "least_sessions")
WAIT = ("balanced", "latency", "throughput", "sqpoll")


def shares(sluice, name="sessions"):
    return sluice.count(name).workers


def mixed_traffic(sluice, threads=4, rounds=40):
    """Sessions of all sizes from several threads at once, each checked."""
    errors = []
    data = pattern(300000)

    def client(seed):
        choose = random.Random(seed)
        try:
            for _ in range(rounds):
                s = sluice.connect()
                for _ in range(choose.randrange(1, 4)):
                    size = choose.choice([1, 100, 5000, 16384, 70000, 300000])
                    exchange(s, data[:size])
                s.close()
        except (OSError, harness.Failure) as error:
            errors.append(str(error))
    running = [threading.Thread(target=client, args=(n,)) for n in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join(40)
    equal(errors, [], "errors of clients")
    now = sluice.at_rest()
    equal(now.closes(), {"CLIENT_FINISHED": threads * rounds}, "reasons")
    return now


def combination(accept, wait):
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "workers": 2, "accept": accept, "wait": wait}) as sluice:
        now = mixed_traffic(sluice)
        check(all(n > 0 for n in now["sessions_total"].workers),
              f"a worker had nothing to do: {now['sessions_total'].workers}")
        equal(now["handed_back"], 0, "handed_back")


def test_kernel_balanced():
    combination("kernel", "balanced")


def test_round_robin_balanced():
    combination("round_robin", "balanced")


def test_least_sessions_balanced():
    combination("least_sessions", "balanced")


def test_latency():
    for accept in ACCEPT:
        combination(accept, "latency")


def test_throughput():
    for accept in ACCEPT:
        combination(accept, "throughput")


def test_sqpoll():
    for accept in ACCEPT:
        combination(accept, "sqpoll")


def test_kernel_spreads():
    with EchoLoop() as origin, Sluice([origin.address], proxy={"workers": 2}) as sluice:
        for _ in range(200):
            s = sluice.connect()
            exchange(s, b"k")
            s.close()
        got = shares(sluice, "sessions_total")
        check(min(got) >= 40, f"200 sessions are spread {got} by the kernel")
        equal(sluice.count("handed_over"), 0, "handed_over")


def test_round_robin_takes_turns():
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "workers": 2, "accept": "round_robin"}) as sluice:
        for _ in range(100):
            s = sluice.connect()
            exchange(s, b"r")
            s.close()
        equal(shares(sluice, "sessions_total"), [50, 50], "sessions by worker")
        equal(sluice.count("handed_over"), 50, "handed_over")


def test_least_sessions_levels():
    """After the sessions of one worker ended, the next ones all go there."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "workers": 2, "accept": "least_sessions"}) as sluice:
        placed = {0: [], 1: []}

        def open_one():
            before = shares(sluice)
            s = sluice.connect()
            exchange(s, b"l")
            after = shares(sluice)
            where = [n for n in (0, 1) if after[n] > before[n]]
            equal(len(where), 1, f"worker that got one more, {before} -> {after}")
            placed[where[0]].append(s)
            return where[0]
        for _ in range(12):
            open_one()
        equal(shares(sluice), [6, 6], "12 held sessions by worker")
        for s in placed[1]:
            s.close()
        sluice.wait_count("sessions", 6)
        equal([open_one() for _ in range(6)], [1] * 6, "workers of the next 6")
        placed[1] = placed[1][6:]
        equal(shares(sluice), [6, 6], "levelled")
        for s in placed[0] + placed[1]:
            s.close()


def test_least_sessions_of_a_burst():
    """100 at once, not one by one: still level, though no count is ever quite up to date."""
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "workers": 2, "accept": "least_sessions"}) as sluice:
        clients = [sluice.connect() for _ in range(100)]
        for s in clients:
            exchange(s)
        got = shares(sluice)
        check(abs(got[0] - got[1]) <= 20, f"100 sessions by worker: {got}")
        for s in clients:
            s.close()


def test_more_workers_than_processors():
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"workers": 5, "accept": "round_robin"}) as sluice:
        for _ in range(50):
            s = sluice.connect()
            exchange(s)
            s.close()
        equal(shares(sluice, "sessions_total"), [10] * 5, "sessions by worker")


# --------------------------------------------------------------------- placement

def allowed(pid):
    """{worker: CPUs} from the threads named after workers."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as f:
            status = f.read()
        name = re.search(r"^Name:\s+(.*)$", status, re.M)[1]
        worker = re.fullmatch(r"sluice-(\d+)", name)
        if worker:
            found[int(worker[1])] = re.search(r"^Cpus_allowed_list:\s+(.*)$", status, re.M)[1]
    return found


def placement(affinity, workers, wanted):
    with EchoLoop() as origin, Sluice([origin.address], proxy={
            "workers": workers, "cpu_affinity": affinity}) as sluice:
        s = sluice.connect()
        exchange(s)
        s.close()
        equal(allowed(sluice.pid), dict(enumerate(wanted)), f"CPUs with {affinity}")


def two_processors():
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Skip("one processor only")
    return usable[:2]


def test_affinity_list():
    one, two = two_processors()
    placement(f"{two},{one}", 2, [str(two), str(one)])
    placement(f"{two}", 2, [str(two), str(two)])
    placement(f"{one},{two}", 3, [str(one), str(two), str(one)])


def test_affinity_auto():
    one, two = two_processors()
    placement("auto", 2, [str(one), str(two)])


def test_affinity_off():
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"workers": 2, "cpu_affinity": "off"}) as sluice:
        cpus = allowed(sluice.pid)
        equal(len(cpus), 2, "workers")
        one, two = two_processors()
        check(all(c not in (str(one), str(two)) for c in cpus.values()), f"bound: {cpus}")


def test_affinity_within_the_mask():
    """workers = auto and cpu_affinity = auto keep to the CPUs that the process may use."""
    one, _ = two_processors()
    with EchoLoop() as origin, Sluice([origin.address], prefix=[harness.need("taskset"), "-c",
                                                                str(one)],
                                      proxy={"workers": "auto"}) as sluice:
        equal(allowed(sluice.pid), {0: str(one)}, "CPUs under taskset")


def test_affinity_of_a_missing_cpu():
    with Sluice([(harness.HOST, 9)], proxy={"cpu_affinity": "4000"}, start=False) as sluice:
        sluice.start(ready=False)
        check(sluice.wait() in (1, 2), f"status {sluice.status} for CPU 4000")
        check("4000" in sluice.log(), f"no 4000 in: {sluice.log()}")


# ------------------------------------------------------------------------ at rest

def idle_cost(wait):
    """CPU seconds per second with 100 idle sessions."""
    with EchoLoop() as origin, \
            Sluice([origin.address], proxy={"workers": 2, "wait": wait}) as sluice:
        clients = [sluice.connect() for _ in range(100)]
        for s in clients:
            exchange(s)
        before = sluice.cpu_seconds()
        time.sleep(1)
        spent = sluice.cpu_seconds() - before
        for s in clients:
            s.close()
        return spent


def test_idle_costs_nothing():
    for wait in ("balanced", "latency", "throughput"):
        spent = idle_cost(wait)
        check(spent <= 0.05, f"wait = {wait}: {spent:.2f} s of CPU in an idle second")


harness.main(globals())
