/* SPDX-License-Identifier: MIT */
/*
 * access_list.c - nested blocks, made flat.
 *
 *      ::            10.0.0.0      10.9.0.0     10.9.9.9  10.9.9.10     10.10.0.0     11.0.0.0
 *       |   denied    |   allowed   |   denied   | allowed |    denied   |   allowed   |  denied
 *
 * Two blocks are apart or one lies in the other, so the addresses, in their order, fall into runs
 * with one answer each. All of the rules about length and precedence are applied when the runs are
 * made; a lookup finds the last run that begins at or in front of an address.
 */
#include "net/access_list.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 129 /* blocks that lie in each other: one of each length, 0 to 128 */

/* An address as a number. */
struct number {
	uint64_t high;
	uint64_t low;
};

struct run {
	struct number first;
	bool allowed;
};

struct access_list {
	bool otherwise; /* the answer for an address in no block */
	uint32_t runs_count;
	struct run runs[]; /* the first begins at address 0; no two neighbours are alike */
};

struct block {
	struct number first;
	struct number last;
	uint32_t bits;
	bool allowed;
};

static uint64_t read_be64(const uint8_t bytes[8])
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static struct number number_of(const uint8_t in6[16])
{
	return (struct number){ .high = read_be64(in6), .low = read_be64(in6 + 8) };
}

static int compare(struct number one, struct number other)
{
	if (one.high != other.high)
		return one.high < other.high ? -1 : 1;
	return (one.low > other.low) - (one.low < other.low);
}

static struct block block_of(const struct cidr *cidr, bool allowed)
{
	struct number first = number_of(cidr->bytes);
	struct number last = first;

	assert(cidr->bits <= 128);
	if (cidr->bits < 64) {
		last.high |= UINT64_MAX >> cidr->bits;
		last.low = UINT64_MAX;
	} else if (cidr->bits < 128) {
		last.low |= UINT64_MAX >> (cidr->bits - 64);
	}
	return (struct block){
		.first = first, .last = last, .bits = cidr->bits, .allowed = allowed
	};
}

/* A block stands behind the one that it lies in, and of the same block twice, deny is the last. */
static int compare_blocks(const void *a, const void *b)
{
	const struct block *one = a;
	const struct block *other = b;
	int order = compare(one->first, other->first);

	if (order == 0)
		order = (one->bits > other->bits) - (one->bits < other->bits);
	return order ? order : other->allowed - one->allowed;
}

/* From here on the answer is this one, as far as has been seen. */
static void add_run(struct access_list *list, struct number first, bool allowed)
{
	struct run *last = list->runs_count > 0 ? &list->runs[list->runs_count - 1] : NULL;

	if (last && compare(last->first, first) == 0) {
		list->runs_count--;
		last = list->runs_count > 0 ? last - 1 : NULL;
	}
	if (last && last->allowed == allowed)
		return;
	assert(!last || compare(last->first, first) < 0);
	list->runs[list->runs_count++] = (struct run){ .first = first, .allowed = allowed };
}

/* Blocks that lie in each other, the outermost first. */
struct nest {
	const struct block *blocks[DEPTH_MAX];
	uint32_t depth;
};

/* The innermost block ends; behind it the one around it goes on. */
static void leave(struct access_list *list, struct nest *nest)
{
	struct number behind = nest->blocks[--nest->depth]->last;

	if (++behind.low == 0 && ++behind.high == 0)
		return; /* nothing is behind the last of all addresses */
	add_run(list, behind,
		nest->depth > 0 ? nest->blocks[nest->depth - 1]->allowed : list->otherwise);
}

static void add_blocks(struct access_list *list, const struct block *blocks, uint32_t count)
{
	struct nest nest = { .depth = 0 };

	add_run(list, (struct number){ 0, 0 }, list->otherwise);
	for (uint32_t i = 0; i < count; i++) {
		const struct block *block = &blocks[i];

		while (nest.depth > 0 &&
		       compare(nest.blocks[nest.depth - 1]->last, block->first) < 0)
			leave(list, &nest);
		/* The same block again: the later one counts. */
		if (nest.depth > 0 && nest.blocks[nest.depth - 1]->bits == block->bits)
			nest.depth--;
		assert(nest.depth < DEPTH_MAX);
		nest.blocks[nest.depth++] = block;
		add_run(list, block->first, block->allowed);
	}
	while (nest.depth > 0)
		leave(list, &nest);
}

struct access_list *access_list_open(const struct cidr *allow, uint32_t allow_count,
				     const struct cidr *deny, uint32_t deny_count)
{
	size_t count = (size_t)allow_count + deny_count;
	struct block *blocks = calloc(count + 1, sizeof(*blocks));
	struct access_list *list;
	struct access_list *fitted;
	size_t size;

	assert(count <= ACCESS_LIST_MAX);
	/* A block begins one run, and ends in one; the first run is there anyway. */
	list = calloc(1, sizeof(*list) + (2 * count + 1) * sizeof(list->runs[0]));
	if (!blocks || !list) {
		free(blocks);
		free(list);
		return NULL;
	}
	for (uint32_t i = 0; i < allow_count; i++)
		blocks[i] = block_of(&allow[i], true);
	for (uint32_t i = 0; i < deny_count; i++)
		blocks[allow_count + i] = block_of(&deny[i], false);
	qsort(blocks, count, sizeof(*blocks), compare_blocks);
	list->otherwise = allow_count == 0;
	add_blocks(list, blocks, (uint32_t)count);
	free(blocks);
	assert(list->runs_count > 0 && list->runs_count <= 2 * count + 1);
	size = sizeof(*list) + list->runs_count * sizeof(list->runs[0]);
	fitted = realloc(list, size);
	return fitted ? fitted : list;
}

void access_list_close(struct access_list *list)
{
	free(list);
}

bool access_list_allows_in6(const struct access_list *list, const uint8_t in6[16])
{
	struct number number;
	uint32_t low = 0;
	uint32_t high;

	if (!list)
		return true;
	number = number_of(in6);
	high = list->runs_count;
	/* runs[low] begins at or in front of the address, runs[high] behind it. */
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(list->runs[middle].first, number) <= 0)
			low = middle;
		else
			high = middle;
	}
	assert(compare(list->runs[low].first, number) <= 0);
	return list->runs[low].allowed;
}

bool access_list_allows(const struct access_list *list, const struct addr *addr)
{
	uint8_t in6[16] = { [10] = 0xff, [11] = 0xff };

	switch (addr->kind) {
	case ADDR_INET:
		memcpy(&in6[12], &addr->u.in.sin_addr, 4);
		return access_list_allows_in6(list, in6);
	case ADDR_INET6:
		return access_list_allows_in6(list, addr->u.in6.sin6_addr.s6_addr);
	default:
		return !list || list->otherwise;
	}
}
