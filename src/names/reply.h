/* SPDX-License-Identifier: MIT */
/*
 * reply - what came of asking for one part of a question: the A or the AAAA records of a host, or
 * the SRV records of a name.
 */
#ifndef NAMES_REPLY_H
#define NAMES_REPLY_H

#include <stdlib.h>

#include "names/resolver.h"

enum reply_kind {
	REPLY_NONE,  /* not asked, or not answered yet */
	REPLY_FOUND, /* at least one record */
	REPLY_GONE,  /* a good answer that has none */
	REPLY_FAILED /* an error, or no answer */
};

/* One SRV record. */
struct target {
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
	uint32_t host_index;          /* among the hosts of a question, which sets it */
	char host[ADDR_NAME_MAX + 1]; /* lower case, without a final dot */
};

struct reply {
	enum reply_kind kind;
	const char *why; /* GONE, FAILED: a constant text */
	uint64_t ttl_ms; /* FOUND */
	/* FOUND: one of these, owned. */
	struct addr *addrs; /* port 0 */
	uint32_t addrs_count;
	struct target *targets; /* ordered, see srv.h */
	uint32_t targets_count;
	uint32_t left_out; /* targets beyond RESOLVER_RECORDS_MAX */
};

static inline struct reply reply_without(enum reply_kind kind, const char *why)
{
	return (struct reply){ .kind = kind, .why = why };
}

static inline void reply_deinit(struct reply *reply)
{
	free(reply->addrs);
	free(reply->targets);
	*reply = reply_without(REPLY_NONE, "");
}

#endif
