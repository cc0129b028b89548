/* SPDX-License-Identifier: MIT */
/*
 * client_rr.c - requests and answers of fixed sizes over TCP: --size bytes out, --reply bytes back.
 *
 * From 32 bytes on, a request is a frame (frame.h), which the origin's rr service answers by one of
 * the length asked for; with equal sizes any echo does. Smaller ones are bytes of the pattern.
 */
#include "client.h"
#include "pattern.h"
#include "verify.h"

static uint32_t rr_parts(struct client *client, struct pending *pending, struct iovec *parts)
{
	const struct plan *plan = client->generator->plan;

	if (plan->size >= FRAME_HEADER && plan->reply >= FRAME_HEADER)
		return verify_parts(plan, pending, parts);
	parts[0] = pattern_piece(0, plan->size);
	return 1;
}

/* Checked: frame by frame. */
static void data_verified(struct client *client, uint8_t *bytes, uint32_t count)
{
	struct frame_reader *frames = &client->answer.frames;
	enum frame_event event;
	uint32_t taken = 0;

	while (taken < count) {
		if (client_in_flight(client) == 0) {
			client_fail(client, FAULT_VERIFY, 0, "bytes that belong to no request");
			return;
		}
		if (!client->answer.begun)
			client_first_byte(client);
		taken += frame_reader_next(frames, bytes + taken, count - taken, &event);
		if (event == FRAME_NONE)
			continue;
		if (!verify_frame(client, &frames->frame, event) || !client_answered(client))
			return;
	}
}

static void rr_data(struct client *client, uint8_t *bytes, uint32_t count)
{
	const struct plan *plan = client->generator->plan;
	struct answer_reading *answer = &client->answer;

	if (plan->verify) {
		data_verified(client, bytes, count);
		return;
	}
	answer->bytes += count;
	while (answer->bytes > 0) {
		if (client_in_flight(client) == 0) {
			client_fail(client, FAULT_PARSE, 0, "bytes that belong to no request");
			return;
		}
		if (!answer->begun)
			client_first_byte(client);
		if (answer->bytes < plan->reply)
			return;
		answer->bytes -= plan->reply;
		if (!client_answered(client))
			return;
	}
}

static bool rr_end(struct client *client)
{
	(void)client;
	return false;
}

const struct protocol protocol_rr = { .parts = rr_parts, .data = rr_data, .end = rr_end };
