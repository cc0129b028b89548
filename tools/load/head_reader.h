/* SPDX-License-Identifier: MIT */
/*
 * head_reader - the heads of HTTP messages as they come from the network; one for each thread.
 *
 *      all bytes of the head so far --> head_reader_next() --> MORE, DONE or REFUSED
 *
 * The parser is the layer http, the one that the proxy has. A head is parsed where it lies, and
 * from its beginning each time more of it has come, so an unfinished one costs nothing but its
 * bytes. Heads of one peer are mostly alike: one that is byte for byte the one before is not
 * parsed again.
 *
 * May a tool that judges the proxy share the proxy's parser? What it judges by does not come from
 * the parser: bodies are frames whose bytes, id and checksum the sending end knows (verify.h), and
 * heads and chunks are written here (request.c, origin_http.c) by code that shares nothing with
 * what reads them. So a fault of the parser shows as a refusal or as a wrong frame; to stay
 * unseen, it would have to turn a wrong message into the right one, down to the checksum. What is
 * left is leniency: a malformed head that both take. Therefore two things are judged here by
 * themselves: that lines end in CRLF and hold no CR and no LF, and that no empty line stands in
 * front of a request. Readers that share nothing at all with the proxy watch over its traffic in
 * tests/http.
 */
#ifndef LOAD_HEAD_READER_H
#define LOAD_HEAD_READER_H

#include "http/head.h"

#define HEAD_BYTES_MAX 16384u /* of a head; more is refused */
#define HEAD_MEMO_BYTES 512u

struct head_reader {
	struct http_head head; /* after DONE, until the next call; offsets are those of its bytes */
	const char *reason;    /* after REFUSED: a constant */
	uint32_t refused_with; /* after REFUSED of a request: the status for it */
	struct http_asked asked;
	enum http_kind kind;
	uint32_t memo_bytes; /* `head` is that of these bytes; 0: of none */
	uint8_t memo[HEAD_MEMO_BYTES];
};

void head_reader_init(struct head_reader *reader, enum http_kind kind);

/* bytes: from the head's first one on; what stands behind the head is not looked at.
 * asked: what a response answers; NULL for a request. */
enum http_progress head_reader_next(struct head_reader *reader, const struct http_asked *asked,
				    const uint8_t *bytes, uint32_t count);

#endif
