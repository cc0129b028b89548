/* SPDX-License-Identifier: MIT */
/*
 * budget.c - a window of seconds.
 */
#include "budget.h"

#include "base/assert.h"
#include "base/clock.h"

void budget_init(struct budget *budget, uint32_t percent)
{
	*budget = (struct budget){ .percent = percent };
}

/* Forget what is too old. A time before the newest second counts as that second. */
static uint32_t move_to(struct budget *budget, uint64_t now_ms)
{
	uint64_t second = now_ms / MS_PER_S;
	uint64_t steps = second > budget->second ? second - budget->second : 0;
	uint32_t place;

	for (uint64_t i = 1; i <= steps && i <= BUDGET_SECONDS; i++) {
		place = (uint32_t)((budget->second + i) % BUDGET_SECONDS);
		assert(budget->requests_sum >= budget->requests[place]);
		assert(budget->retries_sum >= budget->retries[place]);
		budget->requests_sum -= budget->requests[place];
		budget->retries_sum -= budget->retries[place];
		budget->requests[place] = 0;
		budget->retries[place] = 0;
	}
	budget->second += steps;
	return (uint32_t)(budget->second % BUDGET_SECONDS);
}

void budget_request(struct budget *budget, uint64_t now_ms)
{
	budget->requests[move_to(budget, now_ms)]++;
	budget->requests_sum++;
}

bool budget_retry(struct budget *budget, uint64_t now_ms)
{
	uint32_t place = move_to(budget, now_ms);

	if (budget->retries_sum >= BUDGET_LEAST + budget->requests_sum * budget->percent / 100)
		return false;
	budget->retries[place]++;
	budget->retries_sum++;
	return true;
}
