/* SPDX-License-Identifier: MIT */
/*
 * lookup - what only the system can answer about a configuration.
 */
#ifndef CONF_SRC_LOOKUP_H
#define CONF_SRC_LOOKUP_H

#include "document.h"

/* Host names of binds become addresses, error pages are read; user and group must exist. Blocks. */
void lookup_all(struct conf *conf, const struct document *document, struct conf_errors *errors);

#endif
