/* SPDX-License-Identifier: MIT */
/*
 * eject - for how long a server whose sessions fail is left out, and its return.
 *
 * The first ejection lasts `base`, the next ones twice as long each, up to EJECT_TIMES_MAX times
 * base. For each `base` that the server was in service since its return, one doubling is forgotten.
 * Its weight then grows with ramp_weight(), as after coming up.
 */
#ifndef UPSTREAM_SRC_EJECT_H
#define UPSTREAM_SRC_EJECT_H

#include <stdbool.h>
#include <stdint.h>

#define EJECT_DOUBLINGS_MAX 5
#define EJECT_TIMES_MAX (1u << EJECT_DOUBLINGS_MAX)

struct eject {
	bool is_out;
	uint32_t times;    /* ejections that are not forgotten */
	uint64_t until_ms; /* while out */
	uint64_t back_ms;  /* when it came back last */
};

/* May one more of the servers in service go, when `out` of `all` are out? At most half may. */
bool eject_allowed(uint32_t all, uint32_t out);

/* Returns for how long. */
uint64_t eject_begin(struct eject *eject, uint64_t base_ms, uint64_t now_ms);
void eject_end(struct eject *eject, uint64_t now_ms);

/* The weight of a server that is in service since `since_ms`: `whole` after slow_start_ms, and a
 * part of it before, at least 1. */
uint32_t ramp_weight(uint32_t whole, uint64_t since_ms, uint64_t now_ms, uint64_t slow_start_ms);

#endif
