/* SPDX-License-Identifier: MIT */
/*
 * sessions.c - places at servers, over all workers.
 *
 * Where neither the balancing nor a limit needs to know the number of sessions, nothing is counted:
 * a number that all workers write costs each of them the cache line.
 */
#include "shared.h"

static void mark_full(struct upstream_shared *upstream, uint32_t slot)
{
	_Atomic uint64_t *word = &upstream->full[slot / 64];
	uint64_t bit = UINT64_C(1) << slot % 64;

	atomic_fetch_or_explicit(word, bit, memory_order_acq_rel);
	/* Whoever made room meanwhile may have cleared the bit before it was set. */
	if (atomic_load_explicit(&upstream->least.sessions[slot], memory_order_acquire) <
	    upstream->limits[slot])
		atomic_fetch_and_explicit(word, ~bit, memory_order_acq_rel);
}

bool session_begin(struct upstream_shared *upstream, uint32_t slot)
{
	enum least_place place;

	if (!upstream->is_counted)
		return true;
	place = least_begin(&upstream->least, slot);
	if (place == LEAST_TAKEN)
		return true;
	mark_full(upstream, slot);
	return place == LEAST_TAKEN_LAST;
}

void session_end(struct upstream_shared *upstream, uint32_t slot)
{
	if (!upstream->is_counted || !least_end(&upstream->least, slot))
		return;
	atomic_fetch_and_explicit(&upstream->full[slot / 64], ~(UINT64_C(1) << slot % 64),
				  memory_order_acq_rel);
}

bool server_session_begin(struct server *server)
{
	return session_begin(server->shared, server->slot);
}

void server_session_end(struct server *server)
{
	session_end(server->shared, server->slot);
}

uint32_t server_sessions(const struct server *server)
{
	return atomic_load_explicit(&server->shared->least.sessions[server->slot],
				    memory_order_relaxed);
}
