/* SPDX-License-Identifier: MIT */
/*
 * pool.c - idle connections to servers. The picture is in pool.h.
 *
 * Two lists hold each idle connection: its pool's, to take the newest (the warmest, and the least
 * likely to be closed by the server), and the flow's, to end the oldest.
 */
#include "pool.h"

#include <errno.h>

#include "base/clock.h"
#include "flow_private.h"

#define SWEEP_MS 1000

static void drop_preface(struct server_conn *conn)
{
	if (conn->preface != PREFACE_NONE)
		slab_give(conn->wire.flow->shared->prefaces, server_conn_preface_of(conn));
	conn->preface = PREFACE_NONE;
}

struct preface *server_conn_preface_of(const struct server_conn *conn)
{
	return slab_at(conn->wire.flow->shared->prefaces, conn->preface);
}

struct preface *server_conn_preface_take(struct server_conn *conn)
{
	struct slab *prefaces = conn->wire.flow->shared->prefaces;
	struct preface *preface = slab_take(prefaces);

	assert(conn->preface == PREFACE_NONE);
	assert(preface != NULL); /* there are as many as connections */
	preface->start = preface->len = 0;
	conn->preface = slab_index(prefaces, preface);
	return preface;
}

uint32_t server_conn_preface(const struct server_conn *conn)
{
	if (conn == NULL || conn->preface == PREFACE_NONE)
		return 0;
	return server_conn_preface_of(conn)->len;
}

uint32_t server_conn_preface_sent(struct server_conn *conn, uint32_t bytes)
{
	struct preface *preface = server_conn_preface_of(conn);
	uint32_t part = bytes < preface->len ? bytes : preface->len;

	preface->start += (uint16_t)part;
	preface->len -= (uint16_t)part;
	if (preface->len == 0)
		drop_preface(conn);
	return part;
}

static void conn_free(struct server_conn *conn)
{
	struct flow *flow = conn->wire.flow;

	assert(!conn->wire.recv.away && !conn->connect.away);
	drop_preface(conn);
	ring_socket_close(flow->ring, conn->wire.fd);
	slab_give(flow->shared->conns, conn);
}

static void leave_idle(struct server_conn *conn)
{
	struct flow *flow = conn->wire.flow;

	assert(conn->state == CONN_IDLE);
	list_remove(&conn->link);
	list_remove(&conn->age);
	conn->server->idle_count--;
	flow->idle_count--;
	counter_sub(&flow->stats.pool_idle, 1);
}

/* Nobody uses it: end it as soon as its receive is home. */
static void conn_end(struct server_conn *conn)
{
	struct flow *flow = conn->wire.flow;

	assert(conn->session == NULL);
	conn->state = CONN_CLOSING;
	if (!conn->wire.recv.away) {
		conn_free(conn);
		return;
	}
	flow->conns_closing++;
	ring_socket_stop(flow->ring, conn->wire.fd);
}

static void give_up(struct server_conn *conn)
{
	leave_idle(conn);
	conn_end(conn);
}

/* Few connections are left, for all workers. */
static bool is_tight(const struct flow *flow)
{
	return slab_taken_count(flow->shared->conns) > flow->shared->conns_tight;
}

static struct server_conn *oldest(const struct flow *flow)
{
	return container_of(flow->idle.prev, struct server_conn, age);
}

struct server_conn *server_conn_open(struct session *session, struct server *server, int fd)
{
	struct flow *flow = session->flow;
	struct server_conn *conn;

	assert(session->conn == NULL);
	if (is_tight(flow) && flow->idle_count > 0)
		give_up(oldest(flow));
	conn = slab_take(flow->shared->conns);
	if (conn == NULL)
		return NULL;
	*conn = (struct server_conn){ .server = server,
				      .session = session,
				      .epoch = server->epoch,
				      .state = CONN_IN_USE,
				      .preface = PREFACE_NONE };
	list_init(&conn->link);
	list_init(&conn->age);
	wire_init(&conn->wire, flow, SIDE_SERVER, fd);
	op_init(&conn->connect, on_connect);
	session->conn = conn;
	return conn;
}

void server_conn_uncount(struct server_conn *conn)
{
	if (conn->counted)
		counter_sub(&conn->server->stats.server_sessions, 1);
	conn->counted = false;
	if (conn->placed)
		queue_place_back(conn->wire.flow, conn->server);
	conn->placed = false;
}

static void detach(struct session *session)
{
	server_conn_uncount(session->conn);
	relay_unstarve(session->flow, &session->relays[SIDE_SERVER]);
	session->conn->session = NULL;
	session->conn = NULL;
}

void server_conn_close(struct server_conn *conn)
{
	assert(conn->state == CONN_IN_USE);
	if (conn->session != NULL)
		detach(conn->session);
	conn_free(conn);
}

void server_conn_heard(struct server_conn *conn)
{
	struct flow *flow = conn->wire.flow;

	if (conn->state == CONN_IDLE) {
		counter_add(&flow->stats.pool_ended, 1);
		give_up(conn);
		return;
	}
	assert(conn->state == CONN_CLOSING);
	if (conn->wire.recv.away)
		return;
	flow->conns_closing--;
	conn_free(conn);
}

/* While it is idle, something must be listening. */
static void watch(struct server_conn *conn)
{
	struct wire *wire = &conn->wire;

	if (wire->recv.away)
		return;
	wire->recv_class = SLICE_SMALL;
	wire->recv_many = false;
	ring_recv(wire->flow->ring, &wire->recv, wire->fd, SLICE_SMALL,
		  wire->flow->slices.small_bytes, RING_RECV_POLL_FIRST);
}

static void sweep_later(struct flow *flow)
{
	if (!timer_is_set(&flow->pool_timer) && !flow->draining)
		wheel_set(&flow->wheel, &flow->pool_timer, flow_now_ms(flow) + SWEEP_MS);
}

static uint64_t idle_limit_ms(const struct flow *flow, const struct server_conn *conn)
{
	const struct conf_upstream *upstream = &flow->conf->upstreams[conn->server->upstream_index];

	return conn->idle_ms + upstream->pool_idle_ns / NS_PER_MS;
}

static void sets_sweep(struct flow *flow);

static bool sets_hold_any(struct flow *flow)
{
	bool any = false;
	uint32_t i;

	pthread_mutex_lock(&flow->shared->sets_lock);
	for (i = 0; i < flow->shared->sets_count && !any; i++)
		any = flow->shared->sets[i].count > 0;
	pthread_mutex_unlock(&flow->shared->sets_lock);
	return any;
}

/* Lists are in the order of age, but each upstream has its own limit: look at all of them. */
static void on_sweep(struct timer *timer)
{
	struct flow *flow = container_of(timer, struct flow, pool_timer);
	struct list *node = flow->idle.prev;

	while (node != &flow->idle) {
		struct server_conn *conn = container_of(node, struct server_conn, age);

		node = node->prev;
		if (idle_limit_ms(flow, conn) <= flow_now_ms(flow))
			give_up(conn);
	}
	sets_sweep(flow);
	if (flow->idle_count > 0 || sets_hold_any(flow))
		sweep_later(flow);
}

static void keep(struct session *session, struct server_conn *conn,
		 const struct conf_upstream *upstream)
{
	struct flow *flow = session->flow;
	struct server *server = conn->server;

	conn->state = CONN_IDLE;
	conn->idle_ms = flow_now_ms(flow);
	list_push_first(upstream->pool == POOL_CLIENT ? &session->kept : &server->idle,
			&conn->link);
	list_push_first(&flow->idle, &conn->age);
	server->idle_count++;
	flow->idle_count++;
	counter_add(&flow->stats.pool_idle, 1);
	watch(conn);
	sweep_later(flow);
}

/* --- pool = shared ---------------------------------------------------------------------------- */

void pool_sets_open(struct flow_shared *shared)
{
	uint32_t i;

	for (i = 0; i < shared->sets_count; i++)
		list_init(&shared->sets[i].conns);
	pthread_mutex_init(&shared->sets_lock, NULL);
}

void pool_sets_close(struct flow_shared *shared)
{
	struct list *node;
	uint32_t i;

	for (i = 0; shared->sets != NULL && i < shared->sets_count; i++)
		while ((node = list_take_first(&shared->sets[i].conns)) != NULL)
			ring_socket_close(NULL,
					  container_of(node, struct server_conn, link)->wire.fd);
}

static struct pool_set *set_lock(struct flow *flow, const struct server *server)
{
	pthread_mutex_lock(&flow->shared->sets_lock);
	return &flow->shared->sets[server->index];
}

static void set_unlock(struct flow *flow)
{
	pthread_mutex_unlock(&flow->shared->sets_lock);
}

/* From the session's hands to everybody's. */
static void set_give(struct flow *flow, struct server_conn *conn,
		     const struct conf_upstream *upstream)
{
	struct server_conn *surplus = NULL;
	struct pool_set *set;

	conn->state = CONN_SHARED;
	conn->idle_ms = flow_now_ms(flow);
	set = set_lock(flow, conn->server);
	list_push_first(&set->conns, &conn->link);
	if (++set->count > upstream->pool_max) {
		surplus = container_of(set->conns.prev, struct server_conn, link);
		list_remove(&surplus->link);
		set->count--;
	}
	set_unlock(flow);
	if (surplus != NULL) { /* perhaps given by another worker: now of this one */
		surplus->wire.flow = flow;
		conn_free(surplus);
	}
	sweep_later(flow);
}

static struct server_conn *set_take(struct flow *flow, struct server *server, bool newest)
{
	struct pool_set *set = set_lock(flow, server);
	struct server_conn *conn = NULL;

	if (set->count > 0) {
		conn = container_of(newest ? set->conns.next : set->conns.prev, struct server_conn,
				    link);
		list_remove(&conn->link);
		set->count--;
	}
	set_unlock(flow);
	if (conn != NULL) { /* now of this worker */
		conn->wire.flow = flow;
		conn->server = server;
	}
	return conn;
}

/* Also when it goes to an address that had the server's place before. */
static bool is_stale(struct flow *flow, const struct server_conn *conn)
{
	return conn->epoch != conn->server->epoch ||
	       idle_limit_ms(flow, conn) <= flow_now_ms(flow) ||
	       ring_socket_peek(flow->ring, conn->wire.fd) != -EAGAIN;
}

/* The oldest of each server, as long as it is stale. */
static void sets_sweep(struct flow *flow)
{
	struct server_conn *conn;
	uint32_t i, j;

	for (i = 0; i < flow->conf->upstreams_count; i++) {
		const struct conf_upstream *upstream = &flow->conf->upstreams[i];

		for (j = 0; upstream->pool == POOL_SHARED && j < upstream->servers_count; j++) {
			struct server *server = upstream_server(flow->upstreams, upstream, j);

			while ((conn = set_take(flow, server, false)) != NULL) {
				if (!is_stale(flow, conn)) {
					struct pool_set *set = set_lock(flow, server);

					list_push(&set->conns, &conn->link);
					set->count++;
					set_unlock(flow);
					break;
				}
				conn_free(conn);
			}
		}
	}
}

static void attach(struct session *session, struct server_conn *conn)
{
	conn->state = CONN_IN_USE;
	conn->session = session;
	session->conn = conn;
	counter_add(&session->flow->stats.pool_reused, 1);
}

static bool take_shared(struct session *session, struct server *server)
{
	struct flow *flow = session->flow;
	struct server_conn *conn;

	while ((conn = set_take(flow, server, true)) != NULL) {
		if (!is_stale(flow, conn)) {
			attach(session, conn);
			return true;
		}
		counter_add(&flow->stats.pool_ended, 1);
		conn_free(conn);
	}
	return false;
}

/* --- giving and taking ------------------------------------------------------------------------ */

void pool_give(struct session *session, bool reusable)
{
	struct flow *flow = session->flow;
	struct server_conn *conn = session->conn;
	const struct conf_upstream *upstream = &flow->conf->upstreams[conn->server->upstream_index];

	assert(conn->state == CONN_IN_USE);
	assert(!session->relays[SIDE_CLIENT].send.away);
	detach(session);
	if (!reusable || upstream->pool == POOL_OFF || flow->draining || upstream->pool_max == 0 ||
	    conn->wire.watching || is_tight(flow) || !server_is_staying(conn->server)) {
		conn_end(conn);
		return;
	}
	if (upstream->pool == POOL_SHARED) {
		if (conn->wire.recv.away)
			conn_end(conn);
		else
			set_give(flow, conn, upstream);
		return;
	}
	/* The newest are the best: the oldest makes room. */
	if (conn->server->idle_count >= upstream->pool_max && !list_empty(&conn->server->idle))
		give_up(container_of(conn->server->idle.prev, struct server_conn, link));
	keep(session, conn, upstream);
}

static struct list *list_for(struct session *session, struct server *server)
{
	const struct conf_upstream *upstream =
		&session->flow->conf->upstreams[server->upstream_index];

	return upstream->pool == POOL_CLIENT ? &session->kept : &server->idle;
}

bool pool_take(struct session *session, struct server *server)
{
	struct flow *flow = session->flow;
	struct list *idle = list_for(session, server);
	struct list *node = idle->next;

	assert(session->conn == NULL);
	if (session->upstream->pool == POOL_SHARED)
		return take_shared(session, server);
	while (node != idle) {
		struct server_conn *conn = container_of(node, struct server_conn, link);

		node = node->next;
		if (conn->server != server)
			continue;
		if (is_stale(flow, conn)) {
			give_up(conn);
			continue;
		}
		leave_idle(conn);
		attach(session, conn);
		return true;
	}
	return false;
}

void pool_abandon(struct flow *flow, const struct server *server)
{
	struct list *node = flow->idle.next;
	struct server_conn *conn;

	while (node != &flow->idle) {
		conn = container_of(node, struct server_conn, age);
		node = node->next;
		if (conn->server == server)
			give_up(conn);
	}
	while ((conn = set_take(flow, (struct server *)(uintptr_t)server, false)) != NULL)
		conn_free(conn);
}

void pool_forget(struct session *session)
{
	while (!list_empty(&session->kept))
		give_up(container_of(session->kept.next, struct server_conn, link));
}

void pools_open(struct flow *flow)
{
	list_init(&flow->idle);
	timer_init(&flow->pool_timer, on_sweep);
}

void pools_drain(struct flow *flow)
{
	while (flow->idle_count > 0)
		give_up(oldest(flow));
}
