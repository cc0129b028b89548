/* SPDX-License-Identifier: MIT */
/*
 * resolver - asks for the addresses of host names, again and again, on a thread of its own.
 *
 *      question --> A, AAAA                  each part keeps its last good set;
 *               `-> SRV --> A, AAAA of       their union is the answer
 *                           each target
 *
 *      ASKED  --answer-->  FRESH for its time to live, within ttl_min .. ttl_max  --> ASKED
 *        |
 *        |--name is gone---> GONE: the last set stays for hold_ms, then it is empty;
 *        |                   asked again after 1 s, 2 s, 4 s .. ttl_max, and when hold_ms is over
 *        |
 *        '--error, no answer--> FAILED: the last set stays for ever; asked again after 1 s, 2 s,
 *                               4 s .. ttl_max
 *
 * Invariants:
 *   (1) told() is called for a question when its first round has ended, whatever came of it, and
 *       after that only when its set or its outcome has changed. Never from two threads at once.
 *   (2) A set has no address twice, and is ordered by priority, then address, then port: the same
 *       records in another order are no change.
 *   (3) An address leaves a set only through an answer that does not have it, or through hold_ms.
 *       A part that fails keeps its own addresses, whatever the other parts answer. The answer that
 *       ends a hold is one that says once more that the name is gone: a name server that fails in
 *       the meantime takes nothing away.
 *   (4) A round ends within timeout_ms, whatever name servers do: all tries of a query share this
 *       time, and so do a query for SRV and those for its targets.
 *
 * A host that the system's hosts file has is answered from there alone. The search domains of
 * resolv.conf apply to a host as it says (ndots); names of SRV records and their targets are
 * complete names. Both files are looked at anew in each round.
 *
 * Name servers are asked in turn, beginning with the one that answered last. One that answered with
 * an error is not asked again in the same query, one that is silent is, until the time is over.
 *
 * Addresses that nobody can be connected to (0.0.0.0, ::, multicast) are left out, and so are SRV
 * records with port 0 or without a host name as target. When nothing is left the name is gone.
 */
#ifndef NAMES_RESOLVER_H
#define NAMES_RESOLVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "net/addr.h"

#define RESOLVER_RECORDS_MAX 1024 /* of one answer; more are counted and left out */
#define RESOLVER_SERVERS_MAX 8    /* of the system's, those beyond are not asked */

enum resolver_family { RESOLVER_ANY, RESOLVER_INET, RESOLVER_INET6 };

struct resolver_question {
	const char *host;            /* without a port; borrowed until resolver_close() */
	bool is_srv;                 /* ask for SRV records (RFC 2782) */
	uint16_t port;               /* of the records; with is_srv theirs counts */
	enum resolver_family family; /* which addresses are wanted */
};

struct resolver_record {
	struct addr addr;  /* INET or INET6, with port */
	uint16_t priority; /* SRV; else 0 */
	uint16_t weight;   /* SRV; else 0 */
};

enum resolver_outcome {
	RESOLVER_FRESH, /* an answer; some parts of it (a family, a target) may be older */
	RESOLVER_GONE,  /* the name has no records (any more); held, while there still are some */
	RESOLVER_FAILED /* no answer, or an error: the set is the last good one */
};

struct resolver_answer {
	enum resolver_outcome outcome;
	const char *why; /* a constant text, for people, such as SERVFAIL; FRESH: "" */
	const struct resolver_record *records;
	uint32_t count;
	uint32_t left_out; /* records beyond RESOLVER_RECORDS_MAX */
	uint64_t next_ms;  /* when it is asked again, from now */
};

/* In the resolver's thread, which it must not close. What the answer points at is borrowed until it
 * returns. */
typedef void resolver_told(void *context, uint32_t question, const struct resolver_answer *answer);

struct resolver_options {
	const struct resolver_question *questions; /* copied, except for the hosts */
	uint32_t questions_count;                  /* at least 1 */
	const struct addr *servers;                /* name servers, copied */
	uint32_t servers_count;                    /* .. RESOLVER_SERVERS_MAX; 0: the system's */
	uint64_t timeout_ms;                       /* 1 .. 60,000 */
	uint64_t ttl_min_ms;                       /* 1 .. ttl_max_ms */
	uint64_t ttl_max_ms;
	uint64_t hold_ms;
	resolver_told *told;
	void *context;
};

struct resolver_stats {
#define STAT(name, text) struct counter name;
#include "names/resolver_stats.def"
#undef STAT
};

struct resolver;

/* Start the thread, which asks at once. Returns 0, -ENOMEM, -EAGAIN (no thread), or -EMFILE and its
 * like (no descriptor). All signals are blocked in the thread. */
int resolver_open(struct resolver **resolver, const struct resolver_options *options);
/* Wait until told() was called for each question, or for so long. True: it was. */
bool resolver_wait(struct resolver *resolver, uint64_t timeout_ms);
/* Ask everything again now, as after a change of the network. Any thread. */
void resolver_refresh(struct resolver *resolver);
/* Read at any time, from any thread. */
const struct resolver_stats *resolver_stats(const struct resolver *resolver);
/* Ends within 100 ms whatever name servers do; told() is not called after that. NULL: nothing
 * happens. */
void resolver_close(struct resolver *resolver);

#endif
