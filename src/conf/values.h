/* SPDX-License-Identifier: MIT */
/*
 * values - one value of one key, from text to its member in the snapshot.
 */
#ifndef CONF_SRC_VALUES_H
#define CONF_SRC_VALUES_H

#include "conf/conf.h"
#include "keys.h"

/* Parse `text` as the key's type, check it against the key's bounds, and write it to the key's
 * member in `target`, a struct conf_<section>, or server_line for an option. On failure adds an
 * error and leaves the member. For the types from NUMBER to NAME; CPUS writes the list too, which
 * target then owns, as it owns the strings. */
bool value_set(const struct conf_key *key, const char *text, int line, void *target,
	       struct conf_errors *errors);

/* NUMBER, SIZE, DURATION: as `text` says, without words and bounds. */
bool value_parse_quantity(enum key_type type, const char *text, uint64_t *quantity);

#endif
