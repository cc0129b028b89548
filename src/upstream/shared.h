/* SPDX-License-Identifier: MIT */
/*
 * shared - what all workers know of an upstream and its servers.
 *
 *      slots     | usual servers, in the order of the file | unused | backups | unused |
 *                 0                                         tiers[TIER_BACKUP].first
 *
 * Everything is by slot: a tier begins at a multiple of SLOT_ALIGN, so that groups of least.h and
 * words of bits belong to one tier. What is not atomic is either never changed after
 * upstreams_shared_open(), or changed under `lock`.
 *
 * A change of a state: take the lock, state_move() what changes, and the weights that follow from
 * it are stored; then `generation` goes up, which tells every worker to copy the weights.
 */
#ifndef UPSTREAM_SRC_SHARED_H
#define UPSTREAM_SRC_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "eject.h"
#include "least.h"
#include "tables.h"
#include "upstream/upstream.h"

#define SLOT_ALIGN 64u
#define WEIGHT_SCALE 256u /* weights count in parts of 1, for slow start */
#define EVENTS_MIN 256u /* and two for each place of a name: all may leave, and others join */

enum { TIER_USUAL, TIER_BACKUP, TIERS };

struct tier {
	uint32_t first; /* slots */
	uint32_t count;
	struct table_maker maker; /* its table is changed under the lock */
};

struct server_shared {
	const struct conf_server *conf; /* NULL: an unused slot */
	uint32_t place;                 /* in the upstream's servers */
	_Atomic uint32_t weight;        /* that counts now; 0: not to be used */
	_Atomic uint32_t state;         /* enum server_state */
	_Atomic uint32_t failures;      /* of sessions, in a row */
	_Atomic uint32_t downs;         /* times it went down */
	_Atomic uint32_t leaves;        /* times it began to leave */
	_Atomic uint32_t epoch;         /* of a place: the address that has it; see members.c */

	/* Under the lock. Of what is no place of a name, the first two are never changed. */
	uint64_t id;     /* hash of its name, or of the address that has the place */
	uint32_t whole;  /* weight, scaled */
	struct addr addr;
	struct health health;
	struct eject eject;
	bool is_ramping;
	uint64_t ramp_ms; /* since when */
};

struct upstream_shared {
	const struct conf_upstream *conf;
	struct upstreams_shared *all;
	struct upstream_policy policy; /* without servers */
	uint64_t seed;
	uint32_t servers_count;
	uint32_t slots_count;
	bool is_named;   /* some servers are places of names */
	bool is_counted; /* sessions are counted over all workers */
	uint32_t *slots; /* by the server's place in the file */
	uint32_t *limits;
	struct server_shared *servers; /* by slot, as all that follows */
	struct least least;
	_Atomic uint64_t *full; /* bits; set after the last place was taken, cleared after one was
				 * given back: a hint that is right when nobody is at work */
	struct tier tiers[TIERS];

	_Atomic uint32_t generation; /* of the weights; starts at 1 */
	_Atomic uint64_t due_ms;     /* when upstream_tick() has work */

	pthread_mutex_t lock;
	uint32_t in_count;  /* servers that are UP or EJECTED */
	uint32_t out_count; /* EJECTED */
	bool is_changed;    /* weights were stored for which generation did not go up yet */
	uint32_t tables;    /* how often tables were swapped */

	/* Of upstream_members() alone, by slot. */
	uint32_t *plan;
};

struct upstreams_shared {
	const struct conf *conf;
	uint64_t seed;
	uint32_t count;
	struct upstream_shared *upstreams;
	struct arena *arena;
	_Atomic uint32_t changes; /* of any generation */

	pthread_mutex_t events_lock;
	_Atomic uint64_t events_waiting;
	uint64_t events_first;
	uint64_t events_lost;
	uint64_t events_max;
	struct health_event *events;
};

static inline struct server_shared *shared_of(const struct server *server)
{
	return &server->shared->servers[server->slot];
}

static inline enum server_state state_of(const struct server_shared *server)
{
	return (enum server_state)atomic_load_explicit(&server->state, memory_order_relaxed);
}

/* Is there a server at all? */
static inline bool is_present(enum server_state state)
{
	return state != SERVER_LEAVING && state != SERVER_ABSENT;
}

/* Has the place the address that this worker knows? */
static inline bool server_is_current(const struct server *server)
{
	return (uint16_t)atomic_load_explicit(&shared_of(server)->epoch, memory_order_seq_cst) ==
	       server->epoch;
}

/* upstream.c: weight and id of one server of a tier, for its next table. */
void tier_weigh(struct upstream_shared *upstream, struct tier *tier, uint32_t index);

/* state.c: the first states, and what is due. */
void state_init(struct upstream_shared *upstream);
void upstream_tick(struct upstream_shared *upstream, uint64_t now_ms);

/* The same, under the lock: steps of a change, which ends with state_settle(). */
void state_move(struct upstream_shared *upstream, struct server_shared *server,
		enum server_state after, enum health_reason reason, uint64_t now_ms);
void state_weigh(struct upstream_shared *upstream, struct server_shared *server, uint64_t now_ms);
void state_settle(struct upstream_shared *upstream, uint64_t now_ms);

/* sessions.c: take a place, give it back. */
bool session_begin(struct upstream_shared *upstream, uint32_t slot);
void session_end(struct upstream_shared *upstream, uint32_t slot);

#endif
