/* SPDX-License-Identifier: MIT */
/*
 * health.c - rise, fall and the time of the next check.
 */
#include "upstream/health.h"

#include "base/assert.h"
#include "mix.h"

const char *const health_reason_texts[HEALTH_REASON_COUNT] = {
#define HEALTH_REASON(name, text) [HEALTH_##name] = text,
#include "upstream/health_reason.def"
#undef HEALTH_REASON
};

void health_init(struct health *health)
{
	*health = (struct health){ .is_up = true };
}

/* Is this many contrary results in a row enough? */
static bool is_enough(const struct health *health, const struct health_policy *policy)
{
	if (!health->is_up)
		return health->streak >= policy->rise;
	return health->streak >= policy->fall || (!health->is_known && health->streak > 0);
}

bool health_result(struct health *health, const struct health_policy *policy,
		   enum health_reason reason, uint64_t now_ms)
{
	bool passed = reason == HEALTH_PASSED;
	bool changes;

	assert(policy->rise > 0 && policy->fall > 0);
	assert(reason < HEALTH_REASON_COUNT);
	health->streak = passed == health->is_up ? 0 : health->streak + 1;
	changes = is_enough(health, policy);
	health->is_known = true;
	health->last = reason;
	health->checks++;
	if (!changes)
		return false;
	health->is_up = !health->is_up;
	health->streak = 0;
	health->because = reason;
	health->changed_ms = now_ms;
	return true;
}

uint64_t health_first_ms(const struct health_policy *policy, uint32_t index, uint32_t count,
			 uint64_t seed, uint64_t now_ms)
{
	uint64_t share;

	assert(index < count);
	assert(policy->interval_ms > 0);
	share = policy->interval_ms / count;
	return now_ms + policy->interval_ms * index / count + mix_two(seed, index) % (share + 1);
}

uint64_t health_next_ms(const struct health *health, const struct health_policy *policy,
			uint64_t seed, uint64_t now_ms)
{
	uint64_t wait = policy->interval_ms;
	uint64_t off;

	assert(policy->interval_ms > 0);
	if (!health->is_known || health->streak > 0)
		wait = policy->fast_ms > 0 ? policy->fast_ms : policy->interval_ms / 4;
	off = wait / 10;
	wait = wait - off + mix_two(seed, health->checks) % (2 * off + 1);
	return now_ms + (wait > 0 ? wait : 1);
}
