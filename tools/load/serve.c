/* SPDX-License-Identifier: MIT */
/*
 * serve.c - the test origin's command line, threads, signals and numbers.
 *
 *      main thread       waits for signals: USR1 prints the numbers, INT and TERM end
 *      worker threads    one ring each, one listening socket per address each (SO_REUSEPORT);
 *                        a unix address has one socket, which all accept from
 */
#include "serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/listen.h"
#include "options.h"
#include "origin.h"
#include "pattern.h"

#define THREADS_MAX 64
#define PROGRAM "sluice-load serve"

struct serve_options {
	struct answer_policy policy;
	uint64_t threads;
	uint64_t seed;
	int tcp; /* enum service_id of addresses without one */
	bool json;
	bool quiet;
	bool help;
};

struct place {
	struct addr addr;
	const struct service *service;
	const char *text;
	int fd; /* of a unix or inherited socket, shared by the workers; else -1 */
};

struct serve {
	struct serve_options options;
	struct place places[ORIGIN_LISTENERS_MAX];
	uint32_t places_count;
	struct origin *origins[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	_Atomic int failure; /* the first negative errno of a worker */
};

#define AT(member) offsetof(struct serve_options, member)
static const struct option_row rows[] = {
	{ .text = "How HTTP requests are answered (each also by the request's query, see below):" },
	{ "size", 0, "SIZE", amount_size, AT(policy.size), "bytes of the body (1k)", NULL },
	{ "delay", 0, "T[:%],..", amount_time_weights, AT(policy.delays),
	  "wait before answering: 10ms, or 5ms:50,1s:1 for half of\n"
	  "them and one in a hundred",
	  NULL },
	{ "status", 0, "S[:%],..", amount_status_weights, AT(policy.statuses),
	  "instead of 200: 503:1", NULL },
	{ "close", 0, "%", amount_percent, AT(policy.close_percent),
	  "say Connection: close, and close", NULL },
	{ "reset", 0, "%", amount_percent, AT(policy.reset_percent),
	  "reset the connection instead of answering", NULL },
	{ "chunked", 0, NULL, NULL, AT(policy.chunked), "bodies in chunks", NULL },
	{ "trailers", 0, NULL, NULL, AT(policy.trailers), "chunks, and a trailer field", NULL },
	{ "1xx", 0, NULL, NULL, AT(policy.informational), "103 Early Hints before the answer",
	  NULL },
	{ "echo", 0, NULL, NULL, AT(policy.echo), "answer with the request's body", NULL },
	{ .text = "Running:" },
	{ "tcp", 0, "echo|sink|source|rr", NULL, AT(tcp),
	  "what addresses without SERVICE= speak instead of HTTP", origin_service_names },
	{ "threads", 't', "N", amount_count, AT(threads), "workers (1)", NULL },
	{ "seed", 0, "N", amount_count, AT(seed), "of the percentages: same seed, same answers (1)",
	  NULL },
	{ "json", 0, NULL, NULL, AT(json), "print the numbers as JSON", NULL },
	{ "quiet", 'q', NULL, NULL, AT(quiet), "print nothing at the start", NULL },
	{ "help", 'h', NULL, NULL, AT(help), "this text", NULL },
};
#undef AT

static void print_help(void)
{
	printf("usage: sluice-load serve [OPTIONS] [[SERVICE=]ADDRESS ..]\n\n"
	       "A test origin. ADDRESS is HOST:PORT, :PORT (on 127.0.0.1), *:PORT (everywhere) or\n"
	       "unix:PATH; 127.0.0.1:9000 when none is given. SERVICE is what it speaks:\n"
	       "  http     HTTP/1.1 (when none is given)    echo    sends back what it receives\n"
	       "  sink     receives and drops               source  sends without an end\n"
	       "  rr       answers frames, as --mode rr sends them\n"
	       "Example: sluice-load serve :9000 echo=:9001 sink=:9002 source=:9003 rr=:9004\n");
	options_help(rows, ARRAY_COUNT(rows), stdout);
	printf("\nA request's query overrides: size=64k delay=10ms status=503 close=1 reset=1\n"
	       "chunked=1 trailers=1 1xx=1 echo=1 cut=N (close after N bytes of the body).\n"
	       "USR1 prints the numbers; INT or TERM prints them and ends.\n");
}

/* --- addresses ------------------------------------------------------------------------------- */

static bool take_service(struct place *place, const char *word, const char **address)
{
	const char *equals = strchr(word, '=');
	uint32_t i;

	*address = word;
	/* A unix path may contain the sign itself. */
	if (equals == NULL || strncmp(word, "unix:", 5) == 0)
		return true;
	for (i = 0; i < SERVICE_COUNT; i++) {
		if (strlen(origin_service_names[i]) == (size_t)(equals - word) &&
		    strncmp(origin_service_names[i], word, (size_t)(equals - word)) == 0) {
			place->service = &origin_services[i];
			*address = equals + 1;
			return true;
		}
	}
	fprintf(stderr, PROGRAM ": %s: the service is one of http, echo, sink, source, rr\n", word);
	return false;
}

static bool take_address(struct serve *serve, const char *word)
{
	struct place *place = &serve->places[serve->places_count];
	const char *address, *reason;
	char text[ADDR_TEXT_MAX];

	if (serve->places_count == ORIGIN_LISTENERS_MAX) {
		fprintf(stderr, PROGRAM ": at most %d addresses\n", ORIGIN_LISTENERS_MAX);
		return false;
	}
	*place = (struct place){ .service = &origin_services[serve->options.tcp], .fd = -1 };
	if (!take_service(place, word, &address))
		return false;
	(void)snprintf(text, sizeof(text), "%s%s", address[0] == ':' ? "127.0.0.1" : "", address);
	if (!addr_parse(&place->addr, text, &reason) || !addr_resolve(&place->addr, &reason)) {
		fprintf(stderr, PROGRAM ": %s: %s\n", word, reason);
		return false;
	}
	place->text = word;
	serve->places_count++;
	return true;
}

static bool open_place(struct serve *serve, struct place *place, struct origin *origin)
{
	const struct listen_options options = { .backlog = 65535,
		                                .reuse_port = serve->options.threads > 1 };
	struct origin_listener *listener = &origin->listeners[origin->listeners_count];
	bool shared = place->addr.kind == ADDR_UNIX || place->addr.kind == ADDR_FD;
	const char *step = "";
	int fd = place->fd;

	if (fd < 0)
		fd = listen_open(&place->addr, &options, &step);
	if (fd < 0) {
		fprintf(stderr, PROGRAM ": %s: %s: %s\n", place->text, step, strerror(-fd));
		return false;
	}
	if (shared)
		place->fd = fd;
	*listener = (struct origin_listener){ .service = place->service, .fd = fd };
	origin->listeners_count++;
	return true;
}

static void close_places(struct serve *serve)
{
	uint32_t i;

	for (i = 0; i < serve->places_count; i++)
		if (serve->places[i].fd >= 0 && serve->places[i].addr.kind == ADDR_UNIX)
			listen_unlink(serve->places[i].fd, &serve->places[i].addr);
}

/* --- numbers --------------------------------------------------------------------------------- */

static const struct stat_row {
	const char *name;
	size_t place;
} stat_rows[] = {
#define STAT(name, text) { #name, offsetof(struct origin_stats, name) },
#define GAUGE(name, text) { #name, offsetof(struct origin_stats, name) },
#include "origin_stats.def"
#undef STAT
#undef GAUGE
};

static uint64_t sum(const struct serve *serve, size_t place)
{
	uint64_t total = 0;
	uint64_t i;

	for (i = 0; i < serve->options.threads; i++) {
		const char *stats = (const char *)&serve->origins[i]->stats;

		total += counter_read((const struct counter *)(const void *)(stats + place));
	}
	return total;
}

static void print_numbers(const struct serve *serve)
{
	uint32_t i;

	if (serve->options.json)
		printf("{\"schema\":\"sluice-load.serve.1\"");
	else
		printf("serve:");
	for (i = 0; i < ARRAY_COUNT(stat_rows); i++)
		printf(serve->options.json ? ",\"%s\":%llu" : " %s=%llu", stat_rows[i].name,
		       (unsigned long long)sum(serve, stat_rows[i].place));
	printf(serve->options.json ? "}\n" : "\n");
	fflush(stdout);
}

/* --- running --------------------------------------------------------------------------------- */

struct worker_start {
	struct serve *serve;
	struct origin *origin;
};

static void *worker(void *argument)
{
	struct worker_start *start = argument;
	int result = origin_run(start->origin);

	if (result < 0) {
		atomic_store(&start->serve->failure, result);
		(void)kill(getpid(), SIGTERM);
	}
	free(start);
	return NULL;
}

static bool start_worker(struct serve *serve, uint64_t index)
{
	struct worker_start *start = malloc(sizeof(*start));

	assert(start != NULL);
	*start = (struct worker_start){ .serve = serve, .origin = serve->origins[index] };
	if (pthread_create(&serve->threads[index], NULL, worker, start) == 0)
		return true;
	fprintf(stderr, PROGRAM ": no thread could be started\n");
	free(start);
	return false;
}

static bool open_all(struct serve *serve)
{
	uint64_t i;
	uint32_t p;

	for (i = 0; i < serve->options.threads; i++) {
		struct origin *origin = calloc(1, sizeof(*origin));

		assert(origin != NULL);
		serve->origins[i] = origin;
		origin->policy = &serve->options.policy;
		draw_init(&origin->draw, serve->options.seed, i);
		for (p = 0; p < serve->places_count; p++)
			if (!open_place(serve, &serve->places[p], origin))
				return false;
	}
	return true;
}

static void announce(const struct serve *serve)
{
	char text[ADDR_TEXT_MAX];
	uint32_t i;

	if (serve->options.quiet)
		return;
	for (i = 0; i < serve->places_count; i++)
		fprintf(stderr, "serving %s on %s\n", serve->places[i].service->name,
		        addr_format(text, &serve->places[i].addr));
}

static void wait_for_the_end(struct serve *serve, const sigset_t *signals)
{
	int number;

	do {
		if (sigwait(signals, &number) != 0)
			return;
		if (number == SIGUSR1)
			print_numbers(serve);
	} while (number == SIGUSR1);
}

static int run(struct serve *serve)
{
	sigset_t signals;
	uint64_t started, i;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (started = 0; started < serve->options.threads; started++)
		if (!start_worker(serve, started))
			return 2;
	announce(serve);
	wait_for_the_end(serve, &signals);
	for (i = 0; i < started; i++)
		atomic_store(&serve->origins[i]->stop, true);
	for (i = 0; i < started; i++)
		pthread_join(serve->threads[i], NULL);
	close_places(serve);
	if (serve->failure < 0) {
		fprintf(stderr, PROGRAM ": %s: %s\n", strerror(-serve->failure),
		        ring_open_remedy(serve->failure));
		return 2;
	}
	print_numbers(serve);
	return 0;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int serve_main(int argc, char **argv)
{
	struct serve serve = { .options = { .policy.size = 1024, .threads = 1, .seed = 1 } };
	struct texts words = { .count = 0 };
	uint64_t i;
	uint32_t w;
	int status = 2;

	if (!options_parse(rows, ARRAY_COUNT(rows), PROGRAM, argc, argv, &serve.options, &words,
	                   stderr))
		return 1;
	if (serve.options.help) {
		print_help();
		return 0;
	}
	if (serve.options.threads < 1 || serve.options.threads > THREADS_MAX) {
		fprintf(stderr, PROGRAM ": --threads: from 1 to %d\n", THREADS_MAX);
		return 1;
	}
	if (words.count == 0)
		words.items[words.count++] = "127.0.0.1:9000";
	for (w = 0; w < words.count; w++)
		if (!take_address(&serve, words.items[w]))
			return 1;
	raise_descriptor_limit();
	pattern_open();
	if (open_all(&serve))
		status = run(&serve);
	for (i = 0; i < serve.options.threads; i++)
		free(serve.origins[i]);
	return status;
}
