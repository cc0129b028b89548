/* SPDX-License-Identifier: MIT */
/*
 * scenarios_health.c - health checks, what follows from them, and what follows from failures.
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

/* A checked server, the first of its upstream. */
static struct origin *checked(struct plan *plan, enum conf_health health)
{
	struct origin *origin = plan_add_server(plan, 0, 1);

	origin->script = &holds;
	plan->upstreams[0].health = health;
	plan->gentle = false;
	return origin;
}

/* --- checks ---------------------------------------------------------------------------------- */

static void each_mood_is_found_out(struct sim *sim, struct plan *plan)
{
	struct origin *origin = checked(plan, PROBE_HTTP);
	enum mood mood;

	plan->upstreams[0].send_proxy = (enum conf_send_proxy)(world->seed % (SEND_PROXY_V2 + 1));
	sim_open(sim, plan);
	for (mood = MOOD_REFUSES; mood < MOODS; mood++) {
		origin_turn(origin, mood);
		scenario_await_state(sim, 0, SERVER_DOWN);
		require(world->now_ns - origin->mood_ns <= 500 * NS_PER_MS);
		origin_turn(origin, MOOD_GOOD);
		scenario_await_state(sim, 0, SERVER_UP);
		require(world->now_ns - origin->mood_ns <= 300 * NS_PER_MS);
	}
	require(stat_of(sim, servers_went_down) == MOODS - 1);
	require(stat_of(sim, servers_came_up) == MOODS - 1);
	require(stat_of(sim, health_checks) >= 10 && origin->connects == 0);
	sim_finish(sim);
}

static void a_check_of_tcp_only_connects(struct sim *sim, struct plan *plan)
{
	struct origin *origin = checked(plan, PROBE_TCP);

	plan->upstreams[0].send_proxy = (enum conf_send_proxy)(world->seed % (SEND_PROXY_V2 + 1));
	plan->upstreams[0].health_fall = 1;
	sim_open(sim, plan);
	origin_turn(origin, MOOD_MUTE);
	sim_run_for(sim, 2 * NS_PER_S);
	require(stat_of(sim, health_checks) >= 15 && stat_of(sim, health_checks_failed) == 0);
	origin_turn(origin, MOOD_HANGS);
	scenario_await_state(sim, 0, SERVER_DOWN);
	sim_finish(sim);
}

static void a_check_in_flight_ends_with_the_drain(struct sim *sim, struct plan *plan)
{
	struct origin *origin = checked(plan, PROBE_HTTP);
	plan->upstreams[0].health_timeout_ns = 100 * NS_PER_S;
	plan->faults.cancel_late = 1000;
	sim_open(sim, plan);
	origin_turn(origin, world->seed % 2 == 0 ? MOOD_HANGS : MOOD_MUTE);
	sim_run_for(sim, 200 * NS_PER_MS); /* it waits for a connection, or for an answer */
	require(world->fds_used == 2);
	sim_drain(sim);
	sim_run_for(sim, 20 * NS_PER_MS);
	require(world->fds_used == 0 && stat_of(sim, health_checks) == 0);
	sim_finish(sim);
}

static void no_descriptor_for_a_check_says_nothing(struct sim *sim, struct plan *plan)
{
	(void)checked(plan, PROBE_TCP);
	plan->upstreams[0].health_fall = 1;
	sim_open(sim, plan);
	world->fds_max = 4; /* the listening socket's own */
	sim_run_for(sim, 5 * NS_PER_S);
	require(stat_of(sim, health_checks) == 0 && scenario_state(sim, 0) == SERVER_UP);
	world->fds_max = 4096;
	await_stat(sim, health_checks, 5);
	require(stat_of(sim, health_checks_failed) == 0);
	sim_finish(sim);
}

static void no_port_for_a_check_says_nothing(struct sim *sim, struct plan *plan)
{
	(void)checked(plan, PROBE_HTTP);
	plan->upstreams[0].health_fall = 1;
	plan->faults.no_port = 1000;
	sim_open(sim, plan);
	sim_run_for(sim, 5 * NS_PER_S);
	require(stat_of(sim, servers_went_down) == 0 && scenario_state(sim, 0) == SERVER_UP);
	sim_finish(sim);
}

static void an_interrupted_receive_is_no_failed_check(struct sim *sim, struct plan *plan)
{
	(void)checked(plan, PROBE_HTTP);
	plan->upstreams[0].health_fall = 1;
	plan->upstreams[0].health_timeout_ns = NS_PER_S;
	plan->faults.again = 500;
	sim_open(sim, plan);
	await_stat(sim, health_checks, 20);
	require(stat_of(sim, health_checks_failed) == 0);
	sim_finish(sim);
}

/* Only the status does, however much stands behind it. */
static void the_fields_of_an_answer_do_not_matter(struct sim *sim, struct plan *plan)
{
	checked(plan, PROBE_HTTP)->head_bytes = 1500;
	plan->upstreams[0].health_fall = 1;
	sim_open(sim, plan);
	await_stat(sim, health_checks, 5);
	require(stat_of(sim, health_checks_failed) == 0);
	sim_finish(sim);
}

/* A session holds all of the memory, and the answer of a check has come. */
static void a_check_without_memory_waits(struct sim *sim, struct plan *plan)
{
	const struct script hog = scenario_script(100000);
	static const struct script stuck = { .write_max = 1,
					     .read_max = 1,
					     .capacity = 1,
					     .pause_ns = 20000,
					     .fault = FAULT_LOST,
					     .finish = FINISH_NEVER };
	uint64_t turns;

	checked(plan, PROBE_HTTP)->script = &stuck;
	plan->region_bytes = 4u * 4096;
	plan->conf.proxy.session_window = 4u * 4096;
	plan->upstreams[0].health_fall = 1;
	plan->upstreams[0].health_timeout_ns = 300 * NS_PER_MS;
	sim_open(sim, plan);
	scenario_clients(sim, 4, &hog);
	sim_run_for(sim, NS_PER_S);
	require(flow_home_bytes(sim->flows[0]) == 0);
	turns = sim->turns;
	sim_run_for(sim, 10 * NS_PER_S);
	require(sim->turns - turns <= 2000); /* it does not spin */
	require(stat_of(sim, servers_went_down) == 0 && scenario_state(sim, 0) == SERVER_UP);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

/* --- sessions of a server that goes down ------------------------------------------------------ */

static void fall(struct sim *sim, struct plan *plan, enum conf_on_down on_down)
{
	struct origin *origin = checked(plan, PROBE_HTTP);

	plan->workers = 2;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	plan->upstreams[0].on_down = on_down;
	sim_open(sim, plan);
	scenario_clients(sim, 6, &holds);
	await_stat(sim, sessions, 6);
	sim_run_for(sim, 10 * NS_PER_MS);
	origin_turn(origin, MOOD_WRONG);
	scenario_await_state(sim, 0, SERVER_DOWN);
	sim_run_for(sim, 300 * NS_PER_MS);
}

static void sessions_stay_at_a_server_that_went_down(struct sim *sim, struct plan *plan)
{
	fall(sim, plan, ON_DOWN_KEEP);
	require(stat_of(sim, sessions) == 6 && close_of(sim, SERVER_DOWN) == 0);
	scenario_clients(sim, 1, &holds);
	await_close(sim, NO_SERVER, 1);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

static void sessions_end_with_their_server_where_that_is_wanted(struct sim *sim, struct plan *plan)
{
	fall(sim, plan, ON_DOWN_CLOSE);
	require(stat_of(sim, sessions) == 0 && close_of(sim, SERVER_DOWN) == 6);
	sim_finish(sim);
}

/* The server falls, and stands up again, while a session connects to it. */
static void flap_while_connecting(struct sim *sim, struct plan *plan, enum conf_on_down on_down)
{
	struct origin *origin = checked(plan, PROBE_HTTP);

	plan->servers[0][0].max_sessions = 1;
	plan->upstreams[0].on_down = on_down;
	plan->upstreams[0].health_fall = 1;
	plan->upstreams[0].health_rise = 1;
	plan->upstreams[0].health_timeout_ns = NS_PER_S;
	plan->faults.cancel_late = 500;
	sim_open(sim, plan);
	await_stat(sim, health_checks, 1);
	origin_turn(origin, MOOD_WRONG);
	origin->connect_ns = 800 * NS_PER_MS;
	scenario_clients(sim, 1, &holds);
	scenario_await_state(sim, 0, SERVER_DOWN);
	origin_turn(origin, MOOD_GOOD);
	scenario_await_state(sim, 0, SERVER_UP);
	sim_run_for(sim, NS_PER_S);
}

static void a_flap_does_not_end_what_connects(struct sim *sim, struct plan *plan)
{
	struct upstream_row row;

	flap_while_connecting(sim, plan, ON_DOWN_KEEP);
	require(flow_server_row(sim->flows[0], 0, &row));
	require(counter_read(&row.server->stats.server_sessions) == 1);
	require(server_sessions(row.server) == 1 && close_of(sim, SERVER_DOWN) == 0);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

static void a_flap_ends_what_connects_where_that_is_wanted(struct sim *sim, struct plan *plan)
{
	struct upstream_row row;

	flap_while_connecting(sim, plan, ON_DOWN_CLOSE);
	require(flow_server_row(sim->flows[0], 0, &row));
	require(counter_read(&row.server->stats.server_sessions) == 0);
	require(server_sessions(row.server) == 0 && close_of(sim, SERVER_DOWN) == 1);
	sim_finish(sim);
}

/* A worker that slept through the fall and the rise learns of both with its next request, which
 * goes to the server as it is now. */
static void a_fall_that_is_over_ends_no_new_session(struct sim *sim, struct plan *plan)
{
	const struct reply reply = { .status = 200, .framing = FRAMED_LENGTH, .minor = 1 };
	const struct client_script asks = { .asks = { { .method = "GET", .minor = 1, .own = true },
						      { .method = "GET", .minor = 1 } },
					    .asks_count = 2,
					    .ahead = 1,
					    .think_ns = 1,
					    .finish = FINISH_AFTER_PEER };
	struct origin *origin = checked(plan, PROBE_HTTP);
	struct peer *peer;

	http_plan_quiet(plan);
	origin->script = NULL;
	origin->replies = &reply;
	origin->replies_count = 1;
	plan->workers = 2; /* the first of them makes the checks */
	plan->upstreams[0].on_down = ON_DOWN_CLOSE;
	plan->upstreams[0].health_fall = 1;
	plan->upstreams[0].health_rise = 1;
	plan->upstreams[0].health_interval_ns = 40 * NS_PER_MS;
	sim_open(sim, plan);
	await_stat(sim, health_checks, 2);
	peer = http_client_start(sim->listeners[1][0], NULL, &asks);
	while (http_client_answered(peer) == 0)
		sim_step(sim, world->now_ns + NS_PER_S);
	sim->workers[1].asleep_until_ns = world->now_ns + 150 * NS_PER_MS;
	origin_turn(origin, MOOD_WRONG);
	scenario_await_state(sim, 0, SERVER_DOWN);
	origin_turn(origin, MOOD_GOOD);
	scenario_await_state(sim, 0, SERVER_UP);
	require(world->now_ns < sim->workers[1].asleep_until_ns);
	await_stat(sim, sessions_total, 1);
	sim_run_for(sim, 300 * NS_PER_MS);
	require(close_of(sim, SERVER_DOWN) == 0 && http_client_answered(peer) == 2);
	sim_finish(sim);
}

/* --- ejection, backups, slow start ------------------------------------------------------------ */

static uint32_t count_state(const struct sim *sim, uint32_t servers, enum server_state state)
{
	uint32_t count = 0, i;

	for (i = 0; i < servers; i++)
		count += scenario_state(sim, i) == state;
	return count;
}

static void at_most_half_of_the_servers_are_ejected(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(10);
	struct origin *origins[4];
	uint32_t i;

	plan->gentle = false;
	for (i = 0; i < 4; i++) {
		origins[i] = plan_add_server(plan, 0, 1);
		origins[i]->refuses = 1000;
	}
	plan->upstreams[0].eject_after = 2;
	plan->upstreams[0].eject_time_ns = 100 * NS_PER_S;
	sim_open(sim, plan);
	for (i = 0; i < 30; i++) {
		scenario_clients(sim, 1, &brief);
		await_close(sim, CONNECT_REFUSED, i + 1);
	}
	require(count_state(sim, 4, SERVER_EJECTED) == 2 && count_state(sim, 4, SERVER_UP) == 2);
	require(stat_of(sim, servers_ejected) == 2);
	for (i = 0; i < 4; i++) /* two of them were given up early */
		require(origins[i]->connects == 2 || origins[i]->connects >= 20);
	sim_finish(sim);
}

/* Checks take those out that failures left in: then the ejected are needed. */
static void checks_bring_the_ejected_back(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(10);
	struct origin *origins[4];
	uint32_t i;

	plan->gentle = false;
	for (i = 0; i < 4; i++) {
		origins[i] = plan_add_server(plan, 0, 1);
		origins[i]->script = &brief;
	}
	plan->upstreams[0].health = PROBE_HTTP;
	plan->upstreams[0].eject_after = 1;
	plan->upstreams[0].eject_time_ns = 100 * NS_PER_S;
	sim_open(sim, plan);
	await_stat(sim, health_checks, 8);
	origin_turn(origins[0], MOOD_REFUSES);
	origin_turn(origins[1], MOOD_REFUSES);
	while (count_state(sim, 4, SERVER_EJECTED) < 2) {
		(void)sim_client(sim, 0, &brief);
		sim_run_for(sim, NS_PER_MS);
	}
	origin_turn(origins[0], MOOD_GOOD);
	origin_turn(origins[1], MOOD_GOOD);
	origin_turn(origins[2], MOOD_WRONG);
	origin_turn(origins[3], MOOD_WRONG);
	scenario_await_state(sim, 2, SERVER_DOWN);
	scenario_await_state(sim, 3, SERVER_DOWN);
	require(count_state(sim, 4, SERVER_UP) == 1 && count_state(sim, 4, SERVER_EJECTED) == 1);
	sim_finish(sim);
}

static void an_ejected_server_comes_back_in_time(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(10);
	struct origin *origin = plan_add_server(plan, 0, 1);
	uint64_t began_ns;

	plan->gentle = false;
	origin->script = &brief;
	plan_add_server(plan, 0, 1)->script = &brief;
	origin->refuses = 1000;
	plan->upstreams[0].eject_after = 3;
	sim_open(sim, plan);
	while (scenario_state(sim, 0) != SERVER_EJECTED) {
		scenario_clients(sim, 1, &brief);
		sim_run_for(sim, NS_PER_MS);
	}
	require(origin->connects == 3);
	origin->refuses = 0;
	began_ns = world->now_ns;
	scenario_await_state(sim, 0, SERVER_UP); /* without any traffic */
	require(world->now_ns - began_ns >= 490 * NS_PER_MS);
	require(world->now_ns - began_ns <= 900 * NS_PER_MS);
	sim_finish(sim);
}

static void a_backup_serves_only_while_no_other_is_up(struct sim *sim, struct plan *plan)
{
	const struct script brief = scenario_script(10);
	struct origin *usual = checked(plan, PROBE_TCP);
	struct origin *backup = plan_add_server(plan, 0, 5);

	usual->script = backup->script = &brief;
	plan->servers[0][1].is_backup = true;
	sim_open(sim, plan);
	scenario_clients(sim, 5, &brief);
	sim_run_for(sim, NS_PER_S);
	require(usual->connects == 5 && backup->connects == 0);
	origin_turn(usual, MOOD_REFUSES);
	scenario_await_state(sim, 0, SERVER_DOWN);
	scenario_clients(sim, 5, &brief);
	sim_run_for(sim, NS_PER_S);
	require(usual->connects == 5 && backup->connects == 5);
	origin_turn(usual, MOOD_GOOD);
	scenario_await_state(sim, 0, SERVER_UP);
	scenario_clients(sim, 5, &brief);
	sim_run_for(sim, NS_PER_S);
	require(usual->connects == 10 && backup->connects == 5);
	sim_finish(sim);
}

static void a_server_that_came_up_takes_its_share_little_by_little(struct sim *sim,
								   struct plan *plan)
{
	const struct script brief = scenario_script(10);
	struct origin *steady = checked(plan, PROBE_TCP), *other = plan_add_server(plan, 0, 1);
	uint32_t early, i;

	steady->script = other->script = &brief;
	plan->upstreams[0].slow_start_ns = 10 * NS_PER_S;
	plan->upstreams[0].balance = world->seed % 2 == 0 ? BALANCE_ROUND_ROBIN :
							    BALANCE_RANDOM_TWO;
	sim_open(sim, plan);
	origin_turn(other, MOOD_REFUSES);
	scenario_await_state(sim, 1, SERVER_DOWN);
	origin_turn(other, MOOD_GOOD);
	scenario_await_state(sim, 1, SERVER_UP);
	other->connects = 0;
	for (i = 0; i < 100; i++) {
		scenario_clients(sim, 1, &brief);
		sim_run_for(sim, 10 * NS_PER_MS);
	}
	early = other->connects;
	sim_run_for(sim, 10 * NS_PER_S);
	other->connects = 0;
	for (i = 0; i < 100; i++) {
		scenario_clients(sim, 1, &brief);
		sim_run_for(sim, 10 * NS_PER_MS);
	}
	require(early <= 20);
	require(other->connects >= 35 && other->connects <= 65);
	sim_finish(sim);
}

const struct scenario scenarios_health[] = {
#define ROW(name, worlds)           \
	{                           \
#name, name, worlds \
	}
	ROW(each_mood_is_found_out, 12),
	ROW(a_check_of_tcp_only_connects, 6),
	ROW(a_check_in_flight_ends_with_the_drain, 10),
	ROW(no_descriptor_for_a_check_says_nothing, 2),
	ROW(no_port_for_a_check_says_nothing, 2),
	ROW(an_interrupted_receive_is_no_failed_check, 5),
	ROW(the_fields_of_an_answer_do_not_matter, 5),
	ROW(a_check_without_memory_waits, 5),
	ROW(sessions_stay_at_a_server_that_went_down, 5),
	ROW(sessions_end_with_their_server_where_that_is_wanted, 5),
	ROW(a_flap_does_not_end_what_connects, 10),
	ROW(a_flap_ends_what_connects_where_that_is_wanted, 10),
	ROW(a_fall_that_is_over_ends_no_new_session, 5),
	ROW(at_most_half_of_the_servers_are_ejected, 5),
	ROW(checks_bring_the_ejected_back, 5),
	ROW(an_ejected_server_comes_back_in_time, 3),
	ROW(a_backup_serves_only_while_no_other_is_up, 3),
	ROW(a_server_that_came_up_takes_its_share_little_by_little, 6),
#undef ROW
	{ 0 },
};
