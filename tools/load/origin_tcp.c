/* SPDX-License-Identifier: MIT */
/*
 * origin_tcp.c - the origin's services without HTTP.
 *
 *   echo     what comes goes back, from the buffer in which it came
 *   sink     takes all; checks the frames in it where it begins with one
 *   source   sends frames without an end
 *   rr       answers each frame by one of the length that it asks for, with the same id
 */
#include "origin.h"
#include "pattern.h"

#define SOURCE_PAYLOAD 65536u
#define SOURCE_FRAMES 8

uint32_t echo_take(struct connection *connection, uint8_t *bytes, uint32_t count)
{
	bool room = origin_room(connection, 0, 1);

	assert(room && !connection->keeps);
	connection->kept_id = peer_keep_buffer(&connection->peer);
	connection->keeps = true;
	connection->blocked = true;
	origin_put_part(connection, bytes, count);
	return count;
}

static void count_frame(struct connection *connection, enum frame_event event)
{
	struct origin_stats *stats = &connection->origin->stats;

	if (event == FRAME_GOOD)
		counter_add(&stats->frames_good, 1);
	else if (event == FRAME_CORRUPT || event == FRAME_JUNK)
		counter_add(&stats->frames_corrupt, 1);
}

uint32_t sink_take(struct connection *connection, uint8_t *bytes, uint32_t count)
{
	enum frame_event event;
	uint32_t taken = 0;

	while (taken < count && !connection->frames_lost) {
		taken += frame_reader_next(&connection->frames, bytes + taken, count - taken,
		                           &event);
		connection->frames_lost = event == FRAME_JUNK;
		/* Junk at the very beginning: the client just does not speak frames. */
		if (event != FRAME_JUNK || connection->frames_seen > 0)
			count_frame(connection, event);
		if (event != FRAME_NONE)
			connection->frames_seen++;
	}
	return count;
}

static void put_frame(struct connection *connection, const struct frame *frame)
{
	uint8_t header[FRAME_HEADER];
	uint64_t start = frame_start(frame->id);
	uint32_t left = frame->length;

	frame_write(header, frame);
	origin_put_text(connection, (const char *)header, FRAME_HEADER);
	while (left > 0) {
		struct iovec piece = pattern_piece(start, left);

		origin_put_part(connection, piece.iov_base, piece.iov_len);
		start += piece.iov_len;
		left -= (uint32_t)piece.iov_len;
	}
}

/* How many parts the longest payload may need: it may begin anywhere in the pattern. */
static uint32_t parts_of(uint32_t length)
{
	return length / PATTERN_BYTES + 3;
}

static void reply(struct connection *connection, const struct frame *request)
{
	struct frame frame = {
		.flags = request->flags,
		.length = request->reply_length,
		.id = request->id,
	};

	if (frame.flags & FRAME_CHECKED)
		frame.checksum = frame_checksum(frame.id, frame.length);
	put_frame(connection, &frame);
	counter_add(&connection->origin->stats.answers, 1);
}

uint32_t rr_take(struct connection *connection, uint8_t *bytes, uint32_t count)
{
	struct frame_reader *frames = &connection->frames;
	enum frame_event event;
	uint32_t taken = 0;

	connection->blocked = false;
	while (taken < count) {
		/* Any frame may end with the next byte: have room for the answer first. */
		if (!origin_room(connection, FRAME_HEADER, OUTBOX_PARTS / 2)) {
			connection->blocked = true;
			return taken;
		}
		taken += frame_reader_next(frames, bytes + taken, count - taken, &event);
		if (event == FRAME_NONE)
			continue;
		count_frame(connection, event);
		if (event == FRAME_JUNK ||
		    parts_of(frames->frame.reply_length) > OUTBOX_PARTS / 2) {
			counter_add(&connection->origin->stats.bad_requests, 1);
			connection->last = connection->reset = true;
			return count;
		}
		counter_add(&connection->origin->stats.requests, 1);
		reply(connection, &frames->frame);
	}
	return taken;
}

uint32_t source_take(struct connection *connection, uint8_t *bytes, uint32_t count)
{
	(void)connection;
	(void)bytes;
	return count;
}

void source_resume(struct connection *connection)
{
	struct frame frame = { .flags = FRAME_CHECKED, .length = SOURCE_PAYLOAD };
	uint32_t i;

	for (i = 0; i < SOURCE_FRAMES && origin_room(connection, FRAME_HEADER, 3); i++) {
		frame.id = connection->http.position++;
		frame.checksum = frame_checksum(frame.id, frame.length);
		put_frame(connection, &frame);
	}
}
