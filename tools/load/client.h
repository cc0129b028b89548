/* SPDX-License-Identifier: MIT */
/*
 * client - one connection of the generator.
 *
 *             opener           connected
 *      CLOSED ------> CONNECT -----------> OPEN
 *        ^               |                  |
 *        |               v                  v       end, error, timeout, --reconnect, ..
 *        '------------ CLOSE <--------------'
 *
 * Requests in flight are a queue, oldest first: answers come in their order.
 *
 *      pending:  [ head .. tail )    intended_ns <= started_ns <= now
 *
 * What a request and an answer look like is the protocol's business (struct protocol).
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include "body_reader.h"
#include "frame.h"
#include "generator.h"
#include "peer.h"

enum client_state { CLIENT_CLOSED, CLIENT_CONNECT, CLIENT_OPEN, CLIENT_CLOSE };

/* How it behaves; all but GOOD are measured apart. */
enum manner { MANNER_GOOD, MANNER_SLOW_READ, MANNER_SLOW_WRITE, MANNER_HALF_CLOSE, MANNER_RESET };

struct pending {
	uint64_t intended_ns;
	uint64_t started_ns;
	uint64_t id;
	const struct request *request;
	uint8_t header[FRAME_HEADER]; /* of --verify and rr: sent from here */
};

struct protocol {
	/* The vector of one request, at most PROTOCOL_PARTS. */
	uint32_t (*parts)(struct client *client, struct pending *pending, struct iovec *parts);
	void (*data)(struct client *client, uint8_t *bytes, uint32_t count);
	/* The target finished. True: that was the end of the answer, and the client has closed. */
	bool (*end)(struct client *client);
	/* No requests: called when the connection stands, and after each send. May be NULL. */
	void (*stream)(struct client *client);
};
#define PROTOCOL_PARTS 5u

extern const struct protocol protocol_http, protocol_rr, protocol_stream, protocol_idle;

struct answer_reading {
	bool begun; /* bytes of the answer were seen */
	bool in_body;
	bool close;
	uint64_t bytes; /* rr without frames: so far */
	int status;
	struct frame_reader frames;
	uint32_t frames_seen;
	bool refused; /* --verify: no frame, and none is owed */
};

struct client {
	struct peer peer;
	struct list link; /* in generator->able or ->waiting */
	struct generator *generator;
	const struct protocol *protocol;
	const struct target *target;
	struct alarm alarm; /* timeout; the pause before connecting again */
	uint64_t number;
	enum client_state state;
	enum manner manner;
	uint32_t failures; /* in a row */
	uint32_t pending_head;
	uint32_t pending_tail;
	uint32_t pending_mask;
	struct pending *pending;
	uint64_t connect_ns; /* when connecting began */
	uint64_t able_ns;    /* since when it could take a request */
	uint64_t served;     /* requests on this connection */
	uint64_t life;       /* churn: how many it will serve */
	uint64_t sending_bytes;
	uint64_t sent_before; /* slow writers: of the vector */
	bool preface_due;   /* PROXY header */
	struct answer_reading answer;
	struct body_reader body; /* answer.in_body */
	uint8_t *spill; /* a head that came in pieces */
	uint32_t spill_bytes;
	char *preface;
	char *filled; /* requests made of templates, as many places as `pending` has */
	uint64_t stream_sent;   /* frames */
	uint64_t stream_seen;
	uint8_t (*stream_headers)[FRAME_HEADER];
};

void client_init(struct client *client, struct generator *generator, uint64_t number);
void client_deinit(struct client *client);

/* Begin to connect; for --mode crr in an open loop, with the request that was due then. */
void client_open(struct client *client);
/* Send as many requests as fit; intended_ns: of the first and, in a closed loop, of all. */
void client_request(struct client *client, uint64_t intended_ns, uint64_t now_ns);
void client_close(struct client *client, enum peer_ending ending);

static inline uint32_t client_in_flight(const struct client *client)
{
	return client->pending_tail - client->pending_head;
}
static inline struct pending *client_oldest(struct client *client)
{
	assert(client_in_flight(client) > 0);
	return &client->pending[client->pending_head & client->pending_mask];
}

/* --- for protocols --------------------------------------------------------------------------- */

/* The first byte of the oldest request's answer has come. */
void client_first_byte(struct client *client);
/* Its last one has. May close the connection: nothing may be done with it afterwards, if this
 * returns false. */
bool client_answered(struct client *client);
/* Count an error, give up what is in flight and close. error: positive errno, or 0 and a reason. */
void client_fail(struct client *client, enum fault_phase phase, int error, const char *reason);

#endif
