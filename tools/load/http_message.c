/* SPDX-License-Identifier: MIT */
/*
 * http_message.c - the parsers of http_message.h.
 *
 * A head is taken line by line; of the fields only the few that frame a message are looked at, each
 * told apart by its length before any letter is compared.
 */
#include "http_message.h"

#include <string.h>
#include <strings.h>

struct cursor {
	const char *at;
	const char *end;
	const char **reason;
};

/* The next line without its CRLF. 1: found; 0: not complete; -1: refused. */
static int next_line(struct cursor *cursor, struct http_text *line)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	const char *lf = memchr(cursor->at, '\n', left);

	if (lf == NULL)
		return 0;
	if (lf == cursor->at || lf[-1] != '\r') {
		*cursor->reason = "a line ends without CR";
		return -1;
	}
	line->bytes = cursor->at;
	line->count = (uint32_t)(lf - cursor->at) - 1;
	cursor->at = lf + 1;
	if (line->count > 0 && memchr(line->bytes, '\r', line->count) != NULL) {
		*cursor->reason = "a bare CR";
		return -1;
	}
	return 1;
}

static bool same(const struct http_text *text, const char *word)
{
	return strlen(word) == text->count && strncasecmp(text->bytes, word, text->count) == 0;
}

/* Is the word one of the comma-separated members of the text? */
static bool has_member(const struct http_text *text, const char *word)
{
	const char *at = text->bytes;
	const char *end = at + text->count;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		struct http_text member = { .bytes = at };
		const char *stop = comma != NULL ? comma : end;

		while (member.bytes < stop && (*member.bytes == ' ' || *member.bytes == '\t'))
			member.bytes++;
		member.count = (uint32_t)(stop - member.bytes);
		while (member.count > 0 && (member.bytes[member.count - 1] == ' ' ||
		                            member.bytes[member.count - 1] == '\t'))
			member.count--;
		if (same(&member, word))
			return true;
		at = stop + 1;
	}
	return false;
}

static bool take_length(struct http_head *head, const struct http_text *value,
                        const char **reason)
{
	uint64_t length = 0;
	uint32_t i;

	*reason = "Content-Length is not a number";
	if (value->count == 0 || value->count > 18)
		return false;
	for (i = 0; i < value->count; i++) {
		if (value->bytes[i] < '0' || value->bytes[i] > '9')
			return false;
		length = length * 10 + (uint64_t)(value->bytes[i] - '0');
	}
	*reason = "two different Content-Length";
	if (head->has_length && head->length != length)
		return false;
	head->has_length = true;
	head->length = length;
	return true;
}

static bool take_field(struct http_head *head, const struct http_text *name,
                       const struct http_text *value, const char **reason)
{
	switch (name->count) {
	case 6:
		if (same(name, "Expect") && same(value, "100-continue"))
			head->expects_continue = true;
		return true;
	case 10:
		if (!same(name, "Connection"))
			return true;
		if (has_member(value, "close"))
			head->close = true;
		else if (head->minor == 0 && has_member(value, "keep-alive"))
			head->close = false;
		return true;
	case 14:
		return !same(name, "Content-Length") || take_length(head, value, reason);
	case 17:
		if (!same(name, "Transfer-Encoding"))
			return true;
		*reason = "a transfer coding other than chunked";
		if (head->chunked || !same(value, "chunked"))
			return false;
		head->chunked = true;
		return true;
	default:
		return true;
	}
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool split_field(const struct http_text *line, struct http_text *name,
                        struct http_text *value, const char **reason)
{
	const char *colon = memchr(line->bytes, ':', line->count);
	const char *end = line->bytes + line->count;
	uint32_t i;

	*reason = "a field without a colon, or a folded one";
	if (colon == NULL || colon == line->bytes)
		return false;
	name->bytes = line->bytes;
	name->count = (uint32_t)(colon - line->bytes);
	*reason = "a field name with a character that is not allowed";
	for (i = 0; i < name->count; i++)
		if (!is_name_char(name->bytes[i]))
			return false;
	value->bytes = colon + 1;
	while (value->bytes < end && (*value->bytes == ' ' || *value->bytes == '\t'))
		value->bytes++;
	value->count = (uint32_t)(end - value->bytes);
	while (value->count > 0 && (value->bytes[value->count - 1] == ' ' ||
	                            value->bytes[value->count - 1] == '\t'))
		value->count--;
	return true;
}

/* The fields up to the empty line. */
static int take_fields(struct cursor *cursor, struct http_head *head)
{
	struct http_text line, name, value;
	int result;

	for (;;) {
		result = next_line(cursor, &line);
		if (result <= 0)
			return result;
		if (line.count == 0)
			break;
		if (!split_field(&line, &name, &value, cursor->reason) ||
		    !take_field(head, &name, &value, cursor->reason))
			return -1;
	}
	if (head->chunked && head->has_length) {
		*cursor->reason = "a length beside a transfer coding";
		return -1;
	}
	return 1;
}

static bool take_version(const char *text, struct http_head *head)
{
	if (memcmp(text, "HTTP/1.", 7) != 0 || text[7] < '0' || text[7] > '1')
		return false;
	head->minor = text[7] - '0';
	head->close = head->minor == 0;
	return true;
}

static bool take_request_line(const struct http_text *line, struct http_head *head)
{
	const char *end = line->bytes + line->count;
	const char *first = memchr(line->bytes, ' ', line->count);
	const char *second;
	uint32_t i;

	if (first == NULL || first == line->bytes)
		return false;
	second = memchr(first + 1, ' ', (size_t)(end - first - 1));
	if (second == NULL || second == first + 1 || end - second != 9)
		return false;
	head->method.bytes = line->bytes;
	head->method.count = (uint32_t)(first - line->bytes);
	head->target.bytes = first + 1;
	head->target.count = (uint32_t)(second - first) - 1;
	for (i = 0; i < head->method.count; i++)
		if (!is_name_char(head->method.bytes[i]))
			return false;
	return take_version(second + 1, head);
}

static bool take_status_line(const struct http_text *line, struct http_head *head)
{
	const char *text = line->bytes;
	uint32_t i;

	if (line->count < 12 || !take_version(text, head) || text[8] != ' ')
		return false;
	if (line->count > 12 && text[12] != ' ')
		return false;
	head->status = 0;
	for (i = 9; i < 12; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		head->status = head->status * 10 + (text[i] - '0');
	}
	return head->status >= 100;
}

static int parse_head(const char *bytes, uint32_t count, struct http_head *head,
                      const char **reason,
                      bool (*take_first)(const struct http_text *line, struct http_head *head))
{
	struct cursor cursor = { .at = bytes, .end = bytes + count, .reason = reason };
	struct http_text line;
	int result;

	*head = (struct http_head){ 0 };
	*reason = "";
	result = next_line(&cursor, &line);
	if (result <= 0)
		return result;
	if (!take_first(&line, head)) {
		*reason = "the first line is not that of an HTTP/1 message";
		return -1;
	}
	result = take_fields(&cursor, head);
	if (result <= 0)
		return result;
	return (int)(cursor.at - bytes);
}

int http_parse_request(const char *bytes, uint32_t count, struct http_head *head,
                       const char **reason)
{
	return parse_head(bytes, count, head, reason, take_request_line);
}

int http_parse_answer(const char *bytes, uint32_t count, struct http_head *head,
                      const char **reason)
{
	return parse_head(bytes, count, head, reason, take_status_line);
}

/* --- bodies ---------------------------------------------------------------------------------- */

static void body_start(struct http_body *body, enum http_body_kind kind, uint64_t length)
{
	*body = (struct http_body){ .kind = kind, .left = length };
	body->done = kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && length == 0);
}

void http_body_of_request(struct http_body *body, const struct http_head *head)
{
	if (head->chunked)
		body_start(body, HTTP_BODY_CHUNKED, 0);
	else
		body_start(body, HTTP_BODY_LENGTH, head->has_length ? head->length : 0);
}

void http_body_of_answer(struct http_body *body, const struct http_head *head, bool no_body)
{
	if (no_body || head->status < 200 || head->status == 204 || head->status == 304)
		body_start(body, HTTP_BODY_NONE, 0);
	else if (head->chunked)
		body_start(body, HTTP_BODY_CHUNKED, 0);
	else if (head->has_length)
		body_start(body, HTTP_BODY_LENGTH, head->length);
	else
		body_start(body, HTTP_BODY_UNTIL_END, 0);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void chunk_size_char(struct http_body *body, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0 && body->digits < 15) {
		body->left = body->left * 16 + (uint64_t)digit;
		body->digits++;
	} else if (body->digits > 0 && c == '\r') {
		body->chunk = HTTP_CHUNK_SIZE_LF;
	} else if (body->digits > 0 && (c == ';' || c == ' ' || c == '\t')) {
		body->chunk = HTTP_CHUNK_EXTENSION;
	} else {
		body->bad = true;
	}
}

static void expect(struct http_body *body, char c, char wanted, enum http_chunk_state next)
{
	body->bad = c != wanted;
	body->chunk = next;
}

/* One character of the framing. */
static void chunk_char(struct http_body *body, char c)
{
	switch (body->chunk) {
	case HTTP_CHUNK_SIZE:
		chunk_size_char(body, c);
		return;
	case HTTP_CHUNK_EXTENSION:
		if (c == '\r')
			body->chunk = HTTP_CHUNK_SIZE_LF;
		body->bad = c == '\n';
		return;
	case HTTP_CHUNK_SIZE_LF:
		expect(body, c, '\n', body->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_LINE);
		return;
	case HTTP_CHUNK_DATA_CR:
		expect(body, c, '\r', HTTP_CHUNK_DATA_LF);
		return;
	case HTTP_CHUNK_DATA_LF:
		expect(body, c, '\n', HTTP_CHUNK_SIZE);
		body->digits = 0;
		return;
	case HTTP_CHUNK_LINE:
		body->chunk = c == '\r' ? HTTP_CHUNK_END_LF : HTTP_CHUNK_TRAILER;
		body->bad = c == '\n';
		return;
	case HTTP_CHUNK_TRAILER:
		if (c == '\r')
			body->chunk = HTTP_CHUNK_TRAILER_LF;
		body->bad = c == '\n';
		return;
	case HTTP_CHUNK_TRAILER_LF:
		expect(body, c, '\n', HTTP_CHUNK_LINE);
		return;
	case HTTP_CHUNK_END_LF:
		expect(body, c, '\n', HTTP_CHUNK_END_LF);
		body->done = !body->bad;
		return;
	case HTTP_CHUNK_DATA:
		break;
	}
	unreachable();
}

static uint32_t take_data(struct http_body *body, uint32_t count, uint32_t *data_count)
{
	*data_count = count < body->left ? count : (uint32_t)body->left;
	body->left -= *data_count;
	return *data_count;
}

static uint32_t chunked_next(struct http_body *body, const char *bytes, uint32_t count,
                             const char **data, uint32_t *data_count)
{
	uint32_t i = 0;

	while (i < count && !body->done && !body->bad) {
		if (body->chunk == HTTP_CHUNK_DATA) {
			*data = bytes + i;
			i += take_data(body, count - i, data_count);
			if (body->left == 0)
				body->chunk = HTTP_CHUNK_DATA_CR;
			return i;
		}
		chunk_char(body, bytes[i++]);
	}
	return i;
}

uint32_t http_body_next(struct http_body *body, const char *bytes, uint32_t count,
                        const char **data, uint32_t *data_count)
{
	*data = bytes;
	*data_count = 0;
	if (body->done || body->bad)
		return 0;
	switch (body->kind) {
	case HTTP_BODY_NONE:
		break;
	case HTTP_BODY_LENGTH:
		(void)take_data(body, count, data_count);
		body->done = body->left == 0;
		return *data_count;
	case HTTP_BODY_CHUNKED:
		return chunked_next(body, bytes, count, data, data_count);
	case HTTP_BODY_UNTIL_END:
		*data_count = count;
		return count;
	}
	unreachable();
}
