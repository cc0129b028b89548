/* SPDX-License-Identifier: MIT */
/*
 * watch - what must be true of servers and queues, whatever the engine does:
 *
 *   (1) A server has at most max_sessions sessions over all workers, counted where it stands.
 *   (2) No session is dialled to a server that is not up, or to a backup while another is up; nor
 *       to one that has been down in truth for longer than its checks need to find out. And no
 *       session is told that there is no server while one is up.
 *   (3) A queue is served in order, in each worker; nobody overtakes it, nobody waits in it for
 *       longer than queue_timeout, and nobody while there is room. It has at most `queue` sessions
 *       over all workers.
 *   (4) A server that goes down takes its sessions along with on_down = close, soon, and only then.
 *   (5) At most half of the servers that are up or ejected are ejected.
 *   (6) With source_hash and maglev a client stays at its server while all servers stay as they
 *       are.
 *
 * Where only the engine knows (who is in a queue, what it holds a server for) it is asked.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "socket_sim.h"

struct op;
struct server;
struct session;
struct sim;

void watch_open(struct sim *sim);
/* Whose connect it is; NULL: a health check's. */
const struct session *watch_session(const struct op *connect);
/* A session begins to connect to an origin; it is connected. */
void watch_dial(const struct session *session, uint16_t number);
void watch_connected(const struct server *server, const struct conn *conn);
/* A request comes over a connection that stood already. */
void watch_request(const struct conn *conn);
void watch_turn(struct sim *sim, uint32_t worker);
/* At the end, before all is closed. */
void watch_check_end(struct sim *sim);

#endif
