/* SPDX-License-Identifier: MIT */
/*
 * sim.c - driving an engine through its world.
 */
#include "sim.h"

#include <stdlib.h>

#include "front.h"
#include "http_sim.h"
#include "watch.h"

/* Virtual time after which a world that does not end hangs. */
#define LIVENESS_NS (3000 * NS_PER_S)
/* Nothing that was cut may stay for longer. */
#define CUT_NS (300 * NS_PER_MS)
#define TURNS_MAX 5000000u

/* --- opening --------------------------------------------------------------------------------- */

static bool accepts_here(const struct plan *plan, uint32_t worker)
{
	return plan->conf.proxy.accept == ACCEPT_KERNEL || worker == 0;
}

static void open_worker(struct sim *sim, uint32_t index)
{
	const struct ring_options options = { .sq_entries = 256, .cq_entries = 512 };
	struct plan *plan = sim->plan;
	struct sim_worker *worker = &sim->workers[index];
	int listen_fds[PLAN_LISTENERS_MAX];
	uint32_t i;
	int result;

	result = ring_open(&worker->ring, &options, &plan->features);
	assert(result == 0);
	ring_sim_set_queue(worker->ring, plan->queue_entries);
	worker->region = aligned_alloc(4096, (plan->region_bytes + 4095) / 4096 * 4096);
	assert(worker->region != NULL);
	ring_sim_watch(worker->ring, worker->region, plan->region_bytes,
	               plan->conf.proxy.buffer_size);
	if (plan->register_region)
		(void)ring_register_region(worker->ring, worker->region, plan->region_bytes);
	for (i = 0; i < plan->conf.listeners_count; i++) {
		if (accepts_here(plan, index)) {
			sim->listeners[index][i] = sock_listen(
				plan->binds[i].kind != ADDR_UNIX, plan->listeners[i].backlog);
			sim->listeners[index][i]->http = plan->listeners[i].mode == MODE_HTTP;
			sim->listeners[index][i]->conf = &plan->listeners[i];
		}
		listen_fds[i] = accepts_here(plan, index) ? sim->listeners[index][i]->fd : -1;
	}
	result = flow_open(&worker->flow,
	                   &(struct flow_options){ .conf = &plan->conf, .shared = sim->shared,
	                                           .ring = worker->ring, .log = &sim->log,
	                                           .region = worker->region,
	                                           .region_bytes = plan->region_bytes,
	                                           .worker_index = index,
	                                           .listen_fds = listen_fds });
	assert(result == 0);
	sim->flows[index] = worker->flow;
}

void sim_open(struct sim *sim, struct plan *plan)
{
	uint32_t i;
	int result;

	*sim = (struct sim){ .plan = plan, .log = { .level = LOG_LEVEL_ERROR, .fd = 2 } };
	if (world->verbose)
		sim->log = (struct log){ .level = LOG_LEVEL_DEBUG, .fd = 1 };
	world->faults = plan->faults;
	world->fds_max = plan->fds_max;
	world->window_bytes = plan->conf.proxy.session_window;
	world->slice_bytes = plan->conf.proxy.buffer_size;
	origins_set(plan->origins, plan->origins_count);
	http_open(plan);
	front_open(plan);
	watch_open(sim);
	plan_trace(plan);
	result = flow_shared_open(&sim->shared, &plan->conf, plan->conf.proxy.max_sessions,
	                          plan->workers);
	assert(result == 0);
	for (i = 0; i < plan->workers; i++)
		open_worker(sim, i);
	for (i = 0; i < plan->workers; i++)
		flow_set_peers(sim->flows[i], sim->flows, plan->workers);
	for (i = 0; i < plan->workers; i++) {
		(void)ring_enable(sim->workers[i].ring);
		flow_start(sim->flows[i]);
	}
	sim->started_ns = world->now_ns;
}

struct peer *sim_client(struct sim *sim, uint32_t listener, const struct script *script)
{
	uint32_t worker = 0;

	if (sim->plan->conf.proxy.accept == ACCEPT_KERNEL)
		worker = (uint32_t)prng_below(&world->prng, sim->plan->workers);
	return client_start(sim->listeners[worker][listener], script);
}

/* --- turns ----------------------------------------------------------------------------------- */

/* What main programs do in between: submit at once, or be put off before they come to it. */
static void after_turn(struct sim *sim, struct sim_worker *worker)
{
	struct prng *prng = &world->prng;

	worker->deadline_ns = flow_turn(worker->flow);
	if (world_chance(sim->plan->check_permille))
		flow_check(worker->flow);
	if (sim->plan->http)
		http_check(sim);
	watch_turn(sim, (uint32_t)(worker - sim->workers));
	worker->over = flow_is_over(worker->flow);
	if (worker->over) {
		/* Its loop would have ended here: it must be told to, and is asked no more. */
		if (worker->deadline_ns != 0)
			world_fail("a worker that is over would sleep on");
		worker->deadline_ns = UINT64_MAX;
	}
	world->now_ns += prng_range(prng, 500, 5000);
	if (world_chance(sim->plan->stall_permille))
		worker->asleep_until_ns = world->now_ns + prng_spread(prng, 0, 60 * NS_PER_MS);
	else
		ring_sim_submit(worker->ring);
}

static void turn(struct sim *sim, struct sim_worker *worker)
{
	trace("--- turn of worker %d", (int)(worker - sim->workers));
	(void)ring_turn(worker->ring, 0);
	if (++sim->turns > TURNS_MAX)
		world_fail("%u turns: it spins", TURNS_MAX);
	after_turn(sim, worker);
}

static bool is_runnable(const struct sim_worker *worker)
{
	if (world->now_ns < worker->asleep_until_ns)
		return false;
	return ring_sim_ready(worker->ring) > 0 || ring_sim_has_prepared(worker->ring) ||
	       worker->deadline_ns <= world->now_ns;
}

static uint64_t next_wake(const struct sim *sim, uint64_t until_ns)
{
	uint32_t i;

	for (i = 0; i < sim->plan->workers; i++) {
		const struct sim_worker *worker = &sim->workers[i];
		uint64_t wake = worker->deadline_ns;

		if (ring_sim_ready(worker->ring) > 0 || ring_sim_has_prepared(worker->ring))
			wake = worker->asleep_until_ns;
		else if (wake < worker->asleep_until_ns)
			wake = worker->asleep_until_ns;
		if (wake > world->now_ns && wake < until_ns)
			until_ns = wake;
	}
	return until_ns;
}

static void dump(struct sim *sim)
{
	uint32_t i;

	for (i = 0; i < sim->plan->workers; i++)
		flow_dump(sim->flows[i], stderr);
}

void sim_step(struct sim *sim, uint64_t until_ns)
{
	struct sim_worker *runnable[PLAN_WORKERS_MAX];
	uint32_t count = 0, i;

	for (i = 0; i < sim->plan->workers; i++)
		if (is_runnable(&sim->workers[i]))
			runnable[count++] = &sim->workers[i];
	if (count > 0 && !(world_chance(sim->plan->batch_permille) &&
	                   world_step(world->now_ns + 100 * NS_PER_US))) {
		turn(sim, runnable[prng_below(&world->prng, count)]);
		return;
	}
	if (count > 0)
		return;
	until_ns = next_wake(sim, until_ns);
	if (until_ns == UINT64_MAX && world->events_count == 0) {
		dump(sim);
		world_fail("nothing will ever happen any more");
	}
	(void)world_step(until_ns);
}

void sim_run_for(struct sim *sim, uint64_t ns)
{
	uint64_t until_ns = world->now_ns + ns;

	while (world->now_ns < until_ns)
		sim_step(sim, until_ns);
}

void sim_run_until(struct sim *sim, bool (*holds)(struct sim *sim), uint64_t limit_ns)
{
	uint64_t until_ns = world->now_ns + limit_ns;

	while (!holds(sim)) {
		if (world->now_ns >= until_ns) {
			dump(sim);
			world_fail("what is waited for does not come");
		}
		sim_step(sim, until_ns);
	}
}

/* --- the end --------------------------------------------------------------------------------- */

void sim_drain(struct sim *sim)
{
	struct flow_sums sums;
	uint32_t i;

	if (sim->drained_ns != 0)
		return;
	trace("--- drain");
	sim_sums(sim, &sums);
	sim->refused_before_drain = (uint32_t)sums.accept_refused;
	sim->drained_ns = world->now_ns;
	http_world.drains = true;
	for (i = 0; i < sim->plan->workers; i++) {
		flow_drain(sim->flows[i]);
		sim->workers[i].deadline_ns = 0;
	}
}

void sim_cut(struct sim *sim, enum close_reason reason)
{
	uint32_t i;

	trace("--- cut");
	sim_drain(sim);
	sim->cut_ns = world->now_ns;
	sim->cut_reason = reason;
	for (i = 0; i < sim->plan->workers; i++) {
		flow_cut(sim->flows[i], reason);
		sim->workers[i].deadline_ns = 0;
	}
}

static bool all_over(const struct sim *sim)
{
	uint32_t i;

	for (i = 0; i < sim->plan->workers; i++)
		if (!flow_is_over(sim->flows[i]) || ring_sim_ready(sim->workers[i].ring) > 0 ||
		    ring_sim_has_prepared(sim->workers[i].ring))
			return false;
	return true;
}

static void check_time(struct sim *sim)
{
	if (world->now_ns - sim->started_ns > LIVENESS_NS) {
		dump(sim);
		world_fail("hangs: not over after %llu s",
		           (unsigned long long)(LIVENESS_NS / NS_PER_S));
	}
	if (sim->cut_ns != 0 && world->now_ns - sim->cut_ns > CUT_NS) {
		dump(sim);
		world_fail("hangs: not over although it was cut");
	}
}

void sim_finish(struct sim *sim)
{
	uint32_t i;

	sim_drain(sim);
	while (!all_over(sim)) {
		sim_step(sim, sim->cut_ns != 0 ? sim->cut_ns + 2 * CUT_NS : UINT64_MAX);
		check_time(sim);
	}
	/* The peers still see what was done last. */
	while (world->events_count > 0)
		(void)world_step(world->now_ns + NS_PER_S);
	checks_at_end(sim);
	watch_check_end(sim);
	for (i = 0; i < sim->plan->workers; i++) {
		ring_close(sim->workers[i].ring);
		flow_close(sim->flows[i]);
		free(sim->workers[i].region);
	}
	flow_shared_close(sim->shared);
	checks_when_closed();
	front_close();
	http_close();
}

static void arrive(void *subject)
{
	struct sim *sim = subject;

	(void)sim_client(sim, (uint32_t)prng_below(&world->prng, sim->plan->conf.listeners_count),
	                 NULL);
}

static bool clients_are_gone(const struct sim *sim)
{
	const struct list *node;
	uint32_t count = 0;

	for (node = world->conns.next; node != &world->conns; node = node->next) {
		const struct conn *conn = container_of(node, struct conn, node);

		count += conn->from_client;
		if (!conn->proxy_closed && !conn->unserved)
			return false;
	}
	return count == sim->plan->clients;
}

void sim_run_seed(uint64_t seed, bool verbose)
{
	struct plan plan;
	struct sim sim;
	uint32_t i;

	world_open(seed, verbose);
	/* Every other world speaks HTTP. */
	plan_draw(&plan, seed % 2 == 0);
	sim_open(&sim, &plan);
	for (i = 0; i < plan.clients; i++)
		world_after(prng_below(&world->prng, plan.arrive_ns), arrive, &sim);
	while (plan.drain_after_ns == UINT64_MAX ?
	               !clients_are_gone(&sim) :
	               world->now_ns - sim.started_ns < plan.drain_after_ns) {
		sim_step(&sim, plan.drain_after_ns == UINT64_MAX ?
		                       UINT64_MAX :
		                       sim.started_ns + plan.drain_after_ns);
		check_time(&sim);
	}
	sim_drain(&sim);
	while (plan.cut_after_ns != UINT64_MAX && !all_over(&sim) && sim.cut_ns == 0) {
		sim_step(&sim, sim.drained_ns + plan.cut_after_ns);
		check_time(&sim);
		if (world->now_ns - sim.drained_ns >= plan.cut_after_ns)
			sim_cut(&sim, prng_chance(&world->prng, 500) ? CLOSE_DRAIN_CUT :
			                                               CLOSE_STOP_CUT);
	}
	sim_finish(&sim);
	world_close();
}
