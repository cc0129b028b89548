/* SPDX-License-Identifier: MIT */
/*
 * versus - two targets under the same load, in turns, so that whatever else happens on the machine
 * happens to both alike:
 *
 *      slices     A B B A   A B B A   ..       A: the target; B: what --vs names, the base
 *
 * Each ABBA is one comparison: a drift over its time adds to A and B the same. What the target adds
 * is the difference of the percentiles over all slices; the spread is that of the comparisons.
 */
#ifndef LOAD_VERSUS_H
#define LOAD_VERSUS_H

#include "outcome.h"

/* Run, and report to `text` (may be NULL). sums[0] is A's, sums[1] B's: the caller releases both.
 * Returns the exit status. */
int versus_run(const struct plan *plan, const struct plan *base, FILE *text,
               struct outcome sums[2]);

#endif
