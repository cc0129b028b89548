/* SPDX-License-Identifier: MIT */
/*
 * target - where load goes: an address, and for HTTP the requests to send there.
 *
 *      http://HOST[:PORT][/PATH]      tcp://HOST:PORT      unix:/PATH[:/HTTP/PATH]
 *
 * URLs of one address are one target with several requests, drawn by weight for each request;
 * connections are spread over the targets in turn.
 */
#ifndef LOAD_TARGET_H
#define LOAD_TARGET_H

#include "net/addr.h"
#include "template.h"

#define TARGETS_MAX 64

struct request {
	char *text; /* head and body, as sent; owned */
	uint32_t bytes;
	struct template template; /* with --template: instead of text */
	uint32_t weight;
	uint8_t asked; /* enum http_method: HEAD, CONNECT, or GET for all answered alike */
	const char *path; /* of the URL, owned by the target's texts */
};

struct target {
	struct addr addr;
	bool http;
	char *host;   /* for the Host field; owned */
	char *url;    /* as given; owned */
	struct request *requests;
	uint32_t requests_count;
	uint64_t weights_sum;
};

struct targets {
	struct target items[TARGETS_MAX];
	uint32_t count;
	uint32_t template_room; /* of the longest request by template; 0: there are none */
};

/* Add the URL, resolving its host (blocks). unix_is_http: what unix: addresses speak. */
bool targets_add(struct targets *targets, const char *url, uint32_t weight, bool unix_is_http,
                 const char **reason);
void targets_release(struct targets *targets);

#endif
