/* SPDX-License-Identifier: MIT */
/*
 * edit_private - what the edits of requests and responses share.
 *
 *      edit.c            parts; running out of them; fields written anew
 *      edit_request.c    request line, Host, what is said about the client
 *      edit_response.c   status line
 *      answer.c          answers of our own
 *
 * An edit writes parts in order and never asks whether that worked: `fits` stays false once
 * something did not fit, and is what the caller is told.
 */
#ifndef HTTP_SRC_EDIT_PRIVATE_H
#define HTTP_SRC_EDIT_PRIVATE_H

#include <string.h>

#include "base/assert.h"
#include "http/edit.h"

/* Values of one field that are joined to one list; with more lines they all stay as they are. */
#define EDIT_LIST_MAX 3

struct edit_list {
	struct http_span values[EDIT_LIST_MAX];
	uint32_t count;
	bool joined; /* received lines are left out, their values are written again at the end */
};

struct edit {
	struct http_parts *parts;
	uint8_t *base;
	const struct http_head *head;
	const struct http_edits *edits;
	const struct http_hop *hop;
	uint16_t part_first;      /* parts before it are not ours */
	bool fits;                /* so far */
	bool own_host;            /* request: Host is written by us */
	struct edit_list x_for;   /* request: received X-Forwarded-For */
	struct edit_list rfc7239; /* request: received Forwarded */
};

void edit_begin(struct edit *edit, struct http_parts *parts, uint8_t *base,
		const struct http_head *head, const struct http_edits *edits,
		const struct http_hop *hop);

/* Borrow bytes, of the head or of something that lives as long as the parts. */
void edit_span(struct edit *edit, const void *bytes, uint32_t len);
/* Copied if it is short, else borrowed: a part costs more than a few bytes. */
void edit_text(struct edit *edit, const void *bytes, uint32_t len);
void edit_number(struct edit *edit, uint64_t number);
/* Copy bytes, where they do not just go on with the last part. */
void edit_copy_apart(struct edit *edit, const void *bytes, uint32_t len);

/* Copy bytes. */
static inline void edit_copy(struct edit *edit, const void *bytes, uint32_t len)
{
	struct http_parts *parts = edit->parts;
	char *to = parts->scratch + parts->scratch_used;
	struct iovec *last = &parts->parts[(parts->count - 1u) % HTTP_PARTS_MAX];

	assert(parts->scratch_used <= HTTP_SCRATCH_MAX);
	if (parts->count == parts->first || len > HTTP_SCRATCH_MAX - parts->scratch_used ||
	    (char *)last->iov_base + last->iov_len != to) {
		edit_copy_apart(edit, bytes, len);
		return;
	}
	memcpy(to, bytes, len);
	last->iov_len += len;
	parts->bytes += len;
	parts->scratch_used = (uint16_t)(parts->scratch_used + len);
}

#define edit_literal(edit, literal) edit_copy((edit), (literal), sizeof(literal) - 1)

static inline void edit_head_span(struct edit *edit, uint32_t at, uint32_t end)
{
	assert(at <= end && end <= edit->head->length);
	edit_span(edit, edit->base + at, end - at);
}

static inline void edit_head_text(struct edit *edit, struct http_span span)
{
	edit_text(edit, edit->base + span.at, span.len);
}

bool edit_removes(const struct http_edits *edits, const uint8_t *name, uint32_t len);

/* Is it one of edits->removed? */
static inline bool edit_is_removed(const struct edit *edit, const struct http_field *field)
{
	return edit->edits->removed_count > 0 &&
	       edit_removes(edit->edits, edit->base + field->name.at, field->name.len);
}

/* Fields behind the first line, each as `goes_on` decides: what stays together is one part. */
static inline __attribute__((always_inline)) void
edit_fields(struct edit *edit, bool (*goes_on)(struct edit *edit, const struct http_field *field))
{
	const struct http_head *head = edit->head;
	uint32_t run = head->line_end;

	for (uint32_t i = 0; i < head->fields_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (goes_on(edit, field))
			continue;
		edit_head_span(edit, run, field->name.at);
		run = field->end;
	}
	edit_head_span(edit, run, head->length - 2u);
}

/* Options of Connection, in the order in which they are written. */
#define EDIT_CLOSE (1u << 0)
#define EDIT_KEEP_ALIVE (1u << 1)
#define EDIT_TE (1u << 2)
#define EDIT_UPGRADE (1u << 3)
#define EDIT_OPTIONS 4u

void edit_connection(struct edit *edit, uint32_t options);
void edit_content_length(struct edit *edit, uint64_t length);

/* The empty line: that of the head, where it follows what was written last. False: no fit. */
bool edit_end(struct edit *edit);

#endif
