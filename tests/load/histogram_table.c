/* SPDX-License-Identifier: MIT */
/*
 * histogram_table - random values in our histogram, to be compared with another implementation's.
 *
 *      histogram_table SHAPE SEED LOG
 *
 * Writes an HdrHistogram log, and prints what we say is in it: a line "VALUE PERCENTILE COUNT" for
 * each step of the percentiles, then a line with mean, deviation, maximum and count. The shape
 * "single" makes an interval of each value instead, and prints the values.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "hlog.h"

#define HIGHEST 60000000000ull
#define VALUES 20000
#define SINGLES 1000
#define TICKS 5 /* the steps in which HdrHistogram's own tool prints */

static uint64_t log_uniform(struct draw *draw)
{
	return (uint64_t)exp(draw_unit(draw) * log((double)HIGHEST));
}

static uint64_t small(struct draw *draw)
{
	return draw_below(draw, 5000);
}

static uint64_t uniform(struct draw *draw)
{
	return draw_below(draw, HIGHEST);
}

static uint64_t exponential(struct draw *draw)
{
	return (uint64_t)(-log(1 - draw_unit(draw)) * 2e6);
}

static uint64_t two_peaks(struct draw *draw)
{
	return draw_below(draw, 100) < 97 ? 200000 + draw_below(draw, 9000)
	                                  : 1000000000 + draw_below(draw, 50000000);
}

static uint64_t powers_of_two(struct draw *draw)
{
	return (1ull << draw_below(draw, 36)) - draw_below(draw, 2);
}

static const struct shape {
	const char *name;
	uint64_t (*draw)(struct draw *draw);
} shapes[] = {
	{ "log_uniform", log_uniform }, { "small", small },
	{ "uniform", uniform },         { "exponential", exponential },
	{ "two_peaks", two_peaks },     { "powers_of_two", powers_of_two },
};

static void print_table(const struct histogram *histogram)
{
	struct histogram_walk walk;

	for (histogram_walk_start(&walk, histogram); histogram_next_percentile(&walk, TICKS);)
		printf("%llu %.12f %llu\n", (unsigned long long)walk.value, walk.percentile,
		       (unsigned long long)walk.cumulative);
	printf("%.3f %.3f %llu %llu\n", histogram_mean(histogram), histogram_stddev(histogram),
	       (unsigned long long)histogram_max(histogram),
	       (unsigned long long)histogram->total);
}

static void singles(struct histogram *histogram, struct draw *draw, FILE *log)
{
	int i;

	for (i = 0; i < SINGLES; i++) {
		uint64_t value = i % 4 == 0 ? powers_of_two(draw) : log_uniform(draw);

		histogram_reset(histogram);
		(void)histogram_record(histogram, value);
		hlog_line(log, i, 1, histogram);
		printf("%llu\n", (unsigned long long)value);
	}
}

static bool many(struct histogram *histogram, struct draw *draw, FILE *log, const char *name)
{
	size_t shape;
	int i;

	for (shape = 0; shape < ARRAY_COUNT(shapes); shape++)
		if (strcmp(shapes[shape].name, name) == 0)
			break;
	if (shape == ARRAY_COUNT(shapes))
		return false;
	/* Counts of many sizes, so that their encoding takes one to six bytes. */
	for (i = 0; i < VALUES; i++)
		(void)histogram_record_many(histogram, shapes[shape].draw(draw),
		                            i % 50 == 0 ? 1ull << draw_below(draw, 34) : 1);
	hlog_line(log, 0, 1, histogram);
	print_table(histogram);
	return true;
}

int main(int argc, char **argv)
{
	uint64_t *counts = calloc(histogram_slots_count(HIGHEST), sizeof(*counts));
	FILE *log = argc == 4 ? fopen(argv[3], "w") : NULL;
	struct histogram histogram;
	struct draw draw;
	bool good = true;

	if (log == NULL || counts == NULL) {
		fprintf(stderr, "usage: histogram_table SHAPE SEED LOG\n");
		return 2;
	}
	histogram_init(&histogram, HIGHEST, counts);
	draw_init(&draw, strtoull(argv[2], NULL, 10), 3);
	hlog_begin(log, 1.7e9);
	if (strcmp(argv[1], "single") == 0)
		singles(&histogram, &draw, log);
	else
		good = many(&histogram, &draw, log, argv[1]);
	free(counts);
	return fclose(log) == 0 && good ? 0 : 2;
}
