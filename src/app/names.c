/* SPDX-License-Identifier: MIT */
/*
 * names.c - from answers to members, and the words about it.
 *
 * told() runs in the resolver's thread, the rest in the main one: `lock` is for both.
 */
#include "names.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

#define RETRY_MS 200

/* One name, as it was told of last. */
struct watch {
	const struct conf_upstream *upstream;
	const struct conf_name *name;
	struct member *members; /* RESOLVER_RECORDS_MAX of them */
	uint32_t count;
	uint32_t placeless;
	uint32_t left_out;
	bool was_told;
	enum resolver_outcome outcome;
};

struct names {
	struct upstreams_shared *upstreams;
	struct log *log;
	struct resolver *resolver;
	struct watch *watches; /* one per question */
	uint32_t watches_count;
	pthread_mutex_t lock;
};

/* --- members ---------------------------------------------------------------------------------- */

void names_members(struct member *members, const struct conf_name *name,
		   const struct resolver_record *records, uint32_t count)
{
	uint32_t largest = MEMBER_WEIGHT_MAX;
	uint16_t first = UINT16_MAX;

	for (uint32_t i = 0; i < count; i++) {
		if (records[i].weight > largest)
			largest = records[i].weight;
		if (records[i].priority < first)
			first = records[i].priority;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t weight = records[i].weight * MEMBER_WEIGHT_MAX / largest;

		members[i] = (struct member){
			.addr = records[i].addr,
			.weight = weight > 0 ? weight : 1,
			.is_spare = name->spares > 0 && records[i].priority > first,
		};
	}
}

/* --- words ------------------------------------------------------------------------------------ */

static void say_outcome(const struct names *names, const struct watch *watch,
			const struct resolver_answer *answer)
{
	const char *host = watch->name->host;
	const bool is_same = watch->was_told && watch->outcome == answer->outcome;

	switch (answer->outcome) {
	case RESOLVER_FRESH:
		if (!watch->was_told)
			log_info(names->log, "name %s: has %u addresses", host, answer->count);
		else if (!is_same)
			log_info(names->log, "name %s: answers again", host);
		break;
	case RESOLVER_GONE:
		if (answer->count > 0 && !is_same)
			log_warn(names->log,
				 "name %s: is gone: %s; its %u addresses stay for resolve_hold",
				 host, answer->why, answer->count);
		else if (answer->count == 0 && (watch->count > 0 || !watch->was_told))
			log_warn(names->log, "name %s: has no address: %s", host, answer->why);
		break;
	case RESOLVER_FAILED:
		if (!is_same)
			log_warn(names->log, "name %s: no answer: %s; its %u addresses stay", host,
				 answer->why, answer->count);
		break;
	}
	if (answer->left_out > 0 && watch->left_out == 0)
		log_warn(names->log, "name %s: %u addresses are too many and left out", host,
			 answer->left_out);
}

static void say_placeless(const struct names *names, const struct watch *watch, uint32_t before)
{
	const struct conf_name *name = watch->name;
	uint32_t spares = 0, most;

	if (watch->placeless == before || watch->placeless == 0)
		return;
	for (uint32_t i = 0; i < watch->count; i++)
		spares += watch->members[i].is_spare;
	most = spares > watch->count - spares ? spares : watch->count - spares;
	if (most > name->places)
		log_warn(names->log,
			 "name %s: %u of its %u addresses have no place: write addresses=%u in "
			 "line %d",
			 name->host, watch->placeless, watch->count, most, name->line);
	else
		log_warn(names->log,
			 "name %s: %u of its addresses wait for a place: sessions with addresses "
			 "that it had still have them; a larger addresses= in line %d reserves "
			 "more",
			 name->host, watch->placeless, name->line);
}

/* --- from the resolver ------------------------------------------------------------------------ */

static void renew(struct names *names, struct watch *watch, bool ramps)
{
	const uint32_t before = watch->placeless;
	struct members_change change;

	upstream_members(names->upstreams, watch->upstream, watch->name, watch->members,
			 watch->count, ramps, clock_ns() / NS_PER_MS, &change);
	watch->placeless = change.placeless;
	say_placeless(names, watch, before);
}

static void told(void *context, uint32_t question, const struct resolver_answer *answer)
{
	struct names *names = context;
	struct watch *watch = &names->watches[question];

	assert(question < names->watches_count && answer->count <= RESOLVER_RECORDS_MAX);
	pthread_mutex_lock(&names->lock);
	say_outcome(names, watch, answer);
	names_members(watch->members, watch->name, answer->records, answer->count);
	watch->count = answer->count;
	renew(names, watch, watch->was_told);
	watch->outcome = answer->outcome;
	watch->left_out = answer->left_out;
	watch->was_told = true;
	pthread_mutex_unlock(&names->lock);
}

int names_tick(struct names *names)
{
	if (names == NULL)
		return -1;
	pthread_mutex_lock(&names->lock);
	for (uint32_t i = 0; i < names->watches_count; i++) {
		if (names->watches[i].placeless > 0)
			renew(names, &names->watches[i], true);
	}
	pthread_mutex_unlock(&names->lock);
	return RETRY_MS;
}

/* --- open and close --------------------------------------------------------------------------- */

static bool watches_open(struct names *names, const struct conf *conf,
			 struct resolver_question *questions)
{
	static const enum resolver_family families[] = {
		[FAMILY_ANY] = RESOLVER_ANY,
		[FAMILY_INET] = RESOLVER_INET,
		[FAMILY_INET6] = RESOLVER_INET6,
	};
	uint32_t at = 0;

	for (uint32_t i = 0; i < conf->upstreams_count; i++) {
		const struct conf_upstream *upstream = &conf->upstreams[i];

		for (uint32_t j = 0; j < upstream->names_count; j++, at++) {
			const struct conf_name *name = &upstream->names[j];
			struct watch *watch = &names->watches[at];

			*watch = (struct watch){ .upstream = upstream, .name = name };
			watch->members = calloc(RESOLVER_RECORDS_MAX, sizeof(*watch->members));
			if (watch->members == NULL)
				return false;
			questions[at] = (struct resolver_question){
				.host = upstream->servers[name->first].addr.u.name.text,
				.is_srv = name->is_srv,
				.port = name->port,
				.family = families[upstream->resolve],
			};
		}
	}
	return true;
}

static uint32_t names_total(const struct conf *conf)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < conf->upstreams_count; i++)
		total += conf->upstreams[i].names_count;
	return total;
}

static int start(struct names *names, const struct conf_proxy *conf,
		 const struct resolver_question *questions)
{
	const struct resolver_options options = {
		.questions = questions,
		.questions_count = names->watches_count,
		.servers = conf->resolvers,
		.servers_count = conf->resolvers_count,
		.timeout_ms = conf->resolve_timeout_ns / NS_PER_MS,
		.ttl_min_ms = conf->resolve_min_ns / NS_PER_MS,
		.ttl_max_ms = conf->resolve_max_ns / NS_PER_MS,
		.hold_ms = conf->resolve_hold_ns / NS_PER_MS,
		.told = told,
		.context = names,
	};
	int result = resolver_open(&names->resolver, &options);

	if (result == 0 && !resolver_wait(names->resolver, options.timeout_ms))
		log_warn(names->log,
			 "some names have no answer yet; their servers follow when they have one");
	return result;
}

int names_open(struct names **out, const struct conf *conf, struct upstreams_shared *upstreams,
	       struct log *log)
{
	const uint32_t total = names_total(conf);
	struct resolver_question *questions = calloc(total + 1ul, sizeof(*questions));
	struct names *names = calloc(1, sizeof(*names));
	int result = -ENOMEM;

	*out = NULL;
	if (names != NULL && questions != NULL && total > 0) {
		names->upstreams = upstreams;
		names->log = log;
		pthread_mutex_init(&names->lock, NULL);
		names->watches = calloc(total, sizeof(*names->watches));
		names->watches_count = names->watches != NULL ? total : 0;
		if (names->watches != NULL && watches_open(names, conf, questions))
			result = start(names, &conf->proxy, questions);
		*out = names;
	} else if (total == 0) {
		result = 0;
		free(names);
	}
	free(questions);
	if (result < 0) {
		names_close(names);
		*out = NULL;
	}
	return result;
}

void names_close(struct names *names)
{
	if (names == NULL)
		return;
	if (names->resolver != NULL)
		resolver_close(names->resolver);
	for (uint32_t i = 0; i < names->watches_count; i++)
		free(names->watches[i].members);
	free(names->watches);
	pthread_mutex_destroy(&names->lock);
	free(names);
}

const struct resolver_stats *names_stats(const struct names *names)
{
	return resolver_stats(names->resolver);
}

uint32_t names_count(struct names *names, uint32_t *answered)
{
	*answered = 0;
	if (names == NULL)
		return 0;
	pthread_mutex_lock(&names->lock);
	for (uint32_t i = 0; i < names->watches_count; i++)
		*answered += names->watches[i].count > 0;
	pthread_mutex_unlock(&names->lock);
	return names->watches_count;
}
