/* SPDX-License-Identifier: MIT */
/*
 * counter - numbers with one writer and any number of readers.
 *
 * Each worker owns its counters and is their only writer, so an increment is a plain load, add and
 * store; being relaxed atomics they are never torn under a reader's eyes. Sums over workers are
 * made by the reader.
 *
 * A layer's counters are rows of one table, `include/<layer>/<layer>_stats.def`:
 *
 *     STAT(name, "what it counts")       goes up only
 *     GAUGE(name, "what it measures")    goes up and down
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t value;
};

static inline uint64_t counter_read(const struct counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static inline void counter_set(struct counter *counter, uint64_t value)
{
	atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}

static inline void counter_add(struct counter *counter, uint64_t more)
{
	counter_set(counter, counter_read(counter) + more);
}

static inline void counter_sub(struct counter *counter, uint64_t less)
{
	counter_set(counter, counter_read(counter) - less);
}

static inline void counter_max(struct counter *counter, uint64_t value)
{
	if (value > counter_read(counter))
		counter_set(counter, value);
}

#endif
