/* SPDX-License-Identifier: MIT */
/*
 * session.c - states of a session and its time limits. The picture is in session.h.
 *
 * Each session has one timer. Activity only stores a time; when the timer fires and the session
 * was active since, it is set again for the rest, so a busy session costs a timer event per
 * timeout and not per message.
 */
#include "flow_private.h"

#include "base/clock.h"
#include "net/source_limits.h"

/* What was received before a reset is passed on, but a target that does not take it within this
 * time does not keep the session. */
#define RESET_GRACE_MS 1000
#define STUCK_LOOK_MS 1000

const char *const session_state_names[SESSION_STATE_COUNT] = { "FREE",    "PREFACE", "HEAD",
							       "CONNECT", "RELAY",   "ANSWER",
							       "LINGER",  "CLOSE" };

/* state_next[from] is the set of states that may follow: the picture, one row per box. */
#define TO(state) (1u << SESSION_##state)
static const uint8_t state_next[SESSION_STATE_COUNT] = {
	[SESSION_FREE] = TO(PREFACE) | TO(HEAD) | TO(CONNECT),
	[SESSION_PREFACE] = TO(HEAD) | TO(CONNECT) | TO(CLOSE),
	[SESSION_HEAD] = TO(CONNECT) | TO(ANSWER) | TO(CLOSE),
	[SESSION_CONNECT] = TO(RELAY) | TO(ANSWER) | TO(CLOSE),
	[SESSION_RELAY] = TO(HEAD) | TO(CONNECT) | TO(ANSWER) | TO(LINGER) | TO(CLOSE),
	[SESSION_ANSWER] = TO(HEAD) | TO(LINGER) | TO(CLOSE),
	[SESSION_LINGER] = TO(CLOSE),
	[SESSION_CLOSE] = TO(FREE),
};
#undef TO
static_assert(SESSION_STATE_COUNT <= 8, "state_next packs the set into a byte");

static bool ops_home(const struct session *session)
{
	return !session_connecting(session) && relay_home(&session->relays[SIDE_CLIENT]) &&
	       relay_home(&session->relays[SIDE_SERVER]);
}

/* The picture's promises, executable. */
void session_check(const struct session *session)
{
	assert(session->conn == NULL || session->conn->session == session);
	assert(session->shelf_len == 0 || session->exchange == NULL);
	switch ((enum session_state)session->state) {
	case SESSION_FREE:
		assert(session->client.fd == -1);
		assert(session->conn == NULL);
		assert(ops_home(session));
		assert(!timer_is_set(&session->timer));
		return;
	case SESSION_CONNECT:
		assert(session->client.fd >= 0);
		assert(session->reason == CLOSE_NONE);
		assert(!relay_receiving(&session->relays[SIDE_SERVER]));
		assert(!session->relays[SIDE_SERVER].send.away);
		return;
	case SESSION_PREFACE:
		assert(session->client.fd >= 0);
		assert(session->conn == NULL && session->exchange == NULL);
		return;
	case SESSION_HEAD:
		assert(session->client.fd >= 0);
		assert(session->http);
		assert(session->conn == NULL && session->exchange == NULL);
		return;
	case SESSION_ANSWER:
		assert(session->http);
		assert(session->exchange != NULL);
		assert(session->conn == NULL || session->dropping);
		return;
	case SESSION_LINGER:
		assert(session->http);
		assert(session->conn == NULL && session->exchange == NULL);
		assert(session->last_reason != CLOSE_NONE);
		return;
	case SESSION_RELAY:
		assert(session->client.fd >= 0);
		assert(session->http || session->conn != NULL);
		assert(!session->http || session->exchange != NULL);
		assert(session->reason == CLOSE_NONE);
		assert(session->server != NULL);
		assert(!session_connecting(session));
		return;
	case SESSION_CLOSE:
		assert(session->reason != CLOSE_NONE);
		assert(!list_linked(&session->dial));
		return;
	case SESSION_STATE_COUNT:
		break;
	}
	unreachable();
}

/* The only place that writes session->state. */
void session_move(struct session *session, enum session_state next)
{
	struct flow *flow = session->flow;

	assert(state_next[session->state] & (1u << next));
	if (session->state != SESSION_FREE) {
		list_remove(&session->link);
		flow->sessions_count[session->state]--;
	}
	session->state = (uint8_t)next;
	if (next != SESSION_FREE) {
		list_push(&flow->sessions[next], &session->link);
		flow->sessions_count[next]++;
	}
	session_check(session);
}

static uint64_t timeout_ms(uint64_t timeout_ns)
{
	return (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
}

static bool half_closed(const struct session *session)
{
	return session->relays[SIDE_CLIENT].state != RELAY_OPEN ||
	       session->relays[SIDE_SERVER].state != RELAY_OPEN;
}

static bool was_reset(const struct session *session)
{
	return session->relays[SIDE_CLIENT].was_reset || session->relays[SIDE_SERVER].was_reset;
}

uint64_t session_deadline_ms(const struct session *session, enum close_reason *reason)
{
	const struct conf_listener *listener = session->acceptor->listener;
	const uint64_t *active = session->active_ms;
	uint64_t client, server, fin;

	if (session->state == SESSION_PREFACE) {
		*reason = CLOSE_PROXY_HEADER;
		return preface_deadline_ms(session);
	}
	if (session->queued) {
		*reason = CLOSE_QUEUE_TIMEOUT;
		return session->phase_ms + timeout_ms(session->upstream->queue_timeout_ns);
	}
	if (session->http)
		return http_deadline_ms(session, reason);
	client = active[SIDE_CLIENT] + timeout_ms(listener->client_timeout_ns);
	*reason = CLOSE_CLIENT_TIMEOUT;
	if (session->state != SESSION_RELAY) /* the dial has a deadline of its own */
		return client;
	server = active[SIDE_SERVER] + timeout_ms(session->upstream->server_timeout_ns);
	if (server < client) {
		client = server;
		*reason = CLOSE_SERVER_TIMEOUT;
	}
	if (was_reset(session) && session->phase_ms + RESET_GRACE_MS < client) {
		client = session->phase_ms + RESET_GRACE_MS;
		*reason = session->relays[SIDE_CLIENT].was_reset ? CLOSE_CLIENT_RESET :
								   CLOSE_SERVER_RESET;
	}
	if (half_closed(session)) {
		fin = active[SIDE_CLIENT] > active[SIDE_SERVER] ? active[SIDE_CLIENT] :
								  active[SIDE_SERVER];
		fin += timeout_ms(listener->fin_timeout_ns);
		if (fin < client) {
			client = fin;
			*reason = CLOSE_FIN_TIMEOUT;
		}
	}
	return client;
}

void session_retime(struct session *session)
{
	enum close_reason reason;
	uint64_t deadline = session_deadline_ms(session, &reason);

	if (!timer_is_set(&session->timer) || session->timer.deadline_ms > deadline)
		wheel_set(&session->flow->wheel, &session->timer, deadline);
}

const char *session_server_text(const struct session *session)
{
	const struct server *server = session->server;

	return session->epoch == (uint8_t)server->epoch ? server->label : server->conf->name;
}

void session_look_soon(struct session *session)
{
	uint64_t soon = flow_now_ms(session->flow) + STUCK_LOOK_MS;

	assert(timer_is_set(&session->timer));
	if (session->timer.deadline_ms > soon)
		wheel_set(&session->flow->wheel, &session->timer, soon);
}

static void on_timer(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);
	struct flow *flow = session->flow;
	enum close_reason reason;
	uint64_t deadline;

	assert(session->state != SESSION_FREE);
	if (session->state == SESSION_CLOSE)
		return;
	deadline = session_deadline_ms(session, &reason);
	if (deadline <= flow_now_ms(flow)) {
		if (session->http && session->state != SESSION_PREFACE)
			http_timed_out(session, reason);
		else
			session_close(session, reason);
		return;
	}
	wheel_set(&flow->wheel, timer, deadline);
	relay_watch(&session->relays[SIDE_CLIENT]);
	relay_watch(&session->relays[SIDE_SERVER]);
}

void session_start(struct flow *flow, struct acceptor *acceptor, struct session *session, int fd)
{
	uint64_t now = flow_now_ms(flow);

	*session = (struct session){ .flow = flow,
				     .acceptor = acceptor,
				     .id = flow->next_id++,
				     .started_ms = now,
				     .active_ms = { now, now },
				     .first_end = -1 };
	list_init(&session->link);
	list_init(&session->dial);
	list_init(&session->kept);
	wire_init(&session->client, flow, SIDE_CLIENT, fd);
	relay_init(&session->relays[SIDE_CLIENT], SIDE_CLIENT);
	relay_init(&session->relays[SIDE_SERVER], SIDE_SERVER);
	timer_init(&session->timer, on_timer);
	session->http = acceptor->listener->mode == MODE_HTTP;
	session->upstream = session->http ? NULL : acceptor->listener->upstream;
	session->source_place = SOURCE_UNTRACKED;
	counter_add(&flow->stats.sessions_total, 1);
	counter_add(&flow->stats.sessions, 1);
	if (preface_is_expected(session))
		preface_begin(session);
	else
		session_let_in(session);
}
