/* SPDX-License-Identifier: MIT */
/*
 * send_sim.c - what the kernel does with a send, and with a connect and what is linked behind it.
 *
 * A send waits until all of it has been taken (MSG_WAITALL); an error or the socket's end cuts it,
 * and then it reports what was taken, if anything was. The memory of a zero-copy send is compared
 * with the stream again when its notification is made: it must not have changed meanwhile.
 *
 * The world learns which client a server's connection belongs to from the session that embeds the
 * connect's op; a connect that is not a session's is a health check's.
 */
#include <errno.h>

#include "flow/session.h"
#include "front.h"
#include "peer.h"
#include "request_private.h"
#include "ring_sim.h"
#include "watch.h"

/* --- sending --------------------------------------------------------------------------------- */

static void notify(void *subject)
{
	struct request *request = subject;
	uint64_t offset = request->offset;
	uint64_t left = request->sent;
	uint64_t front = request->front;
	uint32_t i;

	request->events--;
	for (i = 0; left > 0; i++) {
		const struct iovec *part = &request->parts[i];
		uint64_t here = part->iov_len < left ? part->iov_len : left;
		uint64_t skip = here < front ? here : front;

		if (here > skip)
			conn_check_sent(request->sock->conn, offset,
			                (const uint8_t *)part->iov_base + skip, here - skip);
		offset += here - skip;
		front -= skip;
		left -= here;
	}
	request_finish(request,
	               world_chance(world->faults.zero_copy_copied) ? (int)RING_NOTIF_COPIED : 0,
	               RING_NOTIF);
}

static void send_report(struct request *request, int result)
{
	struct sock *sock = request->sock;

	/* A failed zero-copy send may have one completion or two. */
	if (!request->zero_copy || (result < 0 && prng_chance(&world->prng, 500))) {
		request_finish(request, result, 0);
		return;
	}
	sock->send = NULL;
	request->reported = true;
	ring_sim_complete(request, result, RING_MORE);
	request->events++;
	world_after(prng_spread(&world->prng, 0, 5 * NS_PER_MS), notify, request);
}

static void take(struct request *request, uint64_t bytes)
{
	uint64_t skip = request->sent;
	uint32_t i;

	request->sent += bytes;
	for (i = 0; bytes > 0; i++) {
		const struct iovec *part = &request->parts[i];
		uint64_t here;

		if (skip >= part->iov_len) {
			skip -= part->iov_len;
			continue;
		}
		here = part->iov_len - skip < bytes ? part->iov_len - skip : bytes;
		request->front += conn_send(request->sock->conn,
		                            (const uint8_t *)part->iov_base + skip, here);
		skip = 0;
		bytes -= here;
	}
}

/* A send that was cut reports what was taken, and may have used up the socket's error in finding
 * that no more is. */
static int broken_result(struct request *request)
{
	struct sock *sock = request->sock;
	int error = sock->error != 0 ? sock->error : EPIPE;

	if (request->sent == 0 || prng_chance(&world->prng, 500))
		sock->error = 0;
	return request->sent > 0 ? (int)request->sent : -error;
}

static bool send_is_broken(const struct sock *sock)
{
	return sock->aborted || sock->stopped || sock->conn->peer_reset;
}

void send_look(struct request *request)
{
	struct conn *conn = request->sock->conn;
	uint64_t room;

	if (request->doomed) {
		request_finish(request, -ECANCELED, 0);
		return;
	}
	if (request->reported || request->sock->send != request)
		return;
	if (!send_is_broken(request->sock) && world_chance(world->faults.send_breaks))
		conn_break(conn);
	if (send_is_broken(request->sock)) {
		send_report(request, broken_result(request));
		return;
	}
	room = pipe_room(&conn->out);
	if (room > request->total - request->sent)
		room = request->total - request->sent;
	if (room > 0) {
		if (prng_chance(&world->prng, 200))
			room = prng_range(&world->prng, 1, room);
		take(request, room);
		peer_poke(conn->peer);
	}
	if (request->sent == request->total ||
	    (request->sent > 0 && world_chance(world->faults.short_send)))
		send_report(request, (int)request->sent);
	else if (pipe_room(&conn->out) > 0)
		request_schedule(request);
}

void send_issue(struct request *request)
{
	struct sock *sock = request->sock;

	if (sock->conn == NULL)
		world_fail("descriptor %d: a send before it is connected", request->fd);
	if (sock->send != NULL)
		world_fail("descriptor %d: a send while another is away", request->fd);
	if (sock->finished)
		world_fail("descriptor %d: a send behind its end", request->fd);
	sock->send = request;
	request->offset = sock->conn->out.written;
	if (request->zero_copy && !sock->tcp)
		send_report(request, -EOPNOTSUPP);
	else if (request->zero_copy && world_chance(world->faults.zero_copy_fails))
		send_report(request, -ENOMEM);
	else if (world_chance(world->faults.not_inline))
		request_schedule(request);
	else
		send_look(request);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void pair(struct request *request, struct conn *conn)
{
	const struct session *session = watch_session(request->op);
	struct conn *client = sock_of(session->client.fd)->conn;

	if (session_fd(session, SIDE_SERVER) != request->fd)
		world_fail("descriptor %d: a connect that is not its session's", request->fd);
	front_expect(conn, client, session->upstream->send_proxy);
	watch_connected(session->server, conn);
	if (client->http) {
		trace("conn %llx: to origin %u, first for conn %llx", (unsigned long long)conn->key,
		      request->port, (unsigned long long)client->key);
		return;
	}
	if (client->pair != NULL)
		world_fail("descriptor %d: its client has a server already", request->fd);
	client->pair = conn;
	conn->pair = client;
	trace("conn %llx: to origin %u for conn %llx", (unsigned long long)conn->key,
	      request->port, (unsigned long long)client->key);
}

static void connect_failed(struct request *request, int error)
{
	struct request *linked = request->linked;

	request_finish(request, error, 0);
	if (linked == NULL)
		return;
	/* Never issued, so it holds neither the descriptor nor its memory. */
	linked->doomed = true;
	request_unpin(linked);
	linked->sock->ops_away--;
	if (prng_chance(&world->prng, 500))
		send_look(linked);
	else
		request_schedule(linked);
}

static void connected(struct request *request)
{
	struct request *linked = request->linked;
	struct conn *conn = origin_accept(request->port, request->of_check);

	conn_attach(conn, request->sock);
	if (!request->of_check)
		pair(request, conn);
	peer_start(conn->peer);
	request_finish(request, 0, 0);
	if (linked == NULL)
		return;
	request_issue(linked);
}

void connect_look(struct request *request)
{
	struct sock *sock = request->sock;

	if (sock->aborted || sock->stopped)
		connect_failed(request, -ECONNABORTED);
	else if (request->cancelled && prng_chance(&world->prng, 500))
		connect_failed(request, -ECANCELED);
	else if (world->now_ns >= request->due_ns && request->outcome == 0)
		connected(request);
	else if (world->now_ns >= request->due_ns)
		connect_failed(request, request->outcome);
	else if (request->cancelled)
		connect_failed(request, -ECANCELED);
}

void connect_issue(struct request *request)
{
	struct sock *sock = request->sock;
	uint64_t after_ns;

	if (sock->connect != NULL || sock->conn != NULL)
		world_fail("descriptor %d: is connected twice", request->fd);
	sock->connect = request;
	request->outcome = origin_answer(request->port, request->of_check, &after_ns);
	if (after_ns >= request->total) { /* the linked deadline */
		request->outcome = -ECANCELED;
		after_ns = request->total;
	}
	request->due_ns = world->now_ns + after_ns;
	if (after_ns == 0)
		connect_look(request);
	else
		request_look_after(request, after_ns);
}
