/* SPDX-License-Identifier: MIT */
/*
 * proxy - the running proxy: from a configuration to an exit status.
 */
#ifndef APP_PROXY_H
#define APP_PROXY_H

#include "conf/conf.h"

/* The promises of `sluice --help`. */
enum exit_status {
	EXIT_CLEAN = 0,    /* every session ended by itself */
	EXIT_CONF = 1,     /* the configuration has errors */
	EXIT_HOST = 2,     /* this host cannot run it */
	EXIT_SESSIONS = 3, /* sessions were cut: at the drain limit or by a second signal */
};

/* Runs until told to stop; returns an exit_status. */
int proxy_run(const struct conf *conf);

#endif
