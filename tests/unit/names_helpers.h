/* SPDX-License-Identifier: MIT */
/*
 * names_helpers.h - one question, its rounds and what came of them, for the tests of
 * names/question.h.
 *
 * A round is written as what came of each part: addresses, "-" for none (gone), "!" for a failure.
 *
 *      begin_host(RESOLVER_ANY);
 *      round_of("10.0.0.1 10.0.0.2", "!");
 *      check(RESOLVER_FRESH, "10.0.0.1:80 10.0.0.2:80", true);
 */
#ifndef NAMES_HELPERS_H
#define NAMES_HELPERS_H

#include <stdio.h>

#include "base/clock.h"
#include "dns_message.h"
#include "names/question.h"
#include "names/records.h"
#include "names/srv.h"
#include "unit.h"

#define SET_MAX 1024

static struct question_rules rules;
static struct question question;
static struct resolver_answer answer;
static bool is_news;
static uint64_t now_ms;
static uint32_t ttl_s;

static inline void begin(const struct resolver_question *asked)
{
	rules = (struct question_rules){ .ttl_min_ms = 500, .ttl_max_ms = 60000, .hold_ms = 30000 };
	now_ms = 1000000;
	ttl_s = 20;
	CHECK(question_init(&question, asked, &rules));
}

static inline void begin_host(enum resolver_family family)
{
	begin(&(struct resolver_question){ .host = "app.test", .port = 80, .family = family });
}

static inline void begin_srv(void)
{
	begin(&(struct resolver_question){ .host = "_x._tcp.app.test", .is_srv = true });
}

static inline struct reply reply_from(const char *text)
{
	struct reply reply = { .kind = REPLY_FOUND, .why = "", .ttl_ms = ttl_s * MS_PER_S };
	char copy[SET_MAX], *rest = copy, *word;

	if (strcmp(text, "-") == 0)
		return reply_without(REPLY_GONE, "gone");
	if (strcmp(text, "!") == 0)
		return reply_without(REPLY_FAILED, "failed");
	snprintf(copy, sizeof(copy), "%s", text);
	reply.addrs = calloc(16, sizeof(*reply.addrs));
	while ((word = strsep(&rest, " ")) != NULL) {
		struct sockaddr_in in = { .sin_family = AF_INET };
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
		struct addr *addr = &reply.addrs[reply.addrs_count++];

		assert(reply.addrs_count <= 16);
		if (inet_pton(AF_INET, word, &in.sin_addr) == 1)
			addr_from_sockaddr(addr, (const struct sockaddr *)&in, sizeof(in));
		else if (inet_pton(AF_INET6, word, &in6.sin6_addr) == 1)
			addr_from_sockaddr(addr, (const struct sockaddr *)&in6, sizeof(in6));
		else
			assert(!"an address");
	}
	return reply;
}

static inline struct reply service_from(const char *text)
{
	static uint8_t bytes[8192];
	struct dns_writer w = { bytes, 0, sizeof(bytes), "_x._tcp.app.test" };

	if (strcmp(text, "-") == 0 || strcmp(text, "!") == 0)
		return reply_from(text);
	dns_put_header(&w, 1, 0, ns_t_srv);
	dns_put_records(&w, ttl_s, text);
	return srv_parse(bytes, w.len);
}

static inline void hear(uint32_t host, enum family family, const char *text)
{
	struct reply reply;

	if (!question_wants(&question, family))
		return;
	reply = reply_from(text);
	question_addresses(&question, host, family, &reply, now_ms);
}

static inline void round_of(const char *inet, const char *inet6)
{
	question_begin(&question);
	hear(0, FAMILY_INET, inet);
	hear(0, FAMILY_INET6, inet6);
	is_news = question_end(&question, now_ms, &answer);
}

/* Hosts as `NAME ADDRESSES`, of IPv4 only; one that is not listed is gone. */
static inline void srv_round(const char *service, const char *const hosts[], uint32_t hosts_count)
{
	struct reply reply = service_from(service);

	question_begin(&question);
	question_service(&question, &reply, now_ms);
	for (uint32_t i = 0; i < question.hosts_count; i++) {
		const char *found = "-";

		for (uint32_t j = 0; j < hosts_count; j++) {
			size_t len = strlen(question.hosts[i].name);

			if (strncmp(hosts[j], question.hosts[i].name, len) == 0 &&
			    hosts[j][len] == ' ')
				found = hosts[j] + len + 1;
		}
		hear(i, FAMILY_INET, found);
		hear(i, FAMILY_INET6, "-");
	}
	is_news = question_end(&question, now_ms, &answer);
}

#define SRV(service, ...)                                          \
	srv_round((service), (const char *const[]){ __VA_ARGS__ }, \
		  ARRAY_COUNT(((const char *const[]){ __VA_ARGS__ })))

static inline const char *format_set(void)
{
	static char text[SET_MAX];
	char addr[ADDR_TEXT_MAX];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < answer.count && len < sizeof(text); i++) {
		const struct resolver_record *record = &answer.records[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, i > 0 ? " %s" : "%s",
					addr_format(addr, &record->addr));
		if (question.asked.is_srv && len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "/%u/%u",
						record->priority, record->weight);
	}
	return text;
}

static inline void check(enum resolver_outcome outcome, const char *set, bool is_told)
{
	CHECK_INT(answer.outcome, outcome);
	CHECK_TEXT(format_set(), set);
	CHECK_INT(is_news, is_told);
	CHECK((answer.outcome == RESOLVER_FRESH) == (answer.why[0] == '\0'));
}

#endif
