/* SPDX-License-Identifier: MIT */
/*
 * ring_private - the real ring behind ring/ring.h; shared by the files of src/ring only.
 */
#ifndef RING_PRIVATE_H
#define RING_PRIVATE_H

#include <liburing.h>

#include "ring/ring.h"

/* Newer than liburing 2.9's header; the values are kernel ABI. */
#define RING_SEND_VECTORIZED (1U << 5) /* IORING_SEND_VECTORIZED, 6.17 */
#define RING_ENTER_NO_IOWAIT (1U << 7) /* IORING_ENTER_NO_IOWAIT, 6.15 */
#define RING_FEAT_NO_IOWAIT (1U << 17) /* IORING_FEAT_NO_IOWAIT */

/* One registered buffer entry is at most 1 GiB. */
#define REGION_CHUNK_SHIFT 30
#define REGION_CHUNKS_MAX 16384

#define RING_SPIN_NS 50000u

/* Scratch for vectors, headers and timeouts of requests not submitted yet; the kernel copies them
 * at submit, so one submission's worth is enough. */
#define SCRATCH_PARTS 4096
#define SCRATCH_HEADERS 512
#define SCRATCH_TIMES 512

struct buffer_group {
	struct io_uring_buf_ring *buffers;
	uint32_t entries;
	int added; /* since the last publish */
};

struct ring {
	struct io_uring uring;
	/* configuration */
	enum ring_wait wait;
	struct ring_features features;
	uint32_t enter_flags;
	struct buffer_group groups[RING_GROUPS];
	uint8_t *region;
	uint64_t region_bytes;
	bool enabled;
	/* state */
	uint64_t now_ns;
	uint32_t quick_count;     /* sends prepared since the last submit: they complete inline */
	uint32_t delivered_count; /* by the previous turn: is the worker busy? */
	uint32_t parts_used;
	uint32_t headers_used;
	uint32_t times_used;
	struct iovec parts[SCRATCH_PARTS];
	struct msghdr headers[SCRATCH_HEADERS];
	struct __kernel_timespec times[SCRATCH_TIMES];
	struct ring_stats stats;
};

/* Give all prepared requests to the kernel without waiting; the scratch is free again. */
void ring_submit(struct ring *ring);

/* Prepared and not seen by the kernel yet. */
static inline uint32_t ring_prepared(const struct ring *ring)
{
	return io_uring_sq_ready(&ring->uring);
}

#endif
