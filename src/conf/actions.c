/* SPDX-License-Identifier: MIT */
/*
 * actions.c - targets with their weights, own answers, and locations with what is put into them.
 */
#include "actions.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "build.h"
#include "errors.h"
#include "text.h"

static void complain(const struct entry *entry, const char *fault, struct conf_errors *errors)
{
	conf_errors_add(errors, entry->line, "%s = %.*s: %s", entry->key->name, CONF_QUOTE,
			entry->value, fault);
}

/* -------------------------------------------------------------------------------------- targets */

static void target_add(struct conf_route *route, struct conf_upstream *upstream, uint32_t weight,
		       int line, struct conf_errors *errors)
{
	struct conf_target *grown;

	for (uint32_t i = 0; i < route->targets_count; i++) {
		if (route->targets[i].upstream != upstream)
			continue;
		conf_errors_add(errors, line, "upstream = %s: stands twice in this list",
				upstream->name);
		return;
	}
	grown = build_grow(route->targets, route->targets_count, sizeof(*grown), errors);
	if (!grown)
		return;
	route->targets = grown;
	grown[route->targets_count++] =
		(struct conf_target){ .upstream = upstream, .weight = weight };
	route->weights_sum += weight;
}

/* `name=weight`, or a name alone when it is the only one. */
static void target_parse(struct conf *conf, struct conf_route *route, char *item, bool is_alone,
			 int line, struct conf_errors *errors)
{
	char *equals = strchr(item, '=');
	char *number = equals ? text_trim(equals + 1) : NULL;
	struct conf_upstream *upstream;
	uint32_t weight = 1;
	bool is_right;

	if (equals)
		*equals = '\0';
	item = text_trim(item);
	is_right = equals ? text_take_number(&number, &weight) && *number == '\0' &&
				    weight <= CONF_WEIGHT_MAX :
			    is_alone;
	if (!is_right || *item == '\0') {
		conf_errors_add(errors, line,
				"upstream = %.*s: each of several needs a weight, 0 to %d (for "
				"example blue=90, green=10)",
				CONF_QUOTE, item, CONF_WEIGHT_MAX);
		return;
	}
	upstream = build_find_upstream(conf, item, line, errors);
	if (upstream)
		target_add(route, upstream, weight, line, errors);
}

void actions_set_targets(struct conf *conf, struct conf_route *route, const struct entry *entry,
			 struct conf_errors *errors)
{
	uint32_t before = errors->count + errors->dropped;
	bool is_alone = !strchr(entry->value, ',');
	char *rest = entry->value;
	char *item;

	route->action = ACTION_UPSTREAM;
	while ((item = text_take_item(&rest, ',')))
		target_parse(conf, route, item, is_alone, entry->line, errors);
	if (errors->count + errors->dropped == before && route->weights_sum == 0)
		conf_errors_add(errors, entry->line,
				"upstream: the weights are all 0, so no request could go anywhere");
}

/* ---------------------------------------------------------------------------------- own answers */

static void route_set_text(struct conf_route *route, uint32_t status, const char *text,
			   struct conf_errors *errors)
{
	free(route->text);
	route->text = NULL;
	route->status = status;
	if (*text == '\0')
		return;
	route->text = strdup(text);
	if (!route->text)
		conf_errors_add_memory(errors);
}

void actions_set_respond(struct conf_route *route, const struct entry *entry,
			 struct conf_errors *errors)
{
	char *text = entry->value;
	uint32_t status;

	route->action = ACTION_RESPOND;
	if (!text_take_number(&text, &status) || status < 200 || status > 599)
		complain(entry,
			 "must be a status, 200 to 599, and then the text, if any (for "
			 "example 200 ok)",
			 errors);
	else if (*text && (status == 204 || status == 205 || status == 304))
		complain(entry, "an answer with this status has no text", errors);
	else
		route_set_text(route, status, text, errors);
}

/* The length of a placeholder at the front of a text, or 0. */
static size_t placeholder(const char *text)
{
	static const char *const all[] = { "{host}", "{path}", "{query}" };

	for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
		if (!strncmp(all[i], text, strlen(all[i])))
			return strlen(all[i]);
	}
	return 0;
}

static void placeholder_unknown(const struct entry *entry, const char *at,
				struct conf_errors *errors)
{
	static const char *const names[] = { "host", "path", "query" };
	size_t len = strcspn(at + (*at == '{'), "{}");
	const char *meant = NULL;
	char name[16];

	if (len < sizeof(name)) {
		memcpy(name, at + (*at == '{'), len);
		name[len] = '\0';
		meant = nearest_word(name, names, ARRAY_COUNT(names));
	}
	if (meant)
		conf_errors_add(errors, entry->line,
				"redirect = %.*s: {%s} is no placeholder; did you mean {%s}?",
				CONF_QUOTE, entry->value, name, meant);
	else
		complain(entry, "in braces stands what is replaced: {host}, {path} or {query}",
			 errors);
}

/* A location is a URL, or a path of this host. One that begins with two slashes is neither, and
 * where it leads would be the client's choice when a path makes it so. */
static const char *location_fault(const char *location)
{
	if (*location == '\0')
		return "the location is missing (for example 301 https://{host}{path}{query})";
	if (!strncmp(location, "//", 2) || !strncmp(location, "/{path}", 7))
		return "a location that begins with two slashes leads to another host; write "
		       "https:// and the host";
	if (location[0] != '/' && strncmp(location, "https://", 8) &&
	    strncmp(location, "http://", 7))
		return "a location begins with https://, http:// or a slash";
	if (!strcmp(location, "https://") || !strcmp(location, "http://"))
		return "the location has no host";
	for (const char *at = location; *at; at++) {
		if (*at <= ' ' || *at == 0x7f || strchr("\"<>\\^`|", *at))
			return "a location has no blanks and only characters of a URL; others are "
			       "written as %20, in hexadecimal digits";
	}
	return NULL;
}

void actions_set_redirect(struct conf_route *route, const struct entry *entry,
			  struct conf_errors *errors)
{
	char *location = entry->value;
	const char *fault;
	uint32_t status;

	route->action = ACTION_REDIRECT;
	if (!text_take_number(&location, &status) ||
	    !(status == 301 || status == 302 || status == 303 || status == 307 || status == 308)) {
		complain(entry,
			 "must be 301, 302, 303, 307 or 308, and then the location (for "
			 "example 301 https://{host}{path}{query})",
			 errors);
		return;
	}
	fault = location_fault(location);
	if (fault) {
		complain(entry, fault, errors);
		return;
	}
	for (const char *at = location; *at; at++) {
		size_t len = placeholder(at);

		if (len > 0) {
			at += len - 1;
		} else if (*at == '{' || *at == '}') {
			placeholder_unknown(entry, at, errors);
			return;
		}
	}
	route_set_text(route, status, location, errors);
}
