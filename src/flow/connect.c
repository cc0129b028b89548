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

static enum health_reason failure_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
	case -ENOENT:
		return HEALTH_REFUSED;
	case -ECANCELED:
	case -ETIMEDOUT:
		return HEALTH_TIMED_OUT;
	default:
		return HEALTH_UNREACHABLE;
	}
}

/* Was it for want of something here? Then it says nothing about the server. */
static bool is_our_fault(int error)
{
	return reason_of(error) == CLOSE_NO_DESCRIPTOR || reason_of(error) == CLOSE_NO_PORT;
}

static bool may_try_another(struct session *session)
{
	const struct conf_upstream *upstream = session->upstream;

	if (session->tries > upstream->retries ||
	    session->tries >= upstream_servers_present(session->flow->upstreams, upstream))
		return false;
	if (upstream_may_retry(session->flow->upstreams, upstream, flow_now_ms(session->flow)))
		return true;
	counter_add(&session->flow->stats.retries_denied, 1);
	return false;
}

/* This server did not work out: the next one, or the end. May free the session. */
static void dial_failed(struct session *session, int error)
{
	struct flow *flow = session->flow;

	counter_add(&session->server->stats.server_connect_failures, 1);
	log_debug(flow->log, "session=%llu server=%s/%s connect: error %d",
		  (unsigned long long)session->id, session->upstream->name,
		  session->server->label, -error);
	if (session->conn != NULL)
		server_conn_close(session->conn);
	else
		queue_place_back(flow, session->server);
	if (!is_our_fault(error))
		server_failed(session->server, failure_of(error), flow_now_ms(flow));
	if (!may_try_another(session)) {
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
	ring_connect(flow->ring, &session->conn->connect, session->conn->wire.fd,
		     &session->server->addr->u.any, session->server->addr->len,
		     session->upstream->connect_timeout_ns, send, parts, count);
}

/* One of the local addresses to dial from, in turn; the kernel finds a port for it when it knows
 * the destination. */
static void bind_source(struct session *session, int fd)
{
	struct flow *flow = session->flow;
	const struct conf_upstream *upstream = session->upstream;
	const int family = session->server->addr->u.any.sa_family;
	uint32_t i;

	for (i = 0; i < upstream->sources_count; i++) {
		const struct addr *source =
			&upstream->sources[flow->next_source++ % upstream->sources_count];

		if (source->u.any.sa_family != family)
			continue;
		if (ring_socket_bind(flow->ring, fd, &source->u.any, source->len) < 0)
			counter_add(&flow->stats.source_failures, 1);
		return;
	}
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

/* A session of this server's was counted for us. */
static void dial_server(struct session *session, struct server *server)
{
	struct flow *flow = session->flow;
	int fd;

	session->server = server;
	session->epoch = (uint8_t)server->epoch;
	session->tries++;
	if (session->http && session->tries == 1 && pool_take(session, server)) {
		session->conn->placed = true;
		session->exchange->reused = session->exchange->took_idle = true;
		connected(session);
		return;
	}
	fd = ring_socket_open(flow->ring, server->addr->u.any.sa_family);
	if (fd < 0) {
		dial_failed(session, fd);
		return;
	}
	bind_source(session, fd);
	if (server_conn_open(session, server, fd) == NULL) {
		ring_socket_close(flow->ring, fd);
		dial_failed(session, -ENOBUFS);
		return;
	}
	session->conn->placed = true;
	preface_write(session);
	submit_dial(session);
}

static enum choice_result choose(struct session *session, struct server **server)
{
	const struct conf_upstream *upstream = session->upstream;
	struct choice choice = { .avoid = session->server, .now_ms = flow_now_ms(session->flow) };

	if (upstream->balance == BALANCE_SOURCE_HASH || upstream->balance == BALANCE_MAGLEV)
		choice.key_hash = session_client_hash(session);
	return upstream_choose(session->flow->upstreams, upstream, &choice, server);
}

void session_dial(struct session *session)
{
	struct server *server;

	assert(session->state == SESSION_CONNECT);
	assert(!session_connecting(session));
	if (session->relays[SIDE_CLIENT].send.away)
		return; /* on_send() comes back here */
	if (session->gave_up != CLOSE_NONE) {
		no_server(session, session->gave_up);
		return;
	}
	if (session->tries == 0)
		upstream_request(session->flow->upstreams, session->upstream,
				 flow_now_ms(session->flow));
	switch (queue_is_ahead(session) ? CHOICE_ALL_FULL : choose(session, &server)) {
	case CHOICE_MADE:
		dial_server(session, server);
		return;
	case CHOICE_NONE_USABLE:
		no_server(session, CLOSE_NO_SERVER);
		return;
	case CHOICE_ALL_FULL:
		if (!queue_enter(session))
			no_server(session, CLOSE_SERVERS_FULL);
		return;
	}
}

bool session_dial_queued(struct session *session)
{
	struct server *server;

	switch (choose(session, &server)) {
	case CHOICE_MADE:
		queue_leave(session);
		dial_server(session, server);
		return true;
	case CHOICE_NONE_USABLE:
		queue_leave(session);
		no_server(session, CLOSE_NO_SERVER);
		return true;
	case CHOICE_ALL_FULL:
		break;
	}
	return false;
}

void on_connect(struct op *op, int result, uint32_t flags)
{
	struct session *session = container_of(op, struct server_conn, connect)->session;

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
	if (!session->http) /* of http, the response tells */
		server_succeeded(session->server);
	connected(session);
}
