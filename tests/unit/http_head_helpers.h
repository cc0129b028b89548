/* SPDX-License-Identifier: MIT */
/*
 * http_head_helpers - a head fed in every way, and told in words.
 *
 * head_feed_all_ways() feeds whole, with bytes behind it, byte by byte and cut at each position.
 * Each feed has its bytes in a block of its own of exactly their length, overwritten and freed
 * afterwards, so a pointer that was kept or a byte too many is found by the address sanitizer. All
 * ways must agree.
 */
#ifndef HTTP_HEAD_HELPERS_H
#define HTTP_HEAD_HELPERS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/head.h"
#include "unit.h"

#define WORDS_MAX 512u

/* Bytes, NULs included. */
struct head_case {
	const char *text;
	size_t len;
	const char *words; /* what the test's teller says of it */
};

#define CASE(text, words)                     \
	{                                     \
		text, sizeof(text) - 1, words \
	}

struct head_setup {
	enum http_kind kind;
	struct http_limits limits;
	struct http_asked asked;
};

static const struct head_setup setup_request = {
	.kind = HTTP_HEAD_REQUEST,
	.limits = { .head_bytes = 16384, .fields = 100 },
};
static const struct head_setup setup_response = {
	.kind = HTTP_HEAD_RESPONSE,
	.limits = { .head_bytes = 16384, .fields = 100 },
	.asked = { .method = HTTP_METHOD_GET },
};

static inline void head_setup_begin(struct http_head *head, const struct head_setup *setup)
{
	memset(head, 0xa5, sizeof(*head));
	http_head_begin(head, setup->kind, &setup->limits,
			setup->kind == HTTP_HEAD_RESPONSE ? &setup->asked : NULL);
}

static inline enum http_progress head_feed_block(struct http_head *head, const char *text,
						 size_t len)
{
	uint8_t *block = malloc(len > 0 ? len : 1);
	enum http_progress progress;

	assert(block);
	memcpy(block, text, len);
	progress = http_head_feed(head, block, (uint32_t)len);
	memset(block, 0xee, len);
	free(block);
	return progress;
}

static inline bool head_is_same(const struct http_head *a, enum http_progress a_progress,
				const struct http_head *b, enum http_progress b_progress)
{
	if (a_progress != b_progress || a->refusal != b->refusal)
		return false;
	if (a_progress != HTTP_DONE)
		return true;
	return memcmp(a, b, offsetof(struct http_head, fields)) == 0 &&
	       memcmp(a->fields, b->fields, a->fields_count * sizeof(a->fields[0])) == 0;
}

/* In pieces of `step` bytes after a first one of `first`. The end must be seen with the last byte
 * of the head, not earlier or later. */
static inline enum http_progress head_feed_pieces(struct http_head *head,
						  const struct head_setup *setup, const char *text,
						  size_t len, size_t first, size_t step)
{
	enum http_progress progress = HTTP_MORE;
	size_t before = 0;

	head_setup_begin(head, setup);
	for (size_t upto = first; progress == HTTP_MORE && before < len; upto += step) {
		upto = upto < len ? upto : len;
		progress = head_feed_block(head, text, upto);
		if (progress == HTTP_DONE) {
			CHECK(head->length <= upto);
			CHECK(head->length > before);
		}
		before = upto;
	}
	return progress;
}

static inline enum http_progress head_feed_all_ways(struct http_head *head,
						    const struct head_setup *setup,
						    const char *text, size_t len)
{
	static struct http_head other;
	static char longer[HTTP_HEAD_MAX + 16];
	enum http_progress progress, other_progress;

	head_setup_begin(head, setup);
	progress = head_feed_block(head, text, len);
	other_progress = head_feed_pieces(&other, setup, text, len, 1, 1);
	CHECK(head_is_same(head, progress, &other, other_progress));
	for (size_t cut = 0; cut < len; cut++) {
		other_progress = head_feed_pieces(&other, setup, text, len, cut, len);
		if (!CHECK(head_is_same(head, progress, &other, other_progress)))
			break;
	}
	if (progress == HTTP_DONE && len < HTTP_HEAD_MAX) {
		memcpy(longer, text, len);
		memcpy(longer + len, "\r\nX: \0\n y\r\n\r\n", 14);
		head_setup_begin(&other, setup);
		other_progress = head_feed_block(&other, longer, len + 14);
		CHECK(head_is_same(head, progress, &other, other_progress));
	}
	return progress;
}

/* Append to the words. */
__attribute__((format(printf, 2, 3))) static inline void tell(char *words, const char *format, ...)
{
	size_t len = strlen(words);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words + len, WORDS_MAX - len, format, arguments);
	va_end(arguments);
}

static inline void tell_span(char *words, const char *before, const char *text,
			     struct http_span span)
{
	tell(words, "%s%.*s", before, (int)span.len, text + span.at);
}

typedef void teller(char *words, const struct http_head *head, const char *text);

/* "more", the name of a refusal, or what the teller says. */
static inline void head_check_case(const struct head_case *row, const struct head_setup *setup,
				   teller *say)
{
	static struct http_head head;
	char words[WORDS_MAX] = "";

	unit_row(row->text);
	switch (head_feed_all_ways(&head, setup, row->text, row->len)) {
	case HTTP_MORE:
		tell(words, "more");
		break;
	case HTTP_REFUSED:
		tell(words, "%s", http_refusal_names[head.refusal]);
		break;
	case HTTP_DONE:
		CHECK_UINT(head.length, row->len);
		say(words, &head, row->text);
		break;
	}
	CHECK_TEXT(words, row->words);
	unit_row(NULL);
}

static inline void head_check_cases(const struct head_case *rows, size_t count,
				    const struct head_setup *setup, teller *say)
{
	for (size_t i = 0; i < count; i++)
		head_check_case(&rows[i], setup, say);
}

static inline void tell_ok(char *words, const struct http_head *head, const char *text)
{
	(void)head;
	(void)text;
	tell(words, "ok");
}

static inline void tell_framing(char *words, const struct http_head *head, const char *text)
{
	static const char *const framings[] = { "none", "length", "chunked", "until close" };

	(void)text;
	tell(words, "%s", framings[head->framing]);
	if (head->framing == HTTP_BODY_LENGTH)
		tell(words, " %llu", (unsigned long long)head->content_length);
	else
		CHECK_UINT(head->content_length, 0);
	if (head->tunnel)
		tell(words, ", tunnel");
	if (head->length_given && head->framing != HTTP_BODY_LENGTH)
		tell(words, ", length given");
}

#endif
