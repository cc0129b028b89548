/* SPDX-License-Identifier: MIT */
/*
 * body_reader.c - the cursor of body_reader.h.
 */
#include "body_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void body_reader_start(struct body_reader *reader, const struct http_head *head)
{
	reader->framing = head->framing;
	reader->left = head->content_length;
	reader->reason = NULL;
	reader->in_data = false;
	reader->done = head->framing == HTTP_BODY_NONE ||
		       (head->framing == HTTP_BODY_LENGTH && head->content_length == 0);
	if (head->framing != HTTP_BODY_CHUNKED)
		return;
	if (reader->chunk == NULL)
		reader->chunk = malloc(sizeof(*reader->chunk));
	assert(reader->chunk != NULL);
	http_chunk_begin(reader->chunk, HTTP_CHUNK_DATA);
}

void body_reader_release(struct body_reader *reader)
{
	free(reader->chunk);
	reader->chunk = NULL;
}

/* To the end of the present line, or as much of the present data as there is. */
static uint32_t chunk_piece(const struct body_reader *reader, const uint8_t *bytes, uint32_t count)
{
	const uint8_t *end;

	if (reader->in_data)
		return count < reader->chunk->left ? count : (uint32_t)reader->chunk->left;
	end = memchr(bytes, '\n', count);
	return end != NULL ? (uint32_t)(end - bytes) + 1 : count;
}

static uint32_t chunked_next(struct body_reader *reader, uint8_t *bytes, uint32_t count,
			     uint32_t *data_count)
{
	struct http_chunk *chunk = reader->chunk;
	uint32_t piece = chunk_piece(reader, bytes, count);
	enum http_progress progress;
	uint32_t consumed;

	progress = http_chunk_feed(chunk, bytes, piece, data_count, &consumed);
	assert(*data_count == (reader->in_data ? piece : 0));
	/* A size that is known only in part is no data yet: its line must have ended. */
	reader->in_data = chunk->left > 0 && (reader->in_data || bytes[piece - 1] == '\n');
	reader->done = progress == HTTP_DONE;
	if (progress == HTTP_REFUSED)
		reader->reason = http_refusal_texts[chunk->refusal];
	return consumed;
}

uint32_t body_reader_next(struct body_reader *reader, uint8_t *bytes, uint32_t count,
			  uint32_t *data_count)
{
	*data_count = 0;
	if (reader->done || reader->reason != NULL || count == 0)
		return 0;
	switch ((enum http_framing)reader->framing) {
	case HTTP_BODY_NONE:
		break;
	case HTTP_BODY_LENGTH:
		*data_count = count < reader->left ? count : (uint32_t)reader->left;
		reader->left -= *data_count;
		reader->done = reader->left == 0;
		return *data_count;
	case HTTP_BODY_CHUNKED:
		return chunked_next(reader, bytes, count, data_count);
	case HTTP_BODY_UNTIL_CLOSE:
		*data_count = count;
		return count;
	}
	unreachable();
}
