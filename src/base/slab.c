/* SPDX-License-Identifier: MIT */
/*
 * slab.c - one mapping: this struct, the links of the free stack, the objects.
 *
 *      | struct slab | links[objects_max] | pad | object 0 | object 1 | ..            |
 *                                                ^ touched so far ^ fresh_count
 *
 * Objects up to fresh_count were taken at least once; of these the free ones are in the stack. An
 * object is taken from the stack while there is one, since it is warm, and else is a fresh one.
 *
 * The stack's head is the index of its top plus one, and above it a tag that every change raises:
 * between reading the top's link and swapping the head, another thread may take the top, take the
 * next and give the top back; the index is then the same, and only the tag tells.
 *
 * Links stand beside the objects and not inside them: a thread that loses the race reads the link
 * of an object that another thread already writes to.
 */
#include "base/slab.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define CACHE_LINE 64u
#define PAGE_ALIGN 4096u
#define LINK_TAKEN UINT32_MAX /* the object is its taker's; everything else is an index plus one */

struct slab {
	_Alignas(CACHE_LINE) uint64_t bytes;
	unsigned char *objects;
	uint32_t objects_max;
	uint64_t object_size; /* rounded up */
	/* What threads write, away from what they only read. */
	_Alignas(CACHE_LINE) _Atomic uint64_t head;
	_Atomic uint32_t fresh_count;
	_Atomic uint32_t taken_count;
	_Alignas(CACHE_LINE) _Atomic uint32_t links[];
};

static_assert(sizeof(struct slab) % CACHE_LINE == 0, "links start on a line of their own");

static inline uint32_t head_top(uint64_t head)
{
	return (uint32_t)head;
}

/* The head that replaces `old`: another top, the next tag. */
static inline uint64_t head_make(uint64_t old, uint32_t top)
{
	return ((old >> 32) + 1) << 32 | top;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	assert(unit > 0);
	return (value + unit - 1) / unit * unit;
}

int slab_open(struct slab **slab, uint32_t objects_max, uint32_t object_size)
{
	uint64_t size = round_up(object_size, CACHE_LINE);
	uint64_t ahead, bytes;
	struct slab *made;

	assert(slab);
	assert(objects_max >= 1 && objects_max <= INT32_MAX);
	assert(object_size > 0);
	/* Objects start on a page of their own, so that links cost no page of objects. */
	ahead = round_up(sizeof(*made) + (uint64_t)objects_max * sizeof(made->links[0]),
	                 PAGE_ALIGN);
	if (__builtin_add_overflow(ahead, objects_max * size, &bytes))
		return -ENOMEM;
	made = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (made == MAP_FAILED)
		return -errno;
	made->bytes = bytes;
	made->objects = (unsigned char *)made + ahead;
	made->objects_max = objects_max;
	made->object_size = size;
	assert((uintptr_t)made->objects % CACHE_LINE == 0);
	*slab = made;
	return 0;
}

void slab_close(struct slab *slab)
{
	int rc = munmap(slab, slab->bytes);

	assert(rc == 0);
	(void)rc;
}

/* Take the top of the stack: its index plus one, or 0. */
static uint32_t slab_pop(struct slab *slab)
{
	uint64_t head = atomic_load_explicit(&slab->head, memory_order_acquire);

	while (head_top(head) != 0) {
		uint32_t top = head_top(head);
		uint32_t below = atomic_load_explicit(&slab->links[top - 1], memory_order_relaxed);

		/* A stale head may pair with any link; the tag then refuses the exchange. */
		if (atomic_compare_exchange_weak_explicit(&slab->head, &head,
		                                          head_make(head, below),
		                                          memory_order_acquire,
		                                          memory_order_acquire)) {
			assert(below != LINK_TAKEN);
			return top;
		}
	}
	return 0;
}

/* Take an object that was never taken: its index plus one, or 0. */
static uint32_t slab_take_fresh(struct slab *slab)
{
	uint32_t fresh = atomic_load_explicit(&slab->fresh_count, memory_order_relaxed);

	while (fresh < slab->objects_max)
		if (atomic_compare_exchange_weak_explicit(&slab->fresh_count, &fresh, fresh + 1,
		                                          memory_order_relaxed,
		                                          memory_order_relaxed))
			return fresh + 1;
	assert(fresh == slab->objects_max);
	return 0;
}

void *slab_take(struct slab *slab)
{
	uint32_t taken = slab_pop(slab);

	if (taken == 0)
		taken = slab_take_fresh(slab);
	/* Between the two, others may have taken the last fresh one and given something back. */
	if (taken == 0)
		taken = slab_pop(slab);
	if (taken == 0)
		return NULL;
	assert(taken <= slab->objects_max);
	atomic_store_explicit(&slab->links[taken - 1], LINK_TAKEN, memory_order_relaxed);
	atomic_fetch_add_explicit(&slab->taken_count, 1, memory_order_relaxed);
	return slab->objects + (taken - 1) * slab->object_size;
}

void slab_give(struct slab *slab, void *object)
{
	uint32_t index = slab_index(slab, object);
	_Atomic uint32_t *link = &slab->links[index];
	uint64_t head;

	/* Given twice, or never taken. */
	assert(atomic_load_explicit(link, memory_order_relaxed) == LINK_TAKEN);
	/* Counted first, so that the count never shows fewer free objects than can be taken. */
	atomic_fetch_sub_explicit(&slab->taken_count, 1, memory_order_relaxed);
	head = atomic_load_explicit(&slab->head, memory_order_relaxed);
	do {
		atomic_store_explicit(link, head_top(head), memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&slab->head, &head,
	                                                head_make(head, index + 1),
	                                                memory_order_release,
	                                                memory_order_relaxed));
}

uint32_t slab_taken_count(const struct slab *slab)
{
	return atomic_load_explicit(&slab->taken_count, memory_order_relaxed);
}

uint32_t slab_objects_max(const struct slab *slab)
{
	assert(slab->objects_max > 0);
	return slab->objects_max;
}

uint64_t slab_bytes(const struct slab *slab)
{
	assert(slab->bytes > 0);
	return slab->bytes;
}

void *slab_at(struct slab *slab, uint32_t index)
{
	assert(index < slab->objects_max);
	return slab->objects + index * slab->object_size;
}

uint32_t slab_index(const struct slab *slab, const void *object)
{
	uint64_t offset = (uint64_t)((const unsigned char *)object - slab->objects);

	assert((const unsigned char *)object >= slab->objects);
	assert(offset % slab->object_size == 0);
	assert(offset / slab->object_size < slab->objects_max);
	return (uint32_t)(offset / slab->object_size);
}
