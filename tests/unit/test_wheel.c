/* SPDX-License-Identifier: MIT */
/*
 * test_wheel.c - the timer wheel against what its header promises, and against a plain list.
 */
#include "base/wheel.h"

#include <stdio.h>

#include "unit.h"

#define MODEL_TIMERS 200
#define TICK WHEEL_TICK_MS
#define HOUR_MS 3600000ull

/* A timer that remembers, and does what its test wants when it fires. */
struct probe {
	struct timer timer;
	unsigned fired_count;
	unsigned order;
	bool was_set; /* at the time it fired */
	void (*then)(struct probe *probe);
	struct probe *other;
};

static struct wheel wheel;
static unsigned order_next;

static void on_fire(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	probe->fired_count++;
	probe->order = ++order_next;
	probe->was_set = timer_is_set(timer);
	if (probe->then)
		probe->then(probe);
}

static void probe_init(struct probe *probe)
{
	*probe = (struct probe){ 0 };
	timer_init(&probe->timer, on_fire);
}

static void start(uint64_t now_ms)
{
	wheel_init(&wheel, now_ms);
	order_next = 0;
}

/* ------------------------------------------------------------------------ one timer */

TEST(a_new_timer_is_not_set_and_stopping_it_is_harmless)
{
	struct probe probe;

	start(1000);
	probe_init(&probe);
	CHECK(!timer_is_set(&probe.timer));
	wheel_stop(&wheel, &probe.timer);
	wheel_stop(&wheel, &probe.timer);
	CHECK_UINT(wheel.timers_count, 0);
	CHECK_UINT(wheel_next_ms(&wheel), UINT64_MAX);
}

/* Every distance around every boundary of a level, from several presents. */
TEST(a_timer_fires_in_the_tick_of_its_deadline_and_not_before)
{
	static const uint64_t presents[] = { 0, 1, 7, 8, 504, 511, 512, 32767, 32768,
		                             16777215ull * 8, 123456789, 1ull << 45 };
	static const uint64_t ticks[] = { 1, 2, 62, 63, 64, 65, 127, 128, 4095, 4096, 4097,
		                          262143, 262144, 262145, 16777215, 16777216 };

	for (size_t i = 0; i < ARRAY_COUNT(presents); i++) {
		for (size_t j = 0; j < ARRAY_COUNT(ticks); j++) {
			for (int off = -1; off <= 1; off++) {
				uint64_t deadline = presents[i] + ticks[j] * TICK + (uint64_t)off;
				struct probe probe;

				start(presents[i]);
				probe_init(&probe);
				wheel_set(&wheel, &probe.timer, deadline);
				CHECK_UINT(wheel_advance(&wheel, deadline - 1), 0);
				CHECK(timer_is_set(&probe.timer));
				CHECK_UINT(wheel_advance(&wheel, deadline + TICK - 1), 1);
				CHECK_UINT(probe.fired_count, 1);
				CHECK(!probe.was_set);
				CHECK_UINT(wheel.timers_count, 0);
			}
		}
	}
}

/* The same, but time arrives tick by tick, so that every cascade is passed by itself. */
TEST(a_timer_fires_in_time_when_time_moves_in_small_steps)
{
	for (uint64_t distance = 1; distance <= 5000; distance += 37) {
		uint64_t now = 31 * TICK, deadline = now + distance * TICK - 3;
		struct probe probe;

		start(now);
		probe_init(&probe);
		wheel_set(&wheel, &probe.timer, deadline);
		for (; now < deadline; now += TICK / 2) {
			wheel_advance(&wheel, now);
			CHECK_UINT(probe.fired_count, 0);
		}
		wheel_advance(&wheel, deadline + TICK - 1);
		CHECK_UINT(probe.fired_count, 1);
	}
}

TEST(a_past_deadline_fires_at_the_next_advance_even_of_the_same_time)
{
	static const uint64_t deadlines[] = { 0, 1, 99992, 100000 };

	for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++) {
		struct probe probe;

		start(100000);
		probe_init(&probe);
		wheel_set(&wheel, &probe.timer, deadlines[i]);
		CHECK(wheel_next_ms(&wheel) <= 100000);
		CHECK_UINT(probe.fired_count, 0);
		CHECK_UINT(wheel_advance(&wheel, 100000), 1);
		CHECK_UINT(probe.fired_count, 1);
		CHECK_UINT(wheel_advance(&wheel, 100000), 0);
	}
}

TEST(a_stopped_timer_does_not_fire)
{
	struct probe probe;

	start(0);
	probe_init(&probe);
	wheel_set(&wheel, &probe.timer, 5000);
	CHECK_UINT(wheel.timers_count, 1);
	wheel_stop(&wheel, &probe.timer);
	CHECK(!timer_is_set(&probe.timer));
	CHECK_UINT(wheel.timers_count, 0);
	CHECK_UINT(wheel_next_ms(&wheel), UINT64_MAX);
	CHECK_UINT(wheel_advance(&wheel, 10 * HOUR_MS), 0);
	CHECK_UINT(probe.fired_count, 0);
}

TEST(a_moved_timer_fires_once_at_its_new_deadline)
{
	static const uint64_t from[] = { 10, 5000, 100000, 50 * HOUR_MS };
	static const uint64_t to[] = { 20, 600, 40000, 3000000, 30 * HOUR_MS };

	for (size_t i = 0; i < ARRAY_COUNT(from); i++) {
		for (size_t j = 0; j < ARRAY_COUNT(to); j++) {
			struct probe probe;

			start(0);
			probe_init(&probe);
			wheel_set(&wheel, &probe.timer, from[i]);
			wheel_set(&wheel, &probe.timer, to[j]);
			CHECK_UINT(wheel.timers_count, 1);
			CHECK_UINT(wheel_advance(&wheel, to[j] - 1), 0);
			CHECK_UINT(wheel_advance(&wheel, to[j] + TICK), 1);
			CHECK_UINT(wheel_advance(&wheel, 60 * HOUR_MS), 0);
		}
	}
}

TEST(a_deadline_beyond_the_last_level_is_kept_all_the_same)
{
	static const uint64_t deadlines[] = { 38 * HOUR_MS, 75 * HOUR_MS, 1000 * HOUR_MS };

	for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++) {
		struct probe probe;
		uint64_t now = 12345;

		start(now);
		probe_init(&probe);
		wheel_set(&wheel, &probe.timer, deadlines[i]);
		for (; now < deadlines[i]; now += HOUR_MS / 2)
			CHECK_UINT(wheel_advance(&wheel, now), 0);
		CHECK_UINT(wheel_advance(&wheel, deadlines[i] + TICK), 1);
	}
}

TEST(a_timer_set_for_ever_stays_set)
{
	struct probe probe;

	start(7);
	probe_init(&probe);
	wheel_set(&wheel, &probe.timer, UINT64_MAX);
	CHECK(wheel_next_ms(&wheel) > 37 * HOUR_MS);
	CHECK_UINT(wheel_advance(&wheel, 5000 * HOUR_MS), 0);
	CHECK(timer_is_set(&probe.timer));
	CHECK(wheel_next_ms(&wheel) > 5000 * HOUR_MS);
	wheel_stop(&wheel, &probe.timer);
	CHECK_UINT(wheel.timers_count, 0);
}

/* ---------------------------------------------------------------------- several timers */

TEST(timers_fire_in_the_order_of_their_ticks_across_levels)
{
	static const uint64_t deadlines[] = { 9000000, 40, 70000, 600, 16, 400000, 8, 33000 };
	static const unsigned orders[] = { 8, 3, 6, 4, 2, 7, 1, 5 };
	struct probe probes[ARRAY_COUNT(deadlines)];

	start(0);
	for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++) {
		probe_init(&probes[i]);
		wheel_set(&wheel, &probes[i].timer, deadlines[i]);
	}
	CHECK_UINT(wheel_advance(&wheel, 10000000), ARRAY_COUNT(deadlines));
	for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
		CHECK_UINT(probes[i].order, orders[i]);
}

static void then_set_in_the_past(struct probe *probe)
{
	wheel_set(&wheel, &probe->timer, 3);
}

TEST(a_timer_that_sets_itself_in_the_past_fires_once_per_advance)
{
	struct probe probe;

	start(0);
	probe_init(&probe);
	probe.then = then_set_in_the_past;
	wheel_set(&wheel, &probe.timer, 1000);
	CHECK_UINT(wheel_advance(&wheel, 500000), 1);
	CHECK_UINT(probe.fired_count, 1);
	CHECK(wheel_next_ms(&wheel) <= 500000);
	CHECK_UINT(wheel_advance(&wheel, 500000), 1);
	CHECK_UINT(wheel_advance(&wheel, 700000), 1);
	CHECK_UINT(probe.fired_count, 3);
}

static void then_stop_other(struct probe *probe)
{
	wheel_stop(&wheel, &probe->other->timer);
}

static void then_move_other(struct probe *probe)
{
	wheel_set(&wheel, &probe->other->timer, 2000000);
}

/* Both are due in the same advance: in the same tick, and in a later one. */
TEST(a_fire_function_stops_or_moves_another_timer_that_is_due_as_well)
{
	static const uint64_t others[] = { 80, 88, 700 };

	for (size_t i = 0; i < 2 * ARRAY_COUNT(others); i++) {
		bool moves = i % 2;
		struct probe first, second;

		start(0);
		probe_init(&first);
		probe_init(&second);
		first.then = moves ? then_move_other : then_stop_other;
		first.other = &second;
		wheel_set(&wheel, &first.timer, 80);
		wheel_set(&wheel, &second.timer, others[i / 2]);
		CHECK_UINT(wheel_advance(&wheel, 1000), 1);
		CHECK_UINT(second.fired_count, 0);
		CHECK_INT(timer_is_set(&second.timer), moves);
		CHECK_UINT(wheel.timers_count, moves);
		CHECK_UINT(wheel_advance(&wheel, 2000000), moves);
		CHECK_UINT(second.fired_count, moves);
	}
}

static void then_scribble(struct probe *probe)
{
	memset(probe, 0xa5, sizeof(*probe));
}

TEST(the_memory_of_a_timer_may_be_reused_by_its_fire_function)
{
	struct probe probes[3];

	start(0);
	for (size_t i = 0; i < ARRAY_COUNT(probes); i++) {
		probe_init(&probes[i]);
		probes[i].then = then_scribble;
		wheel_set(&wheel, &probes[i].timer, 100);
	}
	CHECK_UINT(wheel_advance(&wheel, 200), 3);
	CHECK_UINT(wheel.timers_count, 0);
}

TEST(an_idle_wheel_passes_a_century_in_one_step)
{
	struct probe probe;
	uint64_t century = 100 * 365 * 24 * HOUR_MS;

	start(0);
	CHECK_UINT(wheel_advance(&wheel, century), 0);
	probe_init(&probe);
	wheel_set(&wheel, &probe.timer, century + 10);
	CHECK_UINT(wheel_advance(&wheel, century + 9), 0);
	CHECK_UINT(wheel_advance(&wheel, century + 16), 1);
}

static void advance_backwards(void *argument)
{
	wheel_advance(argument, 0);
}

TEST(time_that_goes_back_is_an_assertion)
{
	start(1000);
	CHECK_ABORTS(advance_backwards, &wheel);
}

/* --------------------------------------------------------------------------- the model */

/* What a plain array would do: the deadlines, and UINT64_MAX for those that are not set. */
struct model {
	struct probe probes[MODEL_TIMERS];
	uint64_t deadlines[MODEL_TIMERS];
	uint64_t now_ms;
	uint64_t seed;
};

static struct model model;

static uint64_t random_below(uint64_t bound)
{
	return unit_random(&model.seed) % bound;
}

/* Distances of all magnitudes, past ones too. */
static uint64_t random_deadline(void)
{
	uint64_t distance = random_below(1ull << (1 + random_below(28)));

	if (random_below(8) == 0)
		return model.now_ms - random_below(model.now_ms + 1);
	if (random_below(4) == 0) /* the edges of slots */
		distance = (distance & ~511ull) + random_below(3);
	return model.now_ms + distance;
}

static void model_set_random(size_t i)
{
	model.deadlines[i] = random_deadline();
	wheel_set(&wheel, &model.probes[i].timer, model.deadlines[i]);
}

/* When a timer fires: it was due. Then disturb it and one more. */
static void then_check_model(struct probe *probe)
{
	size_t i = (size_t)(probe - model.probes);

	CHECK(model.deadlines[i] <= model.now_ms);
	model.deadlines[i] = UINT64_MAX;
	if (random_below(3) == 0)
		model_set_random(i);
	if (random_below(8) == 0)
		model_set_random(random_below(MODEL_TIMERS));
	if (random_below(8) == 0) {
		i = random_below(MODEL_TIMERS);
		model.deadlines[i] = UINT64_MAX;
		wheel_stop(&wheel, &model.probes[i].timer);
	}
}

static uint64_t model_earliest(void)
{
	uint64_t earliest = UINT64_MAX;

	for (size_t i = 0; i < MODEL_TIMERS; i++)
		if (model.deadlines[i] < earliest)
			earliest = model.deadlines[i];
	return earliest;
}

static void model_check(void)
{
	uint64_t earliest = model_earliest(), next = wheel_next_ms(&wheel);
	uint32_t count = 0;

	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		bool is_set = model.deadlines[i] != UINT64_MAX;

		CHECK_INT(timer_is_set(&model.probes[i].timer), is_set);
		count += is_set;
	}
	CHECK_UINT(wheel.timers_count, count);
	CHECK_INT(next == UINT64_MAX, count == 0);
	/* A lower bound, rounded up to the tick in which the earliest is due. */
	if (count > 0)
		CHECK(next < (earliest > model.now_ms ? earliest : model.now_ms) + TICK);
}

static void model_advance(uint64_t to_ms)
{
	uint64_t next = wheel_next_ms(&wheel);
	uint64_t deadlines[MODEL_TIMERS];

	memcpy(deadlines, model.deadlines, sizeof(deadlines));
	model.now_ms = to_ms;
	if (to_ms < next)
		CHECK_UINT(wheel_advance(&wheel, to_ms), 0);
	else
		wheel_advance(&wheel, to_ms);
	/* None is late: what was due a tick ago, and nobody moved since, has fired. */
	for (size_t i = 0; i < MODEL_TIMERS; i++)
		if (deadlines[i] == model.deadlines[i] && deadlines[i] != UINT64_MAX)
			CHECK(deadlines[i] + TICK > to_ms);
}

static void model_turn(void)
{
	size_t i = random_below(MODEL_TIMERS);
	uint64_t next;

	switch (random_below(6)) {
	case 0:
	case 1:
	case 2:
		model_set_random(i);
		return;
	case 3:
		model.deadlines[i] = UINT64_MAX;
		wheel_stop(&wheel, &model.probes[i].timer);
		return;
	case 4:
		model_advance(model.now_ms + random_below(1ull << random_below(26)));
		return;
	default: /* as a worker does: sleep until there is work */
		next = wheel_next_ms(&wheel);
		if (next != UINT64_MAX && next > model.now_ms)
			model_advance(next - random_below(2));
		return;
	}
}

TEST(a_wheel_and_a_plain_list_agree_over_random_operations)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		char row[32];

		snprintf(row, sizeof(row), "seed %d", (int)seed);
		unit_row(row);
		model.seed = seed;
		model.now_ms = random_below(1ull << 40);
		start(model.now_ms);
		for (size_t i = 0; i < MODEL_TIMERS; i++) {
			probe_init(&model.probes[i]);
			model.probes[i].then = then_check_model;
			model.deadlines[i] = UINT64_MAX;
		}
		for (int turn = 0; turn < 10000; turn++) {
			model_turn();
			model_check();
		}
		unit_row(NULL);
	}
}

/* A worker that sleeps until wheel_next_ms() neither spins nor misses: each wake makes progress. */
TEST(sleeping_until_the_next_time_reaches_a_far_timer_in_few_wakes)
{
	struct probe probe;
	unsigned wakes = 0;
	uint64_t now = 4242;

	start(now);
	probe_init(&probe);
	wheel_set(&wheel, &probe.timer, 30 * HOUR_MS + 77777);
	while (probe.fired_count == 0 && wakes < 100) {
		uint64_t next = wheel_next_ms(&wheel);

		CHECK(next > now);
		now = next;
		wheel_advance(&wheel, now);
		wakes++;
	}
	CHECK_UINT(probe.fired_count, 1);
	CHECK(now >= 30 * HOUR_MS + 77777);
	CHECK(now < 30 * HOUR_MS + 77777 + TICK);
	CHECK(wakes <= WHEEL_LEVELS);
}

static const struct unit_test tests[] = {
	ROW(a_new_timer_is_not_set_and_stopping_it_is_harmless),
	ROW(a_timer_fires_in_the_tick_of_its_deadline_and_not_before),
	ROW(a_timer_fires_in_time_when_time_moves_in_small_steps),
	ROW(a_past_deadline_fires_at_the_next_advance_even_of_the_same_time),
	ROW(a_stopped_timer_does_not_fire),
	ROW(a_moved_timer_fires_once_at_its_new_deadline),
	ROW(a_deadline_beyond_the_last_level_is_kept_all_the_same),
	ROW(a_timer_set_for_ever_stays_set),
	ROW(timers_fire_in_the_order_of_their_ticks_across_levels),
	ROW(a_timer_that_sets_itself_in_the_past_fires_once_per_advance),
	ROW(a_fire_function_stops_or_moves_another_timer_that_is_due_as_well),
	ROW(the_memory_of_a_timer_may_be_reused_by_its_fire_function),
	ROW(an_idle_wheel_passes_a_century_in_one_step),
	ROW(time_that_goes_back_is_an_assertion),
	ROW(a_wheel_and_a_plain_list_agree_over_random_operations),
	ROW(sleeping_until_the_next_time_reaches_a_far_timer_in_few_wakes),
};
UNIT_MAIN(tests)
