/* SPDX-License-Identifier: MIT */
/*
 * sink.c - rings, destinations, the writer thread. The picture is in base/sink.h.
 *
 * The writer's state is a futex word:
 *
 *            20 ms are over, or a ring is beyond half
 *      NAP <------------------------------------------> AWAKE <--------------- IDLE
 *            all that could be written is               |    any line or order   ^
 *                                                       '------------------------'
 *                                                         a second without a line
 *
 * No wake is lost: the producer stores the tail and then loads the state, the writer stores IDLE
 * and then loads the tails, all four sequentially consistent, so one of them sees the other. (A
 * wake that a napping writer misses costs the rest of the nap.)
 */
#include "base/sink.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "destination.h"

#define BATCH_BYTES (64u << 10)
#define NAP_NS (20 * NS_PER_MS)
#define BLOCKED_NAP_NS NS_PER_MS /* a full pipe that is being read */
#define QUIET_NAPS 50            /* naps without a line before the sleep without an end */
#define CLOSE_NAP_NS (2 * NS_PER_MS)
#define CLOSE_GRACE_NS (200 * NS_PER_MS)
#define RETRY_NS NS_PER_S
#define CACHE_LINE 64

static_assert(BATCH_BYTES >= 2 * SINK_LINE_MAX, "a batch has room for a line when it is not full");

enum writer_state { WRITER_AWAKE, WRITER_NAP, WRITER_IDLE };

struct sink_ring {
	/* the producer's */
	_Alignas(CACHE_LINE) _Atomic uint64_t tail;
	uint64_t head_seen; /* at most head */
	char *bytes;
	struct sink_counts counts;
	/* the consumer's */
	_Alignas(CACHE_LINE) _Atomic uint64_t head;
};

struct sink {
	/* configuration */
	struct sinks *sinks;
	char *target;
	struct sink_ring *rings;
	uint32_t producers;
	uint32_t ring_bytes;
	/* state; all but `stuck` is the writer's */
	_Atomic bool stuck; /* the destination takes nothing now: to wake the writer is of no use */
	struct destination destination;
	uint32_t first; /* the producer whose turn it is */
	uint32_t batch_len;
	uint32_t batch_sent;
	uint64_t retry_ns; /* not before */
	struct sink_stats stats;
	char batch[BATCH_BYTES];
};

struct sinks {
	_Alignas(CACHE_LINE) _Atomic uint32_t state; /* enum writer_state */
	_Alignas(CACHE_LINE) _Atomic uint32_t reopens;
	_Atomic uint64_t close_by_ns; /* 0: not closing */
	_Atomic uint32_t ended;
	uint32_t reopens_done;
	uint64_t close_ns;
	uint64_t nap_ns;
	pthread_t thread;
	bool started;
	struct sink **sinks;
	uint32_t count;
};

/* What one look at all the sinks has found. */
struct round {
	bool pending; /* there were lines */
	bool wrote;   /* and some went out */
	bool blocked; /* a destination was full */
	bool more;    /* a batch was full: there may be more lines */
};

/* --- sleeping and waking --------------------------------------------------------------------- */

/* Until *word is not `value`, or the time is over; may return early. ns 0: without an end. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S) };

	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns > 0 ? &time : NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* One of all who want to wake makes the call. */
static void wake(struct sinks *sinks, uint32_t state)
{
	if (state != WRITER_AWAKE &&
	    atomic_compare_exchange_strong(&sinks->state, &state, WRITER_AWAKE))
		futex_wake(&sinks->state);
}

static void wake_for_order(struct sinks *sinks)
{
	if (atomic_exchange(&sinks->state, WRITER_AWAKE) != WRITER_AWAKE)
		futex_wake(&sinks->state);
}

/* --- rings ----------------------------------------------------------------------------------- */

static void copy_in(const struct sink *sink, struct sink_ring *ring, uint64_t tail,
		    const char *line, uint32_t len)
{
	uint32_t at = (uint32_t)tail & (sink->ring_bytes - 1);
	uint32_t to_end = sink->ring_bytes - at;
	uint32_t first = len < to_end ? len : to_end;

	memcpy(ring->bytes + at, line, first);
	memcpy(ring->bytes, line + first, len - first);
}

static void copy_out(const struct sink *sink, const struct sink_ring *ring, uint64_t head,
		     char *out, uint32_t len)
{
	uint32_t at = (uint32_t)head & (sink->ring_bytes - 1);
	uint32_t to_end = sink->ring_bytes - at;
	uint32_t first = len < to_end ? len : to_end;

	memcpy(out, ring->bytes + at, first);
	memcpy(out + first, ring->bytes, len - first);
}

bool sink_write(struct sink *sink, uint32_t producer, const char *line, uint32_t len)
{
	struct sink_ring *ring = &sink->rings[producer];
	uint64_t tail, used;
	uint32_t state;

	assert(producer < sink->producers);
	assert(len > 0 && len <= SINK_LINE_MAX);
	assert(line[len - 1] == '\n');
	assert(!CHECKS_FULL || memchr(line, '\n', len) == line + len - 1);
	tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	used = tail - ring->head_seen + len;
	if (used > sink->ring_bytes / 2) {
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		used = tail - ring->head_seen + len;
	}
	if (used > sink->ring_bytes) {
		counter_add(&ring->counts.lines_dropped, 1);
		return false;
	}
	copy_in(sink, ring, tail, line, len);
	counter_add(&ring->counts.lines_written, 1);
	atomic_store(&ring->tail, tail + len);
	state = atomic_load(&sink->sinks->state);
	if (state == WRITER_IDLE || (state == WRITER_NAP && used > sink->ring_bytes / 2 &&
				     !atomic_load_explicit(&sink->stuck, memory_order_relaxed)))
		wake(sink->sinks, state);
	return true;
}

uint32_t sink_take(struct sink *sink, uint32_t producer, char *out, uint32_t room)
{
	struct sink_ring *ring = &sink->rings[producer];
	uint64_t head, there;
	uint32_t len;

	assert(producer < sink->producers);
	assert(room >= SINK_LINE_MAX);
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	there = atomic_load(&ring->tail) - head;
	assert(there <= sink->ring_bytes);
	len = there < room ? (uint32_t)there : room;
	copy_out(sink, ring, head, out, len);
	if (len < there) {
		const char *last = memrchr(out, '\n', len);

		assert(last != NULL);
		len = (uint32_t)(last - out) + 1;
	}
	assert(len == 0 || out[len - 1] == '\n');
	atomic_store_explicit(&ring->head, head + len, memory_order_release);
	return len;
}

static bool rings_empty(const struct sink *sink)
{
	uint32_t i;

	for (i = 0; i < sink->producers; i++)
		if (atomic_load(&sink->rings[i].tail) !=
		    atomic_load_explicit(&sink->rings[i].head, memory_order_relaxed))
			return false;
	return true;
}

const struct sink_counts *sink_counts(const struct sink *sink, uint32_t producer)
{
	assert(producer < sink->producers);
	return &sink->rings[producer].counts;
}

const struct sink_stats *sink_stats(const struct sink *sink)
{
	return &sink->stats;
}

/* --- the writer ------------------------------------------------------------------------------ */

/* Invariant (3): only when the batch before is out. */
static void gather(struct sink *sink)
{
	uint32_t i;

	assert(sink->batch_sent == sink->batch_len);
	sink->batch_sent = 0;
	sink->batch_len = 0;
	for (i = 0; i < sink->producers && BATCH_BYTES - sink->batch_len >= SINK_LINE_MAX; i++) {
		sink->batch_len += sink_take(sink, sink->first, sink->batch + sink->batch_len,
					     BATCH_BYTES - sink->batch_len);
		sink->first = sink->first + 1 < sink->producers ? sink->first + 1 : 0;
	}
}

static void count_out(struct sink *sink, const char *piece, size_t len)
{
	const char *end = piece + len;
	uint64_t lines = 0;

	for (; (piece = memchr(piece, '\n', (size_t)(end - piece))) != NULL; piece++)
		lines++;
	counter_add(&sink->stats.lines_out, lines);
	counter_add(&sink->stats.writes, 1);
	counter_set(&sink->stats.error, 0);
}

static bool sink_pending(const struct sink *sink)
{
	return sink->batch_sent < sink->batch_len || !rings_empty(sink);
}

/* Write the batch out. False: the destination takes no more now. */
static bool send_batch(struct sink *sink, uint64_t now_ns, struct round *round)
{
	while (sink->batch_sent < sink->batch_len) {
		const char *rest = sink->batch + sink->batch_sent;
		ssize_t sent = destination_write(&sink->destination, rest,
						 sink->batch_len - sink->batch_sent);

		if (sent == -EAGAIN) {
			round->blocked = true;
			return false;
		}
		if (sent < 0) {
			counter_add(&sink->stats.errors, 1);
			counter_set(&sink->stats.error, (uint64_t)-sent);
			sink->retry_ns = now_ns + RETRY_NS;
			return false;
		}
		round->wrote = true;
		count_out(sink, rest, (size_t)sent);
		sink->batch_sent += (uint32_t)sent;
	}
	return true;
}

static void sink_turn(struct sink *sink, uint64_t now_ns, struct round *round)
{
	bool taken;

	if (now_ns < sink->retry_ns) {
		round->pending |= sink_pending(sink);
		return;
	}
	sink->retry_ns = 0;
	if (sink->batch_sent == sink->batch_len)
		gather(sink);
	if (sink->batch_len == 0)
		return;
	round->pending = true;
	taken = send_batch(sink, now_ns, round);
	atomic_store_explicit(&sink->stuck, !taken, memory_order_relaxed);
	round->more |= taken && BATCH_BYTES - sink->batch_len < SINK_LINE_MAX;
}

static struct round one_round(struct sinks *sinks)
{
	struct round round = { .pending = false };
	uint64_t now_ns = clock_ns();
	uint32_t i;

	for (i = 0; i < sinks->count; i++)
		sink_turn(sinks->sinks[i], now_ns, &round);
	return round;
}

static void reopen(struct sink *sink)
{
	if (destination_reopen(&sink->destination) < 0) {
		counter_add(&sink->stats.reopens_failed, 1);
	} else {
		/* A line whose beginning is in the old file is whole in the new one. */
		while (sink->batch_sent > 0 && sink->batch_sent < sink->batch_len &&
		       sink->batch[sink->batch_sent - 1] != '\n')
			sink->batch_sent--;
		sink->retry_ns = 0;
	}
	counter_add(&sink->stats.reopens, 1);
}

static void obey(struct sinks *sinks)
{
	uint32_t wanted = atomic_load(&sinks->reopens);
	uint32_t i;

	if (sinks->reopens_done == wanted)
		return;
	sinks->reopens_done = wanted;
	for (i = 0; i < sinks->count; i++)
		reopen(sinks->sinks[i]);
}

static bool any_pending(const struct sinks *sinks)
{
	uint32_t i;

	for (i = 0; i < sinks->count; i++)
		if (sink_pending(sinks->sinks[i]))
			return true;
	return false;
}

static bool has_order(const struct sinks *sinks)
{
	return atomic_load(&sinks->reopens) != sinks->reopens_done ||
	       atomic_load(&sinks->close_by_ns) != 0;
}

/* Until the time is over, or somebody wakes the writer. */
static void nap(struct sinks *sinks, const struct round *round)
{
	if (!round->blocked)
		sinks->nap_ns = NAP_NS;
	else if (round->wrote)
		sinks->nap_ns = BLOCKED_NAP_NS;
	else if (sinks->nap_ns < NAP_NS)
		sinks->nap_ns *= 2;
	atomic_store(&sinks->state, WRITER_NAP);
	if (!has_order(sinks))
		futex_wait(&sinks->state, WRITER_NAP, sinks->nap_ns);
	atomic_store(&sinks->state, WRITER_AWAKE);
}

/* Until there is a line or an order. */
static void idle(struct sinks *sinks)
{
	atomic_store(&sinks->state, WRITER_IDLE);
	while (!any_pending(sinks) && !has_order(sinks) &&
	       atomic_load(&sinks->state) == WRITER_IDLE)
		futex_wait(&sinks->state, WRITER_IDLE, 0);
	atomic_store(&sinks->state, WRITER_AWAKE);
}

/* The last lines: while there are any, and time, and a destination that does not fail. */
static void write_last(struct sinks *sinks, uint64_t until_ns)
{
	bool hope = true;
	uint32_t i;

	for (i = 0; i < sinks->count; i++)
		sinks->sinks[i]->retry_ns = 0; /* once more */
	while (hope && clock_ns() < until_ns) {
		if (one_round(sinks).more)
			continue;
		hope = false;
		for (i = 0; i < sinks->count; i++)
			hope |= sinks->sinks[i]->retry_ns == 0 && sink_pending(sinks->sinks[i]);
		if (hope)
			futex_wait(&sinks->state, WRITER_AWAKE, CLOSE_NAP_NS);
	}
}

static void *run(void *argument)
{
	struct sinks *sinks = argument;
	uint32_t quiet = 0;

	(void)pthread_setname_np(pthread_self(), "sluice-sinks");
	while (atomic_load(&sinks->close_by_ns) == 0) {
		struct round round;

		obey(sinks);
		round = one_round(sinks);
		quiet = round.pending ? 0 : quiet + 1;
		if (round.more)
			continue;
		if (quiet < QUIET_NAPS)
			nap(sinks, &round);
		else
			idle(sinks);
	}
	obey(sinks);
	write_last(sinks, atomic_load(&sinks->close_by_ns));
	atomic_store(&sinks->ended, 1);
	futex_wake(&sinks->ended);
	return NULL;
}

/* --- opening and closing --------------------------------------------------------------------- */

static void sink_free(struct sink *sink)
{
	uint32_t i;

	if (sink == NULL)
		return;
	for (i = 0; sink->rings != NULL && i < sink->producers; i++)
		free(sink->rings[i].bytes);
	destination_close(&sink->destination);
	free(sink->rings);
	free(sink->target);
	free(sink);
}

/* Zeroed, on cache lines of its own. */
static void *take_aligned(size_t size)
{
	void *memory = NULL;

	size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	if (posix_memalign(&memory, CACHE_LINE, size) != 0)
		return NULL;
	memset(memory, 0, size);
	return memory;
}

static int sink_make(struct sink **out, const struct sinks_options *options, const char *target)
{
	struct sink *sink = take_aligned(sizeof(*sink));
	uint32_t i;

	if (sink == NULL)
		return -ENOMEM;
	*out = sink;
	sink->destination.fd = -1;
	sink->producers = options->producers;
	sink->ring_bytes = options->ring_bytes > 0 ? options->ring_bytes : SINK_RING_BYTES;
	sink->target = strdup(target);
	sink->rings = take_aligned(options->producers * sizeof(*sink->rings));
	if (sink->target == NULL || sink->rings == NULL)
		return -ENOMEM;
	for (i = 0; i < sink->producers; i++) {
		/* Not touched here: its pages come from the node of the producer. */
		sink->rings[i].bytes = calloc(1, sink->ring_bytes);
		if (sink->rings[i].bytes == NULL)
			return -ENOMEM;
	}
	return destination_open(&sink->destination, sink->target,
				options->syslog_path != NULL ? options->syslog_path : "/dev/log");
}

static void sinks_free(struct sinks *sinks)
{
	uint32_t i;

	for (i = 0; i < sinks->count; i++)
		sink_free(sinks->sinks[i]);
	free(sinks->sinks);
	free(sinks);
}

int sinks_open(struct sinks **out, const struct sinks_options *options, const char **failed)
{
	struct sinks *sinks = take_aligned(sizeof(*sinks));
	uint32_t bytes = options->ring_bytes > 0 ? options->ring_bytes : SINK_RING_BYTES;
	uint32_t i;
	int result = 0;

	assert(options->producers > 0);
	assert((bytes & (bytes - 1)) == 0 && bytes >= SINK_LINE_MAX);
	*failed = NULL;
	if (sinks == NULL)
		return -ENOMEM;
	sinks->nap_ns = NAP_NS;
	sinks->close_ns = options->close_ns > 0 ? options->close_ns : SINK_CLOSE_NS;
	sinks->sinks = calloc(options->targets_count + 1, sizeof(*sinks->sinks));
	if (sinks->sinks == NULL)
		result = -ENOMEM;
	for (i = 0; i < options->targets_count && result == 0; i++) {
		struct sink *sink = NULL;

		if (sinks_find(sinks, options->targets[i]) != NULL)
			continue;
		result = sink_make(&sink, options, options->targets[i]);
		if (sink == NULL)
			break;
		sink->sinks = sinks;
		sinks->sinks[sinks->count++] = sink;
		if (result < 0 && result != -ENOMEM)
			*failed = options->targets[i];
	}
	if (result < 0)
		sinks_free(sinks);
	else
		*out = sinks;
	return result;
}

struct sink *sinks_find(struct sinks *sinks, const char *target)
{
	uint32_t i;

	for (i = 0; i < sinks->count; i++)
		if (strcmp(sinks->sinks[i]->target, target) == 0)
			return sinks->sinks[i];
	return NULL;
}

int sinks_start(struct sinks *sinks)
{
	sigset_t all, before;
	int result;

	assert(!sinks->started);
	/* Signals belong to the main thread; a broken pipe is an error like others. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&sinks->thread, NULL, run, sinks);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	sinks->started = result == 0;
	return -result;
}

void sinks_reopen(struct sinks *sinks)
{
	atomic_fetch_add(&sinks->reopens, 1);
	wake_for_order(sinks);
}

static uint64_t lines_lost(const struct sinks *sinks)
{
	uint64_t in = 0, out = 0;
	uint32_t i, producer;

	for (i = 0; i < sinks->count; i++) {
		const struct sink *sink = sinks->sinks[i];

		out += counter_read(&sink->stats.lines_out);
		for (producer = 0; producer < sink->producers; producer++)
			in += counter_read(&sink->rings[producer].counts.lines_written);
	}
	assert(in >= out);
	return in - out;
}

uint64_t sinks_close(struct sinks *sinks)
{
	uint64_t by_ns, now_ns, lost;

	if (sinks == NULL)
		return 0;
	if (sinks->started) {
		by_ns = clock_ns() + sinks->close_ns;
		atomic_store(&sinks->close_by_ns, by_ns);
		wake_for_order(sinks);
		while (atomic_load(&sinks->ended) == 0 &&
		       (now_ns = clock_ns()) < by_ns + CLOSE_GRACE_NS)
			futex_wait(&sinks->ended, 0, by_ns + CLOSE_GRACE_NS - now_ns);
	}
	lost = lines_lost(sinks);
	if (sinks->started && atomic_load(&sinks->ended) == 0) {
		/* The kernel holds the thread in a write: leave it what it uses. */
		pthread_detach(sinks->thread);
		return lost;
	}
	if (sinks->started)
		pthread_join(sinks->thread, NULL);
	sinks_free(sinks);
	return lost;
}
