/* SPDX-License-Identifier: MIT */
/*
 * test_load_messages - what the load tool reads from the network: HTTP heads and bodies, frames.
 */
#include <stdlib.h>

#include "frame.h"
#include "http_message.h"
#include "pattern.h"
#include "template.h"
#include "unit.h"

static const char *reason;

static int request(const char *text, struct http_head *head)
{
	return http_parse_request(text, (uint32_t)strlen(text), head, &reason);
}

static int answer(const char *text, struct http_head *head)
{
	return http_parse_answer(text, (uint32_t)strlen(text), head, &reason);
}

TEST(a_request_head_is_parsed_in_place)
{
	const char *text = "POST /a?b=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n"
			   "Connection: keep-alive, close\r\n\r\nrest";
	struct http_head head;

	CHECK_INT(request(text, &head), (int64_t)strlen(text) - 4);
	CHECK(head.target.count == 6 && memcmp(head.target.bytes, "/a?b=1", 6) == 0);
	CHECK_UINT(head.length, 12);
	CHECK(head.close);
}

TEST(every_prefix_of_a_head_is_incomplete)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
	uint32_t count = (uint32_t)strlen(text);
	struct http_head head;
	uint32_t i;

	for (i = 0; i < count; i++)
		CHECK_INT(http_parse_answer(text, i, &head, &reason), 0);
	CHECK_INT(http_parse_answer(text, count, &head, &reason), count);
	CHECK_INT(head.status, 200);
}

TEST(malformed_heads_are_refused__rfc9112)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
	};
	struct http_head head;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(texts); i++) {
		unit_row(texts[i]);
		CHECK_INT(request(texts[i], &head), -1);
	}
}

TEST(an_http_1_0_answer_closes_unless_it_says_otherwise)
{
	struct http_head head;

	CHECK(answer("HTTP/1.0 200 OK\r\n\r\n", &head) > 0);
	CHECK(head.close);
	CHECK(answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", &head) > 0);
	CHECK(!head.close);
}

/* The payload of a chunked body that comes in pieces of `step` bytes. */
static uint32_t unchunk(const char *text, uint32_t step, char *out, struct http_body *body)
{
	const struct http_head head = { .chunked = true, .status = 200 };
	uint32_t count = (uint32_t)strlen(text), at = 0, made = 0;

	http_body_of_answer(body, &head, false);
	while (at < count && !body->done && !body->bad) {
		uint32_t end = at + step < count ? at + step : count;

		while (at < end && !body->done && !body->bad) {
			const char *data;
			uint32_t data_count;

			at += http_body_next(body, text + at, end - at, &data, &data_count);
			memcpy(out + made, data, data_count);
			made += data_count;
		}
	}
	return made;
}

TEST(a_chunked_body_may_come_in_pieces_of_any_size)
{
	const char *text = "5;x=y\r\nhello\r\n00b\r\n beautiful \r\n5\r\nworld\r\n0\r\n"
			   "A: b\r\n\r\n";
	struct http_body body;
	char out[64];
	uint32_t step;

	for (step = 1; step < 70; step++) {
		CHECK_UINT(unchunk(text, step, out, &body), 21);
		CHECK(body.done);
		CHECK(memcmp(out, "hello beautiful world", 21) == 0);
	}
}

TEST(bad_chunks_are_refused)
{
	static const char *const texts[] = { "x\r\n", "5\nhello", "5\r\nhelloX\r\n", "\r\n",
		                             "1234567890123456\r\n", "0\r\n\n" };
	struct http_body body;
	char out[64];
	size_t i;

	for (i = 0; i < ARRAY_COUNT(texts); i++) {
		unit_row(texts[i]);
		(void)unchunk(texts[i], 3, out, &body);
		CHECK(body.bad);
	}
}

TEST(crc32c_is_castagnoli)
{
	CHECK_UINT(crc32c(0, (const uint8_t *)"123456789", 9), 0xe3069283u);
	CHECK_UINT(crc32c(crc32c(0, (const uint8_t *)"1234", 4), (const uint8_t *)"56789", 5),
	           0xe3069283u);
}

static uint32_t make_frame(uint8_t *out, uint64_t id, uint32_t length)
{
	struct frame frame = { .flags = FRAME_CHECKED, .length = length, .id = id,
		               .checksum = frame_checksum(id, length) };
	uint32_t i;

	frame_write(out, &frame);
	for (i = 0; i < length; i++)
		out[FRAME_HEADER + i] =
			*(uint8_t *)pattern_piece(frame_start(id) + i, 1).iov_base;
	return FRAME_HEADER + length;
}

/* The first event of the bytes, shown in steps. */
static enum frame_event first_event(struct frame_reader *reader, const uint8_t *bytes,
                                    uint32_t count, uint32_t step)
{
	enum frame_event event = FRAME_NONE;
	uint32_t at = 0;

	frame_reader_init(reader);
	while (at < count && event == FRAME_NONE)
		at += frame_reader_next(reader, bytes + at, at + step < count ? step : count - at,
		                        &event);
	return event;
}

TEST(a_frame_is_good_in_pieces_of_any_size_and_corrupt_after_any_change)
{
	uint8_t bytes[FRAME_HEADER + 100];
	struct frame_reader reader;
	uint32_t count, i;

	pattern_open();
	count = make_frame(bytes, 77, 100);
	for (i = 1; i <= count; i++)
		CHECK_INT(first_event(&reader, bytes, count, i), FRAME_GOOD);
	CHECK_UINT(reader.frame.id, 77);
	for (i = FRAME_HEADER; i < count; i++) {
		bytes[i] ^= 1;
		CHECK_INT(first_event(&reader, bytes, count, count), FRAME_CORRUPT);
		bytes[i] ^= 1;
	}
	bytes[0] ^= 1;
	CHECK_INT(first_event(&reader, bytes, count, count), FRAME_JUNK);
}

TEST(payloads_of_different_ids_differ)
{
	uint64_t id;

	pattern_open();
	for (id = 1; id < 1000; id++)
		CHECK(frame_checksum(id, 64) != frame_checksum(0, 64));
}

static uint32_t fill(const char *text, char out[200], uint64_t seq, uint64_t conn, uint64_t seed)
{
	struct template_values values = { seq, conn, seed };
	struct template template;
	uint32_t bytes;

	memset(out, '#', 200);
	if (!template_open(&template, text, strlen(text), &reason))
		return 0;
	CHECK(template.room <= 200);
	bytes = template_fill(&template, out, &values);
	CHECK(bytes <= template.room && out[bytes] == '#');
	out[bytes] = '\0';
	template_close(&template);
	return bytes;
}

TEST(templates_are_filled_in)
{
	char out[200], again[200];

	CHECK_UINT(fill("{seq}-{conn}-{seq}", out, 10, 9, 1), 7);
	CHECK_TEXT(out, "10-9-10");
	(void)fill("{{seq} {\"a\":{\"b\":{seq}}} { {", out, 0, 0, 1);
	CHECK_TEXT(out, "{seq} {\"a\":{\"b\":0}} { {");
	(void)fill("L={length};{body}{seq}x{rand:5}", out, 1234567, 0, 1);
	CHECK(strncmp(out, "L=13;1234567x", 13) == 0);
	CHECK_UINT(fill("{seq}{conn}", out, UINT64_MAX, UINT64_MAX, 1), 40);
	CHECK_UINT(fill("{rand:64}{rand:1}", out, 5, 1, 1), 65);
	CHECK_UINT(strspn(out, "0123456789abcdefghijklmnopqrstuvwxyz"), 65);
	(void)fill("{rand:64}{rand:1}", again, 5, 2, 1);
	CHECK_TEXT(again, out); /* of the request, not of the connection */
	(void)fill("{rand:64}{rand:1}", again, 6, 1, 1);
	CHECK(strcmp(again, out) != 0);
	(void)fill("{rand:64}{rand:1}", again, 5, 1, 2);
	CHECK(strcmp(again, out) != 0);
}

TEST(what_is_no_template_is_refused)
{
	static const char *const texts[] = {
		"{seq",    "{sequence}", "{se}",     "{seq }",   "{rand}",
		"{rand:}", "{rand:0}",   "{rand:65}", "{rand:99999999999}",
		"{rand:1", "{rand:x}",   "{a",       "x{conn",   "{length}",
		"{body}",
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(texts); i++)
		CHECK(!template_check(texts[i], strlen(texts[i]), &reason));
	CHECK(template_check("", 0, &reason));
	CHECK(template_check("{seq}{{seq", 10, &reason));
	CHECK(!template_check("{seq}{seq", 9, &reason));
}

static const struct unit_test tests[] = {
	ROW(a_request_head_is_parsed_in_place),
	ROW(every_prefix_of_a_head_is_incomplete),
	ROW(malformed_heads_are_refused__rfc9112),
	ROW(an_http_1_0_answer_closes_unless_it_says_otherwise),
	ROW(a_chunked_body_may_come_in_pieces_of_any_size),
	ROW(bad_chunks_are_refused),
	ROW(crc32c_is_castagnoli),
	ROW(a_frame_is_good_in_pieces_of_any_size_and_corrupt_after_any_change),
	ROW(payloads_of_different_ids_differ),
	ROW(templates_are_filled_in),
	ROW(what_is_no_template_is_refused),
};
UNIT_MAIN(tests)
