/* SPDX-License-Identifier: MIT */
/*
 * socket_sim.c - descriptors, backlogs, pipes, ends and resets; and the direct socket calls of
 * ring/ring.h. What is checked stands in socket_sim.h.
 */
#include "socket_sim.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include "front.h"
#include "peer.h"
#include "request_sim.h"
#include "ring/ring.h"

#define FD_FIRST 3

/* --- descriptors ----------------------------------------------------------------------------- */

static bool descriptors_left(void)
{
	return world->fds_used + FD_FIRST < world->fds_max;
}

/* NULL: no descriptor is left. */
struct sock *sock_open(bool tcp)
{
	struct sock *sock;
	int fd = FD_FIRST;

	if (!descriptors_left())
		return NULL;
	while (world->fds[fd] != NULL)
		fd++;
	sock = calloc(1, sizeof(*sock));
	assert(sock != NULL);
	list_init(&sock->node);
	list_push(&world->socks, &sock->node);
	sock->fd = fd;
	sock->tcp = tcp;
	world->fds[fd] = sock;
	world->fds_used++;
	return sock;
}

struct sock *sock_of(int fd)
{
	if (fd < 0 || (uint32_t)fd >= world->fds_max || world->fds[fd] == NULL)
		world_fail("descriptor %d is used but not open", fd);
	return world->fds[fd];
}

struct sock *sock_listen(bool tcp, uint32_t backlog_max)
{
	struct sock *sock = sock_open(tcp);

	assert(sock != NULL);
	sock->listening = true;
	sock->backlog_max = backlog_max;
	sock->backlog = calloc(backlog_max, sizeof(struct conn *));
	assert(sock->backlog != NULL);
	return sock;
}

void sock_poke(struct sock *sock)
{
	struct request *waiting[] = { sock->recv, sock->send, sock->accept, sock->connect };
	uint32_t i;

	for (i = 0; i < ARRAY_COUNT(waiting); i++)
		if (waiting[i] != NULL)
			request_schedule(waiting[i]);
}

/* --- connections ----------------------------------------------------------------------------- */

void bytes_add(struct bytes *bytes, const void *from, uint64_t count)
{
	if (bytes->count + count > bytes->room) {
		bytes->room = 2 * bytes->room + count + 256;
		bytes->at = realloc(bytes->at, bytes->room);
		assert(bytes->at != NULL);
	}
	memcpy(bytes->at + bytes->count, from, count);
	bytes->count += count;
}

struct conn *conn_open(struct peer *peer, bool from_client, bool tcp, uint32_t capacity)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	assert(conn != NULL);
	list_init(&conn->node);
	list_push(&world->conns, &conn->node);
	conn->key = mix64(world->seed) + ++world->keys;
	conn->peer = peer;
	conn->from_client = from_client;
	conn->tcp = tcp;
	conn->in.capacity = capacity;
	conn->out.capacity = capacity;
	return conn;
}

bool conn_offer(struct conn *conn, struct sock *listener)
{
	if (listener->backlog_count == listener->backlog_max)
		return false;
	listener->backlog[listener->backlog_count++] = conn;
	sock_poke(listener);
	return true;
}

struct conn *backlog_take(struct sock *listener)
{
	struct conn *conn = listener->backlog[0];
	uint32_t i;

	assert(listener->backlog_count > 0);
	listener->backlog_count--;
	for (i = 0; i < listener->backlog_count; i++)
		listener->backlog[i] = listener->backlog[i + 1];
	return conn;
}

void conn_attach(struct conn *conn, struct sock *sock)
{
	assert(conn->sock == NULL && sock->conn == NULL);
	conn->sock = sock;
	conn->accepted = true;
	sock->conn = conn;
	if (conn->peer_reset)
		sock->error = ECONNRESET;
}

uint64_t conn_room(const struct conn *conn)
{
	return conn->in.finished || conn->proxy_closed ? 0 : pipe_room(&conn->in);
}

void conn_write(struct conn *conn, uint64_t bytes)
{
	assert(!conn->in.finished && !conn->peer_reset);
	assert(bytes > 0 && bytes <= pipe_room(&conn->in));
	conn->in.written += bytes;
	if (conn->sock != NULL)
		sock_poke(conn->sock);
}

void conn_write_front(struct conn *conn, uint64_t bytes)
{
	assert(!conn->in.finished && !conn->peer_reset);
	assert(bytes > 0 && conn->in_front.written + bytes <= conn->in_front.bytes.count);
	conn->in_front.written += bytes;
	if (conn->sock != NULL)
		sock_poke(conn->sock);
}

uint64_t conn_waiting(const struct conn *conn)
{
	return pipe_used(&conn->out);
}

void conn_read(struct conn *conn, uint64_t bytes)
{
	assert(bytes <= pipe_used(&conn->out));
	conn->out.read += bytes;
	if (conn->sock != NULL)
		sock_poke(conn->sock);
}

void conn_finish(struct conn *conn)
{
	trace("conn %llx: the peer finishes at %llu", (unsigned long long)conn->key,
	      (unsigned long long)conn->in.written);
	assert(!conn->in.finished);
	conn->in.finished = true;
	if (conn->sock != NULL)
		sock_poke(conn->sock);
}

void conn_reset(struct conn *conn)
{
	trace("conn %llx: the peer resets", (unsigned long long)conn->key);
	if (conn->peer_reset)
		return;
	conn->peer_reset = true;
	/* What was received before the reset may be read still, or not. */
	if (prng_chance(&world->prng, 500)) {
		conn->in.written = conn->in.read;
		conn->in_front.written = conn->in_front.read;
	}
	conn->out.read = conn->out.written;
	if (conn->sock != NULL) {
		conn->sock->error = ECONNRESET;
		sock_poke(conn->sock);
	}
}

void conn_break(struct conn *conn)
{
	conn->broken = true;
	world->breaks_made++;
	conn_reset(conn);
	peer_poke(conn->peer);
}

/* --- the engine's side ----------------------------------------------------------------------- */

void conn_received(struct conn *conn, uint64_t bytes)
{
	const struct conn *pair = conn->pair;
	struct front *front = &conn->in_front;
	uint64_t first = front->written - front->read;
	uint64_t queued;

	if (first > bytes)
		first = bytes;
	front->read += first;
	conn->in.read += bytes - first;
	if (conn->peer != NULL)
		peer_poke(conn->peer);
	if (conn->http)
		return;
	if (pair != NULL && (pair->peer_reset || pair->peer_closed || pair->proxy_closed ||
	                     pair->proxy_aborted))
		return; /* it is dropped, and counts no more */
	queued = conn->in.read - (pair != NULL ? pair->sent_home : 0);
	if (queued > (uint64_t)world->window_bytes + world->slice_bytes)
		world_fail("conn %llx: %llu bytes are queued, the window is %u",
		           (unsigned long long)conn->key, (unsigned long long)queued,
		           world->window_bytes);
}

void conn_check_sent(const struct conn *conn, uint64_t offset, const uint8_t *bytes,
                     uint64_t count)
{
	const struct conn *pair = conn->pair;

	if (conn->http) { /* as it was when it was sent */
		assert(offset + count <= conn->out.kept.count);
		world->bytes_verified += count;
		if (memcmp(conn->out.kept.at + offset, bytes, count) != 0)
			world_fail("conn %llx: what is being sent was changed",
			           (unsigned long long)conn->key);
		return;
	}
	if (pair == NULL)
		world_fail("conn %llx: bytes are sent on no session's connection",
		           (unsigned long long)conn->key);
	if (offset + count > pair->in.read)
		world_fail("conn %llx: %llu bytes sent, but only %llu were received",
		           (unsigned long long)conn->key, (unsigned long long)(offset + count),
		           (unsigned long long)pair->in.read);
	if (!stream_matches(pair->key, offset, bytes, count))
		world_fail("conn %llx: wrong bytes are sent at offset %llu, %llu of them",
		           (unsigned long long)conn->key, (unsigned long long)offset,
		           (unsigned long long)count);
}

uint64_t conn_send(struct conn *conn, const uint8_t *bytes, uint64_t count)
{
	uint64_t first = front_take(conn, bytes, count);

	bytes += first;
	count -= first;
	if (count == 0)
		return first;
	if (conn->http)
		bytes_add(&conn->out.kept, bytes, count);
	conn_check_sent(conn, conn->out.written, bytes, count);
	conn->out.written += count;
	return first;
}

void conn_fill(const struct conn *conn, uint8_t *bytes, uint64_t count)
{
	const struct front *front = &conn->in_front;
	uint64_t first = front->written - front->read;

	if (first > count)
		first = count;
	if (first > 0)
		memcpy(bytes, front->bytes.at + front->read, first);
	bytes += first;
	count -= first;
	if (count == 0)
		return;
	if (conn->http)
		memcpy(bytes, conn->in.kept.at + conn->in.read, count);
	else
		stream_fill(conn->key, conn->in.read, bytes, count);
}

/* The engine passes an end on: rule (1). */
static void check_finish(const struct conn *conn, const char *how)
{
	const struct conn *pair = conn->pair;

	if (conn->peer_reset)
		return; /* nobody sees it */
	if (pair == NULL)
		world_fail("conn %llx: %s looks like a clean end, but no session was made",
		           (unsigned long long)conn->key, how);
	if (conn->out_front.is_due)
		world_fail("conn %llx: %s in front of the PROXY header",
		           (unsigned long long)conn->key, how);
	if (!pair->in.finished || !pair->end_read)
		world_fail("conn %llx: %s, but the other side has not finished",
		           (unsigned long long)conn->key, how);
	if (conn->out.written != pair->in.written || pair->in.read != pair->in.written)
		world_fail("conn %llx: %s after %llu of %llu bytes",
		           (unsigned long long)conn->key, how,
		           (unsigned long long)conn->out.written,
		           (unsigned long long)pair->in.written);
}

static void finish(struct sock *sock, const char *how)
{
	struct conn *conn = sock->conn;

	trace("fd %d: %s", sock->fd, how);
	if (conn == NULL || sock->finished || sock->aborted)
		return;
	if (!conn->http)
		check_finish(conn, how);
	sock->finished = true;
	conn->out.finished = true;
	peer_poke(conn->peer);
}

static void reset_peer(struct conn *conn)
{
	if (conn->peer_reset || conn->proxy_reset)
		return;
	if (!conn->tcp) { /* a unix socket's peer sees an end */
		conn->out.finished = true;
		peer_poke(conn->peer);
		return;
	}
	conn->proxy_reset = true;
	peer_poke(conn->peer);
}

static void close_backlog(struct sock *sock)
{
	while (sock->backlog_count > 0) {
		struct conn *conn = backlog_take(sock);

		conn->unserved = true;
		conn->proxy_closed = true;
		reset_peer(conn);
	}
	free(sock->backlog);
	sock->backlog = NULL;
}

void sock_close(struct sock *sock)
{
	struct conn *conn = sock->conn;

	trace("fd %d: close", sock->fd);
	if (sock->ops_away > 0)
		world_fail("descriptor %d is closed while %u requests on it are away", sock->fd,
		           sock->ops_away);
	assert(sock->recv == NULL && sock->send == NULL);
	if (sock->listening)
		close_backlog(sock);
	if (conn != NULL) {
		/* Unread data turns a close into a reset. */
		if (conn_unread(conn) > 0 && !conn->peer_reset)
			reset_peer(conn);
		else if (!sock->aborted)
			finish(sock, "close");
		conn->proxy_closed = true;
		conn->sock = NULL;
	}
	world->fds[sock->fd] = NULL;
	world->fds_used--;
	sock->fd = -1;
}

/* --- ring/ring.h ----------------------------------------------------------------------------- */

int ring_socket_open(struct ring *ring, int family)
{
	struct sock *sock;

	(void)ring;
	if (world_chance(world->faults.socket_no_fd)) {
		world->breaks_made++;
		return -EMFILE;
	}
	sock = sock_open(family != AF_UNIX);
	if (sock == NULL) {
		world->breaks_made++;
		return -EMFILE;
	}
	trace("fd %d: socket", sock->fd);
	return sock->fd;
}

void ring_socket_finish(struct ring *ring, int fd)
{
	struct sock *sock = sock_of(fd);

	(void)ring;
	if (sock->finished)
		world_fail("descriptor %d is finished twice", fd);
	if (sock->send != NULL)
		world_fail("descriptor %d is finished while a send is away", fd);
	finish(sock, "finish");
}

void ring_socket_stop(struct ring *ring, int fd)
{
	struct sock *sock = sock_of(fd);

	(void)ring;
	trace("fd %d: stop", fd);
	sock->stopped = true;
	sock_poke(sock);
}

int ring_socket_peek(struct ring *ring, int fd)
{
	const struct conn *conn = sock_of(fd)->conn;

	(void)ring;
	if (conn->peer_reset)
		return -ECONNRESET;
	if (conn_unread(conn) > 0)
		return 1;
	return conn->in.finished ? 0 : -EAGAIN;
}

static void name(const struct addr *addr, struct sockaddr_storage *out, socklen_t *len)
{
	assert(addr->len > 0);
	memcpy(out, &addr->u, addr->len);
	*len = addr->len;
}

int ring_socket_local(struct ring *ring, int fd, struct sockaddr_storage *local, socklen_t *len)
{
	(void)ring;
	name(&sock_of(fd)->conn->local, local, len);
	return 0;
}

int ring_socket_bind(struct ring *ring, int fd, const struct sockaddr *address, socklen_t len)
{
	(void)ring;
	(void)sock_of(fd);
	(void)address;
	(void)len;
	return 0;
}

int ring_socket_peer(struct ring *ring, int fd, struct sockaddr_storage *peer, socklen_t *len)
{
	(void)ring;
	name(&sock_of(fd)->conn->address, peer, len);
	return 0;
}

void ring_socket_abort(struct ring *ring, int fd)
{
	struct sock *sock = sock_of(fd);

	(void)ring;
	trace("fd %d: abort", fd);
	sock->aborted = true;
	if (sock->conn != NULL) {
		sock->conn->proxy_aborted = true;
		sock->conn->aborted_ns = world->now_ns;
		reset_peer(sock->conn);
	}
	sock_poke(sock);
}

void ring_socket_close(struct ring *ring, int fd)
{
	(void)ring;
	sock_close(sock_of(fd));
}
