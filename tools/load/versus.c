/* SPDX-License-Identifier: MIT */
/*
 * versus.c - slices and what they add up to, as in versus.h.
 */
#include "versus.h"

#include <stdlib.h>

#include "report.h"
#include "run.h"

#define GROUPS_MAX 64
#define SLICES 4 /* of a group */
#define SLICE_NS_MIN 500000000ull
#define SLICE_NS_MAX 3000000000ull
#define WARM_UP_NS 100000000ull

struct comparison {
	double rps[2];
	uint64_t times[2][REPORT_PERCENTILES]; /* ns, means of the two slices */
};

struct versus {
	const struct plan *plans[2];
	struct outcome *sums;
	struct comparison groups[GROUPS_MAX];
	uint32_t groups_count;
};

static void add_outcome(struct outcome *sum, const struct outcome *slice)
{
	tally_merge(sum->total, slice->total);
	sum->elapsed_ns += slice->elapsed_ns;
	sum->cpu_ns += slice->cpu_ns;
	if (slice->cpu_busiest > sum->cpu_busiest)
		sum->cpu_busiest = slice->cpu_busiest;
	if (slice->backlog_max > sum->backlog_max)
		sum->backlog_max = slice->backlog_max;
	sum->never_connected = sum->never_connected && slice->never_connected;
	sum->interrupted |= slice->interrupted;
	if (slice->connect_error > 0)
		sum->connect_error = slice->connect_error;
	if (slice->ring_error < 0)
		sum->ring_error = slice->ring_error;
}

static int run_slice(struct versus *versus, uint32_t which, struct comparison *group)
{
	struct outcome slice;
	int status, p;

	run_once(versus->plans[which], &slice, NULL, NULL);
	status = outcome_status(&slice);
	add_outcome(&versus->sums[which], &slice);
	group->rps[which] += outcome_rps(&slice) / 2;
	for (p = 0; p < REPORT_PERCENTILES; p++)
		group->times[which][p] += histogram_value_at_percentile(outcome_times(&slice),
		                                                        report_percentiles[p]) /
					  2;
	outcome_release(&slice);
	return status == 4 ? 0 : status;
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, uint32_t count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* With a sign, since a target may also be faster. */
static const char *signed_time(char text[AMOUNT_TEXT_MAX], double ns)
{
	char plain[AMOUNT_TEXT_MAX];

	(void)snprintf(text, AMOUNT_TEXT_MAX, "%c%.*s", ns < 0 ? '-' : '+', AMOUNT_TEXT_MAX - 2,
	               amount_format_time(plain, ns < 0 ? -ns : ns));
	return text;
}

static void percentile_line(FILE *out, struct versus *versus, int p)
{
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX], added[AMOUNT_TEXT_MAX];
	char least[AMOUNT_TEXT_MAX], most[AMOUNT_TEXT_MAX];
	double values[GROUPS_MAX];
	uint64_t times[2];
	uint32_t i;

	for (i = 0; i < 2; i++)
		times[i] = histogram_value_at_percentile(outcome_times(&versus->sums[i]),
		                                         report_percentiles[p]);
	for (i = 0; i < versus->groups_count; i++)
		values[i] = (double)versus->groups[i].times[0][p] -
			    (double)versus->groups[i].times[1][p];
	(void)median(values, versus->groups_count);
	fprintf(out, "    %-8s %9s %9s %10s   (%s to %s)\n", report_percentile_names[p],
	        amount_format_time(a, (double)times[0]), amount_format_time(b, (double)times[1]),
	        signed_time(added, (double)times[0] - (double)times[1]),
	        signed_time(least, values[0]), signed_time(most, values[versus->groups_count - 1]));
}

static void report(FILE *out, struct versus *versus)
{
	double ratios[GROUPS_MAX];
	double middle;
	uint32_t i;
	int p;

	if (versus->groups_count == 0)
		return;
	for (i = 0; i < versus->groups_count; i++)
		ratios[i] = versus->groups[i].rps[1] > 0
			            ? versus->groups[i].rps[0] / versus->groups[i].rps[1]
			            : 0;
	middle = median(ratios, versus->groups_count);
	fprintf(out, "\n  A: %s\n  B: %s\n", versus->plans[0]->targets.items[0].url,
	        versus->plans[1]->targets.items[0].url);
	fprintf(out, "  %-10s %9s %9s %10s   (over %u ABBA comparisons)\n", "Times", "A", "B",
	        "A adds", versus->groups_count);
	for (p = 0; p < REPORT_PERCENTILES; p++)
		percentile_line(out, versus, p);
	fprintf(out, "  Requests/s %9.0f %9.0f      x%.3f   (x%.3f to x%.3f)\n",
	        outcome_rps(&versus->sums[0]), outcome_rps(&versus->sums[1]), middle, ratios[0],
	        ratios[versus->groups_count - 1]);
	fprintf(out, "  Errors     %9llu %9llu\n",
	        (unsigned long long)tally_faults(versus->sums[0].total),
	        (unsigned long long)tally_faults(versus->sums[1].total));
	fflush(out);
}

static uint64_t slice_ns(const struct plan *plan)
{
	uint64_t ns = plan->duration_ns / (2 * SLICES);

	ns = ns < SLICE_NS_MIN ? SLICE_NS_MIN : ns;
	return ns > SLICE_NS_MAX ? SLICE_NS_MAX : ns;
}

static void open_sum(struct outcome *sum, const struct plan *plan)
{
	*sum = (struct outcome){ .plan = plan, .total = tally_open(), .never_connected = true };
	series_open(&sum->series, plan->rate > 0);
}

int versus_run(const struct plan *plan, const struct plan *base, FILE *text,
               struct outcome sums[2])
{
	static const uint32_t turns[SLICES] = { 0, 1, 1, 0 };
	struct versus versus = { .sums = sums };
	struct plan slices[2] = { *plan, *base };
	uint64_t groups, group;
	int status = 0;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		slices[i].duration_ns = slice_ns(plan);
		slices[i].warmup_ns = plan->warmup_ns > 0 ? plan->warmup_ns : WARM_UP_NS;
		slices[i].pids_count = 0;
		versus.plans[i] = &slices[i];
		open_sum(&sums[i], i == 0 ? plan : base);
	}
	groups = (plan->duration_ns + SLICES * slices[0].duration_ns - 1) /
		 (SLICES * slices[0].duration_ns);
	groups = groups > GROUPS_MAX ? GROUPS_MAX : groups;
	for (group = 0; group < groups && status == 0; group++) {
		struct comparison *comparison = &versus.groups[group];

		for (i = 0; i < SLICES && status == 0; i++)
			status = run_slice(&versus, turns[i], comparison);
		if (status == 0)
			versus.groups_count++;
	}
	if (text != NULL)
		report(text, &versus);
	return status;
}
