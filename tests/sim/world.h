/* SPDX-License-Identifier: MIT */
/*
 * world - the simulated host: its clock, its sockets, its network, and the faults it makes.
 *
 *        peers (peer.c)                        the world                      the engine
 *
 *      client --- conn -- sock (fd) <-- request -- ring (ring_sim.c) <-- src/flow
 *      server --- conn -- sock (fd) <-- request --'
 *
 *   event    something that happens at a virtual time; the heap of events is the world's clock.
 *   peer     a client or an origin server beyond the network, with a script of its own.
 *   conn     one TCP connection between a peer and the proxy: a pipe in each direction.
 *   pipe     bytes under way, kept as two counts. The content of a pipe that a peer writes is a
 *            function of the connection's key and the offset, so nothing is stored; what the engine
 *            sends is compared with what the peer of the other connection wrote.
 *   sock     the proxy's end of a conn, a listening socket, or one that is not connected yet.
 *   request  one submitted operation (request_sim.c).
 *
 * Everything is drawn from one generator in one thread, so a seed reproduces a world exactly. A
 * breach of any rule ends in world_fail(), which names the seed.
 *
 * Memory of conns, peers and socks lives until the world ends: events may name them late.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/list.h"
#include "prng.h"

struct request;
struct ring;
struct peer;
struct sock;
struct conn;

/* How often the world does what it may, in 1/1,000. All 0: the kernel at its simplest. */
struct faults {
	uint32_t not_inline;       /* what could complete while it is submitted does so later */
	uint32_t late;             /* a completion takes milliseconds instead of microseconds */
	uint32_t early_end;        /* a multishot request ends although it need not (CQ full) */
	uint32_t overrun;          /* a multishot receive overruns its credit to the buffer's end */
	uint32_t wrong_hint;       /* RING_NONEMPTY is wrong */
	uint32_t end_with_buffer;  /* an end or error names a buffer */
	uint32_t again;            /* a receive fails with EINTR or EAGAIN */
	uint32_t short_send;       /* a send stops early, without an error */
	uint32_t cancel_late;      /* what is cancelled ends by itself soon instead */
	uint32_t zero_copy_copied; /* RING_NOTIF_COPIED */
	uint32_t zero_copy_fails;  /* ENOMEM, with one or two completions */
	uint32_t accept_aborted;   /* ECONNABORTED */
	uint32_t accept_no_fd;     /* EMFILE */
	uint32_t socket_no_fd;     /* EMFILE of ring_socket_open() */
	uint32_t post_fails;       /* EOVERFLOW of ring_post() */
	uint32_t send_breaks;      /* EPIPE or ECONNRESET out of nowhere */
	uint32_t no_port;          /* EADDRNOTAVAIL of a connect */
	uint32_t tiny_pieces;      /* a receive brings a few bytes although there is more */
};

struct event {
	uint64_t at_ns;
	uint64_t order; /* of those at the same time: the earlier made first */
	void (*fire)(void *subject);
	void *subject;
};

struct world {
	uint64_t seed;
	bool verbose;
	bool http; /* its clients and servers speak HTTP */
	bool engine_writes; /* .. into payload memory: heads, and what is behind a PROXY header */
	bool sends_headers; /* of the PROXY protocol, from memory of its own */
	struct prng prng;
	uint64_t now_ns;
	struct faults faults;
	/* events */
	struct event *events; /* a heap */
	uint32_t events_count;
	uint32_t events_max;
	uint64_t events_made;
	uint64_t events_fired;
	/* descriptors: the lowest free number is used, as a kernel does */
	struct sock **fds;
	uint32_t fds_max; /* EMFILE from here on */
	uint32_t fds_used;
	/* everything ever made, for the end */
	struct list conns;
	struct list socks;
	struct list peers;
	uint64_t keys;
	/* the plan's limits, to check against */
	uint32_t window_bytes;
	uint32_t slice_bytes;
	uint64_t bytes_verified;
	/* what was done to the engine */
	uint32_t breaks_made; /* send_breaks, EMFILE of sockets, no_port */
	uint32_t accepted;    /* descriptors that accepts returned */
};

extern struct world *world;

void world_open(uint64_t seed, bool verbose);
void world_close(void);

void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define trace(...)                                \
	do {                                      \
		if (world->verbose)               \
			world_trace(__VA_ARGS__); \
	} while (0)

/* Run `fire` at now + after_ns. */
void world_after(uint64_t after_ns, void (*fire)(void *subject), void *subject);
/* Fire the next event, if it is due by `until_ns`; false: there is none, and now is until_ns. */
bool world_step(uint64_t until_ns);
/* How long something of the kernel takes: usually microseconds. */
uint64_t world_delay_ns(void);

static inline bool world_chance(uint32_t permille)
{
	return permille > 0 && prng_chance(&world->prng, permille);
}

/* The content of a stream. */
void stream_fill(uint64_t key, uint64_t offset, uint8_t *bytes, uint64_t count);
bool stream_matches(uint64_t key, uint64_t offset, const uint8_t *bytes, uint64_t count);

#endif
