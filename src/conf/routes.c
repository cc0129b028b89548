/* SPDX-License-Identifier: MIT */
/*
 * routes.c - which file knows which key of a route, and what the keys of one mean together.
 */
#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "checks.h"
#include "edits.h"
#include "errors.h"
#include "places.h"
#include "values.h"

void routes_set(struct conf *conf, struct conf_route *route, const struct entry *entry,
		struct conf_errors *errors)
{
	switch (entry->key->type) {
	case KEY_LISTENER:
		places_add_listener(conf, route, entry, errors);
		return;
	case KEY_HOST:
		places_add_host(route, entry, errors);
		return;
	case KEY_PATH:
		places_add_path(route, entry, errors);
		return;
	case KEY_METHOD:
		places_set_method(route, entry, errors);
		return;
	case KEY_FIELD:
		places_set_field(route, entry, errors);
		return;
	case KEY_TARGETS:
		actions_set_targets(conf, route, entry, errors);
		return;
	case KEY_RESPOND:
		actions_set_respond(route, entry, errors);
		return;
	case KEY_REDIRECT:
		actions_set_redirect(route, entry, errors);
		return;
	case KEY_LINE:
		edits_add_line(route, entry, errors);
		return;
	case KEY_FIELD_NAME:
		edits_remove(route, entry, errors);
		return;
	case KEY_PREFIX:
		edits_set_prefix(route, entry, errors);
		return;
	case KEY_AUTHORITY:
		edits_set_host(route, entry, errors);
		return;
	case KEY_CIDRS:
		edits_add_trusted(route, entry, errors);
		return;
	default:
		value_set(entry->key, entry->value, entry->line, route, errors);
		return;
	}
}

static void route_reach_all(struct conf *conf, struct conf_route *route, struct conf_errors *errors)
{
	assert(route->listeners_count == 0);
	route->listeners = calloc(conf->listeners_count + 1ul, sizeof(route->listeners[0]));
	if (!route->listeners) {
		conf_errors_add_memory(errors);
		return;
	}
	for (uint32_t i = 0; i < conf->listeners_count; i++) {
		if (conf->listeners[i].mode == MODE_HTTP)
			route->listeners[route->listeners_count++] = &conf->listeners[i];
	}
}

void routes_reach(struct conf *conf, const struct document *document, struct conf_errors *errors)
{
	struct conf_route *route = conf->routes;

	for (uint32_t i = 0; i < document->sections_count; i++) {
		const struct section *section = &document->sections[i];

		if (section->kind != SECTION_ROUTE)
			continue;
		if (!document_find(document, section, "listener"))
			route_reach_all(conf, route, errors);
		route++;
	}
	assert(route == conf->routes + conf->routes_count);
}

void routes_free(struct conf_route *route)
{
	for (uint32_t i = 0; i < route->hosts_count; i++)
		free(route->hosts[i]);
	for (uint32_t i = 0; i < route->paths_count; i++)
		free(route->paths[i]);
	free(route->listeners);
	free(route->hosts);
	free(route->paths);
	free(route->method);
	free(route->field_name);
	free(route->field_value);
	free(route->targets);
	free(route->text);
	free(route->trusted);
	edits_free(&route->request_edits);
	edits_free(&route->response_edits);
}

/* --------------------------------------------------------------------------------------- checks */

static bool is_action(const struct conf_key *key)
{
	return key->type == KEY_TARGETS || key->type == KEY_RESPOND || key->type == KEY_REDIRECT;
}

/* The section's one action, or NULL after an error was added. */
static const struct entry *check_action(const struct document *document,
					const struct section *section, struct conf_errors *errors)
{
	const struct entry *action = NULL;

	for (uint32_t i = 0; i < section->entries_count; i++) {
		const struct entry *entry = &document->entries[section->entries_first + i];

		if (!is_action(entry->key) || (action && action->key == entry->key))
			continue;
		if (action) {
			conf_errors_add(errors, entry->line,
					"%s: line %d says %s already; a route does one of them",
					entry->key->name, action->line, action->key->name);
			return NULL;
		}
		action = entry;
	}
	if (!action)
		conf_errors_add(errors, section->line,
				"[route %s] needs upstream, respond or redirect, for example "
				"upstream = app",
				section->name);
	return action;
}

/* What changes a request means nothing where none goes on, nor does what takes away from a response
 * that is sluice's own. */
static void check_edits(const struct document *document, const struct section *section,
			const struct entry *action, struct conf_errors *errors)
{
	static const char *const of_upstream[] = {
		"set_header",  "add_header", "remove_header", "remove_response_header",
		"host_header", "forwarded",  "strip_prefix",  "trusted",
	};

	for (size_t i = 0; i < ARRAY_COUNT(of_upstream); i++) {
		const struct entry *entry = document_find(document, section, of_upstream[i]);

		if (entry && action->key->type != KEY_TARGETS)
			conf_errors_add(errors, entry->line,
					"%s is for routes with upstream; with %s in line %d "
					"nothing goes on to a server",
					of_upstream[i], action->key->name, action->line);
	}
}

static bool path_begins_with(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(path, prefix, len) && (path[len] == '\0' || path[len] == '/');
}

static void check_prefix(const struct document *document, const struct section *section,
			 const struct conf_route *route, struct conf_errors *errors)
{
	const struct entry *entry = document_find(document, section, "strip_prefix");

	if (!entry || section->is_faulty)
		return;
	if (route->paths_count == 0)
		conf_errors_add(errors, entry->line,
				"strip_prefix = %.*s: the route needs a path that begins with it, "
				"for example path = %.*s/*",
				CONF_QUOTE, entry->value, CONF_QUOTE, entry->value);
	for (uint32_t i = 0; i < route->paths_count; i++) {
		if (path_begins_with(route->paths[i], entry->value))
			continue;
		conf_errors_add(errors, entry->line,
				"strip_prefix = %.*s: path = %.*s does not begin with it",
				CONF_QUOTE, entry->value, CONF_QUOTE, route->paths[i]);
		return;
	}
}

static void check_trusted(const struct document *document, const struct section *section,
			  const struct conf_route *route, struct conf_errors *errors)
{
	const struct entry *entry = document_find(document, section, "trusted");

	if (entry && !section->is_faulty && route->action == ACTION_UPSTREAM &&
	    route->request_edits.forwarded == 0)
		conf_errors_add(errors, entry->line,
				"trusted means nothing with forwarded = off; write forwarded = x, "
				"rfc7239 or both");
}

/* CONNECT opens a tunnel: it has no path, a listener must allow it, and an answer that says yes
 * would be a lie. */
static void check_connect(const struct document *document, const struct section *section,
			  const struct conf_route *route, struct conf_errors *errors)
{
	const struct entry *method = document_find(document, section, "method");
	const struct entry *path = document_find(document, section, "path");
	bool is_allowed = false;

	if (section->is_faulty || !route->method || strcmp(route->method, "CONNECT"))
		return;
	assert(method);
	if (path)
		conf_errors_add(errors, path->line,
				"a CONNECT request has no path: leave path out of this route");
	if (route->action == ACTION_RESPOND && route->status < 300)
		conf_errors_add(errors, method->line,
				"CONNECT cannot be answered with %u: the client would take it for "
				"a tunnel",
				route->status);
	for (uint32_t i = 0; i < route->listeners_count; i++)
		is_allowed |= route->listeners[i]->allow_connect;
	if (!is_allowed && route->listeners_count > 0)
		conf_errors_add(errors, method->line,
				"method = CONNECT: no listener of this route has connect = on, so "
				"it could never be reached");
}

static void check_listeners(const struct document *document, const struct section *section,
			    const struct conf_route *route, struct conf_errors *errors)
{
	if (!checks_modes_known(document))
		return;
	for (uint32_t i = 0; i < section->entries_count; i++) {
		const struct entry *entry = &document->entries[section->entries_first + i];

		if (entry->key->type != KEY_LISTENER)
			continue;
		for (uint32_t j = 0; j < route->listeners_count; j++) {
			if (!strcmp(route->listeners[j]->name, entry->value) &&
			    route->listeners[j]->mode == MODE_TCP)
				conf_errors_add(errors, entry->line,
						"listener = %s: has mode = tcp; a route needs "
						"mode = http there",
						entry->value);
		}
	}
	if (route->listeners_count == 0 && !document_find(document, section, "listener"))
		conf_errors_add(errors, section->line,
				"[route %s]: there is no listener with mode = http", section->name);
}

void routes_check(const struct document *document, const struct section *section,
		  const struct conf_route *route, struct conf_errors *errors)
{
	const struct entry *action = check_action(document, section, errors);

	if (action)
		check_edits(document, section, action, errors);
	check_prefix(document, section, route, errors);
	check_trusted(document, section, route, errors);
	check_listeners(document, section, route, errors);
	check_connect(document, section, route, errors);
}
