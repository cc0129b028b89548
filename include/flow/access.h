/* SPDX-License-Identifier: MIT */
/*
 * access - what happened to one request, or to one TCP session, as one line.
 *
 * Text, always these fields in this order; "-" is what did not happen or is not known:
 *
 *   2026-11-25T12:00:00.123Z web 192.0.2.1 "GET /a?b HTTP/1.1" 200 in=0 out=1024 head=0.1ms
 *   queue=- connect=0.2ms first=1.1ms total=1.3ms host=example.org route=api
 *   server=app/10.0.0.2:9000 tries=1 conn=reused close=-
 *
 * (one line). Of a TCP session the request is the word tcp. conn is reused (from a pool), new, or
 * "-" without a server. Times are exact to the microsecond.
 *
 * JSON, always these keys in this order, null for what did not happen:
 *
 *   time         "2026-11-25T12:00:00.123Z"       queue_us      microseconds each, or null
 *   listener     name                             connect_us
 *   client       address                          first_byte_us
 *   protocol     "HTTP/1.1", "HTTP/1.0", "tcp"    total_us
 *   method       as sent                          route         name
 *   target       as sent                          upstream      name
 *   host         name                             server        name
 *   status       number                           reused        true: from a pool
 *   bytes_in     number                           tries         servers tried
 *   bytes_out    number                           close         why it ended early
 *   head_us      see queue_us
 *
 * A byte that is not printable ASCII, a quote or a backslash is \xHH in text (a blank too, outside
 * of the request's quotes), and \u00HH, \" or \\ in JSON: \u00HH stands for a byte, not for a
 * character. So no peer can forge a line or a field, or steer a terminal.
 *
 * A line that does not fit loses the end of its long texts first: target, then host, then the rest;
 * numbers are never cut. The mark of a cut is \... in text and \u2026 (an ellipsis) in JSON, which
 * no text that a peer sends can make.
 */
#ifndef FLOW_ACCESS_H
#define FLOW_ACCESS_H

#include <stdint.h>

#include "base/assert.h"

#define ACCESS_LINE_MIN 512u /* the room that any record fits, with its texts cut */
#define ACCESS_NEVER UINT64_MAX

/* Borrowed; len 0: none. */
struct access_text {
	const char *text;
	uint32_t len;
};

struct access_record {
	const char *listener;
	char client[64];  /* address, without its port; empty: not known */
	uint64_t time_ms; /* when it began, since 1970 */
	bool is_http;
	/* The request; nothing of it is known of a head that could not be parsed. */
	struct access_text method;
	struct access_text target;
	struct access_text host;
	uint8_t minor;     /* HTTP/1.minor */
	uint16_t status;   /* 0: none was sent */
	uint64_t bytes_in; /* payload of the client's connection */
	uint64_t bytes_out;
	/* Microseconds, or ACCESS_NEVER. */
	uint64_t head_us; /* first byte to complete head */
	uint64_t queue_us;
	uint64_t connect_us;
	uint64_t first_byte_us; /* of the response */
	uint64_t total_us;
	/* Names, or NULL. */
	const char *route;
	const char *upstream;
	const char *server;
	const char *close_reason;
	uint32_t tries;
	bool reused; /* the server's connection came from a pool */
};

/* One line with its newline, at most room bytes of it (room >= ACCESS_LINE_MIN), no zero at its
 * end. Returns its length. */
uint32_t access_format_text(const struct access_record *record, char *out, uint32_t room);
uint32_t access_format_json(const struct access_record *record, char *out, uint32_t room);

#endif
