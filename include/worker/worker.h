/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread = one ring = one flow = one loop.
 *
 *      main thread                        worker thread
 *      worker_open()   ring and buffers made, registered (may be root still)
 *      worker_start()  ----------------->  ring_enable(), flow_start(), loop:
 *                                            ring_turn(flow_turn())
 *      worker_order()  --mailbox--------->   drain | stop | cut
 *      worker_is_over()                      .. until the flow is over
 *      worker_join()   <-----------------  end
 *      worker_close()
 *
 * Workers share the session memory, the limits (flow_shared) and the configuration snapshot;
 * nothing else.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "flow/flow.h"
#include "worker/mailbox.h"

struct worker;

struct worker_options {
	const struct conf *conf;
	struct flow_shared *shared;
	struct log *log;
	const struct ring_features *features;
	void *region; /* this worker's part */
	uint64_t region_bytes;
	uint32_t index;
	struct sink *const *access_sinks; /* as in flow_options */
	int cpu;     /* -1: not pinned */
	int over_fd; /* an eventfd: written to when the worker's loop has ended */
	const int
		*listen_fds; /* as in flow_options; owned by the flow when worker_open() succeeds */
};

/* The ring that each worker opens, for the memory equation. */
void worker_ring_options(const struct conf *conf, int cpu, struct ring_options *options);

/* Returns 0 or a negative errno; *step then names what failed ("ring", "region", ..). */
int worker_open(struct worker **worker, const struct worker_options *options, const char **step);
void worker_close(struct worker *worker);

/* All workers; before any is started. */
void workers_introduce(struct worker *const *workers, struct flow **flows, uint32_t count);

/* Start the thread, and wait until it accepts or has failed. Returns 0 or a negative errno. */
int worker_start(struct worker *worker);

/* DRAIN: stop accepting, end when the last session does. CUT: end all sessions as DRAIN_CUT. STOP:
 * both, as STOP_CUT. */
void worker_order(struct worker *worker, enum mail_kind order);
bool worker_is_over(const struct worker *worker);
/* 0, or the negative errno that ended it early. */
int worker_join(struct worker *worker);

struct flow *worker_flow(struct worker *worker);
struct ring_stats *worker_ring_stats(struct worker *worker);

#endif
