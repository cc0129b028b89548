/* SPDX-License-Identifier: MIT */
/*
 * proxy_header.c - the PROXY protocol: proxy-protocol.txt of HAProxy, section 2.
 *
 *   v2:   0            12       13       14      16                               16 + length
 *         | signature  | 2|cmd  | fam|tp | length | source, destination, ports | TLV | .. |
 *
 * The addresses take 12, 36 or 216 bytes, a TLV 3 for its type and length and then its value.
 *
 * Every call starts at the first byte, so there is no state to keep: until all of a header is
 * there, little more than its front is looked at.
 *
 * In a header that gives no address to use (LOCAL, AF_UNSPEC) nothing behind the length is looked
 * at, as the specification asks for: its senders put there what they like.
 */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V1_FRONT (sizeof(v1_front) - 1)
#define V2_FRONT 16u
#define V2_VERSION 0x20u
#define TLV_FRONT 3u
#define TLV_CRC32C 0x03u
#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define UNIX_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

enum { COMMAND_LOCAL, COMMAND_PROXY, COMMAND_COUNT };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILY_COUNT };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM, TRANSPORT_COUNT };

static const char v1_front[] = "PROXY ";
static const uint8_t signature[12] = { '\r', '\n', '\r', '\n', '\0', '\r',
				       '\n', 'Q',  'U',  'I',  'T',  '\n' };
static const uint32_t address_bytes[FAMILY_COUNT] = { 0, 12, 36, 2 * UNIX_PATH_SIZE };

static_assert(UNIX_PATH_SIZE == 108, "a unix address of the protocol is one of the system");
static_assert(PROXY_HEADER_MAX == V2_FRONT + 2 * UNIX_PATH_SIZE, "the largest that is written");

static enum proxy_header_progress refuse(const char **reason, const char *sentence)
{
	assert(reason);
	assert(sentence[0] != '\0');
	*reason = sentence;
	return PROXY_HEADER_REFUSED;
}

static uint32_t least(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

/* Addresses from their bytes in network order, as both versions have them in the end. */
static void set_inet(struct addr *addr, const void *in, in_port_t port)
{
	memset(addr, 0, sizeof(*addr));
	addr->kind = ADDR_INET;
	addr->len = sizeof(addr->u.in);
	addr->u.in.sin_family = AF_INET;
	addr->u.in.sin_port = port;
	memcpy(&addr->u.in.sin_addr, in, sizeof(addr->u.in.sin_addr));
}

static void set_inet6(struct addr *addr, const void *in6, in_port_t port)
{
	memset(addr, 0, sizeof(*addr));
	addr->kind = ADDR_INET6;
	addr->len = sizeof(addr->u.in6);
	addr->u.in6.sin6_family = AF_INET6;
	addr->u.in6.sin6_port = port;
	memcpy(&addr->u.in6.sin6_addr, in6, sizeof(addr->u.in6.sin6_addr));
}

/* ------------------------------------------------------------------------------------ version 1 */

struct line {
	const char *at;
	const char *end; /* of the line, at its CR */
};

/* The field up to the next blank, as a string: of characters that addresses and ports have. The
 * blank in front of it belongs to it. */
static bool take_field(struct line *line, char field[INET6_ADDRSTRLEN])
{
	size_t len = 0;

	if (line->at == line->end || *line->at != ' ')
		return false;
	line->at++;
	for (; line->at < line->end && *line->at != ' '; line->at++) {
		if (*line->at == '\0' || !strchr("0123456789abcdefABCDEF:.", *line->at) ||
		    len == INET6_ADDRSTRLEN - 1)
			return false;
		field[len++] = *line->at;
	}
	field[len] = '\0';
	return len > 0;
}

/* In network order. */
static bool take_port(struct line *line, in_port_t *port)
{
	char field[INET6_ADDRSTRLEN];
	uint32_t sum = 0;

	if (!take_field(line, field) || (field[0] == '0' && field[1] != '\0'))
		return false;
	for (const char *at = field; *at; at++) {
		if (*at < '0' || *at > '9')
			return false;
		sum = sum * 10 + (uint32_t)(*at - '0');
		if (sum > UINT16_MAX)
			return false;
	}
	*port = htons((uint16_t)sum);
	return true;
}

/* " source destination port port", of family AF_INET or AF_INET6. */
static enum proxy_header_progress parse_v1_addresses(struct proxy_header *header, struct line *line,
						     int family, const char **reason)
{
	void (*set)(struct addr *, const void *, in_port_t) = family == AF_INET ? set_inet :
										  set_inet6;
	uint8_t addresses[2][sizeof(struct in6_addr)];
	char field[INET6_ADDRSTRLEN];
	in_port_t ports[2];

	for (int i = 0; i < 2; i++) {
		if (!take_field(line, field) || inet_pton(family, field, addresses[i]) != 1)
			return refuse(reason, family == AF_INET ?
						      "behind TCP4 stand two IPv4 addresses" :
						      "behind TCP6 stand two IPv6 addresses");
	}
	if (!take_port(line, &ports[0]) || !take_port(line, &ports[1]))
		return refuse(reason, "two ports from 0 to 65535 stand behind the addresses");
	if (line->at != line->end)
		return refuse(reason, "nothing stands behind the two ports");
	header->is_local = false;
	set(&header->source, addresses[0], ports[0]);
	set(&header->destination, addresses[1], ports[1]);
	return PROXY_HEADER_DONE;
}

static bool take_word(struct line *line, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(line->end - line->at) < len || memcmp(line->at, word, len) != 0)
		return false;
	line->at += len;
	return true;
}

static enum proxy_header_progress parse_v1_line(struct proxy_header *header, struct line *line,
						const char **reason)
{
	if (take_word(line, "TCP4"))
		return parse_v1_addresses(header, line, AF_INET, reason);
	if (take_word(line, "TCP6"))
		return parse_v1_addresses(header, line, AF_INET6, reason);
	if (!take_word(line, "UNKNOWN") || (line->at < line->end && *line->at != ' '))
		return refuse(reason, "behind PROXY stands TCP4, TCP6 or UNKNOWN");
	memset(header, 0, sizeof(*header));
	header->is_local = true;
	return PROXY_HEADER_DONE;
}

/* The line is read when it is whole; until then only that it can still become one is checked. */
static enum proxy_header_progress parse_v1(struct proxy_header *header, const uint8_t *bytes,
					   uint32_t len, const char **reason)
{
	struct proxy_header parsed;
	struct line line = { .at = (const char *)bytes + V1_FRONT };
	uint32_t most = least(len, PROXY_HEADER_V1_MAX);
	uint32_t at = 0;

	while (at < most && bytes[at] != '\r' && bytes[at] != '\n')
		at++;
	/* A CR as the last of 107 bytes has its LF behind them. */
	if (at + 1 >= PROXY_HEADER_V1_MAX)
		return refuse(reason, "the line has more than 107 bytes");
	if (at == len || (at + 1 == len && bytes[at] == '\r'))
		return PROXY_HEADER_MORE;
	if (bytes[at] != '\r' || bytes[at + 1] != '\n')
		return refuse(reason, "the line ends in CR and LF, and neither stands alone");
	line.end = (const char *)bytes + at;
	assert(at >= V1_FRONT);
	if (parse_v1_line(&parsed, &line, reason) != PROXY_HEADER_DONE)
		return PROXY_HEADER_REFUSED;
	*header = parsed;
	header->length = at + 2;
	assert(header->length <= PROXY_HEADER_V1_MAX);
	return PROXY_HEADER_DONE;
}

/* ------------------------------------------------------------------------------------ version 2 */

static uint32_t read_be16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t read_be32(const uint8_t *bytes)
{
	return read_be16(bytes) << 16 | read_be16(bytes + 2);
}

/* CRC-32C (RFC 3720 appendix B.4), half a byte at a time: headers are short, and few have one. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, uint32_t len)
{
	static const uint32_t steps[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (uint32_t i = 0; i < len; i++) {
		crc = crc >> 4 ^ steps[(crc ^ bytes[i]) & 15];
		crc = crc >> 4 ^ steps[(crc ^ bytes[i] >> 4) & 15];
	}
	return crc;
}

/* The sum over the header, with zeros where the sum itself stands. */
static bool checksum_holds(const uint8_t *bytes, uint32_t total, uint32_t at)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c(UINT32_MAX, bytes, at);

	assert(at + sizeof(zeros) <= total);
	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = crc32c(crc, bytes + at + sizeof(zeros), total - at - (uint32_t)sizeof(zeros));
	return ~crc == read_be32(bytes + at);
}

/* What is wrong with the TLVs in bytes[at .. total), or NULL. */
static const char *tlvs_fault(const uint8_t *bytes, uint32_t at, uint32_t total)
{
	bool is_summed = false;

	while (at < total) {
		uint32_t len;

		if (total - at < TLV_FRONT)
			return "the rest of the header is too short for a TLV";
		len = read_be16(bytes + at + 1);
		if (len > total - at - TLV_FRONT)
			return "a TLV is longer than the rest of the header";
		if (bytes[at] == TLV_CRC32C) {
			if (is_summed || len != 4)
				return "a header has one checksum, of 4 bytes";
			if (!checksum_holds(bytes, total, at + TLV_FRONT))
				return "the checksum of the header is wrong";
			is_summed = true;
		}
		at += TLV_FRONT + len;
	}
	assert(at == total);
	return NULL;
}

/* A path ends at its first zero; an abstract name begins with one, and those behind it fill the
 * field up. Control characters are not taken over into what is shown and logged. */
static bool read_unix(struct addr *addr, const uint8_t field[UNIX_PATH_SIZE])
{
	bool is_path = field[0] != '\0';
	size_t len = UNIX_PATH_SIZE;

	if (is_path) {
		len = strnlen((const char *)field, UNIX_PATH_SIZE);
	} else {
		while (len > 0 && field[len - 1] == '\0')
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		if (field[i] != '\0' && (field[i] < ' ' || field[i] == 0x7f))
			return false;
	}
	memset(addr, 0, sizeof(*addr));
	addr->kind = ADDR_UNIX;
	addr->u.un.sun_family = AF_UNIX;
	memcpy(addr->u.un.sun_path, field, len);
	/* unix(7): a path is counted with its final zero, where there is room for one. */
	addr->len = (socklen_t)(UNIX_PATH_OFFSET + len + (is_path && len < UNIX_PATH_SIZE));
	return true;
}

static in_port_t read_port(const uint8_t *bytes)
{
	in_port_t port;

	memcpy(&port, bytes, sizeof(port));
	return port;
}

static bool read_addresses(struct proxy_header *header, uint32_t family, const uint8_t *block)
{
	switch (family) {
	case FAMILY_INET:
		set_inet(&header->source, block, read_port(block + 8));
		set_inet(&header->destination, block + 4, read_port(block + 10));
		return true;
	case FAMILY_INET6:
		set_inet6(&header->source, block, read_port(block + 32));
		set_inet6(&header->destination, block + 16, read_port(block + 34));
		return true;
	case FAMILY_UNIX:
		return read_unix(&header->source, block) &&
		       read_unix(&header->destination, block + UNIX_PATH_SIZE);
	default:
		break;
	}
	unreachable();
	return false;
}

/* All of the header is there, and its front is right. Addresses of a transport that is not named
 * are checked, and then nobody's. */
static enum proxy_header_progress parse_v2_block(struct proxy_header *header, const uint8_t *bytes,
						 uint32_t total, const char **reason)
{
	struct proxy_header parsed;
	uint32_t family = bytes[13] >> 4;
	bool is_local = (bytes[12] & 15) == COMMAND_LOCAL || family == FAMILY_UNSPEC;
	const char *fault;

	if (!is_local) {
		fault = tlvs_fault(bytes, V2_FRONT + address_bytes[family], total);
		if (fault)
			return refuse(reason, fault);
		if (!read_addresses(&parsed, family, bytes + V2_FRONT))
			return refuse(reason, "a unix address has control characters");
		is_local = (bytes[13] & 15) == TRANSPORT_UNSPEC;
	}
	if (is_local)
		memset(&parsed, 0, sizeof(parsed));
	parsed.is_local = is_local;
	parsed.length = total;
	*header = parsed;
	return PROXY_HEADER_DONE;
}

static enum proxy_header_progress parse_v2(struct proxy_header *header, const uint8_t *bytes,
					   uint32_t len, const char **reason)
{
	uint32_t command, family, transport, total;

	if (len > 12 && ((bytes[12] & 0xf0u) != V2_VERSION || (bytes[12] & 15) >= COMMAND_COUNT))
		return refuse(reason, "the version is not 2, or the command not LOCAL or PROXY");
	if (len <= 13)
		return PROXY_HEADER_MORE;
	command = bytes[12] & 15;
	family = bytes[13] >> 4;
	transport = bytes[13] & 15;
	if (command == COMMAND_PROXY && (family >= FAMILY_COUNT || transport >= TRANSPORT_COUNT))
		return refuse(reason, "the family or the transport is not one of version 2");
	if (len < V2_FRONT)
		return PROXY_HEADER_MORE;
	total = V2_FRONT + read_be16(bytes + 14);
	if (total > PROXY_HEADER_READ_MAX)
		return refuse(reason, "the header has more than 2280 bytes");
	if (command == COMMAND_PROXY && total < V2_FRONT + address_bytes[family])
		return refuse(reason, "the header is too short for the addresses of its family");
	if (len < total)
		return PROXY_HEADER_MORE;
	return parse_v2_block(header, bytes, total, reason);
}

enum proxy_header_progress proxy_header_parse(struct proxy_header *header,
					      enum proxy_header_version expected,
					      const uint8_t *bytes, uint32_t len,
					      const char **reason)
{
	assert(expected >= PROXY_HEADER_V1 && expected <= PROXY_HEADER_ANY);
	if (len == 0)
		return PROXY_HEADER_MORE;
	if ((expected & PROXY_HEADER_V1) &&
	    memcmp(bytes, v1_front, least(len, (uint32_t)V1_FRONT)) == 0)
		return parse_v1(header, bytes, len, reason);
	if ((expected & PROXY_HEADER_V2) &&
	    memcmp(bytes, signature, least(len, sizeof(signature))) == 0)
		return parse_v2(header, bytes, len, reason);
	return refuse(reason, expected == PROXY_HEADER_V1 ? "no PROXY header of version 1" :
			      expected == PROXY_HEADER_V2 ? "no PROXY header of version 2" :
							    "no PROXY header");
}

/* -------------------------------------------------------------------------------------- writing */

/* Both addresses, of one family. */
struct pair {
	uint32_t family;
	uint8_t source[16]; /* INET: the first 4 */
	uint8_t destination[16];
	in_port_t source_port;
	in_port_t destination_port;
};

/* As IPv6 sees it. Returns false for what has no such form. */
static bool in6_of(const struct addr *addr, uint8_t in6[16], in_port_t *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (addr->kind == ADDR_INET) {
		memcpy(in6, mapped, sizeof(mapped));
		memcpy(in6 + 12, &addr->u.in.sin_addr, 4);
		*port = addr->u.in.sin_port;
		return true;
	}
	if (addr->kind != ADDR_INET6)
		return false;
	memcpy(in6, &addr->u.in6.sin6_addr, 16);
	*port = addr->u.in6.sin6_port;
	return true;
}

static bool is_mapped(const uint8_t in6[16])
{
	struct in6_addr copy;

	memcpy(&copy, in6, sizeof(copy));
	return IN6_IS_ADDR_V4MAPPED(&copy);
}

static struct pair pair_of(const struct addr *source, const struct addr *destination)
{
	struct pair pair = { .family = FAMILY_UNSPEC };

	if (source->kind == ADDR_UNIX && destination->kind == ADDR_UNIX)
		pair.family = FAMILY_UNIX;
	if (!in6_of(source, pair.source, &pair.source_port) ||
	    !in6_of(destination, pair.destination, &pair.destination_port))
		return pair;
	pair.family = FAMILY_INET6;
	if (is_mapped(pair.source) && is_mapped(pair.destination)) {
		pair.family = FAMILY_INET;
		memmove(pair.source, pair.source + 12, 4);
		memmove(pair.destination, pair.destination + 12, 4);
	}
	return pair;
}

/* The protocol's form of an address has no IPv4 part, as inet_ntop() writes into ::ffff:192.0.2.7
 * and ::192.0.2.7. */
static void format_in6(char text[INET6_ADDRSTRLEN], const uint8_t in6[16])
{
	inet_ntop(AF_INET6, in6, text, INET6_ADDRSTRLEN);
	if (strchr(text, '.'))
		snprintf(text, INET6_ADDRSTRLEN, "%s:%x:%x", is_mapped(in6) ? "::ffff" : ":",
			 read_be16(in6 + 12), read_be16(in6 + 14));
}

static uint32_t write_v1(uint8_t bytes[PROXY_HEADER_MAX], const struct pair *pair)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int len;

	if (pair->family != FAMILY_INET && pair->family != FAMILY_INET6) {
		len = snprintf((char *)bytes, PROXY_HEADER_MAX, "PROXY UNKNOWN\r\n");
		return (uint32_t)len;
	}
	if (pair->family == FAMILY_INET) {
		inet_ntop(AF_INET, pair->source, source, sizeof(source));
		inet_ntop(AF_INET, pair->destination, destination, sizeof(destination));
	} else {
		format_in6(source, pair->source);
		format_in6(destination, pair->destination);
	}
	len = snprintf((char *)bytes, PROXY_HEADER_MAX, "PROXY %s %s %s %u %u\r\n",
		       pair->family == FAMILY_INET ? "TCP4" : "TCP6", source, destination,
		       ntohs(pair->source_port), ntohs(pair->destination_port));
	assert(len > 0 && (uint32_t)len <= PROXY_HEADER_V1_MAX);
	return (uint32_t)len;
}

static uint32_t write_v2_front(uint8_t bytes[PROXY_HEADER_MAX], uint32_t command, uint32_t family)
{
	uint32_t len = address_bytes[family];

	memcpy(bytes, signature, sizeof(signature));
	bytes[12] = (uint8_t)(V2_VERSION | command);
	bytes[13] = (uint8_t)(family << 4 |
			      (family == FAMILY_UNSPEC ? TRANSPORT_UNSPEC : TRANSPORT_STREAM));
	bytes[14] = (uint8_t)(len >> 8);
	bytes[15] = (uint8_t)len;
	return V2_FRONT + len;
}

static void write_unix(uint8_t field[UNIX_PATH_SIZE], const struct addr *addr)
{
	size_t len = addr->len > UNIX_PATH_OFFSET ? addr->len - UNIX_PATH_OFFSET : 0;

	assert(addr->kind == ADDR_UNIX && len <= UNIX_PATH_SIZE);
	memset(field, 0, UNIX_PATH_SIZE);
	memcpy(field, addr->u.un.sun_path, len);
}

static uint32_t write_v2(uint8_t bytes[PROXY_HEADER_MAX], const struct pair *pair,
			 const struct addr *source, const struct addr *destination)
{
	uint32_t total = write_v2_front(bytes, COMMAND_PROXY, pair->family);
	uint32_t address = pair->family == FAMILY_INET ? 4 : 16;
	uint8_t *block = bytes + V2_FRONT;

	if (pair->family == FAMILY_UNIX) {
		write_unix(block, source);
		write_unix(block + UNIX_PATH_SIZE, destination);
	} else if (pair->family != FAMILY_UNSPEC) {
		memcpy(block, pair->source, address);
		memcpy(block + address, pair->destination, address);
		memcpy(block + 2 * address, &pair->source_port, 2);
		memcpy(block + 2 * address + 2, &pair->destination_port, 2);
	}
	assert(total <= PROXY_HEADER_MAX);
	return total;
}

uint32_t proxy_header_write(uint8_t bytes[PROXY_HEADER_MAX], enum proxy_header_version version,
			    const struct addr *source, const struct addr *destination)
{
	struct pair pair = pair_of(source, destination);

	assert(version == PROXY_HEADER_V1 || version == PROXY_HEADER_V2);
	return version == PROXY_HEADER_V1 ? write_v1(bytes, &pair) :
					    write_v2(bytes, &pair, source, destination);
}

uint32_t proxy_header_write_local(uint8_t bytes[PROXY_HEADER_MAX],
				  enum proxy_header_version version)
{
	static const struct pair nobody = { .family = FAMILY_UNSPEC };

	assert(version == PROXY_HEADER_V1 || version == PROXY_HEADER_V2);
	return version == PROXY_HEADER_V1 ? write_v1(bytes, &nobody) :
					    write_v2_front(bytes, COMMAND_LOCAL, FAMILY_UNSPEC);
}
