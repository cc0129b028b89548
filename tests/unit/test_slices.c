/* SPDX-License-Identifier: MIT */
/*
 * Slices: every one has one owner, splitting and merging loses none, offers follow the need.
 */
#include "flow/slices.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

#define SMALL 4096u
#define LARGE (64u * 1024)

struct bench {
	struct slices slices;
	struct ring *ring;
	uint8_t *memory;
};

static bool bench_open(struct bench *bench, uint64_t bytes)
{
	struct ring_options options = { .sq_entries = 64, .cq_entries = 256, .sqpoll_cpu = -1 };
	struct ring_features features = { 0 };
	int result;

	if (ring_probe(&features) < 0 || ring_open(&bench->ring, &options, &features) < 0) {
		unit_skip("io_uring is not available here");
		return false;
	}
	bench->memory = aligned_alloc(SMALL, bytes);
	result = slices_open(&bench->slices, bench->ring, bench->memory, bytes, SMALL, LARGE);
	return CHECK_INT(result, 0);
}

static void bench_close(struct bench *bench)
{
	slices_check(&bench->slices);
	ring_close(bench->ring);
	slices_close(&bench->slices);
	free(bench->memory);
}

/* What the kernel would report: the oldest offered buffer of the class was used. */
static uint32_t receive(struct bench *bench, enum slice_class class, uint32_t len)
{
	struct slice_offer *offer = &bench->slices.offers[class];
	uint16_t id;

	for (id = 0; id < offer->entries; id++)
		if (offer->slice_of_id[id] != SLICE_NONE)
			return slices_received(&bench->slices, class, id, len);
	return SLICE_NONE;
}

TEST(nothing_held_means_all_is_home)
{
	struct bench bench;

	if (!bench_open(&bench, 2 << 20))
		return;
	slices_top_up(&bench.slices, bench.ring);
	CHECK_UINT(slices_home_bytes(&bench.slices), 2 << 20);
	CHECK(bench.slices.offers[SLICE_SMALL].offered_count == OFFER_SMALL_MIN);
	CHECK(bench.slices.offers[SLICE_LARGE].offered_count > 0);
	bench_close(&bench);
}

TEST(a_slice_given_back_is_offered_again_first)
{
	struct bench bench;
	uint32_t index;

	if (!bench_open(&bench, 2 << 20))
		return;
	slices_top_up(&bench.slices, bench.ring);
	index = receive(&bench, SLICE_SMALL, 100);
	CHECK_UINT(slices_home_bytes(&bench.slices), (2 << 20) - SMALL);
	slices_give(&bench.slices, index);
	slices_top_up(&bench.slices, bench.ring);
	CHECK_INT(slices_at(&bench.slices, index)->state, SLICE_OFFERED);
	bench_close(&bench);
}

static void give_freed(void *argument)
{
	struct bench *bench = argument;
	uint32_t index = receive(bench, SLICE_SMALL, 1);

	slices_give(&bench->slices, index);
	slices_give(&bench->slices, index);
}

TEST(giving_back_twice_is_caught)
{
	struct bench bench;

	if (!bench_open(&bench, 2 << 20))
		return;
	slices_top_up(&bench.slices, bench.ring);
	CHECK_ABORTS(give_freed, &bench);
	bench_close(&bench);
}

TEST(the_pool_can_be_emptied_and_comes_back_whole)
{
	static uint32_t held[1024];
	struct bench bench;
	uint32_t count = 0, i;

	if (!bench_open(&bench, 2 << 20))
		return;
	for (;;) {
		enum slice_class class = count % 5 == 0 ? SLICE_LARGE : SLICE_SMALL;
		uint32_t index;

		slices_top_up(&bench.slices, bench.ring);
		index = receive(&bench, class, 1);
		if (index == SLICE_NONE)
			index = receive(&bench, SLICE_SMALL, 1);
		if (index == SLICE_NONE)
			break;
		held[count++] = index;
		slices_check(&bench.slices);
	}
	CHECK_UINT(slices_free_count(&bench.slices), 0);
	CHECK(slices_pressed(&bench.slices));
	for (i = 0; i < count; i++)
		slices_give(&bench.slices, held[(i * 7919) % count]);
	slices_check(&bench.slices);
	CHECK(!slices_pressed(&bench.slices));
	CHECK_UINT(slices_home_bytes(&bench.slices), 2 << 20);
	/* Merged again, but for the margin that spares a lone slice the splitting each time. */
	CHECK(bench.slices.smalls_free_count <= 3 * bench.slices.per_block);
	bench_close(&bench);
}

TEST(offers_grow_with_the_need_and_shrink_without_it)
{
	struct bench bench;
	struct slice_offer *offer = &bench.slices.offers[SLICE_SMALL];
	int i;

	if (!bench_open(&bench, 4 << 20))
		return;
	slices_wanted(&bench.slices, SLICE_SMALL);
	slices_wanted(&bench.slices, SLICE_SMALL);
	CHECK_UINT(offer->wanted, 4 * OFFER_SMALL_MIN);
	for (i = 0; i < 100; i++)
		slices_wanted(&bench.slices, SLICE_SMALL);
	CHECK_UINT(offer->wanted, OFFER_SMALL_MAX);
	for (i = 0; i < 100000; i++)
		slices_top_up(&bench.slices, bench.ring);
	CHECK_UINT(offer->wanted, OFFER_SMALL_MIN);
	bench_close(&bench);
}

TEST(a_part_too_small_for_large_slices_gets_smaller_ones)
{
	struct bench bench;

	if (!bench_open(&bench, 512 << 10))
		return;
	CHECK_UINT(bench.slices.large_bytes, 32 << 10);
	bench_close(&bench);
}

static const struct unit_test tests[] = {
	ROW(nothing_held_means_all_is_home),
	ROW(a_slice_given_back_is_offered_again_first),
	ROW(giving_back_twice_is_caught),
	ROW(the_pool_can_be_emptied_and_comes_back_whole),
	ROW(offers_grow_with_the_need_and_shrink_without_it),
	ROW(a_part_too_small_for_large_slices_gets_smaller_ones),
};
UNIT_MAIN(tests)
