/* SPDX-License-Identifier: MIT */
/*
 * The parts of balancing against their rules: the tournament against smooth weighted round robin
 * done by hand, the alias table against exact chances, the ring and the table of maglev against
 * shares and movement, the groups of least_sessions against a search.
 */
#include <stdlib.h>

#include "unit.h"
#include "upstream/alias.h"
#include "upstream/least.h"
#include "upstream/maglev.h"
#include "upstream/mix.h"
#include "upstream/ring_hash.h"
#include "upstream/round_robin.h"

#define SERVERS_MAX 1024
#define KEYS 200000u

/* ------------------------------------------------------------------ round_robin */

/* The rule, in O(n). */
struct rule {
	int64_t credit[SERVERS_MAX];
	uint32_t weight[SERVERS_MAX];
	uint32_t count;
};

static uint32_t rule_next(struct rule *rule, uint32_t avoid)
{
	uint32_t best = ROUND_ROBIN_NONE;
	int64_t sum = 0;

	for (uint32_t i = 0; i < rule->count; i++) {
		if (rule->weight[i] == 0)
			continue;
		rule->credit[i] += rule->weight[i];
		sum += rule->weight[i];
		if (i != avoid &&
		    (best == ROUND_ROBIN_NONE || rule->credit[i] > rule->credit[best]))
			best = i;
	}
	if (best != ROUND_ROBIN_NONE)
		rule->credit[best] -= sum;
	return best;
}

static uint32_t tournament_next(struct round_robin *rr, uint32_t avoid)
{
	uint32_t server = round_robin_first(rr, avoid);

	if (server != ROUND_ROBIN_NONE)
		round_robin_take(rr, server);
	return server;
}

static struct rule rule;

TEST(the_tournament_is_smooth_round_robin_choice_by_choice)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t random = seed;
		uint32_t servers = 1 + (uint32_t)(unit_random(&random) % (seed % 3 ? 9 : 300));
		uint32_t bound = seed % 4 ? 6 : 257;
		void *memory = malloc(round_robin_size(servers));
		struct round_robin rr;
		uint32_t left_out = ROUND_ROBIN_NONE;

		assert(memory);
		memset(&rule, 0, sizeof(rule));
		rule.count = servers;
		for (uint32_t i = 0; i < servers; i++)
			rule.weight[i] = (uint32_t)(unit_random(&random) % bound);
		round_robin_init(&rr, servers, memory);
		round_robin_set(&rr, rule.weight, servers);
		for (uint32_t i = 0; i < 3000; i++) {
			uint32_t avoid = unit_random(&random) % 8 ?
						 ROUND_ROBIN_NONE :
						 (uint32_t)(unit_random(&random) % servers);
			uint32_t right;

			/* One that leaves keeps its credit, and comes back with it. */
			if (left_out != ROUND_ROBIN_NONE && unit_random(&random) % 16 == 0) {
				rule.weight[left_out] = 1 + (uint32_t)(i % 7);
				round_robin_insert(&rr, left_out, rule.weight[left_out]);
				left_out = ROUND_ROBIN_NONE;
			} else if (left_out == ROUND_ROBIN_NONE && unit_random(&random) % 16 == 0 &&
				   rule.weight[i % servers] > 0) {
				left_out = i % servers;
				rule.weight[left_out] = 0;
				round_robin_remove(&rr, left_out);
			}
			if (rr.count == 0)
				continue;
			right = rr.count == 1 && avoid != ROUND_ROBIN_NONE &&
						rule.weight[avoid] > 0 ?
					ROUND_ROBIN_NONE :
					rule_next(&rule, avoid);
			if (!CHECK_UINT(tournament_next(&rr, avoid), right))
				break;
		}
		free(memory);
	}
}

/* As it does by itself after very many choices, before numbers grow too large. */
TEST(the_tournament_goes_on_the_same_when_its_time_begins_anew)
{
	uint32_t weights[50];
	struct round_robin rr[2];
	void *memory[2];

	for (uint32_t i = 0; i < 50; i++)
		weights[i] = i * i % 23;
	for (uint32_t i = 0; i < 2; i++) {
		memory[i] = malloc(round_robin_size(50));
		assert(memory[i]);
		round_robin_init(&rr[i], 50, memory[i]);
		round_robin_set(&rr[i], weights, 50);
	}
	for (uint32_t i = 0; i < 5000; i++) {
		if (i % 700 == 600)
			round_robin_set(&rr[0], rr[0].weight, rr[0].leaves);
		CHECK_UINT(tournament_next(&rr[0], ROUND_ROBIN_NONE),
			   tournament_next(&rr[1], ROUND_ROBIN_NONE));
	}
	free(memory[0]);
	free(memory[1]);
}

TEST(weights_that_change_take_effect_without_a_burst)
{
	uint32_t weights[100];
	uint64_t random = 5;
	struct round_robin rr;
	void *memory = malloc(round_robin_size(100));

	assert(memory);
	round_robin_init(&rr, 100, memory);
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t counts[100] = { 0 };
		uint32_t sum = 0;

		for (uint32_t i = 0; i < 100; i++) {
			weights[i] = unit_random(&random) % 4 ? 1 + (uint32_t)(i % 5) : 0;
			sum += weights[i];
		}
		round_robin_set(&rr, weights, 100);
		for (uint32_t i = 0; i < 3 * sum; i++)
			counts[tournament_next(&rr, ROUND_ROBIN_NONE)]++;
		for (uint32_t i = 0; i < 100; i++) {
			CHECK(counts[i] + 3 >= 3 * weights[i]);
			CHECK(counts[i] <= 3 * weights[i] + 3);
		}
	}
	free(memory);
}

/* ------------------------------------------------------------------ alias */

/* The chance of each server, exactly, as the table gives it. */
TEST(the_alias_table_has_the_chances_of_the_weights)
{
	static struct alias_row rows[SERVERS_MAX];
	static uint64_t shares[SERVERS_MAX];
	static uint16_t stacks[SERVERS_MAX];
	static uint32_t weights[SERVERS_MAX];
	static double chances[SERVERS_MAX];
	struct alias alias = { .rows = rows, .shares = shares, .stacks = stacks };

	for (uint64_t seed = 1; seed <= 50; seed++) {
		uint64_t random = seed;
		uint32_t count = 1 + (uint32_t)(unit_random(&random) % SERVERS_MAX);
		double sum = 0;

		memset(chances, 0, sizeof(chances));
		for (uint32_t i = 0; i < count; i++) {
			weights[i] = (uint32_t)(unit_random(&random) % (seed % 2 ? 3 : 65537));
			sum += weights[i];
		}
		if (sum == 0)
			continue;
		alias_set(&alias, weights, count);
		for (uint32_t i = 0; i < count; i++) {
			double own = rows[i].threshold / 4294967296.0;

			chances[i] += own / count;
			chances[rows[i].other] += (1 - own) / count;
		}
		for (uint32_t i = 0; i < count; i++)
			CHECK_NEAR(chances[i], weights[i] / sum, 1e-8);
		for (uint32_t i = 0; i < 1000; i++)
			CHECK(weights[alias_draw(&alias, unit_random(&random))] > 0);
	}
}

/* ------------------------------------------------------------------ the hashes */

/* A hash of servers whose names are numbers. */
struct table {
	bool is_maglev;
	struct ring_hash ring;
	struct maglev maglev;
	void *memory;
	uint32_t count;
	uint32_t weights[SERVERS_MAX];
	uint64_t ids[SERVERS_MAX];
};

static void table_add(struct table *table, uint32_t name, uint32_t weight)
{
	table->weights[table->count] = weight;
	table->ids[table->count++] = mix(name + 1000);
}

static void table_make(struct table *table)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < table->count; i++)
		sum += table->weights[i];
	if (table->is_maglev) {
		struct maglev_turn *turns = calloc(table->count, sizeof(*turns));

		table->memory = calloc(maglev_rows(table->weights, table->count), 2);
		assert(table->memory && turns);
		maglev_init(&table->maglev, table->weights, table->ids, table->count, table->memory,
			    turns);
		free(turns);
	} else {
		table->memory = malloc(ring_hash_size(sum));
		assert(table->memory);
		ring_hash_init(&table->ring, table->weights, table->ids, table->count,
			       table->memory);
	}
}

static uint32_t table_find(const struct table *table, uint64_t key)
{
	return table->is_maglev ? maglev_find(&table->maglev, mix(key)) :
				  ring_hash_find(&table->ring, mix(key));
}

static struct table tables[2];

static void tables_clear(bool is_maglev)
{
	memset(tables, 0, sizeof(tables));
	tables[0].is_maglev = tables[1].is_maglev = is_maglev;
}

TEST(the_ring_finds_the_first_point_at_or_after_the_key)
{
	uint64_t random = 3;
	const struct ring_hash *ring = &tables[0].ring;

	tables_clear(false);
	for (uint32_t i = 0; i < 7; i++)
		table_add(&tables[0], i, i);
	table_make(&tables[0]);
	for (uint32_t i = 1; i < ring->count; i++)
		CHECK(ring->points[i - 1] < ring->points[i]);
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t hash = i == 0 ? 0 : i == 1 ? UINT64_MAX : unit_random(&random);
		uint32_t low = 0;
		uint32_t high = ring->count;

		while (low < high) {
			uint32_t middle = (low + high) / 2;

			if (ring->points[middle] >> 16 < hash >> 16)
				low = middle + 1;
			else
				high = middle;
		}
		CHECK_UINT(ring_hash_find(ring, hash),
			   ring->points[low < ring->count ? low : 0] & 0xffff);
	}
	free(tables[0].memory);
}

/* The largest share over what its weight says, and the smallest, over servers of such a weight. */
static void shares_within(bool is_maglev, uint32_t servers, const uint32_t *weights,
			  uint32_t weights_count, double low, double high)
{
	static uint32_t counts[SERVERS_MAX];
	double sum = 0;

	tables_clear(is_maglev);
	memset(counts, 0, sizeof(counts));
	for (uint32_t i = 0; i < servers; i++) {
		table_add(&tables[0], i, weights[i % weights_count]);
		sum += weights[i % weights_count];
	}
	table_make(&tables[0]);
	for (uint32_t key = 0; key < 5 * KEYS; key++)
		counts[table_find(&tables[0], key)]++;
	for (uint32_t i = 0; i < servers; i++) {
		double right = 5.0 * KEYS * tables[0].weights[i] / sum;
		double noise = 4 / (right > 0 ? __builtin_sqrt(right) : 1);

		CHECK(counts[i] >= right * (low - noise));
		CHECK(counts[i] <= right * (high + noise));
	}
	free(tables[0].memory);
}

TEST(the_ring_honours_weights_within_a_few_percent)
{
	const uint32_t equal[] = { 1 };
	const uint32_t mixed[] = { 1, 2, 5, 0, 10 };
	const uint32_t large[] = { 256, 100, 7 };

	shares_within(false, 2, equal, 1, 0.9, 1.1);
	shares_within(false, 10, equal, 1, 0.9, 1.1);
	shares_within(false, 100, equal, 1, 0.88, 1.12);
	shares_within(false, 10, mixed, 5, 0.88, 1.12);
	shares_within(false, 3, large, 3, 0.95, 1.05);
	shares_within(false, 1000, equal, 1, 0.75, 1.25);
}

TEST(maglev_honours_weights_to_a_row_or_two)
{
	static const uint32_t weights[] = { 1, 2, 5, 0, 10, 256, 77 };

	for (uint32_t servers = 1; servers <= 1000; servers = servers * 3 + 1) {
		static uint32_t rows[SERVERS_MAX];
		double sum = 0;

		tables_clear(true);
		memset(rows, 0, sizeof(rows));
		for (uint32_t i = 0; i < servers; i++) {
			table_add(&tables[0], i, weights[i % 7]);
			sum += weights[i % 7];
		}
		table_make(&tables[0]);
		for (uint32_t i = 0; i < tables[0].maglev.rows_count; i++)
			rows[tables[0].maglev.rows[i]]++;
		for (uint32_t i = 0; i < servers; i++)
			CHECK_NEAR(rows[i], tables[0].maglev.rows_count * (weights[i % 7] / sum),
				   1.6);
		free(tables[0].memory);
	}
	{
		const uint32_t equal[] = { 1 };

		shares_within(true, 10, equal, 1, 0.999, 1.001);
		shares_within(true, 1000, equal, 1, 0.98, 1.02);
	}
}

/* How many of KEYS go elsewhere once the file has one server more, in front of the others; and do
 * those that move all go to the new one? Returns the strays. */
static uint32_t moved_by_one_more(bool is_maglev, uint32_t servers, uint32_t *moved)
{
	uint32_t strays = 0;

	tables_clear(is_maglev);
	table_add(&tables[1], servers, 1);
	for (uint32_t i = 0; i < servers; i++) {
		table_add(&tables[0], i, 1);
		table_add(&tables[1], i, 1);
	}
	table_make(&tables[0]);
	table_make(&tables[1]);
	*moved = 0;
	for (uint32_t key = 0; key < KEYS; key++) {
		uint32_t before = table_find(&tables[0], key);
		uint32_t after = table_find(&tables[1], key);

		*moved += after != before + 1;
		strays += after != before + 1 && after != 0;
	}
	free(tables[0].memory);
	free(tables[1].memory);
	return strays;
}

TEST(one_server_more_moves_its_share_of_the_keys)
{
	const uint32_t sizes[] = { 1, 2, 4, 8, 10, 31, 100, 200 };
	uint32_t moved;

	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		double share = (double)KEYS / (sizes[i] + 1);

		CHECK_UINT(moved_by_one_more(false, sizes[i], &moved), 0);
		CHECK_NEAR(moved, share, share * 0.2);
		/* Maglev pays for its even shares: the more servers, the more keys go astray. */
		CHECK(moved_by_one_more(true, sizes[i], &moved) <
		      share * (sizes[i] < 50 ? 0.5 : 2));
		CHECK(moved < share * (sizes[i] < 50 ? 1.5 : 3));
		CHECK(moved >= share * 0.95);
	}
}

/* ------------------------------------------------------------------ least */

TEST(the_groups_know_the_least_after_every_change)
{
	enum { SLOTS = 160 };
	static _Atomic uint32_t sessions[SLOTS];
	static _Atomic uint64_t steps[SLOTS];
	static _Atomic uint64_t best[SLOTS / LEAST_GROUP];
	static uint32_t limits[SLOTS];
	uint32_t weights[SLOTS] = { 0 };
	struct least least = { .slots = SLOTS, .is_kept = true, .sessions = sessions };
	uint64_t random = 9;

	least.steps = steps;
	least.limits = limits;
	least.best = best;
	least_init(&least);
	for (uint32_t i = 0; i < SLOTS; i++)
		limits[i] = i % 3 ? UINT32_MAX : 5;
	CHECK_UINT(least_first(&least, 0, SLOTS, 0, LEAST_NONE), LEAST_NONE);
	for (uint32_t step = 0; step < 30000; step++) {
		uint32_t slot = (uint32_t)(unit_random(&random) % SLOTS);
		uint32_t avoid = (uint32_t)(unit_random(&random) % SLOTS);
		uint64_t right = UINT64_MAX;
		uint32_t found;

		if (step % 50 == 0) {
			weights[slot] = (uint32_t)(unit_random(&random) % 4) * 256;
			least_set_weight(&least, slot, weights[slot]);
		}
		found = least_first(&least, 64, 70, slot, avoid);
		for (uint32_t i = 64; i < 134; i++) {
			uint64_t now = sessions[i];
			uint64_t load = now > 0 ? (now + 1) * steps[i] : 0;

			if (i != avoid && weights[i] > 0 && now < limits[i] && load < right)
				right = load;
		}
		if (right == UINT64_MAX) {
			/* Unused slots behind the range have weights here, so look only there. */
			CHECK(found == LEAST_NONE || found >= 134);
		} else if (found < 134) {
			CHECK(found >= 64 && found != avoid && weights[found] > 0);
			CHECK_UINT(sessions[found] > 0 ? (sessions[found] + 1) * steps[found] : 0,
				   right);
		}
		if (unit_random(&random) % 5 < 3) {
			bool is_full = sessions[slot] >= limits[slot];

			CHECK((least_begin(&least, slot) == LEAST_FULL) == is_full);
		} else if (sessions[slot] > 0) {
			bool was_full = sessions[slot] == limits[slot];

			CHECK(least_end(&least, slot) == was_full);
		}
	}
}

static const struct unit_test tests[] = {
	ROW(the_tournament_is_smooth_round_robin_choice_by_choice),
	ROW(the_tournament_goes_on_the_same_when_its_time_begins_anew),
	ROW(weights_that_change_take_effect_without_a_burst),
	ROW(the_alias_table_has_the_chances_of_the_weights),
	ROW(the_ring_finds_the_first_point_at_or_after_the_key),
	ROW(the_ring_honours_weights_within_a_few_percent),
	ROW(maglev_honours_weights_to_a_row_or_two),
	ROW(one_server_more_moves_its_share_of_the_keys),
	ROW(the_groups_know_the_least_after_every_change),
};
UNIT_MAIN(tests)
