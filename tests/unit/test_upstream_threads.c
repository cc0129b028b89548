/* SPDX-License-Identifier: MIT */
/*
 * Several workers at once, each with its own part, while checks and failures change the servers:
 * limits hold at every moment, no session is lost, and what is left behind is exact. Under the
 * thread sanitizer this is also the test that nothing is shared by accident.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "upstream_helpers.h"

#define SERVERS 40u
#define WORKERS 3u
#define HELD 48u
#define STEPS 6000u

/* Checks are for one thread: the others count what is wrong. */
static _Atomic uint32_t wrong;
/* Sessions as the workers know them, beside what the layer counts. */
static _Atomic uint32_t held[SERVERS];
static _Atomic bool is_over;

static void expect(bool holds)
{
	if (!holds)
		atomic_fetch_add(&wrong, 1);
}

static uint32_t place_of(const struct server *server)
{
	return (uint32_t)(server->conf - the_case.conf_servers);
}

static void begin(struct server *server)
{
	uint32_t place = place_of(server);
	uint32_t limit = the_case.servers[place].max_sessions;

	expect(atomic_fetch_add(&held[place], 1) < limit || limit == 0);
}

static void end(struct server **server)
{
	/* In this order, so that `held` is never more than the places that are taken. */
	atomic_fetch_sub(&held[place_of(*server)], 1);
	server_session_end(*server);
	*server = NULL;
}

static void *work(void *argument)
{
	struct upstreams *upstreams = argument;
	struct server *mine[HELD] = { NULL };
	struct server *server;
	uint64_t random = (uintptr_t)argument;
	uint32_t made = 0;
	bool went_down;

	for (uint32_t step = 0; step < STEPS; step++) {
		uint64_t bits = unit_random(&random);
		struct server **at = &mine[bits % HELD];
		struct choice choice = { .key_hash = bits >> 8, .now_ms = step };

		if (*at != NULL) {
			if (bits & 64)
				server_failed(*at, HEALTH_REFUSED, step);
			else
				server_succeeded(*at);
			end(at);
			continue;
		}
		if (upstream_choose(upstreams, &the_case.upstream, &choice, at) == CHOICE_MADE) {
			begin(*at);
			made++;
		}
		server = upstream_server(upstreams, &the_case.upstream, (bits >> 20) % SERVERS);
		if (step % 8 == 0 && mine[(bits + 1) % HELD] == NULL &&
		    server_session_begin(server)) {
			mine[(bits + 1) % HELD] = server;
			begin(server);
		}
		while ((server = upstreams_take_fallen(upstreams, &went_down)) != NULL)
			expect(server->upstream_index == 0);
	}
	for (uint32_t i = 0; i < HELD; i++) {
		if (mine[i] != NULL)
			end(&mine[i]);
	}
	expect(made > STEPS / 10);
	return NULL;
}

/* One more worker makes the checks, takes the events and lets time pass. */
static void *check(void *argument)
{
	struct upstreams *upstreams = argument;
	uint64_t random = 77;
	uint64_t now_ms = 0;
	struct health_event event;

	while (!atomic_load(&is_over)) {
		uint64_t bits = unit_random(&random);
		struct server *server =
			upstream_server(upstreams, &the_case.upstream, bits % SERVERS);

		now_ms++;
		expect(server_checked(server, bits & 256 ? HEALTH_PASSED : HEALTH_TIMED_OUT,
				      now_ms) > now_ms);
		upstreams_tick(the_case.shared, now_ms);
		while (upstreams_take_event(the_case.shared, &event))
			expect(event.before != event.after);
		expect(server_weight(server) <= server_weight_whole(server));
	}
	return NULL;
}

static void run(enum conf_balance balance)
{
	struct balance_case *c = case_of(balance, SERVERS);
	pthread_t threads[WORKERS];
	pthread_t checker;

	for (uint32_t i = 0; i < SERVERS; i++) {
		c->servers[i].weight = 1 + i % 3;
		c->servers[i].max_sessions = i % 2 ? 4 : i % 5 ? 0 : 1;
		c->servers[i].is_backup = i % 10 == 9;
	}
	c->policy.slow_start_ms = 100;
	c->policy.eject_time_ms = 20;
	atomic_store(&wrong, 0);
	atomic_store(&is_over, false);
	case_open(c, WORKERS + 1);
	for (uint32_t i = 0; i < WORKERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, work, c->workers[i]), 0);
	CHECK_INT(pthread_create(&checker, NULL, check, c->workers[WORKERS]), 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&is_over, true);
	pthread_join(checker, NULL);
	CHECK_UINT(atomic_load(&wrong), 0);
	for (uint32_t i = 0; i < SERVERS; i++) {
		CHECK_UINT(atomic_load(&held[i]), 0);
		CHECK_UINT(server_sessions(server_at(c, i)), 0);
	}
	/* All up again, every place can be taken, and then none. */
	c->now_ms = 1000000;
	upstreams_tick(c->shared, c->now_ms);
	for (uint32_t i = 0; i < SERVERS; i++) {
		if (server_state(server_at(c, i)) != SERVER_UP)
			bring_up(c, i);
	}
	c->now_ms += 1000;
	for (uint32_t i = 0; i < 400; i++)
		CHECK(choose_at(c, i % WORKERS, i) != NONE);
	for (uint32_t i = 0; i < SERVERS; i++)
		CHECK(c->servers[i].max_sessions == 0 ||
		      server_sessions(server_at(c, i)) <= c->servers[i].max_sessions);
	case_close(c);
}

TEST(workers_share_servers_under_every_balancing)
{
	for (enum conf_balance balance = BALANCE_ROUND_ROBIN; balance <= BALANCE_MAGLEV; balance++)
		run(balance);
}

/* ------------------------------------------------------------------ least, with nobody at work */

static void *churn(void *argument)
{
	struct upstreams *upstreams = argument;
	struct server *mine[HELD] = { NULL };
	uint64_t random = (uintptr_t)argument;
	struct choice choice = { .now_ms = 0 };

	for (uint32_t step = 0; step < 2 * STEPS; step++) {
		struct server **at = &mine[unit_random(&random) % HELD];

		if (*at != NULL) {
			server_session_end(*at);
			*at = NULL;
		} else {
			expect(upstream_choose(upstreams, &the_case.upstream, &choice, at) ==
			       CHOICE_MADE);
		}
	}
	return NULL; /* what it holds stays */
}

/* After any interleaving the words of the groups are right: the next choices go to the least. */
TEST(least_sessions_is_exact_after_any_interleaving)
{
	for (uint32_t round = 0; round < 5; round++) {
		struct balance_case *c = case_of(BALANCE_LEAST_SESSIONS, round < 3 ? 4 : 70);
		pthread_t threads[WORKERS];

		atomic_store(&wrong, 0);
		case_open(c, WORKERS);
		for (uint32_t i = 0; i < WORKERS; i++)
			CHECK_INT(pthread_create(&threads[i], NULL, churn, c->workers[i]), 0);
		for (uint32_t i = 0; i < WORKERS; i++)
			pthread_join(threads[i], NULL);
		CHECK_UINT(atomic_load(&wrong), 0);
		for (uint32_t step = 0; step < 100; step++) {
			uint32_t chosen = choose_at(c, step % WORKERS, 0);

			for (uint32_t i = 0; i < c->upstream.servers_count; i++)
				CHECK(server_sessions(server_at(c, i)) + 1 >=
				      server_sessions(server_at(c, chosen)));
		}
		case_close(c);
	}
}

static const struct unit_test tests[] = {
	ROW(workers_share_servers_under_every_balancing),
	ROW(least_sessions_is_exact_after_any_interleaving),
};
UNIT_MAIN(tests)
