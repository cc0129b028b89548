/* SPDX-License-Identifier: MIT */
/*
 * queue - sessions that wait for a place at a server, when every usable one has max_sessions.
 *
 *      session_dial() --all full--> [ first | .. | last ] --a place is free--> dialled
 *                                        one list per upstream and worker
 *
 * Served in order, over all workers: each publishes since when its first one has waited, and dials
 * only for one that waited as long as any other worker's (to a millisecond). A new session goes
 * behind those that wait, in whichever worker, even if a place has just become free.
 *
 * A place that becomes free here goes to the first in this worker's list in the same turn; if
 * another worker's turn it is, that one is nudged through its ring. Should a nudge not arrive, it
 * looks by itself within QUEUE_LOOK_MS.
 *
 * The length is bounded over all workers (`queue`), the wait by queue_timeout.
 */
#ifndef FLOW_QUEUE_H
#define FLOW_QUEUE_H

#include "flow/flow.h"
#include "session.h"

#define QUEUE_LOOK_MS 10
#define NUDGE_NONE UINT32_MAX

void queues_open(struct flow *flow);
/* server_session_end(), and word to whoever waits for the place. */
void queue_place_back(struct flow *flow, struct server *server);
/* Do others wait for the session's upstream, so that it must not overtake them? */
bool queue_is_ahead(const struct session *session);
/* False: the queue is full, or there is none. */
bool queue_enter(struct session *session);
void queue_leave(struct session *session);
/* Dial for those for whom there is a place now. */
void queues_serve(struct flow *flow);

#endif
