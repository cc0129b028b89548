/* SPDX-License-Identifier: MIT */
/*
 * upstream_helpers.h - one upstream with its policy, and up to a few workers, for the tests of
 * upstream/.
 *
 *      struct balance_case *c = case_of(BALANCE_MAGLEV, 5);
 *      c->servers[3].weight = 4;
 *      case_open(c, 2);
 *      ... choose_at(c, worker, key) ...
 *      case_close(c);
 */
#ifndef TESTS_UNIT_UPSTREAM_HELPERS_H
#define TESTS_UNIT_UPSTREAM_HELPERS_H

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "unit.h"
#include "upstream/upstream.h"

#define CASE_SERVERS_MAX 1024
#define CASE_WORKERS_MAX 4
#define NONE UINT32_MAX

struct balance_case {
	struct conf conf;
	struct conf_upstream upstream;
	struct conf_server conf_servers[CASE_SERVERS_MAX];
	struct server_policy servers[CASE_SERVERS_MAX];
	struct upstream_policy policy;
	struct upstreams_shared *shared;
	struct upstreams *workers[CASE_WORKERS_MAX];
	uint32_t workers_count;
	uint64_t now_ms;
	uint64_t seed;
};

/* Too large for a stack frame each: one at a time. */
static struct balance_case the_case;

static inline struct balance_case *case_of(enum conf_balance balance, uint32_t servers)
{
	struct balance_case *c = &the_case;

	memset(c, 0, sizeof(*c));
	c->policy.balance = balance;
	c->policy.health = (struct health_policy){ .interval_ms = 2000, .rise = 2, .fall = 3 };
	c->policy.eject_after = 5;
	c->policy.eject_time_ms = 10000;
	c->policy.retry_budget = 20;
	c->upstream.servers_count = servers;
	c->seed = 1;
	for (uint32_t i = 0; i < servers; i++) {
		c->servers[i].weight = 1;
		snprintf(c->conf_servers[i].name, sizeof(c->conf_servers[i].name), "10.0.%u.%u:80",
			 i / 256, i % 256);
	}
	return c;
}

static inline void case_open(struct balance_case *c, uint32_t workers)
{
	c->conf.upstreams = &c->upstream;
	c->conf.upstreams_count = 1;
	c->upstream.servers = c->conf_servers;
	c->policy.servers = c->servers;
	CHECK_INT(upstreams_shared_open(&c->shared, &c->conf, &c->policy, c->seed), 0);
	for (uint32_t i = 0; i < workers; i++)
		CHECK_INT(upstreams_join(&c->workers[i], c->shared, i), 0);
	c->workers_count = workers;
}

static inline void case_close(struct balance_case *c)
{
	for (uint32_t i = 0; i < c->workers_count; i++)
		upstreams_close(c->workers[i]);
	upstreams_shared_close(c->shared);
}

/* A server as the first worker sees it. */
static inline struct server *server_at(struct balance_case *c, uint32_t index)
{
	return upstream_server(c->workers[0], &c->upstream, index);
}

static inline enum choice_result choose_for(struct balance_case *c, uint32_t worker, uint64_t key,
					    const struct server *avoid, uint32_t *index)
{
	struct choice choice = { .key_hash = key, .avoid = avoid, .now_ms = c->now_ms };
	struct server *server;
	enum choice_result result =
		upstream_choose(c->workers[worker], &c->upstream, &choice, &server);

	CHECK((result == CHOICE_MADE) == (server != NULL));
	*index = server != NULL ? (uint32_t)(server->conf - c->conf_servers) : NONE;
	return result;
}

/* The index of the server, whose session goes on; NONE. */
static inline uint32_t choose_at(struct balance_case *c, uint32_t worker, uint64_t key)
{
	uint32_t index;

	choose_for(c, worker, key, NULL, &index);
	return index;
}

/* The same, and the session has ended. */
static inline uint32_t choose_once(struct balance_case *c, uint32_t worker, uint64_t key)
{
	uint32_t index = choose_at(c, worker, key);

	if (index != NONE)
		server_session_end(server_at(c, index));
	return index;
}

/* Checks that decide at once. */
static inline void bring_down(struct balance_case *c, uint32_t index)
{
	for (uint32_t i = 0; i < 10 && server_state(server_at(c, index)) != SERVER_DOWN; i++)
		server_checked(server_at(c, index), HEALTH_REFUSED, c->now_ms);
	CHECK_INT(server_state(server_at(c, index)), SERVER_DOWN);
}

static inline void bring_up(struct balance_case *c, uint32_t index)
{
	for (uint32_t i = 0; i < 10 && server_state(server_at(c, index)) != SERVER_UP; i++)
		server_checked(server_at(c, index), HEALTH_PASSED, c->now_ms);
	CHECK_INT(server_state(server_at(c, index)), SERVER_UP);
}

/* CPU time of this process. */
static inline double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

#endif
