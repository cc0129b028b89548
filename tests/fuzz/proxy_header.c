/* SPDX-License-Identifier: MIT */
/*
 * proxy_header.c - any bytes as the front of a connection, and any addresses as what is written.
 *
 * The first byte says which versions are expected; the rest is the connection.
 *
 * Properties:
 *   (1) Where the bytes are cut makes no difference: MORE up to one length, and from there on DONE
 *       or REFUSED, with the same result or reason. Bytes behind the header are not looked at.
 *   (2) Nothing is written to but what belongs to the answer.
 *   (3) What was expected in one version is refused in the other, and taken in either.
 *   (4) The addresses, written and read again, are the same.
 *   (5) Any two addresses that the kernel could have returned are written as a header that is read.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "net/proxy_header.h"

#define CONNECTION_MAX 4096

struct answer {
	enum proxy_header_progress progress;
	struct proxy_header header;
	const char *reason;
};

static struct answer ask(enum proxy_header_version expected, const uint8_t *bytes, uint32_t len)
{
	struct answer answer, before;
	uint8_t *exact = malloc(len > 0 ? len : 1);

	assert(exact);
	if (len > 0)
		memcpy(exact, bytes, len);
	memset(&answer, 0xa5, sizeof(answer));
	before = answer;
	answer.progress = proxy_header_parse(&answer.header, expected, exact, len, &answer.reason);
	free(exact);
	if (answer.progress != PROXY_HEADER_DONE)
		assert(!memcmp(&answer.header, &before.header, sizeof(before.header)));
	if (answer.progress == PROXY_HEADER_REFUSED)
		assert(answer.reason[0] != '\0');
	else
		assert(answer.reason == before.reason);
	return answer;
}

static bool same(const struct answer *one, const struct answer *other)
{
	if (one->progress != other->progress || one->reason != other->reason)
		return false;
	return one->progress != PROXY_HEADER_DONE ||
	       (one->header.length == other->header.length &&
		one->header.is_local == other->header.is_local &&
		addr_equal(&one->header.source, &other->header.source) &&
		addr_equal(&one->header.destination, &other->header.destination));
}

static void check_kinds(const struct proxy_header *header)
{
	enum addr_kind kind = header->source.kind;

	assert(kind == header->destination.kind);
	assert((kind == ADDR_NONE) == header->is_local);
	assert(kind == ADDR_NONE || kind == ADDR_INET || kind == ADDR_INET6 || kind == ADDR_UNIX);
}

static void check_written(enum proxy_header_version version, const struct addr *source,
			  const struct addr *destination)
{
	uint8_t written[PROXY_HEADER_MAX];
	uint32_t len = proxy_header_write(written, version, source, destination);
	struct answer answer = ask(version, written, len);

	assert(len <= (version == PROXY_HEADER_V1 ? PROXY_HEADER_V1_MAX : PROXY_HEADER_MAX));
	assert(answer.progress == PROXY_HEADER_DONE);
	assert(answer.header.length == len);
	check_kinds(&answer.header);
	if (source->kind != destination->kind || source->kind == ADDR_NONE)
		return;
	if (source->kind == ADDR_UNIX && version == PROXY_HEADER_V1) {
		assert(answer.header.is_local);
		return;
	}
	assert(addr_equal(&answer.header.source, source));
	assert(addr_equal(&answer.header.destination, destination));
}

static void check_connection(enum proxy_header_version expected, const uint8_t *bytes, uint32_t len)
{
	struct answer whole = ask(expected, bytes, len);
	enum proxy_header_version other;
	bool is_over = false;

	for (uint32_t cut = 0; cut < len; cut++) {
		struct answer answer = ask(expected, bytes, cut);

		assert(!is_over || answer.progress != PROXY_HEADER_MORE);
		is_over = answer.progress != PROXY_HEADER_MORE;
		assert(!is_over || same(&answer, &whole));
		if (whole.progress == PROXY_HEADER_DONE)
			assert(is_over == (cut >= whole.header.length));
	}
	if (whole.progress != PROXY_HEADER_DONE)
		return;
	assert(whole.header.length <= len && whole.header.length <= PROXY_HEADER_READ_MAX);
	check_kinds(&whole.header);
	other = bytes[0] == 'P' ? PROXY_HEADER_V2 : PROXY_HEADER_V1;
	assert(ask(other, bytes, len).progress == PROXY_HEADER_REFUSED);
	assert(ask(PROXY_HEADER_ANY - other, bytes, len).progress == PROXY_HEADER_DONE);
	check_written(PROXY_HEADER_V1, &whole.header.source, &whole.header.destination);
	check_written(PROXY_HEADER_V2, &whole.header.source, &whole.header.destination);
}

/* What a header can carry of a unix address: no control characters, and no zeros at the end of an
 * abstract name. */
static void tame_unix(struct addr *addr)
{
	char *path = addr->u.un.sun_path;
	size_t front = offsetof(struct sockaddr_un, sun_path);

	for (size_t i = 0; i < sizeof(addr->u.un.sun_path); i++) {
		if (path[i] != '\0')
			path[i] = (char)('a' + (path[i] & 15));
	}
	while (addr->len > front && path[addr->len - front - 1] == '\0')
		addr->len--;
}

/* As from accept(): two names as they come. */
static void check_addresses(const uint8_t *bytes, uint32_t len)
{
	static const sa_family_t families[] = { AF_UNIX, AF_INET, AF_INET6 };
	struct sockaddr_storage storage;
	struct addr addrs[2];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t half = len / 2 < sizeof(storage) ? len / 2 : (uint32_t)sizeof(storage);

		memset(&storage, 0, sizeof(storage));
		memcpy(&storage, bytes + i * (len / 2), half);
		storage.ss_family = families[bytes[0] % ARRAY_COUNT(families)];
		addr_from_sockaddr(&addrs[i], (const struct sockaddr *)&storage, half);
		if (addrs[i].kind == ADDR_INET6)
			addrs[i].u.in6.sin6_scope_id = 0;
		if (addrs[i].kind == ADDR_UNIX)
			tame_unix(&addrs[i]);
	}
	check_written(PROXY_HEADER_V1, &addrs[0], &addrs[1]);
	check_written(PROXY_HEADER_V2, &addrs[0], &addrs[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t rest = (uint32_t)(len < CONNECTION_MAX ? len : CONNECTION_MAX);

	if (len == 0)
		return 0;
	check_connection((enum proxy_header_version)(data[0] % 3 + 1), data + 1, rest - 1);
	if (len > 2)
		check_addresses(data, rest);
	return 0;
}
