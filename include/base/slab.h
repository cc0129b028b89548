/* SPDX-License-Identifier: MIT */
/*
 * slab - a fixed number of equal objects in one mapping made at start; never grows.
 *
 * Taking returns the object given back last (its cache lines are the warmest). The memory of an
 * object that was never taken is never touched, so it costs address space but no pages.
 *
 * Thread safety: slab_take()/slab_give() may be called from several threads; the free list is a
 * lock-free stack of indices with a tag against reuse (ABA).
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stdint.h>

#include "base/assert.h"

struct slab;

/* objects_max: 1 .. 2^31-1. object_size is rounded up to a multiple of 64 bytes: neighbours may
 * belong to different threads, and must not share a line of the cache.
 * Returns 0 or a negative errno. */
int slab_open(struct slab **slab, uint32_t objects_max, uint32_t object_size);
void slab_close(struct slab *slab);

/* An object with unspecified contents (zero when it is taken for the first time), or NULL when all
 * are taken. The caller owns it until slab_give(). */
void *slab_take(struct slab *slab);
void slab_give(struct slab *slab, void *object);

uint32_t slab_taken_count(const struct slab *slab);
uint32_t slab_objects_max(const struct slab *slab);
uint64_t slab_bytes(const struct slab *slab); /* address space reserved */

/* The object with this index (0 .. objects_max-1), taken or not: for state dumps. */
void *slab_at(struct slab *slab, uint32_t index);
uint32_t slab_index(const struct slab *slab, const void *object);

#endif
