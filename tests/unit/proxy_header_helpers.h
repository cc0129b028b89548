/* SPDX-License-Identifier: MIT */
/*
 * proxy_header_helpers.h - PROXY headers, cut at every byte, each time in a block of exactly that
 * length, so that a sanitizer sees a look beyond it.
 */
#ifndef TESTS_UNIT_PROXY_HEADER_HELPERS_H
#define TESTS_UNIT_PROXY_HEADER_HELPERS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"
#include "unit.h"

#define BYTES_MAX 4096

struct bytes {
	uint8_t at[BYTES_MAX];
	uint32_t len;
};

static inline void add(struct bytes *bytes, const void *more, size_t len)
{
	assert(bytes->len + len <= BYTES_MAX);
	memcpy(bytes->at + bytes->len, more, len);
	bytes->len += (uint32_t)len;
}

static inline void add_zeros(struct bytes *bytes, size_t len)
{
	assert(bytes->len + len <= BYTES_MAX);
	memset(bytes->at + bytes->len, 0, len);
	bytes->len += (uint32_t)len;
}

/* The first len bytes, in a block of their own. */
static inline enum proxy_header_progress parse(struct proxy_header *header,
					       enum proxy_header_version expected,
					       const uint8_t *bytes, uint32_t len,
					       const char **reason)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	enum proxy_header_progress progress;

	assert(exact);
	memcpy(exact, bytes, len);
	progress = proxy_header_parse(header, expected, exact, len, reason);
	free(exact);
	return progress;
}

/* A header that is right: it is found as soon as it is whole, and not before. */
static inline bool check_good(struct proxy_header *header, enum proxy_header_version expected,
			      const struct bytes *bytes)
{
	enum proxy_header_version other = PROXY_HEADER_ANY - expected;
	static struct bytes longer;
	const char *reason = NULL;
	struct proxy_header again;

	memset(header, 0xa5, sizeof(*header));
	again = *header;
	for (uint32_t len = 0; len < bytes->len; len++) {
		CHECK_UINT(parse(header, expected, bytes->at, len, &reason), PROXY_HEADER_MORE);
		CHECK_UINT(parse(header, PROXY_HEADER_ANY, bytes->at, len, &reason),
			   PROXY_HEADER_MORE);
		CHECK(memcmp(header, &again, sizeof(again)) == 0);
		CHECK_UINT(parse(header, other, bytes->at, len, &reason),
			   len > 0 ? PROXY_HEADER_REFUSED : PROXY_HEADER_MORE);
		reason = NULL;
	}
	if (!CHECK_UINT(parse(header, expected, bytes->at, bytes->len, &reason), PROXY_HEADER_DONE))
		return false;
	CHECK_UINT(header->length, bytes->len);
	longer.len = 0;
	add(&longer, bytes->at, bytes->len);
	add(&longer, "PROXY \r\n\r\n\r\n\r\n\r\n", 16);
	for (uint32_t len = bytes->len; len <= longer.len; len++) {
		CHECK_UINT(parse(&again, PROXY_HEADER_ANY, longer.at, len, &reason),
			   PROXY_HEADER_DONE);
		CHECK_UINT(again.length, bytes->len);
		CHECK(addr_equal(&again.source, &header->source));
	}
	return CHECK(reason == NULL);
}

/* One that is wrong: refused when it is whole at the latest, with the same reason wherever it was
 * cut, and never taken back. */
static inline void check_bad(enum proxy_header_version expected, const struct bytes *bytes,
			     const char *words)
{
	enum proxy_header_progress before = PROXY_HEADER_MORE;
	struct proxy_header header, untouched;

	memset(&header, 0xa5, sizeof(header));
	untouched = header;
	for (uint32_t len = 0; len <= bytes->len; len++) {
		const char *reason = "";
		enum proxy_header_progress progress =
			parse(&header, expected, bytes->at, len, &reason);

		CHECK(progress != PROXY_HEADER_DONE);
		CHECK(before == PROXY_HEADER_MORE || progress == PROXY_HEADER_REFUSED);
		if (progress == PROXY_HEADER_REFUSED && !CHECK(strstr(reason, words) != NULL))
			printf("after %u bytes: %s\n", len, reason);
		before = progress;
	}
	CHECK_UINT(before, PROXY_HEADER_REFUSED);
	CHECK(memcmp(&header, &untouched, sizeof(header)) == 0);
}

static inline void check_addr(const struct addr *addr, const char *text)
{
	char shown[ADDR_TEXT_MAX];

	CHECK_TEXT(addr_format(shown, addr), text);
}

/* NULL: local. */
static inline void check_addresses(const struct proxy_header *header, const char *source,
				   const char *destination)
{
	CHECK(header->is_local == (source == NULL));
	check_addr(&header->source, source ? source : "none");
	check_addr(&header->destination, destination ? destination : "none");
}

/* Version 2, byte by byte. */
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL 0x20
#define PROXY 0x21
#define UNSPEC 0x00
#define TCP4 0x11
#define UDP4 0x12
#define TCP6 0x21
#define UDP6 0x22
#define STREAM 0x31
#define DATAGRAM 0x32

#endif
