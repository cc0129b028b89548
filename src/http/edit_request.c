/* SPDX-License-Identifier: MIT */
/*
 * edit_request.c - a request on its way to the server.
 *
 *      request line    target in origin form, without the prefix; HTTP/1.1
 *      [Host]          only where the received one is not what is meant
 *      fields          those that go on
 *      fields          set and added by the route, forwarding, framing, connection
 */
#include <string.h>

#include "base/assert.h"
#include "edit_private.h"
#include "http/edit.h"

/* --- request line and Host ------------------------------------------------------------------- */

static uint32_t target_end(const struct http_head *head)
{
	return (uint32_t)head->target.at + head->target.len;
}

/* Where the path begins without the route's prefix: at a "/", or where one has to be put first. */
static uint32_t path_begin(const struct edit *edit)
{
	struct http_span path = edit->head->path;
	const uint8_t *text = edit->base + path.at;
	uint32_t skip = edit->edits->strip_prefix;

	if (skip == 0 || path.len == 0 || text[0] != '/')
		return path.at;
	if (skip >= path.len)
		skip = path.len;
	else if (text[skip] == '/')
		return path.at + skip;
	return path.at + skip - (text[skip - 1] == '/');
}

static void put_request_line(struct edit *edit)
{
	const struct http_head *head = edit->head;
	uint8_t *minor = edit->base + head->line_end - 3;
	uint32_t begin;

	assert(*minor == '0' || *minor == '1');
	*minor = '1';
	if (head->method == HTTP_METHOD_CONNECT)
		begin = head->target.at;
	else if (head->path.len > 0)
		begin = path_begin(edit);
	else
		begin = head->query.len > 0 ? head->query.at : target_end(head);
	if (begin == head->target.at) {
		edit_head_span(edit, head->start, head->line_end);
		return;
	}
	edit_head_span(edit, head->start, head->target.at);
	if (edit->base[begin] != '/')
		edit_literal(edit, "/");
	edit_head_span(edit, begin, head->line_end);
}

/* The received Host stands, unless the route or the target says otherwise, or there is none. */
static bool is_host_ours(const struct edit *edit)
{
	const struct http_head *head = edit->head;

	if (edit->edits->host_header != HTTP_HOST_KEEP)
		return true;
	if (head->authority.len > 0)
		return head->authority.at < head->line_end;
	return http_head_find(head, HTTP_FIELD_HOST, 0) < 0;
}

static void put_host(struct edit *edit)
{
	edit_literal(edit, "Host: ");
	switch (edit->edits->host_header) {
	case HTTP_HOST_VALUE:
		edit_text(edit, edit->edits->host, (uint32_t)strlen(edit->edits->host));
		break;
	case HTTP_HOST_KEEP:
		if (edit->head->authority.len > 0) {
			edit_head_text(edit, edit->head->authority);
			break;
		}
		__attribute__((fallthrough));
	default:
		edit_copy(edit, edit->hop->server, (uint32_t)strlen(edit->hop->server));
		break;
	}
	edit_literal(edit, "\r\n");
}

/* --- which fields go on ---------------------------------------------------------------------- */

/* A received list is left out, but its values are written again when they are few. */
static bool list_goes_on(struct edit *edit, const struct http_field *field, uint32_t flag,
			 struct edit_list *list)
{
	if (!(edit->edits->forwarded & flag))
		return true;
	if (!edit->hop->client_trusted)
		return false;
	if (list->joined && field->value.len > 0) {
		assert(list->count < EDIT_LIST_MAX);
		list->values[list->count++] = field->value;
	}
	return !list->joined;
}

static bool request_field_goes_on(struct edit *edit, const struct http_field *field)
{
	if (field->id == HTTP_FIELD_UPGRADE)
		return edit->head->upgrade && !edit_is_removed(edit, field);
	if (field->hop || edit_is_removed(edit, field))
		return false;
	switch (field->id) {
	case HTTP_FIELD_OTHER:
		return true;
	case HTTP_FIELD_HOST:
		return !edit->own_host;
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_TRANSFER_ENCODING:
		return false;
	case HTTP_FIELD_EXPECT:
		return edit->head->expect;
	case HTTP_FIELD_X_FORWARDED_FOR:
		return list_goes_on(edit, field, HTTP_FORWARD_X, &edit->x_for);
	case HTTP_FIELD_FORWARDED:
		return list_goes_on(edit, field, HTTP_FORWARD_RFC7239, &edit->rfc7239);
	case HTTP_FIELD_X_FORWARDED_PROTO:
	case HTTP_FIELD_X_FORWARDED_HOST:
	case HTTP_FIELD_X_FORWARDED_PORT:
		return !(edit->edits->forwarded & HTTP_FORWARD_X) || edit->hop->client_trusted;
	default:
		return true;
	}
}

/* --- what is said about the client ----------------------------------------------------------- */

/* Will a field of that id, received from a trusted client, go on? */
static bool is_kept(const struct edit *edit, enum http_field_id id)
{
	const struct http_head *head = edit->head;

	if (!edit->hop->client_trusted)
		return false;
	for (uint32_t i = 0; i < head->fields_count; i++)
		if (head->fields[i].id == id && !head->fields[i].hop &&
		    !edit_is_removed(edit, &head->fields[i]))
			return true;
	return false;
}

/* Few lines are joined; more would cost a part each, and stay in place, as RFC 9110 5.3 allows. */
static bool are_few(const struct http_head *head, enum http_field_id id)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < head->fields_count; i++)
		count += head->fields[i].id == id;
	return count <= EDIT_LIST_MAX;
}

static void put_list(struct edit *edit, const struct edit_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		edit_head_text(edit, list->values[i]);
		edit_literal(edit, ", ");
	}
}

static void put_client(struct edit *edit)
{
	edit_copy(edit, edit->hop->client, (uint32_t)strlen(edit->hop->client));
}

static void put_forwarded_x(struct edit *edit)
{
	edit_literal(edit, "X-Forwarded-For: ");
	put_list(edit, &edit->x_for);
	put_client(edit);
	edit_literal(edit, "\r\n");
	if (!is_kept(edit, HTTP_FIELD_X_FORWARDED_PROTO))
		edit_literal(edit, "X-Forwarded-Proto: http\r\n");
	if (edit->head->authority.len > 0 && !is_kept(edit, HTTP_FIELD_X_FORWARDED_HOST)) {
		edit_literal(edit, "X-Forwarded-Host: ");
		edit_head_text(edit, edit->head->authority);
		edit_literal(edit, "\r\n");
	}
}

/* RFC 7239 6: an address of IPv6 in brackets and quotes; what is no address begins with "_". */
static void put_node(struct edit *edit)
{
	if (strcmp(edit->hop->client, "unix") == 0) {
		edit_literal(edit, "_unix");
	} else if (strchr(edit->hop->client, ':')) {
		edit_literal(edit, "\"[");
		put_client(edit);
		edit_literal(edit, "]\"");
	} else {
		put_client(edit);
	}
}

static void put_forwarded_rfc7239(struct edit *edit)
{
	struct http_span authority = edit->head->authority;
	const uint8_t *text = edit->base + authority.at;

	edit_literal(edit, "Forwarded: ");
	put_list(edit, &edit->rfc7239);
	edit_literal(edit, "for=");
	put_node(edit);
	/* Quoted always: it may have a port. It holds no quotes: head_target.c sees to that. */
	if (authority.len > 0) {
		assert(!memchr(text, '"', authority.len));
		edit_literal(edit, ";host=\"");
		edit_head_text(edit, authority);
		edit_literal(edit, "\"");
	}
	edit_literal(edit, ";proto=http\r\n");
}

/* --- all of it ------------------------------------------------------------------------------- */

static void put_framing(struct edit *edit)
{
	const struct http_head *head = edit->head;

	switch (head->framing) {
	case HTTP_BODY_CHUNKED:
		edit_literal(edit, "Transfer-Encoding: chunked\r\n");
		break;
	case HTTP_BODY_LENGTH:
		edit_content_length(edit, head->content_length);
		break;
	default:
		assert(head->framing == HTTP_BODY_NONE);
		if (head->length_given)
			edit_content_length(edit, 0);
		break;
	}
}

static void put_connection(struct edit *edit)
{
	uint32_t options = edit->hop->close ? EDIT_CLOSE : 0;

	if (edit->head->upgrade)
		options |= EDIT_UPGRADE;
	if (edit->head->te_trailers) {
		options |= EDIT_TE;
		edit_literal(edit, "TE: trailers\r\n");
	}
	edit_connection(edit, options);
}

bool http_edit_request(struct http_parts *parts, uint8_t *base, const struct http_head *head,
		       const struct http_edits *edits, const struct http_hop *hop)
{
	struct edit edit;

	assert(head->kind == HTTP_HEAD_REQUEST);
	edit_begin(&edit, parts, base, head, edits, hop);
	put_request_line(&edit);
	edit.own_host = is_host_ours(&edit);
	if (edit.own_host)
		put_host(&edit);
	if (edit.edits->forwarded && hop->client_trusted) {
		edit.x_for.joined = are_few(head, HTTP_FIELD_X_FORWARDED_FOR);
		edit.rfc7239.joined = are_few(head, HTTP_FIELD_FORWARDED);
	}
	edit_fields(&edit, request_field_goes_on);
	edit_span(&edit, edit.edits->added, edit.edits->added_len);
	if (edit.edits->forwarded & HTTP_FORWARD_X)
		put_forwarded_x(&edit);
	if (edit.edits->forwarded & HTTP_FORWARD_RFC7239)
		put_forwarded_rfc7239(&edit);
	put_framing(&edit);
	put_connection(&edit);
	return edit_end(&edit);
}
