/* SPDX-License-Identifier: MIT */
/*
 * fit.c - the equations of fit.h against the host's limits.
 */
#include "fit.h"

#include <stdio.h>
#include <unistd.h>

#include "base/units.h"
#include "flow/flow.h"
#include "worker/region.h"
#include "worker/worker.h"

#define DESCRIPTORS_OWN 48 /* standard streams, log, signals, probes, spare for reports */
/* A ring, a mailbox, and two ends of each pipe for streams. */
#define DESCRIPTORS_WORKER (2 + 2 * FLOW_PIPES_MAX)

static uint32_t binds_total(const struct conf *conf)
{
	uint32_t total = 0, i;

	for (i = 0; i < conf->listeners_count; i++)
		total += conf->listeners[i].binds_count;
	return total;
}

static uint64_t descriptors_fixed(const struct fit *fit, const struct conf *conf)
{
	return DESCRIPTORS_OWN + (uint64_t)fit->workers * (DESCRIPTORS_WORKER + binds_total(conf));
}

/* Two for each session; connections to http servers that are idle come on top. */
static uint64_t descriptors_sessions(const struct conf *conf, uint64_t sessions)
{
	return 2 * sessions + (flow_speaks_http(conf) ? FLOW_CONNS_SPARE(sessions) : 0);
}

/* The most sessions that so many descriptors suffice for. */
static uint32_t sessions_within(const struct conf *conf, uint64_t descriptors)
{
	uint64_t sessions = descriptors / 2;

	while (sessions > 0 && descriptors_sessions(conf, sessions) > descriptors)
		sessions -= (descriptors_sessions(conf, sessions) - descriptors + 2) / 3;
	return (uint32_t)sessions;
}

static bool fit_descriptors(struct fit *fit, const struct conf *conf, const struct host *host,
			    FILE *out)
{
	uint64_t fixed = descriptors_fixed(fit, conf);
	uint64_t limit = host->descriptors_hard;

	fit->descriptors = fixed + descriptors_sessions(conf, fit->max_sessions);
	if (limit == HOST_UNKNOWN || fit->descriptors <= limit)
		return true;
	if (!conf->proxy.max_sessions_is_set && limit > fixed &&
	    sessions_within(conf, limit - fixed) > 0) {
		fit->max_sessions = sessions_within(conf, limit - fixed);
		fit->max_sessions_lowered = true;
		fit->descriptors = fixed + descriptors_sessions(conf, fit->max_sessions);
		return true;
	}
	fprintf(out,
		"%s: max_sessions = %u needs %llu descriptors (two for each session%s), but the "
		"hard limit is %llu: lower max_sessions to %llu, or raise the limit (ulimit -Hn, "
		"LimitNOFILE=)\n",
		conf->path, fit->max_sessions, (unsigned long long)fit->descriptors,
		flow_speaks_http(conf) ? ", and some for idle connections to servers" : "",
		(unsigned long long)limit,
		(unsigned long long)(limit > fixed ? sessions_within(conf, limit - fixed) : 0));
	return false;
}

static bool fit_memory(struct fit *fit, const struct conf *conf, const struct host *host, FILE *out)
{
	char need[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX];
	struct ring_options ring;

	worker_ring_options(conf, -1, &ring);
	fit->region_bytes = region_bytes_mapped(conf->proxy.buffer_memory);
	fit->rings_bytes = fit->workers * ring_memory_bytes(&ring);
	fit->sessions_bytes = (uint64_t)fit->max_sessions * flow_session_bytes(conf);
	fit->total_bytes = fit->region_bytes + fit->rings_bytes + fit->sessions_bytes;
	if (host->memory_bytes == HOST_UNKNOWN || fit->total_bytes <= host->memory_bytes)
		return true;
	fprintf(out,
		"%s: %s would be reserved, but this machine (or control group) has %s: lower "
		"buffer_memory or max_sessions\n",
		conf->path, units_format_bytes(need, fit->total_bytes),
		units_format_bytes(have, host->memory_bytes));
	return false;
}

static bool fit_region(const struct fit *fit, const struct conf *conf, FILE *out)
{
	uint64_t share = (uint64_t)conf->proxy.buffer_size * CONF_SLICES_PER_WORKER_MIN;
	uint64_t least = fit->workers * share;
	char text[UNITS_TEXT_MAX];

	if (conf->proxy.buffer_memory >= least)
		return true;
	fprintf(out,
		"%s: buffer_memory is too small for %u workers with %u slices of buffer_size each: "
		"raise it to %s, or lower workers or buffer_size\n",
		conf->path, fit->workers, CONF_SLICES_PER_WORKER_MIN,
		units_format_size(text, least));
	return false;
}

static bool fit_huge_pages(const struct conf *conf, const struct host *host, FILE *out)
{
	const uint64_t page = 2ull * 1024 * 1024;
	uint64_t need = (conf->proxy.buffer_memory + page - 1) / page;

	if (conf->proxy.huge_pages != HUGE_PAGES_REQUIRE || host->huge_pages_free == HOST_UNKNOWN ||
	    need <= host->huge_pages_free)
		return true;
	fprintf(out,
		"%s: huge_pages = require needs %llu free huge pages of 2 MB, there are %llu: set "
		"the sysctl vm.nr_hugepages to at least %llu, lower buffer_memory, or use "
		"huge_pages = try\n",
		conf->path, (unsigned long long)need, (unsigned long long)host->huge_pages_free,
		(unsigned long long)(host->huge_pages_total - host->huge_pages_free + need));
	return false;
}

/* Without CAP_IPC_LOCK the rings and the registered region count against RLIMIT_MEMLOCK. */
static bool fit_memlock(const struct fit *fit, const struct conf *conf, const struct host *host,
			FILE *out)
{
	uint64_t need = fit->rings_bytes;
	char need_text[UNITS_TEXT_MAX], have_text[UNITS_TEXT_MAX];

	if (conf->proxy.zero_copy_send != ZERO_COPY_OFF)
		need += fit->region_bytes;
	if (host->memlock_exempt || host->memlock_bytes == HOST_UNKNOWN ||
	    need <= host->memlock_bytes)
		return true;
	fprintf(out,
		"%s: %s of memory would be locked, but RLIMIT_MEMLOCK is %s: raise it (ulimit -l, "
		"LimitMEMLOCK=infinity), start as root with user =, or set zero_copy_send = off or "
		"a smaller buffer_memory\n",
		conf->path, units_format_bytes(need_text, need),
		units_format_bytes(have_text, host->memlock_bytes));
	return false;
}

static bool is_allowed(const struct host *host, uint16_t cpu)
{
	uint32_t i;

	for (i = 0; i < host->cpus_count; i++)
		if (host->cpus[i] == cpu)
			return true;
	return false;
}

static bool fit_cpus(struct fit *fit, const struct conf *conf, const struct host *host, FILE *out)
{
	const struct conf_proxy *proxy = &conf->proxy;
	bool fits = true;
	uint32_t i;

	fit->workers = proxy->workers != 0 ? proxy->workers : host->cpus_count;
	if (proxy->workers == 0 && proxy->cpu_affinity == AFFINITY_LIST)
		fit->workers = proxy->cpus_count;
	if (fit->workers > CONF_WORKERS_MAX)
		fit->workers = CONF_WORKERS_MAX;
	for (i = 0; i < fit->workers; i++) {
		fit->cpus[i] = -1;
		/* More workers than CPUs: pinning would only take freedom from the scheduler. */
		if (proxy->cpu_affinity == AFFINITY_AUTO && fit->workers <= host->cpus_count)
			fit->cpus[i] = host->cpus[i];
		else if (proxy->cpu_affinity == AFFINITY_LIST)
			fit->cpus[i] = proxy->cpus[i % proxy->cpus_count];
	}
	for (i = 0; i < proxy->cpus_count && proxy->cpu_affinity == AFFINITY_LIST; i++) {
		if (is_allowed(host, proxy->cpus[i]))
			continue;
		fprintf(out, "%s: cpu_affinity names CPU %u, which this process may not use\n",
			conf->path, proxy->cpus[i]);
		fits = false;
	}
	return fits;
}

bool fit_check(struct fit *fit, const struct conf *conf, const struct host *host, FILE *out)
{
	bool fits;

	*fit = (struct fit){ .max_sessions = conf->proxy.max_sessions };
	fits = fit_cpus(fit, conf, host, out);
	fits = fit_descriptors(fit, conf, host, out) && fits;
	fits = fit_memory(fit, conf, host, out) && fits;
	fits = fit_region(fit, conf, out) && fits;
	fits = fit_huge_pages(conf, host, out) && fits;
	fits = fit_memlock(fit, conf, host, out) && fits;
	return fits;
}
