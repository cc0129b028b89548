/* SPDX-License-Identifier: MIT */
/*
 * places.c - the conditions of a route.
 *
 * What can never hold is refused: a host with a port, a path that no request has once it is
 * decoded, a method that the parser does not know.
 */
#include "places.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "build.h"
#include "edits.h"
#include "errors.h"
#include "http/path.h"
#include "text.h"

#define HOST_MAX 253
#define LABEL_MAX 63
#define PATH_BYTES_MAX 4096 /* of a line */

static void complain(const struct entry *entry, const char *fault, struct conf_errors *errors)
{
	conf_errors_add(errors, entry->line, "%s = %.*s: %s", entry->key->name, CONF_QUOTE,
			entry->value, fault);
}

/* Append a copy. */
static void list_add(char ***list, uint32_t *count, const char *text, struct conf_errors *errors)
{
	char **grown = build_grow(*list, *count, sizeof(*grown), errors);

	if (!grown)
		return;
	*list = grown;
	grown[*count] = strdup(text);
	if (grown[*count])
		(*count)++;
	else
		conf_errors_add_memory(errors);
}

void places_add_listener(struct conf *conf, struct conf_route *route, const struct entry *entry,
			 struct conf_errors *errors)
{
	const char *names[DOCUMENT_SECTIONS_MAX];
	struct conf_listener **grown;
	uint32_t at = 0;

	assert(conf->listeners_count <= DOCUMENT_SECTIONS_MAX);
	for (; at < conf->listeners_count; at++) {
		names[at] = conf->listeners[at].name;
		if (!strcmp(names[at], entry->value))
			break;
	}
	if (at == conf->listeners_count) {
		build_unknown_name("listener", entry->value, names, at, entry->line, errors);
		return;
	}
	for (uint32_t i = 0; i < route->listeners_count; i++) {
		if (route->listeners[i] == &conf->listeners[at]) {
			complain(entry, "the route names this listener already", errors);
			return;
		}
	}
	grown = build_grow(route->listeners, route->listeners_count, sizeof(*grown), errors);
	if (!grown)
		return;
	route->listeners = grown;
	grown[route->listeners_count++] = &conf->listeners[at];
}

/* ---------------------------------------------------------------------------------------- hosts */

static bool is_inet6(const char *host)
{
	char text[INET6_ADDRSTRLEN];
	size_t len = strlen(host);
	struct in6_addr in6;

	if (len < 2 || len - 2 >= sizeof(text) || host[0] != '[' || host[len - 1] != ']')
		return false;
	memcpy(text, host + 1, len - 2);
	text[len - 2] = '\0';
	return inet_pton(AF_INET6, text, &in6) == 1;
}

const char *places_host_fault(const char *host)
{
	static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789-_";
	size_t len = strlen(host);

	if (is_inet6(host))
		return NULL;
	if (strchr(host, ':'))
		return "a host stands here without port";
	if (len == 0 || len > HOST_MAX)
		return "a host has 1 to 253 characters";
	for (const char *at = host;; at++) {
		size_t label = strcspn(at, ".");

		if (strspn(at, letters) < label || label == 0 || label > LABEL_MAX)
			return "must be a host as www.example.org: letters, digits, -, _ and dots, "
			       "with 1 to 63 characters between two dots";
		at += label;
		if (*at == '\0')
			return NULL;
	}
}

void places_add_host(struct conf_route *route, const struct entry *entry,
		     struct conf_errors *errors)
{
	bool is_suffix = !strncmp(entry->value, "*.", 2);
	const char *host = entry->value + (is_suffix ? 2 : 0);
	const char *fault = places_host_fault(host);

	if (!strcmp(entry->value, "*"))
		fault = "leave host out for a route that takes any host";
	else if (strchr(host, '*'))
		fault = "a star stands only in front, for one label or more: *.example.org";
	else if (is_suffix && host[0] == '[')
		fault = "nothing is below an address";
	if (fault) {
		complain(entry, fault, errors);
		return;
	}
	text_lower(entry->value);
	list_add(&route->hosts, &route->hosts_count, entry->value, errors);
}

/* ---------------------------------------------------------------------------------------- paths */

/* A request's path is compared as it was sent, and refused when it means another route once it is
 * read otherwise. So only what stays the same is a condition that can hold. */
const char *places_path_fault(const char *path, const char *tail, char text[PLACES_FAULT_MAX])
{
	uint8_t read[PATH_BYTES_MAX];
	uint32_t len = (uint32_t)strlen(path);

	if (path[0] != '/')
		return "a path begins with a slash";
	if (len > sizeof(read))
		return "the path is too long";
	for (uint32_t i = 0; i < len; i++) {
		if (path[i] <= ' ' || path[i] == 0x7f)
			return "a path has no blanks and no characters beyond ASCII; they are "
			       "written as %20, in hexadecimal digits";
		if (strchr("?#*", path[i]))
			return path[i] == '*' ? "a star stands only at the end, behind a slash: "
						"/prefix/*" :
						"a path has no query: it ends in front of ? and #";
	}
	for (uint32_t ways = 0; ways < HTTP_PATH_WAYS; ways++) {
		uint32_t read_len = http_path_read(read, (const uint8_t *)path, len, ways);

		if (read_len == len && !memcmp(read, path, len))
			continue;
		read_len = http_path_read(read, (const uint8_t *)path, len, HTTP_PATH_WAYS - 1);
		snprintf(text, PLACES_FAULT_MAX, "is the same as %.*s%s, which is how to write it",
			 (int)(read_len < CONF_QUOTE ? read_len : CONF_QUOTE), (char *)read, tail);
		return text;
	}
	return NULL;
}

void places_add_path(struct conf_route *route, const struct entry *entry,
		     struct conf_errors *errors)
{
	size_t len = strlen(entry->value);
	bool is_prefix = len >= 2 && !strcmp(entry->value + len - 2, "/*");
	char text[PLACES_FAULT_MAX];
	const char *fault;

	if (is_prefix)
		entry->value[len - 1] = '\0';
	fault = places_path_fault(entry->value, is_prefix ? "*" : "", text);
	if (is_prefix)
		entry->value[len - 1] = '*';
	if (fault)
		complain(entry, fault, errors);
	else
		list_add(&route->paths, &route->paths_count, entry->value, errors);
}

/* ----------------------------------------------------------------------------- method and field */

/* Those that the parser of requests knows. */
static const char *const methods[] = {
	"GET",    "HEAD",     "POST",      "PUT",        "DELETE",     "CONNECT", "OPTIONS",
	"TRACE",  "PATCH",    "ACL",       "BIND",       "CHECKOUT",   "COPY",    "LINK",
	"LOCK",   "M-SEARCH", "MERGE",     "MKACTIVITY", "MKCALENDAR", "MKCOL",   "MOVE",
	"NOTIFY", "PROPFIND", "PROPPATCH", "PURGE",      "QUERY",      "REBIND",  "REPORT",
	"SEARCH", "SOURCE",   "SUBSCRIBE", "UNBIND",     "UNLINK",     "UNLOCK",  "UNSUBSCRIBE",
};

void places_set_method(struct conf_route *route, const struct entry *entry,
		       struct conf_errors *errors)
{
	const char *meant = NULL;

	for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
		if (!strcmp(methods[i], entry->value)) {
			free(route->method);
			route->method = strdup(entry->value);
			if (!route->method)
				conf_errors_add_memory(errors);
			return;
		}
		if (!strcasecmp(methods[i], entry->value))
			meant = methods[i];
	}
	if (!meant)
		meant = nearest_word(entry->value, methods, ARRAY_COUNT(methods));
	if (meant)
		conf_errors_add(errors, entry->line, "method = %.*s: did you mean \"%s\"?",
				CONF_QUOTE, entry->value, meant);
	else
		complain(entry, "must be one method of HTTP, in capitals (for example GET)",
			 errors);
}

void places_set_field(struct conf_route *route, const struct entry *entry,
		      struct conf_errors *errors)
{
	struct edits_line line;
	char *name;
	char *value;

	if (!edits_line_parse(&line, entry, errors))
		return;
	if (!strcasecmp(line.name, "host")) {
		conf_errors_add(errors, entry->line,
				"header = Host: write host = %.*s, which is matched without case "
				"and port",
				CONF_QUOTE, line.value);
		return;
	}
	text_lower(line.name);
	name = strdup(line.name);
	value = strdup(line.value);
	if (!name || !value)
		conf_errors_add_memory(errors);
	free(route->field_name);
	free(route->field_value);
	route->field_name = name;
	route->field_value = value;
}
