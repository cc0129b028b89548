/* SPDX-License-Identifier: MIT */
/*
 * srv - the SRV records (RFC 2782) of a message that a name server sent. Pure, but for memory.
 *
 * Records count that belong to the name asked for, or to what its CNAME records say that it is
 * called. A target "." says that there is no such service; a target that is no host name, or a port
 * of 0, is not used. It is fuzzed (tests/fuzz).
 */
#ifndef NAMES_SRV_H
#define NAMES_SRV_H

#include <stddef.h>

#include "reply.h"

/* The message answers one question for SRV records, and says no error. Its targets come ordered by
 * priority, host, port and falling weight, none twice, whatever order they were sent in; those
 * beyond RESOLVER_RECORDS_MAX are left out. */
struct reply srv_parse(const uint8_t *message, size_t len);

#endif
