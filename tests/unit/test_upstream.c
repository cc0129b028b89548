/* SPDX-License-Identifier: MIT */
/*
 * Smooth weighted round robin: exact shares, smooth order, avoiding the one that failed.
 */
#include "upstream/upstream.h"

#include <stdio.h>

#include "unit.h"

#define SERVERS_MAX 8

struct bench {
	struct conf conf;
	struct conf_upstream upstream;
	struct conf_server servers[SERVERS_MAX];
	struct upstreams *upstreams;
};

static void bench_open(struct bench *bench, const uint32_t *weights, uint32_t count, uint32_t turns)
{
	uint32_t i;

	*bench = (struct bench){ 0 };
	bench->conf.upstreams = &bench->upstream;
	bench->conf.upstreams_count = 1;
	bench->upstream.servers = bench->servers;
	bench->upstream.servers_count = count;
	for (i = 0; i < count; i++) {
		bench->servers[i].weight = weights[i];
		snprintf(bench->servers[i].name, sizeof(bench->servers[i].name), "%c",
			 'a' + (char)i);
	}
	CHECK_INT(upstreams_open(&bench->upstreams, &bench->conf, turns), 0);
}

/* The names of the next `count` choices. */
static void pick(struct bench *bench, char *names, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		names[i] = upstream_pick(bench->upstreams, &bench->upstream, NULL)->conf->name[0];
	names[count] = '\0';
}

TEST(equal_servers_take_turns_in_the_order_of_the_file)
{
	const uint32_t weights[] = { 1, 1, 1 };
	struct bench bench;
	char names[16];

	bench_open(&bench, weights, 3, 0);
	pick(&bench, names, 7);
	CHECK_TEXT(names, "abcabca");
	upstreams_close(bench.upstreams);
}

TEST(weights_are_smooth_not_in_bursts)
{
	const uint32_t weights[] = { 5, 1, 1 };
	struct bench bench;
	char names[16];

	bench_open(&bench, weights, 3, 0);
	pick(&bench, names, 14);
	CHECK_TEXT(names, "aabacaaaabacaa");
	upstreams_close(bench.upstreams);
}

TEST(every_window_of_the_sum_of_weights_is_exact)
{
	const uint32_t weights[] = { 7, 0, 3, 256, 1 };
	uint32_t counts[5] = { 0 };
	struct bench bench;
	uint32_t i, round;

	bench_open(&bench, weights, 5, 3);
	for (round = 0; round < 4; round++) {
		memset(counts, 0, sizeof(counts));
		for (i = 0; i < 267; i++)
			counts[upstream_pick(bench.upstreams, &bench.upstream, NULL)->conf -
			       bench.servers]++;
		for (i = 0; i < 5; i++)
			CHECK_UINT(counts[i], weights[i]);
	}
	upstreams_close(bench.upstreams);
}

TEST(workers_start_at_different_servers)
{
	const uint32_t weights[] = { 1, 1, 1 };
	struct bench bench;
	char names[16];

	bench_open(&bench, weights, 3, 1);
	pick(&bench, names, 3);
	CHECK_TEXT(names, "bca");
	upstreams_close(bench.upstreams);
}

TEST(the_server_that_failed_is_avoided_while_there_is_another)
{
	const uint32_t weights[] = { 200, 1 };
	struct server *failed, *next;
	struct bench bench;
	uint32_t i;

	bench_open(&bench, weights, 2, 0);
	for (i = 0; i < 300; i++) {
		failed = upstream_pick(bench.upstreams, &bench.upstream, NULL);
		next = upstream_pick(bench.upstreams, &bench.upstream, failed);
		CHECK(next != NULL && next != failed);
	}
	upstreams_close(bench.upstreams);
}

TEST(a_lone_server_is_tried_again_and_drained_ones_never)
{
	const uint32_t lone[] = { 0, 2 };
	const uint32_t drained[] = { 0, 0 };
	struct server *server;
	struct bench bench;

	bench_open(&bench, lone, 2, 0);
	server = upstream_pick(bench.upstreams, &bench.upstream, NULL);
	CHECK(server == upstream_server(bench.upstreams, &bench.upstream, 1));
	CHECK(upstream_pick(bench.upstreams, &bench.upstream, server) == server);
	upstreams_close(bench.upstreams);
	bench_open(&bench, drained, 2, 5);
	CHECK(upstream_pick(bench.upstreams, &bench.upstream, NULL) == NULL);
	upstreams_close(bench.upstreams);
}

TEST(the_policy_is_what_the_file_says)
{
	const struct conf_server server = { .weight = 7, .max_sessions = 8, .is_backup = true };
	struct conf_upstream conf = {
		.balance = BALANCE_RANDOM_TWO,
		.health = PROBE_TCP,
		.health_interval_ns = 1000001,
		.health_rise = 3,
		.health_fall = 4,
		.eject_after = 5,
		.eject_time_ns = 6000000,
		.slow_start_ns = 1,
		.retry_budget = 9,
	};
	struct server_policy server_policy;
	struct upstream_policy policy;

	upstream_policy_read(&policy, &conf);
	CHECK_UINT(policy.balance, BALANCE_RANDOM_TWO);
	CHECK_UINT(policy.health.interval_ms, 2);
	CHECK_UINT(policy.health.rise, 3);
	CHECK_UINT(policy.health.fall, 4);
	CHECK_UINT(policy.eject_after, 5);
	CHECK_UINT(policy.eject_time_ms, 6);
	CHECK_UINT(policy.slow_start_ms, 1);
	CHECK_UINT(policy.retry_budget, 9);
	CHECK(policy.servers == NULL);
	conf.health = PROBE_OFF;
	upstream_policy_read(&policy, &conf);
	CHECK_UINT(policy.health.interval_ms, 0);
	server_policy_read(&server_policy, &server);
	CHECK_UINT(server_policy.weight, 7);
	CHECK_UINT(server_policy.max_sessions, 8);
	CHECK(server_policy.is_backup);
}

static const struct unit_test tests[] = {
	ROW(equal_servers_take_turns_in_the_order_of_the_file),
	ROW(weights_are_smooth_not_in_bursts),
	ROW(every_window_of_the_sum_of_weights_is_exact),
	ROW(workers_start_at_different_servers),
	ROW(the_server_that_failed_is_avoided_while_there_is_another),
	ROW(a_lone_server_is_tried_again_and_drained_ones_never),
	ROW(the_policy_is_what_the_file_says),
};
UNIT_MAIN(tests)
