/* SPDX-License-Identifier: MIT */
/*
 * body_reader - the body of an HTTP message: a cursor that is shown bytes as they come and says
 * which of them are payload.
 *
 * Chunks are those of the layer http (http/chunk.h), which knows how to take them out in place. It
 * is given a size line, then its data, so nothing ever has to move.
 */
#ifndef LOAD_BODY_READER_H
#define LOAD_BODY_READER_H

#include "http/chunk.h"

struct body_reader {
	struct http_chunk *chunk; /* owned; made for the first chunked body, kept for the next */
	uint64_t left;            /* of HTTP_BODY_LENGTH */
	const char *reason;       /* why it is refused, a constant; NULL: it is not */
	uint8_t framing;          /* enum http_framing */
	bool in_data;             /* chunked: the next byte is payload */
	bool done;
};

/* Begin the body that this head announces. The reader is zero at first, or had other bodies. */
void body_reader_start(struct body_reader *reader, const struct http_head *head);
void body_reader_release(struct body_reader *reader);

/* Show it the next bytes; returns how many it took, the first *data_count of which are payload.
 * Call again with the rest until it is done or refused or nothing is left. */
uint32_t body_reader_next(struct body_reader *reader, uint8_t *bytes, uint32_t count,
			  uint32_t *data_count);

#endif
