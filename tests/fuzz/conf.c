/* SPDX-License-Identifier: MIT */
/*
 * conf.c - any bytes as proxy.ini.
 *
 * Properties:
 *   (1) Either a snapshot and no error, or no snapshot and at least one.
 *   (2) Every error has a text of one line, and the number of a line that the input has.
 *   (3) Errors are in the order of their lines.
 *   (4) A snapshot keeps the promises of conf/conf.h.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "fuzz.h"

static int lines_count(const uint8_t *data, size_t len)
{
	int count = 1;

	for (size_t i = 0; i < len; i++)
		count += data[i] == '\n';
	return count;
}

static void check_errors(const struct conf_errors *errors, int lines)
{
	int last = 0;

	assert(errors->count <= CONF_ERRORS_MAX);
	for (uint32_t i = 0; i < errors->count; i++) {
		const struct conf_error *error = &errors->rows[i];

		assert(error->line >= last);
		assert(error->line <= lines);
		assert(error->text[0] != '\0');
		assert(!strchr(error->text, '\n'));
		last = error->line;
	}
}

static void check_listener(const struct conf *conf, const struct conf_listener *listener)
{
	assert(listener->name[0] != '\0');
	assert(listener->binds_count > 0);
	for (uint32_t i = 0; i < listener->binds_count; i++) {
		assert(listener->binds[i].kind != ADDR_NONE);
		assert(listener->binds_lines[i] > listener->line);
	}
	assert(listener->upstream || listener->mode == MODE_HTTP);
	if (listener->upstream)
		assert(listener->upstream == &conf->upstreams[listener->upstream->index]);
	assert((listener->router != NULL) == (listener->mode == MODE_HTTP));
	assert(listener->upgrade_protocols == NULL || listener->upgrade_protocols[0] != '\0');
	for (uint32_t i = 0; i < listener->pages_count; i++) {
		assert(listener->pages[i].status >= 400 && listener->pages[i].status <= 599);
		assert(listener->pages[i].body == NULL);
	}
	assert(listener->proxy_protocol <= PROXY_ANY);
	assert(listener->proxy_from_count == 0 || listener->proxy_protocol != PROXY_OFF);
	assert(listener->source_burst == 0 || listener->source_rate > 0);
	assert(listener->max_sessions <= conf->proxy.max_sessions);
	assert(listener->client_timeout_ns > 0);
}

/* Every place belongs to one name, in the order of both; whatever is no place has an address. */
static void check_names(const struct conf_upstream *upstream)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < upstream->names_count; i++) {
		const struct conf_name *name = &upstream->names[i];
		size_t len = strlen(name->host);

		assert(len > 0 && name->host[len - 1] != '.');
		assert(strcspn(name->host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len);
		assert(name->is_srv == (name->port == 0) && name->is_srv == (name->host[0] == '_'));
		assert(name->line > upstream->line);
		assert(name->places > 0);
		assert(name->spares == 0 || (name->is_srv && name->spares == name->places));
		for (; at < name->first; at++)
			assert(upstream->servers[at].addr.kind != ADDR_NAME);
		assert(at == name->first);
		for (; at < name->first + name->places + name->spares; at++) {
			assert(at < upstream->servers_count);
			assert(upstream->servers[at].addr.kind == ADDR_NAME);
			assert(upstream->servers[at].addr.u.name.port == name->port);
			assert(upstream->servers[at].line == name->line);
			assert(upstream->servers[at].is_backup || at < name->first + name->places);
		}
	}
	for (; at < upstream->servers_count; at++)
		assert(upstream->servers[at].addr.kind != ADDR_NAME);
	assert(upstream->resolve == FAMILY_ANY || upstream->names_count > 0);
}

static void check_upstream(const struct conf_upstream *upstream)
{
	assert(upstream->name[0] != '\0');
	assert(upstream->servers_count > 0 && upstream->servers_count <= CONF_SERVERS_MAX);
	check_names(upstream);
	for (uint32_t i = 0; i < upstream->servers_count; i++) {
		const struct conf_server *server = &upstream->servers[i];

		assert(server->name[0] != '\0');
		assert(server->addr.kind != ADDR_NONE);
		assert(server->addr.kind != ADDR_FD);
		assert(server->addr.kind != ADDR_ANY);
		assert(server->weight <= 256);
		assert(server->max_sessions <= 1000000);
	}
	assert(upstream->balance <= BALANCE_MAGLEV);
	assert(upstream->health_path[0] == '/');
	assert(upstream->health_status.first >= 100 && upstream->health_status.last <= 599);
	assert(upstream->health_status.first <= upstream->health_status.last);
	assert(upstream->health_rise > 0 && upstream->health_fall > 0);
	assert(upstream->sources_count <= CONF_SOURCES_MAX);
	for (uint32_t i = 0; i < upstream->sources_count; i++)
		assert(upstream->sources[i].kind == ADDR_INET ||
		       upstream->sources[i].kind == ADDR_INET6);
}

static void check_edits(const struct http_edits *edits)
{
	for (uint32_t i = 0; i < edits->removed_count; i++) {
		assert(edits->removed[i].len > 0);
		assert(strlen(edits->removed[i].text) == edits->removed[i].len);
	}
	assert((edits->added_len > 0) == (edits->added != NULL));
	assert(edits->added_len == 0 || !memcmp(edits->added + edits->added_len - 2, "\r\n", 2));
	assert((edits->host_header == HTTP_HOST_VALUE) == (edits->host != NULL));
}

static void check_route(const struct conf *conf, const struct conf_route *route)
{
	uint32_t sum = 0;

	assert(route == &conf->routes[route->index]);
	assert(route->listeners_count > 0);
	for (uint32_t i = 0; i < route->listeners_count; i++)
		assert(route->listeners[i]->mode == MODE_HTTP);
	for (uint32_t i = 0; i < route->targets_count; i++)
		sum += route->targets[i].weight;
	assert(sum == route->weights_sum);
	assert((route->action == ACTION_UPSTREAM) == (sum > 0));
	assert((route->action == ACTION_UPSTREAM) == (route->status == 0));
	assert(route->action != ACTION_REDIRECT || route->text);
	for (uint32_t i = 0; i < route->paths_count; i++)
		assert(strlen(route->paths[i]) >= route->request_edits.strip_prefix);
	check_edits(&route->request_edits);
	check_edits(&route->response_edits);
}

static void check_conf(const struct conf *conf)
{
	const struct conf_proxy *proxy = &conf->proxy;

	assert(conf->refs == 1);
	assert(conf->listeners_count > 0);
	for (uint32_t i = 0; i < conf->listeners_count; i++)
		check_listener(conf, &conf->listeners[i]);
	for (uint32_t i = 0; i < conf->upstreams_count; i++)
		check_upstream(&conf->upstreams[i]);
	for (uint32_t i = 0; i < conf->routes_count; i++)
		check_route(conf, &conf->routes[i]);
	assert(proxy->workers <= CONF_WORKERS_MAX);
	assert((proxy->buffer_size & (proxy->buffer_size - 1)) == 0);
	assert(proxy->session_window >= proxy->buffer_size);
	assert(proxy->buffer_memory >= proxy->buffer_size);
	assert(proxy->log);
	assert(proxy->resolve_min_ns > 0 && proxy->resolve_min_ns <= proxy->resolve_max_ns);
	assert(proxy->resolvers_count <= CONF_RESOLVERS_MAX);
	for (uint32_t i = 0; i < proxy->resolvers_count; i++)
		assert(proxy->resolvers[i].kind == ADDR_INET ||
		       proxy->resolvers[i].kind == ADDR_INET6);
	assert((proxy->cpu_affinity == AFFINITY_LIST) == (proxy->cpus_count > 0));
	for (uint32_t i = 0; i < proxy->cpus_count; i++)
		assert(proxy->cpus[i] < CONF_CPUS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors errors;
	struct conf *conf = conf_load_text("fuzz.ini", (const char *)data, len, &errors);

	assert((conf != NULL) == (errors.count + errors.dropped == 0));
	check_errors(&errors, lines_count(data, len));
	if (conf) {
		check_conf(conf);
		conf_unref(conf);
	}
	conf_errors_free(&errors);
	return 0;
}
