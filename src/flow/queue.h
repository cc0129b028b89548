/* SPDX-License-Identifier: MIT */
/*
 * queue - sessions that wait for a place at a server, when every usable one has max_sessions.
 *
 *      session_dial() --all full--> [ first | .. | last ] --a place is free--> dialled
 *                                        one list per upstream and worker
 *
 * Served in order: a new session goes behind those that wait, even if a place has just become free.
 * The length is bounded over all workers (`queue`), the wait by queue_timeout. A place that becomes
 * free in this worker is given in the same turn, one of another worker's within QUEUE_LOOK_MS.
 */
#ifndef FLOW_QUEUE_H
#define FLOW_QUEUE_H

#include "flow/flow.h"
#include "session.h"

#define QUEUE_LOOK_MS 10

void queues_open(struct flow *flow);
/* Do others wait for the session's upstream, so that it must not overtake them? */
bool queue_is_ahead(const struct session *session);
/* False: the queue is full, or there is none. */
bool queue_enter(struct session *session);
void queue_leave(struct session *session);
/* Dial for those for whom there is a place now. */
void queues_serve(struct flow *flow);

#endif
