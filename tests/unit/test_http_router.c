/* SPDX-License-Identifier: MIT */
/*
 * test_http_router.c - which rule a request meets: every order of precedence by name, and random
 * rules against a list that is searched from front to back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/router.h"
#include "unit.h"

/* ------------------------------------------------------------------------------------- requests */

/* A head as the parser would leave it, over bytes of its own. */
struct request {
	struct http_head head;
	uint8_t bytes[4096];
	uint32_t used;
};

static struct http_span put(struct request *request, const char *text)
{
	struct http_span span = { .at = (uint16_t)request->used, .len = (uint16_t)strlen(text) };

	assert(request->used + span.len <= sizeof(request->bytes));
	memcpy(request->bytes + request->used, text, span.len);
	request->used += span.len;
	return span;
}

static void request_make(struct request *request, const char *method, const char *host,
			 const char *path)
{
	request->used = 1;
	memset(&request->head, 0, sizeof(request->head));
	request->head.method = !strcmp(method, "CONNECT") ? HTTP_METHOD_CONNECT : HTTP_METHOD_OTHER;
	request->head.method_text = put(request, method);
	request->head.host = put(request, host);
	request->head.path = put(request, path);
}

static void request_field(struct request *request, const char *name, const char *value)
{
	struct http_field *field = &request->head.fields[request->head.fields_count++];

	field->name = put(request, name);
	field->value = put(request, value);
}

static int find(const struct http_router *router, const char *method, const char *host,
		const char *path)
{
	static struct request request;

	request_make(&request, method, host, path);
	return http_router_find(router, &request.head, request.bytes);
}

static int get(const struct http_router *router, const char *host, const char *path)
{
	return find(router, "GET", host, path);
}

static struct http_router *opened(const struct http_rule *rules, size_t count)
{
	struct http_router *router = http_router_open(rules, (uint32_t)count);

	assert(router);
	return router;
}

/* ----------------------------------------------------------------------------------- precedence */

TEST(a_router_without_rules_finds_none)
{
	struct http_router *router = opened(NULL, 0);

	CHECK_INT(get(router, "a", "/"), HTTP_RULE_NONE);
	CHECK_INT(get(router, "", "/a/../b"), HTTP_RULE_NONE);
	http_router_close(router);
	http_router_close(NULL);
}

TEST(a_host_goes_before_its_longest_suffix_and_that_before_any)
{
	static const struct http_rule rules[] = {
		{ .route = 0 },
		{ .host = "*.org", .route = 1 },
		{ .host = "*.example.org", .route = 2 },
		{ .host = "www.example.org", .route = 3 },
		{ .host = "example.org", .route = 4 },
		{ .host = "[2001:db8::1]", .route = 5 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(get(router, "www.example.org", "/"), 3);
	CHECK_INT(get(router, "WWW.Example.ORG", "/"), 3);
	CHECK_INT(get(router, "ww.example.org", "/"), 2);
	CHECK_INT(get(router, "A.B.EXAMPLE.org", "/"), 2);
	CHECK_INT(get(router, "x.www.example.org", "/"), 2);
	CHECK_INT(get(router, "example.org", "/"), 4);
	CHECK_INT(get(router, "other.org", "/"), 1);
	CHECK_INT(get(router, "notexample.org", "/"), 1);
	CHECK_INT(get(router, "org", "/"), 0);
	CHECK_INT(get(router, "example.com", "/"), 0);
	CHECK_INT(get(router, "", "/"), 0);
	CHECK_INT(get(router, "[2001:DB8::1]", "/"), 5);
	CHECK_INT(get(router, "[2001:db8::2]", "/"), 0);
	http_router_close(router);
}

TEST(a_suffix_needs_a_label_in_front_of_it)
{
	static const struct http_rule rules[] = { { .host = "*.example.org", .route = 7 } };
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(get(router, "a.example.org", "/"), 7);
	CHECK_INT(get(router, ".example.org", "/"), HTTP_RULE_NONE);
	CHECK_INT(get(router, "example.org", "/"), HTTP_RULE_NONE);
	CHECK_INT(get(router, "aexample.org", "/"), HTTP_RULE_NONE);
	CHECK_INT(get(router, "", "/"), HTTP_RULE_NONE);
	http_router_close(router);
}

TEST(a_path_goes_before_its_longest_prefix_and_that_before_any)
{
	static const struct http_rule rules[] = {
		{ .route = 0 },
		{ .path = "/api/*", .route = 1 },
		{ .path = "/api/v1/*", .route = 2 },
		{ .path = "/api/v1/x", .route = 3 },
		{ .path = "/api", .route = 4 },
		{ .path = "/", .route = 5 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(get(router, "h", "/api/v1/x"), 3);
	CHECK_INT(get(router, "h", "/api/v1/x/"), 2);
	CHECK_INT(get(router, "h", "/api/v1/X"), 2);
	CHECK_INT(get(router, "h", "/api/v1"), 2);
	CHECK_INT(get(router, "h", "/api/v1/"), 2);
	CHECK_INT(get(router, "h", "/api/v12"), 1);
	CHECK_INT(get(router, "h", "/api/"), 1);
	CHECK_INT(get(router, "h", "/api"), 4);
	CHECK_INT(get(router, "h", "/apis"), 0);
	CHECK_INT(get(router, "h", "/API/v1"), 0);
	CHECK_INT(get(router, "h", "/"), 5);
	CHECK_INT(get(router, "h", ""), 5); /* http://h without a path */
	CHECK_INT(get(router, "h", "*"), 0);
	http_router_close(router);
}

TEST(the_prefix_of_the_root_takes_what_no_path_takes)
{
	static const struct http_rule rules[] = {
		{ .path = "/*", .method = "PUT", .route = 0 },
		{ .method = "PUT", .route = 1 },
		{ .route = 2 },
		{ .path = "/*", .route = 3 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(find(router, "PUT", "h", "/a"), 0);
	CHECK_INT(find(router, "PUT", "h", "*"), 0);
	CHECK_INT(find(router, "GET", "h", "/a"), 2);
	CHECK_INT(find(router, "OPTIONS", "h", "*"), 2);
	http_router_close(router);
}

TEST(the_host_counts_more_than_the_path)
{
	static const struct http_rule rules[] = {
		{ .path = "/a/b/c", .route = 0 },
		{ .host = "*.h", .path = "/a/*", .route = 1 },
		{ .host = "x.h", .route = 2 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(get(router, "x.h", "/a/b/c"), 2);
	CHECK_INT(get(router, "y.h", "/a/b/c"), 1);
	CHECK_INT(get(router, "y.h", "/b"), HTTP_RULE_NONE);
	CHECK_INT(get(router, "z", "/a/b/c"), 0);
	http_router_close(router);
}

TEST(within_a_place_the_order_of_the_file_decides)
{
	static const struct http_rule rules[] = {
		{ .path = "/a", .route = 9 },
		{ .path = "/a", .method = "GET", .route = 4 },
		{ .path = "/a", .field_name = "x", .field_value = "1", .route = 2 },
		{ .path = "/a", .method = "GET", .route = 3 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(find(router, "GET", "h", "/a"), 3);
	CHECK_INT(find(router, "POST", "h", "/a"), 9);
	http_router_close(router);
}

/* ----------------------------------------------------------------------------------- conditions */

TEST(a_method_is_matched_exactly_and_connect_must_be_asked_for)
{
	static const struct http_rule rules[] = {
		{ .method = "GET", .route = 0 },
		{ .method = "M-SEARCH", .route = 1 },
		{ .route = 2 },
		{ .method = "CONNECT", .host = "*.h", .route = 3 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(find(router, "GET", "h", "/"), 0);
	CHECK_INT(find(router, "M-SEARCH", "h", "/"), 1);
	CHECK_INT(find(router, "GE", "h", "/"), 2);
	CHECK_INT(find(router, "GETS", "h", "/"), 2);
	CHECK_INT(find(router, "get", "h", "/"), 2);
	CHECK_INT(find(router, "CONNECT", "a.h", ""), 3);
	CHECK_INT(find(router, "CONNECT", "h", ""), HTTP_RULE_NONE);
	http_router_close(router);
}

TEST(a_field_is_matched_by_any_of_its_lines)
{
	static const struct http_rule rules[] = {
		{ .field_name = "x-tenant", .field_value = "blue", .route = 0 },
		{ .field_name = "x-tenant", .field_value = "*", .route = 1 },
		{ .field_name = "cookie", .field_value = "", .route = 2 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));
	struct request request;

	request_make(&request, "GET", "h", "/");
	CHECK_INT(http_router_find(router, &request.head, request.bytes), HTTP_RULE_NONE);
	request_field(&request, "X-Tenants", "blue");
	request_field(&request, "X-Tenan", "blue");
	CHECK_INT(http_router_find(router, &request.head, request.bytes), HTTP_RULE_NONE);
	request_field(&request, "X-TENANT", "Blue");
	CHECK_INT(http_router_find(router, &request.head, request.bytes), 1);
	request_field(&request, "x-Tenant", "blue");
	CHECK_INT(http_router_find(router, &request.head, request.bytes), 0);
	request_make(&request, "GET", "h", "/");
	request_field(&request, "Cookie", "");
	CHECK_INT(http_router_find(router, &request.head, request.bytes), 2);
	http_router_close(router);
}

TEST(where_no_rule_holds_the_next_less_specific_place_is_tried)
{
	static const struct http_rule rules[] = {
		{ .host = "a.b.c", .path = "/x/y", .method = "PUT", .route = 0 },
		{ .host = "a.b.c", .path = "/x/y/*", .method = "POST", .route = 1 },
		{ .host = "a.b.c", .path = "/x/*", .method = "PATCH", .route = 2 },
		{ .host = "a.b.c", .method = "DELETE", .route = 3 },
		{ .host = "*.b.c", .path = "/x/y", .method = "LOCK", .route = 4 },
		{ .host = "*.c", .path = "/*", .method = "TRACE", .route = 5 },
		{ .path = "/x/y", .method = "HEAD", .route = 6 },
		{ .path = "/x/*", .method = "GET", .route = 7 },
	};
	static const char *const methods[] = { "PUT",  "POST",  "PATCH", "DELETE",
					       "LOCK", "TRACE", "HEAD",  "GET" };
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
		CHECK_INT(find(router, methods[i], "a.b.c", "/x/y"), (int)i);
	CHECK_INT(find(router, "OPTIONS", "a.b.c", "/x/y"), HTTP_RULE_NONE);
	CHECK_INT(find(router, "PUT", "x.b.c", "/x/y"), HTTP_RULE_NONE);
	http_router_close(router);
}

/* ------------------------------------------------------------------------------------ ambiguity */

TEST(a_path_that_may_be_read_as_that_of_another_route_is_ambiguous)
{
	static const struct http_rule rules[] = {
		{ .path = "/public/*", .route = 0 },      { .path = "/admin/*", .route = 1 },
		{ .path = "/secret", .route = 2 },        { .path = "/caf%C3%A9/*", .route = 3 },
		{ .path = "/public/a/only", .route = 4 }, { .route = 5 },
	};
	static const char *const ambiguous[] = {
		"/public/../admin/x",
		"/public/%2e%2e/admin",
		"/public/%2E./admin/",
		"/public/..%2fadmin",
		"/public/..%5cadmin",
		"/public/..\\admin",
		"//admin/x",
		"/x/..//admin",
		"/./admin",
		"/%61dmin/x",
		"/admin%2fx",
		"/se%63ret",
		"/x/../secret",
		"/public/x//../../admin",
		"/public/x//../../../admin",
		"/caf%c3%a9/x",
		"/public/b/../a/only",
		"/public/a//only",
		"/public/a%2Fonly",
		"/public/..",
		"/public/../",
		"/admin/%2e%2e",
		"/x/..\\admin",
	};
	static const struct {
		const char *path;
		int route;
	} clear[] = {
		{ "/public/./x", 0 },
		{ "/public//x", 0 },
		{ "/public/a/../b", 0 },
		{ "/public/%61/b", 0 },
		{ "/public/http://x/", 0 },
		{ "/public/a%20b", 0 },
		{ "/public/%", 0 },
		{ "/public/%zz", 0 },
		{ "/public/...", 0 },
		{ "/public/.well-known", 0 },
		{ "/public/a%252e%252e/admin", 0 },
		{ "/secret/", 5 },
		{ "/secret/.", 5 },
		{ "/caf%C3%A9/x", 3 },
		{ "/%2e%2e/x", 5 },
		{ "/x/../..", 5 },
		{ "/admin/a/../../admin/b", 1 },
		{ "/admin/..%2fadmin", 1 },
	};
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	for (size_t i = 0; i < ARRAY_COUNT(ambiguous); i++) {
		unit_row(ambiguous[i]);
		CHECK_INT(get(router, "h", ambiguous[i]), HTTP_RULE_AMBIGUOUS);
	}
	for (size_t i = 0; i < ARRAY_COUNT(clear); i++) {
		unit_row(clear[i].path);
		CHECK_INT(get(router, "h", clear[i].path), clear[i].route);
	}
	unit_row(NULL);
	http_router_close(router);
}

TEST(without_conditions_on_paths_no_path_is_ambiguous)
{
	static const struct http_rule rules[] = { { .host = "h", .route = 0 }, { .route = 1 } };
	struct http_router *router = opened(rules, ARRAY_COUNT(rules));

	CHECK_INT(get(router, "h", "/a/../../%2e%2e//b"), 0);
	CHECK_INT(get(router, "i", "/a/../../%2e%2e//b"), 1);
	http_router_close(router);
}

/* ----------------------------------------------------------------- against a list, and its cost */

#define RANDOM_RULES 10000
#define RANDOM_REQUESTS 20000

static const char *const labels[] = { "a", "b", "c", "www", "example", "org", "x-y", "aa" };
static const char *const segments[] = { "a", "b", "api", "v1", "v2", "x.html", "aa", "~u" };
static const char *const methods[] = { "GET", "POST", "PUT", "CONNECT" };
static const char *const values[] = { "*", "1", "2" };

#define PICK(seed, words) ((words)[unit_random(seed) % ARRAY_COUNT(words)])

/* Some words with a mark in front of or between them. */
static void random_words(uint64_t *seed, char *text, size_t size, const char *const words[8],
			 const char *front, const char *between, uint32_t most)
{
	uint32_t count = 1 + (uint32_t)(unit_random(seed) % most);
	int len = snprintf(text, size, "%s", front);

	for (uint32_t i = 0; i < count; i++)
		len += snprintf(text + len, size - (size_t)len, "%s%s", i > 0 ? between : "",
				words[unit_random(seed) % 8]);
	assert((size_t)len < size);
}

struct random_rules {
	struct http_rule rules[RANDOM_RULES];
	char hosts[RANDOM_RULES][64];
	char paths[RANDOM_RULES][64];
};

static void random_rule(uint64_t *seed, struct random_rules *all, uint32_t i)
{
	struct http_rule *rule = &all->rules[i];
	uint64_t kinds = unit_random(seed);

	rule->route = i;
	random_words(seed, all->hosts[i], sizeof(all->hosts[i]), labels, kinds & 1 ? "*." : "", ".",
		     3);
	random_words(seed, all->paths[i], sizeof(all->paths[i]) - 2, segments, "/", "/", 5);
	if (kinds & 2)
		memcpy(all->paths[i] + strlen(all->paths[i]), "/*", 3);
	if (kinds & 12)
		rule->host = all->hosts[i];
	if (kinds & 48)
		rule->path = (kinds & 63) == 21 ? "/*" : all->paths[i];
	if (kinds & 64)
		rule->method = PICK(seed, methods);
	if ((kinds & 384) == 384) {
		rule->field_name = "x";
		rule->field_value = PICK(seed, values);
	}
}

/* How closely the rule asks for this host, or 0 when it is not for it. */
static uint32_t host_rank(const struct http_rule *rule, const char *host)
{
	size_t len;

	if (!rule->host)
		return 1;
	if (rule->host[0] != '*')
		return strcasecmp(rule->host, host) ? 0 : 1000;
	len = strlen(rule->host) - 1;
	return strlen(host) > len && !strcasecmp(host + strlen(host) - len, rule->host + 1) ?
		       1 + (uint32_t)len :
		       0;
}

static uint32_t path_rank(const struct http_rule *rule, const char *path)
{
	size_t len = rule->path ? strlen(rule->path) : 0;

	if (!rule->path || !strcmp(rule->path, "/*"))
		return 1;
	if (rule->path[len - 1] != '*')
		return strcmp(rule->path, path) ? 0 : 1000;
	len -= 2;
	return !strncmp(rule->path, path, len) && (path[len] == '\0' || path[len] == '/') ?
		       1 + (uint32_t)len :
		       0;
}

static bool conditions_hold(const struct http_rule *rule, const char *method, const char *value)
{
	if (rule->method ? strcmp(rule->method, method) != 0 : !strcmp(method, "CONNECT"))
		return false;
	return !rule->field_name ||
	       (value && (rule->field_value[0] == '*' || !strcmp(rule->field_value, value)));
}

/* Slow, and plainly what the header says. */
static int slow_find(const struct http_rule *rules, uint32_t count, const char *method,
		     const char *host, const char *path, const char *value)
{
	uint32_t best = 0;
	int found = HTTP_RULE_NONE;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t in_host = host_rank(&rules[i], host);
		uint32_t in_path = path_rank(&rules[i], path);
		uint32_t rank = in_host * 2048 + in_path;

		if (in_host == 0 || in_path == 0 || rank <= best ||
		    !conditions_hold(&rules[i], method, value))
			continue;
		best = rank;
		found = (int)rules[i].route;
	}
	return found;
}

static void compare_with_slow(const struct http_router *router, const struct http_rule *rules,
			      uint32_t count, uint32_t requests, uint64_t *seed)
{
	static struct request request;
	char host[64];
	char path[64];

	for (uint32_t i = 0; i < requests; i++) {
		const char *method = PICK(seed, methods);
		const char *value = unit_random(seed) % 2 ? values[1 + unit_random(seed) % 2] :
							    NULL;

		random_words(seed, host, sizeof(host), labels, "", ".", 4);
		random_words(seed, path, sizeof(path), segments, "/", "/", 6);
		request_make(&request, method, host, path);
		if (value)
			request_field(&request, "X", value);
		if (CHECK_INT(http_router_find(router, &request.head, request.bytes),
			      slow_find(rules, count, method, host, path, value)))
			continue;
		printf("%s %s %s %s\n", method, host, path, value ? value : "");
		return;
	}
}

TEST(random_rules_are_found_as_a_list_finds_them)
{
	struct random_rules *all = calloc(1, sizeof(*all));
	uint64_t seed = 20;

	assert(all);
	for (uint32_t i = 0; i < RANDOM_RULES; i++)
		random_rule(&seed, all, i);
	for (uint32_t count = 1; count <= RANDOM_RULES; count *= 10) {
		struct http_router *router = opened(all->rules, count);

		compare_with_slow(router, all->rules, count,
				  count < RANDOM_RULES ? RANDOM_REQUESTS / 10 : 1000, &seed);
		http_router_close(router);
	}
	free(all);
}

/* The least of some runs, so that another program's turn is not counted. */
static uint64_t cost(const struct http_router *router, const char *host, const char *path)
{
	static struct request request;
	uint64_t least = UINT64_MAX;

	request_make(&request, "GET", host, path);
	for (int run = 0; run < 20; run++) {
		uint64_t start = clock_ns();
		int sum = 0;

		for (int i = 0; i < 500; i++)
			sum += http_router_find(router, &request.head, request.bytes);
		CHECK(sum >= 0);
		if (clock_ns() - start < least)
			least = clock_ns() - start;
	}
	return least;
}

TEST(a_thousand_routes_cost_as_much_as_one)
{
	struct random_rules *all = calloc(1, sizeof(*all));
	struct http_router *one;
	struct http_router *many;

	assert(all);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(all->hosts[i], sizeof(all->hosts[i]), "h%03u.example.org", i);
		snprintf(all->paths[i], sizeof(all->paths[i]), "/service%03u/api/*", i);
		all->rules[i] = (struct http_rule){ .host = all->hosts[i],
						    .path = all->paths[i],
						    .route = i };
	}
	one = opened(all->rules, 1);
	many = opened(all->rules, 1000);
	CHECK_INT(get(many, "h999.example.org", "/service999/api/x"), 999);
	CHECK(cost(many, "h000.example.org", "/service000/api/x") <
	      4 * cost(one, "h000.example.org", "/service000/api/x"));
	http_router_close(one);
	http_router_close(many);
	free(all);
}

static const struct unit_test tests[] = {
	ROW(a_router_without_rules_finds_none),
	ROW(a_host_goes_before_its_longest_suffix_and_that_before_any),
	ROW(a_suffix_needs_a_label_in_front_of_it),
	ROW(a_path_goes_before_its_longest_prefix_and_that_before_any),
	ROW(the_prefix_of_the_root_takes_what_no_path_takes),
	ROW(the_host_counts_more_than_the_path),
	ROW(within_a_place_the_order_of_the_file_decides),
	ROW(a_method_is_matched_exactly_and_connect_must_be_asked_for),
	ROW(a_field_is_matched_by_any_of_its_lines),
	ROW(where_no_rule_holds_the_next_less_specific_place_is_tried),
	ROW(a_path_that_may_be_read_as_that_of_another_route_is_ambiguous),
	ROW(without_conditions_on_paths_no_path_is_ambiguous),
	ROW(random_rules_are_found_as_a_list_finds_them),
	ROW(a_thousand_routes_cost_as_much_as_one),
};
UNIT_MAIN(tests)
