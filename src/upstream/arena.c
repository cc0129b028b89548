/* SPDX-License-Identifier: MIT */
/*
 * arena.c - a list of blocks, the newest first.
 */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64u /* bytes of a cache line */

struct block {
	struct block *next;
};

struct arena *arena_open(void)
{
	return calloc(1, sizeof(struct arena));
}

void *arena_take(struct arena *arena, size_t count, size_t size)
{
	size_t bytes = (LINE + count * size + LINE - 1) / LINE * LINE;
	struct block *block = arena->failed ? NULL : aligned_alloc(LINE, bytes);

	if (block == NULL) {
		arena->failed = true;
		return NULL;
	}
	memset(block, 0, bytes);
	block->next = arena->blocks;
	arena->blocks = block;
	return (char *)block + LINE;
}

void arena_close(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	free(arena);
}
