/* SPDX-License-Identifier: MIT */
/*
 * test_http_edit.c - heads on their way through, as text.
 */
#include "http/edit.h"

#include <stdio.h>

#include "http_edit_helpers.h"
#include "unit.h"

struct row {
	const char *head;
	const char *right;
};

static void check_requests(const struct row *rows, size_t count, const struct http_edits *edits,
			   const struct http_hop *hop)
{
	for (size_t i = 0; i < count; i++) {
		unit_row(rows[i].head);
		CHECK_TEXT(request(rows[i].head, edits, hop), rows[i].right);
	}
	unit_row(NULL);
}

static void check_responses(const struct row *rows, size_t count, enum http_method method,
			    const struct http_hop *hop)
{
	for (size_t i = 0; i < count; i++) {
		unit_row(rows[i].head);
		CHECK_TEXT(response(rows[i].head, method, NULL, hop), rows[i].right);
	}
	unit_row(NULL);
}

/* --- requests -------------------------------------------------------------------------------- */

#define TYPICAL_FIELDS                                                                     \
	"Host: example.com\r\nUser-Agent: x/1.0\r\nAccept: */*\r\nAccept-Language: en\r\n" \
	"Accept-Encoding: gzip\r\nReferer: http://example.com/\r\nCookie: a=b\r\nX-Id: 7\r\n"

TEST(a_request_with_nothing_to_change_is_one_part)
{
	static const char text[] = "GET /a?b HTTP/1.1\r\n" TYPICAL_FIELDS "\r\n";

	CHECK_TEXT(request(text, NULL, NULL), text);
	CHECK_UINT(parts.count, 1);
	CHECK_UINT(parts.scratch_used, 0);
	CHECK(parts.parts[0].iov_base == base);
	/* Connection in the middle, or at the end */
	request("GET /a?b HTTP/1.1\r\nConnection: keep-alive\r\n" TYPICAL_FIELDS "\r\n", NULL,
		NULL);
	CHECK_TEXT(out, text);
	CHECK_UINT(parts.count, 2);
	request("GET /a?b HTTP/1.1\r\n" TYPICAL_FIELDS "Connection: keep-alive\r\n\r\n", NULL,
		NULL);
	CHECK_TEXT(out, text);
	CHECK_UINT(parts.count, 2);
}

TEST(hop_by_hop_fields_stop_here)
{
	static const struct row rows[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-A\r\nX-A: 1\r\nx-b: 2\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nx-b: 2\r\n\r\n" },
		{ "GET / HTTP/1.1\r\nKeep-Alive: 5\r\nHost: x\r\nProxy-Connection: close\r\n"
		  "TE: gzip\r\nHTTP2-Settings: AAA\r\nUpgrade: foo\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n" },
		{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Version: 13\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		  "Connection: upgrade\r\n\r\n" },
		/* not asked for by Connection */
		{ "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
	};
	static const struct row close_rows[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n" },
	};
	struct http_hop hop = no_hop;

	check_requests(rows, ARRAY_COUNT(rows), NULL, NULL);
	hop.close = true;
	check_requests(close_rows, ARRAY_COUNT(close_rows), NULL, &hop);
}

TEST(framing_of_a_request_is_written_anew)
{
	static const struct row rows[] = {
		{ "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 0010\r\nA: b\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: x\r\nA: b\r\nContent-Length: 10\r\n\r\n" },
		{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n" },
		{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" },
		{ "POST / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\nHost: x\r\nTrailer: A\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: x\r\nTrailer: A\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n" },
		{ "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
		  "Content-Length: 1\r\n\r\n" },
	};

	check_requests(rows, ARRAY_COUNT(rows), NULL, NULL);
}

TEST(requests_of_http_1_0_go_on_as_1_1)
{
	static const struct row rows[] = {
		{ "GET /a HTTP/1.0\r\nHost: x\r\n\r\n", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ "GET /a HTTP/1.0\r\nA: b\r\nConnection: keep-alive\r\n\r\n",
		  "GET /a HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nA: b\r\n\r\n" },
		{ "GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n\r\n" },
		{ "POST / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" },
	};

	check_requests(rows, ARRAY_COUNT(rows), NULL, NULL);
}

TEST(targets_go_on_in_origin_form)
{
	static const struct row rows[] = {
		{ "GET http://a.b:81/c?d HTTP/1.1\r\nA: 1\r\nHost: z\r\nB: 2\r\n\r\n",
		  "GET /c?d HTTP/1.1\r\nHost: a.b:81\r\nA: 1\r\nB: 2\r\n\r\n" },
		{ "GET http://a.b HTTP/1.1\r\nHost: a.b\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n" },
		{ "GET http://a.b?q HTTP/1.1\r\nHost: a.b\r\n\r\n",
		  "GET /?q HTTP/1.1\r\nHost: a.b\r\n\r\n" },
		{ "GET http://a.b/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n" },
		{ "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		  "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ "CONNECT a.b:443 HTTP/1.1\r\nHost: z\r\n\r\n",
		  "CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n" },
		{ "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
		{ "GET //a/b HTTP/1.1\r\nHost: x\r\n\r\n",
		  "GET //a/b HTTP/1.1\r\nHost: x\r\n\r\n" },
	};

	check_requests(rows, ARRAY_COUNT(rows), NULL, NULL);
}

TEST(a_prefix_is_stripped_up_to_a_slash)
{
	static const struct {
		const char *target;
		uint16_t strip;
		const char *right;
	} rows[] = {
		{ "/api", 4, "/" },         { "/api/x", 4, "/x" },
		{ "/api/x", 5, "/x" },      { "/api/", 4, "/" },
		{ "/api/", 5, "/" },        { "/api?q=/", 4, "/?q=/" },
		{ "/api/x?q", 4, "/x?q" },  { "/", 1, "/" },
		{ "/x", 1, "/x" },          { "/api//x", 4, "//x" },
		{ "/apix", 4, "/x" },       { "/a", 40, "/" },
		{ "/a", 0, "/a" },          { "http://h/api/x", 4, "/x" },
		{ "http://h/api", 4, "/" }, { "http://h", 4, "/" },
		{ "http://h?q", 4, "/?q" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct http_edits edits = { .strip_prefix = rows[i].strip };
		char text[128], right[128];

		unit_row(rows[i].target);
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].target);
		snprintf(right, sizeof(right), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].right);
		CHECK_TEXT(request(text, &edits, NULL), right);
	}
	unit_row(NULL);
}

TEST(host_is_kept_or_replaced)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: 1\r\nHOST: x:80\r\nB: 2\r\n\r\n";
	struct http_edits edits = { .host_header = HTTP_HOST_KEEP };

	CHECK_TEXT(request(text, &edits, NULL), text);
	edits.host_header = HTTP_HOST_SERVER;
	CHECK_TEXT(request(text, &edits, NULL),
		   "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nA: 1\r\nB: 2\r\n\r\n");
	edits.host_header = HTTP_HOST_VALUE;
	edits.host = "www.example.com";
	CHECK_TEXT(request(text, &edits, NULL),
		   "GET / HTTP/1.1\r\nHost: www.example.com\r\nA: 1\r\nB: 2\r\n\r\n");
}

TEST(fields_are_removed_and_added)
{
	static const struct http_name removed[] = { { "x-a", 3 }, { "accept", 6 } };
	struct http_edits edits = { .removed = removed,
				    .removed_count = 2,
				    .added = "X-A: new\r\nX-N: 1\r\n",
				    .added_len = 18 };
	static const struct row rows[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\nX-a: old\r\nX-B: 1\r\nACCEPT: y\r\n"
		  "X-A: old\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nX-B: 1\r\nX-A: new\r\nX-N: 1\r\n\r\n" },
		{ "GET / HTTP/1.1\r\nHost: x\r\nX-A2: 1\r\nAccept-Foo: y\r\nX_A: 2\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: x\r\nX-A2: 1\r\nAccept-Foo: y\r\nX_A: 2\r\n"
		  "X-A: new\r\nX-N: 1\r\n\r\n" },
		{ "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
		  "PUT / HTTP/1.1\r\nHost: x\r\nX-A: new\r\nX-N: 1\r\nContent-Length: 1\r\n\r\n" },
	};

	check_requests(rows, ARRAY_COUNT(rows), &edits, NULL);
}

/* --- forwarding ------------------------------------------------------------------------------ */

#define X_RECEIVED                                                         \
	"X-Forwarded-For: 1.1.1.1\r\nA: b\r\nX-Forwarded-Proto: https\r\n" \
	"x-forwarded-for: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Host: outer\r\n" \
	"X-Forwarded-Port: 443\r\n"

TEST(x_forwarded_fields)
{
	struct http_edits edits = { .forwarded = HTTP_FORWARD_X };
	struct http_hop hop = no_hop;
	static const char received[] = "GET / HTTP/1.1\r\nHost: x:1\r\n" X_RECEIVED "\r\n";

	CHECK_TEXT(request("GET / HTTP/1.1\r\nHost: x:1\r\n\r\n", &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x:1\r\nX-Forwarded-For: 192.0.2.1\r\n"
		   "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x:1\r\n\r\n");
	CHECK_UINT(parts.count, 2);
	/* of a client that is not trusted */
	CHECK_TEXT(request(received, &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x:1\r\nA: b\r\nX-Forwarded-For: 192.0.2.1\r\n"
		   "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x:1\r\n\r\n");
	hop.client_trusted = true;
	CHECK_TEXT(request(received, &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x:1\r\nA: b\r\nX-Forwarded-Proto: https\r\n"
		   "X-Forwarded-Host: outer\r\nX-Forwarded-Port: 443\r\n"
		   "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1\r\n\r\n");
	hop.client = "2001:db8::1";
	CHECK_TEXT(request("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For:\r\n\r\n", &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 2001:db8::1\r\n"
		   "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
	/* without an authority there is no X-Forwarded-Host */
	hop.client = "unix";
	CHECK_TEXT(request("GET / HTTP/1.0\r\n\r\n", &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nX-Forwarded-For: unix\r\n"
		   "X-Forwarded-Proto: http\r\n\r\n");
	/* the client's, not the server's */
	edits.host_header = HTTP_HOST_SERVER;
	CHECK_TEXT(request("GET http://a/ HTTP/1.1\r\nHost: x\r\n\r\n", &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nX-Forwarded-For: unix\r\n"
		   "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n");
}

TEST(without_forwarding_received_fields_pass)
{
	static const char received[] =
		"GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=a\r\n" X_RECEIVED "\r\n";
	struct http_edits edits = { .forwarded = 0 };

	CHECK_TEXT(request(received, &edits, NULL), received);
	CHECK_UINT(parts.count, 1);
}

TEST(forwarded_of_rfc_7239)
{
	struct http_edits edits = { .forwarded = HTTP_FORWARD_RFC7239 };
	struct http_hop hop = no_hop;
	static const char received[] =
		"GET / HTTP/1.1\r\nForwarded: for=a\r\nHost: x\r\n"
		"X-Forwarded-For: 1.1.1.1\r\nforwarded: for=b;proto=http\r\n\r\n";

	CHECK_TEXT(request(received, &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n"
		   "Forwarded: for=192.0.2.1;host=\"x\";proto=http\r\n\r\n");
	hop.client_trusted = true;
	hop.client = "2001:db8::1";
	CHECK_TEXT(request(received, &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n"
		   "Forwarded: for=a, for=b;proto=http, for=\"[2001:db8::1]\";host=\"x\";proto=http"
		   "\r\n\r\n");
	hop.client = "unix";
	CHECK_TEXT(
		request("GET / HTTP/1.0\r\n\r\n", &edits, &hop),
		"GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nForwarded: for=_unix;proto=http\r\n\r\n");
	edits.forwarded |= HTTP_FORWARD_X;
	hop.client = "192.0.2.1";
	CHECK_TEXT(request("GET / HTTP/1.1\r\nHost: x:8\r\n\r\n", &edits, &hop),
		   "GET / HTTP/1.1\r\nHost: x:8\r\nX-Forwarded-For: 192.0.2.1\r\n"
		   "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x:8\r\n"
		   "Forwarded: for=192.0.2.1;host=\"x:8\";proto=http\r\n\r\n");
}

TEST(many_received_lists_stay_lines)
{
	struct http_edits edits = { .forwarded = HTTP_FORWARD_X };
	struct http_hop hop = no_hop;

	hop.client_trusted = true;
	CHECK_TEXT(
		request("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\n"
			"X-Forwarded-For: 3\r\nX-Forwarded-For: 4\r\n\r\n",
			&edits, &hop),
		"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\n"
		"X-Forwarded-For: 3\r\nX-Forwarded-For: 4\r\nX-Forwarded-For: 192.0.2.1\r\n"
		"X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n");
}

/* --- responses ------------------------------------------------------------------------------- */

TEST(responses_pass)
{
	static const struct row rows[] = {
		{ "HTTP/1.1 200 OK\r\nServer: s\r\nDate: d\r\nContent-Length: 005\r\n"
		  "Connection: keep-alive\r\nKeep-Alive: 5\r\nETag: e\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nServer: s\r\nDate: d\r\nETag: e\r\n"
		  "Content-Length: 5\r\n\r\n" },
		{ "HTTP/1.0 404 No\tsuch thing\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 404 No\tsuch thing\r\nContent-Length: 0\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nTrailer: a\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n" },
		/* reasons */
		{ "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n" },
		{ "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
		{ "HTTP/1.0 503 \xff\r\nA: b\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 503 Service Unavailable\r\nA: b\r\nContent-Length: 0\r\n\r\n" },
		{ "HTTP/1.1 599 \x7f\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n" },
		/* without a body */
		{ "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nA: b\r\n\r\n",
		  "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n" },
		{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 007\r\n\r\n",
		  "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n" },
		{ "HTTP/1.1 304 Not Modified\r\nETag: e\r\n\r\n",
		  "HTTP/1.1 304 Not Modified\r\nETag: e\r\n\r\n" },
		{ "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 5\r\n\r\n",
		  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" },
		{ "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n"
		  "Connection: upgrade, x\r\nX: y\r\n\r\n",
		  "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n" },
		{ "HTTP/1.1 426 Upgrade Required\r\nUpgrade: foo\r\nContent-Length: 0\r\n\r\n",
		  "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n" },
	};
	static const struct row head_rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "HTTP/1.1 200 OK\r\n\r\n" },
	};
	static const struct row connect_rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n" },
	};

	check_responses(rows, ARRAY_COUNT(rows), HTTP_METHOD_GET, NULL);
	check_responses(head_rows, ARRAY_COUNT(head_rows), HTTP_METHOD_HEAD, NULL);
	check_responses(connect_rows, ARRAY_COUNT(connect_rows), HTTP_METHOD_CONNECT, NULL);
}

TEST(clients_are_told_what_becomes_of_the_connection)
{
	static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char sized[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
	static const char hint[] = "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n";
	struct http_hop hop = { .close = true };

	CHECK_TEXT(response(sized, HTTP_METHOD_GET, NULL, &hop),
		   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n");
	CHECK_TEXT(response(hint, HTTP_METHOD_GET, NULL, &hop), hint);
	hop.plain = true;
	CHECK_TEXT(response(chunked, HTTP_METHOD_GET, NULL, &hop),
		   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	CHECK_TEXT(response(sized, HTTP_METHOD_GET, NULL, &hop),
		   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n");
	hop = (struct http_hop){ .keep_alive = true, .plain = true };
	CHECK_TEXT(response(sized, HTTP_METHOD_GET, NULL, &hop),
		   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n");
}

TEST(fields_of_a_response_are_removed_and_added)
{
	static const struct http_name removed[] = { { "server", 6 } };
	struct http_edits edits = {
		.removed = removed, .removed_count = 1, .added = "X-N: 1\r\n", .added_len = 8
	};

	CHECK_TEXT(response("HTTP/1.1 200 OK\r\nSERVER: x\r\nDate: d\r\nContent-Length: 3\r\n\r\n",
			    HTTP_METHOD_GET, &edits, NULL),
		   "HTTP/1.1 200 OK\r\nDate: d\r\nX-N: 1\r\nContent-Length: 3\r\n\r\n");
}

static const struct unit_test tests[] = {
	ROW(a_request_with_nothing_to_change_is_one_part),
	ROW(hop_by_hop_fields_stop_here),
	ROW(framing_of_a_request_is_written_anew),
	ROW(requests_of_http_1_0_go_on_as_1_1),
	ROW(targets_go_on_in_origin_form),
	ROW(a_prefix_is_stripped_up_to_a_slash),
	ROW(host_is_kept_or_replaced),
	ROW(fields_are_removed_and_added),
	ROW(x_forwarded_fields),
	ROW(without_forwarding_received_fields_pass),
	ROW(forwarded_of_rfc_7239),
	ROW(many_received_lists_stay_lines),
	ROW(responses_pass),
	ROW(clients_are_told_what_becomes_of_the_connection),
	ROW(fields_of_a_response_are_removed_and_added),
};
UNIT_MAIN(tests)
