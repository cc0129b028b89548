/* SPDX-License-Identifier: MIT */
/*
 * scenarios_http.c - requests and answers: what each meets, one case at a time.
 *
 * Peers check what http_sim.h says in every one of them; a scenario adds the counters that show
 * that its case happened.
 */
#include "http_sim.h"
#include "scenarios.h"

static const struct reply sound = { .status = 200, .framing = FRAMED_LENGTH, .minor = 1,
	                            .body = 500, .think_ns = NS_PER_MS };

static struct reply reply_with(uint8_t fault)
{
	struct reply reply = sound;

	reply.fault = fault;
	return reply;
}

static struct ask_script ask_of(const char *method, uint8_t framing, uint64_t body)
{
	return (struct ask_script){ .method = method, .minor = 1, .framing = framing,
		                    .body = body };
}

static struct ask_script get(void)
{
	return ask_of("GET", FRAMED_NONE, 0);
}

/* Some GETs, one after the other. */
static struct client_script several_gets(uint32_t count)
{
	struct client_script script = { .asks_count = count, .ahead = 1,
		                        .finish = FINISH_AFTER_PEER };

	while (count-- > 0)
		script.asks[count] = get();
	return script;
}

static struct origin *server(struct plan *plan, const struct reply *replies, uint32_t count)
{
	struct origin *origin = plan_add_server(plan, 0, 1);

	origin->replies = replies;
	origin->replies_count = count;
	return origin;
}

static struct peer *client(struct sim *sim, const struct client_script *asks)
{
	return http_client_start(sim->listeners[0][0], NULL, asks);
}

/* An HTTP world with one server; its peers may be told to misbehave. */
static struct origin *begin(struct sim *sim, struct plan *plan, const struct reply *replies,
                            uint32_t count)
{
	struct origin *origin;

	http_plan_quiet(plan);
	plan->gentle = false;
	origin = server(plan, replies, count);
	sim_open(sim, plan);
	return origin;
}

/* --- stale connections ----------------------------------------------------------------------- */

static void a_get_on_a_stale_connection_is_sent_again(struct sim *sim, struct plan *plan)
{
	const struct reply replies[] = { sound, reply_with(REPLY_CLOSE), sound };
	struct client_script asks = several_gets(2);
	struct peer *peer;

	begin(sim, plan, replies, 3);
	peer = client(sim, &asks);
	await_close(sim, CLIENT_FINISHED, 1);
	require(stat_of(sim, http_replays) == 1 && stat_of(sim, pool_reused) == 1);
	require(http_client_answered(peer) == 2 && stat_of(sim, http_own_502) == 0);
	sim_finish(sim);
}

static void a_post_on_a_stale_connection_is_not(struct sim *sim, struct plan *plan)
{
	const struct reply replies[] = { sound, reply_with(REPLY_CLOSE), sound };
	struct client_script asks = several_gets(2);

	asks.asks[1] = ask_of("POST", world->seed % 2 == 0 ? FRAMED_LENGTH : FRAMED_NONE, 10);
	begin(sim, plan, replies, 3);
	(void)client(sim, &asks);
	await_stat(sim, http_own_502, 1);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, http_replays) == 0 && stat_of(sim, pool_reused) == 1);
	sim_finish(sim);
}

static void a_get_on_a_fresh_connection_is_not_either(struct sim *sim, struct plan *plan)
{
	const struct reply replies[] = { reply_with(REPLY_CLOSE) };
	struct client_script asks = several_gets(1);
	struct origin *origin = begin(sim, plan, replies, 1);

	(void)client(sim, &asks);
	await_stat(sim, http_own_502, 1);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, http_replays) == 0 && origin->asked == 1);
	sim_finish(sim);
}

static void what_is_pipelined_behind_a_replay_is_answered_or_refused(struct sim *sim,
                                                                     struct plan *plan)
{
	struct reply replies[] = { sound, reply_with(REPLY_RESET), sound };
	struct client_script asks = several_gets(5);

	asks.ahead = 3;
	plan->batch_permille = 500;
	begin(sim, plan, replies, 3);
	(void)client(sim, &asks);
	await_stat(sim, http_requests, 2);
	sim_run_for(sim, 90 * NS_PER_S);
	require(stat_of(sim, sessions) == 0);
	sim_finish(sim);
}

static void stray_bytes_end_a_connection(struct sim *sim, struct plan *plan)
{
	const struct reply replies[] = { reply_with(REPLY_STRAY) };
	struct client_script asks = several_gets(4);
	struct origin *origin;
	struct peer *peer;

	asks.think_ns = 20 * NS_PER_MS;
	origin = begin(sim, plan, replies, 1);
	peer = client(sim, &asks);
	await_close(sim, CLIENT_FINISHED, 1);
	require(http_client_answered(peer) == 4 && origin->connects > 1);
	sim_finish(sim);
}

static void a_server_that_ends_an_idle_connection_is_dialled_again(struct sim *sim,
                                                                   struct plan *plan)
{
	struct reply ends = reply_with(REPLY_ENDS_IDLE);
	struct client_script asks = several_gets(4);
	struct peer *peer;

	ends.idle_ns = 5 * NS_PER_MS;
	asks.think_ns = 40 * NS_PER_MS;
	begin(sim, plan, &ends, 1);
	peer = client(sim, &asks);
	await_close(sim, CLIENT_FINISHED, 1);
	require(http_client_answered(peer) == 4 && stat_of(sim, http_own_502) == 0);
	sim_finish(sim);
}

/* --- answers --------------------------------------------------------------------------------- */

static void three_in_one_piece_are_answered_in_order(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(3);
	struct peer *peer;

	asks.ahead = 3;
	asks.finish = FINISH_WRITTEN; /* and the client's end is no reason not to answer */
	begin(sim, plan, &sound, 1);
	peer = client(sim, &asks);
	await_close(sim, CLIENT_FINISHED, 1);
	sim_run_for(sim, NS_PER_S); /* the client reads the last of it */
	require(http_client_answered(peer) == 3 && stat_of(sim, pool_reused) == 2);
	sim_finish(sim);
}

static void an_answer_may_come_before_its_request_is_in(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct reply early = sound;
	struct peer *peer;

	early.early = true;
	asks.asks[0] = ask_of("POST", FRAMED_LENGTH, 1000000);
	begin(sim, plan, &early, 1);
	peer = client(sim, &asks);
	peer->script.write_max = 5000;
	peer->script.pause_ns = 20 * NS_PER_MS;
	await_stat(sim, sessions_total, 1);
	sim_run_for(sim, 10 * NS_PER_S);
	require(http_client_answered(peer) == 1 && close_of(sim, HTTP_FINISHED) == 1);
	sim_finish(sim);
}

static void a_client_that_goes_takes_its_server_along(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct reply large = sound;
	struct peer *peer;

	large.body = 3000000;
	begin(sim, plan, &large, 1);
	peer = client(sim, &asks);
	peer->script.read_max = 2000;
	peer->script.fault = FAULT_RESET;
	peer->script.fault_at = 20000;
	await_close(sim, CLIENT_RESET, 1);
	require(stat_of(sim, pool_idle) == 0);
	sim_finish(sim);
}

static void a_cut_answer_never_looks_whole(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct reply cut = reply_with(REPLY_CUT);
	uint8_t framing;

	cut.body = 5000;
	cut.cut_at = 3000;
	begin(sim, plan, &cut, 1);
	for (framing = FRAMED_LENGTH; framing <= FRAMED_CHUNKED; framing++) {
		cut.framing = framing;
		(void)client(sim, &asks);
		asks.asks[0].minor = 0; /* to whom chunks are undone */
		(void)client(sim, &asks);
		await_close(sim, RESPONSE_CUT, 2u * framing);
		asks.asks[0].minor = 1;
	}
	sim_finish(sim);
}

/* The server resets, and its error is used up by the send that it cuts: what the receive is told
 * then is no end. */
static void a_reset_is_no_end_of_an_answer_until_close(struct sim *sim, struct plan *plan)
{
	static const struct script resets = { .write_max = 1u << 20, .read_max = 2000,
		                              .pause_ns = 40 * NS_PER_US, .capacity = 3000,
		                              .fault = FAULT_RESET, .fault_at = 20000 };
	struct client_script asks = several_gets(1);
	struct reply early = sound;
	uint32_t i;

	early.early = true;
	early.framing = FRAMED_CLOSE;
	early.think_ns = 0;
	early.body = 60000;
	asks.asks[0] = ask_of("POST", FRAMED_LENGTH, 200000);
	plan->batch_permille = 900; /* both are often told in one turn */
	plan->faults.not_inline = 500;
	begin(sim, plan, &early, 1)->script = &resets;
	for (i = 0; i < 4; i++)
		(void)client(sim, &asks);
	await_stat(sim, sessions_total, 4);
	sim_run_for(sim, NS_PER_S);
	require(close_of(sim, RESPONSE_CUT) + stat_of(sim, http_own_502) == 4);
	sim_finish(sim);
}

static void chunks_in_tiny_pieces_are_undone_for_an_old_client(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct reply chunks = sound;
	struct peer *peer;

	chunks.framing = FRAMED_CHUNKED;
	chunks.body = 3000;
	asks.asks[0].minor = 0;
	plan->faults.tiny_pieces = 1000;
	begin(sim, plan, &chunks, 1);
	peer = client(sim, &asks);
	await_close(sim, HTTP_FINISHED, 1);
	require(http_client_is_over(peer) && stat_of(sim, http_own_504) == 0);
	sim_finish(sim);
}

static void a_head_may_come_in_pieces_while_the_request_is_sent(struct sim *sim, struct plan *plan)
{
	static const struct script slow = { .write_max = 1u << 20, .read_max = 200,
		                            .pause_ns = 200 * NS_PER_US, .capacity = 400 };
	struct client_script asks = several_gets(1);
	struct reply early = sound;
	struct peer *peer;

	early.early = true;
	early.think_ns = 0;
	asks.asks[0] = ask_of("POST", FRAMED_LENGTH, 3000);
	plan->conf.proxy.session_window = plan->conf.proxy.buffer_size; /* room for one piece */
	plan->faults.tiny_pieces = 900;
	begin(sim, plan, &early, 1)->script = &slow;
	peer = client(sim, &asks);
	await_stat(sim, sessions_total, 1);
	sim_run_for(sim, 10 * NS_PER_S);
	require(http_client_answered(peer) == 1 && stat_of(sim, http_own_504) == 0);
	sim_finish(sim);
}

/* --- refusals and limits --------------------------------------------------------------------- */

static void nothing_behind_a_refused_request_is_served(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(3);
	struct origin *origin;

	asks.ahead = 3;
	asks.asks[0].fault = ASK_LENGTH_AND_CHUNKED;
	origin = begin(sim, plan, &sound, 1);
	(void)client(sim, &asks);
	await_close(sim, REQUEST_REFUSED, 1);
	require(stat_of(sim, http_own_400) == 1 && origin->connects == 0);
	sim_finish(sim);
}

/* Nothing for a while, after so many bytes. */
static void stall(struct peer *peer, uint64_t bytes)
{
	peer->script.write_max = 15;
	peer->script.fault = FAULT_STALL;
	peer->script.fault_at = bytes;
	peer->script.fault_ns = 100 * NS_PER_S;
}

static void a_slow_head_is_answered_with_408(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct peer *peer;

	begin(sim, plan, &sound, 1);
	peer = client(sim, &asks);
	stall(peer, 20);
	await_close(sim, HEAD_TIMEOUT, 1);
	require(stat_of(sim, http_own_408) == 1);
	sim_finish(sim);
}

static void a_slow_body_is_answered_with_408(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct peer *peer;

	asks.asks[0] = ask_of("PUT", FRAMED_CHUNKED, 5000);
	http_plan_quiet(plan);
	plan->listeners[0].body_min_rate = 1000;
	begin(sim, plan, &sound, 1);
	peer = client(sim, &asks);
	stall(peer, 2000);
	await_close(sim, BODY_TIMEOUT, 1);
	require(stat_of(sim, http_own_408) == 1);
	sim_finish(sim);
}

static void a_silent_server_is_answered_for_with_504(struct sim *sim, struct plan *plan)
{
	const struct reply silent = reply_with(REPLY_SILENT);
	struct client_script asks = several_gets(2);

	begin(sim, plan, &silent, 1);
	(void)client(sim, &asks);
	await_close(sim, SERVER_TIMEOUT, 1);
	require(stat_of(sim, http_own_504) == 1);
	sim_finish(sim);
}

/* The time of the server is over while a send to it is still away. */
static void a_server_that_takes_nothing_is_answered_for_too(struct sim *sim, struct plan *plan)
{
	static const struct script stuck = { .write_max = 1, .read_max = 1, .capacity = 50,
		                             .pause_ns = 20000, .fault = FAULT_LOST,
		                             .fault_at = 20 };
	struct client_script asks = several_gets(1);
	uint32_t i;

	plan->faults.late = 1000;
	begin(sim, plan, &sound, 1)->script = &stuck;
	for (i = 0; i < 20; i++)
		(void)client(sim, &asks);
	await_stat(sim, http_own_504, 1);
	for (i = 0; i < 20; i++) /* they need memory while those sends are still away */
		(void)client(sim, &asks);
	await_stat(sim, http_own_504, 40);
	sim_finish(sim);
}

static void a_second_server_is_tried(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(2);
	struct peer *peer;

	http_plan_quiet(plan);
	server(plan, &sound, 1)->refuses = 1000;
	begin(sim, plan, &sound, 1);
	peer = client(sim, &asks);
	await_close(sim, CLIENT_FINISHED, 1);
	require(http_client_answered(peer) == 2 && stat_of(sim, connect_retries) >= 1);
	require(stat_of(sim, http_own_503) == 0);
	sim_finish(sim);
}

/* --- tunnels, memory, the end ---------------------------------------------------------------- */

static void tunnel(struct sim *sim, struct plan *plan, const char *method, uint16_t status)
{
	const struct reply reply = { .status = status, .minor = 1, .body = 200000 };
	struct client_script asks = several_gets(2);

	asks.asks[1] = (struct ask_script){ .method = method, .minor = 1, .upgrade = true };
	asks.tunnel = 100000;
	begin(sim, plan, &reply, 1)->replies_count = 1;
	asks.asks[0].own = true;
	(void)client(sim, &asks);
	await_stat(sim, http_tunnels, 1);
	sim_run_for(sim, NS_PER_S);
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) == 1);
	require(stat_of(sim, client_bytes) > 100000 && stat_of(sim, server_bytes) > 200000);
	sim_finish(sim);
}

static void an_upgraded_connection_is_a_tunnel(struct sim *sim, struct plan *plan)
{
	tunnel(sim, plan, "GET", 101);
}

static void a_connected_one_too(struct sim *sim, struct plan *plan)
{
	tunnel(sim, plan, "CONNECT", 200);
}

/* Many chunked bodies both ways, with memory for few of them. */
static void the_starved_are_answered_in_the_end(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(3);
	struct reply chunks = sound;
	struct peer *peers[40];
	uint32_t i;

	chunks.framing = FRAMED_CHUNKED;
	chunks.body = 40000;
	for (i = 0; i < 3; i++)
		asks.asks[i] = ask_of("POST", FRAMED_CHUNKED, 40000);
	plan->region_bytes = 32u * 4096;
	begin(sim, plan, &chunks, 1);
	for (i = 0; i < ARRAY_COUNT(peers); i++)
		peers[i] = client(sim, &asks);
	await_stat(sim, starvations, 1);
	sim_run_for(sim, 100 * NS_PER_S);
	for (i = 0; i < ARRAY_COUNT(peers); i++)
		require(http_client_answered(peers[i]) == 3);
	sim_finish(sim);
}

static void a_drain_waits_for_the_answer_and_says_close(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(3);
	struct reply slow = sound;
	struct peer *idle, *busy;

	slow.think_ns = NS_PER_S;
	asks.ahead = 1;
	asks.think_ns = 1;
	begin(sim, plan, &slow, 1);
	busy = client(sim, &asks);
	asks = several_gets(1);
	asks.asks[0].own = true;
	asks.finish = FINISH_NEVER;
	idle = client(sim, &asks);
	sim_run_for(sim, 100 * NS_PER_MS);
	require(http_client_answered(idle) == 1 && http_client_answered(busy) == 0);
	sim_drain(sim);
	await_close(sim, HTTP_FINISHED, 2);
	require(http_client_answered(busy) == 1 && stat_of(sim, pool_idle) == 0);
	sim_finish(sim);
	require(idle->saw_end && busy->saw_end);
}

static void idle_connections_of_all_workers_are_one_pool(struct sim *sim, struct plan *plan)
{
	struct client_script asks = several_gets(1);
	struct origin *origin;
	uint32_t i;

	http_plan_quiet(plan);
	plan->workers = 2;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	origin = server(plan, &sound, 1);
	plan->upstreams[0].pool = POOL_SHARED;
	plan->upstreams[0].pool_max = 32;
	plan->gentle = false;
	sim_open(sim, plan);
	for (i = 0; i < 10; i++) {
		(void)client(sim, &asks);
		sim_run_for(sim, 20 * NS_PER_MS);
	}
	require(stat_of(sim, sessions_total) == 10 && stat_of(sim, sessions) == 0);
	require(origin->connects < 10 && stat_of(sim, pool_reused) == 10 - origin->connects);
	sim_finish(sim);
}

const struct scenario scenarios_http[] = {
#define ROW(name, worlds) { #name, name, worlds }
	ROW(a_get_on_a_stale_connection_is_sent_again, 20),
	ROW(a_post_on_a_stale_connection_is_not, 20),
	ROW(a_get_on_a_fresh_connection_is_not_either, 20),
	ROW(what_is_pipelined_behind_a_replay_is_answered_or_refused, 100),
	ROW(stray_bytes_end_a_connection, 50),
	ROW(a_server_that_ends_an_idle_connection_is_dialled_again, 20),
	ROW(three_in_one_piece_are_answered_in_order, 20),
	ROW(an_answer_may_come_before_its_request_is_in, 20),
	ROW(a_client_that_goes_takes_its_server_along, 10),
	ROW(a_cut_answer_never_looks_whole, 20),
	ROW(a_reset_is_no_end_of_an_answer_until_close, 100),
	ROW(chunks_in_tiny_pieces_are_undone_for_an_old_client, 20),
	ROW(a_head_may_come_in_pieces_while_the_request_is_sent, 50),
	ROW(nothing_behind_a_refused_request_is_served, 20),
	ROW(a_slow_head_is_answered_with_408, 5),
	ROW(a_slow_body_is_answered_with_408, 5),
	ROW(a_silent_server_is_answered_for_with_504, 5),
	ROW(a_server_that_takes_nothing_is_answered_for_too, 5),
	ROW(a_second_server_is_tried, 10),
	ROW(an_upgraded_connection_is_a_tunnel, 20),
	ROW(a_connected_one_too, 20),
	ROW(the_starved_are_answered_in_the_end, 3),
	ROW(a_drain_waits_for_the_answer_and_says_close, 10),
	ROW(idle_connections_of_all_workers_are_one_pool, 10),
#undef ROW
	{ 0 },
};
