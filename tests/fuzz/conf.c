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
	assert(listener->upstream);
	assert(listener->upstream == &conf->upstreams[listener->upstream->index]);
	assert(listener->max_sessions <= conf->proxy.max_sessions);
	assert(listener->client_timeout_ns > 0);
}

static void check_upstream(const struct conf_upstream *upstream)
{
	assert(upstream->name[0] != '\0');
	assert(upstream->servers_count > 0);
	for (uint32_t i = 0; i < upstream->servers_count; i++) {
		const struct conf_server *server = &upstream->servers[i];

		assert(server->name[0] != '\0');
		assert(server->addr.kind != ADDR_NONE);
		assert(server->addr.kind != ADDR_FD);
		assert(server->addr.kind != ADDR_ANY);
		assert(server->weight <= 256);
	}
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
	assert(proxy->workers <= CONF_WORKERS_MAX);
	assert((proxy->buffer_size & (proxy->buffer_size - 1)) == 0);
	assert(proxy->session_window >= proxy->buffer_size);
	assert(proxy->buffer_memory >= proxy->buffer_size);
	assert(proxy->log);
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
