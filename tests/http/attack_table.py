# SPDX-License-Identifier: MIT
"""Requests that a proxy must not let through as they are: one row each.

A row is (name, bytes, statuses, verdict). EVIL is the target of what is smuggled: it must never be
a request at a server, whatever the verdict:

    REFUSED  one of the statuses and the end of the connection; no byte at a server
    CUT      what is wrong is in the body: the head may be at a server, a whole request may not; one
             of the statuses, or just an end
    CLEAN    REFUSED, or forwarded in one unambiguous form and answered
"""

from http_peers import head_of

REFUSED, CUT, CLEAN = "refused", "cut", "clean"
BAD = (400,)
BAD_OR_501 = (400, 501)
BAD_OR_505 = (400, 505)
EVIL = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
TE = "Transfer-Encoding: chunked"


def post(*fields, body=b"", version="HTTP/1.1"):
    return head_of(f"POST /attack {version}", "Host: a", *fields) + body


def get(*fields, line="GET /attack HTTP/1.1", host="Host: a"):
    return head_of(line, *([host] if host else []), *fields)


def chunked(body):
    return post(TE, body=body)


def framing():
    zero = b"0\r\n\r\n" + EVIL
    yield "cl-te", post("Content-Length: 6", TE, body=zero), BAD, REFUSED
    yield "te-cl", post(TE, "Content-Length: 6", body=zero), BAD, REFUSED
    yield "cl-te-lower", post("content-length: 6", "transfer-encoding: CHUNKED", body=zero), \
        BAD, REFUSED
    for first, second in ((5, 6), (6, 5), (5, 5), (0, 31)):
        yield f"cl-twice-{first}-{second}", post(
            f"Content-Length: {first}", f"Content-Length: {second}", body=b"hello" + EVIL), \
            BAD, REFUSED
    for value in ("5, 5", "5, 6", "5,5", "5,", ",5", "+5", "-5", "-0", "0x5", "5 5", "", "5a",
                  "a", "5;a", "5.0", "1_0", "0o5", "\"5\"", "5\x0b", "\x0c5", "\xa05",
                  "99999999999999999999", "18446744073709551616", "18446744073709551621",
                  "18446744073709551615", "9223372036854775808", "9" * 200):
        yield f"cl-{value[:24]!a}", post(f"Content-Length: {value}", body=b"hello" + EVIL), \
            BAD, REFUSED
    for value in ("chunked, chunked", "chunked, gzip", "identity", "xchunked", "chunkedx",
                  "gzip, chunked", "identity, chunked", ",chunked", ", chunked", "chunked,",
                  "gzip", "", "chunked;a=b", "\"chunked\"", "'chunked'", "chunked\x0b",
                  "\x0bchunked", "chunked\x0c", "\x0cchunked", "\xa0chunked", "chunked\xff",
                  "chunked\x00", "\x00chunked", "chunk\xe9d", "chunked chunked", "cow, chunked",
                  "chunked\x08", "[chunked]", "chu nked"):
        yield f"te-{value!a}", post(f"Transfer-Encoding: {value}", body=zero), BAD_OR_501, REFUSED
        yield f"cl+te-{value!a}", post(
            "Content-Length: 6", f"Transfer-Encoding: {value}", body=zero), BAD_OR_501, REFUSED
    yield "te-twice", post(TE, TE, body=zero), BAD_OR_501, REFUSED
    yield "te-twice-identity", post(TE, "Transfer-Encoding: identity", body=zero), \
        BAD_OR_501, REFUSED
    yield "te-twice-identity-first", post("Transfer-Encoding: identity", TE, body=zero), \
        BAD_OR_501, REFUSED
    yield "te-http-1.0", post(TE, body=zero, version="HTTP/1.0"), BAD_OR_501, REFUSED
    yield "te-http-1.0-keep-alive", post(TE, "Connection: keep-alive", body=zero,
                                         version="HTTP/1.0"), BAD_OR_501, REFUSED


def names():
    """Ways to write a name that another parser may read as Transfer-Encoding."""
    for name in ("Transfer-Encoding ", "Transfer-Encoding\t", " Transfer-Encoding",
                 "\tTransfer-Encoding", "Transfer-Encoding\x0b", "Transfer\r-Encoding",
                 "Transfer-Encoding\r", "Transfer-Encoding\x00", "Transfer-Encoding\xa0",
                 "\xffTransfer-Encoding", "Transfer Encoding", "Transfer-Enc\xf6ding",
                 "\"Transfer-Encoding\"", "Transfer-Encoding(x)", "Transfer-Encoding\x08",
                 "\x00Transfer-Encoding", "Transfer-Encoding\n", "Transfer-Encoding\x1f"):
        yield f"name-{name!a}", post("Content-Length: 5", f"{name}: chunked", body=b"0\r\n\r\n"
                                     + EVIL), BAD, REFUSED
    yield "name-cl-space", post("Content-Length : 5", body=b"hello" + EVIL), BAD, REFUSED
    yield "name-cl-tab", post("Content-Length\t: 5", body=b"hello" + EVIL), BAD, REFUSED
    yield "name-empty", get(": v"), BAD, REFUSED
    yield "name-empty-cl", post(": x", "Content-Length: 5", body=b"hello" + EVIL), BAD, REFUSED
    yield "no-colon", get("Foo"), BAD, REFUSED
    yield "no-colon-te", post("Transfer-Encoding chunked", "Content-Length: 5",
                              body=b"0\r\n\r\n" + EVIL), BAD, REFUSED
    yield "name-bracket", get("Bad[Name: v"), BAD, REFUSED
    yield "name-space", get("Bad Name: v"), BAD, REFUSED
    yield "name-utf8", get("X-T\xc3\xabst: v"), BAD, REFUSED
    for byte in (0, 1, 8, 11, 12, 27, 31, 127):
        yield f"ctl-{byte:#x}-in-value", get(f"X-A: a{chr(byte)}b"), BAD, REFUSED
        yield f"ctl-{byte:#x}-in-name", get(f"X-A{chr(byte)}: b"), BAD, REFUSED
    yield "fold", get("X-A: a", " b"), BAD, REFUSED
    yield "fold-tab", get("X-A: a", "\tTransfer-Encoding: chunked"), BAD, REFUSED
    yield "fold-te", post("Transfer-Encoding:", " chunked", "Content-Length: 5",
                          body=b"0\r\n\r\n" + EVIL), BAD, REFUSED
    yield "fold-first", b"GET /attack HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", BAD, REFUSED
    yield "fold-blank-first", b"GET /attack HTTP/1.1\r\n \r\nHost: a\r\n\r\n", BAD, REFUSED
    yield "underscore-te", post("Content-Length: 5", "Transfer_Encoding: chunked", body=b"hello"), \
        BAD, CLEAN
    yield "underscore-cl", post("Content-Length: 5", "Content_Length: 99", body=b"hello"), \
        BAD, CLEAN


def line_ends():
    yield "lf-request-line", b"GET /attack HTTP/1.1\nHost: a\r\n\r\n", BAD, REFUSED
    yield "lf-field", b"GET /attack HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", BAD, REFUSED
    yield "lf-head-end", b"GET /attack HTTP/1.1\r\nHost: a\r\n\n" + EVIL, BAD, REFUSED
    yield "lf-all", b"GET /attack HTTP/1.1\nHost: a\n\n", BAD, REFUSED
    yield "lf-before", b"\nGET /attack HTTP/1.1\r\nHost: a\r\n\r\n", BAD, REFUSED
    yield "lf-hides-te", post("X: y\nTransfer-Encoding: chunked", "Content-Length: 5",
                              body=b"0\r\n\r\n" + EVIL), BAD, REFUSED
    yield "cr-value", b"GET /attack HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BAD, REFUSED
    yield "cr-hides-te", post("X: y\rTransfer-Encoding: chunked", "Content-Length: 5",
                              body=b"0\r\n\r\n" + EVIL), BAD, REFUSED
    yield "cr-request-line", b"GET /attack HTTP/1.1\rHost: a\r\n\r\n", BAD, REFUSED
    yield "cr-head-end", b"GET /attack HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", BAD, REFUSED
    yield "cr-cr-lf", b"GET /attack HTTP/1.1\r\nHost: a\r\r\n\r\n", BAD, REFUSED


def targets():
    for line in ("GET * HTTP/1.1", "GET attack HTTP/1.1", "GET /a#b HTTP/1.1", "GET HTTP/1.1",
                 "GET  HTTP/1.1", "CONNECT /attack HTTP/1.1", "CONNECT * HTTP/1.1",
                 "GET a:80 HTTP/1.1", "GET /a b HTTP/1.1", "GET  /attack HTTP/1.1",
                 "GET /attack  HTTP/1.1", "GET\t/attack HTTP/1.1", "GET /attack\tHTTP/1.1",
                 "GET /attack HTTP/1.1 ", " GET /attack HTTP/1.1", "GET /a\x00b HTTP/1.1",
                 "GET /a\x01b HTTP/1.1", "GET /a\x7fb HTTP/1.1", "GET /caf\xc3\xa9 HTTP/1.1",
                 "GET /\xc0\xaf HTTP/1.1", "GET ?a HTTP/1.1", "POST * HTTP/1.1",
                 "GET http:// HTTP/1.1", "GET http:///attack HTTP/1.1",
                 "GET http://a b/ HTTP/1.1", "OPTIONS *x HTTP/1.1"):
        yield f"line-{line!a}", get(line=line), (400, 403, 404, 405, 501), REFUSED
    for line in ("GET /attack", "GET /attack HTTP/0.9", "GET /attack HTTP/1.2",
                 "GET /attack HTTP/2.0", "GET /attack HTTP/9.9", "GET /attack RTSP/1.0",
                 "GET /attack ICE/1.0", "GET /attack http/1.1", "GET /attack HTTP/1",
                 "GET /attack HTTP/01.01", "GET /attack HTTP/ 1.1", "GET /attack HTTP/1.1x",
                 "GET /attack HTTP/1.10", "GET /attack HTTP/11.1", "GET /attack HTTPS/1.1",
                 "GET /attack HTTP-1.1", "GET /attack XHTTP/1.1"):
        yield f"version-{line!a}", get(line=line), (400, 501, 505), REFUSED
    yield "h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 501, 505), REFUSED
    yield "h2-preface-1.1", b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", (400, 501, 505), REFUSED
    yield "blank-lines-only", b"   \r\n\r\n", BAD, REFUSED
    yield "garbage", bytes(range(128, 256)) + b"\r\n\r\n", BAD_OR_501, REFUSED
    yield "tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 600, \
        BAD_OR_501, REFUSED
    for method in ("G@T", "GE(T", "G\x00T", "\xc3\x89GET", "{GET}", "GET,", "\"GET\""):
        yield f"method-{method!a}", get(line=f"{method} /attack HTTP/1.1"), BAD_OR_501, REFUSED
    yield "method-long", get(line="A" * 10000 + " /attack HTTP/1.1"), (400, 414, 431, 501), CLEAN


def hosts():
    yield "host-none", get(host=None), BAD, REFUSED
    yield "host-twice", get("Host: b"), BAD, REFUSED
    yield "host-twice-same", get("Host: a"), BAD, REFUSED
    yield "host-twice-1.0", get("Host: b", line="GET /attack HTTP/1.0"), BAD, REFUSED
    for host in ("a, b", "a/b", "a@b", "u:p@a", "a b", "a:b", "a:80:80", "a:-1", "a#b", "a?b",
                 "a\\b", "[::1", "::1]", "a\tb", "<a>", "\"a\"", "http://a", "a\x7f", "[::1]x"):
        yield f"host-{host!a}", get(host=f"Host: {host}"), BAD, REFUSED
    for host in ("a;b", "a:99999999999", "[:::1::1]", "a..b", ".", "a%62"):
        yield f"host-{host!a}", get(host=f"Host: {host}"), BAD, CLEAN
    yield "host-userinfo-in-target", get(line="GET http://u@a/ HTTP/1.1"), BAD, CLEAN
    yield "host-empty", get(host="Host: "), BAD, CLEAN
    yield "host-nul", get(host="Host: a\x00b"), BAD, REFUSED
    yield "host-space-colon", get(host="Host : a"), BAD, REFUSED
    yield "host-fold", get("X: y", " Host: b"), BAD, REFUSED


def connection():
    for name in ("Transfer-Encoding", "Content-Length", "Host", "close, Content-Length",
                 "CONTENT-LENGTH", "keep-alive, host"):
        yield f"connection-{name}", post("Content-Length: 31", f"Connection: {name}", body=EVIL), \
            BAD, REFUSED
    yield "connection-te", post(TE, "Connection: transfer-encoding", body=b"0\r\n\r\n" + EVIL), \
        BAD, REFUSED


def bodies():
    """The head is well; the server may have it before the body turns out to be wrong."""
    rest = b"hello\r\n0\r\n\r\n" + EVIL
    for line in ("fffffffffffffffff", "FFFFFFFFFFFFFFFF0", "0x5", "+5", "-5", "5 ", " 5", "1_0",
                 "", "g", "5;\nXX", "5;a\rX", "5;\x00a", "5\x00", "5\x0b", "5;a=\"b\x00\"", "\t5",
                 "5,5", "5.", "\"5\"", "5;\x7f", "ffffffffffffffff", "8000000000000000"):
        yield f"chunk-line-{line!a}", chunked(line.encode("latin-1") + b"\r\n" + rest), BAD, CUT
    yield "chunk-lf", chunked(b"5\nhello\r\n0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-cr", chunked(b"5\rhello\r\n0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-cr-x", chunked(b"5\r\nhello\rX0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-lf-after", chunked(b"5\r\nhello\n0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-no-crlf-after", chunked(b"5\r\nhello0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-spill", chunked(b"5\r\nhelloX\r\n0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-spill-two", chunked(b"5\r\nhelloXX0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-short", chunked(b"6\r\nhello\r\n0\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-last-lf", chunked(b"5\r\nhello\r\n0\n\r\n" + EVIL), BAD, CUT
    yield "chunk-end-lf", chunked(b"5\r\nhello\r\n0\r\n\n" + EVIL), BAD, CUT
    yield "chunk-last-spill", chunked(b"5\r\nhello\r\n0\r\nXX\r\n\r\n" + EVIL), BAD, CUT
    yield "chunk-ext-64k", chunked(b"5;a=" + b"a" * 65536 + b"\r\n" + rest[:12]), \
        (400, 413, 431), CUT
    for trailer in ("Content-Length: 31", "Transfer-Encoding: chunked", "X-A : b", " fold",
                    ": empty", "no colon", "X-A: \x00", "X\x00A: b", "X-A: a\rb"):
        yield f"trailer-{trailer!a}", chunked(
            b"5\r\nhello\r\n0\r\n" + trailer.encode("latin-1") + b"\r\n\r\n"), (400, 431), \
            CLEAN if trailer[:1] in "CT" else CUT
    for trailer in ("Host: evil", "Authorization: Bearer evil", "Connection: close",
                    "Content-Type: text/evil", "Cookie: evil=1", "Content-Encoding: gzip",
                    "Expect: 100-continue", "Upgrade: h2c", "Trailer: X"):
        yield f"trailer-{trailer}", chunked(
            b"5\r\nhello\r\n0\r\n" + trailer.encode("latin-1") + b"\r\n\r\n"), BAD, CLEAN


def rows():
    for part in (framing, names, line_ends, targets, hosts, connection, bodies):
        yield from part()


# What a trailer must not be called, when trailers are forwarded.
FORBIDDEN_TRAILERS = {"host", "authorization", "connection", "content-type", "cookie",
                      "content-encoding", "expect", "upgrade", "trailer", "content-length",
                      "transfer-encoding", "set-cookie"}
