/* SPDX-License-Identifier: MIT */
/*
 * http.c - a session's steps from request to request, its time limits, its end.
 */
#include "http.h"

#include "base/clock.h"
#include "flow_private.h"

/* A client that was told about the end may still be sending: so long between two pieces, and
 * fin_timeout in all. */
#define LINGER_MS 5000
#define BODY_RATE_MS 10000

/* --- between exchanges ------------------------------------------------------------------------ */

/* All that the client was to get is with the kernel. */
static bool output_is_out(const struct session *session)
{
	const struct relay *down = &session->relays[SIDE_SERVER];

	return !down->send.away && relay_ready_bytes(down) == 0;
}

/* whole: the client has nothing more to send. */
static enum http_step linger(struct session *session, bool whole)
{
	struct relay *up = &session->relays[SIDE_CLIENT];

	if (up->state == RELAY_BROKEN) /* for its server: the client may still be sending */
		relay_restart(up);
	/* Nothing more can come, or nothing is under way: closing says all. */
	if (up->state != RELAY_OPEN ||
	    (whole && !relay_receiving(up) && up->held_back == 0 && !session->client.nonempty)) {
		session_close(session, session->last_reason);
		return STEP_GONE;
	}
	ring_socket_finish(session->flow->ring, session->client.fd);
	session->phase_ms = flow_now_ms(session->flow);
	session->active_ms[SIDE_CLIENT] = session->phase_ms;
	session_move(session, SESSION_LINGER);
	session_retime(session);
	relay_mark(up);
	return STEP_ON;
}

static void next_request(struct session *session)
{
	struct relay *up = &session->relays[SIDE_CLIENT];

	session->upstream = NULL;
	session->server = NULL;
	session->tries = 0;
	session->gave_up = CLOSE_NONE;
	session->served = true;
	session->head_seen = session->head_parsed = 0;
	session->phase_ms = 0;
	session->active_ms[SIDE_CLIENT] = flow_now_ms(session->flow);
	session->first_end = -1;
	relay_restart(&session->relays[SIDE_SERVER]);
	session_move(session, SESSION_HEAD);
	session_retime(session);
	relay_mark(up);
}

/* The client has its answer. */
static enum http_step exchange_over(struct session *session)
{
	struct exchange *exchange = session->exchange;
	struct relay *up = &session->relays[SIDE_CLIENT];
	bool whole = exchange->ways[SIDE_CLIENT].phase == WAY_DONE && up->state != RELAY_BROKEN;

	if (session->last_reason == CLOSE_NONE &&
	    (!exchange->persistent || !whole || session->flow->draining))
		session->last_reason = CLOSE_HTTP_FINISHED;
	http_log(session, session->last_reason);
	if (session->conn != NULL)
		http_drop_server(session);
	if (up->send.away) /* it will be home in a moment */
		return STEP_WAIT;
	if (!whole) /* what was to go to the server goes nowhere */
		relay_drop_queue(up);
	else if (up->queued_bytes > up->held_back) /* it was answered before it was sent */
		relay_dequeue(session->flow, up, up->queued_bytes - up->held_back);
	http_forget_rest(session, SIDE_SERVER);
	/* Slices in which there was nothing but framing. */
	relay_dequeue(session->flow, up, 0);
	relay_dequeue(session->flow, &session->relays[SIDE_SERVER], 0);
	exchange_close(session);
	if (session->last_reason != CLOSE_NONE)
		return linger(session, whole);
	next_request(session);
	return STEP_ON;
}

/* What comes behind the last answer is of no interest. */
static enum http_step linger_on(struct session *session)
{
	struct relay *up = &session->relays[SIDE_CLIENT];

	relay_drop_queue(up);
	if (up->state == RELAY_OPEN)
		return STEP_WAIT;
	session_close(session, session->last_reason);
	return STEP_GONE;
}

/* --- one step after the other ----------------------------------------------------------------- */

static enum http_step under_way(struct session *session)
{
	const struct exchange *exchange = session->exchange;
	enum http_step step;

	/* What the client sends meanwhile is judged when nothing is away that an answer would have
	 * to end first. */
	if (session->state == SESSION_CONNECT)
		return STEP_WAIT;
	step = http_body_pass(session, SIDE_CLIENT);
	if (step == STEP_GONE)
		return step;
	if (session->state == SESSION_RELAY && exchange->ways[SIDE_SERVER].phase != WAY_DONE)
		step = http_response(session);
	if (step == STEP_GONE || !session->http)
		return step;
	if (session->conn != NULL && !session->dropping &&
	    exchange->ways[SIDE_SERVER].phase == WAY_DONE)
		http_response_received(session);
	if (step == STEP_ON)
		return step;
	if (exchange->ways[SIDE_SERVER].phase == WAY_DONE && output_is_out(session))
		return exchange_over(session);
	return STEP_WAIT;
}

static enum http_step advance(struct session *session)
{
	switch ((enum session_state)session->state) {
	case SESSION_HEAD:
		return output_is_out(session) ? http_request_head(session) : STEP_WAIT;
	case SESSION_CONNECT:
	case SESSION_RELAY:
		return under_way(session);
	case SESSION_ANSWER:
		return output_is_out(session) ? exchange_over(session) : STEP_WAIT;
	case SESSION_LINGER:
		return linger_on(session);
	case SESSION_CLOSE:
		return STEP_GONE;
	case SESSION_FREE:
	case SESSION_PREFACE:
	case SESSION_STATE_COUNT:
		break;
	}
	unreachable();
	return STEP_GONE;
}

/* The client's end, as far as it matters in every state. */
static bool client_is_gone(struct session *session)
{
	struct relay *up = &session->relays[SIDE_CLIENT];
	struct relay *down = &session->relays[SIDE_SERVER];

	if (up->state != RELAY_RESET && down->state != RELAY_BROKEN)
		return false;
	session_close(session,
		      session->state == SESSION_LINGER ? session->last_reason : CLOSE_CLIENT_RESET);
	return true;
}

static bool may_receive(const struct session *session, const struct relay *relay)
{
	const struct exchange *exchange = session->exchange;

	if (relay_source(relay) == NULL)
		return false;
	if (relay->side == SIDE_SERVER)
		return session->state == SESSION_RELAY && !session->dropping;
	/* After a last request nothing is expected, and an armed receive would have to be ended. */
	return exchange == NULL || exchange->persistent ||
	       exchange->ways[SIDE_CLIENT].phase != WAY_DONE;
}

void http_flush(struct session *session, struct relay *relay)
{
	enum http_step step;

	if (session->dropping && !session->relays[SIDE_CLIENT].send.away) {
		session->dropping = false;
		pool_give(session, false);
	}
	if (client_is_gone(session))
		return;
	do {
		step = advance(session);
	} while (step == STEP_ON && session->http);
	if (step == STEP_GONE)
		return;
	if (!session->http) { /* a tunnel from now on */
		relay_mark(&session->relays[SIDE_CLIENT]);
		relay_mark(&session->relays[SIDE_SERVER]);
		return;
	}
	if (!relay->send.away && relay_ready_bytes(relay) > 0 &&
	    (relay->side == SIDE_SERVER || session->state == SESSION_RELAY))
		relay_send_queue(session, relay);
	/* Both: what this one brought may have made room for the other, too. */
	if (may_receive(session, relay))
		relay_flush_receive(session, relay);
	if (may_receive(session, relay_reverse(relay)))
		relay_flush_receive(session, relay_reverse(relay));
}

void http_drain(struct flow *flow)
{
	struct list *node;

	for (node = flow->sessions[SESSION_HEAD].next; node != &flow->sessions[SESSION_HEAD];
	     node = node->next)
		relay_mark(&container_of(node, struct session, link)->relays[SIDE_CLIENT]);
}

/* --- servers ---------------------------------------------------------------------------------- */

void http_drop_server(struct session *session)
{
	if (session->conn == NULL || session->dropping)
		return;
	if (!session->relays[SIDE_CLIENT].send.away) {
		pool_give(session, false);
		return;
	}
	session->dropping = true;
	ring_socket_abort(session->flow->ring, session->conn->wire.fd);
}

void http_no_server(struct session *session, enum close_reason reason)
{
	uint32_t status = reason == CLOSE_CONNECT_TIMEOUT ? 504 : 503;

	(void)http_answer(session, status, close_reason_texts[reason], CLOSE_NONE);
	relay_mark(&session->relays[SIDE_SERVER]);
}

void http_response_received(struct session *session)
{
	const struct exchange *exchange = session->exchange;
	const struct exchange_way *way = exchange->ways;
	struct relay *up = &session->relays[SIDE_CLIENT];
	struct relay *down = &session->relays[SIDE_SERVER];
	bool quiet = way[SIDE_CLIENT].phase == WAY_DONE && !up->send.away &&
		     relay_ready_bytes(up) == 0 && up->state != RELAY_BROKEN;

	if (!quiet) /* an early answer: the request is not over */
		return;
	pool_give(session, exchange->server_persistent && down->held_back == 0 &&
				   down->state == RELAY_OPEN &&
				   way[SIDE_SERVER].framing != HTTP_BODY_UNTIL_CLOSE);
	/* What stands behind a response is no response. */
	if (down->held_back > 0)
		http_forget_rest(session, SIDE_SERVER);
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t ms(uint64_t ns)
{
	return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

static uint64_t head_deadline(const struct session *session, enum close_reason *reason)
{
	const struct conf_listener *listener = session->acceptor->listener;

	if (session->served && session->relays[SIDE_CLIENT].queued_bytes == 0 &&
	    session->shelf_len == 0) {
		*reason = CLOSE_KEEPALIVE_TIMEOUT;
		return session->active_ms[SIDE_CLIENT] + ms(listener->keepalive_timeout_ns);
	}
	*reason = CLOSE_HEAD_TIMEOUT;
	return (session->phase_ms != 0 ? session->phase_ms : session->started_ms) +
	       ms(listener->head_timeout_ns);
}

/* Is a body awaited from the client, with nothing of ours in the way? */
static bool body_is_due(const struct session *session)
{
	const struct relay *up = &session->relays[SIDE_CLIENT];

	return session->state == SESSION_RELAY &&
	       session->exchange->ways[SIDE_CLIENT].phase == WAY_BODY && relay_receiving(up) &&
	       !up->send.away;
}

/* Who keeps the exchange waiting? */
static enum side turn_of(const struct session *session)
{
	if (session->conn == NULL || session->state != SESSION_RELAY || body_is_due(session) ||
	    !output_is_out(session))
		return SIDE_CLIENT;
	return SIDE_SERVER;
}

static uint64_t latest(const struct session *session)
{
	const uint64_t *active = session->active_ms;

	return active[SIDE_CLIENT] > active[SIDE_SERVER] ? active[SIDE_CLIENT] :
							   active[SIDE_SERVER];
}

/* The earliest of all; when it comes, turn_of() says whether it was his turn. */
static uint64_t exchange_deadline(const struct session *session, enum close_reason *reason)
{
	const struct conf_listener *listener = session->acceptor->listener;
	uint64_t deadline = session->active_ms[SIDE_CLIENT] + ms(listener->client_timeout_ns);
	uint64_t server;

	*reason = CLOSE_CLIENT_TIMEOUT;
	if (session->state == SESSION_RELAY && session->conn != NULL) {
		server = session->active_ms[SIDE_SERVER] + ms(session->upstream->server_timeout_ns);
		if (server < deadline) {
			*reason = CLOSE_SERVER_TIMEOUT;
			deadline = server;
		}
	}
	if (session->relays[SIDE_CLIENT].state == RELAY_ENDED) {
		uint64_t fin = latest(session) + ms(listener->fin_timeout_ns);

		if (fin < deadline) {
			*reason = CLOSE_FIN_TIMEOUT;
			deadline = fin;
		}
	}
	if (session->state == SESSION_RELAY && listener->body_min_rate > 0 &&
	    session->exchange->ways[SIDE_CLIENT].phase == WAY_BODY &&
	    session->exchange->body_mark_ms + BODY_RATE_MS < deadline) {
		*reason = CLOSE_BODY_TIMEOUT;
		deadline = session->exchange->body_mark_ms + BODY_RATE_MS;
	}
	return deadline;
}

uint64_t http_deadline_ms(const struct session *session, enum close_reason *reason)
{
	uint64_t soon, late;

	switch ((enum session_state)session->state) {
	case SESSION_HEAD:
		return head_deadline(session, reason);
	case SESSION_LINGER:
		*reason = session->last_reason;
		soon = session->active_ms[SIDE_CLIENT] + LINGER_MS;
		late = session->phase_ms + ms(session->acceptor->listener->fin_timeout_ns);
		return soon < late ? soon : late;
	default:
		return exchange_deadline(session, reason);
	}
}

/* The client was slow for a while, or it was not: look at what its body has brought. */
static bool body_is_slow(struct session *session)
{
	struct exchange *exchange = session->exchange;
	const struct exchange_way *way = &exchange->ways[SIDE_CLIENT];
	uint64_t least = (uint64_t)session->acceptor->listener->body_min_rate * BODY_RATE_MS / 1000;
	bool slow = body_is_due(session) && way->bytes - exchange->body_mark_bytes < least;

	exchange->body_mark_bytes = way->bytes;
	exchange->body_mark_ms = flow_now_ms(session->flow);
	return slow;
}

static void answer_timeout(struct session *session, uint32_t status, enum close_reason reason)
{
	if (http_answer(session, status, close_reason_texts[reason],
			reason == CLOSE_QUEUE_TIMEOUT ? CLOSE_NONE : reason) != STEP_GONE)
		relay_mark(&session->relays[SIDE_SERVER]);
}

/* One side was silent, but it was not its turn: its time begins now. */
static bool was_not_due(struct session *session, enum side side)
{
	if (turn_of(session) == side)
		return false;
	session->active_ms[side] = flow_now_ms(session->flow);
	session_retime(session);
	return true;
}

static void head_timed_out(struct session *session)
{
	if (session->relays[SIDE_CLIENT].queued_bytes > 0 || session->shelf_len > 0)
		answer_timeout(session, 408, CLOSE_HEAD_TIMEOUT);
	else
		session_close(session, CLOSE_HEAD_TIMEOUT);
}

void http_timed_out(struct session *session, enum close_reason reason)
{
	if (session->state == SESSION_LINGER) { /* the reason is that of the answer */
		session_close(session, reason);
		return;
	}
	switch (reason) {
	case CLOSE_BODY_TIMEOUT:
		if (body_is_slow(session))
			answer_timeout(session, 408, reason);
		else
			session_retime(session);
		return;
	case CLOSE_HEAD_TIMEOUT:
		head_timed_out(session);
		return;
	case CLOSE_SERVER_TIMEOUT:
		if (session->state != SESSION_RELAY || was_not_due(session, SIDE_SERVER))
			return;
		server_failed(session->server, HEALTH_TIMED_OUT, flow_now_ms(session->flow));
		answer_timeout(session, 504, reason);
		return;
	case CLOSE_QUEUE_TIMEOUT:
		queue_leave(session);
		answer_timeout(session, 503, reason);
		return;
	case CLOSE_CLIENT_TIMEOUT:
		if (session->state == SESSION_RELAY && was_not_due(session, SIDE_CLIENT))
			return;
		break;
	default:
		break;
	}
	session_close(session, reason);
}
