/* SPDX-License-Identifier: MIT */
/*
 * front.c - clients' addresses, headers of the PROXY protocol at both ends, who must be kept out.
 */
#include "front.h"

#include <string.h>

#include "net/proxy_header.h"
#include "net/source_limits.h"

#define ADDRESSES_V4 3u
#define SLICES_LEAST 64u
#define FRONT_MAX 200u /* bytes: it fits the smallest slice */

static struct {
	struct plan *plan;
	uint32_t ports; /* given to clients */
	/* of sources, by the number of their first address */
	uint32_t reached[FRONT_ADDRESSES];
	uint64_t opened_ns;
} fronts;

/* --- addresses ------------------------------------------------------------------------------- */

static void set_v4(struct addr *addr, uint32_t in, uint16_t port)
{
	*addr = (struct addr){ .kind = ADDR_INET, .len = sizeof(addr->u.in) };
	addr->u.in.sin_family = AF_INET;
	addr->u.in.sin_addr.s_addr = htonl(in);
	addr->u.in.sin_port = htons(port);
}

static void set_v6(struct addr *addr, uint8_t last, uint16_t port)
{
	static const uint8_t net[4] = { 0x20, 0x01, 0x0d, 0xb8 };

	*addr = (struct addr){ .kind = ADDR_INET6, .len = sizeof(addr->u.in6) };
	addr->u.in6.sin6_family = AF_INET6;
	memcpy(addr->u.in6.sin6_addr.s6_addr, net, sizeof(net));
	addr->u.in6.sin6_addr.s6_addr[15] = last;
	addr->u.in6.sin6_port = htons(port);
}

void front_address(struct addr *addr, uint32_t number)
{
	static const uint32_t v4[ADDRESSES_V4] = { 0x0a000001, 0x0a000002, 0x0a090001 };
	uint16_t port = (uint16_t)(1024 + fronts.ports++ % 60000);

	assert(number < FRONT_ADDRESSES);
	if (number < ADDRESSES_V4)
		set_v4(addr, v4[number], port);
	else
		set_v6(addr, (uint8_t)(1 + number - ADDRESSES_V4), port);
}

uint32_t front_number(const struct addr *addr)
{
	uint32_t number;

	if (addr->kind == ADDR_UNIX)
		return FRONT_ADDRESSES;
	for (number = 0; number < FRONT_ADDRESSES; number++) {
		struct addr own;

		front_address(&own, number);
		if (own.kind == ADDR_INET6)
			own.u.in6.sin6_port = addr->u.in6.sin6_port;
		else
			own.u.in.sin_port = addr->u.in.sin_port;
		if (addr_equal(&own, addr))
			return number;
	}
	world_fail("a client has an address that nobody gave it");
}

/* Where the limits of a source are kept: all addresses of IPv6 are in one /64. */
static uint32_t source_of(const struct addr *addr)
{
	uint32_t number = front_number(addr);

	return number < ADDRESSES_V4 ? number : ADDRESSES_V4;
}

static void set_unix(struct addr *addr, const char *path)
{
	*addr = (struct addr){ .kind = ADDR_UNIX };
	addr->u.un.sun_family = AF_UNIX;
	addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	memcpy(addr->u.un.sun_path, path, strlen(path));
}

/* --- who is let in --------------------------------------------------------------------------- */

static const struct plan_access *access_of(const struct conf_listener *listener)
{
	return &fronts.plan->access[listener - fronts.plan->listeners];
}

/* Of the blocks that hold an address the longest decides, and of two alike the one that denies. */
static bool is_allowed(const struct plan_access *access, const struct addr *addr)
{
	bool allowed = access->allow_count == 0;
	int longest = -1;
	uint32_t i;

	for (i = 0; i < access->allow_count; i++)
		if (cidr_holds(&access->allow[i], addr) && access->allow[i].bits > longest) {
			longest = access->allow[i].bits;
			allowed = true;
		}
	for (i = 0; i < access->deny_count; i++)
		if (cidr_holds(&access->deny[i], addr) && access->deny[i].bits >= longest) {
			longest = access->deny[i].bits;
			allowed = false;
		}
	return allowed;
}

static bool may_send_header(const struct plan_access *access, const struct addr *addr)
{
	uint32_t i;

	for (i = 0; i < access->from_count; i++)
		if (cidr_holds(&access->from[i], addr))
			return true;
	return access->from_count == 0;
}

static void judge(struct conn *conn, bool is_sound)
{
	const struct plan_access *access = access_of(conn->listener);
	const bool expected = conn->listener->proxy_protocol != PROXY_OFF;

	conn->bar = BAR_NONE;
	if (expected && (!is_sound || !may_send_header(access, &conn->address)))
		conn->bar = BAR_HEADER;
	else if (!is_allowed(access, &conn->source))
		conn->bar = BAR_ACCESS;
}

/* --- what a client writes in front ----------------------------------------------------------- */

static enum proxy_header_version version_of(const struct conf_listener *listener, bool other)
{
	if (listener->proxy_protocol == PROXY_ANY)
		return prng_chance(&world->prng, 500) ? PROXY_HEADER_V1 : PROXY_HEADER_V2;
	return (listener->proxy_protocol == PROXY_V1) != other ? PROXY_HEADER_V1 : PROXY_HEADER_V2;
}

/* A field of version 2 that means nothing. */
static uint32_t add_field(uint8_t *bytes, uint32_t len)
{
	const uint32_t value = (uint32_t)prng_below(&world->prng, 60);
	const uint32_t total = len - 16 + 3 + value;

	if (len + 3 + value > FRONT_MAX)
		return len;
	bytes[len] = 0xe0;
	bytes[len + 1] = 0;
	bytes[len + 2] = (uint8_t)value;
	memset(bytes + len + 3, 'x', value);
	bytes[14] = (uint8_t)(total >> 8);
	bytes[15] = (uint8_t)total;
	return len + 3 + value;
}

static uint32_t write_sound(struct conn *conn, uint8_t *bytes, bool other_version)
{
	const enum proxy_header_version version = version_of(conn->listener, other_version);
	struct addr to;
	uint32_t len;

	if (conn->source.kind == ADDR_INET6)
		set_v6(&to, 0xfe, 443);
	else
		set_v4(&to, 0xc6336401, 443);
	len = proxy_header_write(bytes, version, &conn->source, &to);
	if (version == PROXY_HEADER_V2 && prng_chance(&world->prng, 300))
		len = add_field(bytes, len);
	return len;
}

/* One byte of a sound one is another; what the parser still takes is no use. */
static uint32_t write_broken(struct conn *conn, uint8_t *bytes)
{
	static const enum proxy_header_version versions[] = { [PROXY_V1] = PROXY_HEADER_V1,
							      [PROXY_V2] = PROXY_HEADER_V2,
							      [PROXY_ANY] = PROXY_HEADER_ANY };
	struct proxy_header header;
	const char *reason;
	uint32_t tries, len;

	for (tries = 0; tries < 50; tries++) {
		len = write_sound(conn, bytes, false);
		bytes[prng_below(&world->prng, len)] ^=
			(uint8_t)(1 + prng_below(&world->prng, 255));
		if (proxy_header_parse(&header, versions[conn->listener->proxy_protocol], bytes,
				       len, &reason) == PROXY_HEADER_REFUSED)
			return len;
	}
	return 0;
}

static void set_front(struct conn *conn, const uint8_t *bytes, uint32_t len)
{
	conn->in_front.bytes.count = 0;
	if (len > 0)
		bytes_add(&conn->in_front.bytes, bytes, len);
}

void front_say(struct conn *conn, enum front_kind kind, uint32_t source)
{
	uint8_t bytes[FRONT_MAX + PROXY_HEADER_MAX];
	uint32_t len = 0;

	assert(conn->listener->proxy_protocol != PROXY_OFF && conn->in_front.written == 0);
	front_address(&conn->source, source);
	conn->in_front.is_cut = kind == FRONT_CUT;
	switch (kind) {
	case FRONT_BROKEN:
		len = write_broken(conn, bytes);
		break;
	case FRONT_LOCAL:
		len = proxy_header_write_local(bytes, version_of(conn->listener, false));
		conn->source = conn->address;
		break;
	case FRONT_OTHER_VERSION:
		if (conn->listener->proxy_protocol != PROXY_ANY)
			len = write_sound(conn, bytes, true);
		break;
	case FRONT_SOUND:
		len = write_sound(conn, bytes, false);
		break;
	case FRONT_CUT:
		len = (uint32_t)prng_below(&world->prng, write_sound(conn, bytes, false));
		break;
	case FRONT_MISSING:
	case FRONT_KINDS:
		break;
	}
	set_front(conn, bytes, len);
	judge(conn, kind == FRONT_SOUND || kind == FRONT_LOCAL);
}

void front_come_from(struct conn *conn, uint32_t address)
{
	front_address(&conn->address, address);
	if (conn->address.kind == ADDR_INET6)
		set_v6(&conn->local, 0xff, 80);
	else
		set_v4(&conn->local, 0xc0000201, 80);
	conn->source = conn->address;
	judge(conn, false);
}

void front_draw(struct conn *conn, const struct conf_listener *listener)
{
	struct prng *prng = &world->prng;
	enum front_kind kind = FRONT_SOUND;

	conn->listener = listener;
	front_come_from(conn, (uint32_t)prng_below(prng, FRONT_ADDRESSES));
	if (!conn->tcp) {
		set_unix(&conn->address, "");
		set_unix(&conn->local, "/run/listener");
		conn->source = conn->address;
		judge(conn, false);
	}
	conn->in_front.piece_max = FRONT_MAX + PROXY_HEADER_MAX;
	if (listener->proxy_protocol == PROXY_OFF)
		return;
	if (prng_chance(prng, 150))
		kind = FRONT_LOCAL;
	else if (prng_chance(prng, fronts.plan->front_faults_permille))
		kind = (enum front_kind)prng_range(prng, FRONT_BROKEN, FRONT_KINDS - 1);
	front_say(conn, kind, (uint32_t)prng_below(prng, FRONT_ADDRESSES));
	if (prng_chance(prng, fronts.plan->front_pieces_permille))
		conn->in_front.piece_max = (uint32_t)prng_spread(prng, 1, 60);
}

/* --- what a server gets in front -------------------------------------------------------------- */

void front_expect(struct conn *conn, const struct conn *client, enum conf_send_proxy version)
{
	conn->out_front.is_due = version != SEND_PROXY_OFF;
	conn->out_front.version = version;
	conn->source = client->source;
	conn->local = client->local;
}

static bool is_inet(const struct addr *addr)
{
	return addr->kind == ADDR_INET || addr->kind == ADDR_INET6;
}

static void check_header(const struct conn *conn, const struct proxy_header *header)
{
	const unsigned long long key = conn->key;
	/* An address that has no port or family of the internet cannot be said beside one. */
	const bool names = is_inet(&conn->source) && is_inet(&conn->local);

	if (header->length != conn->out_front.bytes.count)
		world_fail("conn %llx: the header's length is wrong", key);
	if (header->is_local == names)
		world_fail("conn %llx: the header names %s", key, names ? "nobody" : "somebody");
	if (names && (!addr_equal(&header->source, &conn->source) ||
		      !addr_equal(&header->destination, &conn->local)))
		world_fail("conn %llx: the header names another client or address", key);
}

uint64_t front_take(struct conn *conn, const uint8_t *bytes, uint64_t count)
{
	struct front *front = &conn->out_front;
	struct proxy_header header;
	const char *reason = "";
	uint64_t taken = 0;

	while (front->is_due && taken < count) {
		bytes_add(&front->bytes, bytes + taken++, 1);
		switch (proxy_header_parse(
			&header,
			front->version == SEND_PROXY_V1 ? PROXY_HEADER_V1 : PROXY_HEADER_V2,
			front->bytes.at, (uint32_t)front->bytes.count, &reason)) {
		case PROXY_HEADER_MORE:
			break;
		case PROXY_HEADER_REFUSED:
			world_fail("conn %llx: the header to the server: %s",
				   (unsigned long long)conn->key, reason);
		case PROXY_HEADER_DONE:
			check_header(conn, &header);
			front->is_due = false;
		}
	}
	return taken;
}

/* --- rules ----------------------------------------------------------------------------------- */

static bool is_limited(const struct conn *client)
{
	return (client->listener->source_sessions > 0 || client->listener->source_rate > 0) &&
	       client->source.kind != ADDR_UNIX;
}

static uint32_t open_of_source(uint32_t source)
{
	const struct list *node;
	uint32_t count = 0;

	for (node = world->conns.next; node != &world->conns; node = node->next) {
		const struct conn *conn = container_of(node, struct conn, node);

		count += conn->from_client && conn->reached && is_limited(conn) &&
			 !conn->proxy_closed && !conn->proxy_aborted &&
			 source_of(&conn->source) == source;
	}
	return count;
}

static void check_limits(const struct conn *client)
{
	const struct conf_listener *listener = client->listener;
	const uint32_t burst = listener->source_burst > 0 ? listener->source_burst :
							    listener->source_rate;
	const uint32_t source = source_of(&client->source);
	uint64_t passed_ns;

	if (listener->source_sessions > 0 && open_of_source(source) > listener->source_sessions)
		world_fail("conn %llx: its source has more than %u sessions",
			   (unsigned long long)client->key, listener->source_sessions);
	/* Each may have been let in a while before it came to a server. */
	passed_ns = world->now_ns - fronts.opened_ns;
	if (listener->source_rate > 0 &&
	    ++fronts.reached[source] > burst + listener->source_rate * passed_ns / NS_PER_S + 1)
		world_fail("conn %llx: its source opens more than %u sessions per second",
			   (unsigned long long)client->key, listener->source_rate);
}

void front_reaches(struct conn *client)
{
	const struct front *front = &client->in_front;

	if (client->bar == BAR_HEADER)
		world_fail("conn %llx: it has no right PROXY header, and reaches a server",
			   (unsigned long long)client->key);
	if (client->bar == BAR_ACCESS)
		world_fail("conn %llx: it is not allowed, and reaches a server",
			   (unsigned long long)client->key);
	if (front->read < front->bytes.count)
		world_fail("conn %llx: it reaches a server before its PROXY header was received",
			   (unsigned long long)client->key);
	if (client->reached)
		return;
	client->reached = true;
	if (is_limited(client))
		check_limits(client);
}

void front_check_sources(struct source_limits *limits)
{
	const struct source_rule rule = { .sessions = 1 };
	struct addr addr;
	uint32_t number, place;

	for (number = 0; limits != NULL && number < FRONT_ADDRESSES; number++) {
		front_address(&addr, number);
		if (source_limits_admit(limits, &rule, &addr, world->now_ns / NS_PER_MS, &place) !=
		    SOURCE_OK)
			world_fail("at the end: a source still has a session");
		source_limits_release(limits, place);
	}
}

/* --- the plan -------------------------------------------------------------------------------- */

static void block_draw(struct cidr *block)
{
	static const char *const texts[] = { "10.0.0.0/8",  "10.9.0.0/16",   "10.0.0.2",
					     "10.0.0.0/30", "2001:db8::/32", "2001:db8::2",
					     "::/0" };
	const char *reason;

	if (!cidr_parse(block, texts[prng_below(&world->prng, ARRAY_COUNT(texts))], &reason))
		world_fail("a block: %s", reason);
}

static void blocks_draw(struct cidr *blocks, uint32_t *count)
{
	uint32_t i;

	*count = (uint32_t)prng_below(&world->prng, PLAN_BLOCKS_MAX + 1);
	for (i = 0; i < *count; i++)
		block_draw(&blocks[i]);
}

static void listener_draw(struct plan *plan, uint32_t index, bool limited)
{
	struct prng *prng = &world->prng;
	struct conf_listener *listener = &plan->listeners[index];
	struct plan_access *access = &plan->access[index];

	if (prng_chance(prng, 150))
		listener->proxy_protocol = (uint8_t)prng_range(prng, PROXY_V1, PROXY_ANY);
	if (listener->proxy_protocol != PROXY_OFF && prng_chance(prng, 300))
		blocks_draw(access->from, &access->from_count);
	if (prng_chance(prng, 100)) {
		blocks_draw(access->allow, &access->allow_count);
		blocks_draw(access->deny, &access->deny_count);
	}
	/* One rule for all that have one: a source has one bucket. */
	if (!limited || plan->gentle)
		return;
	listener->source_sessions = plan->source_sessions;
	listener->source_rate = plan->source_rate;
	listener->source_burst = plan->source_burst;
}

/* A header needs a slice of its own, which is not waited for; and one that comes in pieces is given
 * up where memory is short. */
static void memory_draw(struct plan *plan)
{
	const uint64_t bytes = (uint64_t)SLICES_LEAST * plan->conf.proxy.buffer_size;
	bool wanted = plan_sends_headers(plan);
	uint32_t i;

	for (i = 0; i < plan->conf.listeners_count; i++)
		wanted = wanted || plan->listeners[i].proxy_protocol != PROXY_OFF;
	if (wanted && plan->region_bytes < bytes)
		plan->region_bytes = bytes;
}

void front_plan_draw(struct plan *plan)
{
	struct prng *prng = &world->prng;
	const bool limited = prng_chance(prng, 120);
	uint32_t i;

	plan->source_sessions = prng_chance(prng, 600) ? (uint32_t)prng_spread(prng, 1, 12) : 0;
	plan->source_rate = prng_chance(prng, 500) ? (uint32_t)prng_spread(prng, 1, 100) : 0;
	plan->source_burst = prng_chance(prng, 500) ? (uint32_t)prng_spread(prng, 1, 20) : 0;
	plan->front_faults_permille = (uint32_t)prng_below(prng, 300);
	plan->front_pieces_permille = plan->gentle ? 0 : (uint32_t)prng_below(prng, 1000);
	for (i = 0; i < plan->conf.listeners_count; i++)
		listener_draw(plan, i, limited);
	memory_draw(plan);
}

void front_open(struct plan *plan)
{
	uint32_t i;

	memset(&fronts, 0, sizeof(fronts));
	fronts.plan = plan;
	fronts.opened_ns = world->now_ns;
	world->engine_writes = plan->http;
	world->sends_headers = plan_sends_headers(plan);
	for (i = 0; i < plan->conf.listeners_count; i++) {
		struct conf_listener *listener = &plan->listeners[i];
		struct plan_access *access = &plan->access[i];

		listener->proxy_from = access->from;
		listener->proxy_from_count = access->from_count;
		world->engine_writes = world->engine_writes ||
				       listener->proxy_protocol != PROXY_OFF;
		if (access->allow_count + access->deny_count == 0)
			continue;
		listener->access = access_list_open(access->allow, access->allow_count,
						    access->deny, access->deny_count);
		assert(listener->access != NULL);
	}
}

void front_close(void)
{
	uint32_t i;

	for (i = 0; i < fronts.plan->conf.listeners_count; i++)
		access_list_close(fronts.plan->listeners[i].access);
}
