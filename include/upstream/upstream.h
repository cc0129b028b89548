/* SPDX-License-Identifier: MIT */
/*
 * upstream - which server a session goes to, and which servers are fit for it.
 *
 *      conf --> struct upstreams_shared     once per process: health, ejections, effective weights,
 *                 |          |              sessions of each server over all workers
 *                 v          v
 *      struct upstreams   struct upstreams  one per worker: where it is in its sequences, its own
 *        struct server...   struct server.. copy of the weights, lists and counters
 *
 * The state of a server, in the shared part:
 *
 *      DRAINED     its weight is 0, for ever
 *
 *      UP  <--- checks, see health.h --->  DOWN         server_checked()
 *       | ^
 *       | '----  its time is over, or more than half would be out
 *       v
 *      EJECTED     `eject_after` sessions in a row failed                  server_failed()
 *
 * A place of a host name (conf_name) is in these states too, and in two more:
 *
 *      ABSENT  --- an address takes it --->  UP, DOWN, EJECTED or DRAINED    upstream_members()
 *         ^                                    |          ^
 *         |                                    | gone     | back
 *         '-- its last session ended --  LEAVING ---------'
 *
 * Invariants:
 *   (1) Only a server that is UP is chosen. A backup is chosen only while no other server of its
 *       upstream is UP; that those are full is no reason.
 *   (2) At most half of the servers that are UP or EJECTED are EJECTED.
 *   (3) A server has at most max_sessions sessions over all workers: upstream_choose() and
 *       server_session_begin() take a place, server_session_end() gives it back.
 *   (4) Every change of a state is one struct health_event, and is seen by each worker at its next
 *       choice: `generation` counts changes, and a worker that sees a new one copies the weights.
 *   (5) After a server came up, or back, its weight grows linearly over slow_start.
 *   (6) A place gets another address only while nobody has a session there: whoever was given a
 *       place by upstream_choose() has its address until server_session_end(). What outlives the
 *       session, as an idle connection, is told apart by `epoch`.
 *
 * Balancing. All of these honour weights; n is the number of servers.
 *
 *   round_robin      O(log n)   the smooth sequence of each worker: in any run of `sum of weights`
 *                               choices each server has its weight, spread as evenly as possible
 *   least_sessions   O(n / 32)  the fewest sessions per weight, over all workers; equal ones and
 *                               idle ones take turns
 *   random_two       O(1)       the less loaded of two that are drawn by weight
 *   source_hash      O(1)       a ring of points: one of n servers more or less moves 1/n of the
 *                               keys; shares are within a few percent of the weights
 *   maglev           O(1)       a table: shares are nearly exact; a change of the file may move
 *                               some keys more
 *
 * With both hashes a server that is not up, or full, keeps its place: its keys go elsewhere, each
 * by a hash of its own, no other key moves, and all return with it. Slow start lets it take its
 * keys back little by little.
 *
 * Time is the caller's, in milliseconds; randomness comes from the seed of upstreams_shared_open().
 *
 * Not here: connecting, retrying, and making the checks (flow/).
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <stdint.h>

#include "base/counter.h"
#include "base/list.h"
#include "conf/conf.h"
#include "upstream/health.h"

struct server_stats {
#define STAT(name, text) struct counter name;
#define GAUGE(name, text) struct counter name;
#include "upstream/server_stats.def"
#undef STAT
#undef GAUGE
};

struct upstreams;
struct upstreams_shared;
struct upstream_shared;

struct server {
	const struct conf_server *conf;
	const struct addr *addr; /* of a place: this worker's copy of the address that has it */
	const char *label;       /* for logs: conf->name; of a place its address */
	uint16_t epoch;          /* of a place: goes up with each address that takes it */
	uint32_t index;          /* over all upstreams, in the order of the file */
	uint32_t upstream_index;
	struct list idle;    /* connections that wait for a request, newest first (flow/pool.h) */
	uint32_t idle_count; /* and those that sessions keep for themselves */
	uint64_t zero_copy_after_ms; /* zero-copy sends to it do not pay before this time */
	struct server_stats stats;

	/* Of this layer. */
	struct upstream_shared *shared;
	uint32_t slot;      /* its place in what is shared */
	uint64_t id;        /* what hashes know it by */
	uint32_t whole;     /* weight, scaled */
	uint32_t downs;     /* how often it was seen to go down */
	uint32_t leaves;    /* and to leave */
	bool went_down;     /* since upstreams_take_fallen() returned it */
	struct list fallen; /* it went down or left, and that did not return it yet */
};

/* ------------------------------------------------------------------ what is wanted */

struct server_policy {
	uint32_t weight;       /* 0: drained */
	uint32_t max_sessions; /* over all workers; 0: no limit */
	bool is_backup;
};

struct upstream_policy {
	enum conf_balance balance;
	struct health_policy health;
	uint32_t eject_after; /* failures in a row; 0: never */
	uint64_t eject_time_ms;
	uint64_t slow_start_ms;              /* 0: the whole weight at once */
	uint32_t retry_budget;               /* percent of the requests */
	const struct server_policy *servers; /* NULL: what the conf_servers say; else borrowed while
					      * upstreams_shared_open() runs */
};

/* What the file says. */
void upstream_policy_read(struct upstream_policy *policy, const struct conf_upstream *conf);
void server_policy_read(struct server_policy *policy, const struct conf_server *conf);

/* ------------------------------------------------------------------ open and close */

/* Over all upstreams of the file. */
uint32_t upstream_servers_total(const struct conf *conf);

/* The shared part. `policies`: one per upstream of the snapshot, which is borrowed; NULL: what it
 * says. Returns 0 or -ENOMEM. */
int upstreams_shared_open(struct upstreams_shared **shared, const struct conf *conf,
			  const struct upstream_policy *policies, uint64_t seed);
/* After the last worker's part. */
void upstreams_shared_close(struct upstreams_shared *shared);

/* A worker's part. Round robin starts `worker` choices into its sequence, so that many workers with
 * few sessions each do not all begin with the first server. Returns 0 or -ENOMEM. */
int upstreams_join(struct upstreams **upstreams, struct upstreams_shared *shared, uint32_t worker);

/* A worker's part with a shared part of its own, for one worker that is alone. */
int upstreams_open(struct upstreams **upstreams, const struct conf *conf, uint32_t worker);
void upstreams_close(struct upstreams *upstreams);

/* ------------------------------------------------------------------ choose */

enum choice_result {
	CHOICE_MADE,
	CHOICE_NONE_USABLE, /* every server is down, ejected or drained */
	CHOICE_ALL_FULL,    /* every usable server has max_sessions: one that ends makes room */
};

struct choice {
	uint64_t key_hash;          /* with source_hash and maglev; need not be a good hash */
	const struct server *avoid; /* not this one where another has room; NULL: any */
	uint64_t now_ms;
};

/* CHOICE_MADE: *server has one session more, which server_session_end() gives back. Otherwise
 * *server is NULL. */
enum choice_result upstream_choose(struct upstreams *upstreams,
				   const struct conf_upstream *upstream,
				   const struct choice *choice, struct server **server);

/* One more session of a server that was chosen before. False when it is full. */
bool server_session_begin(struct server *server);
/* In any worker. */
void server_session_end(struct server *server);

/* Sessions over all workers; 0 where neither balancing nor a limit needs to know. */
uint32_t server_sessions(const struct server *server);

/* The next server, other than `avoid` (NULL: any) where there is another; NULL when there is none.
 * Without a session, and without time. */
struct server *upstream_pick(struct upstreams *upstreams, const struct conf_upstream *upstream,
			     const struct server *avoid);

/* The upstream that a route's next request goes to, by the weights of its targets. */
const struct conf_upstream *upstream_of_route(struct upstreams *upstreams,
					      const struct conf_route *route);

/* Server `index` (0 .. servers_count-1) of an upstream, for reports. */
struct server *upstream_server(struct upstreams *upstreams, const struct conf_upstream *upstream,
			       uint32_t index);

/* Every request counts, and says what a retry may cost: within 10 seconds, retry_budget percent of
 * the worker's requests to this upstream and a few more. */
void upstream_request(struct upstreams *upstreams, const struct conf_upstream *upstream,
		      uint64_t now_ms);
/* True: it may be tried again, and is counted as a retry. */
bool upstream_may_retry(struct upstreams *upstreams, const struct conf_upstream *upstream,
			uint64_t now_ms);

/* ------------------------------------------------------------------ health */

enum server_state {
	SERVER_UP,
	SERVER_DOWN,
	SERVER_EJECTED,
	SERVER_DRAINED,
	SERVER_LEAVING, /* its name does not have the address any more */
	SERVER_ABSENT,  /* a place that no address has */
	SERVER_STATES
};

struct health_event {
	const struct conf_upstream *upstream;
	const struct conf_server *server;
	struct addr addr; /* of a place: that of this event; else NONE */
	enum server_state before;
	enum server_state after;
	enum health_reason reason;
	uint64_t at_ms;
	uint64_t for_ms; /* SERVER_EJECTED: for how long */
};

/* When the server's first check is due. Only one worker checks a server. */
uint64_t server_check_first_ms(const struct server *server, uint64_t now_ms);
/* A check of it ended. Returns when the next one is due. */
uint64_t server_checked(struct server *server, enum health_reason reason, uint64_t now_ms);

/* A session with it failed in a way that is the server's doing: it did not connect, or a response
 * was one of the 5xx. Or it did well. */
void server_failed(struct server *server, enum health_reason reason, uint64_t now_ms);
void server_succeeded(struct server *server);

enum server_state server_state(const struct server *server);
/* The weight that counts now, against server_weight_whole(): it grows during slow start. */
uint32_t server_weight(const struct server *server);
uint32_t server_weight_whole(const struct server *server);

/* Do what is due: ejections that end, weights that grow. A choice does it by itself for its own
 * upstream; for the others, and while there is no traffic, some worker calls this now and then. */
void upstreams_tick(struct upstreams_shared *shared, uint64_t now_ms);

/* The oldest event that was not taken yet, for the log: one reader is enough for all workers.
 * False: none. */
bool upstreams_take_event(struct upstreams_shared *shared, struct health_event *event);
/* Events that nobody took in time. */
uint64_t upstreams_events_lost(struct upstreams_shared *shared);

/* A server of this worker that has gone down (not: was ejected) or left since it was last returned,
 * perhaps to come up again; NULL: none. *went_down: it went down, not only left. It costs little
 * while nothing changes. */
struct server *upstreams_take_fallen(struct upstreams *upstreams, bool *went_down);

/* ------------------------------------------------------------------ names */

#define MEMBER_WEIGHT_MAX 256u

/* An address that a name has. */
struct member {
	struct addr addr; /* INET or INET6, with port */
	uint32_t weight;  /* 1 .. MEMBER_WEIGHT_MAX; counts where the name is_srv */
	bool is_spare;    /* for a spare place */
};

struct members_change {
	uint32_t joined;
	uint32_t left;
	uint32_t placeless; /* members without a place: there are too few, or sessions still have
			     * them. The same call later may find one */
};

/* What a name has from now on, instead of what it had: no address twice. `ramps`: those that join
 * get slow_start. From one thread at a time, beside the workers'; a hash over many servers takes it
 * some milliseconds. */
void upstream_members(struct upstreams_shared *shared, const struct conf_upstream *upstream,
		      const struct conf_name *name, const struct member *members, uint32_t count,
		      bool ramps, uint64_t now_ms, struct members_change *change);

/* Servers that are there: all but places that are absent or leaving. */
uint32_t upstream_servers_present(struct upstreams *upstreams,
				  const struct conf_upstream *upstream);

/* May connections to it be kept for later? Not when it is leaving. */
bool server_is_staying(const struct server *server);

#endif
