/* SPDX-License-Identifier: MIT */
/*
 * ring_sim - the second implementation of ring/ring.h, on the simulated world.
 *
 *     ring_recv() ..  -->  prepared  --ring_sim_submit()-->  request (request_sim.c)
 *                                                               |
 *     op->done()  <--ring_turn()--  completions  <--ring_sim_complete()
 *
 * What the real one promises, and no more: requests reach the kernel in the order in which they
 * were prepared; some complete while they are submitted; completions are delivered in the order in
 * which the world made them, a batch at a time; the order between sockets is the generator's.
 *
 * A loop around one ring needs only ring_turn(). A loop around several submits each ring's requests
 * when its flow has had its turn (ring_sim_submit), lets the world run (world_step), and turns a
 * ring when it has completions or its deadline has come.
 */
#ifndef SIM_RING_SIM_H
#define SIM_RING_SIM_H

#include "request_sim.h"
#include "ring/ring.h"
#include "socket_sim.h"

/* How many requests may be prepared before they are submitted early, as by a full queue. */
void ring_sim_set_queue(struct ring *ring, uint32_t entries);
/* The payload memory: from here on the world knows who owns which byte of it. */
void ring_sim_watch(struct ring *ring, uint8_t *base, uint64_t bytes, uint32_t slice_bytes);
void ring_sim_submit(struct ring *ring);
/* Completions that wait for ring_turn(). */
uint32_t ring_sim_ready(const struct ring *ring);
uint64_t ring_sim_turns(const struct ring *ring);
bool ring_sim_has_prepared(const struct ring *ring);

/* For request_sim.c. */
void ring_sim_complete(struct request *request, int result, uint32_t flags);
/* From another ring. */
void ring_sim_message(struct ring *ring, struct op *op, int value);
/* The request that is not over yet, or NULL. */
struct request *ring_sim_find(struct ring *ring, const struct op *op);
bool ring_sim_region_is_registered(const struct ring *ring);

/* buffers_sim.c: the provided buffers of one ring, and who owns the payload memory. */
struct sim_buffer {
	uint8_t *address;
	uint32_t bytes;
	uint16_t id;
};

struct sim_group {
	struct sim_buffer *buffers; /* a ring, oldest first */
	uint32_t entries;
	uint32_t head;
	uint32_t published;
	uint32_t added; /* not published yet */
	uint64_t ids_out[1024]; /* bit per id that the kernel owns */
};

struct sim_buffers {
	struct sim_group groups[RING_GROUPS];
	uint8_t *base;
	uint64_t bytes;
	uint32_t slice_bytes;
	struct sim_slice *slices; /* one per slice_bytes */
};

void sim_buffers_close(struct sim_buffers *buffers);
void sim_buffers_watch(struct sim_buffers *buffers, uint8_t *base, uint64_t bytes,
                       uint32_t slice_bytes);
void sim_buffers_add(struct sim_buffers *buffers, uint16_t group, void *address, uint32_t bytes,
                     uint16_t id);
/* The oldest buffer, now the engine's. False: none is left. */
bool sim_buffers_take(struct sim_buffers *buffers, uint16_t group, struct sim_buffer *buffer);
/* What was received into it: `used` bytes may be read. */
void sim_buffers_fill(struct sim_buffers *buffers, const struct sim_buffer *buffer,
                      const struct conn *conn, uint32_t used);
bool sim_buffers_empty(const struct sim_buffers *buffers, uint16_t group);
uint32_t sim_buffers_next_bytes(const struct sim_buffers *buffers, uint16_t group);
/* A send names these bytes; until sim_buffers_unpin() they must not be offered. `anywhere`: they
 * may lie outside of the payload memory. */
void sim_buffers_pin(struct sim_buffers *buffers, const struct iovec *part, bool anywhere);
void sim_buffers_unpin(struct sim_buffers *buffers, const struct iovec *part, bool anywhere);

struct sim_buffers *ring_sim_buffers(struct ring *ring);

#endif
