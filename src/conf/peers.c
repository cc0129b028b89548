/* SPDX-License-Identifier: MIT */
/*
 * peers.c - blocks of clients, local addresses, and name servers.
 *
 * The blocks of allow and deny are kept as an access list only, which is made when all lines of the
 * listener were read. A key that could have no effect beside the others is an error, but not when
 * the other one is itself wrong: that has been said.
 */
#include "peers.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "build.h"
#include "errors.h"
#include "net/proxy_header.h"
#include "net/source_limits.h"
#include "text.h"

static_assert((int)PROXY_V1 == (int)PROXY_HEADER_V1 && (int)PROXY_V2 == (int)PROXY_HEADER_V2 &&
		      (int)PROXY_ANY == (int)PROXY_HEADER_ANY,
	      "proxy_protocol is what the parser expects");
static_assert((int)SEND_PROXY_V1 == (int)PROXY_HEADER_V1 &&
		      (int)SEND_PROXY_V2 == (int)PROXY_HEADER_V2,
	      "send_proxy is what is written");
#define RESOLVER_PORT 53 /* RFC 1035 section 4.2 */

static_assert(SOURCE_RATE_MAX == 1000000, "the bound of source_rate and source_burst in keys.def");

void peers_add_blocks(struct cidr **blocks, uint32_t *count, const struct entry *entry,
		      struct conf_errors *errors)
{
	char *rest = entry->value;
	const char *reason = "";
	char *item;

	while ((item = text_take_item(&rest, ','))) {
		struct cidr *grown;
		struct cidr cidr;

		if (!cidr_parse(&cidr, item, &reason)) {
			conf_errors_add(errors, entry->line, "%s = %.*s: %s", entry->key->name,
					CONF_QUOTE, item, reason);
			continue;
		}
		grown = build_grow(*blocks, *count, sizeof(*grown), errors);
		if (!grown)
			return;
		*blocks = grown;
		grown[(*count)++] = cidr;
	}
}

void peers_set_clients(struct conf_listener *listener, const struct document *document,
		       const struct section *section, struct conf_errors *errors)
{
	struct cidr *allow = NULL;
	struct cidr *deny = NULL;
	uint32_t allow_count = 0;
	uint32_t deny_count = 0;

	assert(section->kind == SECTION_LISTENER && !listener->access);
	for (uint32_t i = 0; i < section->entries_count; i++) {
		const struct entry *entry = &document->entries[section->entries_first + i];

		if (!strcmp(entry->key->name, "proxy_protocol_from"))
			peers_add_blocks(&listener->proxy_from, &listener->proxy_from_count, entry,
					 errors);
		else if (!strcmp(entry->key->name, "allow"))
			peers_add_blocks(&allow, &allow_count, entry, errors);
		else if (!strcmp(entry->key->name, "deny"))
			peers_add_blocks(&deny, &deny_count, entry, errors);
	}
	if (allow_count + deny_count > 0) {
		listener->access = access_list_open(allow, allow_count, deny, deny_count);
		if (!listener->access)
			conf_errors_add_memory(errors);
	}
	free(allow);
	free(deny);
}

/* An address without port: INET or INET6 with port 0. */
static bool bare_parse(struct addr *addr, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		addr_from_sockaddr(addr, (const struct sockaddr *)&in, sizeof(in));
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		addr_from_sockaddr(addr, (const struct sockaddr *)&in6, sizeof(in6));
	else
		return false;
	return true;
}

static bool is_any(const struct addr *addr)
{
	if (addr->kind == ADDR_INET)
		return addr->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr);
}

/* Why no host can have this address, or NULL. */
static const char *host_fault(const struct addr *addr)
{
	static const char nobody[] = "is no address that a host has";

	if (addr->kind == ADDR_INET) {
		uint32_t number = ntohl(addr->u.in.sin_addr.s_addr);

		return IN_MULTICAST(number) || IN_BADCLASS(number) ? nobody : NULL;
	}
	assert(addr->kind == ADDR_INET6);
	if (IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr))
		return "an IPv4 address is written as such (for example 192.0.2.7)";
	return IN6_IS_ADDR_MULTICAST(&addr->u.in6.sin6_addr) ? nobody : NULL;
}

/* What is wrong with a local address, or NULL. */
static const char *source_parse(struct addr *addr, const char *text)
{
	if (!bare_parse(addr, text))
		return "must be an address of this host, without port (for example 192.0.2.7 or "
		       "2001:db8::7)";
	return is_any(addr) ? "is any address, as without source" : host_fault(addr);
}

/* The same of a name server. */
static const char *resolver_parse(struct addr *addr, const char *text)
{
	const char *reason;

	if (bare_parse(addr, text)) {
		if (addr->kind == ADDR_INET)
			addr->u.in.sin_port = htons(RESOLVER_PORT);
		else
			addr->u.in6.sin6_port = htons(RESOLVER_PORT);
	} else if (!addr_parse(addr, text, &reason) ||
		   (addr->kind != ADDR_INET && addr->kind != ADDR_INET6)) {
		return "must be the address of a name server, and perhaps its port (for example "
		       "192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or [2001:db8::53]:5353)";
	}
	return is_any(addr) ? "is any address, not that of a name server" : host_fault(addr);
}

void peers_add_source(struct conf_upstream *upstream, const struct entry *entry,
		      struct conf_errors *errors)
{
	struct addr *grown;
	struct addr addr;
	const char *fault = source_parse(&addr, entry->value);

	for (uint32_t i = 0; !fault && i < upstream->sources_count; i++) {
		if (addr_equal(&upstream->sources[i], &addr))
			fault = "the upstream has this source already";
	}
	if (fault) {
		conf_errors_add(errors, entry->line, "source = %.*s: %s", CONF_QUOTE, entry->value,
				fault);
		return;
	}
	if (upstream->sources_count == CONF_SOURCES_MAX) {
		conf_errors_add(errors, entry->line,
				"too many sources in [upstream %s]; there may be %d",
				upstream->name, CONF_SOURCES_MAX);
		return;
	}
	grown = build_grow(upstream->sources, upstream->sources_count, sizeof(*grown), errors);
	if (!grown)
		return;
	upstream->sources = grown;
	grown[upstream->sources_count++] = addr;
}

void peers_add_resolver(struct conf_proxy *proxy, const struct entry *entry,
			struct conf_errors *errors)
{
	struct addr *grown;
	struct addr addr;
	const char *fault = resolver_parse(&addr, entry->value);

	for (uint32_t i = 0; !fault && i < proxy->resolvers_count; i++) {
		if (addr_equal(&proxy->resolvers[i], &addr))
			fault = "this name server stands above already";
	}
	if (fault) {
		conf_errors_add(errors, entry->line, "resolver = %.*s: %s", CONF_QUOTE,
				entry->value, fault);
		return;
	}
	if (proxy->resolvers_count == CONF_RESOLVERS_MAX) {
		conf_errors_add(errors, entry->line, "too many resolvers; there may be %d",
				CONF_RESOLVERS_MAX);
		return;
	}
	grown = build_grow(proxy->resolvers, proxy->resolvers_count, sizeof(*grown), errors);
	if (!grown)
		return;
	proxy->resolvers = grown;
	grown[proxy->resolvers_count++] = addr;
}

/* Has the key no value, or zero? */
static bool entry_is_zero(const struct entry *entry)
{
	uint64_t number;

	return !entry || (units_parse_number(entry->value, &number) && number == 0);
}

/* Is the key's value in the file, or else by default, one of the two? */
static bool entry_is(const struct entry *entry, const char *fallback, const char *one,
		     const char *other)
{
	const char *value = entry ? entry->value : fallback;

	return !strcmp(value, one) || !strcmp(value, other);
}

void peers_check_listener(const struct document *document, const struct section *section,
			  const struct conf_listener *listener, struct conf_errors *errors)
{
	const struct entry *from = document_find(document, section, "proxy_protocol_from");
	const struct entry *burst = document_find(document, section, "source_burst");

	if (from && entry_is(document_find(document, section, "proxy_protocol"), "off", "off", ""))
		conf_errors_add(errors, from->line,
				"proxy_protocol_from says whose PROXY header is believed, but "
				"without proxy_protocol none is expected");
	if (burst && listener->source_burst > 0 &&
	    entry_is_zero(document_find(document, section, "source_rate")))
		conf_errors_add(errors, burst->line,
				"source_burst = %u: is part of the limit that source_rate sets, "
				"and there is none",
				listener->source_burst);
}

static bool serves_http(const struct conf *conf, const struct conf_upstream *upstream)
{
	for (uint32_t i = 0; i < conf->listeners_count; i++) {
		if (conf->listeners[i].mode == MODE_HTTP && conf->listeners[i].upstream == upstream)
			return true;
	}
	for (uint32_t i = 0; i < conf->routes_count; i++) {
		for (uint32_t j = 0; j < conf->routes[i].targets_count; j++) {
			if (conf->routes[i].targets[j].upstream == upstream)
				return true;
		}
	}
	return false;
}

void peers_check_upstream(const struct conf *conf, const struct document *document,
			  const struct section *section, const struct conf_upstream *upstream,
			  struct conf_errors *errors)
{
	const struct entry *send = document_find(document, section, "send_proxy");

	if (!send || upstream->send_proxy == SEND_PROXY_OFF || !serves_http(conf, upstream))
		return;
	if (entry_is(document_find(document, section, "pool"), "worker", "worker", "shared"))
		conf_errors_add(errors, send->line,
				"send_proxy = %s: the header names one client, but with pool = %s "
				"the requests of several share a connection; write pool = client "
				"or pool = off",
				send->value, upstream->pool == POOL_SHARED ? "shared" : "worker");
}
