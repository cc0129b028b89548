/* SPDX-License-Identifier: MIT */
/*
 * pattern.c - the block of pattern.h. Printable characters, so that a capture can be read.
 */
#include "pattern.h"

#include "base/assert.h"
#include "draw.h"

static uint8_t block[PATTERN_BYTES] __attribute__((aligned(4096)));

void pattern_open(void)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	struct draw draw;
	uint32_t i;

	static_assert(sizeof(digits) == 65, "six bits choose one");
	draw_init(&draw, 2, 1);
	for (i = 0; i < PATTERN_BYTES; i++)
		block[i] = (uint8_t)digits[draw_next(&draw) & 63];
	for (i = 63; i < PATTERN_BYTES; i += 64)
		block[i] = '\n';
}

const uint8_t *pattern_block(void)
{
	assert(block[63] == '\n');
	return block;
}

struct iovec pattern_piece(uint64_t start, uint64_t count)
{
	uint64_t offset = start % PATTERN_BYTES;
	uint64_t room = PATTERN_BYTES - offset;

	return (struct iovec){ .iov_base = block + offset, .iov_len = count < room ? count : room };
}
