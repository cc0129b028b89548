/* SPDX-License-Identifier: MIT */
/*
 * head_reader.c - parsing and remembering, as in head_reader.h.
 */
#include "head_reader.h"

#include <string.h>

#include "base/assert.h"

static const struct http_limits limits = { .head_bytes = HEAD_BYTES_MAX,
					   .fields = HTTP_FIELDS_MAX };

void head_reader_init(struct head_reader *reader, enum http_kind kind)
{
	reader->kind = kind;
	reader->memo_bytes = 0;
}

static bool is_remembered(const struct head_reader *reader, const struct http_asked *asked,
			  const uint8_t *bytes, uint32_t count)
{
	if (reader->memo_bytes == 0 || count < reader->memo_bytes)
		return false;
	if (asked != NULL &&
	    (asked->method != reader->asked.method || asked->upgrade != reader->asked.upgrade))
		return false;
	return memcmp(reader->memo, bytes, reader->memo_bytes) == 0;
}

static void remember(struct head_reader *reader, const struct http_asked *asked,
		     const uint8_t *bytes)
{
	uint32_t length = reader->head.length;

	if (length > HEAD_MEMO_BYTES)
		return;
	memcpy(reader->memo, bytes, length);
	reader->memo_bytes = length;
	if (asked != NULL)
		reader->asked = *asked;
}

static enum http_progress refuse(struct head_reader *reader, uint32_t status, const char *reason)
{
	reader->refused_with = status;
	reader->reason = reason;
	return HTTP_REFUSED;
}

/* The layer's words for two of these name keys of the proxy. */
static const char *text_of(enum http_refusal refusal)
{
	static_assert(HEAD_BYTES_MAX == 16384 && HTTP_FIELDS_MAX == 256, "as it is said here");
	if (refusal == HTTP_REFUSAL_HEAD_LARGE)
		return "a head longer than 16 KB";
	if (refusal == HTTP_REFUSAL_FIELDS_MANY)
		return "a head with more than 256 fields";
	return http_refusal_texts[refusal];
}

/* RFC 9112 2.2: CR and LF only together, seen without the help of what parsed the lines. */
static bool lines_are_whole(const uint8_t *bytes, uint32_t length)
{
	const uint8_t *end = bytes + length;

	while (bytes < end) {
		const uint8_t *lf = memchr(bytes, '\n', (size_t)(end - bytes));

		if (lf == NULL || lf == bytes ||
		    memchr(bytes, '\r', (size_t)(lf - bytes)) != lf - 1)
			return false;
		bytes = lf + 1;
	}
	return true;
}

enum http_progress head_reader_next(struct head_reader *reader, const struct http_asked *asked,
				    const uint8_t *bytes, uint32_t count)
{
	struct http_head *head = &reader->head;
	enum http_progress progress;

	assert((reader->kind == HTTP_HEAD_RESPONSE) == (asked != NULL));
	if (is_remembered(reader, asked, bytes, count))
		return HTTP_DONE;
	reader->memo_bytes = 0;
	http_head_begin(head, reader->kind, &limits, asked);
	progress = http_head_feed(head, bytes, count);
	if (progress == HTTP_REFUSED)
		return refuse(reader, http_refusal_status[head->refusal],
			      text_of((enum http_refusal)head->refusal));
	if (progress == HTTP_MORE)
		return progress;
	/* RFC 9112 2.2 lets a server pass over it, not a client send it. */
	if (head->start > 0)
		return refuse(reader, 400, "an empty line in front of the head");
	if (!lines_are_whole(bytes, head->length))
		return refuse(reader, 400, "a line does not end in CRLF, or holds a CR");
	remember(reader, asked, bytes);
	return progress;
}
