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

struct upstreams {
	uint32_t count;
	struct group *groups;
	struct server *servers;
};

static uint32_t servers_total(const struct conf *conf)
{
	uint32_t total = 0;
	uint32_t i;

	for (i = 0; i < conf->upstreams_count; i++)
		total += conf->upstreams[i].servers_count;
	return total;
}

static void group_init(struct group *group, const struct conf_upstream *conf,
		       struct server *servers)
{
	uint32_t i;

	group->servers = servers;
	group->count = conf->servers_count;
	for (i = 0; i < group->count; i++) {
		servers[i].conf = &conf->servers[i];
		group->weights_sum += conf->servers[i].weight;
	}
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
	upstreams->servers = calloc(servers_total(conf), sizeof(*upstreams->servers));
	if (upstreams->groups == NULL || upstreams->servers == NULL) {
		upstreams_close(upstreams);
		return -ENOMEM;
	}
	next = upstreams->servers;
	for (i = 0; i < upstreams->count; i++) {
		assert(conf->upstreams[i].index == i);
		group_init(&upstreams->groups[i], &conf->upstreams[i], next);
		next += conf->upstreams[i].servers_count;
		for (turn = 0; turn < turns; turn++)
			(void)upstream_pick(upstreams, &conf->upstreams[i], NULL);
	}
	*out = upstreams;
	return 0;
}

void upstreams_close(struct upstreams *upstreams)
{
	if (upstreams == NULL)
		return;
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
