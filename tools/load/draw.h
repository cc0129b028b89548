/* SPDX-License-Identifier: MIT */
/*
 * draw - random numbers of a seed that the user chose: the same seed, the same run (splitmix64).
 */
#ifndef LOAD_DRAW_H
#define LOAD_DRAW_H

#include <stdint.h>

struct draw {
	uint64_t state;
};

static inline void draw_init(struct draw *draw, uint64_t seed, uint64_t stream)
{
	draw->state = seed * 0x9e3779b97f4a7c15ull + stream * 0xd1342543de82ef95ull + 1;
}

static inline uint64_t draw_next(struct draw *draw)
{
	uint64_t z = draw->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* In [0, 1). */
static inline double draw_unit(struct draw *draw)
{
	return (double)(draw_next(draw) >> 11) * 0x1p-53;
}

/* In [0, limit), for limits up to 2^53. */
static inline uint64_t draw_below(struct draw *draw, uint64_t limit)
{
	return (uint64_t)(draw_unit(draw) * (double)limit);
}

#endif
