/* SPDX-License-Identifier: MIT */
/*
 * checks.c - what must be true when all is over, whatever happened:
 *
 *   (1) Every slice and session is home, every descriptor closed, every gauge back at 0.
 *   (2) Every session ended for one reason, and counters agree with what the world saw.
 *   (3) No peer that is still there is left hanging: it saw an end or a reset.
 *   (4) A session whose peers were sound completed, both ways, unless it was cut, timed out or
 *       found no server; and there are no more of those than close reasons say. In a gentle world
 *       all sessions complete.
 *       Of HTTP, see http_sim.h instead.
 *   (5) Nobody was accepted and then turned away, before the drain.
 *   (6) Who must be kept out was (front.h), and nobody else was denied.
 */
#include "sim.h"

#include "front.h"
#include "http_sim.h"

static struct {
	struct flow_sums sums;
	uint64_t turns;
	uint64_t events;
	uint64_t bytes;
} totals;

void sim_sums(const struct sim *sim, struct flow_sums *sums)
{
	uint32_t i, reason;

	*sums = (struct flow_sums){ 0 };
	for (i = 0; i < sim->plan->workers; i++) {
		const struct flow_stats *stats = flow_stats(sim->flows[i]);

#define STAT(name, text) sums->name += counter_read(&stats->name);
#define GAUGE(name, text) sums->name += counter_read(&stats->name);
#include "flow/flow_stats.def"
#undef STAT
#undef GAUGE
		for (reason = 0; reason < CLOSE_REASON_COUNT; reason++)
			sums->closes[reason] += counter_read(&stats->closes[reason]);
	}
}

static void expect(bool holds, const char *what)
{
	if (!holds)
		world_fail("at the end: %s", what);
}

static void expect_equal(uint64_t found, uint64_t expected, const char *what)
{
	if (found != expected)
		world_fail("at the end: %s: %llu, expected %llu", what, (unsigned long long)found,
		           (unsigned long long)expected);
}

static void check_home(const struct sim *sim, const struct flow_sums *sums)
{
	uint32_t i;

	for (i = 0; i < sim->plan->workers; i++) {
		flow_check(sim->flows[i]);
		expect_equal(flow_home_bytes(sim->flows[i]), flow_region_bytes(sim->flows[i]),
		             "payload memory at home");
	}
	expect_equal(flow_shared_sessions(sim->shared), 0, "sessions counted");
	expect_equal(world->fds_used, http_shared_idle(sim), "descriptors still open");
	expect_equal(sums->sessions, 0, "sessions open");
	expect_equal(sums->starved, 0, "directions starved");
}

struct tally {
	uint64_t clients_accepted;
	uint64_t complete;
	uint64_t sound_incomplete;
	uint64_t faulty;
	uint64_t barred; /* must reach no server */
	uint64_t barred_sound;
	uint64_t denied; /* of all of them, since the access list keeps them out */
	uint64_t connected;
	uint64_t client_bytes;
	uint64_t server_bytes;
};

/* (3): peers that are gone for reasons of their own do not count. */
static void check_not_hanging(const struct conn *conn)
{
	const struct peer *peer = conn->peer;

	if (conn->peer_reset || conn->peer_closed || peer->script.fault == FAULT_LOST ||
	    !peer->started)
		return;
	if (conn->http && !conn->proxy_closed && !conn->from_client)
		return; /* one that waits for any worker; see checks_when_closed() */
	expect(conn->unserved || conn->proxy_closed, "a connection is left open");
	if (!peer->saw_end && !peer->saw_reset)
		world_fail("at the end: conn %llx: the peer saw neither an end nor a reset",
		           (unsigned long long)conn->key);
}

static void tally_client(const struct conn *conn, struct tally *tally)
{
	bool faulty = peer_is_faulty(conn->peer) ||
		      (conn->pair != NULL && peer_is_faulty(conn->pair->peer));

	if (!conn->accepted)
		return;
	tally->clients_accepted++;
	tally->barred += front_is_barred(conn);
	tally->barred_sound += front_is_barred(conn) && !faulty;
	tally->denied += conn->bar == BAR_ACCESS;
	if (conn->http)
		return;
	tally->complete += peer_is_complete(conn->peer);
	tally->faulty += faulty;
	if (front_is_barred(conn) && peer_is_complete(conn->peer))
		world_fail("at the end: conn %llx was to be kept out, and was served",
		           (unsigned long long)conn->key);
	if (!faulty && !front_is_barred(conn) && !peer_is_complete(conn->peer)) {
		tally->sound_incomplete++;
		trace("conn %llx: sound, but incomplete", (unsigned long long)conn->key);
	}
}

static void tally_all(struct tally *tally)
{
	const struct list *node;

	*tally = (struct tally){ 0 };
	for (node = world->conns.next; node != &world->conns; node = node->next) {
		const struct conn *conn = container_of(node, struct conn, node);

		check_not_hanging(conn);
		if (conn->from_client) {
			tally_client(conn, tally);
			tally->client_bytes += conn->in_front.read + conn->in.read;
		} else if (!conn->is_check) {
			tally->connected++;
			tally->server_bytes += conn->in.read;
		}
	}
}

/* Endings that the world may not have caused by a fault of the session's own peers. */
static uint64_t excused(const struct flow_sums *sums)
{
	const uint64_t *closes = sums->closes;

	return closes[CLOSE_CLIENT_TIMEOUT] + closes[CLOSE_SERVER_TIMEOUT] +
	       closes[CLOSE_FIN_TIMEOUT] + closes[CLOSE_CONNECT_REFUSED] +
	       closes[CLOSE_CONNECT_TIMEOUT] + closes[CLOSE_CONNECT_FAILED] +
	       closes[CLOSE_NO_SERVER] + closes[CLOSE_NO_DESCRIPTOR] + closes[CLOSE_NO_PORT] +
	       closes[CLOSE_DRAIN_CUT] + closes[CLOSE_STOP_CUT] + closes[CLOSE_PROXY_HEADER] +
	       closes[CLOSE_SOURCE_SESSIONS] + closes[CLOSE_SOURCE_RATE] +
	       closes[CLOSE_SERVERS_FULL] + closes[CLOSE_QUEUE_TIMEOUT] +
	       closes[CLOSE_SERVER_DOWN] + closes[CLOSE_ACCESS_DENIED];
}

/* Who is kept out, and that nobody else is. */
static void check_barred(const struct flow_sums *sums, const struct tally *tally)
{
	expect(sums->closes[CLOSE_ACCESS_DENIED] <= tally->denied,
	       "more clients were denied than the access lists say");
}

static bool memory_was_short(const struct sim *sim)
{
	uint32_t i;

	for (i = 0; i < sim->plan->workers; i++)
		if (counter_read(&flow_stats(sim->flows[i])->slices_used_peak_bytes) >=
		    flow_region_bytes(sim->flows[i]) / 2)
			return true;
	return false;
}

/* Where nothing goes wrong all are served that are to be, but for headers of the PROXY protocol:
 * one from a client is given up where memory is short, and one to a server where all of the memory
 * is in use or offered to the kernel. */
static void check_gentle(const struct sim *sim, const struct flow_sums *sums,
                         const struct tally *tally, uint64_t finished)
{
	const uint64_t *closes = sums->closes;
	uint64_t barred = tally->barred - tally->denied;
	uint64_t clients = sim->plan->clients - tally->barred;
	uint64_t given_up = 0;

	if (closes[CLOSE_PROXY_HEADER] > barred)
		given_up += closes[CLOSE_PROXY_HEADER] - barred;
	expect(given_up == 0 || memory_was_short(sim),
	       "headers were given up, and memory was there");
	if (plan_sends_headers(sim->plan))
		given_up += closes[CLOSE_NO_DESCRIPTOR];
	expect_equal(finished, clients - given_up, "sessions that finished");
	expect_equal(tally->complete, clients - given_up, "sessions that completed");
}

static void check_reasons(const struct sim *sim, const struct flow_sums *sums,
                          const struct tally *tally)
{
	const uint64_t *closes = sums->closes;
	uint64_t finished = closes[CLOSE_CLIENT_FINISHED] + closes[CLOSE_SERVER_FINISHED];
	uint64_t resets = closes[CLOSE_CLIENT_RESET] + closes[CLOSE_SERVER_RESET];
	uint64_t sum = 0;
	uint32_t reason;

	for (reason = 0; reason < CLOSE_REASON_COUNT; reason++)
		sum += closes[reason];
	expect_equal(closes[CLOSE_NONE], 0, "sessions closed for no reason");
	expect_equal(sum, sums->sessions_total, "sum of the close reasons");
	if (sim->cut_ns == 0)
		expect_equal(closes[CLOSE_DRAIN_CUT] + closes[CLOSE_STOP_CUT], 0, "sessions cut");
	check_barred(sums, tally);
	if (sim->plan->http)
		return;
	expect(tally->complete <= finished, "more sessions completed than the close reasons say");
	expect(resets <= tally->faulty, "sound sessions ended in a reset");
	expect(tally->sound_incomplete + tally->barred_sound <=
	               excused(sums) + sums->accept_refused,
	       "sound sessions did not complete, and no close reason says why");
	if (sim->plan->gentle && sim->plan->clients > 0)
		check_gentle(sim, sums, tally, finished);
}

static void check_counters(const struct sim *sim, const struct flow_sums *sums,
                           const struct tally *tally)
{
	struct upstream_row row;
	uint64_t connects = 0;
	uint32_t i, index;

	expect_equal(sums->accepts, world->accepted, "accepts");
	expect_equal(sums->sessions_total + sums->accept_refused, sums->accepts,
	             "accepted connections that got a session");
	/* What still comes while a session closes is not counted. */
	expect(sums->client_bytes <= tally->client_bytes, "client_bytes");
	expect(sums->server_bytes <= tally->server_bytes, "server_bytes");
	if (sim->plan->gentle && !sim->plan->http) {
		expect_equal(sums->client_bytes, tally->client_bytes, "client_bytes");
		expect_equal(sums->server_bytes, tally->server_bytes, "server_bytes");
	}
	expect_equal(sim->refused_before_drain, 0, "connections accepted and turned away");
	for (i = 0; i < sim->plan->workers; i++)
		for (index = 0; flow_server_row(sim->flows[i], index, &row); index++) {
			connects += counter_read(&row.server->stats.server_connects);
			expect_equal(counter_read(&row.server->stats.server_sessions), 0,
			             "server_sessions");
		}
	expect(connects <= tally->connected, "server_connects");
}

static void add_to_totals(const struct sim *sim, const struct flow_sums *sums)
{
	uint32_t reason;

#define STAT(name, text) totals.sums.name += sums->name;
#define GAUGE(name, text) totals.sums.name += sums->name;
#include "flow/flow_stats.def"
#undef STAT
#undef GAUGE
	for (reason = 0; reason < CLOSE_REASON_COUNT; reason++)
		totals.sums.closes[reason] += sums->closes[reason];
	totals.turns += sim->turns;
	totals.events += world->events_fired;
	totals.bytes += world->bytes_verified;
}

static void print_total(const char *name, uint64_t value)
{
	printf("    %-24s %llu\n", name, (unsigned long long)value);
}

void sim_print_totals(void)
{
	uint32_t reason;

	print_total("turns", totals.turns);
	print_total("events", totals.events);
	print_total("bytes compared", totals.bytes);
#define STAT(name, text) print_total(#name, totals.sums.name);
#define GAUGE(name, text) print_total(#name, totals.sums.name);
#include "flow/flow_stats.def"
#undef STAT
#undef GAUGE
	for (reason = CLOSE_NONE + 1; reason < CLOSE_REASON_COUNT; reason++)
		print_total(close_reason_names[reason], totals.sums.closes[reason]);
}

void checks_when_closed(void)
{
	expect_equal(world->fds_used, 0, "descriptors still open when all is closed");
}

void checks_at_end(struct sim *sim)
{
	struct flow_sums sums;
	struct tally tally;

	sim_sums(sim, &sums);
	tally_all(&tally);
	check_home(sim, &sums);
	check_reasons(sim, &sums, &tally);
	check_counters(sim, &sums, &tally);
	if (sim->plan->http)
		http_checks_at_end(sim);
	add_to_totals(sim, &sums);
}
