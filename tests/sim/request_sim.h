/* SPDX-License-Identifier: MIT */
/*
 * request_sim - one submitted operation, from its submission to its last completion.
 *
 *      request_issue()    the kernel sees it: completes at once, or waits in its socket's slot
 *      request_schedule() something changed: look again soon
 *      progress           as much as is possible now; then completes, or waits on
 */
#ifndef SIM_REQUEST_SIM_H
#define SIM_REQUEST_SIM_H

#include "ring/ring.h"
#include "world.h"

enum request_kind {
	REQUEST_ACCEPT,
	REQUEST_RECV,
	REQUEST_WATCH,
	REQUEST_SEND,
	REQUEST_CONNECT,
	REQUEST_CANCEL,
	REQUEST_POST,
	REQUEST_KIND_COUNT,
};

struct request {
	struct list node; /* prepared, or the ring's open ones */
	struct ring *ring;
	struct op *op; /* NULL: nobody is told */
	enum request_kind kind;
	int fd;
	struct sock *sock;
	bool many;
	bool poll_first;
	bool zero_copy;
	bool scheduled; /* an event will look at it soon */
	bool over;      /* its last completion is posted */
	bool delivered; /* .. and was delivered */
	bool cancelled;
	bool waits;     /* linked: the connect before it issues it */
	bool doomed;    /* linked behind a connect that failed: never issued */
	uint32_t events; /* that name it */
	bool of_check;   /* a connect or send of a health check's; else a session's */
	/* accept */
	uint64_t turn; /* of the ring, in which it took so many */
	uint32_t taken;
	/* receive */
	uint16_t group;
	uint32_t limit;
	/* send */
	struct iovec parts[RING_VECTOR_MAX];
	uint32_t parts_count;
	uint64_t total;
	uint64_t sent;
	uint64_t front;  /* of that, bytes in front of the stream (front.h) */
	uint64_t offset; /* in the connection's stream, of its first byte */
	bool reported; /* zero-copy: only the notification is still to come */
	int refusal;   /* zero-copy: fails with this */
	/* connect */
	struct request *linked;
	uint16_t port; /* the origin's number */
	int outcome;
	uint64_t due_ns;
	/* cancel, post */
	struct op *target;
	struct ring *target_ring;
	int value;
};

/* Where HTTP is spoken or PROXY headers are sent, and of checks, what is sent is not all payload
 * memory. */
static inline bool request_sends_anywhere(const struct request *request)
{
	return world->http || world->sends_headers || request->of_check;
}

void request_issue(struct request *request);
void request_schedule(struct request *request);
/* ring_sim.c: back to the pool, when no event names it any more. */
void request_recycle(struct request *request);

#endif
