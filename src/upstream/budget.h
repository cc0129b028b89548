/* SPDX-License-Identifier: MIT */
/*
 * budget - how many retries are worth it.
 *
 *      | oldest second |  ...  | this second |
 *        requests, retries       requests, retries      BUDGET_SECONDS of them
 *
 * A retry is allowed while the retries of the last BUDGET_SECONDS stay within a share of their
 * requests, plus BUDGET_LEAST. So servers that fail one and all get a little more work, not several
 * times as much, and a quiet upstream may still retry.
 *
 * The window moves by whole seconds. One writer.
 */
#ifndef UPSTREAM_SRC_BUDGET_H
#define UPSTREAM_SRC_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_SECONDS 10
#define BUDGET_LEAST 100

struct budget {
	uint32_t percent;
	uint64_t second; /* the newest one */
	uint64_t requests_sum;
	uint64_t retries_sum;
	uint32_t requests[BUDGET_SECONDS]; /* second s is in s % BUDGET_SECONDS */
	uint32_t retries[BUDGET_SECONDS];
};

void budget_init(struct budget *budget, uint32_t percent);
void budget_request(struct budget *budget, uint64_t now_ms);
/* True: allowed, and counted. */
bool budget_retry(struct budget *budget, uint64_t now_ms);

#endif
