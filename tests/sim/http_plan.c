/* SPDX-License-Identifier: MIT */
/*
 * http_plan.c - worlds that speak HTTP: what is asked, what is answered, how fast, and what goes
 * wrong, drawn from the seed; and the register of all requests.
 */
#include "http_sim.h"

#include <stdlib.h>
#include <string.h>

#include "http/router.h"

struct http_world http_world;

/* --- requests -------------------------------------------------------------------------------- */

struct ask *ask_new(void)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	assert(ask != NULL);
	list_init(&ask->node);
	list_push(&http_world.asks, &ask->node);
	ask->id = ++http_world.ids;
	return ask;
}

struct ask *ask_find(uint64_t id)
{
	struct list *node;

	for (node = http_world.asks.next; node != &http_world.asks; node = node->next)
		if (container_of(node, struct ask, node)->id == id)
			return container_of(node, struct ask, node);
	return NULL;
}

uint64_t ask_reply_key(const struct ask *ask, uint32_t try)
{
	return mix64(ask->id * 16 + try) | 1;
}

bool ask_is_refused(const struct ask *ask)
{
	return ask->script.fault >= ASK_NO_HOST;
}

bool ask_is_idempotent(const struct ask *ask)
{
	const char *method = ask->script.method;

	return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0 &&
	       strcmp(method, "CONNECT") != 0;
}

/* --- what is asked --------------------------------------------------------------------------- */

static void draw_method(struct ask_script *ask)
{
	static const char *const methods[] = { "GET",  "GET",  "GET",  "GET",    "HEAD",
		                               "POST", "POST", "POST", "PUT",    "PUT",
		                               "PATCH", "DELETE", "OPTIONS" };
	struct prng *prng = &world->prng;

	ask->method = methods[prng_below(prng, ARRAY_COUNT(methods))];
	ask->minor = prng_chance(prng, 900);
	ask->body = prng_spread(prng, 0, http_world.body_max);
	ask->framing = FRAMED_NONE;
	if (ask->method[0] == 'P' || prng_chance(prng, 30))
		ask->framing = prng_chance(prng, 500) ? FRAMED_LENGTH :
		               prng_chance(prng, 800) ? FRAMED_CHUNKED :
		                                        FRAMED_NONE;
	if (ask->minor == 0 && ask->framing == FRAMED_CHUNKED)
		ask->framing = FRAMED_LENGTH;
	ask->expect = prng_chance(prng, 100) && ask->minor == 1 && ask->framing != FRAMED_NONE &&
	              ask->body > 0;
	ask->close = prng_chance(prng, ask->minor == 1 ? 60 : 500);
	ask->own = prng_chance(prng, 60);
}

static void draw_ask_fault(struct ask_script *ask)
{
	struct prng *prng = &world->prng;

	ask->fault = (uint8_t)prng_range(prng, ASK_CUT, ASK_FAULTS - 1);
	if (http_world.plan->gentle && ask->fault < ASK_NO_HOST)
		ask->fault = ASK_NO_HOST;
	if (ask->fault == ASK_NO_HOST)
		ask->minor = 1;
	if (ask->fault == ASK_BAD_CHUNK) {
		ask->minor = 1;
		ask->framing = FRAMED_CHUNKED;
		ask->own = false;
	}
	if (ask->fault == ASK_CUT)
		ask->cut_at = prng_spread(prng, 1, 300 + ask->body);
	ask->expect = false;
}

static void draw_upgrade(struct client_script *script, struct ask_script *ask)
{
	struct prng *prng = &world->prng;

	*ask = (struct ask_script){ .method = prng_chance(prng, 300) ? "CONNECT" : "GET",
		                    .minor = 1, .upgrade = true };
	script->tunnel = prng_spread(prng, 0, http_world.body_max);
}

void http_draw_client(struct client_script *script)
{
	struct prng *prng = &world->prng;
	uint32_t i;

	*script = (struct client_script){ 0 };
	script->asks_count = (uint32_t)prng_spread(prng, 1, ASKS_MAX);
	script->ahead = prng_chance(prng, 500) ? 1 : (uint32_t)prng_range(prng, 2, ASKS_MAX);
	script->think_ns = prng_spread(prng, 1, 400 * NS_PER_MS);
	script->finish = (enum peer_finish)prng_below(prng, 3);
	for (i = 0; i < script->asks_count; i++) {
		struct ask_script *ask = &script->asks[i];

		draw_method(ask);
		if (prng_chance(prng, http_world.client_faults_permille))
			draw_ask_fault(ask);
		if (prng_chance(prng, 60)) {
			draw_upgrade(script, ask);
			script->asks_count = i + 1;
		}
		if (ask->close || ask->fault == ASK_CUT)
			script->asks_count = i + 1;
	}
}

/* --- what is answered ------------------------------------------------------------------------ */

void http_draw_reply(struct reply *reply, const struct ask_script *ask)
{
	static const uint16_t statuses[] = { 200, 200, 200, 200, 200, 201, 204, 304, 404, 500 };
	struct prng *prng = &world->prng;
	const bool connect = strcmp(ask->method, "CONNECT") == 0;

	*reply = (struct reply){ .minor = prng_chance(prng, 900) };
	reply->status = statuses[prng_below(prng, ARRAY_COUNT(statuses))];
	reply->framing = (uint8_t)prng_range(prng, FRAMED_LENGTH, FRAMED_CLOSE);
	if (reply->framing == FRAMED_CLOSE && prng_chance(prng, 600))
		reply->framing = FRAMED_LENGTH;
	if (reply->framing == FRAMED_CHUNKED)
		reply->minor = 1;
	reply->body = prng_spread(prng, 0, http_world.body_max);
	if (reply->status == 204 || reply->status == 304) {
		reply->framing = FRAMED_NONE;
		reply->body = 0;
	}
	reply->close = prng_chance(prng, 100);
	reply->interims = prng_chance(prng, 100) ? (uint8_t)prng_range(prng, 1, 2) : 0;
	reply->early = prng_chance(prng, 150);
	reply->think_ns = prng_spread(prng, 0, 20 * NS_PER_MS);
	reply->idle_ns = prng_spread(prng, NS_PER_US, 300 * NS_PER_MS);
	reply->cut_at = prng_spread(prng, 0, 300 + reply->body);
	if (prng_chance(prng, http_world.reply_faults_permille))
		reply->fault = (uint8_t)prng_range(prng, REPLY_STRAY,
		                                   prng_chance(prng, 500) ? REPLY_CLOSE :
		                                                            REPLY_FAULTS - 1);
	if (reply->fault == REPLY_STRAY && reply->framing == FRAMED_CLOSE)
		reply->fault = REPLY_SOUND; /* they would be a part of it */
	if (http_world.plan->gentle && (reply->close || reply->framing == FRAMED_CLOSE))
		reply->early = false; /* what still comes would be answered by a reset */
	if (reply->fault == REPLY_BAD_CHUNK)
		*reply = (struct reply){ .status = 200, .framing = FRAMED_CHUNKED, .minor = 1,
			                 .body = reply->body, .fault = REPLY_BAD_CHUNK };
	if (reply->fault == REPLY_BAD_CHUNK && strcmp(ask->method, "HEAD") == 0)
		reply->fault = REPLY_SOUND;
	if (!ask->upgrade)
		return;
	if (reply->fault == REPLY_UNASKED)
		reply->fault = REPLY_SOUND;
	if (!connect && prng_chance(prng, 700))
		reply->status = 101;
	if (reply->status == 101 || (connect && reply->status < 300))
		*reply = (struct reply){ .status = reply->status, .framing = FRAMED_NONE,
			                 .minor = 1, .body = reply->body, .cut_at = reply->cut_at,
			                 .fault = reply->fault < REPLY_BAD_LINE ? reply->fault :
			                                                          REPLY_SOUND };
}

void http_draw_script(struct script *script, bool client)
{
	struct prng *prng = &world->prng;
	const uint32_t least = (uint32_t)(http_world.body_max / 100) + 1;

	*script = (struct script){ .finish = FINISH_WRITTEN };
	script->write_max = least + (uint32_t)prng_spread(prng, 0, 50000);
	script->read_max = least + (uint32_t)prng_spread(prng, 0, 50000);
	script->capacity = least + (uint32_t)prng_spread(prng, 0, 100000);
	script->pause_ns = prng_spread(prng, 2 * NS_PER_US, 2 * NS_PER_MS);
	if (client && prng_chance(prng, 30)) { /* by drips */
		script->write_max = (uint32_t)prng_range(prng, 1, 60);
		script->pause_ns = prng_range(prng, 1, 500) * NS_PER_MS;
	}
	if (!prng_chance(prng, http_world.plan->gentle ? 0 : http_world.client_faults_permille))
		return;
	script->fault = (enum peer_fault)prng_range(prng, FAULT_RESET, FAULT_CLOSE);
	script->fault_at = prng_spread(prng, 0, 3000);
	script->fault_ns = prng_spread(prng, NS_PER_MS, 6 * NS_PER_S);
	if (!client) /* after some answers */
		script->fault_at *= 2;
}

/* --- the world ------------------------------------------------------------------------------- */

static void listener_draw(struct plan *plan, struct conf_listener *listener)
{
	struct prng *prng = &world->prng;

	listener->mode = MODE_HTTP;
	listener->max_head = (uint32_t)prng_range(prng, 2048, 16384);
	listener->max_headers = (uint32_t)prng_range(prng, 20, 256);
	listener->allow_connect = true;
	listener->upgrade_protocols = (char *)(uintptr_t)"websocket echo";
	listener->head_timeout_ns = 200 * NS_PER_S;
	listener->keepalive_timeout_ns = 20 * NS_PER_S; /* some clients wait for it */
	if (plan->gentle)
		return;
	listener->head_timeout_ns = prng_spread(prng, 10 * NS_PER_MS, 5 * NS_PER_S);
	listener->keepalive_timeout_ns = prng_spread(prng, 10 * NS_PER_MS, 5 * NS_PER_S);
	if (prng_chance(prng, 300))
		listener->client_timeout_ns = prng_range(prng, 5, 30) * NS_PER_S;
	listener->body_min_rate = prng_chance(prng, 300) ? (uint32_t)prng_spread(prng, 1, 2000) : 0;
}

static void memory_draw(struct plan *plan)
{
	struct prng *prng = &world->prng;
	struct conf_proxy *proxy = &plan->conf.proxy;
	uint32_t slices = (uint32_t)prng_spread(prng, 32, 300);

	proxy->buffer_size = 1024u << prng_below(prng, 4);
	proxy->session_window = proxy->buffer_size * (uint32_t)prng_spread(prng, 1, 20);
	if (proxy->session_window < 2048)
		proxy->session_window = 2048;
	plan->region_bytes = (uint64_t)slices * proxy->buffer_size;
}

void http_plan_draw(struct plan *plan)
{
	struct prng *prng = &world->prng;
	uint32_t i;

	plan->http = true;
	plan->workers = (uint32_t)prng_range(prng, 1, 2);
	memory_draw(plan);
	if (plan->clients > 60)
		plan->clients = (uint32_t)prng_range(prng, 1, 60);
	for (i = 0; i < plan->conf.listeners_count; i++)
		listener_draw(plan, &plan->listeners[i]);
	for (i = 0; i < plan->conf.upstreams_count; i++) {
		plan->upstreams[i].pool = (enum conf_pool)prng_below(prng, 4);
		plan->upstreams[i].pool_max = (uint32_t)prng_spread(prng, 1, 32);
		plan->upstreams[i].pool_idle_ns = prng_spread(prng, 10 * NS_PER_MS, 5 * NS_PER_S);
	}
	http_world.plan = plan;
	http_world.body_max = prng_spread(prng, 100, 60000);
	http_world.client_faults_permille = (uint32_t)prng_below(prng, plan->gentle ? 60 : 300);
	http_world.reply_faults_permille = plan->gentle ? 0 : (uint32_t)prng_below(prng, 400);
	script_draw = http_draw_script;
}

static void quiet_script(struct script *script, bool client)
{
	(void)client;
	*script = (struct script){ .write_max = 1u << 20, .read_max = 1u << 20,
		                   .pause_ns = 20 * NS_PER_US, .capacity = 1u << 16 };
}

void http_plan_quiet(struct plan *plan)
{
	struct conf_listener *listener = &plan->listeners[0];

	plan->http = true;
	listener->mode = MODE_HTTP;
	listener->max_head = 16384;
	listener->max_headers = 100;
	listener->allow_connect = true;
	listener->upgrade_protocols = (char *)(uintptr_t)"websocket echo";
	listener->head_timeout_ns = 10 * NS_PER_S;
	listener->keepalive_timeout_ns = 60 * NS_PER_S;
	plan->upstreams[0].pool = POOL_WORKER;
	plan->upstreams[0].pool_max = 32;
	plan->upstreams[0].pool_idle_ns = 30 * NS_PER_S;
	http_world.plan = plan;
	http_world.body_max = 10000;
	script_draw = quiet_script;
}

/* Route 0 answers by itself; route 1 is for CONNECT, which needs one. */
static void routes_open(struct plan *plan)
{
	struct conf_route *own = &http_world.routes[0], *connect = &http_world.routes[1];
	struct conf_target *target = &http_world.targets[0];

	*target = (struct conf_target){ .upstream = &plan->upstreams[0], .weight = 1 };
	*own = (struct conf_route){ .name = "own", .action = ACTION_RESPOND, .status = 200,
		                    .text = (char *)(uintptr_t)"from here\n" };
	*connect = (struct conf_route){ .name = "connect", .index = 1, .action = ACTION_UPSTREAM,
		                        .targets = target, .targets_count = 1, .weights_sum = 1 };
	plan->conf.routes = http_world.routes;
	plan->conf.routes_count = 2;
}

void http_open(struct plan *plan)
{
	static const struct http_rule rules[] = { { .path = "/own", .route = 0 },
		                                  { .method = "CONNECT", .route = 1 } };
	uint64_t limit_ns = 2 * NS_PER_S;
	uint32_t i;

	list_init(&http_world.asks);
	http_world.ids = 0;
	http_world.drains = false;
	http_world.plan = plan;
	world->http = plan->http;
	if (!plan->http)
		return;
	routes_open(plan);
	for (i = 0; i < plan->conf.listeners_count; i++) {
		struct conf_listener *listener = &plan->listeners[i];

		listener->router = http_router_open(rules, ARRAY_COUNT(rules));
		assert(listener->router != NULL);
		limit_ns += listener->head_timeout_ns + listener->client_timeout_ns;
	}
	for (i = 0; i < plan->conf.upstreams_count; i++) {
		const struct conf_upstream *upstream = &plan->upstreams[i];

		limit_ns += (upstream->retries + 2) * upstream->connect_timeout_ns +
		            2 * upstream->server_timeout_ns;
		if (upstream->queue > 0)
			limit_ns += upstream->queue_timeout_ns;
	}
	http_world.limit_ns = limit_ns;
}

void http_close(void)
{
	struct plan *plan = http_world.plan;
	struct list *node;
	uint32_t i;

	while ((node = list_take_first(&http_world.asks)) != NULL)
		free(container_of(node, struct ask, node));
	for (i = 0; plan->http && i < plan->conf.listeners_count; i++)
		http_router_close(plan->listeners[i].router);
	http_world.plan = NULL;
}
