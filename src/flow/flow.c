/* SPDX-License-Identifier: MIT */
/*
 * flow.c - one worker's flow: opening it, one turn of it, draining, reports.
 */
#include "flow_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/source_limits.h"

bool flow_speaks_http(const struct conf *conf)
{
	uint32_t i;

	for (i = 0; i < conf->listeners_count; i++)
		if (conf->listeners[i].mode == MODE_HTTP)
			return true;
	return false;
}

static uint64_t random_seed(void)
{
	uint64_t seed = 0;

	if (getentropy(&seed, sizeof(seed)) < 0)
		seed = (uint64_t)(uintptr_t)&seed;
	return seed;
}

/* A table of sources for all listeners, as large as sessions can fill. */
static int sources_open(struct flow_shared *shared, const struct conf *conf)
{
	bool wanted = false;
	uint32_t i;

	for (i = 0; i < conf->listeners_count; i++)
		wanted = wanted || conf->listeners[i].source_sessions > 0 ||
			 conf->listeners[i].source_rate > 0;
	if (!wanted)
		return 0;
	shared->sources = source_limits_open(2 * shared->sessions_max, random_seed());
	return shared->sources != NULL ? 0 : -ENOMEM;
}

static int sets_open(struct flow_shared *shared, const struct conf *conf)
{
	shared->sets_count = upstream_servers_total(conf);
	shared->sets = calloc(shared->sets_count, sizeof(*shared->sets));
	if (shared->sets == NULL)
		return -ENOMEM;
	pool_sets_open(shared);
	return 0;
}

static bool sends_prefaces(const struct conf *conf)
{
	uint32_t i;

	for (i = 0; i < conf->upstreams_count; i++)
		if (conf->upstreams[i].send_proxy != SEND_PROXY_OFF)
			return true;
	return false;
}

/* A session that waits for a request has no server connection, so as many as sessions suffice for
 * those in use and those that are idle; and a few for those that are about to end. */
static int conns_open(struct flow_shared *shared, const struct conf *conf)
{
	bool http = flow_speaks_http(conf);
	uint32_t count = shared->sessions_max;
	int result;

	/* From here on idle ones make room. */
	shared->conns_tight = shared->sessions_max - shared->sessions_max / 8;
	if (http)
		count += FLOW_CONNS_SPARE(shared->sessions_max);
	result = slab_open(&shared->conns, count, sizeof(struct server_conn));
	if (result == 0 && sends_prefaces(conf))
		result = slab_open(&shared->prefaces, count, sizeof(struct preface));
	if (result == 0 && http)
		result = slab_open(&shared->exchanges, shared->sessions_max,
				   sizeof(struct exchange));
	return result;
}

int flow_shared_open(struct flow_shared **out, const struct conf *conf, uint32_t max_sessions,
		     uint32_t workers)
{
	struct flow_shared *shared = calloc(1, sizeof(*shared));
	int result;

	if (shared == NULL)
		return -ENOMEM;
	shared->sessions_max = max_sessions;
	shared->workers_count = workers;
	shared->listeners_count = conf->listeners_count;
	shared->queue_lengths = calloc(conf->upstreams_count + 1, sizeof(uint32_t));
	shared->queue_heads =
		calloc((conf->upstreams_count + 1ul) * workers, sizeof(*shared->queue_heads));
	shared->listener_counts = calloc(conf->listeners_count, sizeof(uint32_t));
	shared->worker_counts = calloc(workers, sizeof(uint32_t));
	result = shared->listener_counts == NULL || shared->worker_counts == NULL ||
				 shared->queue_lengths == NULL || shared->queue_heads == NULL ?
			 -ENOMEM :
			 slab_open(&shared->sessions, max_sessions, sizeof(struct session));
	if (result == 0)
		result = sets_open(shared, conf);
	if (result == 0)
		result = sources_open(shared, conf);
	if (result == 0)
		result = upstreams_shared_open(&shared->upstreams, conf, NULL, random_seed());
	if (result == 0)
		result = conns_open(shared, conf);
	if (result < 0) {
		flow_shared_close(shared);
		return result;
	}
	*out = shared;
	return 0;
}

void flow_shared_close(struct flow_shared *shared)
{
	if (shared == NULL)
		return;
	if (shared->sessions != NULL)
		slab_close(shared->sessions);
	pool_sets_close(shared);
	free(shared->sets);
	source_limits_close(shared->sources);
	if (shared->upstreams != NULL)
		upstreams_shared_close(shared->upstreams);
	free((void *)shared->queue_lengths);
	free((void *)shared->queue_heads);
	if (shared->conns != NULL)
		slab_close(shared->conns);
	if (shared->exchanges != NULL)
		slab_close(shared->exchanges);
	if (shared->prefaces != NULL)
		slab_close(shared->prefaces);
	free((void *)shared->listener_counts);
	free((void *)shared->worker_counts);
	free(shared);
}

struct upstreams_shared *flow_shared_upstreams(struct flow_shared *shared)
{
	return shared->upstreams;
}

uint32_t flow_shared_sessions(const struct flow_shared *shared)
{
	return atomic_load_explicit(&shared->sessions_count, memory_order_relaxed);
}

uint64_t flow_shared_bytes(const struct flow_shared *shared)
{
	return slab_bytes(shared->sessions) + slab_bytes(shared->conns) +
	       (shared->sources != NULL ? source_limits_bytes(shared->sources) : 0) +
	       (shared->exchanges != NULL ? slab_bytes(shared->exchanges) : 0) +
	       (shared->prefaces != NULL ? slab_bytes(shared->prefaces) : 0);
}

uint32_t flow_session_bytes(const struct conf *conf)
{
	uint32_t of_conn = sizeof(struct server_conn);

	if (sends_prefaces(conf))
		of_conn += sizeof(struct preface);
	if (!flow_speaks_http(conf))
		return sizeof(struct session) + of_conn;
	return sizeof(struct session) + of_conn + of_conn / 16 + sizeof(struct exchange);
}

static void lists_init(struct flow *flow)
{
	uint32_t i;

	for (i = 0; i < SESSION_STATE_COUNT; i++)
		list_init(&flow->sessions[i]);
	list_init(&flow->fresh);
	list_init(&flow->to_dial);
	list_init(&flow->dirty);
	list_init(&flow->starved);
}

/* What there is one of for each upstream or server. */
static int lists_open(struct flow *flow)
{
	flow->queues = calloc(flow->conf->upstreams_count + 1, sizeof(*flow->queues));
	if (flow->queues == NULL)
		return -ENOMEM;
	queues_open(flow);
	flow->checks_count = checks_wanted(flow);
	flow->checks = calloc(flow->checks_count + 1, check_bytes());
	if (flow->checks == NULL)
		return -ENOMEM;
	checks_init(flow);
	return 0;
}

int flow_open(struct flow **out, const struct flow_options *options)
{
	const struct conf_proxy *proxy = &options->conf->proxy;
	struct flow *flow = calloc(1, sizeof(*flow));
	int result;

	if (flow == NULL)
		return -ENOMEM;
	flow->conf = options->conf;
	flow->shared = options->shared;
	flow->ring = options->ring;
	flow->log = options->log;
	flow->worker_index = options->worker_index;
	flow->access_sinks = options->access_sinks;
	flow->next_worker = options->worker_index;
	flow->window = proxy->session_window;
	flow->window_slices = proxy->session_window / proxy->buffer_size;
	flow->next_id = 1 + ((uint64_t)options->worker_index << 48); /* unique in the process */
	lists_init(flow);
	assert(flow->window_slices >= 1);
	result = slices_open(&flow->slices, flow->ring, options->region, options->region_bytes,
			     proxy->buffer_size, STREAM_SLICE_BYTES);
	if (result == 0)
		result = upstreams_join(&flow->upstreams, flow->shared->upstreams,
					flow->worker_index);
	if (result == 0)
		result = lists_open(flow);
	pipes_open(flow);
	pools_open(flow);
	if (result == 0)
		result = acceptors_open(flow, options->listen_fds);
	if (result < 0) {
		flow_close(flow);
		return result;
	}
	*out = flow;
	return 0;
}

void flow_close(struct flow *flow)
{
	if (flow == NULL)
		return;
	acceptors_close(flow);
	upstreams_close(flow->upstreams);
	free(flow->queues);
	free(flow->checks);
	slices_close(&flow->slices);
	pipes_close(flow);
	free(flow);
}

void flow_set_peers(struct flow *flow, struct flow *const *peers, uint32_t count)
{
	assert(count > 0);
	assert(peers[flow->worker_index] == flow);
	flow->peers = peers;
	flow->peers_count = count;
}

void flow_start(struct flow *flow)
{
	assert(flow->peers_count > 0);
	wheel_init(&flow->wheel, flow_now_ms(flow));
	slices_top_up(&flow->slices, flow->ring);
	acceptors_start(flow);
	checks_start(flow);
}

static void dial_all(struct flow *flow)
{
	struct list *node;

	while ((node = list_take_first(&flow->to_dial)) != NULL)
		session_dial(container_of(node, struct session, dial));
	list_move_all(&flow->to_dial, &flow->fresh);
}

uint64_t flow_turn(struct flow *flow)
{
	uint64_t next_ms;

	(void)wheel_advance(&flow->wheel, flow_now_ms(flow));
	checks_tell(flow); /* a server that went down takes no session along that begins now */
	dial_all(flow);
	relays_flush(flow);
	if (flow->queued_count > 0) {
		queues_serve(flow);
		relays_flush(flow);
	}
	checks_tell(flow);
	relays_feed_starved(flow);
	slices_top_up(&flow->slices, flow->ring);
	counter_set(&flow->stats.slices_free_bytes, slices_home_bytes(&flow->slices));
	counter_set(&flow->stats.slices_used_peak_bytes, flow->slices.held_bytes_peak);
	if (CHECKS_FULL)
		flow_check(flow);
	if (flow_is_over(flow))
		return 0; /* nothing would wake us any more */
	if (!list_empty(&flow->to_dial))
		return 0; /* submit their first receives, and dial right after */
	next_ms = wheel_next_ms(&flow->wheel);
	return next_ms == UINT64_MAX ? UINT64_MAX : next_ms * NS_PER_MS;
}

void flow_drain(struct flow *flow)
{
	if (flow->draining)
		return;
	flow->draining = true;
	acceptors_stop(flow);
	http_drain(flow);
	pools_drain(flow);
	checks_stop(flow);
}

void flow_cut(struct flow *flow, enum close_reason reason)
{
	enum session_state state;

	flow->cut = true;
	for (state = SESSION_PREFACE; state < SESSION_CLOSE; state++)
		while (!list_empty(&flow->sessions[state]))
			session_close(
				container_of(flow->sessions[state].next, struct session, link),
				reason);
}

bool flow_is_over(struct flow *flow)
{
	return flow->draining && counter_read(&flow->stats.sessions) == 0 &&
	       flow->idle_count == 0 && flow->conns_closing == 0 && flow->checks_running == 0 &&
	       acceptors_home(flow) && !acceptors_expect(flow) && !flow->nudge.away;
}

struct flow_stats *flow_stats(struct flow *flow)
{
	return &flow->stats;
}

bool flow_server_row(struct flow *flow, uint32_t index, struct upstream_row *row)
{
	uint32_t i;

	for (i = 0; i < flow->conf->upstreams_count; i++) {
		const struct conf_upstream *upstream = &flow->conf->upstreams[i];

		if (index < upstream->servers_count) {
			row->upstream = upstream;
			row->server = upstream_server(flow->upstreams, upstream, index);
			return true;
		}
		index -= upstream->servers_count;
	}
	return false;
}

static void dump_session(const struct session *session, uint64_t now_ms, FILE *out)
{
	const struct relay *up = &session->relays[SIDE_CLIENT];
	const struct relay *down = &session->relays[SIDE_SERVER];

	fprintf(out,
		"    session=%llu age_ms=%llu client_fd=%d server_fd=%d up=%llu queued=%u "
		"down=%llu queued=%u away=%c%c%c%c%c\n",
		(unsigned long long)session->id, (unsigned long long)(now_ms - session->started_ms),
		session_fd(session, SIDE_CLIENT), session_fd(session, SIDE_SERVER),
		(unsigned long long)up->bytes, up->queued_bytes, (unsigned long long)down->bytes,
		down->queued_bytes, session_connecting(session) ? 'c' : '-',
		relay_receiving(up) ? 'r' : '-', up->send.away ? 's' : '-',
		relay_receiving(down) ? 'r' : '-', down->send.away ? 's' : '-');
}

void flow_dump(struct flow *flow, FILE *out)
{
	enum session_state state;

	fprintf(out, "  worker %u: payload memory held %llu of %llu bytes, starved %llu\n",
		flow->worker_index, (unsigned long long)flow->slices.held_bytes,
		(unsigned long long)slices_bytes(&flow->slices),
		(unsigned long long)counter_read(&flow->stats.starved));
	for (state = SESSION_PREFACE; state < SESSION_STATE_COUNT; state++) {
		const struct list *node = flow->sessions[state].next;
		int shown = 0;

		fprintf(out, "   %s: %u sessions\n", session_state_names[state],
			flow->sessions_count[state]);
		for (; node != &flow->sessions[state] && shown < 5; node = node->next, shown++)
			dump_session(container_of(node, struct session, link), flow_now_ms(flow),
				     out);
	}
}

void flow_check(struct flow *flow)
{
	enum session_state state;
	uint64_t sessions = 0;

	slices_check(&flow->slices);
	for (state = SESSION_PREFACE; state < SESSION_STATE_COUNT; state++) {
		uint32_t count = 0;
		struct list *node;

		for (node = flow->sessions[state].next; node != &flow->sessions[state];
		     node = node->next) {
			struct session *session = container_of(node, struct session, link);

			assert(session->state == state);
			session_check(session);
			relay_check(&session->relays[SIDE_CLIENT]);
			relay_check(&session->relays[SIDE_SERVER]);
			count++;
		}
		assert(count == flow->sessions_count[state]);
		sessions += count;
	}
	assert(sessions == counter_read(&flow->stats.sessions));
}

uint64_t flow_home_bytes(const struct flow *flow)
{
	return slices_home_bytes(&flow->slices);
}

uint64_t flow_region_bytes(const struct flow *flow)
{
	return slices_bytes(&flow->slices);
}
