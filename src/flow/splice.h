/* SPDX-License-Identifier: MIT */
/*
 * splice - carry a long stream through a pipe, so that its bytes never enter user memory.
 *
 *      source --splice--> [ pipe ] --splice--> target
 *
 * A relay that has streamed for SPLICE_AFTER_BYTES, whose queue is empty and which has no request
 * away, may lease a pipe from its worker's few. From then on its two ops are readiness polls:
 * `recv` waits for the source, `send` for the target, and never both. queued_bytes is what the pipe
 * holds.
 * A stream that brings little gives the pipe back and is received into slices again.
 *
 *   Invariants, asserted by relay_check():
 *   (1) A relay with a pipe has no slice.
 *   (2) A pipe is leased by at most one relay, and is empty when it is given back; one that is not
 *       (the session was cut) is replaced by a new one.
 */
#ifndef FLOW_SPLICE_H
#define FLOW_SPLICE_H

#include "base/list.h"
#include "flow/flow.h"
#include "relay.h"

struct flow;

#define PIPE_BYTES (1024u * 1024)
#define SPLICE_AFTER_BYTES (1024u * 1024)
/* One relay's turn: enough to be worth the wake-up, short enough for the others. */
#define SPLICE_TURN_BYTES (2u * 1024 * 1024)
#define SPLICE_LITTLE_BYTES (32u * 1024)
#define SPLICE_LITTLE_TIMES 8

/* A relay names its pipe by its number in flow->pipe_memory: of all sessions few have one, and all
 * would pay for a pointer. */
struct splice_pipe {
	struct list link; /* in flow->pipes while it is not leased */
	struct ring_pipe pipe;
	uint32_t turn_bytes; /* spliced in this turn */
};
static_assert(FLOW_PIPES_MAX < PIPE_NONE, "a pipe's number fits into a relay");

void pipes_open(struct flow *flow);
void pipes_close(struct flow *flow);

/* Should this relay lease a pipe, as soon as its queue is empty? */
bool splice_is_due(struct relay *relay);
void splice_begin(struct relay *relay);
/* Move what can be moved, then wait for the side that is in the way. Returns false when the relay
 * has given its pipe back and is an ordinary one again. */
bool splice_flush(struct relay *relay);
/* Give the pipe back, with or without bytes in it. */
void splice_end(struct relay *relay);

#endif
