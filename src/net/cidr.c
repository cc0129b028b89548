/* SPDX-License-Identifier: MIT */
/*
 * cidr.c - blocks of addresses as text, and what is in them.
 */
#include "net/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_BITS 96 /* of ::ffff:0:0/96, in front of the address itself */

static bool refuse(const char **reason, const char *sentence)
{
	assert(sentence[0] != '\0');
	*reason = sentence;
	return false;
}

/* The number behind the slash, in its one spelling. */
static bool read_bits(const char *text, uint32_t max, uint32_t *bits)
{
	size_t len = strlen(text);
	uint32_t sum = 0;

	if (len == 0 || len > 3 || (text[0] == '0' && len > 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		sum = sum * 10 + (uint32_t)(text[i] - '0');
	}
	*bits = sum;
	return sum <= max;
}

/* Are all bits of the address behind the first `bits` 0? */
static bool rest_is_zero(const uint8_t bytes[16], uint32_t bits)
{
	assert(bits <= 128);
	for (uint32_t i = bits; i < 128; i++) {
		if (bytes[i / 8] & (0x80u >> (i % 8)))
			return false;
	}
	return true;
}

bool cidr_parse(struct cidr *cidr, const char *text, const char **reason)
{
	size_t len = strcspn(text, "/");
	char host[INET6_ADDRSTRLEN];
	struct cidr parsed = { .bytes = { [10] = 0xff, [11] = 0xff } };
	uint32_t max = 32;
	uint32_t bits;

	if (len == 0 || len >= sizeof(host))
		return refuse(reason, "a block of addresses is written as 10.0.0.0/8, "
				      "2001:db8::/32 or an address alone");
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &parsed.bytes[12]) != 1) {
		max = 128;
		if (inet_pton(AF_INET6, host, parsed.bytes) != 1)
			return refuse(reason, "a block of addresses is written as 10.0.0.0/8, "
					      "2001:db8::/32 or an address alone");
	}
	bits = max;
	if (text[len] == '/' && !read_bits(text + len + 1, max, &bits))
		return refuse(reason, max == 32 ?
					      "behind the slash of an IPv4 block stands 0 to 32" :
					      "behind the slash of an IPv6 block stands 0 to "
					      "128");
	parsed.bits = (uint8_t)(bits + (max == 32 ? V4_BITS : 0));
	if (!rest_is_zero(parsed.bytes, parsed.bits))
		return refuse(reason, "the address has bits behind those of the block: 10.0.0.0/8, "
				      "not 10.0.0.1/8");
	*cidr = parsed;
	return true;
}

bool cidr_holds_in6(const struct cidr *cidr, const uint8_t in6[16])
{
	uint32_t whole = cidr->bits / 8;
	uint32_t rest = cidr->bits % 8;

	assert(cidr->bits <= 128);
	if (memcmp(cidr->bytes, in6, whole) != 0)
		return false;
	return rest == 0 || ((cidr->bytes[whole] ^ in6[whole]) >> (8 - rest)) == 0;
}

bool cidr_holds(const struct cidr *cidr, const struct addr *addr)
{
	uint8_t in6[16] = { [10] = 0xff, [11] = 0xff };

	switch (addr->kind) {
	case ADDR_INET:
		memcpy(&in6[12], &addr->u.in.sin_addr, 4);
		return cidr_holds_in6(cidr, in6);
	case ADDR_INET6:
		return cidr_holds_in6(cidr, addr->u.in6.sin6_addr.s6_addr);
	default:
		return false;
	}
}
