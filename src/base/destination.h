/* SPDX-License-Identifier: MIT */
/*
 * destination - where a sink's lines go; used by one thread, and never waits for a reader.
 *
 *      target     it is                    written to
 *      PATH       a regular file           O_APPEND, as much as there is at once
 *                 a pipe, a terminal       O_NONBLOCK, whole lines up to 4,096 bytes at once
 *      stderr     a regular file           a duplicate: the offset stays shared
 *                 a pipe, a terminal       opened once more: O_NONBLOCK belongs to the description,
 *                                          which the shell and the log share; where that is not
 *                                          allowed a duplicate, when poll() says there is room
 *                 a socket                 a duplicate, MSG_DONTWAIT
 *      syslog     a socket of its own      a datagram per line, as syslog(3) would send it; which
 *                                          itself may block, and holds a lock then
 */
#ifndef DESTINATION_H
#define DESTINATION_H

#include <stdint.h>
#include <sys/types.h>

#include "base/assert.h"

enum destination_kind {
	DESTINATION_FILE,
	DESTINATION_STREAM, /* pipe, terminal: a description of our own */
	DESTINATION_SHARED, /* the same, of a description that others use and that may block */
	DESTINATION_SOCKET,
	DESTINATION_SYSLOG,
};

struct destination {
	const char *target;
	const char *syslog_path;
	enum destination_kind kind;
	int fd; /* -1: syslog, not connected */
	bool is_path;
};

/* The texts are borrowed. Returns 0 or a negative errno. A syslog that is not there is none: it is
 * connected to at the first line. */
int destination_open(struct destination *destination, const char *target, const char *syslog_path);
void destination_close(struct destination *destination);
/* Open the path again. Returns 0 or a negative errno: the old file stays in use. */
int destination_reopen(struct destination *destination);
/* Write some of these lines. Returns the bytes written, at least one; -EAGAIN: it has no room now;
 * or another negative errno. */
ssize_t destination_write(struct destination *destination, const char *lines, size_t len);

#endif
