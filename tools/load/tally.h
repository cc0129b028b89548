/* SPDX-License-Identifier: MIT */
/*
 * tally - what was counted and timed: by one thread in one interval, or by all in a whole run; the
 * same structure, since a whole is the sum of its parts.
 *
 *   response     from the time a request was meant to be sent to the last byte of its answer: what
 *                a user waits, queueing before the request included (no coordinated omission)
 *   service      from the time it really was sent: what the server and the network took
 *   first byte   from the same time to the first byte of the answer
 *   connect      from the connection's beginning until it stands
 *   lag          how late this program itself sent: after the time was there and a connection free
 *
 * All in nanoseconds, up to a minute; what takes longer counts as that.
 */
#ifndef LOAD_TALLY_H
#define LOAD_TALLY_H

#include "base/histogram.h"

enum tally_time {
	TALLY_RESPONSE,
	TALLY_SERVICE,
	TALLY_FIRST_BYTE,
	TALLY_CONNECT,
	TALLY_LAG,
	TALLY_TIMES,
};
#define TALLY_HIGHEST_NS 60000000000ull
extern const char *const tally_time_names[TALLY_TIMES];

enum fault_phase {
	FAULT_CONNECT,
	FAULT_SEND,
	FAULT_RECEIVE,
	FAULT_PARSE,
	FAULT_VERIFY,
	FAULT_TIMEOUT,
	FAULT_PHASES,
};
extern const char *const fault_phase_names[FAULT_PHASES];

/* One kind of error: its phase, and an errno or a reason. */
struct fault {
	enum fault_phase phase;
	int error;          /* positive errno; 0: see reason */
	const char *reason; /* a constant; NULL: see error */
	uint64_t count;
	uint64_t first_ns; /* since the run began */
	uint64_t last_ns;
};

#define FAULTS_MAX 64
#define STATUS_MAX 600

enum tally_count {
#define STAT(name, text) TALLY_COUNT_##name,
#include "tally_stats.def"
#undef STAT
	TALLY_COUNTS,
};
extern const char *const tally_count_names[TALLY_COUNTS];

/* What a proxy says by itself when it has no server to ask, or one that does not answer. */
#define REFUSED_FIRST 502
#define REFUSED_LAST 504
static_assert(TALLY_COUNT_refused_504 - TALLY_COUNT_refused_502 == REFUSED_LAST - REFUSED_FIRST,
              "refused requests are counted by status, in its order");

struct tally {
	uint64_t counts[TALLY_COUNTS];
	uint64_t statuses[STATUS_MAX];
	struct histogram times[TALLY_TIMES];
	struct fault faults[FAULTS_MAX];
	uint32_t faults_count;
	uint64_t unfinished_oldest_ns;
	uint64_t open; /* connections that stood at the end of the interval */
	uint64_t backlog; /* arrivals that waited then */
	uint64_t begin_ns; /* since the run began */
	uint64_t end_ns;
	bool measured; /* false: warm-up */
};

struct tally *tally_open(void);
void tally_close(struct tally *tally);
void tally_reset(struct tally *tally);
void tally_merge(struct tally *to, const struct tally *from);

static inline void tally_time(struct tally *tally, enum tally_time which, uint64_t ns)
{
	if (!histogram_record(&tally->times[which], ns))
		(void)histogram_record(&tally->times[which], TALLY_HIGHEST_NS);
}
void tally_fault(struct tally *tally, enum fault_phase phase, int error, const char *reason,
                 uint64_t at_ns);
uint64_t tally_faults(const struct tally *tally); /* of all kinds */
uint64_t tally_refused(const struct tally *tally); /* with whatever status */
uint64_t tally_faults_of(const struct tally *tally, enum fault_phase phase);
const char *fault_text(const struct fault *fault);

#define tally_add(tally, name, more) ((tally)->counts[TALLY_COUNT_##name] += (more))
#define tally_get(tally, name) ((tally)->counts[TALLY_COUNT_##name])

#endif
