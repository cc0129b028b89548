/* SPDX-License-Identifier: MIT */
/*
 * scenarios_clients.c - who a client is, and whether it is let in: headers of the PROXY protocol
 * from clients and to servers, access lists, and the limits of a source.
 *
 * That nobody reaches a server who must not, that bytes behind a header arrive unchanged, and that
 * a header to a server is right, is checked in each of them (front.h).
 */
#include "front.h"
#include "http_sim.h"
#include "scenarios.h"

/* Stays until it is told to go. */
static const struct script holds = { .total = 10,
				     .write_max = 100,
				     .read_max = 65536,
				     .pause_ns = 20000,
				     .capacity = 65536,
				     .finish = FINISH_NEVER };

static void block(struct cidr *blocks, uint32_t *count, const char *text)
{
	const char *reason;

	assert(*count < PLAN_BLOCKS_MAX);
	if (!cidr_parse(&blocks[(*count)++], text, &reason))
		world_fail("%s: %s", text, reason);
}

/* A listener that expects headers, and a server. */
static struct origin *begin(struct sim *sim, struct plan *plan, enum conf_proxy_protocol expected,
			    const struct script *script)
{
	struct origin *origin = plan_add_server(plan, 0, 1);

	origin->script = script;
	plan->listeners[0].proxy_protocol = expected;
	sim_open(sim, plan);
	return origin;
}

static struct peer *comes_from(struct sim *sim, const struct script *script, uint32_t address)
{
	struct peer *peer = sim_client(sim, 0, script);

	front_come_from(peer->conn, address);
	return peer;
}

static struct peer *says(struct sim *sim, const struct script *script, enum front_kind kind)
{
	struct peer *peer = comes_from(sim, script, 0);

	front_say(peer->conn, kind, (uint32_t)prng_below(&world->prng, FRONT_ADDRESSES));
	return peer;
}

static enum conf_proxy_protocol any_version(void)
{
	return (enum conf_proxy_protocol)(PROXY_V1 + world->seed % PROXY_ANY);
}

/* --- headers from clients --------------------------------------------------------------------- */

static void a_header_may_come_byte_by_byte(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(3000);
	uint32_t i;

	begin(sim, plan, any_version(), &script);
	for (i = 0; i < 4; i++)
		says(sim, &script, i == 3 ? FRONT_LOCAL : FRONT_SOUND)->conn->in_front.piece_max =
			1;
	await_stat(sim, sessions_total, 4);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, client_bytes) > 12000); /* headers are bytes that came */
	plan->clients = 4;
	sim_finish(sim);
}

/* The end comes in the middle of a header, or right behind it; at every byte in turn. */
static void an_end_inside_a_header_ends_the_session(struct sim *sim, struct plan *plan)
{
	const struct script nothing = scenario_script(0);
	struct peer *peer;
	struct origin *origin;
	uint32_t cut, count = 0;

	plan->gentle = false;
	origin = begin(sim, plan, any_version(), &nothing);
	for (cut = 0; cut < 110; cut++) {
		uint64_t whole;

		peer = says(sim, &nothing, FRONT_SOUND);
		whole = peer->conn->in_front.bytes.count;
		peer->conn->in_front.piece_max = 1 + cut % 3;
		if (cut >= whole)
			continue;
		peer->conn->in_front.bytes.count = cut;
		peer->conn->in_front.is_cut = true;
		peer->conn->bar = BAR_HEADER;
		count++;
	}
	await_close(sim, PROXY_HEADER, count);
	await_stat(sim, sessions_total, 110);
	sim_run_for(sim, NS_PER_S);
	require(close_of(sim, PROXY_HEADER) == count && origin->connects == 110 - count);
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) == 110 - count);
	sim_finish(sim);
}

static void what_is_no_header_reaches_no_server(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(500);
	struct origin *origin;
	enum front_kind kind;
	uint32_t count = 0;

	plan->gentle = false;
	plan->faults.tiny_pieces = 300;
	origin = begin(sim, plan, any_version(), &script);
	for (kind = FRONT_BROKEN; kind < FRONT_KINDS; kind++, count += 5) {
		uint32_t i;

		for (i = 0; i < 5; i++)
			(void)says(sim, &script, kind);
	}
	await_close(sim, PROXY_HEADER, count);
	require(origin->connects == 0 && stat_of(sim, sessions) == 0);
	sim_finish(sim);
}

/* Who never finishes its header has ten seconds. */
static void an_unfinished_header_is_not_waited_for(struct sim *sim, struct plan *plan)
{
	uint64_t began_ns;

	plan->gentle = false;
	begin(sim, plan, any_version(), &holds);
	says(sim, &holds, FRONT_SOUND)->conn->in_front.piece_max = 1;
	says(sim, &holds, FRONT_SOUND)->script.fault = FAULT_LOST; /* before it said anything */
	await_stat(sim, sessions, 2);
	began_ns = world->now_ns;
	await_close(sim, PROXY_HEADER, 1);
	sim_run_for(sim, NS_PER_MS);
	require(world->now_ns - began_ns >= 9 * NS_PER_S);
	require(world->now_ns - began_ns <= 11 * NS_PER_S);
	require(stat_of(sim, sessions) == 1);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

static void a_header_from_a_stranger_is_not_believed(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(100);
	struct origin *origin;
	uint32_t address;

	plan->gentle = false;
	block(plan->access[0].from, &plan->access[0].from_count, "10.0.0.0/30");
	origin = begin(sim, plan, any_version(), &script);
	for (address = 0; address < FRONT_ADDRESSES; address++)
		front_say(comes_from(sim, &script, address)->conn, FRONT_SOUND, 0);
	await_close(sim, PROXY_HEADER, FRONT_ADDRESSES - 2);
	sim_run_for(sim, NS_PER_S);
	require(origin->connects == 2 && stat_of(sim, sessions) == 0);
	sim_finish(sim);
}

/* A request stands behind the header in the same piece, or comes with the last of it. */
static void requests_stand_behind_headers(struct sim *sim, struct plan *plan)
{
	const struct reply reply = { .status = 200, .framing = FRAMED_LENGTH, .minor = 1 };
	const struct client_script asks = { .asks = { { .method = "GET", .minor = 1 } },
					    .asks_count = 1,
					    .ahead = 1,
					    .finish = FINISH_AFTER_PEER };
	struct origin *origin;
	struct peer *peer;
	uint32_t i;

	http_plan_quiet(plan);
	plan->faults.tiny_pieces = world->seed % 3 == 0 ? 500 : 0;
	plan->upstreams[0].pool = POOL_CLIENT;
	plan->upstreams[0].send_proxy = SEND_PROXY_V2;
	origin = begin(sim, plan, any_version(), NULL);
	origin->replies = &reply;
	origin->replies_count = 1;
	for (i = 0; i < 6; i++) {
		peer = http_client_start(sim->listeners[0][0], NULL, &asks);
		front_come_from(peer->conn, 0);
		front_say(peer->conn, FRONT_SOUND, i);
		peer->conn->in_front.piece_max = 1 + 20 * i;
	}
	await_close(sim, CLIENT_FINISHED, 6);
	require(origin->asked == 6);
	sim_finish(sim);
}

/* --- headers to servers ----------------------------------------------------------------------- */

static void send_headers(struct sim *sim, struct plan *plan, const struct script *script)
{
	plan->upstreams[0].send_proxy = world->seed % 2 == 0 ? SEND_PROXY_V1 : SEND_PROXY_V2;
	(void)begin(sim, plan, world->seed % 3 == 0 ? PROXY_ANY : PROXY_OFF, script);
}

static void a_server_is_told_who_its_client_is(struct sim *sim, struct plan *plan)
{
	const struct script much = scenario_script(70000), none = scenario_script(0);
	uint32_t i;

	plan->faults.not_inline = 300;
	plan->faults.short_send = 300;
	plan->features.send_vector = world->seed % 5 != 0;
	plan->binds[0].kind = world->seed % 4 == 0 ? ADDR_UNIX : ADDR_INET;
	send_headers(sim, plan, &much);
	for (i = 0; i < 8; i++) /* some have nothing to say but their end */
		(void)sim_client(sim, 0, i % 2 == 0 ? &much : &none);
	await_stat(sim, sessions_total, 8);
	sim_run_for(sim, 20 * NS_PER_S);
	plan->clients = 8;
	sim_finish(sim);
}

/* The server takes a few bytes at a time, or the memory of the header is sent without a copy. */
static void a_header_is_sent_in_whole(struct sim *sim, struct plan *plan)
{
	struct script script = scenario_script(100000), drips = scenario_script(100);

	drips.capacity = 3;
	drips.read_max = 2;
	script.capacity = 3000;
	plan->faults.short_send = 600;
	plan->faults.not_inline = 300;
	plan->register_region = true;
	plan->conf.proxy.zero_copy_send = ZERO_COPY_ON;
	send_headers(sim, plan, world->seed % 4 < 2 ? &drips : &script);
	scenario_clients(sim, 3, world->seed % 4 < 2 ? &drips : &script);
	await_stat(sim, sessions_total, 3);
	sim_run_for(sim, 30 * NS_PER_S);
	plan->clients = 3;
	sim_finish(sim);
}

/* Where memory is short a session waits for some, also for that of the header. */
static void a_header_waits_for_memory(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(3000);

	plan->region_bytes = 64u * 4096;
	plan->faults.tiny_pieces = 1000;
	plan->upstreams[0].send_proxy = SEND_PROXY_V2;
	(void)begin(sim, plan, PROXY_OFF, &script);
	scenario_clients(sim, 60, &script);
	await_stat(sim, sessions_total, 60);
	sim_run_for(sim, 20 * NS_PER_S);
	require(close_of(sim, NO_DESCRIPTOR) == 0 && stat_of(sim, connect_retries) == 0);
	plan->clients = 60;
	sim_finish(sim);
}

/* A burst had the kernel offered all of the memory; now it is over, and nobody uses any. */
static void a_header_finds_memory_that_nobody_uses(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(10);
	struct peer *late;

	plan->region_bytes = 200u * 4096;
	plan->listeners[0].backlog = 200;
	plan->upstreams[0].send_proxy = SEND_PROXY_V2;
	(void)begin(sim, plan, PROXY_OFF, &script);
	sim->workers[0].asleep_until_ns = world->now_ns + 10 * NS_PER_MS;
	scenario_clients(sim, 100, &script);
	await_stat(sim, sessions_total, 100);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, sessions) == 0);
	require(flow_home_bytes(sim->flows[0]) == flow_region_bytes(sim->flows[0]));
	late = sim_client(sim, 0, &script);
	sim_run_for(sim, NS_PER_S);
	require(peer_is_complete(late));
	plan->clients = 101;
	sim_finish(sim);
}

static void the_next_server_gets_a_header_too(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(5000);
	struct origin *refuses = plan_add_server(plan, 0, 1);

	refuses->refuses = 1000;
	plan->faults.not_inline = 300;
	plan->batch_permille = 500;
	plan->upstreams[0].eject_after = 1000;
	send_headers(sim, plan, &script);
	scenario_clients(sim, 10, &script);
	await_stat(sim, sessions_total, 10);
	sim_run_for(sim, 10 * NS_PER_S);
	require(stat_of(sim, connect_retries) >= 3 && refuses->connects >= 3);
	plan->clients = 10;
	sim_finish(sim);
}

/* --- who is let in ---------------------------------------------------------------------------- */

static void the_longest_block_decides(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(100);
	struct plan_access *access = &plan->access[0];
	struct origin *origin;
	uint32_t address;

	plan->gentle = false;
	block(access->allow, &access->allow_count, "10.0.0.0/8");
	block(access->allow, &access->allow_count, "2001:db8::2");
	block(access->deny, &access->deny_count, "10.9.0.0/16");
	block(access->deny, &access->deny_count, "2001:db8::/32");
	origin = begin(sim, plan, PROXY_OFF, &script);
	for (address = 0; address < FRONT_ADDRESSES; address++)
		(void)comes_from(sim, &script, address);
	await_close(sim, ACCESS_DENIED, 3);
	sim_run_for(sim, NS_PER_S);
	require(origin->connects == 3 && close_of(sim, ACCESS_DENIED) == 3);
	sim_finish(sim);
}

/* Behind a proxy it is the client that counts, not the proxy. */
static void a_list_is_about_who_the_header_names(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(100);
	struct origin *origin;

	plan->gentle = false;
	block(plan->access[0].deny, &plan->access[0].deny_count, "10.0.0.2");
	origin = begin(sim, plan, any_version(), &script);
	front_say(comes_from(sim, &script, 1)->conn, FRONT_SOUND, 0);
	front_say(comes_from(sim, &script, 0)->conn, FRONT_SOUND, 1);
	front_say(comes_from(sim, &script, 1)->conn, FRONT_LOCAL, 0);
	await_close(sim, ACCESS_DENIED, 2);
	sim_run_for(sim, NS_PER_S);
	require(origin->connects == 1 && close_of(sim, ACCESS_DENIED) == 2);
	sim_finish(sim);
}

/* Connections that were accepted at the limit wait for a session to end; one that ends as soon as
 * it has begun makes room for the next. */
static void who_is_parked_may_be_denied(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(1000);
	uint32_t i;

	plan->gentle = false;
	plan->workers = 3;
	plan->conf.proxy.max_sessions = 1;
	block(plan->access[0].deny, &plan->access[0].deny_count, "10.0.0.2");
	begin(sim, plan, PROXY_OFF, &script);
	for (i = 0; i < 30; i++)
		(void)comes_from(sim, &script, i % 3 == 0 ? 0 : 1);
	await_stat(sim, sessions_total, 30);
	sim_run_for(sim, NS_PER_S);
	require(stat_of(sim, accept_parked) >= 1 && close_of(sim, ACCESS_DENIED) == 20);
	require(close_of(sim, CLIENT_FINISHED) + close_of(sim, SERVER_FINISHED) == 10);
	sim_finish(sim);
}

static void a_source_has_so_many_sessions(struct sim *sim, struct plan *plan)
{
	struct peer *peers[2];
	struct origin *origin;
	uint32_t i;

	plan->gentle = false;
	plan->listeners[0].source_sessions = 2;
	plan->workers = 2;
	plan->conf.proxy.accept = ACCEPT_ROUND_ROBIN;
	origin = begin(sim, plan, PROXY_OFF, &holds);
	for (i = 0; i < 2; i++)
		peers[i] = comes_from(sim, &holds, 3); /* two addresses of one network are one */
	await_stat(sim, sessions, 2);
	(void)comes_from(sim, &holds, 4);
	await_close(sim, SOURCE_SESSIONS, 1);
	(void)comes_from(sim, &holds, 0); /* another source */
	await_stat(sim, sessions, 3);
	scenario_leave(peers[0]);
	await_close(sim, CLIENT_RESET, 1);
	sim_run_for(sim, 10 * NS_PER_MS);
	(void)comes_from(sim, &holds, 5);
	await_stat(sim, sessions, 3);
	sim_run_for(sim, 10 * NS_PER_MS);
	require(origin->connects == 4 && close_of(sim, SOURCE_SESSIONS) == 1);
	sim_cut(sim, CLOSE_STOP_CUT);
	sim_finish(sim);
}

static void a_source_opens_so_many_in_a_second(struct sim *sim, struct plan *plan)
{
	const struct script script = scenario_script(10);
	struct origin *origin;
	uint32_t i;

	plan->gentle = false;
	plan->listeners[0].source_rate = 10;
	plan->listeners[0].source_burst = 3;
	origin = begin(sim, plan, PROXY_OFF, &script);
	for (i = 0; i < 100; i++) {
		(void)comes_from(sim, &script, 1);
		sim_run_for(sim, 20 * NS_PER_MS);
	}
	await_stat(sim, sessions_total, 100);
	require(origin->connects >= 20 && origin->connects <= 24); /* of two seconds */
	require(close_of(sim, SOURCE_RATE) == 100 - origin->connects);
	sim_finish(sim);
}

const struct scenario scenarios_clients[] = {
#define ROW(name, worlds)           \
	{                           \
#name, name, worlds \
	}
	ROW(a_header_may_come_byte_by_byte, 20),
	ROW(an_end_inside_a_header_ends_the_session, 6),
	ROW(what_is_no_header_reaches_no_server, 12),
	ROW(an_unfinished_header_is_not_waited_for, 3),
	ROW(a_header_from_a_stranger_is_not_believed, 6),
	ROW(requests_stand_behind_headers, 20),
	ROW(a_server_is_told_who_its_client_is, 40),
	ROW(a_header_is_sent_in_whole, 16),
	ROW(a_header_waits_for_memory, 5),
	ROW(a_header_finds_memory_that_nobody_uses, 5),
	ROW(the_next_server_gets_a_header_too, 20),
	ROW(the_longest_block_decides, 3),
	ROW(a_list_is_about_who_the_header_names, 6),
	ROW(who_is_parked_may_be_denied, 20),
	ROW(a_source_has_so_many_sessions, 5),
	ROW(a_source_opens_so_many_in_a_second, 2),
#undef ROW
	{ 0 },
};
