/* SPDX-License-Identifier: MIT */
/*
 * least - the sessions of each server over all workers, and who has the fewest.
 *
 *      best      | group 0          | group 1          | ..   one word each: load, slot, version
 *                   ^ least of        ^
 *      sessions  | 0 1 2 .. 31      | 32 ..            |
 *
 * The load of a server is what its sessions per weight would be with one more; of an idle one 0, so
 * that idle servers take turns whatever their weights. Finding the least is one look at the groups,
 * and whoever changes a server's sessions or weight brings its group's word up to date: 1,000
 * servers are 32 groups of 32.
 *
 * Invariants:
 *   (1) When no call is at work, each word names a slot with the least load of its group.
 *   (2) A word that was written has a version of its own. So an update that began before another
 *       one ended is made again, and sees that one's sessions: no change is ever overlooked.
 *   (3) Sessions never exceed a limit.
 *
 * Any number of threads, without locks.
 */
#ifndef UPSTREAM_SRC_LEAST_H
#define UPSTREAM_SRC_LEAST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LEAST_GROUP 32u
#define LEAST_NONE UINT32_MAX

struct least {
	uint32_t slots;             /* a multiple of LEAST_GROUP */
	bool is_kept;               /* false: only sessions are counted; `best` is not used */
	_Atomic uint32_t *sessions; /* by slot; and so the next two */
	const uint32_t *limits;     /* UINT32_MAX: none */
	_Atomic uint64_t *steps; /* load of one session: LEAST_STEP / weight; 0: not to be used */
	_Atomic uint64_t *best;  /* by group */
};

#define LEAST_STEP (UINT64_C(1) << 36)

void least_init(struct least *least);

/* 0: not to be used. */
void least_set_weight(struct least *least, uint32_t slot, uint32_t weight);

/* Sequentially consistent: members.c relies on it. */
enum least_place { LEAST_FULL, LEAST_TAKEN, LEAST_TAKEN_LAST };
enum least_place least_begin(struct least *least, uint32_t slot);
/* True when it was full before. */
bool least_end(struct least *least, uint32_t slot);

/* A slot of [first, first + count) with the least load, other than `avoid`, or LEAST_NONE when all
 * are full or not to be used. Among groups with equal loads, the first at or after the one that
 * `turn` is in. */
uint32_t least_first(const struct least *least, uint32_t first, uint32_t count, uint32_t turn,
		     uint32_t avoid);

#endif
