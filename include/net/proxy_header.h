/* SPDX-License-Identifier: MIT */
/*
 * proxy_header - the PROXY protocol, versions 1 and 2: the header that a proxy puts in front of a
 * connection's bytes to say whose connection it carries.
 *
 *      v1   "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"        one line, at most 107 bytes
 *      v2   signature, version and command, family, length | addresses | TLVs          binary
 *
 * A header is required or forbidden, never guessed: the parser is told which versions may come, and
 * refuses whatever is neither at the first byte that shows it. It is strict where the specification
 * is: CRLF, single blanks, ports and IPv4 without needless zeros, no family or command that is not
 * defined, no TLV that reaches beyond the header. A checksum is verified where there is one, other
 * TLVs are skipped.
 * Pure: no system call, no allocation. It is fuzzed (tests/fuzz).
 */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stdint.h>

#include "net/addr.h"

/* Bits, for what is expected; one of them where one is written. */
enum proxy_header_version {
	PROXY_HEADER_V1 = 1,
	PROXY_HEADER_V2 = 2,
	PROXY_HEADER_ANY = PROXY_HEADER_V1 | PROXY_HEADER_V2,
};

#define PROXY_HEADER_V1_MAX 107u                         /* bytes of the line, CRLF included */
#define PROXY_HEADER_MAX (16u + 216u)                    /* bytes of one that is written */
#define PROXY_HEADER_READ_MAX (PROXY_HEADER_MAX + 2048u) /* and of one that is read: with TLVs */

enum proxy_header_progress {
	PROXY_HEADER_MORE, /* right so far, but not all of it */
	PROXY_HEADER_DONE,
	PROXY_HEADER_REFUSED, /* whatever follows */
};

struct proxy_header {
	uint32_t length; /* of the header: bytes[length] is the connection's first own byte */
	bool is_local; /* the connection is the sender's own, as a health check (LOCAL), or it does
			  * not say whose (UNKNOWN, AF_UNSPEC): the socket's own addresses count */
	struct addr source;      /* INET, INET6 or UNIX; NONE when is_local. A port may be 0 */
	struct addr destination; /* of the same kind */
};

/* bytes[0 .. len) are what has come of the connection, from its first byte; a buffer with room for
 * PROXY_HEADER_READ_MAX never needs to grow. Where they are cut makes no difference. MORE: call
 * again from the first byte when there are more. DONE: *header is filled in, bytes behind the
 * header are not looked at. REFUSED: *reason is a constant sentence; the connection is to be
 * closed. *header and *reason are written in no other case. */
enum proxy_header_progress proxy_header_parse(struct proxy_header *header,
					      enum proxy_header_version expected,
					      const uint8_t *bytes, uint32_t len,
					      const char **reason);

/* Writes the header of a connection from source to destination in the one version that is named.
 * IPv4 mapped into IPv6 is written as IPv4 where both are; one of them alone is written as IPv6.
 * Unix addresses are AF_UNIX in v2. What a version cannot say (unix addresses in v1, two of
 * different kinds, kinds that no socket has) is UNKNOWN or AF_UNSPEC: "somebody's".
 * Returns its bytes, at most PROXY_HEADER_MAX, in v1 at most PROXY_HEADER_V1_MAX. */
uint32_t proxy_header_write(uint8_t bytes[PROXY_HEADER_MAX], enum proxy_header_version version,
			    const struct addr *source, const struct addr *destination);

/* The header of a connection that the proxy makes for itself: LOCAL. Version 1 has no such word;
 * UNKNOWN stands in for it, which some servers refuse: there proxy_header_write() with the socket's
 * own two addresses is better. */
uint32_t proxy_header_write_local(uint8_t bytes[PROXY_HEADER_MAX],
				  enum proxy_header_version version);

#endif
