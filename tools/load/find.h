/* SPDX-License-Identifier: MIT */
/*
 * find - the highest rate at which all conditions hold: doubled from -R (or 1,000) until one does
 * not, then halved in between until the two are 3 % apart, then confirmed three times.
 *
 *      good ---> x2 ---> x2 ---> bad
 *                         [ good .. middle .. bad ]   until bad < 1.03 good
 *                           good, good, good          or 3 % less
 *
 * A rate holds only if the requests really were sent and answered at it: 98 % of them in time.
 *
 * A machine has hiccups, so one bad run does not decide. A run in which this program itself sent
 * late says nothing, and is repeated; one that does not hold for another reason is repeated as
 * well, and counts if the repetition does not hold either; else a third decides:
 *
 *      holds | fails, fails | fails, holds, third | late, holds | late, late, late = fails
 */
#ifndef LOAD_FIND_H
#define LOAD_FIND_H

#include "outcome.h"

/* Run, telling each step to `text` (may be NULL). The last confirmed run is *outcome, which
 * the caller releases; plan->rate becomes the rate found, or 0. Returns the exit status: 3 when no
 * rate holds. */
int find_run(struct plan *plan, FILE *text, struct outcome *outcome);

#endif
