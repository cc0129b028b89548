/* SPDX-License-Identifier: MIT */
/*
 * test_names.c - what is known about one host: a function of answers and times.
 */
#include "names_helpers.h"

/* ------------------------------------------------------------------------------------- one host */

TEST(the_first_round_is_always_told)
{
	static const struct {
		const char *inet;
		const char *inet6;
		enum resolver_outcome outcome;
		const char *set;
	} rows[] = {
		{ "10.0.0.1", "2001:db8::1", RESOLVER_FRESH, "10.0.0.1:80 [2001:db8::1]:80" },
		{ "10.0.0.1", "-", RESOLVER_FRESH, "10.0.0.1:80" },
		{ "10.0.0.1", "!", RESOLVER_FRESH, "10.0.0.1:80" },
		{ "-", "2001:db8::1", RESOLVER_FRESH, "[2001:db8::1]:80" },
		{ "!", "2001:db8::1", RESOLVER_FRESH, "[2001:db8::1]:80" },
		{ "-", "-", RESOLVER_GONE, "" },
		{ "!", "-", RESOLVER_FAILED, "" },
		{ "-", "!", RESOLVER_FAILED, "" },
		{ "!", "!", RESOLVER_FAILED, "" },
		{ "0.0.0.0", "::", RESOLVER_GONE, "" },
		{ "10.0.0.1 10.0.0.1", "::ffff:10.0.0.1", RESOLVER_FRESH, "10.0.0.1:80" },
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		begin_host(RESOLVER_ANY);
		round_of(rows[i].inet, rows[i].inet6);
		check(rows[i].outcome, rows[i].set, true);
		CHECK_INT(question.has_changed, rows[i].set[0] != '\0');
		question_deinit(&question);
	}
}

TEST(a_family_that_is_not_wanted_does_not_count)
{
	begin_host(RESOLVER_INET);
	CHECK(question_wants(&question, FAMILY_INET) && !question_wants(&question, FAMILY_INET6));
	round_of("-", "2001:db8::1");
	check(RESOLVER_GONE, "", true);
	question_deinit(&question);
	begin_host(RESOLVER_INET6);
	CHECK(!question_wants(&question, FAMILY_INET) && question_wants(&question, FAMILY_INET6));
	round_of("10.0.0.1", "2001:db8::1");
	check(RESOLVER_FRESH, "[2001:db8::1]:80", true);
	question_deinit(&question);
}

TEST(another_order_is_no_news)
{
	begin_host(RESOLVER_ANY);
	round_of("10.0.0.1 10.0.0.2 10.0.0.3", "2001:db8::1 2001:db8::2");
	check(RESOLVER_FRESH,
	      "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 [2001:db8::1]:80 [2001:db8::2]:80", true);
	round_of("10.0.0.3 10.0.0.1 10.0.0.2", "2001:db8::2 2001:db8::1 2001:db8::2");
	check(RESOLVER_FRESH,
	      "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 [2001:db8::1]:80 [2001:db8::2]:80", false);
	CHECK(!question.has_changed);
	round_of("10.0.0.3 10.0.0.1", "2001:db8::2 2001:db8::1");
	check(RESOLVER_FRESH, "10.0.0.1:80 10.0.0.3:80 [2001:db8::1]:80 [2001:db8::2]:80", true);
	CHECK(question.has_changed);
	question_deinit(&question);
}

TEST(a_part_that_fails_keeps_its_own)
{
	begin_host(RESOLVER_ANY);
	round_of("10.0.0.1", "2001:db8::1");
	round_of("!", "2001:db8::2");
	check(RESOLVER_FRESH, "10.0.0.1:80 [2001:db8::2]:80", true);
	round_of("10.0.0.2", "!");
	check(RESOLVER_FRESH, "10.0.0.2:80 [2001:db8::2]:80", true);
	round_of("!", "!");
	check(RESOLVER_FAILED, "10.0.0.2:80 [2001:db8::2]:80", true);
	CHECK_TEXT(answer.why, "failed");
	now_ms += 1000 * rules.hold_ms;
	round_of("!", "!");
	check(RESOLVER_FAILED, "10.0.0.2:80 [2001:db8::2]:80", false);
	round_of("10.0.0.2", "2001:db8::2");
	check(RESOLVER_FRESH, "10.0.0.2:80 [2001:db8::2]:80", true);
	CHECK(!question.has_changed);
	question_deinit(&question);
}

TEST(a_family_that_is_gone_leaves_at_once_when_the_other_one_is_there)
{
	begin_host(RESOLVER_ANY);
	round_of("10.0.0.1", "2001:db8::1");
	round_of("-", "2001:db8::1");
	check(RESOLVER_FRESH, "[2001:db8::1]:80", true);
	round_of("10.0.0.1", "-");
	check(RESOLVER_FRESH, "10.0.0.1:80", true);
	question_deinit(&question);
}

/* -------------------------------------------------------------------------------------- holding */

TEST(a_name_that_is_gone_is_held)
{
	begin_host(RESOLVER_ANY);
	round_of("10.0.0.1", "2001:db8::1");
	round_of("-", "-");
	check(RESOLVER_GONE, "10.0.0.1:80 [2001:db8::1]:80", true);
	CHECK_TEXT(answer.why, "gone");
	now_ms += rules.hold_ms - 1;
	round_of("-", "-");
	check(RESOLVER_GONE, "10.0.0.1:80 [2001:db8::1]:80", false);
	CHECK_UINT(answer.next_ms, 1);
	now_ms += 1;
	round_of("-", "-");
	check(RESOLVER_GONE, "", true);
	round_of("-", "-");
	check(RESOLVER_GONE, "", false);
	round_of("10.0.0.1", "-");
	check(RESOLVER_FRESH, "10.0.0.1:80", true);
	/* And the next time the hold begins anew. */
	now_ms += 5;
	round_of("-", "-");
	check(RESOLVER_GONE, "10.0.0.1:80", true);
	question_deinit(&question);
}

TEST(nothing_is_held_without_a_hold)
{
	begin_host(RESOLVER_ANY);
	rules.hold_ms = 0;
	round_of("10.0.0.1", "2001:db8::1");
	round_of("-", "-");
	check(RESOLVER_GONE, "", true);
	question_deinit(&question);
}

TEST(a_hold_ends_by_an_answer_only)
{
	begin_host(RESOLVER_ANY);
	round_of("10.0.0.1", "-");
	round_of("-", "-");
	now_ms += rules.hold_ms + 1;
	round_of("!", "!");
	check(RESOLVER_FAILED, "10.0.0.1:80", true);
	CHECK(answer.next_ms >= 1000);
	round_of("!", "-");
	check(RESOLVER_FAILED, "10.0.0.1:80", false);
	round_of("-", "!"); /* gone for longer than the hold: what A had */
	check(RESOLVER_FAILED, "", true);
	question_deinit(&question);
}

TEST(it_is_asked_again_when_the_hold_is_over)
{
	begin_host(RESOLVER_ANY);
	rules.hold_ms = 2500;
	round_of("10.0.0.1", "2001:db8::1");
	round_of("-", "-");
	CHECK_UINT(answer.next_ms, 1000);
	now_ms += 1000;
	round_of("-", "-");
	CHECK_UINT(answer.next_ms, 1500); /* not 2000 */
	now_ms += 1500;
	round_of("-", "-");
	check(RESOLVER_GONE, "", true);
	CHECK_UINT(answer.next_ms, 4000);
	question_deinit(&question);
}

/* ---------------------------------------------------------------------------------------- times */

TEST(it_is_asked_again_after_the_time_to_live)
{
	static const struct {
		uint32_t ttl_s;
		uint64_t next_ms;
	} rows[] = { { 0, 500 },    { 1, 1000 },   { 20, 20000 },
		     { 60, 60000 }, { 61, 60000 }, { 2147483647, 60000 } };

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		begin_host(RESOLVER_ANY);
		ttl_s = rows[i].ttl_s;
		round_of("10.0.0.1", "-");
		CHECK_UINT(answer.next_ms, rows[i].next_ms);
		question_deinit(&question);
	}
}

TEST(of_two_parts_the_shorter_time_counts)
{
	begin_host(RESOLVER_ANY);
	question_begin(&question);
	ttl_s = 30;
	hear(0, FAMILY_INET, "10.0.0.1");
	ttl_s = 10;
	hear(0, FAMILY_INET6, "2001:db8::1");
	question_end(&question, now_ms, &answer);
	CHECK_UINT(answer.next_ms, 10000);
	question_deinit(&question);
}

TEST(after_failures_it_is_asked_less_and_less)
{
	static const char *const kinds[] = { "!", "-" };
	static const uint64_t waits_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };

	for (uint32_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_host(RESOLVER_ANY);
		for (uint32_t j = 0; j < ARRAY_COUNT(waits_ms); j++) {
			round_of(kinds[i], kinds[i]);
			CHECK_UINT(answer.next_ms, waits_ms[j]);
		}
		round_of("10.0.0.1", "-");
		CHECK_UINT(answer.next_ms, 20000);
		round_of("!", "-");
		CHECK_UINT(answer.next_ms, 1000);
		for (uint32_t j = 0; j < 200; j++)
			round_of("!", "-");
		CHECK_UINT(answer.next_ms, 60000);
		question_deinit(&question);
	}
}

TEST(the_longest_wait_bounds_the_shortest_back_off)
{
	begin_host(RESOLVER_ANY);
	rules.ttl_max_ms = 700;
	round_of("!", "!");
	CHECK_UINT(answer.next_ms, 700);
	question_deinit(&question);
}

TEST(a_part_that_fails_is_asked_again_soon_but_not_for_ever)
{
	static const uint64_t waits_ms[] = { 1000, 2000, 4000, 8000, 16000, 20000, 20000 };

	begin_host(RESOLVER_ANY);
	for (uint32_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
		round_of("10.0.0.1", "!");
		check(RESOLVER_FRESH, "10.0.0.1:80", i == 0);
		CHECK_UINT(answer.next_ms, waits_ms[i]);
	}
	round_of("10.0.0.1", "-");
	CHECK_UINT(answer.next_ms, 20000);
	question_deinit(&question);
}

/* ----------------------------------------------------------------------------------- any rounds */

static const char *any_answer(uint64_t random, bool is_inet6)
{
	static const char *const inet[] = { "-", "!", "10.0.0.1", "10.0.0.2 10.0.0.1", "10.0.0.3" };
	static const char *const inet6[] = { "-", "!", "2001:db8::1", "2001:db8::1 2001:db8::2" };

	return is_inet6 ? inet6[random % ARRAY_COUNT(inet6)] : inet[random % ARRAY_COUNT(inet)];
}

static bool has(const struct resolver_record *records, uint32_t count, const struct addr *addr)
{
	for (uint32_t i = 0; i < count; i++) {
		if (addr_equal(&records[i].addr, addr))
			return true;
	}
	return false;
}

/* May what has this address of before be without it now, after these answers of its own family and
 * of the other one? */
static bool may_leave(const char *own, const char *other, uint64_t gone_for_ms)
{
	if (strcmp(own, "!") == 0)
		return false;
	if (strcmp(own, "-") != 0)
		return true;
	return (strcmp(other, "-") != 0 && strcmp(other, "!") != 0) || gone_for_ms >= rules.hold_ms;
}

TEST(whatever_comes_the_promises_hold)
{
	uint64_t seed = 99;

	begin_host(RESOLVER_ANY);
	rules.hold_ms = 3000;
	for (uint32_t round = 0; round < 20000; round++) {
		struct resolver_record before[16];
		uint32_t count = round > 0 ? answer.count : 0;
		enum resolver_outcome outcome = answer.outcome;
		const char *inet = any_answer(unit_random(&seed), false);
		const char *inet6 = any_answer(unit_random(&seed), true);
		uint64_t gone_for_ms[2];

		assert(count <= ARRAY_COUNT(before));
		if (count > 0)
			memcpy(before, answer.records, count * sizeof(*before));
		for (uint32_t i = 0; i < 2; i++) {
			const struct standing *standing = &question.hosts[0].parts[i].standing;

			gone_for_ms[i] = standing->is_going ? now_ms - standing->gone_ms : 0;
		}
		round_of(inet, inet6);
		CHECK(answer.next_ms > 0 && answer.next_ms <= rules.ttl_max_ms);
		CHECK_INT(question.has_changed,
			  !records_same(before, count, answer.records, answer.count));
		CHECK_INT(is_news, round == 0 || question.has_changed || outcome != answer.outcome);
		for (uint32_t i = 0; i < count; i++) {
			bool is_inet = before[i].addr.kind == ADDR_INET;

			if (!has(answer.records, answer.count, &before[i].addr))
				CHECK(may_leave(is_inet ? inet : inet6, is_inet ? inet6 : inet,
						gone_for_ms[!is_inet]));
		}
		for (uint32_t i = 1; i < answer.count; i++)
			CHECK(!has(answer.records, i, &answer.records[i].addr));
		now_ms += answer.next_ms;
	}
	question_deinit(&question);
}

static const struct unit_test tests[] = {
	ROW(the_first_round_is_always_told),
	ROW(a_family_that_is_not_wanted_does_not_count),
	ROW(another_order_is_no_news),
	ROW(a_part_that_fails_keeps_its_own),
	ROW(a_family_that_is_gone_leaves_at_once_when_the_other_one_is_there),
	ROW(a_name_that_is_gone_is_held),
	ROW(nothing_is_held_without_a_hold),
	ROW(a_hold_ends_by_an_answer_only),
	ROW(it_is_asked_again_when_the_hold_is_over),
	ROW(it_is_asked_again_after_the_time_to_live),
	ROW(of_two_parts_the_shorter_time_counts),
	ROW(after_failures_it_is_asked_less_and_less),
	ROW(the_longest_wait_bounds_the_shortest_back_off),
	ROW(a_part_that_fails_is_asked_again_soon_but_not_for_ever),
	ROW(whatever_comes_the_promises_hold),
};
UNIT_MAIN(tests)
