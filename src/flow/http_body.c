/* SPDX-License-Identifier: MIT */
/*
 * http_body.c - bodies pass, within their framing (RFC 9112 6, 7); and the queue of a relay as
 * http_request.c and http_response.c need it: one piece of memory for a head.
 *
 * A body that is as long as said is a number to count down. A chunked one is read chunk by chunk,
 * in place; what does not go on (extensions, the last chunk) is taken out of the slice.
 */
#include "flow_private.h"

#include <string.h>

void http_body_begin(struct exchange_way *way, const struct http_head *head, bool data_only)
{
	way->framing = head->framing;
	way->left = head->content_length;
	way->bytes = 0;
	way->phase = WAY_BODY;
	if (head->framing == HTTP_BODY_CHUNKED)
		http_chunk_begin(&way->chunk, data_only ? HTTP_CHUNK_DATA : HTTP_CHUNK_KEEP);
	if (head->framing == HTTP_BODY_NONE ||
	    (head->framing == HTTP_BODY_LENGTH && head->content_length == 0))
		way->phase = WAY_DONE;
}

/* The slice in which the bytes that are held back begin, and where in it. */
static struct slice *held_back_begin(struct flow *flow, const struct relay *relay, uint32_t *skip)
{
	uint32_t index = relay->oldest;

	*skip = relay->queued_bytes - relay->held_back;
	while (*skip >= slices_at(&flow->slices, index)->len) {
		*skip -= slices_at(&flow->slices, index)->len;
		index = slices_at(&flow->slices, index)->next;
		assert(index != SLICE_NONE);
	}
	return slices_at(&flow->slices, index);
}

static uint8_t *bytes_of(struct flow *flow, const struct slice *slice)
{
	return slices_memory(&flow->slices, (uint32_t)(slice - flow->slices.slices)) + slice->start;
}

/* Take bytes out of a slice's middle; all of them are held back. */
static void cut_out(struct flow *flow, struct relay *relay, struct slice *slice, uint32_t at,
		    uint32_t bytes)
{
	uint8_t *memory = bytes_of(flow, slice);

	memmove(memory + at, memory + at + bytes, slice->len - at - bytes);
	slice->len -= bytes;
	relay->queued_bytes -= bytes;
	relay->held_back -= bytes;
}

static enum http_step pass_chunks(struct session *session, struct relay *relay,
				  struct exchange_way *way)
{
	struct flow *flow = session->flow;

	while (relay->held_back > 0) {
		uint32_t skip, passed, consumed;
		struct slice *slice = held_back_begin(flow, relay, &skip);
		enum http_progress progress =
			http_chunk_feed(&way->chunk, bytes_of(flow, slice) + skip,
					slice->len - skip, &passed, &consumed);

		way->bytes += consumed;
		relay->held_back -= passed;
		if (consumed > passed)
			cut_out(flow, relay, slice, skip + passed, consumed - passed);
		if (progress == HTTP_DONE) {
			way->tail = way->chunk.mode == HTTP_CHUNK_KEEP;
			way->phase = WAY_DONE;
			return STEP_ON;
		}
		if (progress == HTTP_REFUSED)
			return http_body_refused(session, relay->side, way->chunk.refusal);
	}
	return STEP_WAIT;
}

static void pass_length(struct relay *relay, struct exchange_way *way)
{
	uint64_t bytes = way->left < relay->held_back ? way->left : relay->held_back;

	relay->held_back -= (uint32_t)bytes;
	way->left -= bytes;
	way->bytes += bytes;
	if (way->left == 0)
		way->phase = WAY_DONE;
}

enum http_step http_body_pass(struct session *session, enum side side)
{
	struct relay *relay = &session->relays[side];
	struct exchange_way *way = &session->exchange->ways[side];
	uint64_t before = way->bytes;
	enum http_step step = STEP_WAIT;

	if (way->phase != WAY_BODY)
		return STEP_WAIT;
	if (relay->held_back > 0) {
		if (way->framing == HTTP_BODY_LENGTH) {
			pass_length(relay, way);
		} else if (way->framing == HTTP_BODY_CHUNKED) {
			step = pass_chunks(session, relay, way);
		} else {
			way->bytes += relay->held_back;
			relay->held_back = 0;
		}
	}
	if (step == STEP_GONE)
		return step;
	/* Slices in which there was nothing but framing. */
	relay_dequeue(session->flow, relay, 0);
	if (way->bytes != before)
		relay_mark(relay);
	if (way->phase == WAY_BODY && relay->state != RELAY_OPEN && relay->state != RELAY_BROKEN)
		return http_body_ended(session, side);
	return way->phase == WAY_DONE ? STEP_ON : STEP_WAIT;
}

/* --- heads in one piece ----------------------------------------------------------------------- */

/* Append what follows in the queue to its first slice, as far as there is room. */
static void append_next(struct flow *flow, struct relay *relay)
{
	struct slice *first = slices_at(&flow->slices, relay->oldest);
	struct slice *next = slices_at(&flow->slices, first->next);
	uint32_t index = first->next;
	uint32_t room = slices_capacity(&flow->slices, relay->oldest) - first->start - first->len;
	uint32_t bytes = next->len < room ? next->len : room;

	memcpy(bytes_of(flow, first) + first->len, bytes_of(flow, next), bytes);
	first->len += bytes;
	next->start += bytes;
	next->len -= bytes;
	if (next->len > 0)
		return;
	first->next = next->next;
	if (relay->newest == index)
		relay->newest = relay->oldest;
	relay->slices_count--;
	relay->held_bytes -= slices_capacity(&flow->slices, index);
	slices_give(&flow->slices, index);
}

/* Put a larger slice in the place of the first one. */
static bool enlarge_first(struct flow *flow, struct relay *relay)
{
	struct slice *first = slices_at(&flow->slices, relay->oldest);
	uint32_t large, index = relay->oldest;

	if (first->class == SLICE_LARGE)
		return false;
	large = slices_take(&flow->slices, SLICE_LARGE);
	if (large == SLICE_NONE)
		return false;
	memcpy(slices_memory(&flow->slices, large), bytes_of(flow, first), first->len);
	slices_at(&flow->slices, large)->len = first->len;
	slices_at(&flow->slices, large)->next = first->next;
	relay->held_bytes += slices_capacity(&flow->slices, large);
	relay->held_bytes -= slices_capacity(&flow->slices, index);
	if (relay->newest == index)
		relay->newest = large;
	relay->oldest = large;
	slices_give(&flow->slices, index);
	return true;
}

static void move_to_front(struct flow *flow, struct slice *slice)
{
	uint8_t *memory = bytes_of(flow, slice);

	memmove(memory - slice->start, memory, slice->len);
	slice->start = 0;
}

/* A slice of its own in front of the queue. */
static uint8_t *begin_with(struct flow *flow, struct relay *relay, uint32_t bytes)
{
	uint32_t index = slices_take(&flow->slices, SLICE_SMALL);

	if (index == SLICE_NONE)
		return NULL;
	assert(bytes <= slices_capacity(&flow->slices, index));
	slices_at(&flow->slices, index)->len = bytes;
	slices_at(&flow->slices, index)->next = relay->oldest;
	relay->oldest = index;
	relay->slices_count++;
	relay->held_bytes += slices_capacity(&flow->slices, index);
	return slices_memory(&flow->slices, index);
}

uint8_t *http_make_room(struct session *session, enum side side, uint32_t bytes)
{
	struct flow *flow = session->flow;
	struct relay *relay = &session->relays[side];
	struct slice *first = slices_at(&flow->slices, relay->oldest);

	if (first->len + bytes > slices_capacity(&flow->slices, relay->oldest))
		return begin_with(flow, relay, bytes);
	if (first->start < bytes) {
		memmove(slices_memory(&flow->slices, relay->oldest) + bytes, bytes_of(flow, first),
			first->len);
		first->start = bytes;
	}
	first->start -= bytes;
	first->len += bytes;
	return bytes_of(flow, first);
}

uint8_t *http_first(struct session *session, enum side side, uint32_t *len)
{
	struct relay *relay = &session->relays[side];
	struct slice *first = slices_at(&session->flow->slices, relay->oldest);

	assert(relay->held_back > 0 && relay->held_back == relay->queued_bytes);
	*len = first->len;
	return bytes_of(session->flow, first);
}

uint8_t *http_gather(struct session *session, enum side side, uint32_t *len)
{
	struct flow *flow = session->flow;
	struct relay *relay = &session->relays[side];
	struct slice *first = slices_at(&flow->slices, relay->oldest);

	assert(relay->held_back > 0 && relay->held_back == relay->queued_bytes);
	while (first->next != SLICE_NONE) {
		uint32_t end = first->start + first->len;

		if (end == slices_capacity(&flow->slices, relay->oldest)) {
			if (first->start > 0) {
				move_to_front(flow, first);
			} else if (!enlarge_first(flow, relay)) {
				break;
			}
			first = slices_at(&flow->slices, relay->oldest);
			continue;
		}
		append_next(flow, relay);
	}
	*len = first->len;
	return bytes_of(flow, first);
}

void http_take_head(struct session *session, enum side side, uint32_t bytes)
{
	struct flow *flow = session->flow;
	struct relay *relay = &session->relays[side];

	assert(session->exchange->head_slice == SLICE_NONE);
	session->exchange->head_slice = relay->oldest;
	slices_hold(&flow->slices, relay->oldest);
	relay->held_back -= bytes;
	relay_dequeue(flow, relay, bytes);
}

void http_forget_rest(struct session *session, enum side side)
{
	struct flow *flow = session->flow;
	struct relay *relay = &session->relays[side];

	while (relay->held_back > 0) {
		uint32_t skip;
		struct slice *slice = held_back_begin(flow, relay, &skip);

		cut_out(flow, relay, slice, skip, slice->len - skip);
	}
}
