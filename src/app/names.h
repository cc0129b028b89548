/* SPDX-License-Identifier: MIT */
/*
 * names - the host names of servers: what the resolver finds becomes the upstreams' addresses.
 *
 *      names/resolver (its own thread) --told--> names_members() --> upstream_members()
 *                                                                     `-> placeless: again by
 *                                                                         names_tick()
 *
 * What happens is told in the log, once per change.
 */
#ifndef APP_NAMES_H
#define APP_NAMES_H

#include "names/resolver.h"
#include "upstream/upstream.h"

struct names;

/* Starts asking, and waits for the first answers, at most resolve_timeout. *names is NULL when no
 * server has a name. Everything is borrowed until names_close(). Returns 0 or a negative errno. */
int names_open(struct names **names, const struct conf *conf, struct upstreams_shared *upstreams,
	       struct log *log);
void names_close(struct names *names);

/* Addresses that found no place since sessions still have it try again. Returns the milliseconds
 * until the next call is due; -1 without names. */
int names_tick(struct names *names);

const struct resolver_stats *names_stats(const struct names *names);

/* For the report at start: names in all, and those that have an address. */
uint32_t names_count(struct names *names, uint32_t *answered);

/* The members of an answer: of SRV records those of the first priority are the usual ones, the
 * others spares if the name has such places. Weights above MEMBER_WEIGHT_MAX are scaled down,
 * together. */
void names_members(struct member *members, const struct conf_name *name,
		   const struct resolver_record *records, uint32_t count);

#endif
