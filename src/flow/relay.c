/* SPDX-License-Identifier: MIT */
/*
 * relay.c - the queue and the ends of one direction; receive.c and send.c fill and empty it. The
 * picture, the states and the invariants are in relay.h.
 *
 * Handlers only change state and mark the relay; relay_flush() acts once for all that a turn
 * brought.
 *
 * Not here: choosing the target (connect.c), deciding that a session is over in time (session.c),
 * taking it apart (close.c).
 */
#include "flow_private.h"

void relay_init(struct relay *relay, enum side source)
{
	*relay = (struct relay){ .oldest = SLICE_NONE,
				 .newest = SLICE_NONE,
				 .side = (uint8_t)source,
				 .state = RELAY_OPEN,
				 .piece = RELAY_PIECE_GUESS };
	op_init(&relay->recv, on_recv);
	op_init(&relay->send, on_send);
	list_init(&relay->dirty);
	list_init(&relay->starved);
}

void relay_mark(struct relay *relay)
{
	if (!list_linked(&relay->dirty))
		list_push(&session_of_relay(relay)->flow->dirty, &relay->dirty);
}

void relay_move(struct relay *relay, enum relay_state next)
{
	static const uint8_t may_follow[RELAY_STATE_COUNT] = {
		[RELAY_OPEN] = 1u << RELAY_ENDED | 1u << RELAY_RESET | 1u << RELAY_BROKEN,
		[RELAY_ENDED] = 1u << RELAY_FINISHED | 1u << RELAY_BROKEN,
		[RELAY_RESET] = 1u << RELAY_BROKEN,
	};

	assert(may_follow[relay->state] & (1u << next));
	relay->state = (uint8_t)next;
}

struct relay *relay_reverse(struct relay *relay)
{
	return &session_of_relay(relay)->relays[relay_target(relay)];
}

/* --- the queue ------------------------------------------------------------------------------- */

void relay_enqueue(struct flow *flow, struct relay *relay, uint32_t index)
{
	if (relay->newest == SLICE_NONE)
		relay->oldest = index;
	else
		slices_at(&flow->slices, relay->newest)->next = index;
	relay->newest = index;
	relay->slices_count++;
	relay->held_bytes += slices_capacity(&flow->slices, index);
	relay->queued_bytes += slices_at(&flow->slices, index)->len;
}

static void give_oldest(struct flow *flow, struct relay *relay)
{
	uint32_t index = relay->oldest;

	assert(index != SLICE_NONE);
	relay->oldest = slices_at(&flow->slices, index)->next;
	if (relay->oldest == SLICE_NONE)
		relay->newest = SLICE_NONE;
	relay->slices_count--;
	relay->held_bytes -= slices_capacity(&flow->slices, index);
	slices_give(&flow->slices, index);
}

/* The target has taken this many bytes. */
void relay_dequeue(struct flow *flow, struct relay *relay, uint32_t bytes)
{
	assert(bytes <= relay->queued_bytes);
	relay->queued_bytes -= bytes;
	while (bytes > 0) {
		struct slice *slice = slices_at(&flow->slices, relay->oldest);

		if (bytes < slice->len) {
			slice->start += bytes;
			slice->len -= bytes;
			return;
		}
		bytes -= slice->len;
		give_oldest(flow, relay);
	}
}

void relay_drop_queue(struct relay *relay)
{
	struct flow *flow = session_of_relay(relay)->flow;

	assert(!relay->send.away);
	if (relay->pipe != NULL)
		splice_end(relay);
	while (relay->oldest != SLICE_NONE)
		give_oldest(flow, relay);
	relay->queued_bytes = 0;
}

uint32_t relay_begin_send(struct relay *relay, struct iovec parts[RING_VECTOR_MAX])
{
	struct slices *slices = &session_of_relay(relay)->flow->slices;
	uint32_t count = 0;
	uint32_t index;

	assert(!relay->send.away);
	assert(relay->sending_bytes == 0);
	for (index = relay->oldest; index != SLICE_NONE && count < RING_VECTOR_MAX; count++) {
		const struct slice *slice = slices_at(slices, index);

		parts[count].iov_base = slices_memory(slices, index) + slice->start;
		parts[count].iov_len = slice->len;
		relay->sending_bytes += slice->len;
		index = slice->next;
	}
	return count;
}

/* --- ends ------------------------------------------------------------------------------------ */

static bool relay_done(const struct relay *relay)
{
	return relay->state == RELAY_FINISHED || relay->state == RELAY_BROKEN;
}

/* The queue of an ended or reset source is empty: pass the end on. May close the session. */
static void pass_end_on(struct session *session, struct relay *relay)
{
	struct relay *back = relay_reverse(relay);
	const bool from_client = relay->side == SIDE_CLIENT;

	if (relay->state == RELAY_RESET) {
		session_close(session, from_client ? CLOSE_CLIENT_RESET : CLOSE_SERVER_RESET);
		return;
	}
	assert(relay->state == RELAY_ENDED);
	if (back->in_doubt)
		return;
	relay_move(relay, RELAY_FINISHED);
	if (back->state == RELAY_BROKEN) {
		/* What this side still sent cannot be delivered: it must not look complete. */
		session_close(session, from_client ? CLOSE_CLIENT_RESET : CLOSE_SERVER_RESET);
	} else if (back->state == RELAY_FINISHED) {
		/* The second end: closing both sockets passes it on, without another shutdown. */
		session_close(session, session->first_end == SIDE_CLIENT ? CLOSE_CLIENT_FINISHED :
									   CLOSE_SERVER_FINISHED);
	} else {
		ring_socket_finish(session->flow->ring, session->fds[relay_target(relay)]);
	}
}

void relay_flush(struct relay *relay)
{
	struct session *session = session_of_relay(relay);
	struct relay *back = relay_reverse(relay);

	if (session->state == SESSION_CLOSE)
		return;
	/* A client that resets while its server is dialled has nobody to hand its bytes to. */
	if (session->state == SESSION_CONNECT && relay->state == RELAY_RESET) {
		session_close(session, CLOSE_CLIENT_RESET);
		return;
	}
	if (relay->state == RELAY_OPEN && relay->send.away && !relay->recv.away)
		session_look_soon(session);
	if (relay->pipe != NULL && splice_flush(relay))
		return;
	if (session->state == SESSION_RELAY && !relay->send.away) {
		if (relay->queued_bytes > 0) {
			relay_send_queue(session, relay);
		} else if (relay->state == RELAY_ENDED || relay->state == RELAY_RESET) {
			pass_end_on(session, relay);
			return;
		} else if (relay->state == RELAY_BROKEN && relay_done(back)) {
			session_close(session, relay->side == SIDE_CLIENT ? CLOSE_SERVER_RESET :
									    CLOSE_CLIENT_RESET);
			return;
		}
	}
	relay_flush_receive(session, relay);
}

void relays_flush(struct flow *flow)
{
	struct list *node;

	while ((node = list_take_first(&flow->dirty)) != NULL)
		relay_flush(container_of(node, struct relay, dirty));
}

void relay_check(struct relay *relay)
{
	struct session *session = session_of_relay(relay);
	struct slices *slices = &session->flow->slices;
	uint32_t bytes = 0, held = 0, count = 0, index;

	for (index = relay->oldest; index != SLICE_NONE; index = slices_at(slices, index)->next) {
		assert(slices_at(slices, index)->state == SLICE_HELD);
		assert(slices_at(slices, index)->len > 0);
		bytes += slices_at(slices, index)->len;
		held += slices_capacity(slices, index);
		count++;
	}
	assert(relay->pipe == NULL || count == 0);
	assert(relay->pipe != NULL || bytes == relay->queued_bytes);
	assert(count == relay->slices_count);
	assert(held == relay->held_bytes);
	assert(relay->sending_bytes <= relay->queued_bytes);
	assert(relay->send.away || relay->sending_bytes == 0);
	assert(!(list_linked(&relay->starved) && relay->recv.away));
	if (relay->state == RELAY_FINISHED || relay->state == RELAY_BROKEN)
		assert(relay->queued_bytes == 0);
}
