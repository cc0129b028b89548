/* SPDX-License-Identifier: MIT */
/*
 * edits.c - headers that are set, added and removed; the prefix, the host and the trusted clients.
 *
 * struct http_edits is what the data path reads, so its texts are constant there; here they are
 * made, and owned by the snapshot. Where a message ends and how long its connection lasts is not a
 * route's to decide: fields that say so are refused.
 */
#include "edits.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "build.h"
#include "errors.h"
#include "peers.h"
#include "places.h"
#include "text.h"

static_assert(HTTP_HOST_KEEP == 0, "the default of host_header is that of an empty struct");

static void complain(const struct entry *entry, const char *fault, struct conf_errors *errors)
{
	conf_errors_add(errors, entry->line, "%s = %.*s: %s", entry->key->name, CONF_QUOTE,
			entry->value, fault);
}

bool edits_line_parse(struct edits_line *line, const struct entry *entry,
		      struct conf_errors *errors)
{
	char *colon = strchr(entry->value, ':');

	if (!colon || !text_is_token(entry->value, (size_t)(colon - entry->value))) {
		complain(entry,
			 "must be the name of a header, a colon directly behind it and a value "
			 "(for example X-Frame-Options: DENY)",
			 errors);
		return false;
	}
	line->name = entry->value;
	line->value = text_trim(colon + 1);
	*colon = '\0';
	if (*line->value)
		return true;
	conf_errors_add(errors, entry->line, "%s = %.*s: the header has no value", entry->key->name,
			CONF_QUOTE, line->name);
	return false;
}

static bool is_response(const struct entry *entry)
{
	return strstr(entry->key->name, "_response_") != NULL;
}

static struct http_edits *edits_of(struct conf_route *route, const struct entry *entry)
{
	return is_response(entry) ? &route->response_edits : &route->request_edits;
}

/* May a route touch this field? */
static bool name_is_free(const char *name, const struct entry *entry, struct conf_errors *errors)
{
	static const char *const kept[] = {
		"content-length",
		"transfer-encoding",
		"connection",
		"upgrade",
		"te",
		"trailer",
		"keep-alive",
		"expect",
		"proxy-connection",
		"http2-settings",
	};

	if (!strcasecmp(name, "host")) {
		conf_errors_add(errors, entry->line, "%s = %.*s: %s", entry->key->name, CONF_QUOTE,
				name,
				is_response(entry) ? "is no header of responses" :
						     "write host_header = VALUE instead");
		return false;
	}
	for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
		if (strcasecmp(kept[i], name))
			continue;
		conf_errors_add(errors, entry->line,
				"%s = %.*s: says where a message or its connection ends, which "
				"sluice itself decides; a route cannot change it",
				entry->key->name, CONF_QUOTE, name);
		return false;
	}
	return true;
}

/* Note that the field is not passed on; once for each name. */
static bool edits_add_removed(struct conf_route *route, const char *name, const struct entry *entry,
			      struct conf_errors *errors)
{
	struct http_edits *edits = edits_of(route, entry);
	struct http_name *removed = (struct http_name *)edits->removed;
	char *copy;

	for (uint32_t i = 0; i < edits->removed_count; i++) {
		if (strcasecmp(removed[i].text, name))
			continue;
		conf_errors_add(errors, entry->line,
				"%s = %.*s: this route sets or removes that header already; "
				"another value is added with %s",
				entry->key->name, CONF_QUOTE, name,
				is_response(entry) ? "add_response_header" : "add_header");
		return false;
	}
	if (edits->removed_count == CONF_EDITS_MAX) {
		conf_errors_add(errors, entry->line,
				"too many headers are set or removed in [route %s]; there may be "
				"%d",
				route->name, CONF_EDITS_MAX);
		return false;
	}
	removed = build_grow(removed, edits->removed_count, sizeof(*removed), errors);
	if (!removed)
		return false;
	edits->removed = removed;
	copy = strdup(name);
	if (!copy) {
		conf_errors_add_memory(errors);
		return false;
	}
	text_lower(copy);
	removed[edits->removed_count++] =
		(struct http_name){ .text = copy, .len = (uint16_t)strlen(copy) };
	return true;
}

void edits_remove(struct conf_route *route, const struct entry *entry, struct conf_errors *errors)
{
	if (!text_is_token(entry->value, strlen(entry->value)))
		complain(entry, "must be the name of one header, without value", errors);
	else if (name_is_free(entry->value, entry, errors))
		edits_add_removed(route, entry->value, entry, errors);
}

void edits_add_line(struct conf_route *route, const struct entry *entry, struct conf_errors *errors)
{
	struct http_edits *edits = edits_of(route, entry);
	struct edits_line line;
	size_t room;
	char *added;

	if (!edits_line_parse(&line, entry, errors) || !name_is_free(line.name, entry, errors))
		return;
	if (!strncmp(entry->key->name, "set_", 4) &&
	    !edits_add_removed(route, line.name, entry, errors))
		return;
	room = edits->added_len + strlen(line.name) + strlen(line.value) + sizeof(": \r\n");
	if (room > CONF_ADDED_MAX) {
		conf_errors_add(errors, entry->line,
				"too many headers are set or added in [route %s]; all of them may "
				"have %u bytes",
				route->name, CONF_ADDED_MAX);
		return;
	}
	added = realloc((char *)edits->added, room);
	if (!added) {
		conf_errors_add_memory(errors);
		return;
	}
	edits->added = added;
	edits->added_len += (uint32_t)snprintf(added + edits->added_len, room - edits->added_len,
					       "%s: %s\r\n", line.name, line.value);
	assert(edits->added_len == room - 1);
}

/* Without a slash at its end; that the paths begin with it is for checks.c. */
void edits_set_prefix(struct conf_route *route, const struct entry *entry,
		      struct conf_errors *errors)
{
	size_t len = strlen(entry->value);
	char text[PLACES_FAULT_MAX];
	const char *fault = places_path_fault(entry->value, "", text);

	if (len > 0 && entry->value[len - 1] == '/')
		len--;
	if (!fault && len == 0)
		fault = "takes nothing away; it must be the front of the route's paths";
	if (!fault && len > UINT16_MAX)
		fault = "the path is too long";
	if (fault) {
		complain(entry, fault, errors);
		return;
	}
	entry->value[len] = '\0';
	route->request_edits.strip_prefix = (uint16_t)len;
}

/* A host and, behind a colon, a port. */
static const char *authority_fault(char *authority)
{
	char *colon = strrchr(authority, ':');
	const char *fault;
	char *port = colon ? colon + 1 : NULL;
	uint32_t number = 0;

	if (port && strchr(port, ']'))
		port = NULL; /* of an IPv6 address alone */
	if (port) {
		if (*port == '0' || !text_take_number(&port, &number) || number > UINT16_MAX ||
		    *port != '\0')
			return "the port is a number from 1 to 65535";
		*colon = '\0';
	}
	fault = places_host_fault(authority);
	if (number > 0)
		*colon = ':';
	return fault;
}

/* A copy of the entry's host or host:port; NULL after an error was added. */
static char *authority_copy(const struct entry *entry, const struct key_words *words,
			    struct conf_errors *errors)
{
	const char *fault = authority_fault(entry->value);
	const char *meant = strpbrk(entry->value, ".:") ?
				    NULL :
				    nearest_word(entry->value, words->words, words->count);
	char *copy = NULL;

	if (meant) {
		conf_errors_add(errors, entry->line,
				"%s = %.*s: did you mean \"%s\"? (a host of that name is written "
				"with its port)",
				entry->key->name, CONF_QUOTE, entry->value, meant);
	} else if (fault) {
		complain(entry, fault, errors);
	} else {
		copy = strdup(entry->value);
		if (!copy)
			conf_errors_add_memory(errors);
	}
	return copy;
}

void edits_set_host(struct conf_route *route, const struct entry *entry, struct conf_errors *errors)
{
	struct http_edits *edits = &route->request_edits;
	struct key_words words;

	key_words_split(&words, entry->key);
	assert(words.count == 2);
	free((char *)edits->host);
	edits->host = NULL;
	edits->host_header = HTTP_HOST_KEEP;
	if (!strcmp(entry->value, words.words[0]))
		return;
	if (!strcmp(entry->value, words.words[1])) {
		edits->host_header = HTTP_HOST_SERVER;
		return;
	}
	edits->host = authority_copy(entry, &words, errors);
	if (edits->host)
		edits->host_header = HTTP_HOST_VALUE;
}

void edits_set_health_host(char **host, const struct entry *entry, struct conf_errors *errors)
{
	struct key_words words;

	key_words_split(&words, entry->key);
	assert(words.count == 1);
	free(*host);
	*host = NULL;
	if (strcmp(entry->value, words.words[0]))
		*host = authority_copy(entry, &words, errors);
}

void edits_add_trusted(struct conf_route *route, const struct entry *entry,
		       struct conf_errors *errors)
{
	peers_add_blocks(&route->trusted, &route->trusted_count, entry, errors);
}

void edits_free(struct http_edits *edits)
{
	for (uint32_t i = 0; i < edits->removed_count; i++)
		free((char *)edits->removed[i].text);
	free((struct http_name *)edits->removed);
	free((char *)edits->added);
	free((char *)edits->host);
}
