/* SPDX-License-Identifier: MIT */
/*
 * test_load_results - what becomes of measurements: alarms, arrivals, tallies, logs, conditions.
 */
#include <math.h>
#include <stdlib.h>

#include "alarm.h"
#include "arrival.h"
#include "hlog.h"
#include "inflate.h"
#include "outcome.h"
#include "unit.h"
#include "verdict.h"

static uint64_t last_fired;

static void on_fire(struct alarm *alarm)
{
	CHECK(alarm->at_ns >= last_fired);
	last_fired = alarm->at_ns;
}

TEST(alarms_fire_in_order_after_any_moves)
{
	struct alarm items[200];
	struct alarms alarms;
	uint64_t seed = 5;
	int i;

	alarms_init(&alarms);
	for (i = 0; i < 200; i++)
		alarm_init(&items[i], on_fire);
	for (i = 0; i < 2000; i++) {
		struct alarm *alarm = &items[unit_random(&seed) % 200];

		if (unit_random(&seed) % 4 == 0)
			alarm_stop(&alarms, alarm);
		else
			alarm_set(&alarms, alarm, unit_random(&seed) % 1000);
	}
	last_fired = 0;
	alarms_fire(&alarms, 1000);
	CHECK_UINT(alarms.count, 0);
	CHECK_UINT(alarms_next_ns(&alarms), UINT64_MAX);
	alarms_deinit(&alarms);
}

TEST(constant_arrivals_are_a_grid)
{
	struct arrival arrival;
	int i;

	arrival_init(&arrival, 1000, false, 5000, 1, 1);
	for (i = 0; i < 1000; i++)
		CHECK_UINT(arrival_take(&arrival), 5000 + (uint64_t)i * 1000000);
	CHECK_NEAR(arrival_backlog(&arrival, arrival_next_ns(&arrival) + 3000000), 3, 0.001);
}

TEST(poisson_arrivals_have_exponential_gaps)
{
	double sum = 0, squares = 0, before = 0, mean;
	struct arrival arrival;
	const int count = 200000;
	int i;

	arrival_init(&arrival, 1000, true, 0, 1, 1);
	for (i = 0; i < count; i++) {
		double at = (double)arrival_take(&arrival);

		sum += at - before;
		squares += (at - before) * (at - before);
		before = at;
	}
	mean = sum / count;
	CHECK_NEAR(mean, 1e6, 1e4);
	/* The deviation of an exponential distribution is its mean. */
	CHECK_NEAR(sqrt(squares / count - mean * mean), 1e6, 2e4);
}

TEST(a_log_line_decodes_to_what_was_encoded)
{
	struct tally *from = tally_open(), *to = tally_open();
	uint64_t seed = 9, lost = 0;
	char *text;
	int i;

	for (i = 0; i < 10000; i++)
		tally_time(from, TALLY_SERVICE, unit_random(&seed) % 70000000000ull);
	text = hlog_encode(&from->times[TALLY_SERVICE]);
	CHECK(strncmp(text, "HISTFAAA", 8) == 0);
	CHECK(hlog_decode(text, &to->times[TALLY_SERVICE], &lost));
	CHECK_UINT(lost, 0);
	CHECK(memcmp(from->times[TALLY_SERVICE].counts, to->times[TALLY_SERVICE].counts,
	             from->times[TALLY_SERVICE].slots_count * sizeof(uint64_t)) == 0);
	text[20] ^= 1;
	CHECK(!hlog_decode("HISTFAAA", &to->times[TALLY_SERVICE], &lost));
	free(text);
	tally_close(from);
	tally_close(to);
}

TEST(the_log_of_another_program_is_read)
{
	/* Made by zlib: 1,000 values of 5, then 10 of 2,000, compressed. */
	static const char text[] =
		"HISTFAAAACd42pNpmSzMwMDAxgABzFCaEYh5f7hHMNh/gAhwXuCfLC8CAG0KBdI=";
	struct tally *tally = tally_open();
	uint64_t lost = 0;

	CHECK(hlog_decode(text, &tally->times[0], &lost));
	CHECK_UINT(histogram_count_at(&tally->times[0], 5), 1000);
	CHECK_UINT(histogram_count_at(&tally->times[0], 2000), 10);
	CHECK_UINT(tally->times[0].total, 1010);
	tally_close(tally);
}

TEST(stored_streams_of_any_length_come_back)
{
	static const uint32_t counts[] = { 0, 1, 65535, 65536, 200000 };
	size_t i;

	for (i = 0; i < ARRAY_COUNT(counts); i++) {
		uint8_t *in = calloc(1, counts[i] + 1u);
		uint8_t *out = calloc(1, counts[i] + 1u);
		uint8_t *packed = malloc(zlib_stored_bytes(counts[i]));
		uint32_t bytes;

		memset(in, 'a' + (int)i, counts[i]);
		bytes = zlib_store(in, counts[i], packed);
		CHECK_INT(inflate_zlib(packed, bytes, out, counts[i]), counts[i]);
		CHECK(memcmp(in, out, counts[i]) == 0);
		packed[bytes - 1] ^= 1;
		CHECK_INT(inflate_zlib(packed, bytes, out, counts[i]), -1);
		free(in);
		free(out);
		free(packed);
	}
}

TEST(errors_are_rows_of_phase_and_cause)
{
	struct tally *a = tally_open(), *b = tally_open();

	tally_fault(a, FAULT_CONNECT, 111, NULL, 50);
	tally_fault(a, FAULT_CONNECT, 111, NULL, 20);
	tally_fault(b, FAULT_CONNECT, 111, NULL, 90);
	tally_fault(b, FAULT_VERIFY, 0, "wrong bytes", 10);
	tally_merge(a, b);
	CHECK_UINT(a->faults_count, 2);
	CHECK_UINT(a->faults[0].count, 3);
	CHECK_UINT(a->faults[0].first_ns, 20);
	CHECK_UINT(a->faults[0].last_ns, 90);
	CHECK_UINT(tally_faults(a), 4);
	CHECK_UINT(tally_faults_of(a, FAULT_VERIFY), 1);
	tally_close(a);
	tally_close(b);
}

TEST(conditions_are_parsed_and_judged)
{
	struct plan plan = { .rate = 0 };
	struct outcome outcome = { .plan = &plan, .total = tally_open(),
		                   .elapsed_ns = 2000000000 };
	struct verdict verdict;
	const char *reason;
	int i;

	for (i = 1; i <= 1000; i++)
		tally_time(outcome.total, TALLY_SERVICE, (uint64_t)i * 1000000);
	tally_add(outcome.total, in_time, 1000);
	CHECK(verdict_parse(&verdict, "p99<995ms,errors=0,rps>=500,max<=2s,p50>1s", &reason));
	CHECK_UINT(verdict.count, 5);
	for (i = 0; i < 5; i++)
		CHECK(condition_holds(&verdict.conditions[i], &outcome) == (i < 4));
	tally_add(outcome.total, refused_502, 1);
	tally_add(outcome.total, refused_504, 2);
	CHECK(verdict_parse(&verdict, "refused=3", &reason));
	CHECK(condition_holds(&verdict.conditions[0], &outcome));
	CHECK(!verdict_parse(&verdict, "p99", &reason));
	CHECK(!verdict_parse(&verdict, "speed<1", &reason));
	CHECK(!verdict_parse(&verdict, "p99<fast", &reason));
	CHECK(!verdict_parse(&verdict, "", &reason));
	tally_close(outcome.total);
}

TEST(the_counts_have_names)
{
	/* in_time not_2xx_3xx closed_by_target lost unfinished unsent verified refused_502
	 * refused_503 refused_504 rude_connections rude_completed rude_faults connects completed
	 * sent bytes_in bytes_out */
	int i;

	for (i = 0; i < TALLY_COUNTS; i++)
		CHECK(strlen(tally_count_names[i]) > 0);
	CHECK_TEXT(tally_count_names[TALLY_COUNT_unsent], "unsent");
}

static const struct unit_test tests[] = {
	ROW(alarms_fire_in_order_after_any_moves),
	ROW(constant_arrivals_are_a_grid),
	ROW(poisson_arrivals_have_exponential_gaps),
	ROW(a_log_line_decodes_to_what_was_encoded),
	ROW(the_log_of_another_program_is_read),
	ROW(stored_streams_of_any_length_come_back),
	ROW(errors_are_rows_of_phase_and_cause),
	ROW(conditions_are_parsed_and_judged),
	ROW(the_counts_have_names),
};
UNIT_MAIN(tests)
