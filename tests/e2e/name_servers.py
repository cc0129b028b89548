# SPDX-License-Identifier: MIT
"""Name servers of the end-to-end tests, whose answers change: one that follows a script, dnsmasq
and unbound. All of them listen on 127.0.0.1 only and know the names below .test only.

A zone is {name: {"A": [address], "AAAA": [address], "SRV": [(priority, weight, port, target)],
"CNAME": name}}; a name that is not in it does not exist.
"""

import collections
import os
import pwd
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import harness
from harness import HOST, Failure, Skip, check, need, wait_until

NUMBERS = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}
KINDS = {number: kind for kind, number in NUMBERS.items()}
OPT = 41
CODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
POISON = "127.0.0.99"  # what answers say that are not to be believed


def zone_of(name="app.test", *addresses):
    """A zone with one name; addresses with a colon are of IPv6."""
    return {name: {"A": [a for a in addresses if ":" not in a],
                   "AAAA": [a for a in addresses if ":" in a]}}


# ------------------------------------------------------------------------ messages

def written_name(name):
    return b"".join(bytes([len(l)]) + l.encode("ascii") for l in name.split(".") if l) + b"\0"


def read_name(data, at):
    """(name, where it ends); pointers are followed."""
    labels, end = [], None
    for _ in range(128):
        size = data[at]
        if size & 0xc0:
            end = end or at + 2
            at = struct.unpack_from("!H", data, at)[0] & 0x3fff
        elif size:
            labels.append(data[at + 1:at + 1 + size].decode("ascii"))
            at += 1 + size
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name without an end")


def written_value(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "CNAME":
        return written_name(value)
    return struct.pack("!HHH", *value[:3]) + written_name(value[3])


def read_value(kind, data, at, size):
    if kind == "A":
        return socket.inet_ntoa(data[at:at + 4])
    if kind == "AAAA":
        return socket.inet_ntop(socket.AF_INET6, data[at:at + 16])
    if kind == "CNAME":
        return read_name(data, at)[0]
    if kind == "SRV":
        return (*struct.unpack_from("!HHH", data, at), read_name(data, at + 6)[0] or ".")
    return data[at:at + size]


class Question:
    """What a query asks, and how large an answer may be."""

    def __init__(self, data, most=512):
        self.id, flags, count, _, _, more = struct.unpack_from("!6H", data)
        if flags & 0x8000 or count != 1:
            raise ValueError("not a query")
        self.name, end = read_name(data, 12)
        number, _ = struct.unpack_from("!2H", data, end)
        self.kind = KINDS.get(number, str(number))
        self.text = data[12:end + 4]
        self.most = most
        if more and data[end + 4:end + 5] == b"\0" and \
                struct.unpack_from("!H", data, end + 5)[0] == OPT:
            self.most = max(most, struct.unpack_from("!H", data, end + 7)[0])


def written_answer(question, code, records, ttl, truncated=False, number=None):
    """records are (owner, kind, value)."""
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    head = struct.pack("!6H", question.id if number is None else number, flags, 1,
                       0 if truncated else len(records), 0, 0)
    body = question.text
    for owner, kind, value in [] if truncated else records:
        data = written_value(kind, value)
        body += written_name(owner) + struct.pack("!HHIH", NUMBERS[kind], 1, ttl, len(data)) + data
    return head + body


def ask(address, name, kind, seconds=1):
    """(code, values) of an answer over UDP, or None when there is none."""
    query = struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + written_name(name) + \
        struct.pack("!2H", NUMBERS[kind], 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        try:
            s.connect(address)
            s.send(query)
            data = s.recv(65535)
        except (TimeoutError, ConnectionRefusedError):
            return None
    number, flags, _, count, _, _ = struct.unpack_from("!6H", data)
    check(number == 4711, f"the id of an answer is {number}")
    at, values = read_name(data, 12)[1] + 4, []
    for _ in range(count):
        at = read_name(data, at)[1]
        got, _, _, size = struct.unpack_from("!HHIH", data, at)
        if got == NUMBERS[kind]:
            values.append(read_value(kind, data, at + 10, size))
        at += 10 + size
    code = next(word for word, n in CODES.items() if n == flags & 15)
    return "truncated" if flags & 0x0200 else code, values


# ---------------------------------------------------------------- one with a script

Asked = collections.namedtuple("Asked", "time name kind over")


class Scripted:
    """Answers from .zone, in another order each time, with .ttl (a number, or {name: number}),
    after .delay seconds; .asked is what it was asked.

    fault() makes it fail: FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED; silent; garbage; truncated
    (over UDP, whole over TCP); forged (answers with a wrong id and to another question come before
    the right one).
    """

    def __init__(self, zone=None, ttl=0, start=True, host=HOST, port=None):
        self.zone, self.ttl, self.delay = zone or {}, ttl, 0.0
        self.faults, self.asked, self.turn = {}, [], 0
        self.address = (host, port or harness.free_port(host))
        self.ending, self.thread, self.sockets = False, None, []
        if start:
            self.start()

    @property
    def written(self):
        return harness.written(self.address)

    def set(self, zone):
        self.zone = zone

    def fault(self, what, name="*", kind="*"):
        self.faults[name.lower(), kind] = what

    def heal(self):
        self.faults = {}

    def times(self, name="app.test", kind="A"):
        return [a.time for a in list(self.asked) if a.name == name and a.kind == kind]

    def wait_asked(self, more=1, name="app.test", kind="A", seconds=harness.STEP_SECONDS):
        """Waits until it was asked so many times more."""
        before = len(self.times(name, kind))
        wait_until(lambda: len(self.times(name, kind)) >= before + more,
                   lambda: f"asked for {kind} of {name} {len(self.times(name, kind)) - before} "
                           f"and not {more} times more", seconds)

    # -- the thread

    def start(self):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets = [udp, tcp]
        for s in self.sockets:
            s.bind(self.address)
        tcp.listen(16)
        self.ending = False
        self.thread = threading.Thread(target=self._run, args=(udp, tcp), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Nobody listens at the address any more."""
        self.ending = True
        if self.thread:
            self.thread.join(harness.STEP_SECONDS)
        for s in self.sockets:
            s.close()
        self.thread, self.sockets = None, []

    def _run(self, udp, tcp):
        waiting = []
        while not self.ending:
            now = time.monotonic()
            for due, to, data in [w for w in waiting if w[0] <= now]:
                udp.sendto(data, to)
            waiting = [w for w in waiting if w[0] > now]
            pause = min([0.05] + [w[0] - now for w in waiting])
            for s in select.select([udp, tcp], [], [], max(pause, 0))[0]:
                if s is tcp:
                    threading.Thread(target=self._over_tcp, args=(tcp.accept()[0],),
                                     daemon=True).start()
                    continue
                data, to = udp.recvfrom(65535)
                waiting += [(time.monotonic() + self.delay, to, answer)
                            for answer in self._answers(data, "udp")]

    def _over_tcp(self, s):
        """As many questions as come over the connection."""
        s.settimeout(2)
        with s:
            try:
                while not self.ending:
                    size = struct.unpack("!H", harness.receive_exactly(s, 2))[0]
                    for answer in self._answers(harness.receive_exactly(s, size), "tcp"):
                        s.sendall(struct.pack("!H", len(answer)) + answer)
            except (OSError, Failure):
                pass

    def _answers(self, data, over):
        try:
            question = Question(data)
        except (ValueError, IndexError, struct.error, UnicodeDecodeError):
            return []
        name = question.name.lower()
        self.asked.append(Asked(time.monotonic(), name, question.kind, over))
        faults = self.faults
        fault = next((faults[key] for key in ((name, question.kind), (name, "*"),
                                              ("*", question.kind), ("*", "*")) if key in faults),
                     None)
        if fault == "silent":
            return []
        if fault == "garbage":
            return [data[:2] + b"\x81\x80" + b"\xff" * 30]
        if fault in CODES:
            return [written_answer(question, CODES[fault], [], 0)]
        answer = self._good(question, name, fault == "truncated" and over == "udp", over)
        return [*(self._forged(question) if fault == "forged" else []), answer]

    def _good(self, question, name, truncated, over):
        zone, owner, records = self.zone, name, []
        while owner in zone and "CNAME" in zone[owner]:
            records.append((owner, "CNAME", zone[owner]["CNAME"]))
            owner = zone[owner]["CNAME"]
        values = zone.get(owner, {}).get(question.kind, [])
        self.turn += 1
        first = self.turn % max(len(values), 1)
        records += [(owner, question.kind, v) for v in [*values[first:], *values[:first]]]
        code = 0 if owner in zone else CODES["NXDOMAIN"]
        ttl = self.ttl.get(name, 0) if isinstance(self.ttl, dict) else self.ttl
        answer = written_answer(question, code, records, ttl, truncated)
        if over == "udp" and len(answer) > question.most:
            answer = written_answer(question, code, records, ttl, True)
        return answer

    def _forged(self, question):
        lies = [(question.name, "A", POISON)] if question.kind == "A" else []
        other = Question(struct.pack("!6H", question.id, 0x0100, 1, 0, 0, 0) +
                         written_name("other.test") + question.text[-4:])
        lie = [("other.test", "A", POISON)] if question.kind == "A" else []
        return [written_answer(question, 0, lies, 3600, number=question.id ^ 1),
                written_answer(other, 0, lie, 3600)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# ------------------------------------------------------------- those of other projects

class Real:
    """A name server of another project, with its files in a folder of its own."""

    def __init__(self, zone, ttl=0):
        self.program = need(self.name)
        self.port = harness.free_port()
        self.address = (HOST, self.port)
        self.zone, self.ttl, self.process = zone, ttl, None
        self.names = set()
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-names-")
        os.chmod(self.folder.name, 0o755)
        self.output = open(os.path.join(self.folder.name, "output"), "ab")
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise

    @property
    def written(self):
        return harness.written(self.address)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name) + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(self.path(name) + ".new", 0o644)
        os.rename(self.path(name) + ".new", self.path(name))

    def begin(self):
        self.write_zone()
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
            cwd=self.folder.name, start_new_session=True)
        self.wait_for(self.zone)

    def end(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def answers(self, zone):
        """Whether it answers for all of these names as it should."""
        if self.process.poll() is not None:
            with open(self.path("output"), encoding="utf-8", errors="replace") as f:
                raise Skip(f"{self.name} ended with {self.process.returncode}: {f.read()[-500:]}")
        self.names |= set(zone)
        for name in self.names:
            for kind in ("A", "AAAA", "SRV"):
                wanted = zone.get(name, {}).get(kind, [])
                got = ask(self.address, name, kind, 0.5)
                if got is None or sorted(got[1]) != sorted(wanted):
                    return False
                if (got[0] == "NXDOMAIN") != (name not in zone):
                    return False
        return True

    def wait_for(self, zone):
        wait_until(lambda: self.answers(zone), lambda: f"{self.name} does not answer as it should")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.output.close()
        self.folder.cleanup()


class Dnsmasq(Real):
    """Addresses are read again from its file of hosts; other records make it start again."""

    name = "dnsmasq"

    def command(self):
        return [self.program, "--keep-in-foreground", f"--conf-file={self.path('conf')}"]

    def write_zone(self):
        lines = ["no-resolv", "no-hosts", f"addn-hosts={self.path('hosts')}", f"port={self.port}",
                 f"listen-address={HOST}", "bind-interfaces", "local=/test/", "pid-file=",
                 f"local-ttl={self.ttl}", "log-facility=-",
                 f"user={pwd.getpwuid(os.getuid()).pw_name}"]
        for name, kinds in self.zone.items():
            lines += [f"srv-host={name},{target},{port},{priority},{weight}"
                      for priority, weight, port, target in kinds.get("SRV", [])]
        self.write("conf", "\n".join(lines) + "\n")
        self.write_hosts()

    def write_hosts(self):
        self.write("hosts", "".join(
            f"{address} {name}\n" for name, kinds in self.zone.items()
            for kind in ("A", "AAAA") for address in kinds.get(kind, [])))

    def set(self, zone):
        """Until it answers so."""
        services = [{n: k["SRV"] for n, k in z.items() if "SRV" in k} for z in (self.zone, zone)]
        self.zone = zone
        if services[0] == services[1]:
            self.write_hosts()
            self.process.send_signal(signal.SIGHUP)
        else:
            self.end()
            self.begin()
        self.wait_for(zone)


UNBOUND = """
server:
  interface: {host}@{port}
  access-control: 127.0.0.0/8 allow
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: ""
  logfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  do-ip6: no
  module-config: "iterator"
  local-zone: "." refuse
  local-zone: "test." static
  include: "{folder}/zone"
remote-control:
  control-enable: yes
  control-interface: "{folder}/control"
  control-use-cert: no
"""


class Unbound(Real):
    """Told over its socket to read its files again: its own sockets stay, no query is lost."""

    name = "unbound"

    def command(self):
        return [self.program, "-d", "-c", self.path("conf")]

    def write_zone(self):
        self.control = need("unbound-control")
        self.write("conf", UNBOUND.format(host=HOST, port=self.port, folder=self.folder.name))
        lines = []
        for name, kinds in self.zone.items():
            for kind, values in kinds.items():
                texts = [" ".join(str(v) for v in value) if kind == "SRV" else value
                         for value in values]
                lines += [f"  local-data: '{name}. {self.ttl} IN {kind} {t}'\n" for t in texts]
        self.write("zone", "".join(lines))

    def set(self, zone):
        """Until it answers so."""
        self.zone = zone
        self.write_zone()
        subprocess.run([self.control, "-c", self.path("conf"), "reload"], check=True,
                       stdout=subprocess.DEVNULL, timeout=harness.STEP_SECONDS)
        self.wait_for(zone)


REAL = (Dnsmasq, Unbound)
