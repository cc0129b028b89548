/* SPDX-License-Identifier: MIT */
/*
 * request.c - preparing requests: one function per operation of ring/ring.h.
 *
 * Each marks its op as away; turn.c brings it home.
 */
#include "ring_private.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

/* Room for `count` requests that must be submitted together (a link must not be torn apart), and
 * for the scratch of one vector, header and timeout, which must be submitted with them. */
static void reserve(struct ring *ring, uint32_t count)
{
	if (io_uring_sq_space_left(&ring->uring) >= count &&
	    ring->parts_used + RING_VECTOR_MAX <= SCRATCH_PARTS &&
	    ring->headers_used < SCRATCH_HEADERS && ring->times_used < SCRATCH_TIMES)
		return;
	counter_add(&ring->stats.full_queue_submits, 1);
	ring_submit(ring);
	assert(io_uring_sq_space_left(&ring->uring) >= count);
}

static struct io_uring_sqe *prepare(struct ring *ring, struct op *op)
{
	struct io_uring_sqe *sqe;

	if (op != NULL) {
		assert(!op->away);
		assert(op->done != NULL);
		op->away = true;
	}
	if (io_uring_sq_space_left(&ring->uring) == 0)
		reserve(ring, 1);
	sqe = io_uring_get_sqe(&ring->uring);
	assert(sqe != NULL);
	return sqe;
}

void ring_accept(struct ring *ring, struct op *op, int fd, bool many)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	if (many)
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	else
		io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, op);
}

void ring_recv(struct ring *ring, struct op *op, int fd, uint16_t group, uint32_t limit_bytes,
	       uint32_t flags)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	assert(limit_bytes > 0);
	assert(group < RING_GROUPS);
	if ((flags & RING_RECV_MANY) && ring->features.recv_credit) {
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
		sqe->optlen = limit_bytes;
	} else {
		io_uring_prep_recv(sqe, fd, NULL, limit_bytes, 0);
	}
	if (flags & RING_RECV_POLL_FIRST)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = group;
	io_uring_sqe_set_data(sqe, op);
}

/* A copy of the vector that lives until it is submitted. */
static struct iovec *scratch_parts(struct ring *ring, const struct iovec *parts, uint32_t count)
{
	struct iovec *copy;
	uint32_t i;

	assert(count > 0 && count <= RING_VECTOR_MAX);
	assert(ring->parts_used + count <= SCRATCH_PARTS);
	copy = &ring->parts[ring->parts_used];
	ring->parts_used += count;
	for (i = 0; i < count; i++)
		copy[i] = parts[i];
	return copy;
}

static struct msghdr *scratch_header(struct ring *ring, const struct iovec *parts, uint32_t count)
{
	struct msghdr *header;

	assert(ring->headers_used < SCRATCH_HEADERS);
	header = &ring->headers[ring->headers_used++];
	*header = (struct msghdr){ .msg_iov = scratch_parts(ring, parts, count),
				   .msg_iovlen = count };
	return header;
}

/* Room was reserved by the caller. */
static void prepare_send(struct ring *ring, struct op *op, int fd, const struct iovec *parts,
			 uint32_t count)
{
	const int flags = MSG_WAITALL | MSG_NOSIGNAL;
	struct io_uring_sqe *sqe;

	if (count == 1) {
		sqe = prepare(ring, op);
		io_uring_prep_send(sqe, fd, parts[0].iov_base, parts[0].iov_len, flags);
	} else if (ring->features.send_vector) {
		struct iovec *copy = scratch_parts(ring, parts, count);

		sqe = prepare(ring, op);
		io_uring_prep_send(sqe, fd, copy, count, flags);
		sqe->ioprio |= RING_SEND_VECTORIZED;
	} else {
		struct msghdr *header = scratch_header(ring, parts, count);

		sqe = prepare(ring, op);
		io_uring_prep_sendmsg(sqe, fd, header, (unsigned)flags);
	}
	io_uring_sqe_set_data(sqe, op);
	ring->quick_count++;
}

void ring_send(struct ring *ring, struct op *op, int fd, const struct iovec *parts, uint32_t count)
{
	reserve(ring, 1);
	prepare_send(ring, op, fd, parts, count);
}

static uint64_t region_chunk(const struct ring *ring, const void *address)
{
	uint64_t offset = (uint64_t)((const uint8_t *)address - ring->region);

	assert(offset < ring->region_bytes);
	return offset >> REGION_CHUNK_SHIFT;
}

static bool one_chunk(const struct ring *ring, const struct iovec *parts, uint32_t count)
{
	uint64_t chunk = region_chunk(ring, parts[0].iov_base);
	uint32_t i;

	for (i = 1; i < count; i++)
		if (region_chunk(ring, parts[i].iov_base) != chunk)
			return false;
	return true;
}

void ring_send_zero_copy(struct ring *ring, struct op *op, int fd, const struct iovec *parts,
			 uint32_t count)
{
	const int flags = MSG_WAITALL | MSG_NOSIGNAL;
	struct io_uring_sqe *sqe;

	if (ring->region == NULL || !ring->features.zero_copy_report ||
	    (count > 1 && !ring->features.zero_copy_vector) || !one_chunk(ring, parts, count)) {
		ring_send(ring, op, fd, parts, count);
		return;
	}
	reserve(ring, 1);
	if (count == 1) {
		sqe = prepare(ring, op);
		io_uring_prep_send_zc(sqe, fd, parts[0].iov_base, parts[0].iov_len, flags,
				      IORING_SEND_ZC_REPORT_USAGE | IORING_RECVSEND_FIXED_BUF);
	} else {
		struct msghdr *header = scratch_header(ring, parts, count);

		sqe = prepare(ring, op);
		io_uring_prep_sendmsg_zc(sqe, fd, header, (unsigned)flags);
		sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE | IORING_RECVSEND_FIXED_BUF;
	}
	sqe->buf_index = (uint16_t)region_chunk(ring, parts[0].iov_base);
	io_uring_sqe_set_data(sqe, op);
}

void ring_connect(struct ring *ring, struct op *op, int fd, const struct sockaddr *address,
		  socklen_t len, uint64_t timeout_ns, struct op *send, const struct iovec *parts,
		  uint32_t count)
{
	struct __kernel_timespec *timeout;
	struct io_uring_sqe *sqe;

	assert(send == NULL || count == 1 || ring->features.send_vector);
	reserve(ring, 3);
	timeout = &ring->times[ring->times_used++];
	timeout->tv_sec = (int64_t)(timeout_ns / NS_PER_S);
	timeout->tv_nsec = (int64_t)(timeout_ns % NS_PER_S);

	sqe = prepare(ring, op);
	io_uring_prep_connect(sqe, fd, address, len);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data(sqe, op);

	sqe = prepare(ring, NULL);
	io_uring_prep_link_timeout(sqe, timeout, 0);
	io_uring_sqe_set_data(sqe, NULL);
	if (send == NULL)
		return;
	sqe->flags |= IOSQE_IO_LINK;
	prepare_send(ring, send, fd, parts, count);
}

void ring_cancel(struct ring *ring, struct op *op)
{
	struct io_uring_sqe *sqe;

	assert(op->away);
	sqe = prepare(ring, NULL);
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

void ring_poll(struct ring *ring, struct op *op, int fd)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, op);
}

void ring_watch(struct ring *ring, struct op *op, int fd)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_poll_add(sqe, fd, 0); /* errors are always reported */
	io_uring_sqe_set_data(sqe, op);
}

void ring_ready(struct ring *ring, struct op *op, int fd, bool to_write)
{
	struct io_uring_sqe *sqe = prepare(ring, op);

	io_uring_prep_poll_add(sqe, fd, to_write ? POLLOUT : POLLIN | POLLRDHUP);
	io_uring_sqe_set_data(sqe, op);
}

void ring_post(struct ring *ring, struct op *sent, struct ring *target_ring, struct op *target,
	       int value)
{
	struct io_uring_sqe *sqe = prepare(ring, sent);

	assert(target->away);
	assert(target_ring != ring);
	/* The target's descriptor, not the index that its own thread registered it under. */
	io_uring_prep_msg_ring_cqe_flags(sqe, target_ring->uring.ring_fd, (unsigned)value,
					 (uint64_t)(uintptr_t)target, 0, IORING_CQE_F_MORE);
	io_uring_sqe_set_data(sqe, sent);
}
