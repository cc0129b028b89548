/* SPDX-License-Identifier: MIT */
/*
 * client_http.c - HTTP/1.1 as a client speaks it: requests made ahead, answers parsed in place.
 *
 * A head that begins and ends in one receive is read where it lies; only a head in pieces is put
 * together in a buffer of the client.
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

/* The head is known; what follows? */
static void head_taken(struct client *client, const struct http_head *head)
{
	struct answer_reading *answer = &client->answer;

	if (head->status < 200) /* the answer is still to come */
		return;
	answer->status = head->status;
	answer->close |= !head->persistent;
	answer->in_body = true;
	body_reader_start(&client->body, head);
}

/* -1: gone; 0: more is needed; else the bytes of the head. */
static int parse(struct client *client, const uint8_t *bytes, uint32_t count)
{
	struct head_reader *heads = &client->generator->heads;
	const struct http_asked asked = { .method = client_oldest(client)->request->asked };

	switch (head_reader_next(heads, &asked, bytes, count)) {
	case HTTP_MORE:
		return 0;
	case HTTP_REFUSED:
		parse_failed(client, heads->reason);
		return -1;
	case HTTP_DONE:
		break;
	}
	head_taken(client, &heads->head);
	return heads->head.length;
}

/* A head in pieces: put it together. Returns bytes taken, or -1. */
static int parse_spilled(struct client *client, const uint8_t *bytes, uint32_t count)
{
	uint32_t before = client->spill_bytes;
	uint32_t room = HEAD_BYTES_MAX - before;
	uint32_t part = count < room ? count : room;
	int length;

	assert(room > 0); /* a head that fills it is complete or refused */
	if (client->spill == NULL)
		client->spill = malloc(HEAD_BYTES_MAX);
	assert(client->spill != NULL);
	memcpy(client->spill + before, bytes, part);
	client->spill_bytes += part;
	length = parse(client, client->spill, client->spill_bytes);
	if (length < 0)
		return -1;
	if (length == 0)
		return (int)part;
	assert((uint32_t)length > before);
	client->spill_bytes = 0;
	return length - (int)before;
}

static int take_head(struct client *client, const uint8_t *bytes, uint32_t count)
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
static int take_body(struct client *client, uint8_t *bytes, uint32_t count)
{
	uint32_t data_count;
	uint32_t taken = body_reader_next(&client->body, bytes, count, &data_count);

	if (client->body.reason != NULL) {
		parse_failed(client, client->body.reason);
		return -1;
	}
	if (client->generator->plan->verify && data_count > 0 &&
	    !verify_bytes(client, bytes, data_count))
		return -1;
	return (int)taken;
}

static bool finish_answer(struct client *client)
{
	if (client->generator->plan->verify && !verify_finish(client))
		return false;
	return client_answered(client);
}

static void http_data(struct client *client, uint8_t *bytes, uint32_t count)
{
	uint8_t *end = bytes + count;
	int taken;

	while (bytes < end || (client->answer.in_body && client->body.done)) {
		if (client->answer.in_body && client->body.done) {
			if (!finish_answer(client))
				return;
			continue;
		}
		if (client_in_flight(client) == 0) {
			parse_failed(client, "bytes that belong to no request");
			return;
		}
		if (client->answer.in_body)
			taken = take_body(client, bytes, (uint32_t)(end - bytes));
		else
			taken = take_head(client, bytes, (uint32_t)(end - bytes));
		if (taken < 0)
			return;
		bytes += taken;
	}
}

static bool http_end(struct client *client)
{
	if (!client->answer.in_body || client->body.framing != HTTP_BODY_UNTIL_CLOSE)
		return false;
	client->answer.close = true;
	(void)finish_answer(client);
	return true;
}

const struct protocol protocol_http = { .parts = http_parts, .data = http_data, .end = http_end };
