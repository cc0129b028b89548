/* SPDX-License-Identifier: MIT */
/*
 * test_histogram.c - slots as HdrHistogram has them, and statistics that are known beforehand.
 */
#include "base/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "unit.h"

#define HIGHEST_NS 60000000000ull
#define HIGHEST_US 60000000ull

static uint64_t counts[64 * 1024];
static struct histogram histogram;

static void start(uint64_t highest)
{
	assert(histogram_slots_count(highest) <= ARRAY_COUNT(counts));
	memset(counts, 0xee, sizeof(counts));
	histogram_init(&histogram, highest, counts);
}

/* The reference's arithmetic, as hdr_init(1, highest, 3) and hdr_record_value() do it. */
struct reference {
	int unit_magnitude, half_magnitude, half_count, sub_buckets, buckets;
	int64_t mask;
};

static struct reference reference_make(int64_t highest)
{
	struct reference r = { .unit_magnitude = 0, .buckets = 1 };
	int magnitude = (int)ceil(log2(2 * pow(10, 3)));
	int64_t smallest_untrackable;

	r.half_magnitude = magnitude - 1;
	r.sub_buckets = 1 << magnitude;
	r.half_count = r.sub_buckets / 2;
	r.mask = ((int64_t)r.sub_buckets - 1) << r.unit_magnitude;
	smallest_untrackable = (int64_t)r.sub_buckets << r.unit_magnitude;
	while (smallest_untrackable <= highest) {
		r.buckets++;
		if (smallest_untrackable > INT64_MAX / 2)
			break;
		smallest_untrackable <<= 1;
	}
	return r;
}

static uint32_t reference_index(const struct reference *r, int64_t value)
{
	int ceiling = 64 - __builtin_clzll((uint64_t)(value | r->mask));
	int bucket = ceiling - r->unit_magnitude - (r->half_magnitude + 1);
	int sub_bucket = (int)(value >> (bucket + r->unit_magnitude));

	return (uint32_t)(((bucket + 1) << r->half_magnitude) + sub_bucket - r->half_count);
}

TEST(slots_are_those_of_the_reference_implementation)
{
	static const int64_t highests[] = { 2, 1000, 2047, 2048, 2049, 4095, 4096, 3600000000,
		                            60000000, 60000000000, INT64_MAX / 2, INT64_MAX };
	uint64_t seed = 1;

	for (size_t i = 0; i < ARRAY_COUNT(highests); i++) {
		struct reference r = reference_make(highests[i]);

		CHECK_UINT(histogram_slots_count((uint64_t)highests[i]),
		           (uint64_t)(r.buckets + 1) * (uint64_t)r.half_count);
	}
	for (int i = 0; i < 100000; i++) {
		struct reference r = reference_make(HIGHEST_NS);
		uint64_t value = unit_random(&seed) >> (1 + unit_random(&seed) % 63);

		CHECK_UINT(histogram_index(value), reference_index(&r, (int64_t)value));
	}
}

/* Numbers worked out by hand, should both of the above be wrong in the same way. */
TEST(slots_are_where_arithmetic_on_paper_puts_them)
{
	static const struct {
		uint64_t value;
		uint32_t index;
		uint64_t lowest, highest;
	} rows[] = {
		{ 0, 0, 0, 0 }, { 1, 1, 1, 1 }, { 2047, 2047, 2047, 2047 },
		{ 2048, 2048, 2048, 2049 }, { 2049, 2048, 2048, 2049 }, { 2050, 2049, 2050, 2051 },
		{ 4095, 3071, 4094, 4095 }, { 4096, 3072, 4096, 4099 }, { 8191, 4095, 8188, 8191 },
		{ 10000, 4096 + 226, 10000, 10007 }, { 1ull << 40, 30 * 1024 + 1024, 1ull << 40,
		(1ull << 40) + (1ull << 30) - 1 },
		{ UINT64_MAX, 53 * 1024 + 2047, UINT64_MAX - ((1ull << 53) - 1), UINT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		CHECK_UINT(histogram_index(rows[i].value), rows[i].index);
		CHECK_UINT(histogram_slot_lowest(rows[i].index), rows[i].lowest);
		CHECK_UINT(histogram_slot_highest(rows[i].index), rows[i].highest);
	}
	CHECK_UINT(histogram_slots_count(HIGHEST_NS), 27648);
	CHECK_UINT(histogram_slots_count(HIGHEST_US), 17408);
}

TEST(slots_follow_each_other_without_gaps_and_are_fine_enough)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < histogram_slots_count(INT64_MAX); i++) {
		uint64_t lowest = histogram_slot_lowest(i), highest = histogram_slot_highest(i);

		CHECK_UINT(lowest, next);
		CHECK(highest - lowest <= lowest / 1000);
		CHECK_UINT(histogram_index(lowest), i);
		CHECK_UINT(histogram_index(highest), i);
		next = highest + 1;
	}
	CHECK_UINT(next, 1ull << 63);
}

TEST(an_empty_histogram_answers_zero_everywhere)
{
	struct histogram_walk walk;

	start(HIGHEST_NS);
	CHECK_UINT(histogram.total, 0);
	CHECK_UINT(histogram_min(&histogram), 0);
	CHECK_UINT(histogram_max(&histogram), 0);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99), 0);
	CHECK_NEAR(histogram_mean(&histogram), 0, 0);
	CHECK_NEAR(histogram_stddev(&histogram), 0, 0);
	CHECK_UINT(histogram_count_at(&histogram, 5), 0);
	histogram_walk_start(&walk, &histogram);
	CHECK(!histogram_next_recorded(&walk));
	histogram_walk_start(&walk, &histogram);
	CHECK(!histogram_next_percentile(&walk, 5));
	CHECK(!histogram_next_percentile(&walk, 5));
}

/* 1 .. 1000, once each: all of it is known. */
TEST(statistics_of_one_to_a_thousand_are_exact)
{
	start(HIGHEST_US);
	for (uint64_t value = 1000; value >= 1; value--)
		CHECK(histogram_record(&histogram, value));
	CHECK_UINT(histogram.total, 1000);
	CHECK_UINT(histogram_min(&histogram), 1);
	CHECK_UINT(histogram_max(&histogram), 1000);
	CHECK_NEAR(histogram_mean(&histogram), 500.5, 1e-9);
	CHECK_NEAR(histogram_stddev(&histogram), sqrt((1000.0 * 1000.0 - 1) / 12), 1e-9);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 0), 1);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 0.01), 1);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 50), 500);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 90), 900);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99), 990);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99.9), 999);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99.99), 1000);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 100), 1000);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 250), 1000);
	CHECK_UINT(histogram_count_at(&histogram, 500), 1);
	CHECK_UINT(histogram_count_at(&histogram, 1001), 0);
}

/* 10,000 times 1 ms and once 100 s: the reference's own example, in us. */
TEST(a_single_outlier_shows_only_at_the_top)
{
	start(3600000000ull);
	CHECK(histogram_record_many(&histogram, 1000, 10000));
	CHECK(histogram_record(&histogram, 100000000));
	CHECK_UINT(histogram_value_at_percentile(&histogram, 30), 1000);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99), 1000);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99.99), 1000);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99.999), 100007935);
	CHECK_UINT(histogram_max(&histogram), 100007935);
	CHECK_UINT(histogram_min(&histogram), 1000);
	CHECK_UINT(histogram_count_at(&histogram, 100000000), 1);
	CHECK_UINT(histogram_count_at(&histogram, 100007935), 1);
	CHECK_UINT(histogram_count_at(&histogram, 100007936), 0);
	/* (10000 * 1000 + the middle of the outlier's slot) / 10001 */
	CHECK_NEAR(histogram_mean(&histogram), (1e7 + 99942400 + 32768) / 10001, 1e-6);
}

TEST(values_beyond_the_last_slot_are_refused_and_not_counted)
{
	start(10000); /* the last slot ends at 16,383 */
	CHECK(histogram_record(&histogram, 10000));
	CHECK(histogram_record(&histogram, 16383));
	CHECK(!histogram_record(&histogram, 16384));
	CHECK(!histogram_record(&histogram, UINT64_MAX));
	CHECK(histogram_record_many(&histogram, 7, 0));
	CHECK_UINT(histogram.total, 2);
	CHECK_UINT(histogram_max(&histogram), 16383);
	CHECK_UINT(histogram_min(&histogram), 10000);
	CHECK_UINT(histogram_count_at(&histogram, UINT64_MAX), 0);
	CHECK(counts[histogram_slots_count(10000)] == 0xeeeeeeeeeeeeeeee); /* nothing behind */
}

TEST(zero_is_a_value_with_a_slot_to_itself)
{
	start(HIGHEST_US);
	CHECK(histogram_record(&histogram, 0));
	CHECK_UINT(histogram_min(&histogram), 0);
	CHECK_UINT(histogram_max(&histogram), 0);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 50), 0);
	CHECK(histogram_record_many(&histogram, 9, 3));
	CHECK_UINT(histogram_min(&histogram), 0);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 25), 0);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 50), 9);
	histogram_reset(&histogram);
	CHECK_UINT(histogram.total, 0);
	CHECK_UINT(histogram_max(&histogram), 0);
	CHECK_UINT(histogram_count_at(&histogram, 9), 0);
}

TEST(percentiles_of_random_values_are_within_a_thousandth)
{
	enum { VALUES = 20000 };
	static uint64_t values[VALUES];
	static const double percentiles[] = { 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99 };
	uint64_t seed = 7;
	double sum = 0;

	start(HIGHEST_NS);
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = 1 + unit_random(&seed) % (1ull << (5 + unit_random(&seed) % 30));
		sum += (double)values[i];
		CHECK(histogram_record(&histogram, values[i]));
	}
	CHECK_NEAR(histogram_mean(&histogram) / (sum / VALUES), 1, 0.001);
	for (size_t i = 0; i < ARRAY_COUNT(percentiles); i++) {
		size_t rank = (size_t)(percentiles[i] / 100 * VALUES + 0.5), below = 0;
		uint64_t found = histogram_value_at_percentile(&histogram, percentiles[i]);

		for (size_t j = 0; j < VALUES; j++)
			below += values[j] <= found;
		CHECK(below >= rank);
		below = 0; /* and a slot lower it would not be enough */
		for (size_t j = 0; j < VALUES; j++)
			below += values[j] < histogram_slot_lowest(histogram_index(found));
		CHECK(below < rank);
	}
}

TEST(merging_is_the_same_as_recording_into_one)
{
	static uint64_t part_counts[2][27648], all_counts[27648];
	struct histogram parts[2], all;
	uint64_t seed = 3;

	histogram_init(&parts[0], HIGHEST_NS, part_counts[0]);
	histogram_init(&parts[1], HIGHEST_NS, part_counts[1]);
	histogram_init(&all, HIGHEST_NS, all_counts);
	for (int i = 0; i < 5000; i++) {
		uint64_t value = unit_random(&seed) >> (30 + unit_random(&seed) % 30);

		CHECK(histogram_record(&parts[i % 2], value));
		CHECK(histogram_record(&all, value));
	}
	CHECK_UINT(histogram_merge(&parts[0], &parts[1]), 0);
	CHECK(memcmp(part_counts[0], all_counts, sizeof(all_counts)) == 0);
	CHECK_UINT(parts[0].total, all.total);
	CHECK_UINT(histogram_min(&parts[0]), histogram_min(&all));
	CHECK_UINT(histogram_max(&parts[0]), histogram_max(&all));
	CHECK_NEAR(histogram_stddev(&parts[0]), histogram_stddev(&all), 1e-6);
}

TEST(merging_into_a_shorter_histogram_tells_what_it_dropped)
{
	static uint64_t long_counts[27648];
	struct histogram longer;

	histogram_init(&longer, HIGHEST_NS, long_counts);
	histogram_record_many(&longer, 50, 3);
	histogram_record_many(&longer, 5000000, 4);
	start(4000);
	histogram_record(&histogram, 60);
	CHECK_UINT(histogram_merge(&histogram, &longer), 4);
	CHECK_UINT(histogram.total, 4);
	CHECK_UINT(histogram_min(&histogram), 50);
	CHECK_UINT(histogram_max(&histogram), 60);
	CHECK_UINT(histogram_merge(&longer, &histogram), 0);
	CHECK_UINT(longer.total, 11);
	CHECK_UINT(histogram_count_at(&longer, 50), 6);
}

TEST(a_walk_over_recorded_values_shows_each_slot_in_use_once)
{
	static const struct {
		uint64_t value, count, cumulative;
	} rows[] = { { 0, 1, 1 }, { 5, 2, 3 }, { 2049, 2, 5 }, { 100007935, 5, 10 } };
	struct histogram_walk walk;
	size_t i = 0;

	start(3600000000ull);
	histogram_record(&histogram, 0);
	histogram_record_many(&histogram, 5, 2);
	histogram_record(&histogram, 2048);
	histogram_record(&histogram, 2049);
	histogram_record_many(&histogram, 100000000, 5);
	for (histogram_walk_start(&walk, &histogram); histogram_next_recorded(&walk); i++) {
		if (!CHECK(i < ARRAY_COUNT(rows)))
			return;
		CHECK_UINT(walk.value, rows[i].value);
		CHECK_UINT(walk.count, rows[i].count);
		CHECK_UINT(walk.cumulative, rows[i].cumulative);
		CHECK_NEAR(walk.percentile, (double)rows[i].cumulative * 10, 1e-9);
	}
	CHECK_UINT(i, ARRAY_COUNT(rows));
	CHECK(!histogram_next_recorded(&walk));
}

/* Two steps per halving: 0, 25, 50, then steps of 12.5, 6.25, .. as the reference prints them. */
TEST(a_walk_over_percentiles_halves_its_steps_towards_the_end)
{
	static const double percentiles[] = { 0,     25,    50,     62.5,    75,       81.25,
		                              87.5,  90.625, 93.75, 95.3125, 96.875,   97.65625,
		                              98.4375, 98.828125, 99.21875, 100 };
	struct histogram_walk walk;
	size_t i = 0;

	start(HIGHEST_US);
	for (uint64_t value = 1; value <= 100; value++)
		histogram_record(&histogram, value);
	for (histogram_walk_start(&walk, &histogram); histogram_next_percentile(&walk, 2); i++) {
		if (!CHECK(i < ARRAY_COUNT(percentiles)))
			return;
		CHECK_NEAR(walk.percentile, percentiles[i], 1e-9);
		CHECK_UINT(walk.value, i == 0 ? 1 : (uint64_t)ceil(percentiles[i]));
		CHECK_UINT(walk.cumulative, walk.value);
	}
	CHECK_UINT(i, ARRAY_COUNT(percentiles));
	CHECK(!histogram_next_percentile(&walk, 2));
}

TEST(a_walk_over_percentiles_of_one_value_has_two_lines)
{
	struct histogram_walk walk;

	start(HIGHEST_US);
	histogram_record_many(&histogram, 77, 1000000);
	histogram_walk_start(&walk, &histogram);
	CHECK(histogram_next_percentile(&walk, 5));
	CHECK_UINT(walk.value, 77);
	CHECK_NEAR(walk.percentile, 0, 0);
	CHECK(histogram_next_percentile(&walk, 5));
	CHECK_UINT(walk.value, 77);
	CHECK_NEAR(walk.percentile, 100, 0);
	CHECK(!histogram_next_percentile(&walk, 5));
}

static void ask_below_zero(void *argument)
{
	histogram_value_at_percentile(argument, -0.5);
}

static void ask_nan(void *argument)
{
	histogram_value_at_percentile(argument, NAN);
}

TEST(a_percentile_that_is_none_is_an_assertion)
{
	start(HIGHEST_US);
	histogram_record(&histogram, 1);
	CHECK_ABORTS(ask_below_zero, &histogram);
	CHECK_ABORTS(ask_nan, &histogram);
}

/* More values than a double counts exactly. */
TEST(an_astronomic_number_of_values_does_not_overrun)
{
	struct histogram_walk walk;
	size_t lines = 0;

	start(HIGHEST_US);
	histogram_record_many(&histogram, 10, (1ull << 60) - 1);
	histogram_record_many(&histogram, 20, 1ull << 53);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 100), 20);
	CHECK_UINT(histogram_value_at_percentile(&histogram, 99), 10);
	for (histogram_walk_start(&walk, &histogram); histogram_next_percentile(&walk, 5);)
		lines++;
	CHECK(lines > 2 && lines < 1000);
}

static const struct unit_test tests[] = {
	ROW(slots_are_those_of_the_reference_implementation),
	ROW(slots_are_where_arithmetic_on_paper_puts_them),
	ROW(slots_follow_each_other_without_gaps_and_are_fine_enough),
	ROW(an_empty_histogram_answers_zero_everywhere),
	ROW(statistics_of_one_to_a_thousand_are_exact),
	ROW(a_single_outlier_shows_only_at_the_top),
	ROW(values_beyond_the_last_slot_are_refused_and_not_counted),
	ROW(zero_is_a_value_with_a_slot_to_itself),
	ROW(percentiles_of_random_values_are_within_a_thousandth),
	ROW(merging_is_the_same_as_recording_into_one),
	ROW(merging_into_a_shorter_histogram_tells_what_it_dropped),
	ROW(a_walk_over_recorded_values_shows_each_slot_in_use_once),
	ROW(a_walk_over_percentiles_halves_its_steps_towards_the_end),
	ROW(a_walk_over_percentiles_of_one_value_has_two_lines),
	ROW(a_percentile_that_is_none_is_an_assertion),
	ROW(an_astronomic_number_of_values_does_not_overrun),
};
UNIT_MAIN(tests)
