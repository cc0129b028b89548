/* SPDX-License-Identifier: MIT */
/*
 * cidr - a block of addresses: 10.0.0.0/8, 2001:db8::/32, or one address alone.
 *
 * IPv4 is kept as IPv6 sees it (::ffff:10.0.0.0/104), so that a client is found in its block
 * whichever kind of socket accepted it, and a block that covers all of IPv6 covers IPv4 too.
 * Pure: no system call, no allocation.
 */
#ifndef NET_CIDR_H
#define NET_CIDR_H

#include <stdint.h>

#include "net/addr.h"

struct cidr {
	uint8_t bytes[16]; /* the bits behind the first `bits` are 0 */
	uint8_t bits;      /* 0 .. 128 */
};

/* Parse the whole text. An address with bits behind the block's own (10.0.0.1/8) is refused: one
 * of the two is a slip. On failure returns false and points *reason at a constant sentence that
 * says what would be right. */
bool cidr_parse(struct cidr *cidr, const char *text, const char **reason);

/* Is an address, as 16 bytes of IPv6, in the block? */
bool cidr_holds_in6(const struct cidr *cidr, const uint8_t in6[16]);

/* The same of a struct addr; what is neither IPv4 nor IPv6 is in no block. */
bool cidr_holds(const struct cidr *cidr, const struct addr *addr);

#endif
