/* SPDX-License-Identifier: MIT */
/*
 * group - what one worker knows of an upstream: a copy of the weights, and where it is.
 *
 * The copy is made again whenever the shared part's generation has gone up; between two of those a
 * worker reads nothing that others write but that number, the time when something is due, and,
 * where it matters, sessions.
 */
#ifndef UPSTREAM_SRC_GROUP_H
#define UPSTREAM_SRC_GROUP_H

#include "alias.h"
#include "budget.h"
#include "round_robin.h"
#include "shared.h"
#include "upstream/upstream.h"

#define SLOT_NONE UINT32_MAX

struct tier_own {
	uint32_t usable_count;
	uint32_t parked_count;
	struct round_robin round_robin; /* servers as slots - tier's first */
	struct alias alias;             /* the same */
	struct table table;             /* shared by all, or with names in this memory */
	void *table_memory;
};

/* What a worker knows of the address that has a place. */
struct place_copy {
	struct addr addr;
	char label[ADDR_TEXT_MAX];
};

struct group {
	struct upstream_shared *shared;
	struct server *servers;    /* in the order of the file */
	struct place_copy *places; /* with names: one per server */
	uint32_t present_count;    /* servers that are there */
	uint32_t generation;       /* that was copied; 0: none */
	uint32_t tables;           /* the same */
	uint32_t turn;          /* least_sessions: the slot chosen last */
	uint64_t random;
	uint32_t *weights; /* by slot */
	uint64_t *usable;  /* bits of slots: weight above 0 */
	uint64_t *parked;  /* round robin: usable, but left out since they were full */
	struct tier_own tiers[TIERS];
	struct budget budget;
};

/* Copy what has changed. Servers that went down or left since are put into `fallen`. */
void group_copy(struct group *group, struct list *fallen);

/* A server of the tier with room, other than `avoid`, with one session more; SLOT_NONE: all are
 * full. */
typedef uint32_t choose(struct group *group, uint32_t tier, const struct choice *choice,
			uint32_t avoid);
choose choose_round_robin;
choose choose_least_sessions;
choose choose_random_two;
choose choose_by_hash; /* source_hash and maglev */

#endif
