# SPDX-License-Identifier: MIT
"""What the load tool's end-to-end tests share: the origin and the generator as child processes.

A test file defines functions test_*() and ends with load_tool.main(globals()). SLUICE_LOAD is the
program; without it the one in build/ is used. Everything waits with an end, on loopback only.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.environ.get("SLUICE_LOAD") or os.path.normpath(
    os.path.join(HERE, "..", "..", "build", "sluice-load"))
RUN_SECONDS = 30


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def near(got, wanted, off, what):
    check(abs(got - wanted) <= off, f"{what}: {got}, not {wanted} within {off}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


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


def start(*words):
    return subprocess.Popen([LOAD, *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def load(*words, status=0):
    """Run the generator; its standard output."""
    done = subprocess.run([LOAD, *map(str, words)], capture_output=True, text=True,
                          timeout=RUN_SECONDS, check=False)
    check(done.returncode == status, f"{words} ended with {done.returncode}, not {status}: "
          f"{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def measure(*words, status=0):
    """Run the generator with --json; its first run."""
    done = subprocess.run([LOAD, "--json", "-", *map(str, words)], capture_output=True, text=True,
                          timeout=RUN_SECONDS, check=False)
    check(done.returncode == status, f"{words} ended with {done.returncode}, not {status}: "
          f"{done.stdout}{done.stderr}")
    data = json.loads(done.stdout)
    check(data["schema"] == "sluice-load.1", data["schema"])
    return data["runs"][0]


def main(names):
    wanted = sys.argv[1:]
    failed = ran = 0
    for name, function in list(names.items()):
        if not name.startswith("test_") or (wanted and not any(w in name for w in wanted)):
            continue
        began = time.monotonic()
        ran += 1
        try:
            function()
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            traceback.print_exc()
            print(f"FAIL {name}", flush=True)
    print(f"{ran - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
