/* SPDX-License-Identifier: MIT */
/*
 * channels.c - the way to the name servers, by c-ares 1.18 or later.
 *
 * What is asked of c-ares, and why:
 *   NOCHECKRESP     SERVFAIL, REFUSED and NOTIMP come through; otherwise 1.18 says "connection
 *                   refused" for all of them.
 *   NOALIASES       no HOSTALIASES from the environment.
 *   EDNS, 1232      few answers are truncated, and none are fragmented.
 *   one try         the next one is for lookup.c to decide.
 *   no query cache  it is a reader's job to keep to the times to live, and lookup.c is the reader.
 *   NOSORT          the order of addresses is ours, and it costs no sockets.
 *   a family each   of AF_UNSPEC c-ares does not tell that one family failed.
 */
#define CARES_NO_DEPRECATED /* what replaces the deprecated functions is not there in 1.18 */

#include "channels.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "srv.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define EDNS_BYTES 1232 /* fits an IPv6 packet of 1280 bytes */

/* Sockets at one time. A channel has one for UDP and one for TCP, and later versions of c-ares keep
 * a few more while old queries end. */
#define WATCHED_MAX 256u

/* The hosts file gives no time to live. Reading it again costs next to nothing, but an edit is rare
 * and need not take effect within a second: half a minute is what a person will wait for. */
#define HOSTS_TTL_MS (30 * MS_PER_S)

enum search { SEARCH_DOMAINS, SEARCH_EXACT, SEARCH_COUNT };

struct channel {
	struct channels *channels;
	ares_channel ares; /* NULL: closed */
};

struct watched {
	struct channel *channel;
	int fd;
	short events;
};

struct channels {
	struct channels_options options;
	uint32_t servers_count; /* that channels are there for */
	struct channel servers[RESOLVER_SERVERS_MAX][SEARCH_COUNT];
	struct channel hosts;
	struct stat resolv_conf; /* when the channels were made */
	uint32_t watched_count;
	struct watched watched[WATCHED_MAX];
};

/* -------------------------------------------------------------------------------- what was said */

struct meaning {
	int status;
	enum query_end end;
	const char *why;
};

static const struct meaning meanings[] = {
	{ ARES_SUCCESS, QUERY_ANSWERED, "" },
	{ ARES_ENODATA, QUERY_ANSWERED, "the name has no address" },
	{ ARES_ENOTFOUND, QUERY_ANSWERED, "there is no such name (NXDOMAIN)" },
	{ ARES_EFORMERR, QUERY_ERROR, "FORMERR" },
	{ ARES_ESERVFAIL, QUERY_ERROR, "SERVFAIL" },
	{ ARES_ENOTIMP, QUERY_ERROR, "NOTIMP" },
	{ ARES_EREFUSED, QUERY_ERROR, "REFUSED" },
	{ ARES_EBADRESP, QUERY_ERROR, "the answer is malformed" },
	{ ARES_ECONNREFUSED, QUERY_BROKEN, "no name server can be reached" },
	{ ARES_ETIMEOUT, QUERY_SILENT, "no answer in time" },
	{ ARES_EBADNAME, QUERY_IMPOSSIBLE, "no name server can be asked for such a name" },
	{ ARES_EBADQUERY, QUERY_IMPOSSIBLE, "no name server can be asked for such a name" },
	{ ARES_ENOMEM, QUERY_IMPOSSIBLE, "out of memory" },
	{ ARES_ECANCELLED, QUERY_INTERRUPTED, "interrupted" },
	{ ARES_EDESTRUCTION, QUERY_INTERRUPTED, "interrupted" },
};

static struct meaning meaning_of(int status)
{
	for (uint32_t i = 0; i < ARRAY_COUNT(meanings); i++) {
		if (meanings[i].status == status)
			return meanings[i];
	}
	return (struct meaning){ status, QUERY_ERROR, "the answer cannot be used" };
}

static struct reply reply_of(const struct meaning *meaning)
{
	return reply_without(meaning->end == QUERY_ANSWERED ? REPLY_GONE : REPLY_FAILED,
			     meaning->why);
}

/* In seconds; a negative one is none (RFC 2181 section 8). */
static uint64_t least_ttl(uint64_t ttl_ms, int ttl_s)
{
	uint64_t other_ms = ttl_s > 0 ? (uint64_t)ttl_s * MS_PER_S : 0;

	return other_ms < ttl_ms ? other_ms : ttl_ms;
}

/* The addresses of one family, with the least time to live of these and of the CNAME records that
 * led to them. */
static struct reply collect(const struct ares_addrinfo *found, int family)
{
	struct reply reply = { .kind = REPLY_FOUND, .why = "", .ttl_ms = UINT64_MAX };
	uint32_t count = 0;

	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
		count += node->ai_family == family;
	if (count == 0)
		return reply_without(REPLY_GONE, "the name has no address");
	reply.addrs = calloc(count, sizeof(*reply.addrs));
	if (!reply.addrs)
		return reply_without(REPLY_FAILED, "out of memory");
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
		if (node->ai_family != family)
			continue;
		addr_from_sockaddr(&reply.addrs[reply.addrs_count++], node->ai_addr,
				   (socklen_t)node->ai_addrlen);
		reply.ttl_ms = least_ttl(reply.ttl_ms, node->ai_ttl);
	}
	for (const struct ares_addrinfo_cname *cname = found->cnames; cname; cname = cname->next)
		reply.ttl_ms = least_ttl(reply.ttl_ms, cname->ttl);
	assert(reply.addrs_count == count);
	return reply;
}

/* -------------------------------------------------------------------------------------- sockets */

static void on_socket(void *context, ares_socket_t fd, int is_readable, int is_writable)
{
	struct channel *channel = context;
	struct channels *channels = channel->channels;
	short events = (short)((is_readable ? POLLIN : 0) | (is_writable ? POLLOUT : 0));
	uint32_t at = 0;

	while (at < channels->watched_count && channels->watched[at].fd != fd)
		at++;
	if (events == 0) {
		if (at < channels->watched_count)
			channels->watched[at] = channels->watched[--channels->watched_count];
		return;
	}
	if (at == WATCHED_MAX)
		return; /* not heard, so its queries end by their time */
	if (at == channels->watched_count)
		channels->watched_count++;
	channels->watched[at] = (struct watched){ channel, fd, events };
}

/* ------------------------------------------------------------------------------------- channels */

/* An equal share for each try of each server, so that all of them have had their turn in time. */
static int try_ms(const struct channels *channels, uint32_t servers_count)
{
	uint64_t tries = (uint64_t)channels->options.tries * servers_count;
	uint64_t share_ms = channels->options.timeout_ms / tries;

	return share_ms > 0 ? (int)share_ms : 1;
}

static bool channel_open(struct channels *channels, struct channel *channel, enum search search,
			 char *lookups, uint32_t servers_count)
{
	int which = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		    ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ;
	struct ares_options options = {
		.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = try_ms(channels, servers_count),
		.tries = 1,
		.lookups = lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = channel,
		.ednspsz = EDNS_BYTES,
	};

	if (search == SEARCH_EXACT) {
		/* 1.18 goes by the empty list, later versions by the flag. */
		options.flags |= ARES_FLAG_NOSEARCH;
		options.ndomains = 0;
		which |= ARES_OPT_DOMAINS;
	}
#ifdef ARES_OPT_QUERY_CACHE
	options.qcache_max_ttl = 0;
	which |= ARES_OPT_QUERY_CACHE;
#endif
	channel->channels = channels;
	if (ares_init_options(&channel->ares, &options, which) == ARES_SUCCESS)
		return true;
	channel->ares = NULL;
	return false;
}

static void channel_close(struct channel *channel)
{
	if (channel->ares)
		ares_destroy(channel->ares);
	channel->ares = NULL;
}

static void close_all(struct channels *channels)
{
	for (uint32_t i = 0; i < RESOLVER_SERVERS_MAX; i++) {
		for (uint32_t j = 0; j < SEARCH_COUNT; j++)
			channel_close(&channels->servers[i][j]);
	}
	channel_close(&channels->hosts);
	channels->servers_count = 0;
	assert(channels->watched_count == 0);
}

/* Both kinds of channels for one server. */
static bool open_server(struct channels *channels, uint32_t server, uint32_t servers_count,
			const char *text)
{
	for (uint32_t i = 0; i < SEARCH_COUNT; i++) {
		struct channel *channel = &channels->servers[server][i];
		char lookups[] = "b";

		if (!channel_open(channels, channel, (enum search)i, lookups, servers_count) ||
		    ares_set_servers_ports_csv(channel->ares, text) != ARES_SUCCESS)
			return false;
	}
	return true;
}

static void format_server(char text[ADDR_TEXT_MAX], const struct ares_addr_port_node *node)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(NS_DEFAULTPORT) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(NS_DEFAULTPORT) };
	struct addr addr;

	if (node->udp_port != 0)
		in.sin_port = in6.sin6_port = htons((uint16_t)node->udp_port);
	memcpy(&in.sin_addr, &node->addr.addr4, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, &node->addr.addr6, sizeof(in6.sin6_addr));
	if (node->family == AF_INET)
		addr_from_sockaddr(&addr, (const struct sockaddr *)&in, sizeof(in));
	else
		addr_from_sockaddr(&addr, (const struct sockaddr *)&in6, sizeof(in6));
	addr_format(text, &addr);
}

/* The channel for the hosts file has read resolv.conf as well. */
static uint32_t system_servers(struct channels *channels,
			       char texts[RESOLVER_SERVERS_MAX][ADDR_TEXT_MAX])
{
	struct ares_addr_port_node *nodes = NULL;
	uint32_t count = 0;

	if (ares_get_servers_ports(channels->hosts.ares, &nodes) != ARES_SUCCESS)
		return 0;
	for (const struct ares_addr_port_node *node = nodes; node; node = node->next) {
		if (count < RESOLVER_SERVERS_MAX)
			format_server(texts[count++], node);
	}
	ares_free_data(nodes);
	return count;
}

static void open_all(struct channels *channels)
{
	char texts[RESOLVER_SERVERS_MAX][ADDR_TEXT_MAX];
	uint32_t count = channels->options.servers_count;
	char lookups[] = "f";

	if (!channel_open(channels, &channels->hosts, SEARCH_EXACT, lookups, 1))
		return;
	for (uint32_t i = 0; i < count; i++)
		addr_format(texts[i], &channels->options.servers[i]);
	if (count == 0)
		count = system_servers(channels, texts);
	for (uint32_t i = 0; i < count; i++) {
		if (!open_server(channels, i, count, texts[i])) {
			close_all(channels);
			return;
		}
	}
	channels->servers_count = count;
}

/* A file that is not there is all zeros. */
static struct stat look_at_file(void)
{
	struct stat file;

	memset(&file, 0, sizeof(file));
	if (stat(RESOLV_CONF, &file) != 0)
		memset(&file, 0, sizeof(file));
	return file;
}

static bool is_same_file(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
	       one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
	       one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

uint32_t channels_renew(struct channels *channels)
{
	struct stat now = look_at_file();

	if (channels->servers_count > 0 && is_same_file(&now, &channels->resolv_conf))
		return channels->servers_count;
	close_all(channels);
	/* What is written while it is read looks new the next time. */
	channels->resolv_conf = now;
	open_all(channels);
	return channels->servers_count;
}

struct channels *channels_open(const struct channels_options *options)
{
	struct channels *channels = calloc(1, sizeof(*channels));

	assert(options->servers_count <= RESOLVER_SERVERS_MAX && options->tries > 0);
	if (!channels)
		return NULL;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(channels);
		return NULL;
	}
	channels->options = *options;
	return channels;
}

void channels_close(struct channels *channels)
{
	if (!channels)
		return;
	close_all(channels);
	ares_library_cleanup();
	free(channels);
}

/* ----------------------------------------------------------------------------------- hosts file */

struct hosts_answer {
	bool has_come;
	bool is_found;
	struct reply *replies;
};

static void on_hosts(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
	struct hosts_answer *answer = context;

	answer->has_come = true;
	if (status == ARES_SUCCESS && found && found->nodes) {
		answer->is_found = true;
		answer->replies[QUERY_INET] = collect(found, AF_INET);
		answer->replies[QUERY_INET6] = collect(found, AF_INET6);
		answer->replies[QUERY_INET].ttl_ms = HOSTS_TTL_MS;
		answer->replies[QUERY_INET6].ttl_ms = HOSTS_TTL_MS;
	}
	ares_freeaddrinfo(found);
}

bool channels_read_hosts(struct channels *channels, const char *host, struct reply replies[2])
{
	const struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
						   .ai_family = AF_UNSPEC };
	struct hosts_answer answer = { .replies = replies };

	if (!channels->hosts.ares)
		return false;
	ares_getaddrinfo(channels->hosts.ares, host, NULL, &hints, on_hosts, &answer);
	assert(answer.has_come); /* there is nobody to wait for */
	return answer.is_found;
}

/* -------------------------------------------------------------------------------------- queries */

struct query {
	struct channels *channels;
	void *context;
	enum query_kind kind;
};

static void query_finish(struct query *query, enum query_end end, struct reply *reply)
{
	query_ended *ended = query->channels->options.ended;
	void *context = query->context;

	assert((end == QUERY_ANSWERED) == (reply->kind != REPLY_FAILED));
	free(query);
	ended(context, end, reply);
}

static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
	struct query *query = context;
	struct meaning meaning = meaning_of(status);
	struct reply reply = reply_of(&meaning);

	if (status == ARES_SUCCESS)
		reply = collect(found, query->kind == QUERY_INET ? AF_INET : AF_INET6);
	if (reply.kind == REPLY_FAILED && meaning.end == QUERY_ANSWERED)
		meaning.end = QUERY_IMPOSSIBLE;
	ares_freeaddrinfo(found);
	query_finish(query, meaning.end, &reply);
}

static void on_message(void *context, int status, int timeouts, unsigned char *bytes, int len)
{
	struct meaning meaning = meaning_of(status);
	struct reply reply = reply_of(&meaning);

	if (status == ARES_ENODATA)
		reply.why = "the name has no SRV records";
	if (status == ARES_SUCCESS)
		reply = srv_parse(bytes, (size_t)len);
	if (reply.kind == REPLY_FAILED && meaning.end == QUERY_ANSWERED)
		meaning.end = QUERY_ERROR;
	query_finish(context, meaning.end, &reply);
}

void channels_ask(struct channels *channels, uint32_t server, enum query_kind kind,
		  const char *host, bool is_exact, void *context)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = kind == QUERY_INET ? AF_INET : AF_INET6,
	};
	struct channel *channel =
		&channels->servers[server][is_exact ? SEARCH_EXACT : SEARCH_DOMAINS];
	struct query *query = calloc(1, sizeof(*query));

	assert(server < channels->servers_count);
	if (!query) {
		struct reply reply = reply_without(REPLY_FAILED, "out of memory");

		channels->options.ended(context, QUERY_IMPOSSIBLE, &reply);
		return;
	}
	*query = (struct query){ channels, context, kind };
	if (kind == QUERY_SRV)
		ares_query(channel->ares, host, ns_c_in, ns_t_srv, on_message, query);
	else
		ares_getaddrinfo(channel->ares, host, NULL, &hints, on_addresses, query);
}

/* -------------------------------------------------------------------------------------- waiting */

static void wait_for_channel(const struct channel *channel, uint64_t *timeout_ms)
{
	struct timeval room, *wait;
	uint64_t wait_ms;

	if (!channel->ares)
		return;
	wait = ares_timeout(channel->ares, NULL, &room);
	if (!wait)
		return;
	/* c-ares rounds down; one more, lest the last bit is waited for again and again. */
	wait_ms = (uint64_t)wait->tv_sec * MS_PER_S + (uint64_t)wait->tv_usec / 1000 + 1;
	if (wait_ms < *timeout_ms)
		*timeout_ms = wait_ms;
}

/* Queries whose time is over. */
static void tick(struct channels *channels)
{
	for (uint32_t i = 0; i < channels->servers_count; i++) {
		for (uint32_t j = 0; j < SEARCH_COUNT; j++)
			ares_process_fd(channels->servers[i][j].ares, ARES_SOCKET_BAD,
					ARES_SOCKET_BAD);
	}
}

void channels_wait(struct channels *channels, int wake_fd, uint64_t timeout_ms)
{
	struct pollfd polled[WATCHED_MAX + 1];
	struct channel *owners[WATCHED_MAX];
	uint32_t count = channels->watched_count;

	for (uint32_t i = 0; i < channels->servers_count; i++) {
		for (uint32_t j = 0; j < SEARCH_COUNT; j++)
			wait_for_channel(&channels->servers[i][j], &timeout_ms);
	}
	for (uint32_t i = 0; i < count; i++) {
		owners[i] = channels->watched[i].channel;
		polled[i] = (struct pollfd){ .fd = channels->watched[i].fd,
					     .events = channels->watched[i].events };
	}
	polled[count] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	if (poll(polled, count + 1, timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX) > 0) {
		/* A socket that was closed and opened again meanwhile is only looked at once more
		 * than it need be. */
		for (uint32_t i = 0; i < count; i++) {
			short events = polled[i].revents;

			if (events != 0)
				ares_process_fd(owners[i]->ares,
						events & ~POLLOUT ? polled[i].fd : ARES_SOCKET_BAD,
						events & POLLOUT ? polled[i].fd : ARES_SOCKET_BAD);
		}
	}
	tick(channels);
}
