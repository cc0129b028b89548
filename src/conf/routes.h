/* SPDX-License-Identifier: MIT */
/*
 * routes - a [route NAME] section, key by key.
 */
#ifndef CONF_SRC_ROUTES_H
#define CONF_SRC_ROUTES_H

#include "document.h"

/* One key of the section; may cut its value up. */
void routes_set(struct conf *conf, struct conf_route *route, const struct entry *entry,
		struct conf_errors *errors);

/* A route that names no listener belongs to all with mode = http. */
void routes_reach(struct conf *conf, const struct document *document, struct conf_errors *errors);

/* What the keys of one route mean together. */
void routes_check(const struct document *document, const struct section *section,
		  const struct conf_route *route, struct conf_errors *errors);

void routes_free(struct conf_route *route);

#endif
