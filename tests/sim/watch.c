/* SPDX-License-Identifier: MIT */
/*
 * watch.c - dials, places, states and queues, looked at as they happen and after every turn.
 */
#include "watch.h"

#include <string.h>

#include "flow/flow_private.h"
#include "front.h"
#include "http_sim.h"
#include "sim.h"

#define WAITING_MAX 1024u
#define DIALS_MAX 4096u
/* A timer fires at most a tick late, and times are whole milliseconds. */
#define TIMER_SLACK_NS ((WHEEL_TICK_MS + 2) * NS_PER_MS)
/* What a worker that is put off, and late completions, may add to a check. */
#define CHECK_SLACK_NS (200 * NS_PER_MS)
/* Within so long every worker knows of a server that went down. */
#define FALLEN_NS (500 * NS_PER_MS)

struct waiting {
	uint64_t id;
	uint64_t since_ns;
};

/* A queue as it was after the worker's last turn. */
struct shadow {
	struct waiting rows[WAITING_MAX];
	uint32_t count;
	bool had_room; /* although somebody waited */
};

struct dial {
	uint64_t id;
	uint32_t upstream;
};

static struct {
	struct sim *sim;
	struct shadow shadows[PLAN_WORKERS_MAX][PLAN_UPSTREAMS_MAX];
	struct dial dials[DIALS_MAX]; /* of this turn */
	uint32_t dials_count;
	/* of each server */
	uint64_t down_since_ns[PLAN_UPSTREAMS_MAX][PLAN_SERVERS_MAX]; /* 0: it is not */
	uint64_t down_last_ns[PLAN_UPSTREAMS_MAX][PLAN_SERVERS_MAX];
	uint64_t killed[PLAN_WORKERS_MAX]; /* sessions closed because their server went down */
	uint64_t lost[PLAN_WORKERS_MAX];   /* .. because no server was up */
	bool all_served;                   /* each upstream had a server that was up */
	/* source_hash, maglev: 1 + the place of the server that a client has */
	uint32_t homes[PLAN_UPSTREAMS_MAX][FRONT_ADDRESSES + 1];
} watch;

void watch_open(struct sim *sim)
{
	memset(&watch, 0, sizeof(watch));
	watch.sim = sim;
}

const struct session *watch_session(const struct op *connect)
{
	if (connect->done != on_connect)
		return NULL;
	return container_of((struct op *)(uintptr_t)connect, struct server_conn, connect)->session;
}

static struct server *server_at(uint32_t upstream, uint32_t place)
{
	struct flow *flow = watch.sim->flows[0];

	return upstream_server(flow->upstreams, &flow->conf->upstreams[upstream], place);
}

static uint32_t place_of(const struct server *server)
{
	return (uint32_t)(server->conf -
			  watch.sim->plan->upstreams[server->upstream_index].servers);
}

/* --- places ---------------------------------------------------------------------------------- */

static bool holds_place(const struct conn *conn)
{
	return conn->sock != NULL && !conn->sock->aborted && !conn->sock->stopped &&
	       (!conn->http || http_origin_is_busy(conn->peer));
}

/* Rule (1). */
static void check_places(const struct origin *origin)
{
	const struct list *node;
	uint32_t count = 0;

	if (origin->conf->max_sessions == 0)
		return;
	for (node = world->conns.next; node != &world->conns; node = node->next) {
		const struct conn *conn = container_of(node, struct conn, node);

		count += conn->origin == origin && holds_place(conn);
	}
	if (count > origin->conf->max_sessions)
		world_fail("origin %u has %u sessions, and may have %u", origin->number, count,
			   origin->conf->max_sessions);
}

void watch_connected(const struct server *server, const struct conn *conn)
{
	if (server->conf != conn->origin->conf)
		world_fail("conn %llx: it stands at another server than the session's",
			   (unsigned long long)conn->key);
	check_places(conn->origin);
}

void watch_request(const struct conn *conn)
{
	check_places(conn->origin);
}

/* --- dials ----------------------------------------------------------------------------------- */

/* How long checks may need to find out that a server is down. */
static uint64_t checks_need_ns(const struct conf_upstream *upstream)
{
	const uint64_t interval_ns = upstream->health_interval_ns + TIMER_SLACK_NS;
	const uint64_t check_ns = upstream->health_timeout_ns + TIMER_SLACK_NS + CHECK_SLACK_NS;

	/* One may just have passed; then the next follows after a whole interval, give or take a
	 * tenth, and those behind it come faster. */
	return (upstream->health_fall + 1) * (interval_ns + interval_ns / 10 + check_ns);
}

static bool checks_are_sure(const struct sim *sim)
{
	return sim->drained_ns == 0 && sim->plan->faults.socket_no_fd == 0 &&
	       sim->plan->faults.no_port == 0 && sim->plan->fds_max >= 4096;
}

static void check_truth(const struct origin *origin)
{
	const struct conf_upstream *upstream = origin->upstream;

	if (upstream->health == PROBE_OFF || !origin_is_down(origin) || !checks_are_sure(watch.sim))
		return;
	if (world->now_ns - origin->mood_ns > checks_need_ns(upstream))
		world_fail("origin %u has been down for %llu ms, and is dialled", origin->number,
			   (unsigned long long)((world->now_ns - origin->mood_ns) / NS_PER_MS));
}

/* Rule (2), as the engine sees it. */
static void check_state(const struct session *session)
{
	const struct conf_upstream *upstream = session->upstream;
	uint32_t i;

	if (server_state(session->server) != SERVER_UP)
		world_fail("server %s is dialled, and is not up", session->server->conf->name);
	for (i = 0; session->server->conf->is_backup && i < upstream->servers_count; i++)
		if (!upstream->servers[i].is_backup &&
		    server_state(server_at(upstream->index, i)) == SERVER_UP)
			world_fail("a backup is dialled while server %s is up",
				   upstream->servers[i].name);
}

static bool is_steady(const struct conf_upstream *upstream)
{
	uint32_t i;

	for (i = 0; i < upstream->servers_count; i++)
		if (upstream->servers[i].max_sessions > 0)
			return false;
	return upstream->health == PROBE_OFF && upstream->eject_after == 0;
}

/* Rule (6). */
static void check_home(const struct session *session, const struct conn *client)
{
	const struct conf_upstream *upstream = session->upstream;
	uint32_t *home = &watch.homes[upstream->index][front_number(&client->source)];
	const uint32_t place = 1 + place_of(session->server);

	if ((upstream->balance != BALANCE_SOURCE_HASH && upstream->balance != BALANCE_MAGLEV) ||
	    session->tries > 1 || !is_steady(upstream))
		return;
	if (*home != 0 && *home != place)
		world_fail("conn %llx: its source was at another server before",
			   (unsigned long long)client->key);
	*home = place;
}

void watch_dial(const struct session *session, uint16_t number)
{
	struct conn *client = sock_of(session->client.fd)->conn;
	const struct origin *origin = origin_find(number);

	front_reaches(client);
	if (origin->conf != session->server->conf)
		world_fail("a session dials another server than its own");
	check_state(session);
	check_truth(origin);
	check_home(session, client);
	client->dialled_ns = world->now_ns;
	client->dialled = origin;
	assert(watch.dials_count < DIALS_MAX);
	watch.dials[watch.dials_count++] = (struct dial){ session->id, session->upstream->index };
}

/* --- queues ---------------------------------------------------------------------------------- */

/* The queue as it is; its length. */
static uint32_t read_queue(const struct flow *flow, uint32_t upstream,
			   struct waiting rows[WAITING_MAX])
{
	const struct list *queue = &flow->queues[upstream];
	const struct list *node;
	uint32_t count = 0;

	for (node = queue->next; node != queue; node = node->next) {
		const struct session *session = container_of(node, struct session, dial);

		assert(count < WAITING_MAX);
		if (!session->queued || session->state != SESSION_CONNECT)
			world_fail("session %llu is in a queue, and does not wait",
				   (unsigned long long)session->id);
		rows[count++] = (struct waiting){ session->id, ring_now_ns(flow->ring) };
	}
	return count;
}

static const struct waiting *find(const struct waiting *rows, uint32_t count, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (rows[i].id == id)
			return &rows[i];
	return NULL;
}

static bool was_dialled(uint64_t id)
{
	uint32_t i;

	for (i = 0; i < watch.dials_count; i++)
		if (watch.dials[i].id == id)
			return true;
	return false;
}

/* Those that took a connection which stood already are found at work. */
static void note_reused(const struct flow *flow)
{
	const struct list *list = &flow->sessions[SESSION_RELAY];
	const struct list *node;

	for (node = list->next; node != list; node = node->next) {
		const struct session *session = container_of(node, struct session, link);
		const struct exchange *exchange = session->exchange;

		if (exchange == NULL || session->conn == NULL || session->conn->requests < 2 ||
		    exchange->connected_ns != ring_now_ns(flow->ring) || was_dialled(session->id))
			continue;
		assert(watch.dials_count < DIALS_MAX);
		watch.dials[watch.dials_count++] =
			(struct dial){ session->id, session->upstream->index };
	}
}

/* Those that waited before keep their order, in front of those that came. */
static void check_order(const struct shadow *before, const struct waiting *rows, uint32_t count)
{
	const struct waiting *last = NULL;
	bool came = false;
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct waiting *row = find(before->rows, before->count, rows[i].id);

		if (row == NULL) {
			came = true;
			continue;
		}
		if (came || (last != NULL && row < last))
			world_fail("session %llu lost its place in the queue",
				   (unsigned long long)row->id);
		last = row;
	}
}

static void check_overtaking(const struct shadow *before, const struct waiting *rows,
			     uint32_t count, uint32_t upstream)
{
	const struct waiting *first = NULL; /* of those that waited and still do */
	uint32_t i;

	for (i = 0; i < before->count && first == NULL; i++)
		if (find(rows, count, before->rows[i].id) != NULL)
			first = &before->rows[i];
	for (i = 0; i < watch.dials_count && first != NULL; i++) {
		const struct waiting *row = find(before->rows, before->count, watch.dials[i].id);

		if (watch.dials[i].upstream == upstream && (row == NULL || row > first))
			world_fail("session %llu is dialled before session %llu, which waits",
				   (unsigned long long)watch.dials[i].id,
				   (unsigned long long)first->id);
	}
}

static bool has_room(uint32_t upstream)
{
	const struct conf_upstream *conf = &watch.sim->plan->upstreams[upstream];
	bool usual_up = false, room[2] = { false, false };
	uint32_t i;

	for (i = 0; i < conf->servers_count; i++) {
		const struct server *server = server_at(upstream, i);
		const struct conf_server *row = &conf->servers[i];

		if (server_state(server) != SERVER_UP)
			continue;
		usual_up = usual_up || !row->is_backup;
		room[row->is_backup] = room[row->is_backup] || row->max_sessions == 0 ||
				       server_sessions(server) < row->max_sessions;
	}
	return room[usual_up ? 0 : 1];
}

/* One worker alone gives a place in its next turn at the latest; with others it may be unlucky. */
static void check_room(struct shadow *before, const struct waiting *rows, uint32_t count,
		       uint32_t upstream)
{
	const bool room = count > 0 && has_room(upstream);

	if (room && before->had_room && watch.sim->plan->workers == 1 &&
	    rows[0].id == before->rows[0].id)
		world_fail("session %llu waits although there is room",
			   (unsigned long long)rows[0].id);
	before->had_room = room;
}

static void check_waiting(const struct shadow *before, struct waiting *rows, uint32_t count,
			  const struct conf_upstream *upstream)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct waiting *row = find(before->rows, before->count, rows[i].id);
		const uint64_t now_ns = rows[i].since_ns;

		if (row != NULL)
			rows[i].since_ns = row->since_ns;
		if (now_ns - rows[i].since_ns > upstream->queue_timeout_ns + TIMER_SLACK_NS)
			world_fail("session %llu waits for longer than queue_timeout",
				   (unsigned long long)rows[i].id);
	}
}

/* Rule (3). */
static void check_queue(uint32_t worker, uint32_t upstream)
{
	static struct waiting rows[WAITING_MAX];
	const struct flow *flow = watch.sim->flows[worker];
	struct shadow *shadow = &watch.shadows[worker][upstream];
	uint32_t count = read_queue(flow, upstream, rows);

	if (count == 0 && shadow->count == 0)
		return;
	check_order(shadow, rows, count);
	check_overtaking(shadow, rows, count, upstream);
	check_waiting(shadow, rows, count, &flow->conf->upstreams[upstream]);
	check_room(shadow, rows, count, upstream);
	memcpy(shadow->rows, rows, count * sizeof(rows[0]));
	shadow->count = count;
}

static void check_lengths(void)
{
	const struct sim *sim = watch.sim;
	uint32_t upstream, worker;

	for (upstream = 0; upstream < sim->plan->conf.upstreams_count; upstream++) {
		uint32_t count = 0;

		for (worker = 0; worker < sim->plan->workers; worker++)
			count += watch.shadows[worker][upstream].count;
		if (count > sim->plan->upstreams[upstream].queue)
			world_fail("%u sessions wait for upstream %u, and %u may", count, upstream,
				   sim->plan->upstreams[upstream].queue);
	}
}

/* --- states ---------------------------------------------------------------------------------- */

/* Rule (5), and when servers were down. True: one is up. */
static bool check_states(uint32_t upstream)
{
	const struct conf_upstream *conf = &watch.sim->plan->upstreams[upstream];
	uint32_t up = 0, ejected = 0, i;

	for (i = 0; i < conf->servers_count; i++) {
		const enum server_state state = server_state(server_at(upstream, i));
		uint64_t *since_ns = &watch.down_since_ns[upstream][i];

		up += state == SERVER_UP;
		ejected += state == SERVER_EJECTED;
		if (state != SERVER_DOWN) {
			*since_ns = 0;
			continue;
		}
		watch.down_last_ns[upstream][i] = world->now_ns;
		if (*since_ns == 0)
			*since_ns = world->now_ns;
	}
	if (ejected > up)
		world_fail("%u servers of upstream %u are ejected, and %u are up", ejected,
			   upstream, up);
	return up > 0;
}

/* Before this turn and after it there was a server for everybody. */
static void check_lost(uint32_t worker, bool all_served)
{
	const struct flow *flow = watch.sim->flows[worker];
	const uint64_t lost = counter_read(&flow->stats.closes[CLOSE_NO_SERVER]);

	if (lost > watch.lost[worker] && watch.all_served && all_served)
		world_fail("a session found no server, and one was up");
	watch.lost[worker] = lost;
	watch.all_served = all_served;
}

/* Its server is down, and it must have ended. */
static bool is_left_over(const struct session *session, uint64_t for_ns)
{
	const struct server *server = session->server;
	uint64_t since_ns;

	if (session->conn == NULL || session->upstream->on_down != ON_DOWN_CLOSE)
		return false;
	since_ns = watch.down_since_ns[server->upstream_index][place_of(server)];
	return since_ns != 0 && world->now_ns - since_ns >= for_ns;
}

static void check_left_over(const struct flow *flow, uint64_t for_ns)
{
	enum session_state state;
	const struct list *node;

	for (state = SESSION_CONNECT; state <= SESSION_RELAY; state++)
		for (node = flow->sessions[state].next; node != &flow->sessions[state];
		     node = node->next) {
			const struct session *session = container_of(node, struct session, link);

			if (is_left_over(session, for_ns))
				world_fail("session %llu goes on at server %s, which is down",
					   (unsigned long long)session->id,
					   session->server->conf->name);
		}
}

/* Clients that were cut off in this turn, at a server that was down later than they came to it. */
static uint64_t guilty(uint64_t turn_ns)
{
	const struct list *node;
	uint64_t count = 0;

	for (node = world->conns.next; node != &world->conns; node = node->next) {
		const struct conn *conn = container_of(node, struct conn, node);
		const struct origin *origin = conn->dialled;

		if (conn->from_client && origin != NULL && conn->aborted_ns == turn_ns)
			count += conn->dialled_ns <=
				 watch.down_last_ns[origin->upstream->index]
						   [origin->conf - origin->upstream->servers];
	}
	return count;
}

/* Rule (4). */
static void check_fallen(uint32_t worker)
{
	const struct sim *sim = watch.sim;
	const struct flow *flow = sim->flows[worker];
	const uint64_t killed = counter_read(&flow->stats.closes[CLOSE_SERVER_DOWN]);
	uint32_t i;

	/* A session of HTTP has several dials in its life. */
	if (killed > watch.killed[worker] && !sim->plan->http &&
	    killed - watch.killed[worker] > guilty(ring_now_ns(flow->ring)))
		world_fail("a session ends since its server went down, but it did so earlier");
	watch.killed[worker] = killed;
	check_left_over(flow, 0);
	for (i = 0; i < sim->plan->workers && sim->drained_ns == 0; i++)
		check_left_over(sim->flows[i], FALLEN_NS);
}

/* --- all of it ------------------------------------------------------------------------------- */

static bool closes_any(const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->conf.upstreams_count; i++)
		if (plan->upstreams[i].on_down == ON_DOWN_CLOSE)
			return true;
	return false;
}

void watch_turn(struct sim *sim, uint32_t worker)
{
	const struct flow *flow = sim->flows[worker];
	bool all_served = true;
	uint32_t i, queued = 0;

	if (sim->plan->http)
		note_reused(flow);
	for (i = 0; i < sim->plan->conf.upstreams_count; i++) {
		check_queue(worker, i);
		queued += watch.shadows[worker][i].count;
		all_served = check_states(i) && all_served;
	}
	if (queued != flow->queued_count || queued != counter_read(&flow->stats.queued))
		world_fail("%u sessions wait, and another number is told", queued);
	check_lost(worker, all_served);
	check_lengths();
	if (closes_any(sim->plan))
		check_fallen(worker);
	watch.dials_count = 0;
}

static void check_timers(const struct flow *flow)
{
	const uint32_t own = timer_is_set(&flow->accept_timer) + timer_is_set(&flow->queue_timer) +
			     timer_is_set(&flow->pool_timer) + timer_is_set(&flow->tell_timer);

	if (flow->wheel.timers_count != own)
		world_fail("at the end: %u timers are still set", flow->wheel.timers_count - own);
}

void watch_check_end(struct sim *sim)
{
	const struct flow_shared *shared = sim->shared;
	struct flow_sums sums;
	uint32_t i, j;

	sim_sums(sim, &sums);
	for (i = 0; i < sim->plan->conf.upstreams_count; i++) {
		if (shared->queue_lengths[i] != 0)
			world_fail("at the end: upstream %u has a queue", i);
		for (j = 0; j < sim->plan->upstreams[i].servers_count; j++)
			if (server_sessions(server_at(i, j)) != 0)
				world_fail("at the end: server %s has sessions",
					   sim->plan->servers[i][j].name);
	}
	for (i = 0; i < sim->plan->workers; i++) {
		if (sim->flows[i]->queued_count != 0 || sim->flows[i]->checks_running != 0)
			world_fail("at the end: a session waits, or a check goes on");
		check_timers(sim->flows[i]);
	}
	if (!closes_any(sim->plan) && sums.closes[CLOSE_SERVER_DOWN] > 0)
		world_fail("at the end: a server that went down took sessions along");
	front_check_sources(shared->sources);
}
