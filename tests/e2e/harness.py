# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: sluice as a child process, sockets, and the runner.

A test file defines functions test_*() and ends with harness.main(globals()). Environment:
SLUICE is the program, SLUICE_LOAD the load tool, SLUICE_ROOT the source tree; without them
build/ beside tests/ is used. SLUICE_E2E_FULL=1 asks for the large transfers on any build.

Every wait here has an end, traffic stays on loopback, and only processes started here are ended.
"""

import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.environ.get("SLUICE_ROOT") or os.path.normpath(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SLUICE = os.environ.get("SLUICE") or os.path.join(ROOT, "build", "sluice")
SLUICE_LOAD = os.environ.get("SLUICE_LOAD") or os.path.join(os.path.dirname(SLUICE), "sluice-load")
HOST = "127.0.0.1"
TEST_SECONDS = 60     # one test function
START_SECONDS = 15    # from exec to the start report
STEP_SECONDS = 10     # one thing that should happen at once


class Failure(Exception):
    """The test failed: sluice did not do what its contract says."""


class Skip(Exception):
    """This host cannot run the test."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: {got!r}, not {wanted!r}")


def wait_until(condition, what, seconds=STEP_SECONDS, pause=0.02):
    """Polls until the condition holds; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"after {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)


def sanitized():
    with open(SLUICE, "rb") as f:
        return b"__asan_init" in f.read()


def full_size():
    """Whether the large transfers run: on the release build, or when asked for."""
    return os.environ.get("SLUICE_E2E_FULL") == "1" or not sanitized()


def need(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{program} is not installed")
    return path


# ---------------------------------------------------------------------- sockets

_given = set()


def free_port(host=HOST):
    """A port that nobody listens on, below those that outgoing connections take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        port = random.randrange(12000, 32000)
        if port in _given:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise Skip("no free port was found in 200 tries")


def dial(address, timeout=STEP_SECONDS, receive_buffer=None, send_buffer=None):
    """A connected socket; address is (host, port), a path, or @name."""
    if isinstance(address, str):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address = "\0" + address[1:] if address.startswith("@") else address
    else:
        s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                          socket.SOCK_STREAM)
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if send_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    s.settimeout(timeout)
    try:
        s.connect(address)
    except BaseException:
        s.close()
        raise
    return s


def reset(s):
    """Closes with a reset instead of a FIN."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def receive_exactly(s, count):
    parts, left = [], count
    while left:
        data = s.recv(min(left, 1 << 18))
        if not data:
            raise Failure(f"the stream ended {left} of {count} bytes early")
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def receive_all(s):
    parts = []
    while data := s.recv(1 << 18):
        parts.append(data)
    return b"".join(parts)


def ending(s, seconds=STEP_SECONDS):
    """How a stream ends: (bytes before the end, "eof", "reset" or "open" after so long)."""
    s.settimeout(seconds)
    parts = []
    try:
        while data := s.recv(1 << 18):
            parts.append(data)
        how = "eof"
    except (ConnectionResetError, BrokenPipeError):
        how = "reset"
    except (TimeoutError, BlockingIOError):
        how = "open"
    return b"".join(parts), how


def silent(s, seconds=0.3):
    """Whether nothing, not even an end, comes for so long."""
    s.settimeout(seconds)
    try:
        s.recv(1, socket.MSG_PEEK)
        return False
    except (TimeoutError, BlockingIOError):
        return True
    except ConnectionResetError:
        return False
    finally:
        s.settimeout(STEP_SECONDS)


def exchange(s, payload=b"ping"):
    """Sends and expects the same back, as from an echo origin."""
    s.sendall(payload)
    equal(receive_exactly(s, len(payload)), payload, "echo")


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


# ------------------------------------------------------------------------ sluice

class Counter(int):
    """The total; .workers has the share of each worker."""
    workers = ()


COUNTER = re.compile(r"^\S+ info counter (\w+) (\d+)((?: w\d+=\d+)*)$", re.M)
SERVER = re.compile(r"^\S+ info server (\S+?)/(\S+)((?: \w+ \d+)+)$", re.M)
RING = re.compile(r"^\S+ info ring ((?:\w+ [\d.]+ ?)+)$", re.M)
CRASH = re.compile(r"Sanitizer|runtime error:|[Aa]ssert", re.M)


def pairs(text):
    words = text.split()
    return dict(zip(words[::2], (float(w) if "." in w else int(w) for w in words[1::2])))


class Counters(dict):
    """One report: name -> Counter, with .servers[upstream/name] and .ring beside it."""

    def __init__(self, text):
        super().__init__()
        for name, total, shares in COUNTER.findall(text):
            self[name] = Counter(total)
            self[name].workers = [int(w.split("=")[1]) for w in shares.split()]
        self.servers = {f"{u}/{n}": pairs(rest) for u, n, rest in SERVER.findall(text)}
        self.ring = pairs(RING.search(text)[1])

    def closes(self):
        """The reasons that occurred, without their prefix."""
        return {n[len("close_"):]: int(v) for n, v in self.items()
                if n.startswith("close_") and v}


def section(name, keys):
    lines = [f"[{name}]"]
    for key, value in keys.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            lines.append(f"{key} = {one}")
    return "\n".join(lines) + "\n\n"


def written(address):
    """An address as proxy.ini writes it."""
    if isinstance(address, str):
        return f"unix:{address}" if address[0] in "/@" else address
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


class Sluice:
    """A running sluice; as a context manager it ends well, or the test fails.

    servers are addresses, or strings as written in proxy.ini; proxy, listener and upstream are
    further keys of their sections; text is appended. .address is where the first bind listens.
    """

    def __init__(self, servers, bind=None, proxy=None, listener=None, upstream=None, text="",
                 pass_fds=(), prefix=(), start=True, rests=True):
        self.folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        os.chmod(self.folder, 0o755)
        self.log_path = os.path.join(self.folder, "stderr")
        self.ini = os.path.join(self.folder, "proxy.ini")
        self.address = (HOST, free_port()) if bind is None else bind
        binds = [bind] if isinstance(bind, (str, tuple)) or bind is None else bind
        self.address = self.address[0] if isinstance(bind, list) else self.address
        keys = {"workers": 1, "max_sessions": 1000, "buffer_memory": "16M", "huge_pages": "off"}
        keys.update(proxy or {})
        self.text = section("proxy", keys)
        self.text += section("listener web", {
            "bind": [written(b or self.address) for b in binds], "upstream": "app",
            **(listener or {})})
        self.text += section("upstream app", {
            "server": [written(s) for s in servers], **(upstream or {})}) + text
        with open(self.ini, "w", encoding="utf-8") as f:
            f.write(self.text)
        self.process, self.pass_fds, self.prefix = None, pass_fds, list(prefix)
        self.status = None
        self.pool = 0  # payload memory as reserved
        self.rests = rests
        if start:
            try:
                self.start()
            except BaseException:
                self.kill()
                shutil.rmtree(self.folder, ignore_errors=True)
                raise

    # -- its life

    def start(self, ready=True):
        command = [*self.prefix, SLUICE, "-c", self.ini]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=self.pass_fds, cwd=self.folder, start_new_session=True)
        if ready:
            wait_until(lambda: self.ended() or "\n  limits " in self.log(),
                       "sluice printed no start report", START_SECONDS)
            if self.ended():
                raise Failure(f"sluice ended with {self.status} at start:\n{self.log()}")
            self.pool = self.count("slices_free_bytes")
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.status is None:
                self.stop()
        finally:
            self.kill()
            if kind is not None and issubclass(kind, Exception) and kind is not Skip:
                error.add_note("sluice's log, its last lines:\n" + self.tail())
            shutil.rmtree(self.folder, ignore_errors=True)

    def ended(self):
        if self.process is not None and self.status is None:
            self.status = self.process.poll()
        return self.status is not None

    def kill(self):
        if self.process is not None and not self.ended():
            self.process.kill()
            self.status = self.process.wait(STEP_SECONDS)

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        check(not self.ended(), f"sluice has ended with {self.status}:\n{self.tail()}")
        self.process.send_signal(number)

    def wait(self, seconds=STEP_SECONDS):
        """Its exit status; what it printed must not tell of a crash."""
        wait_until(self.ended, "sluice is still running", seconds)
        crash = CRASH.search(self.log())
        check(crash is None and self.status >= 0,
              f"sluice ended with {self.status}:\n{self.log()[-4000:]}")
        return self.status

    def stop(self, status=0, seconds=STEP_SECONDS):
        """Checks that all came to rest, then ends it with TERM."""
        if self.rests and status == 0:
            self.at_rest()
        self.signal(signal.SIGTERM)
        equal(self.wait(seconds), status, "exit status after TERM")

    # -- what it says

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def tail(self, lines=12):
        told = [l for l in self.log().split("\n") if " counter " not in l]
        return "\n".join(told[-lines:])

    def wait_log(self, expression, seconds=STEP_SECONDS):
        return wait_until(lambda: re.search(expression, self.log(), re.M),
                          f"the log has no {expression!r}", seconds)

    def counters(self):
        def reports():
            return RING.findall(self.log())
        before = len(reports())
        start = len(self.log())
        self.signal(signal.SIGUSR1)
        wait_until(lambda: self.ended() or len(reports()) > before, "no counters after USR1")
        check(not self.ended(), f"sluice ended with {self.status} at USR1:\n{self.tail()}")
        return Counters(self.log()[start:])

    def count(self, name):
        return self.counters()[name]

    def wait_count(self, name, wanted, seconds=STEP_SECONDS):
        """Polls a counter until it is as wanted (a number or a predicate)."""
        fits = wanted if callable(wanted) else lambda value: value == wanted
        last = {}

        def reached():
            last["all"] = self.counters()
            return fits(last["all"][name])
        wait_until(reached, lambda: f"counter {name} is {last['all'][name]}, closes "
                   f"{last['all'].closes()}, wanted {'other' if callable(wanted) else wanted}",
                   seconds, pause=0.05)
        return last["all"]

    def at_rest(self, seconds=STEP_SECONDS):
        """All sessions ended: then everything that was lent is home again."""
        now = self.wait_count("sessions", 0, seconds)
        whole = self.pool
        wait_until(lambda: self.count("slices_free_bytes") == whole,
                   lambda: f"{whole - self.count('slices_free_bytes')} bytes of slices are lost",
                   seconds)
        now = self.counters()
        equal(now["starved"], 0, "starved at rest")
        equal(now["overflows"], 0, "overflows")
        equal(sum(now.closes().values()), now["sessions_total"], "sessions with a close reason")
        for name, server in now.servers.items():
            equal(server["server_sessions"], 0, f"sessions at {name} at rest")
        return now

    # -- traffic and its cost

    def connect(self, **options):
        return dial(self.address, **options)

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def private_bytes(self):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as f:
            return sum(int(m[1]) << 10 for m in
                       re.finditer(r"^Private_\w+:\s+(\d+) kB", f.read(), re.M))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def run(*arguments, seconds=STEP_SECONDS, command=None, **options):
    """sluice with these arguments, to its end: (status, all that it printed)."""
    done = subprocess.run([*(command or [SLUICE]), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                          text=True, errors="replace", check=False, **options)
    check(not CRASH.search(done.stdout), f"a crash:\n{done.stdout[-4000:]}")
    return done.returncode, done.stdout


# ------------------------------------------------------------------------ runner

def _on_alarm(_number, _frame):
    raise Failure(f"took longer than {TEST_SECONDS} s")


def run_test(name, function):
    """'ok', 'skip' or 'FAIL', with one line that says so."""
    started = time.monotonic()
    signal.alarm(TEST_SECONDS)
    try:
        function()
        signal.alarm(0)
        print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
        return "ok"
    except Skip as why:
        signal.alarm(0)
        print(f"skip {name}: {why}", flush=True)
        return "skip"
    except Exception as error:  # pylint: disable=broad-except
        signal.alarm(0)
        first = str(error).split("\n", maxsplit=1)[0]
        print(f"FAIL {name} {type(error).__name__}: {first}", flush=True)
        traceback.print_exc(limit=-6)
        return "FAIL"


def run_twice(name, function):
    """A machine that is shared can break any test that knows time: one that fails is run again, and
    what then passes is said to be flaky."""
    result = run_test(name, function)
    if result != "FAIL":
        return result
    sys.stdout.flush()
    result = run_test(name, function)
    if result == "ok":
        print(f"FLAKY {name}: passed at the second try", flush=True)
    return result


def main(names):
    """Runs the test_* functions in the order of the file, or those named on the command line."""
    tests = {n: f for n, f in names.items() if n.startswith("test_") and callable(f)}
    wanted = sys.argv[1:] or list(tests)
    unknown = [n for n in wanted if n not in tests]
    if unknown:
        print(f"no such test: {' '.join(unknown)}; there are: {' '.join(tests)}", file=sys.stderr)
        sys.exit(2)
    if not os.access(SLUICE, os.X_OK):
        print(f"skip: {SLUICE} is not built")
        sys.exit(77)
    signal.signal(signal.SIGALRM, _on_alarm)
    results = [run_twice(n, tests[n]) for n in wanted]
    sys.stdout.flush()
    if "FAIL" in results:
        sys.exit(1)
    sys.exit(0 if "ok" in results else 77)
