/* SPDX-License-Identifier: MIT */
/*
 * question - what is known about one name, and when it must be asked for again.
 *
 * A function of answers and times, which are the caller's: no clock, no socket. One round:
 *
 *      question_begin()
 *      question_service()      of SRV only: what came of asking for the records
 *      question_addresses()    for each host and family that question_wants()
 *      question_end()          the set of now, and whether that is news
 *
 *                  question of a host            question of SRV
 *      service     -                             the targets that were found last
 *      hosts       the one                       those of the targets, each once
 *      parts       A, AAAA of each host: the addresses that were found last
 *
 *      of one part, in a round:
 *      FOUND    takes the place of what it had
 *      FAILED   keeps what it had
 *      GONE     loses what it had: at once when the other part of its host is FOUND, else when
 *               it is GONE hold_ms after it was for the first time since it was FOUND
 */
#ifndef NAMES_QUESTION_H
#define NAMES_QUESTION_H

#include "reply.h"

enum family { FAMILY_INET, FAMILY_INET6, FAMILY_COUNT };

/* What the last answers about one part were. */
struct standing {
	enum reply_kind said; /* in this round */
	const char *why;
	uint64_t ttl_ms;
	bool is_going; /* GONE was said at gone_ms, and FOUND not since then */
	uint64_t gone_ms;
};

struct part {
	struct standing standing;
	struct addr *addrs; /* owned, ordered, port 0 */
	uint32_t count;
	uint32_t left_out;
};

struct host {
	char name[ADDR_NAME_MAX + 1];
	struct part parts[FAMILY_COUNT];
};

struct question_rules {
	uint64_t ttl_min_ms;
	uint64_t ttl_max_ms;
	uint64_t hold_ms;
};

struct question {
	/* What is asked. */
	struct resolver_question asked;
	const struct question_rules *rules; /* borrowed */
	/* What is known. */
	struct standing service; /* of the SRV records */
	struct target *targets;  /* owned, ordered; without SRV the host itself */
	uint32_t targets_count;
	uint32_t targets_left_out;
	struct host *hosts; /* owned */
	uint32_t hosts_count;
	uint32_t misses; /* rounds in a row with something that failed or was gone */
	/* What was told. */
	bool was_told;
	bool has_changed; /* question_end() found another set than before */
	enum resolver_outcome outcome;
	struct resolver_record *records; /* owned */
	uint32_t records_count;
	uint32_t left_out;
};

/* False: no memory; there is nothing to deinit. */
bool question_init(struct question *question, const struct resolver_question *asked,
		   const struct question_rules *rules);
void question_deinit(struct question *question);

void question_begin(struct question *question);
/* What the reply owns is taken over. The hosts may be others afterwards. */
void question_service(struct question *question, struct reply *reply, uint64_t now_ms);
bool question_wants(const struct question *question, enum family family);
void question_addresses(struct question *question, uint32_t host, enum family family,
			struct reply *reply, uint64_t now_ms);
/* Fills the answer in, next_ms included, and returns whether it must be told. What it points at is
 * borrowed until the next call. */
bool question_end(struct question *question, uint64_t now_ms, struct resolver_answer *answer);

#endif
