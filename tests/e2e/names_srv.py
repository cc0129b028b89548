# SPDX-License-Identifier: MIT
"""Servers that are names of services: SRV records, whose ports, weights and priorities change."""

import time

# pylint: disable=wrong-import-order
import harness
from harness import check, equal, exchange, wait_until
from named import (CHECKED, Farm, events, fair, held_at, host, named, opened, several,
                   tally, wait_event, wait_served_by, who)
from name_servers import Dnsmasq, Scripted, Unbound

SERVICE = "_http._tcp.app.test"


class Service:
    """Servers a, b, c .. each at an address and a port of its own, as targets a.test, b.test .."""

    def __init__(self, letters, kind="tcp"):
        self.farms = {c: Farm(c, kind) for c in letters}

    def zone(self, *records):
        """records are (letter, weight, priority)."""
        zone = {f"{c}.test": {"A": [host(c)]} for c in self.farms}
        zone[SERVICE] = {"SRV": [(priority, weight, self.farms[c].port, f"{c}.test")
                                 for c, weight, priority in records]}
        return zone

    def address(self, letter):
        return self.farms[letter].address(letter)

    def lose(self, letter):
        self.farms[letter].lose(letter)

    def bring_back(self, letter):
        self.farms[letter].bring_back(letter)

    def __getitem__(self, letter):
        return self.farms[letter][letter]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for farm in self.farms.values():
            farm.close()


def wait_shares(sluice, letters, wanted, seconds=harness.STEP_SECONDS):
    """Waits until the shares are just these, twice in a row."""
    last = []

    def reached():
        last[:] = [tally(several(sluice, sum(wanted)), letters) for _ in range(2)]
        return last == [wanted] * 2
    wait_until(reached, lambda: f"shares of {letters}: {last}, not {wanted}", seconds)


def services(kind):
    """Weights, ports and priorities, and each of them changes."""
    with Service("abcd") as service, \
            kind(service.zone(("a", 3, 10), ("b", 1, 10), ("c", 5, 20))) as names, \
            named(f"{SERVICE} addresses=4 name=site", names) as sluice:
        equal(tally(several(sluice, 16)), [12, 4, 0], "sessions by weight")
        names.set(service.zone(("a", 1, 10), ("b", 1, 10), ("c", 5, 20)))
        wait_shares(sluice, "abcd", [4, 4, 0, 0])
        names.set(service.zone(("a", 1, 10), ("b", 2, 10), ("d", 3, 10), ("c", 5, 20)))
        wait_event(sluice, "up", service.address("d"))
        wait_shares(sluice, "abcd", [2, 4, 0, 6])
        held = held_at(sluice, "a")
        names.set(service.zone(("b", 1, 10), ("c", 5, 20)))
        wait_event(sluice, "leaving", service.address("a"))
        wait_event(sluice, "leaving", service.address("d"))
        equal(several(sluice, 4), "bbbb", "the one that is left of the first priority")
        exchange(held, b"untouched")
        held.close()
        names.set(service.zone(("c", 5, 20), ("d", 5, 20), ("a", 1, 30)))
        wait_served_by(sluice, "cd")
        wait_shares(sluice, "abcd", [0, 0, 4, 4])
        equal(set(sluice.at_rest().closes()), {"CLIENT_FINISHED"}, "reasons")


def test_services_of_dnsmasq():
    services(Dnsmasq)


def test_services_of_unbound():
    services(Unbound)


def test_services():
    services(Scripted)


def test_a_lower_priority_is_a_backup():
    """Used only while checks find all of the first down; then the others share by their weights."""
    with Service("abcd") as service, Scripted(service.zone(
            ("a", 1, 1), ("b", 1, 1), ("c", 1, 2), ("d", 3, 3))) as names, \
            named(f"{SERVICE} addresses=8", names, upstream=CHECKED) as sluice:
        fair(sluice, "ab")
        service.lose("a")
        sluice.wait_count("servers_went_down", 1)
        equal(several(sluice, 4), "bbbb", "one of the first is left")
        service.lose("b")
        sluice.wait_count("servers_went_down", 2)
        wait_shares(sluice, "abcd", [0, 0, 2, 6])
        service.bring_back("b")
        sluice.wait_count("servers_came_up", 1)
        equal(several(sluice, 4), "bbbb", "one of the first is back")
        equal(sluice.at_rest().closes().get("NO_SERVER", 0), 0, "NO_SERVER")


def test_a_backup_that_becomes_the_first():
    """The same records with their priorities exchanged; a session at each stays where it is."""
    with Service("ab") as service, Scripted(service.zone(("a", 1, 1), ("b", 1, 2))) as names, \
            named(f"{SERVICE} addresses=2", names) as sluice:
        equal(several(sluice, 4), "aaaa", "the first priority")
        held = held_at(sluice, "a")
        for letter, records in (("b", (("a", 1, 2), ("b", 1, 1))),
                                ("a", (("a", 1, 1), ("b", 1, 2)))):
            names.set(service.zone(*records))
            wait_served_by(sluice, letter)
            equal(several(sluice, 8), letter * 8, "the first priority")
        exchange(held, b"untouched")
        held.close()


def test_a_line_that_is_a_backup():
    """All priorities are: the lowest of them goes first no more than the others."""
    with Farm("d") as farm, Service("ab") as service, \
            Scripted(service.zone(("a", 1, 1), ("b", 1, 1))) as names, \
            named([farm.address("d"), f"{SERVICE} addresses=4 backup"], names,
                  upstream=CHECKED) as sluice:
        equal(several(sluice, 4), "dddd", "while there is another")
        farm.lose("d")
        sluice.wait_count("servers_went_down", 1)
        fair(sluice, "ab")


def test_weights_are_fitted_in():
    """0 counts as 1; and what is above 256 is scaled."""
    for weights, wanted in (((0, 0), [4, 4]), ((0, 1), [4, 4]), ((0, 3), [2, 6]),
                            ((256, 128), [8, 4])):
        with Service("ab") as service, Scripted(service.zone(
                ("a", weights[0], 5), ("b", weights[1], 5))) as names, \
                named(f"{SERVICE} addresses=2", names) as sluice:
            equal(tally(several(sluice, sum(wanted)), "ab"), wanted, f"shares with {weights}")
    for weights, least, most in (((600, 200), 28, 32), ((65535, 65535), 19, 21),
                                 ((60000, 1), 38, 40)):
        with Service("ab") as service, Scripted(service.zone(
                ("a", weights[0], 5), ("b", weights[1], 5))) as names, \
                named(f"{SERVICE} addresses=2", names) as sluice:
            got = tally(several(sluice, 40), "ab")
            check(least <= got[0] <= most and sum(got) == 40, f"of 40 with {weights}: {got}")


def test_the_same_address_with_another_port():
    """It is another server: the one before leaves, and its session goes on."""
    with Service("a") as service, Farm("a") as other, \
            Scripted(service.zone(("a", 1, 1))) as names, \
            named(f"{SERVICE} addresses=2", names) as sluice:
        held = held_at(sluice, "a")
        names.set({"a.test": {"A": [host("a")]}, SERVICE: {"SRV": [(1, 1, other.port, "a.test")]}})
        wait_event(sluice, "leaving", service.address("a"))
        wait_event(sluice, "up", other.address("a"))
        before = service["a"].seen
        equal(several(sluice, 4), "aaaa", "sessions")
        equal((service["a"].seen, other["a"].seen), (before, 4), "by port")
        exchange(held, b"untouched")
        held.close()


def test_both_ports_of_one_address():
    with Service("a") as service, Farm("a") as other, Scripted(
            {"a.test": {"A": [host("a")]},
             SERVICE: {"SRV": [(1, 3, service.farms["a"].port, "a.test"),
                               (1, 1, other.port, "a.test")]}}) as names, \
            named(f"{SERVICE} addresses=2", names) as sluice:
        equal(several(sluice, 8), "a" * 8, "sessions")
        equal((service["a"].seen, other["a"].seen), (6, 2), "by port and weight")


def test_a_target_with_several_addresses():
    with Farm("abc") as farm, Scripted(
            {"t.test": {"A": [host("a"), host("b")]},
             SERVICE: {"SRV": [(1, 1, farm.port, "t.test")]}}) as names, \
            named(f"{SERVICE} addresses=4", names) as sluice:
        fair(sluice, "ab")
        names.set({**names.zone, "t.test": {"A": [host("b"), host("c")]}})
        wait_event(sluice, "leaving", farm.address("a"))
        wait_served_by(sluice, "bc")


def test_targets_that_cannot_be_looked_up():
    """One of two that never was known does not hold the other up; one that was known stays."""
    with Service("ab") as service, Scripted(service.zone(("a", 1, 1), ("b", 1, 1))) as names:
        names.fault("SERVFAIL", "b.test")
        with named(f"{SERVICE} addresses=4", names) as sluice:
            wait_served_by(sluice, "a")
            names.heal()
            wait_served_by(sluice, "ab")
            names.fault("SERVFAIL", "a.test")
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                equal(set(several(sluice, 4)), {"a", "b"}, "sessions while a.test is not known")
                time.sleep(0.1)
            names.heal()
            names.fault("SERVFAIL", SERVICE)
            names.set(service.zone(("a", 1, 1)))
            time.sleep(1.5)
            equal(set(several(sluice, 4)), {"a", "b"}, "sessions while the service is not known")
            names.heal()
            wait_served_by(sluice, "a")


def test_no_such_service():
    """The target "." says so, as does NXDOMAIN: held for resolve_hold, and then there is none."""
    for zone in ({SERVICE: {"SRV": [(0, 0, 0, ".")]}}, {}):
        with Service("a") as service, Scripted(service.zone(("a", 1, 1))) as names, \
                named(f"{SERVICE} addresses=4", names, proxy={"resolve_hold": "1s"}) as sluice:
            held = held_at(sluice, "a")
            began = last = time.monotonic()
            names.set({"a.test": {"A": [host("a")]}, **zone})
            while who(sluice) == "a":
                last = time.monotonic()
                check(last - began < 8, f"it is served still: {zone}")
                time.sleep(0.05)
            check(last - began >= 0.7, f"served for {last - began:.2f} s of resolve_hold = 1s")
            wait_event(sluice, "leaving", service.address("a"))
            exchange(held, b"untouched")
            held.close()
            names.set(service.zone(("a", 1, 1)))
            wait_served_by(sluice, "a")


def test_more_records_than_places():
    with Service("abc") as service, Scripted(service.zone(
            ("a", 1, 1), ("b", 1, 1), ("c", 1, 1))) as names, \
            named(f"{SERVICE} addresses=2", names) as sluice:
        sluice.wait_log(r"^\S+ warn .*_http\._tcp\.app\.test.*addresses=")
        used = set(several(sluice, 8))
        equal(len(used), 2, f"servers that are used: {used}")
        for _ in range(5):
            names.wait_asked(1, SERVICE, "SRV")
            equal(set(several(sluice, 4)), used, "later, in another order")
        equal(events(sluice, "leaving"), [], "what left")


def test_max_sessions_of_a_service():
    with Service("ab") as service, Scripted(service.zone(("a", 1, 1), ("b", 5, 1))) as names, \
            named(f"{SERVICE} addresses=2 max_sessions=2", names) as sluice:
        sessions = [opened(sluice) for _ in range(5)]
        equal(tally("".join(c for c, _ in sessions), "ab"), [2, 2], "sessions held")
        for _, s in sessions:
            s.close()
        equal(sluice.at_rest().closes()["SERVERS_FULL"], 1, "SERVERS_FULL")


harness.main(globals())
