/* SPDX-License-Identifier: MIT */
/*
 * slices - a worker's part of the payload region, and who owns which piece of it.
 *
 *   region part   [ block | block | block | .. ]              a block is large_bytes
 *   a block       is free, or one large slice, or small slices of small_bytes each
 *
 * A slice has one owner at any moment:
 *
 *        FREE --slices_top_up()--> OFFERED --receive completes--> HELD (by a relay's queue,
 *         ^                     (buffer ring)                      |   while queued and sent)
 *         '-------------------------slices_give()------------------'
 *
 * Small slices serve interactive sessions, large ones streams. Both free lists are last in, first
 * out, and only a few slices are offered to the kernel at a time: a buffer ring hands out the
 * coldest buffer first, so a deep one would walk through all of the memory and through every cache.
 * How many small ones are offered follows the need: it doubles when a receive found none although
 * memory was free, and shrinks again when most were not used for a while.
 *
 * Slices are named by index: that of their first small piece. Headers stand apart from the payload
 * so that the payload stays aligned and headers stay dense.
 */
#ifndef FLOW_SLICES_H
#define FLOW_SLICES_H

#include <stdint.h>

#include "ring/ring.h"

#define SLICE_NONE UINT32_MAX

enum slice_class { SLICE_SMALL, SLICE_LARGE, SLICE_CLASS_COUNT }; /* also the ring's groups */
enum slice_state { SLICE_FREE, SLICE_OFFERED, SLICE_HELD };

#define OFFER_SMALL_MIN 16u
#define OFFER_SMALL_MAX 512u
#define OFFER_LARGE_MAX 32u

struct slice {
	uint32_t next;  /* in a free list, or in a relay's queue */
	uint32_t prev;  /* in the free list of small slices */
	uint32_t start; /* HELD: offset of the first byte not sent */
	uint32_t len;   /* HELD: bytes from there */
	uint8_t class;
	uint8_t state;
	uint8_t split; /* first piece of a block: the block is made of small slices */
	uint8_t refs;  /* HELD: owners; one, but for a head that is also in a queue */
};

struct slice_offer {
	uint32_t wanted;  /* to be offered at a time */
	uint32_t entries; /* of the buffer ring */
	uint32_t offered_count;
	uint32_t low_count; /* fewest unused since the last look */
	uint32_t ids_free;
	uint16_t id_stack[OFFER_SMALL_MAX];
	uint32_t slice_of_id[OFFER_SMALL_MAX];
};

struct slices {
	uint8_t *base;
	uint32_t small_bytes;
	uint32_t large_bytes;
	uint32_t per_block; /* small slices in a block */
	uint32_t blocks_count;
	uint32_t blocks_free; /* head of the list of free blocks */
	uint32_t blocks_free_count;
	uint32_t smalls_free; /* head of the list of free small slices */
	uint32_t smalls_free_count;
	uint32_t held_count; /* slices of either class */
	uint64_t held_bytes; /* their capacity */
	uint64_t held_bytes_peak;
	uint32_t turns_since_look;
	struct slice *slices;
	uint16_t *block_home; /* small slices of a split block that are in the free list */
	struct slice_offer offers[SLICE_CLASS_COUNT];
};

/* The region part is borrowed. stream_bytes: what one large slice should hold, made smaller where
 * the part is too small for enough of them. Returns 0 or a negative errno. */
int slices_open(struct slices *slices, struct ring *ring, void *base, uint64_t bytes,
		uint32_t small_bytes, uint32_t stream_bytes);
void slices_close(struct slices *slices);

/* Offer the kernel what it may need in the next turn. */
void slices_top_up(struct slices *slices, struct ring *ring);
/* A receive of that class found nothing to receive into: offer more, where there is more. */
void slices_wanted(struct slices *slices, enum slice_class class);
/* Small slices that receives could take, offered ones included. */
uint32_t slices_free_count(const struct slices *slices);

/* The slice that a completion names: HELD from now on, with len bytes. */
uint32_t slices_received(struct slices *slices, enum slice_class class, uint16_t id, uint32_t len);
/* An empty slice of our own: HELD, or SLICE_NONE when there is none. */
uint32_t slices_take(struct slices *slices, enum slice_class class);
/* One more owner. */
void slices_hold(struct slices *slices, uint32_t index);
/* One owner fewer; without one it is free. */
void slices_give(struct slices *slices, uint32_t index);

static inline struct slice *slices_at(struct slices *slices, uint32_t index)
{
	return &slices->slices[index];
}

static inline uint8_t *slices_memory(const struct slices *slices, uint32_t index)
{
	return slices->base + (uint64_t)index * slices->small_bytes;
}

/* What a slice can hold. */
static inline uint32_t slices_capacity(const struct slices *slices, uint32_t index)
{
	return slices->slices[index].class == SLICE_LARGE ? slices->large_bytes :
							    slices->small_bytes;
}

static inline uint64_t slices_bytes(const struct slices *slices)
{
	return (uint64_t)slices->blocks_count * slices->large_bytes;
}

/* Less than a quarter of the memory is left for small slices. What is offered in large ones is not
 * counted: it cannot be had back. */
static inline bool slices_pressed(const struct slices *slices)
{
	uint64_t left = (uint64_t)slices->blocks_free_count * slices->large_bytes +
			(uint64_t)(slices->smalls_free_count +
				   slices->offers[SLICE_SMALL].offered_count) *
				slices->small_bytes;

	return left < slices_bytes(slices) / 4;
}

/* Free and offered together; the whole when nothing is held. */
uint64_t slices_home_bytes(const struct slices *slices);
void slices_check(const struct slices *slices);

#endif
