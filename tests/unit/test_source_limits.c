/* SPDX-License-Identifier: MIT */
/*
 * test_source_limits.c - sessions of one source: how many, how fast, and whose they are when there
 * is no room to remember them all. The last tests ask from several threads at once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/source_limits.h"
#include "unit.h"

#define ONE_SET 7 /* sources: a table that small is one set */
#define SEED 0x5eedull

static struct addr addr_of(const char *text)
{
	const char *reason = "";
	struct addr addr = { .kind = ADDR_NONE };

	CHECK(addr_parse(&addr, text, &reason));
	return addr;
}

static struct addr nth(uint32_t n)
{
	char text[64];

	snprintf(text, sizeof(text), "10.%u.%u.%u:%u", n >> 16 & 255, n >> 8 & 255, n & 255,
		 1 + n % 60000);
	return addr_of(text);
}

/* Where the last session went. */
static uint32_t place;

static enum source_verdict admit(struct source_limits *limits, struct source_rule rule,
				 const char *text, uint64_t now_ms)
{
	struct addr addr = addr_of(text);
	enum source_verdict verdict = source_limits_admit(limits, &rule, &addr, now_ms, &place);

	CHECK(verdict == SOURCE_OK || place == SOURCE_UNTRACKED);
	return verdict;
}

TEST(a_source_has_as_many_sessions_as_it_may_and_no_more)
{
	struct source_limits *limits = source_limits_open(1000, SEED);
	struct source_rule rule = { .sessions = 3 };
	uint32_t first;

	assert(limits);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_OK);
	first = place;
	CHECK(first != SOURCE_UNTRACKED);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:2", 0), SOURCE_OK);
	CHECK_UINT(place, first);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:3", 0), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:4", 9999999), SOURCE_TOO_MANY);
	CHECK_UINT(admit(limits, rule, "192.0.2.8:4", 0), SOURCE_OK);
	source_limits_release(limits, first);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:5", 0), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:6", 0), SOURCE_TOO_MANY);
	rule.sessions = 4;
	CHECK_UINT(admit(limits, rule, "192.0.2.7:7", 0), SOURCE_OK);
	CHECK_UINT(source_limits_untracked(limits), 0);
	source_limits_close(limits);
}

TEST(a_source_opens_sessions_at_its_rate_after_its_burst)
{
	struct source_limits *limits = source_limits_open(1000, SEED);
	struct source_rule rule = { .rate = 10, .burst = 3 };
	uint32_t opened = 0;

	assert(limits);
	for (int i = 0; i < 3; i++)
		CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 5000), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 5000), SOURCE_TOO_FAST);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 5099), SOURCE_TOO_FAST);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 5100), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 5199), SOURCE_TOO_FAST);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 5200), SOURCE_OK);
	/* Asking often does not wear the rate down, nor up. */
	for (uint64_t ms = 5201; ms <= 15200; ms++)
		opened += admit(limits, rule, "192.0.2.7:1", ms) == SOURCE_OK;
	CHECK_UINT(opened, 100);
	/* However long it waits, no more than the burst is saved up. */
	opened = 0;
	for (int i = 0; i < 10; i++)
		opened += admit(limits, rule, "192.0.2.7:1", UINT64_MAX / 2) == SOURCE_OK;
	CHECK_UINT(opened, 3);
	source_limits_close(limits);
}

TEST(a_rate_that_does_not_divide_a_second_loses_nothing)
{
	static const uint32_t rates[] = { 1, 3, 7, 999, 1001, 33333 };

	for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
		struct source_limits *limits = source_limits_open(1, SEED);
		struct source_rule rule = { .rate = rates[i], .burst = 100 };
		uint32_t opened = 0;

		assert(limits);
		for (uint64_t ms = 0; ms <= 10000; ms++) {
			while (admit(limits, rule, "192.0.2.7:1", ms) == SOURCE_OK)
				opened++;
		}
		CHECK_UINT(opened, 100 + 10 * rates[i]);
		source_limits_close(limits);
	}
}

TEST(a_burst_of_zero_is_one_second_of_the_rate)
{
	struct source_limits *limits = source_limits_open(10, SEED);
	struct source_rule rule = { .rate = 4 };

	assert(limits);
	for (int i = 0; i < 4; i++)
		CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_TOO_FAST);
	source_limits_close(limits);
}

TEST(the_largest_rule_is_within_bounds)
{
	struct source_limits *limits = source_limits_open(10, UINT64_MAX);
	struct source_rule rule = { UINT32_MAX, SOURCE_RATE_MAX, SOURCE_RATE_MAX };

	assert(limits);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", UINT64_MAX), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", UINT64_MAX), SOURCE_OK);
	source_limits_close(limits);
}

/* Refused for one reason, it does not pay for the other. */
TEST(a_session_that_is_refused_takes_no_token)
{
	struct source_limits *limits = source_limits_open(10, SEED);
	struct source_rule rule = { .sessions = 1, .rate = 1, .burst = 2 };
	uint32_t first;

	assert(limits);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_OK);
	first = place;
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_TOO_MANY);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_TOO_MANY);
	source_limits_release(limits, first);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_OK);
	source_limits_release(limits, place);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 0), SOURCE_TOO_FAST);
	source_limits_close(limits);
}

TEST(a_clock_that_differs_between_threads_gives_no_tokens_twice)
{
	struct source_limits *limits = source_limits_open(10, SEED);
	struct source_rule rule = { .rate = 1000, .burst = 1 };

	assert(limits);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 1000), SOURCE_OK);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 999), SOURCE_TOO_FAST);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 1000), SOURCE_TOO_FAST);
	CHECK_UINT(admit(limits, rule, "192.0.2.7:1", 1001), SOURCE_OK);
	source_limits_close(limits);
}

TEST(a_source_is_an_ipv4_address_or_64_bits_of_ipv6)
{
	static const struct {
		const char *one;
		const char *other;
		bool is_same;
	} rows[] = {
		{ "192.0.2.7:1", "192.0.2.7:2", true },
		{ "192.0.2.7:1", "192.0.2.6:1", false },
		{ "192.0.2.7:1", "[::ffff:192.0.2.7]:1", true },
		{ "[::ffff:192.0.2.6]:1", "[::ffff:192.0.2.7]:1", false },
		{ "[2001:db8::1]:1", "[2001:db8::ffff:1:2:3]:9", true },
		{ "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false },
		{ "[2001:db8::1]:1", "[2001:db9::1]:1", false },
		{ "[::1]:1", "[::2]:1", true },
		{ "[::c000:207]:1", "192.0.2.7:1", false },
		{ "0.0.0.0:1", "[::]:1", false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct source_limits *limits = source_limits_open(100, SEED);
		struct source_rule rule = { .sessions = 1 };

		assert(limits);
		unit_row(rows[i].other);
		CHECK_UINT(admit(limits, rule, rows[i].one, 0), SOURCE_OK);
		CHECK_UINT(admit(limits, rule, rows[i].other, 0),
			   rows[i].is_same ? SOURCE_TOO_MANY : SOURCE_OK);
		source_limits_close(limits);
	}
	unit_row(NULL);
}

TEST(what_has_no_limit_is_not_kept)
{
	struct source_limits *limits = source_limits_open(1, SEED);
	struct source_rule strict = { .sessions = 1 };
	struct source_rule none = { .burst = 9 };

	assert(limits);
	for (int i = 0; i < 20; i++) {
		CHECK_UINT(admit(limits, strict, "unix:/run/x", 0), SOURCE_OK);
		CHECK_UINT(place, SOURCE_UNTRACKED);
		CHECK_UINT(admit(limits, none, "192.0.2.7:1", 0), SOURCE_OK);
		CHECK_UINT(place, SOURCE_UNTRACKED);
		source_limits_release(limits, place);
	}
	CHECK_UINT(source_limits_untracked(limits), 0);
	source_limits_close(limits);
	source_limits_close(NULL);
}

/* ------------------------------------------------------------------------------------ full sets */

TEST(a_full_set_forgets_who_was_not_seen_for_the_longest_time)
{
	struct source_limits *limits = source_limits_open(ONE_SET, SEED);
	struct source_rule rule = { .rate = 1, .burst = 1 };
	struct addr addr;

	assert(limits);
	CHECK_UINT(source_limits_room(limits), ONE_SET);
	for (uint32_t i = 0; i < ONE_SET; i++) {
		addr = nth(i);
		CHECK_UINT(source_limits_admit(limits, &rule, &addr, 100 + i, &place), SOURCE_OK);
		if (i != 2) /* keeps its session */
			source_limits_release(limits, place);
	}
	/* 0 is seen again, 1 is the oldest, 2 is busy: 1 and 3 make room. */
	addr = nth(0);
	CHECK_UINT(source_limits_admit(limits, &rule, &addr, 200, &place), SOURCE_TOO_FAST);
	for (uint32_t i = 0; i < 2; i++) {
		addr = nth(50 + i);
		CHECK_UINT(source_limits_admit(limits, &rule, &addr, 201, &place), SOURCE_OK);
		source_limits_release(limits, place);
	}
	for (uint32_t i = 0; i < ONE_SET; i++) {
		if (i == 1 || i == 3)
			continue;
		addr = nth(i);
		CHECK_UINT(source_limits_admit(limits, &rule, &addr, 202, &place), SOURCE_TOO_FAST);
	}
	CHECK_UINT(source_limits_untracked(limits), 0);
	addr = nth(1);
	CHECK_UINT(source_limits_admit(limits, &rule, &addr, 203, &place), SOURCE_OK);
	source_limits_close(limits);
}

TEST(a_newcomer_to_a_set_of_the_busy_is_admitted_uncounted)
{
	struct source_limits *limits = source_limits_open(ONE_SET, SEED);
	struct source_rule rule = { .sessions = 1, .rate = 1, .burst = 1 };
	uint32_t places[ONE_SET];
	struct addr addr;

	assert(limits);
	for (uint32_t i = 0; i < ONE_SET; i++) {
		addr = nth(i);
		CHECK_UINT(source_limits_admit(limits, &rule, &addr, 0, &places[i]), SOURCE_OK);
	}
	addr = nth(99);
	for (int i = 0; i < 5; i++) {
		CHECK_UINT(source_limits_admit(limits, &rule, &addr, 0, &place), SOURCE_OK);
		CHECK_UINT(place, SOURCE_UNTRACKED);
		source_limits_release(limits, place);
	}
	CHECK_UINT(source_limits_untracked(limits), 5);
	addr = nth(0);
	CHECK_UINT(source_limits_admit(limits, &rule, &addr, 0, &place), SOURCE_TOO_MANY);
	source_limits_release(limits, places[4]);
	addr = nth(99);
	CHECK_UINT(source_limits_admit(limits, &rule, &addr, 0, &place), SOURCE_OK);
	CHECK_UINT(place, places[4]);
	CHECK_UINT(source_limits_admit(limits, &rule, &addr, 0, &place), SOURCE_TOO_MANY);
	CHECK_UINT(source_limits_untracked(limits), 5);
	source_limits_close(limits);
}

TEST(the_table_is_as_large_as_it_says_and_sources_spread_over_it)
{
	struct source_limits *limits = source_limits_open(65536, SEED);
	struct source_rule rule = { .sessions = 1 };
	uint32_t count = 20000;
	uint32_t places = 0;

	assert(limits);
	CHECK(source_limits_room(limits) >= 65536);
	CHECK(source_limits_bytes(limits) <= 256ull * source_limits_room(limits) / 7 + 4096);
	for (uint32_t i = 0; i < count; i++) {
		struct addr addr = nth(i);

		CHECK_UINT(source_limits_admit(limits, &rule, &addr, 0, &place), SOURCE_OK);
		places += place != SOURCE_UNTRACKED;
		CHECK(place == SOURCE_UNTRACKED || place < source_limits_room(limits));
	}
	/* A set of 7 has 1.2 of them on average. */
	CHECK(places > count - 20);
	CHECK_UINT(places + source_limits_untracked(limits), count);
	source_limits_close(limits);
}

TEST(another_seed_lets_other_sources_meet)
{
	struct source_limits *limits[2] = { source_limits_open(7000, 1),
					    source_limits_open(7000, 2) };
	struct source_rule rule = { .sessions = 1 };
	uint32_t places[2];
	uint32_t same = 0;

	assert(limits[0] && limits[1]);
	for (uint32_t i = 0; i < 500; i++) {
		struct addr addr = nth(i);

		for (int j = 0; j < 2; j++)
			source_limits_admit(limits[j], &rule, &addr, 0, &places[j]);
		same += places[0] / 7 == places[1] / 7;
	}
	CHECK(same < 20);
	source_limits_close(limits[0]);
	source_limits_close(limits[1]);
}

static void release_twice(void *argument)
{
	struct source_limits *limits = argument;

	source_limits_release(limits, place);
	source_limits_release(limits, place);
}

TEST(to_release_a_place_twice_is_a_mistake_of_the_caller)
{
	struct source_limits *limits = source_limits_open(10, SEED);

	assert(limits);
	CHECK_UINT(admit(limits, (struct source_rule){ .sessions = 1 }, "192.0.2.7:1", 0),
		   SOURCE_OK);
	CHECK_ABORTS(release_twice, limits);
	source_limits_close(limits);
}

/* -------------------------------------------------------------------------------------- threads */

#define THREADS 4
#define ROUNDS 20000
#define SOURCES 20 /* more than a set has room for */
#define SESSIONS 3
#define HELD 8

struct crowd {
	struct source_limits *limits;
	_Atomic uint32_t open[SOURCES];
	_Atomic uint32_t faults;
	_Atomic uint64_t untracked;
	_Atomic uint64_t admitted;
	_Atomic uint64_t now_ms;
};

struct held {
	uint32_t source;
	uint32_t place;
};

static void crowd_release(struct crowd *crowd, struct held *held)
{
	if (held->place == SOURCE_UNTRACKED)
		return;
	/* Before the table knows, so that the count is never below the table's. */
	atomic_fetch_sub(&crowd->open[held->source], 1);
	source_limits_release(crowd->limits, held->place);
	held->place = SOURCE_UNTRACKED;
}

static void *crowd_run(void *argument)
{
	static _Atomic uint64_t seeds;
	struct crowd *crowd = argument;
	uint64_t seed = atomic_fetch_add(&seeds, 1) * 7919;
	struct source_rule rule = { .sessions = SESSIONS };
	struct held held[HELD];

	for (int i = 0; i < HELD; i++)
		held[i].place = SOURCE_UNTRACKED;
	for (int i = 0; i < ROUNDS; i++) {
		struct held *one = &held[unit_random(&seed) % HELD];
		enum source_verdict verdict;
		struct addr addr;

		crowd_release(crowd, one);
		one->source = (uint32_t)(unit_random(&seed) % SOURCES);
		addr = nth(one->source);
		verdict = source_limits_admit(crowd->limits, &rule, &addr,
					      atomic_fetch_add(&crowd->now_ms, 1), &one->place);
		if (verdict == SOURCE_OK && one->place == SOURCE_UNTRACKED)
			atomic_fetch_add(&crowd->untracked, 1);
		if (one->place == SOURCE_UNTRACKED)
			continue;
		atomic_fetch_add(&crowd->admitted, 1);
		if (atomic_fetch_add(&crowd->open[one->source], 1) >= SESSIONS)
			atomic_fetch_add(&crowd->faults, 1);
	}
	for (int i = 0; i < HELD; i++)
		crowd_release(crowd, &held[i]);
	return NULL;
}

static void run_crowd(uint32_t sources)
{
	struct crowd crowd = { .limits = source_limits_open(sources, SEED) };
	struct source_rule rule = { .sessions = SESSIONS };
	pthread_t threads[THREADS];

	assert(crowd.limits);
	for (int i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, crowd_run, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_UINT(crowd.faults, 0);
	CHECK(crowd.admitted > ROUNDS / 10);
	CHECK_UINT(source_limits_untracked(crowd.limits), crowd.untracked);
	CHECK((crowd.untracked > 0) == (sources < SOURCES));
	/* All were given back: everybody has all of his sessions again. */
	for (uint32_t i = 0; i < ONE_SET; i++) {
		struct addr addr = nth(i);

		CHECK_UINT(crowd.open[i], 0);
		for (uint32_t j = 0; j < SESSIONS; j++) {
			CHECK_UINT(source_limits_admit(crowd.limits, &rule, &addr, 0, &place),
				   SOURCE_OK);
			CHECK(place != SOURCE_UNTRACKED);
		}
		CHECK_UINT(source_limits_admit(crowd.limits, &rule, &addr, 0, &place),
			   SOURCE_TOO_MANY);
	}
	source_limits_close(crowd.limits);
}

TEST(threads_together_get_no_more_sessions_than_one)
{
	run_crowd(10000);
}

TEST(threads_together_fill_one_set_and_give_it_back)
{
	run_crowd(ONE_SET);
}

struct race {
	struct source_limits *limits;
	_Atomic uint32_t opened;
};

static void *race_run(void *argument)
{
	struct race *race = argument;
	struct source_rule rule = { .rate = 1, .burst = 1000 };
	struct addr addr = nth(1);
	uint32_t mine;

	for (int i = 0; i < ROUNDS; i++) {
		if (source_limits_admit(race->limits, &rule, &addr, 5, &mine) != SOURCE_OK)
			continue;
		atomic_fetch_add(&race->opened, 1);
		source_limits_release(race->limits, mine);
	}
	return NULL;
}

TEST(threads_together_spend_each_token_once)
{
	struct race race = { .limits = source_limits_open(10, SEED) };
	pthread_t threads[THREADS];

	assert(race.limits);
	for (int i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, race_run, &race), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_UINT(race.opened, 1000);
	source_limits_close(race.limits);
}

static const struct unit_test tests[] = {
	ROW(a_source_has_as_many_sessions_as_it_may_and_no_more),
	ROW(a_source_opens_sessions_at_its_rate_after_its_burst),
	ROW(a_rate_that_does_not_divide_a_second_loses_nothing),
	ROW(a_burst_of_zero_is_one_second_of_the_rate),
	ROW(the_largest_rule_is_within_bounds),
	ROW(a_session_that_is_refused_takes_no_token),
	ROW(a_clock_that_differs_between_threads_gives_no_tokens_twice),
	ROW(a_source_is_an_ipv4_address_or_64_bits_of_ipv6),
	ROW(what_has_no_limit_is_not_kept),
	ROW(a_full_set_forgets_who_was_not_seen_for_the_longest_time),
	ROW(a_newcomer_to_a_set_of_the_busy_is_admitted_uncounted),
	ROW(the_table_is_as_large_as_it_says_and_sources_spread_over_it),
	ROW(another_seed_lets_other_sources_meet),
	ROW(to_release_a_place_twice_is_a_mistake_of_the_caller),
	ROW(threads_together_get_no_more_sessions_than_one),
	ROW(threads_together_fill_one_set_and_give_it_back),
	ROW(threads_together_spend_each_token_once),
};
UNIT_MAIN(tests)
