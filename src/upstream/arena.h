/* SPDX-License-Identifier: MIT */
/*
 * arena - memory that is taken piece by piece while a part is made, and ends with it as a whole.
 */
#ifndef UPSTREAM_SRC_ARENA_H
#define UPSTREAM_SRC_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct block;

struct arena {
	struct block *blocks;
	bool failed; /* some block could not be had */
};

/* NULL: no memory. */
struct arena *arena_open(void);
/* Zeroed, with cache lines of its own. NULL: arena->failed, as from then on. */
void *arena_take(struct arena *arena, size_t count, size_t size);
void arena_close(struct arena *arena);

#endif
