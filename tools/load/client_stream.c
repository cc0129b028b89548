/* SPDX-License-Identifier: MIT */
/*
 * client_stream.c - bulk: send without a pause, receive whatever comes, or both; and holding
 * connections without a word (--mode idle).
 *
 * With --verify the stream is frames, numbered from 0, and what comes back must be too.
 */
#include <stdlib.h>

#include "client.h"
#include "pattern.h"
#include "preface.h"

#define PIECES 4u
#define FRAME_PAYLOAD 65536u

static void send_plain(struct client *client)
{
	struct iovec parts[PIECES];
	uint32_t i;

	for (i = 0; i < PIECES; i++)
		parts[i] = pattern_piece(0, PATTERN_BYTES / PIECES);
	client->sending_bytes = PATTERN_BYTES;
	peer_send(&client->peer, parts, PIECES);
}

static void send_frames(struct client *client)
{
	struct frame frame = { .flags = FRAME_CHECKED, .length = FRAME_PAYLOAD,
		               .reply_length = FRAME_PAYLOAD };
	struct iovec parts[PIECES * 3];
	uint32_t count = 0;
	uint32_t i;

	if (client->stream_headers == NULL)
		client->stream_headers = calloc(PIECES, FRAME_HEADER);
	assert(client->stream_headers != NULL);
	client->sending_bytes = 0;
	for (i = 0; i < PIECES; i++) {
		uint64_t start;
		uint32_t left = frame.length;

		frame.id = client->stream_sent++;
		frame.checksum = frame_checksum(frame.id, frame.length);
		frame_write(client->stream_headers[i], &frame);
		parts[count++] = (struct iovec){ client->stream_headers[i], FRAME_HEADER };
		for (start = frame_start(frame.id); left > 0; count++) {
			parts[count] = pattern_piece(start, left);
			start += parts[count].iov_len;
			left -= (uint32_t)parts[count].iov_len;
		}
		client->sending_bytes += FRAME_HEADER + frame.length;
	}
	peer_send(&client->peer, parts, count);
}

static void stream_on(struct client *client)
{
	const struct plan *plan = client->generator->plan;

	if (client->preface_due) {
		struct iovec part = { .iov_base = client->preface };

		client->preface_due = false;
		part.iov_len = preface_make(client->preface, plan->proxy_protocol,
		                            client->peer.fd);
		client->sending_bytes = part.iov_len;
		peer_send(&client->peer, &part, 1);
		return;
	}
	if (plan->mode != MODE_STREAM || plan->direction == DIRECTION_DOWN ||
	    client->generator->phase > GENERATOR_MEASURE)
		return;
	if (plan->verify)
		send_frames(client);
	else
		send_plain(client);
}

static void stream_data(struct client *client, uint8_t *bytes, uint32_t count)
{
	struct frame_reader *frames = &client->answer.frames;
	enum frame_event event;
	uint32_t taken = 0;

	while (client->generator->plan->verify && taken < count) {
		taken += frame_reader_next(frames, bytes + taken, count - taken, &event);
		if (event == FRAME_NONE)
			continue;
		if (event != FRAME_GOOD) {
			client_fail(client, FAULT_VERIFY, 0,
			            event == FRAME_JUNK ? "no frame: bytes lost, added or changed"
			                                : "wrong bytes: bad checksum");
			return;
		}
		if (frames->frame.id != client->stream_seen) {
			client_fail(client, FAULT_VERIFY, 0, "frames lost, repeated or swapped");
			return;
		}
		client->stream_seen++;
		tally_add(client->generator->tally, verified, 1);
	}
}

static bool stream_end(struct client *client)
{
	(void)client;
	return false;
}

const struct protocol protocol_stream = { .data = stream_data, .end = stream_end,
	                                  .stream = stream_on };
const struct protocol protocol_idle = { .data = stream_data, .end = stream_end,
	                                .stream = stream_on };
