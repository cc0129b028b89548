/* SPDX-License-Identifier: MIT */
/*
 * peer.c - the steps of peers, and how origins answer.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>

#include "front.h"
#include "http_sim.h"

void (*script_draw)(struct script *script, bool client);

static struct origin *origins;
static uint32_t origins_count;

/* --- steps ----------------------------------------------------------------------------------- */

static struct peer *pair_of(const struct peer *peer)
{
	return peer->conn->pair != NULL ? peer->conn->pair->peer : NULL;
}

static uint64_t allowed_to_write(const struct peer *peer)
{
	const struct conn *conn = peer->conn;
	uint64_t total = peer->script.total;

	if (peer->mind != NULL)
		return conn->in.finished ? 0 : conn->in.kept.count - conn->in.written;
	if (conn->in.finished || conn->out.read < peer->script.start_after)
		return 0;
	if (peer->script.echo)
		total = conn->out.read;
	return total - conn->in.written;
}

static uint64_t front_left(const struct conn *conn)
{
	return conn->in_front.bytes.count - conn->in_front.written;
}

static bool all_written(const struct peer *peer)
{
	if (front_left(peer->conn) > 0 || peer->conn->in_front.is_cut)
		return false;
	if (peer->mind != NULL)
		return peer->conn->in.written == peer->conn->in.kept.count;
	if (peer->script.echo)
		return peer->saw_end && peer->conn->in.written == peer->conn->out.read;
	return peer->conn->in.written == peer->script.total;
}

static bool finish_is_due(const struct peer *peer)
{
	if (peer->conn->in.finished || !all_written(peer))
		return false;
	if (peer->mind != NULL)
		return peer->mind->finish_is_due(peer);
	return peer->script.finish == FINISH_WRITTEN ||
	       (peer->script.finish == FINISH_AFTER_PEER && peer->saw_end);
}

static void step(void *subject);

static void step_after(struct peer *peer, uint64_t after_ns)
{
	if (peer->scheduled || peer->gone)
		return;
	peer->scheduled = true;
	world_after(after_ns, step, peer);
}

void peer_poke(struct peer *peer)
{
	if (!peer->stalled && peer->started)
		step_after(peer, prng_spread(&world->prng, NS_PER_US, peer->script.pause_ns));
}

static void stall_over(void *subject)
{
	struct peer *peer = subject;

	peer->stalled = false;
	peer_poke(peer);
}

static void poke(void *subject)
{
	peer_poke(subject);
}

void peer_poke_after(struct peer *peer, uint64_t after_ns)
{
	world_after(after_ns, poke, peer);
}

void peer_reset(struct peer *peer)
{
	conn_reset(peer->conn);
	peer->gone = true;
}

void peer_close(struct peer *peer)
{
	struct conn *conn = peer->conn;

	conn->peer_closed = true;
	if (!conn->in.finished)
		conn_finish(conn);
	conn_read(conn, conn_waiting(conn));
}

static bool fault_is_due(const struct peer *peer)
{
	const struct conn *conn = peer->conn;

	return peer->script.fault != FAULT_NONE && !peer->faulted &&
	       conn->in.written + conn->out.read >= peer->script.fault_at;
}

/* True when it takes no more part for now. */
static bool fault(struct peer *peer)
{
	peer->faulted = true;
	trace("conn %llx: fault %d", (unsigned long long)peer->conn->key, peer->script.fault);
	switch (peer->script.fault) {
	case FAULT_RESET:
		peer_reset(peer);
		return true;
	case FAULT_LOST:
		peer->gone = true;
		return true;
	case FAULT_STALL:
		peer->stalled = true;
		world_after(peer->script.fault_ns, stall_over, peer);
		return true;
	case FAULT_CLOSE:
		peer_close(peer);
		return false;
	case FAULT_NONE:
		break;
	}
	unreachable();
}

/* As much as is possible, or some of it. */
static uint64_t piece(uint64_t bytes)
{
	return prng_chance(&world->prng, 600) ? bytes : prng_spread(&world->prng, 1, bytes);
}

static void read_some(struct peer *peer, uint64_t bytes)
{
	struct conn *conn = peer->conn;
	uint64_t from = conn->out.read;

	conn_read(conn, bytes);
	if (peer->mind != NULL)
		peer->mind->read(peer, conn->out.kept.at + from, bytes);
}

static void step_read(struct peer *peer)
{
	struct conn *conn = peer->conn;
	uint64_t waiting = conn_waiting(conn);

	if (conn->peer_closed) {
		if (waiting > 0 || (conn->pair != NULL && conn->out.written > conn->out.read)) {
			conn_reset(conn);
			peer->gone = true;
		}
		return;
	}
	if (waiting > 0)
		read_some(peer, piece(waiting < peer->script.read_max ? waiting :
		                                                        peer->script.read_max));
	if (peer->gone || conn->peer_closed)
		return;
	if (conn_waiting(conn) == 0 && conn->out.finished && !peer->saw_end) {
		trace("conn %llx: the peer sees the end at %llu", (unsigned long long)conn->key,
		      (unsigned long long)conn->out.read);
		peer->saw_end = true;
		if (peer->mind != NULL)
			peer->mind->ended(peer, false);
	}
}

/* False: nothing can follow yet, or ever. */
static bool write_front(struct peer *peer)
{
	struct conn *conn = peer->conn;
	struct front *front = &conn->in_front;
	uint64_t bytes = front_left(conn);

	if (bytes > front->piece_max)
		bytes = front->piece_max;
	if (bytes > 0 && !conn->in.finished)
		conn_write_front(conn, bytes);
	if (front_left(conn) > 0)
		return false;
	if (front->is_cut && !conn->in.finished)
		conn_finish(conn);
	return !front->is_cut;
}

static void step_write(struct peer *peer)
{
	struct conn *conn = peer->conn;
	uint64_t bytes = allowed_to_write(peer);

	if (conn->proxy_closed && bytes + front_left(conn) > 0) { /* nobody is there any more */
		peer->saw_reset = true;
		peer->gone = true;
		return;
	}
	if (!write_front(peer))
		return;
	if (bytes > conn_room(conn))
		bytes = conn_room(conn);
	if (bytes > peer->script.write_max)
		bytes = peer->script.write_max;
	if (bytes > 0)
		conn_write(conn, piece(bytes));
}

static bool more_to_do(const struct peer *peer)
{
	const struct conn *conn = peer->conn;

	if (conn->peer_closed)
		return false;
	if (!conn->in.finished && (front_left(conn) > 0 || conn->in_front.is_cut))
		return true;
	return conn_waiting(conn) > 0 || (conn->out.finished && !peer->saw_end) ||
	       (allowed_to_write(peer) > 0 && (conn_room(conn) > 0 || conn->proxy_closed)) ||
	       finish_is_due(peer);
}

static void step(void *subject)
{
	struct peer *peer = subject;
	struct conn *conn = peer->conn;

	peer->scheduled = false;
	if (peer->gone || peer->stalled)
		return;
	if (conn->proxy_reset || conn->peer_reset) {
		trace("conn %llx: the peer sees a reset", (unsigned long long)conn->key);
		peer->saw_reset = true;
		peer->gone = true;
		if (peer->mind != NULL)
			peer->mind->ended(peer, true);
		return;
	}
	if (peer->mind != NULL && !conn->peer_closed)
		peer->mind->act(peer);
	if (peer->gone || (fault_is_due(peer) && fault(peer)))
		return;
	step_read(peer);
	if (!peer->gone && !conn->peer_closed)
		step_write(peer);
	if (peer->mind != NULL && !peer->gone && !conn->peer_closed)
		peer->mind->act(peer);
	if (!peer->gone && !conn->peer_closed && finish_is_due(peer))
		conn_finish(conn);
	if (!peer->gone && (more_to_do(peer) || fault_is_due(peer)))
		step_after(peer, prng_spread(&world->prng, NS_PER_US, peer->script.pause_ns));
	if (conn->in.finished && peer->saw_end)
		peer->gone = true;
}

bool peer_is_complete(const struct peer *peer)
{
	const struct conn *conn = peer->conn;
	const struct conn *pair = conn->pair;

	if (conn->proxy_aborted || (pair != NULL && pair->proxy_aborted))
		return false; /* a unix socket's peer sees an end all the same */
	return pair != NULL && conn->in.finished && pair->in.finished && peer->saw_end &&
	       pair->peer->saw_end && pair->out.read == conn->in.written &&
	       conn->out.read == pair->in.written && all_written(peer) && all_written(pair->peer);
}

/* --- clients and origins --------------------------------------------------------------------- */

struct peer *peer_new(size_t bytes, const struct mind *mind, const struct script *script,
                      bool client, bool tcp)
{
	struct peer *peer = calloc(1, bytes);

	assert(peer != NULL);
	peer->mind = mind;
	list_init(&peer->node);
	list_push(&world->peers, &peer->node);
	if (script != NULL)
		peer->script = *script;
	else
		script_draw(&peer->script, client);
	peer->conn = conn_open(peer, client, tcp, peer->script.capacity);
	peer->conn->http = mind != NULL;
	return peer;
}

/* Two scripts that wait for each other would wait forever. */
static void agree(struct script *client, struct script *server)
{
	if (server->start_after > client->total)
		server->start_after = client->total;
	if (server->echo)
		client->start_after = 0;
	else if (client->start_after > server->total)
		client->start_after = server->total;
	if (client->start_after > 0)
		server->start_after = 0;
	if (client->finish == FINISH_AFTER_PEER) {
		server->echo = false;
		if (server->finish == FINISH_AFTER_PEER)
			server->finish = FINISH_WRITTEN;
	}
}

void peer_start(struct peer *peer)
{
	struct peer *other = pair_of(peer);

	if (other != NULL) {
		agree(&other->script, &peer->script);
		peer_poke(other);
	}
	peer->started = true;
	peer_poke(peer);
}

static void offer_again(void *subject)
{
	struct peer *peer = subject;

	/* A full backlog drops the handshake, which the client repeats. */
	if (peer->conn->unserved)
		return;
	if (!peer->listener->listening || peer->listener->fd < 0) {
		peer->conn->unserved = true;
		peer->conn->peer_reset = true;
		peer->saw_reset = true;
		peer->gone = true;
		return;
	}
	if (!conn_offer(peer->conn, peer->listener)) {
		world_after(10 * NS_PER_MS, offer_again, peer);
		return;
	}
	trace("conn %llx: a client connects, writes %llu", (unsigned long long)peer->conn->key,
	      (unsigned long long)peer->script.total);
	peer_start(peer);
}

void client_offer(struct peer *peer, struct sock *listener)
{
	peer->listener = listener;
	front_draw(peer->conn, listener->conf);
	offer_again(peer);
}

struct peer *client_start(struct sock *listener, const struct script *script)
{
	struct peer *peer;

	if (listener->http)
		return http_client_start(listener, script, NULL);
	peer = peer_new(sizeof(*peer), NULL, script, true, listener->tcp);
	client_offer(peer, listener);
	return peer;
}

/* --- origins --------------------------------------------------------------------------------- */

bool origin_is_down(const struct origin *origin)
{
	if (origin->mood >= MOOD_MUTE)
		return origin->upstream->health == PROBE_HTTP;
	return origin->mood != MOOD_GOOD;
}

static void end_all_of(const struct origin *origin)
{
	struct list *node;

	for (node = world->conns.next; node != &world->conns; node = node->next) {
		struct conn *conn = container_of(node, struct conn, node);

		if (conn->origin == origin && conn->sock != NULL)
			conn_break(conn);
	}
}

void origin_turn(struct origin *origin, enum mood mood)
{
	trace("origin %u: mood %d", origin->number, mood);
	origin->mood = mood;
	origin->mood_ns = world->now_ns;
	if (mood == MOOD_DIES)
		end_all_of(origin);
}

static void flap(void *subject)
{
	struct origin *origin = subject;
	const bool http = origin->upstream->health == PROBE_HTTP;

	if (origin->mood == MOOD_GOOD)
		origin_turn(origin, (enum mood)prng_range(&world->prng, MOOD_REFUSES,
		                                          http ? MOODS - 1 : MOOD_DIES));
	else
		origin_turn(origin, MOOD_GOOD);
	if (--origin->flaps > 0)
		world_after(prng_spread(&world->prng, NS_PER_MS, origin->flap_ns), flap, origin);
}

void origins_set(struct origin *list, uint32_t count)
{
	uint32_t i;

	origins = list;
	origins_count = count;
	for (i = 0; i < count; i++)
		if (list[i].flaps > 0)
			world_after(prng_spread(&world->prng, 0, list[i].flap_ns), flap, &list[i]);
}

struct origin *origin_find(uint16_t number)
{
	uint32_t i;

	for (i = 0; i < origins_count; i++)
		if (origins[i].number == number)
			return &origins[i];
	world_fail("a connect to origin %u, which is not configured", number);
}

int origin_answer(uint16_t number, bool of_check, uint64_t *after_ns)
{
	struct origin *origin = origin_find(number);
	uint32_t drawn = (uint32_t)prng_below(&world->prng, 1000);

	origin->connects += !of_check;
	*after_ns = prng_spread(&world->prng, 0, origin->answer_ns);
	if (prng_chance(&world->prng, 200))
		*after_ns = 0;
	if (origin->connect_ns > 0 && !of_check)
		*after_ns = origin->connect_ns;
	if (world_chance(world->faults.no_port)) {
		world->breaks_made++;
		*after_ns = 0;
		return -EADDRNOTAVAIL;
	}
	if (origin->mood == MOOD_HANGS || drawn < origin->is_silent) {
		*after_ns = UINT64_MAX;
		return 0;
	}
	drawn -= origin->is_silent;
	if (origin->mood == MOOD_REFUSES || origin->mood == MOOD_DIES || drawn < origin->refuses)
		return origin->tcp ? -ECONNREFUSED : -ENOENT;
	drawn -= origin->refuses;
	if (drawn < origin->unreachable)
		return prng_chance(&world->prng, 500) ? -EHOSTUNREACH : -ENETUNREACH;
	return 0;
}

struct conn *origin_accept(uint16_t number, bool of_check)
{
	struct origin *origin = origin_find(number);
	struct peer *peer;

	if (of_check)
		return check_peer_new(origin)->conn;
	if (world->http)
		peer = http_origin_new(origin);
	else
		peer = peer_new(sizeof(*peer), NULL, origin->script, false, origin->tcp);
	peer->conn->origin = origin;
	return peer->conn;
}
