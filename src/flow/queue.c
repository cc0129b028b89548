/* SPDX-License-Identifier: MIT */
/*
 * queue.c - waiting for a place at a server. The picture is in queue.h.
 */
#include "queue.h"

#include "flow_private.h"

static struct list *queue_of(const struct session *session)
{
	return &session->flow->queues[session->upstream->index];
}

static _Atomic uint32_t *length_of(const struct session *session)
{
	return &session->flow->shared->queue_lengths[session->upstream->index];
}

/* --- whose turn it is ------------------------------------------------------------------------- */

static _Atomic uint64_t *head_of(struct flow *flow, uint32_t upstream, uint32_t worker)
{
	return &flow->shared->queue_heads[upstream * flow->shared->workers_count + worker];
}

/* Since when the first one of this worker has waited, plus 1; 0: nobody waits. */
static void publish(struct flow *flow, uint32_t upstream)
{
	const struct list *queue = &flow->queues[upstream];
	uint64_t since = 0;

	if (!list_empty(queue))
		since = container_of(queue->next, struct session, dial)->phase_ms + 1;
	atomic_store(head_of(flow, upstream, flow->worker_index), since);
}

/* The worker whose first one has waited longest; among equals this one. NUDGE_NONE: nobody does. */
static uint32_t whose_turn(struct flow *flow, uint32_t upstream)
{
	uint64_t oldest = atomic_load(head_of(flow, upstream, flow->worker_index));
	uint32_t found = oldest > 0 ? flow->worker_index : NUDGE_NONE;
	uint32_t i;

	for (i = 0; i < flow->shared->workers_count; i++) {
		uint64_t since = atomic_load(head_of(flow, upstream, i));

		if (since > 0 && (found == NUDGE_NONE || since < oldest)) {
			oldest = since;
			found = i;
		}
	}
	return found;
}

static void nudge(struct flow *flow, uint32_t worker)
{
	if (worker == NUDGE_NONE || worker == flow->worker_index || flow->draining)
		return;
	if (flow->nudge.away) {
		flow->nudge_next = worker;
		return;
	}
	counter_add(&flow->stats.queue_nudges, 1);
	ring_post(flow->ring, &flow->nudge, flow->peers[worker]->ring, &flow->peers[worker]->nudged,
		  0);
}

static void on_nudge_home(struct op *op, int result, uint32_t flags)
{
	struct flow *flow = container_of(op, struct flow, nudge);
	uint32_t next = flow->nudge_next;

	(void)result; /* it looks by itself */
	(void)flags;
	flow->nudge_next = NUDGE_NONE;
	nudge(flow, next);
}

static void on_nudged(struct op *op, int result, uint32_t flags)
{
	/* The turn that follows serves the queues. */
	(void)op;
	(void)result;
	(void)flags;
}

void queue_place_back(struct flow *flow, struct server *server)
{
	const struct conf_upstream *upstream = &flow->conf->upstreams[server->upstream_index];

	server_session_end(server);
	if (upstream->queue > 0 && atomic_load(&flow->shared->queue_lengths[upstream->index]) > 0)
		nudge(flow, whose_turn(flow, upstream->index));
}

/* --- the lists -------------------------------------------------------------------------------- */

static void look_later(struct flow *flow)
{
	if (flow->queued_count > 0 && !timer_is_set(&flow->queue_timer))
		wheel_set(&flow->wheel, &flow->queue_timer, flow_now_ms(flow) + QUEUE_LOOK_MS);
}

static void on_look(struct timer *timer)
{
	/* The turn that follows serves the queues. */
	look_later(container_of(timer, struct flow, queue_timer));
}

void queues_open(struct flow *flow)
{
	uint32_t i;

	for (i = 0; i < flow->conf->upstreams_count; i++)
		list_init(&flow->queues[i]);
	timer_init(&flow->queue_timer, on_look);
	op_init(&flow->nudge, on_nudge_home);
	op_init(&flow->nudged, on_nudged);
	flow->nudged.away = true; /* for good: see ring_post() */
	flow->nudge_next = NUDGE_NONE;
}

bool queue_is_ahead(const struct session *session)
{
	return session->upstream->queue > 0 && atomic_load(length_of(session)) > 0;
}

bool queue_enter(struct session *session)
{
	struct flow *flow = session->flow;

	assert(!session->queued);
	if (atomic_fetch_add(length_of(session), 1) >= session->upstream->queue) {
		atomic_fetch_sub(length_of(session), 1);
		return false;
	}
	session->queued = true;
	session->phase_ms = flow_now_ms(flow);
	list_push(queue_of(session), &session->dial);
	publish(flow, session->upstream->index);
	flow->queued_count++;
	counter_add(&flow->stats.queued, 1);
	counter_add(&flow->stats.queued_total, 1);
	session_retime(session);
	look_later(flow);
	return true;
}

void queue_leave(struct session *session)
{
	struct flow *flow = session->flow;

	assert(session->queued);
	session->queued = false;
	list_remove(&session->dial);
	publish(flow, session->upstream->index);
	flow->queued_count--;
	atomic_fetch_sub(length_of(session), 1);
	counter_sub(&flow->stats.queued, 1);
	session->active_ms[SIDE_CLIENT] = flow_now_ms(flow);
}

static void serve(struct flow *flow, uint32_t upstream)
{
	struct list *queue = &flow->queues[upstream];
	uint32_t turn = NUDGE_NONE;
	bool any = false;

	while (!list_empty(queue)) {
		turn = whose_turn(flow, upstream);
		if (turn != flow->worker_index ||
		    !session_dial_queued(container_of(queue->next, struct session, dial)))
			break;
		any = true;
	}
	/* There may be more places than this worker had sessions in front. */
	if (any)
		nudge(flow, list_empty(queue) ? whose_turn(flow, upstream) : turn);
}

void queues_serve(struct flow *flow)
{
	uint32_t i;

	for (i = 0; flow->queued_count > 0 && i < flow->conf->upstreams_count; i++)
		serve(flow, i);
}
