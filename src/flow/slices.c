/* SPDX-License-Identifier: MIT */
/*
 * slices.c - free lists, splitting and merging of blocks, offers to the kernel.
 *
 * A block is split when the small free list is empty, and merged again when all of its pieces are
 * home and more than two blocks' worth of small slices is free: without that margin a single slice
 * that comes and goes would split and merge a block each time.
 */
#include "slices.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_EVERY_TURNS 4096
#define BLOCKS_WANTED 16u /* fewer, larger slices than that would serve too few streams */
#define LARGE_MIN_FACTOR 1u

static uint32_t block_first(const struct slices *slices, uint32_t index)
{
	return index - index % slices->per_block;
}

static void push_block(struct slices *slices, uint32_t first)
{
	struct slice *slice = slices_at(slices, first);

	assert(first % slices->per_block == 0);
	slice->state = SLICE_FREE;
	slice->class = SLICE_LARGE;
	slice->split = false;
	slice->next = slices->blocks_free;
	slices->blocks_free = first;
	slices->blocks_free_count++;
}

static uint32_t pop_block(struct slices *slices)
{
	uint32_t first = slices->blocks_free;

	if (first == SLICE_NONE)
		return SLICE_NONE;
	slices->blocks_free = slices_at(slices, first)->next;
	slices->blocks_free_count--;
	return first;
}

static void push_small(struct slices *slices, uint32_t index)
{
	struct slice *slice = slices_at(slices, index);

	slice->state = SLICE_FREE;
	slice->class = SLICE_SMALL;
	slice->prev = SLICE_NONE;
	slice->next = slices->smalls_free;
	if (slice->next != SLICE_NONE)
		slices_at(slices, slice->next)->prev = index;
	slices->smalls_free = index;
	slices->smalls_free_count++;
	slices->block_home[index / slices->per_block]++;
}

static void unlink_small(struct slices *slices, uint32_t index)
{
	struct slice *slice = slices_at(slices, index);

	assert(slice->state == SLICE_FREE);
	if (slice->prev == SLICE_NONE)
		slices->smalls_free = slice->next;
	else
		slices_at(slices, slice->prev)->next = slice->next;
	if (slice->next != SLICE_NONE)
		slices_at(slices, slice->next)->prev = slice->prev;
	slices->smalls_free_count--;
	slices->block_home[index / slices->per_block]--;
}

static void split_block(struct slices *slices, uint32_t first)
{
	uint32_t i;

	slices_at(slices, first)->split = true;
	/* Backwards, so that the lowest address is taken first. */
	for (i = slices->per_block; i > 0; i--)
		push_small(slices, first + i - 1);
}

static void merge_block(struct slices *slices, uint32_t first)
{
	uint32_t i;

	for (i = 0; i < slices->per_block; i++)
		unlink_small(slices, first + i);
	push_block(slices, first);
}

static uint32_t take_small(struct slices *slices)
{
	uint32_t index;

	if (slices->smalls_free == SLICE_NONE) {
		uint32_t first = pop_block(slices);

		if (first == SLICE_NONE)
			return SLICE_NONE;
		split_block(slices, first);
	}
	index = slices->smalls_free;
	unlink_small(slices, index);
	return index;
}

static uint32_t take_large(struct slices *slices)
{
	return pop_block(slices);
}

static uint32_t class_bytes(const struct slices *slices, enum slice_class class)
{
	return class == SLICE_SMALL ? slices->small_bytes : slices->large_bytes;
}

static uint32_t take(struct slices *slices, enum slice_class class)
{
	uint32_t index = class == SLICE_SMALL ? take_small(slices) : take_large(slices);

	if (index != SLICE_NONE)
		assert(slices_at(slices, index)->state == SLICE_FREE);
	return index;
}

static void put_back(struct slices *slices, uint32_t index)
{
	uint32_t first = block_first(slices, index);

	if (slices_at(slices, index)->class == SLICE_LARGE) {
		push_block(slices, index);
		return;
	}
	push_small(slices, index);
	if (slices->block_home[first / slices->per_block] == slices->per_block &&
	    slices->smalls_free_count > 2 * slices->per_block)
		merge_block(slices, first);
}

void slices_give(struct slices *slices, uint32_t index)
{
	struct slice *slice = slices_at(slices, index);

	assert(slice->state == SLICE_HELD);
	assert(slice->refs > 0);
	if (--slice->refs > 0)
		return;
	slices->held_count--;
	slices->held_bytes -= class_bytes(slices, slice->class);
	put_back(slices, index);
}

static void begin_held(struct slices *slices, uint32_t index, uint32_t len)
{
	struct slice *slice = slices_at(slices, index);

	slice->state = SLICE_HELD;
	slice->refs = 1;
	slice->start = 0;
	slice->len = len;
	slice->next = SLICE_NONE;
	slices->held_count++;
	slices->held_bytes += class_bytes(slices, slice->class);
	if (slices->held_bytes > slices->held_bytes_peak)
		slices->held_bytes_peak = slices->held_bytes;
}

uint32_t slices_received(struct slices *slices, enum slice_class class, uint16_t id, uint32_t len)
{
	struct slice_offer *offer = &slices->offers[class];
	uint32_t index;
	struct slice *slice;

	assert(id < offer->entries);
	index = offer->slice_of_id[id];
	assert(index != SLICE_NONE);
	slice = slices_at(slices, index);
	assert(slice->state == SLICE_OFFERED);
	assert(slice->class == class);
	assert(len <= class_bytes(slices, class));
	offer->slice_of_id[id] = SLICE_NONE;
	offer->id_stack[offer->ids_free++] = id;
	offer->offered_count--;
	if (offer->offered_count < offer->low_count)
		offer->low_count = offer->offered_count;
	begin_held(slices, index, len);
	return index;
}

uint32_t slices_take(struct slices *slices, enum slice_class class)
{
	uint32_t index = take(slices, class);

	if (index == SLICE_NONE)
		return SLICE_NONE;
	slices_at(slices, index)->class = (uint8_t) class;
	begin_held(slices, index, 0);
	return index;
}

void slices_hold(struct slices *slices, uint32_t index)
{
	assert(slices_at(slices, index)->state == SLICE_HELD);
	assert(slices_at(slices, index)->refs < UINT8_MAX);
	slices_at(slices, index)->refs++;
}

static void top_up_class(struct slices *slices, struct ring *ring, enum slice_class class)
{
	struct slice_offer *offer = &slices->offers[class];

	while (offer->offered_count < offer->wanted) {
		uint32_t index = take(slices, class);
		uint16_t id;

		if (index == SLICE_NONE)
			break;
		id = offer->id_stack[--offer->ids_free];
		offer->slice_of_id[id] = index;
		offer->offered_count++;
		slices_at(slices, index)->state = SLICE_OFFERED;
		slices_at(slices, index)->class = (uint8_t) class;
		ring_buffers_add(ring, (uint16_t) class, slices_memory(slices, index),
				 class_bytes(slices, class), id);
	}
	ring_buffers_publish(ring, (uint16_t) class);
}

/* Offers that were mostly unused for a while are halved; what is out already is used up first. */
static void look(struct slices *slices)
{
	struct slice_offer *offer = &slices->offers[SLICE_SMALL];

	slices->turns_since_look = 0;
	if (offer->low_count > offer->wanted - offer->wanted / 4 && offer->wanted > OFFER_SMALL_MIN)
		offer->wanted /= 2;
	offer->low_count = offer->wanted;
}

void slices_top_up(struct slices *slices, struct ring *ring)
{
	if (++slices->turns_since_look >= LOOK_EVERY_TURNS)
		look(slices);
	top_up_class(slices, ring, SLICE_SMALL);
	top_up_class(slices, ring, SLICE_LARGE);
}

void slices_wanted(struct slices *slices, enum slice_class class)
{
	struct slice_offer *offer = &slices->offers[class];

	/* What is offered cannot be had back, and slices_take() needs some too. */
	if (offer->wanted * 2 <= offer->entries && !slices_pressed(slices) &&
	    (uint64_t)offer->wanted * 2 * class_bytes(slices, class) <= slices_bytes(slices) / 2)
		offer->wanted *= 2;
}

uint32_t slices_free_count(const struct slices *slices)
{
	return slices->offers[SLICE_SMALL].offered_count + slices->smalls_free_count +
	       slices->blocks_free_count * slices->per_block;
}

static void offer_init(struct slice_offer *offer, uint32_t wanted, uint32_t entries)
{
	uint32_t i;

	assert(entries <= OFFER_SMALL_MAX);
	offer->wanted = wanted;
	offer->entries = entries;
	offer->low_count = wanted;
	offer->ids_free = entries;
	for (i = 0; i < entries; i++) {
		offer->id_stack[i] = (uint16_t)i;
		offer->slice_of_id[i] = SLICE_NONE;
	}
}

static uint32_t floor_power_of_two(uint32_t number)
{
	while (number & (number - 1))
		number &= number - 1;
	return number;
}

int slices_open(struct slices *slices, struct ring *ring, void *base, uint64_t bytes,
		uint32_t small_bytes, uint32_t stream_bytes)
{
	uint64_t block = stream_bytes;
	uint32_t larges, i;
	int result;

	while (block > small_bytes && bytes / block < BLOCKS_WANTED)
		block /= 2;
	if (block < small_bytes * LARGE_MIN_FACTOR)
		block = small_bytes;
	*slices = (struct slices){ .base = base,
				   .small_bytes = small_bytes,
				   .large_bytes = (uint32_t)block,
				   .per_block = (uint32_t)block / small_bytes,
				   .blocks_count = (uint32_t)(bytes / block),
				   .blocks_free = SLICE_NONE,
				   .smalls_free = SLICE_NONE };
	if (slices->blocks_count < 2)
		return -ENOSPC;
	slices->slices =
		calloc((size_t)slices->blocks_count * slices->per_block, sizeof(*slices->slices));
	slices->block_home = calloc(slices->blocks_count, sizeof(*slices->block_home));
	if (slices->slices == NULL || slices->block_home == NULL) {
		slices_close(slices);
		return -ENOMEM;
	}
	for (i = slices->blocks_count; i > 0; i--)
		push_block(slices, (i - 1) * slices->per_block);
	/* These are out for streams that may never come. */
	larges = floor_power_of_two(slices->blocks_count / 16 + 1);
	if (larges > OFFER_LARGE_MAX)
		larges = OFFER_LARGE_MAX;
	offer_init(&slices->offers[SLICE_SMALL], OFFER_SMALL_MIN, OFFER_SMALL_MAX);
	offer_init(&slices->offers[SLICE_LARGE], larges, OFFER_LARGE_MAX);
	result = ring_buffers_open(ring, SLICE_SMALL, OFFER_SMALL_MAX);
	if (result == 0)
		result = ring_buffers_open(ring, SLICE_LARGE, OFFER_LARGE_MAX);
	if (result < 0)
		slices_close(slices);
	return result;
}

void slices_close(struct slices *slices)
{
	free(slices->slices);
	free(slices->block_home);
	slices->slices = NULL;
	slices->block_home = NULL;
}

uint64_t slices_home_bytes(const struct slices *slices)
{
	uint64_t home = (uint64_t)slices->blocks_free_count * slices->large_bytes +
			(uint64_t)slices->smalls_free_count * slices->small_bytes;

	home += (uint64_t)slices->offers[SLICE_SMALL].offered_count * slices->small_bytes;
	return home + (uint64_t)slices->offers[SLICE_LARGE].offered_count * slices->large_bytes;
}

void slices_check(const struct slices *slices)
{
	uint32_t count = 0;
	uint32_t index;

	assert(slices_home_bytes(slices) + slices->held_bytes == slices_bytes(slices));
	for (index = slices->smalls_free; index != SLICE_NONE; index = slices->slices[index].next) {
		assert(slices->slices[index].state == SLICE_FREE);
		assert(++count <= slices->smalls_free_count);
	}
	assert(count == slices->smalls_free_count);
	count = 0;
	for (index = slices->blocks_free; index != SLICE_NONE; index = slices->slices[index].next) {
		assert(slices->slices[index].state == SLICE_FREE);
		assert(!slices->slices[index].split);
		assert(++count <= slices->blocks_free_count);
	}
	assert(count == slices->blocks_free_count);
}
