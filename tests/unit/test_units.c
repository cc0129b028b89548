/* SPDX-License-Identifier: MIT */
/*
 * test_units.c - sizes, durations and numbers: what is read, what is refused, what is shown.
 */
#include "base/units.h"

#include "base/clock.h"
#include "unit.h"

#define UNTOUCHED 0xfeedfacecafebeefull

struct good {
	const char *text;
	uint64_t value;
};

typedef bool parser(const char *text, uint64_t *value);

static void check_good(parser *parse, const struct good *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;

		unit_row(rows[i].text);
		CHECK(parse(rows[i].text, &value));
		CHECK_UINT(value, rows[i].value);
	}
	unit_row(NULL);
}

static void check_bad(parser *parse, const char *const *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;

		unit_row(rows[i]);
		CHECK(!parse(rows[i], &value));
		CHECK_UINT(value, UNTOUCHED);
	}
	unit_row(NULL);
}

/* What no parser accepts. */
static const char *const bad_anywhere[] = {
	"", " ", "-1", "+1", " 1", "1 ", "1\n", "\t1", "x", "0x10", "1e3", "1.5", "1,000", "1_000",
	"-", "+", "--1", ".", "1.", ".5", "1K1", "1KK", "K", "k", "s", "ms", "1 K", "1 s", "1-",
	"18446744073709551616", "99999999999999999999", "184467440737095516150",
	"1000000000000000000000000000000000000000", "\xc2\xb2", "1\xff", "(1)", "1#", "1;",
};

TEST(numbers_are_read)
{
	static const struct good rows[] = {
		{ "0", 0 }, { "1", 1 }, { "42", 42 }, { "007", 7 }, { "4294967296", 1ull << 32 },
		{ "18446744073709551615", UINT64_MAX },
		{ "00000000000000000000000018446744073709551615", UINT64_MAX },
	};

	check_good(units_parse_number, rows, ARRAY_COUNT(rows));
}

TEST(what_is_not_a_number_is_refused_and_the_value_left_alone)
{
	static const char *const rows[] = { "1K", "1s", "16M", "0b1", "1/" };

	check_bad(units_parse_number, bad_anywhere, ARRAY_COUNT(bad_anywhere));
	check_bad(units_parse_number, rows, ARRAY_COUNT(rows));
}

TEST(sizes_are_read)
{
	static const struct good rows[] = {
		{ "0", 0 }, { "1", 1 }, { "1023", 1023 }, { "0K", 0 }, { "1K", 1024 },
		{ "1k", 1024 },
		{ "64M", 64ull << 20 }, { "64m", 64ull << 20 }, { "3G", 3ull << 30 },
		{ "3g", 3ull << 30 }, { "17179869183G", 17179869183ull << 30 },
		{ "18014398509481983K", 18014398509481983ull << 10 },
		{ "18446744073709551615", UINT64_MAX },
	};

	check_good(units_parse_size, rows, ARRAY_COUNT(rows));
}

TEST(what_is_not_a_size_is_refused_and_the_value_left_alone)
{
	static const char *const rows[] = {
		"1B", "1KB", "1KiB", "1T", "1s", "1K ", "1J", "1L", "1[", "1H", "1@", "1`",
		"17179869184G", "17592186044416M", "18014398509481984K", "18446744073709551615K",
	};

	check_bad(units_parse_size, bad_anywhere, ARRAY_COUNT(bad_anywhere));
	check_bad(units_parse_size, rows, ARRAY_COUNT(rows));
}

TEST(durations_are_read)
{
	static const struct good rows[] = {
		{ "0", 0 }, { "0s", 0 }, { "0h0m0s0ms0us", 0 }, { "1us", NS_PER_US },
		{ "1ms", NS_PER_MS }, { "1s", NS_PER_S }, { "1m", 60 * NS_PER_S },
		{ "1h", 3600 * NS_PER_S }, { "1m30s", 90 * NS_PER_S }, { "90s", 90 * NS_PER_S },
		{ "1m90s", 150 * NS_PER_S }, { "1h1ms", 3600 * NS_PER_S + NS_PER_MS },
		{ "1h2m3s4ms5us", 3723 * NS_PER_S + 4 * NS_PER_MS + 5 * NS_PER_US },
		{ "01s", NS_PER_S }, { "18446744073709551us", 18446744073709551 * NS_PER_US },
		{ "5124095h", 5124095ull * 3600 * NS_PER_S },
	};

	check_good(units_parse_duration, rows, ARRAY_COUNT(rows));
}

TEST(what_is_not_a_duration_is_refused_and_the_value_left_alone)
{
	static const char *const rows[] = {
		"1", "5", "10", "00", "1s5", "1s0", "01", /* nobody knows the unit */
		"1m1h", "1s1m", "1us1ms", "1s1s", "1h1m1h", "1ms1ms", /* not largest first */
		"1M", "1S", "1H", "1MS", "1d", "1w", "1ns", "1min", "1sec", "1hs", "1sm", "1mss",
		"1m 30s", "1m,30s", "1m30", "m30s", "1m-30s", "h", "1msx", "s1",
		"5124096h", "18446744073709552us", "18446744073709551615s", "307445734562m",
		"5124095h34m33s710ms", "18446744073s709552us", "18446744073s709ms552us",
	};

	check_bad(units_parse_duration, bad_anywhere, ARRAY_COUNT(bad_anywhere));
	check_bad(units_parse_duration, rows, ARRAY_COUNT(rows));
}

TEST(sizes_are_shown_exactly_and_short)
{
	static const struct good rows[] = {
		{ "0", 0 }, { "1", 1 }, { "1023", 1023 }, { "1K", 1024 }, { "1025", 1025 },
		{ "1536", 1536 }, { "64M", 64 << 20 }, { "1G", 1 << 30 }, { "1025K", 1025 << 10 },
		{ "1024G", 1ull << 40 }, { "18446744073709551615", UINT64_MAX },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		CHECK_TEXT(units_format_size(text, rows[i].value), rows[i].text);
}

TEST(durations_are_shown_exactly_and_short)
{
	static const struct good rows[] = {
		{ "0", 0 }, { "1us", NS_PER_US }, { "1ms500us", 1500 * NS_PER_US },
		{ "30s", 30 * NS_PER_S }, { "1m30s", 90 * NS_PER_S }, { "5m", 300 * NS_PER_S },
		{ "24h", 86400 * NS_PER_S }, { "1h1us", 3600 * NS_PER_S + NS_PER_US },
		{ "7ns", 7 }, { "2s1ns", 2 * NS_PER_S + 1 },
		{ "5124095h34m33s709ms551us615ns", UINT64_MAX },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		CHECK_TEXT(units_format_duration(text, rows[i].value), rows[i].text);
}

TEST(what_is_shown_is_read_back)
{
	uint64_t seed = 1, value;
	char text[UNITS_TEXT_MAX];

	for (int i = 0; i < 20000; i++) {
		uint64_t bytes = unit_random(&seed) >> (unit_random(&seed) % 64);
		uint64_t us = (unit_random(&seed) >> (unit_random(&seed) % 64)) / NS_PER_US;

		bytes <<= unit_random(&seed) % 31;
		CHECK(units_parse_size(units_format_size(text, bytes), &value));
		CHECK_UINT(value, bytes);
		CHECK(units_parse_duration(units_format_duration(text, us * NS_PER_US), &value));
		CHECK_UINT(value, us * NS_PER_US);
	}
}

TEST(bytes_are_rounded_for_reading)
{
	static const struct good rows[] = {
		{ "0 B", 0 }, { "1023 B", 1023 }, { "1 KB", 1024 }, { "1 KB", 1075 },
		{ "1.1 KB", 1076 }, { "1.4 MB", 1468006 }, { "64 MB", 64 << 20 },
		{ "1023.9 KB", 1048524 }, { "1 MB", 1048525 }, { "1 MB", 1048575 },
		{ "216 KB", 221184 }, { "2.5 GB", 5ull << 29 }, { "16 EB", UINT64_MAX },
		{ "1 TB", 1ull << 40 }, { "1.5 PB", 3ull << 49 }, { "8 EB", 1ull << 63 },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		CHECK_TEXT(units_format_bytes(text, rows[i].value), rows[i].text);
}

static const struct unit_test tests[] = {
	ROW(numbers_are_read),
	ROW(what_is_not_a_number_is_refused_and_the_value_left_alone),
	ROW(sizes_are_read),
	ROW(what_is_not_a_size_is_refused_and_the_value_left_alone),
	ROW(durations_are_read),
	ROW(what_is_not_a_duration_is_refused_and_the_value_left_alone),
	ROW(sizes_are_shown_exactly_and_short),
	ROW(durations_are_shown_exactly_and_short),
	ROW(what_is_shown_is_read_back),
	ROW(bytes_are_rounded_for_reading),
};
UNIT_MAIN(tests)
