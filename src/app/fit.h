/* SPDX-License-Identifier: MIT */
/*
 * fit - can this host carry this configuration? The numbers that start reserves, as an equation:
 *
 *   memory = workers * (region part + ring) + max_sessions * session
 *   descriptors = 2 * max_sessions + workers * (ring, mailbox, pipes, binds) + own
 *
 * What cannot fit is refused before anything is opened, naming the number to change. Only the
 * default of max_sessions is lowered instead, with a warning: nobody asked for it.
 */
#ifndef APP_FIT_H
#define APP_FIT_H

#include "conf/conf.h"
#include "host.h"

struct fit {
	uint32_t workers;
	uint32_t max_sessions;
	bool max_sessions_lowered;
	uint64_t descriptors;  /* that max_sessions sessions need */
	uint64_t region_bytes; /* over all workers */
	uint64_t rings_bytes;  /* over all workers */
	uint64_t sessions_bytes;
	uint64_t total_bytes;
	int cpus[CONF_WORKERS_MAX]; /* of each worker; -1: not pinned */
};

/* Writes what does not fit to `out`, one line each with the remedy. True when all fits. */
bool fit_check(struct fit *fit, const struct conf *conf, const struct host *host, FILE *out);

#endif
