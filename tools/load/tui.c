/* SPDX-License-Identifier: MIT */
/*
 * tui.c - drawing the screen of tui.h.
 */
#include "tui.h"

#include <string.h>

#define CURVE_SECONDS 60u
#define BAR_COLUMNS 48u
#define HOME "\033[H"
#define CLEAR_LINE "\033[K\n"
#define CLEAR_REST "\033[J"

static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

void tui_begin(FILE *out)
{
	fputs("\033[?1049h\033[?25l\033[2J", out);
	fflush(out);
}

void tui_end(FILE *out)
{
	fputs("\033[?25h\033[?1049l", out);
	fflush(out);
}

static double rate_of(const struct series_row *row)
{
	return row->length_s > 0 ? (double)row->completed / row->length_s : 0;
}

static double time_of(const struct series_row *row)
{
	return (double)row->p99;
}

static void curve(FILE *out, const char *name, const struct series *series,
                  double (*value)(const struct series_row *row))
{
	uint32_t first = series->count > CURVE_SECONDS ? series->count - CURVE_SECONDS : 0;
	double most = 0;
	uint32_t i;

	for (i = first; i < series->count; i++)
		most = value(&series->rows[i]) > most ? value(&series->rows[i]) : most;
	fprintf(out, "  %-10s ", name);
	for (i = first; i < series->count; i++)
		fputs(blocks[most > 0 ? (int)(value(&series->rows[i]) / most * 8 + 0.5) : 0], out);
	fputs(CLEAR_LINE, out);
}

/* An octave to a line. */
static void bars(FILE *out, const struct series_row *row)
{
	uint64_t octaves[HEAT_BANDS / 4] = { 0 };
	uint32_t first = HEAT_BANDS / 4, last = 0, i, column;
	char text[AMOUNT_TEXT_MAX];
	uint64_t most = 1;

	for (i = 0; i < HEAT_BANDS; i++)
		octaves[i / 4] += row->heat[i];
	for (i = 0; i < HEAT_BANDS / 4; i++) {
		if (octaves[i] == 0)
			continue;
		first = i < first ? i : first;
		last = i;
		most = octaves[i] > most ? octaves[i] : most;
	}
	for (i = first; i <= last && i < HEAT_BANDS / 4; i++) {
		fprintf(out, "  %9s ", amount_format_time(text, series_band_ns(i * 4)));
		for (column = 0; column < octaves[i] * BAR_COLUMNS / most; column++)
			fputs("█", out);
		fprintf(out, " %llu" CLEAR_LINE, (unsigned long long)octaves[i]);
	}
}

void tui_draw(FILE *out, const struct plan *plan, const struct series *series)
{
	const struct series_row *row = &series->rows[series->count - 1];
	char in[AMOUNT_TEXT_MAX], p50[AMOUNT_TEXT_MAX], p99[AMOUNT_TEXT_MAX], max[AMOUNT_TEXT_MAX];

	fprintf(out, HOME "  sluice-load  %s  %s" CLEAR_LINE CLEAR_LINE,
	        plan->targets.items[0].url, plan->rate > 0 ? "open loop" : "closed loop");
	fprintf(out, "  %.0f s of %.0f   %llu connections   %.0f req/s   %s/s   %llu errors"
	        CLEAR_LINE, row->at_s, (double)(plan->warmup_ns + plan->duration_ns) / 1e9,
	        (unsigned long long)row->open, rate_of(row),
	        amount_format_bytes(in, row->length_s > 0 ? (double)row->bytes_in / row->length_s
	                                                  : 0),
	        (unsigned long long)row->faults);
	fprintf(out, "  p50 %s   p99 %s   max %s   %llu waiting" CLEAR_LINE CLEAR_LINE,
	        amount_format_time(p50, (double)row->p50),
	        amount_format_time(p99, (double)row->p99),
	        amount_format_time(max, (double)row->max), (unsigned long long)row->backlog);
	curve(out, "req/s", series, rate_of);
	curve(out, "p99", series, time_of);
	fputs(CLEAR_LINE, out);
	bars(out, row);
	fputs(CLEAR_REST, out);
	fflush(out);
}
