/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - the arithmetic of slots.
 *
 * 3 significant digits ask for slots of 1 up to 2 * 10^3, for above that a slot of 2 is still less
 * than a thousandth; the power of two that holds them is 2,048 = 2^11. The upper half of it, 1,024
 * slots, is repeated in every later bucket with slots of twice the width (its lower half would be
 * what the bucket below shows already, and more coarsely).
 *
 *      value   0 1 0 0 0 0 0 0 0 1 1 1 0          bucket: how many bits it is longer than 11
 *                | 11 bits: the slot |
 *
 * Buckets follow each other in the counts, each 1,024 long, the lower half of bucket 0 in front.
 */
#include "base/histogram.h"

#include <math.h>
#include <string.h>

#define SLOT_BITS 11u /* ceil(log2(2 * 10^3)) */
#define BUCKET_SLOTS (1u << SLOT_BITS)
#define HALF_SLOTS (BUCKET_SLOTS / 2)
#define BUCKETS_MAX 53u /* a value has at most 64 bits */

static_assert(BUCKET_SLOTS >= 2 * 1000, "three significant digits");

static unsigned bucket_of(uint64_t value)
{
	return 64u - (unsigned)__builtin_clzll(value | (BUCKET_SLOTS - 1)) - SLOT_BITS;
}

static unsigned bucket_of_index(uint32_t index)
{
	return index < BUCKET_SLOTS ? 0 : index / HALF_SLOTS - 1;
}

uint32_t histogram_slots_count(uint64_t highest)
{
	assert(highest >= HISTOGRAM_HIGHEST_MIN);
	assert(highest <= HISTOGRAM_HIGHEST_MAX);
	/* As many buckets as the highest value's, and the lower half of the first. */
	return (bucket_of(highest) + 2) * HALF_SLOTS;
}

uint32_t histogram_index(uint64_t value)
{
	unsigned bucket = bucket_of(value);
	uint32_t slot = (uint32_t)(value >> bucket);

	assert(slot < BUCKET_SLOTS);
	assert(bucket == 0 || slot >= HALF_SLOTS);
	return bucket * HALF_SLOTS + slot;
}

uint64_t histogram_slot_lowest(uint32_t index)
{
	unsigned bucket = bucket_of_index(index);
	uint64_t slot = index - bucket * HALF_SLOTS;

	assert(bucket <= BUCKETS_MAX);
	assert(slot < BUCKET_SLOTS);
	return slot << bucket;
}

uint64_t histogram_slot_highest(uint32_t index)
{
	return histogram_slot_lowest(index) + ((1ull << bucket_of_index(index)) - 1);
}

static double slot_middle(uint32_t index)
{
	uint64_t half_width = (1ull << bucket_of_index(index)) / 2;

	return (double)(histogram_slot_lowest(index) + half_width);
}

void histogram_init(struct histogram *histogram, uint64_t highest, uint64_t *counts)
{
	assert(histogram);
	assert(counts);
	histogram->counts = counts;
	histogram->slots_count = histogram_slots_count(highest);
	histogram->highest = highest;
	assert(histogram_index(highest) < histogram->slots_count);
	histogram_reset(histogram);
}

void histogram_reset(struct histogram *histogram)
{
	memset(histogram->counts, 0, histogram->slots_count * sizeof(histogram->counts[0]));
	histogram->total = 0;
	histogram->min = UINT64_MAX;
	histogram->max = 0;
}

bool histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t count)
{
	uint32_t index = histogram_index(value);

	if (index >= histogram->slots_count)
		return false;
	if (count == 0)
		return true;
	histogram->counts[index] += count;
	histogram->total += count;
	assert(histogram->total >= count);
	if (value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
	return true;
}

bool histogram_record(struct histogram *histogram, uint64_t value)
{
	return histogram_record_many(histogram, value, 1);
}

/* A slot's lowest value stands for all of them: what is read back is a slot anyway. */
uint64_t histogram_merge(struct histogram *to, const struct histogram *from)
{
	uint64_t dropped = 0;

	assert(to != from);
	for (uint32_t i = 0; i < from->slots_count; i++) {
		uint64_t count = from->counts[i];

		if (count > 0 && !histogram_record_many(to, histogram_slot_lowest(i), count))
			dropped += count;
	}
	assert(dropped <= from->total);
	return dropped;
}

uint64_t histogram_value_at_percentile(const struct histogram *histogram, double percentile)
{
	double share = (percentile < 100 ? percentile : 100) / 100;
	uint64_t wanted = (uint64_t)(share * (double)histogram->total + 0.5);
	uint64_t cumulative = 0;

	assert(percentile >= 0);
	if (histogram->total == 0)
		return 0;
	if (wanted == 0)
		wanted = 1;
	if (wanted > histogram->total) /* more than 2^53 values: a double rounds */
		wanted = histogram->total;
	for (uint32_t i = 0; i < histogram->slots_count; i++) {
		cumulative += histogram->counts[i];
		if (cumulative >= wanted)
			return percentile > 0 ? histogram_slot_highest(i)
			                      : histogram_slot_lowest(i);
	}
	unreachable();
	return 0;
}

uint64_t histogram_min(const struct histogram *histogram)
{
	if (histogram->total == 0)
		return 0;
	assert(histogram->min != UINT64_MAX);
	return histogram_slot_lowest(histogram_index(histogram->min));
}

uint64_t histogram_max(const struct histogram *histogram)
{
	return histogram_slot_highest(histogram_index(histogram->max));
}

double histogram_mean(const struct histogram *histogram)
{
	double sum = 0;

	if (histogram->total == 0)
		return 0;
	for (uint32_t i = 0; i < histogram->slots_count; i++)
		if (histogram->counts[i] > 0)
			sum += (double)histogram->counts[i] * slot_middle(i);
	return sum / (double)histogram->total;
}

double histogram_stddev(const struct histogram *histogram)
{
	double mean = histogram_mean(histogram), sum = 0;

	if (histogram->total == 0)
		return 0;
	for (uint32_t i = 0; i < histogram->slots_count; i++) {
		double off = slot_middle(i) - mean;

		if (histogram->counts[i] > 0)
			sum += (double)histogram->counts[i] * off * off;
	}
	assert(sum >= 0);
	return sqrt(sum / (double)histogram->total);
}

uint64_t histogram_count_at(const struct histogram *histogram, uint64_t value)
{
	uint32_t index = histogram_index(value);

	return index < histogram->slots_count ? histogram->counts[index] : 0;
}

void histogram_walk_start(struct histogram_walk *walk, const struct histogram *histogram)
{
	assert(histogram->counts);
	memset(walk, 0, sizeof(*walk));
	walk->histogram = histogram;
}

/* Move to the next slot with a count. */
static bool walk_step(struct histogram_walk *walk)
{
	const struct histogram *histogram = walk->histogram;
	uint32_t index = walk->started ? walk->index + 1 : 0;

	if (walk->cumulative == histogram->total)
		return false;
	while (index < histogram->slots_count && histogram->counts[index] == 0)
		index++;
	assert(index < histogram->slots_count);
	walk->started = true;
	walk->index = index;
	walk->value = histogram_slot_highest(index);
	walk->count = histogram->counts[index];
	walk->cumulative += walk->count;
	assert(walk->cumulative <= histogram->total);
	return true;
}

static double walk_share(const struct histogram_walk *walk)
{
	assert(walk->histogram->total > 0);
	return 100.0 * (double)walk->cumulative / (double)walk->histogram->total;
}

bool histogram_next_recorded(struct histogram_walk *walk)
{
	if (!walk_step(walk))
		return false;
	walk->percentile = walk_share(walk);
	return true;
}

/* The next percentile to show after this one: each time the distance to 100 has halved, steps are
 * half as long. */
static double percentile_after(double percentile, uint32_t ticks)
{
	double halvings = 2;

	/* 2^1000 is finite, and 100 - percentile is 0 long before. */
	while (halvings < 0x1p1000 && 100 / (100 - percentile) >= halvings)
		halvings *= 2;
	return percentile + 100 / (ticks * halvings);
}

bool histogram_next_percentile(struct histogram_walk *walk, uint32_t ticks)
{
	bool moved = true;

	assert(ticks > 0);
	if (walk->finished)
		return false;
	if (walk->cumulative == walk->histogram->total) {
		/* The last slot was shown for the percentile that reached it; now for the rest. */
		walk->percentile = 100;
		walk->finished = true;
		return walk->started;
	}
	if (!walk->started)
		moved = walk_step(walk);
	while (moved && walk_share(walk) < walk->next_percentile)
		moved = walk_step(walk);
	walk->percentile = walk->next_percentile;
	walk->next_percentile = percentile_after(walk->next_percentile, ticks);
	return true;
}
