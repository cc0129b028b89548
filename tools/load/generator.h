/* SPDX-License-Identifier: MIT */
/*
 * generator - one thread that puts load on targets: its connections, its schedule, its tallies.
 *
 *      WARM_UP --> MEASURE --> DRAIN --> OVER
 *
 *   WARM_UP  requests flow, what they measure is thrown away
 *   MEASURE  requests that are due from now on count
 *   DRAIN    nothing more is sent; answers are waited for, up to --drain
 *   OVER     connections are being closed
 *
 * Connections able to take another request stand in one list, served in turn:
 *
 *      closed loop   as soon as a connection is able, it gets its next request
 *      open loop     the schedule's next time is given to the connection that has been able for
 *                    longest; while none is, the schedule falls behind, and the wait counts
 *
 * Requests are sent in batches of a few between two looks at the ring: so the time noted for a
 * send is never far from the send itself.
 *
 * The thread writes one tally at a time, and hands it over each second by way of two rows of
 * slots, without a lock:
 *
 *      thread --full[]--> main thread (adds it up, empties it) --empty[]--> thread
 */
#ifndef LOAD_GENERATOR_H
#define LOAD_GENERATOR_H

#include <stdatomic.h>

#include "arrival.h"
#include "engine.h"
#include "head_reader.h"
#include "plan.h"
#include "tally.h"

enum generator_phase {
	GENERATOR_WARM_UP,
	GENERATOR_MEASURE,
	GENERATOR_DRAIN,
	GENERATOR_OVER,
};

#define TALLIES 4

struct client;

struct generator {
	struct engine engine;
	const struct plan *plan;
	uint32_t index;
	enum generator_phase phase;
	/* connections */
	struct client *clients;
	uint32_t clients_count;
	struct list able;    /* may take a request now */
	struct list waiting; /* to be opened */
	struct alarm opener;
	double open_next_ns;
	double open_gap_ns; /* 0: no limit */
	uint32_t connecting;
	uint32_t open;
	uint32_t alive; /* not closed */
	uint64_t first_number; /* of the connections, over all threads */
	/* schedule */
	struct arrival arrival;
	bool open_loop;
	bool limited; /* by requests_left */
	uint64_t requests_left;
	uint64_t in_flight;
	uint64_t next_id;
	struct draw draw;
	/* time, on the clock of the ring */
	uint64_t start_ns;
	uint64_t measure_ns; /* UINT64_MAX: not yet */
	uint64_t end_ns;     /* of sending */
	struct alarm phase_alarm;
	struct alarm rotate;
	uint64_t able_since_ns;
	/* results */
	struct tally *tally;
	struct tally *tallies[TALLIES];
	_Atomic(struct tally *) full[TALLIES];
	_Atomic(struct tally *) empty[TALLIES];
	uint64_t cpu_begin_ns;
	uint64_t cpu_ns; /* of this thread, while it measured */
	uint64_t measured_ns;
	struct head_reader heads;
	uint64_t connects_good;
	uint64_t connects_bad;
	int connect_error;   /* the latest errno */
	int result;          /* of the ring: negative errno */
	atomic_bool stop;    /* asked for from outside */
	atomic_bool is_over;
};

/* Everything is allocated here. `first` is the number of the first of `connections`. 0 or a
 * negative errno. */
int generator_open(struct generator *generator, const struct plan *plan, uint32_t index,
                   uint64_t first, uint32_t connections, uint64_t requests);
void generator_close(struct generator *generator);
/* The thread's body. */
void generator_run(struct generator *generator, uint64_t start_ns);

/* For the main thread: a tally that was handed over, or NULL; give it back emptied. */
struct tally *generator_take_tally(struct generator *generator);
void generator_give_tally(struct generator *generator, struct tally *tally);

/* --- for clients ----------------------------------------------------------------------------- */

static inline bool generator_sends(const struct generator *generator)
{
	return generator->phase <= GENERATOR_MEASURE &&
	       !(generator->limited && generator->requests_left == 0);
}
static inline uint64_t generator_run_ns(const struct generator *generator)
{
	return engine_now_ns(&generator->engine) - generator->start_ns;
}
/* Open what is waiting, as the limits allow. */
void generator_open_some(struct generator *generator);
/* A request came to its end, or a connection was closed. */
void generator_check_over(struct generator *generator);

#endif
