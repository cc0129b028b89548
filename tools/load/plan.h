/* SPDX-License-Identifier: MIT */
/*
 * plan - what is to be done: the command line, checked and resolved. Nothing changes it once a run
 * has begun, so all threads read it without locks.
 */
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include <stdio.h>

#include "amounts.h"
#include "source.h"
#include "target.h"

enum mode { MODE_HTTP, MODE_RR, MODE_STREAM, MODE_CRR, MODE_IDLE, MODE_CHURN };
enum arrival_kind { ARRIVAL_CONST, ARRIVAL_POISSON };
enum direction { DIRECTION_UP, DIRECTION_DOWN, DIRECTION_BOTH };
enum proxy_protocol { PROXY_NONE, PROXY_V1, PROXY_V2 };

#define PLAN_PIPELINE_MAX 32
#define PLAN_THREADS_MAX 64
#define PLAN_RUNS_MAX 100
#define PLAN_PIDS_MAX 8

struct plan {
	/* load */
	uint64_t connections;
	uint64_t threads;
	uint64_t duration_ns; /* 0: until count */
	uint64_t count;       /* 0: until duration */
	double rate;          /* 0: closed loop */
	int arrival;
	int mode; /* -1: by the target */
	int direction;
	uint64_t warmup_ns;
	uint64_t drain_ns;
	uint64_t timeout_ns;
	uint64_t runs;
	uint64_t seed;
	/* connections */
	double conn_rate;
	uint64_t ramp_ns;
	uint64_t reconnect; /* requests per connection; 0: any number */
	uint64_t lifetime_ns;
	uint64_t pipeline;
	struct source source;
	const char *bind;
	int proxy_protocol;
	/* content */
	struct texts headers;
	const char *method;
	const char *body_text;
	const char *body_file;
	struct texts templates;
	const char *path_template; /* of them, the one that begins with a slash */
	const char *body_template; /* and the other one; @FILE */
	const char *urls_file;
	const char *host;
	uint64_t size;  /* 0: not given */
	uint64_t reply; /* 0: as size */
	bool verify;
	bool chunked; /* the body goes as chunks */
	/* misbehaving clients, percent of the connections */
	double slow_read_percent;
	double slow_write_percent;
	double half_close_percent;
	double reset_percent;
	double slow_rate; /* bytes per second of the slow ones */
	/* judging */
	const char *fail_if;
	const char *find;
	const char *versus;
	const char *watch;
	int pids[PLAN_PIDS_MAX];
	uint32_t pids_count;
	/* output */
	const char *json;
	const char *csv;
	const char *hlog;
	const char *html;
	bool latency; /* wrk's --latency */
	bool quiet;
	bool tui;
	bool help;
	bool version;
	const char *pin;
	int cpus[PLAN_THREADS_MAX];
	uint32_t cpus_count;
	const char *script; /* wrk's -s: explained, not run */
	bool wrk2_u_latency;
	/* resolved */
	struct targets targets;
};

/* 0: ready; 1: done already (--help, --version); -1: refused, after a line on stderr. */
int plan_from_words(struct plan *plan, int argc, char **argv);
/* A plan for what --vs names, the rest the same; false after a line on stderr. */
bool plan_of_base(struct plan *base, const struct plan *plan);
void plan_release(struct plan *plan);

extern const char *const plan_mode_names[];
/* A connection that requests and answers travel on, one after the other. */
static inline bool plan_has_requests(const struct plan *plan)
{
	return plan->mode != MODE_STREAM && plan->mode != MODE_IDLE;
}

#endif
