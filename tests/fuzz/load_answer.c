/* SPDX-License-Identifier: MIT */
/*
 * load_answer.c - any bytes as what the load tool reads from the network: an answer's or a
 * request's head, then its body; and as frames.
 *
 * Properties:
 *   (1) A head is refused with a reason, or incomplete, or it ends within the bytes, and the
 *       plainest reader finds its end there too: at the first empty line, with CR and LF nowhere
 *       but together.
 *   (2) What is shorter than a complete head is incomplete.
 *   (3) A head that was read before is read the same, whatever stands behind it.
 *   (4) A body cut into pieces gives the same payload, length and verdict as in one piece, and what
 *       was shown is not changed.
 *   (5) Frames cut into pieces give the same events as in one piece.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "body_reader.h"
#include "frame.h"
#include "fuzz.h"
#include "head_reader.h"

struct seen {
	uint64_t events; /* a checksum of all that was told, in its order */
	uint64_t taken;
	bool done;
	bool bad;
};

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
                             bool whole)
{
	struct body_reader body = { 0 };
	struct seen seen = { 0 };
	uint32_t at = 0;

	body_reader_start(&body, head);
	while (at < len && !body.done && body.reason == NULL) {
		/* A block of its own, so that a read past the piece is caught. */
		uint32_t count = piece(data, at, len, whole);
		uint8_t *bytes = malloc(count);
		uint32_t payload_count = 0, taken;

		assert(bytes != NULL);
		memcpy(bytes, data + at, count);
		taken = body_reader_next(&body, bytes, count, &payload_count);
		assert(taken <= count && payload_count <= taken);
		assert(taken > 0 || body.done || body.reason != NULL);
		assert(memcmp(bytes, data + at, count) == 0);
		note(&seen, bytes, payload_count);
		at += taken;
		free(bytes);
	}
	assert(!(body.done && body.reason != NULL));
	seen.done = body.done;
	seen.bad = body.reason != NULL;
	seen.taken = seen.bad ? 0 : at;
	body_reader_release(&body);
	return seen;
}

static void check_body(const struct http_head *head, const uint8_t *data, uint32_t len)
{
	struct seen whole = read_body(head, data, len, true);
	struct seen pieces = read_body(head, data, len, false);

	assert(whole.done == pieces.done && whole.bad == pieces.bad);
	assert(whole.taken == pieces.taken);
	assert(whole.bad || whole.events == pieces.events);
}

/* The length of what ends at the first empty line; 0: a CR or LF stands alone before it. */
static uint32_t plain_length(const uint8_t *data, uint32_t len)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i++) {
		if ((data[i] == '\r') != (data[i + 1] == '\n'))
			return 0;
		if (i >= 2 && data[i] == '\r' && data[i - 1] == '\n')
			return i + 2;
	}
	return 0;
}

static void check_head(enum http_kind kind, enum http_method method, const uint8_t *data,
                       uint32_t len)
{
	const struct http_asked question = { .method = (uint8_t)method };
	const struct http_asked *asked = kind == HTTP_HEAD_RESPONSE ? &question : NULL;
	static struct head_reader reader, early;
	enum http_progress progress;
	uint32_t i;

	head_reader_init(&reader, kind);
	progress = head_reader_next(&reader, asked, data, len);
	if (progress == HTTP_REFUSED)
		assert(reader.reason != NULL && reader.reason[0] != '\0');
	if (progress != HTTP_DONE)
		return;
	assert(reader.head.length <= len);
	assert(reader.head.length == plain_length(data, len));
	assert(reader.head.target.at + reader.head.target.len <= reader.head.length);
	for (i = 1; i < reader.head.length; i += 1 + i / 8) {
		head_reader_init(&early, kind);
		assert(head_reader_next(&early, asked, data, i) == HTTP_MORE);
	}
	early = reader;
	assert(head_reader_next(&reader, asked, data, reader.head.length) == HTTP_DONE);
	assert(memcmp(&early.head, &reader.head, offsetof(struct http_head, fields)) == 0);
	check_body(&reader.head, data + reader.head.length, len - reader.head.length);
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
	uint32_t count = len < HEAD_BYTES_MAX ? (uint32_t)len : HEAD_BYTES_MAX;

	if (count == 0)
		return 0;
	check_head(HTTP_HEAD_RESPONSE, HTTP_METHOD_GET, data, count);
	check_head(HTTP_HEAD_RESPONSE, HTTP_METHOD_HEAD, data, count);
	check_head(HTTP_HEAD_REQUEST, HTTP_METHOD_GET, data, count);
	whole = read_frames(data, count, true);
	pieces = read_frames(data, count, false);
	assert(whole.events == pieces.events && whole.taken == pieces.taken);
	return 0;
}
