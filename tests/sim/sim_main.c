/* SPDX-License-Identifier: MIT */
/*
 * sim - run the engine in many simulated worlds, one per seed.
 *
 *     sim                         seeds 1..1000: odd ones speak TCP, even ones HTTP
 *     sim --seeds FIRST..LAST
 *     sim --seed N [--verbose]    exactly the world that failed, with a trace
 *     sim --scenario [NAME]       the directed ones of scenarios.c; without a name, all
 *     sim --totals                and print what was reached, by name
 *     sim --keep-going            each seed in a process of its own; failures are counted
 *
 * Whatever ends a world early - a check of the simulator, an assertion of the engine, a sanitizer -
 * aborts, and the handler says how to run that world again.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenarios.h"
#include "sim.h"

/* Sanitizers end by a signal too. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1:detect_leaks=1";
}
const char *__ubsan_default_options(void)
{
	return "halt_on_error=1:abort_on_error=1:print_stacktrace=1";
}

struct run {
	const char *program;
	uint64_t first;
	uint64_t last;
	bool verbose;
	bool keep_going;
	bool totals;
	bool scenarios;
	const char *scenario;
};

static const char *program;

/* The name of what runs now, for the handler. */
static char now_running[128];

static void on_abort(int number)
{
	char text[300];
	int length;

	(void)number;
	length = snprintf(text, sizeof(text), "sim: failed in %s; again: %s --%s --verbose\n",
	                  now_running, program, now_running);
	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		_exit(2);
	/* The default action follows. */
}

static void catch_abort(void)
{
	struct sigaction action = { .sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGABRT, &action, NULL);
}

static void run_seed(uint64_t seed, bool verbose)
{
	snprintf(now_running, sizeof(now_running), "seed %llu", (unsigned long long)seed);
	catch_abort();
	sim_run_seed(seed, verbose);
}

/* True when it failed. */
static bool run_apart(uint64_t seed)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		run_seed(seed, false);
		exit(0);
	}
	return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

static int run_seeds(const struct run *run)
{
	uint64_t failures = 0;
	uint64_t seed;

	for (seed = run->first; seed <= run->last; seed++) {
		if (run->keep_going)
			failures += run_apart(seed);
		else
			run_seed(seed, run->verbose);
		if ((seed - run->first + 1) % 100 == 0)
			printf("sim: %llu worlds, %llu failed\n",
			       (unsigned long long)(seed - run->first + 1),
			       (unsigned long long)failures);
		fflush(stdout);
	}
	if (run->totals)
		sim_print_totals();
	return failures == 0 ? 0 : 1;
}

static void scenario_starts(const char *name)
{
	snprintf(now_running, sizeof(now_running), "scenario %s", name);
	catch_abort();
	printf("sim: %s\n", name);
	fflush(stdout);
}

/* True when it failed. */
static bool run_scenario_apart(const char *name)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0)
		exit(scenarios_run(name, false, scenario_starts) == 1 ? 0 : 1);
	return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

static int run_scenarios(const struct run *run)
{
	const struct scenario *row;
	uint32_t failures = 0, i;

	if (!run->keep_going || run->scenario != NULL)
		return scenarios_run(run->scenario, run->verbose, scenario_starts) > 0 ? 0 : 2;
	for (i = 0; i < SCENARIO_LISTS; i++)
		for (row = scenario_lists[i]; row->name != NULL; row++)
			failures += run_scenario_apart(row->name);
	printf("sim: %u scenarios failed\n", failures);
	return failures == 0 ? 0 : 1;
}

static bool parse_seeds(struct run *run, const char *text)
{
	char *end;

	run->first = strtoull(text, &end, 10);
	run->last = run->first;
	if (strncmp(end, "..", 2) == 0)
		run->last = strtoull(end + 2, &end, 10);
	return *end == '\0' && end != text && run->first <= run->last;
}

static bool parse(struct run *run, int count, char **words)
{
	int i;

	for (i = 1; i < count; i++) {
		if (strcmp(words[i], "--verbose") == 0) {
			run->verbose = true;
		} else if (strcmp(words[i], "--keep-going") == 0) {
			run->keep_going = true;
		} else if (strcmp(words[i], "--totals") == 0) {
			run->totals = true;
		} else if (strcmp(words[i], "--scenario") == 0) {
			run->scenarios = true;
			if (i + 1 < count && words[i + 1][0] != '-')
				run->scenario = words[++i];
		} else if ((strcmp(words[i], "--seed") == 0 || strcmp(words[i], "--seeds") == 0) &&
		           i + 1 < count) {
			if (!parse_seeds(run, words[++i]))
				return false;
		} else {
			return false;
		}
	}
	return true;
}

int main(int count, char **words)
{
	struct run run = { .first = 1, .last = 1000 };

	program = words[0];
	if (!parse(&run, count, words)) {
		fprintf(stderr, "usage: %s [--seed N | --seeds FIRST..LAST] [--scenario [NAME]] "
		        "[--verbose] [--totals] [--keep-going]\n", words[0]);
		return 2;
	}
	if (run.verbose) /* nothing of a trace may be lost */
		setvbuf(stdout, NULL, _IOLBF, 0);
	return run.scenarios ? run_scenarios(&run) : run_seeds(&run);
}
