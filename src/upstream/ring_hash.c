/* SPDX-License-Identifier: MIT */
/*
 * ring_hash.c - points by the upper bits of their places, then in order.
 */
#include "ring_hash.h"

#include <string.h>

#include "base/assert.h"
#include "mix.h"

#define SERVER_BITS 16
#define SERVER_MASK ((UINT64_C(1) << SERVER_BITS) - 1)

uint32_t ring_hash_points(uint64_t weights_sum)
{
	uint32_t points = RING_POINTS;

	assert(weights_sum > 0 && weights_sum <= RING_POINTS_MAX);
	while (points * weights_sum > RING_POINTS_MAX)
		points /= 2;
	assert(points > 0);
	return points;
}

/* Values of the upper bits: as many as points, rounded up to a power of two. */
static uint32_t starts_bits(uint64_t count)
{
	uint32_t bits = 1;

	while ((UINT64_C(1) << bits) < count)
		bits++;
	return bits;
}

static size_t size_of(uint64_t points)
{
	return points * sizeof(uint64_t) +
	       ((UINT64_C(1) << starts_bits(points)) + 1) * sizeof(uint32_t);
}

size_t ring_hash_size(uint64_t weights_sum)
{
	return size_of(ring_hash_points(weights_sum) * weights_sum);
}

size_t ring_hash_size_max(uint64_t weights_sum)
{
	uint64_t points = RING_POINTS * weights_sum;

	return size_of(points < RING_POINTS_MAX ? points : RING_POINTS_MAX);
}

size_t ring_hash_bytes(const struct ring_hash *ring)
{
	return size_of(ring->count);
}

static uint64_t point_at(uint64_t id, uint32_t number, uint32_t server)
{
	return (mix_two(id, number) & ~SERVER_MASK) | server;
}

/* Order the points from `first` on; they are few. */
static void sort_few(uint64_t *points, uint32_t first, uint32_t last)
{
	for (uint32_t i = first + 1; i < last; i++) {
		uint64_t point = points[i];
		uint32_t at = i;

		for (; at > first && points[at - 1] > point; at--)
			points[at] = points[at - 1];
		points[at] = point;
	}
}

void ring_hash_init(struct ring_hash *ring, const uint32_t *weights, const uint64_t *ids,
		    uint32_t servers, void *memory)
{
	uint64_t sum = 0;
	uint32_t per_weight, bits, end;

	assert(servers <= SERVER_MASK);
	for (uint32_t i = 0; i < servers; i++)
		sum += weights[i];
	per_weight = ring_hash_points(sum);
	ring->count = (uint32_t)(per_weight * sum);
	bits = starts_bits(ring->count);
	ring->shift = 64 - bits;
	ring->points = memory;
	ring->starts = (uint32_t *)(ring->points + ring->count);
	end = 1u << bits;
	memset(ring->starts, 0, (end + 1ul) * sizeof(ring->starts[0]));
	/* Count them, turn counts to ends, put each in front of its end: then ends are starts. */
	for (uint32_t i = 0; i < servers; i++) {
		for (uint32_t j = 0; j < weights[i] * per_weight; j++)
			ring->starts[point_at(ids[i], j, i) >> ring->shift]++;
	}
	for (uint32_t i = 1; i <= end; i++)
		ring->starts[i] += ring->starts[i - 1];
	assert(ring->starts[end] == ring->count);
	for (uint32_t i = 0; i < servers; i++) {
		for (uint32_t j = 0; j < weights[i] * per_weight; j++) {
			uint64_t point = point_at(ids[i], j, i);

			ring->points[--ring->starts[point >> ring->shift]] = point;
		}
	}
	for (uint32_t i = 0; i < end; i++)
		sort_few(ring->points, ring->starts[i], ring->starts[i + 1]);
}

uint32_t ring_hash_find(const struct ring_hash *ring, uint64_t hash)
{
	uint32_t at = ring->starts[hash >> ring->shift];

	while (at < ring->count && (ring->points[at] | SERVER_MASK) < hash)
		at++;
	return (uint32_t)(ring->points[at < ring->count ? at : 0] & SERVER_MASK);
}
