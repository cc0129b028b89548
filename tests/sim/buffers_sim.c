/* SPDX-License-Identifier: MIT */
/*
 * buffers_sim.c - provided buffers, and the owner of every slice of the payload memory.
 *
 *      ENGINE --ring_buffers_add()--> KERNEL --a receive takes it--> ENGINE, `used` bytes readable
 *
 * A slice that is offered twice, offered while a send reads it, sent beyond what was received into
 * it, or written while the kernel owns it, is a failure. Memory that the kernel owns is filled with
 * a pattern, checked when it is taken, and poisoned for the address sanitizer, so that even reading
 * it is found.
 *
 * Where HTTP is spoken, or headers of the PROXY protocol come or go, the engine writes to slices of
 * its own (a head is put together in one piece), so there only what the kernel owns is poisoned,
 * and the peers judge what arrives. What it adds to a head, and what a health check asks, is memory
 * from elsewhere.
 */
#include "ring_sim.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif

#ifdef WATCHED
#include <sanitizer/asan_interface.h>
#define poison(base, bytes) ASAN_POISON_MEMORY_REGION(base, bytes)
#define unpoison(base, bytes) ASAN_UNPOISON_MEMORY_REGION(base, bytes)
#else
#define poison(base, bytes) ((void)(base), (void)(bytes))
#define unpoison(base, bytes) ((void)(base), (void)(bytes))
#endif

#define PATTERN 0xd5
#define PATTERN_BYTES 32u /* looked at, at both ends of a buffer */

struct sim_slice {
	bool kernels;
	uint32_t used; /* readable bytes from the slice's start */
	uint32_t pins; /* sends that read it */
};

void sim_buffers_watch(struct sim_buffers *buffers, uint8_t *base, uint64_t bytes,
                       uint32_t slice_bytes)
{
	assert(bytes % slice_bytes == 0);
	buffers->base = base;
	buffers->bytes = bytes;
	buffers->slice_bytes = slice_bytes;
	buffers->slices = calloc(bytes / slice_bytes, sizeof(struct sim_slice));
	assert(buffers->slices != NULL);
	if (!world->engine_writes)
		poison(base, bytes);
}

void sim_buffers_close(struct sim_buffers *buffers)
{
	uint16_t group;

	if (buffers->base != NULL)
		unpoison(buffers->base, buffers->bytes);
	for (group = 0; group < RING_GROUPS; group++)
		free(buffers->groups[group].buffers);
	free(buffers->slices);
}

static uint64_t slice_index(const struct sim_buffers *buffers, const uint8_t *address)
{
	if (address < buffers->base || address >= buffers->base + buffers->bytes)
		world_fail("memory outside of the region is named");
	return (uint64_t)(address - buffers->base) / buffers->slice_bytes;
}

void sim_buffers_add(struct sim_buffers *buffers, uint16_t group, void *address, uint32_t bytes,
                     uint16_t id)
{
	struct sim_group *g = &buffers->groups[group];
	uint64_t first = slice_index(buffers, address);
	uint64_t i;

	assert(g->buffers != NULL);
	if (g->published + g->added >= g->entries)
		world_fail("group %u: more buffers are offered than it has entries", group);
	if (bytes % buffers->slice_bytes != 0 ||
	    (uint64_t)((uint8_t *)address - buffers->base) % buffers->slice_bytes != 0)
		world_fail("group %u: a buffer does not lie on slices", group);
	if (g->ids_out[id / 64] >> (id % 64) & 1)
		world_fail("group %u: buffer id %u is offered twice", group, id);
	g->ids_out[id / 64] |= 1ull << (id % 64);
	for (i = first; i < first + bytes / buffers->slice_bytes; i++) {
		struct sim_slice *slice = &buffers->slices[i];

		if (slice->kernels)
			world_fail("slice %llu is offered twice", (unsigned long long)i);
		if (slice->pins > 0)
			world_fail("slice %llu is offered while it is being sent",
			           (unsigned long long)i);
		slice->kernels = true;
		slice->used = 0;
	}
	unpoison(address, bytes);
	memset(address, PATTERN, bytes < PATTERN_BYTES ? bytes : PATTERN_BYTES);
	memset((uint8_t *)address + bytes - PATTERN_BYTES, PATTERN, PATTERN_BYTES);
	poison(address, bytes);
	g->buffers[(g->head + g->published + g->added) % g->entries] =
		(struct sim_buffer){ address, bytes, id };
	g->added++;
}

static bool pattern_is_whole(const uint8_t *bytes, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count && i < PATTERN_BYTES; i++)
		if (bytes[i] != PATTERN || bytes[count - 1 - i] != PATTERN)
			return false;
	return true;
}

bool sim_buffers_empty(const struct sim_buffers *buffers, uint16_t group)
{
	return buffers->groups[group].published == 0;
}

uint32_t sim_buffers_next_bytes(const struct sim_buffers *buffers, uint16_t group)
{
	const struct sim_group *g = &buffers->groups[group];

	assert(g->published > 0);
	return g->buffers[g->head].bytes;
}

bool sim_buffers_take(struct sim_buffers *buffers, uint16_t group, struct sim_buffer *buffer)
{
	struct sim_group *g = &buffers->groups[group];
	uint64_t first, i;

	if (g->published == 0)
		return false;
	*buffer = g->buffers[g->head];
	g->head = (g->head + 1) % g->entries;
	g->published--;
	g->ids_out[buffer->id / 64] &= ~(1ull << (buffer->id % 64));
	first = slice_index(buffers, buffer->address);
	for (i = first; i < first + buffer->bytes / buffers->slice_bytes; i++)
		buffers->slices[i].kernels = false;
	unpoison(buffer->address, buffer->bytes);
	if (!pattern_is_whole(buffer->address, buffer->bytes))
		world_fail("slice %llu was written to while the kernel owned it",
		           (unsigned long long)first);
	if (!world->engine_writes)
		poison(buffer->address, buffer->bytes);
	return true;
}

void sim_buffers_fill(struct sim_buffers *buffers, const struct sim_buffer *buffer,
                      const struct conn *conn, uint32_t used)
{
	uint64_t index = slice_index(buffers, buffer->address);
	uint32_t left = used;

	assert(used <= buffer->bytes);
	unpoison(buffer->address, used);
	conn_fill(conn, buffer->address, used);
	for (; left > 0; index++) {
		uint32_t here = left < buffers->slice_bytes ? left : buffers->slice_bytes;

		buffers->slices[index].used = here;
		left -= here;
	}
}

/* Apply `delta` to each slice that a part of a send touches, all of which was received into. */
static void pin(struct sim_buffers *buffers, const struct iovec *part, int delta, bool anywhere)
{
	uint8_t *address = part->iov_base;
	uint64_t left = part->iov_len;

	if (left == 0)
		world_fail("a part of a send is empty");
	if (anywhere && (address < buffers->base || address >= buffers->base + buffers->bytes))
		return;
	while (left > 0) {
		struct sim_slice *slice = &buffers->slices[slice_index(buffers, address)];
		uint64_t at = (uint64_t)(address - buffers->base) % buffers->slice_bytes;
		uint64_t here = buffers->slice_bytes - at < left ? buffers->slice_bytes - at : left;

		if (slice->kernels)
			world_fail("memory that is offered for receiving is sent");
		if (at + here > slice->used && !world->engine_writes)
			world_fail("memory is sent that nothing was received into");
		slice->pins += (uint32_t)delta;
		address += here;
		left -= here;
	}
}

void sim_buffers_pin(struct sim_buffers *buffers, const struct iovec *part, bool anywhere)
{
	pin(buffers, part, 1, anywhere);
}

void sim_buffers_unpin(struct sim_buffers *buffers, const struct iovec *part, bool anywhere)
{
	pin(buffers, part, -1, anywhere);
}
