/* SPDX-License-Identifier: MIT */
/*
 * edit_response.c - a response on its way to the client.
 */
#include <string.h>

#include "base/assert.h"
#include "edit_private.h"
#include "http/edit.h"

#define STATUS_AT 9 /* "HTTP/1.1 200" */
#define REASON_AT 13

/* The line as it came. A reason phrase that was not clean gives way to the standard one. */
static void put_status_line(struct edit *edit)
{
	const struct http_head *head = edit->head;
	uint32_t status_end = head->start + STATUS_AT + 3u;
	uint8_t *minor = edit->base + head->start + 7;
	const char *reason;

	assert(*minor == '0' || *minor == '1');
	*minor = '1';
	if (head->reason.len > 0 || head->line_end == head->start + REASON_AT + 2u) {
		edit_head_span(edit, head->start, head->line_end);
		return;
	}
	assert(head->line_end >= status_end + 2);
	edit_copy(edit, edit->base + head->start, status_end - head->start);
	edit_literal(edit, " ");
	reason = http_reason(head->status);
	edit_copy(edit, reason, (uint32_t)strlen(reason));
	edit_literal(edit, "\r\n");
}

static bool response_field_goes_on(struct edit *edit, const struct http_field *field)
{
	if (field->id == HTTP_FIELD_UPGRADE)
		return edit->head->upgrade && !edit_is_removed(edit, field);
	if (field->hop || field->id == HTTP_FIELD_CONTENT_LENGTH ||
	    field->id == HTTP_FIELD_TRANSFER_ENCODING)
		return false;
	return !edit_is_removed(edit, field);
}

/* What a Content-Length says that frames nothing: in the answer to HEAD, or a 304. */
static void put_received_length(struct edit *edit)
{
	const struct http_head *head = edit->head;
	int index = http_head_find(head, HTTP_FIELD_CONTENT_LENGTH, 0);
	const struct http_field *field = &head->fields[index >= 0 ? index : 0];
	uint64_t length = 0;

	assert(index >= 0 && field->value.len > 0);
	for (uint32_t i = 0; i < field->value.len; i++) {
		uint8_t c = edit->base[field->value.at + i];

		assert(c >= '0' && c <= '9' && length <= UINT64_MAX / 10);
		length = length * 10 + (uint64_t)(c - '0');
	}
	edit_content_length(edit, length);
}

static void put_framing(struct edit *edit)
{
	const struct http_head *head = edit->head;

	if (head->status < 200 || head->status == 204 || head->tunnel)
		return;
	switch (head->framing) {
	case HTTP_BODY_CHUNKED:
		if (!edit->hop->plain)
			edit_literal(edit, "Transfer-Encoding: chunked\r\n");
		else
			assert(edit->hop->close);
		break;
	case HTTP_BODY_LENGTH:
		edit_content_length(edit, head->content_length);
		break;
	case HTTP_BODY_UNTIL_CLOSE:
		break;
	default:
		assert(head->framing == HTTP_BODY_NONE);
		if (head->length_given)
			put_received_length(edit);
		break;
	}
}

/* An interim response says nothing about the connection; a 101 only that it is no longer HTTP. */
static uint32_t connection_options(const struct edit *edit)
{
	if (edit->head->status < 200)
		return edit->head->upgrade ? EDIT_UPGRADE : 0;
	if (edit->hop->close)
		return EDIT_CLOSE;
	return edit->hop->keep_alive ? EDIT_KEEP_ALIVE : 0;
}

bool http_edit_response(struct http_parts *parts, uint8_t *base, const struct http_head *head,
			const struct http_edits *edits, const struct http_hop *hop)
{
	struct edit edit;

	assert(head->kind == HTTP_HEAD_RESPONSE);
	edit_begin(&edit, parts, base, head, edits, hop);
	/* A status line written anew lies in the scratch, before the fields. */
	put_status_line(&edit);
	edit_fields(&edit, response_field_goes_on);
	edit_span(&edit, edit.edits->added, edit.edits->added_len);
	put_framing(&edit);
	edit_connection(&edit, connection_options(&edit));
	return edit_end(&edit);
}
