/* SPDX-License-Identifier: MIT */
/*
 * test_load_messages - what the load tool reads from the network: HTTP heads and bodies, frames.
 */
#include <stdlib.h>

#include "body_reader.h"
#include "frame.h"
#include "head_reader.h"
#include "pattern.h"
#include "template.h"
#include "unit.h"

static const char *reason;
static const struct http_asked get = { .method = HTTP_METHOD_GET };
static const struct http_asked head_only = { .method = HTTP_METHOD_HEAD };

/* The verdict on the first `count` bytes, by a reader that has read nothing before. */
static enum http_progress read_bytes(struct head_reader *reader, const struct http_asked *asked,
                                     const char *text, uint32_t count)
{
	head_reader_init(reader, asked != NULL ? HTTP_HEAD_RESPONSE : HTTP_HEAD_REQUEST);
	return head_reader_next(reader, asked, (const uint8_t *)text, count);
}

static enum http_progress read_text(struct head_reader *reader, const struct http_asked *asked,
                                    const char *text)
{
	return read_bytes(reader, asked, text, (uint32_t)strlen(text));
}

TEST(a_request_head_is_read_where_it_lies)
{
	const char *text = "POST /a?b=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n"
			   "Connection: keep-alive, close\r\n\r\nrest";
	struct head_reader reader;

	CHECK_INT(read_text(&reader, NULL, text), HTTP_DONE);
	CHECK_UINT(reader.head.length, strlen(text) - 4);
	CHECK_UINT(reader.head.target.len, 6);
	CHECK(memcmp(text + reader.head.target.at, "/a?b=1", 6) == 0);
	CHECK_UINT(reader.head.content_length, 12);
	CHECK(!reader.head.persistent);
}

TEST(every_prefix_of_a_head_is_incomplete)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
	uint32_t count = (uint32_t)strlen(text);
	struct head_reader reader;
	uint32_t i;

	for (i = 0; i < count; i++)
		CHECK_INT(read_bytes(&reader, &get, text, i), HTTP_MORE);
	CHECK_INT(read_bytes(&reader, &get, text, count), HTTP_DONE);
	CHECK_UINT(reader.head.status, 200);
}

TEST(malformed_heads_are_refused__rfc9112)
{
	static const struct {
		const char *text;
		uint32_t status;
	} rows[] = {
		{ "GET / HTTP/1.1\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		  400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505 },
		{ "GET /\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400 },
		{ "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	};
	struct head_reader reader;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i].text);
		CHECK_INT(read_text(&reader, NULL, rows[i].text), HTTP_REFUSED);
		CHECK_UINT(reader.refused_with, rows[i].status);
		CHECK(reader.reason[0] != '\0');
	}
}

TEST(malformed_answers_are_refused__rfc9112)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\rA: b\r\n\r\n",
		"HTTP/1.1 200 O\rK\r\n\r\n",
		"HTTP/1.1 200 OK\r\r\n\r\n",
		"\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	};
	struct head_reader reader;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(texts); i++) {
		unit_row(texts[i]);
		CHECK_INT(read_text(&reader, &get, texts[i]), HTTP_REFUSED);
		CHECK(reader.reason[0] != '\0');
	}
}

TEST(a_head_of_16_kb_at_most_is_taken)
{
	static char text[HEAD_BYTES_MAX + 1];
	struct head_reader reader;
	uint32_t i, count;

	memset(text, 'x', sizeof(text));
	memcpy(text, "HTTP/1.1 200 OK\r\nA: ", 20);
	memcpy(text + HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
	CHECK_INT(read_bytes(&reader, &get, text, HEAD_BYTES_MAX), HTTP_DONE);
	memset(text + HEAD_BYTES_MAX - 4, 'x', 4);
	CHECK_INT(read_bytes(&reader, &get, text, HEAD_BYTES_MAX), HTTP_REFUSED);
	CHECK_TEXT(reader.reason, "a head longer than 16 KB");
	count = 17;
	for (i = 0; i < HTTP_FIELDS_MAX + 1; i++, count += 6)
		memcpy(text + count, "A: b\r\n", 6);
	memcpy(text + count, "\r\n", 2);
	CHECK_INT(read_bytes(&reader, &get, text, count + 2), HTTP_REFUSED);
	CHECK_TEXT(reader.reason, "a head with more than 256 fields");
}

TEST(an_http_1_0_answer_closes_unless_it_says_otherwise)
{
	struct head_reader reader;

	CHECK_INT(read_text(&reader, &get, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
	          HTTP_DONE);
	CHECK(!reader.head.persistent);
	CHECK_INT(read_text(&reader, &get,
	                    "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n"
	                    "Connection: keep-alive\r\n\r\n"), HTTP_DONE);
	CHECK(reader.head.persistent);
}

TEST(the_head_before_is_remembered_for_the_same_question_only)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHTTP";
	const char *other = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nHTTP";
	const uint8_t *bytes = (const uint8_t *)text;
	uint32_t count = (uint32_t)strlen(text);
	struct head_reader reader;

	CHECK_INT(read_text(&reader, &get, text), HTTP_DONE);
	CHECK_UINT(reader.memo_bytes, count - 4);
	CHECK_INT(head_reader_next(&reader, &get, bytes, count), HTTP_DONE);
	CHECK_INT(reader.head.framing, HTTP_BODY_LENGTH);
	CHECK_INT(head_reader_next(&reader, &head_only, bytes, count), HTTP_DONE);
	CHECK_INT(reader.head.framing, HTTP_BODY_NONE);
	CHECK_INT(head_reader_next(&reader, &get, (const uint8_t *)other, count), HTTP_DONE);
	CHECK_UINT(reader.head.content_length, 8);
	/* Half of it is half of it, and what was read before is not what this one says. */
	CHECK_INT(head_reader_next(&reader, &get, bytes, 20), HTTP_MORE);
	CHECK_INT(head_reader_next(&reader, &get, bytes, count), HTTP_DONE);
	CHECK_UINT(reader.head.content_length, 7);
	CHECK_INT(head_reader_next(&reader, &get, (const uint8_t *)"junk", 4), HTTP_REFUSED);
	CHECK_INT(head_reader_next(&reader, &get, bytes, count), HTTP_DONE);
	CHECK_UINT(reader.head.content_length, 7);
}

/* The payload of a chunked body that comes in pieces of `step` bytes. */
static uint32_t unchunk(const char *text, uint32_t step, char *out, struct body_reader *body)
{
	const struct http_head head = { .framing = HTTP_BODY_CHUNKED };
	uint32_t count = (uint32_t)strlen(text), at = 0, made = 0;
	static uint8_t bytes[256];

	CHECK(count < sizeof(bytes));
	memcpy(bytes, text, count);
	body_reader_start(body, &head);
	while (at < count && !body->done && body->reason == NULL) {
		uint32_t end = at + step < count ? at + step : count;

		while (at < end && !body->done && body->reason == NULL) {
			uint32_t data_count, taken;

			taken = body_reader_next(body, bytes + at, end - at, &data_count);
			memcpy(out + made, bytes + at, data_count);
			made += data_count;
			at += taken;
		}
	}
	CHECK(memcmp(bytes, text, count) == 0); /* nothing was moved */
	return made;
}

TEST(a_chunked_body_may_come_in_pieces_of_any_size)
{
	const char *text = "5;x=y\r\nhello\r\n00c\r\n beau\ntiful \r\n5\r\nworld\r\n0\r\n"
			   "A: b\r\n\r\n";
	struct body_reader body = { 0 };
	char out[64];
	uint32_t step;

	for (step = 1; step < 70; step++) {
		CHECK_UINT(unchunk(text, step, out, &body), 22);
		CHECK(body.done && body.reason == NULL);
		CHECK(memcmp(out, "hello beau\ntiful world", 22) == 0);
	}
	body_reader_release(&body);
}

TEST(bad_chunks_are_refused)
{
	static const char *const texts[] = { "x\r\n", "5\nhello", "5\r\nhelloX\r\n", "\r\n",
		                             "12345678901234567\r\n", "0\r\n\n",
		                             "8000000000000000\r\n", "0\r\nno field\r\n\r\n",
		                             "1;a=\"\n\"\r\nx\r\n" };
	struct body_reader body = { 0 };
	char out[64];
	size_t i;

	for (i = 0; i < ARRAY_COUNT(texts); i++) {
		unit_row(texts[i]);
		(void)unchunk(texts[i], 3, out, &body);
		CHECK(body.reason != NULL && !body.done);
	}
	body_reader_release(&body);
}

TEST(a_body_ends_by_its_length_or_not_at_all)
{
	struct http_head head = { .framing = HTTP_BODY_LENGTH, .content_length = 5 };
	uint8_t bytes[] = "helloHTTP";
	struct body_reader body = { 0 };
	uint32_t data_count;

	body_reader_start(&body, &head);
	CHECK_UINT(body_reader_next(&body, bytes, 3, &data_count), 3);
	CHECK(data_count == 3 && !body.done);
	CHECK_UINT(body_reader_next(&body, bytes + 3, 6, &data_count), 2);
	CHECK(data_count == 2 && body.done);
	CHECK_UINT(body_reader_next(&body, bytes + 5, 4, &data_count), 0);
	head.content_length = 0;
	body_reader_start(&body, &head);
	CHECK(body.done);
	head.framing = HTTP_BODY_NONE;
	body_reader_start(&body, &head);
	CHECK(body.done);
	head.framing = HTTP_BODY_UNTIL_CLOSE;
	body_reader_start(&body, &head);
	CHECK_UINT(body_reader_next(&body, bytes, 9, &data_count), 9);
	CHECK(data_count == 9 && !body.done);
	CHECK(body.chunk == NULL);
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
	ROW(a_request_head_is_read_where_it_lies),
	ROW(every_prefix_of_a_head_is_incomplete),
	ROW(malformed_heads_are_refused__rfc9112),
	ROW(malformed_answers_are_refused__rfc9112),
	ROW(a_head_of_16_kb_at_most_is_taken),
	ROW(an_http_1_0_answer_closes_unless_it_says_otherwise),
	ROW(the_head_before_is_remembered_for_the_same_question_only),
	ROW(a_chunked_body_may_come_in_pieces_of_any_size),
	ROW(bad_chunks_are_refused),
	ROW(a_body_ends_by_its_length_or_not_at_all),
	ROW(crc32c_is_castagnoli),
	ROW(a_frame_is_good_in_pieces_of_any_size_and_corrupt_after_any_change),
	ROW(payloads_of_different_ids_differ),
	ROW(templates_are_filled_in),
	ROW(what_is_no_template_is_refused),
};
UNIT_MAIN(tests)
