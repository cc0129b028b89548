/* SPDX-License-Identifier: MIT */
/*
 * flow_private - what the files of src/flow share about one worker's flow.
 */
#ifndef FLOW_PRIVATE_H
#define FLOW_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "check.h"
#include "exchange.h"
#include "flow/flow.h"
#include "http.h"
#include "pool.h"
#include "queue.h"
#include "session.h"
#include "slices.h"
#include "splice.h"
#include "upstream/upstream.h"

struct flow_shared {
	struct slab *sessions;
	struct upstreams_shared *upstreams;
	uint32_t workers_count;
	_Atomic uint32_t *queue_lengths; /* per upstream, over all workers */
	_Atomic uint64_t *queue_heads;   /* per upstream and worker: see queue.h */
	struct slab *conns;              /* connections to servers */
	struct slab *prefaces;           /* NULL: no upstream has send_proxy */
	struct source_limits *sources;   /* NULL: no listener limits them */
	struct slab *exchanges;          /* NULL: no listener speaks http */
	uint32_t conns_tight;            /* when so many are taken, idle ones make room */
	struct pool_set *sets; /* pool = shared: per server, idle connections of all workers */
	uint32_t sets_count;
	pthread_mutex_t sets_lock;
	uint32_t sessions_max;
	uint32_t listeners_count;
	_Atomic uint32_t sessions_count;
	_Atomic uint32_t *listener_counts; /* sessions per listener, over all workers */
	_Atomic uint32_t *worker_counts;   /* sessions per worker, hand-overs under way included */
	/* accept = round_robin, least_sessions: accepting sockets that are open and hand-overs
	 * under way. While there are any, a worker may still be given a connection. */
	_Atomic uint32_t handing_count;
};

/*
 * An acceptor is one bind of one listener, as one worker sees it.
 *
 *   OFF      another worker accepts for this one, or accepting is over.
 *   ARMED    an accept is away.
 *   PAUSED   max_sessions is reached: connections wait in the backlog. Looked at again whenever a
 *            session of this worker ends, and every ACCEPT_LOOK_MS for those of others.
 *   BACKOFF  no descriptor was left: tried again after ACCEPT_BACKOFF_MS.
 *   STOPPED  draining: the accept was asked to end; the socket is closed when it has.
 */
enum acceptor_state {
	ACCEPTOR_OFF,
	ACCEPTOR_ARMED,
	ACCEPTOR_PAUSED,
	ACCEPTOR_BACKOFF,
	ACCEPTOR_STOPPED,
};

struct acceptor {
	struct op accept;
	struct op handed; /* permanently away: other workers post descriptors to it */
	struct flow *flow;
	const struct conf_listener *listener;
	uint32_t listener_index;
	uint32_t index; /* over all binds */
	int fd;
	uint8_t state;
	bool many; /* the accept that is away is multishot */
	uint64_t
		zero_copy_after_ms; /* zero-copy sends to its clients do not pay before this time */
};

/* A descriptor on its way to another worker. */
struct handover {
	struct op sent;
	struct list link;
	struct acceptor *acceptor;
	uint32_t worker;
	int fd;
};

/* Accepted at the limit: as good as in the backlog, but for the descriptor. */
struct parked {
	struct acceptor *acceptor;
	int fd;
};

#define HANDOVERS_MAX 256
#define PARKED_MAX 64
#define ACCEPT_LOOK_MS 50
#define ACCEPT_BACKOFF_MS 100
#define STREAM_SLICE_BYTES (256u * 1024)

struct flow {
	/* configuration */
	const struct conf *conf;
	struct flow_shared *shared;
	struct ring *ring;
	struct log *log;
	struct upstreams *upstreams;
	struct sink *const *access_sinks; /* per listener; NULL: none */
	uint32_t worker_index;
	uint32_t window;        /* bytes */
	uint32_t window_slices; /* the same in small slices */
	struct flow *const *peers;
	uint32_t peers_count;
	/* state */
	bool draining;
	bool cut;             /* sessions were cut: what arrives now is too late */
	uint32_t next_worker; /* accept = round_robin */
	uint64_t next_id;
	uint32_t next_source; /* of an upstream's addresses to dial from */
	struct wheel wheel;
	struct timer accept_timer;
	struct slices slices;
	struct list sessions[SESSION_STATE_COUNT];
	uint32_t sessions_count[SESSION_STATE_COUNT];
	struct list fresh; /* accepted in this turn: dial in the next, bytes may be in hand then */
	struct list to_dial; /* dial at the end of this turn */
	struct list dirty;
	struct list starved;
	struct list *queues; /* per upstream: sessions that wait for a place */
	uint32_t queued_count;
	struct timer queue_timer;
	struct op nudge;      /* to another worker whose turn it is */
	struct op nudged;     /* from one */
	uint32_t nudge_next;  /* whom to nudge when this one is home; NUDGE_NONE */
	struct check *checks;
	uint32_t checks_count;
	uint32_t checks_running;
	struct timer tell_timer;
	struct list idle; /* server connections that nobody uses, newest first */
	uint32_t idle_count;
	uint32_t conns_closing; /* their receives are still away */
	struct timer pool_timer;
	struct list pipes; /* not leased */
	uint32_t pipes_count;
	struct splice_pipe pipe_memory[FLOW_PIPES_MAX];
	struct acceptor *acceptors;
	uint32_t acceptors_count;
	struct parked parked[PARKED_MAX];
	uint32_t parked_count;
	struct list handovers_free;
	struct handover handovers[HANDOVERS_MAX];
	struct flow_stats stats;
	struct http_head head; /* of the head that is being parsed: needed by nobody later */
};

static inline uint64_t flow_now_ms(const struct flow *flow)
{
	return ring_now_ms(flow->ring);
}

/* accept.c */
int acceptors_open(struct flow *flow, const int *listen_fds);
void acceptors_start(struct flow *flow);
void acceptors_stop(struct flow *flow);
bool acceptors_home(const struct flow *flow);
void acceptors_close(struct flow *flow);
/* May another worker still hand over a connection? */
bool acceptors_expect(struct flow *flow);
/* A session of this worker is over: its place is free. */
void acceptor_session_over(struct acceptor *acceptor);

/* relay.c */
void relays_flush(struct flow *flow);
void relays_feed_starved(struct flow *flow);

#endif
