/* SPDX-License-Identifier: MIT */
/*
 * build.c - from a document to a snapshot.
 *
 *   1. outline    arrays of listeners and upstreams, with their names, so that a reference may
 *                 point to a section further down
 *   2. defaults   every member that has one, by the same setters that read the file
 *   3. entries    in the order of the file; a value that is wrong leaves the default in place
 *
 * A snapshot with errors is still safe to check and to destroy: counts never run ahead of what was
 * filled in, and pointers are valid or NULL. What two values mean together is for checks.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "build.h"
#include "edits.h"
#include "errors.h"
#include "http/router.h"
#include "pages.h"
#include "peers.h"
#include "routes.h"
#include "servers.h"
#include "values.h"

static void *build_array(uint32_t count, size_t size, struct conf_errors *errors)
{
	void *array = calloc(count > 0 ? count : 1, size);

	if (!array)
		conf_errors_add_memory(errors);
	return array;
}

/* Types behind NAME have no default but what is there before anything was built. */
bool build_defaults(enum keys_section section, void *target, struct conf_errors *errors)
{
	for (size_t i = 0; i < conf_keys_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if (key->section != section || !key->fallback || key->type > KEY_NAME)
			continue;
		if (!value_set(key, key->fallback, 0, target, errors))
			return false; /* no memory: that defaults are valid is tested */
	}
	return true;
}

static void build_bind(struct conf_listener *listener, const struct entry *entry,
		       struct conf_errors *errors)
{
	struct addr *addr = &listener->binds[listener->binds_count];
	const char *reason = "";

	if (listener->binds_count == CONF_BINDS_MAX) {
		conf_errors_add(errors, entry->line,
				"too many binds in [listener %s]; there may be %d", listener->name,
				CONF_BINDS_MAX);
		return;
	}
	if (addr_parse(addr, entry->value, &reason)) {
		assert(addr->kind != ADDR_NONE);
		listener->binds_lines[listener->binds_count++] = entry->line;
		return;
	}
	assert(*reason);
	conf_errors_add(errors, entry->line, "bind = %.*s: %s", CONF_QUOTE, entry->value, reason);
}

void build_unknown_name(const char *kind, const char *name, const char *const *names,
			uint32_t count, int line, struct conf_errors *errors)
{
	const char *meant = nearest_word(name, names, count);

	assert(line > 0);
	if (meant && *meant)
		conf_errors_add(errors, line,
				"%s = %.*s: there is no [%s %.*s]; did you mean \"%s\"?", kind,
				CONF_QUOTE, name, kind, CONF_QUOTE, name, meant);
	else
		conf_errors_add(errors, line,
				"%s = %.*s: there is no [%s %.*s]; it must be the name of %s [%s "
				"NAME] section",
				kind, CONF_QUOTE, name, kind, CONF_QUOTE, name,
				strchr("aeiou", kind[0]) ? "an" : "a", kind);
}

struct conf_upstream *build_find_upstream(struct conf *conf, const char *name, int line,
					  struct conf_errors *errors)
{
	const char *names[DOCUMENT_SECTIONS_MAX];

	assert(conf->upstreams_count <= DOCUMENT_SECTIONS_MAX);
	for (uint32_t i = 0; i < conf->upstreams_count; i++) {
		names[i] = conf->upstreams[i].name;
		if (!strcmp(names[i], name))
			return &conf->upstreams[i];
	}
	build_unknown_name("upstream", name, names, conf->upstreams_count, line, errors);
	return NULL;
}

void *build_grow(void *array, uint32_t count, size_t size, struct conf_errors *errors)
{
	void *grown = array;

	assert(size > 0);
	if ((count & (count - 1)) == 0) /* a power of two, or none: the room is used up */
		grown = reallocarray(array, count > 0 ? 2ul * count : 1, size);
	if (!grown)
		conf_errors_add_memory(errors);
	return grown;
}

static void build_entry(struct conf *conf, const struct entry *entry, void *target,
			struct conf_errors *errors)
{
	if (entry->key->section == SECTION_ROUTE) {
		routes_set(conf, target, entry, errors);
		return;
	}
	switch (entry->key->type) {
	case KEY_ADDRESS:
		build_bind(target, entry, errors);
		return;
	case KEY_SERVER:
		servers_add(target, entry, errors);
		return;
	case KEY_UPSTREAM:
		((struct conf_listener *)target)->upstream =
			build_find_upstream(conf, entry->value, entry->line, errors);
		return;
	case KEY_PAGE:
		pages_add(target, entry, errors);
		return;
	case KEY_CIDRS:
		return; /* all of a section at once: peers_set_clients() */
	case KEY_AUTHORITY:
		edits_set_health_host(&((struct conf_upstream *)target)->health_host, entry,
				      errors);
		return;
	case KEY_SOURCE:
		peers_add_source(target, entry, errors);
		return;
	case KEY_RESOLVER:
		peers_add_resolver(target, entry, errors);
		return;
	default:
		value_set(entry->key, entry->value, entry->line, target, errors);
		return;
	}
}

/* The arrays of a listener's binds, with a place for each of them. */
static bool build_room(const struct document *document, const struct section *section,
		       struct conf_listener *listener, struct conf_errors *errors)
{
	uint32_t count = 0;

	assert(section->kind == SECTION_LISTENER);
	for (uint32_t i = 0; i < section->entries_count; i++)
		count += document->entries[section->entries_first + i].key->often == KEY_REPEATS;
	listener->binds = build_array(count, sizeof(listener->binds[0]), errors);
	listener->binds_lines = build_array(count, sizeof(int), errors);
	return listener->binds && listener->binds_lines;
}

static bool build_section(struct conf *conf, const struct document *document,
			  struct section *section, void *target, struct conf_errors *errors)
{
	uint32_t before = errors->count + errors->dropped;

	if (section->kind != SECTION_PROXY && !build_defaults(section->kind, target, errors))
		return false;
	if (section->kind == SECTION_LISTENER && !build_room(document, section, target, errors))
		return false;
	for (uint32_t i = 0; i < section->entries_count; i++) {
		const struct entry *entry = &document->entries[section->entries_first + i];

		assert(entry->key->section == section->kind);
		build_entry(conf, entry, target, errors);
	}
	if (section->kind == SECTION_LISTENER)
		peers_set_clients(target, document, section, errors);
	section->is_faulty = errors->count + errors->dropped > before;
	return true;
}

/* Names and lines of all sections; needs to be known before the first reference. */
static bool build_outline(struct conf *conf, const struct document *document,
			  struct conf_errors *errors)
{
	uint32_t counts[SECTION_COUNT] = { 0 };

	for (uint32_t i = 0; i < document->sections_count; i++)
		counts[document->sections[i].kind]++;
	conf->listeners = build_array(counts[SECTION_LISTENER], sizeof(conf->listeners[0]), errors);
	conf->upstreams = build_array(counts[SECTION_UPSTREAM], sizeof(conf->upstreams[0]), errors);
	conf->routes = build_array(counts[SECTION_ROUTE], sizeof(conf->routes[0]), errors);
	if (!conf->listeners || !conf->upstreams || !conf->routes)
		return false;
	for (uint32_t i = 0; i < document->sections_count; i++) {
		const struct section *section = &document->sections[i];

		if (section->kind == SECTION_LISTENER) {
			struct conf_listener *listener = &conf->listeners[conf->listeners_count++];

			memcpy(listener->name, section->name, sizeof(listener->name));
			listener->line = section->line;
		} else if (section->kind == SECTION_UPSTREAM) {
			struct conf_upstream *upstream = &conf->upstreams[conf->upstreams_count];

			memcpy(upstream->name, section->name, sizeof(upstream->name));
			upstream->line = section->line;
			upstream->index = conf->upstreams_count++;
		} else if (section->kind == SECTION_ROUTE) {
			struct conf_route *route = &conf->routes[conf->routes_count];

			memcpy(route->name, section->name, sizeof(route->name));
			route->line = section->line;
			route->index = conf->routes_count++;
		}
	}
	assert(conf->listeners_count == counts[SECTION_LISTENER]);
	assert(conf->upstreams_count == counts[SECTION_UPSTREAM]);
	assert(conf->routes_count == counts[SECTION_ROUTE]);
	return true;
}

static bool build_sections(struct conf *conf, struct document *document, struct conf_errors *errors)
{
	struct conf_listener *listener = conf->listeners;
	struct conf_upstream *upstream = conf->upstreams;
	struct conf_route *route = conf->routes;

	if (!build_defaults(SECTION_PROXY, &conf->proxy, errors))
		return false;
	for (uint32_t i = 0; i < document->sections_count; i++) {
		struct section *section = &document->sections[i];
		void *target = section->kind == SECTION_PROXY    ? (void *)&conf->proxy :
			       section->kind == SECTION_LISTENER ? (void *)listener++ :
			       section->kind == SECTION_ROUTE    ? (void *)route++ :
								   (void *)upstream++;

		if (!build_section(conf, document, section, target, errors))
			return false;
		if (section->kind == SECTION_PROXY &&
		    document_find(document, section, "max_sessions"))
			conf->proxy.max_sessions_is_set = true;
	}
	assert(listener == conf->listeners + conf->listeners_count);
	assert(upstream == conf->upstreams + conf->upstreams_count);
	assert(route == conf->routes + conf->routes_count);
	return true;
}

struct conf *build_conf(const char *path, struct document *document, struct conf_errors *errors)
{
	struct conf *conf = calloc(1, sizeof(*conf));

	if (!conf) {
		conf_errors_add_memory(errors);
		return NULL;
	}
	conf->refs = 1;
	conf->path = strdup(path);
	if (!conf->path)
		conf_errors_add_memory(errors);
	if (conf->path && build_outline(conf, document, errors) &&
	    build_sections(conf, document, errors)) {
		routes_reach(conf, document, errors);
		return conf;
	}
	assert(conf_errors_any(errors));
	build_destroy(conf);
	return NULL;
}

void build_destroy(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->listeners_count; i++) {
		free(conf->listeners[i].binds);
		free(conf->listeners[i].binds_lines);
		free(conf->listeners[i].access_log);
		free(conf->listeners[i].upgrade_protocols);
		pages_free(&conf->listeners[i]);
		free(conf->listeners[i].proxy_from);
		access_list_close(conf->listeners[i].access);
		http_router_close(conf->listeners[i].router);
	}
	for (uint32_t i = 0; i < conf->upstreams_count; i++) {
		free(conf->upstreams[i].servers);
		free(conf->upstreams[i].names);
		free(conf->upstreams[i].sources);
		free(conf->upstreams[i].health_path);
		free(conf->upstreams[i].health_host);
	}
	for (uint32_t i = 0; conf->routes && i < conf->routes_count; i++)
		routes_free(&conf->routes[i]);
	free(conf->routes);
	free(conf->listeners);
	free(conf->upstreams);
	free(conf->proxy.cpus);
	free(conf->proxy.log);
	free(conf->proxy.user);
	free(conf->proxy.group);
	free(conf->proxy.resolvers);
	free(conf->path);
	free(conf);
}
