# SPDX-License-Identifier: MIT
"""Servers that are host names: answers that are bad, late or not there, and what is kept then."""

import time

# pylint: disable=wrong-import-order
import harness
from harness import Skip, check, equal, wait_until
from named import (AGAIN, NO_ANSWER, SLOW, TWO, Farm, events, gaps, has_ipv6, held_at, named,
                   resolver_counts, several, tally, wait_event, wait_served_by, warnings, who, zone)
from name_servers import POISON, Scripted


def keeps_them(fault, said):
    """Both addresses go on being used; one line when it begins, one when it ends."""
    with Farm("abc") as farm, Scripted(zone("ab")) as names, \
            named(farm.line(), names, proxy=TWO) as sluice:
        equal(tally(several(sluice, 8)), [4, 4, 0], "sessions by server")
        for n in (1, 2):
            names.fault(fault)
            wait_until(lambda n=n: warnings(sluice, NO_ANSWER + said + "; its 2 addresses stay$")
                       == n, lambda: f"no warning of {fault}:\n{sluice.tail()}")
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                equal(tally(several(sluice, 8)), [4, 4, 0], f"sessions by server during {fault}")
                time.sleep(0.1)
            equal(warnings(sluice, NO_ANSWER), n, f"warnings of {fault}")
            names.heal()
            wait_until(lambda n=n: warnings(sluice, AGAIN) == n,
                       lambda: f"it does not answer again:\n{sluice.tail()}")
        names.wait_asked(5)
        equal((warnings(sluice, NO_ANSWER), warnings(sluice, AGAIN)), (2, 2), "lines in the end")
        equal(events(sluice, "leaving"), [], "what left")
        check(resolver_counts(sluice)["failures"] >= 2, "failures")
        names.set(zone("c"))
        wait_served_by(sluice, "c")


def test_servfail_keeps_the_addresses():
    keeps_them("SERVFAIL", "SERVFAIL")


def test_refused_keeps_the_addresses():
    keeps_them("REFUSED", ".*")


def test_silence_keeps_the_addresses():
    keeps_them("silent", ".*")


def test_garbage_keeps_the_addresses():
    keeps_them("garbage", ".*")


def test_asked_again_later_and_later():
    """After 1 s, 2 s and 4 s; and with resolve_max = 1s each second."""
    with Farm("a") as farm, Scripted(zone("a")) as one, Scripted(zone("a")) as two, \
            named(farm.line(), one, proxy={"resolve_max": "1m"}) as sluice, \
            named(farm.line(), two) as other:
        began = time.monotonic()
        one.fault("SERVFAIL")
        two.fault("SERVFAIL")
        time.sleep(8.5)
        found = gaps([t for t in one.times() if t > began])
        check(len(found) >= 3 and 0.7 <= found[0] <= 1.7 and 1.4 <= found[1] <= 2.9
              and 2.8 <= found[2] <= 5.2, f"seconds between the rounds: {found}")
        found = gaps([t for t in two.times() if t > began])
        check(len(found) >= 5 and all(0.7 <= g <= 1.8 for g in found), f"each second: {found}")
        equal((who(sluice), who(other)), ("a", "a"), "afterwards")


def gone(make_it_so, hold):
    """How long a name that is gone is still served: seconds. Its session goes on, and all is well
    again when it comes back."""
    with Farm("ab") as farm, Scripted(zone("ab")) as names, named(
            farm.line(), names, proxy={"resolve_hold": f"{int(hold * 1000)}ms"}) as sluice:
        equal(tally(several(sluice, 4), "ab"), [2, 2], "sessions by server")
        held = held_at(sluice, "a")
        last = began = time.monotonic()
        make_it_so(names)
        while who(sluice) != "":
            last = time.monotonic()
            check(last - began < hold + 5, "it is served still")
            time.sleep(0.05)
        wait_event(sluice, "leaving", farm.address("a"))
        wait_event(sluice, "leaving", farm.address("b"))
        harness.exchange(held, b"still here")
        equal(several(sluice, 3), "", "sessions, afterwards")
        check(resolver_counts(sluice)["gone"] >= 1, "gone")
        names.heal()
        names.set(zone("ab"))
        wait_served_by(sluice, "ab")
        harness.exchange(held, b"and here")
        held.close()
        equal(sluice.at_rest().closes().get("NO_SERVER", 0) >= 4, True, "NO_SERVER")
        return last - began


def test_a_name_that_is_gone_is_held():
    for what, make_it_so in (("NXDOMAIN", lambda names: names.set({})),
                             ("no records", lambda names: names.set({"app.test": {}}))):
        took = gone(make_it_so, 1.5)
        check(1.2 <= took <= 2.5 + SLOW, f"{what}: served for {took:.2f} s, resolve_hold is 1.5 s")


def test_a_name_that_is_gone_is_not_held():
    took = gone(lambda names: names.set({}), 0)
    check(took <= 0.5 + SLOW, f"served for {took:.2f} s with resolve_hold = 0")


def test_a_name_that_is_back_in_time():
    """Within resolve_hold nothing happens at all, also after a second time."""
    with Farm("ab") as farm, Scripted(zone("ab")) as names, \
            named(farm.line(), names, proxy={"resolve_hold": "2s"}) as sluice:
        for _ in range(2):
            names.set({})
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                equal(tally(several(sluice, 4), "ab"), [2, 2], "sessions by server")
            names.set(zone("ab"))
            names.wait_asked(3)
        time.sleep(1.5)
        equal(tally(several(sluice, 4), "ab"), [2, 2], "in the end")
        equal(events(sluice, "leaving"), [], "what left")


def test_an_error_is_no_end_of_the_name():
    """NXDOMAIN, then errors: what is not known to be gone does not come back from the dead, and a
    name that answers again within resolve_hold has lost nothing."""
    with Farm("ab") as farm, Scripted(zone("ab")) as names, \
            named(farm.line(), names, proxy={"resolve_hold": "0"}) as sluice:
        names.set({})
        wait_until(lambda: who(sluice) == "", "it is served still")
        names.fault("SERVFAIL")
        time.sleep(1.5)
        equal(several(sluice, 3), "", "sessions while nothing is known")
        names.heal()
        names.set(zone("b"))
        wait_served_by(sluice, "b")


def test_one_family_fails():
    """A and AAAA each keep their own last good set."""
    if not has_ipv6():
        raise Skip("there is no ::1")
    for fault in ("SERVFAIL", "silent"):
        with Farm("abz") as farm, Scripted(zone("az")) as names, \
                named(farm.line(), names, upstream={"resolve": "any"}) as sluice:
            wait_served_by(sluice, "az")
            names.fault(fault, kind="AAAA")
            names.set(zone("b"))  # of AAAA there would be no more
            wait_served_by(sluice, "bz")
            time.sleep(1.5)
            wait_served_by(sluice, "bz")
            names.heal()
            wait_served_by(sluice, "b")
            names.fault(fault, kind="A")
            names.set(zone("az"))
            wait_served_by(sluice, "bz")
            names.heal()
            wait_served_by(sluice, "az")


def test_one_family_from_the_start():
    """AAAA never answers: what A says is used, and the start waits no longer than it may."""
    with Farm("ab") as farm, Scripted(zone("a")) as names:
        names.fault("silent", kind="AAAA")
        began = time.monotonic()
        with named(farm.line(), names) as sluice:
            check(time.monotonic() - began < 3 + SLOW, "the start takes longer")
            wait_served_by(sluice, "a", 5)
            names.set(zone("b"))
            wait_served_by(sluice, "b")


def test_answers_that_are_not_to_be_believed():
    """A wrong id, another question; a name of the right one's that is another's is fine."""
    with Farm("ab") as farm, Scripted(zone("a")) as names:
        names.fault("forged")
        with named(farm.line(), names) as sluice:
            equal(several(sluice, 4), "aaaa", "sessions")
            names.set(zone("b"))
            wait_served_by(sluice, "b")
            names.set({"app.test": {"CNAME": "real.test"}, **zone("a", "real.test")})
            wait_served_by(sluice, "a")
            check(POISON not in sluice.log(), "an address of a forged answer is in the log")


def test_an_answer_that_does_not_fit():
    """Truncated, it is asked for again over TCP; also when it is large by itself."""
    with Farm("abc") as farm, Scripted(zone("ab")) as names:
        names.fault("truncated")
        with named(farm.line(), names) as sluice:
            equal(tally(several(sluice, 8)), [4, 4, 0], "sessions by server")
            check(any(a.over == "tcp" for a in names.asked), "nothing was asked over TCP")
            names.set(zone("c"))
            wait_served_by(sluice, "c")
        names.heal()
        names.set({"app.test": {"A": [f"127.0.1.{n}" for n in range(1, 251)]}})
        with named(farm.line(options="addresses=250"), names, upstream={"health": "tcp"}) as sluice:
            sluice.wait_count("servers_went_down", 250, 20)  # nobody listens at any of them


harness.main(globals())
