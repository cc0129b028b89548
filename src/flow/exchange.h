/* SPDX-License-Identifier: MIT */
/*
 * exchange - one request and its response, while they are under way. A client that is idle between
 * requests has none.
 *
 *                  ways[SIDE_CLIENT]  the request, client to server
 *                  ways[SIDE_SERVER]  the response, server to client
 *
 *        HEAD ---> BODY ---> DONE       each way for itself: a response may be over before its
 *                                       request is
 *
 * What a relay may send is put together from three pieces, in this order:
 *
 *        [ parts: the edited head ] [ queue, but for its last held_back bytes ] [ tail of chunks ]
 *
 * There is one `parts`: the request's until the response begins, then the response's. The slice in
 * which the head was received is held until it is sent, and the request's also until the response
 * begins if it may have to be sent once more.
 */
#ifndef FLOW_EXCHANGE_H
#define FLOW_EXCHANGE_H

#include "conf/conf.h"
#include "http/chunk.h"
#include "http/edit.h"
#include "relay.h"

enum exchange_phase { WAY_HEAD, WAY_BODY, WAY_DONE };

#define EXCHANGE_TEXT_MAX 256u

struct exchange_way {
	uint64_t left;  /* framing = LENGTH: bytes to come */
	uint64_t bytes; /* of the body, as they came */
	uint8_t phase;
	uint8_t framing;
	bool tail; /* the last chunk is to be written */
	uint16_t tail_sent;
	struct http_chunk chunk;
};

struct exchange {
	struct exchange_way ways[SIDE_COUNT];
	struct http_parts parts;
	const struct conf_route *route; /* NULL: the listener's upstream */
	uint32_t parts_sent;            /* bytes */
	uint32_t head_slice;            /* held; SLICE_NONE: none */
	uint8_t parts_side;             /* the relay that sends parts; SIDE_COUNT: none */
	uint8_t method;
	uint8_t minor;   /* the client's HTTP/1.minor */
	bool persistent; /* the client's connection may go on afterwards */
	bool upgrade;    /* the server was asked to switch protocols */
	bool answered;   /* bytes of a response were handed to the client */
	bool reused;     /* the server's connection had served a request before */
	bool server_persistent;
	bool own;       /* the answer is ours */
	bool took_idle; /* the server's connection came from a pool */
	bool logged;
	uint16_t status;     /* 0: none yet */
	uint16_t method_len; /* in text[], for the access log: method, target, host */
	uint16_t target_len;
	uint16_t host_len;
	uint64_t began_ns; /* first byte of the head */
	uint64_t head_ns;  /* its end */
	uint64_t connected_ns;
	uint64_t first_byte_ns;
	uint64_t sent_bytes;      /* to the client, heads included */
	uint64_t body_mark_bytes; /* of the request's body, when its rate was last looked at */
	uint64_t body_mark_ms;
	char text[EXCHANGE_TEXT_MAX];
};

/* As before a message; the chunk state is made when it is needed. */
void exchange_way_reset(struct exchange_way *way);
/* There is one for every session. */
void exchange_open(struct session *session);
void exchange_close(struct session *session);
/* The parts are sent: their head is let go, unless it may be sent once more. */
void exchange_parts_out(struct session *session);
/* Memory is short and the server has spoken: the head of a request that is sent is let go. */
void exchange_request_out(struct session *session);
/* Is there nothing in the request that could not be sent a second time? */
bool exchange_is_repeatable(const struct exchange *exchange);
/* The memory of the head is needed no more. */
void exchange_drop_head(struct session *session);

/* Bytes that the relay could send now, beside its queue. */
uint32_t exchange_parts_left(const struct exchange *exchange, enum side side);
uint32_t exchange_tail_left(const struct exchange *exchange, enum side side);
/* Append what is left to a vector of `count` parts; the new count. */
uint32_t exchange_add_parts(const struct exchange *exchange, struct iovec *parts, uint32_t count);
uint32_t exchange_add_tail(const struct exchange *exchange, enum side side, struct iovec *parts,
			   uint32_t count);
#define EXCHANGE_TAIL_PARTS 3u

#endif
