/* SPDX-License-Identifier: MIT */
/*
 * request_sim.c - what the kernel does with a request: receives, accepts, cancellations, messages.
 *
 * A request that cannot complete at once waits in its socket's slot. Whatever may change that
 * (sock_poke) schedules another look, a moment later; a look does as much as is possible then. So
 * completions of one socket keep their order, and those of different sockets come in any.
 *
 * Sends and connects: send_sim.c.
 */
#include "request_private.h"

#include <errno.h>
#include <poll.h>

#include "peer.h"
#include "ring_sim.h"

static void fire(void *subject)
{
	struct request *request = subject;

	request->events--;
	request->scheduled = false;
	if (!request->over)
		request_look(request);
	else if (request->delivered)
		request_recycle(request);
}

void request_look_after(struct request *request, uint64_t after_ns)
{
	request->events++;
	world_after(after_ns, fire, request);
}

void request_schedule(struct request *request)
{
	if (request->scheduled || request->over)
		return;
	request->scheduled = true;
	request_look_after(request, world_delay_ns());
}

void request_unpin(struct request *request)
{
	uint32_t i;

	for (i = 0; i < request->parts_count; i++)
		sim_buffers_unpin(ring_sim_buffers(request->ring), &request->parts[i],
		                  request_sends_anywhere(request));
	request->parts_count = 0;
}

void request_finish(struct request *request, int result, uint32_t flags)
{
	struct sock *sock = request->sock;
	uint32_t i;

	assert(!(flags & RING_MORE));
	if (sock != NULL) {
		struct request **slots[] = { &sock->recv, &sock->send, &sock->accept,
			                     &sock->connect };

		for (i = 0; i < ARRAY_COUNT(slots); i++)
			if (*slots[i] == request)
				*slots[i] = NULL;
	}
	request_unpin(request);
	ring_sim_complete(request, result, flags);
}

/* --- receiving ------------------------------------------------------------------------------- */

static bool recv_has_end(const struct sock *sock)
{
	return sock->aborted || sock->stopped || sock->error != 0 || sock->conn->peer_reset ||
	       sock->conn->in.finished;
}

static bool recv_is_ready(const struct request *request)
{
	return conn_unread(request->sock->conn) > 0 || recv_has_end(request->sock) ||
	       request->cancelled;
}

static void recv_end(struct request *request)
{
	struct sock *sock = request->sock;
	struct sim_buffer buffer;
	uint32_t flags = world_chance(world->faults.wrong_hint) ? 0 : RING_NONEMPTY;
	int result = 0;

	if (sock->aborted) {
		result = sock->tcp ? -ENOTCONN : 0;
	} else if (sock->error != 0) {
		result = -sock->error;
		sock->error = 0;
	} else if (!sock->stopped && !sock->conn->peer_reset) {
		sock->conn->end_read = true;
	}
	if (world_chance(world->faults.end_with_buffer) &&
	    sim_buffers_take(ring_sim_buffers(request->ring), request->group, &buffer))
		flags |= RING_BUFFER | (uint32_t)buffer.id << 16;
	request_finish(request, result, flags);
}

/* How much one receive takes: what there is, or less where the network brings it in pieces. */
static uint32_t piece_bytes(const struct request *request, uint32_t buffer_bytes)
{
	uint64_t bytes = conn_unread(request->sock->conn);

	if (bytes > buffer_bytes)
		bytes = buffer_bytes;
	if (bytes > request->limit && !(request->many && world_chance(world->faults.overrun)))
		bytes = request->limit;
	if (world_chance(world->faults.tiny_pieces))
		bytes = prng_range(&world->prng, 1, bytes < 8 ? bytes : 8);
	return (uint32_t)bytes;
}

/* One receive; false: it was the last. */
static bool recv_once(struct request *request)
{
	struct sim_buffers *buffers = ring_sim_buffers(request->ring);
	struct conn *conn = request->sock->conn;
	struct sim_buffer buffer;
	uint32_t bytes, flags;
	bool more;

	if (world_chance(world->faults.again)) {
		request_finish(request, prng_chance(&world->prng, 500) ? -EINTR : -EAGAIN, 0);
		return false;
	}
	if (!sim_buffers_take(buffers, request->group, &buffer)) {
		request_finish(request, -ENOBUFS, 0);
		return false;
	}
	bytes = piece_bytes(request, buffer.bytes);
	sim_buffers_fill(buffers, &buffer, conn, bytes);
	conn_received(conn, bytes);
	flags = RING_BUFFER | (uint32_t)buffer.id << 16;
	if ((conn_unread(conn) > 0 || recv_has_end(request->sock)) !=
	    world_chance(world->faults.wrong_hint))
		flags |= RING_NONEMPTY;
	request->limit = bytes < request->limit ? request->limit - bytes : 0;
	more = request->many && request->limit > 0 && !request->cancelled &&
	       !world_chance(world->faults.early_end);
	if (more)
		ring_sim_complete(request, (int)bytes, flags | RING_MORE);
	else
		request_finish(request, (int)bytes, flags);
	return more;
}

static void recv_look(struct request *request)
{
	struct sock *sock = request->sock;

	while (conn_unread(sock->conn) > 0 && !sock->aborted && !sock->stopped) {
		if (request->cancelled && prng_chance(&world->prng, 500))
			break;
		if (!recv_once(request))
			return;
		/* The rest at once, or in a while. */
		if (prng_chance(&world->prng, 300)) {
			request_schedule(request);
			return;
		}
	}
	if (request->cancelled)
		request_finish(request, -ECANCELED, 0);
	else if (recv_has_end(sock))
		recv_end(request);
}

static void recv_issue(struct request *request)
{
	struct sock *sock = request->sock;

	if (sock->conn == NULL)
		world_fail("descriptor %d: a receive before it is connected", request->fd);
	if (sock->recv != NULL)
		world_fail("descriptor %d: a receive while another is away", request->fd);
	sock->recv = request;
	if (!request->poll_first &&
	    sim_buffers_empty(ring_sim_buffers(request->ring), request->group)) {
		request_finish(request, -ENOBUFS, 0);
		return;
	}
	if (!recv_is_ready(request))
		return;
	if (request->poll_first || world_chance(world->faults.not_inline))
		request_schedule(request);
	else
		request_look(request);
}

/* --- watching -------------------------------------------------------------------------------- */

/* In the slot of the receive, which cannot be away meanwhile. The error is left to be reported. */
static void watch_look(struct request *request)
{
	const struct sock *sock = request->sock;

	if (sock->aborted || sock->stopped || sock->error != 0 || sock->conn->peer_reset)
		request_finish(request, POLLERR | POLLHUP, 0);
	else if (request->cancelled)
		request_finish(request, -ECANCELED, 0);
}

static void watch_issue(struct request *request)
{
	if (request->sock->recv != NULL)
		world_fail("descriptor %d: a watch while a receive is away", request->fd);
	request->sock->recv = request;
	request_schedule(request);
}

/* --- accepting ------------------------------------------------------------------------------- */

/* One accept; false: it was the last. */
static bool accept_once(struct request *request)
{
	static const int errors[] = { -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS, -EPERM };
	struct sock *listener = request->sock;
	struct sock *sock = NULL;
	struct conn *conn;

	if (listener->backlog[0]->peer_reset && world_chance(world->faults.accept_aborted)) {
		conn = backlog_take(listener);
		conn->unserved = true;
		conn->proxy_closed = true;
		request_finish(request, -ECONNABORTED, 0);
		return false;
	}
	if (!world_chance(world->faults.accept_no_fd))
		sock = sock_open(listener->tcp);
	if (sock == NULL) {
		request_finish(request, errors[prng_below(&world->prng, ARRAY_COUNT(errors))], 0);
		return false;
	}
	conn = backlog_take(listener);
	conn_attach(conn, sock);
	world->accepted++;
	trace("fd %d: accepts conn %llx as fd %d", request->fd, (unsigned long long)conn->key,
	      sock->fd);
	if (request->many && !request->cancelled && !world_chance(world->faults.early_end)) {
		ring_sim_complete(request, sock->fd, RING_MORE);
		return true;
	}
	request_finish(request, sock->fd, 0);
	return false;
}

/* Completions are made while the worker is in the kernel (DEFER_TASKRUN), so between two of its
 * turns an accept takes no more than a backlog holds. */
static bool accept_may_go_on(struct request *request)
{
	uint64_t turns = ring_sim_turns(request->ring);

	if (request->turn != turns)
		request->taken = 0;
	request->turn = turns;
	if (request->taken++ < request->sock->backlog_max)
		return true;
	request_schedule(request);
	return false;
}

static void accept_look(struct request *request)
{
	while (request->sock->backlog_count > 0) {
		if (!request->cancelled && !accept_may_go_on(request))
			return;
		if (request->cancelled && prng_chance(&world->prng, 500))
			break;
		if (!accept_once(request))
			return;
	}
	if (request->cancelled)
		request_finish(request, -ECANCELED, 0);
}

static void accept_issue(struct request *request)
{
	struct sock *sock = request->sock;

	if (!sock->listening)
		world_fail("descriptor %d: an accept on what does not listen", request->fd);
	if (sock->accept != NULL)
		world_fail("descriptor %d: an accept while another is away", request->fd);
	sock->accept = request;
	if (sock->backlog_count == 0)
		return;
	if (world_chance(world->faults.not_inline))
		request_schedule(request);
	else
		request_look(request);
}

/* --- cancelling and messages ----------------------------------------------------------------- */

static void cancel_issue(struct request *request)
{
	struct request *target = ring_sim_find(request->ring, request->target);

	trace("cancel %s", target == NULL ? "finds nothing" : "finds its target");
	if (target != NULL && !target->cancelled) {
		target->cancelled = true;
		if (world_chance(world->faults.cancel_late))
			request_schedule(target);
		else
			request_look(target);
	}
	ring_sim_complete(request, target == NULL ? -ENOENT : 0, 0);
}

static void post_issue(struct request *request)
{
	if (!request->scheduled && prng_chance(&world->prng, 500)) {
		request_schedule(request);
		return;
	}
	if (world_chance(world->faults.post_fails)) {
		request_finish(request, -EOVERFLOW, 0);
		return;
	}
	ring_sim_message(request->target_ring, request->target, request->value);
	request_finish(request, 0, 0);
}

/* --- all ------------------------------------------------------------------------------------- */

void request_look(struct request *request)
{
	switch (request->kind) {
	case REQUEST_ACCEPT:
		accept_look(request);
		return;
	case REQUEST_RECV:
		recv_look(request);
		return;
	case REQUEST_WATCH:
		watch_look(request);
		return;
	case REQUEST_SEND:
		send_look(request);
		return;
	case REQUEST_CONNECT:
		connect_look(request);
		return;
	case REQUEST_POST:
		post_issue(request);
		return;
	case REQUEST_CANCEL:
	case REQUEST_KIND_COUNT:
		break;
	}
	unreachable();
}

void request_issue(struct request *request)
{
	if (request->fd >= 0 && sock_of(request->fd) != request->sock)
		world_fail("descriptor %d was closed before a request on it was submitted",
		           request->fd);
	switch (request->kind) {
	case REQUEST_ACCEPT:
		accept_issue(request);
		return;
	case REQUEST_RECV:
		recv_issue(request);
		return;
	case REQUEST_WATCH:
		watch_issue(request);
		return;
	case REQUEST_SEND:
		send_issue(request);
		return;
	case REQUEST_CONNECT:
		connect_issue(request);
		return;
	case REQUEST_CANCEL:
		cancel_issue(request);
		return;
	case REQUEST_POST:
		post_issue(request);
		return;
	case REQUEST_KIND_COUNT:
		break;
	}
	unreachable();
}
