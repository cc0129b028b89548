/* SPDX-License-Identifier: MIT */
/*
 * prng - the one source of chance in a simulated world: the same seed, the same world.
 *
 * splitmix64: its whole state is one number, and any seed is as good as any other.
 */
#ifndef SIM_PRNG_H
#define SIM_PRNG_H

#include <stdint.h>

#include "base/assert.h"

struct prng {
	uint64_t state;
};

static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t prng_next(struct prng *prng)
{
	return mix64(prng->state += 0x9e3779b97f4a7c15ull);
}

/* 0 .. bound-1 */
static inline uint64_t prng_below(struct prng *prng, uint64_t bound)
{
	assert(bound > 0);
	return prng_next(prng) % bound;
}

/* low .. high, both included */
static inline uint64_t prng_range(struct prng *prng, uint64_t low, uint64_t high)
{
	assert(low <= high);
	return low + prng_below(prng, high - low + 1);
}

/* True `permille` times in 1,000. Always draws, so that plans differ only where they mean to. */
static inline bool prng_chance(struct prng *prng, uint32_t permille)
{
	return prng_below(prng, 1000) < permille;
}

/* low .. high with small numbers as likely as large ones: the order of magnitude is drawn first. */
static inline uint64_t prng_spread(struct prng *prng, uint64_t low, uint64_t high)
{
	uint64_t span = high - low;
	uint32_t bits = 0;

	assert(low <= high);
	while (bits < 63 && (span >> bits) > 0)
		bits++;
	bits = (uint32_t)prng_below(prng, bits + 1u);
	if (bits == 0)
		return low;
	return low + prng_below(prng, (1ull << bits) < span + 1 ? 1ull << bits : span + 1);
}

#endif
