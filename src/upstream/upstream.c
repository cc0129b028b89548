/* SPDX-License-Identifier: MIT */
/*
 * upstream.c - the shared part and the workers' parts: memory, and the way to a choice.
 *
 * All memory of a part lives in its arena and ends with it, also when it could not be made whole.
 */
#include "upstream/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "group.h"
#include "mix.h"

/* How often a place may have been given away under a choice that was just made. */
#define PLACE_TRIES 4

/* How far each target of a route is ahead: smooth weighted round robin by its rule. */
struct split {
	int64_t *credit;
};

struct upstreams {
	struct arena *arena;
	struct upstreams_shared *shared;
	struct upstreams_shared *own; /* shared, when nobody shares it */
	uint32_t count;
	struct group *groups;
	struct server *servers;
	struct split *splits; /* one per route */
	struct list fallen;
	uint32_t changes; /* of the shared part, looked at for fallen servers */
};

/* ------------------------------------------------------------------ the shared part */

uint32_t upstream_servers_total(const struct conf *conf)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < conf->upstreams_count; i++)
		total += conf->upstreams[i].servers_count;
	return total;
}

static void events_open(struct upstreams_shared *shared)
{
	shared->events_max = EVENTS_MIN;
	for (uint32_t i = 0; i < shared->conf->upstreams_count; i++) {
		const struct conf_upstream *upstream = &shared->conf->upstreams[i];

		for (uint32_t j = 0; j < upstream->servers_count; j++)
			shared->events_max += 2 * (upstream->servers[j].addr.kind == ADDR_NAME);
	}
	shared->events = arena_take(shared->arena, shared->events_max, sizeof(*shared->events));
}

static uint32_t aligned(uint32_t count)
{
	return (count + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;
}

/* Slots of both tiers, and what each server is. */
static void place_servers(struct upstream_shared *upstream, const struct server_policy *policies)
{
	uint32_t next[TIERS];

	for (uint32_t tier = 0; tier < TIERS; tier++)
		next[tier] = upstream->tiers[tier].first;
	for (uint32_t i = 0; i < upstream->servers_count; i++) {
		uint32_t slot = next[policies[i].is_backup ? TIER_BACKUP : TIER_USUAL]++;
		struct server_shared *server = &upstream->servers[slot];

		upstream->slots[i] = slot;
		server->conf = &upstream->conf->servers[i];
		server->place = i;
		server->id = mix_text(server->conf->name);
		upstream->is_named = upstream->is_named || server->conf->addr.kind == ADDR_NAME;
		server->whole = policies[i].weight * WEIGHT_SCALE;
		if (policies[i].max_sessions > 0) {
			upstream->limits[slot] = policies[i].max_sessions;
			upstream->is_counted = true;
		}
	}
}

void tier_weigh(struct upstream_shared *upstream, struct tier *tier, uint32_t index)
{
	const struct server_shared *row = &upstream->servers[tier->first + index];

	tier->maker.weights[index] = is_present(state_of(row)) ? row->whole / WEIGHT_SCALE : 0;
	tier->maker.ids[index] = row->id;
}

/* The most that the weights of a tier can come to. */
static uint64_t weights_max(const struct upstream_shared *upstream, const struct tier *tier)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < tier->count; i++) {
		const struct server_shared *row = &upstream->servers[tier->first + i];
		const struct addr *addr = &row->conf->addr;
		bool is_srv = addr->kind == ADDR_NAME && addr->u.name.port == 0;

		sum += is_srv ? MEMBER_WEIGHT_MAX : row->whole / WEIGHT_SCALE;
	}
	return sum;
}

static void make_tables(struct upstream_shared *upstream, struct arena *arena)
{
	enum conf_balance balance = upstream->policy.balance;
	struct table built;

	upstream->tables = table_is_wanted(balance) && upstream->is_named;
	for (uint32_t i = 0; table_is_wanted(balance) && i < TIERS; i++) {
		struct tier *tier = &upstream->tiers[i];
		struct table_maker *maker = &tier->maker;

		table_reserve_scratch(maker, balance, tier->count, arena);
		if (arena->failed)
			return;
		for (uint32_t j = 0; j < tier->count; j++)
			tier_weigh(upstream, tier, j);
		if (upstream->is_named)
			table_reserve_two(maker, weights_max(upstream, tier), arena);
		else
			table_reserve(maker, arena);
		if (arena->failed)
			return;
		table_build(maker, &built);
		table_swap(maker, &built);
	}
}

static void least_open(struct upstream_shared *upstream, struct arena *arena)
{
	struct least *least = &upstream->least;

	least->slots = upstream->slots_count;
	least->is_kept = upstream->policy.balance == BALANCE_LEAST_SESSIONS;
	least->sessions = arena_take(arena, least->slots, sizeof(*least->sessions));
	least->steps = arena_take(arena, least->slots, sizeof(*least->steps));
	least->best = arena_take(arena, least->slots / LEAST_GROUP, sizeof(*least->best));
	upstream->limits = arena_take(arena, least->slots, sizeof(*upstream->limits));
	least->limits = upstream->limits;
	if (arena->failed)
		return;
	memset(upstream->limits, 0xff, least->slots * sizeof(*upstream->limits));
	least_init(least);
}

static void shared_upstream_open(struct upstream_shared *upstream, struct arena *arena,
				 const struct upstream_policy *policy)
{
	const struct conf_upstream *conf = upstream->conf;
	const uint32_t count = conf->servers_count;
	struct server_policy *policies = calloc(count + 1ul, sizeof(*policies));
	uint32_t backups = 0;

	upstream->policy = *policy;
	upstream->policy.servers = NULL;
	upstream->servers_count = count;
	for (uint32_t i = 0; policies != NULL && i < count; i++) {
		if (policy->servers != NULL)
			policies[i] = policy->servers[i];
		else
			server_policy_read(&policies[i], &conf->servers[i]);
		backups += policies[i].is_backup;
	}
	upstream->tiers[TIER_USUAL].count = count - backups;
	upstream->tiers[TIER_BACKUP].count = backups;
	upstream->tiers[TIER_BACKUP].first = aligned(count - backups);
	upstream->slots_count = aligned(count - backups) + aligned(backups);
	upstream->slots = arena_take(arena, count, sizeof(*upstream->slots));
	upstream->servers = arena_take(arena, upstream->slots_count, sizeof(*upstream->servers));
	upstream->full = arena_take(arena, upstream->slots_count / 64, sizeof(*upstream->full));
	upstream->plan = arena_take(arena, upstream->slots_count, sizeof(*upstream->plan));
	least_open(upstream, arena);
	arena->failed = arena->failed || policies == NULL;
	if (!arena->failed) {
		place_servers(upstream, policies);
		upstream->is_counted = upstream->is_counted || upstream->is_named ||
				       policy->balance == BALANCE_LEAST_SESSIONS ||
				       policy->balance == BALANCE_RANDOM_TWO;
		state_init(upstream);
		make_tables(upstream, arena);
	}
	free(policies);
}

int upstreams_shared_open(struct upstreams_shared **out, const struct conf *conf,
			  const struct upstream_policy *policies, uint64_t seed)
{
	struct arena *arena = arena_open();
	struct upstreams_shared *shared;
	struct upstream_policy policy;

	if (arena == NULL)
		return -ENOMEM;
	shared = arena_take(arena, 1, sizeof(*shared));
	if (shared == NULL) {
		arena_close(arena);
		return -ENOMEM;
	}
	shared->arena = arena;
	shared->conf = conf;
	shared->seed = seed;
	pthread_mutex_init(&shared->events_lock, NULL);
	shared->upstreams = arena_take(arena, conf->upstreams_count, sizeof(*shared->upstreams));
	events_open(shared);
	for (uint32_t i = 0; i < conf->upstreams_count && !arena->failed; i++) {
		struct upstream_shared *upstream = &shared->upstreams[i];

		assert(conf->upstreams[i].index == i);
		upstream->conf = &conf->upstreams[i];
		upstream->all = shared;
		upstream->seed = mix_two(seed, i);
		pthread_mutex_init(&upstream->lock, NULL);
		shared->count++;
		upstream_policy_read(&policy, upstream->conf);
		shared_upstream_open(upstream, arena, policies != NULL ? &policies[i] : &policy);
	}
	if (arena->failed) {
		upstreams_shared_close(shared);
		return -ENOMEM;
	}
	*out = shared;
	return 0;
}

void upstreams_shared_close(struct upstreams_shared *shared)
{
	if (shared == NULL)
		return;
	for (uint32_t i = 0; i < shared->count; i++)
		pthread_mutex_destroy(&shared->upstreams[i].lock);
	pthread_mutex_destroy(&shared->events_lock);
	arena_close(shared->arena);
}

/* ------------------------------------------------------------------ a worker's part */

static void tier_open(struct group *group, uint32_t number, struct arena *arena)
{
	const uint32_t count = group->shared->tiers[number].count;
	const enum conf_balance balance = group->shared->policy.balance;
	struct tier_own *own = &group->tiers[number];
	void *memory;

	if (balance == BALANCE_ROUND_ROBIN && count > 0) {
		memory = arena_take(arena, 1, round_robin_size(count));
		if (memory != NULL)
			round_robin_init(&own->round_robin, count, memory);
	}
	if (balance == BALANCE_RANDOM_TWO) {
		own->alias.rows = arena_take(arena, count, sizeof(*own->alias.rows));
		own->alias.shares = arena_take(arena, count, sizeof(*own->alias.shares));
		own->alias.stacks = arena_take(arena, count, sizeof(*own->alias.stacks));
	}
	if (!group->shared->is_named)
		own->table = group->shared->tiers[number].maker.table;
	else if (table_is_wanted(balance)) /* group_copy() fills it */
		own->table_memory =
			arena_take(arena, 1, group->shared->tiers[number].maker.bytes);
}

static void server_open(struct group *group, uint32_t index, struct upstreams *upstreams)
{
	struct upstream_shared *shared = group->shared;
	struct server *server = &group->servers[index];
	const struct server_shared *row = &shared->servers[shared->slots[index]];

	server->conf = &shared->conf->servers[index];
	server->upstream_index = shared->conf->index;
	server->index = (uint32_t)(server - upstreams->servers);
	server->shared = shared;
	server->slot = shared->slots[index];
	server->downs = atomic_load_explicit(&row->downs, memory_order_relaxed);
	server->leaves = atomic_load_explicit(&row->leaves, memory_order_relaxed);
	list_init(&server->idle);
	list_init(&server->fallen);
	server->addr = &server->conf->addr;
	server->label = server->conf->name;
	if (server->conf->addr.kind == ADDR_NAME) { /* group_copy() fills these in */
		server->addr = &group->places[index].addr;
		server->label = group->places[index].label;
		return;
	}
	server->id = row->id;
	server->whole = row->whole;
}

static void group_open(struct upstreams *upstreams, struct group *group,
		       struct upstream_shared *shared, struct server *servers)
{
	struct arena *arena = upstreams->arena;

	group->shared = shared;
	group->servers = servers;
	group->weights = arena_take(arena, shared->slots_count, sizeof(*group->weights));
	group->usable = arena_take(arena, shared->slots_count / 64, sizeof(*group->usable));
	group->parked = arena_take(arena, shared->slots_count / 64, sizeof(*group->parked));
	budget_init(&group->budget, shared->policy.retry_budget);
	for (uint32_t tier = 0; tier < TIERS; tier++)
		tier_open(group, tier, arena);
	if (shared->is_named)
		group->places =
			arena_take(arena, shared->servers_count, sizeof(*group->places));
	for (uint32_t i = 0; i < shared->servers_count && !arena->failed; i++)
		server_open(group, i, upstreams);
}

/* Begin `worker` choices into each sequence. */
static void group_skip(struct group *group, uint32_t worker)
{
	struct round_robin *rr = &group->tiers[TIER_USUAL].round_robin;

	group->random = mix_two(group->shared->seed, worker);
	if (group->shared->policy.balance != BALANCE_ROUND_ROBIN ||
	    group->tiers[TIER_USUAL].usable_count == 0)
		return;
	for (uint32_t i = 0; i < worker; i++)
		round_robin_take(rr, round_robin_first(rr, ROUND_ROBIN_NONE));
}

static bool splits_open(struct upstreams *upstreams, const struct conf *conf)
{
	upstreams->splits = arena_take(upstreams->arena, conf->routes_count, sizeof(struct split));
	for (uint32_t i = 0; i < conf->routes_count && upstreams->splits != NULL; i++)
		upstreams->splits[i].credit = arena_take(
			upstreams->arena, conf->routes[i].targets_count, sizeof(int64_t));
	return !upstreams->arena->failed;
}

int upstreams_join(struct upstreams **out, struct upstreams_shared *shared, uint32_t worker)
{
	struct upstreams *upstreams = calloc(1, sizeof(*upstreams));
	struct arena *arena = arena_open();
	uint32_t first = 0;

	if (upstreams == NULL || arena == NULL) {
		free(upstreams);
		free(arena);
		return -ENOMEM;
	}
	upstreams->arena = arena;
	upstreams->shared = shared;
	upstreams->count = shared->count;
	list_init(&upstreams->fallen);
	upstreams->groups = arena_take(arena, shared->count, sizeof(*upstreams->groups));
	upstreams->servers = arena_take(arena, upstream_servers_total(shared->conf),
					sizeof(*upstreams->servers));
	upstreams->changes = atomic_load_explicit(&shared->changes, memory_order_acquire);
	for (uint32_t i = 0; i < shared->count && !arena->failed; i++) {
		struct group *group = &upstreams->groups[i];

		group_open(upstreams, group, &shared->upstreams[i], &upstreams->servers[first]);
		first += shared->upstreams[i].servers_count;
		if (arena->failed)
			break;
		group_copy(group, &upstreams->fallen);
		group_skip(group, worker);
	}
	if (!splits_open(upstreams, shared->conf)) {
		upstreams_close(upstreams);
		return -ENOMEM;
	}
	*out = upstreams;
	return 0;
}

int upstreams_open(struct upstreams **out, const struct conf *conf, uint32_t worker)
{
	struct upstreams_shared *own;
	int result = upstreams_shared_open(&own, conf, NULL, worker);

	if (result < 0)
		return result;
	result = upstreams_join(out, own, worker);
	if (result < 0)
		upstreams_shared_close(own);
	else
		(*out)->own = own;
	return result;
}

void upstreams_close(struct upstreams *upstreams)
{
	if (upstreams == NULL)
		return;
	arena_close(upstreams->arena);
	upstreams_shared_close(upstreams->own);
	free(upstreams);
}

/* ------------------------------------------------------------------ choose */

static struct group *group_of(struct upstreams *upstreams, const struct conf_upstream *upstream)
{
	assert(upstream->index < upstreams->count);
	assert(upstreams->groups[upstream->index].shared->conf == upstream);
	return &upstreams->groups[upstream->index];
}

static void group_refresh(struct upstreams *upstreams, struct group *group)
{
	if (atomic_load_explicit(&group->shared->generation, memory_order_acquire) !=
	    group->generation)
		group_copy(group, &upstreams->fallen);
}

/* The slot to avoid, when it is in this tier and may be used at all. */
static uint32_t avoid_slot(const struct group *group, uint32_t tier, const struct server *avoid)
{
	const struct tier *shared = &group->shared->tiers[tier];

	if (avoid == NULL || avoid->shared != group->shared || avoid->slot < shared->first ||
	    avoid->slot >= shared->first + shared->count || group->weights[avoid->slot] == 0)
		return SLOT_NONE;
	return avoid->slot;
}

static enum choice_result choose_slot(struct group *group, const struct choice *choice,
				      uint32_t *slot)
{
	static choose *const choosers[] = {
		[BALANCE_ROUND_ROBIN] = choose_round_robin,
		[BALANCE_LEAST_SESSIONS] = choose_least_sessions,
		[BALANCE_RANDOM_TWO] = choose_random_two,
		[BALANCE_SOURCE_HASH] = choose_by_hash,
		[BALANCE_MAGLEV] = choose_by_hash,
	};
	const uint32_t tier =
		group->tiers[TIER_USUAL].usable_count > 0 ? TIER_USUAL : TIER_BACKUP;
	const uint32_t avoid = avoid_slot(group, tier, choice->avoid);

	*slot = SLOT_NONE;
	if (group->tiers[tier].usable_count == 0)
		return CHOICE_NONE_USABLE;
	if (avoid == SLOT_NONE || group->tiers[tier].usable_count > 1)
		*slot = choosers[group->shared->policy.balance](group, tier, choice, avoid);
	if (*slot == SLOT_NONE && avoid != SLOT_NONE && session_begin(group->shared, avoid))
		*slot = avoid;
	return *slot == SLOT_NONE ? CHOICE_ALL_FULL : CHOICE_MADE;
}

enum choice_result upstream_choose(struct upstreams *upstreams,
				   const struct conf_upstream *upstream,
				   const struct choice *choice, struct server **server)
{
	struct group *group = group_of(upstreams, upstream);
	struct upstream_shared *shared = group->shared;
	enum choice_result result;
	uint32_t slot;

	*server = NULL;
	if (choice->now_ms >= atomic_load_explicit(&shared->due_ms, memory_order_relaxed))
		upstream_tick(shared, choice->now_ms);
	group_refresh(upstreams, group);
	for (uint32_t i = 0; i < PLACE_TRIES; i++) {
		result = choose_slot(group, choice, &slot);
		if (result != CHOICE_MADE)
			return result;
		assert(shared->servers[slot].conf != NULL);
		*server = &group->servers[shared->servers[slot].place];
		if (!shared->is_named || server_is_current(*server))
			return CHOICE_MADE;
		/* Another address took the place just now: back, and look at what is there. */
		session_end(shared, slot);
		*server = NULL;
		group_copy(group, &upstreams->fallen);
	}
	return CHOICE_NONE_USABLE;
}

struct server *upstream_pick(struct upstreams *upstreams, const struct conf_upstream *upstream,
			     const struct server *avoid)
{
	struct choice choice = { .avoid = avoid };
	struct server *server;

	if (upstream_choose(upstreams, upstream, &choice, &server) == CHOICE_MADE)
		server_session_end(server);
	return server;
}

uint32_t upstream_servers_present(struct upstreams *upstreams,
				  const struct conf_upstream *upstream)
{
	return group_of(upstreams, upstream)->present_count;
}

struct server *upstreams_take_fallen(struct upstreams *upstreams, bool *went_down)
{
	uint32_t changes = atomic_load_explicit(&upstreams->shared->changes, memory_order_acquire);
	struct server *server;
	struct list *node;

	if (changes != upstreams->changes) {
		upstreams->changes = changes;
		for (uint32_t i = 0; i < upstreams->count; i++)
			group_refresh(upstreams, &upstreams->groups[i]);
	}
	node = list_take_first(&upstreams->fallen);
	if (node == NULL)
		return NULL;
	server = container_of(node, struct server, fallen);
	*went_down = server->went_down;
	server->went_down = false;
	return server;
}

void upstream_request(struct upstreams *upstreams, const struct conf_upstream *upstream,
		      uint64_t now_ms)
{
	budget_request(&group_of(upstreams, upstream)->budget, now_ms);
}

bool upstream_may_retry(struct upstreams *upstreams, const struct conf_upstream *upstream,
			uint64_t now_ms)
{
	return budget_retry(&group_of(upstreams, upstream)->budget, now_ms);
}

struct server *upstream_server(struct upstreams *upstreams, const struct conf_upstream *upstream,
			       uint32_t index)
{
	assert(index < upstream->servers_count);
	return &group_of(upstreams, upstream)->servers[index];
}

/* Is any of its servers up? */
static bool is_usable(struct upstreams *upstreams, const struct conf_upstream *upstream)
{
	for (uint32_t i = 0; i < upstream->servers_count; i++)
		if (server_state(upstream_server(upstreams, upstream, i)) == SERVER_UP)
			return true;
	return false;
}

/* The target that is furthest ahead, of those that are usable or of all; targets_count: none. */
static uint32_t furthest(struct upstreams *upstreams, const struct conf_route *route,
			 const int64_t *credit, bool usable_only)
{
	uint32_t best = route->targets_count;

	for (uint32_t i = 0; i < route->targets_count; i++) {
		if (route->targets[i].weight == 0 ||
		    (best < route->targets_count && credit[i] <= credit[best]))
			continue;
		if (!usable_only || is_usable(upstreams, route->targets[i].upstream))
			best = i;
	}
	return best;
}

const struct conf_upstream *upstream_of_route(struct upstreams *upstreams,
					      const struct conf_route *route)
{
	int64_t *credit = upstreams->splits[route->index].credit;
	uint32_t best;

	assert(route->targets_count > 0 && route->weights_sum > 0);
	if (route->targets_count == 1)
		return route->targets[0].upstream;
	for (uint32_t i = 0; i < route->targets_count; i++)
		credit[i] += route->targets[i].weight;
	best = furthest(upstreams, route, credit, true);
	if (best == route->targets_count) /* then one of those that are down says so */
		best = furthest(upstreams, route, credit, false);
	credit[best] -= route->weights_sum;
	return route->targets[best].upstream;
}
