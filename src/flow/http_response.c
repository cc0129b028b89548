/* SPDX-License-Identifier: MIT */
/*
 * http_response.c - what a server answers: heads are parsed, judged and edited, 1xx pass, and a
 * connection that went stale is replaced once.
 *
 * A request is sent again only if no byte of a response came, it went over a connection that had
 * served before, it has no body, and its method is idempotent (RFC 9110 9.2.2, RFC 9112 9.3.1). A
 * fresh connection that fails is a failure of the server: 502.
 */
#include "base/clock.h"
#include "flow_private.h"

static enum http_step bad_response(struct session *session, const char *detail)
{
	counter_add(&session->flow->stats.http_bad_responses, 1);
	return http_answer(session, 502, detail, CLOSE_RESPONSE_REFUSED);
}

static bool may_replay(const struct session *session)
{
	const struct exchange *exchange = session->exchange;

	return exchange_is_repeatable(exchange) && exchange->head_slice != SLICE_NONE &&
	       !session->relays[SIDE_CLIENT].send.away && !session->relays[SIDE_CLIENT].lost;
}

enum http_step http_server_failed(struct session *session, enum close_reason reason)
{
	struct relay *up = &session->relays[SIDE_CLIENT];

	if (up->send.away && !session->dropping) {
		/* Its result is on the way, and then this is looked at again. */
		ring_socket_abort(session->flow->ring, session->conn->wire.fd);
		return STEP_WAIT;
	}
	if (!may_replay(session)) {
		if (!session->exchange->took_idle)
			server_failed(session->server,
				      reason == CLOSE_SERVER_RESET ? HEALTH_RESET : HEALTH_CLOSED,
				      flow_now_ms(session->flow));
		return http_answer(session, 502, close_reason_texts[reason], CLOSE_NONE);
	}
	counter_add(&session->flow->stats.http_replays, 1);
	session->exchange->reused = false;
	session->exchange->parts_side = SIDE_CLIENT;
	session->exchange->parts_sent = 0;
	pool_give(session, false);
	if (up->state == RELAY_BROKEN)
		relay_restart(up);
	relay_restart(&session->relays[SIDE_SERVER]);
	session->tries = 1; /* a fresh connection, not another idle one */
	return http_request_dial(session);
}

/* The server's side is over and there is no complete head. */
static enum http_step no_response(struct session *session)
{
	const struct relay *down = &session->relays[SIDE_SERVER];

	/* An interim one may still be on its way: an answer of ours can follow it. */
	if (down->state == RELAY_OPEN || exchange_parts_left(session->exchange, SIDE_SERVER) > 0)
		return STEP_WAIT;
	if (down->held_back > 0 || session->exchange->answered)
		return bad_response(session, "the response is cut");
	return http_server_failed(session, down->state == RELAY_RESET ? CLOSE_SERVER_RESET :
									CLOSE_RESPONSE_CUT);
}

/* The parts become the response's; what they name stays where it is until they are sent. */
static bool edit(struct session *session, const struct http_head *head, uint8_t *base)
{
	struct exchange *exchange = session->exchange;
	const bool interim = head->status < 200 && head->status != 101;
	const struct http_edits *edits =
		exchange->route != NULL && !interim ? &exchange->route->response_edits : NULL;
	bool old = exchange->minor == 0;
	struct http_hop hop = { .client = "", .server = "" };

	if (!interim && !head->tunnel) {
		hop.plain = old && head->framing == HTTP_BODY_CHUNKED;
		if (head->framing == HTTP_BODY_UNTIL_CLOSE || hop.plain ||
		    exchange->ways[SIDE_CLIENT].phase != WAY_DONE || session->flow->draining ||
		    session->relays[SIDE_CLIENT].state == RELAY_BROKEN)
			exchange->persistent = false;
		hop.close = !exchange->persistent;
		hop.keep_alive = old && exchange->persistent;
	}
	exchange_drop_head(session);
	http_parts_clear(&exchange->parts);
	return http_edit_response(&exchange->parts, base, head, edits, &hop);
}

static void become_tunnel(struct session *session)
{
	session->http = false;
	session->relays[SIDE_CLIENT].held_back = 0;
	session->relays[SIDE_SERVER].held_back = 0;
	counter_add(&session->flow->stats.http_tunnels, 1);
	session_retime(session);
}

static void take(struct session *session, const struct http_head *head)
{
	struct exchange *exchange = session->exchange;

	http_take_head(session, SIDE_SERVER, head->length);
	exchange->parts_side = SIDE_SERVER;
	exchange->parts_sent = 0;
	exchange->answered = true;
	relay_mark(&session->relays[SIDE_SERVER]);
}

static enum http_step final(struct session *session, const struct http_head *head)
{
	struct exchange *exchange = session->exchange;
	struct exchange_way *way = &exchange->ways[SIDE_SERVER];

	exchange->status = head->status;
	exchange->server_persistent = head->persistent;
	if (head->status >= 500)
		server_failed(session->server, HEALTH_STATUS, flow_now_ms(session->flow));
	else
		server_succeeded(session->server);
	if (head->tunnel) {
		become_tunnel(session);
		return STEP_ON;
	}
	http_body_begin(way, head, exchange->minor == 0 && head->framing == HTTP_BODY_CHUNKED);
	relay_expect(session->flow, &session->relays[SIDE_SERVER], way->left);
	return STEP_ON;
}

/* 100 Continue and the like: to those who know them (RFC 9110 15.2). */
static enum http_step interim(struct session *session, const struct http_head *head, uint8_t *base)
{
	if (session->exchange->minor == 0) {
		session->relays[SIDE_SERVER].held_back -= head->length;
		relay_dequeue(session->flow, &session->relays[SIDE_SERVER], head->length);
		return STEP_ON;
	}
	if (!edit(session, head, base))
		return bad_response(session, "the head has too many parts");
	take(session, head);
	return STEP_ON;
}

static enum http_progress parse_head(struct session *session, const uint8_t *base, uint32_t len)
{
	const struct exchange *exchange = session->exchange;
	const struct http_limits limits = { .head_bytes = HTTP_RESPONSE_HEAD_MAX,
					    .fields = HTTP_FIELDS_MAX };
	const struct http_asked asked = { .method = exchange->method,
					  .upgrade = exchange->upgrade };

	http_head_begin(&session->flow->head, HTTP_HEAD_RESPONSE, &limits, &asked);
	return http_head_feed(&session->flow->head, base, len);
}

static enum http_step response_head(struct session *session)
{
	struct exchange *exchange = session->exchange;
	struct http_head *head = &session->flow->head;
	enum http_progress progress;
	uint32_t len;
	uint8_t *base;

	if (session->relays[SIDE_SERVER].held_back == 0)
		return no_response(session);
	if (exchange->first_byte_ns == 0)
		exchange->first_byte_ns = ring_now_ns(session->flow->ring);
	/* A head of ours is still on its way, to one side or the other. */
	if (exchange_parts_left(exchange, SIDE_SERVER) > 0 ||
	    (exchange_parts_left(exchange, SIDE_CLIENT) > 0 &&
	     session->relays[SIDE_CLIENT].state != RELAY_BROKEN))
		return STEP_WAIT;
	base = http_first(session, SIDE_SERVER, &len);
	progress = parse_head(session, base, len);
	if (progress == HTTP_MORE && len < session->relays[SIDE_SERVER].held_back) {
		base = http_gather(session, SIDE_SERVER, &len);
		progress = parse_head(session, base, len);
	}
	switch (progress) {
	case HTTP_MORE:
		if (len < session->relays[SIDE_SERVER].held_back || len >= session->flow->window)
			return bad_response(session, "the head is too large");
		return no_response(session);
	case HTTP_REFUSED:
		return bad_response(session, http_refusal_texts[head->refusal]);
	case HTTP_DONE:
		break;
	}
	if (head->status < 200 && !head->tunnel)
		return interim(session, head, base);
	if (!edit(session, head, base))
		return bad_response(session, "the head has too many parts");
	take(session, head);
	return final(session, head);
}

enum http_step http_response(struct session *session)
{
	struct exchange_way *way = &session->exchange->ways[SIDE_SERVER];
	enum http_step step = STEP_WAIT;

	if (session->dropping)
		return STEP_WAIT;
	if (way->phase == WAY_HEAD)
		return response_head(session);
	if (way->phase == WAY_BODY)
		step = http_body_pass(session, SIDE_SERVER);
	return step;
}

/* --- bodies that go wrong --------------------------------------------------------------------- */

/* None of the response has left: it can be replaced. */
static bool is_unsent(const struct session *session)
{
	return session->exchange->sent_bytes == 0 && !session->relays[SIDE_SERVER].send.away;
}

enum http_step http_body_refused(struct session *session, enum side side, uint32_t refusal)
{
	struct exchange *exchange = session->exchange;
	struct relay *relay = &session->relays[side];

	if (side == SIDE_SERVER && is_unsent(session)) {
		exchange->answered = false;
		return bad_response(session, http_refusal_texts[refusal]);
	}
	if (side == SIDE_CLIENT && http_may_answer(session)) {
		counter_add(&session->flow->stats.http_refused, 1);
		return http_answer(session, http_refusal_status[refusal],
				   http_refusal_texts[refusal], CLOSE_REQUEST_REFUSED);
	}
	if (side == SIDE_CLIENT) {
		session_close(session, CLOSE_REQUEST_REFUSED);
		return STEP_GONE;
	}
	/* What was right goes on, and then a reset. */
	counter_add(&session->flow->stats.http_bad_responses, 1);
	http_forget_rest(session, side);
	if (relay->state == RELAY_OPEN || relay->state == RELAY_ENDED)
		relay_move(relay, RELAY_RESET);
	return http_body_ended(session, side);
}

enum http_step http_body_ended(struct session *session, enum side side)
{
	struct exchange_way *way = &session->exchange->ways[side];
	const struct relay *relay = &session->relays[side];
	const struct relay *up = &session->relays[SIDE_CLIENT];

	if (side == SIDE_SERVER && way->framing == HTTP_BODY_UNTIL_CLOSE &&
	    relay->state == RELAY_ENDED && up->state != RELAY_BROKEN) {
		/* A send may have used up the error that says that this is no end. */
		if (up->in_doubt)
			return STEP_WAIT;
		way->phase = WAY_DONE;
		return STEP_ON;
	}
	/* What came before is passed on, and then the reset that tells of the rest. */
	if (side == SIDE_SERVER && (relay->send.away || relay_ready_bytes(relay) > 0))
		return STEP_WAIT;
	session_close(session, side == SIDE_CLIENT ? CLOSE_REQUEST_CUT : CLOSE_RESPONSE_CUT);
	return STEP_GONE;
}

void http_tunnel_begun(struct session *session)
{
	if (exchange_parts_left(session->exchange, SIDE_SERVER) > 0 ||
	    session->relays[SIDE_SERVER].send.away)
		return;
	http_log(session, CLOSE_NONE);
	relay_dequeue(session->flow, &session->relays[SIDE_CLIENT], 0);
	relay_dequeue(session->flow, &session->relays[SIDE_SERVER], 0);
	exchange_close(session);
}
