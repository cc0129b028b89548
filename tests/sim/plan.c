/* SPDX-License-Identifier: MIT */
/*
 * plan.c - drawing a plan from the seed.
 *
 * Sizes are drawn by order of magnitude, so that tiny pools and windows, where most mistakes show,
 * are as frequent as ample ones. About every third world is gentle: the kernel does all that it
 * may without an error, peers are slow but sound, and so every session must complete.
 */
#include "plan.h"

#include <netinet/in.h>
#include <stdio.h>

#include "front.h"
#include "http_sim.h"

/* Few large streams, many short sessions at once, or a mixture. */
enum shape { SHAPE_MIXED, SHAPE_BULK, SHAPE_FLOOD };

/* What scripts of this world are like. */
static struct {
	bool gentle;
	uint64_t total_max;
	uint64_t pause_max_ns;
	uint32_t capacity_max;
	uint32_t fault_permille;
	uint32_t echo_permille;
} style;

struct origin *plan_add_server(struct plan *plan, uint32_t upstream, uint32_t weight)
{
	struct conf_upstream *u = &plan->upstreams[upstream];
	struct conf_server *server = &plan->servers[upstream][u->servers_count];
	struct origin *origin = &plan->origins[plan->origins_count];

	assert(u->servers_count < PLAN_SERVERS_MAX);
	*origin = (struct origin){ .number = (uint16_t)(1 + plan->origins_count), .tcp = true,
		                   .answer_ns = 200 * NS_PER_US, .upstream = u, .conf = server };
	plan->origins_count++;
	snprintf(server->name, sizeof(server->name), "s%u", origin->number);
	server->weight = weight;
	server->addr = (struct addr){ .kind = ADDR_INET, .len = sizeof(struct sockaddr_in) };
	server->addr.u.in.sin_family = AF_INET;
	server->addr.u.in.sin_port = htons(origin->number);
	u->servers_count++;
	return origin;
}

static void make_unix(struct plan *plan, uint32_t upstream, uint32_t server, struct origin *origin)
{
	struct addr *addr = &plan->servers[upstream][server].addr;

	*addr = (struct addr){ .kind = ADDR_UNIX, .len = sizeof(struct sockaddr_un) };
	addr->u.un.sun_family = AF_UNIX;
	addr->u.un.sun_path[0] = (char)origin->number;
	origin->tcp = false;
}

static void add_upstream(struct plan *plan)
{
	uint32_t index = plan->conf.upstreams_count++;
	struct conf_upstream *upstream = &plan->upstreams[index];

	snprintf(upstream->name, sizeof(upstream->name), "u%u", index);
	upstream->index = index;
	upstream->servers = plan->servers[index];
	upstream->connect_timeout_ns = NS_PER_S;
	upstream->server_timeout_ns = 200 * NS_PER_S;
	upstream->retries = 2;
	upstream->retry_budget = 20;
	upstream->queue_timeout_ns = 200 * NS_PER_S;
	upstream->health_path = (char *)(uintptr_t)"/ready";
	upstream->health_status = (struct conf_statuses){ 200, 399 };
	upstream->health_interval_ns = 100 * NS_PER_MS;
	upstream->health_timeout_ns = 50 * NS_PER_MS;
	upstream->health_rise = 2;
	upstream->health_fall = 3;
	upstream->eject_time_ns = 500 * NS_PER_MS;
}

static void add_listener(struct plan *plan, struct conf_upstream *upstream)
{
	uint32_t index = plan->conf.listeners_count++;
	struct conf_listener *listener = &plan->listeners[index];

	snprintf(listener->name, sizeof(listener->name), "l%u", index);
	plan->binds[index].kind = ADDR_INET;
	listener->binds = &plan->binds[index];
	listener->binds_count = 1;
	listener->upstream = upstream;
	listener->backlog = 16;
	listener->client_timeout_ns = 200 * NS_PER_S;
	listener->fin_timeout_ns = 200 * NS_PER_S;
}

void plan_quiet(struct plan *plan)
{
	*plan = (struct plan){ .workers = 1, .region_bytes = 1u << 20, .queue_entries = 1024,
		               .fds_max = 4096, .arrive_ns = 1, .gentle = true,
		               .check_permille = 1000, .drain_after_ns = UINT64_MAX,
		               .cut_after_ns = UINT64_MAX };
	plan->conf.listeners = plan->listeners;
	plan->conf.upstreams = plan->upstreams;
	plan->conf.proxy = (struct conf_proxy){ .workers = 1, .max_sessions = 1024,
		                                .buffer_size = 4096, .session_window = 65536,
		                                .zero_copy_send = ZERO_COPY_OFF };
#define FEATURE(name, required, since, purpose, without) plan->features.name = true;
#include "ring/features.def"
#undef FEATURE
	add_upstream(plan);
	add_listener(plan, &plan->upstreams[0]);
}

/* --- scripts --------------------------------------------------------------------------------- */

static void draw_fault(struct script *script)
{
	struct prng *prng = &world->prng;

	script->fault = (enum peer_fault)prng_range(prng, FAULT_RESET, FAULT_CLOSE);
	script->fault_at = prng_spread(prng, 0, 1 + script->total);
	if (prng_chance(prng, 200)) /* right behind the last byte */
		script->fault_at = script->total;
	script->fault_ns = prng_spread(prng, NS_PER_MS, 6 * NS_PER_S);
}

static void draw_script(struct script *script, bool client)
{
	struct prng *prng = &world->prng;

	*script = (struct script){ .finish = FINISH_WRITTEN };
	script->write_max = (uint32_t)prng_spread(prng, 1, 200000);
	script->read_max = (uint32_t)prng_spread(prng, 1, 200000);
	if (prng_chance(prng, 400)) {
		script->write_max = 100000;
		script->read_max = 100000;
	}
	script->pause_ns = prng_spread(prng, 2 * NS_PER_US, style.pause_max_ns);
	script->capacity = (uint32_t)prng_spread(prng, 1, style.capacity_max);
	if (prng_chance(prng, 600))
		script->capacity = style.capacity_max;
	script->total = prng_chance(prng, 400) ? prng_range(prng, 1, style.total_max) :
						 prng_spread(prng, 0, style.total_max);
	/* A bounded number of steps. */
	if (script->total > 250ull * script->write_max)
		script->total = 250ull * script->write_max;
	if (script->read_max < style.total_max / 300)
		script->read_max = (uint32_t)(style.total_max / 300) + 1;
	if (script->capacity < style.total_max / 300)
		script->capacity = (uint32_t)(style.total_max / 300) + 1;
	script->echo = prng_chance(prng, style.echo_permille) && !client;
	if (prng_chance(prng, 400))
		script->start_after = prng_spread(prng, 0, 2000);
	if (prng_chance(prng, 500) && !script->echo)
		script->finish = FINISH_AFTER_PEER;
	if (client && prng_chance(prng, 700))
		script->start_after = 0;
	if (prng_chance(prng, style.fault_permille))
		draw_fault(script);
	if (!style.gentle && prng_chance(prng, style.fault_permille / 8))
		script->finish = FINISH_NEVER;
}

static void draw_style(bool gentle, enum shape shape)
{
	static const uint64_t totals[] = { 30000, 2000000, 2000 };
	struct prng *prng = &world->prng;

	style.gentle = gentle;
	style.total_max = shape == SHAPE_BULK ? prng_range(prng, 10000, totals[shape]) :
						prng_spread(prng, 200, totals[shape]);
	style.pause_max_ns = prng_spread(prng, 4 * NS_PER_US, 3 * NS_PER_MS);
	style.capacity_max = (uint32_t)prng_spread(prng, shape == SHAPE_BULK ? 30000 : 64, 300000);
	style.fault_permille = gentle ? 0 : (uint32_t)prng_below(prng, 600);
	style.echo_permille = prng_chance(prng, 300) ? 700 : 100;
	script_draw = draw_script;
}

/* --- the world ------------------------------------------------------------------------------- */

static uint32_t sometimes(uint32_t permille, uint32_t most)
{
	struct prng *prng = &world->prng;
	uint32_t drawn;

	if (most == 0)
		return 0;
	drawn = (uint32_t)prng_spread(prng, 1, most);
	return prng_chance(prng, permille) ? drawn : 0;
}

static void draw_faults(struct plan *plan)
{
	struct faults *faults = &plan->faults;

	faults->not_inline = sometimes(700, 1000);
	faults->late = sometimes(400, 200);
	faults->early_end = sometimes(400, 600);
	faults->overrun = sometimes(600, 1000);
	faults->wrong_hint = sometimes(400, 1000);
	faults->end_with_buffer = sometimes(300, 1000);
	faults->again = sometimes(300, 200);
	faults->short_send = sometimes(400, 600);
	faults->cancel_late = sometimes(500, 1000);
	faults->zero_copy_copied = sometimes(400, 500);
	faults->tiny_pieces = sometimes(400, 500);
	faults->accept_no_fd = sometimes(300, 300);
	faults->post_fails = sometimes(400, 600);
	if (plan->gentle)
		return;
	faults->zero_copy_fails = sometimes(300, 100);
	faults->accept_aborted = sometimes(500, 1000);
	faults->socket_no_fd = sometimes(200, 200);
	faults->send_breaks = sometimes(200, 30);
	faults->no_port = sometimes(200, 200);
}

static void draw_features(struct plan *plan)
{
	struct prng *prng = &world->prng;

	plan->features.recv_credit = prng_chance(prng, 700);
	plan->features.send_vector = prng_chance(prng, 700);
	plan->features.zero_copy_report = prng_chance(prng, 800);
	plan->features.zero_copy_vector = prng_chance(prng, 700);
	plan->register_region = prng_chance(prng, 700);
	plan->queue_entries = (uint32_t)prng_spread(prng, 3, 256);
}

static void draw_memory(struct plan *plan, enum shape shape)
{
	struct prng *prng = &world->prng;
	struct conf_proxy *proxy = &plan->conf.proxy;
	const bool bulk = shape == SHAPE_BULK;
	uint32_t slices;

	proxy->buffer_size = 256u << prng_below(prng, bulk ? 8 : 6);
	proxy->session_window = proxy->buffer_size * (uint32_t)prng_spread(prng, 1, 20);
	if (bulk)
		proxy->session_window = proxy->buffer_size * (uint32_t)prng_range(prng, 1, 80);
	if (prng_chance(prng, 300))
		proxy->session_window += (uint32_t)prng_below(prng, proxy->buffer_size);
	slices = (uint32_t)prng_spread(prng, 2, bulk ? 1000 : 300);
	if (bulk && prng_chance(prng, 600)) { /* wide enough for streams and zero-copy sends */
		proxy->buffer_size = 1024u << prng_below(prng, 5);
		proxy->session_window = (uint32_t)prng_range(prng, 64, 512) * 1024;
		slices = (uint32_t)prng_range(prng, 1, 8) * (1u << 20) / proxy->buffer_size;
	}
	plan->region_bytes = (uint64_t)slices * proxy->buffer_size;
	if (plan->region_bytes > 8u << 20)
		plan->region_bytes = 8u << 20;
	proxy->zero_copy_send = (enum conf_zero_copy)prng_below(prng, 3);
}

static void draw_servers(struct plan *plan, uint32_t upstream)
{
	struct prng *prng = &world->prng;
	struct conf_upstream *u = &plan->upstreams[upstream];
	uint32_t count = (uint32_t)prng_spread(prng, 1, PLAN_SERVERS_MAX);
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint32_t weight = i == 0 ? 1 : (uint32_t)prng_below(prng, 4);
		struct origin *origin;

		if (!plan->gentle && prng_chance(prng, 30))
			weight = 0;
		origin = plan_add_server(plan, upstream, weight);
		origin->answer_ns = prng_spread(prng, 1, 100 * NS_PER_MS);
		if (prng_chance(prng, 100))
			make_unix(plan, upstream, i, origin);
		if (plan->gentle || prng_chance(prng, 500))
			continue;
		origin->refuses = sometimes(500, 1000);
		origin->is_silent = sometimes(300, 1000 - origin->refuses);
		origin->unreachable = sometimes(300, 1000 - origin->refuses - origin->is_silent);
	}
	u->retries = (uint32_t)prng_below(prng, 5);
	if (plan->gentle)
		return;
	u->connect_timeout_ns = prng_spread(prng, NS_PER_MS, NS_PER_S);
	u->server_timeout_ns = prng_spread(prng, 10 * NS_PER_MS, 5 * NS_PER_S);
}

static void draw_sessions(struct plan *plan, enum shape shape)
{
	static const uint32_t clients[] = { 60, 12, 400 };
	struct prng *prng = &world->prng;
	uint32_t i;

	plan->clients = (uint32_t)(prng_chance(prng, 500) ?
	                                   prng_range(prng, 1, clients[shape]) :
	                                   prng_spread(prng, 1, clients[shape]));
	plan->arrive_ns = prng_spread(prng, 1, 2 * NS_PER_S);
	if (shape == SHAPE_FLOOD)
		plan->arrive_ns = prng_spread(prng, 1, 20 * NS_PER_MS);
	plan->conf.proxy.max_sessions =
		(uint32_t)prng_spread(prng, 1, prng_chance(prng, 500) ? 20 : 600);
	for (i = 0; i < plan->conf.listeners_count; i++) {
		struct conf_listener *listener = &plan->listeners[i];

		listener->backlog = (uint32_t)prng_spread(prng, 1, shape == SHAPE_FLOOD ? 500 : 40);
		if (prng_chance(prng, 100))
			plan->binds[i].kind = ADDR_UNIX;
		if (prng_chance(prng, 300))
			listener->max_sessions = (uint32_t)prng_spread(prng, 1, 20);
		if (plan->gentle)
			continue;
		listener->client_timeout_ns = prng_spread(prng, 10 * NS_PER_MS, 5 * NS_PER_S);
		listener->fin_timeout_ns = prng_spread(prng, 10 * NS_PER_MS, 2 * NS_PER_S);
	}
}

void plan_draw(struct plan *plan, bool http)
{
	struct prng *prng = &world->prng;
	const uint64_t shape_drawn = prng_below(prng, 10);
	const enum shape shape = shape_drawn < 3 ? SHAPE_BULK :
	                         shape_drawn < 5 ? SHAPE_FLOOD :
	                                           SHAPE_MIXED;
	uint32_t upstreams, i;

	plan_quiet(plan);
	plan->gentle = prng_chance(prng, 350);
	plan->workers = (uint32_t)prng_spread(prng, 1, PLAN_WORKERS_MAX);
	plan->conf.proxy.accept = (enum conf_accept)prng_below(prng, 3);
	draw_features(plan);
	draw_memory(plan, shape);
	upstreams = (uint32_t)prng_range(prng, 1, PLAN_UPSTREAMS_MAX);
	if (upstreams > 1) {
		add_upstream(plan);
		add_listener(plan, &plan->upstreams[1]);
	}
	for (i = 0; i < upstreams; i++)
		draw_servers(plan, i);
	draw_sessions(plan, shape);
	draw_faults(plan);
	draw_style(plan->gentle, shape);
	plan->check_permille = prng_chance(prng, 300) ? 1000 : 100;
	plan->batch_permille = (uint32_t)prng_spread(prng, 0, 900);
	plan->stall_permille = sometimes(300, 50);
	if (http)
		http_plan_draw(plan);
	servers_plan_draw(plan);
	front_plan_draw(plan);
	if (plan->gentle)
		return;
	if (prng_chance(prng, 200))
		plan->fds_max = (uint32_t)prng_range(prng, 12, 60);
	if (prng_chance(prng, 500)) /* often while clients still come */
		plan->drain_after_ns = prng_chance(prng, 500) ?
		                               prng_below(prng, plan->arrive_ns) + 1 :
		                               prng_spread(prng, NS_PER_MS, 10 * NS_PER_S);
	if (prng_chance(prng, 600))
		plan->cut_after_ns = prng_chance(prng, 500) ? 0 :
		                                              prng_spread(prng, 0, 5 * NS_PER_S);
}

static void trace_parts(const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->conf.listeners_count; i++)
		trace("plan: listener %u: headers %u access %u+%u sources %u, %u/s", i,
		      plan->listeners[i].proxy_protocol, plan->access[i].allow_count,
		      plan->access[i].deny_count, plan->listeners[i].source_sessions,
		      plan->listeners[i].source_rate);
	for (i = 0; i < plan->conf.upstreams_count; i++) {
		const struct conf_upstream *upstream = &plan->upstreams[i];

		trace("plan: upstream %u: %u servers, balance %d health %d on_down %d eject %u "
		      "queue %u headers %d pool %d", i, upstream->servers_count,
		      upstream->balance, upstream->health, upstream->on_down,
		      upstream->eject_after, upstream->queue, upstream->send_proxy,
		      upstream->pool);
	}
}

void plan_trace(const struct plan *plan)
{
	const struct conf_proxy *proxy = &plan->conf.proxy;

	trace("plan: %s%s workers %u accept %d slices %llu x %u window %u max_sessions %u "
	      "clients %u upstreams %u zero_copy %d recv_credit %d send_vector %d",
	      plan->http ? "http, " : "", plan->gentle ? "gentle" : "rough", plan->workers,
	      proxy->accept,
	      (unsigned long long)(plan->region_bytes / proxy->buffer_size), proxy->buffer_size,
	      proxy->session_window, proxy->max_sessions, plan->clients,
	      plan->conf.upstreams_count, proxy->zero_copy_send, plan->features.recv_credit,
	      plan->features.send_vector);
	trace_parts(plan);
}
