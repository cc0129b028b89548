/* SPDX-License-Identifier: MIT */
/*
 * wheel - a hierarchical timer wheel: any number of timers, O(1) to set, move and stop.
 *
 *   level 0    64 slots of   1 tick          one tick is WHEEL_TICK_MS milliseconds
 *   level 1    64 slots of  64 ticks         timers of a slot move down a level when the wheel
 *   level 2    64 slots of 4,096 ticks       reaches it
 *   level 3    64 slots of 262,144 ticks     (16,777,216 ticks: over 37 hours)
 *
 * A deadline that is farther away waits in the farthest slot, and is placed again from there.
 *
 * Invariants:
 *   (1) A timer is set exactly when its node is linked, and then it is in one slot, or among those
 *       that the wheel_advance() at work is about to fire.
 *   (2) A timer never fires before its deadline, and at most one tick after it, provided
 *       wheel_advance() is called by then.
 *   (3) A timer is stopped before its fire function runs, which may set it again.
 *
 * A session sets its timer once and, when it fires early because the session was active since,
 * sets it again for the rest: activity itself costs nothing (see flow/session.c).
 *
 * Not thread safe: one wheel per worker.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

#define WHEEL_TICK_MS 8u
#define WHEEL_LEVELS 4
#define WHEEL_SLOTS 64

struct timer {
	struct list node;
	uint64_t deadline_ms; /* absolute, on the clock given to wheel_advance() */
	void (*fire)(struct timer *timer);
};

struct wheel {
	uint64_t now_tick;
	uint64_t occupied[WHEEL_LEVELS]; /* bit per slot that may hold timers; 0: it holds none */
	uint32_t timers_count;
	struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
static inline bool timer_is_set(const struct timer *timer)
{
	return list_linked(&timer->node);
}

/* Set, or move, a timer. A deadline in the past fires at the next wheel_advance(). */
void wheel_set(struct wheel *wheel, struct timer *timer, uint64_t deadline_ms);

/* Stop a timer; harmless when it is not set. */
void wheel_stop(struct wheel *wheel, struct timer *timer);

/* Fire all that is due at now_ms, which never goes back. Returns how many fired. */
uint32_t wheel_advance(struct wheel *wheel, uint64_t now_ms);

/* Earliest time at which wheel_advance() has work (a lower bound: a slot that moves down a level
 * counts), or UINT64_MAX when no timer is set. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
