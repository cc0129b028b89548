/* SPDX-License-Identifier: MIT */
/*
 * places - which requests a route takes: listener, host, path, method, header.
 */
#ifndef CONF_SRC_PLACES_H
#define CONF_SRC_PLACES_H

#include "document.h"

void places_add_listener(struct conf *conf, struct conf_route *route, const struct entry *entry,
			 struct conf_errors *errors);
void places_add_host(struct conf_route *route, const struct entry *entry,
		     struct conf_errors *errors);
void places_add_path(struct conf_route *route, const struct entry *entry,
		     struct conf_errors *errors);
void places_set_method(struct conf_route *route, const struct entry *entry,
		       struct conf_errors *errors);
/* Cuts the value up. */
void places_set_field(struct conf_route *route, const struct entry *entry,
		      struct conf_errors *errors);

/* What is wrong with a host without port, or with a path from which the star at its end, its
 * `tail`, was cut; or NULL. */
const char *places_host_fault(const char *host);
#define PLACES_FAULT_MAX 160
const char *places_path_fault(const char *path, const char *tail, char text[PLACES_FAULT_MAX]);

#endif
