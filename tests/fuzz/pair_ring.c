/* SPDX-License-Identifier: MIT */
/*
 * pair_ring.c - ring/ring.h without a kernel: see pair_ring.h.
 *
 * A request waits in its socket until a turn finds that it can complete. A descriptor is the
 * socket's index and a base, and is never used twice, so that a second close is found.
 */
#include "pair_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FD_BASE 100

struct ring pair_ring;

/* --- sockets and their bytes ------------------------------------------------------------------ */

static void append(struct pair_bytes *bytes, const void *from, uint32_t len)
{
	if (bytes->len + len > bytes->room) {
		bytes->room = 2 * (bytes->len + len);
		bytes->at = realloc(bytes->at, bytes->room);
		assert(bytes->at != NULL);
	}
	if (len > 0)
		memcpy(bytes->at + bytes->len, from, len);
	bytes->len += len;
}

void pair_ring_free(void)
{
	for (uint32_t i = 0; i < pair_ring.socks_count; i++) {
		free(pair_ring.socks[i].in.at);
		free(pair_ring.socks[i].out.at);
	}
	pair_ring.socks_count = 0;
}

void pair_ring_reset(void)
{
	assert(pair_ring.socks_count == 0);
	pair_ring.now_ns = 1000000000u;
	pair_ring.refusals = pair_ring.deadlines = 0;
	pair_ring.held = false;
	pair_ring.completions_count = 0;
	pair_ring.served = NULL;
	for (uint32_t i = 0; i < RING_GROUPS; i++)
		pair_ring.groups[i].head = pair_ring.groups[i].count = 0;
}

static struct pair_sock *sock_new(enum pair_kind kind)
{
	struct pair_sock *sock;

	if (pair_ring.socks_count == PAIR_SOCKS_MAX)
		return NULL;
	sock = &pair_ring.socks[pair_ring.socks_count++];
	memset(sock, 0, sizeof(*sock));
	sock->kind = kind;
	return sock;
}

static int fd_of(const struct pair_sock *sock)
{
	return FD_BASE + (int)(sock - pair_ring.socks);
}

static struct pair_sock *sock_of(int fd)
{
	struct pair_sock *sock = &pair_ring.socks[fd - FD_BASE];

	assert(fd >= FD_BASE && fd < FD_BASE + (int)pair_ring.socks_count);
	assert(sock->open);
	return sock;
}

int pair_listen(void)
{
	struct pair_sock *sock = sock_new(PAIR_LISTENER);

	assert(sock != NULL);
	sock->open = true;
	return fd_of(sock);
}

struct pair_sock *pair_client(void)
{
	struct pair_sock *sock = sock_new(PAIR_CLIENT);

	if (sock != NULL)
		sock->waiting = sock->connected = true;
	return sock;
}

static bool peer_is_over(const struct pair_sock *sock)
{
	return sock->in_ended || sock->peer_reset || sock->aborted ||
	       !(sock->open || sock->waiting);
}

void pair_sends(struct pair_sock *sock, const uint8_t *bytes, uint32_t len)
{
	if (!peer_is_over(sock) && sock->in.len + len <= PAIR_BYTES_MAX)
		append(&sock->in, bytes, len);
}

void pair_ends(struct pair_sock *sock)
{
	if (!peer_is_over(sock))
		sock->in_ended = true;
}

void pair_resets(struct pair_sock *sock)
{
	if (sock->peer_reset || sock->aborted || !(sock->open || sock->waiting))
		return;
	sock->peer_reset = true;
	sock->error = ECONNRESET;
}

/* --- completions ------------------------------------------------------------------------------ */

static void complete(struct pair_sock *sock, struct op *op, int result, uint32_t flags)
{
	assert(pair_ring.completions_count < PAIR_COMPLETIONS_MAX);
	pair_ring.completions[pair_ring.completions_count++] =
		(struct pair_completion){ sock, op, result, flags };
}

static void finish(struct pair_sock *sock, struct pair_request *request, int result, uint32_t flags)
{
	struct op *op = request->op;

	request->op = NULL;
	complete(sock, op, result, flags);
}

static void look_accept(struct pair_sock *listener)
{
	struct pair_request *request = &listener->accept;

	for (uint32_t i = 0; request->op != NULL && i < pair_ring.socks_count; i++) {
		struct pair_sock *sock = &pair_ring.socks[i];

		if (!sock->waiting || request->cancelled)
			continue;
		sock->waiting = false;
		sock->open = true;
		if (request->many)
			complete(listener, request->op, fd_of(sock), RING_MORE);
		else
			finish(listener, request, fd_of(sock), 0);
	}
	if (request->op != NULL && request->cancelled)
		finish(listener, request, -ECANCELED, 0);
}

static void look_connect(struct pair_sock *sock)
{
	int result = 0;

	if (sock->aborted || sock->stopped) {
		result = -ECONNABORTED;
	} else if (sock->connect.cancelled) {
		result = -ECANCELED;
	} else if (pair_ring.refusals > 0) {
		pair_ring.refusals--;
		result = -ECONNREFUSED;
	} else if (pair_ring.deadlines > 0) {
		pair_ring.deadlines--;
		result = -ECANCELED;
	}
	sock->connected = result == 0;
	finish(sock, &sock->connect, result, 0);
	if (sock->send.op != NULL && result < 0) /* never issued: it does not hold the descriptor */
		finish(NULL, &sock->send, -ECANCELED, 0);
	if (result < 0)
		sock->away -= sock->send.linked;
	sock->send.linked = false;
}

static void take(struct pair_sock *sock, uint32_t bytes)
{
	struct pair_request *request = &sock->send;
	uint32_t skip = request->sent;

	request->sent += bytes;
	for (uint32_t i = 0; bytes > 0; i++) {
		uint32_t len = (uint32_t)request->parts[i].iov_len;
		uint32_t here;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		here = len - skip < bytes ? len - skip : bytes;
		append(&sock->out, (uint8_t *)request->parts[i].iov_base + skip, here);
		skip = 0;
		bytes -= here;
	}
}

static void look_send(struct pair_sock *sock)
{
	struct pair_request *request = &sock->send;
	uint32_t room;

	if (request->linked)
		return;
	assert(sock->connected && !sock->finished);
	if (sock->aborted || sock->stopped || sock->peer_reset) {
		int error = sock->error != 0 ? sock->error : EPIPE;

		if (request->sent == 0 || pair_ring.send_eats)
			sock->error = 0;
		finish(sock, request, request->sent > 0 ? (int)request->sent : -error, 0);
		return;
	}
	room = request->total - request->sent;
	if (sock->held && sock->room < room)
		room = sock->room;
	if (sock->held)
		sock->room -= room;
	take(sock, room);
	if (request->sent == request->total)
		finish(sock, request, (int)request->sent, 0);
}

/* One receive; false: no more of it now. */
static bool receive(struct pair_sock *sock)
{
	struct pair_request *request = &sock->recv;
	struct pair_group *group = &pair_ring.groups[request->group];
	uint32_t bytes = sock->in.len - sock->in_read;
	struct pair_buffer *buffer;
	uint32_t flags = RING_BUFFER;

	if (group->count == 0) {
		finish(sock, request, -ENOBUFS, 0);
		return false;
	}
	buffer = &group->buffers[group->head];
	group->head = (group->head + 1) % ARRAY_COUNT(group->buffers);
	group->count--;
	bytes = bytes < buffer->bytes ? bytes : buffer->bytes;
	if (!request->many && bytes > request->limit)
		bytes = request->limit;
	memcpy(buffer->address, sock->in.at + sock->in_read, bytes);
	sock->in_read += bytes;
	flags |= (uint32_t)buffer->id << 16;
	if (sock->in_read < sock->in.len || sock->in_ended || sock->peer_reset)
		flags |= RING_NONEMPTY;
	request->limit -= bytes < request->limit ? bytes : request->limit;
	if (request->many && request->limit > 0 && !request->cancelled) {
		complete(sock, request->op, (int)bytes, flags | RING_MORE);
		return true;
	}
	finish(sock, request, (int)bytes, flags);
	return false;
}

static void look_recv(struct pair_sock *sock)
{
	struct pair_request *request = &sock->recv;
	int result;

	assert(sock->connected);
	if (request->kind == PAIR_WATCH) {
		if (sock->aborted || sock->stopped || sock->error != 0 || sock->peer_reset)
			finish(sock, request, POLLERR | POLLHUP, 0);
		else if (request->cancelled)
			finish(sock, request, -ECANCELED, 0);
		return;
	}
	while (sock->in_read < sock->in.len && !sock->aborted && !sock->stopped)
		if (!receive(sock))
			return;
	if (sock->aborted || sock->stopped || sock->peer_reset || sock->in_ended) {
		result = sock->aborted ? -ENOTCONN : -sock->error;
		sock->error = 0;
		finish(sock, request, result, RING_NONEMPTY);
	} else if (request->cancelled) {
		finish(sock, request, -ECANCELED, 0);
	}
}

static void look(struct pair_sock *sock)
{
	if (sock->accept.op != NULL)
		look_accept(sock);
	if (sock->connect.op != NULL)
		look_connect(sock);
	if (sock->send.op != NULL)
		look_send(sock);
	if (sock->recv.op != NULL)
		look_recv(sock);
}

uint32_t pair_ring_turn(void)
{
	uint32_t count;

	pair_ring.now_ns += 1000;
	for (uint32_t i = 0; i < pair_ring.socks_count; i++)
		look(&pair_ring.socks[pair_ring.backwards ? pair_ring.socks_count - 1 - i : i]);
	count = pair_ring.completions_count;
	for (uint32_t i = 0; i < count; i++) {
		struct pair_completion *completion = &pair_ring.completions[i];
		struct op *op = completion->op;

		assert(op->away);
		if (!(completion->flags & RING_MORE)) {
			op->away = false;
			if (completion->sock != NULL)
				completion->sock->away--;
		}
		op->done(op, completion->result, completion->flags);
	}
	assert(pair_ring.completions_count == count);
	pair_ring.completions_count = 0;
	return count;
}

/* --- ring/ring.h: requests -------------------------------------------------------------------- */

static void prepare(struct pair_sock *sock, struct pair_request *request,
		    enum pair_request_kind kind, struct op *op)
{
	assert(request->op == NULL);
	assert(!op->away);
	op->away = true;
	sock->away++;
	request->op = op;
	request->kind = kind;
	request->cancelled = request->many = request->linked = false;
}

void ring_accept(struct ring *ring, struct op *op, int fd, bool many)
{
	struct pair_sock *sock = sock_of(fd);

	assert(ring == &pair_ring && sock->kind == PAIR_LISTENER);
	prepare(sock, &sock->accept, PAIR_ACCEPT, op);
	sock->accept.many = many;
}

void ring_recv(struct ring *ring, struct op *op, int fd, uint16_t group, uint32_t limit_bytes,
	       uint32_t flags)
{
	struct pair_sock *sock = sock_of(fd);

	assert(ring == &pair_ring && limit_bytes > 0 && group < RING_GROUPS);
	prepare(sock, &sock->recv, PAIR_RECV, op);
	sock->recv.group = group;
	sock->recv.limit = limit_bytes;
	sock->recv.many = (flags & RING_RECV_MANY) && ring->features.recv_credit;
}

void ring_watch(struct ring *ring, struct op *op, int fd)
{
	struct pair_sock *sock = sock_of(fd);

	assert(ring == &pair_ring);
	prepare(sock, &sock->recv, PAIR_WATCH, op);
}

void ring_send(struct ring *ring, struct op *op, int fd, const struct iovec *parts, uint32_t count)
{
	struct pair_sock *sock = sock_of(fd);
	struct pair_request *request = &sock->send;

	assert(ring == &pair_ring && count > 0 && count <= RING_VECTOR_MAX);
	prepare(sock, request, PAIR_SEND, op);
	request->count = count;
	request->sent = request->total = 0;
	for (uint32_t i = 0; i < count; i++) {
		request->parts[i] = parts[i];
		request->total += (uint32_t)parts[i].iov_len;
	}
	assert(request->total > 0);
	assert(sock->marks_count < PAIR_MARKS_MAX);
	sock->marks[sock->marks_count++] = (struct pair_mark){ sock->out.len, sock->in.len };
	if (sock->kind == PAIR_SERVER)
		ring->served = sock;
}

void ring_send_zero_copy(struct ring *ring, struct op *op, int fd, const struct iovec *parts,
			 uint32_t count)
{
	ring_send(ring, op, fd, parts, count);
}

void ring_connect(struct ring *ring, struct op *op, int fd, const struct sockaddr *address,
		  socklen_t len, uint64_t timeout_ns, struct op *send, const struct iovec *parts,
		  uint32_t count)
{
	struct pair_sock *sock = sock_of(fd);

	assert(sock->kind == PAIR_SERVER && !sock->connected);
	assert(address->sa_family == AF_INET && len == sizeof(struct sockaddr_in));
	assert(timeout_ns > 0);
	prepare(sock, &sock->connect, PAIR_CONNECT, op);
	if (send == NULL)
		return;
	assert(count == 1 || ring->features.send_vector);
	ring_send(ring, send, fd, parts, count);
	sock->send.linked = true;
}

void ring_cancel(struct ring *ring, struct op *op)
{
	assert(op->away);
	for (uint32_t i = 0; i < ring->socks_count; i++) {
		struct pair_sock *sock = &ring->socks[i];
		struct pair_request *requests[] = { &sock->recv, &sock->send, &sock->connect,
						    &sock->accept };

		for (uint32_t j = 0; j < ARRAY_COUNT(requests); j++)
			if (requests[j]->op == op)
				requests[j]->cancelled = true;
	}
}

void ring_ready(struct ring *ring, struct op *op, int fd, bool to_write)
{
	unreachable(); /* only where there are pipes */
}

void ring_post(struct ring *ring, struct op *sent, struct ring *target_ring, struct op *target,
	       int value)
{
	unreachable(); /* there is one worker */
}

/* --- ring/ring.h: buffers, time --------------------------------------------------------------- */

int ring_buffers_open(struct ring *ring, uint16_t group, uint32_t entries)
{
	assert(group < RING_GROUPS && entries <= ARRAY_COUNT(ring->groups[group].buffers));
	return 0;
}

void ring_buffers_add(struct ring *ring, uint16_t group, void *address, uint32_t bytes, uint16_t id)
{
	struct pair_group *to = &ring->groups[group];

	assert(to->count < ARRAY_COUNT(to->buffers));
	memset(address, 0xd5, bytes < 64 ? bytes : 64);
	to->buffers[(to->head + to->count++) % ARRAY_COUNT(to->buffers)] =
		(struct pair_buffer){ address, bytes, id };
}

void ring_buffers_publish(struct ring *ring, uint16_t group)
{
}

uint64_t ring_now_ns(const struct ring *ring)
{
	return ring->now_ns;
}

uint64_t ring_wall_ms(const struct ring *ring)
{
	return ring->now_ns / 1000000u;
}

const struct ring_features *ring_features(const struct ring *ring)
{
	return &ring->features;
}

/* --- ring/ring.h: sockets --------------------------------------------------------------------- */

int ring_socket_open(struct ring *ring, int family)
{
	struct pair_sock *sock = sock_new(PAIR_SERVER);

	assert(ring == &pair_ring && family == AF_INET);
	if (sock == NULL)
		return -EMFILE;
	sock->open = true;
	sock->held = ring->held;
	sock->room = ring->room;
	return fd_of(sock);
}

void ring_socket_finish(struct ring *ring, int fd)
{
	struct pair_sock *sock = sock_of(fd);

	assert(!sock->finished && sock->send.op == NULL);
	sock->finished = !sock->aborted;
}

void ring_socket_stop(struct ring *ring, int fd)
{
	sock_of(fd)->stopped = true;
}

void ring_socket_abort(struct ring *ring, int fd)
{
	sock_of(fd)->aborted = true;
}

void ring_socket_close(struct ring *ring, int fd)
{
	struct pair_sock *sock = sock_of(fd);

	assert(sock->away == 0);
	/* Unread data turns a close into a reset. */
	if (sock->in_read < sock->in.len)
		sock->aborted = true;
	else if (!sock->aborted)
		sock->finished = true;
	sock->open = false;
}

int ring_socket_peek(struct ring *ring, int fd)
{
	const struct pair_sock *sock = sock_of(fd);

	if (sock->peer_reset)
		return -ECONNRESET;
	if (sock->in_read < sock->in.len)
		return 1;
	return sock->in_ended ? 0 : -EAGAIN;
}

int ring_socket_bind(struct ring *ring, int fd, const struct sockaddr *address, socklen_t len)
{
	return 0;
}

int ring_socket_peer(struct ring *ring, int fd, struct sockaddr_storage *peer, socklen_t *len)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)sock_of(fd);
	memcpy(peer, &address, sizeof(address));
	*len = sizeof(address);
	return 0;
}

int ring_socket_local(struct ring *ring, int fd, struct sockaddr_storage *local, socklen_t *len)
{
	return ring_socket_peer(ring, fd, local, len);
}

/* --- ring/ring.h: pipes, of which there are none ---------------------------------------------- */

int ring_pipe_open(struct ring *ring, struct ring_pipe *pipe, uint32_t capacity)
{
	return -ENOSYS;
}

void ring_pipe_close(struct ring *ring, struct ring_pipe *pipe)
{
	unreachable();
}

int64_t ring_pipe_fill(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes)
{
	unreachable();
	return -ENOSYS;
}

int64_t ring_pipe_drain(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes)
{
	unreachable();
	return -ENOSYS;
}

void ring_socket_never_block(struct ring *ring, int fd)
{
	unreachable();
}
