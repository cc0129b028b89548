/* SPDX-License-Identifier: MIT */
/*
 * source - the addresses that connections are made from: --bind CIDR.
 *
 * A source address has about 28,000 free ports towards one target, so more connections need more
 * addresses. IP_BIND_ADDRESS_NO_PORT leaves the port to connect(2), which then may use one port
 * towards several targets; without it bind(2) would take a port for itself alone.
 */
#ifndef LOAD_SOURCE_H
#define LOAD_SOURCE_H

#include <netinet/in.h>
#include <stdint.h>

#include "base/assert.h"

struct source {
	int family; /* 0: any address; else AF_INET or AF_INET6 */
	uint8_t first[16];
	uint64_t count;
};

/* 127.0.0.0/24, 10.0.0.7, fd00::/120 */
bool source_parse(struct source *source, const char *text, const char **reason);
/* Bind a new socket to the source that the number names, in turn. 0 or a negative errno. */
int source_bind(const struct source *source, int fd, uint64_t number);

#endif
