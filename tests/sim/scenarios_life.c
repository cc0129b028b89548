/* SPDX-License-Identifier: MIT */
/*
 * scenarios_life.c - accepting, limits, hand-overs, connecting, time limits, drain and cut.
 */
#include "scenarios.h"

static struct origin *one_server(struct plan *plan, const struct script *script)
{
	struct origin *origin = plan_add_server(plan, 0, 1);

	origin->script = script;
	return origin;
}

/* --- accepting ------------------------------------------------------------------------------- */

static void no_descriptor_backs_off_and_recovers(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(1000);

	one_server(plan, &script);
	sim_open(sim, plan);
	world->fds_max = 4; /* the listening socket's own */
	scenario_clients(sim, 3, &script);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, accept_no_descriptor) >= 5);
	require(stat_of(sim, accept_no_descriptor) <= 22); /* at most every 50 ms */
	require(stat_of(sim, accepts) == 0);
	world->fds_max = 4096;
	await_close(sim, CLIENT_FINISHED, 1);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, accepts) == 3);
	require(stat_of(sim, accept_refused) == 0);
	plan->clients = 3;
	sim_finish(sim);
}

static void odd_accept_errors_back_off_too(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(10);

	one_server(plan, &script);
	plan->faults.accept_no_fd = 500;
	sim_open(sim, plan);
	scenario_clients(sim, 20, &script);
	await_stat(sim, sessions_total, 20);
	require(stat_of(sim, accept_errors) + stat_of(sim, accept_no_descriptor) >= 1);
	sim_finish(sim);
}

static void at_the_limit_connections_wait_in_the_backlog(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(5000);
	uint32_t i;

	one_server(plan, &script);
	plan->conf.proxy.max_sessions = 2;
	sim_open(sim, plan);
	scenario_clients(sim, 16, &script);
	for (i = 0; i < 2000; i++) {
		require(flow_shared_sessions(sim->shared) <= 2);
		require(stat_of(sim, sessions) <= 2);
		sim_step(sim, world->now_ns + NS_PER_MS);
	}
	await_stat(sim, sessions_total, 16);
	require(stat_of(sim, accept_pauses) >= 1);
	require(stat_of(sim, accept_refused) == 0);
	plan->clients = 16;
	sim_finish(sim);
}

static void one_too_many_is_parked_and_served_later(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(5000);

	one_server(plan, &script);
	plan->workers = 3;
	plan->conf.proxy.max_sessions = 1;
	sim_open(sim, plan);
	scenario_clients(sim, 30, &script);
	await_stat(sim, sessions_total, 30);
	require(stat_of(sim, accept_parked) >= 1);
	require(stat_of(sim, accept_refused) == 0);
	plan->clients = 30;
	sim_finish(sim);
}

/* --- handing over ---------------------------------------------------------------------------- */

static void connections_are_handed_over_in_turn(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(100);
	uint32_t i;

	one_server(plan, &script);
	plan->workers = 3;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	sim_open(sim, plan);
	scenario_clients(sim, 12, &script);
	await_stat(sim, sessions_total, 12);
	sim_run_for(sim, 10 * NS_PER_MS); /* the sender is told last */
	require(stat_of(sim, handed_over) == 8);
	require(stat_of(sim, handed_back) == 0);
	for (i = 0; i < 3; i++)
		require(counter_read(&flow_stats(sim->flows[i])->sessions_total) == 4);
	plan->clients = 12;
	sim_finish(sim);
}

static void a_failed_hand_over_is_served_locally(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(100);

	one_server(plan, &script);
	plan->workers = 2;
	plan->conf.proxy.accept = ACCEPT_LEAST_SESSIONS;
	plan->faults.post_fails = 1000;
	sim_open(sim, plan);
	scenario_clients(sim, 12, &script);
	await_stat(sim, sessions_total, 12);
	sim_run_for(sim, 10 * NS_PER_MS);
	require(stat_of(sim, handed_back) >= 1);
	require(stat_of(sim, handed_over) == 0);
	require(counter_read(&flow_stats(sim->flows[0])->sessions_total) == 12);
	plan->clients = 12;
	sim_finish(sim);
}

static void a_burst_at_the_limit_with_slow_workers_is_not_refused(struct sim *sim,
                                                                  struct plan *plan)
{
	const struct script script = scenario_script(100);

	one_server(plan, &script);
	plan->workers = 3;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	plan->conf.proxy.max_sessions = 100;
	plan->listeners[0].backlog = 400;
	sim_open(sim, plan);
	sim->workers[1].asleep_until_ns = world->now_ns + 100 * NS_PER_MS;
	sim->workers[2].asleep_until_ns = world->now_ns + 100 * NS_PER_MS;
	scenario_clients(sim, 400, &scenario_silent);
	sim_run_for(sim, 200 * NS_PER_MS);
	require(stat_of(sim, accept_refused) == 0);
	require(stat_of(sim, sessions) == 100);
	plan->gentle = false;
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void closing_waits_for_the_connect_that_is_still_away(struct sim *sim, struct plan *plan)
{
	struct script script = scenario_silent;

	one_server(plan, &scenario_silent)->is_silent = 1000;
	plan->faults.cancel_late = 1000;
	script.total = 10;
	script.fault = FAULT_RESET;
	script.fault_at = 10;
	plan->gentle = false;
	sim_open(sim, plan);
	scenario_clients(sim, 1, &script);
	await_close(sim, CLIENT_RESET, 1);
	require(stat_of(sim, sessions) == 1); /* closing: the connect and its send are away */
	require(flow_shared_sessions(sim->shared) == 1);
	sim_run_for(sim, 10 * NS_PER_MS);
	require(stat_of(sim, sessions) == 0);
	require(world->fds_used == 1);
	sim_finish(sim);
}

static void linked_send_is_sent_to_the_next_server_after_refusal(struct sim *sim,
                                                                 struct plan *plan)
{
	const struct script script = scenario_script(100);
	struct upstream_row row;

	one_server(plan, &script)->refuses = 1000;
	one_server(plan, &script);
	sim_open(sim, plan);
	sim->workers[0].asleep_until_ns = world->now_ns + NS_PER_MS; /* the bytes come meanwhile */
	scenario_clients(sim, 1, &script);
	await_stat(sim, sessions_total, 1);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, connect_retries) == 1);
	require(stat_of(sim, connects_linked) == 2);
	require(stat_of(sim, client_bytes) == 100 && stat_of(sim, server_bytes) == 100);
	require(flow_server_row(sim->flows[0], 0, &row));
	require(counter_read(&row.server->stats.server_connect_failures) == 1);
	require(counter_read(&row.server->stats.server_connects) == 0);
	require(flow_server_row(sim->flows[0], 1, &row));
	require(counter_read(&row.server->stats.server_connects) == 1);
	require(counter_read(&row.server->stats.server_sessions) == 0);
	plan->clients = 1;
	sim_finish(sim);
}

/* Every client ends for the same reason, although there is a second server to try. */
static void all_end_by(struct sim *sim, struct plan *plan, size_t reason)
{
	const struct script script = scenario_script(100);

	plan_add_server(plan, 0, 0);
	plan->gentle = false;
	sim_open(sim, plan);
	scenario_clients(sim, 5, &script);
	scenario_await(sim, offsetof(struct flow_sums, closes) + reason * sizeof(uint64_t), 5,
	               close_reason_names[reason]);
	sim_finish(sim);
}

static void a_refused_session_says_so(struct sim *sim, struct plan *plan)
{
	one_server(plan, NULL)->refuses = 1000;
	all_end_by(sim, plan, CLOSE_CONNECT_REFUSED);
}

static void a_silent_server_is_given_up_after_connect_timeout(struct sim *sim, struct plan *plan)
{
	one_server(plan, NULL)->is_silent = 1000;
	all_end_by(sim, plan, CLOSE_CONNECT_TIMEOUT);
}

static void an_unreachable_server_is_a_failure_to_connect(struct sim *sim, struct plan *plan)
{
	one_server(plan, NULL)->unreachable = 1000;
	all_end_by(sim, plan, CLOSE_CONNECT_FAILED);
}

static void servers_of_weight_0_are_no_servers(struct sim *sim, struct plan *plan)
{
	all_end_by(sim, plan, CLOSE_NO_SERVER);
}

static void no_descriptor_to_connect_with_is_a_reason(struct sim *sim, struct plan *plan)
{
	one_server(plan, NULL);
	plan->faults.socket_no_fd = 1000;
	all_end_by(sim, plan, CLOSE_NO_DESCRIPTOR);
}

static void no_port_to_connect_from_is_a_reason(struct sim *sim, struct plan *plan)
{
	one_server(plan, NULL);
	plan->faults.no_port = 1000;
	all_end_by(sim, plan, CLOSE_NO_PORT);
}

/* --- time limits ----------------------------------------------------------------------------- */

static void time_limit(struct sim *sim, struct plan *plan, const struct script *client,
                       size_t reason, uint64_t after_ns)
{
	uint64_t started_ns;

	plan->gentle = false;
	one_server(plan, &scenario_silent);
	sim_open(sim, plan);
	started_ns = world->now_ns;
	scenario_clients(sim, 1, client);
	scenario_await(sim, offsetof(struct flow_sums, closes) + reason * sizeof(uint64_t), 1,
	               close_reason_names[reason]);
	require(world->now_ns - started_ns >= after_ns);
	require(world->now_ns - started_ns <= after_ns + 30 * NS_PER_MS);
	sim_finish(sim);
}

static void an_idle_client_is_closed_after_client_timeout(struct sim *sim, struct plan *plan)
{
	plan->listeners[0].client_timeout_ns = 3 * NS_PER_S;
	time_limit(sim, plan, &scenario_silent, CLOSE_CLIENT_TIMEOUT, 3 * NS_PER_S);
}

static void an_idle_server_is_closed_after_server_timeout(struct sim *sim, struct plan *plan)
{
	plan->upstreams[0].server_timeout_ns = 2 * NS_PER_S;
	time_limit(sim, plan, &scenario_silent, CLOSE_SERVER_TIMEOUT, 2 * NS_PER_S);
}

static void a_half_closed_session_is_closed_after_fin_timeout(struct sim *sim, struct plan *plan)
{
	const struct script finishes = scenario_script(0);

	plan->listeners[0].fin_timeout_ns = NS_PER_S;
	time_limit(sim, plan, &finishes, CLOSE_FIN_TIMEOUT, NS_PER_S);
}

/* --- drain and cut --------------------------------------------------------------------------- */

static void a_drain_lets_sessions_go_on_and_accepts_no_more(struct sim *sim, struct plan *plan)
{
	struct script slow = scenario_script(100000);
	struct peer *late;

	slow.write_max = 1000;
	slow.pause_ns = NS_PER_MS;
	one_server(plan, &slow);
	sim_open(sim, plan);
	scenario_clients(sim, 4, &slow);
	await_stat(sim, sessions, 4);
	sim_drain(sim);
	sim_run_for(sim, 100 * NS_PER_US);
	late = sim_client(sim, 0, &slow);
	sim_run_for(sim, NS_PER_MS);
	require(late->conn->unserved);
	require(stat_of(sim, sessions) == 4);
	plan->clients = 4;
	sim_finish(sim);
	require(late->saw_reset);
}

static void a_cut_ends_every_session_with_its_reason(struct sim *sim, struct plan *plan)
{
	plan->gentle = false;
	one_server(plan, &scenario_silent);
	one_server(plan, &scenario_silent)->is_silent = 1000; /* some still connect */
	sim_open(sim, plan);
	scenario_clients(sim, 10, &scenario_silent);
	await_stat(sim, sessions, 10);
	sim_run_for(sim, 10 * NS_PER_MS);
	sim_drain(sim);
	sim_run_for(sim, 10 * NS_PER_MS);
	sim_cut(sim, CLOSE_DRAIN_CUT);
	require(close_of(sim, DRAIN_CUT) == 10 && close_of(sim, STOP_CUT) == 0);
	sim_finish(sim);
}

static void second_close_keeps_the_first_reason(struct sim *sim, struct plan *plan)
{
	struct script resets = scenario_script(10);

	resets.fault = FAULT_RESET;
	resets.fault_at = 10;
	plan->gentle = false;
	plan->faults.not_inline = 1000;
	plan->faults.late = 1000;
	one_server(plan, &scenario_silent);
	sim_open(sim, plan);
	scenario_clients(sim, 1, &resets);
	await_close(sim, CLIENT_RESET, 1);
	require(stat_of(sim, sessions) == 1); /* something is away still */
	sim_cut(sim, CLOSE_STOP_CUT);
	require(close_of(sim, STOP_CUT) == 0);
	require(close_of(sim, CLIENT_RESET) == 1);
	sim_finish(sim);
}

/* A connection may still be on its way, between workers or from the backlog, when all is cut. */
static void what_arrives_after_a_cut_is_cut_too(struct sim *sim, struct plan *plan)
{
	plan->gentle = false;
	one_server(plan, &scenario_silent);
	plan->workers = 2;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	sim_open(sim, plan);
	sim->workers[1].asleep_until_ns = world->now_ns + 20 * NS_PER_MS;
	scenario_clients(sim, 8, &scenario_silent);
	await_stat(sim, accepts, 8);
	sim_run_for(sim, NS_PER_MS);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

const struct scenario scenarios_life[] = {
#define ROW(name) { #name, name, 1 }
	ROW(no_descriptor_backs_off_and_recovers),
	ROW(odd_accept_errors_back_off_too),
	ROW(at_the_limit_connections_wait_in_the_backlog),
	ROW(one_too_many_is_parked_and_served_later),
	ROW(connections_are_handed_over_in_turn),
	ROW(a_failed_hand_over_is_served_locally),
	ROW(a_burst_at_the_limit_with_slow_workers_is_not_refused),
	ROW(closing_waits_for_the_connect_that_is_still_away),
	ROW(linked_send_is_sent_to_the_next_server_after_refusal),
	ROW(a_refused_session_says_so),
	ROW(a_silent_server_is_given_up_after_connect_timeout),
	ROW(an_unreachable_server_is_a_failure_to_connect),
	ROW(servers_of_weight_0_are_no_servers),
	ROW(no_descriptor_to_connect_with_is_a_reason),
	ROW(no_port_to_connect_from_is_a_reason),
	ROW(an_idle_client_is_closed_after_client_timeout),
	ROW(an_idle_server_is_closed_after_server_timeout),
	ROW(a_half_closed_session_is_closed_after_fin_timeout),
	ROW(a_drain_lets_sessions_go_on_and_accepts_no_more),
	ROW(a_cut_ends_every_session_with_its_reason),
	ROW(second_close_keeps_the_first_reason),
	ROW(what_arrives_after_a_cut_is_cut_too),
#undef ROW
	{ 0 },
};
