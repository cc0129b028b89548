/* SPDX-License-Identifier: MIT */
/*
 * test_names_targets.c - what is known about a name with SRV records, and how much at most.
 */
#include "names_helpers.h"

TEST(srv_targets_are_united)
{
	begin_srv();
	SRV("2:1:80:b.test 1:5:80:a.test 1:6:81:a.test", "a.test 10.0.0.1 10.0.0.2",
	    "b.test 10.0.0.3 10.0.0.2");
	check(RESOLVER_FRESH,
	      "10.0.0.1:80/1/5 10.0.0.1:81/1/6 10.0.0.2:80/1/5 10.0.0.2:81/1/6 10.0.0.3:80/2/1",
	      true);
	CHECK_UINT(question.hosts_count, 2);
	SRV("1:6:81:a.test 2:1:80:b.test 1:5:80:a.test", "b.test 10.0.0.2 10.0.0.3",
	    "a.test 10.0.0.2 10.0.0.1");
	CHECK(!is_news);
	SRV("1:6:81:a.test 2:1:80:b.test 1:7:80:a.test", "b.test 10.0.0.2 10.0.0.3",
	    "a.test 10.0.0.2 10.0.0.1");
	CHECK(is_news && question.has_changed); /* a weight */
	question_deinit(&question);
}

TEST(srv_outcomes)
{
	static const struct {
		const char *service;
		const char *a;
		const char *b;
		enum resolver_outcome outcome;
		const char *set;
	} rows[] = {
		{ "1:1:1:a.test 1:1:1:b.test", "a.test 10.0.0.1", "b.test -", RESOLVER_FRESH,
		  "10.0.0.1:1/1/1" },
		{ "1:1:1:a.test 1:1:1:b.test", "a.test 10.0.0.1", "b.test !", RESOLVER_FRESH,
		  "10.0.0.1:1/1/1" },
		{ "1:1:1:a.test 1:1:1:b.test", "a.test -", "b.test !", RESOLVER_FAILED, "" },
		{ "1:1:1:a.test 1:1:1:b.test", "a.test -", "b.test -", RESOLVER_GONE, "" },
		{ "1:1:1:a.test", "a.test 0.0.0.0", "x", RESOLVER_GONE, "" },
		{ "0:0:0:.", "x", "x", RESOLVER_GONE, "" },
		{ "-", "x", "x", RESOLVER_GONE, "" },
		{ "!", "x", "x", RESOLVER_FAILED, "" },
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i].service);
		begin_srv();
		SRV(rows[i].service, rows[i].a, rows[i].b);
		check(rows[i].outcome, rows[i].set, true);
		question_deinit(&question);
	}
	unit_row(NULL);
}

TEST(a_target_that_is_not_there_any_more_leaves_at_once)
{
	begin_srv();
	SRV("1:1:1:a.test 1:1:1:b.test", "a.test 10.0.0.1", "b.test 10.0.0.2");
	SRV("1:1:1:b.test 1:1:1:c.test", "b.test !", "c.test 10.0.0.3");
	check(RESOLVER_FRESH, "10.0.0.2:1/1/1 10.0.0.3:1/1/1", true);
	SRV("1:1:1:a.test", "a.test !");
	check(RESOLVER_FAILED, "", true); /* what it once had is forgotten */
	question_deinit(&question);
}

TEST(a_target_that_is_gone_is_held_while_the_others_stay)
{
	begin_srv();
	SRV("1:1:1:a.test 1:1:1:b.test", "a.test 10.0.0.1", "b.test 10.0.0.2");
	SRV("1:1:1:a.test 1:1:1:b.test", "a.test -", "b.test 10.0.0.2");
	check(RESOLVER_FRESH, "10.0.0.1:1/1/1 10.0.0.2:1/1/1", false);
	CHECK_UINT(answer.next_ms, 20000);
	now_ms += 20000;
	SRV("1:1:1:a.test 1:1:1:b.test", "a.test -", "b.test 10.0.0.2");
	check(RESOLVER_FRESH, "10.0.0.1:1/1/1 10.0.0.2:1/1/1", false);
	CHECK_UINT(answer.next_ms, 10000);
	now_ms += 10000;
	SRV("1:1:1:a.test 1:1:1:b.test", "a.test -", "b.test 10.0.0.2");
	check(RESOLVER_FRESH, "10.0.0.2:1/1/1", true);
	question_deinit(&question);
}

TEST(srv_that_fails_keeps_its_targets_and_they_go_on)
{
	begin_srv();
	SRV("1:1:1:a.test 1:1:1:b.test", "a.test 10.0.0.1", "b.test 10.0.0.2");
	SRV("!", "a.test 10.0.0.3", "b.test !");
	check(RESOLVER_FAILED, "10.0.0.2:1/1/1 10.0.0.3:1/1/1", true);
	CHECK_UINT(answer.next_ms, 1000);
	now_ms += 10 * rules.hold_ms;
	SRV("!", "a.test !", "b.test !");
	check(RESOLVER_FAILED, "10.0.0.2:1/1/1 10.0.0.3:1/1/1", false);
	question_deinit(&question);
}

TEST(srv_that_is_gone_is_held)
{
	begin_srv();
	SRV("1:1:1:a.test", "a.test 10.0.0.1");
	SRV("-", "a.test 10.0.0.2");
	check(RESOLVER_GONE, "10.0.0.2:1/1/1", true);
	now_ms += rules.hold_ms;
	SRV("!", "a.test 10.0.0.2");
	check(RESOLVER_FAILED, "10.0.0.2:1/1/1", true);
	SRV("-", "x");
	check(RESOLVER_GONE, "", true);
	CHECK_UINT(question.hosts_count, 0);
	SRV("1:1:1:a.test", "a.test 10.0.0.1");
	check(RESOLVER_FRESH, "10.0.0.1:1/1/1", true);
	question_deinit(&question);
}

TEST(the_least_time_of_records_and_targets_counts)
{
	static const struct {
		uint32_t records_s;
		uint32_t target_s;
		uint64_t next_ms;
	} rows[] = { { 15, 20, 15000 }, { 15, 7, 7000 } };

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct reply reply;

		begin_srv();
		ttl_s = rows[i].records_s;
		reply = service_from("1:1:1:a.test");
		question_begin(&question);
		question_service(&question, &reply, now_ms);
		ttl_s = rows[i].target_s;
		hear(0, FAMILY_INET, "10.0.0.1");
		hear(0, FAMILY_INET6, "-");
		question_end(&question, now_ms, &answer);
		CHECK_UINT(answer.next_ms, rows[i].next_ms);
		question_deinit(&question);
	}
}

/* --------------------------------------------------------------------------------------- bounds */

static struct reply many_addrs(uint32_t count)
{
	struct reply reply = { .kind = REPLY_FOUND, .why = "", .ttl_ms = 1000 };

	reply.addrs = calloc(count, sizeof(*reply.addrs));
	for (uint32_t i = 0; i < count; i++) {
		struct sockaddr_in in = { .sin_family = AF_INET };

		in.sin_addr.s_addr = htonl(0x0a000000 + count - i);
		addr_from_sockaddr(&reply.addrs[i], (const struct sockaddr *)&in, sizeof(in));
	}
	reply.addrs_count = count;
	return reply;
}

TEST(a_set_is_bounded)
{
	struct reply reply = many_addrs(RESOLVER_RECORDS_MAX + 10);

	begin_host(RESOLVER_INET);
	question_begin(&question);
	question_addresses(&question, 0, FAMILY_INET, &reply, now_ms);
	CHECK(question_end(&question, now_ms, &answer));
	CHECK_UINT(answer.count, RESOLVER_RECORDS_MAX);
	CHECK_UINT(answer.left_out, 10);
	reply = many_addrs(3);
	question_begin(&question);
	question_addresses(&question, 0, FAMILY_INET, &reply, now_ms);
	CHECK(question_end(&question, now_ms, &answer));
	CHECK_UINT(answer.count, 3);
	CHECK_UINT(answer.left_out, 0);
	question_deinit(&question);
}

TEST(two_small_answers_do_not_make_an_endless_set)
{
	struct reply service = { .kind = REPLY_FOUND, .why = "", .ttl_ms = 1000 };
	struct reply addrs = many_addrs(RESOLVER_RECORDS_MAX);

	service.targets = calloc(RESOLVER_RECORDS_MAX, sizeof(*service.targets));
	service.targets_count = RESOLVER_RECORDS_MAX;
	service.left_out = 5;
	for (uint32_t i = 0; i < RESOLVER_RECORDS_MAX; i++) {
		service.targets[i] = (struct target){ .priority = 1, .port = (uint16_t)(i + 1) };
		snprintf(service.targets[i].host, sizeof(service.targets[i].host), "a.test");
	}
	begin_srv();
	question_begin(&question);
	question_service(&question, &service, now_ms);
	CHECK_UINT(question.hosts_count, 1);
	question_addresses(&question, 0, FAMILY_INET, &addrs, now_ms);
	hear(0, FAMILY_INET6, "-");
	CHECK(question_end(&question, now_ms, &answer));
	CHECK_UINT(answer.count, RESOLVER_RECORDS_MAX);
	CHECK_UINT(answer.left_out,
		   RESOLVER_RECORDS_MAX * RESOLVER_RECORDS_MAX - RESOLVER_RECORDS_MAX + 5);
	question_deinit(&question);
}

static const struct unit_test tests[] = {
	ROW(srv_targets_are_united),
	ROW(srv_outcomes),
	ROW(a_target_that_is_not_there_any_more_leaves_at_once),
	ROW(a_target_that_is_gone_is_held_while_the_others_stay),
	ROW(srv_that_fails_keeps_its_targets_and_they_go_on),
	ROW(srv_that_is_gone_is_held),
	ROW(the_least_time_of_records_and_targets_counts),
	ROW(a_set_is_bounded),
	ROW(two_small_answers_do_not_make_an_endless_set),
};
UNIT_MAIN(tests)
