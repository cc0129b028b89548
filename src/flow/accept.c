/* SPDX-License-Identifier: MIT */
/*
 * accept.c - from a listening socket to a session, within the limits.
 *
 *   accept = kernel          every worker accepts on sockets of its own (SO_REUSEPORT)
 *            round_robin     worker 0 accepts and posts the descriptors to the workers in turn
 *            least_sessions  .. to the worker with the fewest sessions
 *
 * At the limit nothing is accepted and dropped: connections stay in the backlog. A multishot accept
 * takes all that the backlog holds in one go, so it is only used while there is room for a whole
 * backlog; nearer to the limit each accept is asked for singly. Several workers may each get one
 * more than there is room for; those few are parked, which is as good as the backlog. Only if even
 * the parking places are taken is a connection refused, with a reset, and counted.
 *
 * Of descriptors there are none left (EMFILE): the connection stays in the backlog, and since it
 * would fail again at once, accepting is tried again after a pause.
 */
#include "flow_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- limits ---------------------------------------------------------------------------------- */

static uint32_t listener_max(const struct flow *flow, const struct acceptor *acceptor)
{
	uint32_t max = acceptor->listener->max_sessions;

	return max == 0 || max > flow->shared->sessions_max ? flow->shared->sessions_max : max;
}

/* Sessions that may still be started on this acceptor. */
static uint32_t room_for(const struct flow *flow, const struct acceptor *acceptor)
{
	struct flow_shared *shared = flow->shared;
	uint32_t all = atomic_load_explicit(&shared->sessions_count, memory_order_relaxed);
	uint32_t own = atomic_load_explicit(&shared->listener_counts[acceptor->listener_index],
					    memory_order_relaxed);
	uint32_t max = listener_max(flow, acceptor);
	uint32_t room = all < shared->sessions_max ? shared->sessions_max - all : 0;

	if (own >= max)
		return 0;
	return max - own < room ? max - own : room;
}

/* Count a session in, unless a limit is reached. */
static bool count_in(struct flow *flow, const struct acceptor *acceptor)
{
	struct flow_shared *shared = flow->shared;
	_Atomic uint32_t *own = &shared->listener_counts[acceptor->listener_index];

	if (atomic_fetch_add(&shared->sessions_count, 1) >= shared->sessions_max) {
		atomic_fetch_sub(&shared->sessions_count, 1);
		return false;
	}
	if (atomic_fetch_add(own, 1) >= listener_max(flow, acceptor)) {
		atomic_fetch_sub(own, 1);
		atomic_fetch_sub(&shared->sessions_count, 1);
		return false;
	}
	return true;
}

static void count_worker(struct flow *flow, uint32_t worker, int32_t by)
{
	atomic_fetch_add_explicit(&flow->shared->worker_counts[worker], (uint32_t)by,
				  memory_order_relaxed);
}

static void count_out(struct flow *flow, const struct acceptor *acceptor)
{
	atomic_fetch_sub(&flow->shared->listener_counts[acceptor->listener_index], 1);
	atomic_fetch_sub(&flow->shared->sessions_count, 1);
	count_worker(flow, flow->worker_index, -1);
}

/* --- arming ---------------------------------------------------------------------------------- */

static void look_later(struct flow *flow, uint32_t after_ms)
{
	if (!timer_is_set(&flow->accept_timer))
		wheel_set(&flow->wheel, &flow->accept_timer, flow_now_ms(flow) + after_ms);
}

static void arm(struct acceptor *acceptor)
{
	struct flow *flow = acceptor->flow;
	uint32_t room = room_for(flow, acceptor);

	assert(acceptor->fd >= 0);
	assert(!acceptor->accept.away);
	if (room == 0) {
		if (acceptor->state != ACCEPTOR_PAUSED)
			counter_add(&flow->stats.accept_pauses, 1);
		acceptor->state = ACCEPTOR_PAUSED;
		look_later(flow, ACCEPT_LOOK_MS);
		return;
	}
	acceptor->state = ACCEPTOR_ARMED;
	acceptor->many = room / flow->peers_count > 2 * acceptor->listener->backlog;
	ring_accept(flow->ring, &acceptor->accept, acceptor->fd, acceptor->many);
}

/* Near the limit a multishot accept would take more than there is room for. */
static void check_room(struct acceptor *acceptor)
{
	struct flow *flow = acceptor->flow;

	if (acceptor->accept.away && acceptor->many &&
	    room_for(flow, acceptor) / flow->peers_count <= acceptor->listener->backlog) {
		acceptor->many = false; /* asked once */
		ring_cancel(flow->ring, &acceptor->accept);
	}
}

/* --- handing over ---------------------------------------------------------------------------- */

static uint32_t fewest_sessions(const struct flow *flow)
{
	const _Atomic uint32_t *counts = flow->shared->worker_counts;
	uint32_t best = 0, i;

	for (i = 1; i < flow->peers_count; i++)
		if (atomic_load_explicit(&counts[i], memory_order_relaxed) <
		    atomic_load_explicit(&counts[best], memory_order_relaxed))
			best = i;
	return best;
}

static uint32_t choose_worker(struct flow *flow)
{
	if (flow->conf->proxy.accept == ACCEPT_KERNEL || list_empty(&flow->handovers_free))
		return flow->worker_index;
	if (flow->conf->proxy.accept == ACCEPT_LEAST_SESSIONS)
		return fewest_sessions(flow);
	if (++flow->next_worker >= flow->peers_count)
		flow->next_worker = 0;
	return flow->next_worker;
}

static void refuse(struct flow *flow, int fd)
{
	counter_add(&flow->stats.accept_refused, 1);
	ring_socket_abort(flow->ring, fd);
	ring_socket_close(flow->ring, fd);
}

/* The connection is counted in, for its listener and for this worker. */
static void begin(struct acceptor *acceptor, int fd)
{
	struct flow *flow = acceptor->flow;
	struct session *session;

	if (flow->cut) {
		count_out(flow, acceptor);
		refuse(flow, fd);
		return;
	}
	session = slab_take(flow->shared->sessions);
	assert(session != NULL); /* the slab has as many as the limit allows */
	session_start(flow, acceptor, session, fd);
}

static void on_posted(struct op *op, int result, uint32_t flags)
{
	struct handover *handover = container_of(op, struct handover, sent);
	struct flow *flow = handover->acceptor->flow;

	(void)flags;
	list_push_first(&flow->handovers_free, &handover->link);
	if (result < 0)
		atomic_fetch_sub(&flow->shared->handing_count, 1);
	if (result >= 0) {
		counter_add(&flow->stats.handed_over, 1);
		return;
	}
	counter_add(&flow->stats.handed_back, 1); /* its queue is full, or it is gone */
	count_worker(flow, handover->worker, -1);
	count_worker(flow, flow->worker_index, 1);
	begin(handover->acceptor, handover->fd);
}

static void on_handed(struct op *op, int result, uint32_t flags)
{
	struct acceptor *acceptor = container_of(op, struct acceptor, handed);

	(void)flags;
	assert(result >= 0);
	begin(acceptor, result);
	atomic_fetch_sub(&acceptor->flow->shared->handing_count, 1);
}

/* Counted in for its listener; now for a worker, which begins the session. The worker's count rises
 * before the connection has arrived there, so that a burst is spread too. */
static void hand_out(struct acceptor *acceptor, int fd)
{
	struct flow *flow = acceptor->flow;
	uint32_t worker = choose_worker(flow);
	struct handover *handover;
	struct flow *peer;

	count_worker(flow, worker, 1);
	if (worker == flow->worker_index) {
		begin(acceptor, fd);
		return;
	}
	peer = flow->peers[worker];
	handover = container_of(list_take_first(&flow->handovers_free), struct handover, link);
	handover->acceptor = acceptor;
	handover->worker = worker;
	handover->fd = fd;
	atomic_fetch_add(&flow->shared->handing_count, 1);
	ring_post(flow->ring, &handover->sent, peer->ring, &peer->acceptors[acceptor->index].handed,
		  fd);
}

/* --- serving --------------------------------------------------------------------------------- */

static void serve(struct acceptor *acceptor, int fd)
{
	struct flow *flow = acceptor->flow;

	if (count_in(flow, acceptor)) {
		hand_out(acceptor, fd);
		return;
	}
	if (flow->parked_count == PARKED_MAX || flow->draining) {
		refuse(flow, fd);
		return;
	}
	counter_add(&flow->stats.accept_parked, 1);
	flow->parked[flow->parked_count++] = (struct parked){ acceptor, fd };
	look_later(flow, ACCEPT_LOOK_MS);
}

/* Oldest first, as long as there is room. A session that is refused at once comes back here, so a
 * connection is taken out before it is begun. */
static void serve_parked(struct flow *flow)
{
	uint32_t i = 0;

	while (i < flow->parked_count) {
		struct parked parked = flow->parked[i];

		if (!count_in(flow, parked.acceptor)) {
			i++;
			continue;
		}
		flow->parked_count--;
		memmove(&flow->parked[i], &flow->parked[i + 1],
			(flow->parked_count - i) * sizeof(flow->parked[0]));
		hand_out(parked.acceptor, parked.fd);
	}
	if (flow->parked_count > 0)
		look_later(flow, ACCEPT_LOOK_MS);
}

/* --- accepting ------------------------------------------------------------------------------- */

static void accept_failed(struct acceptor *acceptor, int error)
{
	struct flow *flow = acceptor->flow;

	switch (error) {
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		if (counter_read(&flow->stats.accept_no_descriptor) == 0)
			log_warn(flow->log,
				 "listener %s: no descriptor is left to accept with; "
				 "raise RLIMIT_NOFILE or lower max_sessions",
				 acceptor->listener->name);
		counter_add(&flow->stats.accept_no_descriptor, 1);
		acceptor->state = ACCEPTOR_BACKOFF;
		look_later(flow, ACCEPT_BACKOFF_MS);
		return;
	case -ECANCELED:    /* near the limit: singly from now on */
	case -ECONNABORTED: /* the client was gone before it was accepted */
	case -EINTR:
	case -EAGAIN:
		return;
	default:
		counter_add(&flow->stats.accept_errors, 1);
		acceptor->state = ACCEPTOR_BACKOFF;
		look_later(flow, ACCEPT_BACKOFF_MS);
		return;
	}
}

static void close_door(struct acceptor *acceptor)
{
	assert(!acceptor->accept.away);
	ring_socket_close(acceptor->flow->ring, acceptor->fd);
	acceptor->fd = -1;
	atomic_fetch_sub(&acceptor->flow->shared->handing_count, 1);
}

static void on_accept(struct op *op, int result, uint32_t flags)
{
	struct acceptor *acceptor = container_of(op, struct acceptor, accept);
	struct flow *flow = acceptor->flow;

	(void)flags;
	if (result >= 0) {
		counter_add(&flow->stats.accepts, 1);
		serve(acceptor, result);
	} else if (acceptor->state != ACCEPTOR_STOPPED) {
		accept_failed(acceptor, result);
	}
	if (acceptor->accept.away) {
		check_room(acceptor);
		return;
	}
	if (acceptor->state == ACCEPTOR_STOPPED) {
		close_door(acceptor);
	} else if (acceptor->state == ACCEPTOR_ARMED) {
		arm(acceptor);
	}
}

static void on_accept_timer(struct timer *timer)
{
	struct flow *flow = container_of(timer, struct flow, accept_timer);
	uint32_t i;

	serve_parked(flow);
	for (i = 0; i < flow->acceptors_count; i++) {
		struct acceptor *acceptor = &flow->acceptors[i];

		if (acceptor->state == ACCEPTOR_PAUSED || acceptor->state == ACCEPTOR_BACKOFF)
			arm(acceptor);
	}
}

void acceptor_session_over(struct acceptor *acceptor)
{
	struct flow *flow = acceptor->flow;
	uint32_t i;

	count_out(flow, acceptor);
	if (flow->parked_count > 0)
		serve_parked(flow);
	for (i = 0; i < flow->acceptors_count; i++)
		if (flow->acceptors[i].state == ACCEPTOR_PAUSED)
			arm(&flow->acceptors[i]);
}

/* --- life ------------------------------------------------------------------------------------ */

static void acceptor_init(struct flow *flow, uint32_t index, uint32_t listener_index, int fd)
{
	struct acceptor *acceptor = &flow->acceptors[index];

	*acceptor = (struct acceptor){ .flow = flow,
				       .index = index,
				       .fd = fd,
				       .listener = &flow->conf->listeners[listener_index],
				       .listener_index = listener_index };
	op_init(&acceptor->accept, on_accept);
	op_init(&acceptor->handed, on_handed);
	acceptor->handed.away = true; /* for good: see ring_post() */
	if (fd >= 0)
		atomic_fetch_add(&flow->shared->handing_count, 1);
}

int acceptors_open(struct flow *flow, const int *listen_fds)
{
	const struct conf *conf = flow->conf;
	uint32_t count = 0, i, bind;

	for (i = 0; i < conf->listeners_count; i++)
		count += conf->listeners[i].binds_count;
	flow->acceptors = calloc(count, sizeof(*flow->acceptors));
	if (flow->acceptors == NULL)
		return -ENOMEM;
	for (i = 0; i < conf->listeners_count; i++)
		for (bind = 0; bind < conf->listeners[i].binds_count; bind++) {
			uint32_t index = flow->acceptors_count++;

			acceptor_init(flow, index, i, listen_fds[index]);
		}
	list_init(&flow->handovers_free);
	for (i = 0; i < HANDOVERS_MAX; i++) {
		op_init(&flow->handovers[i].sent, on_posted);
		list_init(&flow->handovers[i].link);
		list_push(&flow->handovers_free, &flow->handovers[i].link);
	}
	timer_init(&flow->accept_timer, on_accept_timer);
	return 0;
}

void acceptors_start(struct flow *flow)
{
	uint32_t i;

	for (i = 0; i < flow->acceptors_count; i++)
		if (flow->acceptors[i].fd >= 0)
			arm(&flow->acceptors[i]);
}

void acceptors_stop(struct flow *flow)
{
	uint32_t i;

	wheel_stop(&flow->wheel, &flow->accept_timer);
	for (i = 0; i < flow->acceptors_count; i++) {
		struct acceptor *acceptor = &flow->acceptors[i];

		if (acceptor->fd < 0)
			continue;
		acceptor->state = ACCEPTOR_STOPPED;
		if (acceptor->accept.away) {
			ring_cancel(flow->ring, &acceptor->accept);
		} else {
			close_door(acceptor);
		}
	}
	for (i = 0; i < flow->parked_count; i++)
		refuse(flow, flow->parked[i].fd);
	flow->parked_count = 0;
}

bool acceptors_home(const struct flow *flow)
{
	uint32_t i;

	for (i = 0; i < flow->acceptors_count; i++)
		if (flow->acceptors[i].fd >= 0)
			return false;
	for (i = 0; i < HANDOVERS_MAX; i++)
		if (flow->handovers[i].sent.away)
			return false;
	return true;
}

bool acceptors_expect(struct flow *flow)
{
	if (flow->conf->proxy.accept == ACCEPT_KERNEL || flow->peers_count == 1 ||
	    atomic_load(&flow->shared->handing_count) == 0)
		return false;
	look_later(flow, ACCEPT_LOOK_MS); /* nobody wakes us when that changes */
	return true;
}

void acceptors_close(struct flow *flow)
{
	free(flow->acceptors);
}
