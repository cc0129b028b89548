/* SPDX-License-Identifier: MIT */
/*
 * report - an outcome as text: first the lines of wrk, so that what reads wrk's output reads this
 * too, then what wrk does not tell.
 */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include "outcome.h"

/* Before the run. */
void report_begin(FILE *out, const struct plan *plan);
/* After it. */
void report_text(FILE *out, const struct outcome *outcome);
/* One line per second, while it runs. */
void report_live(FILE *out, const struct series_row *row);

/* The percentiles that reports show. */
#define REPORT_PERCENTILES 8
extern const double report_percentiles[REPORT_PERCENTILES];
extern const char *const report_percentile_names[REPORT_PERCENTILES];

#endif
