/* SPDX-License-Identifier: MIT */
/*
 * addr.c - addresses as text and back.
 *
 * What the text begins with decides what it is, and from there one function per kind reads the
 * rest. Every refusal is a sentence that says what would be right, so that a person who wrote the
 * text into proxy.ini need not look it up.
 *
 *      unix:  parse_unix        *      parse_any         else   parse_host: IPv4 or a name
 *      fd:    parse_fd          [      parse_inet6
 *
 * A host that could be taken for a number is an IPv4 address in four parts or nothing: resolvers
 * also read 127.1, 0x7f000001 and 2130706433 as addresses, which is how a filter is walked around.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */
#define UNIX_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)
#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define INET6_TEXT_MAX (INET6_ADDRSTRLEN + 11) /* and "%4294967295" */

static_assert(ADDR_TEXT_MAX > sizeof("unix:@") + UNIX_PATH_SIZE, "a unix address fits its text");
static_assert(ADDR_TEXT_MAX > INET6_TEXT_MAX + sizeof("[]:65535"), "an IPv6 address fits its text");

static bool refuse(const char **reason, const char *sentence)
{
	assert(reason);
	assert(sentence[0] != '\0');
	*reason = sentence;
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Read a number in its one canonical spelling: digits only, no needless zero in front. */
static bool read_number(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (!is_digit(text[0]) || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; is_digit(*text); text++) {
		sum = sum * 10 + (uint64_t)(*text - '0');
		if (sum > max)
			return false;
	}
	if (*text != '\0')
		return false;
	*value = sum;
	return true;
}

static bool parse_port(const char *text, uint16_t *port, const char **reason)
{
	uint64_t value;

	if (text[0] == '\0')
		return refuse(reason, "the port is missing: the colon is followed by 1 to 65535");
	if (!read_number(text, UINT16_MAX, &value))
		return refuse(reason, "a port is a number from 1 to 65535, without leading zeros");
	if (value == 0)
		return refuse(reason, "port 0 would be any free port: choose one from 1 to 65535");
	*port = (uint16_t)value;
	return true;
}

static bool parse_unix(struct addr *addr, const char *name, const char **reason)
{
	struct sockaddr_un *un = &addr->u.un;
	size_t len = strlen(name);

	if (len == 0)
		return refuse(reason, "a unix socket is unix:/path or unix:@name");
	if (name[0] != '/' && name[0] != '@')
		return refuse(reason, "the path of a unix socket begins with a slash, "
		                      "an abstract name with an at sign");
	if (name[0] == '@' && len == 1)
		return refuse(reason, "the abstract name is missing: unix:@name");
	if (len >= UNIX_PATH_SIZE)
		return refuse(reason, "the path of a unix socket has at most 107 bytes");
	addr->kind = ADDR_UNIX;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, name, len);
	/* unix(7): a path is counted with its final zero, an abstract name begins with a zero and
	 * has no other. */
	addr->len = (socklen_t)(UNIX_PATH_OFFSET + len + (name[0] == '/'));
	if (name[0] == '@')
		un->sun_path[0] = '\0';
	return true;
}

static bool parse_fd(struct addr *addr, const char *number, const char **reason)
{
	uint64_t fd;

	if (!read_number(number, INT32_MAX, &fd))
		return refuse(reason, "an inherited descriptor is fd:N, N being its number");
	addr->kind = ADDR_FD;
	addr->u.fd = (int)fd;
	return true;
}

static void put_in6(struct addr *addr, enum addr_kind kind, uint16_t port)
{
	assert(kind == ADDR_INET6 || kind == ADDR_ANY);
	addr->kind = kind;
	addr->len = sizeof(addr->u.in6);
	addr->u.in6.sin6_family = AF_INET6;
	addr->u.in6.sin6_port = htons(port);
}

static bool parse_any(struct addr *addr, const char *rest, const char **reason)
{
	uint16_t port;

	if (rest[0] != ':')
		return refuse(reason, "an asterisk is any address, and a port follows it: *:80");
	if (!parse_port(rest + 1, &port, reason))
		return false;
	put_in6(addr, ADDR_ANY, port);
	assert(IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr));
	return true;
}

/* RFC 4007 section 11.2: address%zone. A zone by name would need a look-up. */
static bool parse_inet6_zone(struct addr *addr, char *host, const char **reason)
{
	char *zone = strchr(host, '%');
	uint64_t number;

	if (!zone)
		return true;
	if (!read_number(zone + 1, UINT32_MAX, &number) || number == 0)
		return refuse(reason, "the zone of an IPv6 address is the interface's number: "
		                      "[fe80::1%2]:80");
	*zone = '\0';
	addr->u.in6.sin6_scope_id = (uint32_t)number;
	return true;
}

static bool parse_inet6(struct addr *addr, const char *text, const char **reason)
{
	const char *end = strchr(text, ']');
	char host[INET6_TEXT_MAX];
	uint16_t port;
	size_t len;

	assert(text[0] == '[');
	if (!end)
		return refuse(reason, "the bracket is not closed: [2001:db8::1]:80");
	len = (size_t)(end - text) - 1;
	if (len >= sizeof(host))
		return refuse(reason, "an IPv6 address is expected in brackets: [2001:db8::1]:80");
	memcpy(host, text + 1, len);
	host[len] = '\0';
	if (!parse_inet6_zone(addr, host, reason))
		return false;
	if (inet_pton(AF_INET6, host, &addr->u.in6.sin6_addr) != 1)
		return refuse(reason, "an IPv6 address is expected in brackets: [2001:db8::1]:80");
	if (end[1] != ':')
		return refuse(reason, "a colon and a port follow the bracket: [2001:db8::1]:80");
	if (!parse_port(end + 2, &port, reason))
		return false;
	put_in6(addr, ADDR_INET6, port);
	return true;
}

/* RFC 1123 section 2.1, and the underscore that container networks put into names. */
static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = label[i];

		if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_')
			return false;
	}
	return label[0] != '-' && label[len - 1] != '-';
}

/* Would a resolver read a name that ends in this label as an IPv4 address? */
static bool is_number(const char *label, size_t len)
{
	bool is_hex = len >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X');
	const char *digits = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
	size_t first = is_hex ? 2 : 0;

	assert(len > 0);
	return first + strspn(label + first, digits) >= len;
}

/* Labels with dots between them, and one behind the last for a name that is not to be searched. */
static bool is_name(const char *name, const char **reason)
{
	for (;;) {
		size_t len = strcspn(name, ".");
		bool is_last = name[len] == '\0' || name[len + 1] == '\0';

		if (!is_label(name, len))
			return refuse(reason, "a host name is made of letters, digits, hyphens and "
			                      "dots, at most 63 characters between two dots");
		if (is_last && is_number(name, len))
			return refuse(reason, "an IPv4 address is four numbers from 0 to 255, "
			                      "without leading zeros: 192.0.2.7:80");
		if (is_last)
			return true;
		name += len + 1;
	}
}

static bool parse_name(struct addr *addr, const char *host, uint16_t port, const char **reason)
{
	struct in_addr in;

	if (inet_pton(AF_INET, host, &in) == 1) {
		addr->kind = ADDR_INET;
		addr->len = sizeof(addr->u.in);
		addr->u.in.sin_family = AF_INET;
		addr->u.in.sin_port = htons(port);
		addr->u.in.sin_addr = in;
		return true;
	}
	if (!is_name(host, reason))
		return false;
	addr->kind = ADDR_NAME;
	addr->u.name.port = port;
	memcpy(addr->u.name.text, host, strlen(host) + 1);
	return true;
}

static bool parse_host(struct addr *addr, const char *text, const char **reason)
{
	const char *colon = strchr(text, ':');
	char host[ADDR_NAME_MAX + 1];
	uint16_t port;
	size_t len;

	if (!colon)
		return refuse(reason, "the port is missing: write host:port");
	if (strchr(colon + 1, ':'))
		return refuse(reason, "an IPv6 address stands in brackets: [2001:db8::1]:80");
	len = (size_t)(colon - text);
	if (len == 0)
		return refuse(reason, "the host is missing: write *:80 for any address");
	if (len > ADDR_NAME_MAX)
		return refuse(reason, "a host name has at most 253 characters");
	if (!parse_port(colon + 1, &port, reason))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return parse_name(addr, host, port, reason);
}

static bool parse_kind(struct addr *addr, const char *text, const char **reason)
{
	if (text[0] == '\0')
		return refuse(reason, "the address is missing: write host:port or unix:/path");
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(addr, text + 5, reason);
	if (strncmp(text, "fd:", 3) == 0)
		return parse_fd(addr, text + 3, reason);
	if (text[0] == '*')
		return parse_any(addr, text + 1, reason);
	if (text[0] == '[')
		return parse_inet6(addr, text, reason);
	return parse_host(addr, text, reason);
}

bool addr_parse(struct addr *addr, const char *text, const char **reason)
{
	struct addr parsed;

	assert(addr);
	assert(text);
	memset(&parsed, 0, sizeof(parsed));
	if (!parse_kind(&parsed, text, reason))
		return false;
	assert(parsed.kind != ADDR_NONE);
	assert(parsed.len <= sizeof(parsed.u));
	*addr = parsed;
	return true;
}

static void set_port(struct addr *addr, uint16_t port)
{
	assert(addr->kind == ADDR_INET || addr->kind == ADDR_INET6);
	if (addr->kind == ADDR_INET)
		addr->u.in.sin_port = htons(port);
	else
		addr->u.in6.sin6_port = htons(port);
}

static bool is_inet(const struct addrinfo *info)
{
	return info->ai_family == AF_INET || info->ai_family == AF_INET6;
}

bool addr_resolve(struct addr *addr, const char **reason)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	const struct addrinfo *first;
	int rc;

	assert(reason);
	if (addr->kind != ADDR_NAME)
		return true;
	assert(addr->u.name.port != 0);
	rc = getaddrinfo(addr->u.name.text, NULL, &hints, &found);
	if (rc == EAI_NONAME)
		return refuse(reason, "there is no host of this name");
	if (rc != 0)
		return refuse(reason, gai_strerror(rc));
	for (first = found; first && !is_inet(first); first = first->ai_next)
		;
	if (first) {
		uint16_t port = addr->u.name.port;

		addr_from_sockaddr(addr, first->ai_addr, first->ai_addrlen);
		set_port(addr, port);
	}
	freeaddrinfo(found);
	return first ? true : refuse(reason, "this host has no IPv4 or IPv6 address");
}

static enum addr_kind kind_of_sockaddr(const struct sockaddr *sockaddr, socklen_t len)
{
	if (len < sizeof(sockaddr->sa_family))
		return ADDR_NONE;
	if (sockaddr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
		return ADDR_INET;
	if (sockaddr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
		return ADDR_INET6;
	if (sockaddr->sa_family == AF_UNIX)
		return ADDR_UNIX;
	return ADDR_NONE;
}

void addr_from_sockaddr(struct addr *addr, const struct sockaddr *sockaddr, socklen_t len)
{
	assert(addr);
	memset(addr, 0, sizeof(*addr));
	addr->kind = kind_of_sockaddr(sockaddr, len);
	if (addr->kind == ADDR_NONE)
		return;
	/* The kernel returns the length it would have liked, which may be more than it wrote. */
	if (addr->kind == ADDR_INET)
		len = sizeof(addr->u.in);
	else if (addr->kind == ADDR_INET6)
		len = sizeof(addr->u.in6);
	else if (len > sizeof(addr->u.un))
		len = sizeof(addr->u.un);
	memcpy(&addr->u, sockaddr, len);
	addr->len = len;
}

/* The length of a unix socket's name without a path's final zero. */
static size_t unix_name_len(const struct addr *addr)
{
	const char *path = addr->u.un.sun_path;
	size_t len;

	assert(addr->kind == ADDR_UNIX);
	assert(addr->len <= sizeof(addr->u.un));
	if (addr->len <= UNIX_PATH_OFFSET)
		return 0;
	len = addr->len - UNIX_PATH_OFFSET;
	/* unix(7): a path of the full size comes without its zero. */
	return path[0] == '\0' ? len : strnlen(path, len);
}

/* An abstract name shows its zeros as at signs, as ss(8) does. */
static void format_unix(char text[ADDR_TEXT_MAX], const struct addr *addr)
{
	size_t len = unix_name_len(addr);
	int written = snprintf(text, ADDR_TEXT_MAX, "unix:");

	assert(written == 5);
	assert((size_t)written + len < ADDR_TEXT_MAX);
	for (size_t i = 0; i < len; i++) {
		char c = addr->u.un.sun_path[i];

		text[(size_t)written + i] = c == '\0' ? '@' : c;
	}
	text[(size_t)written + len] = '\0';
}

static void format_inet(char text[ADDR_TEXT_MAX], const void *in_addr, in_port_t port)
{
	char host[INET_ADDRSTRLEN];
	const char *done = inet_ntop(AF_INET, in_addr, host, sizeof(host));

	assert(done);
	(void)done;
	snprintf(text, ADDR_TEXT_MAX, "%s:%u", host, ntohs(port));
}

static void format_inet6(char text[ADDR_TEXT_MAX], const struct sockaddr_in6 *in6)
{
	char host[INET6_ADDRSTRLEN], zone[INET6_TEXT_MAX - INET6_ADDRSTRLEN + 1] = "";
	const char *done;

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		format_inet(text, &in6->sin6_addr.s6_addr[12], in6->sin6_port);
		return;
	}
	done = inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	assert(done);
	(void)done;
	if (in6->sin6_scope_id != 0)
		snprintf(zone, sizeof(zone), "%%%" PRIu32, in6->sin6_scope_id);
	snprintf(text, ADDR_TEXT_MAX, "[%s%s]:%u", host, zone, ntohs(in6->sin6_port));
}

const char *addr_format(char text[ADDR_TEXT_MAX], const struct addr *addr)
{
	switch (addr->kind) {
	case ADDR_NONE:
		snprintf(text, ADDR_TEXT_MAX, "none");
		return text;
	case ADDR_INET:
		format_inet(text, &addr->u.in.sin_addr, addr->u.in.sin_port);
		return text;
	case ADDR_INET6:
		format_inet6(text, &addr->u.in6);
		return text;
	case ADDR_UNIX:
		format_unix(text, addr);
		return text;
	case ADDR_ANY:
		snprintf(text, ADDR_TEXT_MAX, "*:%u", ntohs(addr->u.in6.sin6_port));
		return text;
	case ADDR_FD:
		snprintf(text, ADDR_TEXT_MAX, "fd:%d", addr->u.fd);
		return text;
	case ADDR_NAME:
		if (addr->u.name.port == 0)
			snprintf(text, ADDR_TEXT_MAX, "%s", addr->u.name.text);
		else
			snprintf(text, ADDR_TEXT_MAX, "%s:%u", addr->u.name.text,
				 addr->u.name.port);
		return text;
	}
	unreachable();
	return text;
}

/* One form for IPv4 and for the same address mapped into IPv6. */
static struct sockaddr_in6 as_in6(const struct addr *addr)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	assert(addr->kind == ADDR_INET || addr->kind == ADDR_INET6);
	if (addr->kind == ADDR_INET) {
		in6.sin6_port = addr->u.in.sin_port;
		in6.sin6_addr.s6_addr[10] = 0xff;
		in6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(&in6.sin6_addr.s6_addr[12], &addr->u.in.sin_addr, 4);
		return in6;
	}
	in6.sin6_port = addr->u.in6.sin6_port;
	in6.sin6_addr = addr->u.in6.sin6_addr;
	if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		in6.sin6_scope_id = addr->u.in6.sin6_scope_id;
	return in6;
}

static bool inet_equal(const struct addr *a, const struct addr *b)
{
	struct sockaddr_in6 one = as_in6(a), other = as_in6(b);

	return one.sin6_port == other.sin6_port && one.sin6_scope_id == other.sin6_scope_id &&
	       memcmp(&one.sin6_addr, &other.sin6_addr, sizeof(one.sin6_addr)) == 0;
}

static bool unix_equal(const struct addr *a, const struct addr *b)
{
	size_t len = unix_name_len(a);

	return len == unix_name_len(b) && memcmp(a->u.un.sun_path, b->u.un.sun_path, len) == 0;
}

static bool is_inet_kind(const struct addr *addr)
{
	return addr->kind == ADDR_INET || addr->kind == ADDR_INET6;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (is_inet_kind(a) && is_inet_kind(b))
		return inet_equal(a, b);
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case ADDR_NONE:
		return true;
	case ADDR_UNIX:
		return unix_equal(a, b);
	case ADDR_ANY:
		return a->u.in6.sin6_port == b->u.in6.sin6_port;
	case ADDR_FD:
		return a->u.fd == b->u.fd;
	case ADDR_NAME:
		/* RFC 4343: names are compared without regard to case. */
		return a->u.name.port == b->u.name.port &&
		       strcasecmp(a->u.name.text, b->u.name.text) == 0;
	case ADDR_INET:
	case ADDR_INET6:
		break;
	}
	unreachable();
	return false;
}
