/* SPDX-License-Identifier: MIT */
/*
 * doctor - is this host fit to run sluice, and what would make it better?
 */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include "conf/conf.h"
#include "host.h"
#include "ring/probe.h"

enum finding_grade { FINDING_OK, FINDING_ADVICE, FINDING_FATAL };

/* One line per finding, those with a remedy followed by it. conf may be NULL. True when sluice can
 * run here. */
bool doctor_report(const struct conf *conf, FILE *out);

/* The fatal findings alone, as start reports them. True when there is none. features is filled. */
bool doctor_can_run(const struct host *host, struct ring_features *features, FILE *out);

#endif
