/* SPDX-License-Identifier: MIT */
/*
 * http_edit_helpers.h - a head as text goes in, and as text comes out.
 */
#ifndef TESTS_UNIT_HTTP_EDIT_HELPERS_H
#define TESTS_UNIT_HTTP_EDIT_HELPERS_H

#include <stdint.h>
#include <string.h>

#include "http/edit.h"
#include "unit.h"

#define TEXT_MAX 65536

/* The last head that was edited. */
static struct http_head head;
static struct http_parts parts;
static uint8_t base[TEXT_MAX];
static char out[TEXT_MAX * 2];

static const struct http_limits limits = { HTTP_HEAD_MAX, HTTP_FIELDS_MAX };

static inline void join_parts(void)
{
	uint32_t len = 0;

	for (uint32_t i = parts.first; i < parts.count; i++) {
		memcpy(out + len, parts.parts[i].iov_base, parts.parts[i].iov_len);
		len += (uint32_t)parts.parts[i].iov_len;
	}
	out[len] = '\0';
	CHECK_UINT(len, parts.bytes);
}

static inline bool parse(enum http_kind kind, const struct http_asked *asked, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);

	memcpy(base, text, len);
	http_head_begin(&head, kind, &limits, asked);
	return CHECK(http_head_feed(&head, base, len) == HTTP_DONE);
}

static const struct http_edits no_edits;
static const struct http_hop no_hop = { .client = "192.0.2.1", .server = "10.0.0.1:8080" };

/* Edited twice: for a second server the same must come out. */
static inline const char *request(const char *text, const struct http_edits *edits,
				  const struct http_hop *hop)
{
	if (!parse(HTTP_HEAD_REQUEST, NULL, text))
		return "(refused)";
	for (int i = 0; i < 2; i++) {
		http_parts_clear(&parts);
		if (!http_edit_request(&parts, base, &head, edits ? edits : &no_edits,
				       hop ? hop : &no_hop))
			return "(does not fit)";
		if (parts.moved)
			break;
	}
	join_parts();
	return out;
}

static inline const char *response(const char *text, enum http_method method,
				   const struct http_edits *edits, const struct http_hop *hop)
{
	struct http_asked asked = { .method = (uint8_t)method, .upgrade = true };

	if (!parse(HTTP_HEAD_RESPONSE, &asked, text))
		return "(refused)";
	http_parts_clear(&parts);
	if (!http_edit_response(&parts, base, &head, edits, hop ? hop : &no_hop))
		return "(does not fit)";
	join_parts();
	return out;
}

#endif
