/* SPDX-License-Identifier: MIT */
/*
 * unit - a test is a sentence, a program is a list of them.
 *
 *      #include "unit.h"
 *
 *      TEST(a_stopped_timer_does_not_fire)
 *      {
 *              CHECK(!timer_is_set(&timer));
 *              CHECK_UINT(fired_count, 0);
 *      }
 *
 *      static const struct unit_test tests[] = {
 *              ROW(a_stopped_timer_does_not_fire),
 *      };
 *      UNIT_MAIN(tests)
 *
 * A test without a row does not compile (it is an unused function). The program prints one line per
 * test, `ok NAME`, `FAIL NAME` or `skip NAME: why`, below the file, line and values of each check
 * that did not hold, and ends with the number of tests that failed and ran.
 *
 *      build/tests/unit/test_wheel                 every test
 *      build/tests/unit/test_wheel stopped past    those whose name contains one of the words
 *
 * Exit status: 0 all hold; 1 some do not, or no name contains a word; 77 nothing ran but skips.
 *
 * A check that does not hold lets its test go on; each check is also an expression, for a test that
 * cannot: `if (!CHECK(file)) return;`. Checks are for one thread only.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdint.h>
#include <string.h>

#include "base/assert.h"

struct unit_test {
	const char *name;
	void (*run)(void);
};

#define TEST(sentence) static void sentence(void)
#define ROW(sentence) { #sentence, sentence }

#define UNIT_MAIN(tests)                                             \
	int main(int argc, char **argv)                              \
	{                                                            \
		return unit_main(argc, argv, tests, ARRAY_COUNT(tests)); \
	}

/* The value that was found comes first, the one that is right second. */
#define CHECK(condition) unit_check(__FILE__, __LINE__, (condition), #condition)
#define CHECK_INT(found, right) unit_check_int(__FILE__, __LINE__, (found), (right), #found)
#define CHECK_UINT(found, right) unit_check_uint(__FILE__, __LINE__, (found), (right), #found)
#define CHECK_NEAR(found, right, off) \
	unit_check_near(__FILE__, __LINE__, (found), (right), (off), #found)
#define CHECK_TEXT(found, right) unit_check_text(__FILE__, __LINE__, (found), (right), #found)

/* Does this call end in a failed assertion? It is made in a child process. */
#define CHECK_ABORTS(run, argument) unit_check_aborts(__FILE__, __LINE__, (run), (argument), #run)

int unit_main(int argc, char **argv, const struct unit_test *tests, size_t count);

/* Name the row of a table that the following checks are about; NULL: none. Borrowed. */
void unit_row(const char *row);

/* This host cannot run the test; the test returns after it. */
void unit_skip(const char *why);

bool unit_check(const char *file, int line, bool holds, const char *what);
bool unit_check_int(const char *file, int line, int64_t found, int64_t right, const char *what);
bool unit_check_uint(const char *file, int line, uint64_t found, uint64_t right, const char *what);
bool unit_check_near(const char *file, int line, double found, double right, double off,
                     const char *what);
bool unit_check_text(const char *file, int line, const char *found, const char *right,
                     const char *what);
bool unit_check_aborts(const char *file, int line, void (*run)(void *argument), void *argument,
                       const char *what);

/* A generator with the caller's seed (splitmix64), so that a failure can be repeated. */
static inline uint64_t unit_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
