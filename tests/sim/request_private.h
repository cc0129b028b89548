/* SPDX-License-Identifier: MIT */
/*
 * request_private - what request_sim.c and send_sim.c share.
 */
#ifndef SIM_REQUEST_PRIVATE_H
#define SIM_REQUEST_PRIVATE_H

#include "request_sim.h"
#include "socket_sim.h"

/* Do what is possible now. */
void request_look(struct request *request);
/* Look again then, besides what else may be scheduled. */
void request_look_after(struct request *request, uint64_t after_ns);
/* The memory of a send is free. */
void request_unpin(struct request *request);
/* Out of its slot, with its last completion. */
void request_finish(struct request *request, int result, uint32_t flags);

void send_issue(struct request *request);
void send_look(struct request *request);
void connect_issue(struct request *request);
void connect_look(struct request *request);

#endif
