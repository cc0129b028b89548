# SPDX-License-Identifier: MIT
"""The command line, and what sluice says when it cannot do what is asked: status and remedy."""

import os
import re
import resource
import socket
import sys
import tempfile

import harness
from harness import HOST, ROOT, Skip, Sluice, check, equal, free_port, run, section, written

HERE = os.path.dirname(os.path.abspath(__file__))


def ini(text):
    """A file with this text; the caller's folder goes with the test."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini", delete=False, encoding="utf-8") as f:
        f.write(text)
    return f.name


def small(proxy="", listener="", upstream="", port=None):
    return (f"[proxy]\n{proxy}\n[listener web]\nbind = {HOST}:{port or free_port()}\n"
            f"upstream = app\n{listener}\n[upstream app]\nserver = {HOST}:9\n{upstream}\n")


def checked(text):
    """sluice -t on this text: (status, output, path)."""
    path = ini(text)
    try:
        return (*run("-t", "-c", path), path)
    finally:
        os.unlink(path)


# ------------------------------------------------------------------ command line

def test_version():
    status, out = run("--version")
    equal(status, 0, "status")
    check(re.search(r"sluice \d+\.\d+\.\d+", out), out)


def test_help():
    status, out = run("--help")
    equal(status, 0, "status")
    for word in ("-t", "-c", "--doctor", "--help-config", "--version", "TERM", "USR1"):
        check(word in out, f"no {word} in --help")


def test_help_config():
    status, everything = run("--help-config")
    equal(status, 0, "status")
    with open(os.path.join(ROOT, "include", "conf", "keys.def"), encoding="utf-8") as f:
        keys = set(re.findall(r"^CONF_\w+\(\w+,\s*(\w+)", f.read(), re.M))
    check(len(keys) > 20, f"keys.def has {len(keys)} keys")
    for key in sorted(keys):
        check(key in everything, f"no {key} in --help-config")
        status, out = run("--help-config", key)
        equal(status, 0, f"status of --help-config {key}")
        check(key in out and len(out) < len(everything), f"--help-config {key}: {out}")
        for word in ("type", "default", "applies"):
            check(word in out, f"--help-config {key} does not tell its {word}")


def test_help_config_of_a_typo():
    status, out = run("--help-config", "sesion_window")
    check(status != 0, "status 0 for a key that there is not")
    check("session_window" in out, f"the nearest key is not named: {out}")


def test_bad_command_lines():
    for line in (["--frobnicate"], ["-x"], ["-c"], ["stray"], ["-t", "stray"], ["--version", "x"],
                 ["-c", "a", "-c", "b"], [""], ["--", "x"], ["-tc"],
                 ["--help-config", "workers", "more"]):
        status, out = run(*line)
        check(status in (1, 2), f"{line}: status {status}")
        check(out.strip(), f"{line}: nothing is said")
        check(len(out) < 3000, f"{line}: {len(out)} bytes")


def test_default_files():
    """Without -c: ./proxy.ini."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "proxy.ini"), "w", encoding="ascii") as f:
            f.write(small())
        status, out = run("-t", cwd=folder)
        equal((status, out.strip()), (0, "./proxy.ini: ok"), "sluice -t beside a proxy.ini")
    if not os.path.exists("/etc/sluice/proxy.ini"):
        with tempfile.TemporaryDirectory() as folder:
            status, out = run("-t", cwd=folder)
            equal(status, 1, "status without any file")
            check("/etc/sluice/proxy.ini" in out and "proxy.ini" in out, out)


# ----------------------------------------------------------------- configuration

def test_shipped_file_is_good():
    path = os.path.join(ROOT, "proxy.ini")
    equal(run("-t", "-c", path), (0, f"{path}: ok\n"), "sluice -t")


def test_errors_have_lines():
    """Every error in one pass, each with FILE:LINE and what would be right."""
    text = ("[proxy]\nworkrs = 2\nmax_sessions = many\nwait = lazy\n"
            "[listener web]\nbind = 127.0.0.1:99999\nupstream = ap\n"
            "[upstream app]\nserver = 127.0.0.1:9 weight=900\n[upstrem b]\n")
    status, out, path = checked(text)
    equal(status, 1, "status")
    for line, word in ((2, "workers"), (3, "max_sessions"), (4, "balanced"), (6, "99999"),
                       (7, "app"), (9, "256"), (10, "upstream")):
        check(re.search(rf"^{re.escape(path)}:{line}: .*{word}", out, re.M),
              f"nothing about {word} at line {line} in:\n{out}")


def test_contradictions():
    cases = [
        (small("max_sessions = 100", "max_sessions = 200"), "max_sessions"),
        (small("buffer_size = 64K\nsession_window = 16K"), "session_window"),
        (small("buffer_size = 5000"), "power"),
        (small("workers = 1\nworkers = 2"), "workers"),
        (small(listener="client_timeout = 10"), "unit"),
        (small("user = no_such_user_here"), "no_such_user_here"),
        ("[listener web]\nbind = 127.0.0.1:9\n[upstream app]\nserver = 127.0.0.1:9\n", "upstream"),
        ("[listener web]\nupstream = app\n[upstream app]\nserver = 127.0.0.1:9\n", "bind"),
        ("[listener web]\nbind = 127.0.0.1:9\nupstream = app\n[upstream app]\n", "server"),
        ("", "listener"),
    ]
    for text, word in cases:
        status, out, path = checked(text)
        check(status == 1 and word in out and path in out,
              f"status {status}, {word!r} expected in {out!r}, of:\n{text}")


def test_run_refuses_what_t_refuses():
    path = ini(small("wait = lazy"))
    status, out = run("-c", path)
    os.unlink(path)
    equal(status, 1, "status")
    check(re.search(rf"{path}:\d+: ", out), out)


def test_files_that_are_none():
    with tempfile.TemporaryDirectory() as folder:
        for path in (os.path.join(folder, "missing.ini"), folder):
            status, out = run("-t", "-c", path)
            equal(status, 1, f"status for {path}")
            check(path in out, f"{path} is not named: {out}")


def test_t_changes_nothing():
    """-t binds nothing: it is good for a file whose address is in use."""
    with socket.create_server((HOST, 0)) as busy:
        status, out, _ = checked(small(port=busy.getsockname()[1]))
        check(status == 0 and out.endswith(": ok\n"), f"status {status}: {out}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "front")
        status, out, _ = checked(f"[listener web]\nbind = unix:{path}\nupstream = app\n"
                                 f"[upstream app]\nserver = {HOST}:9\n")
        check(status == 0 and not os.path.exists(path), f"status {status}: {out}")


# ------------------------------------------------------------------------ doctor

def test_doctor():
    path = ini(small())
    status, out = run("--doctor", "-c", path, seconds=30)
    os.unlink(path)
    equal(status, 0, f"status of --doctor:\n{out}\n")
    for topic in ("kernel", "io_uring", "seccomp", "descriptors", "locked memory", "huge pages",
                  "somaxconn", "io_uring_disabled", "local ports"):
        check(topic in out, f"--doctor does not speak of {topic}:\n{out}")


def test_doctor_without_a_file():
    with tempfile.TemporaryDirectory() as folder:
        status, out = run("--doctor", cwd=folder, seconds=30)
        check(status == 0 and "kernel" in out, f"status {status}:\n{out}")


# -------------------------------------------------------------- hosts that refuse

def refused(text, *words, command=None, status=2):
    path = ini(text)
    try:
        got, out = run("-c", path, command=command)
    finally:
        os.unlink(path)
    equal(got, status, f"status; it said:\n{out}\n")
    for word in words:
        check(re.search(word, out), f"no {word!r} in: {out}")
    return out


def test_port_in_use():
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
        out = refused(small(port=port), f"{HOST}:{port}", "in use")
        check(re.search(r"ss |lsof|stop|another|other", out), f"no remedy: {out}")


def test_port_in_use_by_another_sluice():
    """SO_REUSEPORT must not let two instances share an address by accident."""
    with Sluice([(HOST, 9)]) as first:
        refused(small(port=first.address[1]), "in use")


def test_address_of_another_machine():
    refused(small().replace(f"bind = {HOST}", "bind = 192.0.2.1"), "192.0.2.1")


def test_privileged_port():
    if os.getuid() != 0:
        raise Skip("needs root, to give it up")
    setpriv = harness.need("setpriv")
    path = ini(small("buffer_memory = 1M\nworkers = 1\nzero_copy_send = off", port=81))
    os.chmod(path, 0o644)
    status, out = run("-c", path, command=[setpriv, "--reuid", "65534", "--clear-groups",
                                           "--inh-caps", "-all", "--bounding-set", "-all",
                                           harness.SLUICE])
    os.unlink(path)
    if "failed to execute" in out:
        raise Skip("the program cannot be run by another user")
    equal(status, 2, f"status: {out}")
    check("81" in out and "CAP_NET_BIND_SERVICE" in out, out)


def test_too_many_sessions():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard > 1000000:
        raise Skip("descriptors suffice for every number")
    out = refused(small(f"max_sessions = {hard}\nbuffer_memory = 4M"), "max_sessions", str(hard))
    check(re.search(r"lower|to \d+|at most \d+|LimitNOFILE|ulimit", out), f"no remedy: {out}")


def test_number_named_is_good():
    """The number that the refusal names is accepted."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard > 1000000:
        raise Skip("descriptors suffice for every number")
    out = refused(small(f"max_sessions = {hard}\nbuffer_memory = 4M"))
    numbers = [int(n) for n in re.findall(r"\b\d{3,6}\b", out.split("max_sessions")[-1])]
    good = [n for n in numbers if n < hard and n > hard // 4]
    check(good, f"no number to use instead: {out}")
    with Sluice([(HOST, 9)], proxy={"max_sessions": max(good), "buffer_memory": "4M"}):
        pass


def test_default_sessions_are_lowered():
    """The default is lowered with a warning, where a number that was written is refused."""
    command = [harness.need("prlimit"), "--nofile=500:500", harness.SLUICE]
    with Sluice([(HOST, 9)], start=False) as sluice:
        with open(sluice.ini, encoding="ascii") as f:
            text = f.read().replace("max_sessions = 1000\n", "")
        with open(sluice.ini, "w", encoding="ascii") as f:
            f.write(text)
        sluice.prefix = command[:-1]
        sluice.start()
        check(re.search(r"warn max_sessions lowered from 16384 to \d+", sluice.log()),
              sluice.log())


def test_more_memory_than_the_machine():
    out = refused(small("buffer_memory = 1000G\nhuge_pages = off"), "buffer_memory")
    check(re.search(r"lower|less|at most|has ", out), f"no remedy: {out}")


def test_less_memory_than_workers_need():
    """Too few slices for the workers that the file names is an error of the file."""
    status, out, _ = checked(small("workers = 17\nbuffer_memory = 1M\nbuffer_size = 64K"))
    check(status == 1 and "need at least 34M" in out, f"status {status}: {out}")


def test_named_memory_is_good():
    _, out, _ = checked(small("workers = 2\nbuffer_memory = 1M\nbuffer_size = 128K"))
    size = re.search(r"need at least (\d+[KMG])", out)[1]
    with Sluice([(HOST, 9)], proxy={"workers": 2, "buffer_memory": size, "buffer_size": "128K"}):
        pass


def test_log_that_cannot_be_opened():
    refused(small("log = /proc/no/such/file.log"), "/proc/no/such/file.log")


# ----------------------------------------------------------------- without io_uring

def without_io_uring(error, *words):
    command = [sys.executable, os.path.join(HERE, "seccomp.py"), error, harness.SLUICE]
    if "prctl" in run("--version", command=command)[1]:
        raise Skip("no seccomp filter can be installed here")
    out = refused(small("buffer_memory = 4M\nmax_sessions = 100"), "io_uring", *words,
                  command=command)
    check(len(out.strip().split("\n")) <= 6, f"many words:\n{out}")
    path = ini(small())
    status, out = run("--doctor", "-c", path, command=command, seconds=30)
    os.unlink(path)
    equal(status, 2, f"status of --doctor without io_uring:\n{out}\n")
    check(re.search(words[0], out), f"--doctor has no {words[0]!r}:\n{out}")


def test_io_uring_is_forbidden():
    """EPERM: a container's seccomp profile, or the sysctl."""
    without_io_uring("EPERM", "seccomp", "io_uring_disabled")


def test_io_uring_is_missing():
    """ENOSYS: a kernel without it, or gVisor and the like."""
    without_io_uring("ENOSYS", r"kernel|seccomp|sandbox")


def test_io_uring_has_no_memory():
    """ENOMEM: RLIMIT_MEMLOCK, or the memory of the control group."""
    without_io_uring("ENOMEM", r"(?i)memlock|ulimit -l|locked memory|cgroup|memory")


def test_every_message_is_of_the_host():
    """A refusal names the program or the file first, and is one sentence with a remedy."""
    with socket.create_server((HOST, 0)) as busy:
        out = refused(small(port=busy.getsockname()[1]))
    check(not re.search(r"\berrno\b|0x[0-9a-f]{6}", out), f"no message for people: {out}")


def test_listener_written_once():
    """The same address in two listeners: a contradiction in the file, or in use at start."""
    port = free_port()
    text = small(port=port) + section("listener two", {"bind": written((HOST, port)),
                                                       "upstream": "app"})
    status, out, _ = checked(text)
    if status == 0:
        refused(text, str(port))
    else:
        check(status == 1 and str(port) in out, out)


harness.main(globals())
