/* SPDX-License-Identifier: MIT */
/*
 * arrival - when requests are meant to be sent: an endless, increasing sequence of times that does
 * not depend on any answer.
 *
 *      const      every gap is 1 / rate
 *      poisson    gaps are drawn from the exponential distribution of that mean
 *
 * The next time is drawn when the one before it is taken, so a backlog needs no memory: it is the
 * part of the sequence that lies in the past.
 */
#ifndef LOAD_ARRIVAL_H
#define LOAD_ARRIVAL_H

#include "draw.h"
#include "base/assert.h"

struct arrival {
	double next_ns; /* of the run's clock */
	double gap_ns;
	bool poisson;
	struct draw draw;
};

/* rate: per second, of this thread; first_ns: its first time. */
void arrival_init(struct arrival *arrival, double rate, bool poisson, double first_ns,
                  uint64_t seed, uint64_t stream);
static inline uint64_t arrival_next_ns(const struct arrival *arrival)
{
	return (uint64_t)arrival->next_ns;
}
/* Take the next time. */
uint64_t arrival_take(struct arrival *arrival);
/* How many lie before now. */
double arrival_backlog(const struct arrival *arrival, uint64_t now_ns);

#endif
