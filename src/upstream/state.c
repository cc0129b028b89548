/* SPDX-License-Identifier: MIT */
/*
 * state.c - the states of servers, and the weights that follow from them.
 */
#include <assert.h>

#include "shared.h"

#define RAMP_STEPS 64 /* a weight grows in so many steps */
#define RAMP_STEP_MS_MIN 10

/* ------------------------------------------------------------------ events */

static void event_push(struct upstreams_shared *shared, const struct health_event *event)
{
	uint64_t waiting;

	pthread_mutex_lock(&shared->events_lock);
	waiting = atomic_load_explicit(&shared->events_waiting, memory_order_relaxed);
	if (waiting == shared->events_max) {
		shared->events_lost++;
	} else {
		shared->events[(shared->events_first + waiting) % shared->events_max] = *event;
		atomic_store_explicit(&shared->events_waiting, waiting + 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&shared->events_lock);
}

bool upstreams_take_event(struct upstreams_shared *shared, struct health_event *event)
{
	uint64_t waiting;

	if (atomic_load_explicit(&shared->events_waiting, memory_order_relaxed) == 0)
		return false;
	pthread_mutex_lock(&shared->events_lock);
	waiting = atomic_load_explicit(&shared->events_waiting, memory_order_relaxed);
	if (waiting > 0) {
		*event = shared->events[shared->events_first++ % shared->events_max];
		atomic_store_explicit(&shared->events_waiting, waiting - 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&shared->events_lock);
	return waiting > 0;
}

uint64_t upstreams_events_lost(struct upstreams_shared *shared)
{
	uint64_t lost;

	pthread_mutex_lock(&shared->events_lock);
	lost = shared->events_lost;
	pthread_mutex_unlock(&shared->events_lock);
	return lost;
}

/* ------------------------------------------------------------------ weights */

void state_weigh(struct upstream_shared *upstream, struct server_shared *server, uint64_t now_ms)
{
	uint32_t before = atomic_load_explicit(&server->weight, memory_order_relaxed);
	uint32_t after = state_of(server) == SERVER_UP ? server->whole : 0;

	if (after > 0 && server->is_ramping)
		after = ramp_weight(server->whole, server->ramp_ms, now_ms,
				    upstream->policy.slow_start_ms);
	if (after == before)
		return;
	atomic_store_explicit(&server->weight, after, memory_order_relaxed);
	least_set_weight(&upstream->least, (uint32_t)(server - upstream->servers), after);
	upstream->is_changed = true;
}

/* ------------------------------------------------------------------ states */

/* Does it count when half of the servers may be out? */
static bool is_in(enum server_state state)
{
	return state == SERVER_UP || state == SERVER_EJECTED;
}

/* An address takes a place, has it, or leaves it: only members.c moves between these. */
static bool is_possible(const struct server_shared *server, enum server_state before,
			enum server_state after)
{
	if (is_present(before) && is_present(after))
		return before != after && before != SERVER_DRAINED && after != SERVER_DRAINED;
	if (server->conf->addr.kind != ADDR_NAME)
		return false;
	if (after == SERVER_ABSENT)
		return before == SERVER_LEAVING;
	return after == SERVER_LEAVING ? is_present(before) : true;
}

/* The only place that changes a state. */
void state_move(struct upstream_shared *upstream, struct server_shared *server,
		enum server_state after, enum health_reason reason, uint64_t now_ms)
{
	enum server_state before = state_of(server);
	struct health_event event = {
		.upstream = upstream->conf,
		.server = server->conf,
		.addr = server->addr,
		.before = before,
		.after = after,
		.reason = reason,
		.at_ms = now_ms,
	};

	assert(is_possible(server, before, after));
	if (before == SERVER_EJECTED) {
		eject_end(&server->eject, now_ms);
		upstream->out_count--;
	}
	if (after == SERVER_EJECTED) {
		event.for_ms = eject_begin(&server->eject, upstream->policy.eject_time_ms, now_ms);
		upstream->out_count++;
	}
	upstream->in_count += is_in(after);
	upstream->in_count -= is_in(before);
	if (after == SERVER_DOWN && is_present(before))
		atomic_fetch_add_explicit(&server->downs, 1, memory_order_relaxed);
	if (after == SERVER_LEAVING)
		atomic_fetch_add_explicit(&server->leaves, 1, memory_order_relaxed);
	atomic_store_explicit(&server->failures, 0, memory_order_relaxed);
	atomic_store_explicit(&server->state, after, memory_order_relaxed);
	server->is_ramping = after == SERVER_UP && upstream->policy.slow_start_ms > 0;
	server->ramp_ms = now_ms;
	state_weigh(upstream, server, now_ms);
	upstream->is_changed = true;
	if (after != SERVER_ABSENT)
		event_push(upstream->all, &event);
}

/* While more than half are out: back with the one that would be back first. */
static void let_half_in(struct upstream_shared *upstream, uint64_t now_ms)
{
	while (2 * upstream->out_count > upstream->in_count) {
		struct server_shared *first = NULL;

		for (uint32_t slot = 0; slot < upstream->slots_count; slot++) {
			struct server_shared *server = &upstream->servers[slot];

			if (server->eject.is_out &&
			    (!first || server->eject.until_ms < first->eject.until_ms))
				first = server;
		}
		assert(first);
		state_move(upstream, first, SERVER_UP, HEALTH_TOO_MANY_OUT, now_ms);
	}
}

static uint64_t ramp_step_ms(const struct upstream_shared *upstream)
{
	uint64_t step = upstream->policy.slow_start_ms / RAMP_STEPS;

	return step > RAMP_STEP_MS_MIN ? step : RAMP_STEP_MS_MIN;
}

/* The end of every change: weights that grow, the time of the next change, and the word to the
 * workers. */
void state_settle(struct upstream_shared *upstream, uint64_t now_ms)
{
	uint64_t due = UINT64_MAX;

	let_half_in(upstream, now_ms);
	for (uint32_t slot = 0; slot < upstream->slots_count; slot++) {
		struct server_shared *server = &upstream->servers[slot];

		if (server->is_ramping) {
			state_weigh(upstream, server, now_ms);
			server->is_ramping =
				atomic_load_explicit(&server->weight, memory_order_relaxed) <
				server->whole;
		}
		if (server->is_ramping && now_ms + ramp_step_ms(upstream) < due)
			due = now_ms + ramp_step_ms(upstream);
		if (server->eject.is_out && server->eject.until_ms < due)
			due = server->eject.until_ms;
	}
	atomic_store_explicit(&upstream->due_ms, due, memory_order_relaxed);
	assert(2 * upstream->out_count <= upstream->in_count);
	if (!upstream->is_changed)
		return;
	upstream->is_changed = false;
	atomic_fetch_add_explicit(&upstream->generation, 1, memory_order_release);
	atomic_fetch_add_explicit(&upstream->all->changes, 1, memory_order_release);
}

void state_init(struct upstream_shared *upstream)
{
	for (uint32_t slot = 0; slot < upstream->slots_count; slot++) {
		struct server_shared *server = &upstream->servers[slot];
		enum server_state state = server->whole == 0 ? SERVER_DRAINED : SERVER_UP;

		if (server->conf != NULL && server->conf->addr.kind == ADDR_NAME)
			state = SERVER_ABSENT;
		health_init(&server->health);
		atomic_init(&server->state, state);
		upstream->in_count += is_in(state);
		state_weigh(upstream, server, 0);
	}
	upstream->is_changed = false;
	atomic_init(&upstream->generation, 1);
	atomic_init(&upstream->due_ms, UINT64_MAX);
}

uint64_t server_check_first_ms(const struct server *server, uint64_t now_ms)
{
	const struct upstream_shared *upstream = server->shared;

	return health_first_ms(&upstream->policy.health, shared_of(server)->place,
			       upstream->servers_count, upstream->seed, now_ms);
}

uint64_t server_checked(struct server *server, enum health_reason reason, uint64_t now_ms)
{
	struct upstream_shared *upstream = server->shared;
	struct server_shared *row = shared_of(server);
	uint64_t next;

	pthread_mutex_lock(&upstream->lock);
	/* What was checked may be another address than the one that has the place now. */
	if (server_is_current(server) &&
	    health_result(&row->health, &upstream->policy.health, reason, now_ms) &&
	    is_present(state_of(row)) && state_of(row) != SERVER_DRAINED) {
		state_move(upstream, row, row->health.is_up ? SERVER_UP : SERVER_DOWN, reason,
			   now_ms);
		state_settle(upstream, now_ms);
	}
	next = health_next_ms(&row->health, &upstream->policy.health, row->id ^ upstream->seed,
			      now_ms);
	pthread_mutex_unlock(&upstream->lock);
	return next;
}

void server_failed(struct server *server, enum health_reason reason, uint64_t now_ms)
{
	struct upstream_shared *upstream = server->shared;
	struct server_shared *row = shared_of(server);
	uint32_t failures;

	if (upstream->policy.eject_after == 0 || state_of(row) != SERVER_UP ||
	    !server_is_current(server))
		return;
	failures = atomic_fetch_add_explicit(&row->failures, 1, memory_order_relaxed) + 1;
	if (failures < upstream->policy.eject_after)
		return;
	/* Where the lock is not free, the next failure will do. */
	if (pthread_mutex_trylock(&upstream->lock) != 0)
		return;
	if (state_of(row) == SERVER_UP &&
	    atomic_load_explicit(&row->failures, memory_order_relaxed) >=
		    upstream->policy.eject_after &&
	    eject_allowed(upstream->in_count, upstream->out_count)) {
		state_move(upstream, row, SERVER_EJECTED, reason, now_ms);
		state_settle(upstream, now_ms);
	}
	pthread_mutex_unlock(&upstream->lock);
}

void server_succeeded(struct server *server)
{
	struct server_shared *row = shared_of(server);

	if (atomic_load_explicit(&row->failures, memory_order_relaxed) > 0)
		atomic_store_explicit(&row->failures, 0, memory_order_relaxed);
}

void upstream_tick(struct upstream_shared *upstream, uint64_t now_ms)
{
	if (now_ms < atomic_load_explicit(&upstream->due_ms, memory_order_relaxed) ||
	    pthread_mutex_trylock(&upstream->lock) != 0)
		return; /* nothing is due, or somebody else is at it */
	for (uint32_t slot = 0; slot < upstream->slots_count; slot++) {
		struct server_shared *row = &upstream->servers[slot];

		if (row->eject.is_out && row->eject.until_ms <= now_ms)
			state_move(upstream, row, SERVER_UP, HEALTH_TIME_SERVED, now_ms);
	}
	state_settle(upstream, now_ms);
	pthread_mutex_unlock(&upstream->lock);
}

void upstreams_tick(struct upstreams_shared *shared, uint64_t now_ms)
{
	for (uint32_t i = 0; i < shared->count; i++)
		upstream_tick(&shared->upstreams[i], now_ms);
}

enum server_state server_state(const struct server *server)
{
	return state_of(shared_of(server));
}

uint32_t server_weight(const struct server *server)
{
	return atomic_load_explicit(&shared_of(server)->weight, memory_order_relaxed);
}

uint32_t server_weight_whole(const struct server *server)
{
	return server->whole;
}

bool server_is_staying(const struct server *server)
{
	return is_present(server_state(server));
}
