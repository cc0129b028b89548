/* SPDX-License-Identifier: MIT */
/*
 * op - one outstanding request, embedded in whatever owns it.
 *
 * sqe->user_data is the address of the op, so submitting never allocates and a completion finds its
 * owner with container_of().
 *
 * An op is "away" from submit until its last completion - the one WITHOUT RING_MORE - is delivered
 * to done(). That one rule covers one-shot requests, multishot requests and the second completion
 * of a zero-copy send. A completion that the kernel posted but whose handler has not run yet still
 * counts as away, so an earlier handler of the same batch cannot recycle the owner under a later
 * one. `away` is already false when done() runs for the last completion.
 *
 * An owner must not be recycled while one of its ops is away. Hence stale completions cannot exist
 * here, and no generation counter is needed.
 */
#ifndef RING_OP_H
#define RING_OP_H

#include <stdint.h>

#include "base/assert.h"

/* Completion flags; the values are those of IORING_CQE_F_*, asserted in src/ring/turn.c. */
#define RING_BUFFER (1u << 0)   /* a provided buffer was used: ring_buffer_id() */
#define RING_MORE (1u << 1)     /* the op stays away: more completions follow */
#define RING_NONEMPTY (1u << 2) /* after a receive: the socket holds more, or the end */
#define RING_NOTIF (1u << 3)    /* the second completion of a zero-copy send */

struct op {
	void (*done)(struct op *op, int result, uint32_t flags);
	bool away;
};

static inline void op_init(struct op *op, void (*done)(struct op *op, int result, uint32_t flags))
{
	op->done = done;
	op->away = false;
}

static inline uint16_t ring_buffer_id(uint32_t flags)
{
	assert(flags & RING_BUFFER);
	return (uint16_t)(flags >> 16);
}

/* In the result of a RING_NOTIF completion: the kernel copied after all. */
#define RING_NOTIF_COPIED (1u << 31)

#endif
