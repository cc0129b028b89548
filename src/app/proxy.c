/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - start, signals, drain, end.
 *
 *   open     log, limits, listening sockets, region, sessions, names, workers    maybe as root
 *   drop     user and group
 *   start    worker threads; the report
 *   wait     TERM, INT   first: drain; second: stop at once
 *            USR1        reopen the log, print the counters
 *            HUP, USR2   noted as not available
 *   end      join the workers, close everything in reverse
 *
 * Privileges are dropped after rings, region and listening sockets exist: those may need them, and
 * memory locked by root is not charged to the user's limit.
 */
#include "proxy.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sink.h"
#include "doctor.h"
#include "doors.h"
#include "fit.h"
#include "names.h"
#include "panic.h"
#include "privileges.h"
#include "report.h"
#include "worker/worker.h"

enum phase { PHASE_RUN, PHASE_DRAIN, PHASE_CUT, PHASE_STOP };

struct proxy {
	const struct conf *conf;
	struct log log;
	bool log_opened;
	struct sinks *sinks; /* NULL: no listener has an access log */
	struct sink **access_sinks;
	struct host host;
	struct fit fit;
	struct ring_features features;
	struct doors doors;
	struct region region;
	struct flow_shared *shared;
	struct names *names; /* NULL: all servers have addresses */
	struct worker *workers[CONF_WORKERS_MAX];
	struct flow *flows[CONF_WORKERS_MAX];
	uint32_t workers_count;
	int signal_fd;
	int over_fd;
	enum phase phase;
	uint64_t drain_ends_ns;
	uint32_t sessions_cut;
};

/* --- open ------------------------------------------------------------------------------------ */

static bool open_log(struct proxy *proxy)
{
	const char *target = proxy->conf->proxy.log;
	int result = log_open(&proxy->log, target, proxy->conf->proxy.log_level);

	if (result < 0) {
		fprintf(stderr,
			"%s: log = %s cannot be opened: %s; is the folder there and writable?\n",
			proxy->conf->path, target, strerror(-result));
		return false;
	}
	proxy->log_opened = true;
	return true;
}

/* The access logs: one sink for each different place. */
static bool open_sinks(struct proxy *proxy)
{
	const struct conf *conf = proxy->conf;
	const char **targets = calloc(conf->listeners_count, sizeof(*targets));
	struct sinks_options options = { .targets = targets, .producers = proxy->fit.workers };
	const char *failed = NULL;
	uint32_t i;
	int result = 0;

	proxy->access_sinks = calloc(conf->listeners_count, sizeof(struct sink *));
	for (i = 0; i < conf->listeners_count && targets != NULL; i++)
		if (conf->listeners[i].access_log != NULL)
			targets[options.targets_count++] = conf->listeners[i].access_log;
	if (targets == NULL || proxy->access_sinks == NULL)
		result = -ENOMEM;
	else if (options.targets_count > 0)
		result = sinks_open(&proxy->sinks, &options, &failed);
	for (i = 0; proxy->sinks != NULL && i < conf->listeners_count; i++)
		if (conf->listeners[i].access_log != NULL)
			proxy->access_sinks[i] =
				sinks_find(proxy->sinks, conf->listeners[i].access_log);
	free(targets);
	if (result < 0)
		fprintf(stderr,
			"%s: access_log = %s cannot be opened: %s; is the folder there and "
			"writable?\n",
			conf->path, failed != NULL ? failed : "", strerror(-result));
	return result == 0;
}

static bool open_region(struct proxy *proxy)
{
	const struct conf_proxy *conf = &proxy->conf->proxy;
	int result = region_open(&proxy->region, conf->buffer_memory, proxy->fit.workers,
				 conf->buffer_size, conf->huge_pages);

	if (result < 0) {
		fprintf(stderr,
			"%s: the buffer region cannot be mapped: %s; lower buffer_memory%s\n",
			proxy->conf->path, strerror(-result),
			conf->huge_pages == HUGE_PAGES_REQUIRE ?
				", raise vm.nr_hugepages, or use huge_pages = try" :
				"");
		return false;
	}
	if (proxy->region.pages == REGION_ORDINARY && conf->huge_pages == HUGE_PAGES_TRY)
		log_warn(&proxy->log, "no huge pages for the buffers: set vm.nr_hugepages to %llu",
			 (unsigned long long)(proxy->region.bytes >> 21));
	result = flow_shared_open(&proxy->shared, proxy->conf, proxy->fit.max_sessions,
				  proxy->fit.workers);
	if (result < 0)
		fprintf(stderr, "%s: no memory for %u sessions: lower max_sessions\n",
			proxy->conf->path, proxy->fit.max_sessions);
	return result == 0;
}

/* The workers begin with what the names have then. */
static bool open_names(struct proxy *proxy)
{
	int result = names_open(&proxy->names, proxy->conf, flow_shared_upstreams(proxy->shared),
				&proxy->log);

	if (result < 0)
		fprintf(stderr, "%s: the names of servers cannot be resolved: %s\n",
			proxy->conf->path, strerror(-result));
	return result == 0;
}

static bool open_workers(struct proxy *proxy)
{
	uint32_t i;

	for (i = 0; i < proxy->fit.workers; i++) {
		struct worker_options options = {
			.conf = proxy->conf,
			.shared = proxy->shared,
			.log = &proxy->log,
			.features = &proxy->features,
			.index = i,
			.cpu = proxy->fit.cpus[i],
			.region = proxy->region.base + i * proxy->region.part_bytes,
			.region_bytes = proxy->region.part_bytes,
			.over_fd = proxy->over_fd,
			.access_sinks = proxy->sinks != NULL ? proxy->access_sinks : NULL,
			.listen_fds = &proxy->doors.fds[i * proxy->doors.binds_count],
		};
		const char *step = "";
		int result = worker_open(&proxy->workers[i], &options, &step);

		if (result < 0) {
			fprintf(stderr, "worker %u cannot be made: %s: %s\n  %s\n", i, step,
				strerror(-result),
				result == -ENOSPC ? "raise buffer_memory or lower workers" :
						    ring_open_remedy(result));
			return false;
		}
		doors_given(&proxy->doors, i);
		proxy->workers_count++;
	}
	workers_introduce(proxy->workers, proxy->flows, proxy->workers_count);
	return true;
}

static bool open_signals(struct proxy *proxy)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	proxy->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	proxy->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (proxy->signal_fd >= 0 && proxy->over_fd >= 0)
		return true;
	fprintf(stderr, "no descriptor for signals: raise RLIMIT_NOFILE\n");
	return false;
}

static int open_all(struct proxy *proxy)
{
	host_read(&proxy->host);
	if (!doctor_can_run(&proxy->host, &proxy->features, stderr))
		return EXIT_HOST;
	if (!fit_check(&proxy->fit, proxy->conf, &proxy->host, stderr))
		return EXIT_HOST;
	host_raise_descriptors(&proxy->host);
	if (!open_log(proxy) || !open_signals(proxy))
		return EXIT_HOST;
	if (proxy->fit.max_sessions_lowered)
		log_warn(&proxy->log,
			 "max_sessions lowered from %u to %u: the hard descriptor limit "
			 "is %llu (ulimit -Hn, LimitNOFILE=)",
			 proxy->conf->proxy.max_sessions, proxy->fit.max_sessions,
			 (unsigned long long)proxy->host.descriptors_hard);
	if (!doors_open(&proxy->doors, proxy->conf, proxy->fit.workers, stderr))
		return EXIT_HOST;
	if (!open_sinks(proxy) || !open_region(proxy) || !open_names(proxy) ||
	    !open_workers(proxy))
		return EXIT_HOST;
	if (!privileges_drop(&proxy->conf->proxy, stderr))
		return EXIT_HOST;
	return EXIT_CLEAN;
}

/* --- run ------------------------------------------------------------------------------------- */

static struct report report_of(struct proxy *proxy)
{
	return (struct report){ .conf = proxy->conf,
				.host = &proxy->host,
				.fit = &proxy->fit,
				.region = &proxy->region,
				.features = &proxy->features,
				.workers = proxy->workers,
				.shared = proxy->shared,
				.names = proxy->names };
}

static bool start_workers(struct proxy *proxy)
{
	struct report report = report_of(proxy);
	uint32_t i;
	int result;

	if (proxy->sinks != NULL) {
		result = sinks_start(proxy->sinks);
		if (result < 0) {
			fprintf(stderr, "the access log has no thread: %s\n", strerror(-result));
			return false;
		}
	}
	panic_watch(proxy->flows, proxy->workers_count);
	for (i = 0; i < proxy->workers_count; i++) {
		result = worker_start(proxy->workers[i]);
		if (result < 0) {
			fprintf(stderr, "worker %u cannot start: %s\n  %s\n", i, strerror(-result),
				ring_open_remedy(result));
			return false;
		}
	}
	report_start(&report, stderr);
	return true;
}

static void order_all(struct proxy *proxy, enum mail_kind order)
{
	uint32_t i;

	for (i = 0; i < proxy->workers_count; i++)
		worker_order(proxy->workers[i], order);
}

static void begin_drain(struct proxy *proxy)
{
	log_info(&proxy->log, "draining: %u sessions open, at most %llu ms more",
		 flow_shared_sessions(proxy->shared),
		 (unsigned long long)(proxy->conf->proxy.drain_timeout_ns / NS_PER_MS));
	proxy->phase = PHASE_DRAIN;
	proxy->drain_ends_ns = clock_ns() + proxy->conf->proxy.drain_timeout_ns;
	order_all(proxy, MAIL_DRAIN);
}

static void cut(struct proxy *proxy, enum phase phase)
{
	proxy->sessions_cut += flow_shared_sessions(proxy->shared);
	log_warn(&proxy->log, "%s: %u sessions cut",
		 phase == PHASE_STOP ? "stopping at once" : "drain_timeout is over",
		 proxy->sessions_cut);
	proxy->phase = phase;
	order_all(proxy, phase == PHASE_STOP ? MAIL_STOP : MAIL_CUT);
}

static void on_signal(struct proxy *proxy, uint32_t number)
{
	struct report report = report_of(proxy);

	switch (number) {
	case SIGTERM:
	case SIGINT:
		if (proxy->phase == PHASE_RUN)
			begin_drain(proxy);
		else if (proxy->phase == PHASE_DRAIN)
			cut(proxy, PHASE_STOP);
		return;
	case SIGUSR1:
		if (log_reopen(&proxy->log) < 0)
			log_error(&proxy->log, "the log cannot be opened again; the old one stays");
		if (proxy->sinks != NULL)
			sinks_reopen(proxy->sinks);
		report_counters(&report, &proxy->log);
		return;
	default:
		log_warn(&proxy->log,
			 "signal %u: reload and hand-over are not available; stop and start "
			 "instead",
			 number);
		return;
	}
}

static bool workers_over(struct proxy *proxy, bool any)
{
	uint32_t i, over = 0;

	for (i = 0; i < proxy->workers_count; i++)
		over += worker_is_over(proxy->workers[i]);
	return any ? over > 0 : over == proxy->workers_count;
}

static int wait_ms(const struct proxy *proxy)
{
	uint64_t now = clock_ns();

	if (proxy->phase != PHASE_DRAIN)
		return names_tick(proxy->names);
	if (now >= proxy->drain_ends_ns)
		return 0;
	return (int)((proxy->drain_ends_ns - now) / NS_PER_MS + 1);
}

static void wait_and_act(struct proxy *proxy)
{
	struct pollfd fds[2] = { { .fd = proxy->signal_fd, .events = POLLIN },
				 { .fd = proxy->over_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	uint64_t overs;

	(void)poll(fds, 2, wait_ms(proxy));
	while (read(proxy->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		on_signal(proxy, info.ssi_signo);
	(void)!read(proxy->over_fd, &overs, sizeof(overs));
	if (proxy->phase == PHASE_DRAIN && clock_ns() >= proxy->drain_ends_ns &&
	    !workers_over(proxy, false))
		cut(proxy, PHASE_CUT);
}

static int run(struct proxy *proxy)
{
	while (!workers_over(proxy, false)) {
		wait_and_act(proxy);
		if (proxy->phase == PHASE_RUN && workers_over(proxy, true)) {
			log_error(&proxy->log, "a worker ended by itself: stopping");
			cut(proxy, PHASE_STOP);
			return EXIT_HOST;
		}
	}
	log_info(&proxy->log, "ended: %u sessions cut", proxy->sessions_cut);
	return proxy->sessions_cut > 0 ? EXIT_SESSIONS : EXIT_CLEAN;
}

/* --- end ------------------------------------------------------------------------------------- */

static void close_all(struct proxy *proxy)
{
	uint32_t i;

	for (i = 0; i < proxy->workers_count; i++)
		(void)worker_join(proxy->workers[i]);
	panic_watch(NULL, 0);
	for (i = 0; i < proxy->workers_count; i++)
		worker_close(proxy->workers[i]);
	if (proxy->sinks != NULL) {
		uint64_t lost = sinks_close(proxy->sinks);

		if (lost > 0)
			log_warn(&proxy->log, "%llu lines of the access log are lost",
				 (unsigned long long)lost);
	}
	free(proxy->access_sinks);
	names_close(proxy->names);
	flow_shared_close(proxy->shared);
	region_close(&proxy->region);
	doors_close(&proxy->doors, proxy->conf);
	if (proxy->signal_fd >= 0)
		close(proxy->signal_fd);
	if (proxy->over_fd >= 0)
		close(proxy->over_fd);
	if (proxy->log_opened)
		log_close(&proxy->log);
}

int proxy_run(const struct conf *conf)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	int status;

	if (proxy == NULL)
		return EXIT_HOST;
	proxy->conf = conf;
	proxy->signal_fd = -1;
	proxy->over_fd = -1;
	status = open_all(proxy);
	if (status == EXIT_CLEAN && !start_workers(proxy)) {
		cut(proxy, PHASE_STOP);
		status = EXIT_HOST;
	} else if (status == EXIT_CLEAN) {
		status = run(proxy);
	}
	close_all(proxy);
	free(proxy);
	return status;
}
