/* SPDX-License-Identifier: MIT */
/*
 * http_shelf.c - an unfinished head waits in the memory of the exchange that it will become.
 *
 * A slice holds 16 KB and more, and is everybody's; a client that sends the first byte of a head
 * and then nothing would have one for as long as head_timeout. Its exchange is reserved for it
 * anyway. When more comes, the shelved bytes are put in front of it.
 */
#include <string.h>

#include "flow_private.h"

#define SHELF_MAX 2048u
static_assert(sizeof(struct exchange) >= SHELF_MAX, "a shelf is an exchange that is not yet one");

static uint8_t *shelf_of(const struct session *session)
{
	assert(session->shelf_len > 0);
	return slab_at(session->flow->shared->exchanges, session->shelf);
}

void http_shelf_drop(struct session *session)
{
	if (session->shelf_len > 0)
		slab_give(session->flow->shared->exchanges, shelf_of(session));
	session->shelf_len = 0;
}

void http_shelve(struct session *session)
{
	struct flow *flow = session->flow;
	struct relay *up = &session->relays[SIDE_CLIENT];
	uint8_t *shelf;
	uint32_t len;
	const uint8_t *bytes = http_first(session, SIDE_CLIENT, &len);

	assert(session->shelf_len == 0 && session->exchange == NULL);
	/* What the next receive brings must fit behind it: see arm(). */
	if (relay_receiving(up)) {
		relay_stop_receiving(up);
		return;
	}
	if (len > SHELF_MAX || len > flow->slices.small_bytes / 2 || len < up->held_back)
		return;
	shelf = slab_take(flow->shared->exchanges);
	assert(shelf != NULL); /* as many as sessions */
	assert(len > 0);
	memcpy(shelf, bytes, len);
	session->shelf = slab_index(flow->shared->exchanges, shelf);
	session->shelf_len = (uint16_t)len;
	up->held_back -= len;
	relay_dequeue(flow, up, len);
}

bool http_unshelve(struct session *session)
{
	struct relay *up = &session->relays[SIDE_CLIENT];
	uint8_t *front = http_make_room(session, SIDE_CLIENT, session->shelf_len);

	if (front == NULL)
		return false;
	memcpy(front, shelf_of(session), session->shelf_len);
	up->queued_bytes += session->shelf_len;
	up->held_back += session->shelf_len;
	http_shelf_drop(session);
	return true;
}
