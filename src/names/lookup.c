/* SPDX-License-Identifier: MIT */
/*
 * lookup.c - one part of a question, asked until there is an answer or no time is left.
 *
 * What channels.c says about a query is only noted down when it says so, which may be within
 * channels_ask(); it is dealt with at one place, settle_all().
 */
#include "lookup.h"

#include <arpa/inet.h>

#include "base/clock.h"

/* Of each server, when all of them are silent. */
#define TRIES 2u

/* One query. Without a lookup it is not waited for any more. */
struct attempt {
	struct lookups *lookups;
	struct lookup *lookup;
	uint64_t until_ms;
	struct list link; /* in `ended`, when it has */
	enum query_end end;
	struct reply reply;
};

struct lookups {
	struct lookups_options options;
	struct channels *channels;
	uint32_t servers_count;
	uint32_t answered_by;    /* the server that answered last */
	uint32_t attempts_count; /* those that are not waited for included */
	bool has_finished; /* done() was called in this turn: the caller's times may be others */
	struct list waiting;
	struct list under_way;
	struct list ended; /* attempts */
};

static query_ended on_ended;

uint64_t lookups_now_ms(void)
{
	return clock_ns() / NS_PER_MS;
}

struct lookups *lookups_open(const struct lookups_options *options)
{
	struct channels_options channels_options = {
		.servers = options->servers,
		.servers_count = options->servers_count,
		.timeout_ms = options->timeout_ms,
		.tries = TRIES,
		.ended = on_ended,
	};
	struct lookups *lookups = calloc(1, sizeof(*lookups));

	if (!lookups)
		return NULL;
	lookups->options = *options;
	list_init(&lookups->waiting);
	list_init(&lookups->under_way);
	list_init(&lookups->ended);
	lookups->channels = channels_open(&channels_options);
	if (!lookups->channels) {
		free(lookups);
		return NULL;
	}
	return lookups;
}

static void attempt_free(struct attempt *attempt)
{
	list_remove(&attempt->link);
	reply_deinit(&attempt->reply);
	free(attempt);
}

void lookups_close(struct lookups *lookups)
{
	struct list *link;

	if (!lookups)
		return;
	channels_close(lookups->channels); /* ends all attempts */
	while ((link = list_take_first(&lookups->ended)) != NULL)
		attempt_free(container_of(link, struct attempt, link));
	assert(lookups->attempts_count == 0);
	free(lookups);
}

void lookups_ask(struct lookups *lookups, struct lookup *lookup)
{
	assert(lookup->done != NULL);
	lookup->attempt = NULL;
	lookup->was_begun = false;
	lookup->server = RESOLVER_SERVERS_MAX; /* none yet */
	lookup->servers_over = 0;
	lookup->servers_weak = 0;
	lookup->why = NULL;
	list_init(&lookup->link);
	list_push(&lookups->waiting, &lookup->link);
}

static void lookup_finish(struct lookups *lookups, struct lookup *lookup, struct reply *reply)
{
	assert(reply->kind != REPLY_NONE);
	assert(lookup->attempt == NULL);
	lookups->has_finished = true;
	list_remove(&lookup->link);
	lookup->done(lookup, reply);
}

static void lookup_fail(struct lookups *lookups, struct lookup *lookup, const char *why)
{
	struct reply reply = reply_without(REPLY_FAILED, why);

	lookup_finish(lookups, lookup, &reply);
}

/* ------------------------------------------------------------------------------------- attempts */

static void on_ended(void *context, enum query_end end, struct reply *reply)
{
	struct attempt *attempt = context;

	assert(attempt->reply.kind == REPLY_NONE);
	attempt->end = end;
	attempt->reply = *reply;
	attempt->lookups->attempts_count--;
	list_push(&attempt->lookups->ended, &attempt->link);
}

static uint64_t share_ms(const struct lookups *lookups)
{
	return lookups->options.timeout_ms / ((uint64_t)TRIES * lookups->servers_count) + 1;
}

/* The next server whose turn it is; false when no one is left. */
static bool choose_server(const struct lookups *lookups, struct lookup *lookup)
{
	for (uint32_t i = 0; i < lookups->servers_count; i++) {
		if (lookup->server >= lookups->servers_count)
			lookup->server = lookups->answered_by;
		else
			lookup->server = (lookup->server + 1) % lookups->servers_count;
		if (!(lookup->servers_over & 1u << lookup->server))
			return true;
	}
	return false;
}

static void lookup_try(struct lookups *lookups, struct lookup *lookup)
{
	struct attempt *attempt;

	assert(lookup->attempt == NULL && lookups->servers_count > 0);
	if (!choose_server(lookups, lookup)) {
		lookup_fail(lookups, lookup, lookup->why);
		return;
	}
	attempt = calloc(1, sizeof(*attempt));
	if (!attempt) {
		lookup_fail(lookups, lookup, "out of memory");
		return;
	}
	list_init(&attempt->link);
	attempt->lookups = lookups;
	attempt->lookup = lookup;
	attempt->until_ms = lookups_now_ms() + share_ms(lookups);
	lookup->attempt = attempt;
	lookups->attempts_count++;
	counter_add(&lookups->options.stats->queries, 1);
	channels_ask(lookups->channels, lookup->server, lookup->kind, lookup->host,
		     lookup->is_exact, attempt);
}

/* Its query may go on, but is not waited for. */
static void lookup_let_go(struct lookups *lookups, struct lookup *lookup)
{
	assert(lookup->attempt->lookup == lookup);
	counter_add(&lookups->options.stats->failures, 1);
	lookup->attempt->lookup = NULL;
	lookup->attempt = NULL;
}

static void count(struct resolver_stats *stats, const struct reply *reply)
{
	switch (reply->kind) {
	case REPLY_FOUND:
		counter_add(&stats->answers, 1);
		return;
	case REPLY_GONE:
		counter_add(&stats->gone, 1);
		return;
	case REPLY_FAILED:
		counter_add(&stats->failures, 1);
		return;
	case REPLY_NONE:
		break;
	}
	unreachable();
}

/* What the end of a query means for its lookup. */
static void lookup_settle(struct lookups *lookups, struct lookup *lookup, enum query_end end,
			  struct reply *reply)
{
	uint32_t server_bit = 1u << lookup->server;

	switch (end) {
	case QUERY_ANSWERED:
		lookups->answered_by = lookup->server;
		lookup_finish(lookups, lookup, reply);
		return;
	case QUERY_IMPOSSIBLE:
		lookup_finish(lookups, lookup, reply);
		return;
	case QUERY_INTERRUPTED:
		list_remove(&lookup->link);
		lookups_ask(lookups, lookup);
		return;
	case QUERY_ERROR:
		lookup->servers_over |= server_bit;
		lookup->why = reply->why;
		break;
	case QUERY_BROKEN:
		lookup->servers_over |= lookup->servers_weak & server_bit;
		lookup->servers_weak |= server_bit;
		lookup->why = reply->why;
		break;
	case QUERY_SILENT:
		break;
	}
	lookup_try(lookups, lookup);
}

static void settle_all(struct lookups *lookups)
{
	struct list *link;

	while ((link = list_take_first(&lookups->ended)) != NULL) {
		struct attempt *attempt = container_of(link, struct attempt, link);
		struct lookup *lookup = attempt->lookup;
		struct reply reply = attempt->reply;

		attempt->reply = reply_without(REPLY_NONE, "");
		if (lookup != NULL) {
			count(lookups->options.stats, &reply);
			lookup->attempt = NULL;
			lookup_settle(lookups, lookup, attempt->end, &reply);
		}
		reply_deinit(&reply);
		attempt_free(attempt);
	}
}

/* ------------------------------------------------------------------------------------ the start */

/* A target of SRV records that is an address says all there is to be said. */
static bool read_address(const struct lookup *lookup, struct reply *reply)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, lookup->host, &in.sin_addr) != 1)
		return false;
	*reply = reply_without(REPLY_GONE, "it is an IPv4 address");
	if (lookup->kind != QUERY_INET)
		return true;
	*reply = (struct reply){ .kind = REPLY_FOUND, .why = "", .ttl_ms = UINT64_MAX };
	reply->addrs = calloc(1, sizeof(*reply->addrs));
	if (!reply->addrs) {
		*reply = reply_without(REPLY_FAILED, "out of memory");
		return true;
	}
	reply->addrs_count = 1;
	addr_from_sockaddr(reply->addrs, (const struct sockaddr *)&in, sizeof(in));
	return true;
}

/* What can be answered without asking anybody. */
static bool answer_here(struct lookups *lookups, struct lookup *lookup)
{
	struct reply replies[2] = { { .kind = REPLY_NONE }, { .kind = REPLY_NONE } };

	static_assert(QUERY_INET == 0 && QUERY_INET6 == 1, "kinds are indexes of replies");
	if (lookup->kind == QUERY_SRV)
		return false;
	if (!read_address(lookup, &replies[lookup->kind]) &&
	    !channels_read_hosts(lookups->channels, lookup->host, replies))
		return false;
	lookup_finish(lookups, lookup, &replies[lookup->kind]);
	reply_deinit(&replies[0]);
	reply_deinit(&replies[1]);
	return true;
}

static const char no_time[] = "there was no time to ask for so many names";

static void lookup_start(struct lookups *lookups, struct lookup *lookup)
{
	if (lookups_now_ms() >= lookup->deadline_ms) { /* as that of a step before */
		lookup_fail(lookups, lookup, no_time);
		return;
	}
	lookup->was_begun = true;
	if (answer_here(lookups, lookup))
		return;
	if (lookups->servers_count == 0) {
		lookup_fail(lookups, lookup, "no name server can be asked (resolv.conf)");
		return;
	}
	list_remove(&lookup->link);
	list_push(&lookups->under_way, &lookup->link);
	lookup_try(lookups, lookup);
}

static void start_waiting(struct lookups *lookups)
{
	struct list *link;
	uint32_t servers_count;

	if (list_empty(&lookups->waiting))
		return;
	servers_count = channels_renew(lookups->channels);
	if (servers_count != lookups->servers_count)
		lookups->answered_by = 0;
	lookups->servers_count = servers_count;
	settle_all(lookups); /* what was interrupted waits again, before the others are served */
	while (lookups->attempts_count < LOOKUPS_MAX &&
	       (link = list_take_first(&lookups->waiting)) != NULL)
		lookup_start(lookups, container_of(link, struct lookup, link));
}

/* -------------------------------------------------------------------------------------- the end */

/* Give up what has no time left, and servers that have had their share of it. */
static void expire(struct lookups *lookups, struct list *head, uint64_t now_ms)
{
	struct list *link = head->next;

	while (link != head) {
		struct lookup *lookup = container_of(link, struct lookup, link);

		link = link->next;
		if (now_ms >= lookup->deadline_ms) {
			const char *why = no_time;

			if (lookup->attempt) {
				lookup_let_go(lookups, lookup);
				why = "no answer in time";
			}
			lookup_fail(lookups, lookup, lookup->why ? lookup->why : why);
		} else if (lookup->attempt && now_ms >= lookup->attempt->until_ms) {
			lookup_let_go(lookups, lookup);
			lookup_try(lookups, lookup);
		}
	}
}

static uint64_t least_time(const struct list *head, uint64_t until_ms)
{
	for (const struct list *link = head->next; link != head; link = link->next) {
		const struct lookup *lookup = container_of(link, struct lookup, link);

		if (lookup->deadline_ms < until_ms)
			until_ms = lookup->deadline_ms;
		if (lookup->attempt && lookup->attempt->until_ms < until_ms)
			until_ms = lookup->attempt->until_ms;
	}
	return until_ms;
}

void lookups_turn(struct lookups *lookups, int wake_fd, uint64_t until_ms)
{
	uint64_t now_ms;

	lookups->has_finished = false;
	start_waiting(lookups);
	until_ms = least_time(&lookups->waiting, least_time(&lookups->under_way, until_ms));
	now_ms = lookups_now_ms();
	if (lookups->has_finished || !list_empty(&lookups->ended)) /* at once, when it was asked */
		until_ms = 0;
	channels_wait(lookups->channels, wake_fd, until_ms > now_ms ? until_ms - now_ms : 0);
	settle_all(lookups);
	now_ms = lookups_now_ms();
	expire(lookups, &lookups->under_way, now_ms);
	expire(lookups, &lookups->waiting, now_ms);
}
