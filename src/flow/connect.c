/* SPDX-License-Identifier: MIT */
/*
 * connect.c - from a client to a connected server.
 *
 *      session_dial_later()   put in flow->fresh (the client's first receive is tried meanwhile)
 *                             or in flow->to_dial
 *      session_dial()         one submission: CONNECT -> deadline -> SEND of the bytes in hand
 *      on_connect()           connected: the relays run | failed: the next server, or the end
 *
 * The deadline is the kernel's (a linked timeout), so a dial needs no timer of ours. Bytes linked
 * behind a connect that fails were not sent; they are still in the queue, and the next server gets
 * them. The next dial waits until that send is home.
 */
#include "flow_private.h"

#include <errno.h>

void session_dial_later(struct session *session, bool after_receive)
{
	struct flow *flow = session->flow;

	assert(session->state == SESSION_CONNECT);
	if (!list_linked(&session->dial))
		list_push(after_receive ? &flow->fresh : &flow->to_dial, &session->dial);
}

static enum close_reason reason_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
	case -ENOENT: /* a unix socket that is not there */
		return CLOSE_CONNECT_REFUSED;
	case -ECANCELED: /* the linked deadline */
	case -ETIMEDOUT:
		return CLOSE_CONNECT_TIMEOUT;
	case -EADDRNOTAVAIL:
		return CLOSE_NO_PORT;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		return CLOSE_NO_DESCRIPTOR;
	default:
		return CLOSE_CONNECT_FAILED;
	}
}

/* No server is left to try. May free the session. */
static void no_server(struct session *session, enum close_reason reason)
{
	if (session->http)
		http_no_server(session, reason);
	else
		session_close(session, reason);
}

/* This server did not work out: the next one, or the end. May free the session. */
static void dial_failed(struct session *session, int error)
{
	struct flow *flow = session->flow;
	const struct conf_upstream *upstream = session->upstream;
	const uint32_t others = upstream->servers_count - 1;

	counter_add(&session->server->stats.server_connect_failures, 1);
	log_debug(flow->log, "session=%llu server=%s/%s connect: error %d",
		  (unsigned long long)session->id, upstream->name, session->server->conf->name,
		  -error);
	if (session->conn != NULL)
		server_conn_close(session->conn);
	if (session->tries > upstream->retries || session->tries > others) {
		session->gave_up = (uint8_t)reason_of(error);
		/* What was linked behind the connect comes home first. */
		if (!session->relays[SIDE_CLIENT].send.away)
			no_server(session, session->gave_up);
		return;
	}
	counter_add(&flow->stats.connect_retries, 1);
	session_dial_later(session, false);
}

static void submit_dial(struct session *session)
{
	struct flow *flow = session->flow;
	struct relay *relay = &session->relays[SIDE_CLIENT];
	struct iovec parts[RING_VECTOR_MAX];
	struct op *send = NULL;
	uint32_t count = relay_ready_parts(relay);

	/* Several parts need the kernel's vector send: a message header cannot be linked here. */
	if (count == 1 || (count > 1 && ring_features(flow->ring)->send_vector)) {
		count = relay_begin_send(relay, parts);
		send = &relay->send;
		counter_add(&flow->stats.connects_linked, 1);
	}
	ring_connect(flow->ring, &session->connect, session->conn->wire.fd,
		     &session->server->conf->addr.u.any, session->server->conf->addr.len,
		     session->upstream->connect_timeout_ns, send, parts, count);
}

/* The server's connection stands, new or used before. */
static void connected(struct session *session)
{
	session->conn->counted = true;
	session->conn->requests++;
	if (session->exchange != NULL)
		session->exchange->connected_ns = ring_now_ns(session->flow->ring);
	counter_add(&session->server->stats.server_sessions, 1);
	session->active_ms[SIDE_SERVER] = flow_now_ms(session->flow);
	session_move(session, SESSION_RELAY);
	session_retime(session);
	relay_mark(&session->relays[SIDE_CLIENT]);
	relay_mark(&session->relays[SIDE_SERVER]);
}

void session_dial(struct session *session)
{
	struct flow *flow = session->flow;
	struct server *server;
	int fd;

	assert(session->state == SESSION_CONNECT);
	assert(!session->connect.away);
	if (session->relays[SIDE_CLIENT].send.away)
		return; /* on_send() comes back here */
	if (session->gave_up != CLOSE_NONE) {
		no_server(session, session->gave_up);
		return;
	}
	server = upstream_pick(flow->upstreams, session->upstream, session->server);
	if (server == NULL) {
		no_server(session, CLOSE_NO_SERVER);
		return;
	}
	session->server = server;
	session->tries++;
	if (session->http && session->tries == 1 && pool_take(session, server)) {
		session->exchange->reused = session->exchange->took_idle = true;
		connected(session);
		return;
	}
	fd = ring_socket_open(flow->ring, server->conf->addr.u.any.sa_family);
	if (fd < 0) {
		dial_failed(session, fd);
		return;
	}
	if (server_conn_open(session, server, fd) == NULL) {
		ring_socket_close(flow->ring, fd);
		dial_failed(session, -ENOBUFS);
		return;
	}
	submit_dial(session);
}

void on_connect(struct op *op, int result, uint32_t flags)
{
	struct session *session = container_of(op, struct session, connect);

	(void)flags; /* one-shot */
	if (session->state == SESSION_CLOSE) {
		session_op_home(session);
		return;
	}
	assert(session->state == SESSION_CONNECT);
	if (result < 0) {
		dial_failed(session, result);
		return;
	}
	counter_add(&session->server->stats.server_connects, 1);
	connected(session);
}
