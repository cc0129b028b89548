/* SPDX-License-Identifier: MIT */
/*
 * upstream.c - smooth weighted round robin.
 *
 * At each choice every server's `current` grows by its weight, the largest one is chosen (the
 * first among equals) and pays back the sum of all weights. With weights 5, 1, 1 the choices are
 * a a b a c a a. The sum of all `current` is 0 between choices.
 */
#include "upstream/upstream.h"

#include <errno.h>
#include <stdlib.h>

struct group {
	struct server *servers;
	uint32_t count;
	int64_t weights_sum;
};

/* How far each target of a route is ahead, as `current` of a server. */
struct split {
	int64_t *current;
};

struct upstreams {
	uint32_t count;
	struct group *groups;
	struct server *servers;
	struct split *splits; /* one per route */
	uint32_t splits_count;
};

uint32_t upstream_servers_total(const struct conf *conf)
{
	uint32_t total = 0;
	uint32_t i;

	for (i = 0; i < conf->upstreams_count; i++)
		total += conf->upstreams[i].servers_count;
	return total;
}

static void group_init(struct group *group, const struct conf_upstream *conf,
		       struct server *servers, uint32_t first)
{
	uint32_t i;

	group->servers = servers;
	group->count = conf->servers_count;
	for (i = 0; i < group->count; i++) {
		servers[i].conf = &conf->servers[i];
		servers[i].upstream_index = conf->index;
		servers[i].index = first + i;
		list_init(&servers[i].idle);
		group->weights_sum += conf->servers[i].weight;
	}
}

static bool splits_open(struct upstreams *upstreams, const struct conf *conf)
{
	uint32_t i;

	upstreams->splits = calloc(conf->routes_count + 1, sizeof(*upstreams->splits));
	if (upstreams->splits == NULL)
		return false;
	upstreams->splits_count = conf->routes_count;
	for (i = 0; i < conf->routes_count; i++) {
		upstreams->splits[i].current =
			calloc(conf->routes[i].targets_count + 1, sizeof(int64_t));
		if (upstreams->splits[i].current == NULL)
			return false;
	}
	return true;
}

int upstreams_open(struct upstreams **out, const struct conf *conf, uint32_t turns)
{
	struct upstreams *upstreams = calloc(1, sizeof(*upstreams));
	struct server *next;
	uint32_t i, turn;

	if (upstreams == NULL)
		return -ENOMEM;
	upstreams->count = conf->upstreams_count;
	upstreams->groups = calloc(conf->upstreams_count, sizeof(*upstreams->groups));
	upstreams->servers = calloc(upstream_servers_total(conf), sizeof(*upstreams->servers));
	if (upstreams->groups == NULL || upstreams->servers == NULL) {
		upstreams_close(upstreams);
		return -ENOMEM;
	}
	if (!splits_open(upstreams, conf)) {
		upstreams_close(upstreams);
		return -ENOMEM;
	}
	next = upstreams->servers;
	for (i = 0; i < upstreams->count; i++) {
		assert(conf->upstreams[i].index == i);
		group_init(&upstreams->groups[i], &conf->upstreams[i], next,
			   (uint32_t)(next - upstreams->servers));
		next += conf->upstreams[i].servers_count;
		for (turn = 0; turn < turns; turn++)
			(void)upstream_pick(upstreams, &conf->upstreams[i], NULL);
	}
	*out = upstreams;
	return 0;
}

void upstreams_close(struct upstreams *upstreams)
{
	uint32_t i;

	if (upstreams == NULL)
		return;
	for (i = 0; upstreams->splits != NULL && i < upstreams->splits_count; i++)
		free(upstreams->splits[i].current);
	free(upstreams->splits);
	free(upstreams->groups);
	free(upstreams->servers);
	free(upstreams);
}

static struct server *pick_once(struct group *group)
{
	struct server *best = NULL;
	uint32_t i;

	if (group->weights_sum == 0)
		return NULL;
	for (i = 0; i < group->count; i++) {
		struct server *server = &group->servers[i];

		if (server->conf->weight == 0)
			continue;
		server->current += server->conf->weight;
		if (best == NULL || server->current > best->current)
			best = server;
	}
	assert(best != NULL);
	best->current -= group->weights_sum;
	return best;
}

struct server *upstream_pick(struct upstreams *upstreams, const struct conf_upstream *upstream,
			     const struct server *avoid)
{
	struct group *group = &upstreams->groups[upstream->index];
	struct server *server = pick_once(group);
	int64_t tries;

	assert(upstream->index < upstreams->count);
	/* Within one round of the sequence every other server comes up, if there is one. */
	for (tries = group->weights_sum; server != NULL && server == avoid && tries > 0; tries--)
		server = pick_once(group);
	return server;
}

struct server *upstream_server(struct upstreams *upstreams, const struct conf_upstream *upstream,
			       uint32_t index)
{
	assert(upstream->index < upstreams->count);
	assert(index < upstreams->groups[upstream->index].count);
	return &upstreams->groups[upstream->index].servers[index];
}

const struct conf_upstream *upstream_of_route(struct upstreams *upstreams,
					      const struct conf_route *route)
{
	int64_t *current = upstreams->splits[route->index].current;
	uint32_t best = 0, i;

	assert(route->targets_count > 0 && route->weights_sum > 0);
	if (route->targets_count == 1)
		return route->targets[0].upstream;
	for (i = 0; i < route->targets_count; i++) {
		current[i] += route->targets[i].weight;
		if (current[i] > current[best] || route->targets[best].weight == 0)
			best = i;
	}
	current[best] -= route->weights_sum;
	return route->targets[best].upstream;
}
