/* SPDX-License-Identifier: MIT */
/*
 * splice.c - leasing pipes and moving streams through them. The rules are in splice.h.
 */
#include "splice.h"

#include <errno.h>

#include "flow_private.h"

void pipes_open(struct flow *flow)
{
	uint32_t i;

	list_init(&flow->pipes);
	for (i = 0; i < FLOW_PIPES_MAX; i++) {
		struct splice_pipe *pipe = &flow->pipe_memory[i];

		if (ring_pipe_open(flow->ring, &pipe->pipe, PIPE_BYTES) < 0)
			return;
		list_init(&pipe->link);
		list_push(&flow->pipes, &pipe->link);
		flow->pipes_count++;
	}
}

void pipes_close(struct flow *flow)
{
	uint32_t i;

	for (i = 0; i < flow->pipes_count; i++)
		if (flow->pipe_memory[i].pipe.ends[0] >= 0)
			ring_pipe_close(flow->ring, &flow->pipe_memory[i].pipe);
}

static struct splice_pipe *pipe_of(struct relay *relay)
{
	assert(relay->pipe < FLOW_PIPES_MAX);
	return &session_of_relay(relay)->flow->pipe_memory[relay->pipe];
}

bool splice_is_due(struct relay *relay)
{
	struct session *session = session_of_relay(relay);

	return relay->streaming && relay->streamed_bytes >= SPLICE_AFTER_BYTES &&
	       relay->state == RELAY_OPEN && session->state == SESSION_RELAY &&
	       relay->pipe == PIPE_NONE && !session->http && session->exchange == NULL &&
	       !list_empty(&session->flow->pipes);
}

void splice_begin(struct relay *relay)
{
	struct session *session = session_of_relay(relay);
	struct flow *flow = session->flow;
	/* The one given back last: its ring of pages is the warmest. */
	struct list *node = list_take_first(&flow->pipes);

	assert(node != NULL);
	assert(relay->queued_bytes == 0 && relay_home(relay));
	relay->pipe = (uint8_t)(container_of(node, struct splice_pipe, link) - flow->pipe_memory);
	relay->full_streak = 0;
	ring_socket_never_block(flow->ring, session_fd(session, relay->side));
	ring_socket_never_block(flow->ring, session_fd(session, relay_target(relay)));
	counter_add(&flow->stats.splices, 1);
}

void splice_end(struct relay *relay)
{
	struct flow *flow = session_of_relay(relay)->flow;
	struct splice_pipe *pipe = pipe_of(relay);

	relay->pipe = PIPE_NONE;
	if (relay->queued_bytes > 0) {
		ring_pipe_close(flow->ring, &pipe->pipe);
		relay->queued_bytes = 0;
		if (ring_pipe_open(flow->ring, &pipe->pipe, PIPE_BYTES) < 0)
			return; /* no descriptor: one pipe fewer */
	}
	list_push_first(&flow->pipes, &pipe->link);
}

/* From the source into the pipe. Returns false when the source has no more for now. */
static bool fill(struct session *session, struct relay *relay, uint32_t room)
{
	struct splice_pipe *pipe = pipe_of(relay);
	int64_t moved = ring_pipe_fill(session->flow->ring, &pipe->pipe,
				       session_fd(session, relay->side), room);

	if (moved <= 0) {
		relay_source_over(relay, (int)moved);
		return false;
	}
	relay->queued_bytes += (uint32_t)moved;
	relay_count_in(session, relay, (uint32_t)moved);
	pipe->turn_bytes += (uint32_t)moved;
	return true;
}

/* From the pipe to the target. Returns false when it takes no more for now, or never. */
static bool drain(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;
	int64_t moved = ring_pipe_drain(flow->ring, &pipe_of(relay)->pipe,
					session_fd(session, relay_target(relay)),
					relay->queued_bytes);

	if (moved == -EAGAIN)
		return false;
	if (moved <= 0) {
		relay_target_failed(relay);
		return false;
	}
	relay->queued_bytes -= (uint32_t)moved;
	session->active_ms[relay_target(relay)] = flow_now_ms(flow);
	counter_add(&flow->stats.spliced_bytes, (uint64_t)moved);
	return true;
}

/* Until one side is in the way, or the turn's share is used up. */
static void move_all(struct session *session, struct relay *relay)
{
	struct splice_pipe *pipe = pipe_of(relay);
	bool more = true;

	pipe->turn_bytes = 0;
	while (relay->pipe != PIPE_NONE && (more || relay->queued_bytes > 0)) {
		if (relay->queued_bytes > 0 && !drain(session, relay))
			return;
		if (relay->pipe == PIPE_NONE || relay->state != RELAY_OPEN || !more ||
		    pipe->turn_bytes >= SPLICE_TURN_BYTES) {
			more = false;
			continue;
		}
		more = fill(session, relay, pipe->pipe.capacity - relay->queued_bytes);
	}
}

static void learn(struct relay *relay)
{
	if (pipe_of(relay)->turn_bytes >= SPLICE_LITTLE_BYTES)
		relay->full_streak = 0;
	else if (relay->full_streak < SPLICE_LITTLE_TIMES)
		relay->full_streak++;
}

bool splice_flush(struct relay *relay)
{
	struct session *session = session_of_relay(relay);
	struct flow *flow = session->flow;

	assert(relay->pipe != PIPE_NONE);
	if (!relay_home(relay)) { /* still waiting for a side */
		if (relay_source(relay)->watching && !relay->send.away)
			relay_stop_watching(relay);
		return true;
	}
	move_all(session, relay);
	if (relay->pipe == PIPE_NONE)
		return false;
	if (relay->queued_bytes > 0) {
		ring_ready(flow->ring, &relay->send, session_fd(session, relay_target(relay)),
			   true);
		return true;
	}
	learn(relay);
	if (relay->state == RELAY_OPEN && relay->full_streak < SPLICE_LITTLE_TIMES) {
		struct wire *source = relay_source(relay);

		ring_ready(flow->ring, &source->recv, source->fd, false);
		return true;
	}
	relay->streaming = relay->state == RELAY_OPEN && relay->streaming;
	relay->streamed_bytes = 0;
	splice_end(relay);
	return false;
}
