/* SPDX-License-Identifier: MIT */
/*
 * engine.c - the ring, buffers and turns of engine.h.
 */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "peer.h"

#define SQ_ENTRIES 2048
#define CQ_ENTRIES 32768
#define GROUP 0

static int open_ring(struct engine *engine)
{
	const struct ring_options options = {
		.sq_entries = SQ_ENTRIES,
		.cq_entries = CQ_ENTRIES,
		.wait = RING_WAIT_BALANCED,
		.sqpoll_cpu = -1,
	};
	struct ring_features features;
	int result = ring_probe(&features);

	if (result < 0)
		return result;
	result = ring_open(&engine->ring, &options, &features);
	if (result < 0)
		return result;
	result = ring_buffers_open(engine->ring, GROUP, engine->options.buffers_given);
	if (result == 0)
		result = ring_enable(engine->ring);
	if (result < 0)
		ring_close(engine->ring);
	return result;
}

static int open_buffers(struct engine *engine)
{
	uint32_t count = engine->options.buffers_count;
	uint32_t i;

	engine->memory_bytes = (uint64_t)count * engine->options.buffer_bytes;
	engine->memory = mmap(NULL, engine->memory_bytes, PROT_READ | PROT_WRITE,
	                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	engine->stack = calloc(count, sizeof(*engine->stack));
	if (engine->memory == MAP_FAILED || engine->stack == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		engine->stack[engine->stack_count++] = (uint16_t)(count - 1 - i);
	return 0;
}

int engine_open(struct engine *engine, const struct engine_options *options)
{
	int result;

	assert(options->buffers_count >= options->buffers_given);
	assert(options->buffers_count <= 65536);
	*engine = (struct engine){ .options = *options };
	list_init(&engine->starved);
	alarms_init(&engine->alarms);
	/* Arrivals and delays are microseconds; the default slack is fifty of them. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	result = open_ring(engine);
	if (result < 0)
		return result;
	result = open_buffers(engine);
	if (result < 0)
		engine_close(engine);
	return result;
}

void engine_close(struct engine *engine)
{
	ring_close(engine->ring);
	if (engine->memory != NULL && engine->memory != MAP_FAILED)
		munmap(engine->memory, engine->memory_bytes);
	free(engine->stack);
	alarms_deinit(&engine->alarms);
	*engine = (struct engine){ 0 };
}

uint8_t *engine_take_buffer(struct engine *engine, uint16_t id)
{
	assert(id < engine->options.buffers_count);
	assert(engine->given_count > 0);
	engine->given_count--;
	return engine->memory + (uint64_t)id * engine->options.buffer_bytes;
}

void engine_give_back(struct engine *engine, uint16_t id)
{
	assert(engine->stack_count < engine->options.buffers_count);
	engine->stack[engine->stack_count++] = id;
}

static void top_up(struct engine *engine)
{
	uint32_t bytes = engine->options.buffer_bytes;

	while (engine->given_count < engine->options.buffers_given && engine->stack_count > 0) {
		uint16_t id = engine->stack[--engine->stack_count];

		ring_buffers_add(engine->ring, GROUP, engine->memory + (uint64_t)id * bytes, bytes,
		                 id);
		engine->given_count++;
	}
	ring_buffers_publish(engine->ring, GROUP);
}

/* As many as there are buffers: more would only starve again. */
static void feed_starved(struct engine *engine)
{
	uint32_t left = engine->given_count;

	while (left-- > 0) {
		struct list *link = list_take_first(&engine->starved);

		if (link == NULL)
			return;
		peer_receive(container_of(link, struct peer, starved));
	}
}

int engine_turn(struct engine *engine, uint64_t deadline_ns)
{
	uint64_t next_ns = alarms_next_ns(&engine->alarms);
	int result;

	top_up(engine);
	if (!list_empty(&engine->starved))
		feed_starved(engine);
	if (deadline_ns > 0 && next_ns < deadline_ns)
		deadline_ns = next_ns;
	result = ring_turn(engine->ring, deadline_ns);
	if (result < 0)
		return result;
	alarms_fire(&engine->alarms, engine_now_ns(engine));
	return 0;
}
