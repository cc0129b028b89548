/* SPDX-License-Identifier: MIT */
/*
 * run - one run of a plan: threads are started, their tallies collected every second and added up,
 * signals heeded.
 */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include "outcome.h"

/* Called for each finished row of the series; may be NULL. */
typedef void run_row(void *context, const struct series *series, const struct series_row *row);

/* Block the signals that end a run early: once, before the first run and any thread. */
void run_block_signals(void);
/* Always fills the outcome, which the caller releases; see its status. */
void run_once(const struct plan *plan, struct outcome *outcome, run_row *on_row, void *context);

#endif
