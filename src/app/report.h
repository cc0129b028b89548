/* SPDX-License-Identifier: MIT */
/*
 * report - what the operator reads: the report at start, the counters on request.
 */
#ifndef APP_REPORT_H
#define APP_REPORT_H

#include "fit.h"
#include "names.h"
#include "worker/region.h"
#include "worker/worker.h"

struct report {
	const struct conf *conf;
	const struct host *host;
	const struct fit *fit;
	const struct region *region;
	const struct ring_features *features;
	struct worker *const *workers;
	struct flow_shared *shared;
	struct names *names; /* or NULL */
};

/* Version, kernel, ring features, workers and CPUs, memory, listeners, limits. */
void report_start(const struct report *report, FILE *out);

/* Every counter: its sum over the workers and each worker's share, one line each. */
void report_counters(const struct report *report, struct log *log);

/* Kernel threads that io_uring made in this process for operations it could not do at once: on the
 * data path there must be none. */
uint32_t report_kernel_threads(void);

#endif
