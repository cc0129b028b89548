/* SPDX-License-Identifier: MIT */
/*
 * close.c - the end of a session: one reason, then every op home, then the memory back.
 *
 * A session that came to its natural end has no receive armed and no send away; closing its sockets
 * is all that is left, and passes the second end on. (Http: a receive may be armed; it is ended
 * without a reset.) Any other end is an abort: both peers see a
 * reset, and the sockets stay open until every op has come home, since a closed descriptor's number
 * may be reused while a request still names it.
 */
#include "flow_private.h"

const char *const close_reason_names[CLOSE_REASON_COUNT] = {
	[CLOSE_NONE] = "NONE",
#define CLOSE_REASON(name, is_error, text) [CLOSE_##name] = #name,
#include "flow/close_reason.def"
#undef CLOSE_REASON
};

const char *const close_reason_texts[CLOSE_REASON_COUNT] = {
	[CLOSE_NONE] = "open",
#define CLOSE_REASON(name, is_error, text) [CLOSE_##name] = text,
#include "flow/close_reason.def"
#undef CLOSE_REASON
};

const bool close_reason_is_error[CLOSE_REASON_COUNT] = {
#define CLOSE_REASON(name, is_error, text) [CLOSE_##name] = is_error,
#include "flow/close_reason.def"
#undef CLOSE_REASON
};

static void release(struct session *session)
{
	struct flow *flow = session->flow;
	struct acceptor *acceptor = session->acceptor;

	relay_drop_queue(&session->relays[SIDE_CLIENT]);
	relay_drop_queue(&session->relays[SIDE_SERVER]);
	if (session->exchange != NULL)
		exchange_close(session);
	http_shelf_drop(session);
	ring_socket_close(flow->ring, session->client.fd);
	session->client.fd = -1;
	if (session->conn != NULL)
		server_conn_close(session->conn);
	session_client_gone(session);
	session_move(session, SESSION_FREE);
	counter_sub(&flow->stats.sessions, 1);
	slab_give(flow->shared->sessions, session);
	acceptor_session_over(acceptor);
}

void session_op_home(struct session *session)
{
	assert(session->state == SESSION_CLOSE);
	if (session_connecting(session) || !relay_home(&session->relays[SIDE_CLIENT]) ||
	    !relay_home(&session->relays[SIDE_SERVER]))
		return;
	release(session);
}

static void log_end(const struct session *session)
{
	const struct conf_listener *listener = session->acceptor->listener;

	log_debug(session->flow->log,
		  "session=%llu listener=%s server=%s/%s in=%llu out=%llu ms=%llu close=%s",
		  (unsigned long long)session->id, listener->name,
		  session->upstream != NULL ? session->upstream->name : "-",
		  session->server != NULL ? session_server_text(session) : "-",
		  (unsigned long long)session->relays[SIDE_CLIENT].bytes,
		  (unsigned long long)session->relays[SIDE_SERVER].bytes,
		  (unsigned long long)(flow_now_ms(session->flow) - session->started_ms),
		  close_reason_names[session->reason]);
}

static void forget_lists(struct session *session)
{
	struct flow *flow = session->flow;
	enum side side;

	if (session->queued)
		queue_leave(session);
	list_remove(&session->dial);
	wheel_stop(&flow->wheel, &session->timer);
	for (side = SIDE_CLIENT; side < SIDE_COUNT; side++) {
		struct relay *relay = &session->relays[side];

		list_remove(&relay->dirty);
		if (list_linked(&relay->starved)) {
			list_remove(&relay->starved);
			counter_sub(&flow->stats.starved, 1);
		}
	}
}

/* The end that a peer expects, or was told about. */
static bool is_graceful(const struct session *session, enum close_reason reason)
{
	return reason == CLOSE_CLIENT_FINISHED || reason == CLOSE_SERVER_FINISHED ||
	       reason == CLOSE_KEEPALIVE_TIMEOUT || reason == CLOSE_HTTP_FINISHED ||
	       (session->http && reason == session->last_reason);
}

void session_close(struct session *session, enum close_reason reason)
{
	struct flow *flow = session->flow;
	bool graceful = is_graceful(session, reason);
	enum side side;

	assert(reason != CLOSE_NONE);
	assert(session->state != SESSION_FREE);
	if (session->state == SESSION_CLOSE)
		return;
	if (session->conn != NULL)
		server_conn_uncount(session->conn);
	pool_forget(session);
	session->reason = (uint8_t)reason;
	forget_lists(session);
	session_move(session, SESSION_CLOSE);
	counter_add(&flow->stats.closes[reason], 1);
	log_end(session);
	if (session->http)
		http_log(session, reason);
	else
		session_log(session);
	if (session_connecting(session))
		ring_cancel(flow->ring, &session->conn->connect);
	for (side = SIDE_CLIENT; side < SIDE_COUNT; side++) {
		const struct relay *relay = &session->relays[side];
		bool home = !relay_receiving(relay) &&
			    !session->relays[relay_target(relay)].send.away;

		if (session_fd(session, side) < 0 || (graceful && home))
			continue;
		if (graceful)
			ring_socket_stop(flow->ring, session_fd(session, side));
		else
			ring_socket_abort(flow->ring, session_fd(session, side));
	}
	session_op_home(session);
}
