/* SPDX-License-Identifier: MIT */
/*
 * arrival.c - the sequences of arrival.h.
 */
#include "arrival.h"

#include <math.h>

static double gap(struct arrival *arrival)
{
	if (!arrival->poisson)
		return arrival->gap_ns;
	return -log(1 - draw_unit(&arrival->draw)) * arrival->gap_ns;
}

void arrival_init(struct arrival *arrival, double rate, bool poisson, double first_ns,
                  uint64_t seed, uint64_t stream)
{
	assert(rate > 0);
	*arrival = (struct arrival){ .gap_ns = 1e9 / rate, .poisson = poisson };
	draw_init(&arrival->draw, seed, stream);
	arrival->next_ns = first_ns + (poisson ? gap(arrival) : 0);
}

uint64_t arrival_take(struct arrival *arrival)
{
	uint64_t taken = (uint64_t)arrival->next_ns;

	arrival->next_ns += gap(arrival);
	return taken;
}

double arrival_backlog(const struct arrival *arrival, uint64_t now_ns)
{
	double late = (double)now_ns - arrival->next_ns;

	return late <= 0 ? 0 : late / arrival->gap_ns;
}
