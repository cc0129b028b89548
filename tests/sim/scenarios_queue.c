/* SPDX-License-Identifier: MIT */
/*
 * scenarios_queue.c - places at servers, sessions that wait for one, and further servers that are
 * tried.
 *
 * That queues are served in order, and that no server has more sessions than it may, is watched in
 * each of them (watch.h).
 */
#include "http_sim.h"
#include "scenarios.h"

/* Stays until it is told to go. */
static const struct script holds = { .total = 10,
				     .write_max = 100,
				     .read_max = 65536,
				     .pause_ns = 20000,
				     .capacity = 65536,
				     .finish = FINISH_NEVER };

/* One server with room for one session. */
static struct origin *one_place(struct plan *plan, uint32_t queue)
{
	struct origin *origin = plan_add_server(plan, 0, 1);

	plan->servers[0][0].max_sessions = 1;
	plan->upstreams[0].queue = queue;
	plan->gentle = false;
	return origin;
}

static struct peer *comes(struct sim *sim, const struct script *script)
{
	struct peer *peer = sim_client(sim, 0, script);

	await_stat(sim, sessions_total, stat_of(sim, accepts));
	sim_run_for(sim, NS_PER_MS);
	return peer;
}

static bool is_served(const struct peer *peer)
{
	return peer->conn->pair != NULL;
}

/* --- in order -------------------------------------------------------------------------------- */

static void places_are_given_in_the_order_of_arrival(struct sim *sim, struct plan *plan)
{
	struct peer *peers[5];
	uint32_t i;

	one_place(plan, 10)->script = &holds;
	sim_open(sim, plan);
	for (i = 0; i < 5; i++)
		peers[i] = comes(sim, &holds);
	require(stat_of(sim, queued) == 4 && stat_of(sim, queued_total) == 4);
	for (i = 0; i < 5; i++) {
		require(is_served(peers[i]) && (i == 4 || !is_served(peers[i + 1])));
		scenario_leave(peers[i]);
		sim_run_for(sim, 10 * NS_PER_MS);
	}
	require(stat_of(sim, queued) == 0 && close_of(sim, CLIENT_RESET) == 5);
	sim_finish(sim);
}

/* A place becomes free in the turn in which a newcomer would dial, and the other way round. */
static void a_newcomer_of_the_same_turn_does_not_overtake(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(1000);
	uint32_t i;

	one_place(plan, 50)->script = &brief;
	plan->workers = 1 + world->seed % 2; /* another one gives places back at any time */
	plan->batch_permille = 900;
	plan->faults.not_inline = 300;
	sim_open(sim, plan);
	for (i = 0; i < 40; i++) {
		(void)sim_client(sim, 0, &brief);
		sim_run_for(sim, prng_below(&world->prng, 60 * NS_PER_US));
	}
	await_stat(sim, sessions_total, 40);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, sessions) == 0 && stat_of(sim, queued_total) >= 10);
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) == 40);
	sim_finish(sim);
}

static void requests_wait_in_order_too(struct sim *sim, struct plan *plan)
{
	const struct reply reply = { .status = 200,
				     .framing = FRAMED_LENGTH,
				     .minor = 1,
				     .body = 200,
				     .think_ns = NS_PER_MS };
	struct client_script asks = { .asks_count = 3, .ahead = 2, .finish = FINISH_AFTER_PEER };
	struct origin *origin;
	uint32_t i;

	for (i = 0; i < 3; i++)
		asks.asks[i] = (struct ask_script){ .method = "GET", .minor = 1 };
	http_plan_quiet(plan);
	origin = one_place(plan, 50);
	origin->replies = &reply;
	origin->replies_count = 1;
	plan->batch_permille = 800;
	plan->stall_permille = 100; /* much happens in one turn */
	sim_open(sim, plan);
	for (i = 0; i < 20; i++)
		(void)http_client_start(sim->listeners[0][0], NULL, &asks);
	await_close(sim, CLIENT_FINISHED, 20);
	require(stat_of(sim, queued_total) >= 20 && stat_of(sim, http_own_503) == 0);
	require(origin->asked == 60 && stat_of(sim, pool_reused) >= 50);
	sim_finish(sim);
}

/* Each worker has a queue of its own, and looks for places that others give back. */
static void workers_share_the_places_of_a_server(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(2000);

	one_place(plan, 100)->script = &brief;
	plan->servers[0][0].max_sessions = 2;
	plan->workers = 3;
	plan->batch_permille = 500;
	sim_open(sim, plan);
	scenario_clients(sim, 60, &brief);
	await_stat(sim, sessions_total, 60);
	sim_run_for(sim, 20 * NS_PER_S);
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) == 60);
	sim_finish(sim);
}

/* --- out of it ------------------------------------------------------------------------------- */

static void who_leaves_the_queue_is_forgotten(struct sim *sim, struct plan *plan)
{
	struct script brief = scenario_script(100);
	struct peer *peers[4];
	uint32_t i;

	brief.finish = FINISH_AFTER_PEER;
	one_place(plan, 10)->script = &brief;
	sim_open(sim, plan);
	peers[0] = comes(sim, &holds);
	for (i = 1; i < 4; i++)
		peers[i] = comes(sim, &brief);
	require(stat_of(sim, queued) == 3);
	scenario_leave(peers[2]);
	await_close(sim, CLIENT_RESET, 1);
	require(stat_of(sim, queued) == 2 && stat_of(sim, sessions) == 3);
	scenario_leave(peers[0]);
	await_close(sim, CLIENT_RESET, 2);
	sim_run_for(sim, 10 * NS_PER_MS);
	require(is_served(peers[1]) && !is_served(peers[2]));
	scenario_leave(peers[1]);
	sim_run_for(sim, 10 * NS_PER_MS);
	require(is_served(peers[3]) && stat_of(sim, queued) == 0);
	scenario_leave(peers[3]);
	sim_finish(sim);
}

/* Its end is passed on when it is served, behind what it said. */
static void who_finishes_while_it_waits_is_served_all_the_same(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(100);
	struct peer *first, *second;

	one_place(plan, 10)->script = &brief;
	sim_open(sim, plan);
	first = comes(sim, &holds);
	second = comes(sim, &brief);
	sim_run_for(sim, 100 * NS_PER_MS);
	require(second->conn->end_read && !is_served(second) && stat_of(sim, queued) == 1);
	scenario_leave(first);
	await_close(sim, CLIENT_FINISHED, 1);
	sim_run_for(sim, NS_PER_MS);
	require(peer_is_complete(second));
	sim_finish(sim);
}

static void nobody_waits_for_longer_than_queue_timeout(struct sim *sim, struct plan *plan)
{
	uint64_t began_ns;

	one_place(plan, 10)->script = &holds;
	plan->upstreams[0].queue_timeout_ns = 300 * NS_PER_MS;
	sim_open(sim, plan);
	(void)comes(sim, &holds);
	began_ns = world->now_ns;
	scenario_clients(sim, 3, &holds);
	await_close(sim, QUEUE_TIMEOUT, 3);
	sim_run_for(sim, NS_PER_MS);
	require(world->now_ns - began_ns >= 300 * NS_PER_MS);
	require(world->now_ns - began_ns <= 330 * NS_PER_MS);
	require(stat_of(sim, sessions) == 1 && stat_of(sim, queued) == 0);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

static void a_full_queue_refuses(struct sim *sim, struct plan *plan)
{
	one_place(plan, 3)->script = &holds;
	plan->workers = 2;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	sim_open(sim, plan);
	scenario_clients(sim, 10, &holds);
	await_close(sim, SERVERS_FULL, 6);
	sim_run_for(sim, 10 * NS_PER_MS);
	require(stat_of(sim, queued) == 3 && stat_of(sim, sessions) == 4);
	sim_cut(sim, CLOSE_STOP_CUT);
	require(close_of(sim, STOP_CUT) == 4 && stat_of(sim, queued) == 0);
	sim_finish(sim);
}

static void a_drain_lets_them_wait_on(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(100);
	struct peer *first, *second;

	one_place(plan, 10)->script = &brief;
	sim_open(sim, plan);
	first = comes(sim, &holds);
	second = comes(sim, &brief);
	sim_drain(sim);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, queued) == 1);
	scenario_leave(first);
	await_close(sim, CLIENT_FINISHED, 1);
	sim_finish(sim);
	require(peer_is_complete(second));
}

/* The server goes down while some wait: there is nothing to wait for. */
static void a_queue_ends_when_no_server_is_up(struct sim *sim, struct plan *plan)
{
	struct origin *origin = one_place(plan, 10);
	struct peer *first;

	origin->script = &holds;
	plan->upstreams[0].health = PROBE_TCP;
	sim_open(sim, plan);
	first = comes(sim, &holds);
	scenario_clients(sim, 3, &holds);
	await_stat(sim, queued, 3);
	origin_turn(origin, MOOD_REFUSES);
	await_close(sim, NO_SERVER, 3);
	sim_run_for(sim, NS_PER_MS);
	require(stat_of(sim, servers_went_down) == 1 && stat_of(sim, queued) == 0);
	require(is_served(first) && stat_of(sim, sessions) == 1); /* on_down = keep */
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

/* .. or the others take over; the place of a server that is down is none. */
static void a_queue_goes_on_at_the_other_server(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(100);
	struct script answers = scenario_script(100);
	struct origin *falls = one_place(plan, 10);
	struct peer *peers[2];
	uint32_t i;

	answers.finish = FINISH_AFTER_PEER;
	falls->script = &answers;
	plan_add_server(plan, 0, 1)->script = &answers;
	plan->servers[0][1].max_sessions = 1;
	plan->upstreams[0].health = PROBE_HTTP;
	plan->upstreams[0].on_down = ON_DOWN_CLOSE;
	sim_open(sim, plan);
	for (i = 0; i < 2; i++)
		peers[i] = comes(sim, &holds);
	for (i = 0; i < 6; i++)
		(void)comes(sim, &brief);
	require(stat_of(sim, queued) == 6);
	origin_turn(falls, MOOD_WRONG);
	await_close(sim, SERVER_DOWN, 1);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, queued) == 6);
	scenario_leave(peers[peers[0]->conn->proxy_aborted ? 1 : 0]);
	await_close(sim, CLIENT_FINISHED, 6);
	require(close_of(sim, SERVER_DOWN) == 1 && close_of(sim, CLIENT_RESET) == 1);
	sim_finish(sim);
}

/* --- further servers ------------------------------------------------------------------------- */

static void further_servers_are_tried_within_the_budget(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(10);

	plan->gentle = false;
	plan_add_server(plan, 0, 1)->refuses = 1000;
	plan_add_server(plan, 0, 1)->refuses = 1000;
	plan->listeners[0].backlog = 400;
	plan->upstreams[0].retries = 1;
	plan->upstreams[0].retry_budget = 20;
	sim_open(sim, plan);
	scenario_clients(sim, 300, &brief);
	await_close(sim, CONNECT_REFUSED, 300);
	/* A hundred, and a fifth of the requests so far. */
	require(stat_of(sim, connect_retries) > 100);
	require(stat_of(sim, connect_retries) <= 160);
	require(stat_of(sim, retries_denied) == 300 - stat_of(sim, connect_retries));
	sim_run_for(sim, 11 * NS_PER_S); /* it is forgotten */
	scenario_clients(sim, 50, &brief);
	await_close(sim, CONNECT_REFUSED, 350);
	require(stat_of(sim, connect_retries) >= 150);
	sim_finish(sim);
}

/* A try that fails gives its place back, and waits for the next in turn. */
static void a_failed_try_gives_its_place_back(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(100);

	one_place(plan, 50)->refuses = 1000;
	plan_add_server(plan, 0, 1)->script = &brief;
	plan->servers[0][1].max_sessions = 1;
	plan->faults.not_inline = 300;
	plan->batch_permille = 500;
	sim_open(sim, plan);
	scenario_clients(sim, 30, &brief);
	await_stat(sim, sessions_total, 30);
	sim_run_for(sim, NS_PER_S);
	/* While the good one was full, the other was all that was left. */
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) >= 5);
	require(stat_of(sim, sessions) == 0 && stat_of(sim, connect_retries) >= 5);
	require(stat_of(sim, queued_total) >= 5);
	sim_finish(sim);
}

const struct scenario scenarios_queue[] = {
#define ROW(name, worlds)           \
	{                           \
#name, name, worlds \
	}
	ROW(places_are_given_in_the_order_of_arrival, 10),
	ROW(a_newcomer_of_the_same_turn_does_not_overtake, 50),
	ROW(requests_wait_in_order_too, 20),
	ROW(workers_share_the_places_of_a_server, 20),
	ROW(who_leaves_the_queue_is_forgotten, 10),
	ROW(who_finishes_while_it_waits_is_served_all_the_same, 10),
	ROW(nobody_waits_for_longer_than_queue_timeout, 5),
	ROW(a_full_queue_refuses, 10),
	ROW(a_drain_lets_them_wait_on, 10),
	ROW(a_queue_ends_when_no_server_is_up, 10),
	ROW(a_queue_goes_on_at_the_other_server, 10),
	ROW(further_servers_are_tried_within_the_budget, 2),
	ROW(a_failed_try_gives_its_place_back, 20),
#undef ROW
	{ 0 },
};
