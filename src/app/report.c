/* SPDX-License-Identifier: MIT */
/*
 * report.c - the report at start, and the counters.
 *
 * Counters are printed from their tables, so one that is added to a .def file shows up here.
 */
#include "report.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

/* --- start ----------------------------------------------------------------------------------- */

static void print_features(const struct report *report, FILE *out)
{
	struct ring_feature_text rows[RING_FEATURES_MAX];
	unsigned count = ring_features_table(report->features, rows);
	unsigned i;

	fprintf(out, "  io_uring ");
	for (i = 0; i < count; i++)
		fprintf(out, " %s%s", rows[i].found ? "" : "no:", rows[i].name);
	fprintf(out, "\n");
}

static void print_workers(const struct report *report, FILE *out)
{
	static const char *const waits[] = { "balanced", "latency", "throughput", "sqpoll" };
	static const char *const accepts[] = { "kernel", "round_robin", "least_sessions" };
	const struct fit *fit = report->fit;
	uint32_t i;

	fprintf(out, "  workers   %u, ", fit->workers);
	if (fit->cpus[0] < 0) {
		fprintf(out, "not pinned");
	} else {
		fprintf(out, "on CPU");
		for (i = 0; i < fit->workers; i++)
			fprintf(out, " %d", fit->cpus[i]);
	}
	fprintf(out, "; wait %s, accept %s\n", waits[report->conf->proxy.wait],
		accepts[report->conf->proxy.accept]);
}

static void print_memory(const struct report *report, FILE *out)
{
	char total[UNITS_TEXT_MAX], buffers[UNITS_TEXT_MAX], rings[UNITS_TEXT_MAX],
		sessions[UNITS_TEXT_MAX];
	const struct fit *fit = report->fit;

	fprintf(out,
		"  memory    %s = buffers %s (%s) + %u rings %s + %u sessions of %u bytes %s\n",
		units_format_bytes(total, fit->total_bytes),
		units_format_bytes(buffers, fit->region_bytes),
		region_pages_names[report->region->pages], fit->workers,
		units_format_bytes(rings, fit->rings_bytes), fit->max_sessions,
		flow_session_bytes(report->conf),
		units_format_bytes(sessions, fit->sessions_bytes));
}

static uint32_t routes_of(const struct conf *conf, const struct conf_listener *listener)
{
	uint32_t count = 0, i, j;

	for (i = 0; i < conf->routes_count; i++)
		for (j = 0; j < conf->routes[i].listeners_count; j++)
			count += conf->routes[i].listeners[j] == listener;
	return count;
}

static void print_upstream(const struct conf_upstream *upstream, bool is_rest, FILE *out)
{
	const char *between = "";
	uint32_t i;

	fprintf(out, "%s%s (", is_rest ? ", else " : " -> ", upstream->name);
	for (i = 0; i < upstream->servers_count; i++) {
		if (upstream->servers[i].addr.kind == ADDR_NAME)
			continue;
		fprintf(out, "%s%s", between, upstream->servers[i].name);
		between = ", ";
	}
	for (i = 0; i < upstream->names_count; i++) {
		fprintf(out, "%s%s in %u places", between, upstream->names[i].host,
			upstream->names[i].places + upstream->names[i].spares);
		between = ", ";
	}
	fprintf(out, ")");
}

static void print_names(const struct report *report, FILE *out)
{
	uint32_t answered, count = names_count(report->names, &answered);

	if (count > 0)
		fprintf(out, "  names     %u of servers, %u of them with an address\n", count,
			answered);
}

static void print_listeners(const struct conf *conf, FILE *out)
{
	char text[ADDR_TEXT_MAX];
	uint32_t i, j;

	for (i = 0; i < conf->listeners_count; i++) {
		const struct conf_listener *listener = &conf->listeners[i];

		fprintf(out, "  listener  %s: %s on", listener->name,
			listener->mode == MODE_HTTP ? "http" : "tcp");
		for (j = 0; j < listener->binds_count; j++)
			fprintf(out, " %s", addr_format(text, &listener->binds[j]));
		if (listener->mode == MODE_HTTP)
			fprintf(out, " -> %u routes", routes_of(conf, listener));
		if (listener->upstream != NULL)
			print_upstream(listener->upstream, listener->mode == MODE_HTTP, out);
		fprintf(out, "\n");
	}
}

void report_start(const struct report *report, FILE *out)
{
	const struct conf_proxy *proxy = &report->conf->proxy;
	char window[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX];

	fprintf(out, "sluice %s, %s, Linux %s\n", SLUICE_VERSION, report->conf->path,
		report->host->kernel);
	print_features(report, out);
	print_workers(report, out);
	print_memory(report, out);
	print_listeners(report->conf, out);
	print_names(report, out);
	fprintf(out, "  limits    %u sessions%s, %llu descriptors, window %s in slices of %s\n",
		report->fit->max_sessions,
		report->fit->max_sessions_lowered ? " (lowered to what descriptors allow)" : "",
		(unsigned long long)report->fit->descriptors,
		units_format_size(window, proxy->session_window),
		units_format_size(size, proxy->buffer_size));
	fflush(out);
}

/* --- counters -------------------------------------------------------------------------------- */

struct line {
	char text[LOG_LINE_MAX];
	size_t len;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->len;
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line->text + line->len, room, format, arguments);
	va_end(arguments);
	if (len > 0)
		line->len += (size_t)len < room ? (size_t)len : room - 1;
}

typedef const struct counter *(*counter_of)(struct worker *worker, size_t offset);

static const struct counter *flow_counter(struct worker *worker, size_t offset)
{
	return (const struct counter *)(const void *)((char *)flow_stats(worker_flow(worker)) +
						      offset);
}

static const struct counter *ring_counter(struct worker *worker, size_t offset)
{
	return (const struct counter *)(const void *)((char *)worker_ring_stats(worker) + offset);
}

static uint64_t sum(const struct report *report, counter_of get, size_t offset)
{
	uint64_t total = 0;
	uint32_t i;

	for (i = 0; i < report->fit->workers; i++)
		total += counter_read(get(report->workers[i], offset));
	return total;
}

static void print_row(const struct report *report, struct log *log, const char *name,
		      counter_of get, size_t offset)
{
	struct line line = { .len = 0 };
	uint32_t i;

	add(&line, "counter %s %llu", name, (unsigned long long)sum(report, get, offset));
	for (i = 0; i < report->fit->workers && report->fit->workers > 1; i++)
		add(&line, " w%u=%llu", i,
		    (unsigned long long)counter_read(get(report->workers[i], offset)));
	log_write(log, LOG_LEVEL_INFO, "%s", line.text);
}

static void print_tables(const struct report *report, struct log *log)
{
	uint32_t i;

#define STAT(name, text) \
	print_row(report, log, #name, flow_counter, offsetof(struct flow_stats, name));
#define GAUGE STAT
#include "flow/flow_stats.def"
#undef STAT
	for (i = 1; i < CLOSE_REASON_COUNT; i++) {
		char name[64];

		snprintf(name, sizeof(name), "close_%s", close_reason_names[i]);
		print_row(report, log, name, flow_counter,
			  offsetof(struct flow_stats, closes) + i * sizeof(struct counter));
	}
#define STAT(name, text) \
	print_row(report, log, #name, ring_counter, offsetof(struct ring_stats, name));
#include "ring/ring_stats.def"
#undef STAT
#undef GAUGE
}

/* The rows of all workers for one server, summed. */
static bool print_server(const struct report *report, struct log *log, uint32_t index)
{
	uint64_t sessions = 0, connects = 0, failures = 0;
	struct upstream_row row;
	uint32_t i;

	for (i = 0; i < report->fit->workers; i++) {
		if (!flow_server_row(worker_flow(report->workers[i]), index, &row))
			return false;
		sessions += counter_read(&row.server->stats.server_sessions);
		connects += counter_read(&row.server->stats.server_connects);
		failures += counter_read(&row.server->stats.server_connect_failures);
	}
	if (server_state(row.server) == SERVER_ABSENT && connects + failures == 0)
		return true; /* a place that was never used */
	log_write(log, LOG_LEVEL_INFO,
		  "server %s/%s server_sessions %llu server_connects %llu "
		  "server_connect_failures %llu",
		  row.upstream->name, row.server->conf->name, (unsigned long long)sessions,
		  (unsigned long long)connects, (unsigned long long)failures);
	return true;
}

uint32_t report_kernel_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	uint32_t count = 0;

	if (tasks == NULL)
		return 0;
	while ((entry = readdir(tasks)) != NULL) {
		char path[64 + sizeof(entry->d_name)], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file == NULL)
			continue;
		(void)!fgets(name, sizeof(name), file);
		fclose(file);
		if (strncmp(name, "iou-wrk", 7) == 0)
			count++;
	}
	closedir(tasks);
	return count;
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0.0 : (double)part / (double)whole;
}

static void print_health(const struct report *report, struct log *log)
{
#define RING_SUM(name) sum(report, ring_counter, offsetof(struct ring_stats, name))
#define FLOW_SUM(name) sum(report, flow_counter, offsetof(struct flow_stats, name))
	log_write(log, LOG_LEVEL_INFO,
		  "ring submissions_per_enter %.2f completions_per_wake %.2f kernel_threads %u "
		  "zero_copy_ratio %.2f",
		  ratio(RING_SUM(submissions), RING_SUM(enters)),
		  ratio(RING_SUM(completions), RING_SUM(wakes)), report_kernel_threads(),
		  ratio(FLOW_SUM(zero_copy_sends) - FLOW_SUM(zero_copy_copied), FLOW_SUM(sends)));
#undef RING_SUM
#undef FLOW_SUM
}

static void print_resolver(const struct report *report, struct log *log)
{
	const struct resolver_stats *stats;
	struct line line = { .len = 0 };

	if (report->names == NULL)
		return;
	stats = names_stats(report->names);
	add(&line, "resolver");
#define STAT(name, text) \
	add(&line, " " #name " %llu", (unsigned long long)counter_read(&stats->name));
#include "names/resolver_stats.def"
#undef STAT
	log_write(log, LOG_LEVEL_INFO, "%s", line.text);
}

void report_counters(const struct report *report, struct log *log)
{
	uint32_t index = 0;

	print_tables(report, log);
	print_resolver(report, log);
	while (print_server(report, log, index))
		index++;
	print_health(report, log);
}
