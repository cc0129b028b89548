/* SPDX-License-Identifier: MIT */
/*
 * pattern - the payload of every message: slices of one read-only block of pseudo-random bytes that
 * generator and origin make alike, so that sending costs no copy and checking needs no record.
 *
 *      block   [ 0 ............................................ PATTERN_BYTES )
 *      slice            [ start, start + count ), going on at the beginning of the block
 */
#ifndef LOAD_PATTERN_H
#define LOAD_PATTERN_H

#include <stdint.h>
#include <sys/uio.h>

#define PATTERN_BYTES (1u << 20)

/* Make the block: once, before any thread starts. */
void pattern_open(void);
const uint8_t *pattern_block(void);

/* The longest piece, at most count bytes, of the slice at `start` that is in one place. */
struct iovec pattern_piece(uint64_t start, uint64_t count);

#endif
