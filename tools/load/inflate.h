/* SPDX-License-Identifier: MIT */
/*
 * inflate - reading zlib streams (RFC 1950, 1951), and writing them without compressing.
 *
 * HdrHistogram's logs hold such streams. Ours are small, so they are written as stored blocks,
 * which every reader understands; logs of other programs are really compressed, and `merge` reads
 * them too. Pure: bytes in, bytes out.
 */
#ifndef LOAD_INFLATE_H
#define LOAD_INFLATE_H

#include <stdint.h>

#include "base/assert.h"

/* Returns the bytes made, or -1: damaged, or longer than room. */
int64_t inflate_zlib(const uint8_t *bytes, uint32_t count, uint8_t *out, uint32_t room);

/* How long the stream of `count` bytes will be. */
uint32_t zlib_stored_bytes(uint32_t count);
uint32_t zlib_store(const uint8_t *bytes, uint32_t count, uint8_t *out);

#endif
