/* SPDX-License-Identifier: MIT */
/*
 * resolver.c - the thread that asks, and what other threads may call.
 *
 *      of one name:
 *                   due_ms                     SRV only
 *      RESTING --------------> ASKING_SERVICE ----------> ASKING_ADDRESSES
 *        ^  '--------------------------------------------------^   |
 *        '--------- all answers are there: question_end() ---------'
 *
 * What is asked when is question.c's business, how long and whom lookup.c's.
 */
#include "names/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "lookup.h"
#include "question.h"

enum name_state { RESTING, ASKING_SERVICE, ASKING_ADDRESSES };

struct name {
	struct resolver *resolver;
	struct question question;
	enum name_state state;
	uint64_t due_ms;        /* RESTING: when it is asked again; else when its round must end */
	bool is_wanted_again;   /* a refresh came while it was being asked */
	bool was_asked;         /* in this round somebody was, or could not be */
	struct lookup *lookups; /* owned, of this step */
	uint32_t lookups_count; /* that are not done */
};

struct resolver {
	struct resolver_options options; /* with copies of our own */
	struct question_rules rules;
	struct addr servers[RESOLVER_SERVERS_MAX];
	struct name *names;
	struct lookups *lookups; /* the thread's */
	struct resolver_stats stats;
	pthread_t thread;
	int wake_fd;
	_Atomic bool is_closing;
	_Atomic bool is_refreshing;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t all_told;
	uint32_t untold_count;
};

/* ------------------------------------------------------------------------------------- one name */

static void name_move(struct name *name, enum name_state state)
{
	assert(name->lookups_count == 0 && name->lookups == NULL);
	assert(name->state != state);
	assert(state != ASKING_SERVICE || name->state == RESTING);
	name->state = state;
}

static void tell(struct name *name, const struct resolver_answer *answer, bool is_first)
{
	struct resolver *resolver = name->resolver;

	resolver->options.told(resolver->options.context, (uint32_t)(name - resolver->names),
			       answer);
	if (!is_first)
		return;
	pthread_mutex_lock(&resolver->lock);
	assert(resolver->untold_count > 0);
	if (--resolver->untold_count == 0)
		pthread_cond_broadcast(&resolver->all_told);
	pthread_mutex_unlock(&resolver->lock);
}

static void round_end(struct name *name)
{
	bool is_first = !name->question.was_told;
	uint64_t now_ms = lookups_now_ms();
	struct resolver_answer answer;
	bool is_news = question_end(&name->question, now_ms, &answer);

	assert(answer.next_ms > 0);
	/* Who never had a turn stands in line again at once: behind those that did and now wait, or
	 * the same ones would be in front each time. */
	if (name->is_wanted_again || !name->was_asked)
		answer.next_ms = 0;
	name->is_wanted_again = false;
	name->due_ms = now_ms + answer.next_ms;
	name_move(name, RESTING);
	if (name->question.has_changed)
		counter_add(&name->resolver->stats.changes, 1);
	if (is_news)
		tell(name, &answer, is_first);
}

static lookup_done on_addresses, on_service;

static void ask(struct name *name, const char *host, enum query_kind kind, uint32_t host_index)
{
	bool is_srv = name->question.asked.is_srv;
	struct lookup *lookup = &name->lookups[name->lookups_count++];

	*lookup = (struct lookup){
		.host = host,
		.kind = kind,
		.is_exact = is_srv,
		.deadline_ms = name->due_ms,
		.done = kind == QUERY_SRV ? on_service : on_addresses,
		.owner = name,
		.host_index = host_index,
	};
	lookups_ask(name->resolver->lookups, lookup);
}

static const enum query_kind kind_of[FAMILY_COUNT] = {
	[FAMILY_INET] = QUERY_INET,
	[FAMILY_INET6] = QUERY_INET6,
};

static void fail_addresses(struct name *name)
{
	struct question *question = &name->question;

	name->was_asked = true;
	for (uint32_t i = 0; i < question->hosts_count; i++) {
		for (uint32_t j = 0; j < FAMILY_COUNT; j++) {
			struct reply reply = reply_without(REPLY_FAILED, "out of memory");

			if (question_wants(question, (enum family)j))
				question_addresses(question, i, (enum family)j, &reply,
						   lookups_now_ms());
		}
	}
	round_end(name);
}

static void ask_addresses(struct name *name)
{
	struct question *question = &name->question;

	name_move(name, ASKING_ADDRESSES);
	if (question->hosts_count == 0) { /* SRV, and there are none */
		round_end(name);
		return;
	}
	name->lookups =
		calloc((size_t)question->hosts_count * FAMILY_COUNT, sizeof(*name->lookups));
	if (!name->lookups) {
		fail_addresses(name);
		return;
	}
	for (uint32_t i = 0; i < question->hosts_count; i++) {
		for (uint32_t j = 0; j < FAMILY_COUNT; j++) {
			if (question_wants(question, (enum family)j))
				ask(name, question->hosts[i].name, kind_of[j], i);
		}
	}
}

static void ask_service(struct name *name)
{
	struct reply reply = reply_without(REPLY_FAILED, "out of memory");

	name_move(name, ASKING_SERVICE);
	name->lookups = calloc(1, sizeof(*name->lookups));
	if (name->lookups) {
		ask(name, name->question.asked.host, QUERY_SRV, 0);
		return;
	}
	name->was_asked = true;
	question_service(&name->question, &reply, lookups_now_ms());
	ask_addresses(name);
}

static void round_begin(struct name *name, uint64_t now_ms)
{
	assert(name->state == RESTING && now_ms >= name->due_ms);
	name->due_ms = now_ms + name->resolver->options.timeout_ms;
	name->was_asked = false;
	question_begin(&name->question);
	if (name->question.asked.is_srv)
		ask_service(name);
	else
		ask_addresses(name);
}

/* True: it was the last of this step. */
static bool lookup_is_last(struct name *name)
{
	assert(name->lookups_count > 0);
	if (--name->lookups_count > 0)
		return false;
	free(name->lookups);
	name->lookups = NULL;
	return true;
}

static void on_service(struct lookup *lookup, struct reply *reply)
{
	struct name *name = lookup->owner;

	assert(name->state == ASKING_SERVICE);
	name->was_asked = name->was_asked || lookup->was_begun;
	question_service(&name->question, reply, lookups_now_ms());
	if (lookup_is_last(name))
		ask_addresses(name);
}

static void on_addresses(struct lookup *lookup, struct reply *reply)
{
	struct name *name = lookup->owner;

	assert(name->state == ASKING_ADDRESSES);
	name->was_asked = name->was_asked || lookup->was_begun;
	question_addresses(&name->question, lookup->host_index,
			   lookup->kind == QUERY_INET ? FAMILY_INET : FAMILY_INET6, reply,
			   lookups_now_ms());
	if (lookup_is_last(name))
		round_end(name);
}

/* ----------------------------------------------------------------------------------- the thread */

static void take_wakes(struct resolver *resolver)
{
	uint64_t wakes;

	(void)!read(resolver->wake_fd, &wakes, sizeof(wakes)); /* EAGAIN: nobody has called */
	if (!atomic_exchange(&resolver->is_refreshing, false))
		return;
	for (uint32_t i = 0; i < resolver->options.questions_count; i++) {
		struct name *name = &resolver->names[i];

		if (name->state == RESTING)
			name->due_ms = 0;
		else
			name->is_wanted_again = true;
	}
}

/* Returns when the next one is due. */
static uint64_t begin_rounds(struct resolver *resolver)
{
	uint64_t now_ms = lookups_now_ms();
	uint64_t next_ms = UINT64_MAX;

	for (uint32_t i = 0; i < resolver->options.questions_count; i++) {
		struct name *name = &resolver->names[i];

		if (name->state == RESTING && now_ms >= name->due_ms)
			round_begin(name, now_ms);
		if (name->state == RESTING && name->due_ms < next_ms)
			next_ms = name->due_ms;
	}
	return next_ms;
}

static void *run(void *argument)
{
	struct resolver *resolver = argument;

	pthread_setname_np(pthread_self(), "resolver");
	while (!atomic_load(&resolver->is_closing)) {
		take_wakes(resolver);
		lookups_turn(resolver->lookups, resolver->wake_fd, begin_rounds(resolver));
	}
	return NULL;
}

static void wake(struct resolver *resolver)
{
	const uint64_t one = 1;

	while (write(resolver->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* ------------------------------------------------------------------------------- open and close */

/* The thread has ended, or never began. */
static void resolver_free(struct resolver *resolver)
{
	lookups_close(resolver->lookups);
	for (uint32_t i = 0; resolver->names && i < resolver->options.questions_count; i++) {
		free(resolver->names[i].lookups);
		question_deinit(&resolver->names[i].question);
	}
	free(resolver->names);
	if (resolver->wake_fd >= 0)
		close(resolver->wake_fd);
	pthread_cond_destroy(&resolver->all_told);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static int open_parts(struct resolver *resolver)
{
	struct lookups_options options = {
		.servers = resolver->servers,
		.servers_count = resolver->options.servers_count,
		.timeout_ms = resolver->options.timeout_ms,
		.stats = &resolver->stats,
	};

	resolver->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolver->wake_fd < 0)
		return -errno;
	resolver->names = calloc(resolver->options.questions_count, sizeof(*resolver->names));
	if (!resolver->names)
		return -ENOMEM;
	for (uint32_t i = 0; i < resolver->options.questions_count; i++) {
		struct name *name = &resolver->names[i];

		name->resolver = resolver;
		if (!question_init(&name->question, &resolver->options.questions[i],
				   &resolver->rules))
			return -ENOMEM;
	}
	resolver->lookups = lookups_open(&options);
	return resolver->lookups ? 0 : -ENOMEM;
}

/* Signals are for other threads: the new one has them blocked from its first instruction. */
static int start_thread(struct resolver *resolver)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&resolver->thread, NULL, run, resolver);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -result;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void check_options(const struct resolver_options *options)
{
	assert(options->questions_count > 0 && options->told != NULL);
	assert(options->servers_count <= RESOLVER_SERVERS_MAX);
	assert(options->timeout_ms > 0 && options->timeout_ms <= 60 * MS_PER_S);
	assert(options->ttl_min_ms > 0 && options->ttl_min_ms <= options->ttl_max_ms);
}

int resolver_open(struct resolver **opened, const struct resolver_options *options)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	int result;

	check_options(options);
	if (!resolver)
		return -ENOMEM;
	resolver->wake_fd = -1;
	pthread_mutex_init(&resolver->lock, NULL);
	init_condition(&resolver->all_told);
	resolver->options = *options;
	resolver->untold_count = options->questions_count;
	resolver->rules = (struct question_rules){ options->ttl_min_ms, options->ttl_max_ms,
						   options->hold_ms };
	for (uint32_t i = 0; i < options->servers_count; i++)
		resolver->servers[i] = options->servers[i];
	result = open_parts(resolver);
	if (result == 0)
		result = start_thread(resolver);
	resolver->options.questions = NULL; /* they were borrowed until now */
	resolver->options.servers = NULL;
	if (result != 0) {
		resolver_free(resolver);
		return result;
	}
	*opened = resolver;
	return 0;
}

bool resolver_wait(struct resolver *resolver, uint64_t timeout_ms)
{
	uint64_t until_ns = clock_ns() + timeout_ms * NS_PER_MS;
	struct timespec until = { (time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };
	int result = 0;
	bool is_told;

	pthread_mutex_lock(&resolver->lock);
	while (resolver->untold_count > 0 && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&resolver->all_told, &resolver->lock, &until);
	is_told = resolver->untold_count == 0;
	pthread_mutex_unlock(&resolver->lock);
	return is_told;
}

void resolver_refresh(struct resolver *resolver)
{
	atomic_store(&resolver->is_refreshing, true);
	wake(resolver);
}

const struct resolver_stats *resolver_stats(const struct resolver *resolver)
{
	return &resolver->stats;
}

void resolver_close(struct resolver *resolver)
{
	if (!resolver)
		return;
	atomic_store(&resolver->is_closing, true);
	wake(resolver);
	pthread_join(resolver->thread, NULL);
	resolver_free(resolver);
}
