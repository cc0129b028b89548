/* SPDX-License-Identifier: MIT */
/*
 * pair.c - any bytes from clients and from servers, through the whole of mode = http (src/flow),
 * over a ring that does what the input says (pair_ring.h).
 *
 *      input    6 characters of options, then what happens, in order
 *
 *      |C       what follows is sent by the client        |S   by the server (the one that was
 *                                                               sent to last)
 *      |N       a new client                              |O   the other server's connection
 *      |P       the client before                         |    from now on
 *      |c  |s   the client, the server ends               |x  |y   .. resets
 *      |Hd |Gd  the client, the server takes only 16 d bytes more, a digit; |h |g  all again
 *      |F  |f   the next connect is refused, takes too long
 *      |Td      time passes: 10 ms << 2 d                 |Zd  16 << d times the byte before
 *      |D       the proxy drains                          |+   what follows comes in the same turn
 *      ||       the byte
 *
 *      options  0   pool: client, worker, shared, off          (all modulo their number)
 *               1   limits of a head
 *               2   pieces in which bytes arrive: 0 whole, or of 1 .. 9 bytes, with turns between
 *               3   buffer_size and session_window
 *               4   bits: order of completions, vector sends, credited receives, who uses up errors
 *               5   bits: the end is a drain or a cut; memory is short
 *
 * What must be true of it: no assertion fails, all is over within a number of turns, all memory and
 * every descriptor is home, and what both sides got is in order: pair_check.h. With PAIR_SHOW set
 * in the environment, what all sides gave and got is printed.
 */
#include "pair_check.h"
#include "pair_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flow/flow.h"
#include "fuzz.h"

#define OPTIONS 6u
#define INPUT_MAX 8192u
#define TURNS_MAX 5000u /* for what comes at once */
#define ENDING_MAX 5000u
#define SESSIONS_MAX 16u
#define REGION_MAX (64u * 4096)

static const char conf_text[] =
	"[proxy]\nworkers = 1\n"
	"[listener web]\nbind = 127.0.0.1:80\nmode = http\nupstream = app\n"
	"connect = yes\nupgrade_protocols = websocket echo\n"
	"head_timeout = 1s\nkeepalive_timeout = 2s\nclient_timeout = 5s\nfin_timeout = 1s\n"
	"[upstream app]\nserver = 127.0.0.1:81\nserver_timeout = 3s\n"
	"connect_timeout = 1s\npool_idle = 4s\npool_max = 4\n"
	"[route own]\npath = /own\nrespond = 200 " PAIR_ROUTE_TEXT "\n"
	"[route moved]\npath = /moved\nredirect = 302 https://{host}/x{query}\n"
	"[route tunnel]\nmethod = CONNECT\nupstream = app\n";

struct run {
	struct flow *flow;
	struct flow_shared *shared;
	struct pair_sock *client;
	struct pair_sock *server;
	bool to_server; /* bytes are the server's */
	bool together;
	uint32_t piece; /* 0: whole */
	uint64_t deadline_ns;
};

static struct conf *conf;
static _Alignas(4096) uint8_t region[REGION_MAX];

/* --- turns ------------------------------------------------------------------------------------ */

/* Until nothing happens by itself: what a turn asks for, the next one may bring. */
static void settle(struct run *run)
{
	uint32_t quiet = 0, turns = 0;

	while (quiet < 2 && !flow_is_over(run->flow)) {
		quiet = pair_ring_turn() > 0 ? 0 : quiet + 1;
		run->deadline_ns = flow_turn(run->flow);
		if (run->deadline_ns <= pair_ring.now_ns)
			quiet = 0;
		assert(++turns < TURNS_MAX);
	}
}

static void happened(struct run *run)
{
	if (!run->together)
		settle(run);
	run->together = false;
}

static void pass(struct run *run, uint64_t ns)
{
	uint64_t until_ns = pair_ring.now_ns + ns;

	while (run->deadline_ns < until_ns) {
		if (run->deadline_ns > pair_ring.now_ns)
			pair_ring.now_ns = run->deadline_ns;
		settle(run);
		if (flow_is_over(run->flow))
			break;
	}
	if (pair_ring.now_ns < until_ns)
		pair_ring.now_ns = until_ns;
	settle(run);
}

/* --- what happens ----------------------------------------------------------------------------- */

static struct pair_sock *server_of(const struct run *run)
{
	return run->server != NULL ? run->server : pair_ring.served;
}

static struct pair_sock *sender(const struct run *run)
{
	struct pair_sock *sock = run->to_server ? server_of(run) : run->client;

	return sock != NULL && (sock->connected || sock->waiting) ? sock : NULL;
}

/* The one before, of that kind, that is still there. */
static struct pair_sock *other(const struct pair_sock *sock, enum pair_kind kind)
{
	uint32_t at = sock != NULL ? (uint32_t)(sock - pair_ring.socks) : 0;

	for (uint32_t i = 1; i <= pair_ring.socks_count; i++) {
		uint32_t index = (at + pair_ring.socks_count - i % pair_ring.socks_count) %
				 pair_ring.socks_count;
		struct pair_sock *found = &pair_ring.socks[index];

		if (found->kind == kind && found->open && found->connected)
			return found;
	}
	return (struct pair_sock *)(uintptr_t)sock;
}

static void send_bytes(struct run *run, const uint8_t *bytes, uint32_t len)
{
	if (len == 0)
		return;
	while (len > 0) {
		uint32_t here = run->piece > 0 && run->piece < len ? run->piece : len;

		if (sender(run) != NULL)
			pair_sends(sender(run), bytes, here);
		bytes += here;
		len -= here;
		happened(run);
	}
}

static void send_many(struct run *run, uint8_t byte, uint32_t count)
{
	static uint8_t bytes[16u << 9];
	uint32_t piece = run->piece;

	memset(bytes, byte, count);
	run->piece = piece > 0 ? piece * 100 : 0;
	send_bytes(run, bytes, count);
	run->piece = piece;
}

/* A server that is not there yet is held from its begin. */
static void hold(struct pair_sock *sock, bool held, uint32_t room)
{
	if (sock == NULL) {
		pair_ring.held = held;
		pair_ring.room = room;
		return;
	}
	sock->held = held;
	sock->room = room;
}

/* A letter with an argument of a digit. */
static void do_amount(struct run *run, char what, uint32_t digit, uint8_t before)
{
	switch (what) {
	case 'T':
		pass(run, 10 * NS_PER_MS << (2 * digit));
		return;
	case 'Z':
		send_many(run, before, 16u << digit);
		return;
	case 'H':
		if (run->client != NULL)
			hold(run->client, true, 16 * digit);
		break;
	default:
		hold(server_of(run), true, 16 * digit);
		break;
	}
	happened(run);
}

static void do_event(struct run *run, char what)
{
	struct pair_sock *server = server_of(run);

	switch (what) {
	case 'N':
		run->client = pair_client();
		break;
	case 'P':
		run->client = other(run->client, PAIR_CLIENT);
		return;
	case 'O':
		run->server = other(server, PAIR_SERVER);
		return;
	case 'c':
	case 'x':
		if (run->client != NULL)
			(what == 'c' ? pair_ends : pair_resets)(run->client);
		break;
	case 's':
	case 'y':
		if (server != NULL && server->connected)
			(what == 's' ? pair_ends : pair_resets)(server);
		break;
	case 'h':
		if (run->client != NULL)
			hold(run->client, false, 0);
		break;
	case 'g':
		hold(server, false, 0);
		break;
	case 'F':
		pair_ring.refusals++;
		return;
	case 'f':
		pair_ring.deadlines++;
		return;
	case 'D':
		flow_drain(run->flow);
		break;
	default:
		return;
	}
	happened(run);
}

/* One word behind a bar; how many bytes it has. */
static size_t do_word(struct run *run, const uint8_t *data, size_t len, uint8_t before)
{
	if (data[0] == '+') {
		run->together = true;
		return 1;
	}
	if (data[0] == 'C' || data[0] == 'S') {
		run->to_server = data[0] == 'S';
		if (run->to_server)
			run->server = NULL;
		return 1;
	}
	if (data[0] == 'O') {
		do_event(run, 'O');
		run->to_server = true;
		return 1;
	}
	if (memchr("TZHG", data[0], 4) == NULL) {
		do_event(run, (char)data[0]);
		return 1;
	}
	do_amount(run, (char)data[0], len > 1 ? data[1] % 16 % 10 : 0, before);
	return len > 1 ? 2 : 1;
}

static void play(struct run *run, const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len && !flow_is_over(run->flow)) {
		const uint8_t *bar = memchr(data + at, '|', len - at);
		size_t end = bar != NULL ? (size_t)(bar - data) : len;

		if (bar != NULL && end + 1 < len && data[end + 1] == '|') {
			send_bytes(run, data + at, (uint32_t)(end + 1 - at));
			at = end + 2;
			continue;
		}
		send_bytes(run, data + at, (uint32_t)(end - at));
		at = end + 1;
		if (at < len)
			at += do_word(run, data + at, len - at, end > 0 ? data[end - 1] : 'z');
	}
}

/* --- one run ---------------------------------------------------------------------------------- */

static void conf_open(void)
{
	struct conf_errors errors;

	if (conf != NULL)
		return;
	conf = conf_load_text("pair", conf_text, sizeof(conf_text) - 1, &errors);
	if (conf == NULL)
		conf_errors_print(&errors, "pair", stderr);
	assert(conf != NULL);
	conf_errors_free(&errors);
}

/* Returns the bytes of payload memory. */
static uint32_t options_take(struct run *run, const uint8_t *options)
{
	static const struct http_limits limits[] = {
		{ 16384, 100 }, { 65535, 256 }, { 1024, 20 }, { 2048, 5 }
	};

	conf->upstreams[0].pool = (enum conf_pool)(options[0] % 4);
	conf->listeners[0].max_head = limits[options[1] % 4].head_bytes;
	conf->listeners[0].max_headers = limits[options[1] % 4].fields;
	run->piece = options[2] % 16 % 10;
	conf->proxy.buffer_size = 1024u << options[3] % 3;
	conf->proxy.session_window = conf->proxy.buffer_size << options[3] / 4 % 4;
	if (conf->proxy.session_window < 2048)
		conf->proxy.session_window = 2048;
	pair_ring.backwards = options[4] & 1;
	pair_ring.features = (struct ring_features){ .send_vector = !(options[4] & 2),
						     .recv_credit = !(options[4] & 4) };
	pair_ring.send_eats = options[4] & 8;
	return conf->proxy.buffer_size * (options[5] & 2 ? 32 : 64);
}

static void open_all(struct run *run, uint32_t bytes)
{
	static struct log log = { .level = LOG_LEVEL_ERROR, .fd = 2 };
	int listen_fd = pair_listen();
	int result = flow_shared_open(&run->shared, conf, SESSIONS_MAX, 1);

	assert(result == 0);
	result = flow_open(&run->flow, &(struct flow_options){ .conf = conf,
							       .shared = run->shared,
							       .ring = &pair_ring,
							       .log = &log,
							       .region = region,
							       .region_bytes = bytes,
							       .listen_fds = &listen_fd });
	assert(result == 0);
	flow_set_peers(run->flow, &run->flow, 1);
	flow_start(run->flow);
	settle(run);
	run->client = pair_client();
	settle(run);
}

/* Peers do no more; time does the rest. */
static void end_all(struct run *run, bool cut)
{
	uint32_t i;

	pair_ring.held = false;
	for (i = 0; i < pair_ring.socks_count; i++)
		pair_ring.socks[i].held = false;
	if (!flow_is_over(run->flow))
		settle(run);
	flow_drain(run->flow);
	if (cut)
		flow_cut(run->flow, CLOSE_DRAIN_CUT);
	run->deadline_ns = 0;
	for (i = 0; !flow_is_over(run->flow); i++) {
		assert(i < ENDING_MAX);
		if (run->deadline_ns == UINT64_MAX)
			flow_dump(run->flow, stderr);
		assert(run->deadline_ns != UINT64_MAX);
		if (run->deadline_ns > pair_ring.now_ns)
			pair_ring.now_ns = run->deadline_ns;
		settle(run);
	}
	flow_check(run->flow);
	assert(flow_home_bytes(run->flow) == flow_region_bytes(run->flow));
	assert(flow_shared_sessions(run->shared) == 0);
	flow_close(run->flow);
	flow_shared_close(run->shared);
	for (i = 0; i < pair_ring.socks_count; i++)
		assert(!pair_ring.socks[i].open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run run = { .flow = NULL };
	struct http_limits limits;
	uint32_t bytes;

	if (len < OPTIONS || len > INPUT_MAX)
		return 0;
	conf_open();
	pair_ring_reset();
	bytes = options_take(&run, data);
	open_all(&run, bytes);
	play(&run, data + OPTIONS, len - OPTIONS);
	end_all(&run, data[5] & 1);
	limits =
		(struct http_limits){ conf->listeners[0].max_head, conf->listeners[0].max_headers };
	pair_check(&limits);
	pair_ring_free();
	return 0;
}
