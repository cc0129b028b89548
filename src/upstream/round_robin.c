/* SPDX-License-Identifier: MIT */
/*
 * round_robin.c - a tournament of lines.
 */
#include "round_robin.h"

#include "base/assert.h"

#define NOW_MAX (INT64_C(1) << 40) /* with weights of 2^20, credits stay below 2^61 */

static uint32_t leaves_for(uint32_t servers)
{
	uint32_t leaves = 1;

	while (leaves < servers)
		leaves *= 2;
	return leaves;
}

size_t round_robin_size(uint32_t servers)
{
	size_t leaves = leaves_for(servers);

	return leaves * (sizeof(int64_t) + sizeof(uint32_t)) +
	       2 * leaves * (sizeof(int64_t) + sizeof(uint16_t));
}

void round_robin_init(struct round_robin *rr, uint32_t servers, void *memory)
{
	*rr = (struct round_robin){ .leaves = leaves_for(servers) };
	rr->base = memory;
	rr->until = rr->base + rr->leaves;
	rr->weight = (uint32_t *)(rr->until + 2ul * rr->leaves);
	rr->winners = (uint16_t *)(rr->weight + rr->leaves);
	assert(servers < ROUND_ROBIN_NONE);
	for (uint32_t i = 0; i < rr->leaves; i++) {
		rr->base[i] = 0;
		rr->weight[i] = 0;
	}
	for (uint32_t i = 0; i < 2 * rr->leaves; i++) {
		rr->winners[i] = ROUND_ROBIN_NONE;
		rr->until[i] = INT64_MAX;
	}
}

static int64_t credit(const struct round_robin *rr, uint32_t server)
{
	return rr->base[server] + rr->weight[server] * rr->now;
}

/* The last time at which `winner` is not yet overtaken. Equals go to the first of the two. */
static int64_t lasts_until(const struct round_robin *rr, uint32_t winner, uint32_t loser)
{
	int64_t faster = (int64_t)rr->weight[loser] - rr->weight[winner];
	int64_t ahead = rr->base[winner] - rr->base[loser];

	if (faster <= 0)
		return INT64_MAX;
	/* ahead - faster * t >= 0, or > 0 when the loser is the first of the two. Both sides are
	 * at least 0 at this moment, so floor division by a shift of the time to now. */
	ahead -= faster * rr->now;
	assert(ahead >= (loser < winner));
	return rr->now + (ahead - (loser < winner)) / faster;
}

static void play(struct round_robin *rr, uint32_t node)
{
	uint32_t left = rr->winners[2 * node];
	uint32_t right = rr->winners[2 * node + 1];
	int64_t until = rr->until[2 * node];
	int64_t own = INT64_MAX;

	assert(node < rr->leaves);
	if (rr->until[2 * node + 1] < until)
		until = rr->until[2 * node + 1];
	if (left == ROUND_ROBIN_NONE || right == ROUND_ROBIN_NONE) {
		rr->winners[node] = (uint16_t)(left == ROUND_ROBIN_NONE ? right : left);
	} else if (credit(rr, left) >= credit(rr, right)) {
		rr->winners[node] = (uint16_t)left;
		own = lasts_until(rr, left, right);
	} else {
		rr->winners[node] = (uint16_t)right;
		own = lasts_until(rr, right, left);
	}
	rr->until[node] = own < until ? own : until;
}

/* Play again what has been overtaken by time, below this node and at it. */
static void repair(struct round_robin *rr, uint32_t node)
{
	if (rr->until[node] >= rr->now)
		return;
	assert(node < rr->leaves);
	repair(rr, 2 * node);
	repair(rr, 2 * node + 1);
	play(rr, node);
}

/* A server's line has changed. The other nodes are right. */
static void climb(struct round_robin *rr, uint32_t server)
{
	for (uint32_t node = (rr->leaves + server) / 2; node > 0; node /= 2)
		play(rr, node);
}

/* After the last choice, before the growth for the next. */
static int64_t credit_before(const struct round_robin *rr, uint32_t server)
{
	return credit(rr, server) - rr->weight[server];
}

static int64_t mean_credit(const struct round_robin *rr)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < rr->leaves; i++) {
		if (rr->weight[i] > 0)
			sum += credit_before(rr, i);
	}
	return rr->count > 0 ? sum / rr->count : 0;
}

static int64_t within(int64_t value, int64_t limit)
{
	return value > limit ? limit : value < -limit ? -limit : value;
}

void round_robin_set(struct round_robin *rr, const uint32_t *weights, uint32_t servers)
{
	int64_t mean = mean_credit(rr);
	int64_t sum = 0;

	assert(servers <= rr->leaves);
	for (uint32_t i = 0; i < servers; i++)
		sum += weights[i];
	/* Credits from now on are about the mean, and none is a burst under the new weights. */
	for (uint32_t i = 0; i < servers; i++)
		rr->base[i] = rr->weight[i] > 0 ? within(credit_before(rr, i) - mean, sum) : 0;
	rr->now = 1; /* where base is the credit before the next choice's growth */
	rr->weights_sum = sum;
	rr->count = 0;
	for (uint32_t i = 0; i < servers; i++) {
		rr->weight[i] = weights[i];
		rr->count += weights[i] > 0;
		rr->winners[rr->leaves + i] = weights[i] > 0 ? (uint16_t)i : ROUND_ROBIN_NONE;
	}
	for (uint32_t node = rr->leaves - 1; node > 0; node--)
		play(rr, node);
}

/* The best other than the one that is first, which for a moment takes no part. */
static uint32_t second(struct round_robin *rr, uint32_t first)
{
	uint32_t found;

	rr->winners[rr->leaves + first] = ROUND_ROBIN_NONE;
	climb(rr, first);
	found = rr->winners[1];
	rr->winners[rr->leaves + first] = (uint16_t)first;
	climb(rr, first);
	return found;
}

uint32_t round_robin_first(struct round_robin *rr, uint32_t avoid)
{
	if (rr->now > NOW_MAX)
		round_robin_set(rr, rr->weight, rr->leaves);
	repair(rr, 1);
	if (rr->winners[1] != avoid || avoid == ROUND_ROBIN_NONE)
		return rr->winners[1];
	return second(rr, avoid);
}

void round_robin_take(struct round_robin *rr, uint32_t server)
{
	assert(server < rr->leaves);
	assert(rr->weight[server] > 0);
	rr->base[server] -= rr->weights_sum;
	climb(rr, server);
	rr->now++;
}

void round_robin_remove(struct round_robin *rr, uint32_t server)
{
	assert(server < rr->leaves);
	assert(rr->weight[server] > 0);
	rr->base[server] = credit_before(rr, server);
	rr->weights_sum -= rr->weight[server];
	rr->weight[server] = 0;
	rr->count--;
	rr->winners[rr->leaves + server] = ROUND_ROBIN_NONE;
	repair(rr, 1);
	climb(rr, server);
}

void round_robin_insert(struct round_robin *rr, uint32_t server, uint32_t weight)
{
	assert(server < rr->leaves);
	assert(rr->weight[server] == 0 && weight > 0);
	rr->weight[server] = weight;
	rr->weights_sum += weight;
	rr->base[server] -= weight * (rr->now - 1);
	rr->count++;
	rr->winners[rr->leaves + server] = (uint16_t)server;
	repair(rr, 1);
	climb(rr, server);
}
