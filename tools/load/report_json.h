/* SPDX-License-Identifier: MIT */
/*
 * report_json - outcomes as JSON, schema "sluice-load.1": a reader that knows a version may rely on
 * every field it knows; new ones may be added, none change or go. Times are in microseconds.
 */
#ifndef LOAD_REPORT_JSON_H
#define LOAD_REPORT_JSON_H

#include "outcome.h"

/* One object for all runs of a command. */
void report_json(FILE *out, const struct outcome *outcomes, uint32_t count);
/* A string with its quotation marks. */
void report_json_text(FILE *out, const char *text);

#endif
