/* SPDX-License-Identifier: MIT */
/*
 * verify - frames as requests and answers: is what comes back what was sent, whole, once, in order?
 *
 * Each request is a frame with an id of its own; its answer must be one frame with that id, of the
 * length that was asked for, and with a checksum that holds. What is wrong is named:
 *
 *      another id that was sent before the one expected     "duplicated"
 *      another id                                           "swapped"
 *      the id, another length                               "wrong length"
 *      the id, another checksum                             "wrong bytes"
 *      no frame                                             "no frame"
 *
 * A proxy that has no server to ask, or one that does not answer, says 502, 503 or 504, with a body
 * of its own. That is no frame but no content either: it is counted as a refused request, by its
 * status. It must be a whole answer in the place of one: within another's body it is wrong bytes,
 * and cut off it is an error of receiving. What has such a status and begins as a frame is checked
 * like any other.
 */
#ifndef LOAD_VERIFY_H
#define LOAD_VERIFY_H

#include "client.h"

/* The vector of the frame: its header, in `pending`, and its payload (at most 3 parts). */
uint32_t verify_parts(const struct plan *plan, struct pending *pending, struct iovec *parts);
/* Bytes of the answer to the oldest request. False: wrong, and the client is gone. */
bool verify_bytes(struct client *client, const uint8_t *bytes, uint32_t count);
/* The answer is complete: was it one whole frame? */
bool verify_finish(struct client *client);
/* A complete frame that should answer the oldest request. False: wrong, and the client is gone. */
bool verify_frame(struct client *client, const struct frame *frame, enum frame_event event);

#endif
