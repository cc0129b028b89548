/* SPDX-License-Identifier: MIT */
/*
 * http_checks.c - what must be true of HTTP in any world, after a turn and when all is over.
 */
#include "flow/flow_private.h"
#include "front.h"
#include "http_sim.h"
#include "sim.h"

/* What a session has received and not yet passed on stays within the window and a slice. */
static void check_queue(const struct flow *flow, const struct relay *relay)
{
	if (relay->queued_bytes > flow->window + flow->slices.small_bytes)
		world_fail("%u bytes are queued, the window is %u", relay->queued_bytes,
		           flow->window);
}

static void check_queues(const struct flow *flow)
{
	enum session_state state;
	const struct list *node;

	for (state = SESSION_HEAD; state < SESSION_CLOSE; state++)
		for (node = flow->sessions[state].next; node != &flow->sessions[state];
		     node = node->next) {
			const struct session *session = container_of(node, struct session, link);

			check_queue(flow, &session->relays[SIDE_CLIENT]);
			check_queue(flow, &session->relays[SIDE_SERVER]);
		}
}

void http_check(struct sim *sim)
{
	uint32_t i;

	for (i = 0; i < sim->plan->workers; i++)
		check_queues(sim->flows[i]);
}

uint32_t http_shared_idle(const struct sim *sim)
{
	const struct flow_shared *shared = sim->shared;
	uint32_t count = 0, i;

	for (i = 0; i < shared->sets_count; i++)
		count += shared->sets[i].count;
	return count;
}

static void expect_equal(uint64_t found, uint64_t expected, const char *what)
{
	if (found != expected)
		world_fail("at the end: %s: %llu, expected %llu", what, (unsigned long long)found,
		           (unsigned long long)expected);
}

static void check_ask(const struct ask *ask)
{
	if (ask->script.fault == ASK_CUT && ask->whole)
		world_fail("at the end: request %llu was cut, but a server had all of it",
		           (unsigned long long)ask->id);
	if (ask_is_refused(ask) && ask->arrivals > 0)
		world_fail("at the end: request %llu was to be refused",
		           (unsigned long long)ask->id);
}

/* Nothing went wrong: every client has whole answers up to one that said it is the last. */
static void check_gentle_clients(void)
{
	const struct list *node;

	for (node = world->conns.next; node != &world->conns; node = node->next) {
		const struct conn *conn = container_of(node, struct conn, node);

		if (!conn->from_client || front_is_barred(conn) ||
		    http_client_is_over(conn->peer))
			continue;
		world_fail("at the end: conn %llx: only %u answers came",
		           (unsigned long long)conn->key, http_client_answered(conn->peer));
	}
}

static void check_gentle_asks(const struct ask *ask)
{
	if (ask->answered && !ask->whole_answer && !http_client_asked_on(ask))
		world_fail("at the end: request %llu: its answer was cut",
		           (unsigned long long)ask->id);
	if (ask->arrivals > 1)
		world_fail("at the end: request %llu was sent again", (unsigned long long)ask->id);
}

void http_checks_at_end(struct sim *sim)
{
	const struct flow_shared *shared = sim->shared;
	struct flow_sums sums;
	const struct list *node;
	uint32_t i;

	sim_sums(sim, &sums);
	expect_equal(slab_taken_count(shared->exchanges), 0, "exchanges in use");
	expect_equal(slab_taken_count(shared->conns), http_shared_idle(sim),
	             "server connections in use");
	expect_equal(sums.pool_idle, 0, "idle server connections");
	for (i = 0; i < sim->plan->workers; i++) {
		expect_equal(sim->flows[i]->idle_count, 0, "idle server connections of a worker");
		expect_equal(sim->flows[i]->conns_closing, 0, "closing server connections");
	}
	for (node = http_world.asks.next; node != &http_world.asks; node = node->next) {
		check_ask(container_of(node, struct ask, node));
		if (sim->plan->gentle)
			check_gentle_asks(container_of(node, struct ask, node));
	}
	if (sim->plan->gentle)
		check_gentle_clients();
}
