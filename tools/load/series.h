/* SPDX-License-Identifier: MIT */
/*
 * series - a run second by second.
 *
 * Tallies of the same second are added up in `current`; the first one of a later second finishes
 * the row. A thread that is late has its numbers in the next row: nothing is lost or waited for.
 *
 * A row's heat is how many requests took a time of each band: four bands to an octave from 1 us.
 */
#ifndef LOAD_SERIES_H
#define LOAD_SERIES_H

#include <stdio.h>

#include "tally.h"

#define HEAT_BANDS 104 /* 26 octaves: 1 us to a minute */

struct series_row {
	double at_s;     /* the second's end, since the run began */
	double length_s;
	uint64_t completed;
	uint64_t faults;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t open;
	uint64_t backlog;
	uint64_t p50, p99, p999, max; /* ns */
	uint32_t heat[HEAT_BANDS];
};

struct series {
	struct series_row *rows;
	uint32_t count;
	uint32_t room;
	struct tally *current;
	uint64_t second;
	uint64_t begin_ns; /* of the row that is being added up */
	bool begun;
	bool open_loop;
	void (*finished)(void *context, const struct series *series, const struct series_row *row);
	void *context;
};

void series_open(struct series *series, bool open_loop);
void series_close(struct series *series);
void series_add(struct series *series, const struct tally *tally);
/* Finish the last row. */
void series_finish(struct series *series);
/* The lowest time of a band, in ns. */
double series_band_ns(uint32_t band);

#endif
