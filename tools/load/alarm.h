/* SPDX-License-Identifier: MIT */
/*
 * alarm - timers of nanosecond deadlines, soonest first.
 *
 * A binary heap of pointers; each alarm knows its place, so that it can be moved or stopped:
 *
 *               [1] soonest                alarm->place is its index; 0 means: not set.
 *              /           \
 *           [2]             [3]            at(parent) <= at(child), always
 *          /   \           /
 *
 * The proxy's wheel rounds to milliseconds, which is right for time limits; here percentiles are
 * checked against the delays that were asked for, so the deadline itself is kept.
 */
#ifndef LOAD_ALARM_H
#define LOAD_ALARM_H

#include <stdint.h>

#include "base/assert.h"

struct alarm {
	uint64_t at_ns;
	uint32_t place;
	void (*fire)(struct alarm *alarm);
};

struct alarms {
	struct alarm **heap; /* from 1 */
	uint32_t count;
	uint32_t room;
};

void alarms_init(struct alarms *alarms);
void alarms_deinit(struct alarms *alarms);

void alarm_init(struct alarm *alarm, void (*fire)(struct alarm *alarm));
static inline bool alarm_is_set(const struct alarm *alarm)
{
	return alarm->place != 0;
}
/* Set, or move. */
void alarm_set(struct alarms *alarms, struct alarm *alarm, uint64_t at_ns);
/* Harmless when it is not set. */
void alarm_stop(struct alarms *alarms, struct alarm *alarm);

/* When the soonest is due, or UINT64_MAX. */
static inline uint64_t alarms_next_ns(const struct alarms *alarms)
{
	return alarms->count > 0 ? alarms->heap[1]->at_ns : UINT64_MAX;
}
/* Fire what is due; an alarm is stopped before its fire function runs. */
void alarms_fire(struct alarms *alarms, uint64_t now_ns);

#endif
