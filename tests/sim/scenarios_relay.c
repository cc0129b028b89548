/* SPDX-License-Identifier: MIT */
/*
 * scenarios_relay.c - bytes, windows, the pool, ends and resets.
 */
#include "scenarios.h"

#define SLICE 4096u

static uint64_t held_bytes(const struct sim *sim)
{
	return flow_region_bytes(sim->flows[0]) - flow_home_bytes(sim->flows[0]);
}

/* --- ends ------------------------------------------------------------------------------------ */

/* Ten sessions of 1,000 bytes each way, all told. */
static void finish_all(struct sim *sim, struct plan *plan, const struct script *client,
                       const struct script *server)
{
	plan_add_server(plan, 0, 1)->script = server;
	sim_open(sim, plan);
	scenario_clients(sim, 10, client);
	await_stat(sim, sessions_total, 10);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, accepts) == 10 && stat_of(sim, sessions) == 0);
	require(stat_of(sim, client_bytes) == 10000 && stat_of(sim, server_bytes) == 10000);
	require(stat_of(sim, receives) >= 20 && stat_of(sim, receives) <= 20000);
	require(stat_of(sim, sends) >= 20 && stat_of(sim, sends) <= stat_of(sim, receives));
	require(stat_of(sim, send_slices) == stat_of(sim, receives));
	require(stat_of(sim, slices_free_bytes) == flow_region_bytes(sim->flows[0]));
	require(stat_of(sim, slices_used_peak_bytes) > 0);
}

static void a_client_that_finishes_first_is_the_reason(struct sim *sim, struct plan *plan)
{
	struct script early = scenario_script(1000);
	struct script late = scenario_script(1000);

	late.finish = FINISH_AFTER_PEER;
	finish_all(sim, plan, &early, &late);
	require(close_of(sim, CLIENT_FINISHED) == 10);
	plan->clients = 10;
	sim_finish(sim);
}

static void a_server_that_finishes_first_is_the_reason(struct sim *sim, struct plan *plan)
{
	struct script early = scenario_script(1000);
	struct script late = scenario_script(1000);

	late.finish = FINISH_AFTER_PEER;
	finish_all(sim, plan, &late, &early);
	require(close_of(sim, SERVER_FINISHED) == 10);
	plan->clients = 10;
	sim_finish(sim);
}

static void a_reset_is_passed_on_as_a_reset(struct sim *sim, struct plan *plan)
{
	struct script sound = scenario_script(100);
	struct script resets = scenario_script(100);
	struct peer *client;

	sound.finish = FINISH_AFTER_PEER;
	resets.finish = FINISH_NEVER;
	resets.fault = FAULT_RESET;
	resets.fault_at = 200;
	plan->gentle = false;
	plan_add_server(plan, 0, 1)->script = &resets;
	sim_open(sim, plan);
	client = sim_client(sim, 0, &sound);
	await_close(sim, SERVER_RESET, 1);
	sim_finish(sim);
	require(client->saw_reset && !client->saw_end);
}

static void a_resetting_client_resets_its_server(struct sim *sim, struct plan *plan)
{
	struct script sound = scenario_script(100);
	struct script resets = scenario_script(100);
	struct peer *client;

	sound.finish = FINISH_AFTER_PEER;
	resets.finish = FINISH_NEVER;
	resets.fault = FAULT_RESET;
	resets.fault_at = 200;
	plan->gentle = false;
	plan_add_server(plan, 0, 1)->script = &sound;
	sim_open(sim, plan);
	client = sim_client(sim, 0, &resets);
	await_close(sim, CLIENT_RESET, 1);
	sim_finish(sim);
	require(client->conn->pair->peer->saw_reset && !client->conn->pair->peer->saw_end);
}

/* The server resets while much is on its way to it: its error may be used up by the send that it
 * cuts, and the receive is then told of an end. That must not reach the client as one. */
static void cut_answer(struct sim *sim, struct plan *plan, enum conf_zero_copy zero_copy)
{
	struct script asks = scenario_script(200000);
	struct script resets = scenario_script(1000);

	asks.finish = FINISH_AFTER_PEER;
	resets.finish = FINISH_NEVER;
	resets.capacity = 3000;
	resets.fault = FAULT_RESET;
	resets.fault_at = 50000;
	plan->gentle = false;
	plan->batch_permille = 900; /* both are often told in one turn */
	plan->faults.not_inline = 500;
	plan->conf.proxy.zero_copy_send = zero_copy;
	plan->register_region = true;
	plan_add_server(plan, 0, 1)->script = &resets;
	sim_open(sim, plan);
	scenario_clients(sim, 4, &asks);
	await_stat(sim, sessions_total, 4);
	sim_run_for(sim, NS_PER_S);
	require(close_of(sim, SERVER_RESET) == 4);
	sim_finish(sim);
}

static void a_cut_answer_never_looks_complete(struct sim *sim, struct plan *plan)
{
	cut_answer(sim, plan, ZERO_COPY_OFF);
}

static void a_cut_answer_never_looks_complete_with_zero_copy(struct sim *sim, struct plan *plan)
{
	cut_answer(sim, plan, ZERO_COPY_ON);
}

static void a_short_send_is_followed_by_the_rest(struct sim *sim, struct plan *plan)
{
	struct script script = scenario_script(60000);

	script.capacity = 2000;
	plan->faults.short_send = 500;
	plan_add_server(plan, 0, 1)->script = &script;
	sim_open(sim, plan);
	scenario_clients(sim, 4, &script);
	await_stat(sim, sessions_total, 4);
	sim_run_for(sim, 10 * NS_PER_S);
	require(stat_of(sim, send_short) >= 1);
	plan->clients = 4;
	sim_finish(sim);
}

/* --- the window and the pool ----------------------------------------------------------------- */

static void tiny_writes_to_a_stalled_reader_are_cancelled_and_bounded(struct sim *sim,
                                                                      struct plan *plan)
{
	struct script drips = scenario_script(500);
	struct script stalls = scenario_script(0);
	uint64_t most = 0;
	uint32_t i;

	drips.write_max = 1;
	drips.finish = FINISH_NEVER;
	stalls.capacity = 1;
	stalls.finish = FINISH_NEVER;
	stalls.fault = FAULT_LOST;
	plan->gentle = false;
	plan_add_server(plan, 0, 1)->script = &stalls;
	sim_open(sim, plan);
	scenario_clients(sim, 1, &drips);
	for (i = 0; i < 20000; i++) {
		sim_step(sim, world->now_ns + NS_PER_MS);
		if (held_bytes(sim) > most)
			most = held_bytes(sim);
	}
	require(stat_of(sim, receive_cancels) == 1);
	require(most >= plan->conf.proxy.session_window);
	require(most <= plan->conf.proxy.session_window + 4 * SLICE);
	sim_cut(sim, CLOSE_DRAIN_CUT);
	sim_finish(sim);
}

/* One session holds all memory; those that come while none is left are served in that order. */
static void the_starved_are_served_first_come_first_served(struct sim *sim, struct plan *plan)
{
	struct script hog = scenario_script(4 * SLICE);
	struct script stalls = scenario_script(0);
	struct script small = scenario_script(100);
	struct conn *conns[3];
	uint32_t served = 0, i;

	stalls.capacity = 1;
	stalls.read_max = 1;
	stalls.fault = FAULT_STALL;
	stalls.fault_at = 1;
	stalls.fault_ns = NS_PER_S;
	plan->gentle = false;
	plan->region_bytes = 4 * SLICE;
	plan->conf.proxy.session_window = 4 * SLICE;
	plan_add_server(plan, 0, 1)->script = &stalls;
	sim_open(sim, plan);
	scenario_clients(sim, 1, &hog);
	sim_run_for(sim, 100 * NS_PER_MS);
	require(flow_home_bytes(sim->flows[0]) == 0);
	for (i = 0; i < 3; i++) {
		conns[i] = sim_client(sim, 0, &small)->conn;
		await_stat(sim, starved, i + 1);
		sim_run_for(sim, NS_PER_MS);
	}
	require(stat_of(sim, starvations) >= 3);
	while (served < 3) {
		sim_step(sim, UINT64_MAX);
		for (i = served; i < 3; i++)
			if (conns[i]->in.read > 0) {
				require(i == served);
				served++;
			}
	}
	sim_run_for(sim, 20 * NS_PER_S);
	require(stat_of(sim, starved) == 0);
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) == 4);
	sim_finish(sim);
}

static void a_direction_of_whole_slices_streams(struct sim *sim, struct plan *plan)
{
	struct script much = scenario_script(2u << 20);
	struct script little = scenario_script(10);

	plan->conf.proxy.session_window = 1u << 18;
	plan->region_bytes = 8u << 20;
	plan_add_server(plan, 0, 1)->script = &much;
	sim_open(sim, plan);
	scenario_clients(sim, 2, &little);
	await_stat(sim, streams, 2);
	await_close(sim, CLIENT_FINISHED, 1);
	plan->clients = 2;
	sim_finish(sim);
}

/* --- zero-copy ------------------------------------------------------------------------------- */

static void zero_copy(struct sim *sim, struct plan *plan, struct script *much)
{
	*much = scenario_script(4u << 20);
	much->capacity = 300000;
	plan->conf.proxy.zero_copy_send = ZERO_COPY_AUTO;
	plan->conf.proxy.session_window = 1u << 19;
	plan->region_bytes = 8u << 20;
	plan->register_region = true;
}

static void large_sends_are_not_copied(struct sim *sim, struct plan *plan)
{
	struct script much;

	zero_copy(sim, plan, &much);
	plan_add_server(plan, 0, 1)->script = &much;
	sim_open(sim, plan);
	scenario_clients(sim, 1, &much);
	await_stat(sim, zero_copy_sends, 10);
	require(stat_of(sim, zero_copy_copied) == 0);
	sim_run_for(sim, 10 * NS_PER_S);
	plan->clients = 1;
	sim_finish(sim);
}

static void a_kernel_that_copies_all_the_same_is_not_asked_again(struct sim *sim,
                                                                 struct plan *plan)
{
	struct script much;

	zero_copy(sim, plan, &much);
	plan->faults.zero_copy_copied = 1000;
	plan_add_server(plan, 0, 1)->script = &much;
	sim_open(sim, plan);
	scenario_clients(sim, 1, &much);
	await_stat(sim, zero_copy_copied, 1);
	sim_run_for(sim, 20 * NS_PER_S);
	/* Once in each direction, but for what was under way. */
	require(stat_of(sim, zero_copy_sends) <= 2);
	plan->clients = 1;
	sim_finish(sim);
}

static void a_send_that_cannot_be_zero_copy_is_copied(struct sim *sim, struct plan *plan)
{
	struct script much;

	zero_copy(sim, plan, &much);
	plan->conf.proxy.zero_copy_send = ZERO_COPY_ON;
	plan->faults.zero_copy_fails = 300; /* no memory for it */
	plan_add_server(plan, 0, 1)->script = &much;
	sim_open(sim, plan);
	scenario_clients(sim, 2, &much);
	await_stat(sim, sessions_total, 2);
	sim_run_for(sim, 20 * NS_PER_S);
	plan->clients = 2;
	sim_finish(sim);
}

const struct scenario scenarios_relay[] = {
#define ROW(name, worlds) { #name, name, worlds }
	ROW(a_client_that_finishes_first_is_the_reason, 5),
	ROW(a_server_that_finishes_first_is_the_reason, 5),
	ROW(a_reset_is_passed_on_as_a_reset, 20),
	ROW(a_resetting_client_resets_its_server, 20),
	ROW(a_cut_answer_never_looks_complete, 100),
	ROW(a_cut_answer_never_looks_complete_with_zero_copy, 100),
	ROW(a_short_send_is_followed_by_the_rest, 10),
	ROW(tiny_writes_to_a_stalled_reader_are_cancelled_and_bounded, 1),
	ROW(the_starved_are_served_first_come_first_served, 5),
	ROW(a_direction_of_whole_slices_streams, 2),
	ROW(large_sends_are_not_copied, 2),
	ROW(a_kernel_that_copies_all_the_same_is_not_asked_again, 2),
	ROW(a_send_that_cannot_be_zero_copy_is_copied, 5),
#undef ROW
	{ 0 },
};
