/* SPDX-License-Identifier: MIT */
/*
 * panic.c - the SIGABRT handler behind a failed assertion.
 *
 * The process is lost, and says as much as it can: a backtrace and the sessions of each worker. The
 * dump uses functions that are not safe in signal handlers; at worst it is cut short, so an alarm
 * bounds it, and the default action follows in any case.
 */
#include "panic.h"

#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#define FRAMES_MAX 48
#define DUMP_SECONDS_MAX 3

static struct {
	struct flow *const *flows;
	uint32_t count;
} watched;

static void on_abort(int number)
{
	void *frames[FRAMES_MAX];
	uint32_t i;

	signal(number, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	alarm(DUMP_SECONDS_MAX);
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
	for (i = 0; i < watched.count; i++)
		flow_dump(watched.flows[i], stderr);
	fflush(stderr);
	raise(number);
}

void panic_watch(struct flow *const *flows, uint32_t count)
{
	watched.flows = flows;
	watched.count = count;
	signal(SIGABRT, count > 0 ? on_abort : SIG_DFL);
}
