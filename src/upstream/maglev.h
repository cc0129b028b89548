/* SPDX-License-Identifier: MIT */
/*
 * maglev - a table of servers, looked up by key.
 *
 * Each server has its own order of all rows, decided by its name. In turns, by weight, each takes
 * the first row of its order that is still free. So rows per server are its share to a row or two,
 * and a server more or less in the file changes few rows but those it takes or leaves (Eisenbud and
 * others, "Maglev", 2016, section 3.4): with tens of servers half as many again at most, with
 * hundreds twice as many.
 *
 * The number of rows is prime, so that every step of an order reaches every row. It is
 * MAGLEV_ROWS, or MAGLEV_ROWS_MANY where the smallest weight would get but a few rows.
 */
#ifndef UPSTREAM_SRC_MAGLEV_H
#define UPSTREAM_SRC_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

#define MAGLEV_ROWS 65537u
#define MAGLEV_ROWS_MANY 655373u

struct maglev {
	uint32_t rows_count;
	uint16_t *rows;
};

/* What one server needs while the table is made. */
struct maglev_turn {
	uint32_t row; /* next of its order */
	uint32_t step;
	uint32_t credit; /* it has a turn when this reaches the largest weight */
};

uint32_t maglev_rows(const uint32_t *weights, uint32_t servers);

/* `rows` has maglev_rows() places, `turns` one per server. At least one weight is above 0.
 * `ids`: a hash of each server's name. */
void maglev_init(struct maglev *maglev, const uint32_t *weights, const uint64_t *ids,
		 uint32_t servers, uint16_t *rows, struct maglev_turn *turns);

/* The server of a key, whose bits are well mixed. */
uint32_t maglev_find(const struct maglev *maglev, uint64_t hash);

#endif
