# SPDX-License-Identifier: MIT
"""Choreography by a foreign tool: varnishtest (of the package varnish) is client and server, sluice
stands between them; each script in vtc/ is one test.

varnishtest has a parser and a writer of HTTP of its own, so that an error which the peers in
http_peers.py share with sluice does not stay hidden. Comments at the beginning of a script say how
sluice is started and what it has to have counted when the script has passed:

    # proxy: KEY = VALUE         a key of [proxy]; so listener: and upstream:
    # server: ADDRESS            a server of [upstream app]; several take turns. Without one: {s1}
    # ini: LINE                  a line behind all of these
    # file: NAME TEXT            a file with this text
    # count: NAME NUMBER         a counter at the end
    # closes: REASON NUMBER      sessions that ended for this reason; with one such line none may
                                 have ended for any other reason

{s1}, {s2}, {s3} stand for addresses of servers as proxy.ini writes them, {dead} for one where
nobody listens, {files} for the folder of the files. In the script ${sluice}, ${s1}, ${s2} and
${s3} are the addresses as varnishtest writes them, and ${s1at} is what {s1} is.
"""

import os
import re
import shutil
import subprocess
import tempfile

from http_peers import HOST, Failure, Sluice, equal
import harness

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vtc")
SCRIPT_SECONDS = 25
REST_SECONDS = 4  # less than a client is listened to that was refused and stays
WORD = re.compile(r"# (proxy|listener|upstream|server|ini|file|count|closes): (.*)")


class Plan:
    """What the comments at the beginning of a script say."""

    def __init__(self, path, places):
        self.keys = {"proxy": {}, "listener": {}, "upstream": {}}
        self.servers, self.ini, self.files = [], [], []
        self.counts, self.closes = {}, {}
        with open(path, encoding="utf-8") as f:
            for line in f:
                if not line.startswith("#"):
                    break
                if m := WORD.match(line):
                    text = m[2]
                    for name, value in places.items():
                        text = text.replace("{" + name + "}", value)
                    self._take(m[1], text.rstrip())

    def _take(self, word, text):
        if word in self.keys:
            key, _, value = text.partition(" = ")
            self.keys[word].setdefault(key, []).append(value)
        elif word == "server":
            self.servers.append(text)
        elif word == "ini":
            self.ini.append(text)
        elif word == "file":
            self.files.append(text.partition(" ")[::2])
        else:
            name, number = text.split()
            (self.counts if word == "count" else self.closes)[name] = int(number)


def perform(program, path, macros):
    """Runs the script to its end; its words are the failure."""
    command = [program, "-t", str(SCRIPT_SECONDS)]
    for name, value in macros.items():
        command += ["-D", f"{name}={value}"]
    done = subprocess.run([*command, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SCRIPT_SECONDS + 10, check=False,
                          text=True, errors="replace")
    if done.returncode == 77:
        raise harness.Skip("varnishtest cannot run this script")
    if done.returncode != 0:
        told = [l for l in done.stdout.split("\n") if l.startswith("----")]
        raise Failure("; ".join(told[:4]) + f"\nvarnishtest, at the end:\n{done.stdout[-6000:]}")


def play(path):
    program = harness.need("varnishtest")
    ports = {name: harness.free_port() for name in ("s1", "s2", "s3", "dead")}
    files = tempfile.mkdtemp(prefix="sluice-vtc-")
    plan = Plan(path, {"files": files, **{n: f"{HOST}:{p}" for n, p in ports.items()}})
    try:
        for name, text in plan.files:
            with open(os.path.join(files, name), "w", encoding="utf-8") as f:
                f.write(text + "\n")
        servers = plan.servers or [f"{HOST}:{ports['s1']}"]
        with Sluice(servers, proxy=plan.keys["proxy"],
                    listener={"mode": "http", **plan.keys["listener"]},
                    upstream=plan.keys["upstream"], text="\n".join(plan.ini) + "\n") as sluice:
            macros = {n: f"{HOST} {p}" for n, p in ports.items()}
            macros.update(sluice=f"{HOST} {sluice.address[1]}", s1at=f"{HOST}:{ports['s1']}")
            perform(program, path, macros)
            now = sluice.at_rest(REST_SECONDS)
            equal({n: int(now[n]) for n in plan.counts}, plan.counts, "counters")
            if plan.closes:
                equal(now.closes(), plan.closes, "close reasons")
    finally:
        shutil.rmtree(files, ignore_errors=True)


def tests():
    """One function for each script."""
    found = {}
    for file in sorted(os.listdir(FOLDER)):
        if file.endswith(".vtc"):
            path = os.path.join(FOLDER, file)
            found["test_" + file[:-len(".vtc")]] = lambda path=path: play(path)
    return found


harness.main(tests())
