/* SPDX-License-Identifier: MIT */
/*
 * source.c - parsing and binding, as in source.h.
 */
#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/units.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define COUNT_MAX (1ull << 24)

static uint32_t address_bytes(const struct source *source)
{
	return source->family == AF_INET ? 4 : 16;
}

/* Clear the bits behind the prefix, and count what they can hold. */
static void mask(struct source *source, uint64_t prefix)
{
	uint32_t bits = address_bytes(source) * 8;
	uint32_t bit;

	for (bit = (uint32_t)prefix; bit < bits; bit++)
		source->first[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	source->count = bits - prefix >= 24 ? COUNT_MAX : 1ull << (bits - prefix);
}

bool source_parse(struct source *source, const char *text, const char **reason)
{
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct source parsed = { .count = 1 };
	char address[INET6_ADDRSTRLEN];
	uint64_t prefix;

	*reason = "an address or a range such as 127.0.0.0/24 is needed";
	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	parsed.family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(parsed.family, address, parsed.first) != 1)
		return false;
	if (slash != NULL) {
		if (!units_parse_number(slash + 1, &prefix) || prefix > address_bytes(&parsed) * 8)
			return false;
		mask(&parsed, prefix);
	}
	*source = parsed;
	return true;
}

/* first + number, as one big-endian integer. */
static void nth(const struct source *source, uint64_t number, uint8_t address[16])
{
	uint32_t at = address_bytes(source);
	uint64_t carry = number % source->count;

	memcpy(address, source->first, 16);
	while (carry > 0 && at-- > 0) {
		carry += address[at];
		address[at] = (uint8_t)carry;
		carry >>= 8;
	}
}

int source_bind(const struct source *source, int fd, uint64_t number)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	uint8_t address[16];
	int on = 1;
	int result;

	if (source->family == 0)
		return 0;
	nth(source, number, address);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (source->family == AF_INET) {
		memcpy(&in.sin_addr, address, 4);
		result = bind(fd, (struct sockaddr *)&in, sizeof(in));
	} else {
		memcpy(&in6.sin6_addr, address, 16);
		result = bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	}
	return result < 0 ? -errno : 0;
}
