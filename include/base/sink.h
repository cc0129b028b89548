/* SPDX-License-Identifier: MIT */
/*
 * sink - lines from many threads to stderr, syslog or a file, without ever making one of them wait.
 *
 *      producer 0 --sink_write()--> [ ring 0 ] --.
 *      producer 1 --sink_write()--> [ ring 1 ] ---+--copy--> [ batch ] --write--> the destination
 *      producer N --sink_write()--> [ ring N ] --'                one of each per sink
 *      '-- a worker each --'                     '------------ one writer thread ------------'
 *
 *      ring     bytes:  free | taken .. oldest line | .. | newest line \n | free
 *                              head (the writer's)                      tail (the producer's)
 *
 * Invariants:
 *   (1) A ring has one producer, which alone moves its tail, and one consumer, which alone moves
 *       its head; 0 <= tail - head <= ring_bytes, both only grow.
 *   (2) Between head and tail there are whole lines: both stand behind a newline.
 *   (3) A batch holds whole lines; the next is not begun before its last byte is out, so lines of
 *       different producers never mix. Lines of one producer stay in order; those of several are
 *       out of order by as long as the writer naps.
 *   (4) lines_written = lines in rings and batch + lines_out (+ lines_lost at the close).
 *   (5) What cannot be written stays, so there is one place where a line is dropped, and counted:
 *       a full ring, in sink_write().
 *
 * sink_write() is a copy of the line. It makes a system call, one futex wake, only
 *   - when the writer sleeps without an end, which it does after a second without a line;
 *   - when the ring is beyond its half while the writer naps.
 * While there are lines the writer naps for 20 ms between its rounds. So a busy proxy makes some 50
 * writes a second per sink, a worker that fills half a ring in less wakes the writer for it, and an
 * idle proxy has a thread that never runs. (Waking for each line would cost the worker a call per
 * request; only polling would cost an idle host 50 wakes a second, and drop lines of a burst.)
 *
 * The writer does not wait for a destination either: pipes, terminals and sockets are written to
 * without blocking, at most 4,096 bytes (whole lines) at a time so that nothing mixes with what
 * others write there; a destination that fails (full disk, no syslog) is tried again once a second.
 * A path that is a FIFO may have no reader yet. Only a write that the kernel itself holds up, such
 * as a dead network disk, stops the thread, and even then sinks_close() returns in time.
 *
 * Use: sinks_open() as root if need be; privileges_drop(); sinks_start(), so that the thread never
 * had privileges; the workers; join the workers; sinks_close(). Files are reopened by the user that
 * is left: a folder that this user cannot write to keeps the old file in use.
 */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stdint.h>

#include "base/assert.h"
#include "base/counter.h"

#define SINK_LINE_MAX 8192u /* newline included */
#define SINK_RING_BYTES (256u << 10)
#define SINK_CLOSE_NS (1000 * 1000 * 1000ull)

struct sinks; /* the writer thread and its sinks */
struct sink;  /* one destination */

struct sinks_options {
	const char *const *targets; /* "stderr", "syslog" or a path; the same twice is one sink */
	uint32_t targets_count;
	uint32_t producers;      /* threads that write: the workers */
	uint32_t ring_bytes;     /* per sink and producer, a power of two; 0: SINK_RING_BYTES */
	uint64_t close_ns;       /* how long the close may take; 0: SINK_CLOSE_NS */
	const char *syslog_path; /* NULL: /dev/log */
};

/* Written by the producer alone. */
struct sink_counts {
	struct counter lines_written; /* into the ring */
	struct counter lines_dropped; /* the ring was full */
};

/* Written by the writer thread alone. */
struct sink_stats {
	struct counter lines_out;      /* reached the destination */
	struct counter writes;         /* system calls that brought bytes there */
	struct counter errors;         /* attempts that failed; a full pipe is none */
	struct counter error;          /* errno of the failure that lasts, 0: none */
	struct counter reopens;        /* answers to sinks_reopen(), failed ones too */
	struct counter reopens_failed; /* the old file stays in use */
};

/* Opens every destination and takes all the memory. Returns 0 or a negative errno, with *failed
 * the target that cannot be opened, or NULL. */
int sinks_open(struct sinks **sinks, const struct sinks_options *options, const char **failed);
/* Start the writer thread. Lines that were written before wait in the rings. */
int sinks_start(struct sinks *sinks);
/* No producer may be left. Writes what it can within close_ns and frees everything, but for what
 * the thread still holds if the kernel does not let go of it. Returns the lines that were lost. */
uint64_t sinks_close(struct sinks *sinks);

/* Open the files again after they were renamed, from any thread: the writer does it soon, and lines
 * that are not out yet go to the new file. */
void sinks_reopen(struct sinks *sinks);

/* The sink of a target of sinks_open(), or NULL. */
struct sink *sinks_find(struct sinks *sinks, const char *target);

/* One line, its newline at its end; from the producer's own thread. False: dropped. */
bool sink_write(struct sink *sink, uint32_t producer, const char *line, uint32_t len);

/* Readable by any thread. */
const struct sink_counts *sink_counts(const struct sink *sink, uint32_t producer);
const struct sink_stats *sink_stats(const struct sink *sink);

/* Take whole lines out of a ring, the oldest first; for the writer, and for a test that runs
 * without one. room >= SINK_LINE_MAX. Returns the bytes. */
uint32_t sink_take(struct sink *sink, uint32_t producer, char *out, uint32_t room);

#endif
