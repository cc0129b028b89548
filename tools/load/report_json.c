/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - the JSON of report_json.h.
 */
#include "report_json.h"

#include "report.h"

void report_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", (unsigned)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

static const char *boolean(bool value)
{
	return value ? "true" : "false";
}

static void put_plan(FILE *out, const struct plan *plan)
{
	uint32_t i;

	fprintf(out, "\"plan\":{\"mode\":\"%s\",\"loop\":\"%s\",\"threads\":%llu,",
	        plan_mode_names[plan->mode], plan->rate > 0 ? "open" : "closed",
	        (unsigned long long)plan->threads);
	fprintf(out, "\"connections\":%llu,\"duration_s\":%.9g,\"requests\":%llu,\"rate\":%.9g,",
	        (unsigned long long)plan->connections, (double)plan->duration_ns / 1e9,
	        (unsigned long long)plan->count, plan->rate);
	fprintf(out, "\"arrival\":\"%s\",\"pipeline\":%llu,\"warmup_s\":%.9g,\"timeout_s\":%.9g,",
	        plan->arrival == ARRIVAL_POISSON ? "poisson" : "const",
	        (unsigned long long)plan->pipeline, (double)plan->warmup_ns / 1e9,
	        (double)plan->timeout_ns / 1e9);
	fprintf(out, "\"verify\":%s,\"seed\":%llu,\"targets\":[", boolean(plan->verify),
	        (unsigned long long)plan->seed);
	for (i = 0; i < plan->targets.count; i++) {
		fputs(i > 0 ? "," : "", out);
		report_json_text(out, plan->targets.items[i].url);
	}
	fprintf(out, "]}");
}

static void put_times(FILE *out, const char *name, const struct histogram *times)
{
	int p;

	fprintf(out, "\"%s\":{\"count\":%llu,\"min\":%.3f,\"mean\":%.3f,\"stdev\":%.3f", name,
	        (unsigned long long)times->total, (double)histogram_min(times) / 1e3,
	        histogram_mean(times) / 1e3, histogram_stddev(times) / 1e3);
	for (p = 0; p < REPORT_PERCENTILES; p++)
		fprintf(out, ",\"%s\":%.3f", report_percentile_names[p],
		        (double)histogram_value_at_percentile(times, report_percentiles[p]) / 1e3);
	fputc('}', out);
}

static void put_all_times(FILE *out, const struct tally *total)
{
	static const char *const names[TALLY_TIMES] = {
		[TALLY_RESPONSE] = "response",     [TALLY_SERVICE] = "service",
		[TALLY_FIRST_BYTE] = "first_byte", [TALLY_CONNECT] = "connect",
		[TALLY_LAG] = "send_lag",
	};
	int i;

	fprintf(out, "\"times_us\":{");
	for (i = 0; i < TALLY_TIMES; i++) {
		fputs(i > 0 ? "," : "", out);
		put_times(out, names[i], &total->times[i]);
	}
	fputc('}', out);
}

static void put_counts(FILE *out, const struct tally *total)
{
	bool first = true;
	int i;

	fprintf(out, "\"counts\":{");
	for (i = 0; i < TALLY_COUNTS; i++)
		fprintf(out, "%s\"%s\":%llu", i > 0 ? "," : "", tally_count_names[i],
		        (unsigned long long)total->counts[i]);
	fprintf(out, ",\"errors\":%llu},\"statuses\":{", (unsigned long long)tally_faults(total));
	for (i = 0; i < STATUS_MAX; i++) {
		if (total->statuses[i] == 0)
			continue;
		fprintf(out, "%s\"%d\":%llu", first ? "" : ",", i,
		        (unsigned long long)total->statuses[i]);
		first = false;
	}
	fputc('}', out);
}

static void put_errors(FILE *out, const struct tally *total)
{
	uint32_t i;

	fprintf(out, "\"errors\":[");
	for (i = 0; i < total->faults_count; i++) {
		const struct fault *fault = &total->faults[i];

		fprintf(out, "%s{\"phase\":\"%s\",\"errno\":%d,\"what\":", i > 0 ? "," : "",
		        fault_phase_names[fault->phase], fault->error);
		report_json_text(out, fault_text(fault));
		fprintf(out, ",\"count\":%llu,\"first_s\":%.6f,\"last_s\":%.6f}",
		        (unsigned long long)fault->count, (double)fault->first_ns / 1e9,
		        (double)fault->last_ns / 1e9);
	}
	fputc(']', out);
}

static void put_processes(FILE *out, const struct outcome *outcome)
{
	double requests = (double)tally_get(outcome->total, completed);
	uint32_t i;

	fprintf(out, "\"processes\":[");
	for (i = 0; i < outcome->plan->pids_count; i++) {
		const struct watched *w = &outcome->watched[i];
		double cpu_us = (double)(w->end.cpu_ns - w->begin.cpu_ns) / 1e3;

		fprintf(out,
		        "%s{\"pid\":%d,\"alive\":%s,\"cpu_us\":%.1f,\"cpu_us_per_request\":%.4f,"
		        "\"rss_begin\":%llu,\"rss_end\":%llu,\"rss_max\":%llu,\"fds\":%llu,"
		        "\"switches\":%llu}",
		        i > 0 ? "," : "", w->pid, boolean(w->end.alive), cpu_us,
		        requests > 0 ? cpu_us / requests : 0,
		        (unsigned long long)w->begin.rss_bytes,
		        (unsigned long long)w->end.rss_bytes, (unsigned long long)w->rss_max,
		        (unsigned long long)w->end.fds,
		        (unsigned long long)(w->end.switches - w->begin.switches));
	}
	fputc(']', out);
}

static void put_heat(FILE *out, const struct series_row *row)
{
	bool first = true;
	uint32_t band;

	fprintf(out, "\"heat\":{");
	for (band = 0; band < HEAT_BANDS; band++) {
		if (row->heat[band] == 0)
			continue;
		fprintf(out, "%s\"%u\":%u", first ? "" : ",", band, row->heat[band]);
		first = false;
	}
	fputc('}', out);
}

static void put_series(FILE *out, const struct series *series)
{
	uint32_t i;

	fprintf(out, "\"series\":[");
	for (i = 0; i < series->count; i++) {
		const struct series_row *row = &series->rows[i];

		fprintf(out,
		        "%s\n{\"at_s\":%.3f,\"length_s\":%.6f,\"completed\":%llu,\"errors\":%llu,"
		        "\"bytes_in\":%llu,\"bytes_out\":%llu,\"open\":%llu,\"backlog\":%llu,",
		        i > 0 ? "," : "", row->at_s, row->length_s,
		        (unsigned long long)row->completed, (unsigned long long)row->faults,
		        (unsigned long long)row->bytes_in, (unsigned long long)row->bytes_out,
		        (unsigned long long)row->open, (unsigned long long)row->backlog);
		fprintf(out, "\"p50\":%.3f,\"p99\":%.3f,\"p99.9\":%.3f,\"max\":%.3f,",
		        (double)row->p50 / 1e3, (double)row->p99 / 1e3, (double)row->p999 / 1e3,
		        (double)row->max / 1e3);
		put_heat(out, row);
		fputc('}', out);
	}
	fputc(']', out);
}

/* The percentile curve, in steps that get finer towards 100. */
static void put_curve(FILE *out, const struct histogram *times)
{
	struct histogram_walk walk;
	bool first = true;

	fprintf(out, "\"curve\":[");
	for (histogram_walk_start(&walk, times); histogram_next_percentile(&walk, 5);) {
		fprintf(out, "%s[%.7g,%.3f]", first ? "" : ",", walk.percentile,
		        (double)walk.value / 1e3);
		first = false;
	}
	fputc(']', out);
}

static void put_outcome(FILE *out, const struct outcome *outcome)
{
	fprintf(out, "{\"partial\":%s,\"connected\":%s,\"elapsed_s\":%.6f,",
	        boolean(outcome->interrupted), boolean(!outcome->never_connected),
	        outcome_seconds(outcome));
	fprintf(out, "\"requests_per_s\":%.3f,\"bytes_per_s\":%.1f,\n", outcome_rps(outcome),
	        (double)tally_get(outcome->total, bytes_in) / outcome_seconds(outcome));
	put_counts(out, outcome->total);
	fputs(",\n", out);
	put_all_times(out, outcome->total);
	fputs(",\n", out);
	put_errors(out, outcome->total);
	fprintf(out, ",\n\"unfinished_oldest_us\":%.3f,\"backlog_max\":%llu,",
	        (double)outcome->total->unfinished_oldest_ns / 1e3,
	        (unsigned long long)outcome->backlog_max);
	fprintf(out, "\"generator\":{\"cpu_us\":%.1f,\"busiest\":%.4f,\"saturated\":%s},\n",
	        (double)outcome->cpu_ns / 1e3, outcome->cpu_busiest,
	        boolean(outcome_is_saturated(outcome)));
	put_processes(out, outcome);
	fputs(",\n", out);
	put_curve(out, outcome_times(outcome));
	fputs(",\n", out);
	put_series(out, &outcome->series);
	fputc('}', out);
}

void report_json(FILE *out, const struct outcome *outcomes, uint32_t count)
{
	uint32_t i;

	assert(count > 0);
	fprintf(out, "{\"schema\":\"sluice-load.1\",\"version\":\"" SLUICE_VERSION "\",\n");
	put_plan(out, outcomes[0].plan);
	fprintf(out, ",\n\"runs\":[");
	for (i = 0; i < count; i++) {
		fputs(i > 0 ? ",\n" : "", out);
		put_outcome(out, &outcomes[i]);
	}
	fprintf(out, "]}\n");
	fflush(out);
}
