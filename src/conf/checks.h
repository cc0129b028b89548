/* SPDX-License-Identifier: MIT */
/*
 * checks - what is wrong between values that are right one by one.
 */
#ifndef CONF_SRC_CHECKS_H
#define CONF_SRC_CHECKS_H

#include "document.h"

void checks_run(const struct conf *conf, const struct document *document,
		struct conf_errors *errors);

#endif
