/* SPDX-License-Identifier: MIT */
/*
 * records.c - sets of addresses, the same whatever order they came in.
 */
#include "records.h"

#include <stdlib.h>
#include <string.h>

static int compare_numbers(uint32_t one, uint32_t other)
{
	return (one > other) - (one < other);
}

/* Their ports are at one place of both kinds of sockaddr. */
static int compare_addrs(const struct addr *one, const struct addr *other)
{
	int order = compare_numbers(one->kind, other->kind);

	static_assert(ADDR_INET < ADDR_INET6, "IPv4 comes first");
	if (order == 0 && one->kind == ADDR_INET)
		order = memcmp(&one->u.in.sin_addr, &other->u.in.sin_addr,
			       sizeof(one->u.in.sin_addr));
	else if (order == 0)
		order = memcmp(&one->u.in6.sin6_addr, &other->u.in6.sin6_addr,
			       sizeof(one->u.in6.sin6_addr));
	if (order == 0)
		order = compare_numbers(ntohs(one->u.in.sin_port), ntohs(other->u.in.sin_port));
	return order;
}

static int by_address(const void *one, const void *other)
{
	return compare_addrs(one, other);
}

/* Of one address, the record that stays comes first. */
static int by_address_and_rank(const void *one, const void *other)
{
	const struct resolver_record *a = one, *b = other;
	int order = compare_addrs(&a->addr, &b->addr);

	if (order == 0)
		order = compare_numbers(a->priority, b->priority);
	return order != 0 ? order : compare_numbers(b->weight, a->weight);
}

static int by_priority(const void *one, const void *other)
{
	const struct resolver_record *a = one, *b = other;
	int order = compare_numbers(a->priority, b->priority);

	return order != 0 ? order : compare_addrs(&a->addr, &b->addr);
}

/* What block lists answer with (0.0.0.0) would be this host itself. */
static bool is_usable(const struct addr *addr)
{
	in_addr_t in;

	if (addr->kind == ADDR_INET6)
		return !IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr) &&
		       !IN6_IS_ADDR_MULTICAST(&addr->u.in6.sin6_addr);
	if (addr->kind != ADDR_INET)
		return false;
	in = ntohl(addr->u.in.sin_addr.s_addr);
	return in != INADDR_ANY && in != INADDR_BROADCAST && !IN_MULTICAST(in);
}

static void unmap(struct addr *addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (addr->kind != ADDR_INET6 || !IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr))
		return;
	in.sin_port = addr->u.in6.sin6_port;
	memcpy(&in.sin_addr, &addr->u.in6.sin6_addr.s6_addr[12], sizeof(in.sin_addr));
	addr_from_sockaddr(addr, (const struct sockaddr *)&in, sizeof(in));
}

uint32_t addrs_sort(struct addr *addrs, uint32_t count)
{
	uint32_t usable = 0, kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		unmap(&addrs[i]);
		if (is_usable(&addrs[i]))
			addrs[usable++] = addrs[i];
	}
	if (usable > 0)
		qsort(addrs, usable, sizeof(*addrs), by_address);
	for (uint32_t i = 0; i < usable; i++) {
		if (kept == 0 || compare_addrs(&addrs[kept - 1], &addrs[i]) != 0)
			addrs[kept++] = addrs[i];
	}
	return kept;
}

uint32_t records_sort(struct resolver_record *records, uint32_t count)
{
	uint32_t kept = 0;

	if (count == 0)
		return 0;
	qsort(records, count, sizeof(*records), by_address_and_rank);
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || compare_addrs(&records[kept - 1].addr, &records[i].addr) != 0)
			records[kept++] = records[i];
	}
	qsort(records, kept, sizeof(*records), by_priority);
	return kept;
}

bool records_same(const struct resolver_record *one, uint32_t one_count,
		  const struct resolver_record *other, uint32_t other_count)
{
	if (one_count != other_count)
		return false;
	for (uint32_t i = 0; i < one_count; i++) {
		if (by_priority(&one[i], &other[i]) != 0 || one[i].weight != other[i].weight)
			return false;
	}
	return true;
}
