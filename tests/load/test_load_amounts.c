/* SPDX-License-Identifier: MIT */
/*
 * test_load_amounts - what the load tool's command line understands: amounts, options, sources,
 * conditions.
 */
#include "amounts.h"

#include <stdio.h>

#include "options.h"
#include "source.h"
#include "unit.h"

static const char *reason;

TEST(counts_and_rates_take_thousands)
{
	uint64_t count = 7;
	double rate = 7;

	CHECK(amount_count("10k", &count, &reason));
	CHECK_UINT(count, 10000);
	CHECK(amount_count("2M", &count, &reason));
	CHECK_UINT(count, 2000000);
	CHECK(amount_rate("1.5k/s", &rate, &reason));
	CHECK_NEAR(rate, 1500, 0);
}

TEST(what_is_no_count_is_refused_and_changes_nothing)
{
	static const char *const texts[] = { "", "x", "-1", "1.5", "1g", "0x10", "10 ", "1e999" };
	uint64_t count = 7;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(texts); i++) {
		unit_row(texts[i]);
		CHECK(!amount_count(texts[i], &count, &reason));
		CHECK_UINT(count, 7);
	}
}

TEST(a_bare_time_is_seconds_as_in_wrk)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{ "30", 30000000000ull },  { "2s", 2000000000ull }, { "0.5s", 500000000ull },
		{ "1m30s", 90000000000ull }, { "5ms", 5000000ull },  { "100us", 100000ull },
	};
	uint64_t ns;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i].text);
		CHECK(amount_time(rows[i].text, &ns, &reason));
		CHECK_UINT(ns, rows[i].ns);
	}
	CHECK(!amount_time("5x", &ns, &reason));
}

TEST(weights_are_drawn_in_their_shares)
{
	struct weights weights = { .count = 0 };
	uint32_t counts[3] = { 0 };
	struct draw draw;
	int i;

	CHECK(amount_time_weights("5ms:50,1s:1", &weights, &reason));
	CHECK_UINT(weights.count, 2);
	draw_init(&draw, 1, 1);
	for (i = 0; i < 100000; i++) {
		uint64_t ns = weights_draw(&weights, &draw, 0);

		counts[ns == 0 ? 0 : ns == 5000000 ? 1 : 2]++;
	}
	CHECK_NEAR(counts[0], 49000, 900);
	CHECK_NEAR(counts[1], 50000, 900);
	CHECK_NEAR(counts[2], 1000, 150);
}

TEST(weights_above_a_hundred_percent_are_refused)
{
	struct weights weights = { .count = 0 };

	CHECK(!amount_status_weights("503:60,500:50", &weights, &reason));
	CHECK(!amount_status_weights("42:1", &weights, &reason));
	CHECK(amount_status_weights("503", &weights, &reason));
	CHECK_NEAR(weights.percents[0], 100, 0);
}

struct target {
	uint64_t count;
	bool flag;
	int word;
};

static const char *const words[] = { "red", "green", NULL };
static const struct option_row rows[] = {
	{ "count", 'c', "N", amount_count, offsetof(struct target, count), "", NULL },
	{ "flag", 'f', NULL, NULL, offsetof(struct target, flag), "", NULL },
	{ "word", 0, "red|green", NULL, offsetof(struct target, word), "", words },
};

static bool parse(struct target *target, struct texts *rest, char *complaint, int argc,
                  const char *const *argv)
{
	FILE *out = fmemopen(complaint, 200, "w");
	bool good;

	*target = (struct target){ 0 };
	*rest = (struct texts){ .count = 0 };
	good = options_parse(rows, ARRAY_COUNT(rows), "p", argc,
	                     (char **)(uintptr_t)argv, target, rest, out);
	fclose(out);
	return good;
}

TEST(options_are_read_in_every_spelling)
{
	static const char *const argv[] = { "-c5", "x", "-f", "--word=green", "--", "-c9" };
	struct target target;
	struct texts rest;
	char complaint[200];

	CHECK(parse(&target, &rest, complaint, 6, argv));
	CHECK_UINT(target.count, 5);
	CHECK(target.flag);
	CHECK_INT(target.word, 1);
	CHECK_UINT(rest.count, 2);
	CHECK_TEXT(rest.items[1], "-c9");
}

TEST(an_unknown_option_names_the_nearest)
{
	static const char *const argv[] = { "--cuont", "5" };
	struct target target;
	struct texts rest;
	char complaint[200] = "";

	CHECK(!parse(&target, &rest, complaint, 2, argv));
	CHECK(strstr(complaint, "did you mean --count?") != NULL);
}

TEST(an_option_without_its_value_is_refused)
{
	static const char *const argv[] = { "--count" };
	struct target target;
	struct texts rest;
	char complaint[200] = "";

	CHECK(!parse(&target, &rest, complaint, 1, argv));
	CHECK(strstr(complaint, "needs a value") != NULL);
}

TEST(a_source_range_is_masked_and_counted)
{
	struct source source;

	CHECK(source_parse(&source, "127.0.3.7/24", &reason));
	CHECK_UINT(source.count, 256);
	CHECK_UINT(source.first[3], 0);
	CHECK(source_parse(&source, "::1", &reason));
	CHECK_UINT(source.count, 1);
	CHECK(!source_parse(&source, "127.0.0.1/33", &reason));
	CHECK(!source_parse(&source, "localhost", &reason));
}

TEST(times_are_formatted_with_three_digits)
{
	char text[AMOUNT_TEXT_MAX];

	CHECK_TEXT(amount_format_time(text, 212000), "212us");
	CHECK_TEXT(amount_format_time(text, 2410000), "2.41ms");
	CHECK_TEXT(amount_format_time(text, 1200000000), "1.20s");
	CHECK_TEXT(amount_format_bytes(text, 1536), "1.50KB");
}

static const struct unit_test tests[] = {
	ROW(counts_and_rates_take_thousands),
	ROW(what_is_no_count_is_refused_and_changes_nothing),
	ROW(a_bare_time_is_seconds_as_in_wrk),
	ROW(weights_are_drawn_in_their_shares),
	ROW(weights_above_a_hundred_percent_are_refused),
	ROW(options_are_read_in_every_spelling),
	ROW(an_unknown_option_names_the_nearest),
	ROW(an_option_without_its_value_is_refused),
	ROW(a_source_range_is_masked_and_counted),
	ROW(times_are_formatted_with_three_digits),
};
UNIT_MAIN(tests)
