/* SPDX-License-Identifier: MIT */
/*
 * head_judge.c - what a complete head means, and whether it may mean that.
 *
 *      fields --> first line --> target, Host --> Connection --> framing --> Upgrade, Expect, TE
 *
 * Framing is the heart of it (RFC 9112 6): server and proxy must find the end of the body at the
 * same byte, so each doubt is a refusal, in requests and in responses alike.
 */
#include <string.h>

#include "head_private.h"

#define VERSION_LEN 8u               /* "HTTP/1.1" */
#define STATUS_AT (VERSION_LEN + 1u) /* of the status code in a status line */
#define REASON_AT (STATUS_AT + 4u)   /* behind three digits and a space */
#define LENGTH_MAX ((uint64_t)INT64_MAX)

bool http_method_is_idempotent(enum http_method method)
{
	switch (method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_TRACE:
		return true;
	default:
		return false;
	}
}

/* The value of the first field of an id that is there. */
static struct head_text head_value(const struct http_head *head, const uint8_t *base,
				   const struct head_index *index, enum http_field_id id)
{
	assert(index->count[id] > 0);
	return head_text(base, head->fields[index->first[id]].value);
}

/* --- first line ------------------------------------------------------------------------------ */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9112 2.3: HTTP/1.0 or HTTP/1.1, to the letter. */
static bool head_judge_version(struct http_head *head, const uint8_t *text)
{
	if (memcmp(text, "HTTP/1.", VERSION_LEN - 1) != 0 || (text[7] != '0' && text[7] != '1'))
		return head_refuse(head, HTTP_REFUSAL_VERSION);
	head->minor = text[7] - '0';
	return true;
}

/* RFC 9112 3: method SP target SP version CRLF. llhttp takes several spaces for one, and RTSP and
 * ICE for HTTP. */
static bool head_judge_line(struct http_head *head, const uint8_t *base)
{
	uint32_t target_end = head->target.at + head->target.len;
	uint32_t version = target_end + 1;
	const uint8_t *space = memchr(base + head->start, ' ', head->line_end - head->start);

	if (head->target.len == 0 || !space || base + head->target.at != space + 1 ||
	    version + 2 >= head->line_end || base[target_end] != ' ' || base[version] == ' ')
		return head_refuse(head, HTTP_REFUSAL_LINE);
	if (version + VERSION_LEN + 2 != head->line_end)
		return head_refuse(head, HTTP_REFUSAL_VERSION);
	head->method_text = head_span(head->start, head->target.at - 1u);
	return head_judge_version(head, base + version);
}

/* RFC 9112 4: a client should ignore the reason; one that is more than text is not passed on. */
static bool head_judge_reason(struct http_head *head, const uint8_t *base)
{
	uint32_t end = head->line_end - 2u;
	bool is_text = true;

	for (uint32_t at = REASON_AT; at < end; at++) {
		if (base[at] == '\r' || base[at] == '\n')
			return head_refuse(head, HTTP_REFUSAL_LINE);
		is_text = is_text && (base[at] == '\t' || (base[at] >= 0x20 && base[at] < 0x7f));
	}
	if (is_text && end > REASON_AT)
		head->reason = head_span(REASON_AT, end);
	return true;
}

/* RFC 9112 4: version SP status [SP reason] CRLF. The space is owed even without a reason, but not
 * paid by everyone. */
static bool head_judge_status_line(struct http_head *head, const uint8_t *base)
{
	uint32_t status = 0;
	uint32_t end = head->line_end - 2u;

	assert(head->start == 0);
	/* The parser takes CR CR for the end of the line. */
	if (end < STATUS_AT + 3 || base[VERSION_LEN] != ' ' || base[end] != '\r' ||
	    base[end + 1] != '\n' || (end > STATUS_AT + 3 && base[STATUS_AT + 3] != ' '))
		return head_refuse(head, HTTP_REFUSAL_LINE);
	if (!head_judge_version(head, base))
		return false;
	for (uint32_t i = STATUS_AT; i < STATUS_AT + 3; i++) {
		if (!is_digit(base[i]))
			return head_refuse(head, HTTP_REFUSAL_STATUS);
		status = 10 * status + base[i] - '0';
	}
	if (status < 100 || status > 599) /* RFC 9110 15 */
		return head_refuse(head, HTTP_REFUSAL_STATUS);
	head->status = (uint16_t)status;
	return head_judge_reason(head, base);
}

/* --- framing --------------------------------------------------------------------------------- */

/* RFC 9110 8.6: digits. Nothing is added up, folded or guessed; zeros in front mean nothing. */
static bool length_parse(struct head_text text, uint64_t *length)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)text.at[i] - '0';

		if (!is_digit(text.at[i]) || value > (LENGTH_MAX - digit) / 10)
			return false;
		value = 10 * value + digit;
	}
	*length = value;
	return text.len > 0;
}

static bool head_judge_length(struct http_head *head, const uint8_t *base,
			      const struct head_index *index, uint64_t *length)
{
	uint32_t count = index->count[HTTP_FIELD_CONTENT_LENGTH];

	*length = 0;
	head->length_given = count > 0;
	if (count == 0)
		return true;
	if (count > 1 ||
	    !length_parse(head_value(head, base, index, HTTP_FIELD_CONTENT_LENGTH), length))
		return head_refuse(head, HTTP_REFUSAL_LENGTH);
	return true;
}

/* A coding and its parameters (RFC 9112 7): enough to know that it is one. */
static bool coding_is_good(struct head_text coding)
{
	uint32_t at = 0;

	while (at < coding.len && head_set_has(&head_token, coding.at[at]))
		at++;
	if (at == 0)
		return false;
	while (at < coding.len && head_is_blank(coding.at[at]))
		at++;
	return at == coding.len || coding.at[at] == ';';
}

/* "gzip, chunked" is sound, and not known here; "chunked, gzip", "gzip" or ", chunked" has no end,
 * or not the same one for everybody. */
static enum http_refusal codings_refusal(struct head_text codings)
{
	struct head_list list = head_list(codings);
	struct head_text coding;
	bool is_chunked = false;

	while (head_list_next(&list, &coding)) {
		if (is_chunked || !coding_is_good(coding))
			return HTTP_REFUSAL_CODING_BAD;
		is_chunked = head_text_is(coding, "chunked");
	}
	return is_chunked ? HTTP_REFUSAL_CODING : HTTP_REFUSAL_CODING_BAD;
}

/* RFC 9112 6.1: chunked, once, alone, and in HTTP/1.1. */
static bool head_judge_coding(struct http_head *head, const uint8_t *base,
			      const struct head_index *index)
{
	struct head_text codings;

	if (index->count[HTTP_FIELD_TRANSFER_ENCODING] == 0)
		return true;
	if (head->length_given) /* 6.3 (3): "ought to be handled as an error" */
		return head_refuse(head, HTTP_REFUSAL_LENGTH_AND_CHUNKED);
	if (head->minor == 0)
		return head_refuse(head, HTTP_REFUSAL_CODING_OLD);
	if (index->count[HTTP_FIELD_TRANSFER_ENCODING] > 1)
		return head_refuse(head, HTTP_REFUSAL_CODING_BAD);
	codings = head_value(head, base, index, HTTP_FIELD_TRANSFER_ENCODING);
	if (head_text_is(codings, "chunked"))
		return true;
	return head_refuse(head, codings_refusal(codings));
}

/* RFC 9112 6.3 (1) and (2): these have no body, whatever their fields say. */
static bool head_has_no_body(const struct http_head *head)
{
	if (head->kind == HTTP_HEAD_REQUEST)
		return false;
	return head->asked.method == HTTP_METHOD_HEAD || head->tunnel || head->status < 200 ||
	       head->status == 204 || head->status == 304;
}

/* RFC 9112 6.3 */
static bool head_judge_framing(struct http_head *head, const uint8_t *base,
			       const struct head_index *index)
{
	uint64_t length;

	if (!head_judge_length(head, base, index, &length) || !head_judge_coding(head, base, index))
		return false;
	if (head_has_no_body(head)) {
		head->framing = HTTP_BODY_NONE;
	} else if (index->count[HTTP_FIELD_TRANSFER_ENCODING] > 0) {
		head->framing = HTTP_BODY_CHUNKED;
	} else if (head->length_given) {
		head->framing = HTTP_BODY_LENGTH;
		head->content_length = length;
	} else {
		head->framing = head->kind == HTTP_HEAD_REQUEST ? HTTP_BODY_NONE :
								  HTTP_BODY_UNTIL_CLOSE;
	}
	return true;
}

/* --- requests -------------------------------------------------------------------------------- */

/* RFC 9110 7.8: protocol = name ["/" version] */
static bool protocol_is_good(struct head_text protocol)
{
	const uint8_t *slash = memchr(protocol.at, '/', protocol.len);
	struct head_text name = protocol, version;

	if (!slash)
		return head_is_token(name);
	name.len = (uint32_t)(slash - protocol.at);
	version = (struct head_text){ slash + 1, protocol.len - name.len - 1 };
	return head_is_token(name) && head_is_token(version);
}

/* RFC 9110 7.8: only in HTTP/1.1 and only if Connection names it; else it just stops here. So does
 * a list with h2c: behind it a client could speak HTTP/2 to the server past all rules. */
static bool head_judge_upgrade(struct http_head *head, const uint8_t *base,
			       const struct head_index *index, const struct head_options *options)
{
	struct head_text protocol;
	struct head_list list;
	bool is_h2c = false, is_empty = true;

	if (index->count[HTTP_FIELD_UPGRADE] == 0 || !options->upgrade || head->minor == 0 ||
	    head->method == HTTP_METHOD_CONNECT)
		return true;
	if (index->count[HTTP_FIELD_UPGRADE] > 1)
		return head_refuse(head, HTTP_REFUSAL_FIELD);
	list = head_list(head_value(head, base, index, HTTP_FIELD_UPGRADE));
	while (head_list_next(&list, &protocol)) {
		if (protocol.len == 0)
			continue;
		if (!protocol_is_good(protocol))
			return head_refuse(head, HTTP_REFUSAL_FIELD);
		is_empty = false;
		is_h2c = is_h2c || (protocol.len >= 3 && http_text_equal(protocol.at, 3, "h2c"));
	}
	if (is_empty)
		return head_refuse(head, HTTP_REFUSAL_FIELD);
	head->upgrade = !is_h2c;
	if (head->upgrade)
		head->upgrade_to = head->fields[index->first[HTTP_FIELD_UPGRADE]].value;
	return true;
}

/* RFC 9110 10.1.1. An HTTP/1.0 client cannot mean it, and must not get a 100. */
static bool head_judge_expect(struct http_head *head, const uint8_t *base,
			      const struct head_index *index)
{
	if (index->count[HTTP_FIELD_EXPECT] == 0)
		return true;
	if (head->minor == 0) {
		for (int i = http_head_find(head, HTTP_FIELD_EXPECT, 0); i >= 0;
		     i = http_head_find(head, HTTP_FIELD_EXPECT, (uint32_t)i + 1))
			head->fields[i].hop = true;
		return true;
	}
	if (index->count[HTTP_FIELD_EXPECT] > 1 ||
	    !head_text_is(head_value(head, base, index, HTTP_FIELD_EXPECT), "100-continue"))
		return head_refuse(head, HTTP_REFUSAL_EXPECT);
	head->expect = true;
	return true;
}

/* RFC 9110 10.1.4: of all that TE can say, only "trailers" is worth passing on. */
static void head_judge_te(struct http_head *head, const uint8_t *base)
{
	for (int i = http_head_find(head, HTTP_FIELD_TE, 0); i >= 0;
	     i = http_head_find(head, HTTP_FIELD_TE, (uint32_t)i + 1)) {
		struct head_list list = head_list(head_text(base, head->fields[i].value));
		struct head_text coding;

		while (head_list_next(&list, &coding))
			if (head_text_is(coding, "trailers"))
				head->te_trailers = true;
	}
}

static bool head_judge_request(struct http_head *head, const uint8_t *base,
			       const struct head_index *index, const struct head_options *options)
{
	bool has_body;

	if (!head_judge_framing(head, base, index) ||
	    !head_judge_upgrade(head, base, index, options) ||
	    !head_judge_expect(head, base, index))
		return false;
	/* Who reads such a body when the protocol has changed? RFC 9110 9.3.6 knows none for
	 * CONNECT, and 7.8 leaves the order open. */
	has_body = head->framing == HTTP_BODY_CHUNKED || head->content_length > 0;
	if (has_body && (head->upgrade || head->method == HTTP_METHOD_CONNECT))
		return head_refuse(head, HTTP_REFUSAL_UPGRADE_BODY);
	if (index->count[HTTP_FIELD_TE] > 0 && head->minor == 1)
		head_judge_te(head, base);
	return true;
}

/* --- responses ------------------------------------------------------------------------------- */

/* RFC 9110 15.2.2, 9.3.6: the bytes behind are no HTTP any more, if that was asked for. */
static bool head_judge_response(struct http_head *head, const uint8_t *base,
				const struct head_index *index)
{
	if (head->status == 101) {
		if (!head->asked.upgrade)
			return head_refuse(head, HTTP_REFUSAL_UNASKED);
		head->upgrade = true;
		head->tunnel = true;
	}
	if (head->asked.method == HTTP_METHOD_CONNECT && head->status / 100 == 2)
		head->tunnel = true;
	return head_judge_framing(head, base, index);
}

/* --------------------------------------------------------------------------------------------- */

/* RFC 9112 9.3: close is the last word; without a word HTTP/1.1 stays and HTTP/1.0 goes. A body
 * that lasts until the end of the connection leaves none. */
static bool head_is_persistent(const struct http_head *head, const struct head_options *options)
{
	if (options->close || head->tunnel || head->framing == HTTP_BODY_UNTIL_CLOSE)
		return false;
	return head->minor == 1 || options->keep_alive;
}

bool head_judge(struct http_head *head, const uint8_t *base)
{
	struct head_options options;
	struct head_index index;

	assert(head->refusal == HTTP_REFUSAL_NONE);
	assert(head->length > head->start + 4u);
	if (!head_judge_fields(head, base, &index))
		return false;
	if (head->kind == HTTP_HEAD_REQUEST) {
		if (!head_judge_line(head, base) || !head_judge_target(head, base, &index) ||
		    !head_judge_connection(head, base, &index, &options) ||
		    !head_judge_request(head, base, &index, &options))
			return false;
	} else {
		if (!head_judge_status_line(head, base) ||
		    !head_judge_connection(head, base, &index, &options) ||
		    !head_judge_response(head, base, &index))
			return false;
	}
	head->persistent = head_is_persistent(head, &options);
	assert(head->line_end <= head->length - 2u);
	assert(head->framing != HTTP_BODY_UNTIL_CLOSE || head->kind == HTTP_HEAD_RESPONSE);
	return true;
}
