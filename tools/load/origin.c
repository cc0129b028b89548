/* SPDX-License-Identifier: MIT */
/*
 * origin.c - accepting, the stash, the outbox and the end of the origin's connections.
 */
#include "origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define LINGER_NS (1 * NS_PER_S)
#define ACCEPT_RETRY_NS (50 * NS_PER_MS)
#define STOP_LOOK_NS (50 * NS_PER_MS)
#define STOP_WAIT_NS (500 * NS_PER_MS)
#define STASH_KEEP 65536u

const char *const origin_service_names[SERVICE_COUNT + 1] = { "http",   "echo", "sink",
	                                                      "source", "rr",   NULL };

const struct service origin_services[SERVICE_COUNT] = {
	[SERVICE_HTTP] = { .name = "http", .take = http_take, .resume = http_resume },
	[SERVICE_ECHO] = { .name = "echo", .take = echo_take, .one_by_one = true },
	[SERVICE_SINK] = { .name = "sink", .take = sink_take },
	[SERVICE_SOURCE] = { .name = "source",
	                     .take = source_take,
	                     .resume = source_resume,
	                     .starts_itself = true },
	[SERVICE_RR] = { .name = "rr", .take = rr_take },
};

/* --- outbox ---------------------------------------------------------------------------------- */

static struct outbox *take_outbox(struct origin *origin)
{
	struct outbox *outbox = origin->outboxes;

	if (outbox != NULL)
		origin->outboxes = outbox->next;
	else
		outbox = malloc(sizeof(*outbox));
	assert(outbox != NULL);
	outbox->parts_count = 0;
	outbox->parts_sent = 0;
	outbox->parts_sending = 0;
	outbox->text_used = 0;
	return outbox;
}

static void give_outbox(struct connection *connection)
{
	struct outbox *outbox = connection->outbox;

	if (outbox == NULL)
		return;
	connection->outbox = NULL;
	outbox->next = connection->origin->outboxes;
	connection->origin->outboxes = outbox;
}

bool origin_room(struct connection *connection, uint32_t text, uint32_t parts)
{
	struct outbox *outbox = connection->outbox;

	if (outbox == NULL)
		outbox = connection->outbox = take_outbox(connection->origin);
	return outbox->text_used + text <= OUTBOX_TEXT &&
	       outbox->parts_count + parts <= OUTBOX_PARTS;
}

/* Text behind text is one part. */
void origin_put_text(struct connection *connection, const char *text, uint32_t count)
{
	struct outbox *outbox = connection->outbox;
	char *place = outbox->text + outbox->text_used;
	struct iovec *before = &outbox->parts[outbox->parts_count];

	assert(outbox->text_used + count <= OUTBOX_TEXT);
	memcpy(place, text, count);
	outbox->text_used += count;
	if (outbox->parts_count > outbox->parts_sending &&
	    (char *)before[-1].iov_base + before[-1].iov_len == place)
		before[-1].iov_len += count;
	else
		origin_put_part(connection, place, count);
}

void origin_put_word(struct connection *connection, const char *word)
{
	origin_put_text(connection, word, (uint32_t)strlen(word));
}

void origin_put_number(struct connection *connection, uint64_t number)
{
	char digits[20];
	uint32_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	origin_put_text(connection, digits + at, (uint32_t)sizeof(digits) - at);
}

void origin_put_part(struct connection *connection, const void *bytes, uint64_t count)
{
	struct outbox *outbox = connection->outbox;

	assert(outbox->parts_count < OUTBOX_PARTS);
	assert(count > 0);
	outbox->parts[outbox->parts_count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)bytes,
		                                               .iov_len = count };
}

static void flush(struct connection *connection)
{
	struct outbox *outbox = connection->outbox;
	uint32_t i;

	if (outbox == NULL || !peer_can_send(&connection->peer))
		return;
	if (outbox->parts_count == outbox->parts_sent) {
		give_outbox(connection);
		return;
	}
	outbox->sending_bytes = 0;
	for (i = outbox->parts_sent; i < outbox->parts_count; i++)
		outbox->sending_bytes += outbox->parts[i].iov_len;
	outbox->parts_sending = outbox->parts_count;
	peer_send(&connection->peer, outbox->parts + outbox->parts_sent,
	          outbox->parts_count - outbox->parts_sent);
}

/* --- stash ----------------------------------------------------------------------------------- */

static void stash(struct connection *connection, const uint8_t *bytes, uint32_t count)
{
	uint32_t needed = connection->stash_bytes + count;

	if (needed > connection->stash_room) {
		connection->stash_room = needed < 4096 ? 4096 : needed * 2;
		connection->stash = realloc(connection->stash, connection->stash_room);
		assert(connection->stash != NULL);
	}
	memcpy(connection->stash + connection->stash_bytes, bytes, count);
	connection->stash_bytes = needed;
}

static void take_from_stash(struct connection *connection)
{
	uint32_t taken;

	if (connection->stash_bytes == 0)
		return;
	taken = connection->service->take(connection, connection->stash, connection->stash_bytes);
	connection->stash_bytes -= taken;
	memmove(connection->stash, connection->stash + taken, connection->stash_bytes);
	if (connection->stash_bytes == 0 && connection->stash_room > STASH_KEEP) {
		free(connection->stash);
		connection->stash = NULL;
		connection->stash_room = 0;
	}
}

/* --- the end --------------------------------------------------------------------------------- */

static void linger_over(struct connection *connection)
{
	connection->lingering = true;
	peer_finish(&connection->peer);
	/* A client that never closes is not waited for. */
	alarm_set(&connection->origin->engine.alarms, &connection->alarm,
	          engine_now_ns(&connection->origin->engine) + LINGER_NS);
}

/* The end of every event: send what there is, stop when nothing more is to come. */
static void origin_settle(struct connection *connection)
{
	struct peer *peer = &connection->peer;

	if (peer->stopping || connection->lingering)
		return;
	flush(connection);
	if (connection->outbox != NULL || peer->send_op.away) {
		if (connection->blocked || connection->stash_bytes > ORIGIN_CREDIT)
			peer_pause(peer);
		return;
	}
	if (connection->last && connection->reset)
		peer_stop(peer, PEER_END_RESET);
	else if (connection->last && !peer->ended)
		linger_over(connection);
	else if (peer->ended && (connection->last || !connection->blocked))
		peer_stop(peer, PEER_END_CLOSE);
	else if (connection->blocked)
		peer_pause(peer);
	else
		peer_receive(peer);
}

static void on_alarm(struct alarm *alarm)
{
	struct connection *connection = container_of(alarm, struct connection, alarm);

	if (connection->lingering) {
		peer_stop(&connection->peer, PEER_END_CLOSE);
		return;
	}
	http_wake(connection);
	take_from_stash(connection);
	origin_settle(connection);
}

static struct connection *of_peer(struct peer *peer)
{
	return container_of(peer, struct connection, peer);
}

static void on_data(struct peer *peer, uint8_t *bytes, uint32_t count)
{
	struct connection *connection = of_peer(peer);
	uint32_t taken = 0;

	counter_add(&connection->origin->stats.bytes_in, count);
	if (connection->last)
		return;
	if (connection->stash_bytes == 0)
		taken = connection->service->take(connection, bytes, count);
	if (taken < count && !connection->last) {
		bool went_on = connection->stash_bytes > 0;

		stash(connection, bytes + taken, count - taken);
		if (went_on)
			take_from_stash(connection);
	}
	origin_settle(connection);
}

static void on_end(struct peer *peer, int error)
{
	struct connection *connection = of_peer(peer);

	if (error < 0) {
		counter_add(&connection->origin->stats.resets, 1);
		peer_stop(peer, PEER_END_CLOSE);
		return;
	}
	if (connection->lingering) {
		peer_stop(peer, PEER_END_CLOSE);
		return;
	}
	origin_settle(connection);
}

static void give_kept(struct connection *connection)
{
	if (!connection->keeps)
		return;
	connection->keeps = false;
	engine_give_back(&connection->origin->engine, connection->kept_id);
}

static void on_sent(struct peer *peer, int result)
{
	struct connection *connection = of_peer(peer);
	struct outbox *outbox = connection->outbox;

	if (result > 0)
		counter_add(&connection->origin->stats.bytes_out, (uint64_t)result);
	if (result < 0 || (uint64_t)result < outbox->sending_bytes) {
		counter_add(&connection->origin->stats.resets, 1);
		peer_stop(peer, PEER_END_CLOSE);
		return;
	}
	outbox->parts_sent = outbox->parts_sending;
	if (outbox->parts_sent == outbox->parts_count) {
		give_kept(connection);
		give_outbox(connection);
	}
	if (connection->service->one_by_one)
		connection->blocked = false;
	if (connection->service->resume != NULL)
		connection->service->resume(connection);
	take_from_stash(connection);
	origin_settle(connection);
}

static void on_closed(struct peer *peer)
{
	struct connection *connection = of_peer(peer);
	struct origin *origin = connection->origin;

	give_outbox(connection);
	give_kept(connection);
	alarm_stop(&origin->engine.alarms, &connection->alarm);
	http_release(connection);
	free(connection->stash);
	connection->stash = NULL;
	counter_sub(&origin->stats.open, 1);
	list_remove(&connection->link);
	list_push_first(&origin->spare, &connection->link);
}

static const struct peer_events events = {
	.data = on_data,
	.end = on_end,
	.sent = on_sent,
	.closed = on_closed,
};

/* --- accepting ------------------------------------------------------------------------------- */

static struct connection *take_connection(struct origin *origin)
{
	struct list *link = list_take_first(&origin->spare);
	struct connection *connection;

	if (link != NULL)
		connection = container_of(link, struct connection, link);
	else
		connection = malloc(sizeof(*connection));
	assert(connection != NULL);
	memset(connection, 0, sizeof(*connection));
	list_init(&connection->link);
	return connection;
}

static void serve(struct origin *origin, const struct service *service, int fd)
{
	struct connection *connection = take_connection(origin);

	connection->origin = origin;
	connection->service = service;
	alarm_init(&connection->alarm, on_alarm);
	frame_reader_init(&connection->frames);
	peer_init(&connection->peer, &origin->engine, &events);
	peer_set_credit(&connection->peer, ORIGIN_CREDIT, !service->one_by_one);
	list_push(&origin->connections, &connection->link);
	counter_add(&origin->stats.connections, 1);
	counter_add(&origin->stats.open, 1);
	peer_start(&connection->peer, fd);
	peer_receive(&connection->peer);
	if (service->starts_itself) {
		service->resume(connection);
		origin_settle(connection);
	}
}

static void on_accept(struct op *op, int result, uint32_t flags)
{
	struct origin_listener *listener = container_of(op, struct origin_listener, op);
	struct origin *origin = listener->origin;

	if (result >= 0)
		serve(origin, listener->service, result);
	if (flags & RING_MORE || atomic_load_explicit(&origin->stop, memory_order_relaxed))
		return;
	if (result >= 0)
		ring_accept(origin->engine.ring, op, listener->fd, true);
	else /* EMFILE and the like: later */
		alarm_set(&origin->engine.alarms, &listener->retry,
		          engine_now_ns(&origin->engine) + ACCEPT_RETRY_NS);
}

static void on_retry(struct alarm *alarm)
{
	struct origin_listener *listener = container_of(alarm, struct origin_listener, retry);

	ring_accept(listener->origin->engine.ring, &listener->op, listener->fd, true);
}

const char *origin_date(struct origin *origin)
{
	uint64_t second = engine_now_ns(&origin->engine) / NS_PER_S;
	struct tm parts;
	time_t now;

	if (second == origin->date_second)
		return origin->date;
	origin->date_second = second;
	now = time(NULL);
	(void)strftime(origin->date, sizeof(origin->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
	               gmtime_r(&now, &parts));
	return origin->date;
}

static void origin_release(struct origin *origin)
{
	struct list *link;

	while ((link = list_take_first(&origin->spare)) != NULL)
		free(container_of(link, struct connection, link));
	while (origin->outboxes != NULL) {
		struct outbox *outbox = origin->outboxes;

		origin->outboxes = outbox->next;
		free(outbox);
	}
}

/* Stop every connection, and give their operations a moment to come home. */
static void stop_all(struct origin *origin)
{
	uint64_t until_ns = clock_ns() + STOP_WAIT_NS;
	struct list *link = origin->connections.next;

	while (link != &origin->connections) {
		struct list *next = link->next;

		peer_stop(&container_of(link, struct connection, link)->peer, PEER_END_CLOSE);
		link = next;
	}
	while (!list_empty(&origin->connections) && clock_ns() < until_ns)
		if (engine_turn(&origin->engine, clock_ns() + NS_PER_MS) < 0)
			return;
}

int origin_run(struct origin *origin)
{
	const struct engine_options options = {
		.buffer_bytes = 65536,
		.buffers_given = 64,
		.buffers_count = 2048,
	};
	int result = engine_open(&origin->engine, &options);
	uint32_t i;

	if (result < 0)
		return result;
	list_init(&origin->connections);
	list_init(&origin->spare);
	head_reader_init(&origin->heads, HTTP_HEAD_REQUEST);
	for (i = 0; i < origin->listeners_count; i++) {
		struct origin_listener *listener = &origin->listeners[i];

		listener->origin = origin;
		op_init(&listener->op, on_accept);
		alarm_init(&listener->retry, on_retry);
		ring_accept(origin->engine.ring, &listener->op, listener->fd, true);
	}
	while (result == 0 && !atomic_load_explicit(&origin->stop, memory_order_relaxed))
		result = engine_turn(&origin->engine, clock_ns() + STOP_LOOK_NS);
	stop_all(origin);
	engine_close(&origin->engine);
	origin_release(origin);
	return result;
}
