/* SPDX-License-Identifier: MIT */
/*
 * send.c - a relay's queue to its target, as one vector, copied or not.
 *
 * Zero-copy sends pay only where the kernel really does not copy: from a size on, and after a
 * report that it copied (loopback always does) not again to the same peer for a while.
 */
#include "flow_private.h"

#include <errno.h>

/* Sends below this are copied: the notification costs more than the copy. */
#define ZERO_COPY_MIN_BYTES (32u * 1024)
#define ZERO_COPY_PAUSE_MS 60000

static uint64_t *zero_copy_after(struct session *session, enum side target)
{
	return target == SIDE_SERVER ? &session->server->zero_copy_after_ms :
				       &session->acceptor->zero_copy_after_ms;
}

static bool wants_zero_copy(struct session *session, const struct relay *relay)
{
	struct flow *flow = session->flow;

	/* Heads and chunk ends lie outside the registered region. */
	if (session->exchange != NULL &&
	    relay_ready_bytes(relay) != relay->queued_bytes - relay->held_back)
		return false;
	if (relay->queued_bytes < ZERO_COPY_MIN_BYTES || relay->copy_only ||
	    flow->conf->proxy.zero_copy_send == ZERO_COPY_OFF)
		return false;
	if (flow->conf->proxy.zero_copy_send == ZERO_COPY_ON)
		return true;
	return !slices_pressed(&flow->slices) &&
	       flow_now_ms(flow) >= *zero_copy_after(session, relay_target(relay));
}

void relay_send_queue(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;
	struct iovec parts[RING_VECTOR_MAX];
	uint32_t count = relay_begin_send(relay, parts);
	int fd = session_fd(session, relay_target(relay));

	assert(fd >= 0);
	relay->sending_zero_copy = wants_zero_copy(session, relay);
	if (relay->sending_zero_copy)
		ring_send_zero_copy(flow->ring, &relay->send, fd, parts, count);
	else
		ring_send(flow->ring, &relay->send, fd, parts, count);
}

void relay_target_failed(struct relay *relay)
{
	relay->in_doubt = false;
	relay->lost = relay->lost || relay->held_back > 0;
	relay_drop_queue(relay);
	if (relay->state != RELAY_BROKEN)
		relay_move(relay, RELAY_BROKEN);
	relay_mark(relay_reverse(relay));
}

static void note_zero_copy(struct session *session, struct relay *relay, int result)
{
	struct flow *flow = session->flow;

	counter_add(&flow->stats.zero_copy_sends, 1);
	if (!((uint32_t)result & RING_NOTIF_COPIED))
		return;
	counter_add(&flow->stats.zero_copy_copied, 1);
	*zero_copy_after(session, relay_target(relay)) = flow_now_ms(flow) + ZERO_COPY_PAUSE_MS;
}

/* Unix sockets do not support it; memory that may be locked runs out. */
static bool cannot_zero_copy(int result)
{
	return result == -EOPNOTSUPP || result == -ENOMEM || result == -ENOBUFS ||
	       result == -EINVAL;
}

static void sent(struct session *session, struct relay *relay, int result)
{
	struct flow *flow = session->flow;
	uint32_t asked = relay->sending_bytes;
	uint32_t slices_before = relay->slices_count;

	relay->sending_bytes = 0;
	/* Its server was given up, or never reached: what was sent is not what would be now. */
	if (relay->side == SIDE_CLIENT && session->state != SESSION_CONNECT &&
	    (session->dropping || session->conn == NULL)) {
		relay->in_doubt = false;
		return;
	}
	if (relay->sending_zero_copy && cannot_zero_copy(result)) {
		relay->copy_only = true; /* sent again by the flush, with a copy */
		return;
	}
	if (result < 0) {
		/* Linked behind a connect that failed: nothing went out, the next one gets it. */
		if (session->state == SESSION_CONNECT)
			session_dial_later(session, false);
		else
			relay_target_failed(relay);
		return;
	}
	/* The kernel retries until all is taken, so a short send is one that an error cut, and it
	 * may have swallowed the error: a receive then reports an end that is none. */
	if (relay->in_doubt)
		relay_mark(relay_reverse(relay)); /* it may have waited for this answer */
	relay->in_doubt = (uint32_t)result < asked;
	if (relay->in_doubt)
		counter_add(&flow->stats.send_short, 1);

	relay_sent(flow, relay, (uint32_t)result);
	session->active_ms[relay_target(relay)] = flow_now_ms(flow);
	if (session->http) /* while its answer waits for the client, the server may be silent */
		session->active_ms[SIDE_SERVER] = flow_now_ms(flow);
	counter_add(&flow->stats.sends, 1);
	counter_add(&flow->stats.send_slices, slices_before - relay->slices_count);
}

void on_send(struct op *op, int result, uint32_t flags)
{
	struct relay *relay = container_of(op, struct relay, send);
	struct session *session = session_of_relay(relay);

	if (flags & RING_MORE) { /* zero-copy: the memory is not free yet */
		relay->sent_result = result;
		relay->in_doubt = relay->in_doubt || result < (int64_t)relay->sending_bytes;
		return;
	}
	if (flags & RING_NOTIF) {
		if (session->state != SESSION_CLOSE)
			note_zero_copy(session, relay, result);
		result = relay->sent_result;
	}
	if (session->state == SESSION_CLOSE) {
		relay->sending_bytes = 0;
		session_op_home(session);
		return;
	}
	if (relay->pipe == PIPE_NONE)
		sent(session, relay, result);
	relay_mark(relay);
}
