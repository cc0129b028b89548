/* SPDX-License-Identifier: MIT */
/*
 * front - who a client is, and what stands in front of a connection's own bytes.
 *
 *      client --- [ PROXY header ] bytes --> the engine --- [ PROXY header ] bytes --> server
 *                 drawn here, in pieces,                    read here, by the project's own
 *                 sound or not                              parser, and compared
 *
 * A front is beside the pipe: it takes no room in it, and offsets of a stream begin behind it.
 *
 * Who a client is, is known before it comes: by its header, or else by its socket. So is whether it
 * must be kept out. What is checked, whatever the engine does:
 *
 *   (1) A server is reached only by a client whose header was received in whole and is sound, came
 *       from a peer that may send one, and whom the access list lets in.
 *   (2) A server that is to get a header gets exactly one, in front of everything else, and it
 *       names that client and the address that it connected to.
 *   (3) Of one source no more clients reach servers at a time than source_sessions, and no more in
 *       a while than source_rate and source_burst allow.
 */
#ifndef SIM_FRONT_H
#define SIM_FRONT_H

#include "plan.h"

struct source_limits;

enum front_kind {
	FRONT_SOUND,
	FRONT_LOCAL, /* sound, and names nobody */
	FRONT_BROKEN,
	FRONT_OTHER_VERSION,
	FRONT_MISSING,
	FRONT_CUT, /* the client finishes in the middle of it */
	FRONT_KINDS,
};

/* Addresses of clients; of those of IPv6 all are of one source. */
#define FRONT_ADDRESSES 6u
void front_address(struct addr *addr, uint32_t number);
/* The number of a client's address; FRONT_ADDRESSES: it is a unix socket's. */
uint32_t front_number(const struct addr *addr);

/* Makes the access lists of the plan. */
void front_open(struct plan *plan);
void front_close(void);
/* From the seed; the listeners and upstreams are there. */
void front_plan_draw(struct plan *plan);

/* A client of this listener: its address, and what it writes in front. */
void front_draw(struct conn *conn, const struct conf_listener *listener);
/* The same, told by a scenario before the client's first step. */
void front_come_from(struct conn *conn, uint32_t address);
void front_say(struct conn *conn, enum front_kind kind, uint32_t source);

/* What the server of a session is to be told, if anything. */
void front_expect(struct conn *conn, const struct conn *client, enum conf_send_proxy version);
/* The first bytes that come to a server: how many belong to the front. */
uint64_t front_take(struct conn *conn, const uint8_t *bytes, uint64_t count);
/* Rules (1) and (3), whenever something of a client's is to reach a server. */
void front_reaches(struct conn *client);
/* At the end: nothing is counted for a source any more. */
void front_check_sources(struct source_limits *limits);

/* Must be kept out. */
static inline bool front_is_barred(const struct conn *client)
{
	return client->bar != BAR_NONE;
}

#endif
