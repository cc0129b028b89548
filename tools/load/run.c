/* SPDX-License-Identifier: MIT */
/*
 * run.c - threads, collecting and signals, as in run.h.
 *
 *      main      start --- look every 20 ms: tallies? a signal? all over? --- add the rest up
 *      threads         \-- generator_run() ------------------------------/
 */
#include "run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "generator.h"

#define LOOK_NS (20 * NS_PER_MS)
#define START_DELAY_NS (5 * NS_PER_MS) /* until all threads have their rings */
#define SATURATED_CPU 0.97
#define LATE_NS (5 * NS_PER_MS)
#define LATE_MIN 3 /* one or two late ones of a few are a hiccup of the machine */

struct run {
	const struct plan *plan;
	struct outcome *outcome;
	struct generator *generators;
	pthread_t *threads;
	uint64_t start_ns;
	bool watch_begun;
	bool watch_ended;
};

struct thread_start {
	struct generator *generator;
	uint64_t start_ns;
};

/* Were more than 1 percent of the requests sent late, and LATE_MIN at least? */
static bool sends_late(const struct histogram *lag)
{
	double percentile = 99;

	if (lag->total < LATE_MIN)
		return false;
	if (lag->total < LATE_MIN * 100)
		percentile = 100.0 * (double)(lag->total - LATE_MIN + 1) / (double)lag->total;
	return histogram_value_at_percentile(lag, percentile) > LATE_NS;
}

bool outcome_is_saturated(const struct outcome *outcome)
{
	if (outcome->plan->rate > 0)
		return sends_late(&outcome->total->times[TALLY_LAG]);
	return outcome->cpu_busiest > SATURATED_CPU;
}

bool outcome_sent_late(const struct outcome *outcome)
{
	return histogram_max(&outcome->total->times[TALLY_LAG]) > LATE_NS;
}

int outcome_status(const struct outcome *outcome)
{
	if (outcome->ring_error < 0 || outcome->never_connected)
		return 2;
	if (outcome->interrupted)
		return 130;
	return outcome->plan->rate > 0 && outcome_is_saturated(outcome) ? 4 : 0;
}

void outcome_release(struct outcome *outcome)
{
	tally_close(outcome->total);
	series_close(&outcome->series);
}

static void set_of_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
}

void run_block_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t signals;

	set_of_signals(&signals);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/* --- collecting ------------------------------------------------------------------------------ */

/* Connections made during the warm-up are those that are measured: their times count. */
static void add_warm_up(struct outcome *outcome, const struct tally *tally)
{
	(void)histogram_merge(&outcome->total->times[TALLY_CONNECT],
	                      &tally->times[TALLY_CONNECT]);
	tally_add(outcome->total, connects, tally_get(tally, connects));
}

static void add_tally(struct outcome *outcome, const struct tally *tally)
{
	if (!tally->measured) {
		add_warm_up(outcome, tally);
		return;
	}
	tally_merge(outcome->total, tally);
	series_add(&outcome->series, tally);
	if (tally->backlog > outcome->backlog_max)
		outcome->backlog_max = tally->backlog;
}

static void collect(struct run *run)
{
	uint64_t i;

	for (i = 0; i < run->plan->threads; i++) {
		struct generator *generator = &run->generators[i];
		struct tally *tally;

		while ((tally = generator_take_tally(generator)) != NULL) {
			add_tally(run->outcome, tally);
			generator_give_tally(generator, tally);
		}
	}
}

static bool all_over(const struct run *run)
{
	uint64_t i;

	for (i = 0; i < run->plan->threads; i++)
		if (!atomic_load(&run->generators[i].is_over))
			return false;
	return true;
}

static void look_at_processes(struct run *run)
{
	const struct plan *plan = run->plan;
	uint64_t begin_ns = run->start_ns + plan->warmup_ns;
	uint64_t now_ns = clock_ns();
	bool over = run->watch_begun && plan->duration_ns > 0 &&
		    now_ns >= begin_ns + plan->duration_ns;
	uint32_t i;

	if (now_ns < begin_ns || run->watch_ended)
		return;
	for (i = 0; i < plan->pids_count; i++) {
		struct watched *watched = &run->outcome->watched[i];
		uint64_t fds_before = watched->end.fds;

		watched->pid = plan->pids[i];
		watched->end = watch_take(watched->pid);
		/* At the end the connections are gone already: the most is what tells. */
		if (watched->end.fds < fds_before)
			watched->end.fds = fds_before;
		if (!run->watch_begun)
			watched->begin = watched->end;
		if (watched->end.rss_bytes > watched->rss_max)
			watched->rss_max = watched->end.rss_bytes;
	}
	run->watch_begun = true;
	run->watch_ended = over;
}

static void stop_all(struct run *run)
{
	uint64_t i;

	for (i = 0; i < run->plan->threads; i++)
		atomic_store(&run->generators[i].stop, true);
}

static void heed_signal(struct run *run, int number)
{
	if (number <= 0)
		return;
	if (run->outcome->interrupted) /* the second one: at once */
		_exit(128 + number);
	run->outcome->interrupted = true;
	stop_all(run);
}

static void wait_and_collect(struct run *run)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	sigset_t signals;

	set_of_signals(&signals);
	while (!all_over(run)) {
		heed_signal(run, sigtimedwait(&signals, NULL, &look));
		look_at_processes(run);
		collect(run);
	}
}

/* --- threads --------------------------------------------------------------------------------- */

static void *thread(void *argument)
{
	struct thread_start *start = argument;

	generator_run(start->generator, start->start_ns);
	free(start);
	return NULL;
}

/* The threads' shares differ by at most one. */
static uint64_t share(uint64_t whole, uint64_t threads, uint64_t index)
{
	return whole / threads + (index < whole % threads);
}

static bool open_generators(struct run *run)
{
	const struct plan *plan = run->plan;
	uint64_t first = 0;
	uint64_t i;

	for (i = 0; i < plan->threads; i++) {
		uint64_t connections = share(plan->connections, plan->threads, i);
		int result = generator_open(&run->generators[i], plan, (uint32_t)i, first,
		                            (uint32_t)connections,
		                            share(plan->count, plan->threads, i));

		first += connections;
		if (result < 0)
			run->outcome->ring_error = result;
	}
	return run->outcome->ring_error == 0;
}

static uint64_t start_threads(struct run *run)
{
	uint64_t i;

	run->start_ns = clock_ns() + START_DELAY_NS;
	for (i = 0; i < run->plan->threads; i++) {
		struct thread_start *start = malloc(sizeof(*start));

		assert(start != NULL);
		*start = (struct thread_start){ &run->generators[i], run->start_ns };
		if (pthread_create(&run->threads[i], NULL, thread, start) != 0) {
			free(start);
			run->outcome->ring_error = -EAGAIN;
			break;
		}
	}
	return i;
}

static void add_thread(struct outcome *outcome, const struct generator *generator)
{
	add_tally(outcome, generator->tally);
	if (generator->result < 0)
		outcome->ring_error = generator->result;
	if (generator->connect_error > 0)
		outcome->connect_error = generator->connect_error;
	if (generator->connects_good > 0)
		outcome->never_connected = false;
	if (generator->measured_ns > outcome->elapsed_ns)
		outcome->elapsed_ns = generator->measured_ns;
	outcome->cpu_ns += generator->cpu_ns;
	if (generator->measured_ns > 0) {
		double busy = (double)generator->cpu_ns / (double)generator->measured_ns;

		if (busy > outcome->cpu_busiest)
			outcome->cpu_busiest = busy;
	}
}

static void run_threads(struct run *run)
{
	uint64_t started = start_threads(run);
	uint64_t i;

	if (started == run->plan->threads)
		wait_and_collect(run);
	else
		stop_all(run);
	for (i = 0; i < started; i++)
		(void)pthread_join(run->threads[i], NULL);
	collect(run);
	for (i = 0; i < run->plan->threads; i++)
		add_thread(run->outcome, &run->generators[i]);
	series_finish(&run->outcome->series);
}

void run_once(const struct plan *plan, struct outcome *outcome, run_row *on_row, void *context)
{
	struct run run = { .plan = plan, .outcome = outcome };
	uint64_t i;

	*outcome = (struct outcome){ .plan = plan, .total = tally_open(),
		                     .never_connected = true };
	outcome->total->measured = true;
	series_open(&outcome->series, plan->rate > 0);
	outcome->series.finished = on_row;
	outcome->series.context = context;
	run.generators = calloc(plan->threads, sizeof(*run.generators));
	run.threads = calloc(plan->threads, sizeof(*run.threads));
	assert(run.generators != NULL && run.threads != NULL);
	if (open_generators(&run))
		run_threads(&run);
	for (i = 0; i < plan->threads; i++)
		generator_close(&run.generators[i]);
	free(run.generators);
	free(run.threads);
}
