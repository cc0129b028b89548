/* SPDX-License-Identifier: MIT */
/*
 * choose.c - the first tier with a usable server, and one of it by the upstream's balancing.
 *
 * A choice is one attempt after another to take a place, best first. That a server is full is found
 * out by the attempt; so that this does not cost a walk each time, round robin parks full servers,
 * and the others end at any_room(), which reads bits.
 */
#include "base/assert.h"
#include "group.h"
#include "mix.h"

#define DRAWS_MAX 8
#define LOOKS_MAX 16
#define PROBES_MAX 64

/* ------------------------------------------------------------------ the copy */

static void copy_tier(struct group *group, uint32_t number)
{
	const struct tier *tier = &group->shared->tiers[number];
	struct tier_own *own = &group->tiers[number];
	const uint32_t *weights = &group->weights[tier->first];

	own->usable_count = 0;
	own->parked_count = 0;
	if (group->tables != group->shared->tables)
		table_copy(&own->table, own->table_memory, &tier->maker);
	for (uint32_t i = 0; i < tier->count; i++)
		own->usable_count += weights[i] > 0;
	if (group->shared->policy.balance == BALANCE_ROUND_ROBIN && tier->count > 0)
		round_robin_set(&own->round_robin, weights, tier->count);
	if (group->shared->policy.balance == BALANCE_RANDOM_TWO && own->usable_count > 0)
		alias_set(&own->alias, weights, tier->count);
}

/* What has become of a server since the last copy. */
static void copy_server(struct group *group, struct server *server, struct list *fallen)
{
	struct server_shared *row = shared_of(server);
	uint32_t weight = atomic_load_explicit(&row->weight, memory_order_relaxed);
	uint32_t downs = atomic_load_explicit(&row->downs, memory_order_relaxed);
	uint32_t leaves = atomic_load_explicit(&row->leaves, memory_order_relaxed);

	group->weights[server->slot] = weight;
	if (weight > 0)
		group->usable[server->slot / 64] |= UINT64_C(1) << server->slot % 64;
	group->present_count += is_present(state_of(row));
	server->went_down = server->went_down || downs != server->downs;
	if ((downs != server->downs || leaves != server->leaves) && !list_linked(&server->fallen))
		list_push(fallen, &server->fallen);
	server->downs = downs;
	server->leaves = leaves;
}

/* The address that has a place now. Nobody has a session there if it is another one. */
static void copy_place(struct group *group, struct server *server)
{
	const struct server_shared *row = shared_of(server);
	struct place_copy *copy = &group->places[row->place];

	server->id = row->id;
	server->whole = row->whole;
	if (server_is_current(server))
		return;
	server->epoch = (uint16_t)atomic_load_explicit(&row->epoch, memory_order_relaxed);
	copy->addr = row->addr;
	addr_format(copy->label, &copy->addr);
	/* Whoever went down was another one, and is left behind with its sessions. */
	server->went_down = false;
	server->downs = atomic_load_explicit(&row->downs, memory_order_relaxed);
}

static void copy_all(struct group *group, struct list *fallen)
{
	struct upstream_shared *shared = group->shared;

	for (uint32_t i = 0; i < shared->slots_count / 64; i++) {
		group->usable[i] = 0;
		group->parked[i] = 0;
	}
	group->present_count = 0;
	for (uint32_t i = 0; i < shared->servers_count; i++) {
		if (group->servers[i].conf->addr.kind == ADDR_NAME)
			copy_place(group, &group->servers[i]);
		copy_server(group, &group->servers[i], fallen);
	}
	for (uint32_t i = 0; i < TIERS; i++)
		copy_tier(group, i);
	group->tables = shared->tables;
}

void group_copy(struct group *group, struct list *fallen)
{
	struct upstream_shared *shared = group->shared;
	/* First: what changes while this copies is copied next time. */
	uint32_t generation = atomic_load_explicit(&shared->generation, memory_order_acquire);

	/* Addresses and tables are not atomic. */
	if (shared->is_named)
		pthread_mutex_lock(&shared->lock);
	copy_all(group, fallen);
	if (shared->is_named)
		pthread_mutex_unlock(&shared->lock);
	group->generation = generation;
}

/* ------------------------------------------------------------------ full servers */

/* Any server with room, from a random one on. */
static uint32_t any_room(struct group *group, uint32_t tier_number, uint32_t avoid)
{
	const struct upstream_shared *shared = group->shared;
	const struct tier *tier = &shared->tiers[tier_number];
	uint32_t words = (tier->count + 63) / 64;
	uint64_t random = mix_random(&group->random);
	uint32_t word = mix_range((uint32_t)(random >> 32), words);

	/* The word begun with comes again at the end, for the bits before the one begun at. */
	for (uint32_t i = 0; i <= words; i++, word = word + 1 < words ? word + 1 : 0) {
		uint32_t place = tier->first / 64 + word;
		uint64_t room = group->usable[place] &
				~atomic_load_explicit(&shared->full[place], memory_order_relaxed);

		if (i == 0)
			room &= ~UINT64_C(0) << random % 64;
		while (room > 0) {
			uint32_t slot = place * 64 + (uint32_t)__builtin_ctzll(room);

			if (slot != avoid && session_begin(group->shared, slot))
				return slot;
			room &= room - 1;
		}
	}
	return SLOT_NONE;
}

/* ------------------------------------------------------------------ round_robin */

static void park(struct group *group, uint32_t tier, uint32_t slot)
{
	struct tier_own *own = &group->tiers[tier];

	round_robin_remove(&own->round_robin, slot - group->shared->tiers[tier].first);
	group->parked[slot / 64] |= UINT64_C(1) << slot % 64;
	own->parked_count++;
}

/* Those that are not full any more take part again. */
static void unpark(struct group *group, uint32_t tier_number)
{
	const struct upstream_shared *shared = group->shared;
	const struct tier *tier = &shared->tiers[tier_number];
	struct tier_own *own = &group->tiers[tier_number];
	uint32_t words = (tier->count + 63) / 64;

	for (uint32_t i = 0; i < words && own->parked_count > 0; i++) {
		uint32_t place = tier->first / 64 + i;
		uint64_t back = group->parked[place] &
				~atomic_load_explicit(&shared->full[place], memory_order_relaxed);

		group->parked[place] &= ~back;
		for (; back > 0; back &= back - 1) {
			uint32_t slot = place * 64 + (uint32_t)__builtin_ctzll(back);

			round_robin_insert(&own->round_robin, slot - tier->first,
					   group->weights[slot]);
			own->parked_count--;
		}
	}
}

uint32_t choose_round_robin(struct group *group, uint32_t tier, const struct choice *choice,
			    uint32_t avoid)
{
	struct round_robin *rr = &group->tiers[tier].round_robin;
	uint32_t first = group->shared->tiers[tier].first;
	uint32_t hidden = avoid == SLOT_NONE ? ROUND_ROBIN_NONE : avoid - first;
	uint32_t found;

	if (group->tiers[tier].parked_count > 0)
		unpark(group, tier);
	while ((found = round_robin_first(rr, hidden)) != ROUND_ROBIN_NONE) {
		if (session_begin(group->shared, first + found)) {
			round_robin_take(rr, found);
			return first + found;
		}
		park(group, tier, first + found);
	}
	return SLOT_NONE;
}

/* ------------------------------------------------------------------ least_sessions */

uint32_t choose_least_sessions(struct group *group, uint32_t tier_number,
			       const struct choice *choice, uint32_t avoid)
{
	const struct tier *tier = &group->shared->tiers[tier_number];
	struct least *least = &group->shared->least;

	for (uint32_t i = 0; i < LOOKS_MAX; i++) {
		uint32_t slot = least_first(least, tier->first, tier->count, group->turn, avoid);

		if (slot == LEAST_NONE)
			return SLOT_NONE;
		if (session_begin(group->shared, slot)) {
			group->turn = slot + LEAST_GROUP < tier->first + tier->count ?
					      slot + LEAST_GROUP :
					      tier->first;
			return slot;
		}
	}
	return any_room(group, tier_number, avoid); /* others were faster each time */
}

/* ------------------------------------------------------------------ random_two */

static uint32_t draw(struct group *group, uint32_t tier, uint32_t avoid, uint32_t other)
{
	uint32_t first = group->shared->tiers[tier].first;

	for (uint32_t i = 0; i < DRAWS_MAX; i++) {
		uint32_t slot =
			first + alias_draw(&group->tiers[tier].alias, mix_random(&group->random));

		if (slot != avoid && slot != other)
			return slot;
	}
	return SLOT_NONE;
}

/* Has `a` more sessions per weight, one more counted? */
static bool is_busier(const struct group *group, uint32_t a, uint32_t b)
{
	const struct least *least = &group->shared->least;
	uint64_t of_a = atomic_load_explicit(&least->sessions[a], memory_order_relaxed) + 1ull;
	uint64_t of_b = atomic_load_explicit(&least->sessions[b], memory_order_relaxed) + 1ull;

	return of_a * group->weights[b] > of_b * group->weights[a];
}

uint32_t choose_random_two(struct group *group, uint32_t tier, const struct choice *choice,
			   uint32_t avoid)
{
	uint32_t one = draw(group, tier, avoid, SLOT_NONE);
	uint32_t two = one == SLOT_NONE ? SLOT_NONE : draw(group, tier, avoid, one);

	if (two != SLOT_NONE && is_busier(group, one, two)) {
		uint32_t busier = one;

		one = two;
		two = busier;
	}
	if (one != SLOT_NONE && session_begin(group->shared, one))
		return one;
	if (two != SLOT_NONE && session_begin(group->shared, two))
		return two;
	return any_room(group, tier, avoid);
}

/* ------------------------------------------------------------------ source_hash, maglev */

static const struct server *server_of(const struct group *group, uint32_t slot)
{
	return &group->servers[group->shared->servers[slot].place];
}

/* Does the key stay with the server? While a weight grows only its part of them does, the same ones
 * each time. */
static bool accepts(struct group *group, uint32_t slot, uint64_t hash, uint32_t avoid)
{
	const struct server *server = server_of(group, slot);
	uint32_t weight = group->weights[slot];

	if (weight == 0 || slot == avoid)
		return false;
	if (weight < server->whole &&
	    mix_range((uint32_t)(mix_two(hash, server->id) >> 32), server->whole) >= weight)
		return false;
	return session_begin(group->shared, slot);
}

/* -log2(x / 2^64) with 32 bits behind the point, right to a percent or so; above 0. */
static uint64_t minus_log2(uint64_t x)
{
	uint32_t zeros = (uint32_t)__builtin_clzll(x | 1);
	uint64_t part = (x << zeros) << 1 >> 32; /* behind the leading bit, 32 bits of it */
	uint64_t bend = (part * ((UINT64_C(1) << 32) - part)) >> 32;

	/* log2(1 + f) is about f + 0.346 f (1 - f) */
	return ((zeros + UINT64_C(1)) << 32) - part - bend * 346 / 1000 + 1;
}

/* Rendezvous: of all with room, the one with the least minus_log2(hash) / weight. For when so few
 * are left that probing does not find them. */
static uint32_t rendezvous(struct group *group, uint32_t tier_number, uint64_t key, uint32_t avoid)
{
	const struct upstream_shared *shared = group->shared;
	const struct tier *tier = &shared->tiers[tier_number];
	uint32_t found = SLOT_NONE;
	uint64_t found_score = UINT64_MAX;

	for (uint32_t i = 0; i < (tier->count + 63) / 64; i++) {
		uint32_t place = tier->first / 64 + i;
		uint64_t room = group->usable[place] &
				~atomic_load_explicit(&shared->full[place], memory_order_relaxed);

		for (; room > 0; room &= room - 1) {
			uint32_t slot = place * 64 + (uint32_t)__builtin_ctzll(room);
			uint64_t log = minus_log2(mix_two(key, server_of(group, slot)->id));
			uint64_t score = (log << 20) / group->weights[slot];

			if (slot == avoid || score >= found_score)
				continue;
			found = slot;
			found_score = score;
		}
	}
	return found;
}

uint32_t choose_by_hash(struct group *group, uint32_t tier_number, const struct choice *choice,
			uint32_t avoid)
{
	const struct tier *tier = &group->shared->tiers[tier_number];
	const struct table *table = &group->tiers[tier_number].table;
	uint64_t key = mix(choice->key_hash);
	uint64_t hash = key;
	uint32_t slot;

	assert(table->is_there);
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		slot = tier->first + table_find(table, hash);
		if (accepts(group, slot, hash, avoid))
			return slot;
		hash = mix_two(hash, i);
	}
	for (uint32_t i = 0; i < LOOKS_MAX; i++) {
		slot = rendezvous(group, tier_number, key, avoid);
		if (slot == SLOT_NONE || session_begin(group->shared, slot))
			return slot;
	}
	return any_room(group, tier_number, avoid);
}
