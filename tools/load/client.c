/* SPDX-License-Identifier: MIT */
/*
 * client.c - the life of a connection, as drawn in client.h.
 */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "preface.h"

#define BACKOFF_FIRST_NS (5 * NS_PER_MS)
#define BACKOFF_MAX_NS (500 * NS_PER_MS)
#define CHURN_LIFE_MAX 10

static const struct peer_events events;

static void on_alarm(struct alarm *alarm);

static const struct protocol *protocol_of(const struct plan *plan, const struct target *target)
{
	if (plan->mode == MODE_STREAM)
		return &protocol_stream;
	if (plan->mode == MODE_IDLE)
		return &protocol_idle;
	return target->http ? &protocol_http : &protocol_rr;
}

/* Spread over the connections: of every hundred, the same places misbehave in the same way. */
static enum manner manner_of(const struct plan *plan, uint64_t number)
{
	double place = (double)(number * 37 % 100) + 0.5;
	const double shares[] = { 0, plan->slow_read_percent, plan->slow_write_percent,
		                  plan->half_close_percent, plan->reset_percent };
	int manner;

	for (manner = MANNER_SLOW_READ; manner <= MANNER_RESET; manner++) {
		if (place < shares[manner])
			return (enum manner)manner;
		place -= shares[manner];
	}
	return MANNER_GOOD;
}

void client_init(struct client *client, struct generator *generator, uint64_t number)
{
	const struct plan *plan = generator->plan;
	uint32_t room = 1;

	while (room < plan->pipeline)
		room *= 2;
	*client = (struct client){
		.generator = generator,
		.number = number,
		.target = &plan->targets.items[number % plan->targets.count],
		.manner = manner_of(plan, number),
		.pending_mask = room - 1,
		.pending = calloc(room, sizeof(*client->pending)),
	};
	assert(client->pending != NULL);
	client->protocol = protocol_of(plan, client->target);
	if (plan->proxy_protocol != PROXY_NONE)
		client->preface = malloc(PREFACE_MAX);
	if (plan->targets.template_room > 0)
		client->filled = malloc((size_t)room * plan->targets.template_room);
	list_init(&client->link);
	alarm_init(&client->alarm, on_alarm);
	peer_init(&client->peer, &generator->engine, &events);
}

void client_deinit(struct client *client)
{
	free(client->pending);
	free(client->spill);
	body_reader_release(&client->body);
	free(client->preface);
	free(client->filled);
	free(client->stream_headers);
}

static bool rude(const struct client *client)
{
	return client->manner != MANNER_GOOD;
}

/* --- opening --------------------------------------------------------------------------------- */

static void connect_failed(struct client *client, int error)
{
	struct generator *generator = client->generator;

	generator->connects_bad++;
	generator->connect_error = error;
	client->failures++;
	client_fail(client, FAULT_CONNECT, error, NULL);
}

/* Little at a time, and little that the kernel takes ahead. */
static void read_slowly(struct client *client, int fd)
{
	int bytes = 4096;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	peer_set_credit(&client->peer, (uint32_t)(client->generator->plan->slow_rate / 10) + 1,
	                false);
}

void client_open(struct client *client)
{
	struct generator *generator = client->generator;
	const struct plan *plan = generator->plan;
	const struct addr *addr = &client->target->addr;
	int fd = ring_socket_open(generator->engine.ring, addr->u.any.sa_family);
	int result = fd;

	assert(client->state == CLIENT_CLOSED);
	client->state = CLIENT_CONNECT;
	client->connect_ns = clock_ns();
	client->served = 0;
	client->answer = (struct answer_reading){ 0 };
	client->spill_bytes = 0;
	client->sent_before = 0;
	client->stream_sent = client->stream_seen = 0;
	frame_reader_init(&client->answer.frames);
	client->life = 1 + draw_below(&generator->draw, CHURN_LIFE_MAX);
	generator->alive++;
	if (fd >= 0 && addr->kind != ADDR_UNIX)
		result = source_bind(&plan->source, fd, client->number);
	if (result < 0) {
		if (fd >= 0)
			ring_socket_close(generator->engine.ring, fd);
		connect_failed(client, -result);
		return;
	}
	generator->connecting++;
	if (client->manner == MANNER_SLOW_READ)
		read_slowly(client, fd);
	peer_connect(&client->peer, fd, &addr->u.any, addr->len, plan->timeout_ns);
}

static uint64_t timeout_at(struct client *client)
{
	uint64_t from = client_in_flight(client) > 0 ? client_oldest(client)->started_ns
	                                             : engine_now_ns(&client->generator->engine);

	return from + client->generator->plan->timeout_ns;
}

/* It may take a request. */
static void become_able(struct client *client)
{
	struct generator *generator = client->generator;

	if (list_linked(&client->link) || !generator_sends(generator) ||
	    !plan_has_requests(generator->plan))
		return;
	if (client_in_flight(client) >= generator->plan->pipeline || client->peer.send_op.away)
		return;
	if (client->answer.close)
		return;
	client->able_ns = engine_now_ns(&generator->engine);
	list_push(&generator->able, &client->link);
}

static struct client *of_peer(struct peer *peer)
{
	return container_of(peer, struct client, peer);
}

static void on_connected(struct peer *peer, int result)
{
	struct client *client = of_peer(peer);
	struct generator *generator = client->generator;
	const struct plan *plan = generator->plan;

	if (result < 0) {
		connect_failed(client, -result);
		return;
	}
	generator->connecting--;
	client->state = CLIENT_OPEN;
	client->failures = 0;
	generator->open++;
	generator->connects_good++;
	tally_add(generator->tally, connects, 1);
	if (rude(client))
		tally_add(generator->tally, rude_connections, 1);
	tally_time(generator->tally, TALLY_CONNECT,
	           engine_now_ns(&generator->engine) - client->connect_ns);
	client->preface_due = client->preface != NULL;
	peer_receive(peer);
	alarm_set(&generator->engine.alarms, &client->alarm, timeout_at(client));
	generator_open_some(generator);
	if (client->protocol->stream != NULL)
		client->protocol->stream(client);
	else if (plan->mode == MODE_CRR && client_in_flight(client) > 0)
		client_request(client, client_oldest(client)->intended_ns, clock_ns());
	else
		become_able(client);
}

/* --- requests -------------------------------------------------------------------------------- */

static const struct request *draw_request(struct client *client)
{
	const struct target *target = client->target;
	uint64_t left;
	uint32_t i;

	if (target->requests_count == 1)
		return &target->requests[0];
	left = draw_below(&client->generator->draw, target->weights_sum);
	for (i = 0; left >= target->requests[i].weight; i++)
		left -= target->requests[i].weight;
	return &target->requests[i];
}

static void push_pending(struct client *client, uint64_t intended_ns, uint64_t started_ns)
{
	struct generator *generator = client->generator;
	struct pending *pending = &client->pending[client->pending_tail & client->pending_mask];

	assert(client_in_flight(client) <= client->pending_mask);
	client->pending_tail++;
	pending->intended_ns = intended_ns;
	pending->started_ns = started_ns;
	pending->id = generator->next_id++;
	pending->request = draw_request(client);
	generator->in_flight++;
	if (generator->limited)
		generator->requests_left--;
}

static uint32_t put_preface(struct client *client, struct iovec *parts)
{
	if (!client->preface_due)
		return 0;
	client->preface_due = false;
	parts[0].iov_base = client->preface;
	parts[0].iov_len = preface_make(client->preface, client->generator->plan->proxy_protocol,
	                                client->peer.fd);
	return 1;
}

static void send_parts(struct client *client, struct iovec *parts, uint32_t count)
{
	uint32_t i;

	client->sending_bytes = 0;
	for (i = 0; i < count; i++)
		client->sending_bytes += parts[i].iov_len;
	peer_send(&client->peer, parts, count);
}

/* A slow writer sends its only request byte by byte, at its rate; the alarm calls this. */
static void send_slowly(struct client *client)
{
	struct generator *generator = client->generator;
	struct iovec parts[PROTOCOL_PARTS];
	uint64_t skip = client->sent_before;
	uint32_t count, i;

	if (client->peer.send_op.away || client_in_flight(client) == 0)
		return;
	count = client->protocol->parts(client, client_oldest(client), parts);
	for (i = 0; i < count && skip >= parts[i].iov_len; i++)
		skip -= parts[i].iov_len;
	if (i == count)
		return;
	client->sent_before++;
	parts[i].iov_base = (char *)parts[i].iov_base + skip;
	parts[i].iov_len = 1;
	send_parts(client, &parts[i], 1);
	alarm_set(&generator->engine.alarms, &client->alarm,
	          engine_now_ns(&generator->engine) +
	                  (uint64_t)(1e9 / generator->plan->slow_rate));
}

/* The request of a connection that was made for it is pending already. */
static bool has_early_request(const struct client *client)
{
	return client->generator->plan->mode == MODE_CRR && client_in_flight(client) > 0;
}

void client_request(struct client *client, uint64_t intended_ns, uint64_t now_ns)
{
	struct generator *generator = client->generator;
	const struct plan *plan = generator->plan;
	struct iovec parts[RING_VECTOR_MAX];
	uint32_t count, requests = 0;

	if (client->state == CLIENT_CLOSED) {
		push_pending(client, intended_ns, now_ns);
		client_open(client);
		return;
	}
	assert(client->state == CLIENT_OPEN);
	count = put_preface(client, parts);
	while (count + PROTOCOL_PARTS <= RING_VECTOR_MAX) {
		if (!has_early_request(client)) {
			uint64_t from = plan->mode == MODE_CRR ? client->connect_ns : now_ns;

			push_pending(client, generator->open_loop ? intended_ns : from, from);
		}
		count += client->protocol->parts(
			client, &client->pending[(client->pending_tail - 1) & client->pending_mask],
			parts + count);
		requests++;
		if (generator->open_loop || client_in_flight(client) >= plan->pipeline ||
		    !generator_sends(generator))
			break;
	}
	tally_add(generator->tally, sent, requests);
	if (client->manner == MANNER_SLOW_WRITE && requests == 1) {
		client->sent_before = 0;
		send_slowly(client);
		return;
	}
	send_parts(client, parts, count);
}

void client_first_byte(struct client *client)
{
	struct generator *generator = client->generator;
	const struct pending *pending = client_oldest(client);

	client->answer.begun = true;
	if (pending->intended_ns >= generator->measure_ns && !rude(client))
		tally_time(generator->tally, TALLY_FIRST_BYTE,
		           engine_now_ns(&generator->engine) - pending->started_ns);
}

static void record(struct client *client, const struct pending *pending)
{
	struct generator *generator = client->generator;
	struct tally *tally = generator->tally;
	uint64_t now_ns = engine_now_ns(&generator->engine);

	if (pending->intended_ns < generator->measure_ns)
		return;
	if (rude(client)) {
		tally_add(tally, rude_completed, 1);
		return;
	}
	tally_add(tally, completed, 1);
	if (generator->phase == GENERATOR_MEASURE)
		tally_add(tally, in_time, 1);
	tally_time(tally, TALLY_SERVICE, now_ns - pending->started_ns);
	if (generator->open_loop)
		tally_time(tally, TALLY_RESPONSE, now_ns - pending->intended_ns);
	if (client->answer.status > 0) {
		tally->statuses[client->answer.status]++;
		if (client->answer.status > 399 || client->answer.status < 200)
			tally_add(tally, not_2xx_3xx, 1);
	}
}

/* Has the connection done what it was to do? */
static bool is_spent(struct client *client)
{
	const struct plan *plan = client->generator->plan;
	uint64_t age_ns = engine_now_ns(&client->generator->engine) - client->connect_ns;

	if (client->answer.close || (plan->reconnect > 0 && client->served >= plan->reconnect))
		return true;
	if (plan->lifetime_ns > 0 && age_ns >= plan->lifetime_ns)
		return client_in_flight(client) == 0;
	if (plan->mode == MODE_CHURN || client->manner == MANNER_RESET)
		return client->served >= client->life && client_in_flight(client) == 0;
	return false;
}

static enum peer_ending ending_of(struct client *client)
{
	if (client->manner == MANNER_RESET)
		return PEER_END_RESET;
	if (client->generator->plan->mode == MODE_CHURN &&
	    draw_below(&client->generator->draw, 4) == 0)
		return PEER_END_RESET;
	return PEER_END_CLOSE;
}

static void pop_pending(struct client *client)
{
	client->pending_head++;
	assert(client->generator->in_flight > 0);
	client->generator->in_flight--;
}

bool client_answered(struct client *client)
{
	struct generator *generator = client->generator;

	record(client, client_oldest(client));
	pop_pending(client);
	client->served++;
	client->answer.begun = false;
	client->answer.in_body = false;
	client->answer.frames_seen = 0;
	client->answer.refused = false;
	if (is_spent(client)) {
		client_close(client, ending_of(client));
		generator_check_over(generator);
		return false;
	}
	become_able(client);
	if (!generator_sends(generator))
		generator_check_over(generator);
	return client->state == CLIENT_OPEN;
}

/* A closed one is opened when its turn comes, or, for --mode crr in an open loop, on demand. */
static void wait_or_be_able(struct client *client)
{
	struct generator *generator = client->generator;

	if (generator->plan->mode == MODE_CRR && generator->open_loop) {
		become_able(client);
		return;
	}
	list_push(&generator->waiting, &client->link);
	generator_open_some(generator);
}

/* --- events ---------------------------------------------------------------------------------- */

static void on_data(struct peer *peer, uint8_t *bytes, uint32_t count)
{
	struct client *client = of_peer(peer);
	struct generator *generator = client->generator;

	tally_add(generator->tally, bytes_in, count);
	client->protocol->data(client, bytes, count);
	if (client->manner == MANNER_SLOW_READ && client->state == CLIENT_OPEN) {
		peer_pause(peer);
		alarm_set(&generator->engine.alarms, &client->alarm,
		          engine_now_ns(&generator->engine) + 100 * NS_PER_MS);
	}
}

static void on_end(struct peer *peer, int error)
{
	struct client *client = of_peer(peer);
	struct generator *generator = client->generator;

	if (error < 0) {
		client_fail(client, FAULT_RECEIVE, -error, NULL);
		return;
	}
	if (client->protocol->end(client))
		return;
	if (client_in_flight(client) > 0 || client->answer.begun) {
		client_fail(client, FAULT_RECEIVE, 0,
		            client->answer.begun ? "closed within an answer"
		                                 : "closed before the answer");
	} else if (generator->plan->mode == MODE_STREAM || generator->plan->mode == MODE_IDLE) {
		client_fail(client, FAULT_RECEIVE, 0, "closed by the target");
	} else {
		tally_add(generator->tally, closed_by_target, 1);
		client_close(client, PEER_END_CLOSE);
	}
}

static void on_sent(struct peer *peer, int result)
{
	struct client *client = of_peer(peer);
	struct tally *tally = client->generator->tally;

	if (result > 0)
		tally_add(tally, bytes_out, (uint64_t)result);
	if (result < 0 || (uint64_t)result < client->sending_bytes) {
		/* The receive tells why: a reset, an end with an answer before it. */
		if (!peer->recv_op.away || result == -ECONNRESET)
			client_fail(client, FAULT_SEND, result < 0 ? -result : EPIPE, NULL);
		return;
	}
	if (client->manner == MANNER_SLOW_WRITE)
		return;
	if (client->manner == MANNER_HALF_CLOSE && client_in_flight(client) > 0) {
		client->answer.close = true;
		peer_finish(peer);
		return;
	}
	if (client->protocol->stream != NULL)
		client->protocol->stream(client);
	else
		become_able(client);
}

static void timed_out(struct client *client)
{
	struct generator *generator = client->generator;
	uint64_t now_ns = engine_now_ns(&generator->engine);
	uint64_t at_ns = timeout_at(client);

	if (client_in_flight(client) == 0 || at_ns > now_ns) {
		alarm_set(&generator->engine.alarms, &client->alarm, at_ns);
		return;
	}
	client_fail(client, FAULT_TIMEOUT, 0, "no answer in time (--timeout)");
}

static void on_alarm(struct alarm *alarm)
{
	struct client *client = container_of(alarm, struct client, alarm);

	switch (client->state) {
	case CLIENT_CLOSED:
		wait_or_be_able(client);
		return;
	case CLIENT_OPEN:
		if (client->manner == MANNER_SLOW_READ)
			peer_receive(&client->peer);
		else if (client->manner == MANNER_SLOW_WRITE)
			send_slowly(client);
		else
			timed_out(client);
		return;
	case CLIENT_CONNECT:
	case CLIENT_CLOSE:
		break;
	}
	unreachable();
}

/* --- ending ---------------------------------------------------------------------------------- */

void client_fail(struct client *client, enum fault_phase phase, int error, const char *reason)
{
	struct generator *generator = client->generator;

	if (rude(client))
		tally_add(generator->tally, rude_faults, 1);
	else
		tally_fault(generator->tally, phase, error, reason, generator_run_ns(generator));
	client_close(client, phase == FAULT_TIMEOUT ? PEER_END_RESET : PEER_END_CLOSE);
	generator_check_over(generator);
}

/* Closed: what is next for it? */
static void go_on(struct client *client)
{
	struct generator *generator = client->generator;
	uint64_t pause_ns;

	client->state = CLIENT_CLOSED;
	client->answer.close = false;
	generator->alive--;
	if (!generator_sends(generator) && generator->phase != GENERATOR_WARM_UP)
		return;
	if (client->failures > 0) {
		pause_ns = BACKOFF_FIRST_NS << (client->failures < 8 ? client->failures - 1 : 7);
		alarm_set(&generator->engine.alarms, &client->alarm,
		          engine_now_ns(&generator->engine) +
		                  (pause_ns < BACKOFF_MAX_NS ? pause_ns : BACKOFF_MAX_NS));
		return;
	}
	wait_or_be_able(client);
}

static void on_closed(struct peer *peer)
{
	go_on(of_peer(peer));
}

void client_close(struct client *client, enum peer_ending ending)
{
	struct generator *generator = client->generator;
	uint64_t lost = client_in_flight(client);

	if (client->state == CLIENT_CLOSE || client->state == CLIENT_CLOSED)
		return;
	if (client->state == CLIENT_OPEN)
		generator->open--;
	else if (client->peer.fd >= 0)
		generator->connecting--;
	client->state = CLIENT_CLOSE;
	list_remove(&client->link);
	alarm_stop(&generator->engine.alarms, &client->alarm);
	if (!rude(client) && generator->phase != GENERATOR_OVER)
		tally_add(generator->tally, lost, lost);
	while (client_in_flight(client) > 0)
		pop_pending(client);
	if (client->peer.fd >= 0)
		peer_stop(&client->peer, ending);
	else
		go_on(client);
}

static const struct peer_events events = {
	.connected = on_connected,
	.data = on_data,
	.end = on_end,
	.sent = on_sent,
	.closed = on_closed,
};
