/* SPDX-License-Identifier: MIT */
/*
 * rules.c - from routes to the rules of a router: one for each host and path of a route.
 *
 * Two rules that are the same in all they ask for are found by sorting: the second of them could
 * never be reached.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "http/router.h"

struct rules {
	struct http_rule *rows;
	uint32_t count;
	uint32_t room;
	uint32_t total; /* over all listeners */
};

/* How many rules the route makes, as one that has neither host nor path makes one. */
static uint64_t rules_of(const struct conf_route *route)
{
	return (uint64_t)(route->hosts_count > 0 ? route->hosts_count : 1) *
	       (route->paths_count > 0 ? route->paths_count : 1);
}

static bool rules_reserve(struct rules *rules, const struct conf_route *route,
			  struct conf_errors *errors)
{
	uint64_t added = rules_of(route);
	struct http_rule *grown;
	uint32_t room = rules->room;

	if (added > CONF_RULES_MAX - rules->total) {
		conf_errors_add(errors, route->line,
				"[route %s]: too many hosts and paths; over all routes and "
				"listeners there may be %u pairs of them",
				route->name, CONF_RULES_MAX);
		return false;
	}
	rules->total += (uint32_t)added;
	while (room < rules->count + added)
		room = room > 0 ? 2 * room : 16;
	grown = reallocarray(rules->rows, room, sizeof(*grown));
	if (!grown) {
		conf_errors_add_memory(errors);
		return false;
	}
	rules->rows = grown;
	rules->room = room;
	return true;
}

/* The root's prefix takes what no path takes. */
static const char *rule_path(const struct conf_route *route, uint32_t index)
{
	if (route->paths_count == 0 || !strcmp(route->paths[index], "/*"))
		return NULL;
	return route->paths[index];
}

static bool rules_add(struct rules *rules, const struct conf_route *route,
		      struct conf_errors *errors)
{
	uint64_t count = rules_of(route);
	uint32_t paths = route->paths_count > 0 ? route->paths_count : 1;

	if (!rules_reserve(rules, route, errors))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		rules->rows[rules->count++] = (struct http_rule){
			.host = route->hosts_count > 0 ? route->hosts[i / paths] : NULL,
			.path = rule_path(route, i % paths),
			.method = route->method,
			.field_name = route->field_name,
			.field_value = route->field_value,
			.route = route->index,
		};
	}
	assert(rules->count <= rules->room);
	return true;
}

static int compare_texts(const char *one, const char *other)
{
	if (!one || !other)
		return (one != NULL) - (other != NULL);
	return strcmp(one, other);
}

static int compare_places(const struct http_rule *one, const struct http_rule *other)
{
	int order = compare_texts(one->host, other->host);

	order = order ? order : compare_texts(one->path, other->path);
	order = order ? order : compare_texts(one->method, other->method);
	order = order ? order : compare_texts(one->field_name, other->field_name);
	return order ? order : compare_texts(one->field_value, other->field_value);
}

static int compare_rules(const void *a, const void *b)
{
	const struct http_rule *one = a;
	const struct http_rule *other = b;
	int order = compare_places(one, other);

	return order ? order : (one->route > other->route) - (one->route < other->route);
}

static void rules_complain(const struct conf *conf, const struct http_rule *first,
			   const struct http_rule *second, struct conf_errors *errors)
{
	const struct conf_route *route = &conf->routes[second->route];
	const struct conf_route *other = &conf->routes[first->route];

	if (route == other)
		conf_errors_add(errors, route->line,
				"[route %s]: host %.*s with path %.*s stands in it twice",
				route->name, CONF_QUOTE, second->host ? second->host : "any",
				CONF_QUOTE, second->path ? second->path : "any");
	else
		conf_errors_add(errors, route->line,
				"[route %s]: [route %s] in line %d asks for the same host (%.*s), "
				"path (%.*s), method and header, so this one could never be "
				"reached",
				route->name, other->name, other->line, CONF_QUOTE,
				second->host ? second->host : "any", CONF_QUOTE,
				second->path ? second->path : "any");
}

/* Sorts the rules; one complaint for each pair of routes that meet is enough. */
static void rules_check(const struct conf *conf, struct rules *rules, bool *told,
			struct conf_errors *errors)
{
	if (rules->count > 0)
		qsort(rules->rows, rules->count, sizeof(rules->rows[0]), compare_rules);
	for (uint32_t i = 1; i < rules->count; i++) {
		uint32_t route = rules->rows[i].route;

		if (told[route] || compare_places(&rules->rows[i - 1], &rules->rows[i]))
			continue;
		told[route] = true;
		rules_complain(conf, &rules->rows[i - 1], &rules->rows[i], errors);
	}
}

static bool route_has(const struct conf_route *route, const struct conf_listener *listener)
{
	for (uint32_t i = 0; i < route->listeners_count; i++) {
		if (route->listeners[i] == listener)
			return true;
	}
	return false;
}

static bool listener_rules(const struct conf *conf, struct conf_listener *listener,
			   const bool *is_faulty, bool *told, struct rules *rules,
			   struct conf_errors *errors)
{
	rules->count = 0;
	for (uint32_t i = 0; i < conf->routes_count; i++) {
		const struct conf_route *route = &conf->routes[i];

		if (!is_faulty[i] && route_has(route, listener) && !rules_add(rules, route, errors))
			return false;
	}
	rules_check(conf, rules, told, errors);
	if (conf_errors_any(errors))
		return true;
	assert(!listener->router);
	listener->router = http_router_open(rules->rows, rules->count);
	if (!listener->router)
		conf_errors_add_memory(errors);
	return true;
}

void rules_run(struct conf *conf, const struct document *document, struct conf_errors *errors)
{
	bool *is_faulty = calloc(conf->routes_count + 1ul, sizeof(*is_faulty));
	bool *told = calloc(conf->routes_count + 1ul, sizeof(*told));
	struct rules rules = { 0 };
	uint32_t route = 0;

	if (!is_faulty || !told) {
		conf_errors_add_memory(errors);
		goto out;
	}
	for (uint32_t i = 0; i < document->sections_count; i++) {
		const struct section *section = &document->sections[i];

		if (section->kind == SECTION_ROUTE)
			is_faulty[route++] = section->is_faulty || section->name[0] == '\0';
	}
	assert(route == conf->routes_count);
	for (uint32_t i = 0; i < conf->listeners_count; i++) {
		if (conf->listeners[i].mode == MODE_HTTP &&
		    !listener_rules(conf, &conf->listeners[i], is_faulty, told, &rules, errors))
			break;
	}
out:
	free(is_faulty);
	free(told);
	free(rules.rows);
}
