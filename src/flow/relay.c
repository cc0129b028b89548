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
	*relay = (struct relay){ .pipe = PIPE_NONE,
				 .oldest = SLICE_NONE,
				 .newest = SLICE_NONE,
				 .side = (uint8_t)source,
				 .state = RELAY_OPEN,
				 .piece = RELAY_PIECE_GUESS };
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
		[RELAY_ENDED] = 1u << RELAY_FINISHED | 1u << RELAY_RESET | 1u << RELAY_BROKEN,
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

void relay_dequeue(struct flow *flow, struct relay *relay, uint32_t bytes)
{
	assert(bytes <= relay->queued_bytes);
	relay->queued_bytes -= bytes;
	while (relay->oldest != SLICE_NONE) {
		struct slice *slice = slices_at(&flow->slices, relay->oldest);

		if (bytes < slice->len) {
			slice->start += bytes;
			slice->len -= bytes;
			return;
		}
		bytes -= slice->len;
		give_oldest(flow, relay);
	}
	assert(bytes == 0);
}

static uint32_t least(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

/* The target has taken this many bytes. */
void relay_sent(struct flow *flow, struct relay *relay, uint32_t bytes)
{
	struct session *session = session_of_relay(relay);
	struct exchange *exchange = session->exchange;
	uint32_t part;

	if (relay->side == SIDE_CLIENT && server_conn_preface(session->conn) > 0)
		bytes -= server_conn_preface_sent(session->conn, bytes);
	if (exchange != NULL) {
		part = least(bytes, exchange_parts_left(exchange, relay->side));
		exchange->parts_sent += part;
		bytes -= part;
		if (part > 0 && exchange_parts_left(exchange, relay->side) == 0)
			exchange_parts_out(session_of_relay(relay));
		if (relay->side == SIDE_SERVER)
			exchange->sent_bytes += part + bytes;
	}
	part = least(bytes, relay->queued_bytes - relay->held_back);
	if (part > 0)
		relay_dequeue(flow, relay, part);
	bytes -= part;
	if (bytes > 0) {
		assert(exchange != NULL);
		assert(bytes <= exchange_tail_left(exchange, relay->side));
		exchange->ways[relay->side].tail_sent += (uint16_t)bytes;
	}
}

void relay_drop_queue(struct relay *relay)
{
	struct flow *flow = session_of_relay(relay)->flow;

	assert(!relay->send.away);
	if (relay->pipe != PIPE_NONE)
		splice_end(relay);
	while (relay->oldest != SLICE_NONE)
		give_oldest(flow, relay);
	relay->queued_bytes = 0;
	relay->held_back = 0;
}

uint32_t relay_ready_bytes(const struct relay *relay)
{
	const struct session *session = session_of_relay(relay);
	uint32_t ready = relay->queued_bytes - relay->held_back;

	if (relay->side == SIDE_CLIENT)
		ready += server_conn_preface(session->conn);
	if (session->exchange == NULL)
		return ready;
	if (relay->state == RELAY_BROKEN)
		return 0;
	return ready + exchange_parts_left(session->exchange, relay->side) +
	       exchange_tail_left(session->exchange, relay->side);
}

uint32_t relay_ready_parts(const struct relay *relay)
{
	const struct session *session = session_of_relay(relay);

	if (relay_ready_bytes(relay) == 0)
		return 0;
	return relay->slices_count +
	       (relay->side == SIDE_CLIENT && server_conn_preface(session->conn) > 0) +
	       (session->exchange != NULL ? session->exchange->parts.count : 0);
}

void relay_restart(struct relay *relay)
{
	assert(!relay->send.away && relay->queued_bytes == 0 && relay->pipe == PIPE_NONE);
	relay->state = RELAY_OPEN;
	relay->in_doubt = false;
	relay->was_reset = false;
}

uint32_t relay_begin_send(struct relay *relay, struct iovec parts[RING_VECTOR_MAX])
{
	struct session *session = session_of_relay(relay);
	struct slices *slices = &session->flow->slices;
	struct exchange *exchange = session->exchange;
	uint32_t left = relay->queued_bytes - relay->held_back;
	uint32_t count = 0, index, i;

	assert(!relay->send.away);
	assert(relay->sending_bytes == 0);
	if (relay->side == SIDE_CLIENT && server_conn_preface(session->conn) > 0) {
		struct preface *preface = server_conn_preface_of(session->conn);

		parts[count].iov_base = preface->bytes + preface->start;
		parts[count++].iov_len = preface->len;
	}
	if (exchange != NULL && exchange_parts_left(exchange, relay->side) > 0)
		count = exchange_add_parts(exchange, parts, count);
	for (index = relay->oldest; left > 0 && count < RING_VECTOR_MAX;
	     index = slices_at(slices, index)->next) {
		const struct slice *slice = slices_at(slices, index);

		if (slice->len == 0) /* there was nothing but framing in it */
			continue;
		parts[count].iov_base = slices_memory(slices, index) + slice->start;
		parts[count].iov_len = least(slice->len, left);
		left -= (uint32_t)parts[count++].iov_len;
	}
	if (left == 0 && exchange != NULL && exchange_tail_left(exchange, relay->side) > 0 &&
	    count + EXCHANGE_TAIL_PARTS <= RING_VECTOR_MAX)
		count = exchange_add_tail(exchange, relay->side, parts, count);
	for (i = 0; i < count; i++)
		relay->sending_bytes += (uint32_t)parts[i].iov_len;
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
		ring_socket_finish(session->flow->ring, session_fd(session, relay_target(relay)));
	}
}

void relay_flush(struct relay *relay)
{
	struct session *session = session_of_relay(relay);
	struct relay *back = relay_reverse(relay);

	if (session->state == SESSION_CLOSE)
		return;
	if (session->state == SESSION_PREFACE) {
		preface_flush(session);
		return;
	}
	if (session->http) {
		http_flush(session, relay);
		return;
	}
	if (session->exchange != NULL && !relay->send.away) /* a tunnel that has just begun */
		http_tunnel_begun(session);
	/* A client that resets while its server is dialled has nobody to hand its bytes to. */
	if (session->state == SESSION_CONNECT && relay->state == RELAY_RESET) {
		session_close(session, CLOSE_CLIENT_RESET);
		return;
	}
	if (relay->state == RELAY_OPEN && relay->send.away && !relay_receiving(relay))
		session_look_soon(session);
	if (relay->pipe != PIPE_NONE && splice_flush(relay))
		return;
	if (session->state == SESSION_RELAY && !relay->send.away) {
		if (relay_ready_bytes(relay) > 0) {
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
		/* A body's framing may have been all that was in it. */
		assert(slices_at(slices, index)->len > 0 || session->exchange != NULL);
		bytes += slices_at(slices, index)->len;
		held += slices_capacity(slices, index);
		count++;
	}
	assert(relay->pipe == PIPE_NONE || count == 0);
	assert(relay->pipe == PIPE_NONE ||
	       !list_linked(&session->flow->pipe_memory[relay->pipe].link));
	assert(relay->pipe != PIPE_NONE || bytes == relay->queued_bytes);
	assert(count == relay->slices_count);
	assert(held == relay->held_bytes);
	assert(relay->held_back <= relay->queued_bytes);
	assert(relay->sending_bytes <= relay_ready_bytes(relay) || relay->state == RELAY_BROKEN ||
	       session->dropping || session->conn == NULL);
	assert(relay->send.away || relay->sending_bytes == 0);
	assert(!(list_linked(&relay->starved) && relay_receiving(relay)));
	if (relay->state == RELAY_FINISHED || relay->state == RELAY_BROKEN)
		assert(relay->queued_bytes == 0);
}
