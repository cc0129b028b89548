/* SPDX-License-Identifier: MIT */
/*
 * engine - one thread's ring with its receive buffers and alarms: what every part of this tool
 * stands on.
 *
 * Receive buffers, all of one size, are held in a stack; a shallow ring of them is given to the
 * kernel and topped up from the stack before each turn, so that few buffers are in use and stay in
 * the cache:
 *
 *      stack --(top up)--> kernel's ring --(receive)--> handler --(returns)--> stack
 *                                                          \
 *                                                           '--(engine_keep)--> a send
 *                                                    (engine_give_back) <----------'
 *
 * Who finds the ring empty (ENOBUFS) joins the starved list, which is served in order once buffers
 * are back. Nothing here is shared between threads.
 */
#ifndef LOAD_ENGINE_H
#define LOAD_ENGINE_H

#include <stdint.h>

#include "alarm.h"
#include "base/list.h"
#include "ring/ring.h"

struct engine_options {
	uint32_t buffer_bytes;
	uint32_t buffers_given; /* power of two: how many the kernel holds */
	uint32_t buffers_count; /* in all, up to 65,536; more than given only where some are kept */
};

struct engine {
	struct ring *ring;
	uint8_t *memory;
	uint64_t memory_bytes;
	uint16_t *stack;
	uint32_t stack_count;
	uint32_t given_count;
	struct engine_options options;
	struct alarms alarms;
	struct list starved; /* of struct peer */
	bool kept;           /* the handler that runs now keeps its buffer */
};

/* Returns 0 or a negative errno; open and run it on one thread. */
int engine_open(struct engine *engine, const struct engine_options *options);
void engine_close(struct engine *engine);

/* Submit, wait until something happens or deadline_ns (0: do not wait), deliver, fire alarms.
 * Returns a negative errno when the ring is beyond use. */
int engine_turn(struct engine *engine, uint64_t deadline_ns);
/* When the latest turn began to deliver. */
static inline uint64_t engine_now_ns(const struct engine *engine)
{
	return ring_now_ns(engine->ring);
}

/* A completion used buffer `id`: it left the kernel's ring. */
uint8_t *engine_take_buffer(struct engine *engine, uint16_t id);
void engine_give_back(struct engine *engine, uint16_t id);

#endif
