/* SPDX-License-Identifier: MIT */
/*
 * errors - collecting what is wrong with a file. See conf/conf.h for the struct.
 */
#ifndef CONF_SRC_ERRORS_H
#define CONF_SRC_ERRORS_H

#include "conf/conf.h"

/* How much of a value or a name a message repeats: `%.*s` with CONF_QUOTE, text. */
#define CONF_QUOTE 80

void conf_errors_init(struct conf_errors *errors);

/* A text says what is wrong and what would be right, and ends without a full stop. */
void conf_errors_add(struct conf_errors *errors, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For an allocation that failed. */
void conf_errors_add_memory(struct conf_errors *errors);

static inline bool conf_errors_any(const struct conf_errors *errors)
{
	return errors->count > 0 || errors->dropped > 0;
}

/* By line; those of one line stay in the order in which they were found. */
void conf_errors_sort(struct conf_errors *errors);

#endif
