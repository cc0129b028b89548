/* SPDX-License-Identifier: MIT */
/*
 * upstream - which server a new session goes to.
 *
 * One `struct upstreams` per worker: nothing here is shared, so a choice takes no lock. Balancing
 * is smooth weighted round robin: over any run of `sum of weights` choices each server is chosen
 * exactly its weight, and the choices of one server are spread as evenly as possible. Workers
 * start at different points of that sequence, so that many workers with few sessions each do not
 * all begin with the first server.
 *
 * Not here: connecting, retrying (flow/connect.c).
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <stdint.h>

#include "base/counter.h"
#include "base/list.h"
#include "conf/conf.h"

struct server_stats {
#define STAT(name, text) struct counter name;
#define GAUGE(name, text) struct counter name;
#include "upstream/server_stats.def"
#undef STAT
#undef GAUGE
};

struct server {
	const struct conf_server *conf;
	uint32_t index; /* over all upstreams, in the order of the file */
	uint32_t upstream_index;
	struct list idle;    /* connections that wait for a request, newest first (flow/pool.h) */
	uint32_t idle_count; /* and those that sessions keep for themselves */
	int64_t current;     /* smooth weighted round robin: see upstream.c */
	uint64_t zero_copy_after_ms; /* zero-copy sends to it do not pay before this time */
	struct server_stats stats;
};

struct upstreams;

/* Over all upstreams of the file. */
uint32_t upstream_servers_total(const struct conf *conf);

/* `turns`: choices to skip in every upstream (the worker's index). The snapshot is borrowed.
 * Returns 0 or -ENOMEM. */
int upstreams_open(struct upstreams **upstreams, const struct conf *conf, uint32_t turns);
void upstreams_close(struct upstreams *upstreams);

/* The next server, other than `avoid` (NULL: any) where there is another; NULL when no server has
 * a weight above 0. */
struct server *upstream_pick(struct upstreams *upstreams, const struct conf_upstream *upstream,
			     const struct server *avoid);

/* The upstream that a route's next request goes to, by the weights of its targets. */
const struct conf_upstream *upstream_of_route(struct upstreams *upstreams,
					      const struct conf_route *route);

/* Server `index` (0 .. servers_count-1) of an upstream, for reports. */
struct server *upstream_server(struct upstreams *upstreams, const struct conf_upstream *upstream,
			       uint32_t index);

#endif
