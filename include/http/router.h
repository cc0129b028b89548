/* SPDX-License-Identifier: MIT */
/*
 * router - which rule a request meets, by tables made when the configuration is read.
 *
 *      host --> exact table, else longest suffix, else any     (one lookup per label)
 *                  |
 *                  '--> path --> exact, else longest prefix    (one lookup per "/" in the path)
 *                                   |
 *                                   '--> rules of that host and path, in the order of the file:
 *                                        the first whose method and field conditions hold
 *
 * Most specific first: host exact, then longest suffix, then any; within it path exact, then the
 * longest prefix, then any path; then the order of the file. When no rule of the more specific
 * place holds (its method does not fit, say), the next less specific one is tried. The cost does
 * not grow with the number of rules, but for rules of one same host and path.
 *
 * Hosts are matched without case, paths with. A prefix (written as /api/ and a star) matches
 * "/api", "/api/" and all below; that of the root, and an absent path, match all, "*" of OPTIONS
 * included.
 * Paths are matched as they were sent, but for this: a path with an empty, "." or ".." segment, or
 * a percent-encoded "/", "." or backslash never escapes its prefix: `http_router_find()` says
 * HTTP_RULE_AMBIGUOUS when decoding and normalising it would lead to another rule.
 * Pure but for the allocation in http_router_open().
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "http/head.h"

#define HTTP_RULE_NONE (-1)
#define HTTP_RULE_AMBIGUOUS (-2)

/* One place (a host and a path) of one route: a route with two hosts and three paths has six. */
struct http_rule {
	const char *host; /* lower case: "www.example.org", "*.example.org" (one label or more in
			   * front), or NULL: any */
	const char *path; /* "/exact", a prefix that ends in slash and star, or NULL: any */
	const char *method;       /* exact, or NULL: any but CONNECT */
	const char *field_name;   /* lower case, or NULL */
	const char *field_value;  /* exact; "*": any value, as long as the field is there */
	uint32_t route;           /* what a match returns; rules of lower numbers stand earlier */
};

struct http_router;

/* Rules are copied. Returns NULL when there is no memory. */
struct http_router *http_router_open(const struct http_rule *rules, uint32_t count);
void http_router_close(struct http_router *router);

/* The route of a parsed request, or HTTP_RULE_NONE, HTTP_RULE_AMBIGUOUS. */
int http_router_find(const struct http_router *router, const struct http_head *head,
		     const uint8_t *base);

#endif
