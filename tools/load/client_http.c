/* SPDX-License-Identifier: MIT */
/*
 * client_http.c - HTTP/1.1 as a client speaks it: requests made ahead, answers parsed in place.
 *
 * A head that begins and ends in one receive is parsed where it lies, and not even that when it is
 * byte for byte the one before; only a head in pieces is put together in a buffer of the client.
 *
 * With --verify each request carries a frame as its body, and the answer must be that frame.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "pattern.h"
#include "verify.h"

/* Fill the template in, in the place that belongs to the pending request. */
static struct iovec fill(struct client *client, const struct pending *pending)
{
	const struct plan *plan = client->generator->plan;
	uint64_t place = (uint64_t)(pending - client->pending);
	char *text = client->filled + place * plan->targets.template_room;
	const struct template_values values = {
		/* The threads count in steps of their number. */
		.seq = (pending->id & ((1ull << 48) - 1)) * plan->threads + (pending->id >> 48),
		.conn = client->number,
		.seed = plan->seed,
	};

	return (struct iovec){ text, template_fill(&pending->request->template, text, &values) };
}

static uint32_t http_parts(struct client *client, struct pending *pending, struct iovec *parts)
{
	const struct plan *plan = client->generator->plan;

	if (client->filled != NULL) {
		parts[0] = fill(client, pending);
		return 1;
	}
	parts[0].iov_base = pending->request->text;
	parts[0].iov_len = pending->request->bytes;
	if (!plan->verify)
		return 1;
	return 1 + verify_parts(plan, pending, parts + 1);
}

static void parse_failed(struct client *client, const char *reason)
{
	client_fail(client, FAULT_PARSE, 0, reason);
}

/* The head is known; what follows? False: the client is gone. */
static bool head_taken(struct client *client, const struct http_head *head)
{
	struct answer_reading *answer = &client->answer;

	if (head->status == 101) {
		parse_failed(client, "101 Switching Protocols was not asked for");
		return false;
	}
	if (head->status < 200) /* the answer is still to come */
		return true;
	if (head->status >= STATUS_MAX) {
		parse_failed(client, "a status above 599");
		return false;
	}
	answer->status = head->status;
	answer->close |= head->close;
	answer->in_body = true;
	http_body_of_answer(&answer->body, head, client_oldest(client)->request->no_body);
	return true;
}

/* -1: gone; 0: more is needed; else the bytes of the head. */
static int parse(struct client *client, const char *bytes, uint32_t count)
{
	struct head_memo *memo = &client->generator->memo;
	const char *reason = "";
	struct http_head head;
	int length;

	if (memo->bytes > 0 && count >= memo->bytes &&
	    memcmp(memo->text, bytes, memo->bytes) == 0)
		return head_taken(client, &memo->head) ? (int)memo->bytes : -1;
	length = http_parse_answer(bytes, count, &head, &reason);
	if (length < 0) {
		parse_failed(client, reason);
		return -1;
	}
	if (length > 0 && length <= MEMO_BYTES) {
		memcpy(memo->text, bytes, (size_t)length);
		memo->bytes = (uint32_t)length;
		memo->head = head;
	}
	if (length > 0 && !head_taken(client, &head))
		return -1;
	return length;
}

/* A head in pieces: put it together. Returns bytes taken, or -1. */
static int parse_spilled(struct client *client, const char *bytes, uint32_t count)
{
	uint32_t before = client->spill_bytes;
	uint32_t room = HTTP_HEAD_MAX - before;
	uint32_t part = count < room ? count : room;
	int length;

	if (client->spill == NULL)
		client->spill = malloc(HTTP_HEAD_MAX);
	assert(client->spill != NULL);
	memcpy(client->spill + before, bytes, part);
	client->spill_bytes += part;
	length = parse(client, client->spill, client->spill_bytes);
	if (length < 0)
		return -1;
	if (length == 0 && client->spill_bytes == HTTP_HEAD_MAX) {
		parse_failed(client, "a head longer than 16 KB");
		return -1;
	}
	if (length == 0)
		return (int)part;
	assert((uint32_t)length > before);
	client->spill_bytes = 0;
	return length - (int)before;
}

static int take_head(struct client *client, const char *bytes, uint32_t count)
{
	int length = 0;

	if (!client->answer.begun)
		client_first_byte(client);
	if (client->spill_bytes == 0)
		length = parse(client, bytes, count);
	if (length == 0)
		length = parse_spilled(client, bytes, count);
	return length;
}

/* Returns bytes taken, or -1. */
static int take_body(struct client *client, const char *bytes, uint32_t count)
{
	struct answer_reading *answer = &client->answer;
	uint32_t data_count, taken;
	const char *data;

	taken = http_body_next(&answer->body, bytes, count, &data, &data_count);
	if (answer->body.bad) {
		parse_failed(client, "chunks that are none");
		return -1;
	}
	if (client->generator->plan->verify && data_count > 0 &&
	    !verify_bytes(client, (const uint8_t *)data, data_count))
		return -1;
	return (int)taken;
}

static bool finish_answer(struct client *client)
{
	if (client->generator->plan->verify && !verify_finish(client))
		return false;
	return client_answered(client);
}

static void http_data(struct client *client, const uint8_t *bytes, uint32_t count)
{
	const char *at = (const char *)bytes;
	const char *end = at + count;
	int taken;

	while (at < end || (client->answer.in_body && client->answer.body.done)) {
		if (client->answer.in_body && client->answer.body.done) {
			if (!finish_answer(client))
				return;
			continue;
		}
		if (client_in_flight(client) == 0) {
			parse_failed(client, "bytes that belong to no request");
			return;
		}
		if (client->answer.in_body)
			taken = take_body(client, at, (uint32_t)(end - at));
		else
			taken = take_head(client, at, (uint32_t)(end - at));
		if (taken < 0)
			return;
		at += taken;
	}
}

static bool http_end(struct client *client)
{
	return client->answer.in_body && client->answer.body.kind == HTTP_BODY_UNTIL_END;
}

const struct protocol protocol_http = { .parts = http_parts, .data = http_data, .end = http_end };
