/* SPDX-License-Identifier: MIT */
/*
 * servers_plan.c - how servers are chosen, checked and limited, drawn from the seed; and how their
 * moods change.
 *
 * In a gentle world servers are always well and queues are long, so that a session may have to wait
 * but is served in the end.
 */
#include "plan.h"

#define QUEUE_GENTLE 1000u
#define ANSWER_HEAD_MAX 900u /* bytes: more is more than a check reads */

static void limits_draw(struct plan *plan, struct conf_upstream *upstream)
{
	struct prng *prng = &world->prng;
	const uint32_t most = (uint32_t)prng_spread(prng, 1, 12);
	uint32_t i;

	for (i = 0; i < upstream->servers_count; i++)
		upstream->servers[i].max_sessions =
			prng_chance(prng, 900) ? (uint32_t)prng_spread(prng, 1, most) : 0;
	if (prng_chance(prng, 500)) /* many at once */
		plan->arrive_ns = 1 + plan->arrive_ns / 100;
	if (plan->gentle) {
		upstream->queue = QUEUE_GENTLE;
		return;
	}
	if (prng_chance(prng, 250))
		return;
	upstream->queue = (uint32_t)prng_spread(prng, 1, 60);
	upstream->queue_timeout_ns = prng_spread(
		prng, NS_PER_MS, prng_chance(prng, 500) ? 20 * NS_PER_MS : 3 * NS_PER_S);
}

static void backups_draw(struct conf_upstream *upstream)
{
	uint32_t i;

	for (i = 1; i < upstream->servers_count; i++)
		upstream->servers[i].is_backup = prng_chance(&world->prng, 400);
}

static void health_draw(struct plan *plan, struct conf_upstream *upstream)
{
	struct prng *prng = &world->prng;

	upstream->health = prng_chance(prng, 600) ? PROBE_HTTP : PROBE_TCP;
	upstream->health_interval_ns = prng_spread(prng, 10, 200) * NS_PER_MS;
	upstream->health_timeout_ns = prng_spread(prng, 20, 200) * NS_PER_MS;
	upstream->health_rise = (uint32_t)prng_range(prng, 1, 3);
	upstream->health_fall = (uint32_t)prng_range(prng, 1, 3);
	upstream->on_down = (enum conf_on_down)prng_below(prng, 2);
	if (plan->gentle) { /* none fails, however slow the kernel is */
		upstream->health_interval_ns = prng_range(prng, 50, 500) * NS_PER_MS;
		upstream->health_timeout_ns = 5 * NS_PER_S;
		upstream->health_fall = 3;
	}
}

/* How much the servers have to say when they are asked how they are. */
static void answers_draw(struct plan *plan, uint32_t upstream)
{
	uint32_t i;

	for (i = 0; i < plan->origins_count; i++)
		if (plan->origins[i].upstream->index == upstream)
			plan->origins[i].head_bytes =
				(uint32_t)prng_below(&world->prng, ANSWER_HEAD_MAX);
}

static void moods_draw(struct plan *plan, uint32_t upstream)
{
	struct prng *prng = &world->prng;
	uint32_t i;

	if (plan->arrive_ns < NS_PER_S && prng_chance(prng, 700))
		plan->arrive_ns += prng_below(prng, 4 * NS_PER_S);
	for (i = 0; i < plan->origins_count; i++) {
		struct origin *origin = &plan->origins[i];

		if (origin->upstream->index != upstream || !prng_chance(prng, 600))
			continue;
		origin->flaps = (uint32_t)prng_range(prng, 1, 8);
		origin->flap_ns = prng_range(prng, 20, 2000) * NS_PER_MS;
	}
}

static void upstream_draw(struct plan *plan, struct conf_upstream *upstream)
{
	struct prng *prng = &world->prng;

	if (prng_chance(prng, 600))
		upstream->balance = (enum conf_balance)prng_below(prng, BALANCE_MAGLEV + 1);
	if (prng_chance(prng, 300))
		limits_draw(plan, upstream);
	if (prng_chance(prng, 200))
		backups_draw(upstream);
	if (prng_chance(prng, 300)) {
		health_draw(plan, upstream);
		answers_draw(plan, upstream->index);
		if (!plan->gentle)
			moods_draw(plan, upstream->index);
	}
	if (prng_chance(prng, 300)) {
		upstream->eject_after = (uint32_t)prng_spread(prng, 1, 5);
		upstream->eject_time_ns = prng_spread(prng, NS_PER_MS, 2 * NS_PER_S);
	}
	if (prng_chance(prng, 200))
		upstream->slow_start_ns = prng_spread(prng, NS_PER_MS, 2 * NS_PER_S);
	upstream->retry_budget = (uint32_t)prng_below(prng, 101);
	if (!prng_chance(prng, 200))
		return;
	upstream->send_proxy = (enum conf_send_proxy)prng_range(prng, SEND_PROXY_V1, SEND_PROXY_V2);
	if (plan->http) /* a header names one client, so a connection serves one */
		upstream->pool = prng_chance(prng, 500) ? POOL_CLIENT : POOL_OFF;
}

bool plan_sends_headers(const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->conf.upstreams_count; i++)
		if (plan->upstreams[i].send_proxy != SEND_PROXY_OFF)
			return true;
	return false;
}

/* Sessions that wait in a queue hold what their clients have sent. Where they can hold all of the
 * memory, those that are served get none, and all stand still until queue_timeout. */
static void memory_draw(struct plan *plan)
{
	const uint64_t bytes = (uint64_t)(4 * plan->clients + 64) * plan->conf.proxy.buffer_size;
	uint32_t i;

	for (i = 0; plan->gentle && i < plan->conf.upstreams_count; i++)
		if (plan->upstreams[i].queue > 0 && plan->region_bytes < bytes)
			plan->region_bytes = bytes;
}

void servers_plan_draw(struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->conf.upstreams_count; i++)
		upstream_draw(plan, &plan->upstreams[i]);
	memory_draw(plan);
}
