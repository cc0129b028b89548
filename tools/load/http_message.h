/* SPDX-License-Identifier: MIT */
/*
 * http_message - HTTP/1.1 heads and bodies, as much as a load tool needs: small, strict, pure.
 *
 *      head    one contiguous text up to the empty line; parsed in place, nothing is copied
 *      body    a cursor that is shown bytes as they come and says which of them are payload
 *
 * Refused (RFC 9112): a bare CR or LF as a line's end, folded fields, blanks before the colon, a
 * length that is no number or differs from an earlier one, a length beside a transfer coding, and
 * a coding other than a final "chunked".
 */
#ifndef LOAD_HTTP_MESSAGE_H
#define LOAD_HTTP_MESSAGE_H

#include <stdint.h>

#include "base/assert.h"

#define HTTP_HEAD_MAX 16384

struct http_text {
	const char *bytes;
	uint32_t count;
};

struct http_head {
	struct http_text method; /* of a request */
	struct http_text target;
	int status;              /* of an answer */
	int minor;               /* of HTTP/1.x */
	uint64_t length;         /* where has_length */
	bool has_length;
	bool chunked;
	bool close;              /* after this message: asked for, or implied by HTTP/1.0 */
	bool expects_continue;
};

/* The length of the head in bytes; 0: not complete yet; -1: refused, *reason says why. */
int http_parse_request(const char *bytes, uint32_t count, struct http_head *head,
                       const char **reason);
int http_parse_answer(const char *bytes, uint32_t count, struct http_head *head,
                      const char **reason);

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_END };
enum http_chunk_state {
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_EXTENSION,
	HTTP_CHUNK_SIZE_LF,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR,
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_LINE,       /* a trailer, or the end: at the beginning of a line */
	HTTP_CHUNK_TRAILER,
	HTTP_CHUNK_TRAILER_LF,
	HTTP_CHUNK_END_LF,
};

struct http_body {
	enum http_body_kind kind;
	enum http_chunk_state chunk;
	uint64_t left; /* of the body, or of the chunk */
	uint8_t digits;
	bool done;
	bool bad;
};

void http_body_of_request(struct http_body *body, const struct http_head *head);
/* no_body: the request was HEAD. */
void http_body_of_answer(struct http_body *body, const struct http_head *head, bool no_body);

/* Show it the next bytes. Returns how many it took; *data and *data_count are the payload among
 * them (one run). Call again with the rest until done or bad or nothing is left. */
uint32_t http_body_next(struct http_body *body, const char *bytes, uint32_t count,
                        const char **data, uint32_t *data_count);

#endif
