/* SPDX-License-Identifier: MIT */
/*
 * report_csv - a run as a table: a line per second, times in microseconds.
 */
#ifndef LOAD_REPORT_CSV_H
#define LOAD_REPORT_CSV_H

#include <stdio.h>

#include "series.h"

void report_csv(FILE *out, const struct series *series, uint32_t run);

#endif
