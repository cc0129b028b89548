/* SPDX-License-Identifier: MIT */
/*
 * access_list - which addresses may come: blocks that are allowed and blocks that are denied.
 *
 *      allow 10.0.0.0/8        10.1.2.3      allowed: /8 is all that holds it
 *      deny  10.9.0.0/16       10.9.1.1      denied: /16 is longer than /8
 *      allow 10.9.9.9          10.9.9.9      allowed: an address alone is longer still
 *                              192.0.2.1     denied: nothing holds it, and there is an allow
 *
 * Of the blocks that hold an address the longest decides; of a block that is both, deny. An address
 * in no block is allowed when nothing but denials are given, and denied otherwise.
 *
 * Made once, when the configuration is; then only read, from any thread. A lookup costs the
 * logarithm of the number of blocks: 15 steps for 10,000 of them.
 */
#ifndef NET_ACCESS_LIST_H
#define NET_ACCESS_LIST_H

#include "net/cidr.h"

struct access_list;

#define ACCESS_LIST_MAX (1u << 30) /* blocks, both kinds together */

/* Without any block everybody is allowed. The blocks are copied. NULL without memory. */
struct access_list *access_list_open(const struct cidr *allow, uint32_t allow_count,
				     const struct cidr *deny, uint32_t deny_count);
void access_list_close(struct access_list *list); /* NULL: nothing happens */

/* What is neither IPv4 nor IPv6 is in no block. A list that is NULL allows everybody. */
bool access_list_allows(const struct access_list *list, const struct addr *addr);

/* The same of an address as 16 bytes of IPv6. */
bool access_list_allows_in6(const struct access_list *list, const uint8_t in6[16]);

#endif
