/* SPDX-License-Identifier: MIT */
/*
 * verdict - conditions on a result: "p99<5ms,errors=0".
 *
 *      condition    NAME (< | > | = | <= | >=) VALUE
 *      NAME         rps errors completed timeouts non2xx refused bytes mean max p50 .. p99.999
 *      VALUE        a time for mean, max and percentiles; else a number such as 50k
 */
#ifndef LOAD_VERDICT_H
#define LOAD_VERDICT_H

#include "base/assert.h"

#define VERDICT_CONDITIONS_MAX 16

struct outcome;

struct condition {
	char text[48]; /* as given */
	int what;
	double percentile;
	int compare;
	double value;
};

struct verdict {
	struct condition conditions[VERDICT_CONDITIONS_MAX];
	unsigned count;
};

bool verdict_parse(struct verdict *verdict, const char *text, const char **reason);
/* Does this condition hold? */
bool condition_holds(const struct condition *condition, const struct outcome *outcome);
double condition_value(const struct condition *condition, const struct outcome *outcome);

#endif
