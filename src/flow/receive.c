/* SPDX-License-Identifier: MIT */
/*
 * receive.c - what comes from a relay's source, and when to receive again.
 *
 *   interactive   multishot into small slices, against credit
 *   stream        one-shot into large slices, half a window at a time; then spliced (splice.c)
 *   stuck         nothing is received; after a while the source is watched for its reset
 *   starved       no slice was free: in line until there is one
 */
#include "flow_private.h"

#include <errno.h>
#include <poll.h>

/* An interactive direction receives against at most this much credit, so that a stream is
 * recognised soon. */
#define INTERACTIVE_CREDIT (64u * 1024)
#define STREAK_TO_STREAM 4
#define EXPECT_TO_STREAM 2u /* small slices */

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

void relay_expect(struct flow *flow, struct relay *relay, uint64_t bytes)
{
	if (relay->streaming || bytes < (uint64_t)flow->slices.small_bytes * EXPECT_TO_STREAM)
		return;
	relay->streaming = true;
	relay->streamed_bytes = 0;
	relay->full_streak = 0;
	counter_add(&flow->stats.streams, 1);
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
		relay->lost = true;
		return;
	}
	relay_enqueue(flow, relay, slice);
	if (session->http || session->state == SESSION_PREFACE)
		relay->held_back += bytes;
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
	if (relay->side == SIDE_SERVER) /* an answer is there: its request is not sent again */
		exchange_request_out(session_of_relay(relay));
	slices_wanted(&flow->slices, relay_source(relay)->recv_class);
	if (!list_linked(&relay->starved)) {
		list_push(&flow->starved, &relay->starved);
		counter_add(&flow->stats.starved, 1);
	}
}

void relay_unstarve(struct flow *flow, struct relay *relay)
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
			session->phase_ms = flow_now_ms(session->flow);
			relay->was_reset = true;
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

void wire_init(struct wire *wire, struct flow *flow, enum side side, int fd)
{
	*wire = (struct wire){ .flow = flow, .fd = fd, .side = (uint8_t)side };
	op_init(&wire->recv, on_recv);
}

/* The source of a relay whose session is open gave a slice (SLICE_NONE: none) or a result. */
static void relay_on_recv(struct session *session, struct wire *wire, uint32_t slice, int result)
{
	struct relay *relay = &session->relays[wire->side];

	if (session->dropping && relay->side == SIDE_SERVER) { /* given up */
		wire->watching = false;
		if (slice != SLICE_NONE)
			slices_give(&session->flow->slices, slice);
		return;
	}
	if (wire->watching) {
		wire->watching = false;
		if (result > 0 && (result & POLLERR))
			relay_source_over(relay, -ECONNRESET);
		return;
	}
	if (relay->pipe != PIPE_NONE) /* ready, or in a state that splicing will tell */
		return;
	if (result > 0) {
		assert(slice != SLICE_NONE);
		received(session, relay, slice, (uint32_t)result);
		return;
	}
	if (slice != SLICE_NONE)
		slices_give(&session->flow->slices, slice);
	relay_source_over(relay, result);
}

void on_recv(struct op *op, int result, uint32_t flags)
{
	struct wire *wire = container_of(op, struct wire, recv);
	struct session *session = wire_session(wire);
	struct flow *flow = wire->flow;
	uint32_t slice = SLICE_NONE;

	if (flags & RING_BUFFER)
		slice = slices_received(&flow->slices, wire->recv_class, ring_buffer_id(flags),
					result > 0 ? (uint32_t)result : 0);
	if (!wire->recv.away)
		wire->cancelling = false;
	wire->nonempty = (flags & RING_NONEMPTY) != 0;
	if (session != NULL && session->state != SESSION_CLOSE) {
		relay_on_recv(session, wire, slice, result);
		relay_mark(&session->relays[wire->side]);
		return;
	}
	if (slice != SLICE_NONE)
		slices_give(&flow->slices, slice);
	if (session != NULL)
		session_op_home(session);
	else
		server_conn_heard(container_of(wire, struct server_conn, wire));
}

/* Room in the window, 0 when the next receive must wait. One slice alone is never too much: it may
 * be a large one that was taken for a head. */
static uint32_t room(const struct flow *flow, const struct relay *relay)
{
	if (relay->queued_bytes >= flow->window ||
	    (relay->slices_count > 1 &&
	     (relay->slices_count >= flow->window_slices || relay->held_bytes >= 2 * flow->window)))
		return 0;
	/* The last quarter of the memory is for those who hold nothing: who has something to send
	 * already is looked at again when it is sent. So slow readers cannot starve the others. */
	if (slices_pressed(&flow->slices))
		return relay->send.away || relay_ready_bytes(relay) > 0 ? 0 :
									  flow->slices.small_bytes;
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

/* What comes may be all that ever comes: then an armed receive would have to be ended. */
static bool may_be_the_last(const struct session *session, const struct relay *relay)
{
	if (!session->http)
		return false;
	if (relay->side == SIDE_CLIENT && session->shelf_len > 0)
		return true;            /* no more than fits behind what is shelved */
	if (relay->side == SIDE_SERVER) /* it may go to another worker, and so to another ring */
		return session->upstream->pool == POOL_SHARED;
	return relay->bytes == 0;
}

static void arm(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;
	struct wire *source = session_wire(session, relay->side);
	const uint32_t small = flow->slices.small_bytes;
	uint32_t limit = room(flow, relay);
	/* A client often has sent its first bytes by the time it is accepted; else nothing is
	 * expected at once unless the last receive said so. */
	bool try_first = source->nonempty || (relay->side == SIDE_CLIENT && relay->bytes == 0);
	uint32_t flags = try_first ? 0 : RING_RECV_POLL_FIRST;

	if (limit == 0)
		return;
	source->recv_class = SLICE_SMALL;
	source->recv_many = false;
	if (relay->streaming && !slices_pressed(&flow->slices) &&
	    flow->slices.large_bytes <= 2 * flow->window) {
		if (relay->held_bytes + flow->slices.large_bytes > 2 * flow->window)
			return;
		/* Half a window at most, so that one half is received while the other is sent. */
		source->recv_class = SLICE_LARGE;
		if (limit < flow->window / 2 && relay->queued_bytes > 0)
			return;
		if (limit > flow->window / 2)
			limit = flow->window / 2;
		if (limit > flow->slices.large_bytes)
			limit = flow->slices.large_bytes;
	} else if (relay->slices_count == 0 && limit > small && !may_be_the_last(session, relay)) {
		source->recv_many = true;
		if (!is_tcp(session, relay->side))
			flags = 0; /* see ring.h: the end would be lost */
		limit = credit(flow, relay, limit - small);
	} else if (limit > small) {
		limit = small;
	}
	/* The shelved begin of a head is put in front of it, into the same slice. */
	if (relay->side == SIDE_CLIENT && session->shelf_len > 0 &&
	    limit > small - session->shelf_len)
		limit = small - session->shelf_len;
	ring_recv(flow->ring, &source->recv, source->fd, source->recv_class, limit,
		  flags | (source->recv_many ? RING_RECV_MANY : 0));
}

void relay_watch(struct relay *relay)
{
	struct session *session = session_of_relay(relay);
	struct wire *source = session_wire(session, relay->side);

	if (session->state != SESSION_RELAY || source == NULL || relay->state != RELAY_OPEN ||
	    source->recv.away || !relay->send.away || list_linked(&relay->starved))
		return;
	source->watching = true;
	ring_watch(session->flow->ring, &source->recv, source->fd);
}

void relay_stop_receiving(struct relay *relay)
{
	struct wire *wire = relay_source(relay);

	if (!wire->recv_many || wire->cancelling || wire->watching)
		return;
	wire->cancelling = true;
	ring_cancel(wire->flow->ring, &wire->recv);
}

void relay_stop_watching(struct relay *relay)
{
	struct wire *wire = relay_source(relay);

	if (wire->cancelling)
		return;
	wire->cancelling = true;
	ring_cancel(wire->flow->ring, &wire->recv);
}

void relay_flush_receive(struct session *session, struct relay *relay)
{
	struct flow *flow = session->flow;
	struct wire *source = session_wire(session, relay->side);

	if (source->watching) {
		if (room(flow, relay) > 0)
			relay_stop_watching(relay);
		return;
	}
	if (source->recv.away) {
		/* Credit counts bytes; a flood of tiny pieces would hold a slice each. */
		if (source->recv_many && !source->cancelling &&
		    relay->slices_count >= flow->window_slices) {
			source->cancelling = true;
			counter_add(&flow->stats.receive_cancels, 1);
			ring_cancel(flow->ring, &source->recv);
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

		relay_unstarve(flow, relay);
		assert(session->state != SESSION_CLOSE);
		relay->streaming = false; /* memory is short: in small pieces first */
		if (!relay_receiving(relay) && relay->state == RELAY_OPEN)
			arm(session, relay);
	}
}
