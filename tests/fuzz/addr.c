/* SPDX-License-Identifier: MIT */
/*
 * addr.c - any text as an address, and any bytes as what the kernel returned.
 *
 * Properties of a text:
 *   (1) It is refused with a reason and without a trace, or it becomes an address.
 *   (2) Shown and read again, the address is equal and of the same kind; only an IPv4 address
 *       mapped into IPv6 comes back as IPv4.
 *   (3) What is shown is a fixed point: it is shown the same the next time.
 *   (4) The address survives the way through a sockaddr.
 *
 * Bytes as a sockaddr are shown as a text that fits, whatever they are.
 */
#include <string.h>

#include "fuzz.h"
#include "net/addr.h"

#define TEXT_MAX 2048 /* longer than anything that is an address */

static bool is_mapped(const struct addr *addr)
{
	return addr->kind == ADDR_INET6 && IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr);
}

static void check_shown(const struct addr *addr)
{
	char text[ADDR_TEXT_MAX], text_again[ADDR_TEXT_MAX];
	const char *reason = NULL;
	struct addr again;

	assert(addr_format(text, addr) == text);
	assert(strlen(text) < ADDR_TEXT_MAX);
	assert(addr_parse(&again, text, &reason));
	assert(again.kind == (is_mapped(addr) ? ADDR_INET : addr->kind));
	assert(addr_equal(addr, &again));
	assert(addr_equal(&again, addr));
	assert(strcmp(addr_format(text_again, &again), text) == 0);
}

static void check_sockaddr(const struct addr *addr)
{
	struct addr again;

	assert(addr->len <= sizeof(addr->u));
	if (addr->len == 0) {
		assert(addr->kind == ADDR_FD || addr->kind == ADDR_NAME);
		return;
	}
	addr_from_sockaddr(&again, &addr->u.any, addr->len);
	assert(again.len == addr->len);
	assert(addr->kind == ADDR_ANY || addr_equal(&again, addr));
}

static void check_text(const char *text)
{
	const char *reason = NULL;
	struct addr addr, before;

	memset(&addr, 0xa5, sizeof(addr));
	before = addr;
	if (!addr_parse(&addr, text, &reason)) {
		assert(reason && reason[0] != '\0');
		assert(memcmp(&addr, &before, sizeof(addr)) == 0);
		return;
	}
	assert(reason == NULL);
	assert(addr.kind != ADDR_NONE);
	check_shown(&addr);
	check_sockaddr(&addr);
}

static void check_bytes(const uint8_t *data, size_t len)
{
	struct sockaddr_storage storage;
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	memset(&storage, 0, sizeof(storage));
	memcpy(&storage, data, len < sizeof(storage) ? len : sizeof(storage));
	addr_from_sockaddr(&addr, (const struct sockaddr *)&storage,
	                   (socklen_t)(len < sizeof(storage) ? len : sizeof(storage)));
	assert(strlen(addr_format(text, &addr)) < ADDR_TEXT_MAX);
	assert(addr_equal(&addr, &addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[TEXT_MAX];
	size_t text_len = len < TEXT_MAX ? len : TEXT_MAX - 1;

	if (len > 0)
		memcpy(text, data, text_len);
	text[text_len] = '\0';
	check_text(text);
	if (len > 0)
		check_bytes(data, len);
	return 0;
}
