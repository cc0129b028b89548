/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what the file says, in the words of this layer.
 *
 * Times are rounded up to whole milliseconds.
 */
#include "upstream/upstream.h"

#include "base/clock.h"

static uint64_t ms_of(uint64_t ns)
{
	return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

void upstream_policy_read(struct upstream_policy *policy, const struct conf_upstream *conf)
{
	*policy = (struct upstream_policy){
		.balance = conf->balance,
		.health = { .rise = conf->health_rise, .fall = conf->health_fall },
		.eject_after = conf->eject_after,
		.eject_time_ms = ms_of(conf->eject_time_ns),
		.slow_start_ms = ms_of(conf->slow_start_ns),
		.retry_budget = conf->retry_budget,
	};
	if (conf->health != PROBE_OFF)
		policy->health.interval_ms = ms_of(conf->health_interval_ns);
}

void server_policy_read(struct server_policy *policy, const struct conf_server *conf)
{
	*policy = (struct server_policy){
		.weight = conf->weight,
		.max_sessions = conf->max_sessions,
		.is_backup = conf->is_backup,
	};
}
