/* SPDX-License-Identifier: MIT */
/*
 * alias - a random server, by weight, in O(1) (Vose's method).
 *
 * Each row stands for 1/n of the chance. It belongs to its own server up to `threshold`, and above
 * that to the one `other`.
 */
#ifndef UPSTREAM_SRC_ALIAS_H
#define UPSTREAM_SRC_ALIAS_H

#include <stdint.h>

struct alias_row {
	uint32_t threshold; /* of 2^32 */
	uint16_t other;
};

struct alias {
	uint32_t count;
	struct alias_row *rows;
	uint64_t *shares; /* for alias_set() */
	uint16_t *stacks; /* the same */
};

/* The memory is the caller's: `count` of each. At least one weight is above 0. O(n) */
void alias_set(struct alias *alias, const uint32_t *weights, uint32_t count);

uint32_t alias_draw(const struct alias *alias, uint64_t random);

#endif
