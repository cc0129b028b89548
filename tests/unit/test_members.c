/* SPDX-License-Identifier: MIT */
/*
 * Addresses of a name and their places: who joins, who leaves, who stays where it is; what that
 * does to choices, tables and states; and workers that choose meanwhile.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "upstream/shared.h"
#include "upstream_helpers.h"

#define PLACES_MAX 400u

static struct conf_name the_name;
static struct member the_members[PLACES_MAX];
static uint32_t the_count;

/* An upstream whose servers are the places of one name, the last `spares` of them backups. */
static struct balance_case *names_of(enum conf_balance balance, uint32_t places, uint32_t spares)
{
	struct balance_case *c = case_of(balance, places + spares);

	for (uint32_t i = 0; i < places + spares; i++) {
		struct conf_server *server = &c->conf_servers[i];

		server->addr.kind = ADDR_NAME;
		server->addr.u.name.port = spares > 0 ? 0 : 80;
		server->weight = 1;
		c->servers[i].is_backup = i >= places;
		snprintf(server->name, sizeof(server->name), "app.test:80#%u", i + 1);
	}
	the_name = (struct conf_name){ .places = places, .spares = spares, .is_srv = spares > 0 };
	the_count = 0;
	return c;
}

static void member_add(uint32_t number, uint32_t weight, bool is_spare)
{
	struct member *member = &the_members[the_count++];
	const char *reason = "";
	char text[32];

	snprintf(text, sizeof(text), "10.9.%u.%u:80", number / 256, number % 256);
	*member = (struct member){ .weight = weight, .is_spare = is_spare };
	CHECK(addr_parse(&member->addr, text, &reason));
}

/* The name has these numbers from now on, in this order. */
static struct members_change renew(struct balance_case *c, const uint32_t *numbers, uint32_t count)
{
	struct members_change change;

	the_count = 0;
	for (uint32_t i = 0; i < count; i++)
		member_add(numbers[i], 1, false);
	upstream_members(c->shared, &c->upstream, &the_name, the_members, the_count, true,
			 c->now_ms, &change);
	return change;
}

#define RENEW(c, ...)                               \
	renew(c, (const uint32_t[]){ __VA_ARGS__ }, \
	      sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static uint32_t number_of(const struct server *server)
{
	const uint32_t in = ntohl(server->addr->u.in.sin_addr.s_addr);

	CHECK_INT(server->addr->kind, ADDR_INET);
	return in & 0xffff;
}

static struct server *take(struct balance_case *c, uint64_t key)
{
	struct choice choice = { .key_hash = key, .now_ms = c->now_ms };
	struct server *server = NULL;

	(void)upstream_choose(c->workers[0], &c->upstream, &choice, &server);
	return server;
}

static uint32_t take_number(struct balance_case *c, uint64_t key)
{
	struct server *server = take(c, key);
	uint32_t number = server != NULL ? number_of(server) : NONE;

	if (server != NULL)
		server_session_end(server);
	return number;
}

TEST(without_an_address_no_server_is_usable)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 4, 0);

	case_open(c, 1);
	CHECK_UINT(upstream_servers_present(c->workers[0], &c->upstream), 0);
	CHECK_UINT(take_number(c, 0), NONE);
	CHECK_UINT(RENEW(c, 7).joined, 1);
	CHECK_UINT(take_number(c, 0), 7);
	CHECK_UINT(upstream_servers_present(c->workers[0], &c->upstream), 1);
	CHECK(!strcmp(server_at(c, 0)->label, "10.9.0.7:80"));
	case_close(c);
}

TEST(an_address_keeps_its_place_whatever_the_order)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 4, 0);
	struct members_change change;

	case_open(c, 1);
	(void)RENEW(c, 1, 2, 3);
	change = RENEW(c, 3, 1, 2);
	CHECK_UINT(change.joined + change.left + change.placeless, 0);
	change = RENEW(c, 3, 4, 1);
	CHECK_UINT(change.joined, 1);
	CHECK_UINT(change.left, 1);
	for (uint32_t i = 0; i < 3; i++)
		(void)take_number(c, 0);
	CHECK_UINT(number_of(server_at(c, 0)), 1);
	CHECK_UINT(number_of(server_at(c, 2)), 3);
	CHECK_UINT(number_of(server_at(c, 3)), 4);
	CHECK_INT(server_state(server_at(c, 1)), SERVER_ABSENT);
	case_close(c);
}

TEST(who_has_sessions_is_leaving_until_they_end)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 1, 0);
	struct members_change change;
	struct server *server;

	case_open(c, 1);
	(void)RENEW(c, 1);
	server = take(c, 0);
	CHECK_UINT(number_of(server), 1);
	change = RENEW(c, 2);
	CHECK_UINT(change.left, 1);
	CHECK_UINT(change.placeless, 1);
	CHECK_INT(server_state(server), SERVER_LEAVING);
	CHECK(!server_is_staying(server));
	CHECK_UINT(take_number(c, 0), NONE);
	CHECK_UINT(number_of(server), 1);
	change = RENEW(c, 2);
	CHECK_UINT(change.placeless, 1);
	server_session_end(server);
	change = RENEW(c, 2);
	CHECK_UINT(change.joined, 1);
	CHECK_UINT(change.placeless, 0);
	CHECK_UINT(take_number(c, 0), 2);
	case_close(c);
}

TEST(who_leaves_makes_room_for_who_joins)
{
	struct balance_case *c = names_of(BALANCE_MAGLEV, 2, 0);
	struct members_change change;

	case_open(c, 1);
	(void)RENEW(c, 1, 2);
	(void)take_number(c, 0);
	change = RENEW(c, 1, 3);
	CHECK_UINT(change.joined, 1);
	CHECK_UINT(change.left, 1);
	CHECK_UINT(change.placeless, 0);
	CHECK_UINT(number_of(server_at(c, 0)), 1);
	for (uint32_t key = 0; key < 20; key++)
		CHECK(take_number(c, key) != 2);
	CHECK_UINT(number_of(server_at(c, 1)), 3);
	change = RENEW(c, 4, 5);
	CHECK_UINT(change.joined, 2);
	CHECK_UINT(change.left, 2);
	CHECK(take_number(c, 0) >= 4);
	case_close(c);
}

/* Tables are large, and each worker copies them. */
TEST(what_is_no_news_makes_no_table)
{
	static const enum conf_balance balances[] = { BALANCE_MAGLEV, BALANCE_SOURCE_HASH };

	for (uint32_t i = 0; i < 2; i++) {
		struct balance_case *c = names_of(balances[i], 2, 0);
		uint32_t tables;

		case_open(c, 1);
		(void)RENEW(c, 1, 2, 3);
		tables = c->shared->upstreams[0].tables;
		CHECK_UINT(RENEW(c, 3, 2, 1).placeless, 1);
		CHECK_UINT(c->shared->upstreams[0].tables, tables);
		(void)RENEW(c, 1);
		CHECK_UINT(c->shared->upstreams[0].tables, tables + 1);
		(void)RENEW(c, 1);
		CHECK_UINT(c->shared->upstreams[0].tables, tables + 1);
		(void)RENEW(c, 1, 2);
		CHECK_UINT(c->shared->upstreams[0].tables, tables + 2);
		case_close(c);
	}
}

TEST(who_comes_back_is_the_same_as_before)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 2, 0);
	struct server *server;
	uint16_t epoch;

	case_open(c, 1);
	(void)RENEW(c, 1);
	server = take(c, 0);
	epoch = server->epoch;
	(void)RENEW(c, 2);
	CHECK_INT(server_state(server), SERVER_LEAVING);
	CHECK_UINT(RENEW(c, 2, 1).joined, 1);
	CHECK_INT(server_state(server), SERVER_UP);
	(void)take_number(c, 0);
	CHECK_UINT(server->epoch, epoch);
	server_session_end(server);
	case_close(c);
}

TEST(a_place_that_changed_hands_has_another_epoch)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 1, 0);
	uint16_t epoch;

	case_open(c, 1);
	(void)RENEW(c, 1);
	(void)take_number(c, 0);
	epoch = server_at(c, 0)->epoch;
	the_count = 0;
	(void)renew(c, NULL, 0);
	CHECK_UINT(RENEW(c, 2).joined, 1);
	CHECK_UINT(take_number(c, 0), 2);
	CHECK(server_at(c, 0)->epoch != epoch);
	case_close(c);
}

TEST(leaving_is_a_fall_but_not_a_going_down)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 3, 0);
	bool went_down = true;
	struct server *fallen;

	case_open(c, 1);
	(void)RENEW(c, 1, 2);
	CHECK(upstreams_take_fallen(c->workers[0], &went_down) == NULL);
	(void)RENEW(c, 2);
	fallen = upstreams_take_fallen(c->workers[0], &went_down);
	CHECK(fallen == server_at(c, 0));
	CHECK(!went_down);
	CHECK(upstreams_take_fallen(c->workers[0], &went_down) == NULL);
	server_checked(server_at(c, 1), HEALTH_REFUSED, 0);
	fallen = upstreams_take_fallen(c->workers[0], &went_down);
	CHECK(fallen == server_at(c, 1));
	CHECK(went_down);
	/* The fall of one is not that of the next with its place. */
	(void)RENEW(c, 3);
	server_checked(server_at(c, 0), HEALTH_REFUSED, 0);
	(void)renew(c, NULL, 0);
	(void)RENEW(c, 4, 5, 6);
	while ((fallen = upstreams_take_fallen(c->workers[0], &went_down)) != NULL)
		CHECK(!went_down);
	case_close(c);
}

TEST(a_check_of_the_address_before_says_nothing)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 1, 0);

	case_open(c, 2);
	(void)RENEW(c, 1);
	(void)take_number(c, 0);
	(void)renew(c, NULL, 0);
	(void)RENEW(c, 2); /* worker 0 does not know yet */
	server_checked(server_at(c, 0), HEALTH_REFUSED, 0);
	for (uint32_t i = 0; i < 10; i++)
		server_failed(server_at(c, 0), HEALTH_REFUSED, 0);
	CHECK_INT(server_state(server_at(c, 0)), SERVER_UP);
	CHECK_UINT(take_number(c, 0), 2);
	server_checked(server_at(c, 0), HEALTH_REFUSED, 0);
	CHECK_INT(server_state(server_at(c, 0)), SERVER_DOWN);
	case_close(c);
}

TEST(who_was_down_is_new_to_the_next_address)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 1, 0);
	struct health_event event;
	uint32_t ups = 0, downs = 0, leaves = 0;

	case_open(c, 1);
	(void)RENEW(c, 1);
	(void)take_number(c, 0);
	server_checked(server_at(c, 0), HEALTH_REFUSED, 0);
	CHECK_UINT(take_number(c, 0), NONE);
	(void)renew(c, NULL, 0);
	(void)RENEW(c, 2);
	CHECK_UINT(take_number(c, 0), 2);
	while (upstreams_take_event(c->shared, &event)) {
		CHECK_INT(event.addr.kind, ADDR_INET);
		ups += event.after == SERVER_UP && event.reason == HEALTH_JOINED;
		downs += event.after == SERVER_DOWN;
		leaves += event.after == SERVER_LEAVING && event.reason == HEALTH_LEFT;
	}
	CHECK_UINT(ups, 2);
	CHECK_UINT(downs, 1);
	CHECK_UINT(leaves, 1);
	case_close(c);
}

TEST(when_all_are_exchanged_each_is_told)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, PLACES_MAX, 0);
	uint32_t numbers[PLACES_MAX], events = 0;
	struct health_event event;

	case_open(c, 1);
	for (uint32_t i = 0; i < PLACES_MAX; i++)
		numbers[i] = i;
	(void)renew(c, numbers, PLACES_MAX);
	while (upstreams_take_event(c->shared, &event))
		events += event.after == SERVER_UP;
	CHECK_UINT(events, PLACES_MAX);
	for (uint32_t i = 0; i < PLACES_MAX; i++)
		numbers[i] += PLACES_MAX;
	CHECK_UINT(renew(c, numbers, PLACES_MAX).joined, PLACES_MAX);
	for (events = 0; upstreams_take_event(c->shared, &event);)
		events++;
	CHECK_UINT(events, 2 * PLACES_MAX);
	CHECK_UINT(upstreams_events_lost(c->shared), 0);
	case_close(c);
}

TEST(who_is_down_comes_back_down)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 2, 0);
	struct server *server;

	case_open(c, 1);
	(void)RENEW(c, 1);
	server = take(c, 0);
	server_checked(server, HEALTH_REFUSED, 0);
	(void)RENEW(c, 2);
	CHECK_INT(server_state(server), SERVER_LEAVING);
	server_checked(server, HEALTH_REFUSED, 0);
	CHECK_INT(server_state(server), SERVER_LEAVING);
	(void)RENEW(c, 1, 2);
	CHECK_INT(server_state(server), SERVER_DOWN);
	server_session_end(server);
	case_close(c);
}

TEST(more_addresses_than_places_leave_the_others_alone)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 2, 0);
	struct members_change change;

	case_open(c, 1);
	(void)RENEW(c, 5, 6);
	change = RENEW(c, 1, 2, 3, 5, 6);
	CHECK_UINT(change.joined, 0);
	CHECK_UINT(change.placeless, 3);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(take_number(c, 0) >= 5);
	case_close(c);
}

TEST(records_bring_weights_and_spares)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 4, 4);
	uint32_t counts[8] = { 0 };
	struct members_change change;

	case_open(c, 1);
	member_add(1, 3, false);
	member_add(2, 1, false);
	member_add(7, 9, true);
	upstream_members(c->shared, &c->upstream, &the_name, the_members, 3, false, 0, &change);
	CHECK_UINT(change.joined, 3);
	for (uint32_t i = 0; i < 400; i++)
		counts[take_number(c, 0)]++;
	CHECK_UINT(counts[1], 300);
	CHECK_UINT(counts[2], 100);
	/* Other weights for the same two. */
	the_members[0].weight = 1;
	the_members[1].weight = 4;
	upstream_members(c->shared, &c->upstream, &the_name, the_members, 3, false, 0, &change);
	CHECK_UINT(change.joined + change.left, 0);
	memset(counts, 0, sizeof(counts));
	for (uint32_t i = 0; i < 500; i++)
		counts[take_number(c, 0)]++;
	CHECK_NEAR(counts[1], 100, 2);
	CHECK_NEAR(counts[2], 400, 2);
	/* The backup takes over when the others are down. */
	server_checked(server_at(c, 0), HEALTH_REFUSED, 0);
	server_checked(server_at(c, 1), HEALTH_REFUSED, 0);
	CHECK_UINT(take_number(c, 0), 7);
	case_close(c);
}

TEST(who_joins_later_starts_slowly)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 4, 0);
	struct members_change change;

	c->policy.slow_start_ms = 10000;
	case_open(c, 1);
	member_add(1, 1, false);
	c->now_ms = 1000;
	upstream_members(c->shared, &c->upstream, &the_name, the_members, 1, false, c->now_ms,
			 &change);
	(void)take_number(c, 0);
	CHECK_UINT(server_weight(server_at(c, 0)), server_weight_whole(server_at(c, 0)));
	(void)RENEW(c, 1, 2);
	(void)take_number(c, 0);
	CHECK(server_weight(server_at(c, 1)) * 10 < server_weight_whole(server_at(c, 1)));
	c->now_ms += 10000;
	upstreams_tick(c->shared, c->now_ms);
	CHECK_UINT(server_weight(server_at(c, 1)), server_weight_whole(server_at(c, 1)));
	case_close(c);
}

#define KEYS 4000u

static uint32_t before[KEYS];

/* One of eight addresses is exchanged, then one is added: the others keep their keys. */
static void keys_stay(enum conf_balance balance)
{
	struct balance_case *c = names_of(balance, 16, 0);
	uint32_t moved = 0, wrong = 0;

	case_open(c, 1);
	(void)RENEW(c, 1, 2, 3, 4, 5, 6, 7, 8);
	for (uint32_t key = 0; key < KEYS; key++)
		before[key] = take_number(c, key);
	(void)RENEW(c, 1, 2, 3, 9, 5, 6, 7, 8);
	for (uint32_t key = 0; key < KEYS; key++) {
		uint32_t now = take_number(c, key);

		moved += now != before[key];
		wrong += now == 4;
	}
	CHECK_UINT(wrong, 0);
	/* An eighth is lost, an eighth is won by the new one. */
	CHECK(moved > KEYS / 8);
	CHECK(moved < KEYS * 11 / 40);
	(void)RENEW(c, 8, 7, 6, 5, 4, 3, 2, 1);
	for (moved = 0, wrong = 0; wrong < KEYS; wrong++)
		moved += take_number(c, wrong) != before[wrong];
	CHECK_UINT(moved, 0);
	case_close(c);
}

TEST(with_source_hash_keys_stay_with_their_addresses)
{
	keys_stay(BALANCE_SOURCE_HASH);
}

TEST(with_maglev_keys_stay_with_their_addresses)
{
	keys_stay(BALANCE_MAGLEV);
}

TEST(half_of_what_is_left_may_be_out)
{
	struct balance_case *c = names_of(BALANCE_ROUND_ROBIN, 4, 0);

	case_open(c, 1);
	(void)RENEW(c, 1, 2, 3, 4);
	(void)take_number(c, 0);
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t j = 0; j < 5; j++)
			server_failed(server_at(c, i), HEALTH_REFUSED, 0);
		CHECK_INT(server_state(server_at(c, i)), SERVER_EJECTED);
	}
	(void)RENEW(c, 1, 2); /* nobody is left but those: one of them has to do */
	CHECK_INT((server_state(server_at(c, 0)) == SERVER_EJECTED) +
			  (server_state(server_at(c, 1)) == SERVER_EJECTED),
		  1);
	CHECK(take_number(c, 0) != NONE);
	case_close(c);
}

/* ------------------------------------------------------------------------------ with threads */

#define THREADS 3u
#define ROUNDS 4000u

static _Atomic uint32_t wrong_addresses;
static _Atomic bool is_over;

/* Who has a place has its address until the end. */
static void *choose_all_the_time(void *argument)
{
	struct upstreams *upstreams = argument;
	uint64_t random = (uintptr_t)argument;
	struct server *held[8] = { NULL };
	struct addr addrs[8];
	bool went_down;

	while (!atomic_load(&is_over)) {
		uint64_t bits = unit_random(&random);
		struct server **server = &held[bits % 8];
		struct choice choice = { .key_hash = bits };

		if (*server != NULL) {
			if (memcmp(&addrs[bits % 8], (*server)->addr, sizeof(struct addr)) != 0)
				atomic_fetch_add(&wrong_addresses, 1);
			server_session_end(*server);
			*server = NULL;
		} else if (upstream_choose(upstreams, &the_case.upstream, &choice, server) ==
			   CHOICE_MADE) {
			addrs[bits % 8] = *(*server)->addr;
		}
		while (upstreams_take_fallen(upstreams, &went_down) != NULL)
			;
	}
	for (uint32_t i = 0; i < 8; i++) {
		if (held[i] != NULL)
			server_session_end(held[i]);
	}
	return NULL;
}

static void stress(enum conf_balance balance, uint32_t rounds)
{
	struct balance_case *c = names_of(balance, 6, 0);
	uint64_t random = 5;
	uint32_t joined = 0;
	pthread_t threads[THREADS];

	case_open(c, THREADS);
	atomic_store(&is_over, false);
	atomic_store(&wrong_addresses, 0);
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, choose_all_the_time, c->workers[i]), 0);
	for (uint32_t round = 0; round < rounds; round++) {
		struct members_change change;
		uint64_t bits = unit_random(&random);

		the_count = 0;
		for (uint32_t i = 0; i < 20; i++) {
			if (bits & UINT64_C(1) << i)
				member_add(i + 1, 1, false);
		}
		upstream_members(c->shared, &c->upstream, &the_name, the_members, the_count, false,
				 0, &change);
		joined += change.joined;
	}
	atomic_store(&is_over, true);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_UINT(atomic_load(&wrong_addresses), 0);
	CHECK(joined > rounds);
	for (uint32_t i = 0; i < 6; i++)
		CHECK_UINT(server_sessions(server_at(c, i)), 0);
	case_close(c);
}

TEST(nobody_loses_the_address_that_was_chosen)
{
	stress(BALANCE_ROUND_ROBIN, ROUNDS);
	stress(BALANCE_LEAST_SESSIONS, ROUNDS);
	stress(BALANCE_SOURCE_HASH, ROUNDS / 40);
	stress(BALANCE_MAGLEV, ROUNDS / 400);
}

static const struct unit_test tests[] = {
	ROW(without_an_address_no_server_is_usable),
	ROW(an_address_keeps_its_place_whatever_the_order),
	ROW(who_has_sessions_is_leaving_until_they_end),
	ROW(who_leaves_makes_room_for_who_joins),
	ROW(what_is_no_news_makes_no_table),
	ROW(who_comes_back_is_the_same_as_before),
	ROW(a_place_that_changed_hands_has_another_epoch),
	ROW(leaving_is_a_fall_but_not_a_going_down),
	ROW(a_check_of_the_address_before_says_nothing),
	ROW(who_was_down_is_new_to_the_next_address),
	ROW(when_all_are_exchanged_each_is_told),
	ROW(who_is_down_comes_back_down),
	ROW(more_addresses_than_places_leave_the_others_alone),
	ROW(records_bring_weights_and_spares),
	ROW(who_joins_later_starts_slowly),
	ROW(with_source_hash_keys_stay_with_their_addresses),
	ROW(with_maglev_keys_stay_with_their_addresses),
	ROW(half_of_what_is_left_may_be_out),
	ROW(nobody_loses_the_address_that_was_chosen),
};
UNIT_MAIN(tests)
