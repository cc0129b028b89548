/* SPDX-License-Identifier: MIT */
/*
 * edit - a head on its way through: a vector of spans of the original and a few new bytes.
 *
 *      original   GET /a HTTP/1.1  Host: x  Connection: close  Accept: y
 *      parts     [ GET /a HTTP/1.1  Host: x ]                 [Accept: y] [new fields, empty line]
 *
 * Spans that touch are one part, and nothing is copied but numbers and addresses into `scratch`.
 * Single bytes (the version) are changed in place. Only when fields left out make more pieces than
 * there are parts, the pieces are moved together inside the head's memory: parts->moved.
 *
 * An edit appends to `parts` (clear them first), and may be made again from the same head, for
 * another server, unless parts->moved.
 *
 * Always: fields with `hop` set stop here; Content-Length and Transfer-Encoding are left out and
 * written anew from head->framing, which is what the message means (RFC 9112 6, 9110 7.6.1).
 * Pure: no descriptor, clock or allocator.
 */
#ifndef HTTP_EDIT_H
#define HTTP_EDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "http/head.h"

#define HTTP_PARTS_MAX 32u
#define HTTP_SCRATCH_MAX 512u

struct http_parts {
	struct iovec parts[HTTP_PARTS_MAX]; /* [first .. count): not sent yet */
	uint16_t first;
	uint16_t count;
	uint32_t bytes; /* not sent yet */
	uint16_t scratch_used;
	bool moved; /* bytes behind the head's first line were moved: of the head's offsets only
		     * those of the first line and the authority still hold */
	char scratch[HTTP_SCRATCH_MAX]; /* parts point into it: the structure must not be moved */
};

void http_parts_clear(struct http_parts *parts);
/* Borrow bytes; joins the last part when they touch. False: no part is left. */
bool http_parts_span(struct http_parts *parts, const void *bytes, uint32_t len);
/* Copy bytes into the scratch. False: it does not fit. */
bool http_parts_copy(struct http_parts *parts, const void *bytes, uint32_t len);
/* Take away what was sent; at most parts->bytes. */
void http_parts_sent(struct http_parts *parts, uint32_t bytes);

struct http_name {
	const char *text; /* lower case */
	uint16_t len;
};

enum http_host_header { HTTP_HOST_KEEP, HTTP_HOST_SERVER, HTTP_HOST_VALUE };

#define HTTP_FORWARD_X (1u << 0)       /* X-Forwarded-For, -Proto, -Host */
#define HTTP_FORWARD_RFC7239 (1u << 1) /* Forwarded */

/* What a route changes; immutable, made when the configuration is read. NULL text: nothing. What is
 * written anew (framing, Connection, TE) cannot be named here, and Host only by `host`. Parts point
 * into it. */
struct http_edits {
	const struct http_name *removed; /* names of set_header and remove_header */
	uint32_t removed_count;
	const char *added; /* whole lines "Name: value\r\n" of set_header and add_header */
	uint32_t added_len;
	const char *host; /* HTTP_HOST_VALUE */
	uint8_t host_header;
	uint8_t forwarded;     /* HTTP_FORWARD_ flags */
	uint16_t strip_prefix; /* bytes of the path; a "/" is kept in front of the rest */
};

/* What this hop knows. The texts are copied: at most 64 bytes of client, 128 of server. */
struct http_hop {
	const char *client;    /* the client's address, without port: 192.0.2.1, 2001:db8::1; for a
				* unix socket: "unix" */
	const char *server;    /* the server's address as authority, for HTTP_HOST_SERVER and for a
				* request without Host */
	bool client_trusted;   /* X-Forwarded-* and Forwarded of the client are kept and extended;
				* else they are replaced */
	bool close;            /* the peer that gets this head is told: Connection: close */
	bool keep_alive;       /* response to an HTTP/1.0 client: Connection: keep-alive */
	bool plain;            /* response to an HTTP/1.0 client: chunked becomes until-close */
};

/* X-Forwarded-Proto, -Host and -Port of a trusted client stay as they are; of X-Forwarded-For and
 * Forwarded the client becomes the last element. More than three lines of one of them stay lines,
 * and the client's own is the last (RFC 9110 5.3).
 *
 * The request as it goes to the server: origin-form target (or "*", or authority-form for CONNECT),
 * HTTP/1.1, Host first written if it is replaced, absolute or missing; Upgrade goes on when
 * head->upgrade, together with "Connection: upgrade"; "TE: trailers" goes on when te_trailers.
 * False: the head needs more parts or scratch than there are (431). */
bool http_edit_request(struct http_parts *parts, uint8_t *base, const struct http_head *head,
		       const struct http_edits *edits, const struct http_hop *hop);

/* The response as it goes to the client: HTTP/1.1 and the status; Content-Length also for HEAD and
 * 304 where length_given; none of the two for 1xx, 204 and 101; Upgrade goes on with a 101. To 1xx
 * `close` and `keep_alive` do not apply.
 * edits: NULL for none (only `removed` and `added` are looked at). False: 502. */
bool http_edit_response(struct http_parts *parts, uint8_t *base, const struct http_head *head,
			const struct http_edits *edits, const struct http_hop *hop);

/* --- own answers ----------------------------------------------------------------------------- */

/* The standard reason phrase, or "" */
const char *http_reason(uint32_t status);

/* A whole answer head of our own into `text`: status line, Content-Type (NULL: none),
 * Content-Length (not with 1xx and 204), extra lines (NULL: none), Connection: close or keep-alive
 * (NULL: neither). Returns its length, or 0 when it does not fit. */
uint32_t http_answer_head(char *text, uint32_t room, uint32_t status, const char *content_type,
			  uint64_t content_length, const char *extra_lines, const char *connection);

#endif
