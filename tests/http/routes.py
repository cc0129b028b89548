# SPDX-License-Identifier: MIT
"""Which route a request takes, what the route does with it, and what is changed on the way."""

import collections
import os
import tempfile

from http_peers import (SITE, Client, HttpOrigin, http_sluice, lower, one_answer, reply, request,
                        route, upstream)
import harness
from harness import check, equal


def told(name, **keys):
    """A route that says its own name."""
    return route(name, respond=f"200 {name}", **keys)


def ask(sluice, target="/", host=SITE, *fields, method="GET"):
    return one_answer(sluice, request(method, target, *fields, host=host), method)


def only_routes(text, listener=None):
    """A sluice whose listener has no upstream of its own."""
    return http_sluice([("127.0.0.1", 9)], listener={"upstream": [], **(listener or {})}, text=text)


def expect(text, table, listener=None):
    """For each (name or status) its requests (target, host, fields..., method)."""
    with only_routes(text, listener) as sluice:
        for wanted, asked in table:
            method = asked.get("method", "GET")
            answer = ask(sluice, asked.get("target", "/"), asked.get("host", SITE),
                         *asked.get("fields", ()), method=method)
            got = answer.body.decode() if answer.status == 200 else answer.status
            equal(got, wanted, f"the route of {asked}")


def test_hosts():
    expect(told("exact", host="www.a.test") + told("suffix", host="*.a.test")
           + told("long", host="*.deep.a.test") + told("two", host=["b.test", "c.test"]),
           [("exact", {"host": "www.a.test"}), ("exact", {"host": "WWW.A.test"}),
            ("exact", {"host": "www.a.test:8080"}), ("suffix", {"host": "x.a.test"}),
            ("suffix", {"host": "y.x.a.test"}), ("long", {"host": "z.deep.a.test"}),
            ("two", {"host": "b.test"}), ("two", {"host": "c.test"}), (404, {"host": "d.test"}),
            (404, {"host": "xa.test"}), (404, {"host": "a.test.evil"})])


def test_paths():
    expect(told("exact", path="/exact") + told("prefix", path="/pre/*")
           + told("longer", path="/pre/fix/*") + told("inside", path="/pre/fix/it")
           + told("two", path=["/two", "/deux/*"]),
           [("exact", {"target": "/exact"}), ("exact", {"target": "/exact?q=/pre/x"}),
            (404, {"target": "/exact/"}), (404, {"target": "/exactly"}),
            ("prefix", {"target": "/pre/"}), ("prefix", {"target": "/pre/a/b?c"}),
            (404, {"target": "/prefix"}), ("longer", {"target": "/pre/fix/x"}),
            ("inside", {"target": "/pre/fix/it"}), ("two", {"target": "/two"}),
            ("two", {"target": "/deux/x"}), (404, {"target": "/"})])


def test_methods_and_fields():
    expect(told("post", path="/m", method="POST") + told("any", path="/m")
           + told("beta", path="/h", header="X-Beta: yes")
           + told("some", path="/h", header="X-Some: *") + told("none", path="/h"),
           [("post", {"target": "/m", "method": "POST"}), ("any", {"target": "/m"}),
            ("any", {"target": "/m", "method": "PUT"}),
            ("beta", {"target": "/h", "fields": ["x-beta: yes"]}),
            ("none", {"target": "/h", "fields": ["X-Beta: no"]}),
            ("none", {"target": "/h", "fields": ["X-Beta: yes, no"]}),
            ("some", {"target": "/h", "fields": ["X-Some: thing"]}), ("none", {"target": "/h"})])


def test_precedence():
    """Host exact, longest suffix, path exact, longest prefix; then the order in the file."""
    expect(told("anything") + told("prefix", path="/a/*") + told("exact", path="/a/b")
           + told("suffix", host="*.s.test") + told("host", host="h.s.test")
           + told("host-prefix", host="h.s.test", path="/a/*"),
           [("anything", {"target": "/x"}), ("prefix", {"target": "/a/x"}),
            ("exact", {"target": "/a/b"}), ("suffix", {"target": "/a/b", "host": "x.s.test"}),
            ("host", {"target": "/x", "host": "h.s.test"}),
            ("host-prefix", {"target": "/a/b", "host": "h.s.test"})])


def test_nothing_matches():
    with only_routes(told("r", path="/r")) as sluice, Client(sluice) as client:
        equal(client.ask("GET", "/other").status, 404, "no route and no upstream")
        equal(client.ask("GET", "/r").body, b"r", "the connection goes on")
        equal(client.ask("POST", "/other", body=b"body").status, 404, "with a body")
    with HttpOrigin() as origin, http_sluice([origin], text=told("r", path="/r")) as sluice:
        equal(ask(sluice, "/other").body, b"GET /other", "the listener's own upstream")
        equal(ask(sluice, "/r").body, b"r", "a route before it")


def test_no_way_around_a_route():
    """Ways to write a path that a server may read as /secret/x: none of them gets there."""
    with HttpOrigin() as origin, \
            http_sluice([origin], text=route("no", path="/secret/*", respond="403")) as sluice:
        for target in ("/secret/x", "/a/../secret/x", "/./secret/x", "/%73ecret/x", "/secret%2fx",
                       "//secret/x", "/a/%2e%2e/secret/x", "/secret/../secret/x",
                       f"http://{SITE}/secret/x", f"http://{SITE}:80/a/..//secret/x"):
            status = ask(sluice, target).status
            check(status in (400, 403) or "secret/x" not in reduced(origin.last().target),
                  f"{target}: {status}, at the server as {origin.requests[-1:]}")


def reduced(target):
    """What a common server makes of a path."""
    path = target.split("?")[0].replace("%2e", ".").replace("%73", "s")
    return os.path.normpath(path).replace("//", "/").lstrip("/") if "//s" not in path else ""


def test_respond():
    with only_routes(route("text", path="/text", respond="200 hello, world")
                     + route("bare", path="/bare", respond="503")
                     + route("none", path="/none", respond="204")
                     + route("teapot", path="/t", respond="418 short; and stout")) as sluice:
        with Client(sluice) as client:
            answer = client.ask("GET", "/text")
            equal((answer.status, answer.body), (200, b"hello, world"), "text")
            equal(client.ask("HEAD", "/text").body, b"", "HEAD")
            equal(client.ask("GET", "/none").status, 204, "204")
            equal(client.ask("POST", "/text", body=b"x" * 100).body, b"hello, world", "POST")
            client.send(request("GET", "/text") * 5)
            for _ in range(5):
                equal(client.answer().body, b"hello, world", "pipelined")
        equal(ask(sluice, "/bare").status, 503, "503")
        equal(ask(sluice, "/t").status, 418, "418")


def test_redirect():
    with only_routes(
            route("https", path="/to/*", redirect="301 https://{host}{path}{query}")
            + route("fixed", path="/fixed", redirect="302 /elsewhere")
            + route("keep", path="/keep", redirect="308 https://new.test{path}")) as sluice:
        answer = ask(sluice, "/to/a%20b?x=1&y=2")
        equal((answer.status, answer.get("location")),
              (301, f"https://{SITE}/to/a%20b?x=1&y=2"), "with a query")
        equal(ask(sluice, "/to/x").get("location"), f"https://{SITE}/to/x", "without a query")
        equal(ask(sluice, "/fixed").get("location"), "/elsewhere", "a fixed location")
        equal(ask(sluice, "/keep?q", method="POST").status, 308, "308")
        answer = ask(sluice, "/to/%0d%0aX-Evil:%201")
        check(answer.status == 400 or answer.all("x-evil") == [], "an injected field")
        with Client(sluice) as client:
            equal(client.ask("GET", "/fixed").status, 302, "the first")
            equal(client.ask("GET", "/fixed").status, 302, "on the same connection")


def test_weights():
    with HttpOrigin(name="a") as a, HttpOrigin(name="b") as b, HttpOrigin(name="c") as c, \
            http_sluice([a], text=upstream("ua", a) + upstream("ub", b) + upstream("uc", c)
                        + route("w", path="/w", upstream="ua=80, ub=20, uc=0")) as sluice:
        with Client(sluice) as client:
            names = collections.Counter(client.ask("GET", "/w").get("x-server")
                                        for _ in range(400))
        check(40 <= names["b"] <= 130, f"about 80 of 400 should be for b: {names}")
        equal(names["c"], 0, "requests to one of weight 0")
        equal(names["a"] + names["b"], 400, "answers")


def test_request_fields():
    edits = route("e", path="/e", upstream="app", set_header=["X-Set: new", "X-New: 1"],
                  add_header=["X-Add: ours"], remove_header=["X-Gone", "Cookie"])
    with HttpOrigin() as origin, http_sluice([origin], text=edits) as sluice:
        fields = ["X-Set: old", "x-set: older", "X-Add: theirs", "X-Gone: 1", "x-gone: 2",
                  "Cookie: secret", "X-Stay: 1"]
        equal(ask(sluice, "/e", SITE, *fields).status, 200, "status")
        seen = origin.last()
        equal(seen.all("x-set"), ["new"], "a field that is set")
        equal(seen.all("x-new"), ["1"], "a field that is set and was not there")
        equal(seen.all("x-add"), ["theirs", "ours"], "a field that is added")
        equal(seen.all("x-gone") + seen.all("cookie"), [], "fields that are removed")
        equal(seen.all("x-stay"), ["1"], "another field")
        equal(ask(sluice, "/other", SITE, *fields).status, 200, "status")
        equal(origin.last().all("x-gone"), ["1", "2"], "fields outside of the route")


def test_response_fields():
    def script(_req, _link):
        return reply(b"ok", "Server: secret/1.0", "X-Set: old", "X-Gone: 1", "X-Gone: 2",
                     "X-Add: theirs")
    keys = {"set_response_header": ["X-Set: new", "X-Frame-Options: DENY"],
            "add_response_header": ["X-Add: ours"], "remove_response_header": ["X-Gone", "Server"]}
    with HttpOrigin(script) as origin, \
            http_sluice([origin], text=route("e", path="/e", upstream="app", **keys)
                        + route("r", path="/r", respond="200 own",
                                set_response_header="X-Set: new")) as sluice:
        answer = ask(sluice, "/e")
        equal(answer.all("x-set"), ["new"], "a field that is set")
        equal(answer.all("x-frame-options"), ["DENY"], "a field that is set and was not there")
        equal(answer.all("x-add"), ["theirs", "ours"], "a field that is added")
        equal(answer.all("x-gone"), [], "a field that is removed")
        check("secret/1.0" not in answer.all("server"), "Server")
        equal(ask(sluice, "/r").all("x-set"), ["new"], "in an answer of the route's own")
        equal(ask(sluice, "/other").all("x-gone"), ["1", "2"], "fields outside of the route")


def test_strip_prefix():
    text = route("s", path="/api/*", upstream="app", strip_prefix="/api")
    with HttpOrigin() as origin, http_sluice([origin], text=text) as sluice:
        for target, wanted in (("/api/users", "/users"), ("/api/", "/"), ("/api/a/api/b?c=/api/",
                               "/a/api/b?c=/api/"), ("/api/?q", "/?q"), ("/other", "/other")):
            equal(ask(sluice, target).status, 200, target)
            equal(origin.last().target, wanted, f"{target} without its prefix")


def test_host_header():
    with HttpOrigin() as origin, http_sluice(
            [origin], text=route("k", path="/keep", upstream="app", host_header="keep")
            + route("s", path="/server", upstream="app", host_header="server")
            + route("v", path="/value", upstream="app", host_header="inner.test:81")) as sluice:
        for target, wanted in (("/none", "outer.test"), ("/keep", "outer.test"),
                               ("/server", f"127.0.0.1:{origin.address[1]}"),
                               ("/value", "inner.test:81")):
            equal(ask(sluice, target, "outer.test").status, 200, target)
            equal(origin.last().get("host"), wanted, f"Host of {target}")


FORGED = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test",
          "Forwarded: for=6.6.6.6;proto=https;host=evil.test"]


def forwarded(mode, fields, **keys):
    """The fields of this sort that the server sees."""
    with HttpOrigin() as origin, http_sluice(
            [origin], text=route("f", path="/f", upstream="app", forwarded=mode, **keys)) as sluice:
        equal(ask(sluice, "/f", SITE, *fields).status, 200, "status")
        return {n: [v for m, v in lower(origin.last().fields) if m == n]
                for n in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded")}


def test_forwarded():
    for fields in ([], FORGED, FORGED * 2):
        seen = forwarded("x", fields)
        equal(seen["x-forwarded-for"], ["127.0.0.1"], "X-Forwarded-For")
        equal(seen["x-forwarded-proto"], ["http"], "X-Forwarded-Proto")
        equal(seen["x-forwarded-host"], [SITE], "X-Forwarded-Host")
        seen = forwarded("rfc7239", fields)
        equal(len(seen["forwarded"]), 1, "Forwarded")
        text = seen["forwarded"][0].lower().replace('"', "")
        check("for=127.0.0.1" in text and "6.6.6.6" not in text and "evil" not in text, text)
        seen = forwarded("both", fields)
        equal(seen["x-forwarded-for"], ["127.0.0.1"], "X-Forwarded-For of both")
        equal(len(seen["forwarded"]), 1, "Forwarded of both")


def test_forwarded_of_who_is_trusted():
    seen = forwarded("x", FORGED, trusted="127.0.0.0/8, 10.0.0.0/8")
    equal(", ".join(seen["x-forwarded-for"]), "6.6.6.6, 127.0.0.1", "X-Forwarded-For")
    seen = forwarded("rfc7239", FORGED, trusted="127.0.0.1/32")
    text = ", ".join(seen["forwarded"]).replace('"', "")
    check(0 <= text.find("for=6.6.6.6") < text.find("for=127.0.0.1"), text)
    seen = forwarded("x", FORGED, trusted="10.0.0.0/8")
    equal(seen["x-forwarded-for"], ["127.0.0.1"], "of a client who is not trusted")


def test_forwarded_off():
    seen = forwarded("off", [])
    equal(sum(map(len, seen.values())), 0, f"fields by default: {seen}")


def test_error_page():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for status in (400, 404, 502, 503):
            with open(os.path.join(folder, f"{status}.html"), "w", encoding="ascii") as f:
                f.write(f"<h1>our {status}</h1>")
        pages = [f"{s} {folder}/{s}.html" for s in (400, 404, 502, 503)]
        with only_routes(told("r", path="/r") + upstream("dead", ("127.0.0.1", 9))
                         + route("d", path="/dead", upstream="dead"),
                         {"error_page": pages}) as sluice:
            answer = ask(sluice, "/nowhere")
            equal((answer.status, answer.body), (404, b"<h1>our 404</h1>"), "404")
            equal(ask(sluice, "/nowhere", method="HEAD").body, b"", "HEAD")
            answer = ask(sluice, "/dead")
            check(answer.body == f"<h1>our {answer.status}</h1>".encode(),
                  f"{answer.status} {answer.body!r}")
            answer = one_answer(sluice, b"GET / HTTP/1.1\r\n\r\n")
            equal((answer.status, answer.body), (400, b"<h1>our 400</h1>"), "400")


def test_a_servers_own_errors_are_his():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "404.html")
        with open(path, "w", encoding="ascii") as f:
            f.write("ours")
        with HttpOrigin(lambda r, l: reply(b"theirs", status="404 Not Found")) as origin, \
                http_sluice([origin], listener={"error_page": f"404 {path}"}) as sluice:
            answer = ask(sluice)
            equal((answer.status, answer.body), (404, b"theirs"), "the server's 404")
            equal(origin.opened, 1, "connections")


def test_pages_do_not_echo():
    """What a client wrote is not in a page for him, unescaped."""
    with only_routes(told("r", path="/r")) as sluice:
        for target in ("/<script>x</script>", "/?q=<script>x</script>"):
            answer = ask(sluice, target, "evil.test", "X-A: <script>x</script>")
            check(answer.status in (400, 404), f"status {answer.status}")
            check(b"<script>" not in answer.body, "the request is in the page")


def test_an_upstream_without_a_usable_server_is_skipped():
    """Nobody listens at one of two targets: once it is out of service, the other has all."""
    dead = ("127.0.0.1", harness.free_port())
    with HttpOrigin() as origin, \
            http_sluice([origin], text=upstream("dead", dead, health="tcp", health_interval="100ms")
                        + upstream("other", origin)
                        + route("both", path="/*", upstream="dead=50, other=50")) as sluice:
        sluice.wait_count("servers_went_down", 1)
        statuses = [one_answer(sluice, request()).status for _ in range(20)]
        equal(statuses, [200] * 20, "statuses")


harness.main(globals())
