/* SPDX-License-Identifier: MIT */
/*
 * http_answer.c - answers of our own: errors, pages of the listener, respond and redirect.
 *
 * An answer lies in the exchange (its head) and in the snapshot (pages, bodies of routes), so it
 * needs no payload memory and can be given when there is none.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow_private.h"

static const struct conf_page *page_of(const struct session *session, uint32_t status)
{
	const struct conf_listener *listener = session->acceptor->listener;
	uint32_t i;

	for (i = 0; i < listener->pages_count; i++)
		if (listener->pages[i].status == status)
			return &listener->pages[i];
	return NULL;
}

static void count(struct flow *flow, uint32_t status)
{
	struct flow_stats *stats = &flow->stats;

	switch (status) {
#define OWN(code)                                        \
	case code:                                       \
		counter_add(&stats->http_own_##code, 1); \
		return
		OWN(400);
		OWN(403);
		OWN(404);
		OWN(405);
		OWN(408);
		OWN(414);
		OWN(417);
		OWN(431);
		OWN(501);
		OWN(502);
		OWN(503);
		OWN(504);
		OWN(505);
#undef OWN
	default: /* those that a route answers with */
		counter_add(&stats->http_own_other, 1);
	}
}

/* The request's body has come in whole, or there is none: the connection can go on. */
static bool request_is_whole(const struct exchange *exchange)
{
	return exchange->ways[SIDE_CLIENT].phase == WAY_DONE;
}

static void begin(struct session *session, uint32_t status)
{
	struct exchange *exchange = session->exchange;

	if (!session->dropping) /* else a send still reads it: it goes with the exchange */
		exchange_drop_head(session);
	http_parts_clear(&exchange->parts);
	exchange->status = (uint16_t)status;
	exchange->own = true;
	exchange->answered = true;
	exchange->parts_side = SIDE_SERVER;
	exchange->parts_sent = 0;
	exchange_way_reset(&exchange->ways[SIDE_SERVER]);
	exchange->ways[SIDE_SERVER].phase = WAY_DONE;
	if (!request_is_whole(exchange) || session->flow->draining ||
	    session->last_reason != CLOSE_NONE ||
	    session->relays[SIDE_CLIENT].state == RELAY_BROKEN)
		exchange->persistent = false;
	count(session->flow, status);
	if (session->state != SESSION_ANSWER)
		session_move(session, SESSION_ANSWER);
	session->active_ms[SIDE_CLIENT] = flow_now_ms(session->flow);
	session_retime(session);
	relay_mark(&session->relays[SIDE_SERVER]);
}

/* Head and body; both stay where they are until they are sent, text is copied. `edits`, which may
 * be NULL, adds lines of any length. */
static bool put(struct exchange *exchange, const char *type, const char *lines,
		const struct http_edits *edits, const void *body, uint32_t len, bool copy)
{
	const char *connection = !exchange->persistent ? "close" :
				 exchange->minor == 0  ? "keep-alive" :
							 NULL;
	char head[HTTP_SCRATCH_MAX];
	uint32_t bytes = http_answer_head(head, sizeof(head), exchange->status, type, len, lines,
					  connection);

	if (bytes == 0 || !http_parts_copy(&exchange->parts, head, bytes - 2) ||
	    (edits != NULL &&
	     !http_parts_span(&exchange->parts, edits->added, edits->added_len)) ||
	    !http_parts_copy(&exchange->parts, head + bytes - 2, 2))
		return false;
	if (exchange->method == HTTP_METHOD_HEAD || len == 0)
		return true;
	return copy ? http_parts_copy(&exchange->parts, body, len) :
		      http_parts_span(&exchange->parts, body, len);
}

/* Nothing of a final response has left, and nothing of an interim one is on its way. */
bool http_may_answer(const struct session *session)
{
	const struct exchange *exchange = session->exchange;

	return !exchange->answered ||
	       (exchange->status == 0 && !session->relays[SIDE_SERVER].send.away &&
		exchange_parts_left(exchange, SIDE_SERVER) == 0);
}

enum http_step http_answer(struct session *session, uint32_t status, const char *detail,
			   enum close_reason reason)
{
	const struct conf_page *page = page_of(session, status);
	struct relay *down = &session->relays[SIDE_SERVER];
	char text[160];
	int len;

	/* A timeout of a head that is not there yet. */
	if (session->exchange == NULL) {
		exchange_open(session);
		session->exchange->minor = 1;
	}
	if (!http_may_answer(session)) { /* too late for another answer */
		session_close(session, reason != CLOSE_NONE ? reason : CLOSE_RESPONSE_CUT);
		return STEP_GONE;
	}
	assert(!down->send.away);
	http_drop_server(session);
	if (down->queued_bytes > 0)
		relay_drop_queue(down);
	if (session->last_reason == CLOSE_NONE)
		session->last_reason = (uint8_t)reason;
	begin(session, status);
	if (page != NULL && put(session->exchange, page->type, NULL, NULL, page->body, page->len,
				false))
		return STEP_ON;
	http_parts_clear(&session->exchange->parts);
	len = snprintf(text, sizeof(text), "%u %s%s%s\n", status, http_reason(status),
		       detail != NULL ? ": " : "", detail != NULL ? detail : "");
	if (!put(session->exchange, "text/plain", NULL, NULL, text,
		 (uint32_t)len < sizeof(text) ? (uint32_t)len : sizeof(text) - 1, true))
		unreachable();
	return STEP_ON;
}

/* --- routes ----------------------------------------------------------------------------------- */

/* The lines around that of a redirect, in the scratch: status, length, connection. */
#define REDIRECT_REST 96u

/* The location of a redirect, as a "Location" line. */
static bool location_line(const struct session *session, const uint8_t *base, char *line,
			  size_t room)
{
	const struct http_head *head = &session->flow->head;
	const struct {
		const char *name;
		struct http_span span;
	} words[] = { { "{host}", head->host },
		      { "{path}", head->path },
		      { "{query}", head->query } };
	const char *from = session->exchange->route->text;
	size_t used = (size_t)snprintf(line, room, "Location: ");
	uint32_t i;

	while (*from != '\0') {
		const uint8_t *bytes = (const uint8_t *)from;
		size_t len = 1, skip = 1;

		for (i = 0; *from == '{' && i < ARRAY_COUNT(words); i++) {
			if (strncmp(from, words[i].name, strlen(words[i].name)) != 0)
				continue;
			bytes = base + words[i].span.at;
			len = words[i].span.len;
			skip = strlen(words[i].name);
		}
		if (used + len + 3 > room)
			return false;
		memcpy(line + used, bytes, len);
		used += len;
		from += skip;
	}
	memcpy(line + used, "\r\n", 3);
	return true;
}

static bool sets_type(const struct http_edits *edits)
{
	uint32_t i;

	for (i = 0; i < edits->removed_count; i++)
		if (strcmp(edits->removed[i].text, "content-type") == 0)
			return true;
	return false;
}

enum http_step http_answer_route(struct session *session, const uint8_t *base)
{
	const struct conf_route *route = session->exchange->route;
	char line[HTTP_SCRATCH_MAX - REDIRECT_REST];
	bool redirect = route->action == ACTION_REDIRECT;
	const char *type = redirect || route->text == NULL || sets_type(&route->response_edits) ?
				   NULL :
				   "text/plain";

	if (redirect && !location_line(session, base, line, sizeof(line)))
		return http_answer(session, 414, "the redirect would be too long", CLOSE_NONE);
	/* The head is not needed any more; a body that follows it is not taken. */
	if (http_body_pass(session, SIDE_CLIENT) == STEP_GONE)
		return STEP_GONE;
	if (session->state != SESSION_HEAD)
		return STEP_ON;
	begin(session, route->status);
	if (put(session->exchange, type, redirect ? line : NULL, &route->response_edits,
		redirect ? NULL : route->text,
		redirect || route->text == NULL ? 0 : (uint32_t)strlen(route->text), false))
		return STEP_ON;
	session_close(session, CLOSE_REQUEST_REFUSED);
	return STEP_GONE;
}
