/* SPDX-License-Identifier: MIT */
/*
 * health - what the results of checks make of a server.
 *
 *                      the very first check fails, or
 *                      `fall` checks in a row fail
 *            UP  ------------------------------------------>  DOWN
 *            ^                                                 |
 *            '-------------------------------------------------'
 *                      `rise` checks in a row pass
 *
 * A server is up until a check says otherwise, so that a proxy works from its first moment; but
 * nothing speaks for it yet, so the first check alone can take it down.
 *
 * Invariants:
 *   (1) health_result() returns true exactly when the state changed: what follows it is done once
 *       per change, not once per check.
 *   (2) `streak` counts the results in a row that speak against the state: 0 .. fall-1 while up,
 *       0 .. rise-1 while down.
 *   (3) A server is uncertain before its first result and while streak > 0. Then it is checked at
 *       the faster interval.
 *
 * Pure: no clock, no randomness but the caller's seed, no memory of its own.
 */
#ifndef UPSTREAM_HEALTH_H
#define UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health_reason {
#define HEALTH_REASON(name, text) HEALTH_##name,
#include "upstream/health_reason.def"
#undef HEALTH_REASON
	HEALTH_REASON_COUNT,
};

extern const char *const health_reason_texts[HEALTH_REASON_COUNT];

struct health_policy {
	uint64_t interval_ms; /* 0: no checks */
	uint64_t fast_ms;     /* while uncertain; 0: a quarter of interval_ms */
	uint32_t rise;        /* both at least 1 */
	uint32_t fall;
};

struct health {
	bool is_up;
	bool is_known;              /* a check has ended */
	uint32_t streak;            /* (2) */
	uint32_t checks;            /* that ended */
	enum health_reason last;    /* result of the last one */
	enum health_reason because; /* result that brought the state about */
	uint64_t changed_ms;        /* when; 0: never */
};

void health_init(struct health *health);

/* A check ended: HEALTH_PASSED or why it failed. True when the state changed. */
bool health_result(struct health *health, const struct health_policy *policy,
		   enum health_reason reason, uint64_t now_ms);

/* When the first check of server `index` of `count` is due: the first checks are spread evenly over
 * one interval. */
uint64_t health_first_ms(const struct health_policy *policy, uint32_t index, uint32_t count,
			 uint64_t seed, uint64_t now_ms);

/* When the next check is due, after one that ended now: an interval, plus or minus up to a tenth of
 * it, so that checks that once met do not meet for ever. */
uint64_t health_next_ms(const struct health *health, const struct health_policy *policy,
			uint64_t seed, uint64_t now_ms);

#endif
