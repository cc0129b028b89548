/* SPDX-License-Identifier: MIT */
/*
 * lookup.c - what only the system can answer about a configuration: accounts, host names of binds
 * and the files of error pages. Those of servers are asked for while the proxy runs: who has which
 * of their addresses changes.
 *
 * Kept apart from the rest so that conf_load_text() is a function of its text alone.
 */
#include <grp.h>
#include <pwd.h>

#include "errors.h"
#include "lookup.h"
#include "pages.h"

static int line_of(const struct document *document, const char *key)
{
	const struct section *proxy = document_proxy(document);
	const struct entry *entry = proxy ? document_find(document, proxy, key) : NULL;

	return entry ? entry->line : 0;
}

static void lookup_accounts(const struct conf_proxy *proxy, const struct document *document,
			    struct conf_errors *errors)
{
	if (proxy->user && !getpwnam(proxy->user))
		conf_errors_add(errors, line_of(document, "user"),
				"user = %.*s: there is no such user; it must be a name that "
				"\"getent passwd\" shows",
				CONF_QUOTE, proxy->user);
	if (proxy->group && !getgrnam(proxy->group))
		conf_errors_add(errors, line_of(document, "group"),
				"group = %.*s: there is no such group; it must be a name that "
				"\"getent group\" shows",
				CONF_QUOTE, proxy->group);
}

static void lookup_bind(struct addr *addr, int line, struct conf_errors *errors)
{
	char text[ADDR_TEXT_MAX];
	const char *reason = "";

	assert(line > 0);
	if (addr->kind != ADDR_NAME)
		return;
	addr_format(text, addr);
	if (addr_resolve(addr, &reason)) {
		assert(addr->kind == ADDR_INET || addr->kind == ADDR_INET6);
		return;
	}
	conf_errors_add(errors, line, "bind = %s: %s", text, reason);
}

void lookup_all(struct conf *conf, const struct document *document, struct conf_errors *errors)
{
	assert(conf->refs == 1); /* still being built: nobody else reads it */
	lookup_accounts(&conf->proxy, document, errors);
	for (uint32_t i = 0; i < conf->listeners_count; i++) {
		struct conf_listener *listener = &conf->listeners[i];

		for (uint32_t j = 0; j < listener->binds_count; j++)
			lookup_bind(&listener->binds[j], listener->binds_lines[j], errors);
		pages_read(listener, errors);
	}
}
