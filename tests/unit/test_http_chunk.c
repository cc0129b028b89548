/* SPDX-License-Identifier: MIT */
/*
 * test_http_chunk.c - chunked bodies: what goes on, what does not, and that cuts change nothing.
 */
#include "http/chunk.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#define STREAM_MAX 8192

struct result {
	enum http_progress progress;
	uint32_t refusal;
	uint32_t passed;
	uint32_t consumed;
	uint64_t data;
	uint32_t trailer_bytes;
	uint8_t out[STREAM_MAX];
	uint8_t trailer[HTTP_TRAILER_MAX];
};

/* A stream fed in pieces that end at first, first + step, first + 2 * step .. */
static void feed(struct result *result, enum http_chunk_mode mode, const uint8_t *stream,
		 uint32_t len, uint32_t first, uint32_t step)
{
	struct http_chunk chunk;
	uint32_t at = 0, end = first;

	memset(result, 0, sizeof(*result));
	http_chunk_begin(&chunk, mode);
	do {
		uint32_t piece_len, passed, consumed;
		uint8_t *piece;

		if (end > len)
			end = len;
		piece_len = end - at;
		piece = malloc(piece_len + 1); /* its own block: nothing is written outside of it */
		if (!CHECK(piece))
			return;
		memcpy(piece, stream + at, piece_len);
		result->progress = http_chunk_feed(&chunk, piece, piece_len, &passed, &consumed);
		CHECK(passed <= consumed && consumed <= piece_len);
		CHECK(consumed == piece_len || result->progress == HTTP_DONE);
		memcpy(result->out + result->passed, piece, passed);
		result->passed += passed;
		result->consumed += consumed;
		free(piece);
		at = end;
		end += step;
	} while (at < len && result->progress == HTTP_MORE);
	result->refusal = chunk.refusal;
	result->data = chunk.data;
	if (result->progress == HTTP_DONE) {
		result->trailer_bytes = chunk.trailer_bytes;
		memcpy(result->trailer, chunk.trailer, chunk.trailer_bytes);
	}
	if (result->progress == HTTP_REFUSED)
		result->consumed = 0; /* depends on the cut */
}

static bool is_same(const struct result *a, const struct result *b)
{
	return a->progress == b->progress && a->refusal == b->refusal && a->passed == b->passed &&
	       a->consumed == b->consumed && a->data == b->data &&
	       a->trailer_bytes == b->trailer_bytes && memcmp(a->out, b->out, a->passed) == 0 &&
	       memcmp(a->trailer, b->trailer, a->trailer_bytes) == 0;
}

/* Whole, byte by byte, in threes, and in two pieces cut anywhere. */
static void feed_all(struct result *whole, enum http_chunk_mode mode, const void *stream,
		     uint32_t len)
{
	static struct result cut;

	feed(whole, mode, stream, len, len, 1);
	feed(&cut, mode, stream, len, 1, 1);
	CHECK(is_same(whole, &cut));
	feed(&cut, mode, stream, len, 3, 3);
	CHECK(is_same(whole, &cut));
	for (uint32_t first = 0; first <= len; first++) {
		feed(&cut, mode, stream, len, first, len);
		if (!CHECK(is_same(whole, &cut)))
			return;
	}
}

static void check_bytes(const uint8_t *found, uint32_t len, const char *right)
{
	char text[STREAM_MAX + 1];

	memcpy(text, found, len);
	text[len] = '\0';
	CHECK_UINT(len, strlen(right));
	CHECK_TEXT(text, right);
}

struct good {
	const char *stream;
	const char *kept;
	const char *data;
	const char *trailer;
	const char *rest;
};

static void check_good(const struct good *rows, size_t count)
{
	static struct result result;

	for (size_t i = 0; i < count; i++) {
		uint32_t len = (uint32_t)strlen(rows[i].stream);

		unit_row(rows[i].stream);
		feed_all(&result, HTTP_CHUNK_KEEP, rows[i].stream, len);
		CHECK_INT(result.progress, HTTP_DONE);
		check_bytes(result.out, result.passed, rows[i].kept);
		check_bytes(result.trailer, result.trailer_bytes, rows[i].trailer);
		CHECK_TEXT(rows[i].stream + result.consumed, rows[i].rest);
		CHECK_UINT(result.data, strlen(rows[i].data));
		feed_all(&result, HTTP_CHUNK_DATA, rows[i].stream, len);
		CHECK_INT(result.progress, HTTP_DONE);
		check_bytes(result.out, result.passed, rows[i].data);
		check_bytes(result.trailer, result.trailer_bytes, rows[i].trailer);
		CHECK_TEXT(rows[i].stream + result.consumed, rows[i].rest);
	}
	unit_row(NULL);
}

TEST(bodies_pass)
{
	static const struct good rows[] = {
		{ "0\r\n\r\n", "", "", "", "" },
		{ "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "1\r\na\r\n2\r\nbc\r\n", "abc", "", "" },
		{ "A\r\n0123456789\r\n0\r\n\r\n", "A\r\n0123456789\r\n", "0123456789", "", "" },
		{ "a\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n", "0123456789", "", "" },
		/* data that looks like framing */
		{ "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "7\r\n\r\n0\r\n\r\n\r\n", "\r\n0\r\n\r\n", "",
		  "" },
		/* zeros in front */
		{ "05\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "0000000000000010\r\n0123456789abcdef\r\n000\r\n\r\n",
		  "10\r\n0123456789abcdef\r\n", "0123456789abcdef", "", "" },
		/* what stands behind is not touched */
		{ "0\r\n\r\nGET / HTTP/1.1\r\n", "", "", "", "GET / HTTP/1.1\r\n" },
		{ "1\r\nx\r\n0\r\n\r\n0\r\n\r\n", "1\r\nx\r\n", "x", "", "0\r\n\r\n" },
		{ "0\r\n\r\n\r\n", "", "", "", "\r\n" },
	};

	check_good(rows, ARRAY_COUNT(rows));
}

TEST(extensions_are_taken_out)
{
	static const struct good rows[] = {
		{ "5;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5;a\r\nhello\r\n0;last\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5 ; a\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5\t \t;\ta\t=\tb\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5;a=b;c;d=\"e\"\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5;a ;b = c ;d\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5;a=\"\" ;b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", "", "" },
		{ "5;a=\";\\\"\\\\\t \xc3\xa4=\"\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello",
		  "", "" },
		{ "1;x\r\na\r\n1\r\nb\r\n1;y\r\nc\r\n0\r\n\r\n", "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n",
		  "abc", "", "" },
		{ "5;!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ\r\nhello\r\n0\r\n\r\n",
		  "5\r\nhello\r\n", "hello", "", "" },
	};

	check_good(rows, ARRAY_COUNT(rows));
}

TEST(trailers_are_filtered)
{
	static const struct good rows[] = {
		{ "0\r\nA: b\r\n\r\n", "", "", "A: b\r\n", "" },
		{ "0\r\nA:b\r\nServer-Timing: x;y=\"z\"\r\n\r\nrest", "", "",
		  "A:b\r\nServer-Timing: x;y=\"z\"\r\n", "rest" },
		{ "0\r\nEmpty:\r\nBlank: \t\r\nTab:\ta\tb\r\n\r\n", "", "",
		  "Empty:\r\nBlank: \t\r\nTab:\ta\tb\r\n", "" },
		{ "0\r\nX: \xc3\xa4\xff\r\n\r\n", "", "", "X: \xc3\xa4\xff\r\n", "" },
		{ "0\r\nHost: evil\r\n\r\n", "", "", "", "" },
		{ "0\r\nA: 1\r\nCONTENT-LENGTH: 5\r\nB: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "", "", "A: 1\r\nB: 2\r\n", "" },
		{ "0\r\nContent_Length: 5\r\nX_Forwarded_For: 1\r\nIf_Match: x\r\nA_B: c\r\n\r\n",
		  "", "", "A_B: c\r\n", "" },
		{ "0\r\nIf-Anything: 1\r\nIF-MATCH: 1\r\nif-: 2\r\nifs: 3\r\nif: 4\r\n\r\n", "", "",
		  "ifs: 3\r\nif: 4\r\n", "" },
		{ "0\r\nDate: x\r\nDated: x\r\nDat: x\r\nETag: y\r\n\r\n", "", "",
		  "Dated: x\r\nDat: x\r\nETag: y\r\n", "" },
		{ "0\r\nDigest: a:b\r\n\r\n", "", "", "Digest: a:b\r\n", "" },
		{ "1;a\r\nx\r\n0;b\r\nC: d\r\n\r\n", "1\r\nx\r\n", "x", "C: d\r\n", "" },
	};

	check_good(rows, ARRAY_COUNT(rows));
}

TEST(no_trailer_steers_framing_routing_or_this_hop)
{
	static const char *const names[] = {
#define HTTP_FIELD(id, name, hop) name,
#include "http/field.def"
#undef HTTP_FIELD
		"Authorization",
		"Cookie",
		"Set-Cookie",
		"Cache-Control",
		"Content-Encoding",
		"Content-Range",
		"Content-Type",
		"WWW-Authenticate",
		"Proxy-Authenticate",
		"Proxy-Authorization",
		"Age",
		"Date",
		"Expires",
		"Location",
		"Retry-After",
		"Vary",
		"Warning",
		"Max-Forwards",
		"Pragma",
		"Range",
		"If-None-Match",
		"If-Range",
		"If-Modified-Since",
	};
	static struct result result;
	char stream[256];

	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		int len =
			snprintf(stream, sizeof(stream), "0\r\n%s: x\r\nKept: y\r\n\r\n", names[i]);

		unit_row(names[i]);
		feed_all(&result, HTTP_CHUNK_KEEP, stream, (uint32_t)len);
		CHECK_INT(result.progress, HTTP_DONE);
		check_bytes(result.trailer, result.trailer_bytes, "Kept: y\r\n");
	}
	unit_row(NULL);
}

struct bad {
	const char *stream;
	enum http_refusal refusal;
	const char *kept; /* before it was noticed */
};

static void check_bad(const struct bad *rows, size_t count)
{
	static struct result result;

	for (size_t i = 0; i < count; i++) {
		uint32_t len = (uint32_t)strlen(rows[i].stream);

		unit_row(rows[i].stream);
		feed_all(&result, HTTP_CHUNK_KEEP, rows[i].stream, len);
		CHECK_INT(result.progress, HTTP_REFUSED);
		CHECK_UINT(result.refusal, rows[i].refusal);
		if (rows[i].kept)
			check_bytes(result.out, result.passed, rows[i].kept);
		feed_all(&result, HTTP_CHUNK_DATA, rows[i].stream, len);
		CHECK_INT(result.progress, HTTP_REFUSED);
		CHECK_UINT(result.refusal, rows[i].refusal);
	}
	unit_row(NULL);
}

TEST(bad_sizes_are_refused)
{
	static const enum http_refusal chunk = HTTP_REFUSAL_CHUNK;
	const struct bad rows[] = {
		{ "\r\n", chunk, "" },
		{ "\n", chunk, "" },
		{ " 5\r\n", chunk, "" },
		{ "+5\r\n", chunk, "" },
		{ "-5\r\n", chunk, "" },
		{ "0x5\r\n", chunk, "" },
		{ "x5\r\n", chunk, "" },
		{ "g\r\n", chunk, "" },
		{ "1_0\r\n", chunk, NULL },
		{ "5 \r\n", chunk, NULL },
		{ "5\t\r\n", chunk, NULL },
		{ "5 5\r\n", chunk, NULL },
		{ "5.\r\n", chunk, NULL },
		{ "5,\r\n", chunk, NULL },
		{ ";a\r\n", chunk, "" },
		{ "5\n", chunk, NULL },
		{ "5\rX", chunk, NULL },
		{ "5\r\r\n", chunk, NULL },
		{ "0\n", chunk, "" },
		{ "0\rX", chunk, "" },
		{ "\xb5", chunk, "" },
		{ "8000000000000000\r\n", chunk, NULL }, /* 2^63 */
		{ "ffffffffffffffff\r\n", chunk, NULL },
		{ "fffffffffffffffff\r\n", chunk, NULL },
		{ "10000000000000000\r\n", chunk, NULL },
		{ "00000000000000005\r\n", chunk, "" }, /* 17 digits */
		{ "00000000000000000\r\n\r\n", chunk, "" },
	};

	check_bad(rows, ARRAY_COUNT(rows));
}

TEST(data_must_be_as_long_as_its_size)
{
	static const struct bad rows[] = {
		{ "5\r\nhelloX\r\n", HTTP_REFUSAL_CHUNK, "5\r\nhello" },
		{ "5\r\nhell\r\n0\r\n\r\n", HTTP_REFUSAL_CHUNK, "5\r\nhell\r" },
		{ "5\r\nhello\n", HTTP_REFUSAL_CHUNK, "5\r\nhello" },
		{ "5\r\nhello\rX", HTTP_REFUSAL_CHUNK, "5\r\nhello\r" },
		{ "5\r\nhello\r\r\n", HTTP_REFUSAL_CHUNK, "5\r\nhello\r" },
		{ "5\r\nhello0\r\n\r\n", HTTP_REFUSAL_CHUNK, "5\r\nhello" },
		{ "5;x\r\nhello\r\n\r\n", HTTP_REFUSAL_CHUNK, "5\r\nhello\r\n" },
	};

	check_bad(rows, ARRAY_COUNT(rows));
}

TEST(bad_extensions_are_refused)
{
	static const enum http_refusal chunk = HTTP_REFUSAL_CHUNK;
	const struct bad rows[] = {
		{ "5;\r\n", chunk, "5" },         { "5; \r\n", chunk, "5" },
		{ "5;;a\r\n", chunk, "5" },       { "5;a;\r\n", chunk, "5" },
		{ "5;a=\r\n", chunk, "5" },       { "5;a= \r\n", chunk, "5" },
		{ "5;=b\r\n", chunk, "5" },       { "5;a==b\r\n", chunk, "5" },
		{ "5 a\r\n", chunk, "5" },        { "5;a b\r\n", chunk, "5" },
		{ "5;a=b c\r\n", chunk, "5" },    { "5;a \r\n", chunk, "5" },
		{ "5;a=b \r\n", chunk, "5" },     { "5;a=\"b\" \r\n", chunk, "5" },
		{ "5;a=\"b\"c\r\n", chunk, "5" }, { "5;a=b\"c\"\r\n", chunk, "5" },
		{ "5;a=\"b\r\n", chunk, "5" },    { "5;a=\"\r\n\"\r\n", chunk, "5" },
		{ "5;a=\"\\\r\n", chunk, "5" },   { "5;a=\"\x01\"", chunk, "5" },
		{ "5;a=\"\x7f\"", chunk, "5" },   { "5;a=\"\\\x01\"", chunk, "5" },
		{ "5;\x01\r\n", chunk, "5" },     { "5;a\x0b=b\r\n", chunk, "5" },
		{ "5;a,b\r\n", chunk, "5" },      { "5;\nXX\r\n", chunk, "5" },
		{ "5;a\nhello", chunk, "5" },     { "5;a=b\nhello", chunk, "5" },
		{ "5;a\rX", chunk, NULL },        { "5;\xc3\xa4\r\n", chunk, "5" },
		{ "5;\"a\"\r\n", chunk, "5" },    { "0;\r\n\r\n", chunk, "" },
		{ "0;a\n\r\n", chunk, "" },       { "5\x0b;a\r\n", chunk, "5" },
	};

	check_bad(rows, ARRAY_COUNT(rows));
}

TEST(bad_trailers_are_refused)
{
	static const enum http_refusal trailer = HTTP_REFUSAL_TRAILER;
	const struct bad rows[] = {
		{ "0\r\nFoo\r\n\r\n", trailer, "" },
		{ "0\r\n: b\r\n\r\n", trailer, "" },
		{ "0\r\n A: b\r\n\r\n", trailer, "" },
		{ "0\r\n\tA: b\r\n\r\n", trailer, "" },
		{ "0\r\nA : b\r\n\r\n", trailer, "" },
		{ "0\r\nA\t: b\r\n\r\n", trailer, "" },
		{ "0\r\nA: b\r\n c\r\n\r\n", trailer, "" },
		{ "0\r\nA: b\r\n\tc\r\n", trailer, "" },
		{ "0\r\nA: b\n\r\n", trailer, "" },
		{ "0\r\nA: b\rc\r\n", trailer, "" },
		{ "0\r\nA: b\r\r\n", trailer, "" },
		{ "0\r\nA: b\r\n\n", trailer, "" },
		{ "0\r\n\n", trailer, "" },
		{ "0\r\n\rX", trailer, "" },
		{ "0\r\n\r\r\n", trailer, "" },
		{ "0\r\nA: \x01\r\n", trailer, "" },
		{ "0\r\nA: \x7f\r\n", trailer, "" },
		{ "0\r\nA: \x0b\r\n", trailer, "" },
		{ "0\r\nA(: b\r\n", trailer, "" },
		{ "0\r\nA\xc3\xa4: b\r\n", trailer, "" },
		{ "0\r\n\"A\": b\r\n", trailer, "" },
		{ "0\r\nA\n: b\r\n", trailer, "" },
		{ "0\r\n5\r\nhello\r\n", trailer, "" },
		{ "0\r\nGET / HTTP/1.1\r\n\r\n", trailer, "" },
	};

	check_bad(rows, ARRAY_COUNT(rows));
}

TEST(nul_is_no_text)
{
	static const struct {
		const char *stream;
		uint32_t len;
	} rows[] = {
		{ "5\0\r\n", 4 },        { "\0", 1 },
		{ "5;\0\r\n", 5 },       { "5;a=\"\0\"", 7 },
		{ "5;a=\"\\\0\"", 8 },   { "5;a=\0", 6 },
		{ "0\r\n\0: b\r\n", 9 }, { "0\r\nA\0: b\r\n", 10 },
		{ "0\r\nA: \0\r\n", 9 },
	};
	static struct result result;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		feed_all(&result, HTTP_CHUNK_KEEP, rows[i].stream, rows[i].len);
		CHECK_INT(result.progress, HTTP_REFUSED);
	}
}

TEST(every_beginning_of_a_body_waits_for_more)
{
	static const char stream[] = "3;a=\"b\\c\"\r\nabc\r\n0;d\r\nE: f\r\nHost: g\r\n\r\n";
	static struct result result;

	for (uint32_t len = 0; len < sizeof(stream) - 1; len++) {
		feed_all(&result, HTTP_CHUNK_KEEP, stream, len);
		CHECK_INT(result.progress, HTTP_MORE);
		CHECK_UINT(result.refusal, HTTP_REFUSAL_NONE);
		CHECK_UINT(result.consumed, len);
	}
}

/* "1;xx..x\r\na\r\n" several times, with so many bytes of extensions in all. */
static uint32_t make_extensions(char *stream, uint32_t bytes)
{
	uint32_t len = 0;

	while (bytes > 0) {
		uint32_t take = bytes > 400 ? 400 : bytes;

		stream[len++] = '1';
		stream[len++] = ';';
		memset(stream + len, 'x', take - 1);
		len += take - 1;
		memcpy(stream + len, "\r\na\r\n", 5);
		len += 5;
		bytes -= take;
	}
	memcpy(stream + len, "0\r\n\r\n", 5);
	return len + 5;
}

TEST(extensions_are_limited_in_sum)
{
	static char stream[STREAM_MAX];
	static struct result result;

	feed_all(&result, HTTP_CHUNK_KEEP, stream,
		 make_extensions(stream, HTTP_CHUNK_EXTENSIONS_MAX));
	CHECK_INT(result.progress, HTTP_DONE);
	CHECK_UINT(result.data, 3);
	feed_all(&result, HTTP_CHUNK_KEEP, stream,
		 make_extensions(stream, HTTP_CHUNK_EXTENSIONS_MAX + 1));
	CHECK_INT(result.progress, HTTP_REFUSED);
	CHECK_UINT(result.refusal, HTTP_REFUSAL_CHUNK_EXTENSION);
	/* blanks count */
	memset(stream, ' ', sizeof(stream));
	stream[0] = '5';
	feed_all(&result, HTTP_CHUNK_KEEP, stream, HTTP_CHUNK_EXTENSIONS_MAX + 2);
	CHECK_UINT(result.refusal, HTTP_REFUSAL_CHUNK_EXTENSION);
}

/* Lines of 64 bytes, every second one a field that is dropped, and a rest. */
static uint32_t make_trailer(char *stream, uint32_t bytes)
{
	uint32_t len = 3;

	memcpy(stream, "0\r\n", 3);
	for (uint32_t i = 0; bytes > 0; i++) {
		uint32_t take = bytes > 64 + 6 ? 64 : bytes;

		memcpy(stream + len, i % 2 ? "Kept:" : "Host:", 5);
		memset(stream + len + 5, 'v', take - 7);
		memcpy(stream + len + take - 2, "\r\n", 2);
		len += take;
		bytes -= take;
	}
	memcpy(stream + len, "\r\n", 2);
	return len + 2;
}

TEST(the_trailer_section_is_limited)
{
	static char stream[STREAM_MAX];
	static struct result result;

	feed_all(&result, HTTP_CHUNK_KEEP, stream, make_trailer(stream, HTTP_TRAILER_MAX));
	CHECK_INT(result.progress, HTTP_DONE);
	CHECK_UINT(result.trailer_bytes, HTTP_TRAILER_MAX / 2);
	feed_all(&result, HTTP_CHUNK_KEEP, stream, make_trailer(stream, HTTP_TRAILER_MAX + 1));
	CHECK_INT(result.progress, HTTP_REFUSED);
	CHECK_UINT(result.refusal, HTTP_REFUSAL_TRAILER_LARGE);
	/* one line alone */
	memset(stream, 'n', sizeof(stream));
	memcpy(stream, "0\r\n", 3);
	feed_all(&result, HTTP_CHUNK_KEEP, stream, HTTP_TRAILER_MAX + 4);
	CHECK_UINT(result.refusal, HTTP_REFUSAL_TRAILER_LARGE);
}

TEST(the_largest_chunk_is_counted_down)
{
	uint8_t head[] = "7fffffffffffffff\r\nabc";
	uint32_t passed, consumed;
	struct http_chunk chunk;

	http_chunk_begin(&chunk, HTTP_CHUNK_KEEP);
	CHECK_INT(http_chunk_feed(&chunk, head, sizeof(head) - 1, &passed, &consumed), HTTP_MORE);
	CHECK_UINT(passed, sizeof(head) - 1);
	CHECK_UINT(chunk.left, INT64_MAX - 3);
	CHECK_UINT(chunk.data, 3);
}

TEST(the_end_is_final)
{
	uint8_t good[] = "0\r\n\r\nX", bad[] = "zzz";
	uint32_t passed, consumed;
	struct http_chunk chunk;

	http_chunk_begin(&chunk, HTTP_CHUNK_KEEP);
	CHECK_INT(http_chunk_feed(&chunk, good, 6, &passed, &consumed), HTTP_DONE);
	CHECK_UINT(consumed, 5);
	CHECK_INT(http_chunk_feed(&chunk, good, 6, &passed, &consumed), HTTP_DONE);
	CHECK_UINT(consumed, 0);
	http_chunk_begin(&chunk, HTTP_CHUNK_DATA);
	CHECK_INT(http_chunk_feed(&chunk, bad, 3, &passed, &consumed), HTTP_REFUSED);
	CHECK_UINT(passed, 0);
	CHECK_UINT(consumed, 3);
	CHECK_INT(http_chunk_feed(&chunk, good, 6, &passed, &consumed), HTTP_REFUSED);
	CHECK_UINT(passed, 0);
	CHECK_UINT(chunk.refusal, HTTP_REFUSAL_CHUNK);
}

static const struct unit_test tests[] = {
	ROW(bodies_pass),
	ROW(extensions_are_taken_out),
	ROW(trailers_are_filtered),
	ROW(no_trailer_steers_framing_routing_or_this_hop),
	ROW(bad_sizes_are_refused),
	ROW(data_must_be_as_long_as_its_size),
	ROW(bad_extensions_are_refused),
	ROW(bad_trailers_are_refused),
	ROW(nul_is_no_text),
	ROW(every_beginning_of_a_body_waits_for_more),
	ROW(extensions_are_limited_in_sum),
	ROW(the_trailer_section_is_limited),
	ROW(the_largest_chunk_is_counted_down),
	ROW(the_end_is_final),
};
UNIT_MAIN(tests)
