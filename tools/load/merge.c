/* SPDX-License-Identifier: MIT */
/*
 * merge.c - the command of merge.h: add every interval of every file up, print the percentiles, and
 * write the sum as a log of one interval where -o asks for it.
 */
#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "hlog.h"
#include "options.h"
#include "report.h"
#include "tally.h"

#define PROGRAM "sluice-load merge"

struct merge_options {
	const char *output;
	bool help;
};

static const struct option_row rows[] = {
	{ "output", 'o', "FILE", amount_text, offsetof(struct merge_options, output),
	  "write the sum as a log of one interval", NULL },
	{ "help", 'h', NULL, NULL, offsetof(struct merge_options, help), "this text", NULL },
};

struct merge {
	struct tally *tally; /* its first histogram is the sum */
	uint64_t intervals;
	uint64_t lost;
	double first_s;
	double last_s;
};

static struct histogram *sum_of(struct merge *merge)
{
	return &merge->tally->times[TALLY_RESPONSE];
}

/* A line is "[Tag=x,]start,length,max,encoding". */
static bool take_line(struct merge *merge, char *line)
{
	char *encoding = hlog_encoding_of(line);
	const char *numbers = strncmp(line, "Tag=", 4) == 0 ? strchr(line, ',') + 1 : line;
	double start_s, length_s = 0;
	char *end;

	if (encoding == NULL)
		return true;
	start_s = strtod(numbers, &end);
	if (*end == ',')
		length_s = strtod(end + 1, NULL);
	if (merge->intervals++ == 0 || start_s < merge->first_s)
		merge->first_s = start_s;
	if (start_s + length_s > merge->last_s)
		merge->last_s = start_s + length_s;
	return hlog_decode(encoding, sum_of(merge), &merge->lost);
}

static bool take_file(struct merge *merge, const char *path)
{
	FILE *file = fopen(path, "r");
	uint64_t number = 0;
	char *line = NULL;
	size_t room = 0;
	bool good = file != NULL;

	if (!good)
		fprintf(stderr, PROGRAM ": %s: cannot be read\n", path);
	while (good && getline(&line, &room, file) > 0) {
		number++;
		good = take_line(merge, line);
		if (!good)
			fprintf(stderr,
			        PROGRAM ": %s:%llu: not an HdrHistogram of 3 significant digits\n",
			        path, (unsigned long long)number);
	}
	free(line);
	if (file != NULL)
		(void)fclose(file);
	return good;
}

static void print_sum(struct merge *merge)
{
	const struct histogram *sum = sum_of(merge);
	char text[AMOUNT_TEXT_MAX];
	int p;

	printf("%llu values in %llu intervals", (unsigned long long)sum->total,
	       (unsigned long long)merge->intervals);
	if (merge->lost > 0)
		printf(", %llu of more than a minute left out", (unsigned long long)merge->lost);
	printf("\n  mean     %10s\n", amount_format_time(text, histogram_mean(sum)));
	for (p = 0; p < REPORT_PERCENTILES; p++)
		printf("  %-8s %10s\n", report_percentile_names[p],
		       amount_format_time(text, (double)histogram_value_at_percentile(
							sum, report_percentiles[p])));
}

static bool write_sum(struct merge *merge, const char *path)
{
	FILE *out = fopen(path, "w");

	if (out == NULL) {
		fprintf(stderr, PROGRAM ": %s: cannot be written\n", path);
		return false;
	}
	hlog_begin(out, 0);
	hlog_line(out, merge->first_s, merge->last_s - merge->first_s, sum_of(merge));
	return fclose(out) == 0;
}

int merge_main(int argc, char **argv)
{
	struct merge_options options = { .help = false };
	struct texts files = { .count = 0 };
	struct merge merge = { .intervals = 0 };
	bool good = true;
	uint32_t i;

	if (!options_parse(rows, ARRAY_COUNT(rows), PROGRAM, argc, argv, &options, &files, stderr))
		return 1;
	if (options.help || files.count == 0) {
		printf("usage: sluice-load merge [-o FILE] FILE ..\n\n"
		       "Adds HdrHistogram logs (--hlog of several generators) up.\n");
		options_help(rows, ARRAY_COUNT(rows), stdout);
		return options.help ? 0 : 1;
	}
	merge.tally = tally_open();
	for (i = 0; i < files.count && good; i++)
		good = take_file(&merge, files.items[i]);
	if (good) {
		print_sum(&merge);
		good = options.output == NULL || write_sum(&merge, options.output);
	}
	tally_close(merge.tally);
	return good ? 0 : 1;
}
