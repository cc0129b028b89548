/* SPDX-License-Identifier: MIT */
/*
 * head - one request or response head of HTTP/1.1 (RFC 9110, RFC 9112), parsed in place by llhttp
 * and then judged: nothing ambiguous is ever DONE.
 *
 *      http_head_begin() --> http_head_feed() .. --> HTTP_DONE      every member below is valid
 *                                   |            --> HTTP_REFUSED   `refusal` says why
 *                                   '--> HTTP_MORE                  feed the bytes that follow
 *
 * All text is named by offsets from the first byte of the head, so the bytes may be moved between
 * two feeds. The caller keeps them together: one head lies in one piece of memory.
 *
 * What llhttp lets through and this must not is listed in head.c, each point with its section.
 * Pure: no descriptor, clock or allocator.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 65535u /* bytes: offsets are 16 bits wide */
#define HTTP_FIELDS_MAX 256u
#define HTTP_TARGET_MAX 16384u /* longer: 414; RFC 9112 3 wants 8,000 octets at least */

enum http_kind { HTTP_HEAD_REQUEST, HTTP_HEAD_RESPONSE };

enum http_progress { HTTP_MORE, HTTP_DONE, HTTP_REFUSED };

enum http_method {
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_CONNECT,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_OTHER, /* any other that llhttp knows */
	HTTP_METHOD_COUNT,
};

/* Why a head is refused: rows of http/refusal.def, each with its status. A response that is refused
 * is always answered with 502. */
enum http_refusal {
	HTTP_REFUSAL_NONE,
#define HTTP_REFUSAL(name, status, text) HTTP_REFUSAL_##name,
#include "http/refusal.def"
#undef HTTP_REFUSAL
	HTTP_REFUSAL_COUNT,
};

extern const char *const http_refusal_names[HTTP_REFUSAL_COUNT];
extern const char *const http_refusal_texts[HTTP_REFUSAL_COUNT];
extern const uint16_t http_refusal_status[HTTP_REFUSAL_COUNT];

/* Fields that mean something to a proxy; all others are HTTP_FIELD_OTHER. Names are matched without
 * case. The list is http/field.def. */
enum http_field_id {
	HTTP_FIELD_OTHER,
#define HTTP_FIELD(id, name, flags) HTTP_FIELD_##id,
#include "http/field.def"
#undef HTTP_FIELD
	HTTP_FIELD_COUNT,
};

struct http_span {
	uint16_t at;  /* offset from the head's first byte */
	uint16_t len; /* bytes */
};

struct http_field {
	struct http_span name;
	struct http_span value; /* without the blanks around it */
	uint16_t end;           /* offset behind the field's CRLF; it begins at name.at */
	uint8_t id;             /* enum http_field_id */
	bool hop;               /* hop-by-hop, or named by Connection: it stops here */
};

/* How the end of the body is found (RFC 9112 6.3). */
enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

struct http_limits {
	uint32_t head_bytes; /* at most HTTP_HEAD_MAX; more: 431 */
	uint32_t fields;     /* at most HTTP_FIELDS_MAX; more: 431 */
};

/* What a response answers: its framing depends on it. */
struct http_asked {
	uint8_t method; /* enum http_method */
	bool upgrade;   /* the request that was sent on had an Upgrade field */
};

#define HTTP_PARSER_BYTES 128 /* of an llhttp_t, which stays inside the layer */

struct http_head {
	uint64_t content_length; /* framing = LENGTH: 0 .. 2^63-1; else 0 */
	uint16_t length;         /* of the whole head, empty line included */
	uint16_t start;          /* of the first line: an empty line before a request is skipped */
	uint16_t line_end;       /* offset behind the first line's CRLF */
	uint16_t status;         /* response: 100 .. 599 */
	uint16_t fields_count;
	uint8_t kind;
	uint8_t method;  /* request: enum http_method */
	uint8_t minor;   /* HTTP/1.minor: 0 or 1 */
	uint8_t framing; /* enum http_framing */
	uint8_t refusal; /* enum http_refusal */
	bool persistent; /* the sender lets the connection be used again (RFC 9112 9.3) */
	bool upgrade;    /* request: Upgrade with Connection: upgrade; response: status 101 */
	bool tunnel;     /* response: 101 that was asked for, or 2xx to CONNECT: bytes follow */
	bool expect;     /* request: Expect: 100-continue (only from HTTP/1.1) */
	bool te_trailers;       /* request: TE: trailers */
	bool length_given;      /* a Content-Length was there, whatever the framing (HEAD, 304) */
	struct http_span method_text; /* request */
	struct http_span target;      /* request: as it was sent */
	struct http_span reason;      /* response: the reason phrase; empty if not clean text */
	struct http_span authority; /* request: host[:port] that counts: of an absolute or authority
				     * target, else of Host; empty when HTTP/1.0 gave none */
	struct http_span host;      /* authority without the port and without a trailing dot */
	struct http_span path;      /* request: path of the target, "/" at least; with `query` it is
				     * what an origin-form target would be. OPTIONS *: "*".
				     * len 0: an absolute target without a path: "/" is meant */
	struct http_span query;     /* with its "?"; empty if there is none */
	struct http_span upgrade_to; /* request: value of Upgrade */
	struct http_field fields[HTTP_FIELDS_MAX];

	/* private to head.c */
	struct http_limits limits;
	struct http_asked asked;
	uint16_t fed;
	uint8_t state;
	_Alignas(8) unsigned char parser[HTTP_PARSER_BYTES];
};

/* asked: for a response; NULL for a request. */
void http_head_begin(struct http_head *head, enum http_kind kind, const struct http_limits *limits,
		     const struct http_asked *asked);

/* base: the first byte of the head; it holds `bytes` in all, of which those that were fed before
 * are the same as then. What stands behind the head (a body, the next request) is not looked at:
 * head->length says where. At limits->head_bytes without an end the head is refused. */
enum http_progress http_head_feed(struct http_head *head, const uint8_t *base, uint32_t bytes);

/* GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110 9.2.2): may be sent a second time. */
bool http_method_is_idempotent(enum http_method method);

/* The first field of that id at or after index `from`, or -1. */
int http_head_find(const struct http_head *head, enum http_field_id id, uint32_t from);

/* Text without case: a field name, a scheme, a host. */
bool http_text_equal(const uint8_t *text, uint32_t len, const char *other);

#endif
