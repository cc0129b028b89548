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
}

bool queue_is_ahead(const struct session *session)
{
	return session->flow->queued_count > 0 && !list_empty(queue_of(session));
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
	flow->queued_count--;
	atomic_fetch_sub(length_of(session), 1);
	counter_sub(&flow->stats.queued, 1);
	session->active_ms[SIDE_CLIENT] = flow_now_ms(flow);
}

void queues_serve(struct flow *flow)
{
	uint32_t i;

	for (i = 0; flow->queued_count > 0 && i < flow->conf->upstreams_count; i++)
		while (!list_empty(&flow->queues[i]) &&
		       session_dial_queued(
			       container_of(flow->queues[i].next, struct session, dial)))
			;
}
