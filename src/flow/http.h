/* SPDX-License-Identifier: MIT */
/*
 * http - what a session of a listener with mode = http does between its two sockets.
 *
 *   http.c           the session's steps from request to request, its time limits, its end
 *   http_request.c   a head is collected, parsed, routed and sent on
 *   http_response.c  the same for what the server answers
 *   http_body.c      bodies pass, within their framing
 *   http_answer.c    answers of our own
 *
 * Bytes that a relay of such a session received are held back (relay->held_back) until their
 * meaning is known. http_advance() goes on as far as the bytes in hand allow; it decides what may
 * be sent, and the relays send it. After a 101 or an answered CONNECT the session is a tunnel, and
 * its relays carry bytes as those of mode = tcp do.
 */
#ifndef FLOW_HTTP_H
#define FLOW_HTTP_H

#include "exchange.h"
#include "flow/flow.h"
#include "http/head.h"
#include "session.h"

enum http_step {
	STEP_WAIT, /* for more bytes, or for what is being sent */
	STEP_ON,   /* something was done: go on */
	STEP_GONE, /* the session is closed, and may be free memory */
};

/* One of the session's relays has something new. May close the session. */
void http_flush(struct session *session, struct relay *relay);
/* No server could be reached. May free the session. */
void http_no_server(struct session *session, enum close_reason reason);
/* When it would be closed or answered, and why. */
uint64_t http_deadline_ms(const struct session *session, enum close_reason *reason);
/* That time has come. May free the session. */
void http_timed_out(struct session *session, enum close_reason reason);
/* A tunnel: its exchange ends as soon as the response is sent. */
void http_tunnel_begun(struct session *session);
/* Draining: what waits for a request ends. */
void http_drain(struct flow *flow);

/* --- between the files of http_*.c ------------------------------------------------------------ */

enum http_step http_request_head(struct session *session);
/* Send the request that is in hand to a server. */
enum http_step http_request_dial(struct session *session);
enum http_step http_response(struct session *session);
/* Let the body bytes in hand of one direction pass. */
enum http_step http_body_pass(struct session *session, enum side side);
/* Begin a body; framing as in enum http_framing. */
void http_body_begin(struct exchange_way *way, const struct http_head *head, bool data_only);
/* The first bytes in hand of a side, as they were received in one piece; nearly always all of a
 * head. */
uint8_t *http_first(struct session *session, enum side side, uint32_t *len);
/* Make the first slice in hand begin so many bytes earlier; they are the caller's to fill and to
 * count. NULL: there is no memory for it. */
uint8_t *http_make_room(struct session *session, enum side side, uint32_t bytes);
/* http_shelf.c: what is in hand of an unfinished head goes to a shelf, if it is small, and comes
 * back in front of what follows. False: no memory. */
void http_shelve(struct session *session);
bool http_unshelve(struct session *session);
void http_shelf_drop(struct session *session);
/* The bytes in hand in one piece, moved together: all of them, or as many as there is memory
 * for. */
uint8_t *http_gather(struct session *session, enum side side, uint32_t *len);
/* Take a head of that many bytes out of the queue; its slice is held by the exchange. */
void http_take_head(struct session *session, enum side side, uint32_t bytes);

/* Answer in the server's place. detail: NULL or a few words. The connection to the server, if there
 * is one, is given up. `reason`: why the session ends, if it does. */
enum http_step http_answer(struct session *session, uint32_t status, const char *detail,
			   enum close_reason reason);
bool http_may_answer(const struct session *session);
/* The answer of a route: respond or redirect. */
enum http_step http_answer_route(struct session *session, const uint8_t *base);
/* Give the connection to the server up, whatever is under way on it. */
void http_drop_server(struct session *session);
/* The server failed before it answered: once more, or 502. */
enum http_step http_server_failed(struct session *session, enum close_reason reason);
/* The response has come in whole: its server is free. */
void http_response_received(struct session *session);
/* A line to the access log, if there is one and this exchange has none yet. */
void http_log(struct session *session, enum close_reason reason);
/* The body of a direction is malformed, or its source ended in the middle of it. */
enum http_step http_body_refused(struct session *session, enum side side, uint32_t refusal);
enum http_step http_body_ended(struct session *session, enum side side);
/* Drop what is held back. */
void http_forget_rest(struct session *session, enum side side);

/* Of a response; a request's limit is max_head. */
#define HTTP_RESPONSE_HEAD_MAX 32768u

#endif
