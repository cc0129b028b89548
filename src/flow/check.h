/* SPDX-License-Identifier: MIT */
/*
 * check - active health checks: is a server fit for sessions?
 *
 *      WAITING --its time--> CONNECTING --(tcp)----------------------> result
 *         ^                      |                                        |
 *         |                      '--(http)--> ASKED --a response head-----+
 *         |                                                               |
 *         '------ server_checked() says when the next is due -------------'
 *                 (ENDING: the socket is aborted, ops come home)
 *
 * Each server is checked by one worker of the process, on its ring; health_timeout bounds a check
 * as a whole. A check leaves no connection behind that waits for anything: it ends with a reset.
 */
#ifndef FLOW_CHECK_H
#define FLOW_CHECK_H

#include "flow/flow.h"

struct flow;

/* Checks that this worker makes, and the memory of each; flow->checks is made of it. */
uint32_t checks_wanted(struct flow *flow);
size_t check_bytes(void);
void checks_init(struct flow *flow);
void checks_start(struct flow *flow);
/* Draining: no further check begins; those under way end (flow->checks_running). */
void checks_stop(struct flow *flow);

/* Say what became of servers since the last time: log, counters, sessions of on_down = close. */
void checks_tell(struct flow *flow);

#endif
