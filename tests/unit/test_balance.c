/* SPDX-License-Identifier: MIT */
/*
 * Choices through the whole layer: by each balancing, with limits, backups, drained servers,
 * servers that go and come, by one worker and by several.
 */
#include <math.h>
#include <stdlib.h>

#include "upstream_helpers.h"

#define KEYS 20000u

static const enum conf_balance all_balances[] = {
	BALANCE_ROUND_ROBIN, BALANCE_LEAST_SESSIONS, BALANCE_RANDOM_TWO,
	BALANCE_SOURCE_HASH, BALANCE_MAGLEV,
};
static const char *const balance_names[] = {
	"round_robin", "least_sessions", "random_two", "source_hash", "maglev",
};
static const enum conf_balance hashes[] = { BALANCE_SOURCE_HASH, BALANCE_MAGLEV };

/* Run a check for each balancing, named in its failures. */
#define FOR_EACH_BALANCE(balance)                             \
	for (enum conf_balance balance = BALANCE_ROUND_ROBIN; \
	     balance <= BALANCE_MAGLEV && (unit_row(balance_names[balance]), true); balance++)

/* ------------------------------------------------------------------ round_robin */

TEST(round_robin_has_the_smooth_sequence_in_each_worker)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 3);
	const uint32_t right[] = { 0, 0, 1, 0, 2, 0, 0, 0, 0, 1 };

	c->servers[0].weight = 5;
	case_open(c, 2);
	for (uint32_t i = 0; i < 7; i++) {
		CHECK_UINT(choose_at(c, 0, 0), right[i]);
		CHECK_UINT(choose_at(c, 1, 0), right[i + 1]);
	}
	case_close(c);
}

/* One of three is full, and nobody else has more than its turn. */
TEST(round_robin_passes_over_a_full_server_and_comes_back)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 3);
	uint32_t counts[3] = { 0 };

	c->servers[1].max_sessions = 2;
	case_open(c, 1);
	for (uint32_t i = 0; i < 20; i++)
		counts[choose_at(c, 0, 0)]++;
	CHECK_UINT(counts[0], 9);
	CHECK_UINT(counts[1], 2);
	CHECK_UINT(counts[2], 9);
	server_session_end(server_at(c, 1));
	memset(counts, 0, sizeof(counts));
	for (uint32_t i = 0; i < 3; i++)
		counts[choose_at(c, 0, 0)]++;
	CHECK_UINT(counts[1], 1);
	case_close(c);
}

/* ------------------------------------------------------------------ least_sessions */

static double load_of(struct balance_case *c, uint32_t index)
{
	uint32_t sessions = server_sessions(server_at(c, index));

	return sessions > 0 ? (sessions + 1.0) / c->servers[index].weight : 0;
}

/* Two workers begin and end sessions at random: each choice is one of the least loaded, as counted
 * over both. */
TEST(least_sessions_is_exact_over_all_workers)
{
	const uint32_t sizes[] = { 2, 7, 33, 100, 1000 };

	for (size_t size = 0; size < ARRAY_COUNT(sizes); size++) {
		struct balance_case *c = case_of(BALANCE_LEAST_SESSIONS, sizes[size]);
		uint64_t random = 4;

		for (uint32_t i = 0; i < sizes[size]; i++)
			c->servers[i].weight = 1 + i % 3 * i % 5;
		case_open(c, 2);
		for (uint32_t step = 0; step < 4000; step++) {
			uint32_t chosen;
			double least = 1e9;

			for (uint32_t i = 0; i < sizes[size]; i++)
				least = fmin(least, load_of(c, i));
			chosen = choose_at(c, step % 2, 0);
			server_session_end(server_at(c, chosen));
			CHECK_NEAR(load_of(c, chosen), least, 1e-6);
			CHECK(server_session_begin(server_at(c, chosen)));
			chosen = (uint32_t)(unit_random(&random) % sizes[size]);
			if (server_sessions(server_at(c, chosen)) > 0 && step % 3 > 0)
				server_session_end(server_at(c, chosen));
		}
		case_close(c);
	}
}

TEST(least_sessions_keeps_to_the_weights)
{
	struct balance_case *c = case_of(BALANCE_LEAST_SESSIONS, 3);

	c->servers[0].weight = 5;
	c->servers[1].weight = 2;
	case_open(c, 2);
	for (uint32_t i = 0; i < 800; i++)
		choose_at(c, i % 2, 0);
	CHECK_NEAR(server_sessions(server_at(c, 0)), 500, 3);
	CHECK_NEAR(server_sessions(server_at(c, 1)), 200, 2);
	CHECK_NEAR(server_sessions(server_at(c, 2)), 100, 1);
	case_close(c);
}

/* Sessions one after another, each ended before the next begins. */
TEST(least_sessions_lets_idle_servers_take_turns)
{
	const uint32_t sizes[] = { 2, 5, 64, 300 };

	for (size_t size = 0; size < ARRAY_COUNT(sizes); size++) {
		struct balance_case *c = case_of(BALANCE_LEAST_SESSIONS, sizes[size]);
		static uint32_t counts[CASE_SERVERS_MAX];

		memset(counts, 0, sizeof(counts));
		case_open(c, 1);
		for (uint32_t i = 0; i < 20 * sizes[size]; i++)
			counts[choose_once(c, 0, 0)]++;
		for (uint32_t i = 0; i < sizes[size]; i++)
			CHECK_NEAR(counts[i], 20, 8);
		case_close(c);
	}
}

/* ------------------------------------------------------------------ random_two */

static uint32_t most_sessions(struct balance_case *c)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < c->upstream.servers_count; i++) {
		uint32_t sessions = server_sessions(server_at(c, i));

		most = sessions > most ? sessions : most;
	}
	return most;
}

/* With n sessions on n servers, one draw gives some server about ln n / ln ln n of them, 5 to 8 for
 * 1,000; two draws give ln ln n / ln 2 + O(1), which is 3 or 4. With m sessions on n servers the
 * most loaded one stays that close to the mean, whatever m is. */
TEST(random_two_has_the_maximum_load_of_the_theory)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct balance_case *c = case_of(BALANCE_RANDOM_TWO, 1000);

		c->seed = seed;
		case_open(c, 2);
		for (uint32_t i = 0; i < 1000; i++)
			choose_at(c, i % 2, 0);
		CHECK(most_sessions(c) <= 4);
		CHECK(most_sessions(c) >= 2);
		for (uint32_t i = 0; i < 49000; i++)
			choose_at(c, i % 2, 0);
		CHECK(most_sessions(c) <= 50 + 4);
		case_close(c);
	}
}

TEST(random_two_keeps_to_the_weights)
{
	struct balance_case *c = case_of(BALANCE_RANDOM_TWO, 10);

	c->servers[3].weight = 10;
	c->servers[4].weight = 0;
	case_open(c, 1);
	for (uint32_t i = 0; i < 18000; i++)
		choose_at(c, 0, 0);
	for (uint32_t i = 0; i < 10; i++)
		CHECK_NEAR(server_sessions(server_at(c, i)), 1000 * c->servers[i].weight,
			   50 + 20 * c->servers[i].weight);
	case_close(c);
}

/* ------------------------------------------------------------------ the hashes */

TEST(a_hash_sends_a_key_to_one_server_from_every_worker)
{
	for (size_t i = 0; i < ARRAY_COUNT(hashes); i++) {
		struct balance_case *c = case_of(hashes[i], 7);

		case_open(c, 2);
		for (uint64_t key = 0; key < 2000; key++) {
			uint32_t index = choose_at(c, 0, key);

			CHECK_UINT(choose_at(c, 0, key), index);
			CHECK_UINT(choose_at(c, 1, key), index);
		}
		case_close(c);
	}
}

/* Of N servers some go: exactly their keys move, by weight to the others, and all return. */
TEST(only_the_keys_of_a_server_that_is_down_move_and_they_return)
{
	static uint32_t before[KEYS];
	const uint32_t sizes[] = { 2, 5, 100 };

	for (size_t i = 0; i < ARRAY_COUNT(hashes) * ARRAY_COUNT(sizes); i++) {
		struct balance_case *c = case_of(hashes[i % 2], sizes[i / 2]);
		uint32_t got[2] = { 0 };
		uint32_t moved = 0;
		uint32_t gone = sizes[i / 2] / 4 + 1;

		c->servers[sizes[i / 2] - 1].weight = 2;
		case_open(c, 1);
		for (uint64_t key = 0; key < KEYS; key++)
			before[key] = choose_at(c, 0, key);
		for (uint32_t j = 0; j < gone; j++)
			bring_down(c, j);
		for (uint64_t key = 0; key < KEYS; key++) {
			uint32_t index = choose_at(c, 0, key);

			CHECK(index >= gone);
			CHECK(index == before[key] || before[key] < gone);
			moved += index != before[key];
			if (index != before[key] && index + 2 >= sizes[i / 2])
				got[index + 1 == sizes[i / 2]]++;
		}
		CHECK_NEAR(moved, (double)KEYS * gone / (sizes[i / 2] + 1), KEYS * 0.05);
		if (sizes[i / 2] == 5)
			CHECK_NEAR(got[1] / (double)got[0], 2, 0.3);
		for (uint32_t j = 0; j < gone; j++)
			bring_up(c, j);
		for (uint64_t key = 0; key < KEYS; key++)
			CHECK_UINT(choose_at(c, 0, key), before[key]);
		case_close(c);
	}
}

/* Nearly all are gone: the few that are left share the keys by their weights. */
TEST(a_hash_finds_the_few_that_are_left)
{
	for (size_t i = 0; i < ARRAY_COUNT(hashes); i++) {
		struct balance_case *c = case_of(hashes[i], 1000);
		uint32_t counts[2] = { 0 };

		c->servers[501].weight = 3;
		case_open(c, 1);
		for (uint32_t j = 0; j < 1000; j++) {
			if (j != 500 && j != 501)
				bring_down(c, j);
		}
		for (uint64_t key = 0; key < KEYS; key++) {
			uint32_t index = choose_at(c, 0, key);

			CHECK(index == 500 || index == 501);
			CHECK_UINT(choose_at(c, 0, key), index);
			counts[index - 500]++;
		}
		CHECK_NEAR(counts[1] / (double)KEYS, 0.75, 0.03);
		case_close(c);
	}
}

TEST(slow_start_gives_a_hash_its_keys_back_and_takes_none_again)
{
	for (size_t i = 0; i < ARRAY_COUNT(hashes); i++) {
		struct balance_case *c = case_of(hashes[i], 4);
		static bool is_back[KEYS];
		uint32_t counts[11] = { 0 };

		c->policy.slow_start_ms = 10000;
		case_open(c, 1);
		memset(is_back, 0, sizeof(is_back));
		bring_down(c, 2);
		bring_up(c, 2);
		for (uint32_t tenth = 0; tenth <= 10; tenth++) {
			c->now_ms = tenth * 1000;
			for (uint64_t key = 0; key < KEYS; key++) {
				bool is_here = choose_at(c, 0, key) == 2;

				CHECK(is_here || !is_back[key]);
				is_back[key] = is_here;
				counts[tenth] += is_here;
			}
			CHECK_NEAR(counts[tenth] / (double)KEYS, 0.25 * tenth / 10, 0.02);
		}
		case_close(c);
	}
}

/* ------------------------------------------------------------------ every balancing */

TEST(backups_are_used_only_while_nobody_else_is_up)
{
	FOR_EACH_BALANCE(balance)
	{
		struct balance_case *c = case_of(balance, 4);

		c->servers[0].is_backup = true;
		c->servers[2].is_backup = true;
		case_open(c, 1);
		for (uint64_t key = 0; key < 100; key++)
			CHECK(choose_at(c, 0, key) % 2 == 1);
		bring_down(c, 1);
		for (uint64_t key = 0; key < 100; key++)
			CHECK(choose_at(c, 0, key) == 3);
		bring_down(c, 3);
		for (uint64_t key = 0; key < 100; key++)
			CHECK(choose_at(c, 0, key) % 2 == 0);
		bring_up(c, 1);
		for (uint64_t key = 0; key < 100; key++)
			CHECK(choose_at(c, 0, key) == 1);
		case_close(c);
	}
	unit_row(NULL);
}

TEST(that_the_others_are_full_is_no_work_for_a_backup)
{
	FOR_EACH_BALANCE(balance)
	{
		struct balance_case *c = case_of(balance, 2);
		uint32_t index;

		c->servers[0].max_sessions = 1;
		c->servers[1].is_backup = true;
		case_open(c, 1);
		CHECK_UINT(choose_at(c, 0, 0), 0);
		CHECK_INT(choose_for(c, 0, 0, NULL, &index), CHOICE_ALL_FULL);
		case_close(c);
	}
	unit_row(NULL);
}

TEST(drained_servers_are_never_chosen)
{
	FOR_EACH_BALANCE(balance)
	{
		struct balance_case *c = case_of(balance, 6);
		uint32_t index;

		for (uint32_t i = 0; i < 6; i++)
			c->servers[i].weight = i % 2;
		c->servers[5].is_backup = true;
		case_open(c, 1);
		for (uint64_t key = 0; key < 200; key++)
			CHECK(choose_at(c, 0, key) % 2 == 1);
		bring_down(c, 1);
		bring_down(c, 3);
		CHECK_UINT(choose_at(c, 0, 1), 5);
		bring_down(c, 5);
		CHECK_INT(choose_for(c, 0, 0, NULL, &index), CHOICE_NONE_USABLE);
		server_checked(server_at(c, 0), HEALTH_PASSED, 0);
		server_checked(server_at(c, 0), HEALTH_PASSED, 0);
		CHECK_INT(server_state(server_at(c, 0)), SERVER_DRAINED);
		CHECK_INT(choose_for(c, 0, 0, NULL, &index), CHOICE_NONE_USABLE);
		case_close(c);
	}
	unit_row(NULL);
}

/* Every place is given out once, by two workers in turn, and given again when one is free. */
TEST(limits_hold_over_all_workers_and_every_place_is_used)
{
	FOR_EACH_BALANCE(balance)
	{
		struct balance_case *c = case_of(balance, 130);
		uint32_t places = 0;
		uint32_t index;

		for (uint32_t i = 0; i < 130; i++) {
			c->servers[i].weight = 1 + i % 4;
			c->servers[i].max_sessions = 1 + i % 3;
			places += 1 + i % 3;
		}
		case_open(c, 2);
		for (uint32_t i = 0; i < places; i++)
			CHECK(choose_at(c, i % 2, i) != NONE);
		for (uint32_t i = 0; i < 130; i++) {
			CHECK_UINT(server_sessions(server_at(c, i)), 1 + i % 3);
			CHECK(!server_session_begin(server_at(c, i)));
		}
		for (uint32_t i = 0; i < 300; i++) {
			CHECK_INT(choose_for(c, i % 2, i, NULL, &index), CHOICE_ALL_FULL);
			server_session_end(server_at(c, i * 7 % 130));
			CHECK_UINT(choose_at(c, i % 2, i), i * 7 % 130);
		}
		case_close(c);
	}
	unit_row(NULL);
}

TEST(the_one_to_avoid_is_avoided_where_another_has_room)
{
	FOR_EACH_BALANCE(balance)
	{
		struct balance_case *c = case_of(balance, 3);
		uint32_t index;

		c->servers[0].weight = 200;
		c->servers[0].max_sessions = 1000;
		c->servers[1].max_sessions = 3;
		c->servers[2].max_sessions = 3;
		case_open(c, 1);
		for (uint64_t key = 0; key < 6; key++) {
			choose_for(c, 0, key, server_at(c, 0), &index);
			CHECK(index == 1 || index == 2);
		}
		/* The others are full now: better that one than none. */
		choose_for(c, 0, 7, server_at(c, 0), &index);
		CHECK_UINT(index, 0);
		bring_down(c, 1);
		bring_down(c, 2);
		choose_for(c, 0, 8, server_at(c, 0), &index);
		CHECK_UINT(index, 0);
		case_close(c);
	}
	unit_row(NULL);
}

/* The shares of 4,000 sessions with different keys, each server with its weight. */
TEST(every_balancing_honours_weights)
{
	FOR_EACH_BALANCE(balance)
	{
		struct balance_case *c = case_of(balance, 8);
		uint32_t counts[8] = { 0 };

		for (uint32_t i = 0; i < 8; i++)
			c->servers[i].weight = 1 + i;
		case_open(c, 2);
		for (uint32_t i = 0; i < 36000; i++)
			counts[choose_at(c, i % 2, i)]++;
		for (uint32_t i = 0; i < 8; i++)
			CHECK_NEAR(counts[i], 1000 * (i + 1),
				   balance == BALANCE_ROUND_ROBIN    ? 2 :
				   balance == BALANCE_LEAST_SESSIONS ? 8 :
								       130 * (i + 2) / 2.0);
		case_close(c);
	}
	unit_row(NULL);
}

/* ------------------------------------------------------------------ what a choice costs */

/* A session begins and ends: ns of CPU time, the best of some runs. */
static double cost_ns(enum conf_balance balance, uint32_t servers, uint32_t limit)
{
	struct balance_case *c = case_of(balance, servers);
	double best = 1e9;

	for (uint32_t i = 0; i < servers; i++) {
		c->servers[i].weight = 1 + i % 7;
		c->servers[i].max_sessions = limit;
	}
	case_open(c, 1);
	for (uint32_t i = 0; i < 2 * servers; i++) /* some load, so that not all are equal */
		choose_at(c, 0, i);
	for (uint32_t run = 0; run < 5; run++) {
		double begin = cpu_ns();

		for (uint64_t i = 0; i < 20000; i++)
			choose_once(c, 0, i);
		best = fmin(best, (cpu_ns() - begin) / 20000);
	}
	case_close(c);
	return best;
}

/* A request takes about 15 us; with 1,000 servers it may take 3 % more than with 2. Sanitizers and
 * busy machines cost a multiple, so the bound is a wide one: it is there for what grows with n. */
TEST(a_choice_among_a_thousand_is_about_as_cheap_as_among_two)
{
	for (size_t i = 0; i < ARRAY_COUNT(all_balances); i++) {
		double two = cost_ns(all_balances[i], 2, 0);
		double many = cost_ns(all_balances[i], 1000, 0);
		double limited = cost_ns(all_balances[i], 1000, 100);

		printf("%-15s 2 servers %5.0f ns, 1000 servers %5.0f ns, with limits %5.0f ns\n",
		       balance_names[i], two, many, limited);
		CHECK(many < 5000 && limited < 5000);
	}
}

static const struct unit_test tests[] = {
	ROW(round_robin_has_the_smooth_sequence_in_each_worker),
	ROW(round_robin_passes_over_a_full_server_and_comes_back),
	ROW(least_sessions_is_exact_over_all_workers),
	ROW(least_sessions_keeps_to_the_weights),
	ROW(least_sessions_lets_idle_servers_take_turns),
	ROW(random_two_has_the_maximum_load_of_the_theory),
	ROW(random_two_keeps_to_the_weights),
	ROW(a_hash_sends_a_key_to_one_server_from_every_worker),
	ROW(only_the_keys_of_a_server_that_is_down_move_and_they_return),
	ROW(a_hash_finds_the_few_that_are_left),
	ROW(slow_start_gives_a_hash_its_keys_back_and_takes_none_again),
	ROW(backups_are_used_only_while_nobody_else_is_up),
	ROW(that_the_others_are_full_is_no_work_for_a_backup),
	ROW(drained_servers_are_never_chosen),
	ROW(limits_hold_over_all_workers_and_every_place_is_used),
	ROW(the_one_to_avoid_is_avoided_where_another_has_room),
	ROW(every_balancing_honours_weights),
	ROW(a_choice_among_a_thousand_is_about_as_cheap_as_among_two),
};
UNIT_MAIN(tests)
