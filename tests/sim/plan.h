/* SPDX-License-Identifier: MIT */
/*
 * plan - what a world is like: the configuration of the engine, the features of its kernel, the
 * origins, and how clients and servers behave. Drawn from the seed, or written by a scenario.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "conf/conf.h"
#include "peer.h"
#include "ring/ring.h"

#define PLAN_WORKERS_MAX 3
#define PLAN_LISTENERS_MAX 2
#define PLAN_UPSTREAMS_MAX 2
#define PLAN_SERVERS_MAX 4

#define PLAN_BLOCKS_MAX 2

/* Who may come to a listener, and who may send it a header of the PROXY protocol. */
struct plan_access {
	struct cidr allow[PLAN_BLOCKS_MAX];
	struct cidr deny[PLAN_BLOCKS_MAX];
	struct cidr from[PLAN_BLOCKS_MAX];
	uint32_t allow_count;
	uint32_t deny_count;
	uint32_t from_count;
};

struct plan {
	/* the engine */
	struct conf conf;
	struct conf_listener listeners[PLAN_LISTENERS_MAX];
	struct addr binds[PLAN_LISTENERS_MAX];
	struct conf_upstream upstreams[PLAN_UPSTREAMS_MAX];
	struct conf_server servers[PLAN_UPSTREAMS_MAX][PLAN_SERVERS_MAX];
	struct origin origins[PLAN_UPSTREAMS_MAX * PLAN_SERVERS_MAX];
	uint32_t origins_count;
	struct plan_access access[PLAN_LISTENERS_MAX];
	uint32_t source_sessions; /* of listeners that limit them */
	uint32_t source_rate;
	uint32_t source_burst;
	uint32_t workers;
	uint64_t region_bytes; /* of each worker */
	bool register_region;
	struct ring_features features;
	uint32_t queue_entries; /* of a ring: requests beyond are submitted early */
	uint32_t fds_max;
	/* the world */
	struct faults faults;
	uint32_t front_faults_permille; /* clients whose PROXY header is not sound */
	uint32_t front_pieces_permille; /* .. comes in pieces */
	uint32_t clients;
	uint64_t arrive_ns; /* clients arrive within so long */
	bool http; /* all listeners and origins */
	bool gentle; /* no fault that may end a session: all of them must complete */
	/* driving */
	uint32_t check_permille;  /* turns that end in flow_check() */
	uint32_t batch_permille;  /* turns put off although there are completions */
	uint32_t stall_permille;  /* .. for milliseconds */
	uint64_t drain_after_ns;  /* UINT64_MAX: when every client is gone */
	uint64_t cut_after_ns;    /* from the drain on; UINT64_MAX: never */
};

/* One worker, listener and server, a kernel with every feature, no faults, ample memory. */
void plan_quiet(struct plan *plan);
/* One more server of the first upstream; its origin. */
struct origin *plan_add_server(struct plan *plan, uint32_t upstream, uint32_t weight);
/* From world->prng. Sets script_draw too. */
void plan_draw(struct plan *plan, bool http);
void plan_trace(const struct plan *plan);
/* Does any upstream get headers of the PROXY protocol? */
bool plan_sends_headers(const struct plan *plan);
/* servers_plan.c: a part of it; the upstreams, their servers and origins are there. */
void servers_plan_draw(struct plan *plan);

#endif
