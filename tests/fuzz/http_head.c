/* SPDX-License-Identifier: MIT */
/*
 * http_head.c - any bytes as a request or a response head.
 *
 *      input    flags, cut, then the bytes of the head and what follows it
 *
 *      flags    bit 0      a response; else a request
 *               bits 1-2   what it answers: GET, HEAD, CONNECT, GET with Upgrade
 *               bit 3      small limits
 *               bits 4-7   size of the pieces, less one
 *      cut      size of the first piece
 *
 * Properties:
 *   (1) Whole, in pieces from memory that moves, and with nothing behind it, a head has the same
 *       verdict, and DONE comes with its last byte.
 *   (2) A head that is done lies within the bytes, and its spans and fields within the head, in
 *       order; every byte of it belongs to the first line, a field, or the empty line.
 *   (3) A head that is done means one thing: see check_request() and check_response().
 *   (4) A head that is refused says why.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fuzz.h"
#include "http/head.h"

#define FLAG_RESPONSE (1u << 0)
#define FLAG_SMALL (1u << 3)

struct setup {
	enum http_kind kind;
	struct http_limits limits;
	struct http_asked asked;
};

static void setup_read(struct setup *setup, uint8_t flags)
{
	static const struct http_asked asked[] = {
		{ .method = HTTP_METHOD_GET },
		{ .method = HTTP_METHOD_HEAD },
		{ .method = HTTP_METHOD_CONNECT },
		{ .method = HTTP_METHOD_GET, .upgrade = true },
	};

	setup->kind = flags & FLAG_RESPONSE ? HTTP_HEAD_RESPONSE : HTTP_HEAD_REQUEST;
	setup->asked = asked[flags >> 1 & 3];
	setup->limits = flags & FLAG_SMALL ? (struct http_limits){ 128, 3 } :
					     (struct http_limits){ 16384, 100 };
}

static void setup_begin(const struct setup *setup, struct http_head *head)
{
	memset(head, 0x5a, sizeof(*head));
	http_head_begin(head, setup->kind, &setup->limits,
			setup->kind == HTTP_HEAD_RESPONSE ? &setup->asked : NULL);
}

/* From a block of exactly that length, which is gone afterwards. */
static enum http_progress feed_block(struct http_head *head, const uint8_t *data, size_t len)
{
	uint8_t *block = malloc(len > 0 ? len : 1);
	enum http_progress progress;

	assert(block);
	if (len > 0)
		memcpy(block, data, len);
	progress = http_head_feed(head, block, (uint32_t)len);
	free(block);
	return progress;
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
	assert(a->refusal == b->refusal);
	if (a->refusal != HTTP_REFUSAL_NONE)
		return;
	assert(memcmp(a, b, offsetof(struct http_head, fields)) == 0);
	assert(memcmp(a->fields, b->fields, a->fields_count * sizeof(a->fields[0])) == 0);
}

static void check_pieces(const struct setup *setup, const struct http_head *whole,
			 enum http_progress whole_progress, const uint8_t *data, size_t len,
			 size_t first, size_t step)
{
	static struct http_head head;
	enum http_progress progress = HTTP_MORE;
	size_t before = 0, upto = first;

	setup_begin(setup, &head);
	while (progress == HTTP_MORE && before < len) {
		upto = upto < len ? upto : len;
		progress = feed_block(&head, data, upto);
		if (progress == HTTP_DONE) {
			assert(head.length <= upto);
			assert(head.length > before);
		}
		before = upto;
		upto += step;
	}
	assert(progress == whole_progress);
	if (progress != HTTP_MORE)
		check_same(whole, &head);
}

static void check_span(const struct http_head *head, struct http_span span)
{
	assert(span.at + span.len <= head->length);
	assert(span.len == 0 || span.at >= head->start);
}

static void check_fields(const struct http_head *head, const uint8_t *data)
{
	uint32_t at = head->line_end;

	for (uint32_t i = 0; i < head->fields_count; i++) {
		const struct http_field *field = &head->fields[i];

		assert(field->id < HTTP_FIELD_COUNT);
		assert(field->name.at == at);
		assert(field->name.len > 0);
		assert(data[at + field->name.len] == ':');
		assert(field->value.at > at + field->name.len);
		assert(field->value.at + field->value.len + 2 <= field->end);
		for (uint32_t value = 0; value < field->value.len; value++) {
			uint8_t c = data[field->value.at + value];

			assert((c >= 0x20 || c == '\t') && c != 0x7f);
		}
		at = field->end;
		assert(memcmp(data + at - 2, "\r\n", 2) == 0);
	}
	assert(at + 2 == head->length);
	assert(memcmp(data + at, "\r\n", 2) == 0);
}

static uint32_t fields_of(const struct http_head *head, enum http_field_id id)
{
	uint32_t count = 0;

	for (int i = http_head_find(head, id, 0); i >= 0;
	     i = http_head_find(head, id, (uint32_t)i + 1))
		count++;
	return count;
}

static void check_framing(const struct http_head *head)
{
	uint32_t lengths = fields_of(head, HTTP_FIELD_CONTENT_LENGTH);
	uint32_t codings = fields_of(head, HTTP_FIELD_TRANSFER_ENCODING);

	assert(lengths + codings <= 1);
	assert(head->length_given == (lengths == 1));
	assert(codings == 0 || head->minor == 1);
	assert(head->framing != HTTP_BODY_CHUNKED || codings == 1);
	assert(head->framing != HTTP_BODY_LENGTH || lengths == 1);
	assert(head->framing == HTTP_BODY_LENGTH || head->content_length == 0);
	assert(head->content_length <= INT64_MAX);
	assert(!head->persistent || head->framing != HTTP_BODY_UNTIL_CLOSE);
}

static void check_request(const struct http_head *head, const uint8_t *data)
{
	uint32_t hosts = fields_of(head, HTTP_FIELD_HOST);

	assert(hosts == 1 || (hosts == 0 && head->minor == 0));
	assert(head->method < HTTP_METHOD_COUNT);
	assert(head->method_text.at == head->start);
	assert(head->method_text.len > 0);
	assert(head->target.at == head->start + head->method_text.len + 1);
	assert(head->target.at + head->target.len + 11u == head->line_end);
	assert(memcmp(data + head->line_end - 10, head->minor ? "HTTP/1.1\r\n" : "HTTP/1.0\r\n",
		      10) == 0);
	assert(head->authority.len > 0 || head->minor == 0);
	assert(head->host.at == head->authority.at);
	assert(head->host.len <= head->authority.len);
	assert(!memchr(data + head->path.at, '?', head->path.len));
	assert(head->query.len == 0 || data[head->query.at] == '?');
	assert(head->framing != HTTP_BODY_UNTIL_CLOSE);
	assert(!head->tunnel);
	if (head->upgrade || head->method == HTTP_METHOD_CONNECT)
		assert(head->framing != HTTP_BODY_CHUNKED && head->content_length == 0);
	assert(!head->expect || head->minor == 1);
}

static void check_response(const struct http_head *head, const struct setup *setup,
			   const uint8_t *data)
{
	assert(head->start == 0);
	assert(head->status >= 100 && head->status <= 599);
	assert(head->upgrade == (head->status == 101));
	assert(!head->upgrade || setup->asked.upgrade);
	assert(!head->tunnel || head->upgrade || setup->asked.method == HTTP_METHOD_CONNECT);
	for (uint32_t i = 0; i < head->reason.len; i++)
		assert(data[head->reason.at + i] < 0x7f);
	if (head->status < 200 || head->status == 204 || head->status == 304)
		assert(head->framing == HTTP_BODY_NONE);
}

static void check_done(const struct http_head *head, const struct setup *setup, const uint8_t *data,
		       size_t len)
{
	assert(head->length <= len);
	assert(head->length <= setup->limits.head_bytes);
	assert(head->fields_count <= setup->limits.fields);
	assert(head->line_end + 2 <= head->length);
	assert(memcmp(data + head->line_end - 2, "\r\n", 2) == 0);
	assert(head->minor <= 1);
	check_span(head, head->method_text);
	check_span(head, head->target);
	check_span(head, head->reason);
	check_span(head, head->authority);
	check_span(head, head->host);
	check_span(head, head->path);
	check_span(head, head->query);
	check_span(head, head->upgrade_to);
	check_fields(head, data);
	check_framing(head);
	if (setup->kind == HTTP_HEAD_REQUEST)
		check_request(head, data);
	else
		check_response(head, setup, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct http_head head;
	enum http_progress progress;
	struct setup setup;

	if (len < 2 || len > HTTP_HEAD_MAX)
		return 0;
	setup_read(&setup, data[0]);
	setup_begin(&setup, &head);
	progress = feed_block(&head, data + 2, len - 2);
	check_pieces(&setup, &head, progress, data + 2, len - 2, data[1], 1u + (data[0] >> 4));
	assert((progress == HTTP_REFUSED) == (head.refusal != HTTP_REFUSAL_NONE));
	assert(head.refusal < HTTP_REFUSAL_COUNT);
	if (progress == HTTP_DONE) {
		check_done(&head, &setup, data + 2, len - 2);
		check_pieces(&setup, &head, progress, data + 2, head.length, data[1], 4096);
	}
	return 0;
}
