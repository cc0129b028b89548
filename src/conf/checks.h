/* SPDX-License-Identifier: MIT */
/*
 * checks - what is wrong between values that are right one by one.
 */
#ifndef CONF_SRC_CHECKS_H
#define CONF_SRC_CHECKS_H

#include "document.h"

/* Is the mode of every listener one that there is? If not, nothing is said that follows from it. */
bool checks_modes_known(const struct document *document);

void checks_run(const struct conf *conf, const struct document *document,
		struct conf_errors *errors);

#endif
