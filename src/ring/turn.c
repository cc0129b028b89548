/* SPDX-License-Identifier: MIT */
/*
 * turn.c - one io_uring_enter per turn: submit, wait, deliver.
 *
 * How long to wait is the policy:
 *
 *   balanced    A send that fits its socket completes while it is submitted, so a turn that
 *               submitted Q sends finds Q completions at once and would return with nothing new.
 *               While busy the turn therefore waits for Q + 1 completions, which costs nothing when
 *               more is pending and saves an enter when not. A send that did not fit makes that
 *               count unreachable, so the wait is bounded by GATHER_NS (min_wait): then whatever
 *               is there is delivered.
 *   throughput  the same with Q + 16 and a longer bound: fewer, fuller turns, later answers.
 *   latency     spins RING_SPIN_NS for a completion before it sleeps.
 *   sqpoll      a kernel thread submits; the turn enters only to wake it or to sleep.
 *
 * Busy is what the previous turn delivered: a lone message is never held back.
 */
#include "ring_private.h"

#include <errno.h>

#include "base/clock.h"

#define BUSY_COMPLETIONS 4
#define GATHER_US 40
#define THROUGHPUT_US 50
#define THROUGHPUT_EVENTS 16

static_assert(RING_BUFFER == IORING_CQE_F_BUFFER, "op.h repeats the kernel's flags");
static_assert(RING_MORE == IORING_CQE_F_MORE, "op.h repeats the kernel's flags");
static_assert(RING_NONEMPTY == IORING_CQE_F_SOCK_NONEMPTY, "op.h repeats the kernel's flags");
static_assert(RING_NOTIF == IORING_CQE_F_NOTIF, "op.h repeats the kernel's flags");
static_assert(IORING_CQE_BUFFER_SHIFT == 16, "ring_buffer_id() shifts by it");
static_assert(RING_NOTIF_COPIED == IORING_NOTIF_USAGE_ZC_COPIED, "op.h repeats the flag");

struct wait {
	uint32_t events;
	uint32_t gather_us;   /* after this, one is enough */
	uint64_t deadline_ns; /* 0: do not wait */
};

static uint32_t flush_queue(struct ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;
	uint32_t prepared = sq->sqe_tail - *sq->khead;

	/* SQPOLL reads the tail concurrently; the others at the next enter. */
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	return prepared;
}

static void scratch_reset(struct ring *ring)
{
	ring->parts_used = 0;
	ring->headers_used = 0;
	ring->times_used = 0;
	ring->quick_count = 0;
}

/* Is a system call needed for the kernel to see what was prepared? */
static bool must_enter(const struct ring *ring, uint32_t prepared)
{
	if (ring->wait != RING_WAIT_SQPOLL)
		return prepared > 0;
	atomic_thread_fence(memory_order_seq_cst);
	return (IO_URING_READ_ONCE(*ring->uring.sq.kflags) & IORING_SQ_NEED_WAKEUP) != 0;
}

static int enter(struct ring *ring, uint32_t submit, const struct wait *wait)
{
	struct io_uring_getevents_arg arg = { 0 };
	struct __kernel_timespec until;
	uint32_t flags = ring->enter_flags;
	uint32_t events = 0;

	if (ring->wait == RING_WAIT_SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (ring->uring.int_flags & 1) /* liburing's INT_FLAG_REG_RING */
		flags |= IORING_ENTER_REGISTERED_RING;
	if (wait != NULL) {
		flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_ABS_TIMER;
		events = wait->deadline_ns == 0 ? 0 : wait->events;
		until.tv_sec = (int64_t)(wait->deadline_ns / NS_PER_S);
		until.tv_nsec = (int64_t)(wait->deadline_ns % NS_PER_S);
		if (wait->deadline_ns != UINT64_MAX && events > 0)
			arg.ts = (uint64_t)(uintptr_t)&until;
		arg.min_wait_usec = wait->gather_us;
	}
	counter_add(&ring->stats.enters, 1);
	return io_uring_enter2((unsigned)ring->uring.enter_ring_fd, submit, events, flags,
			       wait != NULL ? (void *)&arg : NULL, wait != NULL ? sizeof(arg) : 0);
}

void ring_submit(struct ring *ring)
{
	uint32_t prepared = flush_queue(ring);
	uint32_t submitted = 0;

	while (must_enter(ring, prepared - submitted)) {
		int result = enter(ring, prepared - submitted, NULL);

		if (ring->wait == RING_WAIT_SQPOLL)
			break;
		if (result > 0)
			submitted += (uint32_t)result;
		else
			counter_add(&ring->stats.enter_retries, 1);
	}
	if (ring->wait == RING_WAIT_SQPOLL) {
		/* The scratch may be overwritten only when the kernel thread has read it. */
		while (io_uring_sq_ready(&ring->uring) > 0)
			(void)enter(ring, 0, NULL);
	}
	counter_add(&ring->stats.submissions, prepared);
	scratch_reset(ring);
}

static uint32_t deliver(struct ring *ring)
{
	struct io_uring_cq *cq = &ring->uring.cq;
	uint32_t head = *cq->khead;
	uint32_t tail = io_uring_smp_load_acquire(cq->ktail);
	uint32_t count = tail - head;
	uint32_t mask = cq->ring_mask;

	for (; head != tail; head++) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & mask];
		struct op *op = (struct op *)(uintptr_t)cqe->user_data;

		if (head + 1 != tail)
			__builtin_prefetch(
				(void *)(uintptr_t)cq->cqes[(head + 1) & mask].user_data);
		if (op == NULL) /* a deadline or a cancellation: its target reports */
			continue;
		assert(op->away);
		if (!(cqe->flags & IORING_CQE_F_MORE))
			op->away = false;
		op->done(op, cqe->res, cqe->flags);
	}
	io_uring_smp_store_release(cq->khead, tail);
	return count;
}

static void choose_wait(const struct ring *ring, uint64_t deadline_ns, struct wait *wait)
{
	*wait = (struct wait){ .events = 1, .deadline_ns = deadline_ns };
	if (!ring->features.min_wait || ring->delivered_count < BUSY_COMPLETIONS)
		return;
	if (ring->wait == RING_WAIT_BALANCED && ring->quick_count > 0) {
		wait->events = ring->quick_count + 1;
		wait->gather_us = GATHER_US;
	} else if (ring->wait == RING_WAIT_THROUGHPUT) {
		wait->events = ring->quick_count + THROUGHPUT_EVENTS;
		wait->gather_us = THROUGHPUT_US;
	}
}

/* Submit, and look for completions without sleeping until one comes or the spin is over. */
static int spin(struct ring *ring, uint32_t *prepared, uint64_t deadline_ns)
{
	const struct wait look = { .deadline_ns = 0 };
	uint64_t until = clock_ns() + RING_SPIN_NS;
	int result;

	if (until > deadline_ns)
		until = deadline_ns;
	do {
		result = enter(ring, *prepared, &look);
		if (result < 0)
			return result;
		*prepared -= (uint32_t)result < *prepared ? (uint32_t)result : *prepared;
	} while (io_uring_cq_ready(&ring->uring) == 0 && clock_ns() < until);
	return 0;
}

static bool enter_error_is_fatal(struct ring *ring, int result)
{
	switch (result) {
	case -ETIME:
		counter_add(&ring->stats.timeouts, 1);
		return false;
	case -EINTR:  /* a signal */
	case -EAGAIN: /* no memory for a request now */
	case -EBUSY:  /* completions overflowed: deliver first */
		counter_add(&ring->stats.enter_retries, 1);
		return false;
	default:
		return result < 0;
	}
}

int ring_turn(struct ring *ring, uint64_t deadline_ns)
{
	uint32_t prepared = flush_queue(ring);
	uint32_t submitted = prepared;
	struct wait wait;
	int result = 0;

	assert(ring->enabled);
	choose_wait(ring, deadline_ns, &wait);
	if (wait.events > 1)
		counter_add(&ring->stats.gathers, 1);
	if (ring->wait == RING_WAIT_LATENCY && deadline_ns != 0)
		result = spin(ring, &prepared, deadline_ns);
	if (result == 0 &&
	    (io_uring_cq_ready(&ring->uring) < wait.events || prepared > 0 || wait.events == 0))
		result = enter(ring, prepared, &wait);
	if (enter_error_is_fatal(ring, result))
		return result;
	/* What the kernel did not take (it stopped at an error) stays queued for the next turn. */
	if (io_uring_sq_ready(&ring->uring) == 0)
		scratch_reset(ring);
	counter_add(&ring->stats.submissions, submitted - io_uring_sq_ready(&ring->uring));
	if (IO_URING_READ_ONCE(*ring->uring.sq.kflags) & IORING_SQ_CQ_OVERFLOW)
		counter_add(&ring->stats.overflows, 1);

	ring->now_ns = clock_ns();
	ring->delivered_count = deliver(ring);
	if (ring->delivered_count > 0)
		counter_add(&ring->stats.wakes, 1);
	counter_add(&ring->stats.completions, ring->delivered_count);
	return (int)ring->delivered_count;
}
