/* SPDX-License-Identifier: MIT */
/*
 * load_answer.c - any bytes as what the load tool reads from the network: an answer's or a
 * request's head, then its body; and as frames.
 *
 * Properties:
 *   (1) A head is refused with a reason, or incomplete, or it ends within the bytes and its texts
 *       lie within it.
 *   (2) What is shorter than a complete head is never refused nor complete.
 *   (3) A body cut into pieces gives the same payload, length and verdict as in one piece.
 *   (4) Frames cut into pieces give the same events as in one piece.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "fuzz.h"
#include "http_message.h"

struct seen {
	uint64_t events; /* a checksum of all that was told, in its order */
	uint64_t taken;
	bool done;
	bool bad;
};

typedef int parse_head(const char *bytes, uint32_t count, struct http_head *head,
                       const char **reason);

static void note(struct seen *seen, const void *bytes, uint64_t count)
{
	seen->events = crc32c((uint32_t)seen->events, bytes, count);
}

/* Pieces are of as many bytes as the input itself says, or everything at once. */
static uint32_t piece(const uint8_t *data, uint32_t at, uint32_t len, bool whole)
{
	uint32_t count = whole ? len - at : 1u + data[at] % 7u;

	return count < len - at ? count : len - at;
}

static struct seen read_body(const struct http_head *head, const uint8_t *data, uint32_t len,
                             bool is_request, bool whole)
{
	struct seen seen = { 0 };
	struct http_body body;
	uint32_t at = 0;

	if (is_request)
		http_body_of_request(&body, head);
	else
		http_body_of_answer(&body, head, false);
	while (at < len && !body.done && !body.bad) {
		/* A block of its own, so that a read past the piece is caught. */
		uint32_t count = piece(data, at, len, whole);
		char *bytes = malloc(count);
		const char *payload = NULL;
		uint32_t payload_count = 0, taken;

		assert(bytes != NULL);
		memcpy(bytes, data + at, count);
		taken = http_body_next(&body, bytes, count, &payload, &payload_count);
		assert(taken <= count && payload_count <= taken);
		assert(taken > 0 || body.done || body.bad);
		if (payload_count > 0) {
			assert(payload >= bytes && payload + payload_count <= bytes + count);
			note(&seen, payload, payload_count);
		}
		at += taken;
		free(bytes);
	}
	assert(!(body.done && body.bad));
	seen.done = body.done;
	seen.bad = body.bad;
	seen.taken = body.bad ? 0 : at;
	return seen;
}

static void check_body(const struct http_head *head, const uint8_t *data, uint32_t len,
                       bool is_request)
{
	struct seen whole = read_body(head, data, len, is_request, true);
	struct seen pieces = read_body(head, data, len, is_request, false);

	assert(whole.done == pieces.done && whole.bad == pieces.bad);
	assert(whole.taken == pieces.taken);
	assert(whole.bad || whole.events == pieces.events);
}

static bool within(const struct http_text *text, const char *bytes, int length)
{
	return text->count == 0 ||
	       (text->bytes >= bytes && text->bytes + text->count <= bytes + length);
}

static void check_head(parse_head *parse, const uint8_t *data, uint32_t len, bool is_request)
{
	const char *bytes = (const char *)data;
	const char *reason = NULL;
	struct http_head head, early;
	int length = parse(bytes, len, &head, &reason);
	uint32_t i;

	assert(length <= (int)len);
	if (length < 0) {
		assert(length == -1 && reason != NULL && reason[0] != '\0');
		return;
	}
	if (length == 0)
		return;
	assert(within(&head.method, bytes, length) && within(&head.target, bytes, length));
	assert(!(head.chunked && head.has_length));
	for (i = 1; i < (uint32_t)length; i += 1 + i / 8)
		assert(parse(bytes, i, &early, &reason) == 0);
	check_body(&head, data + length, len - (uint32_t)length, is_request);
}

static struct seen read_frames(const uint8_t *data, uint32_t len, bool whole)
{
	struct frame_reader reader;
	struct seen seen = { 0 };
	uint32_t at = 0;

	frame_reader_init(&reader);
	while (at < len) {
		enum frame_event event;
		uint32_t count = piece(data, at, len, whole);
		uint32_t taken = frame_reader_next(&reader, data + at, count, &event);

		assert(taken <= count);
		assert(taken > 0 || event != FRAME_NONE);
		at += taken;
		if (event == FRAME_NONE)
			continue;
		note(&seen, &event, sizeof(event));
		seen.taken++;
		if (event == FRAME_JUNK)
			break;
		note(&seen, &reader.frame.id, sizeof(reader.frame.id));
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen whole, pieces;
	uint32_t count = len < HTTP_HEAD_MAX ? (uint32_t)len : HTTP_HEAD_MAX;

	if (count == 0)
		return 0;
	check_head(http_parse_answer, data, count, false);
	check_head(http_parse_request, data, count, true);
	whole = read_frames(data, count, true);
	pieces = read_frames(data, count, false);
	assert(whole.events == pieces.events && whole.taken == pieces.taken);
	return 0;
}
