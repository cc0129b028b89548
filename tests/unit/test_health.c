/* SPDX-License-Identifier: MIT */
/*
 * What checks and failed sessions make of a server: the states one by one, how long an ejection
 * lasts, how a weight grows back, and how many retries are allowed. Pure parts first, then the same
 * through the shared part, with its events.
 */
#include <stdlib.h>

#include "upstream/budget.h"
#include "upstream/eject.h"
#include "upstream_helpers.h"

/* ------------------------------------------------------------------ checks */

static const struct health_policy two_three = { .interval_ms = 2000, .rise = 2, .fall = 3 };

/* What a check says, and what it makes of the server: "+" passes, "-" fails; "U" and "D" are the
 * edges to up and to down, "u" and "d" mean that it stays. */
static const struct transition_row {
	const char *name;
	uint32_t rise;
	uint32_t fall;
	const char *checks;
	const char *states;
} transition_rows[] = {
	{ "stays up", 2, 3, "++++", "uuuu" },
	{ "the first check alone takes it down", 2, 3, "-", "D" },
	{ "fall in a row after one that passed", 2, 3, "+---", "uuuD" },
	{ "one that passes starts the count again", 2, 3, "+--+--+---", "uuuuuuuuuD" },
	{ "rise in a row", 2, 3, "-++", "DdU" },
	{ "one that fails starts that count again", 2, 3, "-+-+-++", "DdddddU" },
	{ "only the first is alone", 2, 3, "-++--+---", "DdUuuuuuD" },
	{ "down is down once", 2, 3, "-----", "Ddddd" },
	{ "up and down at once", 1, 1, "+-+-", "uDUD" },
	{ "slow to rise", 5, 1, "-++++-+++++", "DdddddddddU" },
	{ "slow to fall", 1, 5, "+-----+", "uuuuuDU" },
};

TEST(checks_change_the_state_as_the_table_says)
{
	for (size_t i = 0; i < ARRAY_COUNT(transition_rows); i++) {
		const struct transition_row *row = &transition_rows[i];
		struct health_policy policy = two_three;
		struct health health;

		unit_row(row->name);
		policy.rise = row->rise;
		policy.fall = row->fall;
		health_init(&health);
		CHECK(health.is_up && !health.is_known);
		for (size_t j = 0; row->checks[j] != '\0'; j++) {
			enum health_reason reason = row->checks[j] == '+' ? HEALTH_PASSED :
									    HEALTH_TIMED_OUT;
			bool edge = health_result(&health, &policy, reason, 100 + j);
			char state = health.is_up ? 'u' : 'd';

			CHECK_INT(edge ? state - 'a' + 'A' : state, row->states[j]);
			CHECK(health.last == reason);
			CHECK(!edge || (health.because == reason && health.changed_ms == 100 + j));
			CHECK(health.streak < (health.is_up ? row->fall : row->rise));
		}
		CHECK_UINT(health.checks, strlen(row->checks));
	}
	unit_row(NULL);
}

TEST(checks_are_faster_while_it_is_uncertain)
{
	struct health health;
	uint64_t next;

	health_init(&health);
	next = health_next_ms(&health, &two_three, 7, 1000);
	CHECK(next >= 1450 && next <= 1550);
	health_result(&health, &two_three, HEALTH_PASSED, 0);
	next = health_next_ms(&health, &two_three, 7, 1000);
	CHECK(next >= 2800 && next <= 3200);
	health_result(&health, &two_three, HEALTH_RESET, 0);
	next = health_next_ms(&health, &two_three, 7, 1000);
	CHECK(next >= 1450 && next <= 1550);
}

TEST(a_thousand_checks_do_not_meet)
{
	uint32_t first[20] = { 0 };
	uint32_t later[20] = { 0 };

	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t at = health_first_ms(&two_three, i, 1000, 3, 0);
		struct health health;

		CHECK(at <= 2000);
		first[at < 2000 ? at / 100 : 19]++;
		/* All at the same moment: they part by themselves. */
		health_init(&health);
		at = 0;
		for (uint32_t j = 0; j < 50; j++) {
			health_result(&health, &two_three, HEALTH_PASSED, at);
			at = health_next_ms(&health, &two_three, 1000 + i, at);
		}
		later[at % 2000 / 100]++;
	}
	for (uint32_t i = 0; i < 20; i++) {
		CHECK(first[i] >= 45 && first[i] <= 55);
		CHECK(later[i] >= 10 && later[i] <= 120);
	}
}

/* ------------------------------------------------------------------ ejections */

TEST(an_ejection_lasts_twice_as_long_each_time_up_to_a_bound)
{
	const uint64_t lasts[] = { 10, 20, 40, 80, 160, 320, 320, 320 };
	struct eject eject = { 0 };
	uint64_t now = 5000;

	for (size_t i = 0; i < ARRAY_COUNT(lasts); i++) {
		CHECK_UINT(eject_begin(&eject, 10, now), lasts[i]);
		CHECK_UINT(eject.until_ms, now + lasts[i]);
		now = eject.until_ms;
		eject_end(&eject, now);
		now += 9; /* not quite long enough in service to be forgiven */
	}
	now += 30; /* with the 9: three times 10 */
	CHECK_UINT(eject_begin(&eject, 10, now), 80);
	eject_end(&eject, now);
	CHECK_UINT(eject_begin(&eject, 10, now + 1000), 10);
}

TEST(half_of_the_servers_may_be_out_and_no_more)
{
	CHECK(!eject_allowed(0, 0));
	CHECK(!eject_allowed(1, 0));
	CHECK(eject_allowed(2, 0));
	CHECK(!eject_allowed(2, 1));
	CHECK(!eject_allowed(3, 1));
	CHECK(eject_allowed(4, 1));
	for (uint32_t all = 0; all < 100; all++) {
		uint32_t out = 0;

		while (eject_allowed(all, out))
			out++;
		CHECK_UINT(out, all / 2);
	}
}

TEST(a_weight_grows_linearly_and_is_never_nothing)
{
	CHECK_UINT(ramp_weight(256, 1000, 1000, 0), 256);
	CHECK_UINT(ramp_weight(256, 1000, 1000, 800), 1);
	CHECK_UINT(ramp_weight(256, 1000, 1200, 800), 64);
	CHECK_UINT(ramp_weight(256, 1000, 1400, 800), 128);
	CHECK_UINT(ramp_weight(256, 1000, 1799, 800), 255);
	CHECK_UINT(ramp_weight(256, 1000, 1800, 800), 256);
	CHECK_UINT(ramp_weight(256, 1000, 900, 800), 1);
	CHECK_UINT(ramp_weight(0, 1000, 1400, 800), 0);
	for (uint64_t now = 0; now < 800; now++)
		CHECK(ramp_weight(65536, 0, now, 800) <= ramp_weight(65536, 0, now + 1, 800));
}

/* ------------------------------------------------------------------ retries */

TEST(retries_are_a_share_of_the_requests_and_a_few)
{
	struct budget budget;
	uint32_t retries = 0;

	budget_init(&budget, 20);
	while (retries < 100 && budget_retry(&budget, 0))
		retries++;
	CHECK_UINT(retries, BUDGET_LEAST);
	for (uint32_t i = 0; i < 1000; i++)
		budget_request(&budget, 500);
	while (retries < 1000 && budget_retry(&budget, 900))
		retries++;
	CHECK_UINT(retries, BUDGET_LEAST + 200);
	/* Ten seconds later both are forgotten. */
	CHECK(!budget_retry(&budget, 9999));
	CHECK(budget_retry(&budget, 10000));
	CHECK_UINT(budget.requests_sum, 0);
	CHECK_UINT(budget.retries_sum, 1);
}

/* Whatever comes in whatever order: what is allowed within ten of its seconds stays within bounds,
 * and the sums are those of the seconds. */
TEST(the_budget_holds_for_every_window)
{
	uint32_t requests[400] = { 0 };
	uint32_t retries[400] = { 0 };
	uint64_t seed = 11;
	struct budget budget;

	budget_init(&budget, 20);
	for (uint32_t second = 0; second < 400; second++) {
		uint32_t more = second % 50 < 25 ? (uint32_t)(unit_random(&seed) % 300) : 0;
		uint64_t all_requests = 0;
		uint64_t all_retries = 0;

		if (second % 37 > 30)
			continue; /* quiet for a while */
		for (uint32_t i = 0; i < more; i++) {
			budget_request(&budget, second * 1000 + unit_random(&seed) % 1000);
			requests[second]++;
			retries[second] += budget_retry(&budget, second * 1000 + 500);
		}
		retries[second] += budget_retry(&budget, second * 1000 + 999);
		for (uint32_t i = second < 9 ? 0 : second - 9; i <= second; i++) {
			all_requests += requests[i];
			all_retries += retries[i];
		}
		CHECK_UINT(budget.requests_sum, all_requests);
		CHECK_UINT(budget.retries_sum, all_retries);
		if (retries[second] > 1) /* some were allowed at the end of it, then */
			CHECK(all_retries <= BUDGET_LEAST + all_requests / 5 + 1);
	}
}

TEST(each_worker_and_upstream_has_a_budget)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 2);

	case_open(c, 2);
	for (uint32_t i = 0; i < 50; i++)
		upstream_request(c->workers[0], &c->upstream, 0);
	for (uint32_t i = 0; i < BUDGET_LEAST + 10; i++)
		CHECK(upstream_may_retry(c->workers[0], &c->upstream, 0));
	CHECK(!upstream_may_retry(c->workers[0], &c->upstream, 0));
	CHECK(upstream_may_retry(c->workers[1], &c->upstream, 0));
	case_close(c);
}

/* ------------------------------------------------------------------ the shared part */

/* The next event: "PLACE before>after reason", in letters of the states. */
static const char *event_text(struct balance_case *c, char text[128])
{
	static const char letters[] = "UDEX";
	struct health_event event;

	if (!upstreams_take_event(c->shared, &event))
		return "";
	CHECK(event.upstream == &c->upstream);
	CHECK_UINT(event.at_ms, c->now_ms);
	snprintf(text, 128, "%d %c>%c %s", (int)(event.server - c->conf_servers),
		 letters[event.before], letters[event.after], health_reason_texts[event.reason]);
	return text;
}

static void fail_times(struct balance_case *c, uint32_t index, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++)
		server_failed(server_at(c, index), HEALTH_REFUSED, c->now_ms);
}

TEST(a_change_is_one_event_with_its_reason)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 3);
	char text[128];

	case_open(c, 1);
	c->now_ms = 50;
	CHECK_TEXT(event_text(c, text), "");
	server_checked(server_at(c, 1), HEALTH_TIMED_OUT, c->now_ms);
	server_checked(server_at(c, 1), HEALTH_TIMED_OUT, c->now_ms);
	CHECK_TEXT(event_text(c, text), "1 U>D the server did not answer in time");
	CHECK_TEXT(event_text(c, text), "");
	server_checked(server_at(c, 1), HEALTH_PASSED, c->now_ms);
	CHECK_TEXT(event_text(c, text), "");
	server_checked(server_at(c, 1), HEALTH_PASSED, c->now_ms);
	CHECK_TEXT(event_text(c, text), "1 D>U the check passed");
	fail_times(c, 2, 9);
	CHECK_TEXT(event_text(c, text), "2 U>E the server refused the connection");
	CHECK_TEXT(event_text(c, text), "");
	c->now_ms += 9999;
	upstreams_tick(c->shared, c->now_ms);
	CHECK_TEXT(event_text(c, text), "");
	c->now_ms++;
	upstreams_tick(c->shared, c->now_ms);
	CHECK_TEXT(event_text(c, text), "2 E>U its time out of service is over");
	CHECK_UINT(upstreams_events_lost(c->shared), 0);
	case_close(c);
}

TEST(only_failures_in_a_row_eject)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 2);

	case_open(c, 1);
	fail_times(c, 0, 4);
	server_succeeded(server_at(c, 0));
	fail_times(c, 0, 4);
	CHECK_INT(server_state(server_at(c, 0)), SERVER_UP);
	fail_times(c, 0, 1);
	CHECK_INT(server_state(server_at(c, 0)), SERVER_EJECTED);
	for (uint32_t i = 0; i < 10; i++)
		CHECK_UINT(choose_at(c, 0, 0), 1);
	case_close(c);
}

TEST(ejections_can_be_off)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 4);

	c->policy.eject_after = 0;
	case_open(c, 1);
	fail_times(c, 0, 1000);
	CHECK_INT(server_state(server_at(c, 0)), SERVER_UP);
	case_close(c);
}

TEST(a_lone_server_is_not_ejected)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 2);

	c->servers[0].weight = 0; /* drained: it does not count */
	case_open(c, 1);
	fail_times(c, 0, 1000);
	fail_times(c, 1, 1000);
	CHECK_INT(server_state(server_at(c, 0)), SERVER_DRAINED);
	CHECK_INT(server_state(server_at(c, 1)), SERVER_UP);
	CHECK_UINT(choose_at(c, 0, 0), 1);
	case_close(c);
}

/* Failures, checks and time in any order: after each step at most half of those that are not down
 * are out, and somebody who is up is chosen whenever there is one. */
TEST(never_more_than_half_are_out_whatever_happens)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t random = seed;
		struct balance_case *c = case_of(BALANCE_RANDOM_TWO, 1 + (uint32_t)seed % 9);

		c->policy.slow_start_ms = seed % 2 * 3000;
		case_open(c, 1);
		for (uint32_t step = 0; step < 500; step++) {
			uint32_t index =
				(uint32_t)(unit_random(&random) % c->upstream.servers_count);
			uint32_t in_states[4] = { 0 };

			c->now_ms += unit_random(&random) % 2000;
			if (unit_random(&random) % 3 > 0)
				fail_times(c, index, 5);
			else
				server_checked(server_at(c, index),
					       unit_random(&random) % 2 ? HEALTH_PASSED :
									  HEALTH_CLOSED,
					       c->now_ms);
			upstreams_tick(c->shared, c->now_ms);
			for (uint32_t i = 0; i < c->upstream.servers_count; i++)
				in_states[server_state(server_at(c, i))]++;
			CHECK(in_states[SERVER_EJECTED] <= in_states[SERVER_UP]);
			index = choose_at(c, 0, 0);
			CHECK((index != NONE) == (in_states[SERVER_UP] > 0));
			CHECK(index == NONE || server_state(server_at(c, index)) == SERVER_UP);
		}
		case_close(c);
	}
}

TEST(a_server_that_goes_down_lets_ejected_ones_back)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 4);
	char text[128];

	case_open(c, 1);
	fail_times(c, 0, 5);
	c->now_ms = 1;
	fail_times(c, 1, 5);
	fail_times(c, 2, 5); /* no third */
	CHECK_INT(server_state(server_at(c, 2)), SERVER_UP);
	CHECK_INT(server_state(server_at(c, 1)), SERVER_EJECTED);
	c->now_ms = 0;
	event_text(c, text);
	c->now_ms = 1;
	event_text(c, text);
	bring_down(c, 3);
	CHECK_TEXT(event_text(c, text), "3 U>D the server refused the connection");
	CHECK_TEXT(event_text(c, text), "0 E>U more than half of the servers were out of service");
	CHECK_TEXT(event_text(c, text), "");
	case_close(c);
}

TEST(slow_start_gives_the_weight_back_in_steps)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 2);
	uint32_t chosen[5] = { 0 };

	c->policy.slow_start_ms = 10000;
	case_open(c, 1);
	CHECK_UINT(server_weight(server_at(c, 0)), server_weight_whole(server_at(c, 0)));
	bring_down(c, 0);
	CHECK_UINT(server_weight(server_at(c, 0)), 0);
	for (uint32_t i = 0; i < 10; i++)
		CHECK_UINT(choose_at(c, 0, 0), 1);
	c->now_ms = 20000;
	bring_up(c, 0);
	/* A choice per ms: its share grows from 0 to one half. */
	for (uint32_t i = 0; i < 12500; i++, c->now_ms++) {
		if (choose_at(c, 0, 0) == 0)
			chosen[i / 2500]++;
	}
	/* The integral of x / (1 + x) over each quarter, times 10,000. */
	CHECK_NEAR(chosen[0], 269, 25);
	CHECK_NEAR(chosen[1], 677, 25);
	CHECK_NEAR(chosen[2], 958, 25);
	CHECK_NEAR(chosen[3], 1165, 25);
	CHECK_NEAR(chosen[4], 1250, 2);
	CHECK_UINT(server_weight(server_at(c, 0)), server_weight_whole(server_at(c, 0)));
	case_close(c);
}

TEST(each_worker_hears_of_a_server_that_fell_once)
{
	struct balance_case *c = case_of(BALANCE_LEAST_SESSIONS, 3);
	struct server *fallen;
	bool went_down = false;

	case_open(c, 2);
	CHECK(upstreams_take_fallen(c->workers[0], &went_down) == NULL);
	bring_down(c, 1);
	for (uint32_t i = 0; i < 2; i++) {
		fallen = upstreams_take_fallen(c->workers[i], &went_down);
		CHECK(fallen == upstream_server(c->workers[i], &c->upstream, 1) && went_down);
		CHECK(upstreams_take_fallen(c->workers[i], &went_down) == NULL);
	}
	/* Down and up and down between two looks is one fall; an ejection is none. */
	bring_up(c, 1);
	bring_down(c, 1);
	bring_up(c, 1);
	fail_times(c, 2, 5);
	CHECK_INT(server_state(server_at(c, 2)), SERVER_EJECTED);
	choose_at(c, 0, 0);
	fallen = upstreams_take_fallen(c->workers[0], &went_down);
	CHECK(fallen == server_at(c, 1));
	CHECK(upstreams_take_fallen(c->workers[0], &went_down) == NULL);
	case_close(c);
}

TEST(events_that_nobody_takes_are_counted)
{
	struct balance_case *c = case_of(BALANCE_ROUND_ROBIN, 2);
	struct health_event event;
	uint32_t taken = 0;

	case_open(c, 1);
	for (uint32_t i = 0; i < 200; i++) {
		bring_down(c, 0);
		bring_up(c, 0);
	}
	while (upstreams_take_event(c->shared, &event)) {
		CHECK_INT(event.after, taken % 2 ? SERVER_UP : SERVER_DOWN);
		taken++;
	}
	CHECK_UINT(taken + upstreams_events_lost(c->shared), 400);
	CHECK(taken >= 100);
	case_close(c);
}

static const struct unit_test tests[] = {
	ROW(checks_change_the_state_as_the_table_says),
	ROW(checks_are_faster_while_it_is_uncertain),
	ROW(a_thousand_checks_do_not_meet),
	ROW(an_ejection_lasts_twice_as_long_each_time_up_to_a_bound),
	ROW(half_of_the_servers_may_be_out_and_no_more),
	ROW(a_weight_grows_linearly_and_is_never_nothing),
	ROW(retries_are_a_share_of_the_requests_and_a_few),
	ROW(the_budget_holds_for_every_window),
	ROW(each_worker_and_upstream_has_a_budget),
	ROW(a_change_is_one_event_with_its_reason),
	ROW(only_failures_in_a_row_eject),
	ROW(ejections_can_be_off),
	ROW(a_lone_server_is_not_ejected),
	ROW(never_more_than_half_are_out_whatever_happens),
	ROW(a_server_that_goes_down_lets_ejected_ones_back),
	ROW(slow_start_gives_the_weight_back_in_steps),
	ROW(each_worker_hears_of_a_server_that_fell_once),
	ROW(events_that_nobody_takes_are_counted),
};
UNIT_MAIN(tests)
