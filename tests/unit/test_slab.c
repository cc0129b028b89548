/* SPDX-License-Identifier: MIT */
/*
 * test_slab.c - a fixed number of objects, for one thread and for several.
 */
#include "base/slab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#define THREADS 4
#define ROUNDS 50000
#define SHARED_OBJECTS 7u /* fewer than the threads want at once */
#define HELD_MAX 3

static bool is_zero(const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

TEST(a_slab_gives_out_each_object_once_and_then_refuses)
{
	struct slab *slab;
	unsigned char *objects[10];

	CHECK_INT(slab_open(&slab, 10, 100), 0);
	CHECK_UINT(slab_objects_max(slab), 10);
	for (uint32_t i = 0; i < 10; i++) {
		objects[i] = slab_take(slab);
		if (!CHECK(objects[i] != NULL))
			return;
		CHECK(is_zero(objects[i], 100));
		CHECK_UINT((uintptr_t)objects[i] % 64, 0);
		memset(objects[i], 0xff, 128); /* rounded up: all of it is the taker's */
		CHECK_UINT(slab_taken_count(slab), i + 1);
		CHECK(slab_at(slab, slab_index(slab, objects[i])) == objects[i]);
	}
	CHECK(slab_take(slab) == NULL);
	CHECK(slab_take(slab) == NULL);
	CHECK_UINT(slab_taken_count(slab), 10);
	for (uint32_t i = 0; i < 10; i++)
		for (uint32_t j = 0; j < i; j++)
			CHECK(objects[i] != objects[j]);
	for (uint32_t i = 0; i < 10; i++)
		slab_give(slab, objects[i]);
	CHECK_UINT(slab_taken_count(slab), 0);
	slab_close(slab);
}

TEST(the_object_given_back_last_is_taken_first)
{
	struct slab *slab;
	void *a, *b, *c;

	CHECK_INT(slab_open(&slab, 5, 64), 0);
	a = slab_take(slab);
	b = slab_take(slab);
	c = slab_take(slab);
	slab_give(slab, b);
	slab_give(slab, c);
	slab_give(slab, a);
	CHECK(slab_take(slab) == a);
	CHECK(slab_take(slab) == c);
	CHECK(slab_take(slab) == b);
	CHECK(slab_take(slab) != NULL);
	CHECK(slab_take(slab) != NULL);
	CHECK(slab_take(slab) == NULL);
	slab_close(slab);
}

TEST(a_slab_of_one_object_works)
{
	struct slab *slab;
	void *object;

	CHECK_INT(slab_open(&slab, 1, 1), 0);
	for (int i = 0; i < 3; i++) {
		object = slab_take(slab);
		CHECK(object == slab_at(slab, 0));
		CHECK(slab_take(slab) == NULL);
		slab_give(slab, object);
	}
	slab_close(slab);
}

/* A million sessions of 2 KB are reserved, one is used. */
TEST(objects_that_were_never_taken_cost_no_pages)
{
	static unsigned char resident[(1u << 20)];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 0, span;
	struct slab *slab;
	char *object, *start;

	CHECK_INT(slab_open(&slab, 1u << 20, 2048), 0);
	CHECK(slab_bytes(slab) >= 2048ull << 20);
	CHECK(slab_bytes(slab) < (2048ull << 20) + (16u << 20));
	object = slab_take(slab);
	object[0] = 1;
	/* The pages behind the one that is used; a huge page may come along with it. */
	start = (char *)(((uintptr_t)object | ((2u << 20) - 1)) + 1);
	span = sizeof(resident) * page / 4;
	CHECK_INT(mincore(start, span, resident), 0);
	for (size_t i = 0; i < span / page; i++)
		pages += resident[i] & 1;
	CHECK_UINT(pages, 0);
	slab_close(slab);
}

TEST(a_slab_larger_than_the_address_space_is_refused)
{
	struct slab *slab = NULL;

	CHECK(slab_open(&slab, INT32_MAX, UINT32_MAX) < 0);
	CHECK(slab == NULL);
}

struct misuse {
	struct slab *slab;
	void *object;
};

static void give(void *argument)
{
	struct misuse *misuse = argument;

	slab_give(misuse->slab, misuse->object);
}

TEST(giving_twice_or_something_foreign_is_an_assertion)
{
	struct misuse misuse;
	char *object;

	CHECK_INT(slab_open(&misuse.slab, 4, 64), 0);
	object = slab_take(misuse.slab);
	slab_take(misuse.slab);
	slab_give(misuse.slab, object);
	misuse.object = object;
	CHECK_ABORTS(give, &misuse);
	misuse.object = slab_at(misuse.slab, 3); /* never taken */
	CHECK_ABORTS(give, &misuse);
	misuse.object = object + 64 + 8; /* inside an object */
	CHECK_ABORTS(give, &misuse);
	misuse.object = object + 4 * 64; /* behind the last */
	CHECK_ABORTS(give, &misuse);
	misuse.object = &misuse;
	CHECK_ABORTS(give, &misuse);
	slab_close(misuse.slab);
}

/* ------------------------------------------------------------------------- threads */

struct shared_object {
	_Atomic uint32_t owners;
	uint32_t plain; /* written without atomics: a race detector sees two owners */
};

static struct slab *shared;
static _Atomic uint32_t doubly_owned, refusals, takes;

static void own(struct shared_object *object)
{
	if (atomic_fetch_add(&object->owners, 1) != 0)
		atomic_fetch_add(&doubly_owned, 1);
	object->plain++;
}

static void disown(struct shared_object *object)
{
	object->plain++;
	atomic_fetch_sub(&object->owners, 1);
	slab_give(shared, object);
}

/* Hold up to HELD_MAX objects, take and give in random order. */
static void *take_and_give(void *argument)
{
	struct shared_object *held[HELD_MAX];
	uint64_t seed = (uintptr_t)argument;
	size_t count = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (count < HELD_MAX && unit_random(&seed) % 2) {
			held[count] = slab_take(shared);
			if (!held[count]) {
				atomic_fetch_add(&refusals, 1);
				continue;
			}
			atomic_fetch_add(&takes, 1);
			own(held[count++]);
		} else if (count > 0) {
			size_t pick = unit_random(&seed) % count;
			struct shared_object *object = held[pick];

			held[pick] = held[--count];
			disown(object);
		}
	}
	while (count > 0)
		disown(held[--count]);
	return NULL;
}

TEST(several_threads_never_own_the_same_object_and_lose_none)
{
	pthread_t threads[THREADS];
	uint32_t left = 0;

	CHECK_INT(slab_open(&shared, SHARED_OBJECTS, sizeof(struct shared_object)), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_UINT(atomic_load(&doubly_owned), 0);
	CHECK(atomic_load(&takes) > 0);
	CHECK_UINT(slab_taken_count(shared), 0);
	while (slab_take(shared))
		left++;
	CHECK_UINT(left, SHARED_OBJECTS);
	slab_close(shared);
}

/* The way to the same top with another one below it: take two, give the first. A thread that was
 * interrupted in the middle of its own take meets it (ABA). */
static void *take_two_give_first(void *argument)
{
	for (int i = 0; i < ROUNDS * 10; i++) {
		struct shared_object *first = slab_take(shared), *second = slab_take(shared);

		if (first) {
			own(first);
			disown(first);
		}
		if (second) {
			own(second);
			disown(second);
		}
	}
	return NULL;
}

TEST(an_interrupted_take_is_not_fooled_by_the_same_top)
{
	pthread_t threads[2];

	atomic_store(&doubly_owned, 0);
	CHECK_INT(slab_open(&shared, 3, sizeof(struct shared_object)), 0);
	for (uintptr_t i = 0; i < ARRAY_COUNT(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, take_two_give_first, NULL), 0);
	for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_UINT(atomic_load(&doubly_owned), 0);
	CHECK_UINT(slab_taken_count(shared), 0);
	slab_close(shared);
}

static const struct unit_test tests[] = {
	ROW(a_slab_gives_out_each_object_once_and_then_refuses),
	ROW(the_object_given_back_last_is_taken_first),
	ROW(a_slab_of_one_object_works),
	ROW(objects_that_were_never_taken_cost_no_pages),
	ROW(a_slab_larger_than_the_address_space_is_refused),
	ROW(giving_twice_or_something_foreign_is_an_assertion),
	ROW(several_threads_never_own_the_same_object_and_lose_none),
	ROW(an_interrupted_take_is_not_fooled_by_the_same_top),
};
UNIT_MAIN(tests)
