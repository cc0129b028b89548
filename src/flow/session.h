/* SPDX-License-Identifier: MIT */
/*
 * session - one client, the server chosen for it, and a relay for each direction.
 *
 *            accept.c              connect.c                close.c
 *     FREE -----------> CONNECT -----------> RELAY ----------------.
 *      ^ |                 |                                       v
 *      | | mode = http     '-----------------------------------> CLOSE
 *      | |                                                         ^ |
 *      | v     route, dial or take from the pool     sent in whole | |
 *      | HEAD ---------> CONNECT ---> RELAY -------.               | |
 *      |  ^ |                |           |         |-- LINGER -----' |
 *      |  | '--> ANSWER <----'-----------'         |                 |
 *      |  |        '-------------------------------|                 |
 *      |  '---- the next request ------------------'                 |
 *      '------------------- session_op_home(): every op is home -----'
 *
 *   FREE     owns nothing; no op is away.
 *   CONNECT  owns the client's descriptor, and the server's while a try is under way. The client's
 *            bytes are received already, up to the window.
 *            Leaves by: connected | every server tried | client reset | cut.
 *   RELAY    owns both descriptors; both relays run.
 *            Leaves by: both ends seen and passed on | reset | timeout | cut.
 *            mode = http: one exchange is under way. The server's connection goes back to its pool
 *            as soon as the response has come in, before the client has taken all of it.
 *   PREFACE  a header of the PROXY protocol is expected (client.c); then HEAD or CONNECT.
 *   HEAD     (http) waits for a request, or for the rest of its head. No server.
 *   ANSWER   (http) an answer of our own is on its way. No server.
 *   LINGER   (http) the last answer is out and our end is closed; what the client still sends is
 *            dropped, so that it can read the answer before it sees a reset (RFC 9112 9.6).
 *   CLOSE    the reason is set, no socket takes or gives bytes; waits for the last op.
 *
 * session_move() is the only writer of the state, session_close() the only way into CLOSE.
 */
#ifndef FLOW_SESSION_H
#define FLOW_SESSION_H

#include "base/list.h"
#include "base/wheel.h"
#include "flow/flow.h"
#include "pool.h"
#include "relay.h"

enum session_state {
	SESSION_FREE,
	SESSION_PREFACE,
	SESSION_HEAD,
	SESSION_CONNECT,
	SESSION_RELAY,
	SESSION_ANSWER,
	SESSION_LINGER,
	SESSION_CLOSE,
	SESSION_STATE_COUNT,
};

extern const char *const session_state_names[SESSION_STATE_COUNT];

struct acceptor;

/* What a TCP session costs while nothing happens is this, a server_conn and two links in slabs, and
 * there are as many as max_sessions. So what only a request needs stands in its exchange, what only
 * a stream needs with its pipe, what only a server's socket needs in its server_conn; and what is
 * used most stands together, in front. */
struct session {
	struct relay relays[SIDE_COUNT]; /* [SIDE_CLIENT] carries what the client sends */
	struct wire client;
	struct server_conn *conn; /* NULL: none */
	struct flow *flow;
	struct exchange *exchange; /* mode = http, while one is under way */
	struct acceptor *acceptor;
	struct server *server;
	uint64_t active_ms[SIDE_COUNT]; /* when bytes last came from or went to that side */
	uint32_t source_place;          /* in the table of sources */
	uint32_t shelf;       /* http: an unfinished head, by its index in a slab (http_shelf.c) */
	uint16_t shelf_len;   /* bytes of it; 0: there is none */
	uint16_t head_seen;   /* http: bytes of an unfinished head that were looked at */
	uint16_t head_parsed; /* and that were parsed */
	uint16_t client_port;
	uint8_t state;
	uint8_t reason;
	uint8_t last_reason; /* http: why it will close when the answer is out; 0: it will not */
	uint8_t gave_up;     /* why no further server is tried; 0: they are */
	uint8_t tries;       /* servers that were dialled: `retries` is 10 at most */
	int8_t first_end;    /* the side that finished first, or -1 */
	bool http : 1;       /* requests and responses, not (or not any more) plain bytes */
	bool client_known : 1;
	bool client_is_inet : 1;
	bool queued : 1;   /* waits for a place at a server */
	bool dropping : 1; /* the server is given up; a send to it is still away */
	bool served : 1;   /* http: a request was answered before */
	uint8_t epoch;     /* the server's when it was chosen, its lower bits */
	const struct conf_upstream *upstream; /* of the present request; NULL: none */
	struct list link;                     /* in flow->sessions[state] */
	struct list dial; /* in flow->fresh, flow->to_dial or a queue while a connect is due */
	struct list kept; /* pool = client: connections for the next request */
	struct timer timer;
	uint64_t id;
	uint64_t started_ms;
	/* When what the session waits for began: a place at a server (queued); http: the head, the
	 * answer or the lingering; after a reset (relay->was_reset): the end. One at a time: a
	 * reset comes from a client, which then waits for nothing else, or from a server, and the
	 * head is over by then and the lingering has not begun. */
	uint64_t phase_ms;
	uint8_t client_in6[16]; /* once client_known */
};
static_assert(sizeof(struct session) <= 448, "seven lines of the cache: slabs are made of lines");

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

/* For logs: the server's label; when another address has its place since then, the place's name. */
const char *session_server_text(const struct session *session);

static inline struct session *session_of_relay(const struct relay *relay)
{
	/* A choice costs less than relay - relay->side, which would multiply. */
	static_assert(SIDE_COUNT == 2, "the client's relay, and the server's behind it");
	return container_of(relay->side == SIDE_CLIENT ? relay : relay - 1, struct session, relays);
}

/* Who uses a wire, or NULL. */
static inline struct session *wire_session(struct wire *wire)
{
	return wire->side == SIDE_CLIENT ? container_of(wire, struct session, client) :
					   container_of(wire, struct server_conn, wire)->session;
}

/* NULL: nobody to receive from (yet). */
static inline struct wire *session_wire(struct session *session, enum side side)
{
	if (side == SIDE_CLIENT)
		return &session->client;
	return session->conn != NULL ? &session->conn->wire : NULL;
}

static inline struct wire *relay_source(const struct relay *relay)
{
	return session_wire(session_of_relay(relay), (enum side)relay->side);
}

/* The descriptor of a side, -1: none. */
static inline int session_fd(const struct session *session, enum side side)
{
	if (side == SIDE_CLIENT)
		return session->client.fd;
	return session->conn != NULL ? session->conn->wire.fd : -1;
}

static inline bool session_connecting(const struct session *session)
{
	return session->conn != NULL && session->conn->connect.away;
}

static inline bool relay_receiving(const struct relay *relay)
{
	const struct wire *source = relay_source(relay);

	return source != NULL && source->recv.away;
}

static inline bool relay_home(const struct relay *relay)
{
	return !relay_receiving(relay) && !relay->send.away;
}

/* client.c */
/* The client is who it is: let it in, or close. May free the session. */
void session_let_in(struct session *session);
/* The session is over: its source has one fewer. */
void session_client_gone(struct session *session);
bool preface_is_expected(struct session *session);
void preface_begin(struct session *session);
void preface_flush(struct session *session);
uint64_t preface_deadline_ms(const struct session *session);
/* The header for a new connection to a server, if it is to have one. */
void preface_write(struct session *session);
struct addr;
/* For balancing by source: of its address, without the port. */
uint64_t session_client_hash(struct session *session);
void session_client_addr(struct session *session, struct addr *addr);
/* Is the client in one of these blocks? */
struct cidr;
bool session_client_in(struct session *session, const struct cidr *blocks, uint32_t count);
/* The client's address without a port; "unix" for a unix socket. Returns text. */
#define SESSION_CLIENT_TEXT_MAX 64
const char *session_client_text(struct session *session, char text[SESSION_CLIENT_TEXT_MAX]);

/* access_log.c */
void session_log(struct session *session);

/* connect.c */
void session_dial_later(struct session *session, bool after_receive);
void session_dial(struct session *session);
/* The first of a queue: false when there is no place for it yet. May free the session. */
bool session_dial_queued(struct session *session);
void on_connect(struct op *op, int result, uint32_t flags);

#endif
