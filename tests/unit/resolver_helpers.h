/* SPDX-License-Identifier: MIT */
/*
 * resolver_helpers.h - one resolver, the name server that it asks, and what it told, for the tests
 * of names/resolver.h.
 *
 *      begin();
 *      dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
 *      ask_for("app.test", 80, RESOLVER_ANY);
 *      options.hold_ms = 400;
 *      open_it();
 *      expect(0, RESOLVER_FRESH, "10.0.0.1:80");
 *      end();
 */
#ifndef RESOLVER_HELPERS_H
#define RESOLVER_HELPERS_H

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "dns_server.h"
#include "names/resolver.h"

#define PATIENCE_MS 10000u /* what is waited for comes at once, unless the machine is busy */
#define TELLINGS_MAX 4096
#define SET_MAX 1024 /* bytes of a set's text; a longer one is cut */

struct telling {
	uint32_t question;
	enum resolver_outcome outcome;
	const char *why;
	char set[SET_MAX];
	uint32_t count;
	uint32_t left_out;
	uint64_t next_ms;
};

/* One test at a time. */
static struct dns_server server;
static struct resolver_question questions[1024];
static struct resolver_options options;
static struct resolver *resolver;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told;
static struct telling tellings[TELLINGS_MAX];
static uint32_t tellings_count;
static bool has_signals; /* some signal is not blocked in the resolver's thread */

static inline uint64_t now_ms(void)
{
	return clock_ns() / NS_PER_MS;
}

static inline void format_set(char *text, const struct resolver_answer *answer)
{
	char addr[ADDR_TEXT_MAX];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < answer->count; i++) {
		const struct resolver_record *record = &answer->records[i];
		int more = snprintf(text + len, SET_MAX - len, i > 0 ? " %s" : "%s",
				    addr_format(addr, &record->addr));

		if (record->priority != 0 || record->weight != 0)
			more += snprintf(
				text + len + (size_t)more,
				len + (size_t)more < SET_MAX ? SET_MAX - len - (size_t)more : 0,
				"/%u/%u", record->priority, record->weight);
		len += (size_t)more;
		if (len >= SET_MAX)
			return;
	}
}

static inline void on_told(void *context, uint32_t question, const struct resolver_answer *answer)
{
	struct telling *telling;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	pthread_mutex_lock(&lock);
	assert(context == &tellings && tellings_count < TELLINGS_MAX);
	has_signals |= !sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGUSR1);
	telling = &tellings[tellings_count++];
	*telling = (struct telling){ .question = question,
				     .outcome = answer->outcome,
				     .why = answer->why,
				     .count = answer->count,
				     .left_out = answer->left_out,
				     .next_ms = answer->next_ms };
	format_set(telling->set, answer);
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}

/* The index-th telling, when it has come; NULL with a failed check when it does not. */
static inline const struct telling *telling_at(uint32_t index)
{
	struct timespec until = { .tv_sec = (time_t)(now_ms() + PATIENCE_MS) / 1000 };
	const struct telling *telling = NULL;
	int result = 0;

	pthread_mutex_lock(&lock);
	while (tellings_count <= index && result == 0)
		result = pthread_cond_timedwait(&told, &lock, &until);
	if (CHECK(tellings_count > index))
		telling = &tellings[index];
	pthread_mutex_unlock(&lock);
	return telling;
}

static inline uint32_t tellings_now(void)
{
	uint32_t count;

	pthread_mutex_lock(&lock);
	count = tellings_count;
	pthread_mutex_unlock(&lock);
	return count;
}

/* ---------------------------------------------------------------------------------- scaffolding */

/* A name server, and options that may be changed before open(). */
static inline void begin_at(const char *host, uint16_t port)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&told, &attributes);
	tellings_count = 0;
	dns_open_at(&server, host, port);
	memset(questions, 0, sizeof(questions));
	options = (struct resolver_options){
		.questions = questions,
		.servers = &server.addr,
		.servers_count = 1,
		.timeout_ms = 5000,
		.ttl_min_ms = 20,
		.ttl_max_ms = 60000,
		.hold_ms = 0,
		.told = on_told,
		.context = &tellings,
	};
}

static inline void begin(void)
{
	begin_at("127.0.0.1", 0);
}

static inline void ask_for(const char *host, uint16_t port, enum resolver_family family)
{
	questions[options.questions_count++] = (struct resolver_question){
		.host = host, .port = port, .family = family, .is_srv = port == 0
	};
}

static inline bool open_it(void)
{
	return CHECK_INT(resolver_open(&resolver, &options), 0);
}

static inline void end(void)
{
	resolver_close(resolver);
	resolver = NULL;
	dns_close(&server);
	pthread_cond_destroy(&told);
}

static inline uint64_t stat_of(const struct counter *counter)
{
	return counter_read(counter);
}

/* One host, one round: what was told. */
static inline void expect_first(enum resolver_outcome outcome, const char *set, const char *why)
{
	const struct telling *telling;

	if (!open_it())
		return;
	CHECK(resolver_wait(resolver, PATIENCE_MS));
	telling = telling_at(0);
	if (!telling)
		return;
	CHECK_INT(telling->outcome, outcome);
	CHECK_TEXT(telling->set, set);
	CHECK_TEXT(telling->why, why);
}

static inline void expect(uint32_t index, enum resolver_outcome outcome, const char *set)
{
	const struct telling *telling = telling_at(index);

	if (!telling)
		return;
	CHECK_INT(telling->outcome, outcome);
	CHECK_TEXT(telling->set, set);
}

static inline void wait_until_asked(const char *name, uint16_t type, uint32_t times)
{
	uint64_t until_ms = now_ms() + PATIENCE_MS;

	while (dns_asked(&server, name, type) < times && now_ms() < until_ms)
		usleep(2000);
	CHECK(dns_asked(&server, name, type) >= times);
}

#endif
