/* SPDX-License-Identifier: MIT */
/*
 * exchange.c - the memory of an exchange, and what of it is sent beside a relay's queue.
 */
#include "exchange.h"

#include "flow_private.h"

void exchange_way_reset(struct exchange_way *way)
{
	memset(way, 0, offsetof(struct exchange_way, chunk));
}

void exchange_open(struct session *session)
{
	struct flow *flow = session->flow;
	struct exchange *exchange;

	assert(session->exchange == NULL);
	http_shelf_drop(session);
	exchange = slab_take(flow->shared->exchanges);
	assert(exchange != NULL); /* as many as sessions */
	/* Not the whole of it: chunk states and parts are made when they are needed. */
	memset(&exchange->route, 0,
	       offsetof(struct exchange, text) - offsetof(struct exchange, route));
	exchange_way_reset(&exchange->ways[SIDE_CLIENT]);
	exchange_way_reset(&exchange->ways[SIDE_SERVER]);
	exchange->head_slice = SLICE_NONE;
	exchange->parts_side = SIDE_COUNT;
	session->exchange = exchange;
}

void exchange_drop_head(struct session *session)
{
	struct exchange *exchange = session->exchange;

	if (exchange->head_slice != SLICE_NONE)
		slices_give(&session->flow->slices, exchange->head_slice);
	exchange->head_slice = SLICE_NONE;
	exchange->parts_side = SIDE_COUNT;
}

bool exchange_is_repeatable(const struct exchange *exchange)
{
	return exchange->reused && !exchange->answered &&
	       exchange->ways[SIDE_CLIENT].framing == HTTP_BODY_NONE &&
	       http_method_is_idempotent(exchange->method);
}

void exchange_parts_out(struct session *session)
{
	const struct exchange *exchange = session->exchange;

	if (session->dropping) /* a send to the server that was given up still reads the head */
		return;
	if (exchange->parts_side == SIDE_CLIENT && exchange_is_repeatable(exchange) &&
	    !slices_pressed(&session->flow->slices) && list_empty(&session->flow->starved))
		return;
	exchange_drop_head(session);
}

void exchange_request_out(struct session *session)
{
	const struct exchange *exchange = session->exchange;

	if (exchange != NULL && exchange->parts_side == SIDE_CLIENT &&
	    exchange_parts_left(exchange, SIDE_CLIENT) == 0)
		exchange_drop_head(session);
}

void exchange_close(struct session *session)
{
	exchange_drop_head(session);
	slab_give(session->flow->shared->exchanges, session->exchange);
	session->exchange = NULL;
}

uint32_t exchange_parts_left(const struct exchange *exchange, enum side side)
{
	return exchange->parts_side == side ? exchange->parts.bytes - exchange->parts_sent : 0;
}

static uint32_t tail_bytes(const struct http_chunk *chunk)
{
	return 3 + (uint32_t)chunk->trailer_bytes + 2; /* "0\r\n" trailer "\r\n" */
}

uint32_t exchange_tail_left(const struct exchange *exchange, enum side side)
{
	const struct exchange_way *way = &exchange->ways[side];

	return way->tail ? tail_bytes(&way->chunk) - way->tail_sent : 0;
}

/* Append bytes, but for those of them that were sent. */
static uint32_t add(struct iovec *parts, uint32_t count, const void *bytes, size_t len,
		    uint32_t *sent)
{
	if (*sent >= len) {
		*sent -= (uint32_t)len;
		return count;
	}
	parts[count].iov_base = (char *)(uintptr_t)bytes + *sent;
	parts[count].iov_len = len - *sent;
	*sent = 0;
	return count + 1;
}

uint32_t exchange_add_parts(const struct exchange *exchange, struct iovec *parts, uint32_t count)
{
	const struct http_parts *from = &exchange->parts;
	uint32_t sent = exchange->parts_sent;
	uint32_t i;

	for (i = from->first; i < from->count; i++)
		count = add(parts, count, from->parts[i].iov_base, from->parts[i].iov_len, &sent);
	return count;
}

uint32_t exchange_add_tail(const struct exchange *exchange, enum side side, struct iovec *parts,
			   uint32_t count)
{
	const struct exchange_way *way = &exchange->ways[side];
	uint32_t sent = way->tail_sent;

	count = add(parts, count, "0\r\n", 3, &sent);
	count = add(parts, count, way->chunk.trailer, way->chunk.trailer_bytes, &sent);
	return add(parts, count, "\r\n", 2, &sent);
}
