/* SPDX-License-Identifier: MIT */
/*
 * histogram - how often each value occurred, to 3 significant digits, in fixed memory.
 *
 * Values are counted in slots that are at most 1/1,000 of the value wide: slot for slot the same as
 * HdrHistogram's with lowest 1 and 3 significant digits, so counts can be exchanged by index.
 *
 *      bucket 0    2,048 slots of 1      values       0 ..  2,047
 *      bucket 1    1,024 slots of 2      values   2,048 ..  4,095
 *      bucket 2    1,024 slots of 4      values   4,096 ..  8,191        and so on
 *
 * The unit is the caller's: 60 s are 27,648 slots (216 KiB) in ns, 17,408 (136 KiB) in us.
 *
 * A value read back stands for all values of its slot: a percentile and the maximum are the
 * highest value of a slot, the minimum is the lowest; mean and deviation reckon with the middle.
 *
 * Pure: no clock, no allocator. Not thread safe: each thread records into its own, and
 * histogram_merge() adds them up when they rest.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#include "base/assert.h"

#define HISTOGRAM_HIGHEST_MIN 2ull
#define HISTOGRAM_HIGHEST_MAX ((uint64_t)INT64_MAX)

struct histogram {
	uint64_t *counts; /* borrowed from the caller of histogram_init() until the end */
	uint32_t slots_count;
	uint64_t highest; /* as given; values up to the end of the last slot are recorded */
	uint64_t total;   /* values recorded */
	uint64_t min;     /* in the lowest slot in use; UINT64_MAX: none is */
	uint64_t max;     /* in the highest slot in use; 0: none is */
};

/* How many counts histogram_init() needs for values up to highest (HIGHEST_MIN .. HIGHEST_MAX). */
uint32_t histogram_slots_count(uint64_t highest);

/* counts: histogram_slots_count(highest) of them, which are zeroed here. */
void histogram_init(struct histogram *histogram, uint64_t highest, uint64_t *counts);
/* Forget what was recorded. */
void histogram_reset(struct histogram *histogram);

/* Count a value. Returns false, and counts nothing, when it lies beyond the last slot. */
bool histogram_record(struct histogram *histogram, uint64_t value);
bool histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t count);

/* Add what `from` recorded; returns how many of its values `to` is too short for. */
uint64_t histogram_merge(struct histogram *to, const struct histogram *from);

/* The value that this percentage of the recorded ones does not exceed; 0 when there are none.
 * percentile: 0 .. 100, and more counts as 100. 0 gives the lowest value. */
uint64_t histogram_value_at_percentile(const struct histogram *histogram, double percentile);
uint64_t histogram_min(const struct histogram *histogram); /* 0 when nothing is recorded */
uint64_t histogram_max(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram);
double histogram_stddev(const struct histogram *histogram);

/* How often a value of the same slot as this one was recorded. */
uint64_t histogram_count_at(const struct histogram *histogram, uint64_t value);

/* The slots as such, for exchange with other implementations. */
uint32_t histogram_index(uint64_t value);
uint64_t histogram_slot_lowest(uint32_t index);
uint64_t histogram_slot_highest(uint32_t index);

/*
 * Walks. Each call of a next function moves to the next line of a table, and returns false at its
 * end; nothing may be recorded meanwhile.
 *
 *      struct histogram_walk walk;
 *      for (histogram_walk_start(&walk, h); histogram_next_recorded(&walk);)
 *              use(walk.value, walk.count);
 */
struct histogram_walk {
	const struct histogram *histogram; /* borrowed */
	uint64_t value;      /* highest value of the slot at hand */
	uint64_t count;      /* of that slot */
	uint64_t cumulative; /* of it and all below */
	double percentile;   /* recorded: what share that is; percentiles: the one asked for */
	uint32_t index;      /* the slot at hand, once `started` */
	bool started;
	bool finished;
	double next_percentile;
};

void histogram_walk_start(struct histogram_walk *walk, const struct histogram *histogram);

/* Slots with a count other than 0, lowest first. */
bool histogram_next_recorded(struct histogram_walk *walk);

/* Percentiles in steps that get finer towards 100: `ticks` steps to halve the distance that is
 * left, as HdrHistogram prints them. The last line is 100. */
bool histogram_next_percentile(struct histogram_walk *walk, uint32_t ticks);

#endif
