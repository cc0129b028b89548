/* SPDX-License-Identifier: MIT */
/*
 * unit.c - run the tests of a list, count what does not hold.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIPPED 77 /* what meson reports as skipped */

/* The test at hand. */
static unsigned failures_count;
static const char *skip_reason;
static const char *row_name;

void unit_row(const char *row)
{
	row_name = row;
}

void unit_skip(const char *why)
{
	skip_reason = why;
}

__attribute__((format(printf, 3, 4)))
static bool fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	failures_count++;
	printf("%s:%d: ", file, line);
	if (row_name)
		printf("[%s] ", row_name);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	return false;
}

bool unit_check(const char *file, int line, bool holds, const char *what)
{
	return holds || fail(file, line, "does not hold: %s", what);
}

bool unit_check_int(const char *file, int line, int64_t found, int64_t right, const char *what)
{
	return found == right || fail(file, line, "%s is %" PRId64 ", should be %" PRId64, what,
	                              found, right);
}

bool unit_check_uint(const char *file, int line, uint64_t found, uint64_t right, const char *what)
{
	return found == right || fail(file, line, "%s is %" PRIu64 ", should be %" PRIu64, what,
	                              found, right);
}

bool unit_check_near(const char *file, int line, double found, double right, double off,
                     const char *what)
{
	return (found >= right - off && found <= right + off) ||
	       fail(file, line, "%s is %.17g, should be %.17g, give or take %g", what, found,
	            right, off);
}

bool unit_check_text(const char *file, int line, const char *found, const char *right,
                     const char *what)
{
	if (found == NULL || right == NULL)
		return found == right ||
		       fail(file, line, "%s is %s, should be %s", what, found ? found : "NULL",
		            right ? right : "NULL");
	return strcmp(found, right) == 0 ||
	       fail(file, line, "%s is \"%s\", should be \"%s\"", what, found, right);
}

/* In the child: no core file, and no assertion's text in the middle of the report. */
static void run_quietly(void (*run)(void *argument), void *argument)
{
	struct rlimit none = { 0, 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	setrlimit(RLIMIT_CORE, &none);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	run(argument);
	_exit(0);
}

bool unit_check_aborts(const char *file, int line, void (*run)(void *argument), void *argument,
                       const char *what)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_quietly(run, argument);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return fail(file, line, "%s cannot be tried: %s", what, strerror(errno));
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) ||
	       fail(file, line, "%s does not end in a failed assertion (wait status %#x)", what,
	            (unsigned)status);
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return true;
	return argc <= 1;
}

/* Returns false when a check did not hold. */
static bool run_test(const struct unit_test *test)
{
	failures_count = 0;
	skip_reason = NULL;
	row_name = NULL;
	test->run();
	if (failures_count > 0)
		printf("FAIL %s\n", test->name);
	else if (skip_reason)
		printf("skip %s: %s\n", test->name, skip_reason);
	else
		printf("ok %s\n", test->name);
	fflush(stdout);
	return failures_count == 0;
}

int unit_main(int argc, char **argv, const struct unit_test *tests, size_t count)
{
	unsigned ran = 0, skipped = 0, failed = 0;

	for (size_t i = 0; i < count; i++) {
		if (!is_wanted(tests[i].name, argc, argv))
			continue;
		if (!run_test(&tests[i]))
			failed++;
		else if (skip_reason)
			skipped++;
		ran++;
	}
	printf("%u tests, %u failed, %u skipped\n", ran, failed, skipped);
	if (ran == 0 || failed > 0)
		return EXIT_FAILURE;
	return skipped == ran ? EXIT_SKIPPED : EXIT_SUCCESS;
}
