/* SPDX-License-Identifier: MIT */
/*
 * pool - connections to servers, and those that wait for their next request.
 *
 *        dial (connect.c)                 a session's last request is answered, and nothing about
 *              |                          the connection is uncertain
 *              v                                        |
 *           IN USE  --------------------------------> IDLE
 *           (by conn->session) <---------------------  |   newest first, looked at before use
 *              |                                       |
 *              |  close, error, doubt                  |  the server ended it or said something,
 *              v                                       v  it is too old, there are too many
 *           CLOSING: its receive is asked to end; freed when that is home
 *
 * While a connection is idle its receive stays armed: whatever comes then belongs to no request, so
 * the connection is closed and the bytes are dropped. What comes in the same moment as the next
 * request is found by looking at the socket just before it is used (pool_take()).
 *
 *   pool = worker   idle connections of a server are one list per worker
 *   pool = client   they wait in the list of their session, for its next request, and end with it
 *   pool = shared   one list for all workers, behind a lock. An op belongs to one ring, so these
 *                   have no receive armed; they are looked at when taken, and once a second
 *   pool = off      every request has its own
 */
#ifndef FLOW_POOL_H
#define FLOW_POOL_H

#include "base/list.h"
#include "net/proxy_header.h"
#include "upstream/upstream.h"
#include "wire.h"

struct flow_shared;

enum server_conn_state { CONN_IN_USE, CONN_IDLE, CONN_CLOSING, CONN_SHARED };

/* What goes to the server before everything else. Not in payload memory: where that is short it is
 * the sessions in front that free it, and they must not wait for it. */
struct preface {
	uint16_t start; /* bytes from here on are not sent yet */
	uint16_t len;
	uint8_t bytes[PROXY_HEADER_MAX];
};

#define PREFACE_NONE UINT32_MAX

/* pool = shared: the idle connections of one server, newest first. */
struct pool_set {
	struct list conns;
	uint32_t count;
};

struct server_conn {
	struct wire wire;
	struct session *session; /* IN USE: whose; else NULL */
	struct op connect;       /* not in the session: an idle client of HTTP has no server */
	struct list link; /* IDLE, SHARED: in the server's, the session's or the set's list */
	struct list age;  /* IDLE: in flow->idle, newest first */
	struct server *server;
	uint64_t idle_ms; /* IDLE, SHARED: since when */
	uint32_t requests;
	bool counted;     /* in server_sessions */
	bool placed;      /* it has a place at its server, as upstream_choose() gave it */
	uint16_t epoch;   /* the server's when it was dialled */
	uint32_t preface; /* in flow_shared's prefaces, or PREFACE_NONE */
	uint8_t state;
};
static_assert(sizeof(struct server_conn) <= 128, "two lines of the cache: slabs are made of lines");

/* For a socket that is about to be connected. NULL: the limit of connections is reached even after
 * idle ones were given up. */
struct server_conn *server_conn_open(struct session *session, struct server *server, int fd);
/* Bytes of the preface that are not sent; 0 also without a connection. */
uint32_t server_conn_preface(const struct server_conn *conn);
/* So many bytes were sent; how many of them were of the preface. */
uint32_t server_conn_preface_sent(struct server_conn *conn, uint32_t bytes);
/* An empty one, to be filled in. */
struct preface *server_conn_preface_take(struct server_conn *conn);
struct preface *server_conn_preface_of(const struct server_conn *conn);
/* The server has one session fewer. */
void server_conn_uncount(struct server_conn *conn);
/* At once; no op of it is away. */
void server_conn_close(struct server_conn *conn);
/* Its receive completed while no session used it. */
void server_conn_heard(struct server_conn *conn);

/* The session lets go of its connection, on which no send is away: to be used again, or not. */
void pool_give(struct session *session, bool reusable);
/* Attach an idle connection to the session. False when there is none that is as it should be. */
bool pool_take(struct session *session, struct server *server);
/* The server went down: nothing that waits for a request is of use. */
void pool_abandon(struct flow *flow, const struct server *server);
/* The session ends: what it kept is closed. */
void pool_forget(struct session *session);

/* The memory is the caller's. Closing ends what is in them. */
void pool_sets_open(struct flow_shared *shared);
void pool_sets_close(struct flow_shared *shared);
void pools_open(struct flow *flow);
/* Close what is idle; for draining. */
void pools_drain(struct flow *flow);

#endif
