/* SPDX-License-Identifier: MIT */
/*
 * ring_sim.c - life, queues and turns of a simulated ring, and the preparing of requests.
 *
 * What happens to a request once it is submitted is in request_sim.c.
 */
#include "ring_sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>

#include "http_sim.h"
#include "watch.h"

struct completion {
	struct op *op;
	struct request *request;
	int result;
	uint32_t flags;
};

struct ring {
	bool enabled;
	bool registered;
	bool delivering;
	struct ring_features features;
	struct ring_stats stats;
	struct sim_buffers buffers;
	uint64_t now_ns;
	uint64_t turns;
	struct list prepared;
	uint32_t prepared_count;
	uint32_t prepared_max;
	struct list open; /* submitted, and not all of their completions are delivered */
	struct list pool;
	struct list stale; /* done, but an event still names them */
	struct completion *completions; /* in the order of delivery */
	uint32_t completions_count;
	uint32_t completions_max;
	struct completion *batch; /* those that this turn delivers */
	uint32_t batch_max;
};

/* --- life ------------------------------------------------------------------------------------ */

int ring_open(struct ring **out, const struct ring_options *options,
              const struct ring_features *features)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	assert(ring != NULL);
	(void)options;
	ring->features = *features;
	ring->prepared_max = UINT32_MAX;
	list_init(&ring->prepared);
	list_init(&ring->open);
	list_init(&ring->pool);
	list_init(&ring->stale);
	*out = ring;
	return 0;
}

const char *ring_open_remedy(int error)
{
	(void)error;
	return "a simulated ring needs none";
}

int ring_enable(struct ring *ring)
{
	assert(!ring->enabled);
	ring->enabled = true;
	ring->now_ns = world->now_ns;
	return 0;
}

static void free_requests(struct list *head)
{
	struct list *node;

	while ((node = list_take_first(head)) != NULL)
		free(container_of(node, struct request, node));
}

void ring_close(struct ring *ring)
{
	if (!list_empty(&ring->open) || !list_empty(&ring->prepared))
		world_fail("a ring is closed while requests are away");
	free_requests(&ring->pool);
	free_requests(&ring->stale);
	sim_buffers_close(&ring->buffers);
	free(ring->completions);
	free(ring->batch);
	free(ring);
}

int ring_register_region(struct ring *ring, void *base, uint64_t bytes)
{
	assert(base == ring->buffers.base && bytes == ring->buffers.bytes);
	ring->registered = true;
	return 0;
}

uint64_t ring_memory_bytes(const struct ring_options *options)
{
	(void)options;
	return sizeof(struct ring);
}

struct ring_stats *ring_stats(struct ring *ring)
{
	return &ring->stats;
}

const struct ring_features *ring_features(const struct ring *ring)
{
	return &ring->features;
}

uint64_t ring_now_ns(const struct ring *ring)
{
	return ring->now_ns;
}

uint64_t ring_wall_ms(const struct ring *ring)
{
	return 1000000000000ull + ring->now_ns / 1000000;
}

void ring_sim_set_queue(struct ring *ring, uint32_t entries)
{
	ring->prepared_max = entries;
}

void ring_sim_watch(struct ring *ring, uint8_t *base, uint64_t bytes, uint32_t slice_bytes)
{
	sim_buffers_watch(&ring->buffers, base, bytes, slice_bytes);
}

struct sim_buffers *ring_sim_buffers(struct ring *ring)
{
	return &ring->buffers;
}

bool ring_sim_region_is_registered(const struct ring *ring)
{
	return ring->registered;
}

int ring_buffers_open(struct ring *ring, uint16_t group, uint32_t entries)
{
	struct sim_group *g = &ring->buffers.groups[group];

	assert(group < RING_GROUPS && g->buffers == NULL);
	assert(entries > 0 && (entries & (entries - 1)) == 0);
	g->buffers = calloc(entries, sizeof(*g->buffers));
	assert(g->buffers != NULL);
	g->entries = entries;
	return 0;
}

void ring_buffers_add(struct ring *ring, uint16_t group, void *address, uint32_t bytes, uint16_t id)
{
	sim_buffers_add(&ring->buffers, group, address, bytes, id);
}

void ring_buffers_publish(struct ring *ring, uint16_t group)
{
	struct sim_group *g = &ring->buffers.groups[group];

	g->published += g->added;
	g->added = 0;
}

/* --- turns ----------------------------------------------------------------------------------- */

void ring_sim_submit(struct ring *ring)
{
	struct list *node;

	while ((node = list_take_first(&ring->prepared)) != NULL) {
		struct request *request = container_of(node, struct request, node);

		ring->prepared_count--;
		list_push(&ring->open, &request->node);
		counter_add(&ring->stats.submissions, 1);
		if (!request->waits) /* else the connect before it issues it */
			request_issue(request);
	}
}

uint32_t ring_sim_ready(const struct ring *ring)
{
	return ring->completions_count;
}

uint64_t ring_sim_turns(const struct ring *ring)
{
	return ring->turns;
}

bool ring_sim_has_prepared(const struct ring *ring)
{
	return !list_empty(&ring->prepared);
}

static void push_completion(struct ring *ring, struct completion completion)
{
	if (ring->completions_count == ring->completions_max) {
		ring->completions_max = ring->completions_max == 0 ? 64 : 2 * ring->completions_max;
		ring->completions = realloc(ring->completions,
		                            ring->completions_max * sizeof(struct completion));
		assert(ring->completions != NULL);
	}
	ring->completions[ring->completions_count++] = completion;
}

void ring_sim_complete(struct request *request, int result, uint32_t flags)
{
	assert(!request->over);
	if (!(flags & RING_MORE))
		request->over = true;
	if (request->op != NULL) {
		push_completion(request->ring, (struct completion){ request->op, request, result,
		                                                    flags });
		return;
	}
	request->delivered = true;
	request_recycle(request);
}

void ring_sim_message(struct ring *ring, struct op *op, int value)
{
	push_completion(ring, (struct completion){ op, NULL, value, RING_MORE });
}

struct request *ring_sim_find(struct ring *ring, const struct op *op)
{
	struct list *node;

	for (node = ring->open.next; node != &ring->open; node = node->next) {
		struct request *request = container_of(node, struct request, node);

		if (request->op == op && !request->over)
			return request;
	}
	return NULL;
}

static const char *kind_name(const struct request *request)
{
	static const char *const names[REQUEST_KIND_COUNT] = { "accept", "recv", "watch", "send",
		                                               "connect", "cancel", "post" };

	return request == NULL ? "message" : names[request->kind];
}

/* The last completion of a request is about to be delivered. */
static void request_home(struct request *request)
{
	struct sock *sock = request->sock;

	if (request->kind == REQUEST_SEND && sock->conn != NULL)
		sock->conn->sent_home += request->sent - request->front;
	if (sock != NULL && !request->doomed)
		sock->ops_away--;
	request->op->away = false;
	request->delivered = true;
	request_recycle(request);
}

static void deliver_one(const struct completion *completion)
{
	struct op *op = completion->op;

	trace("%s fd %d: result %d flags %x", kind_name(completion->request),
	      completion->request != NULL ? completion->request->fd : -1, completion->result,
	      completion->flags);
	if (!op->away)
		world_fail("a completion comes for an op that is home");
	if (!(completion->flags & RING_MORE))
		request_home(completion->request);
	op->done(op, completion->result, completion->flags);
}

static int deliver(struct ring *ring)
{
	uint32_t count = ring->completions_count;
	uint32_t i;

	/* What is made meanwhile belongs to the next turn. */
	if (count > ring->batch_max) {
		ring->batch_max = count;
		ring->batch = realloc(ring->batch, count * sizeof(struct completion));
		assert(ring->batch != NULL);
	}
	for (i = 0; i < count; i++)
		ring->batch[i] = ring->completions[i];
	ring->completions_count = 0;
	ring->delivering = true;
	for (i = 0; i < count; i++)
		deliver_one(&ring->batch[i]);
	ring->delivering = false;
	return (int)count;
}

int ring_turn(struct ring *ring, uint64_t deadline_ns)
{
	assert(ring->enabled && !ring->delivering);
	ring_sim_submit(ring);
	while (ring->completions_count == 0 && deadline_ns > world->now_ns) {
		if (deadline_ns == UINT64_MAX && world->events_count == 0)
			world_fail("nothing will ever happen any more");
		(void)world_step(deadline_ns);
	}
	ring->now_ns = world->now_ns;
	ring->turns++;
	return deliver(ring);
}

/* --- preparing ------------------------------------------------------------------------------- */

/* Room for `count` requests that are submitted together. */
static void reserve(struct ring *ring, uint32_t count)
{
	if (ring->prepared_count + count <= ring->prepared_max)
		return;
	counter_add(&ring->stats.full_queue_submits, 1);
	ring_sim_submit(ring);
}

static struct request *prepare(struct ring *ring, struct op *op, enum request_kind kind, int fd)
{
	struct request *request;
	struct list *node = list_take_first(&ring->pool);

	if (op != NULL) {
		if (op->away)
			world_fail("an op is used while it is away");
		op->away = true;
	}
	request = node != NULL ? container_of(node, struct request, node) :
				 calloc(1, sizeof(*request));
	assert(request != NULL);
	*request = (struct request){ .ring = ring, .op = op, .kind = kind, .fd = fd };
	list_init(&request->node);
	list_push(&ring->prepared, &request->node);
	ring->prepared_count++;
	if (fd >= 0) {
		request->sock = sock_of(fd);
		request->sock->ops_away++;
	}
	return request;
}

void ring_accept(struct ring *ring, struct op *op, int fd, bool many)
{
	reserve(ring, 1);
	prepare(ring, op, REQUEST_ACCEPT, fd)->many = many;
}

void ring_recv(struct ring *ring, struct op *op, int fd, uint16_t group, uint32_t limit_bytes,
               uint32_t flags)
{
	struct request *request;

	reserve(ring, 1);
	assert(limit_bytes > 0 && group < RING_GROUPS);
	request = prepare(ring, op, REQUEST_RECV, fd);
	request->group = group;
	request->limit = limit_bytes;
	request->many = (flags & RING_RECV_MANY) && ring->features.recv_credit;
	request->poll_first = (flags & RING_RECV_POLL_FIRST) != 0;
	if (request->many && request->poll_first && !request->sock->tcp)
		world_fail("descriptor %d: MANY with POLL_FIRST on a unix socket", fd);
	trace("fd %d: recv prepared, limit %u group %u flags %x", fd, limit_bytes, group, flags);
}

static struct request *prepare_send(struct ring *ring, struct op *op, int fd,
                                    const struct iovec *parts, uint32_t count, bool of_check)
{
	struct request *request = prepare(ring, op, REQUEST_SEND, fd);
	uint32_t i;

	assert(count > 0 && count <= RING_VECTOR_MAX);
	if (world->http && request->sock->conn != NULL)
		http_origin_asked(request->sock->conn);
	request->of_check = of_check;
	request->parts_count = count;
	for (i = 0; i < count; i++) {
		request->parts[i] = parts[i];
		request->total += parts[i].iov_len;
		sim_buffers_pin(&ring->buffers, &parts[i], request_sends_anywhere(request));
	}
	trace("fd %d: send prepared, %llu bytes in %u parts", fd,
	      (unsigned long long)request->total, count);
	return request;
}

void ring_send(struct ring *ring, struct op *op, int fd, const struct iovec *parts, uint32_t count)
{
	reserve(ring, 1);
	(void)prepare_send(ring, op, fd, parts, count, false);
}

void ring_send_zero_copy(struct ring *ring, struct op *op, int fd, const struct iovec *parts,
                         uint32_t count)
{
	reserve(ring, 1);
	prepare_send(ring, op, fd, parts, count, false)->zero_copy =
		ring->registered && ring->features.zero_copy_report &&
		(count == 1 || ring->features.zero_copy_vector);
}

void ring_connect(struct ring *ring, struct op *op, int fd, const struct sockaddr *address,
                  socklen_t len, uint64_t timeout_ns, struct op *send, const struct iovec *parts,
                  uint32_t count)
{
	const struct session *session = watch_session(op);
	struct request *request;

	(void)len;
	assert(send == NULL || count == 1 || ring->features.send_vector);
	reserve(ring, 3);
	request = prepare(ring, op, REQUEST_CONNECT, fd);
	request->total = timeout_ns;
	request->of_check = session == NULL;
	/* The simulated origins are numbered: by the port, or by the last character of the name. */
	if (address->sa_family == AF_UNIX)
		request->port =
			(uint16_t)((const struct sockaddr_un *)(const void *)address)->sun_path[0];
	else
		request->port =
			ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
	if (session != NULL)
		watch_dial(session, request->port);
	if (send == NULL)
		return;
	request->linked = prepare_send(ring, send, fd, parts, count, request->of_check);
	request->linked->waits = true;
}

void ring_cancel(struct ring *ring, struct op *op)
{
	reserve(ring, 1);
	if (!op->away)
		world_fail("an op is cancelled that is home");
	prepare(ring, NULL, REQUEST_CANCEL, -1)->target = op;
}

void ring_poll(struct ring *ring, struct op *op, int fd)
{
	(void)ring;
	(void)op;
	world_fail("descriptor %d: the flow layer polls nothing", fd);
}

void ring_watch(struct ring *ring, struct op *op, int fd)
{
	reserve(ring, 1);
	(void)prepare(ring, op, REQUEST_WATCH, fd);
	trace("fd %d: watched", fd);
}

void ring_post(struct ring *ring, struct op *sent, struct ring *target_ring, struct op *target,
               int value)
{
	struct request *request;

	reserve(ring, 1);
	if (!target->away || target_ring == ring)
		world_fail("a message is posted to no other worker");
	request = prepare(ring, sent, REQUEST_POST, -1);
	request->target_ring = target_ring;
	request->target = target;
	request->value = value;
}

void request_recycle(struct request *request)
{
	struct ring *ring = request->ring;

	assert(request->over && request->delivered);
	list_remove(&request->node);
	list_push_first(request->events > 0 ? &ring->stale : &ring->pool, &request->node);
}
