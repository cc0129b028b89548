/* SPDX-License-Identifier: MIT */
/*
 * source_limits - how many sessions one source may have, and how fast it may open them.
 *
 * A source is an IPv4 address or the /64 of an IPv6 address, which is the least that one customer
 * has. Of each source that was seen lately a table keeps its open sessions and a bucket of tokens:
 * one for each session it may open at once, filled up again at the rate that is allowed.
 *
 * The table has its size from the start: 37 bytes for each source that it can hold, which is up to
 * twice as many as were asked for. It is made of sets, and a source belongs to one of them, by a
 * hash that a stranger cannot foresee. A newcomer to a full set takes the place of the source that
 * was not seen for the longest time among those without an open session. When all of them have
 * sessions the newcomer is admitted and not counted (`untracked`): running out of memory for limits
 * must not lock clients out.
 *
 * Shared by all workers: any of these functions may be called from any thread, but for open and
 * close. A set has a lock of its own, held for some tens of nanoseconds.
 */
#ifndef NET_SOURCE_LIMITS_H
#define NET_SOURCE_LIMITS_H

#include "net/addr.h"

struct source_limits;

#define SOURCE_LIMITS_MAX (1u << 24) /* sources of a table */
#define SOURCE_RATE_MAX 1000000u
#define SOURCE_UNTRACKED UINT32_MAX /* a place that is none */

/* Given with each session, so that a table outlives a change of the configuration. */
struct source_rule {
	uint32_t sessions; /* open at one time; 0: no limit */
	uint32_t rate;     /* new ones per second, at most SOURCE_RATE_MAX; 0: no limit */
	uint32_t burst; /* that may come at once, at most SOURCE_RATE_MAX; 0: as many as `rate` */
};

enum source_verdict {
	SOURCE_OK,
	SOURCE_TOO_MANY, /* sessions are open */
	SOURCE_TOO_FAST, /* were opened */
};

/* A table for at least this many sources. The seed is a random number. NULL without memory. */
struct source_limits *source_limits_open(uint32_t sources, uint64_t seed);
void source_limits_close(struct source_limits *limits); /* NULL: nothing happens */

/* May one more session of this source begin? With SOURCE_OK it counts until its *place is released;
 * otherwise nothing of it is kept, and *place is SOURCE_UNTRACKED. Sources that are neither IPv4
 * nor IPv6 have no limit, nor has anybody under a rule of zeros.
 * now_ms is any clock that does not run backwards; between threads it may differ a little. */
enum source_verdict source_limits_admit(struct source_limits *limits,
					const struct source_rule *rule, const struct addr *source,
					uint64_t now_ms, uint32_t *place);

/* The session has ended. Each place once; SOURCE_UNTRACKED: nothing happens. */
void source_limits_release(struct source_limits *limits, uint32_t place);

/* Sessions that were admitted without being counted, since open. */
uint64_t source_limits_untracked(const struct source_limits *limits);

/* Sources that the table can hold, and bytes that it takes. */
uint32_t source_limits_room(const struct source_limits *limits);
uint64_t source_limits_bytes(const struct source_limits *limits);

#endif
