/* SPDX-License-Identifier: MIT */
/*
 * outcome - what came of one run: the sum of all tallies, the series of its seconds, and what else
 * a reader needs to believe the numbers.
 */
#ifndef LOAD_OUTCOME_H
#define LOAD_OUTCOME_H

#include "plan.h"
#include "series.h"
#include "tally.h"
#include "watch.h"

struct watched {
	int pid;
	struct watch_sample begin;
	struct watch_sample end;
	uint64_t rss_max;
};

struct outcome {
	const struct plan *plan;
	struct tally *total;
	struct series series;
	uint64_t elapsed_ns;    /* of sending */
	double cpu_busiest;     /* share of a CPU that the busiest thread took, 0 .. 1 */
	uint64_t cpu_ns;        /* of all threads, while measuring */
	uint64_t backlog_max;
	struct watched watched[PLAN_PIDS_MAX];
	bool interrupted;
	bool never_connected;
	int connect_error;      /* errno of the last failure */
	int ring_error;         /* negative errno */
};

/* Response times where there was a schedule, else service times. */
static inline const struct histogram *outcome_times(const struct outcome *outcome)
{
	return &outcome->total->times[outcome->plan->rate > 0 ? TALLY_RESPONSE : TALLY_SERVICE];
}
static inline double outcome_seconds(const struct outcome *outcome)
{
	return outcome->elapsed_ns > 0 ? (double)outcome->elapsed_ns / 1e9 : 1e-9;
}
static inline double outcome_rps(const struct outcome *outcome)
{
	return (double)tally_get(outcome->total, in_time) / outcome_seconds(outcome);
}
/* Is this program the bottleneck? Closed loop: a thread had no idle time. Open loop: it sent late
 * although a connection was free, 1 percent of the requests and 3 at least. */
bool outcome_is_saturated(const struct outcome *outcome);
/* Open loop: was any request sent late? */
bool outcome_sent_late(const struct outcome *outcome);
/* 0, 2, 4 or 130, as --help has them. */
int outcome_status(const struct outcome *outcome);
void outcome_release(struct outcome *outcome);

#endif
