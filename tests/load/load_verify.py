# SPDX-License-Identifier: MIT
"""--verify: which answers count as refused requests, and which as lost or wrong content."""

import contextlib
import random
import socket
import struct
import threading

import load_tool
from load_tool import Origin, Recorder, check, load, measure

PAGE = b"<html><title>no server is available</title><p>the upstream said nothing</html>\n"
assert len(PAGE) > 32


def answer(status, body, close=False):
    """A whole answer, and whether the connection ends behind it."""
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n"
    head += "Connection: close\r\n" if close else ""
    return head.encode() + b"\r\n" + body, close


def chunked(status, *parts):
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return (f"HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body +
            b"0\r\n\r\n", False)


def until_close(status, body):
    return f"HTTP/1.1 {status} x\r\n\r\n".encode() + body, True


REFUSALS = (
    ("502", answer(502, PAGE)), ("503", answer(503, b"")), ("504", answer(504, b"Gateway\n")),
    ("503", chunked(503, PAGE[:10], PAGE[10:50], PAGE[50:])), ("503", answer(503, b"SL")),
    ("502", answer(502, PAGE, close=True)), ("504", until_close(504, PAGE)),
    ("502", (b"HTTP/1.1 103 x\r\n\r\n" + answer(502, PAGE * 50)[0], False)))


def refused(run):
    return {status: run["counts"][f"refused_{status}"] for status in ("502", "503", "504")}


def test_refused_requests_are_counted_by_their_status():
    """Between good answers, in pieces of any kind, they leave no trace in what follows."""
    draw, told = random.Random(1), {"502": 0, "503": 0, "504": 0}
    lock = threading.Lock()

    def some(body):
        with lock:
            if draw.random() < 0.5:
                return answer(200, body)
            status, told_so = draw.choice(REFUSALS)
            told[status] += 1
            return told_so
    for words in (("-n", 400), ("-n", 400, "--size", 70000), ("-n", 400, "--mode", "crr")):
        told.update(dict.fromkeys(told, 0))
        with Recorder(answer=some) as server:
            run = measure("-c", 3, "--verify", *words, server.url())
        counts = run["counts"]
        check(not server.faults and run["errors"] == [], (words, server.faults, run["errors"]))
        check(refused(run) == told and min(told.values()) > 0, (words, counts, told))
        check(counts["completed"] == 400 == counts["verified"] + sum(told.values()), counts)
        check(run["statuses"] == {"200": counts["verified"], **told}, run["statuses"])
        check(counts["errors"] == 0 and counts["lost"] == 0, counts)


def test_refused_requests_have_a_row_and_a_condition():
    with Recorder(answer=lambda body: answer(503, PAGE)) as server:
        out = load("-c", 2, "-n", 20, "--verify", "--fail-if", "errors>0", server.url())
        check("\n  refused: 20 (503 x 20), neither right nor wrong\n" in out, out)
        check("verified: 0 right, 0 wrong" in out and " 0 errors" in out, out)
        out = load("-c", 2, "-n", 20, "--verify", "--fail-if", "refused>19", server.url(), status=3)
        check("failed: refused>19" in out, out)
        run = measure("-c", 2, "-n", 20, server.url())
        check(sum(refused(run).values()) == 0, "not asked to verify")
    with Recorder(answer=lambda body: answer(200, body)) as server:
        out = load("-c", 2, "-n", 20, "--verify", "--fail-if", "refused>0", server.url())
        check("refused" not in out, out)


def test_a_refusal_in_a_pipeline_does_not_shift_the_answers():
    count = [0]

    def third(body):
        count[0] += 1
        return answer(503, PAGE) if count[0] % 3 == 0 else answer(200, body)
    with Recorder(answer=third) as server:
        run = measure("-c", 1, "-p", 16, "-n", 300, "--verify", "--size", 500, server.url())
    check(run["errors"] == [] and run["counts"]["verified"] == 200, run)
    check(refused(run) == {"502": 0, "503": 100, "504": 0}, run["counts"])


def changed(frame, at=-1):
    out = bytearray(frame)
    out[at] ^= 1
    return bytes(out)


def of_another(frame):
    number = struct.unpack("<Q", frame[24:32])[0]
    return frame[:24] + struct.pack("<Q", number + 1) + frame[32:]


def test_what_is_no_refusal_stays_an_error_of_its_kind():
    own = answer(502, PAGE)[0]
    rows = (
        # A proxy's words within an answer that had begun.
        (lambda f: answer(200, f[:200] + own + f[200 + len(own):]), "verify", "wrong bytes"),
        (lambda f: (answer(200, f)[0][:300] + own, True), "receive", "closed within an answer"),
        (lambda f: (chunked(200, f[:100], f[100:])[0][:160] + own * 20, True), "verify",
         "wrong bytes"),
        (lambda f: (chunked(200, f[:100])[0][:-5] + own, True), "parse",
         "the chunked body is malformed"),
        (lambda f: (chunked(200, f)[0][:-5] + own, True), "parse",
         "the chunked body is malformed"),
        (lambda f: until_close(200, f[:500] + own), "verify", "short"),
        # .. behind one that was whole, and before any.
        (lambda f: (answer(200, f)[0] + own, True), "parse", "bytes that belong to no request"),
        (lambda f: (PAGE + own, True), "parse", "the first line is malformed"),
        # Its own answer, not whole.
        (lambda f: (own[:-5], True), "receive", "closed within an answer"),
        (lambda f: (own[:30], True), "receive", "closed within an answer"),
        (lambda f: (chunked(503, PAGE)[0][:-5], True), "receive", "closed within an answer"),
        # Statuses that tell of the request or of the server.
        (lambda f: answer(500, PAGE), "verify", "no frame: an answer with an error status"),
        (lambda f: answer(501, PAGE), "verify", "no frame: an answer with an error status"),
        (lambda f: answer(505, b""), "verify", "no frame: an answer with an error status"),
        (lambda f: answer(400, b"no"), "verify", "no frame: an answer with an error status"),
        (lambda f: answer(200, PAGE), "verify", "no frame: bytes lost, added or changed"),
        (lambda f: answer(204, b""), "verify", "no frame: bytes lost, added or changed"),
        # Frames are checked whatever the status.
        (lambda f: answer(503, changed(f)), "verify", "wrong bytes"),
        (lambda f: answer(503, changed(f, 20)), "verify", "no frame"),
        (lambda f: answer(503, of_another(f)), "verify", "swapped"),
        (lambda f: answer(503, f[:20]), "verify", "short"),
        (lambda f: answer(503, f[:900]), "verify", "short"),
        (lambda f: answer(200, f[:20]), "verify", "short"),
        (lambda f: answer(200, f + b"x"), "verify", "more than was asked for"),
        (lambda f: answer(503, f + b"x"), "verify", "more than was asked for"),
        (lambda f: answer(200, f + f), "verify", "more than was asked for"),
        (lambda f: until_close(200, f[:-1]), "verify", "short"))
    for number, (make, phase, what) in enumerate(rows):
        with Recorder(answer=make) as server:
            run = measure("-c", 1, "-n", 1, "--verify", "--size", 1000, server.url())
        told = [(e["phase"], e["what"][:len(what)]) for e in run["errors"]]
        check(told == [(phase, what)], (number, what, run["errors"]))
        check(sum(refused(run).values()) == 0, (number, what, run["counts"]))


def test_frames_are_good_whatever_the_status():
    with Origin("--status", "503:50") as origin:
        run = measure("-c", 4, "-n", 400, "--verify", origin.url())
    check(run["counts"]["verified"] == 400 and run["errors"] == [], run)
    check(100 < run["statuses"]["503"] < 300 and sum(refused(run).values()) == 0, run["statuses"])


def test_over_tcp_there_are_no_refusals():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            for _ in range(2):
                s, _ = listener.accept()
                with s, contextlib.suppress(OSError):
                    s.recv(1 << 16)
                    s.sendall(answer(503, PAGE)[0])
                    while s.recv(1 << 20):
                        pass
        threading.Thread(target=serve, daemon=True).start()
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        for words in (("--mode", "rr", "-n", 1), ("--mode", "stream", "--direction", "both",
                                                  "-d", "300ms")):
            run = measure("-c", 1, "--verify", *words, url)
            check({(e["phase"], e["what"]) for e in run["errors"]} >=
                  {("verify", "no frame: bytes lost, added or changed")}, (words, run["errors"]))
            check(sum(refused(run).values()) == 0, run["counts"])


if __name__ == "__main__":
    load_tool.main(globals())
