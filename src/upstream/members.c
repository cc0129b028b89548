/* SPDX-License-Identifier: MIT */
/*
 * members.c - which address of a name has which of its places.
 *
 *      plan    an address that has a place keeps it; a new one gets a place that is ABSENT, or
 *              that of one that leaves and has no sessions            nothing is changed yet
 *      build   the tables of a hash, in memory that nobody reads
 *      apply   under the lock: addresses, states, weights, tables; then `generation` goes up
 *
 * That nobody uses the address that a place had is settled between two atomics, as the workers take
 * no lock to choose:
 *
 *      a worker    takes a place (sessions + 1), then looks at `epoch`: the one it knows?
 *      here        raises `epoch`, then looks at `sessions`: none?
 *
 * All four are sequentially consistent, so at least one of two that meet sees the other. If both
 * do, the worker chooses again and the place waits for another time.
 */
#include "base/assert.h"
#include "group.h"
#include "mix.h"

#define PLAN_NONE UINT32_MAX /* no member has the place from now on */

/* One range of places: usual ones, or spares. */
struct range {
	uint32_t first; /* slots */
	uint32_t count;
	bool is_spare;
};

struct renewal {
	struct upstream_shared *upstream;
	const struct conf_name *name;
	const struct member *members;
	uint32_t count;
	bool ramps;
	uint64_t now_ms;
	struct members_change *change;
};

static bool has_address(const struct server_shared *row, const struct addr *addr)
{
	return state_of(row) != SERVER_ABSENT && addr_equal(&row->addr, addr);
}

static bool has_sessions(const struct upstream_shared *upstream, uint32_t slot)
{
	return atomic_load_explicit(&upstream->least.sessions[slot], memory_order_seq_cst) > 0;
}

/* --- plan ------------------------------------------------------------------------------------- */

static bool keep_place(const struct renewal *renewal, const struct range *range, uint32_t member)
{
	struct upstream_shared *upstream = renewal->upstream;

	for (uint32_t slot = range->first; slot < range->first + range->count; slot++) {
		if (upstream->plan[slot] != PLAN_NONE ||
		    !has_address(&upstream->servers[slot], &renewal->members[member].addr))
			continue;
		upstream->plan[slot] = member;
		return true;
	}
	return false;
}

/* Whose places are given away first: those that are leaving may be back, and those that leave only
 * now (nobody planned to keep their places) have the most to end. */
enum turn { TURN_ABSENT, TURN_LEAVING, TURN_PRESENT, TURNS };

static enum turn turn_of(enum server_state state)
{
	if (is_present(state))
		return TURN_PRESENT;
	return state == SERVER_LEAVING ? TURN_LEAVING : TURN_ABSENT;
}

static bool find_place(const struct renewal *renewal, const struct range *range, uint32_t member)
{
	struct upstream_shared *upstream = renewal->upstream;

	for (uint32_t i = 0; i < TURNS * range->count; i++) {
		uint32_t slot = range->first + i % range->count;

		if (upstream->plan[slot] != PLAN_NONE ||
		    turn_of(state_of(&upstream->servers[slot])) != i / range->count ||
		    has_sessions(upstream, slot))
			continue;
		upstream->plan[slot] = member;
		return true;
	}
	return false;
}

static bool is_planned(const struct renewal *renewal, const struct range *range, uint32_t member)
{
	for (uint32_t slot = range->first; slot < range->first + range->count; slot++) {
		if (renewal->upstream->plan[slot] == member)
			return true;
	}
	return false;
}

static void plan(const struct renewal *renewal, const struct range *range)
{
	for (uint32_t i = 0; i < range->count; i++)
		renewal->upstream->plan[range->first + i] = PLAN_NONE;
	for (uint32_t i = 0; i < renewal->count; i++) {
		if (renewal->members[i].is_spare == range->is_spare)
			(void)keep_place(renewal, range, i);
	}
	for (uint32_t i = 0; i < renewal->count; i++) {
		if (renewal->members[i].is_spare == range->is_spare &&
		    !is_planned(renewal, range, i) && !find_place(renewal, range, i))
			renewal->change->placeless++;
	}
}

static uint32_t whole_of(const struct renewal *renewal, const struct server_shared *row,
			 uint32_t member)
{
	assert(renewal->members[member].weight >= 1 &&
	       renewal->members[member].weight <= MEMBER_WEIGHT_MAX);
	return (renewal->name->is_srv ? renewal->members[member].weight : row->conf->weight) *
	       WEIGHT_SCALE;
}

/* Will a table be another one? Most answers bring nothing new, and tables are large. */
static bool is_news(const struct renewal *renewal, const struct range *range)
{
	const struct upstream_shared *upstream = renewal->upstream;

	for (uint32_t slot = range->first; slot < range->first + range->count; slot++) {
		const struct server_shared *row = &upstream->servers[slot];
		uint32_t member = upstream->plan[slot];

		if ((member != PLAN_NONE) != is_present(state_of(row)))
			return true;
		if (member != PLAN_NONE && (!has_address(row, &renewal->members[member].addr) ||
					    whole_of(renewal, row, member) != row->whole))
			return true;
	}
	return false;
}

/* --- build ------------------------------------------------------------------------------------ */

static uint64_t id_of(const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];

	return mix_text(addr_format(text, addr));
}

/* The tables as they will be, of what is there and what is planned. */
static void build(const struct renewal *renewal, const struct range *ranges, uint32_t ranges_count,
		  struct table built[TIERS])
{
	struct upstream_shared *upstream = renewal->upstream;

	for (uint32_t i = 0; i < TIERS; i++) {
		struct tier *tier = &upstream->tiers[i];

		for (uint32_t j = 0; j < tier->count; j++)
			tier_weigh(upstream, tier, j);
		for (uint32_t j = 0; j < ranges_count; j++) {
			if (ranges[j].first < tier->first ||
			    ranges[j].first >= tier->first + tier->count)
				continue;
			for (uint32_t k = 0; k < ranges[j].count; k++) {
				uint32_t slot = ranges[j].first + k;
				uint32_t member = upstream->plan[slot];
				uint32_t at = slot - tier->first;

				tier->maker.weights[at] = 0;
				if (member == PLAN_NONE)
					continue;
				tier->maker.weights[at] =
					whole_of(renewal, &upstream->servers[slot], member) /
					WEIGHT_SCALE;
				tier->maker.ids[at] = id_of(&renewal->members[member].addr);
			}
		}
		table_build(&tier->maker, &built[i]);
	}
}

/* --- apply ------------------------------------------------------------------------------------ */

static enum server_state state_at_home(const struct server_shared *row)
{
	if (row->whole == 0)
		return SERVER_DRAINED;
	return row->health.is_up ? SERVER_UP : SERVER_DOWN;
}

/* Make sure that nobody has it, or will have it as what it was. */
static bool claim(struct upstream_shared *upstream, uint32_t slot)
{
	atomic_fetch_add_explicit(&upstream->servers[slot].epoch, 1, memory_order_seq_cst);
	return !has_sessions(upstream, slot);
}

static void join(const struct renewal *renewal, uint32_t slot, const struct member *member)
{
	struct upstream_shared *upstream = renewal->upstream;
	struct server_shared *row = &upstream->servers[slot];

	if (!has_address(row, &member->addr)) {
		if (!claim(upstream, slot)) {
			renewal->change->placeless++;
			return;
		}
		row->addr = member->addr;
		row->id = id_of(&member->addr);
		row->eject = (struct eject){ 0 };
		health_init(&row->health);
	}
	renewal->change->joined++;
	state_move(upstream, row, state_at_home(row), HEALTH_JOINED, renewal->now_ms);
	if (!renewal->ramps && row->is_ramping) {
		row->is_ramping = false;
		state_weigh(upstream, row, renewal->now_ms);
	}
}

static void leave(const struct renewal *renewal, struct server_shared *row)
{
	renewal->change->left++;
	state_move(renewal->upstream, row, SERVER_LEAVING, HEALTH_LEFT, renewal->now_ms);
}

static void apply(const struct renewal *renewal, const struct range *range)
{
	struct upstream_shared *upstream = renewal->upstream;

	for (uint32_t slot = range->first; slot < range->first + range->count; slot++) {
		struct server_shared *row = &upstream->servers[slot];
		uint32_t member = upstream->plan[slot];

		if (is_present(state_of(row)) &&
		    (member == PLAN_NONE || !has_address(row, &renewal->members[member].addr)))
			leave(renewal, row);
		if (member != PLAN_NONE) {
			row->whole = whole_of(renewal, row, member);
			if (!is_present(state_of(row)))
				join(renewal, slot, &renewal->members[member]);
			else
				state_weigh(upstream, row, renewal->now_ms);
		}
		if (state_of(row) == SERVER_LEAVING && !has_sessions(upstream, slot))
			state_move(upstream, row, SERVER_ABSENT, HEALTH_LEFT, renewal->now_ms);
	}
}

/* --- all of it -------------------------------------------------------------------------------- */

static uint32_t ranges_of(const struct upstream_shared *upstream, const struct conf_name *name,
			  struct range ranges[2])
{
	assert(name->places > 0 &&
	       name->first + name->places + name->spares <= upstream->servers_count);
	ranges[0] = (struct range){ .first = upstream->slots[name->first], .count = name->places };
	if (name->spares == 0)
		return 1;
	ranges[1] = (struct range){ .first = upstream->slots[name->first + name->places],
				    .count = name->spares,
				    .is_spare = true };
	return 2;
}

void upstream_members(struct upstreams_shared *shared, const struct conf_upstream *conf,
		      const struct conf_name *name, const struct member *members, uint32_t count,
		      bool ramps, uint64_t now_ms, struct members_change *change)
{
	struct upstream_shared *upstream = &shared->upstreams[conf->index];
	const struct renewal renewal = { .upstream = upstream,
					 .name = name,
					 .members = members,
					 .count = count,
					 .ramps = ramps,
					 .now_ms = now_ms,
					 .change = change };
	struct table built[TIERS];
	struct range ranges[2];
	uint32_t ranges_count;
	bool has_tables = false;

	assert(upstream->conf == conf && upstream->is_named);
	*change = (struct members_change){ 0 };
	ranges_count = ranges_of(upstream, name, ranges);
	for (uint32_t i = 0; i < ranges_count; i++) {
		plan(&renewal, &ranges[i]);
		has_tables = has_tables || is_news(&renewal, &ranges[i]);
	}
	has_tables = has_tables && table_is_wanted(upstream->policy.balance);
	if (has_tables)
		build(&renewal, ranges, ranges_count, built);
	pthread_mutex_lock(&upstream->lock);
	for (uint32_t i = 0; i < ranges_count; i++)
		apply(&renewal, &ranges[i]);
	for (uint32_t i = 0; has_tables && i < TIERS; i++)
		table_swap(&upstream->tiers[i].maker, &built[i]);
	upstream->tables += has_tables;
	upstream->is_changed = upstream->is_changed || has_tables;
	state_settle(upstream, now_ms);
	pthread_mutex_unlock(&upstream->lock);
}
