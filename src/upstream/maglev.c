/* SPDX-License-Identifier: MIT */
/*
 * maglev.c - rows are taken in turns.
 */
#include "maglev.h"

#include "base/assert.h"
#include "mix.h"

#define ROWS_PER_WEIGHT_LEAST 10
#define ROW_FREE UINT16_MAX

static uint32_t divisor_of(uint32_t a, uint32_t b)
{
	while (b > 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint32_t maglev_rows(const uint32_t *weights, uint32_t servers)
{
	uint32_t divisor = 0;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < servers; i++) {
		divisor = divisor_of(divisor, weights[i]);
		sum += weights[i];
	}
	assert(divisor > 0);
	return sum / divisor * ROWS_PER_WEIGHT_LEAST <= MAGLEV_ROWS ? MAGLEV_ROWS :
								      MAGLEV_ROWS_MANY;
}

/* The first free row of a server's order. */
static uint32_t take_row(struct maglev *maglev, struct maglev_turn *turn)
{
	uint32_t row;

	do {
		row = turn->row;
		turn->row += turn->step;
		if (turn->row >= maglev->rows_count)
			turn->row -= maglev->rows_count;
	} while (maglev->rows[row] != ROW_FREE);
	return row;
}

static void fill(struct maglev *maglev, const uint32_t *weights, uint32_t servers,
		 struct maglev_turn *turns, uint32_t largest)
{
	uint32_t left = maglev->rows_count;

	while (true) {
		for (uint32_t i = 0; i < servers; i++) {
			turns[i].credit += weights[i];
			if (turns[i].credit < largest)
				continue;
			turns[i].credit -= largest;
			maglev->rows[take_row(maglev, &turns[i])] = (uint16_t)i;
			if (--left == 0)
				return;
		}
	}
}

void maglev_init(struct maglev *maglev, const uint32_t *weights, const uint64_t *ids,
		 uint32_t servers, uint16_t *rows, struct maglev_turn *turns)
{
	uint32_t largest = 0;

	assert(servers < ROW_FREE);
	maglev->rows_count = maglev_rows(weights, servers);
	maglev->rows = rows;
	for (uint32_t i = 0; i < maglev->rows_count; i++)
		rows[i] = ROW_FREE;
	for (uint32_t i = 0; i < servers; i++) {
		turns[i].row = mix_range((uint32_t)(mix_two(ids[i], 1) >> 32), maglev->rows_count);
		turns[i].step =
			1 + mix_range((uint32_t)(mix_two(ids[i], 2) >> 32), maglev->rows_count - 1);
		if (weights[i] > largest)
			largest = weights[i];
	}
	assert(largest > 0);
	for (uint32_t i = 0; i < servers; i++)
		turns[i].credit = largest / 2; /* so that shares are rounded, not cut */
	fill(maglev, weights, servers, turns, largest);
}

uint32_t maglev_find(const struct maglev *maglev, uint64_t hash)
{
	return maglev->rows[mix_range((uint32_t)(hash >> 32), maglev->rows_count)];
}
