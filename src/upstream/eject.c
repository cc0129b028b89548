/* SPDX-License-Identifier: MIT */
/*
 * eject.c - out of service for a while, and slowly back.
 */
#include "eject.h"

#include "base/assert.h"

bool eject_allowed(uint32_t all, uint32_t out)
{
	assert(out <= all);
	return 2 * (out + 1) <= all;
}

static uint32_t forget(const struct eject *eject, uint64_t base_ms, uint64_t now_ms)
{
	uint64_t good = now_ms > eject->back_ms ? now_ms - eject->back_ms : 0;
	uint64_t forgotten = base_ms > 0 ? good / base_ms : eject->times;

	return forgotten >= eject->times ? 0 : eject->times - (uint32_t)forgotten;
}

uint64_t eject_begin(struct eject *eject, uint64_t base_ms, uint64_t now_ms)
{
	uint32_t doublings;
	uint64_t lasts;

	assert(!eject->is_out);
	doublings = forget(eject, base_ms, now_ms);
	if (doublings > EJECT_DOUBLINGS_MAX)
		doublings = EJECT_DOUBLINGS_MAX;
	lasts = base_ms << doublings;
	eject->times = doublings + 1;
	eject->is_out = true;
	eject->until_ms = now_ms + lasts;
	return lasts;
}

void eject_end(struct eject *eject, uint64_t now_ms)
{
	assert(eject->is_out);
	eject->is_out = false;
	eject->back_ms = now_ms;
}

uint32_t ramp_weight(uint32_t whole, uint64_t since_ms, uint64_t now_ms, uint64_t slow_start_ms)
{
	uint64_t elapsed = now_ms > since_ms ? now_ms - since_ms : 0;
	uint64_t weight;

	if (elapsed >= slow_start_ms)
		return whole;
	weight = whole * elapsed / slow_start_ms;
	assert(weight <= whole);
	return weight == 0 && whole > 0 ? 1 : (uint32_t)weight;
}
