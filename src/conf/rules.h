/* SPDX-License-Identifier: MIT */
/*
 * rules - the router of each http listener, made of the routes that belong to it.
 */
#ifndef CONF_SRC_RULES_H
#define CONF_SRC_RULES_H

#include "document.h"

/* Routes that are faulty are left out; with any error in the file, only what is wrong between the
 * others is said. */
void rules_run(struct conf *conf, const struct document *document, struct conf_errors *errors);

#endif
