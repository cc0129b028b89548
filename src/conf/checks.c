/* SPDX-License-Identifier: MIT */
/*
 * checks.c - what is wrong between values that are right one by one: keys that are missing,
 * numbers that contradict each other, two of what there may be one of.
 *
 * A contradiction is reported at the line that was written, and where both were, at the one
 * further down: that is the one that was added to a file that was right.
 */
#include <string.h>

#include "base/units.h"
#include "checks.h"
#include "errors.h"
#include "peers.h"
#include "routes.h"
#include "servers.h"

/* The line of a key of [proxy], or 0 when it has its default. */
static int proxy_line(const struct document *document, const char *name)
{
	const struct section *proxy = document_proxy(document);
	const struct entry *entry = proxy ? document_find(document, proxy, name) : NULL;

	return entry ? entry->line : 0;
}

static int later_line(const struct document *document, const char *one, const char *other)
{
	int one_line = proxy_line(document, one);
	int other_line = proxy_line(document, other);

	return one_line > other_line ? one_line : other_line;
}

static const char *key_example(const struct conf_key *key)
{
	switch (key->type) {
	case KEY_ADDRESS:
		return "127.0.0.1:8080";
	case KEY_SERVER:
		return "127.0.0.1:9000";
	default:
		break;
	}
	unreachable();
	return "";
}

static void check_required(const struct document *document, const struct section *section,
			   struct conf_errors *errors)
{
	for (size_t i = 0; i < conf_keys_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if (key->section != section->kind || key->often != KEY_REPEATS)
			continue;
		if (document_find(document, section, key->name))
			continue;
		conf_errors_add(errors, section->line,
				"[%s%s%s] needs at least one %s, for example %s = %s",
				keys_section_names[section->kind], section->name[0] ? " " : "",
				section->name, key->name, key->name, key_example(key));
	}
}

bool checks_modes_known(const struct document *document)
{
	for (uint32_t i = 0; i < document->sections_count; i++) {
		const struct section *section = &document->sections[i];
		const struct entry *mode = section->kind == SECTION_LISTENER ?
						   document_find(document, section, "mode") :
						   NULL;

		if (mode && strcmp(mode->value, "tcp") && strcmp(mode->value, "http"))
			return false;
	}
	return true;
}

static void check_tcp(const struct document *document, const struct section *section,
		      struct conf_errors *errors)
{
	if (!document_find(document, section, "upstream"))
		conf_errors_add(errors, section->line,
				"[listener%s%s] needs upstream, for example upstream = app",
				section->name[0] ? " " : "", section->name);
	for (uint32_t i = 0; i < section->entries_count; i++) {
		const struct entry *entry = &document->entries[section->entries_first + i];

		if (entry->key->is_http)
			conf_errors_add(errors, entry->line,
					"%s is for listeners with mode = http; this one has mode = "
					"tcp",
					entry->key->name);
	}
}

/* Routes that are faulty may have been meant for this listener. */
static void check_http(const struct conf *conf, const struct document *document,
		       const struct section *section, const struct conf_listener *listener,
		       struct conf_errors *errors)
{
	if (document_find(document, section, "upstream") || document->sections_refused > 0)
		return;
	for (uint32_t i = 0; i < document->sections_count; i++) {
		if (document->sections[i].kind == SECTION_ROUTE && document->sections[i].is_faulty)
			return;
	}
	for (uint32_t i = 0; i < conf->routes_count; i++) {
		for (uint32_t j = 0; j < conf->routes[i].listeners_count; j++) {
			if (conf->routes[i].listeners[j] == listener)
				return;
		}
	}
	conf_errors_add(errors, section->line,
			"[listener%s%s] needs upstream, for example upstream = app, or a [route "
			"NAME]",
			section->name[0] ? " " : "", section->name);
}

static void check_window(const struct conf_proxy *proxy, const struct document *document,
			 struct conf_errors *errors)
{
	char window[UNITS_TEXT_MAX];
	char buffer[UNITS_TEXT_MAX];

	assert(proxy->session_window > 0);
	if (proxy->session_window >= proxy->buffer_size)
		return;
	conf_errors_add(errors, later_line(document, "session_window", "buffer_size"),
			"session_window (%s) is smaller than buffer_size (%s): it must hold at "
			"least one buffer",
			units_format_size(window, proxy->session_window),
			units_format_size(buffer, proxy->buffer_size));
}

static void check_buffer_size(const struct conf_proxy *proxy, const struct document *document,
			      struct conf_errors *errors)
{
	uint32_t size = proxy->buffer_size;
	uint32_t below = 1;
	char texts[3][UNITS_TEXT_MAX];

	assert(size > 0);
	if ((size & (size - 1)) == 0)
		return;
	while (below * 2 < size)
		below *= 2;
	conf_errors_add(errors, proxy_line(document, "buffer_size"),
			"buffer_size = %s: must be a power of two, for example %s or %s",
			units_format_size(texts[0], size), units_format_size(texts[1], below),
			units_format_size(texts[2], below * 2ull));
}

static void check_resolve_bounds(const struct conf_proxy *proxy, const struct document *document,
				 struct conf_errors *errors)
{
	char least[UNITS_TEXT_MAX];
	char most[UNITS_TEXT_MAX];

	assert(proxy->resolve_min_ns > 0);
	if (proxy->resolve_min_ns <= proxy->resolve_max_ns)
		return;
	conf_errors_add(errors, later_line(document, "resolve_min", "resolve_max"),
			"resolve_min (%s) is more than resolve_max (%s): a name is asked for again "
			"between the two",
			units_format_duration(least, proxy->resolve_min_ns),
			units_format_duration(most, proxy->resolve_max_ns));
}

/* One worker at least; a known number of them where it is written. */
static uint32_t workers_least(const struct conf_proxy *proxy)
{
	return proxy->workers > 0 ? proxy->workers : 1;
}

static void check_workers_share(const struct conf_proxy *proxy, const struct document *document,
				struct conf_errors *errors)
{
	uint32_t workers = workers_least(proxy);
	uint64_t needed = (uint64_t)workers * proxy->buffer_size * CONF_SLICES_PER_WORKER_MIN;
	char memory[UNITS_TEXT_MAX];
	char least[UNITS_TEXT_MAX];
	int line = later_line(document, "buffer_memory", "buffer_size");

	assert(workers <= CONF_WORKERS_MAX);
	assert(needed > 0);
	if (proxy->buffer_memory < needed) {
		if (proxy_line(document, "workers") > line)
			line = proxy_line(document, "workers");
		conf_errors_add(errors, line,
				"buffer_memory (%s) is too small: %u workers with %d slices of "
				"this buffer_size each need at least %s",
				units_format_size(memory, proxy->buffer_memory), workers,
				CONF_SLICES_PER_WORKER_MIN, units_format_size(least, needed));
	}
	if (proxy->max_sessions < workers)
		conf_errors_add(errors, later_line(document, "max_sessions", "workers"),
				"max_sessions (%u) is smaller than workers (%u): each worker "
				"needs at least one",
				proxy->max_sessions, workers);
}

static void check_listener_limit(const struct conf *conf, const struct document *document,
				 const struct section *section,
				 const struct conf_listener *listener, struct conf_errors *errors)
{
	const struct entry *entry = document_find(document, section, "max_sessions");

	if (listener->max_sessions <= conf->proxy.max_sessions)
		return;
	assert(entry);
	conf_errors_add(errors, entry->line,
			"max_sessions = %u: is more than max_sessions of [proxy] (%u), so it "
			"could never be reached; raise that or lower this",
			listener->max_sessions, conf->proxy.max_sessions);
}

/* Is one of the binds in front of this one, in this listener or an earlier one, the same? */
static void check_bind_unique(const struct conf *conf, uint32_t listener, uint32_t bind,
			      struct conf_errors *errors)
{
	const struct conf_listener *mine = &conf->listeners[listener];
	char text[ADDR_TEXT_MAX];

	assert(listener < conf->listeners_count);
	assert(bind < mine->binds_count);
	for (uint32_t i = 0; i <= listener; i++) {
		const struct conf_listener *other = &conf->listeners[i];
		uint32_t count = i == listener ? bind : other->binds_count;

		for (uint32_t j = 0; j < count; j++) {
			if (!addr_equal(&other->binds[j], &mine->binds[bind]))
				continue;
			conf_errors_add(errors, mine->binds_lines[bind],
					"bind = %s: line %d binds this address already; an "
					"address belongs to one listener",
					addr_format(text, &mine->binds[bind]),
					other->binds_lines[j]);
			return;
		}
	}
}

/* The pairs of binds grow with their square, so their sum over all listeners is bounded. */
static void check_binds(const struct conf *conf, struct conf_errors *errors)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < conf->listeners_count; i++) {
		for (uint32_t j = 0; j < conf->listeners[i].binds_count; j++) {
			if (++total > CONF_BINDS_MAX) {
				conf_errors_add(errors, conf->listeners[i].binds_lines[j],
						"too many binds over all listeners; there may be "
						"%d",
						CONF_BINDS_MAX);
				return;
			}
			check_bind_unique(conf, i, j, errors);
		}
	}
}

/* A unix socket has no port beside its own. */
static void check_health_port(const struct document *document, const struct section *section,
			      const struct conf_upstream *upstream, struct conf_errors *errors)
{
	const struct entry *entry = document_find(document, section, "health_port");

	for (uint32_t i = 0; i < upstream->servers_count && upstream->health_port > 0; i++) {
		const struct conf_server *server = &upstream->servers[i];

		if (server->addr.kind != ADDR_UNIX)
			continue;
		assert(entry);
		conf_errors_add(
			errors, entry->line,
			"health_port = %u: server \"%s\" in line %d is a unix socket, which "
			"has no port",
			upstream->health_port, server->name, server->line);
		return;
	}
}

static void check_sections(const struct conf *conf, const struct document *document,
			   struct conf_errors *errors)
{
	const struct conf_listener *listener = conf->listeners;
	const struct conf_upstream *upstream = conf->upstreams;
	const struct conf_route *route = conf->routes;
	bool modes_known = checks_modes_known(document);

	for (uint32_t i = 0; i < document->sections_count; i++) {
		const struct section *section = &document->sections[i];

		check_required(document, section, errors);
		if (section->kind == SECTION_ROUTE)
			routes_check(document, section, route++, errors);
		if (section->kind == SECTION_UPSTREAM) {
			servers_check(document, section, upstream, errors);
			check_health_port(document, section, upstream, errors);
			peers_check_upstream(conf, document, section, upstream++, errors);
		}
		if (section->kind != SECTION_LISTENER)
			continue;
		check_listener_limit(conf, document, section, listener, errors);
		peers_check_listener(document, section, listener, errors);
		if (modes_known && listener->mode == MODE_TCP)
			check_tcp(document, section, errors);
		if (modes_known && listener->mode == MODE_HTTP)
			check_http(conf, document, section, listener, errors);
		listener++;
	}
	assert(route == conf->routes + conf->routes_count);
	assert(upstream == conf->upstreams + conf->upstreams_count);
	assert(listener == conf->listeners + conf->listeners_count);
}

void checks_run(const struct conf *conf, const struct document *document,
		struct conf_errors *errors)
{
	assert(conf->refs == 1);
	check_buffer_size(&conf->proxy, document, errors);
	check_window(&conf->proxy, document, errors);
	check_workers_share(&conf->proxy, document, errors);
	check_resolve_bounds(&conf->proxy, document, errors);
	check_sections(conf, document, errors);
	check_binds(conf, errors);
	/* A section that was refused may have been meant as one. */
	if (conf->listeners_count == 0 && document->sections_refused == 0)
		conf_errors_add(errors, 0,
				"there is no listener: write a section [listener NAME] with bind "
				"and upstream");
}
