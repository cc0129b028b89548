# SPDX-License-Identifier: MIT
"""What the load tool's end-to-end tests share: the origin and the generator as child processes.

A test file defines functions test_*() and ends with load_tool.main(globals()). SLUICE_LOAD is the
program; without it the one in build/ is used. Everything waits with an end, on loopback only.

The machine may be busy with other things. So what a test asserts about time it asserts in
eventually(), which tries again; and a run whose counts alone matter may end with OR_LATE.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "e2e"))

# pylint: disable=wrong-import-position,unused-import
from harness import Failure, Skip, check, free_port, need, wait_until  # noqa: E402,F401

LOAD = os.environ.get("SLUICE_LOAD") or os.path.normpath(
    os.path.join(HERE, "..", "..", "build", "sluice-load"))
RUN_SECONDS = 30
OR_LATE = (0, 4)  # good, or good but for the pace: the generator did not get the processor in time


def near(got, wanted, off, what):
    check(abs(got - wanted) <= off, f"{what}: {got}, not {wanted} within {off}")


def eventually(attempt, tries=3):
    """What a busy machine may spoil: it has to succeed once."""
    for left in reversed(range(tries)):
        try:
            return attempt()
        except Failure:
            if left == 0:
                raise
    return None


class Origin:
    """`sluice-load serve` with the services on free ports; numbers() ends it."""

    def __init__(self, *options, services=("http",)):
        self.ports = {name: free_port() for name in services}
        places = [f"{name}=127.0.0.1:{port}" for name, port in self.ports.items()]
        self.process = subprocess.Popen([LOAD, "serve", "--json", *options, *places],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in places:
            line = self.process.stderr.readline()
            check(line.startswith("serving"), f"the origin says {line!r}")

    def url(self, rest="/"):
        return f"http://127.0.0.1:{self.ports['http']}{rest}"

    def tcp(self, name):
        return f"tcp://127.0.0.1:{self.ports[name]}"

    def connect(self, name="http"):
        s = socket.create_connection(("127.0.0.1", self.ports[name]), timeout=5)
        return s

    def numbers(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=10)
        check(self.process.returncode == 0, f"the origin ended with {self.process.returncode}")
        return json.loads(out.splitlines()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.communicate(timeout=10)


class Recorder:
    """A server that keeps all it receives, by connection, and answers each request with 200.

    answer(body) makes another answer: its bytes, and whether the connection ends behind them.
    prefix(read) reads what comes before the first request of a connection.
    """

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def __init__(self, host="127.0.0.1", prefix=None, answer=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=200)
        self.port = self.listener.getsockname()[1]
        self.prefix, self.answer = prefix, answer
        self.requests = []    # (connection, head, body)
        self.begins = []      # (what came before the first request, its peer)
        self.faults = []
        self.threads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, peer = self.listener.accept()
            except OSError:
                return
            s.settimeout(10)
            thread = threading.Thread(target=self.serve, args=(s, peer), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, s, peer):
        number, read = len(self.threads), s.makefile("rb")
        try:
            if self.prefix and read.peek(1):
                self.begins.append((self.prefix(read), peer, s.getsockname()))
            while line := read.readline():
                head = line
                while (line := read.readline()) not in (b"\r\n", b""):
                    head += line
                length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head + line)
                body = read.read(int(length[1])) if length else b""
                self.requests.append((number, head.decode(), body))
                if self.answer is None:
                    s.sendall(self.ANSWER)
                    continue
                answer, closes = self.answer(body)
                s.sendall(answer)
                if closes:
                    return
        except (OSError, ValueError) as error:
            self.faults.append(repr(error))
        finally:
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for thread in self.threads:
            thread.join(5)

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"


def start(*words):
    return subprocess.Popen([LOAD, *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def run(*words, status=0):
    """Run the generator to its end; status is the one it must end with, or several."""
    done = subprocess.run([LOAD, *map(str, words)], capture_output=True, text=True,
                          timeout=RUN_SECONDS, check=False)
    check(done.returncode in (status if isinstance(status, tuple) else (status,)),
          f"{words} ended with {done.returncode}, not {status}: "
          f"{done.stdout[:2000]}{done.stderr}")
    return done


def load(*words, status=0):
    """Run the generator; all that it printed."""
    done = run(*words, status=status)
    return done.stdout + done.stderr


def measure(*words, status=0):
    """Run the generator with --json; its first run."""
    data = json.loads(run("--json", "-", *words, status=status).stdout)
    check(data["schema"] == "sluice-load.1", data["schema"])
    return data["runs"][0]


def run_test(name, function):
    """'ok', 'skip' or 'FAIL', with one line that says so."""
    began = time.monotonic()
    try:
        function()
    except Skip as why:
        print(f"skip {name}: {why}", flush=True)
        return "skip"
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        print(f"FAIL {name}", flush=True)
        return "FAIL"
    print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return "ok"


def run_twice(name, function):
    """A shared machine can break any test that knows time: one that fails is run again."""
    result = run_test(name, function)
    if result == "FAIL":
        result = run_test(name, function)
        if result == "ok":
            print(f"FLAKY {name}: passed at the second try", flush=True)
    return result


def main(names):
    wanted = sys.argv[1:]
    results = [run_twice(name, function) for name, function in list(names.items())
               if name.startswith("test_") and (not wanted or any(w in name for w in wanted))]
    passed, failed, skipped = (results.count(r) for r in ("ok", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not results else 0 if passed else 77)
