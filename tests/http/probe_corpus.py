# SPDX-License-Identifier: MIT
"""The cases of a public corpus of HTTP/1.1 requests: what each sends, and what RFCs let it get."""

import base64
import random
import re

import http_peers
from http_peers import Client, head_of, reply
import harness

# What the corpus writes in words, and the bytes meant.
WORDS = (
    (r"\[256 bytes of pseudorandom.*\]", lambda m: random.Random(42).randbytes(256)),
    (r"\(zero bytes .*\)", lambda m: b""),
    (r"(?:(.)\1\1\1)?\.\.\.\{([\d,]+) (?:x|\xc3\x97) '(.)'\}\.\.\.",
     lambda m: m[3] * int(m[2].replace(b",", b""))),
    (r"X-H-0: .*X-H-9999: value", lambda m: b"\r\n".join(b"X-H-%d: value" % i
                                                         for i in range(10000))),
    (r"k0=v0; .*k999=v999", lambda m: b"; ".join(b"k%d=v%d" % (i, i) for i in range(1000))),
    (r"AAAA\.\.\.AAAA", lambda m: b"A" * 65536),
    (r"aaaa\.\.\.aaa", lambda m: b"a" * 7900),
    (r"0-,0-,0-,\.\.\.\{1000 total\}\.\.\.", lambda m: b",".join([b"0-"] * 1000)),
    (r"AAAAAAAAAA\.\.\. \(200 bytes\)", lambda m: b"A" * 200),
    (r"\[TAB\]", lambda m: b"\t"),
)


def origin_script(req, link):
    """A server that does its own part of what the corpus asks for."""
    if req.target.startswith("/canary"):
        return http_peers.hello(req, link)
    common = ("Date: Thu, 01 Jan 2026 00:00:00 GMT", "Content-Type: text/plain")
    if req.method in ("DELETE", "TRACE", "CONNECT"):
        return reply(b"", "Allow: GET, POST, OPTIONS", *common, status="405 Method Not Allowed")
    if req.method == "OPTIONS":
        return head_of("HTTP/1.1 204 No Content", "Allow: GET, POST, OPTIONS", *common)
    if not re.fullmatch("GET|HEAD|POST|PUT", req.method):
        return reply(b"", *common, status="501 Not Implemented")
    if req.method == "HEAD":
        return head_of("HTTP/1.1 200 OK", *common, "Content-Length: 10")
    return reply("; ".join(req.all("cookie")).encode("latin-1") + b" whole", *common)


class Outcome:
    def __init__(self, status, how):
        self.status, self.how = status, how

    def __str__(self):
        return f"{self.status or 'no answer'}, {self.how}"


class Case:
    def __init__(self, row):
        self.name, self.expect = row["name"], row["expect"]
        level, accepted, _ = ([p.strip() for p in row["expect"].split("|")] + ["", ""])[:3]
        self.bytes = base64.b64decode(row["bytes_base64"])
        for words, meant in WORDS:
            self.bytes = re.sub(words.encode("latin-1"), meant, self.bytes, flags=re.S)
        self.scored = bool(re.search(r"MUST|SHOULD", level)) \
            and not re.search(r"unscored|No MUST", level)
        clauses = [c for c in re.split(r"[;,]", accepted) if "arn" not in c]
        self.accepted = " ".join(clauses)
        self.may_wait = "timeout" in accepted
        self.must_close = "connection closed" in accepted
        self.with_body = re.match(rb"HEAD ", self.bytes) is None

    def run(self, sluice):
        """The first answer to it, and what became of the connection."""
        seconds = 0.7 if self.may_wait else harness.STEP_SECONDS
        with Client(sluice, timeout=seconds) as client:
            client.try_send(self.bytes)
            status = None
            try:
                answer = client.answer("POST" if self.with_body else "HEAD")
                status, ends = answer.status, "close" in answer.options() or self.must_close
                wait = harness.STEP_SECONDS if ends else 0.02
                how = "open" if client.ends(wait)[1] == "open" else "end"
            except harness.Failure as failure:
                if "malformed" in str(failure):
                    raise
                how = "open" if "no answer" in str(failure) else "end"
            return Outcome(status, how)

    def wrong(self, outcome):
        """Whether the outcome is none of those accepted."""
        if self.must_close and outcome.how != "end":
            return True
        if outcome.status is None:
            return not (self.may_wait or (outcome.how == "end" and self._may_close()))
        status = str(outcome.status)
        if status in self.accepted or status[0] + "xx" in self.accepted:
            return False
        if re.search(r"(?i)non-|not `101`|any status|any response", self.accepted):
            return outcome.status < 200
        # A refusal by another status, with the end of the connection.
        return not (outcome.status >= 400 and outcome.how == "end" and self._may_close())

    def _may_close(self):
        return re.search(r"(?i)close|reject", self.accepted) is not None
