/* SPDX-License-Identifier: MIT */
/*
 * scenarios - directed worlds, each named by the sentence that it proves.
 *
 * A scenario writes its plan (quiet unless it says otherwise), opens it, lets clients come, and
 * looks at the counters by name. sim_finish() then checks all that must hold in any world.
 */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include "sim.h"

struct scenario {
	const char *name;
	void (*run)(struct sim *sim, struct plan *plan); /* in a fresh world, with a quiet plan */
	uint32_t worlds; /* how many, where chance matters */
};

extern const struct scenario scenarios_life[]; /* up to one without a name */
extern const struct scenario scenarios_relay[];
extern const struct scenario scenarios_http[];
extern const struct scenario scenarios_queue[];
extern const struct scenario scenarios_health[];
extern const struct scenario scenarios_clients[];

/* All of these. */
#define SCENARIO_LISTS 6
extern const struct scenario *const scenario_lists[SCENARIO_LISTS];

/* Run one by name, or all: how many there were. */
uint32_t scenarios_run(const char *name, bool verbose, void (*starts)(const char *name));

/* --- for the scenarios ----------------------------------------------------------------------- */

/* Writes `total` bytes at once and finishes; reads whatever comes. */
struct script scenario_script(uint64_t total);
/* Says nothing, and stays. */
extern const struct script scenario_silent;
void scenario_clients(struct sim *sim, uint32_t count, const struct script *script);
/* A client goes, with a reset. */
void scenario_leave(struct peer *peer);
/* The state of the first upstream's server of that place, as the engine sees it. */
enum server_state scenario_state(const struct sim *sim, uint32_t place);
/* Until it has that state; fails when it does not come to it. */
void scenario_await_state(struct sim *sim, uint32_t place, enum server_state state);
/* Run until a counter of the sum over the workers, or a close reason, has reached a number. */
#define await_stat(sim, name, number) \
	scenario_await(sim, offsetof(struct flow_sums, name), number, #name)
#define await_close(sim, reason, number)                                                         \
	scenario_await(sim,                                                                      \
	               offsetof(struct flow_sums, closes) + CLOSE_##reason * sizeof(uint64_t), \
	               number, #reason)
void scenario_await(struct sim *sim, size_t offset, uint64_t number, const char *name);

#define stat_of(sim, name) scenario_sum(sim, offsetof(struct flow_sums, name))
#define close_of(sim, reason) \
	scenario_sum(sim, offsetof(struct flow_sums, closes) + CLOSE_##reason * sizeof(uint64_t))
uint64_t scenario_sum(const struct sim *sim, size_t offset);

/* `what` says what was not so. */
#define require(condition)                                        \
	do {                                                      \
		if (!(condition))                                 \
			world_fail("not so: %s", #condition);     \
	} while (0)

#endif
