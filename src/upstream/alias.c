/* SPDX-License-Identifier: MIT */
/*
 * alias.c - fill up each poor row from a rich one.
 */
#include "alias.h"

#include "base/assert.h"
#include "mix.h"

/* `share` of a row's `whole`, as a part of 2^32; a full row is just short of it, and says itself
 * what is above. */
static uint32_t threshold(uint64_t share, uint64_t whole)
{
	uint64_t part = (share << 32) / whole;

	assert(share <= whole);
	return part > UINT32_MAX ? UINT32_MAX : (uint32_t)part;
}

void alias_set(struct alias *alias, const uint32_t *weights, uint32_t count)
{
	uint32_t poor = 0;
	uint32_t rich = count; /* the stack of the rich grows down from the end */
	uint64_t whole = 0;

	alias->count = count;
	for (uint32_t i = 0; i < count; i++)
		whole += weights[i];
	assert(whole > 0);
	assert(whole < UINT32_MAX);
	for (uint32_t i = 0; i < count; i++) {
		alias->shares[i] = (uint64_t)weights[i] * count;
		if (alias->shares[i] < whole)
			alias->stacks[poor++] = (uint16_t)i;
		else
			alias->stacks[--rich] = (uint16_t)i;
	}
	while (poor > 0 && rich < count) {
		uint32_t from = alias->stacks[rich];
		uint32_t to = alias->stacks[--poor];

		alias->rows[to].threshold = threshold(alias->shares[to], whole);
		alias->rows[to].other = (uint16_t)from;
		alias->shares[from] -= whole - alias->shares[to];
		if (alias->shares[from] >= whole)
			continue;
		rich++;
		alias->stacks[poor++] = (uint16_t)from;
	}
	assert(poor == 0); /* the arithmetic is exact, so the rows left over are just full */
	for (; rich < count; rich++) {
		uint32_t full = alias->stacks[rich];

		assert(alias->shares[full] == whole);
		alias->rows[full].threshold = UINT32_MAX;
		alias->rows[full].other = (uint16_t)full;
	}
}

uint32_t alias_draw(const struct alias *alias, uint64_t random)
{
	uint32_t row = mix_range((uint32_t)(random >> 32), alias->count);

	return (uint32_t)random < alias->rows[row].threshold ? row : alias->rows[row].other;
}
