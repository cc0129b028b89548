/* SPDX-License-Identifier: MIT */
/*
 * hlog - histograms as text that others read: HdrHistogram's V2 encoding, and its log of one
 * histogram per interval.
 *
 *      encoding   base64( cookie, length, zlib( cookie, .., counts as zig-zag LEB128 ) )
 *                 a positive number is a count, a negative one that many empty slots
 *      log line   start, length, maximum, encoding          (seconds, seconds, milliseconds)
 */
#ifndef LOAD_HLOG_H
#define LOAD_HLOG_H

#include <stdio.h>

#include "base/histogram.h"

/* The encoding, allocated; the caller frees it. */
char *hlog_encode(const struct histogram *histogram);
/* Add what the encoding holds; *lost counts values that are too large. False: not an encoding of
 * 3 significant digits. */
bool hlog_decode(const char *text, struct histogram *histogram, uint64_t *lost);

/* start_s: seconds since the epoch. */
void hlog_begin(FILE *out, double start_s);
void hlog_line(FILE *out, double at_s, double length_s, const struct histogram *histogram);
/* The encoding within a line of a log; NULL: the line holds none. */
char *hlog_encoding_of(char *line);

#endif
