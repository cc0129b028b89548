/* SPDX-License-Identifier: MIT */
/*
 * ring - everything a worker asks of the kernel while it runs: one io_uring, its provided buffers,
 * and the few socket calls that are better made directly.
 *
 *     prepare:  ring_recv() ring_send() ring_connect() ..      nothing reaches the kernel yet
 *     turn:     ring_turn()     one io_uring_enter: submit all, wait, then op->done() for each
 *                               completion
 *
 * Rules:
 *   (1) A ring belongs to the thread that called ring_enable(); before that, to the one that
 *       opened it.
 *   (2) Handlers (op->done) may prepare, but the result is only submitted by the next turn.
 *   (3) Memory named by a prepared request must stay valid until the next turn has submitted it;
 *       payload until the op is home. Vectors and timeouts are copied when prepared.
 *   (4) Nothing here allocates after ring_open(), and nothing is run by a kernel worker thread
 *       (io-wq): operations that always are - shutdown, splice - are made as system calls.
 *
 * This is the only door to liburing, and tests replace the whole of it with a simulated world
 * (tests/sim): time, sockets and completions included. So no layer above may make a system call on
 * a connection, or read a clock, in any other way.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/counter.h"
#include "ring/op.h"
#include "ring/probe.h"

struct ring;

enum ring_wait {
	RING_WAIT_BALANCED,   /* sleep for one event; gather a few while busy */
	RING_WAIT_LATENCY,    /* spin for RING_SPIN_NS before sleeping */
	RING_WAIT_THROUGHPUT, /* gather up to 16 events for at most 50 us */
	RING_WAIT_SQPOLL,     /* a kernel thread submits */
};

struct ring_options {
	uint32_t sq_entries; /* power of two, 64 .. 32768 */
	uint32_t cq_entries; /* power of two, at least twice sq_entries .. 65536 */
	enum ring_wait wait;
	int sqpoll_cpu; /* -1: anywhere */
};

struct ring_stats {
#define STAT(name, text) struct counter name;
#define GAUGE(name, text) struct counter name;
#include "ring/ring_stats.def"
#undef STAT
#undef GAUGE
};

/* --- life ------------------------------------------------------------------------------------ */

/* Made disabled; register everything, then ring_enable() from the thread that will run it.
 * Returns 0 or a negative errno (ENOSYS, EPERM, ENOMEM: see ring_open_remedy()). */
int ring_open(struct ring **ring, const struct ring_options *options,
	      const struct ring_features *features);
/* What usually causes this errno of ring_open(), and what to do: one sentence or two. */
const char *ring_open_remedy(int error);
/* Restrict the ring to the operations of this header and start it. */
int ring_enable(struct ring *ring);
void ring_close(struct ring *ring);

/* Register the payload memory for zero-copy sends. Optional: without it they are plain sends. */
int ring_register_region(struct ring *ring, void *base, uint64_t bytes);

uint64_t ring_memory_bytes(const struct ring_options *options); /* kernel and user memory of one */
struct ring_stats *ring_stats(struct ring *ring);
const struct ring_features *ring_features(const struct ring *ring);

/* --- turns ----------------------------------------------------------------------------------- */

/* Submit what was prepared, wait until something completes or deadline_ns (on ring_now_ns()'s
 * clock; 0: do not wait), deliver. Returns the number of completions delivered, or a negative
 * errno when the ring is beyond use. */
int ring_turn(struct ring *ring, uint64_t deadline_ns);
/* The time at which the latest turn began to deliver. */
uint64_t ring_now_ns(const struct ring *ring);
/* Milliseconds since 1970, now: for people, not for measuring. */
uint64_t ring_wall_ms(const struct ring *ring);
static inline uint64_t ring_now_ms(const struct ring *ring)
{
	return ring_now_ns(ring) / 1000000u;
}

/* --- provided buffers ------------------------------------------------------------------------ */

#define RING_GROUPS 2

/* A shallow queue of buffers that receives of this group take from, oldest first. */
int ring_buffers_open(struct ring *ring, uint16_t group, uint32_t entries);
/* Offer a buffer; the kernel owns it until a completion names its id. Seen by the kernel at
 * ring_buffers_publish(). */
void ring_buffers_add(struct ring *ring, uint16_t group, void *address, uint32_t bytes,
		      uint16_t id);
void ring_buffers_publish(struct ring *ring, uint16_t group);

/* --- requests -------------------------------------------------------------------------------- */

/* Accept connections (close-on-exec, blocking): result is the descriptor. `many`: until it fails,
 * all that come; else one. */
void ring_accept(struct ring *ring, struct op *op, int fd, bool many);

#define RING_RECV_MANY (1u << 0)       /* keep receiving until limit_bytes have come, or an end */
#define RING_RECV_POLL_FIRST (1u << 1) /* nothing is expected yet: do not try before polling */
/* MANY together with POLL_FIRST only on TCP: on unix sockets the kernel (seen on 6.18) then loses
 * an end that was already behind the data when the receive was armed, for good. */

/* Receive into provided buffers of a group. MANY needs the kernel's credit-limited multishot
 * receive (features->recv_credit) and is otherwise taken as one receive. limit_bytes bounds one
 * receive exactly, and a multishot one up to the end of the buffer that reaches it.
 * Result: bytes, 0 at the end, -ENOBUFS when the group is empty, -ECONNRESET .. */
void ring_recv(struct ring *ring, struct op *op, int fd, uint16_t group, uint32_t limit_bytes,
	       uint32_t flags);

/* Send the whole vector (the kernel waits and retries): at most RING_VECTOR_MAX parts. Result: all
 * bytes; fewer, still positive, when it was cut by shutdown, cancel or error; -EPIPE .. */
#define RING_VECTOR_MAX 64
void ring_send(struct ring *ring, struct op *op, int fd, const struct iovec *parts, uint32_t count);
/* The same without copying, for parts in the registered region. One completion with the result and
 * RING_MORE, then one with RING_NOTIF when the memory is free; a failed one may have only one. */
void ring_send_zero_copy(struct ring *ring, struct op *op, int fd, const struct iovec *parts,
			 uint32_t count);

/* Connect within timeout_ns; result 0, -ECANCELED when it took too long, or the error. When
 * `send` is given, the parts are sent as soon as the connection stands, as one linked submission:
 * if connecting fails, send completes with -ECANCELED. */
void ring_connect(struct ring *ring, struct op *op, int fd, const struct sockaddr *address,
		  socklen_t len, uint64_t timeout_ns, struct op *send, const struct iovec *parts,
		  uint32_t count);

/* Ask for an op's end; it completes with -ECANCELED, or with what it had reached. */
void ring_cancel(struct ring *ring, struct op *op);

/* Readiness to read, reported again and again (many completions). */
void ring_poll(struct ring *ring, struct op *op, int fd);

/* A socket's reset or failure, once, while nothing is received from it. Result: poll(2) events, or
 * a negative errno. */
void ring_watch(struct ring *ring, struct op *op, int fd);

/* Deliver `value` to an op of another worker's ring, as a completion with RING_MORE and that
 * result. `target` is permanently away. sent: 0, or -EOVERFLOW, -EBADFD .. when it did not go. */
void ring_post(struct ring *ring, struct op *sent, struct ring *target_ring, struct op *target,
	       int value);

/* --- sockets --------------------------------------------------------------------------------- */

/* A stream socket to connect with, TCP_NODELAY set: descriptor or negative errno. */
int ring_socket_open(struct ring *ring, int family);
/* Half-close: no more will be sent. Direct: the operation would run on a kernel thread. */
void ring_socket_finish(struct ring *ring, int fd);
/* Make every request on it complete, without a reset. */
void ring_socket_stop(struct ring *ring, int fd);
/* Abort: the peer sees a reset (TCP); every request on it completes. */
void ring_socket_abort(struct ring *ring, int fd);
/* Dial from this address; the port is chosen when the destination is known. Returns 0 or a negative
 * errno. */
int ring_socket_bind(struct ring *ring, int fd, const struct sockaddr *address, socklen_t len);
/* The address of our end. Returns 0 or a negative errno. */
int ring_socket_local(struct ring *ring, int fd, struct sockaddr_storage *local, socklen_t *len);
/* The address of the peer. Returns 0 or a negative errno. */
int ring_socket_peer(struct ring *ring, int fd, struct sockaddr_storage *peer, socklen_t *len);
/* Is there anything to be received now? -EAGAIN: nothing, the connection is as it was. 1: bytes, 0:
 * its end, or a negative errno. */
int ring_socket_peek(struct ring *ring, int fd);
/* Only when no op on it is away. */
void ring_socket_close(struct ring *ring, int fd);

/* --- pipes: moving a stream without copying it into user memory ------------------------------ */

/* Readiness to read or to write, once. Result: poll(2) events, or a negative errno. */
void ring_ready(struct ring *ring, struct op *op, int fd, bool to_write);

struct ring_pipe {
	int ends[2];
	uint32_t capacity; /* bytes, as granted */
};

/* Returns 0 or a negative errno; -ENOSYS where there are none (a simulated ring). */
int ring_pipe_open(struct ring *ring, struct ring_pipe *pipe, uint32_t capacity);
void ring_pipe_close(struct ring *ring, struct ring_pipe *pipe);
/* splice(2), direct: as operations they would run on kernel threads. Move at most `bytes` from a
 * socket into the pipe, or from the pipe to a socket. Result: bytes, 0 at the end of the socket,
 * -EAGAIN when it would block, or another negative errno. */
int64_t ring_pipe_fill(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes);
int64_t ring_pipe_drain(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes);
/* Draining would otherwise block the worker. Requests of the ring do not mind. */
void ring_socket_never_block(struct ring *ring, int fd);

#endif
