/* SPDX-License-Identifier: MIT */
/*
 * sim - an engine in a world: opening both, running them, and what must be true in the end.
 *
 *     sim_open()    sim_client() ..    sim_run_for() ..    sim_finish()
 *
 * Up to three workers take turns in one thread. A worker whose turn is put off sees its completions
 * in larger batches, as a busy one does.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "flow/flow.h"
#include "plan.h"
#include "ring_sim.h"

struct sim_worker {
	struct ring *ring;
	struct flow *flow;
	uint8_t *region;
	uint64_t deadline_ns; /* of its next turn, at the latest */
	uint64_t asleep_until_ns; /* takes no turn before */
	bool submitted;
	bool over; /* was over after its last turn */
};

struct sim {
	struct plan *plan;
	struct flow_shared *shared;
	struct log log;
	struct sim_worker workers[PLAN_WORKERS_MAX];
	struct flow *flows[PLAN_WORKERS_MAX];
	struct sock *listeners[PLAN_WORKERS_MAX][PLAN_LISTENERS_MAX]; /* NULL: none of its own */
	uint64_t started_ns;
	uint64_t turns;
	uint64_t drained_ns; /* 0: not yet */
	uint64_t cut_ns;
	enum close_reason cut_reason;
	uint32_t refused_before_drain;
};

void sim_open(struct sim *sim, struct plan *plan);
/* A client of a listener, on any worker's socket; script NULL: drawn. */
struct peer *sim_client(struct sim *sim, uint32_t listener, const struct script *script);
/* One turn of some worker, or the next event. */
void sim_step(struct sim *sim, uint64_t until_ns);
void sim_run_for(struct sim *sim, uint64_t ns);
/* Until the condition holds; fails after limit_ns. */
void sim_run_until(struct sim *sim, bool (*holds)(struct sim *sim), uint64_t limit_ns);
void sim_drain(struct sim *sim);
void sim_cut(struct sim *sim, enum close_reason reason);
/* Drain if that was not done yet, run until all is over, check, close. */
void sim_finish(struct sim *sim);
/* The whole life of a world that is drawn from the seed. */
void sim_run_seed(uint64_t seed, bool verbose);

/* Sums over the workers. */
struct flow_sums {
#define STAT(name, text) uint64_t name;
#define GAUGE(name, text) uint64_t name;
#include "flow/flow_stats.def"
#undef STAT
#undef GAUGE
	uint64_t closes[CLOSE_REASON_COUNT];
};
void sim_sums(const struct sim *sim, struct flow_sums *sums);
/* Over all worlds so far: what was reached, by name. */
void sim_print_totals(void);

/* checks.c: what must be true when all is over. */
void checks_at_end(struct sim *sim);
void checks_when_closed(void);

#endif
