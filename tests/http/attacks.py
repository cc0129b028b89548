# SPDX-License-Identifier: MIT
"""Nothing ambiguous is forwarded: requests and answers that desynchronize a lenient proxy."""

import collections
import json
import os
import re
import time

import http_peers
from attack_table import CLEAN, CUT, FORBIDDEN_TRAILERS, REFUSED, rows
from http_peers import Client, HttpOrigin, chunks, head_of, http_sluice, reply, request
import harness
from harness import Skip, check, equal, wait_until
import probe_corpus


def judge(row, got, how, origin, before):
    """What is wrong with how a row was treated, or None."""
    statuses, verdict = row[2:]
    requests = [r for r in origin.requests[before[0]:] if not r.target.startswith("/canary")]
    if any("evil" in r.target for r in requests):
        return "a smuggled request is at the server"
    status = int(got[9:12]) if re.match(rb"HTTP/1\.1 [1-5]\d\d ", got) else None
    forwarded = verdict == CLEAN and status == 200
    if status is None and (got or verdict != CUT):
        return f"the answer {got[:80]!r}, {how}"
    if status is not None and status not in statuses and not forwarded:
        return f"status {status}, not {statuses}"
    if how == "open" and not forwarded:
        return "the connection is still open"
    if how == "reset":
        return "the answer is followed by a reset"
    if status is not None and not forwarded and b"close" not in got.lower():
        return "no Connection: close"
    if forwarded:
        return None if all(r.complete for r in requests) else "answered without the whole body"
    if verdict == CUT and any(r.complete for r in requests):
        return "a whole request is at the server"
    if verdict != CUT and (requests or origin.bytes != before[1]):
        return f"{origin.bytes - before[1]} bytes are at the server"
    return None


def one_attack(sluice, origin, row):
    before = (len(origin.requests), origin.bytes)
    with Client(sluice) as client:
        client.try_send(row[1])
        if row[3] == CLEAN:
            answer = client.answer("POST")
            got = f"HTTP/1.1 {answer.status} {answer.options()}".encode()
            how = "eof" if answer.status == 200 else client.ends()[1]
            return judge(row, got, how, origin, before)
        got, how = client.ends(1 if row[3] == CUT else harness.STEP_SECONDS)
        if how == "open" and row[3] == CUT:  # a body may lack its rest
            client.half_close()
            got, how = client.ends()
        return judge(row, got, how, origin, before)


def attack(only):
    """Every row on a connection of its own, and behind each a request that has to be answered."""
    wrong, count = [], 0
    with HttpOrigin(strict=False) as origin, http_sluice([origin]) as sluice:
        for row in rows():
            if not only(row[0]):
                continue
            count += 1
            try:
                problem = one_attack(sluice, origin, row)
                http_peers.canary(sluice, origin, str(count))
            except harness.Failure as failure:
                problem = str(failure)
            if origin.errors:
                problem = f"malformed at the server: {origin.errors[0][:200]}"
                origin.errors.clear()
            if problem:
                wrong.append(f"{row[0]}: {problem}")
        for r in origin.requests:
            bad = [n for n, _ in r.trailers if n.lower() in FORBIDDEN_TRAILERS]
            if bad:
                wrong.append(f"forwarded trailers: {bad}")
    check(not wrong, f"{len(wrong)} of {count} attacks:\n  " + "\n  ".join(wrong))
    print(f"  {count} attacks")


def test_bad_framing():
    attack(only=re.compile(r"cl|te|connection").match)


def test_bad_names_and_line_ends():
    attack(only=re.compile(r"name|no-colon|ctl|fold|underscore|lf|cr").match)


def test_bad_request_lines_and_hosts():
    attack(only=re.compile(r"line|version|h2|blank|garbage|tls|method|host").match)


def test_bad_bodies():
    attack(only=re.compile(r"chunk|trailer").match)


def test_every_row_has_a_test():
    known = re.compile(r"cl|te|connection|name|no-colon|ctl|fold|underscore|lf|cr|line|version|h2|"
                       r"blank|garbage|tls|method|host|chunk|trailer")
    names = [row[0] for row in rows()]
    equal([n for n in names if not known.match(n)], [], "rows that no test runs")
    equal([n for n, c in collections.Counter(names).items() if c > 1], [], "names used twice")
    check({row[3] for row in rows()} == {REFUSED, CUT, CLEAN}, "verdicts")


def test_attacks_byte_by_byte():
    """A parser in pieces comes to the same verdict: one row of each kind."""
    picked = {"cl-te", "te-twice", "name-'Transfer-Encoding '", "fold-te", "lf-hides-te",
              "cr-value", "host-twice", "chunk-spill", "chunk-lf", "connection-te", "cl-'+5'"}
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        seen = 0
        for row in rows():
            if row[0] not in picked:
                continue
            seen += 1
            before = (len(origin.requests), origin.bytes)
            with Client(sluice) as client:
                for i in range(len(row[1])):
                    if not client.try_send(row[1][i:i + 1]):
                        break
                got, how = client.ends()
                # What comes in pieces can meet a closed socket.
                wrong = judge(row, got, "eof" if how == "reset" else how, origin, before)
            check(not wrong, f"{row[0]}: {wrong}")
            http_peers.canary(sluice, origin, str(seen))
        equal(seen, len(picked), "rows found")


def test_attacks_behind_a_good_request():
    """Pipelined: the good one is answered, then the bad one."""
    with HttpOrigin() as origin, http_sluice([origin]) as sluice:
        for row in rows():
            if row[3] != REFUSED or not row[0].startswith(("cl", "te", "host", "name-'T")):
                continue
            with Client(sluice) as client:
                client.try_send(request("GET", "/good") + row[1])
                equal(client.answer().body, b"GET /good", row[0])
                check(client.answer().status in row[2], row[0])
                client.gone()
        equal({r.target for r in origin.requests}, {"/good"}, "targets at the server")


# ----------------------------------------------------------------- answers that attack

BAD_ANSWERS = {
    "te-gzip-last": head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "te-unknown": head_of("HTTP/1.1 200 OK", "Transfer-Encoding: cow") + b"0\r\n\r\n",
    "te-chunked-twice": head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked, chunked")
                        + chunks(b"x"),
    "te-space": head_of("HTTP/1.1 200 OK", "Transfer-Encoding : chunked") + chunks(b"x"),
    "cl-twice": head_of("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6") + b"hello",
    "cl-sign": head_of("HTTP/1.1 200 OK", "Content-Length: +5") + b"hello",
    "cl-list": head_of("HTTP/1.1 200 OK", "Content-Length: 5, 6") + b"hello",
    "cl-text": head_of("HTTP/1.1 200 OK", "Content-Length: five") + b"hello",
    "cl-overflow": head_of("HTTP/1.1 200 OK", "Content-Length: 18446744073709551621") + b"hello",
    "status-099": head_of("HTTP/1.1 099 Low", "Content-Length: 0"),
    "status-999": head_of("HTTP/1.1 999 High", "Content-Length: 0"),
    "status-2000": head_of("HTTP/1.1 2000 Long", "Content-Length: 0"),
    "status-text": head_of("HTTP/1.1 OK", "Content-Length: 0"),
    "version-2": head_of("HTTP/2.0 200 OK", "Content-Length: 0"),
    "version-0.9": b"<html>no head</html>",
    "protocol": head_of("ICY 200 OK", "Content-Length: 0"),
    "name-nul": head_of("HTTP/1.1 200 OK", "X\x00A: b", "Content-Length: 0"),
    "value-nul": head_of("HTTP/1.1 200 OK", "X-A: a\x00b", "Content-Length: 0"),
    "no-colon": head_of("HTTP/1.1 200 OK", "Foo", "Content-Length: 0"),
    "cr-value": b"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "unasked-101": head_of("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
                           "Connection: Upgrade") + b"raw bytes",
    "garbage": bytes(range(128, 256)) + b"\r\n\r\n",
}
# 502, or repaired: the strict parser of the client has looked at what came.
MAY_BE_REPAIRED = {
    "cl-and-te": head_of("HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked")
                 + chunks(b"whole"),
    "cl-twice-same": head_of("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5")
                     + b"whole",
    "reason-nul": head_of("HTTP/1.1 200 O\x00K", "Content-Length: 5") + b"whole",
    "reason-ctl": head_of("HTTP/1.1 200 O\x1b[2JK", "Content-Length: 5") + b"whole",
    "no-reason": head_of("HTTP/1.1 200", "Content-Length: 5") + b"whole",
    "fold": head_of("HTTP/1.1 200 OK", "X-A: a", " b", "Content-Length: 5") + b"whole",
    "lf": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nwhole",
    "leading-crlf": b"\r\n" + reply(b"whole"),
    "te-twice": head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked",
                        "Transfer-Encoding: chunked") + chunks(b"whole"),
    "te-http-1.0": head_of("HTTP/1.0 200 OK", "Transfer-Encoding: chunked") + chunks(b"whole"),
}


def bad_answers(table, judge_answer):
    def script(req, link):
        return table.get(req.target[1:]) or http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin], upstream={"server_timeout": "2s"}) \
            as sluice:
        wrong = []
        for name in table:
            with Client(sluice) as client:
                client.send(request("GET", "/" + name))
                try:
                    problem = judge_answer(client.answer())
                except harness.Failure as failure:
                    problem = str(failure)
                if problem:
                    wrong.append(f"{name}: {problem}")
            http_peers.canary(sluice, origin, name)
            bad = next(r for r in origin.requests if r.target == "/" + name)
            if origin.requests[-1].connection is bad.connection and table is BAD_ANSWERS:
                wrong.append(f"{name}: its connection was used again")
        check(not wrong, "answers:\n  " + "\n  ".join(wrong))


def test_bad_answers_become_502():
    def is_502(answer):
        if answer.status != 502:
            return f"status {answer.status}, body {answer.body[:60]!r}"
        return None if len(answer.body) < 4096 else "a long body"
    bad_answers(BAD_ANSWERS, is_502)


def test_odd_answers_are_repaired_or_502():
    def is_sound(answer):
        if answer.status == 502 or (answer.status == 200 and answer.body == b"whole"):
            return None
        return f"status {answer.status}, body {answer.body[:60]!r}"
    bad_answers(MAY_BE_REPAIRED, is_sound)


def test_bad_chunks_of_an_answer_are_no_clean_end():
    head = head_of("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    table = {str(i): head + body for i, body in enumerate((
        b"5\r\nhello\r\n-1\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello", b"5 \r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX\x00: 1\r\n\r\n", b"x\r\n", b"5;\nhello\r\n0\r\n\r\n"))}
    bad_answers(table, lambda a: "a clean end" if a.status == 200 and a.complete else None)


def stray(extra, pause):
    """Answers, and sends more than that: with the answer, or a little later."""
    def script(req, link):
        answer = http_peers.hello(req, link)
        if req.target != "/stray":
            return answer
        if pause:
            link.send(answer)
            time.sleep(pause)
            link.send(extra)
        else:
            link.send(answer + extra)
        link.strayed = True
        return None
    return script


def test_bytes_behind_an_answer_are_nobodys_answer():
    """Response queue poisoning: the next client of that connection gets his own answer."""
    for extra in (reply(b"poison"), b"\r\n", b"x", reply(b"poison") * 3,
                  head_of("HTTP/1.1 100 Continue"), reply(b"", status="408 Request Timeout")):
        for pause in (0, 0.1):
            with HttpOrigin(stray(extra, pause)) as origin, http_sluice([origin]) as sluice:
                with Client(sluice) as client:
                    answer = client.ask("GET", "/stray")
                    equal((answer.status, answer.body), (200, b"GET /stray"), "the own answer")
                    wait_until(lambda o=origin: hasattr(o.links[0], "strayed"), "nothing strayed")
                    time.sleep(0.1)
                    equal(client.ask("GET", "/same-client").body, b"GET /same-client",
                          "the same client's next answer")
                for i in range(3):
                    http_peers.canary(sluice, origin, str(i))


def test_bytes_behind_a_head_answer():
    """A body where none may be is not the next answer."""
    def script(req, link):
        if req.method == "HEAD":
            return reply(reply(b"poison"))
        return http_peers.hello(req, link)
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice:
        with Client(sluice) as client:
            equal(client.ask("HEAD", "/").status, 200, "HEAD")
        for i in range(3):
            http_peers.canary(sluice, origin, str(i))


def test_too_many_interim_answers():
    """An endless row of 1xx ends at some time, here with the server."""
    def script(_req, link):
        for _ in range(200):
            link.send(head_of("HTTP/1.1 103 Early Hints", "X-A: b"))
        return reply(b"whole")
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        answer = client.ask()
        check(answer.status in (200, 502), f"status {answer.status}")
        equal(origin.opened, 1, "connections")


def test_a_head_of_an_answer_without_end():
    def script(_req, link):
        link.send(b"HTTP/1.1 200 OK\r\n")
        try:
            for i in range(20000):
                link.send(f"X-Field-{i}: {'v' * 90}\r\n".encode())
        except OSError:
            pass
        link.close()
    with HttpOrigin(script) as origin, http_sluice([origin]) as sluice, Client(sluice) as client:
        equal(client.ask().status, 502, "the answer to 2 MB of fields")
        equal(origin.opened, 1, "connections")


# ---------------------------------------------------------------------- a public corpus

def test_the_public_corpus():
    """What RFC 9110 and 9112 ask for is met; what they leave open is counted."""
    path = os.path.join(harness.ROOT, "shared", "corpus", "http11probe.json")
    path = path if os.path.exists(path) else os.path.join(
        harness.ROOT, "..", "shared", "corpus", "http11probe.json")
    if not os.path.exists(path):
        raise Skip("the corpus http11probe.json is not beside this tree")
    with open(path, encoding="utf-8") as f:
        cases = [probe_corpus.Case(c) for c in json.load(f)]
    counts, wrong, told = collections.Counter(), [], []
    with HttpOrigin(probe_corpus.origin_script) as origin, http_sluice(
            [origin], upstream={"server_timeout": "5s"}) as sluice:
        for case in cases:
            outcome = case.run(sluice)
            problem = case.wrong(outcome)
            counts["met" if not problem else "not met" if case.scored else "left open"] += 1
            if problem and case.scored:
                wrong.append(f"{case.name}: {outcome}, wanted {case.expect}")
            elif not case.scored:
                told.append(f"{case.name}: {outcome}")
            http_peers.canary(sluice, origin, case.name)
    print("  " + ", ".join(f"{n} {word}" for word, n in counts.items()))
    print("  left open by the RFCs: " + "; ".join(told))
    check(not wrong, f"{len(wrong)} of the corpus:\n  " + "\n  ".join(wrong))


harness.main(globals())
