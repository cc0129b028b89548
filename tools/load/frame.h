/* SPDX-License-Identifier: MIT */
/*
 * frame - a message that can be checked at both ends: who it is, how long, and a checksum.
 *
 *      | "SLF1" | flags | length | reply length | checksum | spare |   id   | payload: length |
 *           4       4       4          4             4         4       8      (little-endian)
 *
 * It travels as a message over TCP and as a body over HTTP. The payload is the slice of the pattern
 * that the id names, so two frames mixed up by a proxy differ in every part.
 */
#ifndef LOAD_FRAME_H
#define LOAD_FRAME_H

#include <stdint.h>

#include "base/assert.h"

#define FRAME_HEADER 32u
#define FRAME_CHECKED 1u /* flag: checksum is set; else it is 0 and not looked at */

struct frame {
	uint32_t flags;
	uint32_t length; /* of the payload */
	uint32_t reply_length;
	uint32_t checksum;
	uint64_t id;
};

/* Where in the pattern the payload begins. */
uint64_t frame_start(uint64_t id);
/* The checksum of that payload. */
uint32_t frame_checksum(uint64_t id, uint32_t length);

void frame_write(uint8_t header[FRAME_HEADER], const struct frame *frame);
/* False when it is not a frame's header. */
bool frame_read(struct frame *frame, const uint8_t header[FRAME_HEADER]);

enum frame_event {
	FRAME_NONE,    /* more bytes are needed */
	FRAME_GOOD,    /* complete; its checksum holds, or has none */
	FRAME_CORRUPT, /* complete; its checksum does not hold */
	FRAME_JUNK,    /* no frame begins here; the stream cannot be followed any more */
};

struct frame_reader {
	struct frame frame;
	uint8_t header[FRAME_HEADER];
	uint32_t header_bytes;
	uint32_t left;
	uint32_t checksum;
};

void frame_reader_init(struct frame_reader *reader);
/* Do the bytes since the last whole frame begin as one does? */
bool frame_reader_begun(const struct frame_reader *reader);
/* Show it the next bytes; returns how many it took, at most to the end of a frame. */
uint32_t frame_reader_next(struct frame_reader *reader, const uint8_t *bytes, uint32_t count,
                           enum frame_event *event);

/* CRC-32C (Castagnoli), continued from `checksum` (0 at first). */
uint32_t crc32c(uint32_t checksum, const uint8_t *bytes, uint64_t count);

#endif
