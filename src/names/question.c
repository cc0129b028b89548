/* SPDX-License-Identifier: MIT */
/*
 * question.c - what is known about one name, and when it must be asked for again.
 */
#include "question.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "records.h"

#define BACK_OFF_MS MS_PER_S
#define BACK_OFF_DOUBLINGS_MAX 32u /* longer than any ttl_max */
#define NEVER UINT64_MAX

/* Before doubles are taken out. Each target may be at another port of a host with many addresses,
 * so there is no end to what two small answers can ask for. */
#define UNION_MAX (4u * RESOLVER_RECORDS_MAX)

static const char no_memory[] = "out of memory";
static const char not_asked[] = "it was not asked for";

/* ------------------------------------------------------------------------------------- one part */

static void standing_begin(struct standing *standing)
{
	standing->said = REPLY_NONE;
	standing->why = not_asked;
	standing->ttl_ms = NEVER;
}

static void standing_hear(struct standing *standing, enum reply_kind said, const char *why,
			  uint64_t ttl_ms, uint64_t now_ms)
{
	assert(said != REPLY_NONE);
	standing->said = said;
	standing->why = why;
	standing->ttl_ms = said == REPLY_FOUND ? ttl_ms : NEVER;
	if (said == REPLY_GONE && !standing->is_going)
		standing->gone_ms = now_ms;
	if (said != REPLY_FAILED)
		standing->is_going = said == REPLY_GONE;
}

/* Is the time over for which what is gone is kept? */
static bool standing_is_over(const struct standing *standing, uint64_t hold_ms, uint64_t now_ms)
{
	return standing->said == REPLY_GONE && now_ms - standing->gone_ms >= hold_ms;
}

/* When it will be over, from now; NEVER unless it is being waited for. */
static uint64_t standing_over_ms(const struct standing *standing, uint64_t hold_ms, uint64_t now_ms)
{
	uint64_t since_ms = now_ms - standing->gone_ms;

	if (!standing->is_going || since_ms >= hold_ms)
		return NEVER;
	return hold_ms - since_ms;
}

static void part_empty(struct part *part)
{
	free(part->addrs);
	part->addrs = NULL;
	part->count = 0;
	part->left_out = 0;
}

static void part_take(struct part *part, struct reply *reply)
{
	uint32_t count = addrs_sort(reply->addrs, reply->addrs_count);

	if (count == 0) {
		reply_deinit(reply);
		*reply = reply_without(REPLY_GONE, "none of its addresses can be connected to");
		return;
	}
	part_empty(part);
	part->count = count < RESOLVER_RECORDS_MAX ? count : RESOLVER_RECORDS_MAX;
	part->left_out = count - part->count;
	part->addrs = reply->addrs;
	reply->addrs = NULL;
}

/* ------------------------------------------------------------------------------------- one host */

static void host_deinit(struct host *host)
{
	for (uint32_t i = 0; i < FAMILY_COUNT; i++)
		part_empty(&host->parts[i]);
}

/* The first part that said so; NULL: none did. */
static const struct standing *host_said(const struct host *host, enum reply_kind kind)
{
	for (uint32_t i = 0; i < FAMILY_COUNT; i++) {
		if (host->parts[i].standing.said == kind)
			return &host->parts[i].standing;
	}
	return NULL;
}

static void host_end(struct host *host, uint64_t hold_ms, uint64_t now_ms)
{
	bool is_found = host_said(host, REPLY_FOUND) != NULL;

	for (uint32_t i = 0; i < FAMILY_COUNT; i++) {
		struct part *part = &host->parts[i];

		if (part->standing.said == REPLY_GONE &&
		    (is_found || standing_is_over(&part->standing, hold_ms, now_ms)))
			part_empty(part);
	}
}

static void hosts_free(struct host *hosts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		host_deinit(&hosts[i]);
	free(hosts);
}

/* Returns its index, or count. */
static uint32_t hosts_find(const struct host *hosts, uint32_t count, const char *name)
{
	uint32_t i = 0;

	while (i < count && strcmp(hosts[i].name, name) != 0)
		i++;
	return i;
}

/* ------------------------------------------------------------------------------- the whole name */

static struct host *hosts_of(struct target *targets, uint32_t targets_count, uint32_t *hosts_count)
{
	struct host *hosts = calloc(targets_count, sizeof(*hosts));

	*hosts_count = 0;
	for (uint32_t i = 0; hosts && i < targets_count; i++) {
		uint32_t at = hosts_find(hosts, *hosts_count, targets[i].host);

		if (at == *hosts_count) {
			snprintf(hosts[at].name, sizeof(hosts[at].name), "%s", targets[i].host);
			(*hosts_count)++;
		}
		targets[i].host_index = at;
	}
	return hosts;
}

/* A host that is there already goes on with what is known about it. */
static bool take_targets(struct question *question, struct target *targets, uint32_t count)
{
	uint32_t hosts_count;
	struct host *hosts = hosts_of(targets, count, &hosts_count);

	if (!hosts)
		return false;
	for (uint32_t i = 0; i < hosts_count; i++) {
		uint32_t at = hosts_find(question->hosts, question->hosts_count, hosts[i].name);

		if (at < question->hosts_count) {
			memcpy(hosts[i].parts, question->hosts[at].parts, sizeof(hosts[i].parts));
			memset(question->hosts[at].parts, 0, sizeof(hosts[i].parts));
		}
	}
	hosts_free(question->hosts, question->hosts_count);
	free(question->targets);
	question->hosts = hosts;
	question->hosts_count = hosts_count;
	question->targets = targets;
	question->targets_count = count;
	return true;
}

static void drop_targets(struct question *question)
{
	hosts_free(question->hosts, question->hosts_count);
	free(question->targets);
	question->hosts = NULL;
	question->hosts_count = 0;
	question->targets = NULL;
	question->targets_count = 0;
	question->targets_left_out = 0;
}

bool question_init(struct question *question, const struct resolver_question *asked,
		   const struct question_rules *rules)
{
	struct target *self;

	assert(rules->ttl_min_ms > 0 && rules->ttl_min_ms <= rules->ttl_max_ms);
	*question = (struct question){ .asked = *asked, .rules = rules };
	if (asked->is_srv)
		return true;
	assert(strlen(asked->host) <= ADDR_NAME_MAX);
	self = calloc(1, sizeof(*self));
	if (!self)
		return false;
	self->port = asked->port;
	snprintf(self->host, sizeof(self->host), "%s", asked->host);
	if (!take_targets(question, self, 1)) {
		free(self);
		return false;
	}
	return true;
}

void question_deinit(struct question *question)
{
	drop_targets(question);
	free(question->records);
	question->records = NULL;
	question->records_count = 0;
}

void question_begin(struct question *question)
{
	standing_begin(&question->service);
	for (uint32_t i = 0; i < question->hosts_count; i++) {
		for (uint32_t j = 0; j < FAMILY_COUNT; j++)
			standing_begin(&question->hosts[i].parts[j].standing);
	}
}

void question_service(struct question *question, struct reply *reply, uint64_t now_ms)
{
	struct standing *service = &question->service;

	assert(question->asked.is_srv && service->said == REPLY_NONE);
	if (reply->kind == REPLY_FOUND) {
		assert(reply->targets_count > 0 && reply->targets_count <= RESOLVER_RECORDS_MAX);
		if (take_targets(question, reply->targets, reply->targets_count)) {
			reply->targets = NULL;
			question->targets_left_out = reply->left_out;
		} else {
			reply_deinit(reply);
			*reply = reply_without(REPLY_FAILED, no_memory);
		}
	}
	standing_hear(service, reply->kind, reply->why, reply->ttl_ms, now_ms);
	reply_deinit(reply);
	if (standing_is_over(service, question->rules->hold_ms, now_ms))
		drop_targets(question);
	/* Newcomers among the hosts have heard nothing yet, and neither have the others. */
	for (uint32_t i = 0; i < question->hosts_count; i++) {
		for (uint32_t j = 0; j < FAMILY_COUNT; j++)
			standing_begin(&question->hosts[i].parts[j].standing);
	}
}

bool question_wants(const struct question *question, enum family family)
{
	switch (question->asked.family) {
	case RESOLVER_ANY:
		return true;
	case RESOLVER_INET:
		return family == FAMILY_INET;
	case RESOLVER_INET6:
		return family == FAMILY_INET6;
	}
	unreachable();
	return false;
}

void question_addresses(struct question *question, uint32_t host, enum family family,
			struct reply *reply, uint64_t now_ms)
{
	struct part *part = &question->hosts[host].parts[family];

	assert(host < question->hosts_count);
	assert(question_wants(question, family) && part->standing.said == REPLY_NONE);
	if (reply->kind == REPLY_FOUND)
		part_take(part, reply);
	standing_hear(&part->standing, reply->kind, reply->why, reply->ttl_ms, now_ms);
	reply_deinit(reply);
}

/* --------------------------------------------------------------------------- the end of a round */

/* What the hosts say, together: one that answers is enough. */
static enum resolver_outcome hosts_outcome(const struct question *question, const char **why)
{
	const struct standing *failed = NULL, *gone = NULL;

	for (uint32_t i = 0; i < question->hosts_count; i++) {
		const struct host *host = &question->hosts[i];

		if (host_said(host, REPLY_FOUND)) {
			*why = "";
			return RESOLVER_FRESH;
		}
		if (!failed)
			failed = host_said(host, REPLY_FAILED);
		if (!gone)
			gone = host_said(host, REPLY_GONE);
	}
	if (failed || !gone) {
		*why = failed ? failed->why : not_asked;
		return RESOLVER_FAILED;
	}
	*why = gone->why;
	return RESOLVER_GONE;
}

static enum resolver_outcome outcome_of(const struct question *question, const char **why)
{
	if (question->asked.is_srv && question->service.said != REPLY_FOUND) {
		*why = question->service.why;
		return question->service.said == REPLY_GONE ? RESOLVER_GONE : RESOLVER_FAILED;
	}
	return hosts_outcome(question, why);
}

static uint32_t records_needed(const struct question *question)
{
	uint32_t needed = 0;

	for (uint32_t i = 0; i < question->targets_count; i++) {
		const struct host *host = &question->hosts[question->targets[i].host_index];

		for (uint32_t j = 0; j < FAMILY_COUNT; j++)
			needed += host->parts[j].count;
	}
	return needed;
}

/* Returns how many there are now; what has no room is counted. */
static uint32_t add_records(struct resolver_record *records, uint32_t count,
			    const struct target *target, const struct part *part,
			    uint32_t *left_out)
{
	*left_out += part->left_out;
	for (uint32_t i = 0; i < part->count; i++) {
		struct resolver_record *record = &records[count];

		if (count == UNION_MAX) {
			*left_out += part->count - i;
			break;
		}
		record->addr = part->addrs[i];
		record->addr.u.in.sin_port = htons(target->port); /* sin6_port is the same place */
		record->priority = target->priority;
		record->weight = target->weight;
		count++;
	}
	return count;
}

static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
	      "ports of both families are at one place");

/* The union of all that is known. False: no memory. */
static bool unite(const struct question *question, struct resolver_record **records,
		  uint32_t *count, uint32_t *left_out)
{
	uint32_t needed = records_needed(question);

	*count = 0;
	*left_out = question->targets_left_out;
	*records = calloc((needed < UNION_MAX ? needed : UNION_MAX) + 1, sizeof(**records));
	if (!*records)
		return false;
	for (uint32_t i = 0; i < question->targets_count; i++) {
		const struct target *target = &question->targets[i];
		const struct host *host = &question->hosts[target->host_index];

		for (uint32_t j = 0; j < FAMILY_COUNT; j++)
			*count = add_records(*records, *count, target, &host->parts[j], left_out);
	}
	*count = records_sort(*records, *count);
	if (*count > RESOLVER_RECORDS_MAX) {
		*left_out += *count - RESOLVER_RECORDS_MAX;
		*count = RESOLVER_RECORDS_MAX;
	}
	return true;
}

/* Is any part without a good answer? */
static bool has_missed(const struct question *question, enum resolver_outcome outcome)
{
	if (outcome != RESOLVER_FRESH)
		return true;
	for (uint32_t i = 0; i < question->hosts_count; i++) {
		if (host_said(&question->hosts[i], REPLY_FAILED))
			return true;
	}
	return false;
}

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static uint64_t back_off_ms(const struct question *question)
{
	uint32_t doublings = question->misses - 1;

	assert(question->misses > 0);
	if (doublings > BACK_OFF_DOUBLINGS_MAX)
		doublings = BACK_OFF_DOUBLINGS_MAX;
	return least((uint64_t)BACK_OFF_MS << doublings, question->rules->ttl_max_ms);
}

/* The least time to live of all answers, within the bounds. */
static uint64_t time_to_live_ms(const struct question *question)
{
	uint64_t ttl_ms = question->service.ttl_ms;

	for (uint32_t i = 0; i < question->hosts_count; i++) {
		for (uint32_t j = 0; j < FAMILY_COUNT; j++)
			ttl_ms = least(ttl_ms, question->hosts[i].parts[j].standing.ttl_ms);
	}
	if (ttl_ms < question->rules->ttl_min_ms)
		return question->rules->ttl_min_ms;
	return least(ttl_ms, question->rules->ttl_max_ms);
}

/* When the first of what is held only for a while must go, from now. */
static uint64_t hold_over_ms(const struct question *question, uint64_t now_ms)
{
	uint64_t hold_ms = question->rules->hold_ms;
	uint64_t over_ms = NEVER;

	if (question->targets_count > 0)
		over_ms = standing_over_ms(&question->service, hold_ms, now_ms);
	for (uint32_t i = 0; i < question->hosts_count; i++) {
		for (uint32_t j = 0; j < FAMILY_COUNT; j++) {
			const struct part *part = &question->hosts[i].parts[j];

			if (part->count > 0)
				over_ms = least(over_ms,
						standing_over_ms(&part->standing, hold_ms, now_ms));
		}
	}
	return over_ms;
}

static uint64_t next_ms(const struct question *question, enum resolver_outcome outcome,
			uint64_t now_ms)
{
	uint64_t wait_ms = NEVER;

	if (outcome == RESOLVER_FRESH)
		wait_ms = time_to_live_ms(question);
	if (question->misses > 0)
		wait_ms = least(wait_ms, back_off_ms(question));
	return least(wait_ms, hold_over_ms(question, now_ms));
}

/* All that was wanted has been asked for, and nothing else. */
static void host_check(const struct question *question, const struct host *host)
{
	for (uint32_t i = 0; i < FAMILY_COUNT; i++) {
		const struct part *part = &host->parts[i];

		assert(question_wants(question, (enum family)i) ==
		       (part->standing.said != REPLY_NONE));
		assert((part->count > 0) == (part->addrs != NULL));
	}
}

bool question_end(struct question *question, uint64_t now_ms, struct resolver_answer *answer)
{
	const char *why;
	enum resolver_outcome outcome = outcome_of(question, &why);
	struct resolver_record *records;
	uint32_t count, left_out;
	bool is_news;

	for (uint32_t i = 0; i < question->hosts_count; i++) {
		host_check(question, &question->hosts[i]);
		host_end(&question->hosts[i], question->rules->hold_ms, now_ms);
	}
	question->has_changed = false;
	if (!unite(question, &records, &count, &left_out)) {
		outcome = RESOLVER_FAILED;
		why = no_memory;
	} else {
		question->has_changed =
			!records_same(records, count, question->records, question->records_count);
		free(question->records);
		question->records = records;
		question->records_count = count;
		question->left_out = left_out;
	}
	question->misses = has_missed(question, outcome) ? question->misses + 1 : 0;
	is_news = !question->was_told || question->has_changed || outcome != question->outcome;
	question->was_told = true;
	question->outcome = outcome;
	*answer = (struct resolver_answer){
		.outcome = outcome,
		.why = why,
		.records = question->records,
		.count = question->records_count,
		.left_out = question->left_out,
		.next_ms = next_ms(question, outcome, now_ms),
	};
	return is_news;
}
