/* SPDX-License-Identifier: MIT */
/*
 * wire - one connected socket, as something to receive from.
 *
 * The client's is a part of its session. A server's is a part of a server_conn (pool.h), which may
 * outlive the session: between two requests nobody uses it, and its receive stays armed to see
 * whether the server ends it or says something that nobody asked for.
 */
#ifndef FLOW_WIRE_H
#define FLOW_WIRE_H

#include "ring/op.h"

enum side { SIDE_CLIENT, SIDE_SERVER, SIDE_COUNT };

struct flow;
struct session;

struct wire {
	struct op recv;
	struct flow *flow;
	int fd;              /* -1: none */
	uint8_t side;        /* whose socket it is, and so what the wire is a part of */
	uint8_t recv_class;  /* of the receive that is away */
	bool recv_many : 1;  /* the receive that is away is multishot */
	bool nonempty : 1;   /* the last receive left something in the socket */
	bool cancelling : 1; /* the receive was asked to end */
	bool watching : 1;   /* the op `recv` watches a source that is not received from */
};

void wire_init(struct wire *wire, struct flow *flow, enum side side, int fd);
void on_recv(struct op *op, int result, uint32_t flags);

#endif
