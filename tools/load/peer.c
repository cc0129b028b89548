/* SPDX-License-Identifier: MIT */
/*
 * peer.c - arming, delivering and ending, as drawn in peer.h.
 */
#include "peer.h"

#include <errno.h>

#define GROUP 0

static void on_recv(struct op *op, int result, uint32_t flags);
static void on_send(struct op *op, int result, uint32_t flags);
static void on_connect(struct op *op, int result, uint32_t flags);

void peer_init(struct peer *peer, struct engine *engine, const struct peer_events *events)
{
	*peer = (struct peer){
		.engine = engine,
		.events = events,
		.fd = -1,
		.receive_bytes = 1u << 30,
		.many = true,
	};
	op_init(&peer->recv_op, on_recv);
	op_init(&peer->send_op, on_send);
	list_init(&peer->starved);
}

static void reset(struct peer *peer, int fd)
{
	assert(fd >= 0);
	assert(peer->fd == -1);
	assert(!peer->recv_op.away && !peer->send_op.away);
	peer->fd = fd;
	peer->receiving = false;
	peer->ended = false;
	peer->stopping = false;
}

void peer_start(struct peer *peer, int fd)
{
	reset(peer, fd);
	peer->recv_op.done = on_recv;
}

void peer_connect(struct peer *peer, int fd, const struct sockaddr *address, socklen_t len,
                  uint64_t timeout_ns)
{
	reset(peer, fd);
	peer->recv_op.done = on_connect;
	ring_connect(peer->engine->ring, &peer->recv_op, fd, address, len, timeout_ns, NULL, NULL,
	             0);
}

static void arm(struct peer *peer)
{
	uint32_t flags = RING_RECV_POLL_FIRST | (peer->many ? RING_RECV_MANY : 0u);

	ring_recv(peer->engine->ring, &peer->recv_op, peer->fd, GROUP, peer->receive_bytes, flags);
}

static bool must_arm(const struct peer *peer)
{
	return peer->receiving && !peer->ended && !peer->recv_op.away &&
	       !list_linked(&peer->starved);
}

/* The end of every completion handler: nothing may touch the peer after it. */
static void leave_event(struct peer *peer)
{
	peer->in_event = false;
	if (!peer->stopping) {
		if (must_arm(peer))
			arm(peer);
		return;
	}
	if (peer->recv_op.away || peer->send_op.away)
		return;
	assert(peer->fd >= 0);
	ring_socket_close(peer->engine->ring, peer->fd);
	peer->fd = -1;
	list_remove(&peer->starved);
	peer->events->closed(peer);
}

static void on_connect(struct op *op, int result, uint32_t flags)
{
	struct peer *peer = container_of(op, struct peer, recv_op);

	(void)flags;
	peer->in_event = true;
	if (!peer->stopping) {
		op->done = on_recv;
		peer->events->connected(peer, result == -ECANCELED ? -ETIMEDOUT : result);
	}
	leave_event(peer);
}

void peer_set_credit(struct peer *peer, uint32_t credit, bool many)
{
	assert(credit > 0);
	peer->receive_bytes = credit;
	peer->many = many;
}

void peer_receive(struct peer *peer)
{
	if (peer->ended || peer->stopping)
		return;
	peer->receiving = true;
	if (!peer->in_event && must_arm(peer))
		arm(peer);
}

uint16_t peer_keep_buffer(struct peer *peer)
{
	assert(peer->in_event);
	assert(!peer->engine->kept);
	peer->engine->kept = true;
	return peer->buffer_id;
}

static void deliver_data(struct peer *peer, int result, uint32_t flags)
{
	struct engine *engine = peer->engine;
	uint16_t id = ring_buffer_id(flags);
	uint8_t *bytes = engine_take_buffer(engine, id);

	engine->kept = false;
	peer->buffer_id = id;
	if (!peer->stopping && result > 0)
		peer->events->data(peer, bytes, (uint32_t)result);
	if (!engine->kept)
		engine_give_back(engine, id);
	engine->kept = false;
}

static void on_recv(struct op *op, int result, uint32_t flags)
{
	struct peer *peer = container_of(op, struct peer, recv_op);

	peer->in_event = true;
	if (flags & RING_BUFFER) {
		deliver_data(peer, result, flags);
	} else if (result == -ENOBUFS) {
		if (!peer->stopping)
			list_push(&peer->engine->starved, &peer->starved);
	} else if (!peer->stopping) {
		assert(result <= 0);
		peer->ended = true;
		peer->events->end(peer, result);
	}
	leave_event(peer);
}

void peer_send(struct peer *peer, const struct iovec *parts, uint32_t count)
{
	assert(peer_can_send(peer));
	ring_send(peer->engine->ring, &peer->send_op, peer->fd, parts, count);
}

static void on_send(struct op *op, int result, uint32_t flags)
{
	struct peer *peer = container_of(op, struct peer, send_op);

	(void)flags;
	peer->in_event = true;
	if (!peer->stopping)
		peer->events->sent(peer, result);
	leave_event(peer);
}

void peer_finish(struct peer *peer)
{
	assert(peer->fd >= 0);
	ring_socket_finish(peer->engine->ring, peer->fd);
}

void peer_stop(struct peer *peer, enum peer_ending ending)
{
	if (peer->stopping)
		return;
	assert(peer->fd >= 0);
	peer->stopping = true;
	if (ending == PEER_END_RESET)
		ring_socket_abort(peer->engine->ring, peer->fd);
	else if (peer->recv_op.away || peer->send_op.away)
		ring_socket_stop(peer->engine->ring, peer->fd);
	if (peer->recv_op.away && peer->recv_op.done == on_connect)
		ring_cancel(peer->engine->ring, &peer->recv_op);
	if (!peer->in_event)
		leave_event(peer);
}
