/* SPDX-License-Identifier: MIT */
/*
 * edit.c - parts, and what to do when there are too many of them.
 *
 * A field left out is a gap between two parts. With all parts taken, gaps are closed: what stands
 * behind one moves down to its beginning, and two parts are one.
 *
 *      [GET / HTTP/1.1  Host: x]  gap  [A: 1]  gap  [B: 2]       three parts
 *      [GET / HTTP/1.1  Host: x  A: 1  B: 2]                     one
 *
 * Text that is still to be named by its offset does not move: the first line, the authority, and
 * the received values that are written again behind the fields.
 */
#include "http/edit.h"

#include <string.h>

#include "base/assert.h"
#include "edit_private.h"

#define SHORT_MAX 64u /* bytes that are rather copied than borrowed */
/* Scratch that short texts leave free: for names, punctuation, numbers and twice the client. */
#define SCRATCH_RESERVED 344u

_Static_assert(SHORT_MAX + SCRATCH_RESERVED <= HTTP_SCRATCH_MAX, "no room for one short text");

/* --- parts ----------------------------------------------------------------------------------- */

void http_parts_clear(struct http_parts *parts)
{
	parts->first = 0;
	parts->count = 0;
	parts->bytes = 0;
	parts->scratch_used = 0;
	parts->moved = false;
}

bool http_parts_span(struct http_parts *parts, const void *bytes, uint32_t len)
{
	struct iovec *part;

	assert(parts->first <= parts->count && parts->count <= HTTP_PARTS_MAX);
	if (len == 0)
		return true;
	assert(bytes);
	if (parts->count > parts->first) {
		part = &parts->parts[parts->count - 1];
		if ((const char *)part->iov_base + part->iov_len == bytes) {
			part->iov_len += len;
			parts->bytes += len;
			return true;
		}
	}
	if (parts->count == HTTP_PARTS_MAX)
		return false;
	parts->parts[parts->count++] = (struct iovec){ (void *)(uintptr_t)bytes, len };
	parts->bytes += len;
	return true;
}

bool http_parts_copy(struct http_parts *parts, const void *bytes, uint32_t len)
{
	char *to = parts->scratch + parts->scratch_used;

	assert(parts->scratch_used <= HTTP_SCRATCH_MAX);
	if (len > HTTP_SCRATCH_MAX - parts->scratch_used || !http_parts_span(parts, to, len))
		return false;
	if (len > 0)
		memcpy(to, bytes, len);
	parts->scratch_used = (uint16_t)(parts->scratch_used + len);
	return true;
}

void http_parts_sent(struct http_parts *parts, uint32_t bytes)
{
	assert(bytes <= parts->bytes);
	parts->bytes -= bytes;
	while (bytes > 0) {
		struct iovec *part = &parts->parts[parts->first];

		assert(parts->first < parts->count);
		if (bytes < part->iov_len) {
			part->iov_base = (char *)part->iov_base + bytes;
			part->iov_len -= bytes;
			return;
		}
		bytes -= (uint32_t)part->iov_len;
		parts->first++;
	}
}

/* --- closing gaps ---------------------------------------------------------------------------- */

static bool touches(struct http_span span, uint32_t at, uint32_t end)
{
	return span.len > 0 && span.at < end && at < (uint32_t)span.at + span.len;
}

static bool list_touches(const struct edit_list *list, uint32_t at, uint32_t end)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (touches(list->values[i], at, end))
			return true;
	return false;
}

/* May the bytes of the part `behind` follow those of `front`, where there is a gap now? */
static bool is_gap_free(const struct edit *edit, const struct iovec *front,
			const struct iovec *behind)
{
	const struct http_head *head = edit->head;
	uintptr_t base = (uintptr_t)edit->base;
	uintptr_t gap = (uintptr_t)front->iov_base + front->iov_len;
	uintptr_t begin = (uintptr_t)behind->iov_base;
	uintptr_t end = begin + behind->iov_len;

	if ((uintptr_t)front->iov_base < base || gap > begin || end > base + head->length)
		return false;
	if (gap < base + head->line_end)
		return false;
	return !touches(head->authority, (uint32_t)(gap - base), (uint32_t)(end - base)) &&
	       !list_touches(&edit->x_for, (uint32_t)(gap - base), (uint32_t)(end - base)) &&
	       !list_touches(&edit->rfc7239, (uint32_t)(gap - base), (uint32_t)(end - base));
}

static void close_gaps(struct edit *edit)
{
	struct http_parts *parts = edit->parts;
	uint32_t last = edit->part_first;

	assert(parts->count == HTTP_PARTS_MAX);
	for (uint32_t i = last + 1; i < parts->count; i++) {
		struct iovec *front = &parts->parts[last];
		const struct iovec *behind = &parts->parts[i];

		if (!is_gap_free(edit, front, behind)) {
			parts->parts[++last] = *behind;
			continue;
		}
		memmove((char *)front->iov_base + front->iov_len, behind->iov_base,
			behind->iov_len);
		front->iov_len += behind->iov_len;
		parts->moved = true;
	}
	if (last < parts->count)
		parts->count = (uint16_t)(last + 1);
}

/* --- writing --------------------------------------------------------------------------------- */

void edit_begin(struct edit *edit, struct http_parts *parts, uint8_t *base,
		const struct http_head *head, const struct http_edits *edits,
		const struct http_hop *hop)
{
	static const struct http_edits no_edits;

	assert(head->length >= head->line_end + 2u);
	edit->parts = parts;
	edit->base = base;
	edit->head = head;
	edit->edits = edits ? edits : &no_edits;
	edit->hop = hop;
	edit->part_first = parts->count;
	edit->fits = true;
	edit->own_host = false;
	edit->x_for.count = 0;
	edit->x_for.joined = false;
	edit->rfc7239.count = 0;
	edit->rfc7239.joined = false;
}

void edit_span(struct edit *edit, const void *bytes, uint32_t len)
{
	if (http_parts_span(edit->parts, bytes, len))
		return;
	close_gaps(edit);
	if (!http_parts_span(edit->parts, bytes, len))
		edit->fits = false;
}

void edit_copy_apart(struct edit *edit, const void *bytes, uint32_t len)
{
	if (http_parts_copy(edit->parts, bytes, len))
		return;
	if (edit->parts->count == HTTP_PARTS_MAX)
		close_gaps(edit);
	if (!http_parts_copy(edit->parts, bytes, len))
		edit->fits = false;
}

void edit_text(struct edit *edit, const void *bytes, uint32_t len)
{
	uint32_t room = HTTP_SCRATCH_MAX - edit->parts->scratch_used;

	if (len <= SHORT_MAX && len + SCRATCH_RESERVED <= room)
		edit_copy(edit, bytes, len);
	else
		edit_span(edit, bytes, len);
}

void edit_number(struct edit *edit, uint64_t number)
{
	char digits[20]; /* of 2^64-1 */
	char *at = digits + sizeof(digits);

	do {
		assert(at > digits);
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	edit_copy(edit, at, (uint32_t)(digits + sizeof(digits) - at));
}

static bool name_equal(const uint8_t *text, const struct http_name *name)
{
	for (uint32_t i = 0; i < name->len; i++) {
		uint8_t c = text[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c != (uint8_t)name->text[i])
			return false;
	}
	return true;
}

bool edit_removes(const struct http_edits *edits, const uint8_t *name, uint32_t len)
{
	for (uint32_t i = 0; i < edits->removed_count; i++)
		if (edits->removed[i].len == len && name_equal(name, &edits->removed[i]))
			return true;
	return false;
}

void edit_connection(struct edit *edit, uint32_t options)
{
	static const struct http_name texts[EDIT_OPTIONS] = {
		{ "close", 5 },
		{ "keep-alive", 10 },
		{ "TE", 2 },
		{ "upgrade", 7 },
	};
	const char *before = "Connection: ";

	assert(options >> EDIT_OPTIONS == 0);
	if (options == 0)
		return;
	for (uint32_t i = 0; i < EDIT_OPTIONS; i++) {
		if (!(options & (1u << i)))
			continue;
		edit_copy(edit, before, (uint32_t)strlen(before));
		edit_copy(edit, texts[i].text, texts[i].len);
		before = ", ";
	}
	edit_literal(edit, "\r\n");
}

void edit_content_length(struct edit *edit, uint64_t length)
{
	edit_literal(edit, "Content-Length: ");
	edit_number(edit, length);
	edit_literal(edit, "\r\n");
}

bool edit_end(struct edit *edit)
{
	const struct http_parts *parts = edit->parts;
	const uint8_t *line = edit->base + edit->head->length - 2;
	const struct iovec *last;

	if (!edit->fits)
		return false;
	assert(parts->count > edit->part_first);
	last = &parts->parts[parts->count - 1];
	if ((const uint8_t *)last->iov_base + last->iov_len == line)
		edit_span(edit, line, 2);
	else
		edit_literal(edit, "\r\n");
	return edit->fits;
}
