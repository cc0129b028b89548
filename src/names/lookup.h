/* SPDX-License-Identifier: MIT */
/*
 * lookup - one part of a question, asked until there is an answer or no time is left.
 *
 *                    room                      FOUND, GONE, or no server is left
 *      WAITING --------------> UNDER_WAY -------------------------------------------> done()
 *        ^  '--- the hosts file has it ------------------------------------------------^
 *        |                      |  '---------- deadline_ms ----------------------------'
 *        '-- its channel was ---'
 *            closed
 *
 * Under way, one query after the other goes to the servers in turn, beginning with the one that
 * answered last. A server that answers with an error has had its say; one whose connection broke
 * gets one more try; one that is silent is asked again when its turn comes, as long as there is
 * time.
 *
 * A query that takes longer than its share of the time is no more waited for, but it is still there
 * until its channel gives it up. LOOKUPS_MAX queries are there at one time: more would be lost in
 * the receive buffer of a socket when the answers come all at once.
 */
#ifndef NAMES_LOOKUP_H
#define NAMES_LOOKUP_H

#include "base/list.h"
#include "channels.h"

#define LOOKUPS_MAX 64u

struct attempt;
struct lookups;
struct lookup;

/* Called by lookups_turn() only. The reply is the callee's, and so is the lookup again. */
typedef void lookup_done(struct lookup *lookup, struct reply *reply);

struct lookup {
	/* Set by the caller, which owns it. */
	const char *host; /* borrowed until done() */
	enum query_kind kind;
	bool is_exact;
	uint64_t deadline_ms;
	lookup_done *done;
	void *owner;
	uint32_t host_index;
	/* For done(): false when its time was over before its turn came. */
	bool was_begun;
	/* For lookup.c. */
	struct list link;
	struct attempt *attempt;
	uint32_t server;       /* whose turn it is */
	uint32_t servers_over; /* a bit for each that is not asked any more */
	uint32_t servers_weak; /* a bit for each whose connection broke once */
	const char *why;       /* of the last that was not mere silence */
};

struct lookups_options {
	const struct addr *servers; /* borrowed */
	uint32_t servers_count;     /* 0: the system's */
	uint64_t timeout_ms;
	struct resolver_stats *stats; /* borrowed; the thread is its only writer */
};

/* NULL: no memory. One thread only. */
struct lookups *lookups_open(const struct lookups_options *options);
/* Lookups that are not done never will be. NULL: nothing happens. */
void lookups_close(struct lookups *lookups);

void lookups_ask(struct lookups *lookups, struct lookup *lookup);

/* Ask, wait for answers until `until_ms` or until wake_fd is readable, and call done() for what is
 * over. Times are those of lookups_now_ms(). */
void lookups_turn(struct lookups *lookups, int wake_fd, uint64_t until_ms);

uint64_t lookups_now_ms(void);

#endif
