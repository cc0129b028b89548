/* SPDX-License-Identifier: MIT */
/*
 * ring.c - opening a ring, registering what it uses, restricting it, starting it.
 *
 *     ring_open()            disabled: may be opened by root, before privileges are dropped
 *     ring_buffers_open()    provided buffer rings, one per group
 *     ring_register_region() payload memory, for zero-copy sends
 *     ring_enable()          restrictions, then start; from now on one thread owns it
 *
 * io-wq, the kernel's worker threads, is capped to one thread of each kind: an operation that is
 * punted there is a defect on the data path, and the cap keeps a mistake from becoming a storm.
 */
#include "ring_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

static void setup_params(struct io_uring_params *params, const struct ring_options *options)
{
	*params = (struct io_uring_params){
		.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
			 IORING_SETUP_R_DISABLED | IORING_SETUP_NO_SQARRAY |
			 IORING_SETUP_SINGLE_ISSUER,
		.cq_entries = options->cq_entries,
	};
	if (options->wait != RING_WAIT_SQPOLL) {
		params->flags |= IORING_SETUP_DEFER_TASKRUN;
		return;
	}
	params->flags |= IORING_SETUP_SQPOLL;
	params->sq_thread_idle = 50; /* milliseconds before the kernel thread sleeps */
	if (options->sqpoll_cpu >= 0) {
		params->flags |= IORING_SETUP_SQ_AFF;
		params->sq_thread_cpu = (uint32_t)options->sqpoll_cpu;
	}
}

int ring_open(struct ring **out, const struct ring_options *options,
	      const struct ring_features *features)
{
	struct io_uring_params params;
	struct ring *ring;
	int result;

	assert(options->cq_entries >= 2 * options->sq_entries);
	ring = calloc(1, sizeof(*ring));
	if (ring == NULL)
		return -ENOMEM;
	setup_params(&params, options);
	result = io_uring_queue_init_params(options->sq_entries, &ring->uring, &params);
	if (result < 0) {
		free(ring);
		return result;
	}
	ring->wait = options->wait;
	ring->features = *features;
	if ((params.features & RING_FEAT_NO_IOWAIT) && features->no_iowait)
		ring->enter_flags |= RING_ENTER_NO_IOWAIT;
	/* A fork must not share the rings: their memory is one thread's property. */
	io_uring_ring_dontfork(&ring->uring);
	*out = ring;
	return 0;
}

const char *ring_open_remedy(int error)
{
	switch (error) {
	case -ENOSYS:
		return "the kernel or a seccomp filter hides io_uring (container runtimes block it "
		       "by default): allow io_uring_setup, io_uring_enter and io_uring_register in "
		       "the container's seccomp profile";
	case -EPERM:
	case -EACCES:
		return "io_uring is switched off for this user: set the sysctl "
		       "kernel.io_uring_disabled to 0 (or 1 and join kernel.io_uring_group), or "
		       "allow io_uring_setup in the container's seccomp profile";
	case -ENOMEM:
		return "RLIMIT_MEMLOCK is too small for the rings and the buffer region: raise it "
		       "(ulimit -l, LimitMEMLOCK=infinity), or start as root and set user =";
	case -EINVAL:
		return "this kernel's io_uring is too old: 6.12 or later is needed";
	case -EMFILE:
	case -ENFILE:
		return "no descriptor is left for the ring: raise RLIMIT_NOFILE (ulimit -n)";
	default:
		return "see sluice --doctor";
	}
}

void ring_close(struct ring *ring)
{
	uint16_t group;

	if (ring == NULL)
		return;
	for (group = 0; group < RING_GROUPS; group++) {
		struct buffer_group *g = &ring->groups[group];

		if (g->buffers != NULL)
			io_uring_free_buf_ring(&ring->uring, g->buffers, g->entries, group);
	}
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

int ring_buffers_open(struct ring *ring, uint16_t group, uint32_t entries)
{
	struct buffer_group *g = &ring->groups[group];
	int result = 0;

	assert(group < RING_GROUPS);
	assert(g->buffers == NULL);
	assert((entries & (entries - 1)) == 0 && entries > 0);
	g->buffers = io_uring_setup_buf_ring(&ring->uring, entries, group, 0, &result);
	g->entries = entries;
	return g->buffers == NULL ? result : 0;
}

void ring_buffers_add(struct ring *ring, uint16_t group, void *address, uint32_t bytes, uint16_t id)
{
	struct buffer_group *g = &ring->groups[group];

	assert(g->buffers != NULL);
	assert((uint32_t)g->added < g->entries);
	io_uring_buf_ring_add(g->buffers, address, bytes, id, (int)g->entries - 1, g->added);
	g->added++;
}

void ring_buffers_publish(struct ring *ring, uint16_t group)
{
	struct buffer_group *g = &ring->groups[group];

	if (g->added == 0)
		return;
	io_uring_buf_ring_advance(g->buffers, g->added);
	g->added = 0;
}

int ring_register_region(struct ring *ring, void *base, uint64_t bytes)
{
	const uint64_t chunk = 1ull << REGION_CHUNK_SHIFT;
	uint64_t count = (bytes + chunk - 1) / chunk;
	struct iovec *parts;
	uint64_t i;
	int result;

	assert(bytes > 0);
	if (count > REGION_CHUNKS_MAX)
		return -E2BIG;
	parts = calloc(count, sizeof(*parts));
	if (parts == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		parts[i].iov_base = (uint8_t *)base + i * chunk;
		parts[i].iov_len = i + 1 < count ? chunk : bytes - i * chunk;
	}
	result = io_uring_register_buffers(&ring->uring, parts, (unsigned)count);
	free(parts);
	if (result == 0) {
		ring->region = base;
		ring->region_bytes = bytes;
	}
	return result;
}

/* The operations that this folder prepares, and the registrations made after the start. */
static int restrict_operations(struct ring *ring)
{
	static const uint8_t operations[] = {
		IORING_OP_ACCEPT,   IORING_OP_RECV,         IORING_OP_SEND,
		IORING_OP_SENDMSG,  IORING_OP_SEND_ZC,      IORING_OP_SENDMSG_ZC,
		IORING_OP_CONNECT,  IORING_OP_LINK_TIMEOUT, IORING_OP_MSG_RING,
		IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
	};
	struct io_uring_restriction rows[ARRAY_COUNT(operations) + 2];
	unsigned count = 0;
	unsigned i;

	memset(rows, 0, sizeof(rows));
	for (i = 0; i < ARRAY_COUNT(operations); i++) {
		rows[count].opcode = IORING_RESTRICTION_SQE_OP;
		rows[count++].sqe_op = operations[i];
	}
	rows[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	rows[count++].sqe_flags = IOSQE_IO_LINK | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
	rows[count].opcode = IORING_RESTRICTION_REGISTER_OP;
	rows[count++].register_op = IORING_REGISTER_RING_FDS;
	return io_uring_register_restrictions(&ring->uring, rows, count);
}

int ring_enable(struct ring *ring)
{
	unsigned threads_max[2] = { 1, 1 }; /* bounded, unbounded */
	int result;

	assert(!ring->enabled);
	result = io_uring_register_iowq_max_workers(&ring->uring, threads_max);
	if (result < 0)
		return result;
	result = restrict_operations(ring);
	if (result < 0)
		return result;
	result = io_uring_enable_rings(&ring->uring);
	if (result < 0)
		return result;
	/* Saves a descriptor look-up per enter; without it everything works. */
	(void)io_uring_register_ring_fd(&ring->uring);
	ring->enabled = true;
	ring->now_ns = clock_ns();
	return 0;
}

uint64_t ring_memory_bytes(const struct ring_options *options)
{
	return sizeof(struct ring) + (uint64_t)options->sq_entries * sizeof(struct io_uring_sqe) +
	       (uint64_t)options->cq_entries * sizeof(struct io_uring_cqe);
}

struct ring_stats *ring_stats(struct ring *ring)
{
	return &ring->stats;
}

const struct ring_features *ring_features(const struct ring *ring)
{
	return &ring->features;
}

uint64_t ring_now_ns(const struct ring *ring)
{
	return ring->now_ns;
}
