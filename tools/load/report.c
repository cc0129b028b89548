/* SPDX-License-Identifier: MIT */
/*
 * report.c - the text of report.h.
 */
#include "report.h"

#include <math.h>
#include <string.h>

const double report_percentiles[REPORT_PERCENTILES] = { 50, 75, 90, 99, 99.9, 99.99, 99.999, 100 };
const char *const report_percentile_names[REPORT_PERCENTILES] = { "p50",    "p75",     "p90",
	                                                          "p99",    "p99.9",   "p99.99",
	                                                          "p99.999", "max" };

void report_begin(FILE *out, const struct plan *plan)
{
	char text[AMOUNT_TEXT_MAX];
	char what[96];

	if (!plan_has_requests(plan))
		(void)snprintf(what, sizeof(what), "%s", plan_mode_names[plan->mode]);
	else if (plan->rate > 0)
		(void)snprintf(what, sizeof(what), "open loop, %.10g req/s, %s arrivals",
		               plan->rate, plan->arrival == ARRIVAL_POISSON ? "poisson" : "const");
	else
		(void)snprintf(what, sizeof(what), "closed loop: latency is service time only");
	if (plan->duration_ns > 0)
		fprintf(out, "Running %gs test @ %s   (%s)\n", (double)plan->duration_ns / 1e9,
		        plan->targets.items[0].url, what);
	else
		fprintf(out, "Running %llu requests @ %s   (%s)\n", (unsigned long long)plan->count,
		        plan->targets.items[0].url, what);
	fprintf(out, "  %llu threads and %llu connections", (unsigned long long)plan->threads,
	        (unsigned long long)plan->connections);
	if (plan->targets.count > 1)
		fprintf(out, ", %u targets", plan->targets.count);
	if (plan->pipeline > 1)
		fprintf(out, ", pipeline of %llu", (unsigned long long)plan->pipeline);
	if (plan->warmup_ns > 0)
		fprintf(out, ", warm-up %s discarded",
		        amount_format_time(text, (double)plan->warmup_ns));
	fputc('\n', out);
	fflush(out);
}

void report_live(FILE *out, const struct series_row *row)
{
	char in[AMOUNT_TEXT_MAX], p50[AMOUNT_TEXT_MAX], p99[AMOUNT_TEXT_MAX], max[AMOUNT_TEXT_MAX];
	double length_s = row->length_s > 0 ? row->length_s : 1;

	fprintf(out, "%6.1fs %6llu conns %9.0f req/s %10s/s  p50 %7s  p99 %7s  max %7s", row->at_s,
	        (unsigned long long)row->open, (double)row->completed / length_s,
	        amount_format_bytes(in, (double)row->bytes_in / length_s),
	        amount_format_time(p50, (double)row->p50),
	        amount_format_time(p99, (double)row->p99),
	        amount_format_time(max, (double)row->max));
	if (row->backlog > 0)
		fprintf(out, "  %llu waiting", (unsigned long long)row->backlog);
	fprintf(out, "  %llu errors\n", (unsigned long long)row->faults);
}

/* --- wrk's lines ----------------------------------------------------------------------------- */

/* Which share lies within a deviation of the mean. */
static double within_deviation(const struct histogram *times)
{
	double mean = histogram_mean(times), deviation = histogram_stddev(times);
	struct histogram_walk walk;
	uint64_t within = 0;

	for (histogram_walk_start(&walk, times); histogram_next_recorded(&walk);)
		if (fabs((double)walk.value - mean) <= deviation)
			within += walk.count;
	return times->total > 0 ? 100.0 * (double)within / (double)times->total : 0;
}

static void wrk_latency(FILE *out, const struct histogram *times)
{
	char mean[AMOUNT_TEXT_MAX], deviation[AMOUNT_TEXT_MAX], max[AMOUNT_TEXT_MAX];

	fprintf(out, "    Latency  %8s  %8s  %8s  %7.2f%%\n",
	        amount_format_time(mean, histogram_mean(times)),
	        amount_format_time(deviation, histogram_stddev(times)),
	        amount_format_time(max, (double)histogram_max(times)), within_deviation(times));
}

static const char *thousands(char text[AMOUNT_TEXT_MAX], double value)
{
	if (value >= 1e6)
		(void)snprintf(text, AMOUNT_TEXT_MAX, "%.2fM", value / 1e6);
	else if (value >= 1e3)
		(void)snprintf(text, AMOUNT_TEXT_MAX, "%.2fk", value / 1e3);
	else
		(void)snprintf(text, AMOUNT_TEXT_MAX, "%.2f", value);
	return text;
}

/* Of the whole seconds; a last one that is shorter would only mislead. */
static void wrk_rates(FILE *out, const struct outcome *outcome)
{
	const struct series *series = &outcome->series;
	double sum = 0, squares = 0, max = 0, mean, deviation;
	char texts[3][AMOUNT_TEXT_MAX];
	uint32_t count = 0, within = 0, i;
	int pass;

	for (pass = 0, mean = deviation = 0; pass < 2; pass++) {
		for (i = 0; i < series->count; i++) {
			const struct series_row *row = &series->rows[i];
			double rate;

			if (row->length_s < 0.5 && series->count > 1)
				continue;
			rate = (double)row->completed / (row->length_s > 0 ? row->length_s : 1) /
			       (double)outcome->plan->threads;
			if (pass == 1) {
				within += fabs(rate - mean) <= deviation;
				continue;
			}
			count++;
			sum += rate;
			squares += rate * rate;
			max = rate > max ? rate : max;
		}
		mean = count > 0 ? sum / count : 0;
		deviation = count > 0 ? sqrt(fabs(squares / count - mean * mean)) : 0;
	}
	fprintf(out, "    Req/Sec  %8s  %8s  %8s  %7.2f%%\n", thousands(texts[0], mean),
	        thousands(texts[1], deviation), thousands(texts[2], max),
	        count > 0 ? 100.0 * within / count : 0);
}

static void wrk_distribution(FILE *out, const struct histogram *times)
{
	static const double percents[] = { 50, 75, 90, 99 };
	char text[AMOUNT_TEXT_MAX];
	size_t i;

	fprintf(out, "  Latency Distribution\n");
	for (i = 0; i < ARRAY_COUNT(percents); i++)
		fprintf(out, "    %3.0f%%  %8s\n", percents[i],
		        amount_format_time(text, (double)histogram_value_at_percentile(
							 times, percents[i])));
}

static void wrk_errors(FILE *out, const struct tally *total)
{
	uint64_t timeouts = tally_faults_of(total, FAULT_TIMEOUT);
	uint64_t connects = tally_faults_of(total, FAULT_CONNECT);
	uint64_t sends = tally_faults_of(total, FAULT_SEND);
	uint64_t receives = tally_faults(total) - timeouts - connects - sends;

	if (tally_faults(total) > 0)
		fprintf(out, "  Socket errors: connect %llu, read %llu, write %llu, timeout %llu\n",
		        (unsigned long long)connects, (unsigned long long)receives,
		        (unsigned long long)sends, (unsigned long long)timeouts);
	if (tally_get(total, not_2xx_3xx) > 0)
		fprintf(out, "  Non-2xx or 3xx responses: %llu\n",
		        (unsigned long long)tally_get(total, not_2xx_3xx));
}

static void wrk_block(FILE *out, const struct outcome *outcome)
{
	const struct tally *total = outcome->total;
	char text[AMOUNT_TEXT_MAX];

	fprintf(out, "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n");
	wrk_latency(out, outcome_times(outcome));
	wrk_rates(out, outcome);
	if (outcome->plan->latency)
		wrk_distribution(out, outcome_times(outcome));
	fprintf(out, "  %llu requests in %.2fs, %s read\n",
	        (unsigned long long)tally_get(total, completed), outcome_seconds(outcome),
	        amount_format_bytes(text, (double)tally_get(total, bytes_in)));
	wrk_errors(out, total);
	fprintf(out, "Requests/sec: %10.2f\n", outcome_rps(outcome));
	fprintf(out, "Transfer/sec: %10s\n",
	        amount_format_bytes(text, (double)tally_get(total, bytes_in) /
						  outcome_seconds(outcome)));
}

/* --- what wrk does not tell ------------------------------------------------------------------ */

static const struct time_row {
	enum tally_time which;
	const char *name;
	const char *remark;
} time_rows[] = {
	{ TALLY_RESPONSE, "response", "   (from intended send time)" },
	{ TALLY_SERVICE, "service", "" },
	{ TALLY_FIRST_BYTE, "first byte", "" },
	{ TALLY_CONNECT, "connect", "" },
};

static void times_table(FILE *out, const struct tally *total)
{
	char text[AMOUNT_TEXT_MAX];
	size_t row;
	int p;

	fprintf(out, "\n  Times         ");
	for (p = 0; p < REPORT_PERCENTILES; p++)
		fprintf(out, " %8s", report_percentile_names[p]);
	fputc('\n', out);
	for (row = 0; row < ARRAY_COUNT(time_rows); row++) {
		const struct histogram *times = &total->times[time_rows[row].which];

		if (times->total == 0)
			continue;
		fprintf(out, "    %-12s", time_rows[row].name);
		for (p = 0; p < REPORT_PERCENTILES; p++)
			fprintf(out, " %8s",
			        amount_format_time(text, (double)histogram_value_at_percentile(
							 times, report_percentiles[p])));
		fprintf(out, "%s\n", time_rows[row].remark);
	}
}

static void refused(FILE *out, const struct tally *total)
{
	const char *between = " (";
	int status;

	if (tally_refused(total) == 0)
		return;
	fprintf(out, "  refused: %llu", (unsigned long long)tally_refused(total));
	for (status = REFUSED_FIRST; status <= REFUSED_LAST; status++) {
		uint64_t count = total->counts[TALLY_COUNT_refused_502 + status - REFUSED_FIRST];

		if (count == 0)
			continue;
		fprintf(out, "%s%d x %llu", between, status, (unsigned long long)count);
		between = ", ";
	}
	fprintf(out, "), neither right nor wrong\n");
}

static void counts(FILE *out, const struct outcome *outcome)
{
	const struct tally *total = outcome->total;
	char text[AMOUNT_TEXT_MAX];

	fprintf(out, "  %llu sent, %llu answered, %llu errors, %llu unfinished",
	        (unsigned long long)tally_get(total, sent),
	        (unsigned long long)tally_get(total, completed),
	        (unsigned long long)tally_faults(total),
	        (unsigned long long)tally_get(total, unfinished));
	if (total->unfinished_oldest_ns > 0)
		fprintf(out, " (oldest %s)",
		        amount_format_time(text, (double)total->unfinished_oldest_ns));
	if (tally_get(total, lost) > 0)
		fprintf(out, ", %llu lost with their connection",
		        (unsigned long long)tally_get(total, lost));
	if (tally_get(total, unsent) > 0)
		fprintf(out, ", %llu due but never sent",
		        (unsigned long long)tally_get(total, unsent));
	if (outcome->backlog_max > 0)
		fprintf(out, ", up to %llu waited for a connection",
		        (unsigned long long)outcome->backlog_max);
	fprintf(out, "\n  %llu connections", (unsigned long long)tally_get(total, connects));
	if (tally_get(total, closed_by_target) > 0)
		fprintf(out, ", %llu closed by the target between requests",
		        (unsigned long long)tally_get(total, closed_by_target));
	fprintf(out, "; %s sent\n",
	        amount_format_bytes(text, (double)tally_get(total, bytes_out)));
	if (outcome->plan->verify)
		fprintf(out, "  verified: %llu right, %llu wrong\n",
		        (unsigned long long)tally_get(total, verified),
		        (unsigned long long)tally_faults_of(total, FAULT_VERIFY));
	refused(out, total);
	if (tally_get(total, rude_connections) > 0)
		fprintf(out,
		        "  misbehaving clients (not in the numbers above): %llu connections, "
		        "%llu answers, %llu errors\n",
		        (unsigned long long)tally_get(total, rude_connections),
		        (unsigned long long)tally_get(total, rude_completed),
		        (unsigned long long)tally_get(total, rude_faults));
}

static void errors(FILE *out, const struct tally *total)
{
	uint32_t i;

	if (total->faults_count == 0)
		return;
	fprintf(out, "  Errors          count   first     last  what\n");
	for (i = 0; i < total->faults_count; i++) {
		const struct fault *fault = &total->faults[i];

		fprintf(out, "    %-9s %9llu %6.2fs %7.2fs  %s\n", fault_phase_names[fault->phase],
		        (unsigned long long)fault->count, (double)fault->first_ns / 1e9,
		        (double)fault->last_ns / 1e9, fault_text(fault));
	}
}

static void statuses(FILE *out, const struct tally *total)
{
	int status;

	if (tally_get(total, not_2xx_3xx) == 0)
		return;
	fprintf(out, "  Statuses:");
	for (status = 0; status < STATUS_MAX; status++)
		if (total->statuses[status] > 0)
			fprintf(out, " %d x %llu", status,
			        (unsigned long long)total->statuses[status]);
	fputc('\n', out);
}

static void generator_line(FILE *out, const struct outcome *outcome)
{
	const struct histogram *lag = &outcome->total->times[TALLY_LAG];
	double requests = (double)tally_get(outcome->total, in_time);
	char text[AMOUNT_TEXT_MAX];

	fprintf(out, "  generator: CPU %.0f%%", outcome->cpu_busiest * 100);
	if (outcome->plan->threads > 1)
		fprintf(out, " (busiest thread)");
	if (requests > 0)
		fprintf(out, ", %.2f us per request", (double)outcome->cpu_ns / 1e3 / requests);
	if (lag->total > 0)
		fprintf(out, ", send lag p99 %s",
		        amount_format_time(text,
		                           (double)histogram_value_at_percentile(lag, 99)));
	if (outcome_is_saturated(outcome))
		fprintf(out, "   -> GENERATOR SATURATED: the numbers are a lower bound\n");
	else
		fprintf(out, "   -> results valid\n");
}

static void process(FILE *out, const struct outcome *outcome, const struct watched *w)
{
	double cpu_us = (double)(w->end.cpu_ns - w->begin.cpu_ns) / 1e3;
	double requests = (double)tally_get(outcome->total, completed);
	double per_request = requests > 0 ? 1 / requests : 0;
	double growth = (double)w->rss_max - (double)w->begin.rss_bytes;
	char rss[AMOUNT_TEXT_MAX], more[AMOUNT_TEXT_MAX];

	if (!w->end.alive || !w->begin.alive) {
		fprintf(out, "  pid %d: no such process, or it ended\n", w->pid);
		return;
	}
	fprintf(out, "  pid %d: %.2f us CPU/request, CPU %.0f%%, RSS %s", w->pid,
	        cpu_us * per_request, cpu_us / 1e4 / outcome_seconds(outcome),
	        amount_format_bytes(rss, (double)w->end.rss_bytes));
	if (growth > 0)
		fprintf(out, " (grew by %s)", amount_format_bytes(more, growth));
	else
		fprintf(out, " (flat)");
	fprintf(out, ", %llu fds, %.2f switches/request\n", (unsigned long long)w->end.fds,
	        (double)(w->end.switches - w->begin.switches) * per_request);
}

static void processes(FILE *out, const struct outcome *outcome)
{
	uint32_t i;

	for (i = 0; i < outcome->plan->pids_count; i++)
		process(out, outcome, &outcome->watched[i]);
}

static void stream_block(FILE *out, const struct outcome *outcome)
{
	const struct tally *total = outcome->total;
	char in[AMOUNT_TEXT_MAX], sent[AMOUNT_TEXT_MAX], all_in[AMOUNT_TEXT_MAX];
	double seconds = outcome_seconds(outcome);

	fprintf(out, "  %llu bytes read, %llu sent in %.2fs (%.2f and %.2f Gbit/s)\n",
	        (unsigned long long)tally_get(total, bytes_in),
	        (unsigned long long)tally_get(total, bytes_out), seconds,
	        (double)tally_get(total, bytes_in) * 8e-9 / seconds,
	        (double)tally_get(total, bytes_out) * 8e-9 / seconds);
	wrk_errors(out, total);
	fprintf(out, "Transfer/sec: %10s\n",
	        amount_format_bytes(all_in, ((double)tally_get(total, bytes_in) +
						    (double)tally_get(total, bytes_out)) /
							   seconds));
	fprintf(out, "  read %s/s, sent %s/s\n",
	        amount_format_bytes(in, (double)tally_get(total, bytes_in) / seconds),
	        amount_format_bytes(sent, (double)tally_get(total, bytes_out) / seconds));
}

void report_text(FILE *out, const struct outcome *outcome)
{
	if (outcome->interrupted)
		fprintf(out, "  INTERRUPTED: partial results\n");
	if (plan_has_requests(outcome->plan))
		wrk_block(out, outcome);
	else
		stream_block(out, outcome);
	times_table(out, outcome->total);
	counts(out, outcome);
	errors(out, outcome->total);
	statuses(out, outcome->total);
	generator_line(out, outcome);
	processes(out, outcome);
	fflush(out);
}
