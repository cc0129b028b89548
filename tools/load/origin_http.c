/* SPDX-License-Identifier: MIT */
/*
 * origin_http.c - the origin's HTTP/1.1 service.
 *
 *      HEAD --> BODY --> (delay) WAIT --> ANSWER --> HEAD
 *        ^                                  |  \
 *        |                                  |   '--> DRAIN, an echo: until its memory is sent
 *        '----------------------------------'------------'
 *
 * Answers go out in the order of the requests, and as one vector for all that came together.
 */
#include <stdlib.h>
#include <string.h>

#include "http/edit.h"
#include "origin.h"
#include "pattern.h"

#define ECHO_MAX (64u << 20)
#define ECHO_KEEP 65536u
#define CHUNK_BYTES 16384u
#define HEAD_TEXT 512u /* the longest head that put_head() makes */

static void put_head(struct connection *connection)
{
	const struct http_exchange *http = &connection->http;
	const struct answer *answer = &http->answer;

	if (answer->informational)
		origin_put_word(connection, "HTTP/1.1 103 Early Hints\r\n"
		                            "Link: </style.css>; rel=preload\r\n\r\n");
	origin_put_word(connection, "HTTP/1.1 ");
	origin_put_number(connection, answer->status);
	origin_put_word(connection, " ");
	origin_put_word(connection, http_reason((uint32_t)answer->status));
	origin_put_word(connection, "\r\nServer: sluice-load\r\n");
	origin_put_word(connection, origin_date(connection->origin));
	origin_put_word(connection, "Content-Type: text/plain\r\n");
	if (answer->status == 204 || answer->status == 304) {
		/* No body and no length: RFC 9110 section 8.6. */
	} else if (answer->chunked) {
		origin_put_word(connection, "Transfer-Encoding: chunked\r\n");
		if (answer->trailers)
			origin_put_word(connection, "Trailer: X-Checked\r\n");
	} else {
		origin_put_word(connection, "Content-Length: ");
		origin_put_number(connection, http->left);
		origin_put_word(connection, "\r\n");
	}
	if (answer->close)
		origin_put_word(connection, "Connection: close\r\n");
	origin_put_word(connection, "\r\n");
}

static void put_hex(struct connection *connection, uint64_t number)
{
	static const char digits[] = "0123456789abcdef";
	char text[18];
	uint32_t at = 16;

	text[16] = '\r';
	text[17] = '\n';
	do {
		text[--at] = digits[number & 15];
		number >>= 4;
	} while (number > 0);
	origin_put_text(connection, text + at, 18 - at);
}

/* One piece of the body, from the pattern or the echo. */
static uint64_t put_piece(struct connection *connection, uint64_t count)
{
	struct http_exchange *http = &connection->http;
	struct iovec piece;

	if (http->answer.echo)
		piece = (struct iovec){ .iov_base = http->echo + http->position, .iov_len = count };
	else
		piece = pattern_piece(http->position, count);
	if (piece.iov_len > 0)
		origin_put_part(connection, piece.iov_base, piece.iov_len);
	http->position += piece.iov_len;
	http->left -= piece.iov_len;
	return piece.iov_len;
}

/* False: the outbox is full. */
static bool put_chunked_body(struct connection *connection)
{
	struct http_exchange *http = &connection->http;

	while (http->left > 0) {
		uint64_t count = http->left < CHUNK_BYTES ? http->left : CHUNK_BYTES;

		if (!origin_room(connection, 128, 5))
			return false;
		put_hex(connection, count);
		while (count > 0)
			count -= put_piece(connection, count);
		origin_put_word(connection, "\r\n");
	}
	if (!origin_room(connection, 128, 1))
		return false;
	if (http->answer.cut != UINT64_MAX)
		return true;
	origin_put_word(connection, http->answer.trailers ? "0\r\nX-Checked: yes\r\n\r\n"
	                                                  : "0\r\n\r\n");
	return true;
}

static bool put_plain_body(struct connection *connection)
{
	struct http_exchange *http = &connection->http;

	while (http->left > 0) {
		if (!origin_room(connection, 0, 1))
			return false;
		put_piece(connection, http->left);
	}
	return true;
}

static void answer_done(struct connection *connection)
{
	struct http_exchange *http = &connection->http;

	counter_add(&connection->origin->stats.answers, 1);
	http->state = http->answer.echo && http->echo_bytes > 0 ? HTTP_STATE_DRAIN
	                                                        : HTTP_STATE_HEAD;
	if (http->answer.close || http->answer.cut != UINT64_MAX)
		connection->last = true;
	connection->blocked = http->state == HTTP_STATE_DRAIN;
}

static void put_body(struct connection *connection)
{
	struct http_exchange *http = &connection->http;
	bool whole = http->answer.chunked ? put_chunked_body(connection)
	                                  : put_plain_body(connection);

	assert(http->state == HTTP_STATE_ANSWER);
	connection->blocked = !whole;
	if (whole)
		answer_done(connection);
}

/* Room was made before the head was taken. */
static void answer(struct connection *connection)
{
	struct http_exchange *http = &connection->http;
	const struct answer *a = &http->answer;

	if (a->reset) {
		connection->last = connection->reset = true;
		return;
	}
	http->left = a->echo ? http->echo_bytes : a->size;
	http->position = 0;
	if (a->status == 204 || a->status == 304)
		http->left = 0;
	put_head(connection);
	http->state = HTTP_STATE_ANSWER;
	if (http->head_only || a->status == 204 || a->status == 304) {
		answer_done(connection);
		return;
	}
	if (a->cut < http->left)
		http->left = a->cut;
	put_body(connection);
}

static void refuse(struct connection *connection, uint64_t status)
{
	struct http_exchange *http = &connection->http;

	counter_add(&connection->origin->stats.bad_requests, 1);
	http->answer = (struct answer){ .status = status, .cut = UINT64_MAX, .close = true };
	http->head_only = false;
	answer(connection);
}

static void request_done(struct connection *connection)
{
	struct http_exchange *http = &connection->http;
	struct engine *engine = &connection->origin->engine;

	if (http->answer.delay_ns == 0) {
		answer(connection);
		return;
	}
	http->state = HTTP_STATE_WAIT;
	connection->blocked = true;
	alarm_set(&engine->alarms, &connection->alarm,
	          engine_now_ns(engine) + http->answer.delay_ns);
}

static uint32_t take_head(struct connection *connection, const uint8_t *bytes, uint32_t count)
{
	struct http_exchange *http = &connection->http;
	struct origin *origin = connection->origin;
	const struct http_head *head = &origin->heads.head;

	switch (head_reader_next(&origin->heads, NULL, bytes, count)) {
	case HTTP_MORE:
		return 0;
	case HTTP_REFUSED:
		refuse(connection, origin->heads.refused_with);
		return count;
	case HTTP_DONE:
		break;
	}
	answer_draw(origin->policy, &origin->draw, &http->answer);
	if (!answer_query(&http->answer, (const char *)bytes + head->target.at, head->target.len)) {
		refuse(connection, 400);
		return count;
	}
	counter_add(&origin->stats.requests, 1);
	if (!head->persistent)
		http->answer.close = true;
	if (head->minor == 0)
		http->answer.chunked = false;
	if (head->expect)
		origin_put_word(connection, "HTTP/1.1 100 Continue\r\n\r\n");
	http->head_only = head->method == HTTP_METHOD_HEAD;
	http->echo_bytes = 0;
	body_reader_start(&http->body, head);
	http->state = HTTP_STATE_BODY;
	return head->length;
}

static bool keep_echo(struct http_exchange *http, const uint8_t *bytes, uint32_t count)
{
	uint64_t needed = http->echo_bytes + count;

	if (needed > ECHO_MAX)
		return false;
	if (needed > http->echo_room) {
		http->echo_room = needed < 4096 ? 4096 : needed * 2;
		http->echo = realloc(http->echo, http->echo_room);
		assert(http->echo != NULL);
	}
	memcpy(http->echo + http->echo_bytes, bytes, count);
	http->echo_bytes = needed;
	return true;
}

static uint32_t take_body(struct connection *connection, uint8_t *bytes, uint32_t count)
{
	struct http_exchange *http = &connection->http;
	uint32_t data_count;
	uint32_t taken = body_reader_next(&http->body, bytes, count, &data_count);

	if (http->body.reason != NULL) {
		refuse(connection, 400);
		return count;
	}
	if (http->answer.echo && data_count > 0 && !keep_echo(http, bytes, data_count)) {
		refuse(connection, 413);
		return count;
	}
	if (http->body.done)
		request_done(connection);
	return taken;
}

uint32_t http_take(struct connection *connection, uint8_t *bytes, uint32_t count)
{
	struct http_exchange *http = &connection->http;
	uint32_t taken = 0;

	while (!connection->last && !connection->blocked) {
		uint8_t *at = bytes + taken;
		uint32_t part;

		if (taken == count && (http->state == HTTP_STATE_HEAD || !http->body.done))
			break;
		/* So that whatever follows finds room for its head. */
		if (!origin_room(connection, HEAD_TEXT, 4)) {
			connection->blocked = true;
			break;
		}
		if (http->state == HTTP_STATE_HEAD) {
			part = take_head(connection, at, count - taken);
			if (part == 0)
				break;
		} else {
			assert(http->state == HTTP_STATE_BODY);
			part = take_body(connection, at, count - taken);
		}
		taken += part;
	}
	return connection->last ? count : taken;
}

/* The outbox was sent, or a part of it. */
void http_resume(struct connection *connection)
{
	struct http_exchange *http = &connection->http;

	switch (http->state) {
	case HTTP_STATE_HEAD:
	case HTTP_STATE_BODY:
		connection->blocked = false;
		return;
	case HTTP_STATE_WAIT:
		return;
	case HTTP_STATE_ANSWER:
		put_body(connection);
		return;
	case HTTP_STATE_DRAIN:
		if (connection->outbox != NULL)
			return;
		if (http->echo_room > ECHO_KEEP)
			http_release(connection);
		http->state = HTTP_STATE_HEAD;
		connection->blocked = false;
		return;
	}
	unreachable();
}

void http_wake(struct connection *connection)
{
	assert(connection->http.state == HTTP_STATE_WAIT);
	connection->blocked = false;
	/* The outbox may have gone with an earlier answer. */
	if (!origin_room(connection, HEAD_TEXT, 4)) {
		alarm_set(&connection->origin->engine.alarms, &connection->alarm,
		          engine_now_ns(&connection->origin->engine) + 1000000);
		connection->blocked = true;
		return;
	}
	answer(connection);
}

void http_release(struct connection *connection)
{
	struct http_exchange *http = &connection->http;

	body_reader_release(&http->body);
	free(http->echo);
	http->echo = NULL;
	http->echo_room = 0;
	http->echo_bytes = 0;
}
