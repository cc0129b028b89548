/* SPDX-License-Identifier: MIT */
/*
 * test_nearest.c - the word that was meant.
 */
#include "base/nearest.h"

#include "unit.h"

static const char *const keys[] = {
	"workers", "max_sessions", "buffer_memory", "buffer_size", "session_window", "accept",
	"wait", "log", "log_level", "user", "group", "on", "off",
};

static void check_nearest(const char *word, const char *right)
{
	unit_row(word);
	CHECK_TEXT(nearest_word(word, keys, ARRAY_COUNT(keys)), right);
	unit_row(NULL);
}

TEST(each_kind_of_slip_is_forgiven)
{
	check_nearest("workers", "workers");
	check_nearest("worker", "workers");           /* a letter is missing */
	check_nearest("worrkers", "workers");         /* is too many */
	check_nearest("wirkers", "workers");          /* is another */
	check_nearest("wokrers", "workers");          /* two changed places */
	check_nearest("maxsessions", "max_sessions");
	check_nearest("max-sessions", "max_sessions");
	check_nearest("loglevle", "log_level");
	check_nearest("buffer_siez", "buffer_size");
	check_nearest("buffermemroy", "buffer_memory");
	check_nearest("offf", "off");
}

TEST(a_word_that_is_far_from_all_has_no_nearest)
{
	check_nearest("", "on"); /* two letters are forgiven always */
	check_nearest("zzzz", NULL);
	check_nearest("certificate", NULL);
	check_nearest("x_sessions_max", NULL);
	check_nearest("workers_workers_workers", NULL);
}

/* A third of the longer word: 4 of 12 letters, not 5. */
TEST(the_limit_is_a_third_of_the_longer_word)
{
	static const char *const words[] = { "abcdefghijkl" };
	static const char *const shorts[] = { "abcde" };

	CHECK_TEXT(nearest_word("abcdefghXXXX", words, 1), "abcdefghijkl");
	CHECK_TEXT(nearest_word("abcdefgXXXXX", words, 1), NULL);
	CHECK_TEXT(nearest_word("abcXX", shorts, 1), "abcde");
	CHECK_TEXT(nearest_word("abXXX", shorts, 1), NULL);
}

/* As insert, delete and replace alone, a swap would cost two and lose to the second word. */
TEST(a_swap_of_neighbours_costs_one)
{
	static const char *const words[] = { "xbc", "abc", "bax" };

	CHECK_TEXT(nearest_word("acb", words, 2), "abc");
	CHECK_TEXT(nearest_word("bac", words, 3), "abc"); /* as far as "bax", and earlier */
}

TEST(of_equally_near_words_the_earlier_wins)
{
	static const char *const words[] = { "cat", "bat", "rat" };

	CHECK_TEXT(nearest_word("hat", words, 3), "cat");
	CHECK_TEXT(nearest_word("hat", words + 1, 2), "bat");
	CHECK_TEXT(nearest_word("rat", words, 3), "rat");
}

TEST(no_words_and_endless_words_are_near_nothing)
{
	static char endless[5000];
	const char *words[] = { endless, "log" };

	memset(endless, 'x', sizeof(endless) - 1);
	CHECK_TEXT(nearest_word("log", NULL, 0), NULL);
	CHECK_TEXT(nearest_word("log", words, 2), "log");
	CHECK_TEXT(nearest_word(endless, words, 2), NULL);
	endless[63] = '\0';
	CHECK_TEXT(nearest_word(endless, words, 2), endless);
}

static const struct unit_test tests[] = {
	ROW(each_kind_of_slip_is_forgiven),
	ROW(a_word_that_is_far_from_all_has_no_nearest),
	ROW(the_limit_is_a_third_of_the_longer_word),
	ROW(a_swap_of_neighbours_costs_one),
	ROW(of_equally_near_words_the_earlier_wins),
	ROW(no_words_and_endless_words_are_near_nothing),
};
UNIT_MAIN(tests)
