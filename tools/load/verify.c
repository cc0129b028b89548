/* SPDX-License-Identifier: MIT */
/*
 * verify.c - making and checking frames, as in verify.h.
 */
#include "verify.h"

#include "pattern.h"

static_assert(PATTERN_BYTES >= 1u << 20, "a payload of a megabyte is at most two pieces");

uint32_t verify_parts(const struct plan *plan, struct pending *pending, struct iovec *parts)
{
	struct frame frame = {
		.flags = plan->verify ? FRAME_CHECKED : 0,
		.length = (uint32_t)plan->size - FRAME_HEADER,
		.reply_length = (uint32_t)plan->reply - FRAME_HEADER,
		.id = pending->id,
	};
	uint64_t start = frame_start(frame.id);
	uint32_t left = frame.length;
	uint32_t count = 1;

	if (plan->verify)
		frame.checksum = frame_checksum(frame.id, frame.length);
	frame_write(pending->header, &frame);
	parts[0].iov_base = pending->header;
	parts[0].iov_len = FRAME_HEADER;
	while (left > 0) {
		assert(count < PROTOCOL_PARTS - 1);
		parts[count] = pattern_piece(start, left);
		start += parts[count].iov_len;
		left -= (uint32_t)parts[count].iov_len;
		count++;
	}
	return count;
}

static bool wrong(struct client *client, const char *what)
{
	client_fail(client, FAULT_VERIFY, 0, what);
	return false;
}

static const char *no_frame(const struct client *client)
{
	return client->answer.status >= 400 ? "no frame: an answer with an error status"
	                                    : "no frame: bytes lost, added or changed";
}

bool verify_frame(struct client *client, const struct frame *frame, enum frame_event event)
{
	const struct pending *pending = client_oldest(client);

	if (event == FRAME_JUNK)
		return wrong(client, no_frame(client));
	if (frame->id != pending->id)
		return wrong(client, frame->id < pending->id &&
		                                     frame->id >> 48 == pending->id >> 48
		                             ? "duplicated: the answer to an earlier request"
		                             : "swapped: the answer to another request");
	if (frame->length != client->generator->plan->reply - FRAME_HEADER)
		return wrong(client, "wrong length");
	if (event == FRAME_CORRUPT)
		return wrong(client, "wrong bytes: the checksum does not hold");
	tally_add(client->generator->tally, verified, 1);
	return true;
}

/* Nothing of the answer was a frame, and its status says why. */
static bool is_refusal(const struct answer_reading *answer)
{
	return answer->status >= REFUSED_FIRST && answer->status <= REFUSED_LAST &&
	       answer->frames_seen == 0 && !frame_reader_begun(&answer->frames);
}

bool verify_bytes(struct client *client, const uint8_t *bytes, uint32_t count)
{
	struct answer_reading *answer = &client->answer;
	enum frame_event event;
	uint32_t taken = 0;

	while (taken < count && !answer->refused) {
		taken += frame_reader_next(&answer->frames, bytes + taken, count - taken, &event);
		if (event == FRAME_NONE)
			continue;
		if (event == FRAME_JUNK && is_refusal(answer)) {
			answer->refused = true;
			break;
		}
		if (answer->frames_seen++ > 0)
			return wrong(client, "more than was asked for");
		if (!verify_frame(client, &answer->frames.frame, event))
			return false;
	}
	return true;
}

bool verify_finish(struct client *client)
{
	struct answer_reading *answer = &client->answer;

	if (is_refusal(answer)) {
		client->generator->tally->counts[TALLY_COUNT_refused_502 + answer->status -
		                                 REFUSED_FIRST]++;
		frame_reader_init(&answer->frames);
		return true;
	}
	if (answer->frames_seen == 0)
		return wrong(client, frame_reader_begun(&answer->frames)
		                             ? "short: the answer ended within the frame"
		                             : no_frame(client));
	if (answer->frames.header_bytes > 0)
		return wrong(client, "more than was asked for");
	return true;
}
