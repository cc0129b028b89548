/* SPDX-License-Identifier: MIT */
/*
 * head_private - what the files of a head share.
 *
 *      head.c          bytes --llhttp--> offsets, then:   (the only user of llhttp)
 *      head_judge.c    what the whole head means: first line, framing, connection, upgrade
 *      head_fields.c   names, values, lists, what Connection names
 *      head_target.c   the target and the authority
 *
 * Each head_judge_x() below returns true when its part may go on, else false with the refusal set.
 */
#ifndef HTTP_SRC_HEAD_PRIVATE_H
#define HTTP_SRC_HEAD_PRIVATE_H

#include "base/assert.h"
#include "http/head.h"

enum head_state {
	HEAD_BEGIN,  /* nothing but empty lines so far */
	HEAD_LINES,  /* llhttp reads */
	HEAD_METHOD, /* llhttp does not know the method: is it one at all? */
	HEAD_DONE,
	HEAD_REFUSED,
};

/* The fields of each id: how many, and the first one's index where there is one. */
struct head_index {
	uint16_t count[HTTP_FIELD_COUNT];
	uint16_t first[HTTP_FIELD_COUNT];
};

/* What Connection says of this connection (RFC 9110 7.6.1). */
struct head_options {
	bool close;
	bool keep_alive;
	bool upgrade;
};

/* A piece of the head, not terminated; borrowed. */
struct head_text {
	const uint8_t *at;
	uint32_t len;
};

/* A comma-separated list (RFC 9110 5.6.1). */
struct head_list {
	const uint8_t *at;
	const uint8_t *end;
};

/* A set of ASCII characters, as bits. */
struct head_set {
	uint64_t bits[4];
};

#define HEAD_SET_BIT(c) (1ull << ((c)&63))
#define HEAD_SET_DIGITS (0x3ffull << '0')
#define HEAD_SET_LETTERS ((0x3ffffffull << ('A' & 63)) | (0x3ffffffull << ('a' & 63)))

static inline bool head_set_has(const struct head_set *set, uint8_t c)
{
	return (set->bits[c >> 6] >> (c & 63)) & 1;
}

static inline struct http_span head_span(uint32_t at, uint32_t end)
{
	assert(at <= end);
	assert(end <= HTTP_HEAD_MAX);
	return (struct http_span){ (uint16_t)at, (uint16_t)(end - at) };
}

static inline struct head_text head_text(const uint8_t *base, struct http_span span)
{
	return (struct head_text){ base + span.at, span.len };
}

static inline bool head_text_is(struct head_text text, const char *other)
{
	return http_text_equal(text.at, text.len, other);
}

/* Returns false. */
bool head_refuse(struct http_head *head, enum http_refusal refusal);

/* The head is complete: fields[].name, target and length are set, all else is found here. */
bool head_judge(struct http_head *head, const uint8_t *base);

/* --- head_fields.c --- */
extern const struct head_set head_token; /* RFC 9110 5.6.2 */

bool head_is_token(struct head_text text);
bool head_is_blank(uint8_t c);
struct head_list head_list(struct head_text text);
/* The next element without the blanks around it, empty ones included; false: there is none. */
bool head_list_next(struct head_list *list, struct head_text *element);
/* The exact name only. */
enum http_field_id head_field_id(struct head_text name);

bool head_judge_fields(struct http_head *head, const uint8_t *base, struct head_index *index);
bool head_judge_connection(struct http_head *head, const uint8_t *base,
			   const struct head_index *index, struct head_options *options);

/* --- head_target.c --- */
/* Sets authority, host, path and query, from the target and Host. */
bool head_judge_target(struct http_head *head, const uint8_t *base, const struct head_index *index);

#endif
