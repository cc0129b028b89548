/* SPDX-License-Identifier: MIT */
/*
 * chunk - a chunked body (RFC 9112 7.1), checked and cleaned in place while it passes.
 *
 *      pieces as they arrive --> http_chunk_feed() --> what may go on
 *
 *   HTTP_CHUNK_KEEP    goes on as chunks: size lines and data untouched, extensions taken out, and
 *                      zeros in front of a size. The last chunk and the trailer section are always
 *                      taken out; the caller writes "0\r\n", `trailer` (whole field lines,
 *                      filtered) and "\r\n" in their place.
 *   HTTP_CHUNK_DATA    only the data goes on (to a peer that knows no chunks).
 *
 * Only what is taken out moves bytes: a body without extensions is not touched until its end.
 *
 * Strict: every line ends in CRLF, sizes are 1 to 16 hexadecimal digits up to 2^63-1, extensions
 * follow the grammar (BWS included), and are limited in sum. Trailer fields that would mean
 * something to framing, routing or this hop are dropped (RFC 9110 6.5.1): those of http/field.def,
 * and authorization, cookie, set-cookie, cache-control, content-encoding, content-range,
 * content-type, www-authenticate, proxy-authenticate, proxy-authorization, age, date, expires,
 * location, retry-after, vary, warning, if-*, max-forwards, pragma, range.
 * Pure: no descriptor, clock or allocator.
 */
#ifndef HTTP_CHUNK_H
#define HTTP_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "http/head.h"

#define HTTP_CHUNK_EXTENSIONS_MAX 1024u /* bytes, over the whole body */
#define HTTP_TRAILER_MAX 1024u          /* bytes of the whole section, dropped fields included */

enum http_chunk_mode { HTTP_CHUNK_KEEP, HTTP_CHUNK_DATA };

struct http_chunk {
	uint64_t left;    /* of the present chunk's data */
	uint64_t data;    /* data bytes so far */
	uint16_t extension_bytes;
	uint16_t trailer_seen;  /* bytes of the section so far */
	uint16_t trailer_bytes; /* kept in trailer[] */
	uint16_t line_start;    /* of the present trailer line in trailer[] */
	uint8_t mode;
	uint8_t state;
	uint8_t digits;
	uint8_t refusal; /* enum http_refusal, once refused */
	uint8_t trailer[HTTP_TRAILER_MAX];
};

void http_chunk_begin(struct http_chunk *chunk, enum http_chunk_mode mode);

/* Where the stream is cut into pieces makes no difference to what goes on.
 * bytes[0 .. len) are the next of the stream. Afterwards bytes[0 .. *passed) go on, and
 * bytes[*consumed .. len) were not looked at: they stand behind the end of the body, so that is
 * len unless HTTP_DONE. *passed <= *consumed. In HTTP_REFUSED what passed so far may still go. */
enum http_progress http_chunk_feed(struct http_chunk *chunk, uint8_t *bytes, uint32_t len,
				   uint32_t *passed, uint32_t *consumed);

#endif
