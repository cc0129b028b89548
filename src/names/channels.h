/* SPDX-License-Identifier: MIT */
/*
 * channels - the way to the name servers, and the only file that knows c-ares.
 *
 * A channel of c-ares is made for each name server, so that it is lookup.c that decides who is
 * asked when, and which answer was whose: of a channel with several servers c-ares says no more
 * than that none of them was of use. There are two of them for each server, one with the search
 * domains of resolv.conf and one without, and one more that only reads the hosts file.
 *
 * One thread only. Nothing here waits, but for channels_wait().
 */
#ifndef NAMES_CHANNELS_H
#define NAMES_CHANNELS_H

#include "reply.h"

enum query_kind { QUERY_INET, QUERY_INET6, QUERY_SRV };

/* What a query's end says about the server that was asked. */
enum query_end {
	QUERY_ANSWERED,    /* the reply is FOUND or GONE */
	QUERY_ERROR,       /* it answered with an error, or not in a way to be understood */
	QUERY_BROKEN,      /* it cannot be reached, or its connection ended */
	QUERY_SILENT,      /* it did not answer in time */
	QUERY_IMPOSSIBLE,  /* no server could answer this */
	QUERY_INTERRUPTED, /* its channel was closed */
};

/* What the reply owns is the callee's. May be called within channels_ask(). */
typedef void query_ended(void *context, enum query_end end, struct reply *reply);

struct channels_options {
	const struct addr *servers; /* borrowed */
	uint32_t servers_count;     /* 0: the system's */
	uint64_t timeout_ms; /* after which a query is SILENT, shared by all servers and tries */
	uint32_t tries;      /* of each server */
	query_ended *ended;
};

struct channels;

/* NULL: no memory. There are no channels yet. */
struct channels *channels_open(const struct channels_options *options);
/* Queries under way end as INTERRUPTED, here and in channels_renew(). NULL: nothing happens. */
void channels_close(struct channels *channels);

/* Make the channels, if there are none, or if resolv.conf has changed. Returns how many servers
 * there are now: 0 when they could not be made. */
uint32_t channels_renew(struct channels *channels);

/* Look a host up in the hosts file. False: it is not there. Else both replies are filled in, and
 * what they own is the caller's: by index, INET and INET6. */
bool channels_read_hosts(struct channels *channels, const char *host, struct reply replies[2]);

/* Ask one server. With is_exact, and for SRV, the search domains are not tried. */
void channels_ask(struct channels *channels, uint32_t server, enum query_kind kind,
		  const char *host, bool is_exact, void *context);

/* Wait for what servers say, for time to pass, or until wake_fd is readable, and deal with it. */
void channels_wait(struct channels *channels, int wake_fd, uint64_t timeout_ms);

#endif
