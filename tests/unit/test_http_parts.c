/* SPDX-License-Identifier: MIT */
/*
 * test_http_parts.c - what edited heads are made of, when there are more pieces than parts, and
 * heads of our own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "http/edit.h"
#include "http_edit_helpers.h"
#include "unit.h"

/* --- more pieces than parts ------------------------------------------------------------------ */

/* A head and what must become of it, written side by side. */
struct pair {
	char text[TEXT_MAX];
	char right[TEXT_MAX];
	uint32_t text_len, right_len;
};

static void put(char *to, uint32_t *len, const char *line)
{
	uint32_t line_len = (uint32_t)strlen(line);

	if (!CHECK(*len + line_len < TEXT_MAX))
		return;
	memcpy(to + *len, line, line_len + 1);
	*len += line_len;
}

static void put_both(struct pair *pair, const char *line)
{
	put(pair->text, &pair->text_len, line);
	put(pair->right, &pair->right_len, line);
}

static void fill(char *text, uint32_t len, uint64_t *seed)
{
	for (uint32_t i = 0; i < len; i++)
		text[i] = (char)('a' + unit_random(seed) % 26);
	text[len] = '\0';
}

/* One of `count` lists of that name is received here; its value waits in `joined`. */
static void put_list(struct pair *pair, const char *name, uint32_t count, char *joined,
		     uint64_t *seed)
{
	char value[200], line[256];

	fill(value, (uint32_t)(unit_random(seed) % 150) + 1, seed);
	snprintf(line, sizeof(line), "%s: %s\r\n", name, value);
	put(pair->text, &pair->text_len, line);
	if (count > 3) {
		put(pair->right, &pair->right_len, line);
		return;
	}
	snprintf(joined + strlen(joined), 800 - strlen(joined), "%s, ", value);
}

static void make_pair(struct pair *pair, uint64_t *seed, bool is_absolute)
{
	uint32_t fields = 1 + (uint32_t)(unit_random(seed) % 230);
	uint32_t lists = (uint32_t)(unit_random(seed) % 6);
	uint32_t host_at = (uint32_t)(unit_random(seed) % fields);
	char joined[2][800] = { "", "" }, value[200], line[2048], host[80];

	pair->text_len = pair->right_len = 0;
	fill(host, (uint32_t)(unit_random(seed) % 70) + 1, seed);
	snprintf(line, sizeof(line), "GET http://%s/pre/a HTTP/1.1\r\n", host);
	put(pair->text, &pair->text_len, is_absolute ? line : "GET /pre/a HTTP/1.1\r\n");
	put(pair->right, &pair->right_len, "GET /a HTTP/1.1\r\n");
	snprintf(line, sizeof(line), "Host: %s\r\n", host);
	if (is_absolute)
		put(pair->right, &pair->right_len, line);
	for (uint32_t i = 0; i < fields; i++) {
		if (i == host_at && is_absolute)
			put(pair->text, &pair->text_len, "Host: other\r\n");
		else if (i == host_at)
			put_both(pair, line);
		fill(value, (uint32_t)(unit_random(seed) % 100), seed);
		if (unit_random(seed) % 2) {
			char kept[256];

			snprintf(kept, sizeof(kept), "K%u: %s\r\n", i, value);
			put_both(pair, kept);
		} else {
			put(pair->text, &pair->text_len, "Gone: ");
			put(pair->text, &pair->text_len, value);
			put(pair->text, &pair->text_len, "\r\n");
		}
		for (uint32_t list = 0; list < lists; list++)
			if (i == list * fields / lists) {
				put_list(pair, "X-Forwarded-For", lists, joined[0], seed);
				put_list(pair, "Forwarded", lists, joined[1], seed);
			}
	}
	put(pair->text, &pair->text_len, "Content-Length: 1\r\n\r\n");
	snprintf(line, sizeof(line),
		 "New: 1\r\nX-Forwarded-For: %s192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
		 "X-Forwarded-Host: %s\r\nForwarded: %sfor=192.0.2.1;host=\"%s\";proto=http\r\n"
		 "Content-Length: 1\r\nConnection: close\r\n\r\n",
		 joined[0], host, joined[1], host);
	put(pair->right, &pair->right_len, line);
}

TEST(any_number_of_removed_fields_fits)
{
	static const struct http_name removed[] = { { "gone", 4 } };
	struct http_edits edits = { .removed = removed,
				    .removed_count = 1,
				    .added = "New: 1\r\n",
				    .added_len = 8,
				    .strip_prefix = 4,
				    .forwarded = HTTP_FORWARD_X | HTTP_FORWARD_RFC7239 };
	static struct pair pair;
	struct http_hop hop = no_hop;
	uint32_t moved_count = 0;
	uint64_t seed = 1;

	hop.client_trusted = true;
	hop.close = true;
	for (int i = 0; i < 1000; i++) {
		make_pair(&pair, &seed, i % 2);
		if (!CHECK_TEXT(request(pair.text, &edits, &hop), pair.right))
			return;
		moved_count += parts.moved;
		CHECK(memcmp(base + head.path.at, "/pre/a", 6) == 0);
		CHECK(memcmp(base + head.method_text.at, "GET", 3) == 0);
	}
	CHECK(moved_count > 300);
}

TEST(any_number_of_fields_removed_from_a_response_fits)
{
	static const struct http_name removed[] = { { "gone", 4 } };
	struct http_edits edits = { .removed = removed, .removed_count = 1 };
	static struct pair pair;

	pair.text_len = pair.right_len = 0;
	put(pair.text, &pair.text_len, "HTTP/1.1 200 \xff\r\n");
	put(pair.right, &pair.right_len, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 120; i++) {
		put(pair.text, &pair.text_len, "Gone: xxxxxxxxxxxxxxxxxx\r\n");
		put_both(&pair, "Kept: y\r\n");
	}
	put_both(&pair, "Content-Length: 1\r\n\r\n");
	CHECK_TEXT(response(pair.text, HTTP_METHOD_GET, &edits, NULL), pair.right);
	CHECK(parts.moved);
}

/* --- parts ----------------------------------------------------------------------------------- */

TEST(parts_that_touch_are_one)
{
	static const char text[] = "abcdef";

	http_parts_clear(&parts);
	CHECK(http_parts_span(&parts, text, 2));
	CHECK(http_parts_span(&parts, text + 2, 0));
	CHECK(http_parts_span(&parts, NULL, 0));
	CHECK(http_parts_span(&parts, text + 2, 1));
	CHECK_UINT(parts.count, 1);
	CHECK(http_parts_copy(&parts, "x", 1));
	CHECK(http_parts_copy(&parts, "yz", 2));
	CHECK_UINT(parts.count, 2);
	CHECK(http_parts_span(&parts, text + 3, 3));
	CHECK_UINT(parts.count, 3);
	join_parts();
	CHECK_TEXT(out, "abcxyzdef");
}

TEST(parts_and_scratch_have_an_end)
{
	static const char text[HTTP_SCRATCH_MAX + 1];

	http_parts_clear(&parts);
	for (uint32_t i = 0; i < HTTP_PARTS_MAX; i++)
		CHECK(http_parts_span(&parts, text + 2 * i, 1));
	CHECK(!http_parts_span(&parts, text + 100, 1));
	CHECK(!http_parts_copy(&parts, text, 1));
	CHECK(http_parts_span(&parts, text + 2 * HTTP_PARTS_MAX - 1, 1));
	CHECK_UINT(parts.bytes, HTTP_PARTS_MAX + 1);
	http_parts_clear(&parts);
	CHECK(!http_parts_copy(&parts, text, HTTP_SCRATCH_MAX + 1));
	CHECK(http_parts_copy(&parts, text, HTTP_SCRATCH_MAX));
	CHECK(!http_parts_copy(&parts, text, 1));
	CHECK(http_parts_copy(&parts, text, 0));
}

TEST(what_was_sent_is_taken_away)
{
	static const char text[] = "abc-de-f";

	for (uint32_t first = 0; first <= 6; first++) {
		for (uint32_t second = 0; first + second <= 6; second++) {
			http_parts_clear(&parts);
			http_parts_span(&parts, text, 3);
			http_parts_span(&parts, text + 4, 2);
			http_parts_span(&parts, text + 7, 1);
			http_parts_sent(&parts, first);
			http_parts_sent(&parts, second);
			CHECK_UINT(parts.bytes, 6 - first - second);
			join_parts();
			CHECK_TEXT(out, &"abcdef"[first + second]);
			CHECK(parts.bytes > 0 || parts.first == parts.count);
		}
	}
}

TEST(an_edit_appends)
{
	parse(HTTP_HEAD_REQUEST, NULL, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	http_parts_clear(&parts);
	CHECK(http_parts_copy(&parts, "before ", 7));
	CHECK(http_edit_request(&parts, base, &head, &no_edits, &no_hop));
	join_parts();
	CHECK_TEXT(out, "before GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

/* --- own answers ----------------------------------------------------------------------------- */

TEST(statuses_have_reasons)
{
	static const struct {
		uint32_t status;
		const char *reason;
	} rows[] = {
		{ 100, "Continue" },
		{ 200, "OK" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 408, "Request Timeout" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 451, "Unavailable For Legal Reasons" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 511, "Network Authentication Required" },
		{ 0, "" },
		{ 299, "" },
		{ 430, "" },
		{ 599, "" },
		{ 70000, "" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		CHECK_TEXT(http_reason(rows[i].status), rows[i].reason);
	for (size_t i = 1; i < HTTP_REFUSAL_COUNT; i++)
		CHECK(http_reason(http_refusal_status[i])[0] != '\0');
}

TEST(answers_are_whole_heads)
{
	static const char right[] =
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
		"Content-Length: 12\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
	char text[256];

	CHECK_UINT(http_answer_head(text, sizeof(text), 503, "text/plain", 12, "Retry-After: 1\r\n",
				    "close"),
		   sizeof(right) - 1);
	CHECK_TEXT(text, right);
	http_answer_head(text, sizeof(text), 301, NULL, 0, NULL, NULL);
	CHECK_TEXT(text, "HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n\r\n");
	http_answer_head(text, sizeof(text), 204, NULL, 0, NULL, "keep-alive");
	CHECK_TEXT(text, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
	for (uint32_t room = 0; room < sizeof(right); room++) {
		char *exact = malloc(room + 1);

		if (!CHECK(exact))
			return;
		CHECK_UINT(http_answer_head(exact, room, 503, "text/plain", 12,
					    "Retry-After: 1\r\n", "close"),
			   0);
		free(exact);
	}
}

static const struct unit_test tests[] = {
	ROW(any_number_of_removed_fields_fits),
	ROW(any_number_of_fields_removed_from_a_response_fits),
	ROW(parts_that_touch_are_one),
	ROW(parts_and_scratch_have_an_end),
	ROW(what_was_sent_is_taken_away),
	ROW(an_edit_appends),
	ROW(statuses_have_reasons),
	ROW(answers_are_whole_heads),
};
UNIT_MAIN(tests)
