/* SPDX-License-Identifier: MIT */
/*
 * series.c - rows from tallies, as in series.h.
 */
#include "series.h"

#include <math.h>
#include <stdlib.h>

#define SECOND_NS 1000000000ull

void series_open(struct series *series, bool open_loop)
{
	*series = (struct series){ .open_loop = open_loop, .current = tally_open() };
}

void series_close(struct series *series)
{
	tally_close(series->current);
	free(series->rows);
	*series = (struct series){ 0 };
}

double series_band_ns(uint32_t band)
{
	return 1000 * pow(2, band / 4.0);
}

static uint32_t band_of(uint64_t ns)
{
	double band = ns <= 1000 ? 0 : floor(4 * log2((double)ns / 1000));

	return band < HEAT_BANDS ? (uint32_t)band : HEAT_BANDS - 1;
}

static const struct histogram *times(const struct series *series)
{
	return &series->current->times[series->open_loop ? TALLY_RESPONSE : TALLY_SERVICE];
}

static struct series_row *new_row(struct series *series)
{
	if (series->count == series->room) {
		series->room = series->room == 0 ? 64 : series->room * 2;
		series->rows = realloc(series->rows, series->room * sizeof(*series->rows));
		assert(series->rows != NULL);
	}
	return &series->rows[series->count++];
}

void series_finish(struct series *series)
{
	const struct tally *current = series->current;
	const struct histogram *h = times(series);
	struct histogram_walk walk;
	struct series_row *row;

	if (!series->begun)
		return;
	row = new_row(series);
	*row = (struct series_row){
		.at_s = (double)current->end_ns / 1e9,
		.length_s = (double)(current->end_ns - series->begin_ns) / 1e9,
		.completed = tally_get(current, completed),
		.faults = tally_faults(current),
		.bytes_in = tally_get(current, bytes_in),
		.bytes_out = tally_get(current, bytes_out),
		.open = current->open,
		.backlog = current->backlog,
		.p50 = histogram_value_at_percentile(h, 50),
		.p99 = histogram_value_at_percentile(h, 99),
		.p999 = histogram_value_at_percentile(h, 99.9),
		.max = histogram_max(h),
	};
	for (histogram_walk_start(&walk, h); histogram_next_recorded(&walk);)
		row->heat[band_of(walk.value)] += (uint32_t)walk.count;
	if (series->finished != NULL)
		series->finished(series->context, series, row);
	tally_reset(series->current);
	series->begun = false;
}

void series_add(struct series *series, const struct tally *tally)
{
	/* Intervals begin a little after their second does. */
	uint64_t second = (tally->begin_ns + SECOND_NS / 4) / SECOND_NS;
	struct tally *current = series->current;

	if (series->begun && second > series->second)
		series_finish(series);
	if (!series->begun) {
		series->begun = true;
		series->second = second;
		series->begin_ns = tally->begin_ns;
		current->end_ns = tally->end_ns;
		current->open = 0;
		current->backlog = 0;
	}
	tally_merge(current, tally);
	if (tally->end_ns > current->end_ns)
		current->end_ns = tally->end_ns;
	current->open += tally->open;
	current->backlog += tally->backlog;
}
