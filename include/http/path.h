/* SPDX-License-Identifier: MIT */
/*
 * path - the ways in which servers may read one path.
 *
 * A server may decode escapes or not, take %2f, %5c and the backslash for slashes or not, and join
 * empty segments before or after ".." takes away what stands in front of it. A path that is plain
 * is the same in all of them. Pure.
 */
#ifndef HTTP_PATH_H
#define HTTP_PATH_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_PATH_DECODED (1u << 0) /* escapes of printable characters are the characters; what
				     * stays an escape has capital digits */
#define HTTP_PATH_SLASHES (1u << 1) /* %2f, %5c and the backslash are slashes */
#define HTTP_PATH_JOINED (1u << 2)  /* empty segments are gone before ".." counts segments */
#define HTTP_PATH_WAYS (1u << 3)    /* sets of these flags */

/* Has the path only one way to be read? */
bool http_path_is_plain(const uint8_t *path, uint32_t len);

/* The path read in this way, without ".", ".." and empty segments, into `text`, which has room for
 * len bytes. The path begins with a slash. Returns the length, 1 .. len. */
uint32_t http_path_read(uint8_t *text, const uint8_t *path, uint32_t len, uint32_t ways);

#endif
