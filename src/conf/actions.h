/* SPDX-License-Identifier: MIT */
/*
 * actions - what a route does with a request: upstream, respond, redirect.
 */
#ifndef CONF_SRC_ACTIONS_H
#define CONF_SRC_ACTIONS_H

#include "document.h"

/* `name`, or `name=weight, name=weight`; cuts the value up. */
void actions_set_targets(struct conf *conf, struct conf_route *route, const struct entry *entry,
			 struct conf_errors *errors);
/* `status [text]` */
void actions_set_respond(struct conf_route *route, const struct entry *entry,
			 struct conf_errors *errors);
/* `status location` */
void actions_set_redirect(struct conf_route *route, const struct entry *entry,
			  struct conf_errors *errors);

#endif
