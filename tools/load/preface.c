/* SPDX-License-Identifier: MIT */
/*
 * preface.c - writing PROXY protocol headers of version 1 and 2.
 */
#include "preface.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct ends {
	struct sockaddr_storage from;
	struct sockaddr_storage to;
};

static uint32_t version_1(char preface[PREFACE_MAX], const struct ends *ends)
{
	const struct sockaddr_in *from = (const void *)&ends->from, *to = (const void *)&ends->to;
	const struct sockaddr_in6 *from6 = (const void *)from, *to6 = (const void *)to;
	char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
	int length;

	if (ends->from.ss_family == AF_INET) {
		inet_ntop(AF_INET, &from->sin_addr, source, sizeof(source));
		inet_ntop(AF_INET, &to->sin_addr, target, sizeof(target));
		length = snprintf(preface, PREFACE_MAX, "PROXY TCP4 %s %s %u %u\r\n",
		                  source, target,
		                  ntohs(from->sin_port), ntohs(to->sin_port));
	} else if (ends->from.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &from6->sin6_addr, source, sizeof(source));
		inet_ntop(AF_INET6, &to6->sin6_addr, target, sizeof(target));
		length = snprintf(preface, PREFACE_MAX, "PROXY TCP6 %s %s %u %u\r\n",
		                  source, target,
		                  ntohs(from6->sin6_port), ntohs(to6->sin6_port));
	} else {
		length = snprintf(preface, PREFACE_MAX, "PROXY UNKNOWN\r\n");
	}
	assert(length > 0 && length < PREFACE_MAX);
	return (uint32_t)length;
}

/* addresses, then ports; returns the bytes after the fixed 16. */
static uint32_t put_addresses(char *at, const struct ends *ends)
{
	const struct sockaddr_in *from = (const void *)&ends->from, *to = (const void *)&ends->to;
	const struct sockaddr_in6 *from6 = (const void *)from, *to6 = (const void *)to;

	if (ends->from.ss_family == AF_INET) {
		memcpy(at, &from->sin_addr, 4);
		memcpy(at + 4, &to->sin_addr, 4);
		memcpy(at + 8, &from->sin_port, 2);
		memcpy(at + 10, &to->sin_port, 2);
		return 12;
	}
	memcpy(at, &from6->sin6_addr, 16);
	memcpy(at + 16, &to6->sin6_addr, 16);
	memcpy(at + 32, &from6->sin6_port, 2);
	memcpy(at + 34, &to6->sin6_port, 2);
	return 36;
}

static uint32_t version_2(char preface[PREFACE_MAX], const struct ends *ends)
{
	static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
	bool inet = ends->from.ss_family == AF_INET;
	bool inet6 = ends->from.ss_family == AF_INET6;
	uint32_t length = inet || inet6 ? put_addresses(preface + 16, ends) : 0;

	memcpy(preface, signature, sizeof(signature));
	preface[12] = inet || inet6 ? 0x21 : 0x20; /* PROXY, or LOCAL without addresses */
	preface[13] = inet ? 0x11 : inet6 ? 0x21 : 0x00;
	preface[14] = 0;
	preface[15] = (char)length;
	return 16 + length;
}

uint32_t preface_make(char preface[PREFACE_MAX], int version, int fd)
{
	struct ends ends = { 0 };
	socklen_t from_len = sizeof(ends.from), to_len = sizeof(ends.to);

	assert(version == 1 || version == 2);
	(void)getsockname(fd, (struct sockaddr *)&ends.from, &from_len);
	(void)getpeername(fd, (struct sockaddr *)&ends.to, &to_len);
	if (ends.from.ss_family != ends.to.ss_family)
		ends.from.ss_family = AF_UNSPEC;
	return version == 1 ? version_1(preface, &ends) : version_2(preface, &ends);
}
