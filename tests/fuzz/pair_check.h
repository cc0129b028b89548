/* SPDX-License-Identifier: MIT */
/*
 * pair_check - what must be true of all that both sides of the proxy got, when all is over.
 *
 * Messages are read by the layer's own strict parsers, http_head and http_chunk.
 *   (1) A server gets well-formed requests, of which only the last may be cut, and each is one that
 *       a client made: method, target and body are the same.
 *   (2) A server's connection is used again only when all that the server sent is the responses to
 *       the requests before, all of them whole. So no byte that came while no request was
 *       outstanding is taken for an answer.
 *   (3) A client gets well-formed responses, as many as requests at most; each is that of a server
 *       to such a request, or the proxy's own. None follows one that says that it is the last.
 *   (4) A response that is cut is followed by a reset, and never looks complete.
 *   (5) Behind a 101 or an answered CONNECT, bytes are those of the other side, from there on.
 */
#ifndef PAIR_CHECK_H
#define PAIR_CHECK_H

#include "http/head.h"

/* limits: of the listener. */
void pair_check(const struct http_limits *limits);
/* What a route answers with. */
#define PAIR_ROUTE_TEXT "from here"

#endif
