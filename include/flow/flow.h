/* SPDX-License-Identifier: MIT */
/*
 * flow - the life of every session of one worker, from accept to close.
 *
 *        listening sockets                                                    servers
 *              |                                                                 ^
 *        [ accept.c ] -> [ session.c ] -> [ connect.c ] -> [ relay.c ] -> [ close.c ]
 *              |            states,         which server,     bytes,        one reason
 *              |            timeouts        deadline, retry   both ways
 *              '-- or handed to another worker's flow by ring message
 *
 * A flow does all its I/O through one ring and never blocks. Its owner drives it:
 *
 *        flow_start();
 *        while (!flow_is_over())
 *                ring_turn(ring, flow_turn());
 *
 * Handlers that the ring calls only change state and mark directions as dirty; flow_turn() then
 * sends, receives and connects for all that happened in the turn at once.
 *
 * Memory: all of it is reserved by flow_shared_open() and flow_open(); nothing is allocated later.
 *
 * Threads: a flow belongs to its worker, but for flow_stats() and the sessions count, which any
 * thread may read.
 */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <stdint.h>
#include <stdio.h>

#include "base/counter.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ring/ring.h"
#include "upstream/upstream.h"

enum close_reason {
	CLOSE_NONE,
#define CLOSE_REASON(name, is_error, text) CLOSE_##name,
#include "flow/close_reason.def"
#undef CLOSE_REASON
	CLOSE_REASON_COUNT,
};

extern const char *const close_reason_names[CLOSE_REASON_COUNT];
extern const char *const close_reason_texts[CLOSE_REASON_COUNT];
extern const bool close_reason_is_error[CLOSE_REASON_COUNT];

struct flow_stats {
#define STAT(name, text) struct counter name;
#define GAUGE(name, text) struct counter name;
#include "flow/flow_stats.def"
#undef STAT
#undef GAUGE
	struct counter closes[CLOSE_REASON_COUNT];
};

/* What the flows of one process have in common: session memory and the session limits. */
struct flow_shared;

/* max_sessions: after any lowering to what the host allows. Returns 0 or a negative errno. */
int flow_shared_open(struct flow_shared **shared, const struct conf *conf, uint32_t max_sessions,
		     uint32_t workers);
void flow_shared_close(struct flow_shared *shared);
struct upstreams_shared *flow_shared_upstreams(struct flow_shared *shared);
uint32_t flow_shared_sessions(const struct flow_shared *shared);
uint64_t flow_shared_bytes(const struct flow_shared *shared); /* reserved for sessions */
uint32_t flow_session_bytes(const struct conf *conf); /* of one session, with all it may need */
/* Does any listener? Then there are connections to servers that no session uses. */
bool flow_speaks_http(const struct conf *conf);
#define FLOW_CONNS_SPARE(max_sessions) ((max_sessions) / 16 + 64)

struct flow;

/* Pipes of a worker, for streams: two descriptors each. */
#define FLOW_PIPES_MAX 16

struct flow_options {
	const struct conf *conf; /* borrowed for the flow's life */
	struct flow_shared *shared;
	struct ring *ring;
	struct log *log;
	void *region; /* this worker's part of the payload memory, a multiple of buffer_size */
	uint64_t region_bytes;
	uint32_t worker_index;
	/* One per listener, NULL where there is no access log; or NULL for none. Borrowed. */
	struct sink *const *access_sinks;
	/* One per bind of every listener, in the order of the file: the listening descriptor, which
	 * the flow owns from now on, or -1 when another worker accepts for this one. */
	const int *listen_fds;
};

int flow_open(struct flow **flow, const struct flow_options *options);
/* After every op is home: flow_is_over(), or the ring was closed. */
void flow_close(struct flow *flow);

/* All flows of the process, this one included, for accept = round_robin and least_sessions. Before
 * any of them starts. The array is borrowed. */
void flow_set_peers(struct flow *flow, struct flow *const *peers, uint32_t count);

void flow_start(struct flow *flow);

/* Do what the delivered completions asked for. Returns the deadline for the next ring_turn(). */
uint64_t flow_turn(struct flow *flow);

/* Stop accepting; sessions go on. */
void flow_drain(struct flow *flow);
/* End every session now, with a reset and this reason; what is still handed over is refused. */
void flow_cut(struct flow *flow, enum close_reason reason);
/* Draining, and no session and no request is left. */
bool flow_is_over(struct flow *flow);

struct flow_stats *flow_stats(struct flow *flow);

/* One row per upstream server, for reports; index counts over all upstreams in file order.
 * Returns NULL beyond the last. */
struct upstream_row {
	const struct conf_upstream *upstream;
	const struct server *server;
};
bool flow_server_row(struct flow *flow, uint32_t index, struct upstream_row *row);

/* For crash and state reports: sessions per state and the oldest few, as text. Reads without
 * locks, so from another thread it is only nearly right. */
void flow_dump(struct flow *flow, FILE *out);

/* Every invariant of every session and slice (tests, and debug builds every turn). */
void flow_check(struct flow *flow);
/* Free payload bytes plus those the kernel may fill: equals the region when no session is open. */
uint64_t flow_home_bytes(const struct flow *flow);
uint64_t flow_region_bytes(const struct flow *flow);

#endif
