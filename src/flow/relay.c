/* SPDX-License-Identifier: MIT */
/*
 * relay.c - receiving, queueing and sending of one direction. The picture, the states and the
 * invariants are in relay.h.
 *
 * Handlers only change state and mark the relay; relay_flush() acts once for all that a turn
 * brought.
 *
 * Not here: choosing the target (connect.c), deciding that a session is over in time (session.c),
 * taking it apart (close.c).
 */
#include "flow_private.h"

#include <errno.h>
#include <poll.h>

/* An interactive direction receives against at most this much credit, so that a stream is
 * recognised soon. */
#define INTERACTIVE_CREDIT (64u * 1024)
#define PIECE_GUESS 32 /* cautious, until the first receive tells */
#define STREAK_TO_STREAM 4
/* Sends below this are copied: the notification costs more than the copy. */
#define ZERO_COPY_MIN_BYTES (32u * 1024)
/* A kernel that copies anyway, or holds memory for long, is not asked again for this long. */
#define ZERO_COPY_PAUSE_MS 60000

void relay_init(struct relay *relay, enum side source)
{
	*relay = (struct relay){ .oldest = SLICE_NONE,
				 .newest = SLICE_NONE,
				 .side = (uint8_t)source,
				 .state = RELAY_OPEN,
				 .piece = PIECE_GUESS };
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

static void relay_move(struct relay *relay, enum relay_state next)
{
	static const uint8_t may_follow[RELAY_STATE_COUNT] = {
		[RELAY_OPEN] = 1u << RELAY_ENDED | 1u << RELAY_RESET | 1u << RELAY_BROKEN,
		[RELAY_ENDED] = 1u << RELAY_FINISHED | 1u << RELAY_BROKEN,
		[RELAY_RESET] = 1u << RELAY_BROKEN,
	};

	assert(may_follow[relay->state] & (1u << next));
	relay->state = (uint8_t)next;
}

static struct relay *reverse(struct relay *relay)
{
	return &session_of_relay(relay)->relays[relay_target(relay)];
}

/* --- the queue ------------------------------------------------------------------------------- */

static void enqueue(struct flow *flow, struct relay *relay, uint32_t index)
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
static void dequeue(struct flow *flow, struct relay *relay, uint32_t bytes)
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

/* --- receiving ------------------------------------------------------------------------------- */

static void learn(struct flow *flow, struct relay *relay, uint32_t bytes)
{
	relay->piece = (3 * relay->piece + bytes + 3) / 4;
	if (relay->streaming) {
		if (relay->streamed_bytes < SPLICE_AFTER_BYTES)
			relay->streamed_bytes += bytes;
		/* Little came although the receive waited for data: large slices are wasted. */
		if (bytes <= flow->slices.small_bytes && ++relay->full_streak >= STREAK_TO_STREAM) {
			relay->streaming = false;
			relay->full_streak = 0;
		} else if (bytes > flow->slices.small_bytes) {
			relay->full_streak = 0;
		}
		return;
	}
	if (bytes < flow->slices.small_bytes) {
		relay->full_streak = 0;
	} else if (++relay->full_streak >= STREAK_TO_STREAM) {
		relay->streaming = true;
		relay->streamed_bytes = 0;
		relay->full_streak = 0;
		counter_add(&flow->stats.streams, 1);
	}
}

void relay_count_in(struct session *session, struct relay *relay, uint32_t bytes)
{
	struct flow_stats *stats = &session->flow->stats;

	relay->bytes += bytes;
	session->active_ms[relay->side] = flow_now_ms(session->flow);
	counter_add(&stats->receives, 1);
	counter_add(relay->side == SIDE_CLIENT ? &stats->client_bytes : &stats->server_bytes,
		    bytes);
}

static void received(struct session *session, struct relay *relay, uint32_t slice, uint32_t bytes)
{
	struct flow *flow = session->flow;

	relay_count_in(session, relay, bytes);
	if (relay->state != RELAY_OPEN) { /* BROKEN: nobody will take it */
		slices_give(&flow->slices, slice);
		return;
	}
	enqueue(flow, relay, slice);
	learn(flow, relay, bytes);
}

static void source_ended(struct session *session, struct relay *relay)
{
	if (relay->state != RELAY_OPEN)
		return;
	relay_move(relay, RELAY_ENDED);
	if (session->first_end < 0)
		session->first_end = (int8_t)relay->side;
	session_retime(session);
}

static void starve(struct flow *flow, struct relay *relay)
{
	counter_add(&flow->stats.starvations, 1);
	slices_wanted(&flow->slices, relay->recv_class);
	if (!list_linked(&relay->starved)) {
		list_push(&flow->starved, &relay->starved);
		counter_add(&flow->stats.starved, 1);
	}
}

static void unstarve(struct flow *flow, struct relay *relay)
{
	if (list_linked(&relay->starved)) {
		list_remove(&relay->starved);
		counter_sub(&flow->stats.starved, 1);
	}
}

static void source_failed(struct session *session, struct relay *relay, int error)
{
	switch (error) {
	case -ENOBUFS:
		starve(session->flow, relay);
		return;
	case -ECANCELED: /* stopped because too much small was waiting */
	case -EINTR:
	case -EAGAIN:
		return;
	default: /* reset, host unreachable, keepalive given up: the stream is cut */
		if (relay->state == RELAY_OPEN) {
			session->reset_ms = flow_now_ms(session->flow);
			relay_move(relay, RELAY_RESET);
			session_retime(session);
		}
		return;
	}
}

void relay_source_over(struct relay *relay, int result)
{
	struct session *session = session_of_relay(relay);

	assert(result <= 0);
	if (result == 0)
		source_ended(session, relay);
	else
		source_failed(session, relay, result);
}

void on_recv(struct op *op, int result, uint32_t flags)
{
	struct relay *relay = container_of(op, struct relay, recv);
	struct session *session = session_of_relay(relay);
	struct flow *flow = session->flow;
	uint32_t slice = SLICE_NONE;

	if (flags & RING_BUFFER)
		slice = slices_received(&flow->slices, relay->recv_class, ring_buffer_id(flags),
					result > 0 ? (uint32_t)result : 0);
	if (!relay->recv.away)
		relay->cancelling = false;
	if (session->state == SESSION_CLOSE) {
		if (slice != SLICE_NONE)
			slices_give(&flow->slices, slice);
		session_op_home(session);
		return;
	}
	if (relay->watching) {
		relay->watching = false;
		if (result > 0 && (result & POLLERR))
			relay_source_over(relay, -ECONNRESET);
		relay_mark(relay);
		return;
	}
	if (relay->pipe != NULL) { /* ready, or in a state that splicing will tell */
		relay_mark(relay);
		return;
	}
	relay->nonempty = (flags & RING_NONEMPTY) != 0;
	if (result > 0) {
		assert(slice != SLICE_NONE);
		received(session, relay, slice, (uint32_t)result);
	} else {
		if (slice != SLICE_NONE)
			slices_give(&flow->slices, slice);
		relay_source_over(relay, result);
	}
	relay_mark(relay);
}

/* Room in the window, 0 when the next receive must wait. */
static uint32_t room(const struct flow *flow, const struct relay *relay)
{
	if (relay->queued_bytes >= flow->window || relay->slices_count >= flow->window_slices ||
	    relay->held_bytes >= 2 * flow->window)
		return 0;
	return flow->window - relay->queued_bytes;
}

/* Known for servers; a client's socket may be inherited and of any kind. */
static bool is_tcp(const struct session *session, enum side side)
{
	return side == SIDE_SERVER && session->server->conf->addr.kind != ADDR_UNIX;
}

/* For a multishot receive, which may overrun it by the rest of one slice. Each piece takes a slice,
 * however small it is, so the credit is what as many pieces as the window has slices will bring. */
static uint32_t credit(const struct flow *flow, const struct relay *relay, uint32_t most)
{
	uint32_t bytes = relay->piece * flow->window_slices;

	if (bytes > INTERACTIVE_CREDIT)
		bytes = INTERACTIVE_CREDIT;
	return bytes < most ? bytes : most;
}

static void arm(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;
	const uint32_t small = flow->slices.small_bytes;
	uint32_t limit = room(flow, relay);
	/* A client often has sent its first bytes by the time it is accepted; else nothing is
	 * expected at once unless the last receive said so. */
	bool try_first = relay->nonempty || (relay->side == SIDE_CLIENT && relay->bytes == 0);
	uint32_t flags = try_first ? 0 : RING_RECV_POLL_FIRST;

	if (limit == 0)
		return;
	relay->recv_class = SLICE_SMALL;
	relay->recv_many = false;
	if (relay->streaming && !slices_pressed(&flow->slices) &&
	    flow->slices.large_bytes <= 2 * flow->window) {
		if (relay->held_bytes + flow->slices.large_bytes > 2 * flow->window)
			return;
		/* Half a window at most, so that one half is received while the other is sent. */
		relay->recv_class = SLICE_LARGE;
		if (limit < flow->window / 2 && relay->queued_bytes > 0)
			return;
		if (limit > flow->window / 2)
			limit = flow->window / 2;
		if (limit > flow->slices.large_bytes)
			limit = flow->slices.large_bytes;
	} else if (relay->slices_count == 0 && limit > small) {
		relay->recv_many = true;
		if (!is_tcp(session, relay->side))
			flags = 0; /* see ring.h: the end would be lost */
		limit = credit(flow, relay, limit - small);
	} else if (limit > small) {
		limit = small;
	}
	ring_recv(flow->ring, &relay->recv, session->fds[relay->side], relay->recv_class, limit,
		  flags | (relay->recv_many ? RING_RECV_MANY : 0));
}

void relay_watch(struct relay *relay)
{
	struct session *session = session_of_relay(relay);

	if (session->state != SESSION_RELAY || relay->state != RELAY_OPEN || relay->recv.away ||
	    !relay->send.away || list_linked(&relay->starved))
		return;
	relay->watching = true;
	ring_watch(session->flow->ring, &relay->recv, session->fds[relay->side]);
}

void relay_stop_watching(struct relay *relay)
{
	if (relay->cancelling)
		return;
	relay->cancelling = true;
	ring_cancel(session_of_relay(relay)->flow->ring, &relay->recv);
}

static void flush_receive(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;

	if (relay->watching) {
		if (room(flow, relay) > 0)
			relay_stop_watching(relay);
		return;
	}
	if (relay->recv.away) {
		/* Credit counts bytes; a flood of tiny pieces would hold a slice each. */
		if (relay->recv_many && !relay->cancelling &&
		    relay->slices_count >= flow->window_slices) {
			relay->cancelling = true;
			counter_add(&flow->stats.receive_cancels, 1);
			ring_cancel(flow->ring, &relay->recv);
		}
		return;
	}
	if (relay->state != RELAY_OPEN || list_linked(&relay->starved))
		return;
	if (!splice_is_due(relay)) {
		arm(session, relay);
	} else if (relay->queued_bytes == 0 && !relay->send.away) {
		splice_begin(relay);
		relay_mark(relay);
	}
}

/* Those that found no slice, oldest first, as long as there are slices. */
void relays_feed_starved(struct flow *flow)
{
	uint32_t tries = (uint32_t)counter_read(&flow->stats.starved);
	uint32_t free_count = slices_free_count(&flow->slices);

	if (tries > free_count) /* no more than can be served */
		tries = free_count;
	while (tries-- > 0) {
		struct relay *relay = container_of(flow->starved.next, struct relay, starved);
		struct session *session = session_of_relay(relay);

		unstarve(flow, relay);
		assert(session->state != SESSION_CLOSE);
		relay->streaming = false; /* memory is short: in small pieces first */
		if (!relay->recv.away && relay->state == RELAY_OPEN)
			arm(session, relay);
	}
}

/* --- sending --------------------------------------------------------------------------------- */

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

static uint64_t *zero_copy_after(struct session *session, enum side target)
{
	return target == SIDE_SERVER ? &session->server->zero_copy_after_ms :
				       &session->acceptor->zero_copy_after_ms;
}

static bool wants_zero_copy(struct session *session, const struct relay *relay)
{
	struct flow *flow = session->flow;

	if (relay->queued_bytes < ZERO_COPY_MIN_BYTES || relay->copy_only ||
	    flow->conf->proxy.zero_copy_send == ZERO_COPY_OFF)
		return false;
	if (flow->conf->proxy.zero_copy_send == ZERO_COPY_ON)
		return true;
	return !slices_pressed(&flow->slices) &&
	       flow_now_ms(flow) >= *zero_copy_after(session, relay_target(relay));
}

static void send_queue(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;
	struct iovec parts[RING_VECTOR_MAX];
	uint32_t count = relay_begin_send(relay, parts);
	int fd = session->fds[relay_target(relay)];

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
	relay_drop_queue(relay);
	if (relay->state != RELAY_BROKEN)
		relay_move(relay, RELAY_BROKEN);
	relay_mark(reverse(relay));
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
		relay_mark(reverse(relay)); /* it may have waited for this answer */
	relay->in_doubt = (uint32_t)result < asked;
	if (relay->in_doubt)
		counter_add(&flow->stats.send_short, 1);

	dequeue(flow, relay, (uint32_t)result);
	session->active_ms[relay_target(relay)] = flow_now_ms(flow);
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
	if (relay->pipe == NULL)
		sent(session, relay, result);
	relay_mark(relay);
}

/* --- ends ------------------------------------------------------------------------------------ */

static bool relay_done(const struct relay *relay)
{
	return relay->state == RELAY_FINISHED || relay->state == RELAY_BROKEN;
}

/* The queue of an ended or reset source is empty: pass the end on. May close the session. */
static void pass_end_on(struct session *session, struct relay *relay)
{
	struct relay *back = reverse(relay);
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
	struct relay *back = reverse(relay);

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
			send_queue(session, relay);
		} else if (relay->state == RELAY_ENDED || relay->state == RELAY_RESET) {
			pass_end_on(session, relay);
			return;
		} else if (relay->state == RELAY_BROKEN && relay_done(back)) {
			session_close(session, relay->side == SIDE_CLIENT ? CLOSE_SERVER_RESET :
									    CLOSE_CLIENT_RESET);
			return;
		}
	}
	flush_receive(session, relay);
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
