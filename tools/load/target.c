/* SPDX-License-Identifier: MIT */
/*
 * target.c - from URLs to targets.
 */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct url {
	bool http;
	char address[ADDR_TEXT_MAX];
	char host[ADDR_TEXT_MAX];
	const char *path;
};

static bool copy(char *to, size_t room, const char *from, size_t count)
{
	if (count == 0 || count >= room)
		return false;
	memcpy(to, from, count);
	to[count] = '\0';
	return true;
}

static bool has_port(const char *address)
{
	const char *bracket = strrchr(address, ']');

	return strchr(bracket != NULL ? bracket : address, ':') != NULL;
}

static bool split_authority(struct url *url, const char *text, const char **reason)
{
	size_t length = strcspn(text, "/?#");

	url->path = text[length] == '\0' ? "/" : text + length;
	if (strchr(url->path, '#') != NULL) {
		*reason = "a fragment (#) is not sent to servers";
		return false;
	}
	if (!copy(url->host, sizeof(url->host), text, length) || strchr(url->host, '@') != NULL) {
		*reason = "the URL has no host, or one that is not usable";
		return false;
	}
	if (!url->http && !has_port(url->host)) {
		*reason = "tcp:// needs a port";
		return false;
	}
	(void)snprintf(url->address, sizeof(url->address), "%.*s%s", ADDR_TEXT_MAX - 4, url->host,
	               has_port(url->host) ? "" : ":80");
	return true;
}

/* unix:/path of the socket, or unix:/path:/path of the request */
static bool split_unix(struct url *url, const char *text, bool http)
{
	const char *second = strstr(text + 5, ":/");
	size_t length = second != NULL ? (size_t)(second - text) : strlen(text);

	url->http = http;
	url->path = second != NULL ? second + 1 : "/";
	(void)snprintf(url->host, sizeof(url->host), "localhost");
	return copy(url->address, sizeof(url->address), text, length);
}

static bool split(struct url *url, const char *text, bool unix_is_http, const char **reason)
{
	*reason = "a target is http://HOST[:PORT][/PATH], tcp://HOST:PORT or unix:/PATH";
	if (strncmp(text, "unix:", 5) == 0)
		return split_unix(url, text, unix_is_http);
	if (strncmp(text, "https://", 8) == 0) {
		*reason = "TLS is not spoken: use the plain port";
		return false;
	}
	url->http = strncmp(text, "http://", 7) == 0;
	if (url->http)
		return split_authority(url, text + 7, reason);
	if (strncmp(text, "tcp://", 6) == 0)
		return split_authority(url, text + 6, reason);
	return false;
}

static struct target *find(struct targets *targets, const struct url *url, const struct addr *addr)
{
	uint32_t i;

	for (i = 0; i < targets->count; i++) {
		struct target *target = &targets->items[i];

		if (target->http == url->http && addr_equal(&target->addr, addr) &&
		    strcmp(target->host, url->host) == 0)
			return target;
	}
	return NULL;
}

static struct target *add_target(struct targets *targets, const struct url *url,
                                 const struct addr *addr, const char *text)
{
	struct target *target = &targets->items[targets->count++];

	*target = (struct target){
		.addr = *addr,
		.http = url->http,
		.host = strdup(url->host),
		.url = strdup(text),
	};
	assert(target->host != NULL && target->url != NULL);
	return target;
}

static void add_request(struct target *target, const char *path, uint32_t weight)
{
	struct request *requests = realloc(target->requests, (target->requests_count + 1) *
	                                                             sizeof(*requests));
	const char *slash = path[0] == '?' ? "/" : "";
	size_t room = strlen(path) + 2;
	char *copied = malloc(room);

	assert(requests != NULL && copied != NULL);
	(void)snprintf(copied, room, "%s%s", slash, path);
	target->requests = requests;
	target->requests[target->requests_count++] = (struct request){ .weight = weight,
		                                                       .path = copied };
	target->weights_sum += weight;
}

bool targets_add(struct targets *targets, const char *text, uint32_t weight, bool unix_is_http,
                 const char **reason)
{
	struct url url;
	struct addr addr;
	struct target *target;

	if (!split(&url, text, unix_is_http, reason) ||
	    !addr_parse(&addr, url.address, reason) || !addr_resolve(&addr, reason))
		return false;
	if (addr.kind != ADDR_INET && addr.kind != ADDR_INET6 && addr.kind != ADDR_UNIX) {
		*reason = "not an address that can be connected to";
		return false;
	}
	target = find(targets, &url, &addr);
	if (target == NULL && targets->count == TARGETS_MAX) {
		*reason = "too many different targets";
		return false;
	}
	if (target == NULL)
		target = add_target(targets, &url, &addr, text);
	add_request(target, url.path, weight);
	return true;
}

void targets_release(struct targets *targets)
{
	uint32_t i, r;

	for (i = 0; i < targets->count; i++) {
		struct target *target = &targets->items[i];

		for (r = 0; r < target->requests_count; r++) {
			free(target->requests[r].text);
			template_close(&target->requests[r].template);
			free((void *)(uintptr_t)target->requests[r].path);
		}
		free(target->requests);
		free(target->host);
		free(target->url);
	}
	targets->count = 0;
}
