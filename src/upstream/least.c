/* SPDX-License-Identifier: MIT */
/*
 * least.c - groups of servers, each with a word that names its least loaded one.
 *
 *      word    63 ........... 16  15 ... 5  4 ... 0
 *              load               version   slot in the group
 */
#include "least.h"

#include "base/assert.h"

#define LOAD_SHIFT 16
#define VERSION_SHIFT 5
#define VERSION_MASK 0x7ffu
#define LOAD_NONE ((UINT64_C(1) << 48) - 1)

static_assert(LEAST_GROUP == 1u << VERSION_SHIFT, "a slot of a group fits below the version");

static uint64_t word_load(uint64_t word)
{
	return word >> LOAD_SHIFT;
}

static uint32_t word_slot(uint64_t word)
{
	return word & (LEAST_GROUP - 1);
}

static uint64_t word_after(uint64_t before, uint64_t load, uint32_t slot)
{
	uint64_t version = ((before >> VERSION_SHIFT) + 1) & VERSION_MASK;

	assert(load <= LOAD_NONE && slot < LEAST_GROUP);
	return load << LOAD_SHIFT | version << VERSION_SHIFT | slot;
}

static uint64_t load_of(const struct least *least, uint32_t slot)
{
	uint32_t sessions = atomic_load_explicit(&least->sessions[slot], memory_order_relaxed);
	uint64_t step = atomic_load_explicit(&least->steps[slot], memory_order_relaxed);
	uint64_t load;

	if (step == 0 || sessions >= least->limits[slot])
		return LOAD_NONE;
	if (sessions == 0)
		return 0;
	load = (sessions + UINT64_C(1)) * step;
	return load < LOAD_NONE ? load : LOAD_NONE - 1;
}

/* The least of a group, looked for from `from` on, so that equal ones take turns. */
static uint32_t look(const struct least *least, uint32_t group, uint32_t from, uint32_t avoid,
		     uint64_t *least_load)
{
	uint32_t found = from & (LEAST_GROUP - 1);

	*least_load = LOAD_NONE;
	for (uint32_t i = 0; i < LEAST_GROUP; i++) {
		uint32_t place = (from + i) & (LEAST_GROUP - 1);
		uint32_t slot = group * LEAST_GROUP + place;
		uint64_t load = load_of(least, slot);

		if (load >= *least_load || slot == avoid)
			continue;
		*least_load = load;
		found = place;
	}
	return found;
}

/* After a load has grown, or may have: (2) makes this right whatever happens meanwhile. */
static void refresh(struct least *least, uint32_t group)
{
	uint64_t before = atomic_load_explicit(&least->best[group], memory_order_acquire);
	uint64_t load;
	uint32_t place;

	do {
		place = look(least, group, word_slot(before) + 1, LEAST_NONE, &load);
	} while (!atomic_compare_exchange_weak_explicit(
		&least->best[group], &before, word_after(before, load, place), memory_order_acq_rel,
		memory_order_acquire));
}

/* After a load has fallen. The word is written even if it says the same, for its version. */
static void lower(struct least *least, uint32_t slot)
{
	uint32_t group = slot / LEAST_GROUP;
	uint64_t before = atomic_load_explicit(&least->best[group], memory_order_acquire);
	uint64_t after;

	do {
		uint64_t load = load_of(least, slot);
		uint32_t place = slot % LEAST_GROUP;

		if (place == word_slot(before) || load < word_load(before))
			after = word_after(before, load, place);
		else
			after = word_after(before, word_load(before), word_slot(before));
	} while (!atomic_compare_exchange_weak_explicit(
		&least->best[group], &before, after, memory_order_acq_rel, memory_order_acquire));
}

void least_init(struct least *least)
{
	assert(least->slots % LEAST_GROUP == 0);
	for (uint32_t group = 0; group < least->slots / LEAST_GROUP; group++)
		atomic_init(&least->best[group], LOAD_NONE << LOAD_SHIFT | (LEAST_GROUP - 1));
}

void least_set_weight(struct least *least, uint32_t slot, uint32_t weight)
{
	assert(slot < least->slots);
	atomic_store_explicit(&least->steps[slot], weight > 0 ? LEAST_STEP / weight : 0,
			      memory_order_relaxed);
	if (least->is_kept)
		refresh(least, slot / LEAST_GROUP);
}

enum least_place least_begin(struct least *least, uint32_t slot)
{
	uint32_t limit = least->limits[slot];
	uint32_t before = 0;

	assert(slot < least->slots);
	if (limit == UINT32_MAX) {
		(void)atomic_fetch_add_explicit(&least->sessions[slot], 1, memory_order_seq_cst);
	} else {
		before = atomic_load_explicit(&least->sessions[slot], memory_order_relaxed);
		do {
			if (before >= limit)
				return LEAST_FULL;
		} while (!atomic_compare_exchange_weak_explicit(&least->sessions[slot], &before,
								before + 1, memory_order_seq_cst,
								memory_order_relaxed));
	}
	if (least->is_kept)
		refresh(least, slot / LEAST_GROUP);
	return before + 1 == limit ? LEAST_TAKEN_LAST : LEAST_TAKEN;
}

bool least_end(struct least *least, uint32_t slot)
{
	uint32_t before =
		atomic_fetch_sub_explicit(&least->sessions[slot], 1, memory_order_acq_rel);

	assert(before > 0);
	if (least->is_kept)
		lower(least, slot);
	return before == least->limits[slot];
}

uint32_t least_first(const struct least *least, uint32_t first, uint32_t count, uint32_t turn,
		     uint32_t avoid)
{
	uint32_t groups_first = first / LEAST_GROUP;
	uint32_t groups = (count + LEAST_GROUP - 1) / LEAST_GROUP;
	uint32_t group = turn >= first && turn < first + count ? turn / LEAST_GROUP : groups_first;
	uint32_t found = LEAST_NONE;
	uint64_t found_load = LOAD_NONE;

	assert(first % LEAST_GROUP == 0);
	for (uint32_t i = 0; i < groups; i++) {
		uint64_t word = atomic_load_explicit(&least->best[group], memory_order_acquire);
		uint64_t load = word_load(word);
		uint32_t place = word_slot(word);

		if (group * LEAST_GROUP + place == avoid)
			place = look(least, group, place + 1, avoid, &load);
		if (load < found_load) {
			found_load = load;
			found = group * LEAST_GROUP + place;
		}
		if (++group == groups_first + groups)
			group = groups_first;
	}
	return found;
}
