# SPDX-License-Identifier: MIT
"""What the generator sends, read by others than its origin: templates, PROXY protocol headers."""

import re
import socket
import subprocess
import tempfile

import load_tool
from load_tool import Origin, Recorder, check, free_port, load, measure, need, wait_until


# -------------------------------------------------------------------- chunks

def test_a_body_goes_as_chunks():
    """The origin gives back what it read: its length is that of the body, not of the chunks."""
    with Origin() as origin:
        for size in (1, 4096, 4097, 20000):
            run = measure("-c", 2, "-n", 20, "--chunked", "--size", size, origin.url("/?echo=1"))
            check(run["counts"]["completed"] == 20 and run["counts"]["errors"] == 0, run["counts"])
            over = run["counts"]["bytes_in"] - 20 * size
            check(0 < over < 20 * 300, f"{over} bytes more than the bodies")
        load("--chunked", "--verify", origin.url(), status=1)


# -------------------------------------------------------------------- templates

def test_a_template_is_filled_in_for_each_request():
    with Recorder() as server:
        run = measure("-c", 6, "-t", 2, "-n", 300, "--reconnect", 20, "--template",
                      '{"seq": {seq}, "conn": {conn}, "{{seq}": "{rand:16}"}',
                      "--template", "/item/{seq}?c={conn}", "-H", "X-Id: {rand:4}-{seq}",
                      server.url("/not/this"))
    check(run["counts"]["completed"] == 300 and run["counts"]["errors"] == 0, run["counts"])
    check(not server.faults and len(server.requests) == 300, server.faults)
    seqs, randoms, conns = set(), set(), set()
    for _, head, body in server.requests:
        parts = re.fullmatch(rb'\{"seq": (\d+), "conn": ([0-5]), "\{seq\}": "([0-9a-z]{16})"\}',
                             body)
        check(parts, body)
        seq, conn, random = (part.decode() for part in parts.groups())
        check(head.startswith(f"POST /item/{seq}?c={conn} HTTP/1.1\r\n"), head)
        check(re.search(rf"^X-Id: [0-9a-z]{{4}}-{seq}\r$", head, re.M), head)
        seqs.add(int(seq))
        randoms.add(random)
        conns.add(conn)
    # Two threads: 150 each, one counts 0, 2, 4 .., the other 1, 3, 5 ..
    check(seqs == set(range(300)), sorted(seqs))
    check(len(randoms) == 300 and len(conns) == 6, (len(randoms), conns))


def test_a_template_is_repeated_by_its_seed_and_of_any_length():
    bodies = []
    for seed in (1, 1, 2):
        with Recorder() as server, tempfile.NamedTemporaryFile() as file:
            file.write(b"\0{rand:64}\xff" + b"x" * 3000 + b"{seq}{conn}")
            file.flush()
            measure("-c", 1, "-n", 12, "--seed", seed, "--template", f"@{file.name}", server.url())
        bodies.append([body for _, _, body in server.requests])
        check([len(body) for body in bodies[-1]] == [3068] * 10 + [3069] * 2, bodies[-1])
    check(bodies[0] == bodies[1] != bodies[2], "the seed decides")


def test_templates_with_pipelines_slow_writers_and_gets():
    with Origin() as origin:
        run = measure("-c", 5, "-p", 8, "-n", 1000, "--template", "/?size={seq}&echo=0&x={rand:9}",
                      origin.url())
        check(run["counts"]["completed"] == 1000 and run["counts"]["errors"] == 0, run["counts"])
        # The sizes 0 .. 999 were asked for, each once.
        body = sum(range(1000))
        check(run["counts"]["bytes_in"] > body + 1000 * 40, (body, run["counts"]))
        run = measure("-c", 4, "-n", 4, "--slow-write", 100, "--slow-rate", 2000, "--template",
                      "/?echo=1", "--template", "{seq}-{rand:8}", origin.url())
        check(run["counts"]["rude_completed"] == 4, run["counts"])
        check(origin.numbers()["bad_requests"] == 0, "the origin understood all")


def test_without_a_template_braces_are_braces():
    with Recorder() as server:
        measure("-c", 1, "-n", 1, "-b", "{seq}{{x", "-H", "X: {conn}", server.url("/{seq}"))
    _, head, body = server.requests[0]
    check(body == b"{seq}{{x" and "X: {conn}\r\n" in head and "POST /{seq} " in head, (head, body))


def test_what_is_no_template_is_refused_clearly():
    url = "http://127.0.0.1:9/"
    for words, reason in (
            (("--template", "{seq"), "{seq}, {conn} or {rand:N}"),
            (("--template", "{sequence}"), "{seq}, {conn} or {rand:N}"),
            (("--template", "{rand}"), "{seq}, {conn} or {rand:N}"),
            (("--template", "{rand:0}"), "{seq}, {conn} or {rand:N}"),
            (("--template", "{rand:65}"), "{seq}, {conn} or {rand:N}"),
            (("--template", "{length}"), "{seq}, {conn} or {rand:N}"),
            (("--template", "{seq}", "-H", "X: {sqe}"), "{seq}, {conn} or {rand:N}"),
            (("--template", "/a b"), "no blanks"),
            (("--template", "/a", "--template", "/b"), "one path"),
            (("--template", "a", "--template", "b"), "one body"),
            (("--template", "a", "-b", "b"), "without --body"),
            (("--template", "a", "--verify"), "--verify"),
            (("--template", "@/nowhere/at.all"), "cannot be read")):
        said = load(*words, url, status=1)
        check(reason in said and said.count("\n") == 1, (words, said))
    check("needs http://" in load("--template", "a", "tcp://127.0.0.1:9", status=1), "tcp")
    check("{rand:16}" in load("--help"), "--help tells")


# ------------------------------------------------------- PROXY protocol headers

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def port_of(text):
    if not re.fullmatch(rb"0|[1-9]\d{0,4}", text) or int(text) > 65535:
        raise ValueError(f"port {text}")
    return int(text)


def address_of(text, family):
    """In the one spelling that inet_ntop has for it."""
    address = text.decode("ascii")
    if socket.inet_ntop(family, socket.inet_pton(family, address)) != address:
        raise ValueError(f"address {text}")
    return address


def read_version_1(line):
    if len(line) > 107 or not line.endswith(b"\r\n"):
        raise ValueError(f"no line: {line}")
    if line == b"PROXY UNKNOWN\r\n":
        return 1, None, None
    words = line[:-2].split(b" ")
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ValueError(f"words: {line}")
    family = socket.AF_INET if words[1] == b"TCP4" else socket.AF_INET6
    return (1, (address_of(words[2], family), port_of(words[4])),
            (address_of(words[3], family), port_of(words[5])))


def read_version_2(read):
    version_command, family, length = read.read(1)[0], read.read(1)[0], read.read(2)
    block = read.read(int.from_bytes(length, "big"))
    if version_command == 0x20 and family == 0:
        if block:
            raise ValueError("LOCAL with addresses")
        return 2, None, None
    if version_command != 0x21 or family not in (0x11, 0x21):
        raise ValueError(f"command {version_command:x}, family {family:x}")
    size, kind = (4, socket.AF_INET) if family == 0x11 else (16, socket.AF_INET6)
    if len(block) != 2 * size + 4:
        raise ValueError(f"{len(block)} bytes of addresses")
    return (2, (socket.inet_ntop(kind, block[:size]), int.from_bytes(block[-4:-2], "big")),
            (socket.inet_ntop(kind, block[size:-4]), int.from_bytes(block[-2:], "big")))


def read_preface(read):
    """(version, source, target), read as strictly as the specification allows."""
    begin = read.read(6)
    if begin == b"PROXY ":
        return read_version_1(begin + read.readline(200))
    begin += read.read(6)
    if begin != SIGNATURE:
        raise ValueError(f"neither version: {begin}")
    return read_version_2(read)


def check_prefaces(server, version, connections):
    check(not server.faults and len(server.begins) in connections, (server.faults, server.begins))
    for said, peer, own in server.begins:
        check(said == (version, peer[:2], own[:2]), (said, peer, own))


def test_proxy_headers_tell_the_truth():
    for version in (1, 2):
        with Recorder(prefix=read_preface) as server:
            measure("-c", 5, "-n", 100, "--proxy-protocol", f"v{version}", "--reconnect", 10,
                    "--bind", "127.0.8.0/24", server.url())
        check_prefaces(server, version, range(10, 16))
        check(len({peer[0] for _, peer, _ in server.begins}) == 5, server.begins)
        check(len(server.requests) == 100, "a header at the beginning of a connection only")
        with Recorder("::1", prefix=read_preface) as server:
            measure("-c", 2, "-n", 2, "--proxy-protocol", f"v{version}",
                    f"http://[::1]:{server.port}/")
        check_prefaces(server, version, [2])


def test_proxy_headers_of_unix_sockets_have_no_address():
    for version in (1, 2):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/s")
            listener.listen()
            process = load_tool.start("-c", 1, "-n", 1, "--proxy-protocol", f"v{version}",
                                      f"unix:{folder}/s:/x")
            listener.settimeout(10)
            s, _ = listener.accept()
            read = s.makefile("rb")
            check(read_preface(read) == (version, None, None), "no address")
            check(read.readline() == b"GET /x HTTP/1.1\r\n", "then the request")
            s.sendall(Recorder.ANSWER)
            process.communicate(timeout=10)
            s.close()
        check(process.returncode == 0, process.returncode)


HAPROXY = """
defaults
    timeout connect 5s
    timeout client 5s
    timeout server 5s
# The second sees another address than the header tells, so it must have read the header.
listen first
    mode tcp
    bind 127.0.0.1:{first}
    server second 127.0.0.1:{second}
frontend second
    mode http
    bind 127.0.0.1:{second} accept-proxy
    http-request return status 200 if {{ src 127.0.9.0/24 }} {{ dst_port {first} }}
    http-request return status 503
"""


def test_haproxy_reads_the_headers():
    haproxy = need("haproxy")
    first, second = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/cfg", "w", encoding="ascii") as file:
            file.write(HAPROXY.format(first=first, second=second))
        process = subprocess.Popen([haproxy, "-db", "-f", file.name], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: process.poll() is not None or listens(first), "haproxy starts")
            for version in ("v1", "v2"):
                run = measure("-c", 8, "-n", 400, "--proxy-protocol", version, "--reconnect", 5,
                              "--bind", "127.0.9.0/24", f"http://127.0.0.1:{first}/")
                check(run["statuses"] == {"200": 400}, (version, run["statuses"], run["errors"]))
            run = measure("-c", 1, "-n", 1, "-d", 1, "--bind", "127.0.9.0/24",
                          f"http://127.0.0.1:{first}/")
            check("200" not in run["statuses"], "haproxy does without a header")
        finally:
            process.terminate()
            process.communicate(timeout=10)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    load_tool.main(globals())
