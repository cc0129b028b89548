/* SPDX-License-Identifier: MIT */
/*
 * pipe_sim - the simulated world has no pipes, so every stream goes through slices there. Splicing
 * is tested with real sockets (tests/e2e/bulk.py).
 */
#include <errno.h>

#include "ring/ring.h"

int ring_pipe_open(struct ring *ring, struct ring_pipe *pipe, uint32_t capacity)
{
	(void)ring;
	(void)pipe;
	(void)capacity;
	return -ENOSYS;
}

void ring_pipe_close(struct ring *ring, struct ring_pipe *pipe)
{
	(void)ring;
	(void)pipe;
	unreachable();
}

int64_t ring_pipe_fill(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes)
{
	(void)ring;
	(void)pipe;
	(void)fd;
	(void)bytes;
	unreachable();
	return -ENOSYS;
}

int64_t ring_pipe_drain(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes)
{
	return ring_pipe_fill(ring, pipe, fd, bytes);
}

void ring_socket_never_block(struct ring *ring, int fd)
{
	(void)ring;
	(void)fd;
	unreachable();
}

void ring_ready(struct ring *ring, struct op *op, int fd, bool to_write)
{
	(void)ring;
	(void)op;
	(void)fd;
	(void)to_write;
	unreachable();
}
