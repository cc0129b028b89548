/* SPDX-License-Identifier: MIT */
/*
 * peer - one connection as both ends of this tool see it: a descriptor, at most one receive and one
 * send away, and an orderly end. Embedded in what owns it.
 *
 *      peer_connect() --> connected()            client side
 *      peer_start()                              server side: an accepted descriptor
 *             |
 *             v
 *      peer_receive() --> data() .. data() --> end()       the peer finished, or broke
 *      peer_send()    --> sent()                           one at a time
 *             |
 *      peer_stop()    --> closed()               when every op is home and the descriptor closed
 *
 * Rules:
 *   (1) After peer_stop() only closed() is called; the owner must not be reused before it.
 *   (2) Any of these functions may be called from any event; closed() never runs inside another
 *       event of the same peer, but may run inside peer_stop() when no event is running.
 */
#ifndef LOAD_PEER_H
#define LOAD_PEER_H

#include "engine.h"

struct peer;

struct peer_events {
	void (*connected)(struct peer *peer, int result); /* 0 or a negative errno */
	/* The bytes are the engine's again when this returns, unless kept (peer_keep_buffer). */
	void (*data)(struct peer *peer, uint8_t *bytes, uint32_t count);
	void (*end)(struct peer *peer, int error);   /* 0: finished; else a negative errno */
	void (*sent)(struct peer *peer, int result); /* bytes, or a negative errno */
	void (*closed)(struct peer *peer);
};

enum peer_ending { PEER_END_CLOSE, PEER_END_RESET };

struct peer {
	struct op recv_op; /* connect, then receives */
	struct op send_op;
	struct engine *engine;
	const struct peer_events *events;
	struct list starved; /* in engine->starved */
	int fd;              /* -1: none */
	uint32_t receive_bytes; /* the credit of one arming */
	uint16_t buffer_id;     /* of the data() that runs now */
	bool many;      /* arm for many receives */
	bool receiving; /* arm again when the credit is used up */
	bool ended;     /* no more will come */
	bool stopping;
	bool in_event;
};

void peer_init(struct peer *peer, struct engine *engine, const struct peer_events *events);

/* Takes the descriptor over. */
void peer_start(struct peer *peer, int fd);
void peer_connect(struct peer *peer, int fd, const struct sockaddr *address, socklen_t len,
                  uint64_t timeout_ns);

/* How receives are armed: `credit` bytes at a time; many: in one arming. */
void peer_set_credit(struct peer *peer, uint32_t credit, bool many);
/* Receive from now on; harmless when it does already or no more can come. */
void peer_receive(struct peer *peer);
/* Do not arm again when the credit is used up. */
static inline void peer_pause(struct peer *peer)
{
	peer->receiving = false;
}
/* Inside data(): keep the buffer; returns its id for engine_give_back(). */
uint16_t peer_keep_buffer(struct peer *peer);

static inline bool peer_can_send(const struct peer *peer)
{
	return !peer->send_op.away && !peer->stopping;
}
void peer_send(struct peer *peer, const struct iovec *parts, uint32_t count);
/* No more will be sent. */
void peer_finish(struct peer *peer);
void peer_stop(struct peer *peer, enum peer_ending ending);

#endif
