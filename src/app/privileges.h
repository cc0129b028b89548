/* SPDX-License-Identifier: MIT */
/*
 * privileges - becoming user and group once everything that needs root is open.
 */
#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include "conf/conf.h"

/* Drops to conf's user and group where set, for good, and sets no_new_privs in any case. Before any
 * thread is started. On failure returns false with a sentence on `out`. */
bool privileges_drop(const struct conf_proxy *proxy, FILE *out);

#endif
