/* SPDX-License-Identifier: MIT */
/*
 * conf - proxy.ini as one immutable snapshot.
 *
 *      proxy.ini --inih--> sections and keys --keys.def--> typed values --checks--> struct conf
 *
 * The rows of keys.def are the only list of keys: parser, bounds, defaults, `--help-config` and the
 * test that proxy.ini shows every key all read them. conf_load() reports every error of the file in
 * one pass. A snapshot is never changed after conf_load(); whoever holds it may read it from any
 * thread, and the last conf_unref() frees it.
 *
 * proxy.ini is read strictly. A line is a section, `key = value` or a comment; blanks around each
 * do not matter, a comment starts at ";" or "#" at the front of a line or behind a blank, nothing
 * continues on the next line, and values have no quotation marks. A file has at most
 * CONF_FILE_MAX bytes.
 *
 * Not here: whether the host can carry the configuration (app/fit.c).
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "http/edit.h"
#include "net/access_list.h"
#include "net/addr.h"
#include "net/cidr.h"

enum conf_huge_pages { HUGE_PAGES_TRY, HUGE_PAGES_REQUIRE, HUGE_PAGES_OFF };
enum conf_accept { ACCEPT_KERNEL, ACCEPT_ROUND_ROBIN, ACCEPT_LEAST_SESSIONS };
enum conf_wait { WAIT_BALANCED, WAIT_LATENCY, WAIT_THROUGHPUT, WAIT_SQPOLL };
enum conf_zero_copy { ZERO_COPY_AUTO, ZERO_COPY_ON, ZERO_COPY_OFF };
enum conf_mode { MODE_TCP, MODE_HTTP };
enum conf_access_format { ACCESS_TEXT, ACCESS_JSON };
enum conf_pool { POOL_CLIENT, POOL_WORKER, POOL_SHARED, POOL_OFF };
/* The bits of enum proxy_header_version. */
enum conf_proxy_protocol { PROXY_OFF, PROXY_V1, PROXY_V2, PROXY_ANY };
enum conf_send_proxy { SEND_PROXY_OFF, SEND_PROXY_V1, SEND_PROXY_V2 };
enum conf_balance {
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_SESSIONS,
	BALANCE_RANDOM_TWO,
	BALANCE_SOURCE_HASH,
	BALANCE_MAGLEV,
};
enum conf_health { PROBE_OFF, PROBE_TCP, PROBE_HTTP };
enum conf_on_down { ON_DOWN_KEEP, ON_DOWN_CLOSE };
enum conf_family { FAMILY_ANY, FAMILY_INET, FAMILY_INET6 };
enum conf_action { ACTION_UPSTREAM, ACTION_RESPOND, ACTION_REDIRECT };
enum conf_affinity { AFFINITY_AUTO, AFFINITY_OFF, AFFINITY_LIST };

#define CONF_WORKERS_MAX 256
/* Slices of buffer_size that each worker's share of buffer_memory must hold at least. */
#define CONF_SLICES_PER_WORKER_MIN 32
#define CONF_CPUS_MAX 1024
#define CONF_NAME_MAX 64
#define CONF_FILE_MAX (1u << 20)
#define CONF_BINDS_MAX 1024   /* over all listeners */
#define CONF_SERVERS_MAX 1024 /* per upstream, places of names among them */
#define CONF_RESOLVERS_MAX 8
#define CONF_TARGET_MAX 512u  /* characters of a health_path */
#define CONF_SOURCES_MAX 64   /* per upstream */
#define CONF_PAGES_MAX 64     /* per listener */
#define CONF_PAGE_MAX 65536u  /* bytes of one */
#define CONF_WEIGHT_MAX 1000  /* of a target */
#define CONF_EDITS_MAX 128    /* headers set or removed by a route, per direction */
#define CONF_ADDED_MAX 16384u /* bytes of headers set or added, the same */
#define CONF_RULES_MAX 65536u /* hosts times paths of routes, over all listeners */

struct conf_proxy {
	uint32_t workers; /* 0: auto, one per CPU the process may use */
	enum conf_affinity cpu_affinity;
	uint16_t *cpus; /* cpu_affinity = list: worker i runs on cpus[i % cpus_count] */
	uint32_t cpus_count;
	uint32_t max_sessions;
	bool max_sessions_is_set; /* false: the default, which start may lower to fit the host */
	uint64_t buffer_memory;   /* bytes, over all workers */
	uint32_t buffer_size;     /* bytes; a power of two */
	uint32_t session_window;  /* bytes */
	enum conf_huge_pages huge_pages;
	enum conf_accept accept;
	enum conf_wait wait;
	enum conf_zero_copy zero_copy_send;
	uint64_t drain_timeout_ns;
	char *log; /* "stderr", "syslog" or a path with a slash in it */
	enum log_level log_level;
	char *user; /* NULL: keep */
	char *group;
	struct addr *resolvers;      /* name servers: INET or INET6, with a port */
	uint32_t resolvers_count;    /* 0: those of /etc/resolv.conf */
	uint64_t resolve_timeout_ns; /* for an answer, over all tries */
	uint64_t resolve_min_ns;  /* an answer is asked for again after its time to live, but not */
	uint64_t resolve_max_ns;  /* sooner than min and not later than max, which is not less */
	uint64_t resolve_hold_ns; /* a name that is gone keeps its last addresses for so long */
};

struct conf_upstream;
struct http_router;

/* What is sent in place of the proxy's own text when it answers with this status. */
struct conf_page {
	uint16_t status;  /* 400 .. 599, once per listener */
	const char *type; /* constant: a media type */
	char *body;       /* read by conf_load(); NULL from conf_load_text() */
	uint32_t len;     /* bytes of body, at most CONF_PAGE_MAX */
	int line;
	char *path; /* of the file */
};

struct conf_listener {
	char name[CONF_NAME_MAX];
	int line; /* of its section, for messages */
	struct addr *binds;
	int *binds_lines;     /* line of each bind, for messages */
	uint32_t binds_count; /* at least 1 */
	enum conf_mode mode;
	struct conf_upstream *upstream; /* borrowed from the same snapshot; with MODE_HTTP NULL
					 * when only routes say where requests go */
	uint32_t max_sessions;          /* 0: only the proxy's limit, in the file "proxy" */
	uint32_t backlog;
	uint64_t client_timeout_ns;
	uint64_t fin_timeout_ns;

	/* Who may come, and how often. A client is known by the address in its PROXY header, or by
	 * that of its socket where none is expected or the header names none. */
	uint8_t proxy_protocol;     /* enum conf_proxy_protocol */
	struct cidr *proxy_from;    /* peers that may send the header; the others are closed */
	uint32_t proxy_from_count;  /* 0: all may */
	struct access_list *access; /* NULL: everybody */
	uint32_t source_sessions;   /* of one source at one time; 0: no limit */
	uint32_t source_rate;       /* new ones of one source per second; 0: no limit */
	uint32_t source_burst;      /* at once; 0: as many as source_rate, in the file "rate" */

	/* MODE_HTTP; with MODE_TCP these have their defaults, and router is NULL. */
	uint64_t head_timeout_ns;
	uint64_t keepalive_timeout_ns;
	uint32_t max_head;    /* bytes */
	uint32_t max_headers; /* fields */
	char *access_log;     /* NULL: off; "stderr", "syslog" or a path with a slash in it */
	enum conf_access_format access_log_format;
	bool allow_connect;      /* CONNECT is served, by routes with method = CONNECT only */
	char *upgrade_protocols; /* lower case, one blank between two; NULL: none */
	uint32_t body_min_rate;  /* bytes per second; 0: no limit */
	struct conf_page *pages;
	uint32_t pages_count;
	struct http_router *router; /* over the listener's routes; http_router_find() returns the
				     * index of one. Also there when it has no route */
};

/* A server, or a place for one of the addresses that a host name turns out to have. */
struct conf_server {
	char name[ADDR_TEXT_MAX]; /* the address's text as in the file, unless name=X was given; of
				   * a place, with #1, #2 .. behind it */
	struct addr addr;         /* NAME: a place of one of the upstream's names, and the text that
				   * the file has; with port 0 of SRV records */
	uint32_t weight;       /* 0 (drained) .. 256; of a place of SRV records 1: theirs count */
	uint32_t max_sessions; /* over all workers; 0: no limit */
	bool is_backup;
	int line;
};

/* `server = HOST:PORT addresses=N`, or `server = _SERVICE._tcp.HOST addresses=N` for SRV records,
 * which bring ports and weights with them. Who has which of the places is not known here: the
 * snapshot only reserves them. */
struct conf_name {
	char host[ADDR_NAME_MAX + 1]; /* lower case, without a final dot */
	uint16_t port;                /* 0: of SRV records */
	bool is_srv;
	uint32_t first;  /* its places among the upstream's servers: `places` of them, */
	uint32_t places; /* 1 .. CONF_SERVERS_MAX */
	uint32_t spares; /* and behind these as many backups for SRV records of another priority
			  * than the first, or 0 */
	int line;
};

/* Statuses of a response, both inclusive, within 100 .. 599. */
struct conf_statuses {
	uint32_t first;
	uint32_t last;
};

struct conf_upstream {
	char name[CONF_NAME_MAX];
	uint32_t index; /* 0 .. upstreams_count-1 */
	int line;
	struct conf_server *servers;
	uint32_t servers_count; /* at least 1 */
	struct conf_name *names;
	uint32_t names_count;
	enum conf_family resolve; /* which addresses of the names are wanted */
	uint64_t connect_timeout_ns;
	uint64_t server_timeout_ns;
	uint32_t retries; /* further servers tried when connecting fails */
	enum conf_pool pool;
	uint64_t pool_idle_ns;
	uint32_t pool_max; /* idle connections per server and set */
	enum conf_balance balance;
	enum conf_health health;
	uint64_t health_interval_ns;
	uint64_t health_timeout_ns;
	uint32_t health_rise;
	uint32_t health_fall;
	char *health_path; /* a request target in origin form */
	char *health_host; /* NULL: the server's address */
	struct conf_statuses health_status;
	uint32_t health_port; /* 0: the server's */
	uint32_t eject_after; /* failures in a row; 0: never */
	uint64_t eject_time_ns;
	uint64_t slow_start_ns;
	enum conf_on_down on_down;
	uint32_t queue; /* sessions that wait for a place; 0: none */
	uint64_t queue_timeout_ns;
	uint32_t retry_budget; /* percent of the requests */
	enum conf_send_proxy send_proxy;
	struct addr *sources; /* INET or INET6 with port 0: local addresses to dial from, those of
			       * the server's family in turn; of a family without one the kernel
			       * chooses */
	uint32_t sources_count;
};

struct conf_target {
	struct conf_upstream *upstream; /* borrowed from the same snapshot */
	uint32_t weight;                /* 0 .. CONF_WEIGHT_MAX */
};

/* [route NAME]: which requests, what to do with them, and what to change on the way. */
struct conf_route {
	char name[CONF_NAME_MAX];
	uint32_t index; /* 0 .. routes_count-1, in the order of the file */
	int line;

	/* Which; the listeners' routers are made of these. */
	struct conf_listener **listeners; /* borrowed; all http listeners when none was given */
	uint32_t listeners_count;         /* at least 1 */
	char **hosts;                     /* lower case: exact, or "*.suffix" */
	uint32_t hosts_count;             /* 0: any */
	char **paths;                     /* "/exact", or a prefix that ends in slash and star */
	uint32_t paths_count;             /* 0: any */
	char *method;                     /* NULL: any but CONNECT */
	char *field_name;                 /* lower case; NULL: no condition */
	char *field_value;                /* "*": any, as long as the field is there */

	/* What. */
	enum conf_action action;
	struct conf_target *targets; /* ACTION_UPSTREAM: at least 1, at least one with weight > 0 */
	uint32_t targets_count;
	uint32_t weights_sum;
	uint32_t status; /* RESPOND: 200 .. 599; REDIRECT: 301, 302, 303, 307 or 308 */
	char *text;      /* RESPOND: the body, or NULL for none. REDIRECT: the location, in which
			  * {host}, {path} and {query} stand for head->host, head->path and
			  * head->query (with its "?"); no other "{" or "}" is in it */

	/* Changes; the response's also go into answers of RESPOND and REDIRECT. */
	struct http_edits request_edits;
	struct http_edits response_edits;
	struct cidr *trusted; /* clients whose X-Forwarded-For and Forwarded are kept */
	uint32_t trusted_count;
};

struct conf {
	_Atomic uint32_t refs;
	char *path;
	struct conf_proxy proxy;
	struct conf_listener *listeners;
	uint32_t listeners_count; /* at least 1 */
	struct conf_upstream *upstreams;
	uint32_t upstreams_count;
	struct conf_route *routes;
	uint32_t routes_count;
};

struct conf_error {
	int line; /* 0: the file as a whole */
	char *text;
};

/* All errors of one file, in the order of their lines. */
struct conf_errors {
	struct conf_error *rows;
	uint32_t count;
	uint32_t dropped; /* beyond CONF_ERRORS_MAX */
};
#define CONF_ERRORS_MAX 200

/* Read and check a file, and look up what only the system knows: host names of binds, user, group,
 * and the files of error pages (blocks). Those of servers stay names: see struct conf_name.
 * Returns a snapshot with one reference, or NULL with at least one error, counted or dropped.
 * `errors` need not be initialised; the caller frees them in both cases. */
struct conf *conf_load(const char *path, struct conf_errors *errors);
/* The same from memory, without looking anything up: all host names stay ADDR_NAME, user and group
 * unchecked, pages without a body. It makes no system call, so it is fuzzed. `path` is what
 * conf->path will say. */
struct conf *conf_load_text(const char *path, const char *text, size_t len,
			    struct conf_errors *errors);
/* One line per error, `FILE:LINE: text`; `FILE: text` for the file as a whole. */
void conf_errors_print(const struct conf_errors *errors, const char *path, FILE *out);
void conf_errors_free(struct conf_errors *errors);

struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf);

/* The manual of every key, or of one ("max_sessions", or "listener.max_sessions"; an unknown key
 * prints the nearest to err and returns false). */
bool conf_help(FILE *out, FILE *err, const char *key);

#endif
