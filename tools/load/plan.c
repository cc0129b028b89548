/* SPDX-License-Identifier: MIT */
/*
 * plan.c - from the command line to a plan: the table of options, then the checks between them.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "options.h"
#include "pattern.h"
#include "request.h"
#include "verdict.h"

#define PROGRAM "sluice-load"
#define SECOND_NS 1000000000ull
#define CONNECTIONS_MAX 1000000

const char *const plan_mode_names[] = { "http", "rr", "stream", "crr", "idle", "churn", NULL };
static const char *const arrival_names[] = { "const", "poisson", NULL };
static const char *const direction_names[] = { "up", "down", "both", NULL };
static const char *const proxy_names[] = { "off", "v1", "v2", NULL };

#define AT(member) offsetof(struct plan, member)
#define NUMBER(name, letter, arg, member, text) \
	{ name, letter, arg, amount_count, AT(member), text, NULL }
#define RATE(name, letter, arg, member, text) \
	{ name, letter, arg, amount_rate, AT(member), text, NULL }
#define TIME(name, letter, arg, member, text) \
	{ name, letter, arg, amount_time, AT(member), text, NULL }
#define SIZE(name, letter, arg, member, text) \
	{ name, letter, arg, amount_size, AT(member), text, NULL }
#define PERCENT(name, member, text) { name, 0, "%", amount_percent, AT(member), text, NULL }
#define TEXT(name, letter, arg, member, text) \
	{ name, letter, arg, amount_text, AT(member), text, NULL }
#define WORD(name, arg, member, words, text) { name, 0, arg, NULL, AT(member), text, words }
#define FLAG(name, letter, member, text) { name, letter, NULL, NULL, AT(member), text, NULL }

static const struct option_row rows[] = {
	{ .text = "Load:" },
	NUMBER("connections", 'c', "N", connections, "connections (10)"),
	NUMBER("threads", 't', "N", threads, "threads, one io_uring each (1)"),
	TIME("duration", 'd', "T", duration_ns, "how long to send (10s, unless -n is given)"),
	NUMBER("requests", 'n', "N", count, "stop after N requests"),
	RATE("rate", 'R', "N", rate,
	     "open loop: N requests per second in all, whatever the\n"
	     "answers do; without it, a closed loop"),
	WORD("arrival", "const|poisson", arrival, arrival_names, "gaps of -R (const)"),
	WORD("mode", "http|rr|stream|crr|idle|churn", mode, plan_mode_names,
	     "http: requests (of http:// targets)\n"
	     "rr: --size bytes out, --reply back (of tcp:// targets)\n"
	     "stream: bulk, see --direction\n"
	     "crr: connect, request, close; the time includes all\n"
	     "idle: hold connections\n"
	     "churn: connections of random length, ended at random"),
	WORD("direction", "up|down|both", direction, direction_names, "of --mode stream (up)"),
	TIME("warmup", 0, "T", warmup_ns, "send, but throw away what is measured (0)"),
	TIME("drain", 0, "T", drain_ns, "wait so long for the last answers (2s)"),
	TIME("timeout", 0, "T", timeout_ns, "no answer, no connection by then: an error (2s)"),
	NUMBER("runs", 0, "N", runs, "repeat; median, spread (1)"),
	NUMBER("seed", 0, "N", seed, "of everything random (1)"),
	TEXT("pin", 0, "CPU,..", pin, "bind the threads to these processors"),
	{ .text = "Connections:" },
	RATE("conn-rate", 0, "N", conn_rate, "open at most N per second"),
	TIME("ramp", 0, "T", ramp_ns, "open them all over this time"),
	NUMBER("reconnect", 0, "N", reconnect, "a new connection after N requests"),
	TIME("lifetime", 0, "T", lifetime_ns, "a new connection after this time"),
	NUMBER("pipeline", 'p', "N", pipeline, "requests in flight on a connection, up to 32 (1)"),
	TEXT("bind", 0, "CIDR", bind, "source addresses, in turn: 127.0.0.0/24"),
	WORD("proxy-protocol", "off|v1|v2", proxy_protocol, proxy_names,
	     "begin with a PROXY protocol header"),
	{ .text = "Content:" },
	{ "header", 'H', "LINE", amount_texts, AT(headers), "a field \"Name: value\"; repeats",
	  NULL },
	TEXT("method", 'm', "NAME", method, "GET, or POST with a body"),
	TEXT("body", 'b', "TEXT|@FILE", body_text, "the request's body"),
	TEXT("body-file", 'B', "FILE", body_file, "the same from a file"),
	{ "template", 0, "TEXT|/PATH|@FILE", amount_texts, AT(templates),
	  "the body, or the path if it begins with a slash, anew\n"
	  "for each request; in it and in -H, {seq} is the number\n"
	  "of the request, {conn} that of the connection and\n"
	  "{rand:16} so many random characters; may be given twice", NULL },
	TEXT("host", 0, "NAME", host, "of the Host field"),
	TEXT("urls", 0, "FILE", urls_file, "lines [WEIGHT] URL, drawn by weight"),
	SIZE("size", 0, "SIZE", size, "of a generated body, of an rr message (64)"),
	SIZE("reply", 0, "SIZE", reply, "of an rr answer (as --size)"),
	FLAG("chunked", 0, chunked, "the request's body goes as chunks of 4 KB"),
	FLAG("verify", 0, verify,
	     "each request is a frame with id, length and checksum,\n"
	     "and its answer must be too (origin: ?echo=1, echo, rr);\n"
	     "without one, 502, 503 and 504 are refused requests"),
	{ .text = "Misbehaving clients, measured apart (percent of the connections):" },
	PERCENT("slow-read", slow_read_percent, "read slowly, with a small window"),
	PERCENT("slow-write", slow_write_percent, "send their request byte by byte"),
	PERCENT("half-close", half_close_percent, "finish sending before the answer"),
	PERCENT("rst", reset_percent, "end by a reset"),
	RATE("slow-rate", 0, "N", slow_rate, "bytes per second of the slow ones (100)"),
	{ .text = "Judging:" },
	TEXT("fail-if", 0, "COND,..", fail_if,
	     "exit 3 when one holds: 'p99>10ms,errors>0,rps<50k'"),
	TEXT("find", 0, "COND,..", find, "the highest rate that holds all: 'p99<5ms,errors=0'"),
	TEXT("vs", 0, "URL", versus, "the same load on both, in turns; what it adds"),
	TEXT("watch", 0, "PID,..", watch, "CPU per request, memory, descriptors of processes"),
	{ .text = "Output:" },
	TEXT("json", 0, "FILE", json, "all numbers; - is standard output, instead of text"),
	TEXT("csv", 0, "FILE", csv, "a line per second"),
	TEXT("hlog", 0, "FILE", hlog, "an HdrHistogram log (V2)"),
	TEXT("html", 0, "FILE", html, "one page with charts"),
	FLAG("tui", 0, tui, "a full screen while it runs"),
	FLAG("latency", 0, latency, "wrk's table of percentiles as well"),
	FLAG("quiet", 'q', quiet, "no line per second (it goes to standard error, if a tty)"),
	FLAG("version", 'v', version, "print the version"),
	FLAG("help", 'h', help, "this text"),
	/* wrk's and wrk2's spellings that say the same or nothing here. */
	{ "u_latency", 'U', NULL, NULL, AT(wrk2_u_latency), NULL, NULL },
	{ "script", 's', "FILE", amount_text, AT(script), NULL, NULL },
};

static void print_help(void)
{
	printf("usage: sluice-load [OPTIONS] URL ..\n"
	       "       sluice-load serve [[SERVICE=]ADDRESS ..]   the test origin\n"
	       "       sluice-load merge FILE ..           add HdrHistogram logs\n"
	       "       sluice-load plot FILE               a page from --json\n\n"
	       "Targets: http://HOST[:PORT][/PATH], tcp://HOST:PORT, unix:/PATH[:/REQUEST/PATH];\n"
	       "connections are spread over several in turn. wrk's and wrk2's command lines\n"
	       "work.\n");
	options_help(rows, ARRAY_COUNT(rows), stdout);
	printf("\nExit status: 0 done, 1 usage, 2 could not connect or run, 3 a --fail-if\n"
	       "condition held (or --find found no rate), 4 with -R: this program was too slow\n"
	       "for its own numbers, 130 interrupted (what was measured until then is printed).\n"
	       "--fail-if and --find know: rps, errors, completed, timeouts, non2xx, refused,\n"
	       "bytes, mean, max, p50, p90, p99, p99.9 .. (of response with -R, else of\n"
	       "service).\n");
}

static bool refuse(const char *what, const char *reason)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, reason);
	return false;
}

/* --- lists in one word ----------------------------------------------------------------------- */

static bool take_numbers(const char *what, const char *text, int *numbers, uint32_t room,
                         uint32_t *count)
{
	char part[16];

	while (*text != '\0') {
		size_t length = strcspn(text, ",");
		uint64_t value;

		if (length >= sizeof(part) || *count == room)
			return refuse(what, "too long");
		memcpy(part, text, length);
		part[length] = '\0';
		if (!units_parse_number(part, &value) || value > INT32_MAX)
			return refuse(what, "numbers, with commas between, are needed");
		numbers[(*count)++] = (int)value;
		text += length + (text[length] == ',');
	}
	return true;
}

/* --- targets --------------------------------------------------------------------------------- */

static bool unix_is_http(const struct plan *plan)
{
	return plan->mode != MODE_RR && plan->mode != MODE_STREAM;
}

/* "URL" or "WEIGHT URL" */
static bool take_url_line(struct plan *plan, char *line)
{
	char *url = line + strspn(line, " \t");
	const char *reason;
	uint64_t weight = 1;
	char *blank;

	url[strcspn(url, "\r\n")] = '\0';
	if (*url == '\0' || *url == '#')
		return true;
	blank = url + strcspn(url, " \t");
	if (*blank != '\0') {
		*blank = '\0';
		if (!units_parse_number(url, &weight) || weight == 0 || weight > 1000000)
			return refuse(url, "a weight is a number from 1 to 1000000");
		url = blank + 1 + strspn(blank + 1, " \t");
	}
	if (!targets_add(&plan->targets, url, (uint32_t)weight, unix_is_http(plan), &reason))
		return refuse(url, reason);
	return true;
}

static bool take_urls_file(struct plan *plan)
{
	FILE *file = fopen(plan->urls_file, "r");
	char line[4096];
	bool good = true;

	if (file == NULL)
		return refuse(plan->urls_file, "cannot be read");
	while (good && fgets(line, sizeof(line), file) != NULL)
		good = take_url_line(plan, line);
	(void)fclose(file);
	return good;
}

static bool take_targets(struct plan *plan, const struct texts *words)
{
	const char *reason;
	uint32_t i;

	for (i = 0; i < words->count; i++)
		if (!targets_add(&plan->targets, words->items[i], 1, unix_is_http(plan), &reason))
			return refuse(words->items[i], reason);
	if (plan->urls_file != NULL && !take_urls_file(plan))
		return false;
	if (plan->targets.count == 0)
		return refuse("no target", "sluice-load URL, for example http://127.0.0.1:8080/ "
		                           "(--help)");
	return true;
}

/* --- checks ---------------------------------------------------------------------------------- */

/* What holds for every plan: rows of a condition that must not be, and what to say. */
static bool check_numbers(const struct plan *plan)
{
	const struct {
		bool wrong;
		const char *what;
		const char *reason;
	} checks[] = {
		{ plan->connections < 1 || plan->connections > CONNECTIONS_MAX, "--connections",
		  "from 1 to 1000000" },
		{ plan->threads < 1 || plan->threads > PLAN_THREADS_MAX, "--threads",
		  "from 1 to 64" },
		{ plan->connections < plan->threads, "--connections",
		  "each thread needs one at least" },
		{ plan->pipeline < 1 || plan->pipeline > PLAN_PIPELINE_MAX, "--pipeline",
		  "from 1 to 32" },
		{ plan->timeout_ns == 0, "--timeout", "more than 0 is needed" },
		{ plan->runs < 1 || plan->runs > PLAN_RUNS_MAX, "--runs", "from 1 to 100" },
		{ plan->count > 0 && plan->count < plan->threads, "--requests",
		  "each thread needs one at least" },
		{ plan->rate > 0 && !plan_has_requests(plan), "--rate",
		  "these modes have no requests" },
		{ plan->count > 0 && !plan_has_requests(plan), "--requests",
		  "these modes have no requests" },
		{ plan->verify && plan->body_text != NULL, "--verify",
		  "the frame is the body: without --body" },
		{ plan->chunked && (plan->verify || plan->body_template != NULL), "--chunked",
		  "not together with --verify or a --template of the body" },
		{ plan->templates.count > 0 && plan->verify, "--template",
		  "not together with --verify: there, frames are the bodies" },
		{ plan->body_template != NULL &&
				  (plan->body_text != NULL || plan->body_file != NULL),
		  "--template", "is the body: without --body" },
		{ plan->body_template != NULL && plan->size > 0 && plan->targets.items[0].http,
		  "--template", "is the body: without --size" },
		{ plan->templates.count > 0 && !plan_has_requests(plan), "--template",
		  "these modes have no requests" },
		{ plan->verify && plan->size < 32, "--size", "32 at least with --verify" },
		{ plan->verify && plan->size > (1u << 20), "--size", "1M at most with --verify" },
		{ plan->size > (64u << 20) || plan->reply > (64u << 20), "--size", "64M at most" },
		{ plan->mode == MODE_RR && plan->size > (1u << 20), "--size",
		  "1M at most with --mode rr" },
		{ plan->size == 0 && plan->mode == MODE_RR, "--size", "1 at least" },
		{ plan->reply == 0 && plan->mode == MODE_RR, "--reply", "1 at least" },
		{ plan->slow_read_percent + plan->slow_write_percent + plan->half_close_percent +
				  plan->reset_percent > 100,
		  "--rst", "more than 100 percent in all" },
		{ plan->slow_write_percent > 0 && plan->proxy_protocol != PROXY_NONE,
		  "--slow-write", "not together with --proxy-protocol" },
		{ plan->half_close_percent > 0 && plan->pipeline > 1, "--half-close",
		  "not together with --pipeline" },
		{ plan->find != NULL && plan->versus != NULL, "--find", "not together with --vs" },
		{ plan->find != NULL && !plan_has_requests(plan), "--find",
		  "this mode has no requests" },
		{ plan->versus != NULL && plan->duration_ns == 0, "--vs",
		  "needs a duration (-d), not a number of requests" },
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(checks); i++)
		if (checks[i].wrong)
			return refuse(checks[i].what, checks[i].reason);
	return true;
}

static bool check_targets(const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->targets.count; i++) {
		const struct target *target = &plan->targets.items[i];

		if (plan->mode == MODE_HTTP && !target->http)
			return refuse(target->url, "--mode http needs http:// targets");
		if ((plan->mode == MODE_RR || plan->mode == MODE_STREAM) && target->http)
			return refuse(target->url, "this mode needs tcp:// or unix: targets");
		if (plan->templates.count > 0 && !target->http)
			return refuse(target->url, "--template needs http:// targets");
	}
	return true;
}

static void fill_in(struct plan *plan)
{
	bool http = plan->targets.items[0].http;

	if (plan->mode < 0)
		plan->mode = http ? MODE_HTTP : MODE_RR;
	if (plan->mode == MODE_CRR) {
		plan->reconnect = 1;
		plan->pipeline = 1;
	}
	if (plan->duration_ns == 0 && plan->count == 0)
		plan->duration_ns = 10 * SECOND_NS;
	if (plan->size == 0 && (!http || plan->verify))
		plan->size = plan->verify ? 1024 : 64;
	if (plan->reply == 0)
		plan->reply = plan->size;
}

static bool check_conditions(const struct plan *plan)
{
	struct verdict verdict;
	const char *reason;

	if (plan->fail_if != NULL && !verdict_parse(&verdict, plan->fail_if, &reason))
		return refuse("--fail-if", reason);
	if (plan->find != NULL && !verdict_parse(&verdict, plan->find, &reason))
		return refuse("--find", reason);
	return true;
}

static bool take_templates(struct plan *plan)
{
	const char *reason;
	uint32_t i;

	for (i = 0; i < plan->templates.count; i++) {
		const char *text = plan->templates.items[i];
		bool is_path = text[0] == '/';
		const char **place = is_path ? &plan->path_template : &plan->body_template;
		const char *at;

		if (*place != NULL)
			return refuse("--template", "one path (it begins with /) and one body at "
			                            "most");
		for (at = text; is_path && *at != '\0'; at++)
			if ((unsigned char)*at <= ' ' || *at == 127 || *at == '#')
				return refuse(text, "a path has no blanks and no #");
		if (text[0] != '@' && !template_check(text, strlen(text), &reason))
			return refuse(text, reason);
		*place = text;
	}
	return true;
}

static bool complete(struct plan *plan, const struct texts *words)
{
	const char *reason;

	if (plan->script != NULL)
		return refuse("-s", "there is no Lua: see --template, --urls, --header, --verify");
	if (plan->bind != NULL && !source_parse(&plan->source, plan->bind, &reason))
		return refuse("--bind", reason);
	if (plan->watch != NULL && !take_numbers("--watch", plan->watch, plan->pids, PLAN_PIDS_MAX,
	                                         &plan->pids_count))
		return false;
	if (plan->pin != NULL && !take_numbers("--pin", plan->pin, plan->cpus, PLAN_THREADS_MAX,
	                                       &plan->cpus_count))
		return false;
	if (!take_targets(plan, words) || !take_templates(plan))
		return false;
	fill_in(plan);
	if (!check_numbers(plan) || !check_targets(plan) || !check_conditions(plan))
		return false;
	pattern_open();
	if (!requests_render(plan, &reason))
		return refuse("request", reason);
	return true;
}

int plan_from_words(struct plan *plan, int argc, char **argv)
{
	struct texts words = { .count = 0 };

	*plan = (struct plan){
		.connections = 10,
		.threads = 1,
		.mode = -1,
		.drain_ns = 2 * SECOND_NS,
		.timeout_ns = 2 * SECOND_NS,
		.runs = 1,
		.seed = 1,
		.pipeline = 1,
		.slow_rate = 100,
	};
	if (!options_parse(rows, ARRAY_COUNT(rows), PROGRAM, argc, argv, plan, &words, stderr))
		return -1;
	if (plan->help) {
		print_help();
		return 1;
	}
	if (plan->version) {
		printf("sluice-load " SLUICE_VERSION "\n");
		return 1;
	}
	return complete(plan, &words) ? 0 : -1;
}

bool plan_of_base(struct plan *base, const struct plan *plan)
{
	const char *reason;

	*base = *plan;
	base->targets.count = 0;
	if (!targets_add(&base->targets, plan->versus, 1, unix_is_http(plan), &reason))
		return refuse(plan->versus, reason);
	if (base->targets.items[0].http != plan->targets.items[0].http)
		return refuse(plan->versus, "both must be http://, or both tcp://");
	if (!requests_render(base, &reason))
		return refuse(plan->versus, reason);
	return true;
}

void plan_release(struct plan *plan)
{
	targets_release(&plan->targets);
}
