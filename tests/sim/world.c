/* SPDX-License-Identifier: MIT */
/*
 * world.c - the clock, the events, failing, and the content of streams.
 */
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "socket_sim.h"

struct world *world;

void world_open(uint64_t seed, bool verbose)
{
	assert(world == NULL);
	world = calloc(1, sizeof(*world));
	assert(world != NULL);
	world->seed = seed;
	world->verbose = verbose;
	world->prng.state = mix64(seed + 1);
	world->now_ns = NS_PER_S + prng_below(&world->prng, NS_PER_S);
	world->fds_max = 4096;
	world->fds = calloc(world->fds_max, sizeof(struct sock *));
	assert(world->fds != NULL);
	list_init(&world->conns);
	list_init(&world->socks);
	list_init(&world->peers);
}

static void free_all(struct list *head, size_t node_offset)
{
	struct list *node;

	while ((node = list_take_first(head)) != NULL)
		free((char *)node - node_offset);
}

static void free_kept(void)
{
	struct list *node;

	for (node = world->conns.next; node != &world->conns; node = node->next) {
		struct conn *conn = container_of(node, struct conn, node);

		free(conn->in.kept.at);
		free(conn->out.kept.at);
		free(conn->in_front.bytes.at);
		free(conn->out_front.bytes.at);
	}
}

void world_close(void)
{
	free_kept();
	/* Each of them begins with its node. */
	free_all(&world->conns, 0);
	free_all(&world->socks, 0);
	free_all(&world->peers, 0);
	free(world->events);
	free(world->fds);
	free(world);
	world = NULL;
}

void world_fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "sim: at %.6f s: ", (double)world->now_ns / 1e9);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort(); /* the handler names the seed */
}

void world_trace(const char *format, ...)
{
	va_list arguments;

	printf("%12.6f ", (double)world->now_ns / 1e9);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* --- events ---------------------------------------------------------------------------------- */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(uint32_t a, uint32_t b)
{
	struct event event = world->events[a];

	world->events[a] = world->events[b];
	world->events[b] = event;
}

void world_after(uint64_t after_ns, void (*fire)(void *subject), void *subject)
{
	uint32_t i;

	if (world->events_count == world->events_max) {
		world->events_max = world->events_max == 0 ? 256 : 2 * world->events_max;
		world->events = realloc(world->events, world->events_max * sizeof(struct event));
		assert(world->events != NULL);
	}
	i = world->events_count++;
	world->events[i] = (struct event){ world->now_ns + after_ns, world->events_made++, fire,
		                           subject };
	for (; i > 0 && earlier(&world->events[i], &world->events[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event take_first(void)
{
	struct event first = world->events[0];
	uint32_t i = 0;

	world->events[0] = world->events[--world->events_count];
	for (;;) {
		uint32_t least = i, child;

		for (child = 2 * i + 1; child <= 2 * i + 2 && child < world->events_count; child++)
			if (earlier(&world->events[child], &world->events[least]))
				least = child;
		if (least == i)
			return first;
		swap(i, least);
		i = least;
	}
}

bool world_step(uint64_t until_ns)
{
	struct event event;

	if (world->events_count == 0 || world->events[0].at_ns > until_ns) {
		if (until_ns > world->now_ns)
			world->now_ns = until_ns;
		return false;
	}
	event = take_first();
	if (event.at_ns > world->now_ns)
		world->now_ns = event.at_ns;
	world->events_fired++;
	event.fire(event.subject);
	return true;
}

/* In the C library's place: chance that the engine asks the system for is the seed's too. */
int getentropy(void *bytes, size_t count)
{
	stream_fill(mix64(world->seed) | 1, 0, bytes, count);
	return 0;
}

uint64_t world_delay_ns(void)
{
	if (world_chance(world->faults.late))
		return prng_spread(&world->prng, NS_PER_US, 20 * NS_PER_MS);
	return prng_below(&world->prng, 40 * NS_PER_US);
}

/* --- streams --------------------------------------------------------------------------------- */

static uint64_t stream_word(uint64_t key, uint64_t index)
{
	uint64_t x = (key * 0x9e3779b97f4a7c15ull) ^ (index * 0xff51afd7ed558ccdull);

	return (x ^ (x >> 29)) * 0xc4ceb9fe1a85ec53ull;
}

void stream_fill(uint64_t key, uint64_t offset, uint8_t *bytes, uint64_t count)
{
	while (count > 0) {
		uint64_t word = stream_word(key, offset / 8);
		uint64_t skip = offset % 8;
		uint64_t n = 8 - skip < count ? 8 - skip : count;

		memcpy(bytes, (uint8_t *)&word + skip, n);
		bytes += n;
		offset += n;
		count -= n;
	}
}

bool stream_matches(uint64_t key, uint64_t offset, const uint8_t *bytes, uint64_t count)
{
	world->bytes_verified += count;
	while (count > 0) {
		uint64_t word = stream_word(key, offset / 8);
		uint64_t skip = offset % 8;
		uint64_t n = 8 - skip < count ? 8 - skip : count;

		if (memcmp(bytes, (uint8_t *)&word + skip, n) != 0)
			return false;
		bytes += n;
		offset += n;
		count -= n;
	}
	return true;
}
