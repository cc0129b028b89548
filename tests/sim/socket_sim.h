/* SPDX-License-Identifier: MIT */
/*
 * socket_sim - virtual sockets and the connections between them and the peers.
 *
 *       peer                      conn                        sock
 *      conn_write() ------------> in ----------------> receive request
 *      conn_read()  <------------ out <---------------- send request
 *      conn_finish(), conn_reset()          ring_socket_finish(), _abort(), _close()
 *
 * What is checked here, whatever the engine does:
 *
 *   (1) A FIN is passed on only when the peer of the other connection has sent one, the engine has
 *       received it, and every byte before it was sent on; and nothing is sent behind it.
 *   (2) What is sent on one connection is what the other's peer wrote, from the first byte.
 *   (3) A descriptor is closed once, with no request on it, and not used afterwards.
 *   (4) What a session has received and not yet sent never exceeds the window by more than a slice.
 *
 * A session of HTTP changes what it passes on and has several connections to servers in its life,
 * so its connections have no pair: the bytes themselves are kept, its peers read them strictly
 * (http_sim.h), and of the above only (3) is checked here.
 *
 * A reset leaves an error on the socket that is reported once, by whichever request asks first; a
 * receive that asks second is told of an end. That is what Linux does, and it is the reason why an
 * end alone does not prove that a stream is complete.
 */
#ifndef SIM_SOCKET_SIM_H
#define SIM_SOCKET_SIM_H

#include "net/addr.h"
#include "world.h"

struct conf_listener;
struct origin;

struct bytes {
	uint8_t *at;
	uint64_t count;
	uint64_t room;
};

struct pipe {
	struct bytes kept; /* of HTTP: all of them; those beyond `written` are yet to be written */
	uint64_t written;
	uint64_t read;
	uint32_t capacity;
	bool finished; /* nothing is written any more */
};

/* What goes in front of a connection's own bytes (front.h). */
struct front {
	struct bytes bytes; /* from a client: all of it. To a server: what has come */
	uint64_t written;
	uint64_t read;
	uint32_t piece_max; /* bytes that are written at a time */
	bool is_cut;        /* the client finishes behind these bytes */
	bool is_due;        /* to a server: it has not come in whole yet */
	int version;        /* enum conf_send_proxy */
};

/* Why a client must reach no server. */
enum bar { BAR_NONE, BAR_HEADER, BAR_ACCESS };

struct conn {
	struct list node; /* in world->conns */
	uint64_t key;     /* of the content that the peer writes */
	struct peer *peer;
	struct sock *sock; /* the proxy's end; NULL while in the backlog and after close */
	struct conn *pair; /* the other connection of the session, once both stand */
	struct pipe in;    /* peer to proxy */
	struct pipe out;   /* proxy to peer */
	struct front in_front;
	struct front out_front;
	/* Of a client: its socket's two ends, and who it is. Of a server's connection: what the
	 * header that comes to it must name. */
	struct addr address;
	struct addr local;
	struct addr source;
	const struct conf_listener *listener; /* of a client */
	struct origin *origin;                /* of a session's connection to a server */
	const struct origin *dialled;         /* for a client, last */
	uint64_t dialled_ns;                  /* when */
	uint64_t aborted_ns;                  /* by the engine */
	enum bar bar;
	bool is_check; /* a health check of the engine's */
	bool reached;  /* something of this client's was to reach a server */
	uint64_t sent_home; /* bytes of out in sends that the engine was told of */
	bool from_client;
	bool tcp;
	bool http;
	bool accepted;    /* the engine was given its descriptor */
	bool end_read;    /* the engine was told that the peer finished */
	bool peer_reset;  /* the peer sent a reset */
	bool peer_closed; /* the peer reads no more: what is sent to it is answered by a reset */
	bool proxy_reset; /* the engine sent a reset */
	bool proxy_aborted;
	bool proxy_closed;
	bool broken;      /* by the world, out of nowhere */
	bool unserved;    /* was in the backlog of a listening socket that was closed */
};

struct sock {
	struct list node; /* in world->socks */
	int fd;           /* -1: closed */
	bool listening;
	bool tcp;
	bool http;     /* listening: its clients speak it */
	const struct conf_listener *conf; /* listening */
	bool finished; /* the engine sends no more */
	bool stopped;
	bool aborted;
	int error;     /* reported once */
	struct conn *conn;
	uint32_t ops_away; /* requests whose last completion was not delivered yet */
	/* requests that wait for something here */
	struct request *recv;
	struct request *send;
	struct request *accept;
	struct request *connect;
	/* a listening socket's backlog, oldest first */
	struct conn **backlog;
	uint32_t backlog_max;
	uint32_t backlog_count;
};

struct sock *sock_open(bool tcp);
/* The open socket of a descriptor that the engine names. */
struct sock *sock_of(int fd);
struct sock *sock_listen(bool tcp, uint32_t backlog_max);
void sock_close(struct sock *sock);
/* Something changed that its requests may wait for. */
void sock_poke(struct sock *sock);

struct conn *conn_open(struct peer *peer, bool from_client, bool tcp, uint32_t capacity);
/* Into a backlog; false: it is full. */
bool conn_offer(struct conn *conn, struct sock *listener);
struct conn *backlog_take(struct sock *listener);
void conn_attach(struct conn *conn, struct sock *sock);

/* The peer's side. */
uint64_t conn_room(const struct conn *conn);
void conn_write(struct conn *conn, uint64_t bytes);
void conn_write_front(struct conn *conn, uint64_t bytes);
uint64_t conn_waiting(const struct conn *conn);
void conn_read(struct conn *conn, uint64_t bytes);
void conn_finish(struct conn *conn);
void conn_reset(struct conn *conn);
/* The network loses it: both ends see a reset. */
void conn_break(struct conn *conn);

/* The engine's side. */
void conn_received(struct conn *conn, uint64_t bytes);
/* Bytes that a send copies to the network: how many of them belonged to the front. */
uint64_t conn_send(struct conn *conn, const uint8_t *bytes, uint64_t count);
/* The memory of a zero-copy send, before it is given back. */
void conn_check_sent(const struct conn *conn, uint64_t offset, const uint8_t *bytes,
                     uint64_t count);

void bytes_add(struct bytes *bytes, const void *from, uint64_t count);
/* What the peer wrote, from the first byte that the engine has not received. */
void conn_fill(const struct conn *conn, uint8_t *bytes, uint64_t count);

static inline uint64_t pipe_used(const struct pipe *pipe)
{
	return pipe->written - pipe->read;
}

static inline uint64_t pipe_room(const struct pipe *pipe)
{
	return pipe->capacity - pipe_used(pipe);
}

/* The peer finished; what it did after the engine had been told does not matter. */
static inline bool conn_has_ended(const struct conn *conn)
{
	return conn->in.finished && (conn->end_read || !conn->peer_reset);
}

/* What the engine could receive. */
static inline uint64_t conn_unread(const struct conn *conn)
{
	return conn->in_front.written - conn->in_front.read + pipe_used(&conn->in);
}

#endif
