/* SPDX-License-Identifier: MIT */
/*
 * check.c - active health checks. The picture is in check.h.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow_private.h"
#include "net/proxy_header.h"

#define CHECK_REQUEST_MAX 1024u
#define CHECK_FIXED_MAX 128u /* of a request: what is not the path and the host */
#define CHECK_HEAD_MAX 1024u  /* of a head, what is kept */
#define CHECK_SKIM_MAX 16384u /* and what is read, to see its end */
#define TELL_MS 200
#define SOON_MS 250 /* the first check of a new address, at the latest */
/* Something is short here, which says nothing of the server: memory is looked for again within the
 * check, and the whole of it is tried again later. */
#define CHECK_AGAIN_MS 20
#define CHECK_LATER_MS 1000

enum check_state { CHECK_WAITING, CHECK_CONNECTING, CHECK_ASKED, CHECK_ENDING };

struct check {
	struct op connect;
	struct op send;
	struct op recv;
	struct timer timer; /* WAITING: the next one; else: the end of this one */
	struct flow *flow;
	struct server *server;
	const struct conf_upstream *upstream;
	struct addr addr;
	int fd;
	uint8_t state;
	uint8_t result; /* enum health_reason */
	bool over;      /* ENDING for good: the worker drains */
	uint16_t epoch; /* of the server whose address this is */
	bool starved;   /* ASKED: there was no memory for the answer */
	bool is_void;   /* ENDING: without a result */
	uint64_t deadline_ms;
	uint16_t request_len;
	uint16_t head_len;
	bool line_is_empty; /* the one that is being read */
	bool has_end;       /* an empty line ended the head */
	uint32_t skimmed;   /* bytes of the answer */
	char request[CHECK_REQUEST_MAX];
	uint8_t head[CHECK_HEAD_MAX];
};

static bool ops_home(const struct check *check)
{
	return !check->connect.away && !check->send.away && !check->recv.away;
}

/* Checks of many new addresses do not fire together. */
static uint64_t soon_ms(const struct check *check)
{
	return flow_now_ms(check->flow) + check->server->index * 61 % SOON_MS;
}

static void check_ended(struct check *check)
{
	struct flow *flow = check->flow;
	uint64_t next = soon_ms(check);

	assert(check->state == CHECK_ENDING);
	if (!ops_home(check))
		return;
	ring_socket_close(flow->ring, check->fd);
	check->fd = -1;
	check->state = CHECK_WAITING;
	flow->checks_running--;
	if (check->over || flow->draining)
		return;
	if (check->is_void) {
		wheel_set(&flow->wheel, &check->timer, flow_now_ms(flow) + CHECK_LATER_MS);
		return;
	}
	counter_add(&flow->stats.health_checks, 1);
	if (check->result != HEALTH_PASSED)
		counter_add(&flow->stats.health_checks_failed, 1);
	if (check->epoch == check->server->epoch) /* else it was of another address */
		next = server_checked(check->server, check->result, flow_now_ms(flow));
	wheel_set(&flow->wheel, &check->timer, next);
	checks_tell(flow);
}

/* May be called for each op that comes home. */
static void check_end(struct check *check, enum health_reason result)
{
	if (check->state != CHECK_ENDING) {
		check->state = CHECK_ENDING;
		check->result = (uint8_t)result;
		wheel_stop(&check->flow->wheel, &check->timer);
		ring_socket_abort(check->flow->ring, check->fd);
		if (check->connect.away)
			ring_cancel(check->flow->ring, &check->connect);
	}
	check_ended(check);
}

static void check_void(struct check *check)
{
	check->is_void = check->is_void || check->state != CHECK_ENDING;
	check_end(check, HEALTH_UNREACHABLE);
}

static bool is_our_fault(int error)
{
	return error == -EADDRNOTAVAIL || error == -EMFILE || error == -ENFILE ||
	       error == -ENOBUFS || error == -ENOMEM;
}

static enum health_reason reason_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
	case -ENOENT:
		return HEALTH_REFUSED;
	case -ECANCELED:
	case -ETIMEDOUT:
		return HEALTH_TIMED_OUT;
	case -ECONNRESET:
	case -EPIPE:
		return HEALTH_RESET;
	default:
		return HEALTH_UNREACHABLE;
	}
}

static void listen_for_answer(struct check *check)
{
	ring_recv(check->flow->ring, &check->recv, check->fd, SLICE_SMALL,
		  check->flow->slices.small_bytes, RING_RECV_POLL_FIRST);
}

static void on_connect_done(struct op *op, int result, uint32_t flags)
{
	struct check *check = container_of(op, struct check, connect);

	(void)flags;
	if (check->state == CHECK_ENDING)
		check_ended(check);
	else if (is_our_fault(result))
		check_void(check);
	else if (result < 0)
		check_end(check, reason_of(result));
	else if (check->upstream->health == PROBE_TCP)
		check_end(check, HEALTH_PASSED);
	else {
		check->state = CHECK_ASKED;
		listen_for_answer(check);
	}
}

static void on_send_done(struct op *op, int result, uint32_t flags)
{
	struct check *check = container_of(op, struct check, send);

	(void)result; /* what went wrong is told by the receive, or by the connect */
	(void)flags;
	if (check->state == CHECK_ENDING)
		check_ended(check);
}

static enum http_progress read_head(struct check *check)
{
	static const struct http_limits limits = { .head_bytes = CHECK_HEAD_MAX + 1,
						   .fields = HTTP_FIELDS_MAX };
	static const struct http_asked asked = { .method = HTTP_METHOD_GET };
	struct http_head *head = &check->flow->head;

	http_head_begin(head, HTTP_HEAD_RESPONSE, &limits, &asked);
	return http_head_feed(head, check->head, check->head_len);
}

/* Look for the end of a head, also in what is not kept. */
static void skim(struct check *check, const uint8_t *bytes, uint32_t len)
{
	check->skimmed += len;
	for (uint32_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			check->has_end = check->has_end || check->line_is_empty;
			check->line_is_empty = true;
		} else if (bytes[i] != '\r') {
			check->line_is_empty = false;
		}
	}
}

/* Of a head that does not fit only the first line counts, as a head of its own. */
static enum http_progress read_first_line(struct check *check)
{
	const uint8_t *end = memchr(check->head, '\n', CHECK_HEAD_MAX - 2);

	if (end == NULL)
		return HTTP_REFUSED;
	check->head_len = (uint16_t)(end + 1 - check->head);
	memcpy(check->head + check->head_len, "\r\n", 2);
	check->head_len += 2;
	return read_head(check);
}

/* What has come of the answer. */
static void judge(struct check *check)
{
	const struct conf_statuses *wanted = &check->upstream->health_status;
	const struct http_head *head = &check->flow->head;
	enum http_progress progress = read_head(check);

	if (progress == HTTP_MORE && !check->has_end && check->skimmed < CHECK_SKIM_MAX) {
		listen_for_answer(check);
		return;
	}
	if (progress == HTTP_MORE && check->has_end && check->head_len == CHECK_HEAD_MAX)
		progress = read_first_line(check);
	if (progress != HTTP_DONE)
		check_end(check, HEALTH_MALFORMED);
	else
		check_end(check, head->status >= wanted->first && head->status <= wanted->last ?
					 HEALTH_PASSED :
					 HEALTH_STATUS);
}

/* To ask again at once would go on in every turn until there is memory. */
static void starve(struct check *check)
{
	struct flow *flow = check->flow;
	uint64_t soon = flow_now_ms(flow) + CHECK_AGAIN_MS;

	check->starved = true;
	slices_wanted(&flow->slices, SLICE_SMALL);
	wheel_set(&flow->wheel, &check->timer,
		  soon < check->deadline_ms ? soon : check->deadline_ms);
}

static void on_recv_done(struct op *op, int result, uint32_t flags)
{
	struct check *check = container_of(op, struct check, recv);
	struct slices *slices = &check->flow->slices;
	uint32_t room = CHECK_HEAD_MAX - check->head_len;

	if (flags & RING_BUFFER) {
		uint32_t len = result > 0 ? (uint32_t)result : 0;
		uint32_t slice = slices_received(slices, SLICE_SMALL, ring_buffer_id(flags), len);

		skim(check, slices_memory(slices, slice), len);
		memcpy(check->head + check->head_len, slices_memory(slices, slice),
		       len < room ? len : room);
		check->head_len += (uint16_t)(len < room ? len : room);
		slices_give(slices, slice);
	}
	if (check->state == CHECK_ENDING)
		check_ended(check);
	else if (result == -ENOBUFS)
		starve(check);
	else if (result == -EINTR || result == -EAGAIN)
		listen_for_answer(check);
	else if (result < 0)
		check_end(check, reason_of(result));
	else if (result == 0)
		check_end(check, HEALTH_CLOSED);
	else
		judge(check);
}

static void check_begin(struct check *check)
{
	struct flow *flow = check->flow;
	const struct conf_upstream *upstream = check->upstream;
	struct iovec part = { .iov_base = check->request, .iov_len = check->request_len };
	bool asks = check->request_len > 0;

	check->head_len = 0;
	check->skimmed = 0;
	check->line_is_empty = check->has_end = false;
	check->fd = ring_socket_open(flow->ring, check->addr.u.any.sa_family);
	if (check->fd < 0) { /* no descriptor: that says nothing of the server */
		wheel_set(&flow->wheel, &check->timer, flow_now_ms(flow) + CHECK_LATER_MS);
		return;
	}
	flow->checks_running++;
	check->state = CHECK_CONNECTING;
	check->starved = check->is_void = false;
	check->deadline_ms = flow_now_ms(flow) + upstream->health_timeout_ns / NS_PER_MS;
	wheel_set(&flow->wheel, &check->timer, check->deadline_ms);
	ring_connect(flow->ring, &check->connect, check->fd, &check->addr.u.any, check->addr.len,
		     upstream->health_timeout_ns, asks ? &check->send : NULL, &part, asks);
}

/* At the address that the server has now. */
static void check_aim(struct check *check)
{
	const uint32_t port = check->upstream->health_port;

	check->epoch = check->server->epoch;
	check->addr = *check->server->addr;
	if (port != 0 && check->addr.kind == ADDR_INET)
		check->addr.u.in.sin_port = htons((uint16_t)port);
	else if (port != 0 && check->addr.kind == ADDR_INET6)
		check->addr.u.in6.sin6_port = htons((uint16_t)port);
}

static void check_later(struct check *check)
{
	wheel_set(&check->flow->wheel, &check->timer,
		  flow_now_ms(check->flow) + check->upstream->health_interval_ns / NS_PER_MS);
}

static void check_due(struct check *check)
{
	if (check->flow->draining)
		return;
	checks_tell(check->flow); /* so that this worker knows which address has the place now */
	if (!server_is_staying(check->server)) { /* a place that no address has, or will keep */
		check_later(check);
		return;
	}
	if (check->epoch != check->server->epoch)
		check_aim(check);
	check_begin(check);
}

static void on_time(struct timer *timer)
{
	struct check *check = container_of(timer, struct check, timer);

	if (check->state == CHECK_WAITING) {
		check_due(check);
	} else if (!check->starved) {
		check_end(check, HEALTH_TIMED_OUT);
	} else if (flow_now_ms(check->flow) >= check->deadline_ms) {
		check_void(check);
	} else {
		check->starved = false;
		wheel_set(&check->flow->wheel, timer, check->deadline_ms);
		listen_for_answer(check);
	}
}

/* --- what is asked ---------------------------------------------------------------------------- */

static void write_request(struct check *check)
{
	static_assert(CHECK_FIXED_MAX + CONF_TARGET_MAX + ADDR_TEXT_MAX <= CHECK_REQUEST_MAX,
		      "the longest request fits");
	const struct conf_upstream *upstream = check->upstream;
	char host[ADDR_TEXT_MAX] = "localhost";
	int len;

	if (upstream->send_proxy != SEND_PROXY_OFF)
		check->request_len = (uint16_t)proxy_header_write_local(
			(uint8_t *)check->request,
			upstream->send_proxy == SEND_PROXY_V1 ? PROXY_HEADER_V1 : PROXY_HEADER_V2);
	if (upstream->health == PROBE_TCP)
		return;
	if (check->server->conf->addr.kind != ADDR_UNIX)
		(void)addr_format(host, &check->server->conf->addr);
	len = snprintf(check->request + check->request_len,
		       sizeof(check->request) - check->request_len,
		       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-health\r\n"
		       "Connection: close\r\n\r\n",
		       upstream->health_path,
		       upstream->health_host != NULL ? upstream->health_host : host);
	assert(len > 0 && (size_t)len < sizeof(check->request) - check->request_len);
	check->request_len += (uint16_t)len;
}

static void check_init(struct check *check, struct flow *flow, struct server *server)
{
	const struct conf_upstream *upstream = &flow->conf->upstreams[server->upstream_index];

	check->flow = flow;
	check->server = server;
	check->upstream = upstream;
	check->fd = -1;
	op_init(&check->connect, on_connect_done);
	op_init(&check->send, on_send_done);
	op_init(&check->recv, on_recv_done);
	timer_init(&check->timer, on_time);
	write_request(check);
	check_aim(check);
}

/* --- all of a worker's ------------------------------------------------------------------------ */

static bool is_mine(const struct flow *flow, const struct server *server)
{
	return flow->conf->upstreams[server->upstream_index].health != PROBE_OFF &&
	       server->index % flow->shared->workers_count == flow->worker_index;
}

static uint32_t each_server(struct flow *flow, struct check *checks)
{
	uint32_t count = 0, i, j;

	for (i = 0; i < flow->conf->upstreams_count; i++) {
		const struct conf_upstream *upstream = &flow->conf->upstreams[i];

		for (j = 0; j < upstream->servers_count; j++) {
			struct server *server = upstream_server(flow->upstreams, upstream, j);

			if (!is_mine(flow, server))
				continue;
			if (checks != NULL)
				check_init(&checks[count], flow, server);
			count++;
		}
	}
	return count;
}

static void tell_later(struct flow *flow)
{
	if (!flow->draining && !timer_is_set(&flow->tell_timer))
		wheel_set(&flow->wheel, &flow->tell_timer, flow_now_ms(flow) + TELL_MS);
}

/* Without traffic, something happens to servers only by checks, by names, and when an ejection
 * ends. */
static bool servers_can_change(struct flow *flow)
{
	uint32_t i, j;

	for (i = 0; i < flow->conf->upstreams_count; i++) {
		const struct conf_upstream *upstream = &flow->conf->upstreams[i];

		if (upstream->health != PROBE_OFF || upstream->names_count > 0)
			return true;
		for (j = 0; j < upstream->servers_count; j++)
			if (server_state(upstream_server(flow->upstreams, upstream, j)) ==
			    SERVER_EJECTED)
				return true;
	}
	return false;
}

/* An address that is new to its place is checked soon. */
static void checks_aim(struct flow *flow)
{
	for (uint32_t i = 0; i < flow->checks_count; i++) {
		struct check *check = &flow->checks[i];

		if (check->epoch == check->server->epoch || check->state != CHECK_WAITING)
			continue;
		check_aim(check);
		wheel_stop(&flow->wheel, &check->timer);
		wheel_set(&flow->wheel, &check->timer, soon_ms(check));
	}
}

static void on_tell(struct timer *timer)
{
	struct flow *flow = container_of(timer, struct flow, tell_timer);

	upstreams_tick(flow->shared->upstreams, flow_now_ms(flow));
	checks_tell(flow);
	checks_aim(flow);
	if (servers_can_change(flow))
		tell_later(flow);
}

size_t check_bytes(void)
{
	return sizeof(struct check);
}

uint32_t checks_wanted(struct flow *flow)
{
	return each_server(flow, NULL);
}

void checks_init(struct flow *flow)
{
	timer_init(&flow->tell_timer, on_tell);
	(void)each_server(flow, flow->checks);
}

void checks_start(struct flow *flow)
{
	uint32_t i;

	for (i = 0; i < flow->checks_count; i++)
		wheel_set(&flow->wheel, &flow->checks[i].timer,
			  server_check_first_ms(flow->checks[i].server, flow_now_ms(flow)));
	if (servers_can_change(flow))
		tell_later(flow);
}

void checks_stop(struct flow *flow)
{
	uint32_t i;

	wheel_stop(&flow->wheel, &flow->tell_timer);
	for (i = 0; i < flow->checks_count; i++) {
		struct check *check = &flow->checks[i];

		check->over = true;
		if (check->state == CHECK_WAITING)
			wheel_stop(&flow->wheel, &check->timer);
		else
			check_end(check, HEALTH_TIMED_OUT);
	}
}

/* --- what became of servers ------------------------------------------------------------------- */

static const char *const state_texts[SERVER_STATES] = {
	[SERVER_UP] = "up",           [SERVER_DOWN] = "down",       [SERVER_EJECTED] = "ejected",
	[SERVER_DRAINED] = "drained", [SERVER_LEAVING] = "leaving", [SERVER_ABSENT] = "absent",
};

static void tell(struct flow *flow, const struct health_event *event)
{
	const char *name = event->server->name;
	char text[ADDR_TEXT_MAX];

	if (event->addr.kind == ADDR_NONE)
		log_warn(flow->log, "server %s/%s is %s: %s", event->upstream->name, name,
			 state_texts[event->after], health_reason_texts[event->reason]);
	else /* the place of a name, which does not say where it is */
		log_warn(flow->log, "server %s/%s (%s) is %s: %s", event->upstream->name,
			 addr_format(text, &event->addr), name, state_texts[event->after],
			 health_reason_texts[event->reason]);
	if (event->after == SERVER_DOWN && event->reason != HEALTH_JOINED)
		counter_add(&flow->stats.servers_went_down, 1);
	else if (event->after == SERVER_UP && event->reason != HEALTH_JOINED)
		counter_add(&flow->stats.servers_came_up, 1);
	else if (event->after == SERVER_EJECTED) {
		counter_add(&flow->stats.servers_ejected, 1);
		tell_later(flow);
	}
}

/* What is kept of connections to it ends; and if it is down, its sessions. */
static void leave(struct flow *flow, const struct server *server, bool went_down)
{
	enum session_state state;

	pool_abandon(flow, server);
	if (!went_down ||
	    flow->conf->upstreams[server->upstream_index].on_down != ON_DOWN_CLOSE)
		return;
	for (state = SESSION_CONNECT; state <= SESSION_RELAY; state++) {
		struct list *node = flow->sessions[state].next;

		while (node != &flow->sessions[state]) {
			struct session *session = container_of(node, struct session, link);

			node = node->next;
			if (session->server == server && session->conn != NULL)
				session_close(session, CLOSE_SERVER_DOWN);
		}
	}
}

void checks_tell(struct flow *flow)
{
	struct health_event event;
	struct server *server;
	bool went_down;

	while (upstreams_take_event(flow->shared->upstreams, &event))
		tell(flow, &event);
	while ((server = upstreams_take_fallen(flow->upstreams, &went_down)) != NULL)
		leave(flow, server, went_down);
}
