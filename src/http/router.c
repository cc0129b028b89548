/* SPDX-License-Identifier: MIT */
/*
 * router.c - hosts, places and rules, in two hash tables of open addressing.
 *
 *      host   "shop.example.org" --wider--> "*.example.org" --wider--> any
 *      place  (host, "/api/v1/x") exact
 *             (host, "/api/v1") prefix --shorter--> (host, "/api") --shorter--> (host, "")
 *      rule   of one place, in the order of routes: --next-->
 *
 * What is less specific than a host or a prefix is known when the tables are made, so a lookup
 * walks a host once from its end and a path once from its front, remembers the last that it met,
 * and follows links from there. Both walks stop at the length of the longest text in the tables:
 * what a client sends does not make them longer. Keys come from the configuration only, so a
 * client cannot fill the tables.
 *
 * A path that servers may read in more than one way (http/path.h) is looked up in each of them.
 */
#include "http/router.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/path.h"

#define HASH_START 0xcbf29ce484222325ull
#define HASH_PRIME 0x100000001b3ull
#define ANY_HOST 0u /* hosts[0] */

struct host {
	const char *text; /* without "*." */
	uint64_t hash;
	uint32_t len;
	uint32_t wider; /* the next less specific host; ANY_HOST's own is ANY_HOST */
	uint32_t places_count;
	bool is_suffix;
};

struct place {
	const char *text; /* of a prefix: without slash and star, so "" for the root */
	uint64_t hash;
	uint32_t len;
	uint32_t host;
	uint32_t shorter; /* index + 1 of the next shorter prefix of this host; 0: none */
	uint32_t first;   /* index + 1 of a rule */
	uint32_t last;
	bool is_prefix;
};

struct rule {
	const char *method;
	const char *field_name;
	const char *field_value;
	uint32_t method_len;
	uint32_t field_name_len;
	uint32_t field_value_len;
	uint32_t route;
	uint32_t next; /* index + 1 */
};

/* Slots hold an index + 1, or 0. At most half of them are in use. */
struct table {
	uint32_t *slots;
	uint32_t mask;
};

struct http_router {
	struct host *hosts;
	struct place *places;
	struct rule *rules;
	struct table host_table;
	struct table place_table;
	char *text; /* of all of them */
	size_t text_used;
	size_t text_size;
	uint32_t hosts_count; /* ANY_HOST included */
	uint32_t places_count;
	uint32_t rules_count;
	uint32_t hosts_longest; /* bytes of the longest text */
	uint32_t places_longest;
};

/* ------------------------------------------------------------------------------------ hashing */

static uint64_t hash_step(uint64_t hash, uint8_t byte)
{
	return (hash ^ byte) * HASH_PRIME;
}

/* The hash of a key: a text, and what tells apart two keys of the same text. */
static uint64_t hash_end(uint64_t hash, uint32_t owner, bool flag)
{
	hash ^= ((uint64_t)owner << 1 | flag) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
	return hash ^ (hash >> 31);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* `text` in any case, `other` in lower case. */
static bool equal_without_case(const uint8_t *text, const char *other, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (lower(text[i]) != (uint8_t)other[i])
			return false;
	}
	return true;
}

static bool table_init(struct table *table, uint32_t count)
{
	uint32_t size = 8;

	assert(count < UINT32_MAX / 4);
	while (size < 2 * (count + 1))
		size *= 2;
	table->slots = calloc(size, sizeof(table->slots[0]));
	table->mask = size - 1;
	return table->slots != NULL;
}

static void table_put(struct table *table, uint64_t hash, uint32_t index)
{
	uint32_t slot = (uint32_t)hash & table->mask;

	while (table->slots[slot])
		slot = (slot + 1) & table->mask;
	table->slots[slot] = index + 1;
}

/* --------------------------------------------------------------------------------------- hosts */

/* The host of this key, or ANY_HOST. `hash` is that of the text from its end to its front. */
static uint32_t host_seek(const struct http_router *router, uint64_t hash, bool is_suffix,
			  const uint8_t *text, uint32_t len)
{
	const struct table *table = &router->host_table;
	uint32_t slot;

	hash = hash_end(hash, 0, is_suffix);
	for (slot = (uint32_t)hash & table->mask; table->slots[slot];
	     slot = (slot + 1) & table->mask) {
		const struct host *host = &router->hosts[table->slots[slot] - 1];

		if (host->hash == hash && host->is_suffix == is_suffix && host->len == len &&
		    equal_without_case(text, host->text, len))
			return table->slots[slot] - 1;
	}
	return ANY_HOST;
}

/* The most specific host that this text is in; is_exact: one that is the text itself counts. */
static uint32_t host_find(const struct http_router *router, const uint8_t *text, uint32_t len,
			  bool is_exact)
{
	uint32_t found = ANY_HOST;
	uint64_t hash = HASH_START;
	uint32_t exact;

	for (uint32_t hashed = 0; hashed < len; hashed++) {
		uint32_t at = len - hashed - 1;

		if (hashed > router->hosts_longest)
			return found;
		if (text[at] == '.' && at > 0 && hashed > 0) {
			uint32_t suffix = host_seek(router, hash, true, text + at + 1, hashed);

			if (suffix != ANY_HOST)
				found = suffix;
		}
		hash = hash_step(hash, lower(text[at]));
	}
	if (!is_exact || len == 0)
		return found;
	exact = host_seek(router, hash, false, text, len);
	return exact != ANY_HOST ? exact : found;
}

/* -------------------------------------------------------------------------------------- places */

/* index + 1 of the place of this key, or 0. `hash` is that of the text. */
static uint32_t place_seek(const struct http_router *router, uint32_t host, uint64_t hash,
			   bool is_prefix, const uint8_t *text, uint32_t len)
{
	const struct table *table = &router->place_table;
	uint32_t slot;

	hash = hash_end(hash, host, is_prefix);
	for (slot = (uint32_t)hash & table->mask; table->slots[slot];
	     slot = (slot + 1) & table->mask) {
		const struct place *place = &router->places[table->slots[slot] - 1];

		if (place->hash == hash && place->host == host && place->is_prefix == is_prefix &&
		    place->len == len && !memcmp(place->text, text, len))
			return table->slots[slot];
	}
	return 0;
}

/* index + 1 of the longest prefix of the path, and of the place that is the path itself; 0: none.
 * `exact` may be NULL. */
static uint32_t place_find(const struct http_router *router, uint32_t host, const uint8_t *path,
			   uint32_t len, uint32_t *exact)
{
	uint64_t hash = HASH_START;
	uint32_t found = place_seek(router, host, hash, true, path, 0);
	uint32_t longer;

	if (exact)
		*exact = 0;
	for (uint32_t i = 0; i < len; i++) {
		longer = i > 0 && path[i] == '/' ? place_seek(router, host, hash, true, path, i) :
						   0;
		if (longer)
			found = longer;
		if (i == router->places_longest)
			return found;
		hash = hash_step(hash, path[i]);
	}
	if (!exact)
		return found;
	*exact = place_seek(router, host, hash, false, path, len);
	longer = place_seek(router, host, hash, true, path, len);
	return longer ? longer : found;
}

/* --------------------------------------------------------------------------------------- rules */

static bool field_holds(const struct rule *rule, const struct http_head *head, const uint8_t *base)
{
	bool is_any = rule->field_value_len == 1 && rule->field_value[0] == '*';

	for (uint32_t i = 0; i < head->fields_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (field->name.len != rule->field_name_len ||
		    !equal_without_case(base + field->name.at, rule->field_name, field->name.len))
			continue;
		if (is_any ||
		    (field->value.len == rule->field_value_len &&
		     !memcmp(base + field->value.at, rule->field_value, field->value.len)))
			return true;
	}
	return false;
}

/* A rule without a method takes any but CONNECT, which opens a tunnel: that is to be asked for. */
static bool method_holds(const struct rule *rule, const struct http_head *head, const uint8_t *base)
{
	if (!rule->method)
		return head->method != HTTP_METHOD_CONNECT;
	return head->method_text.len == rule->method_len &&
	       !memcmp(base + head->method_text.at, rule->method, rule->method_len);
}

/* The first rule of the place that holds, as its route; place is an index + 1, or 0. */
static int place_route(const struct http_router *router, uint32_t place,
		       const struct http_head *head, const uint8_t *base)
{
	uint32_t at = place ? router->places[place - 1].first : 0;

	for (; at; at = router->rules[at - 1].next) {
		const struct rule *rule = &router->rules[at - 1];

		if (method_holds(rule, head, base) &&
		    (!rule->field_name || field_holds(rule, head, base)))
			return (int)rule->route;
	}
	return HTTP_RULE_NONE;
}

/* From the most specific place to the least. */
static int path_route(const struct http_router *router, uint32_t host, const uint8_t *path,
		      uint32_t len, const struct http_head *head, const uint8_t *base)
{
	for (;; host = router->hosts[host].wider) {
		uint32_t place = 0;
		uint32_t exact = 0;
		int route;

		if (router->hosts[host].places_count > 0)
			place = place_find(router, host, path, len, &exact);
		route = place_route(router, exact, head, base);
		for (; route < 0 && place; place = router->places[place - 1].shorter)
			route = place_route(router, place, head, base);
		if (route >= 0 || host == ANY_HOST)
			return route;
	}
}

/* ----------------------------------------------------------------------------------- ambiguity */

/* Does each way to read the path lead to this route? */
static bool path_is_clear(const struct http_router *router, uint32_t host, const uint8_t *path,
			  uint32_t len, const struct http_head *head, const uint8_t *base,
			  int route)
{
	uint8_t text[HTTP_TARGET_MAX];

	if (len > sizeof(text))
		return false;
	for (uint32_t ways = 0; ways < HTTP_PATH_WAYS; ways++) {
		uint32_t used = http_path_read(text, path, len, ways);

		if (path_route(router, host, text, used, head, base) != route)
			return false;
	}
	return true;
}

int http_router_find(const struct http_router *router, const struct http_head *head,
		     const uint8_t *base)
{
	const uint8_t *path = base + head->path.at;
	uint32_t len = head->path.len;
	uint32_t host = host_find(router, base + head->host.at, head->host.len, true);
	int route;

	if (len == 0) {
		path = (const uint8_t *)"/";
		len = 1;
	}
	route = path_route(router, host, path, len, head, base);
	assert(route >= HTTP_RULE_NONE);
	if (router->places_longest == 0 || path[0] != '/' || http_path_is_plain(path, len))
		return route;
	return path_is_clear(router, host, path, len, head, base, route) ? route :
									   HTTP_RULE_AMBIGUOUS;
}

/* -------------------------------------------------------------------------------------- making */

/* The router's copy of a text. */
static const char *router_copy(struct http_router *router, const char *text, uint32_t len)
{
	char *copy = router->text + router->text_used;

	assert(len < router->text_size - router->text_used);
	memcpy(copy, text, len);
	copy[len] = '\0';
	router->text_used += len + 1;
	return copy;
}

static uint32_t router_add_host(struct http_router *router, const char *text)
{
	bool is_suffix = text && !strncmp(text, "*.", 2);
	struct host *host = &router->hosts[router->hosts_count];
	uint64_t hash = HASH_START;
	uint32_t found;

	if (!text)
		return ANY_HOST;
	text += is_suffix ? 2 : 0;
	host->len = (uint32_t)strlen(text);
	assert(host->len > 0);
	for (uint32_t i = host->len; i > 0; i--)
		hash = hash_step(hash, (uint8_t)text[i - 1]);
	found = host_seek(router, hash, is_suffix, (const uint8_t *)text, host->len);
	if (found != ANY_HOST)
		return found;
	host->text = router_copy(router, text, host->len);
	host->hash = hash_end(hash, 0, is_suffix);
	host->is_suffix = is_suffix;
	if (host->len > router->hosts_longest)
		router->hosts_longest = host->len;
	table_put(&router->host_table, host->hash, router->hosts_count);
	return router->hosts_count++;
}

/* Returns index + 1. */
static uint32_t router_add_place(struct http_router *router, uint32_t host, const char *path)
{
	struct place *place = &router->places[router->places_count];
	uint32_t len = path ? (uint32_t)strlen(path) : 0;
	bool is_prefix = len == 0 || path[len - 1] == '*';
	uint64_t hash = HASH_START;
	uint32_t found;

	assert(!path || path[0] == '/');
	if (is_prefix && len > 0) {
		assert(len >= 2);
		assert(path[len - 2] == '/');
		len -= 2;
	}
	for (uint32_t i = 0; i < len; i++)
		hash = hash_step(hash, (uint8_t)path[i]);
	found = place_seek(router, host, hash, is_prefix, (const uint8_t *)(path ? path : ""), len);
	if (found)
		return found;
	place->text = router_copy(router, path ? path : "", len);
	place->len = len;
	place->host = host;
	place->hash = hash_end(hash, host, is_prefix);
	place->is_prefix = is_prefix;
	router->hosts[host].places_count++;
	if (len > router->places_longest)
		router->places_longest = len;
	table_put(&router->place_table, place->hash, router->places_count);
	return ++router->places_count;
}

static void router_add_rule(struct http_router *router, const struct http_rule *from)
{
	uint32_t host = router_add_host(router, from->host);
	struct place *place = &router->places[router_add_place(router, host, from->path) - 1];
	struct rule *rule = &router->rules[router->rules_count++];

	assert(from->route <= INT32_MAX);
	assert(!from->field_name == !from->field_value);
	rule->route = from->route;
	if (from->method) {
		rule->method_len = (uint32_t)strlen(from->method);
		rule->method = router_copy(router, from->method, rule->method_len);
	}
	if (from->field_name) {
		rule->field_name_len = (uint32_t)strlen(from->field_name);
		rule->field_value_len = (uint32_t)strlen(from->field_value);
		rule->field_name = router_copy(router, from->field_name, rule->field_name_len);
		rule->field_value = router_copy(router, from->field_value, rule->field_value_len);
	}
	if (place->last)
		router->rules[place->last - 1].next = router->rules_count;
	else
		place->first = router->rules_count;
	place->last = router->rules_count;
}

/* What is less specific; all are known now. */
static void router_link(struct http_router *router)
{
	for (uint32_t i = 1; i < router->hosts_count; i++) {
		struct host *host = &router->hosts[i];

		host->wider = host_find(router, (const uint8_t *)host->text, host->len, false);
		assert(host->wider != i);
	}
	for (uint32_t i = 0; i < router->places_count; i++) {
		struct place *place = &router->places[i];

		if (!place->is_prefix || place->len == 0)
			continue;
		place->shorter = place_find(router, place->host, (const uint8_t *)place->text,
					    place->len, NULL);
		assert(place->shorter != i + 1);
	}
}

static size_t text_bytes(const char *text)
{
	return text ? strlen(text) + 1 : 1;
}

static bool router_init(struct http_router *router, const struct http_rule *rules, uint32_t count)
{
	router->text_size = 1;
	for (uint32_t i = 0; i < count; i++)
		router->text_size += text_bytes(rules[i].host) + text_bytes(rules[i].path) +
				     text_bytes(rules[i].method) + text_bytes(rules[i].field_name) +
				     text_bytes(rules[i].field_value);
	router->text = malloc(router->text_size);
	/* One more than needed, where the next would be filled in. */
	router->hosts = calloc((size_t)count + 2, sizeof(router->hosts[0]));
	router->places = calloc((size_t)count + 1, sizeof(router->places[0]));
	router->rules = calloc((size_t)count + 1, sizeof(router->rules[0]));
	router->hosts_count = 1;
	return router->text && router->hosts && router->places && router->rules &&
	       table_init(&router->host_table, count) && table_init(&router->place_table, count);
}

/* In the order of routes; rules of one route stay as they are. */
static int by_route(const void *a, const void *b)
{
	const struct http_rule *one = *(const struct http_rule *const *)a;
	const struct http_rule *other = *(const struct http_rule *const *)b;

	if (one->route != other->route)
		return one->route < other->route ? -1 : 1;
	return one < other ? -1 : one > other;
}

struct http_router *http_router_open(const struct http_rule *rules, uint32_t count)
{
	struct http_router *router = calloc(1, sizeof(*router));
	const struct http_rule **order = calloc((size_t)count + 1, sizeof(order[0]));

	if (!router || !order || !router_init(router, rules, count)) {
		http_router_close(router);
		free(order);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		order[i] = &rules[i];
	qsort(order, count, sizeof(order[0]), by_route);
	for (uint32_t i = 0; i < count; i++)
		router_add_rule(router, order[i]);
	free(order);
	assert(router->rules_count == count);
	router_link(router);
	return router;
}

void http_router_close(struct http_router *router)
{
	if (!router)
		return;
	free(router->hosts);
	free(router->places);
	free(router->rules);
	free(router->host_table.slots);
	free(router->place_table.slots);
	free(router->text);
	free(router);
}
