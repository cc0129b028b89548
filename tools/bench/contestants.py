#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who is compared: the origin alone, sluice, HAProxy and nginx, as child processes.

One worker each, on the proxy's CPU. A peer has its package's defaults, but for the limits that a
scenario needs, and keep-alive to the origin in HTTP.
"""
import collections
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import scenarios

NAMES = ("direct", "sluice", "other", "haproxy", "haproxy-splice", "nginx", "sluice-as-tcp",
         "sluice-routes", "sluice-servers")
# Sluice against itself, asked for by name. For http scenarios only: the same requests through
# mode = tcp, and through the last of a thousand routes; for all: with a thousand servers to choose
# among, all of them the same origin.
VARIANTS_OF_HTTP = ("sluice-as-tcp", "sluice-routes")
VARIANTS = (*VARIANTS_OF_HTTP, "sluice-servers")
ROUTES = 1000
SERVERS = 1000
HOST = "127.0.0.1"
SESSIONS_MAX = 9000
START_SECONDS = 8.0
STOP_SECONDS = 5.0
# Ports above --port: the origin's services, then a block for each contestant.
SERVICE_OFFSET = {"rr": 0, "source": 1, "http": 2}
BLOCK, FRESH = 20, 10

# ports: {service: port}; pids: whose CPU time and memory count (none for the origin alone).
Instance = collections.namedtuple("Instance", "name ports pids child")
# What a configuration is made from; services: [(name, port, the origin's port)]
Job = collections.namedtuple("Job", "name mode services sessions descriptors folder extra")


class Failure(Exception):
    """The benchmark cannot go on; the message says why."""


class Refused(Exception):
    """A contestant did not start; the message is what it printed."""


def program(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


class Children:
    """Every process that the benchmark starts, and the folder of their files."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-bench-")
        self.children = []

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def start(self, name, command, cpus):
        with open(self.path(name + ".log"), "w", encoding="utf-8") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                     start_new_session=True,
                                     preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        self.children.append(child)
        return child

    def printed(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read().strip()

    def stop(self, child):
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # its own group: nginx has workers
            child.wait()
        self.children.remove(child)

    def stop_all(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in list(self.children):
            self.stop(child)
        shutil.rmtree(self.folder, ignore_errors=True)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def wait_port(children, name, child, port):
    """Until it listens; Refused when it ends, or when it takes too long."""
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if child.poll() is not None:
            raise Refused(children.printed(name) or f"ended with status {child.returncode}")
        if listens(port):
            return
        time.sleep(0.02)
    raise Refused(f"did not listen on port {port} within {START_SECONDS:g} s")


def must_be_free(port):
    if listens(port):
        raise Failure(f"something else listens on port {port} (ss -ltnp shows what; --port moves)")


def worker_pids(child, workers):
    """The process and its children, of which there are `workers` in the end."""
    limit = time.monotonic() + START_SECONDS
    while True:
        with open(f"/proc/{child.pid}/task/{child.pid}/children", encoding="ascii") as file:
            pids = [int(pid) for pid in file.read().split()]
        if len(pids) >= workers or time.monotonic() > limit:
            return [child.pid] + pids
        time.sleep(0.02)


# --- configurations ------------------------------------------------------------------------------

def sluice_config(job):
    lines = ["[proxy]", "workers = 1", "cpu_affinity = off", f"max_sessions = {job.sessions}"]
    lines += [line.strip() for line in job.extra.split(";") if line.strip()]
    for service, port, origin in job.services:
        lines += [f"[listener {service}]", f"bind = {HOST}:{port}", f"upstream = {service}"]
        if job.mode == "http" and job.name != "sluice-as-tcp":
            lines.append("mode = http")
        if job.name == "sluice-routes":
            for i in range(ROUTES):
                lines += [f"[route {service}-{i}]", f"listener = {service}", f"path = /p{i}/*",
                          f"host = h{i}.test", f"upstream = {service}"]
            lines += [f"[route {service}-last]", f"listener = {service}", f"host = {HOST}",
                      f"path = /*", f"upstream = {service}"]
        servers = SERVERS if job.name == "sluice-servers" else 1
        lines += [f"[upstream {service}]"]
        lines += [f"server = {HOST}:{origin} name=s{i}" for i in range(servers)]
        if job.mode == "http":
            lines.append(f"pool_max = {job.sessions}")
    return "\n".join(lines) + "\n"


def haproxy_config(job):
    splice = job.name == "haproxy-splice"
    lines = ["global", f"    maxconn {job.sessions}", "    nbthread 1",
             f"    maxpipes {min(400, job.descriptors // 50)}"]
    if not splice:
        lines.append("    nosplice")
    lines += ["defaults", f"    mode {job.mode}", "    timeout connect 2s",
              "    timeout client 300s", "    timeout server 300s"]
    if splice:
        lines += [f"    option splice-{way}" for way in ("auto", "request", "response")]
    if job.mode == "http":
        lines += ["    option http-keep-alive", "    http-reuse always"]
    for service, port, origin in job.services:
        lines += [f"frontend {service}", f"    bind {HOST}:{port} backlog 4096",
                  f"    default_backend {service}", f"backend {service}",
                  f"    server s {HOST}:{origin}"]
    return "\n".join(lines) + "\n"


def nginx_http(job):
    temporary = "\n".join(f"  {kind}_temp_path {job.folder}/{job.name}-{kind};" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    lines = ["http {", "  access_log off; keepalive_requests 1000000000;", temporary]
    for service, port, origin in job.services:
        lines.append(f"""
  upstream {service} {{
    server {HOST}:{origin}; keepalive {job.sessions}; keepalive_requests 1000000000;
  }}
  server {{
    listen {HOST}:{port} backlog=4096;
    location / {{
      proxy_pass http://{service}; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}""")
    return "\n".join(lines + ["}"]) + "\n"


def nginx_config(job):
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    stream = job.mode == "tcp"
    load = f"load_module {module};" if stream and os.path.exists(module) else ""
    head = f"""{load}
daemon off; worker_processes 1; pid {job.folder}/{job.name}.pid;
error_log {job.folder}/{job.name}.err; worker_rlimit_nofile {job.descriptors};
events {{ worker_connections {2 * job.sessions + 500}; multi_accept on; }}
"""
    if not stream:
        return head + nginx_http(job)
    servers = "\n".join(f"  server {{ listen {HOST}:{port} backlog=4096; "
                        f"proxy_pass {HOST}:{origin}; }}" for _, port, origin in job.services)
    return head + f"stream {{\n  proxy_timeout 300s;\n{servers}\n}}\n"


# name: (program or None for one that is given, configuration, arguments before its path, workers)
PEERS = {
    "sluice": (None, sluice_config, ["-c"], 0),
    "other": (None, sluice_config, ["-c"], 0),
    "sluice-as-tcp": (None, sluice_config, ["-c"], 0),
    "sluice-routes": (None, sluice_config, ["-c"], 0),
    "sluice-servers": (None, sluice_config, ["-c"], 0),
    "haproxy": ("haproxy", haproxy_config, ["-db", "-f"], 0),
    "haproxy-splice": ("haproxy", haproxy_config, ["-db", "-f"], 0),
    "nginx": ("nginx", nginx_config, ["-c"], 1),
}


class Field:
    """The contestants of a run: started when a scenario first needs them, skipped when they
    cannot."""

    def __init__(self, children, options, say):
        self.children = children
        self.options = options  # see bench: sluice, other, port, proxy_cpu, load_cpu, ..
        self.say = say
        self.running = {}   # (name, mode): Instance, or None when it was refused
        self.origin = None

    def start_origin(self):
        options = self.options
        ports = {service: options.port + offset for service, offset in SERVICE_OFFSET.items()}
        for port in ports.values():
            must_be_free(port)
        words = [f"{service}={HOST}:{port}" for service, port in ports.items()]
        child = self.children.start(
            "origin", [options.load, "serve", "--quiet", "-t", str(options.threads), *words],
            options.load_cpu)
        try:
            for port in ports.values():
                wait_port(self.children, "origin", child, port)
        except Refused as why:
            raise Failure(f"{options.load} serve: {why}") from why
        self.origin = Instance("direct", ports, [child.pid], child)

    def _program(self, name):
        if name in VARIANTS:
            return self.options.sluice
        if name in ("sluice", "other"):
            return self.options.sluice if name == "sluice" else self.options.other
        path = program(PEERS[name][0])
        if path is None:
            raise Refused(f"{PEERS[name][0]} is not installed (tools/setup --bench)")
        return path

    def _start(self, name, mode, fresh):
        options = self.options
        if name in VARIANTS_OF_HTTP and mode != "http":
            raise Refused("it is for http scenarios")
        base = options.port + 100 + BLOCK * NAMES.index(name) + (FRESH if fresh else 0)
        ports = {service: base + SERVICE_OFFSET[service] for service in scenarios.SERVICES[mode]}
        extra = {"sluice": options.extra, "other": options.other_extra}.get(name, "")
        job = Job(name, mode, [(s, port, self.origin.ports[s]) for s, port in ports.items()],
                  options.sessions, options.descriptors, self.children.folder, extra)
        path = self._program(name)
        for port in ports.values():
            must_be_free(port)
        _, config, arguments, workers = PEERS[name]
        label = f"{name}-{mode}{'-fresh' if fresh else ''}"
        job = job._replace(folder=self.children.path(label))
        os.makedirs(job.folder, exist_ok=True)
        child = self.children.start(
            label, [path, *arguments, self.children.path(label + ".conf", config(job))],
            options.proxy_cpu)
        try:
            for port in ports.values():
                wait_port(self.children, label, child, port)
            return Instance(name, ports, worker_pids(child, workers), child)
        except Refused:
            self.children.stop(child)
            raise

    def get(self, name, mode):
        """The instance for this mode, or None: it was said why."""
        if name == "direct":
            return self.origin._replace(pids=[])
        if (name, mode) not in self.running:
            try:
                self.running[name, mode] = self._start(name, mode, fresh=False)
            except Refused as why:
                self.say(f"{name} is skipped in {mode} mode: {why}")
                self.running[name, mode] = None
        return self.running[name, mode]

    def fresh(self, name, mode):
        return self._start(name, mode, fresh=True)

    def living_pids(self):
        instances = [self.origin] + [one for one in self.running.values() if one]
        return [pid for one in instances if one.child.poll() is None for pid in one.pids]
