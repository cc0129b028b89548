/* SPDX-License-Identifier: MIT */
/*
 * tables.c - memory of tables, and which of two is read.
 */
#include "tables.h"

#include <string.h>

#include "base/assert.h"

static uint64_t weights_sum(const struct table_maker *maker)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < maker->servers; i++)
		sum += maker->weights[i];
	return sum;
}

void table_reserve_scratch(struct table_maker *maker, enum conf_balance balance, uint32_t servers,
			   struct arena *arena)
{
	maker->balance = balance;
	maker->servers = servers;
	maker->weights = arena_take(arena, servers, sizeof(*maker->weights));
	maker->ids = arena_take(arena, servers, sizeof(*maker->ids));
	if (balance == BALANCE_MAGLEV)
		maker->turns = arena_take(arena, servers, sizeof(*maker->turns));
}

void table_reserve(struct table_maker *maker, struct arena *arena)
{
	uint64_t sum = weights_sum(maker);

	if (sum == 0)
		return;
	if (maker->balance == BALANCE_SOURCE_HASH)
		maker->bytes = ring_hash_size(sum);
	else
		maker->bytes = maglev_rows(maker->weights, maker->servers) * sizeof(uint16_t);
	maker->memory[0] = arena_take(arena, 1, maker->bytes);
	maker->in_use = 1;
}

void table_reserve_two(struct table_maker *maker, uint64_t weights_sum_max, struct arena *arena)
{
	if (weights_sum_max == 0)
		return;
	if (maker->balance == BALANCE_SOURCE_HASH)
		maker->bytes = ring_hash_size_max(weights_sum_max);
	else
		maker->bytes = MAGLEV_ROWS_MANY * sizeof(uint16_t);
	maker->memory[0] = arena_take(arena, 1, maker->bytes);
	maker->memory[1] = arena_take(arena, 1, maker->bytes);
	maker->in_use = 1;
}

void table_build(struct table_maker *maker, struct table *built)
{
	void *memory = maker->memory[!maker->in_use];

	*built = (struct table){ .is_maglev = maker->balance == BALANCE_MAGLEV };
	if (weights_sum(maker) == 0)
		return;
	assert(memory != NULL);
	built->is_there = true;
	if (built->is_maglev)
		maglev_init(&built->maglev, maker->weights, maker->ids, maker->servers, memory,
			    maker->turns);
	else
		ring_hash_init(&built->ring, maker->weights, maker->ids, maker->servers, memory);
}

void table_swap(struct table_maker *maker, const struct table *built)
{
	maker->table = *built;
	maker->in_use = !maker->in_use;
}

void table_copy(struct table *copy, void *memory, const struct table_maker *maker)
{
	const struct table *table = &maker->table;
	struct ring_hash *ring = &copy->ring;
	size_t bytes;

	*copy = *table;
	if (!table->is_there)
		return;
	if (table->is_maglev) {
		bytes = table->maglev.rows_count * sizeof(uint16_t);
		memcpy(memory, table->maglev.rows, bytes);
		copy->maglev.rows = memory;
	} else {
		bytes = ring_hash_bytes(&table->ring);
		memcpy(memory, table->ring.points, bytes);
		ring->points = memory;
		ring->starts = (uint32_t *)(ring->points + ring->count);
	}
	assert(bytes <= maker->bytes);
}
