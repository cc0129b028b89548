/* SPDX-License-Identifier: MIT */
/*
 * head.c - from the bytes of a head to offsets; the only user of llhttp.
 *
 *      BEGIN --first byte of a line--> LINES --empty line--> head_judge() --> DONE
 *        |                               |  \                     |
 *        |                               |   '-unknown method-> METHOD
 *        '-------------------------------+------------------------+---------> REFUSED
 *
 * llhttp splits lines, names and values and refuses what is no token, no CRLF, no field. It is
 * stopped at the end of the head, so a body, an upgrade or a second message is never its business.
 * It runs without any leniency. What it lets through all the same, and where that ends:
 *
 *   bare LF or many empty lines before a request, any before a response   head_begin_line()
 *   HTTP/0.9, 2.0, RTSP, ICE, PRI, two spaces in the request line         head_judge_line()
 *   Host missing, repeated or malformed; "GET *", "CONNECT /", "#", "%zz" head_target.c
 *   chunked beside other codings, or repeated, or in HTTP/1.0             head_judge_coding()
 *   Content-Length above 2^63-1                                           head_judge_length()
 *   status 000 to 099 and 600 to 999, controls in the reason              head_judge_status_line()
 *   Connection naming Content-Length, Host, ..                            head_fields.c
 *   a body with Upgrade, 101 unasked, Expect of anything                  head_judge.c
 *   heads, targets and fields without limit                               here
 *
 * Invariants:
 *   (1) No more than limits.head_bytes is ever looked at, and nothing behind the empty line.
 *   (2) The verdict depends on the bytes, not on how they were cut: no refusal looks at a byte
 *       that need not be there yet, or at a span that llhttp may not have reported yet.
 */
#include <llhttp.h>
#include <string.h>

#include "head_private.h"

/* RFC 9112 2.2 wants at least one to be ignored: clients of old sent CRLF behind a body. */
#define EMPTY_LINES_MAX 2u
/* Longer than any method in use; what does not end by then is not known either. */
#define METHOD_MAX 64u

static_assert(sizeof(llhttp_t) <= HTTP_PARSER_BYTES, "head.h reserves too little for llhttp");
static_assert(_Alignof(llhttp_t) <= 8, "head.h aligns for llhttp");
static_assert(HTTP_TARGET_MAX < HTTP_HEAD_MAX, "a target is part of a head");

const char *const http_refusal_names[HTTP_REFUSAL_COUNT] = {
	[HTTP_REFUSAL_NONE] = "NONE",
#define HTTP_REFUSAL(name, status, text) [HTTP_REFUSAL_##name] = #name,
#include "http/refusal.def"
#undef HTTP_REFUSAL
};

const char *const http_refusal_texts[HTTP_REFUSAL_COUNT] = {
	[HTTP_REFUSAL_NONE] = "nothing is wrong",
#define HTTP_REFUSAL(name, status, text) [HTTP_REFUSAL_##name] = text,
#include "http/refusal.def"
#undef HTTP_REFUSAL
};

const uint16_t http_refusal_status[HTTP_REFUSAL_COUNT] = {
#define HTTP_REFUSAL(name, status, text) [HTTP_REFUSAL_##name] = status,
#include "http/refusal.def"
#undef HTTP_REFUSAL
};

/* One call of http_head_feed(), for the callbacks. */
struct feed {
	struct http_head *head;
	const uint8_t *base;
};

static llhttp_t *head_parser(struct http_head *head)
{
	return (llhttp_t *)(void *)head->parser;
}

bool head_refuse(struct http_head *head, enum http_refusal refusal)
{
	assert(refusal > HTTP_REFUSAL_NONE && refusal < HTTP_REFUSAL_COUNT);
	assert(head->refusal == HTTP_REFUSAL_NONE);
	head->refusal = (uint8_t)refusal;
	head->state = HEAD_REFUSED;
	return false;
}

/* --- what llhttp reports --------------------------------------------------------------------- */

/* The next piece of a span; pieces touch. */
static void span_extend(struct http_span *span, uint32_t at, size_t len)
{
	if (span->len == 0)
		span->at = (uint16_t)at;
	assert(span->at + span->len == at);
	assert(at + len <= HTTP_HEAD_MAX);
	span->len = (uint16_t)(span->len + len);
}

static int on_parser_url(llhttp_t *parser, const char *at, size_t len)
{
	const struct feed *feed = parser->data;

	if (len > 0)
		span_extend(&feed->head->target, (uint32_t)((const uint8_t *)at - feed->base), len);
	return HPE_OK;
}

/* What this project tells apart; the rest of llhttp's list is for RTSP, ICE and HTTP/2. */
static bool head_set_method(struct http_head *head, uint8_t method)
{
	static const uint8_t methods[] = {
		[HTTP_GET] = HTTP_METHOD_GET,         [HTTP_HEAD] = HTTP_METHOD_HEAD,
		[HTTP_POST] = HTTP_METHOD_POST,       [HTTP_PUT] = HTTP_METHOD_PUT,
		[HTTP_DELETE] = HTTP_METHOD_DELETE,   [HTTP_CONNECT] = HTTP_METHOD_CONNECT,
		[HTTP_OPTIONS] = HTTP_METHOD_OPTIONS, [HTTP_TRACE] = HTTP_METHOD_TRACE,
		[HTTP_PATCH] = HTTP_METHOD_PATCH,
	};

	if (method == HTTP_PRI) /* RFC 9113 3.4: the preface of HTTP/2 */
		return head_refuse(head, HTTP_REFUSAL_VERSION);
	if (method == HTTP_SOURCE || (method >= HTTP_DESCRIBE && method <= HTTP_FLUSH))
		return head_refuse(head, HTTP_REFUSAL_METHOD);
	head->method = method < ARRAY_COUNT(methods) ? methods[method] : HTTP_METHOD_OTHER;
	if (head->method == HTTP_METHOD_GET && method != HTTP_GET)
		head->method = HTTP_METHOD_OTHER; /* a gap of the table */
	return true;
}

/* RFC 9112 2.3: a line that ends behind its target is HTTP/0.9. llhttp took the byte behind it. */
static bool head_target_ends_line(const struct http_head *head, const uint8_t *base, uint32_t bytes)
{
	uint32_t end = head->target.at + head->target.len;

	return head->target.len > 0 && end < bytes && base[end] != ' ';
}

static int on_parser_url_complete(llhttp_t *parser)
{
	const struct feed *feed = parser->data;
	struct http_head *head = feed->head;

	if (head_target_ends_line(head, feed->base, HTTP_HEAD_MAX)) {
		head_refuse(head, HTTP_REFUSAL_LINE);
		return HPE_USER;
	}
	if (!head_set_method(head, llhttp_get_method(parser)))
		return HPE_USER;
	if (head->target.len > HTTP_TARGET_MAX) {
		head_refuse(head, HTTP_REFUSAL_TARGET_LONG);
		return HPE_USER;
	}
	return HPE_OK;
}

/* fields[fields_count] is the one whose name is being read. */
static int on_parser_name(llhttp_t *parser, const char *at, size_t len)
{
	const struct feed *feed = parser->data;
	struct http_head *head = feed->head;

	if (len > 0 && head->fields_count < head->limits.fields)
		span_extend(&head->fields[head->fields_count].name,
			    (uint32_t)((const uint8_t *)at - feed->base), len);
	return HPE_OK;
}

static int on_parser_name_complete(llhttp_t *parser)
{
	const struct feed *feed = parser->data;
	struct http_head *head = feed->head;

	if (head->fields_count == head->limits.fields) {
		head_refuse(head, HTTP_REFUSAL_FIELDS_MANY);
		return HPE_USER;
	}
	head->fields_count++;
	if (head->fields_count < HTTP_FIELDS_MAX)
		head->fields[head->fields_count].name.len = 0;
	return HPE_OK;
}

static int on_parser_headers_complete(llhttp_t *parser)
{
	return HPE_PAUSED;
}

static const llhttp_settings_t parser_settings = {
	.on_url = on_parser_url,
	.on_url_complete = on_parser_url_complete,
	.on_header_field = on_parser_name,
	.on_header_field_complete = on_parser_name_complete,
	.on_headers_complete = on_parser_headers_complete,
};

/* --- what llhttp refuses --------------------------------------------------------------------- */

/* A version of its own is 505, a malformed one 400. llhttp stops behind the minor digit at the
 * earliest, if there is one. */
static enum http_refusal head_version_refusal(const struct http_head *head, const uint8_t *base,
					      uint32_t error_at)
{
	uint32_t at = 0;
	const uint8_t *text;

	if (head->kind == HTTP_HEAD_REQUEST)
		at = head->target.at + head->target.len + 1u;
	text = base + at;
	if (at + 8 > error_at || memcmp(text, "HTTP/", 5) != 0 || text[6] != '.')
		return HTTP_REFUSAL_LINE;
	return text[5] == '1' && (text[7] == '0' || text[7] == '1') ? HTTP_REFUSAL_LINE :
								      HTTP_REFUSAL_VERSION;
}

static bool head_has(const struct http_head *head, const uint8_t *base, enum http_field_id id)
{
	for (uint32_t i = 0; i < head->fields_count; i++)
		if (head_field_id(head_text(base, head->fields[i].name)) == id)
			return true;
	return false;
}

/* llhttp judges as it reads, so a length may be refused for the coding in front of it. */
static enum http_refusal head_framing_refusal(const struct http_head *head, const uint8_t *base,
					      enum http_refusal otherwise)
{
	if (head_has(head, base, HTTP_FIELD_CONTENT_LENGTH) &&
	    head_has(head, base, HTTP_FIELD_TRANSFER_ENCODING))
		return HTTP_REFUSAL_LENGTH_AND_CHUNKED;
	return otherwise;
}

static enum http_refusal head_parser_refusal(const struct http_head *head, const uint8_t *base,
					     llhttp_errno_t error, uint32_t error_at)
{
	switch ((int)error) {
	case HPE_INVALID_URL:
		if (memchr(base + head->start, '\r', error_at - head->start) ||
		    memchr(base + head->start, '\n', error_at - head->start))
			return HTTP_REFUSAL_LINE; /* HTTP/0.9 and worse */
		return HTTP_REFUSAL_TARGET;
	case HPE_INVALID_VERSION:
		return head_version_refusal(head, base, error_at);
	case HPE_PAUSED_H2_UPGRADE:
		return HTTP_REFUSAL_VERSION;
	case HPE_INVALID_CONSTANT:
		return HTTP_REFUSAL_LINE;
	case HPE_INVALID_STATUS:
		return HTTP_REFUSAL_STATUS;
	case HPE_INVALID_HEADER_TOKEN:
	case HPE_UNEXPECTED_SPACE:
		return HTTP_REFUSAL_FIELD;
	case HPE_CR_EXPECTED:
	case HPE_LF_EXPECTED:
	case HPE_STRICT:
		if (memmem(base + head->start, error_at - head->start, "\r\n", 2))
			return HTTP_REFUSAL_FIELD;
		return HTTP_REFUSAL_LINE;
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return head_framing_refusal(head, base, HTTP_REFUSAL_LENGTH);
	case HPE_INVALID_TRANSFER_ENCODING:
		return head_framing_refusal(head, base, HTTP_REFUSAL_CODING_BAD);
	default:
		return HTTP_REFUSAL_SYNTAX;
	}
}

/* --- feeding --------------------------------------------------------------------------------- */

/* To the first byte of the first line. */
static void head_begin_line(struct http_head *head, const uint8_t *base, uint32_t bytes)
{
	while (head->start < bytes) {
		uint8_t c = base[head->start];

		if (c != '\r' && c != '\n') {
			head->state = HEAD_LINES;
			head->fed = head->start;
			return;
		}
		/* RFC 9112 2.2: only in front of a request, and only CRLF */
		if (c == '\n' || head->kind == HTTP_HEAD_RESPONSE ||
		    head->start == 2 * EMPTY_LINES_MAX) {
			head_refuse(head, HTTP_REFUSAL_LINE);
			return;
		}
		if (head->start + 1u == bytes)
			return;
		if (base[head->start + 1] != '\n') {
			head_refuse(head, HTTP_REFUSAL_LINE);
			return;
		}
		head->start = (uint16_t)(head->start + 2);
	}
}

static void head_read_lines(struct http_head *head, const uint8_t *base, uint32_t bytes)
{
	llhttp_t *parser = head_parser(head);
	struct feed feed = { head, base };
	llhttp_errno_t error;
	uint32_t stop;

	if (head->fed == bytes)
		return;
	parser->data = &feed;
	error = llhttp_execute(parser, (const char *)base + head->fed, bytes - head->fed);
	parser->data = NULL;
	if (head->refusal != HTTP_REFUSAL_NONE)
		return;
	if (error == HPE_OK) {
		if (head_target_ends_line(head, base, bytes))
			head_refuse(head, HTTP_REFUSAL_LINE);
		return;
	}
	if (error == HPE_INVALID_METHOD) {
		head->state = HEAD_METHOD;
		return;
	}
	stop = (uint32_t)((const uint8_t *)llhttp_get_error_pos(parser) - base);
	assert(stop >= head->fed);
	assert(stop <= bytes);
	if (error != HPE_PAUSED) {
		head_refuse(head, head_parser_refusal(head, base, error, stop));
		return;
	}
	head->length = (uint16_t)stop;
	if (head_judge(head, base))
		head->state = HEAD_DONE;
}

/* RFC 9110 9.1: a method that is not known is 501; but junk, or TLS, is no method. */
static void head_read_method(struct http_head *head, const uint8_t *base, uint32_t bytes)
{
	for (uint32_t at = head->start; at < bytes; at++) {
		bool is_token = head_set_has(&head_token, base[at]);

		if (is_token && at - head->start < METHOD_MAX)
			continue;
		head_refuse(head, (is_token || base[at] == ' ') && at > head->start ?
					  HTTP_REFUSAL_METHOD :
					  HTTP_REFUSAL_SYNTAX);
		return;
	}
}

void http_head_begin(struct http_head *head, enum http_kind kind, const struct http_limits *limits,
		     const struct http_asked *asked)
{
	assert(limits->head_bytes > 0 && limits->head_bytes <= HTTP_HEAD_MAX);
	assert(limits->fields > 0 && limits->fields <= HTTP_FIELDS_MAX);
	assert((kind == HTTP_HEAD_RESPONSE) == (asked != NULL));
	memset(head, 0, offsetof(struct http_head, fields));
	head->fields[0].name.len = 0;
	head->kind = (uint8_t)kind;
	head->limits = *limits;
	head->asked = asked ? *asked : (struct http_asked){ 0 };
	head->fed = 0;
	head->state = HEAD_BEGIN;
	llhttp_init(head_parser(head), kind == HTTP_HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
		    &parser_settings);
}

enum http_progress http_head_feed(struct http_head *head, const uint8_t *base, uint32_t bytes)
{
	uint32_t limit = head->limits.head_bytes;
	uint32_t usable = bytes < limit ? bytes : limit;

	assert(head->state < HEAD_DONE);
	assert(bytes >= head->fed);
	if (head->state == HEAD_BEGIN)
		head_begin_line(head, base, usable);
	if (head->state == HEAD_LINES)
		head_read_lines(head, base, usable);
	if (head->state == HEAD_METHOD)
		head_read_method(head, base, usable);
	head->fed = (uint16_t)usable;
	if (head->state < HEAD_DONE && bytes >= limit) {
		bool in_target = head->target.len > 0 &&
				 head->target.at + head->target.len == (int)usable;

		head_refuse(head, in_target ? HTTP_REFUSAL_TARGET_LONG : HTTP_REFUSAL_HEAD_LARGE);
	}
	if (head->state < HEAD_DONE)
		return HTTP_MORE;
	assert((head->state == HEAD_REFUSED) == (head->refusal != HTTP_REFUSAL_NONE));
	return head->state == HEAD_DONE ? HTTP_DONE : HTTP_REFUSED;
}
