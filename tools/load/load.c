/* SPDX-License-Identifier: MIT */
/*
 * load.c - the command of load.h.
 *
 *      plan --> run, --runs times --> reports --> --fail-if --> exit status
 */
#include "load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "find.h"
#include "hlog.h"
#include "html.h"
#include "report.h"
#include "report_csv.h"
#include "report_json.h"
#include "ring/ring.h"
#include "run.h"
#include "tui.h"
#include "verdict.h"
#include "versus.h"

#define VARIES_PERCENT 5

struct load {
	struct plan plan;
	struct outcome outcomes[PLAN_RUNS_MAX];
	uint32_t outcomes_count;
	FILE *text; /* NULL: none, the JSON has its place */
	FILE *hlog;
	bool live;
};

static void raise_descriptor_limit(const struct plan *plan)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (plan->connections + 64 > limit.rlim_max)
		fprintf(stderr,
		        "sluice-load: warning: %llu connections, but the limit is %llu descriptors "
		        "(ulimit -n)\n",
		        (unsigned long long)plan->connections, (unsigned long long)limit.rlim_max);
}

static void on_row(void *context, const struct series *series, const struct series_row *row)
{
	struct load *load = context;
	enum tally_time which = load->plan.rate > 0 ? TALLY_RESPONSE : TALLY_SERVICE;

	if (load->hlog != NULL)
		hlog_line(load->hlog, row->at_s - row->length_s, row->length_s,
		          &series->current->times[which]);
	/* The rest of a second at the end would only mislead. */
	if (row->length_s < 0.5)
		return;
	if (load->plan.tui)
		tui_draw(stderr, &load->plan, series);
	else if (load->live)
		report_live(stderr, row);
}

/* --- several runs ---------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void spread_line(FILE *out, const char *name, double *values, uint32_t count, double unit)
{
	double sum = 0, squares = 0, mean, varies;
	uint32_t i;

	qsort(values, count, sizeof(*values), compare_doubles);
	for (i = 0; i < count; i++) {
		sum += values[i];
		squares += values[i] * values[i];
	}
	mean = sum / count;
	varies = mean > 0 ? 100 * sqrt(fabs(squares / count - mean * mean)) / mean : 0;
	fprintf(out, "  %-12s median %.2f, %.2f to %.2f, varies by %.1f%%%s\n", name,
	        (count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2) /
	                unit,
	        values[0] / unit, values[count - 1] / unit, varies,
	        varies > VARIES_PERCENT ? "  <- more than 5%: do not compare single runs" : "");
}

static void report_spread(const struct load *load)
{
	static const double percentiles[] = { 50, 99, 99.9 };
	static const char *const names[] = { "p50 us", "p99 us", "p99.9 us" };
	double values[PLAN_RUNS_MAX];
	uint32_t i;
	size_t p;

	fprintf(load->text, "\n%u runs:\n", load->outcomes_count);
	for (i = 0; i < load->outcomes_count; i++)
		values[i] = outcome_rps(&load->outcomes[i]);
	spread_line(load->text, "requests/s", values, load->outcomes_count, 1);
	for (p = 0; p < ARRAY_COUNT(percentiles); p++) {
		for (i = 0; i < load->outcomes_count; i++)
			values[i] = (double)histogram_value_at_percentile(
				outcome_times(&load->outcomes[i]), percentiles[p]);
		spread_line(load->text, names[p], values, load->outcomes_count, 1000);
	}
}

/* --- reports --------------------------------------------------------------------------------- */

/* "-" is standard output. */
static FILE *open_out(const char *path)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");

	if (out == NULL)
		fprintf(stderr, "sluice-load: %s: cannot be written\n", path);
	return out;
}

static void close_out(FILE *out)
{
	if (out == stdout)
		fflush(out);
	else
		(void)fclose(out);
}

static void write_json(FILE *out, const struct load *load)
{
	report_json(out, load->outcomes, load->outcomes_count);
}

static void write_csv(FILE *out, const struct load *load)
{
	uint32_t i;

	for (i = 0; i < load->outcomes_count; i++)
		report_csv(out, &load->outcomes[i].series, i);
}

static void write_html(FILE *out, const struct load *load)
{
	html_write(out, load->outcomes, load->outcomes_count);
}

static void write_files(const struct load *load)
{
	const struct {
		const char *path;
		void (*write)(FILE *out, const struct load *load);
	} files[] = {
		{ load->plan.json, write_json },
		{ load->plan.csv, write_csv },
		{ load->plan.html, write_html },
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(files) && load->outcomes_count > 0; i++) {
		FILE *out = files[i].path != NULL ? open_out(files[i].path) : NULL;

		if (out == NULL)
			continue;
		files[i].write(out, load);
		close_out(out);
	}
}

static void complain(const struct outcome *outcome)
{
	if (outcome->ring_error < 0)
		fprintf(stderr, "sluice-load: io_uring: %s: %s\n", strerror(-outcome->ring_error),
		        ring_open_remedy(outcome->ring_error));
	else if (outcome->never_connected && !outcome->interrupted)
		fprintf(stderr, "sluice-load: unable to connect to %s: %s\n",
		        outcome->plan->targets.items[0].url,
		        outcome->connect_error > 0 ? strerror(outcome->connect_error)
		                                   : "no connection stood");
}

/* 3 when a condition of --fail-if holds. */
static int judge(const struct load *load)
{
	struct verdict verdict;
	const char *reason;
	int status = 0;
	uint32_t i;
	unsigned c;

	if (load->plan.fail_if == NULL ||
	    !verdict_parse(&verdict, load->plan.fail_if, &reason))
		return 0;
	for (i = 0; i < load->outcomes_count; i++) {
		for (c = 0; c < verdict.count; c++) {
			if (!condition_holds(&verdict.conditions[c], &load->outcomes[i]))
				continue;
			fprintf(stderr, "sluice-load: failed: %s\n", verdict.conditions[c].text);
			status = 3;
		}
	}
	return status;
}

static int run_all(struct load *load)
{
	uint64_t run;
	int status = 0;

	for (run = 0; run < load->plan.runs && status == 0; run++) {
		struct outcome *outcome = &load->outcomes[load->outcomes_count++];

		if (load->text != NULL)
			report_begin(load->text, &load->plan);
		if (load->plan.tui)
			tui_begin(stderr);
		run_once(&load->plan, outcome, on_row, load);
		if (load->plan.tui)
			tui_end(stderr);
		status = outcome_status(outcome);
		complain(outcome);
		if (load->text != NULL && status != 2)
			report_text(load->text, outcome);
	}
	return status;
}

static int run_versus(struct load *load, struct plan *base)
{
	if (!plan_of_base(base, &load->plan))
		return 1;
	if (load->text != NULL)
		report_begin(load->text, &load->plan);
	load->outcomes_count = 2;
	return versus_run(&load->plan, base, load->text, load->outcomes);
}

static int run_find(struct load *load)
{
	int status;

	if (load->text != NULL)
		report_begin(load->text, &load->plan);
	status = find_run(&load->plan, load->text, &load->outcomes[0]);
	load->outcomes_count = 1;
	if (load->text != NULL && status == 0)
		report_text(load->text, &load->outcomes[0]);
	return status;
}

static int run_as_planned(struct load *load, struct plan *base)
{
	int status;

	if (load->plan.versus != NULL)
		status = run_versus(load, base);
	else if (load->plan.find != NULL)
		status = run_find(load);
	else
		return run_all(load);
	if (status == 2)
		complain(&load->outcomes[0]);
	return status;
}

static void begin_outputs(struct load *load)
{
	struct timespec now;

	load->text = load->plan.json != NULL && strcmp(load->plan.json, "-") == 0 ? NULL : stdout;
	load->live = !load->plan.quiet && isatty(STDERR_FILENO);
	if (load->plan.hlog != NULL && (load->hlog = open_out(load->plan.hlog)) != NULL) {
		clock_gettime(CLOCK_REALTIME, &now);
		hlog_begin(load->hlog, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
	}
}

static int run_and_report(struct load *load)
{
	struct plan base = { .connections = 0 };
	int status, judged;
	uint32_t i;

	begin_outputs(load);
	raise_descriptor_limit(&load->plan);
	run_block_signals();
	status = run_as_planned(load, &base);
	if (load->outcomes_count > 1 && load->plan.versus == NULL && load->text != NULL &&
	    status != 2)
		report_spread(load);
	write_files(load);
	if (load->hlog != NULL)
		close_out(load->hlog);
	judged = status == 0 || status == 4 ? judge(load) : 0;
	for (i = 0; i < load->outcomes_count; i++)
		outcome_release(&load->outcomes[i]);
	plan_release(&base);
	return judged != 0 ? judged : status;
}

int load_main(int argc, char **argv)
{
	struct load *load = calloc(1, sizeof(*load));
	int status;

	assert(load != NULL);
	status = plan_from_words(&load->plan, argc, argv);
	if (status == 0)
		status = run_and_report(load);
	else
		status = status < 0 ? 1 : 0;
	plan_release(&load->plan);
	free(load);
	return status;
}
