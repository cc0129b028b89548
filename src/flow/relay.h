/* SPDX-License-Identifier: MIT */
/*
 * relay - carry bytes one way, from one socket (the source) to the other (the target).
 *
 *      source --recv--> [ oldest | .. | newest ] --send--> target
 *                        \___ at most window bytes ___/
 *
 * A session runs two of them, which share nothing but the session; relay.c never asks which one it
 * serves, only which side is its source.
 *
 *                        end of the source          queue empty: FIN passed on
 *        OPEN --------------------> ENDED ---------------------------> FINISHED
 *          |                          |
 *          | source reset             |                 queue empty: session_close()
 *          +------------> RESET ------+------------------------------------> ..
 *          |                          |
 *          '--------------------------+--> BROKEN   the target takes no more: what comes is
 *             sending failed                        dropped, nothing more is received
 *
 * A slice has exactly one owner at any moment:
 *
 *      buffer ring --(receive completes)--> relay --(send submitted)--> kernel
 *           ^                                                             |
 *           '-----------------(last completion of that send)--------------'
 *
 * Invariants, asserted by relay_check():
 *
 *   (1) At most one send is away. Two on one socket may complete short or out of order and tear the
 *       stream, so all that is queued is sent as one vector instead.
 *   (2) queued_bytes is the length of the queue. A receive is armed only against the room that the
 *       window leaves, and only up to that room (within one slice: see ring_recv()).
 *   (3) slices_count never exceeds window_slices by more than what one multishot receive delivers
 *       before its cancellation takes effect.
 *       The slices of a queue together hold at most twice the window (held_bytes), however
 *       little each of them was filled.
 *   (4) The target is half-closed only after the source's end was seen and the queue is empty.
 *   (5) A relay waits in the starved list only while no receive is away.
 *
 * (2) is all the flow control there is: when we stop receiving, the kernel's receive buffer fills,
 * TCP closes its window and the sender waits.
 *
 * Small slices and a multishot receive serve a direction that is interactive. When whole slices
 * keep coming it streams: one-shot receives of large slices that wait until the socket has
 * something (POLL_FIRST), so that each takes a lot. A stream that brings little becomes interactive
 * again.
 */
#ifndef FLOW_RELAY_H
#define FLOW_RELAY_H

#include "base/list.h"
#include "ring/op.h"
#include "slices.h"
#include "wire.h"

enum relay_state {
	RELAY_OPEN,
	RELAY_ENDED,
	RELAY_RESET,
	RELAY_BROKEN,
	RELAY_FINISHED,
	RELAY_STATE_COUNT,
};

#define PIPE_NONE UINT8_MAX

/* Every session has two: what only a few need for a while stands elsewhere (splice.h). */
struct relay {
	struct op send;
	struct list dirty;   /* in flow->dirty: flush me at the end of the turn */
	struct list starved; /* in flow->starved: no slice was free */
	uint64_t bytes;      /* received */
	uint32_t oldest;     /* slices, linked by next */
	uint32_t newest;
	uint32_t slices_count;
	uint32_t held_bytes; /* the capacity of these slices */
	uint32_t queued_bytes;
	uint32_t held_back;      /* at the end of the queue: not to be sent yet (http) */
	uint32_t sending_bytes;  /* of the send that is away */
	int32_t sent_result;     /* zero-copy: the result, kept until the memory is free */
	uint32_t piece;          /* bytes that a receive brings, smoothed */
	uint32_t streamed_bytes; /* since it began to stream, up to the need of splice.c */
	uint8_t side;            /* the source */
	uint8_t state;
	uint8_t pipe;        /* leased, so that the relay splices: its number; else PIPE_NONE */
	uint8_t full_streak; /* whole small slices in a row: is it a stream? */
	bool streaming : 1;
	bool sending_zero_copy : 1; /* the send that is away is */
	bool copy_only : 1;         /* the target cannot be sent to without copying */
	bool in_doubt : 1;  /* the last send was cut short: is the target gone? The next tells */
	bool lost : 1;      /* bytes were dropped for want of a target (http: of the next
			     * request too) */
	bool was_reset : 1; /* by its source, at session->phase_ms */
};

struct session;
struct flow;

#define RELAY_PIECE_GUESS 32 /* cautious, until the first receive tells */

void relay_init(struct relay *relay, enum side source);
/* The only writer of the state. */
void relay_move(struct relay *relay, enum relay_state next);
/* The other direction of the session. */
struct relay *relay_reverse(struct relay *relay);
void on_send(struct op *op, int result, uint32_t flags);

/* While the target is stuck nothing is received, and so a reset of the source would go unnoticed:
 * watch for it. Harmless when the relay is not stuck. */
void relay_watch(struct relay *relay);
/* The multishot receive that is away, if it is one, ends soon. */
void relay_stop_receiving(struct relay *relay);
void relay_stop_watching(struct relay *relay);
/* Flush at the end of this turn. */
void relay_mark(struct relay *relay);
/* Send what is queued, receive what there is room for, pass on an end. May close the session. */
void relay_flush(struct relay *relay);
/* Bytes came from the source: counters and times. */
void relay_count_in(struct session *session, struct relay *relay, uint32_t bytes);
/* The source gave 0 (its end) or a negative errno. */
void relay_source_over(struct relay *relay, int result);
/* The target takes no more. */
void relay_target_failed(struct relay *relay);
/* Append a slice; take away what the target has taken. */
void relay_enqueue(struct flow *flow, struct relay *relay, uint32_t index);
void relay_sent(struct flow *flow, struct relay *relay, uint32_t bytes);
/* Drop bytes from the front of the queue. */
void relay_dequeue(struct flow *flow, struct relay *relay, uint32_t bytes);
/* What could be sent now: bytes, and at most how many parts. */
uint32_t relay_ready_bytes(const struct relay *relay);
uint32_t relay_ready_parts(const struct relay *relay);
/* So many bytes are known to come: worth large slices from the beginning? */
void relay_expect(struct flow *flow, struct relay *relay, uint64_t bytes);
/* For the next exchange, over another connection. */
void relay_restart(struct relay *relay);
/* Receive what there is room for. */
void relay_flush_receive(struct session *session, struct relay *relay);
/* Send all that is queued; no send is away. */
void relay_send_queue(struct session *session, struct relay *relay);
/* The queue as a vector of at most RING_VECTOR_MAX parts, to be sent now; its length. */
uint32_t relay_begin_send(struct relay *relay, struct iovec parts[RING_VECTOR_MAX]);
/* Give back every slice of the queue. No send is away. */
void relay_drop_queue(struct relay *relay);
/* It waits for a free slice no more. */
void relay_unstarve(struct flow *flow, struct relay *relay);
void relay_check(struct relay *relay);

static inline enum side relay_target(const struct relay *relay)
{
	return relay->side == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
}

#endif
