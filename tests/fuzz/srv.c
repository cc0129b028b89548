/* SPDX-License-Identifier: MIT */
/*
 * srv.c - any bytes as the message of a name server that is asked for SRV records.
 *
 * Properties:
 *   (1) Found are one target or more, in order, none twice, with a port and the name of a host, and
 *       no more than there is room for.
 *   (2) Otherwise there is a reason, and nothing is owned.
 *   (3) The order of what is found does not depend on anything but the message: twice the same.
 */
#include <string.h>

#include "fuzz.h"
#include "names/srv.h"

static struct reply ask(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	struct reply reply;

	assert(exact);
	if (len > 0)
		memcpy(exact, bytes, len);
	reply = srv_parse(exact, len);
	free(exact);
	return reply;
}

static void check_host(const char *host)
{
	size_t len = strlen(host);

	assert(len > 0 && len <= ADDR_NAME_MAX);
	assert(strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len);
	assert(strcmp(host, ".") != 0);
}

static void check_order(const struct target *before, const struct target *target)
{
	int order = strcmp(before->host, target->host);

	assert(before->priority <= target->priority);
	if (before->priority < target->priority)
		return;
	assert(order <= 0);
	assert(order < 0 || before->port < target->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reply reply = ask(data, len), again = ask(data, len);

	assert(reply.kind == again.kind && reply.targets_count == again.targets_count);
	assert(reply.left_out == again.left_out && reply.ttl_ms == again.ttl_ms);
	if (reply.kind != REPLY_FOUND) {
		assert(reply.kind == REPLY_GONE || reply.kind == REPLY_FAILED);
		assert(reply.why[0] != '\0' && !reply.targets && reply.targets_count == 0);
	} else {
		assert(reply.targets_count > 0 && reply.targets_count <= RESOLVER_RECORDS_MAX);
		assert(!reply.addrs && reply.ttl_ms <= (uint64_t)INT32_MAX * 1000);
	}
	for (uint32_t i = 0; i < reply.targets_count; i++) {
		assert(reply.targets[i].port != 0);
		assert(strcmp(reply.targets[i].host, again.targets[i].host) == 0);
		check_host(reply.targets[i].host);
		if (i > 0)
			check_order(&reply.targets[i - 1], &reply.targets[i]);
	}
	reply_deinit(&reply);
	reply_deinit(&again);
	return 0;
}
