/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - splice(2) between sockets and a pipe.
 *
 * Pages change owner instead of being copied. The calls are made directly: IORING_OP_SPLICE always
 * runs on a kernel worker thread.
 */
#include "ring_private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int ring_pipe_open(struct ring *ring, struct ring_pipe *pipe, uint32_t capacity)
{
	int granted;

	(void)ring;
	if (pipe2(pipe->ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* Refused beyond fs.pipe-max-size or the user's share: the default size works too. */
	(void)fcntl(pipe->ends[1], F_SETPIPE_SZ, (int)capacity);
	granted = fcntl(pipe->ends[1], F_GETPIPE_SZ);
	pipe->capacity = granted > 0 ? (uint32_t)granted : 65536;
	return 0;
}

void ring_pipe_close(struct ring *ring, struct ring_pipe *pipe)
{
	(void)ring;
	close(pipe->ends[0]);
	close(pipe->ends[1]);
	pipe->ends[0] = pipe->ends[1] = -1;
}

static int64_t move(int from, int to, uint32_t bytes)
{
	ssize_t moved;

	do
		moved = splice(from, NULL, to, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (moved < 0 && errno == EINTR);
	return moved < 0 ? -errno : moved;
}

int64_t ring_pipe_fill(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes)
{
	(void)ring;
	return move(fd, pipe->ends[1], bytes);
}

int64_t ring_pipe_drain(struct ring *ring, struct ring_pipe *pipe, int fd, uint32_t bytes)
{
	(void)ring;
	return move(pipe->ends[0], fd, bytes);
}

void ring_socket_never_block(struct ring *ring, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	(void)ring;
	if (flags >= 0 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
