/* SPDX-License-Identifier: MIT */
/*
 * dns_server - a name server for tests: a thread on 127.0.0.1 that does what it was told, over UDP
 * and over TCP at the same port.
 *
 *      dns_open(&server);
 *      dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1 10.0.0.2");
 *      dns_say(&server, "www.test", ns_t_a, 60, "cname:app.test 10.0.0.1");
 *      dns_say(&server, "_http._tcp.app.test", ns_t_srv, 60, "10:5:8080:s1.app.test");
 *      dns_do(&server, "bad.test", ns_t_a, DNS_SERVFAIL);
 *
 * A name for which nothing was said does not exist; the last that was said holds. Names in the data
 * of SRV and CNAME records are compressed as far as the question's name allows.
 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dns_message.h"
#include "net/addr.h"
#include "unit.h"

#define DNS_RULES_MAX 1100
#define DNS_STREAMS_MAX 32
#define DNS_MESSAGE_MAX 65535u
#define DNS_UDP_MAX 1232u

enum dns_act {
	DNS_ANSWER,         /* with the records; without any this is NODATA */
	DNS_TRUNCATED,      /* over UDP only the mark of it; over TCP the records */
	DNS_TRUNCATED_ONCE, /* the same, and the TCP connection ends behind each answer */
	DNS_NXDOMAIN,
	DNS_SERVFAIL,
	DNS_REFUSED,
	DNS_NOTIMP,
	DNS_FORMERR,
	DNS_SILENT,
	DNS_GARBAGE,        /* random bytes behind a header and a question that are right */
	DNS_NOISE,          /* random bytes only */
	DNS_OTHER_ID,       /* the answer to nobody's question */
	DNS_OTHER_QUESTION, /* the answer to another question */
	DNS_LOOP,           /* CNAME records in a circle */
};

struct dns_rule {
	char name[128];
	uint16_t type;
	enum dns_act act;
	uint32_t ttl;
	char *records; /* owned */
	uint32_t asked;
};

struct dns_stream {
	int fd;
	uint32_t len;
	uint8_t bytes[2 + 512];
};

struct dns_server {
	struct addr addr;
	pthread_t thread;
	int udp_fd;
	int tcp_fd;
	int stop_fd;
	struct dns_stream streams[DNS_STREAMS_MAX];
	pthread_mutex_t lock; /* of what follows */
	struct dns_rule rules[DNS_RULES_MAX];
	uint32_t rules_count;
	uint32_t asked; /* over all */
	uint32_t asked_tcp;
	uint8_t answer[2 + DNS_MESSAGE_MAX];
	uint64_t random;
};

static inline void dns_put_noise(struct dns_server *server, struct dns_writer *w, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)unit_random(&server->random);

		dns_put(w, &byte, 1);
	}
}

static inline struct dns_rule *dns_find(struct dns_server *server, const char *name, uint16_t type)
{
	for (uint32_t i = 0; i < server->rules_count; i++) {
		struct dns_rule *rule = &server->rules[i];

		if (rule->type == type && strcasecmp(rule->name, name) == 0)
			return rule;
	}
	return NULL;
}

/* A name that has one type but not the other exists. */
static inline enum dns_act dns_act_without_rule(struct dns_server *server, const char *name)
{
	for (uint32_t i = 0; i < server->rules_count; i++) {
		if (strcasecmp(server->rules[i].name, name) == 0)
			return DNS_ANSWER;
	}
	return DNS_NXDOMAIN;
}

static inline void dns_write(struct dns_server *server, struct dns_writer *w, uint16_t id,
			     uint16_t type, const struct dns_rule *rule, bool is_tcp)
{
	enum dns_act act = rule ? rule->act : dns_act_without_rule(server, w->question);
	static const uint32_t rcodes[] = {
		[DNS_NXDOMAIN] = ns_r_nxdomain, [DNS_SERVFAIL] = ns_r_servfail,
		[DNS_REFUSED] = ns_r_refused,   [DNS_NOTIMP] = ns_r_notimpl,
		[DNS_FORMERR] = ns_r_formerr,   [DNS_LOOP] = 0,
	};
	uint32_t begin = w->len;

	if (act == DNS_SILENT)
		return;
	if (act == DNS_NOISE) {
		dns_put_noise(server, w, 100);
		return;
	}
	if (act == DNS_OTHER_QUESTION)
		w->question = "other.test";
	dns_put_header(w, act == DNS_OTHER_ID ? (uint16_t)(id + 1) : id, rcodes[act], type);
	if (act == DNS_GARBAGE) {
		w->bytes[7] = 3; /* answers */
		dns_put_noise(server, w, 50);
	} else if (act == DNS_LOOP) {
		dns_put_record(w, w->question, 60, (char[]){ "cname:b.test" });
		dns_put_record(w, "b.test", 60, (char[]){ "cname:loop.test" });
	} else if ((act == DNS_TRUNCATED || act == DNS_TRUNCATED_ONCE) && !is_tcp) {
		w->bytes[2] |= 2;
	} else if (rule && rcodes[act] == 0) {
		dns_put_records(w, rule->ttl, rule->records);
	}
	if (!is_tcp && w->len - begin > DNS_UDP_MAX) {
		w->len = begin;
		w->bytes[6] = w->bytes[7] = 0;
		dns_put_header(w, id, 0x200, type);
	}
}

/* Returns the answer's length; 0: none. *ends: the connection does. */
static inline uint32_t dns_answer(struct dns_server *server, const uint8_t *query, uint32_t len,
				  bool is_tcp, bool *ends)
{
	char name[NS_MAXDNAME];
	struct dns_writer w = { server->answer + 2, 0, DNS_MESSAGE_MAX, name };
	int name_len = -1;
	struct dns_rule *rule;
	uint16_t id, type;

	if (len > NS_HFIXEDSZ)
		name_len = ns_name_uncompress(query, query + len, query + NS_HFIXEDSZ, name,
					      sizeof(name));
	if (name_len < 0 || NS_HFIXEDSZ + (uint32_t)name_len + 4 > len)
		return 0;
	memcpy(&id, query, 2);
	type = (uint16_t)(query[NS_HFIXEDSZ + name_len] << 8 | query[NS_HFIXEDSZ + name_len + 1]);
	pthread_mutex_lock(&server->lock);
	rule = dns_find(server, name, type);
	server->asked++;
	server->asked_tcp += is_tcp;
	if (rule)
		rule->asked++;
	*ends = rule && rule->act == DNS_TRUNCATED_ONCE;
	dns_write(server, &w, id, type, rule, is_tcp);
	pthread_mutex_unlock(&server->lock);
	server->answer[0] = (uint8_t)(w.len >> 8);
	server->answer[1] = (uint8_t)w.len;
	return w.len;
}

static inline void dns_serve_udp(struct dns_server *server)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint8_t query[512];
	ssize_t len = recvfrom(server->udp_fd, query, sizeof(query), 0, (struct sockaddr *)&from,
			       &from_len);
	uint32_t answer_len;
	bool ends;

	if (len <= 0)
		return;
	answer_len = dns_answer(server, query, (uint32_t)len, false, &ends);
	if (answer_len > 0)
		sendto(server->udp_fd, server->answer + 2, answer_len, 0,
		       (const struct sockaddr *)&from, from_len);
}

static inline void dns_stream_end(struct dns_stream *stream)
{
	close(stream->fd);
	stream->fd = -1;
}

static inline void dns_serve_stream(struct dns_server *server, struct dns_stream *stream)
{
	ssize_t got = recv(stream->fd, stream->bytes + stream->len,
			   sizeof(stream->bytes) - stream->len, 0);
	bool ends = got <= 0;

	stream->len += ends ? 0 : (uint32_t)got;
	while (!ends && stream->len > 2) {
		uint32_t len = (uint32_t)stream->bytes[0] << 8 | stream->bytes[1];
		uint32_t answer_len;

		if (2 + len > stream->len)
			break;
		answer_len = dns_answer(server, stream->bytes + 2, len, true, &ends);
		stream->len -= 2 + len;
		memmove(stream->bytes, stream->bytes + 2 + len, stream->len);
		if (answer_len > 0 &&
		    send(stream->fd, server->answer, 2 + answer_len, MSG_NOSIGNAL) < 0)
			ends = true;
	}
	if (ends || stream->len == sizeof(stream->bytes))
		dns_stream_end(stream);
}

static inline void dns_accept(struct dns_server *server)
{
	int fd = accept4(server->tcp_fd, NULL, NULL, SOCK_CLOEXEC);

	for (uint32_t i = 0; fd >= 0 && i < DNS_STREAMS_MAX; i++) {
		if (server->streams[i].fd < 0) {
			server->streams[i].fd = fd;
			server->streams[i].len = 0;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static inline void *dns_run(void *argument)
{
	struct dns_server *server = argument;
	struct pollfd polled[3 + DNS_STREAMS_MAX];

	for (;;) {
		polled[0] = (struct pollfd){ .fd = server->stop_fd, .events = POLLIN };
		polled[1] = (struct pollfd){ .fd = server->udp_fd, .events = POLLIN };
		polled[2] = (struct pollfd){ .fd = server->tcp_fd, .events = POLLIN };
		for (uint32_t i = 0; i < DNS_STREAMS_MAX; i++)
			polled[3 + i] =
				(struct pollfd){ .fd = server->streams[i].fd, .events = POLLIN };
		poll(polled, ARRAY_COUNT(polled), -1);
		if (polled[0].revents)
			return NULL;
		if (polled[1].revents)
			dns_serve_udp(server);
		for (uint32_t i = 0; i < DNS_STREAMS_MAX; i++) {
			if (polled[3 + i].revents && server->streams[i].fd >= 0)
				dns_serve_stream(server, &server->streams[i]);
		}
		if (polled[2].revents)
			dns_accept(server);
	}
}

/* UDP and TCP at one port; false when another program has it for the other one of them. */
static inline bool dns_bind(struct dns_server *server, const char *host, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof(in);
	int big = 1 << 20;

	assert(inet_pton(AF_INET, host, &in.sin_addr) == 1);
	server->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	server->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(server->udp_fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	if (bind(server->udp_fd, (const struct sockaddr *)&in, sizeof(in)) == 0 &&
	    getsockname(server->udp_fd, (struct sockaddr *)&in, &len) == 0 &&
	    bind(server->tcp_fd, (const struct sockaddr *)&in, sizeof(in)) == 0 &&
	    listen(server->tcp_fd, DNS_STREAMS_MAX) == 0) {
		addr_from_sockaddr(&server->addr, (const struct sockaddr *)&in, sizeof(in));
		return true;
	}
	close(server->udp_fd);
	close(server->tcp_fd);
	return false;
}

static inline void dns_open_at(struct dns_server *server, const char *host, uint16_t port)
{
	bool is_bound = false;

	memset(server, 0, sizeof(*server));
	server->random = 4711;
	for (uint32_t i = 0; i < DNS_STREAMS_MAX; i++)
		server->streams[i].fd = -1;
	for (uint32_t i = 0; !is_bound && i < 20; i++)
		is_bound = dns_bind(server, host, port);
	assert(is_bound);
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&server->lock, NULL);
	assert(pthread_create(&server->thread, NULL, dns_run, server) == 0);
}

static inline void dns_open(struct dns_server *server)
{
	dns_open_at(server, "127.0.0.1", 0);
}

/* From now on its port is closed. */
static inline void dns_stop(struct dns_server *server)
{
	const uint64_t one = 1;

	if (server->stop_fd < 0)
		return;
	assert(write(server->stop_fd, &one, sizeof(one)) == sizeof(one));
	pthread_join(server->thread, NULL);
	for (uint32_t i = 0; i < DNS_STREAMS_MAX; i++) {
		if (server->streams[i].fd >= 0)
			dns_stream_end(&server->streams[i]);
	}
	close(server->udp_fd);
	close(server->tcp_fd);
	close(server->stop_fd);
	server->stop_fd = -1;
}

static inline void dns_close(struct dns_server *server)
{
	dns_stop(server);
	for (uint32_t i = 0; i < server->rules_count; i++)
		free(server->rules[i].records);
	pthread_mutex_destroy(&server->lock);
}

static inline void dns_rule(struct dns_server *server, const char *name, uint16_t type,
			    enum dns_act act, uint32_t ttl, const char *records)
{
	struct dns_rule *rule;

	pthread_mutex_lock(&server->lock);
	rule = dns_find(server, name, type);
	if (!rule) {
		assert(server->rules_count < DNS_RULES_MAX);
		rule = &server->rules[server->rules_count++];
		snprintf(rule->name, sizeof(rule->name), "%.*s", (int)sizeof(rule->name) - 1, name);
		rule->type = type;
	}
	rule->act = act;
	rule->ttl = ttl;
	free(rule->records);
	rule->records = strdup(records);
	pthread_mutex_unlock(&server->lock);
}

static inline void dns_say(struct dns_server *server, const char *name, uint16_t type, uint32_t ttl,
			   const char *records)
{
	dns_rule(server, name, type, DNS_ANSWER, ttl, records);
}

static inline void dns_do(struct dns_server *server, const char *name, uint16_t type,
			  enum dns_act act)
{
	dns_rule(server, name, type, act, 60, "10.9.9.9");
}

/* How often a rule was asked for; without a name, how often all were. */
static inline uint32_t dns_asked(struct dns_server *server, const char *name, uint16_t type)
{
	struct dns_rule *rule;
	uint32_t asked;

	pthread_mutex_lock(&server->lock);
	rule = name ? dns_find(server, name, type) : NULL;
	asked = rule ? rule->asked : name ? 0 : server->asked;
	pthread_mutex_unlock(&server->lock);
	return asked;
}

#endif
