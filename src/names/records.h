/* SPDX-License-Identifier: MIT */
/*
 * records - sets of addresses, the same whatever order they came in. Pure.
 *
 * Addresses are ordered IPv4 first, then by their bytes, then by their port.
 */
#ifndef NAMES_RECORDS_H
#define NAMES_RECORDS_H

#include "names/resolver.h"

/* Order the addresses of one answer. Those that cannot be connected to and those that are there
 * already are taken out; IPv4 mapped into IPv6 becomes IPv4. Returns how many are left. */
uint32_t addrs_sort(struct addr *addrs, uint32_t count);

/* Order by priority, then address. Of those with one address only the one with the lowest priority,
 * and among these the highest weight, is left. Returns how many are left. */
uint32_t records_sort(struct resolver_record *records, uint32_t count);

/* Both are in order. */
bool records_same(const struct resolver_record *one, uint32_t one_count,
		  const struct resolver_record *other, uint32_t other_count);

#endif
