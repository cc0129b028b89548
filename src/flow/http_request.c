/* SPDX-License-Identifier: MIT */
/*
 * http_request.c - a request's head is collected, parsed, routed, edited and sent to a server.
 *
 *      bytes held back --> one piece --> http_head_feed() --> route --> edit --> dial, or the pool
 *                                              |                |
 *                                              '--> refused     '--> answered here
 *
 * A head nearly always comes in one piece. One that does not is parsed again when its end has come,
 * or twice as much as before: so a client that sends it byte by byte costs no more than its bytes
 * do, and rubbish is still refused at once.
 */
#include <string.h>

#include "base/clock.h"
#include "flow_private.h"
#include "http/router.h"

/* --- the head --------------------------------------------------------------------------------- */

/* Is there a blank line in what was not seen before? */
static bool has_end(const uint8_t *head, uint32_t len, uint32_t seen)
{
	const uint8_t *at = head + (seen > 3 ? seen - 3 : 0);
	const uint8_t *end = head + len;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		if ((at < end && *at == '\n') || (at + 1 < end && at[0] == '\r' && at[1] == '\n'))
			return true;
	}
	return false;
}

static bool is_worth_parsing(const struct session *session, const uint8_t *head, uint32_t len)
{
	return session->head_parsed == 0 || has_end(head, len, session->head_seen) ||
	       len >= 2u * session->head_parsed || len >= session->acceptor->listener->max_head;
}

/* Nothing of a next request is there. */
static enum http_step no_head(struct session *session)
{
	const struct relay *up = &session->relays[SIDE_CLIENT];

	if (up->state == RELAY_OPEN && !(session->flow->draining && session->served))
		return STEP_WAIT;
	session_close(session,
		      up->state == RELAY_OPEN ? CLOSE_HTTP_FINISHED : CLOSE_CLIENT_FINISHED);
	return STEP_GONE;
}

/* Of a head that was not understood, the method matters all the same: HEAD is answered without a
 * body (RFC 9110 9.3.2). */
static bool begins_with_head(struct session *session)
{
	const uint8_t *bytes;
	uint32_t len;

	if (session->relays[SIDE_CLIENT].held_back == 0)
		return false;
	bytes = http_first(session, SIDE_CLIENT, &len);
	return len >= 5 && memcmp(bytes, "HEAD ", 5) == 0;
}

static enum http_step refuse(struct session *session, enum http_refusal refusal)
{
	bool head = begins_with_head(session);

	exchange_open(session);
	session->exchange->minor = 1;
	if (head)
		session->exchange->method = HTTP_METHOD_HEAD;
	session->exchange->began_ns = session->exchange->head_ns = ring_now_ns(session->flow->ring);
	counter_add(&session->flow->stats.http_refused, 1);
	return http_answer(session, http_refusal_status[refusal], http_refusal_texts[refusal],
			   CLOSE_REQUEST_REFUSED);
}

static enum http_step head_unfinished(struct session *session, uint32_t len)
{
	const struct relay *up = &session->relays[SIDE_CLIENT];

	session->head_seen = (uint16_t)len;
	/* There is no memory to hold more of it in one piece, or no room to receive more. */
	if (up->held_back > len || up->held_back >= session->flow->window)
		return refuse(session, HTTP_REFUSAL_HEAD_LARGE);
	if (up->state == RELAY_OPEN) {
		if (session->shelf_len == 0)
			http_shelve(session);
		return STEP_WAIT;
	}
	session_close(session, CLOSE_REQUEST_CUT);
	return STEP_GONE;
}

static void note_begin(struct session *session)
{
	if (session->phase_ms != 0)
		return;
	session->phase_ms = session->served ? flow_now_ms(session->flow) : session->started_ms;
	if (session->served)
		session_retime(session); /* from keepalive_timeout to head_timeout */
}

/* --- what it means ---------------------------------------------------------------------------- */

static void note_text(struct exchange *exchange, const uint8_t *base, struct http_span span,
		      uint16_t *len)
{
	uint32_t used = (uint32_t)exchange->method_len + exchange->target_len + exchange->host_len;
	uint32_t bytes = span.len < EXCHANGE_TEXT_MAX - used ? span.len : EXCHANGE_TEXT_MAX - used;

	memcpy(exchange->text + used, base + span.at, bytes);
	*len = (uint16_t)bytes;
}

static void note_request(struct session *session, const struct http_head *head, const uint8_t *base)
{
	struct exchange *exchange = session->exchange;

	exchange->method = head->method;
	exchange->minor = head->minor;
	exchange->persistent = head->persistent;
	exchange->head_ns = ring_now_ns(session->flow->ring);
	exchange->began_ns = session->head_seen == 0 ? exchange->head_ns :
						       session->phase_ms * NS_PER_MS;
	if (session->acceptor->listener->access_log != NULL) {
		note_text(exchange, base, head->method_text, &exchange->method_len);
		note_text(exchange, base, head->target, &exchange->target_len);
		note_text(exchange, base, head->authority, &exchange->host_len);
	}
	http_body_begin(&exchange->ways[SIDE_CLIENT], head, false);
	relay_expect(session->flow, &session->relays[SIDE_CLIENT],
		     exchange->ways[SIDE_CLIENT].left);
	exchange->body_mark_bytes = 0;
	exchange->body_mark_ms = flow_now_ms(session->flow);
	counter_add(&session->flow->stats.http_requests, 1);
}

/* Is one of the protocols that the client wants among those that the listener lets through? The
 * first may be a list: then all of it must be. */
static bool upgrade_is_allowed(const struct session *session, const struct http_head *head,
			       const uint8_t *base)
{
	const char *allowed = session->acceptor->listener->upgrade_protocols;

	while (allowed != NULL && *allowed != '\0') {
		const char *end = strchrnul(allowed, ' ');
		char word[64];

		if ((size_t)(end - allowed) < sizeof(word)) {
			memcpy(word, allowed, (size_t)(end - allowed));
			word[end - allowed] = '\0';
			if (http_text_equal(base + head->upgrade_to.at, head->upgrade_to.len, word))
				return true;
		}
		allowed = *end == ' ' ? end + 1 : end;
	}
	return false;
}

static const struct conf_route *find_route(const struct session *session,
					   const struct http_head *head, const uint8_t *base,
					   int *found)
{
	*found = http_router_find(session->acceptor->listener->router, head, base);
	return *found >= 0 ? &session->flow->conf->routes[*found] : NULL;
}

static bool client_is_trusted(struct session *session, const struct conf_route *route)
{
	return route != NULL && session_client_in(session, route->trusted, route->trusted_count);
}

/* For Host. A unix socket has no name that could stand there. */
static void server_authority(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
	if (addr->kind != ADDR_UNIX)
		(void)addr_format(text, addr);
	else
		memcpy(text, "localhost", sizeof("localhost"));
}

static bool edit(struct session *session, struct http_head *head, uint8_t *base)
{
	static const struct http_edits nothing;
	struct exchange *exchange = session->exchange;
	const struct conf_route *route = exchange->route;
	const struct http_edits *edits = route != NULL ? &route->request_edits : &nothing;
	char client[SESSION_CLIENT_TEXT_MAX] = "";
	char server[ADDR_TEXT_MAX] = "";
	struct http_hop hop = { .client = client,
				.server = server,
				.close = session->upstream->pool == POOL_OFF && !head->upgrade };

	if (edits->forwarded != 0) {
		session_client_text(session, client);
		hop.client_trusted = client_is_trusted(session, route);
	}
	if (edits->host_header == HTTP_HOST_SERVER || head->authority.len == 0)
		server_authority(&session->upstream->servers[0].addr, server);
	http_parts_clear(&exchange->parts);
	return http_edit_request(&exchange->parts, base, head, edits, &hop);
}

/* --- from the head to the server -------------------------------------------------------------- */

static enum http_step method_is_refused(struct session *session, const struct conf_route *route)
{
	const struct conf_listener *listener = session->acceptor->listener;

	if (session->exchange->method != HTTP_METHOD_CONNECT)
		return STEP_ON;
	if (!listener->allow_connect)
		return http_answer(session, 405, "CONNECT is not served here",
				   CLOSE_REQUEST_REFUSED);
	if (route == NULL)
		return http_answer(session, 403, "no route for this target", CLOSE_REQUEST_REFUSED);
	return STEP_ON;
}

static enum http_step send_on(struct session *session, struct http_head *head, uint8_t *base)
{
	struct exchange *exchange = session->exchange;
	const struct conf_route *route = exchange->route;

	session->upstream = route != NULL ? upstream_of_route(session->flow->upstreams, route) :
					    session->acceptor->listener->upstream;
	exchange->upgrade = head->upgrade;
	if (!edit(session, head, base))
		return http_answer(session, 431, "the head has too many parts",
				   CLOSE_REQUEST_REFUSED);
	exchange->parts_side = SIDE_CLIENT;
	exchange->parts_sent = 0;
	return http_request_dial(session);
}

enum http_step http_request_dial(struct session *session)
{
	/* What of the body is in hand goes with the head. */
	if (http_body_pass(session, SIDE_CLIENT) == STEP_GONE)
		return STEP_GONE;
	if (session->state != SESSION_HEAD && session->state != SESSION_RELAY)
		return STEP_ON; /* the body was refused */
	session_move(session, SESSION_CONNECT);
	session_dial(session);
	return session->state == SESSION_CLOSE ? STEP_GONE : STEP_ON;
}

static enum http_step route_it(struct session *session, struct http_head *head, uint8_t *base)
{
	const struct conf_listener *listener = session->acceptor->listener;
	const struct conf_route *route;
	enum http_step step;
	int found;

	exchange_open(session);
	note_request(session, head, base);
	http_take_head(session, SIDE_CLIENT, head->length);
	if (head->upgrade && !upgrade_is_allowed(session, head, base))
		head->upgrade = false;
	route = find_route(session, head, base, &found);
	if (found == HTTP_RULE_AMBIGUOUS)
		return http_answer(session, 400, "the path is ambiguous", CLOSE_REQUEST_REFUSED);
	session->exchange->route = route;
	step = method_is_refused(session, route);
	if (step != STEP_ON || session->state == SESSION_ANSWER)
		return step;
	if (route != NULL && route->action != ACTION_UPSTREAM) {
		step = http_answer_route(session, base);
		return step;
	}
	if (route == NULL && listener->upstream == NULL)
		return http_answer(session, 404, "no route for this host and path", CLOSE_NONE);
	return send_on(session, head, base);
}

static enum http_progress parse_head(struct session *session, const uint8_t *base, uint32_t len)
{
	const struct conf_listener *listener = session->acceptor->listener;
	const struct http_limits limits = { .head_bytes = listener->max_head,
					    .fields = listener->max_headers };

	http_head_begin(&session->flow->head, HTTP_HEAD_REQUEST, &limits, NULL);
	return http_head_feed(&session->flow->head, base, len);
}

enum http_step http_request_head(struct session *session)
{
	struct http_head *head = &session->flow->head;
	enum http_progress progress;
	uint32_t len;
	uint8_t *base;

	if (session->relays[SIDE_CLIENT].held_back == 0)
		return session->shelf_len > 0 ? head_unfinished(session, session->head_seen) :
						no_head(session);
	note_begin(session);
	if (session->shelf_len > 0 && !http_unshelve(session))
		return refuse(session, HTTP_REFUSAL_HEAD_LARGE);
	base = http_first(session, SIDE_CLIENT, &len);
	if (session->head_seen > 0) /* the rest of one that was not complete */
		base = http_gather(session, SIDE_CLIENT, &len);
	if (len == session->head_seen || !is_worth_parsing(session, base, len))
		return head_unfinished(session, len);
	progress = parse_head(session, base, len);
	if (progress == HTTP_MORE && len < session->relays[SIDE_CLIENT].held_back) {
		base = http_gather(session, SIDE_CLIENT, &len);
		progress = parse_head(session, base, len);
	}
	switch (progress) {
	case HTTP_MORE:
		session->head_parsed = (uint16_t)len;
		return head_unfinished(session, len);
	case HTTP_REFUSED:
		return refuse(session, head->refusal);
	case HTTP_DONE:
		break;
	}
	return route_it(session, head, base);
}
