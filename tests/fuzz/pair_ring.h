/* SPDX-License-Identifier: MIT */
/*
 * pair_ring - a ring and its sockets, as small as the target `pair` allows: no kernel, no clock, no
 * chance. Nothing happens but what the target says, and all of it at pair_ring_turn().
 *
 * A socket keeps all that its peer sent and all that its peer got; pair_check.c reads both when all
 * is over.
 */
#ifndef PAIR_RING_H
#define PAIR_RING_H

#include "ring/ring.h"

#define PAIR_SOCKS_MAX 40u
#define PAIR_MARKS_MAX 600u
#define PAIR_BYTES_MAX (256u << 10) /* that a peer sends */

enum pair_kind { PAIR_LISTENER, PAIR_CLIENT, PAIR_SERVER };

enum pair_request_kind { PAIR_RECV, PAIR_WATCH, PAIR_SEND, PAIR_CONNECT, PAIR_ACCEPT };

struct pair_bytes {
	uint8_t *at;
	uint32_t len;
	uint32_t room;
};

/* A send of the proxy's: where its bytes begin, and what the peer had sent by then. */
struct pair_mark {
	uint32_t out_at;
	uint32_t in_len;
};

/* What is away on a socket; op = NULL: nothing. */
struct pair_request {
	struct op *op;
	enum pair_request_kind kind;
	bool many;
	bool cancelled;
	bool linked; /* a send that waits for its connect */
	uint16_t group;
	uint32_t limit; /* receive: bytes still allowed */
	uint32_t count;
	uint32_t total;
	uint32_t sent;
	struct iovec parts[RING_VECTOR_MAX];
};

struct pair_sock {
	enum pair_kind kind;
	bool waiting; /* a client that is not accepted */
	bool open;    /* the proxy has the descriptor */
	bool connected;
	uint32_t away; /* requests, until their last completion is delivered */

	/* The peer's doing. */
	struct pair_bytes in;
	uint32_t in_read;
	bool in_ended;
	bool peer_reset;
	int error; /* not yet reported */
	bool held; /* takes no more than `room` */
	uint32_t room;

	/* The proxy's doing. */
	struct pair_bytes out;
	struct pair_mark marks[PAIR_MARKS_MAX];
	uint32_t marks_count;
	bool finished; /* the peer saw an end */
	bool stopped;
	bool aborted; /* the peer saw a reset */

	struct pair_request recv, send, connect, accept;
};

struct pair_buffer {
	uint8_t *address;
	uint32_t bytes;
	uint16_t id;
};

struct pair_group {
	struct pair_buffer buffers[1024];
	uint32_t head;
	uint32_t count;
};

struct pair_completion {
	struct pair_sock *sock;
	struct op *op;
	int result;
	uint32_t flags;
};

#define PAIR_COMPLETIONS_MAX 2048u

struct ring {
	struct ring_features features;
	uint64_t now_ns;
	bool backwards;     /* completions of later sockets come first */
	bool send_eats;     /* a send that is cut uses up the socket's error */
	uint32_t refusals;  /* connects that will be refused */
	uint32_t deadlines; /* connects that will take too long */
	bool held;          /* servers to come: as in struct pair_sock */
	uint32_t room;
	struct pair_group groups[RING_GROUPS];
	struct pair_completion completions[PAIR_COMPLETIONS_MAX];
	uint32_t completions_count;
	struct pair_sock socks[PAIR_SOCKS_MAX];
	uint32_t socks_count;
	struct pair_sock *served; /* the server that the proxy sent to last */
};

/* There is one. */
extern struct ring pair_ring;

/* No sockets, no time. */
void pair_ring_reset(void);
void pair_ring_free(void);
int pair_listen(void);
/* A client that waits to be accepted; NULL: there are too many sockets. */
struct pair_sock *pair_client(void);
/* The peer sends. */
void pair_sends(struct pair_sock *sock, const uint8_t *bytes, uint32_t len);
void pair_ends(struct pair_sock *sock);
void pair_resets(struct pair_sock *sock);
/* Submit, and deliver what completes at once; the number of completions. */
uint32_t pair_ring_turn(void);

#endif
