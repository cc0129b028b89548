/* SPDX-License-Identifier: MIT */
/*
 * session - one client, the server chosen for it, and a relay for each direction.
 *
 *            accept.c              connect.c                close.c
 *     FREE -----------> CONNECT -----------> RELAY ----------------.
 *      ^                   |                                       v
 *      |                   '-----------------------------------> CLOSE
 *      '------------------- session_op_home(): every op is home ----'
 *
 *   FREE     owns nothing; no op is away.
 *   CONNECT  owns the client's descriptor, and the server's while a try is under way. The client's
 *            bytes are received already, up to the window.
 *            Leaves by: connected | every server tried | client reset | cut.
 *   RELAY    owns both descriptors; both relays run.
 *            Leaves by: both ends seen and passed on | reset | timeout | cut.
 *   CLOSE    the reason is set, no socket takes or gives bytes; waits for the last op.
 *
 * session_move() is the only writer of the state, session_close() the only way into CLOSE.
 */
#ifndef FLOW_SESSION_H
#define FLOW_SESSION_H

#include "base/list.h"
#include "base/wheel.h"
#include "flow/flow.h"
#include "relay.h"

enum session_state {
	SESSION_FREE,
	SESSION_CONNECT,
	SESSION_RELAY,
	SESSION_CLOSE,
	SESSION_STATE_COUNT,
};

extern const char *const session_state_names[SESSION_STATE_COUNT];

struct acceptor;

struct session {
	struct list link; /* in flow->sessions[state] */
	struct list dial; /* in flow->fresh or flow->to_dial while a connect is due */
	struct relay relays[SIDE_COUNT]; /* [SIDE_CLIENT] carries what the client sends */
	struct op connect;
	struct timer timer;
	struct flow *flow;
	struct acceptor *acceptor;
	struct server *server;
	int fds[SIDE_COUNT]; /* -1: none */
	uint64_t id;
	uint64_t started_ms;
	uint64_t active_ms[SIDE_COUNT]; /* when bytes last came from or went to that side */
	uint64_t reset_ms;              /* when a side reset the connection; 0: none has */
	uint32_t tries;
	uint8_t state;
	uint8_t reason;
	int8_t first_end; /* the side that finished first, or -1 */
};

/* A new session for an accepted client. The caller has counted it against the limits. */
void session_start(struct flow *flow, struct acceptor *acceptor, struct session *session, int fd);

void session_move(struct session *session, enum session_state next);
void session_check(const struct session *session);

/* Ask for the end. Safe to call twice: both directions often fail in one batch, and the first
 * reason is the true one. May free the session: always a handler's last statement. */
void session_close(struct session *session, enum close_reason reason);
/* Every handler that finds its session closing ends here. */
void session_op_home(struct session *session);

/* What an idle session waits for: when it would be closed, and why. */
uint64_t session_deadline_ms(const struct session *session, enum close_reason *reason);
/* The deadline may have moved closer (a side finished): look again. */
void session_retime(struct session *session);
/* A direction is stuck: if it still is in a while, watch its source. */
void session_look_soon(struct session *session);

static inline struct session *session_of_relay(struct relay *relay)
{
	return container_of(relay - relay->side, struct session, relays);
}

/* connect.c */
void session_dial_later(struct session *session, bool after_receive);
void session_dial(struct session *session);
void on_connect(struct op *op, int result, uint32_t flags);

#endif
