/* SPDX-License-Identifier: MIT */
/*
 * scenarios.c - running scenarios, and what they are written with.
 */
#include "scenarios.h"

#include <string.h>

#define AWAIT_NS (1000 * NS_PER_S)

const struct scenario *const scenario_lists[SCENARIO_LISTS] = {
	scenarios_life,   scenarios_relay, scenarios_http, scenarios_queue,
	scenarios_health, scenarios_clients,
};

const struct script scenario_silent = { .write_max = 1, .read_max = 65536, .pause_ns = 20000,
	                                .capacity = 65536, .finish = FINISH_NEVER };

void scenario_clients(struct sim *sim, uint32_t count, const struct script *script)
{
	while (count-- > 0)
		(void)sim_client(sim, 0, script);
}

void scenario_leave(struct peer *peer)
{
	peer->script.fault = FAULT_RESET;
	peer->faulted = true;
	peer_reset(peer);
}

enum server_state scenario_state(const struct sim *sim, uint32_t place)
{
	struct upstream_row row;

	if (!flow_server_row(sim->flows[0], place, &row))
		world_fail("there is no server %u", place);
	return server_state(row.server);
}

void scenario_await_state(struct sim *sim, uint32_t place, enum server_state state)
{
	uint64_t until_ns = world->now_ns + AWAIT_NS;

	while (scenario_state(sim, place) != state) {
		if (world->now_ns >= until_ns)
			world_fail("server %u does not come to state %d", place, state);
		sim_step(sim, until_ns);
	}
}

struct script scenario_script(uint64_t total)
{
	return (struct script){ .total = total, .write_max = 1u << 20, .read_max = 1u << 20,
		                .pause_ns = 20 * NS_PER_US, .capacity = 1u << 16,
		                .finish = FINISH_WRITTEN };
}

uint64_t scenario_sum(const struct sim *sim, size_t offset)
{
	struct flow_sums sums;
	uint64_t value;

	sim_sums(sim, &sums);
	memcpy(&value, (const char *)&sums + offset, sizeof(value));
	return value;
}

void scenario_await(struct sim *sim, size_t offset, uint64_t number, const char *name)
{
	uint64_t until_ns = world->now_ns + AWAIT_NS;

	while (scenario_sum(sim, offset) < number) {
		if (world->now_ns >= until_ns)
			world_fail("%s does not reach %llu", name, (unsigned long long)number);
		sim_step(sim, until_ns);
	}
}

static void run_one(const struct scenario *scenario, uint64_t seed, bool verbose)
{
	struct plan plan;
	struct sim sim;

	world_open(seed, verbose);
	plan_quiet(&plan);
	scenario->run(&sim, &plan);
	world_close();
}

static uint32_t run_list(const struct scenario *list, const char *name, bool verbose,
                         void (*starts)(const char *name))
{
	uint32_t count = 0;
	uint64_t seed;

	for (; list->name != NULL; list++) {
		if (name != NULL && strcmp(list->name, name) != 0)
			continue;
		starts(list->name);
		for (seed = 1; seed <= (list->worlds > 0 ? list->worlds : 1); seed++)
			run_one(list, seed, verbose);
		count++;
	}
	return count;
}

uint32_t scenarios_run(const char *name, bool verbose, void (*starts)(const char *name))
{
	uint32_t count = 0, i;

	for (i = 0; i < SCENARIO_LISTS; i++)
		count += run_list(scenario_lists[i], name, verbose, starts);
	return count;
}
