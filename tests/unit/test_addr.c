/* SPDX-License-Identifier: MIT */
/*
 * test_addr.c - addresses: what is read, what is refused and why, what is shown.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "unit.h"

#define UNIX_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)
#define PATH_MAX_UNIX 107

static struct addr parsed(const char *text)
{
	struct addr addr = { .kind = ADDR_NONE };
	const char *reason = NULL;

	unit_row(text);
	CHECK(addr_parse(&addr, text, &reason));
	CHECK_TEXT(reason, NULL);
	unit_row(NULL);
	return addr;
}

/* Refused, with a reason that contains `part`, and without touching the address. */
static void check_refused(const char *text, const char *part)
{
	struct addr addr, before;
	const char *reason = "";

	memset(&addr, 0x5a, sizeof(addr));
	before = addr;
	unit_row(text);
	CHECK(!addr_parse(&addr, text, &reason));
	CHECK(memcmp(&addr, &before, sizeof(addr)) == 0);
	if (!strstr(reason, part))
		CHECK_TEXT(reason, part);
	unit_row(NULL);
}

static const char *repeated(char *text, size_t size, const char *head, char c, size_t count,
                            const char *tail)
{
	int len = snprintf(text, size, "%s", head);

	assert((size_t)len + count + strlen(tail) < size);
	memset(text + len, c, count);
	memcpy(text + (size_t)len + count, tail, strlen(tail) + 1);
	return text;
}

/* ---------------------------------------------------------------------- what is read */

/* Text, kind, and how it is shown again. */
static const struct {
	const char *text;
	enum addr_kind kind;
	const char *shown; /* NULL: as it was written */
} good[] = {
	{ "192.0.2.7:80", ADDR_INET, NULL },
	{ "0.0.0.0:1", ADDR_INET, NULL },
	{ "255.255.255.255:65535", ADDR_INET, NULL },
	{ "127.0.0.1:8080", ADDR_INET, NULL },
	{ "[::]:80", ADDR_INET6, NULL },
	{ "[::1]:65535", ADDR_INET6, NULL },
	{ "[2001:db8::1]:443", ADDR_INET6, NULL },
	{ "[2001:DB8:0:0:0:0:0:1]:443", ADDR_INET6, "[2001:db8::1]:443" },
	{ "[2001:db8:1:2:3:4:5:6]:443", ADDR_INET6, NULL },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:9", ADDR_INET6,
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:9" },
	{ "[::ffff:192.0.2.7]:80", ADDR_INET6, "192.0.2.7:80" },
	{ "[::ffff:c000:207]:80", ADDR_INET6, "192.0.2.7:80" },
	{ "[fe80::1%2]:80", ADDR_INET6, NULL },
	{ "[fe80::1%4294967295]:80", ADDR_INET6, NULL },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", ADDR_INET6, NULL },
	{ "*:80", ADDR_ANY, NULL },
	{ "*:65535", ADDR_ANY, NULL },
	{ "unix:/run/app", ADDR_UNIX, NULL },
	{ "unix:/", ADDR_UNIX, NULL },
	{ "unix:/with space/and:colon/@at", ADDR_UNIX, NULL },
	{ "unix:@name", ADDR_UNIX, NULL },
	{ "unix:@/not/a/path", ADDR_UNIX, NULL },
	{ "unix:@@", ADDR_UNIX, NULL },
	{ "fd:0", ADDR_FD, NULL },
	{ "fd:3", ADDR_FD, NULL },
	{ "fd:2147483647", ADDR_FD, NULL },
	{ "localhost:80", ADDR_NAME, NULL },
	{ "a:1", ADDR_NAME, NULL },
	{ "api.example.com:443", ADDR_NAME, NULL },
	{ "api.example.com.:443", ADDR_NAME, NULL },
	{ "API.Example.COM:443", ADDR_NAME, NULL },
	{ "3com.example:80", ADDR_NAME, NULL },
	{ "my_service:80", ADDR_NAME, NULL },
	{ "xn--bcher-kva.example:80", ADDR_NAME, NULL },
	{ "1.2.3.4a:80", ADDR_NAME, NULL },
	{ "1.2.3.4.example:80", ADDR_NAME, NULL },
	{ "0x7f.example:80", ADDR_NAME, NULL },
	{ "0xg:80", ADDR_NAME, NULL },
	{ "fd.example:80", ADDR_NAME, NULL },
	{ "unix.example:80", ADDR_NAME, NULL },
};

TEST(good_texts_are_read_and_shown)
{
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		const char *shown = good[i].shown ? good[i].shown : good[i].text;
		struct addr addr = parsed(good[i].text), again;
		char text[ADDR_TEXT_MAX];

		unit_row(good[i].text);
		CHECK_INT(addr.kind, good[i].kind);
		CHECK(addr_format(text, &addr) == text);
		CHECK_TEXT(text, shown);
		again = parsed(text);
		CHECK(addr_equal(&addr, &again));
		unit_row(NULL);
	}
}

TEST(the_socket_address_is_what_the_text_says)
{
	struct addr addr = parsed("192.0.2.7:80");

	CHECK_UINT(addr.len, sizeof(struct sockaddr_in));
	CHECK_INT(addr.u.in.sin_family, AF_INET);
	CHECK_UINT(ntohs(addr.u.in.sin_port), 80);
	CHECK_UINT(ntohl(addr.u.in.sin_addr.s_addr), 0xc0000207);

	addr = parsed("[2001:db8::2%7]:443");
	CHECK_UINT(addr.len, sizeof(struct sockaddr_in6));
	CHECK_INT(addr.u.in6.sin6_family, AF_INET6);
	CHECK_UINT(ntohs(addr.u.in6.sin6_port), 443);
	CHECK_UINT(addr.u.in6.sin6_scope_id, 7);
	CHECK_UINT(addr.u.in6.sin6_flowinfo, 0);
	CHECK_UINT(addr.u.in6.sin6_addr.s6_addr[0], 0x20);
	CHECK_UINT(addr.u.in6.sin6_addr.s6_addr[15], 2);

	addr = parsed("*:8080");
	CHECK_UINT(addr.len, sizeof(struct sockaddr_in6));
	CHECK_INT(addr.u.in6.sin6_family, AF_INET6);
	CHECK_UINT(ntohs(addr.u.in6.sin6_port), 8080);
	CHECK(IN6_IS_ADDR_UNSPECIFIED(&addr.u.in6.sin6_addr));

	addr = parsed("unix:/run/app");
	CHECK_UINT(addr.len, UNIX_PATH_OFFSET + sizeof("/run/app"));
	CHECK_INT(addr.u.un.sun_family, AF_UNIX);
	CHECK_TEXT(addr.u.un.sun_path, "/run/app");

	addr = parsed("unix:@app");
	CHECK_UINT(addr.len, UNIX_PATH_OFFSET + 4);
	CHECK(memcmp(addr.u.un.sun_path, "\0app\0", 5) == 0);

	addr = parsed("fd:42");
	CHECK_UINT(addr.len, 0);
	CHECK_INT(addr.u.fd, 42);

	addr = parsed("Host.Example:81");
	CHECK_UINT(addr.len, 0);
	CHECK_TEXT(addr.u.name.text, "Host.Example");
	CHECK_UINT(addr.u.name.port, 81);
}

/* ------------------------------------------------------------------- what is refused */

/* Text, and what the reason says. */
static const struct {
	const char *text, *part;
} bad[] = {
	{ "", "write host:port" },
	{ "localhost", "port is missing" },
	{ "192.0.2.7", "port is missing" },
	{ "80", "port is missing" },
	/* ports */
	{ "localhost:", "port is missing" },
	{ "192.0.2.7:0", "port 0" },
	{ "localhost:0", "port 0" },
	{ "*:0", "port 0" },
	{ "[::1]:0", "port 0" },
	{ "192.0.2.7:65536", "from 1 to 65535" },
	{ "192.0.2.7:99999999999999999999999", "from 1 to 65535" },
	{ "192.0.2.7:18446744073709551697", "from 1 to 65535" }, /* 2^64 + 81 */
	{ "192.0.2.7:080", "without leading zeros" },
	{ "192.0.2.7:00", "without leading zeros" },
	{ "192.0.2.7:+80", "from 1 to 65535" },
	{ "192.0.2.7:-1", "from 1 to 65535" },
	{ "192.0.2.7: 80", "from 1 to 65535" },
	{ "192.0.2.7:80 ", "from 1 to 65535" },
	{ "192.0.2.7:80\n", "from 1 to 65535" },
	{ "192.0.2.7:0x50", "from 1 to 65535" },
	{ "192.0.2.7:http", "from 1 to 65535" },
	{ "192.0.2.7:80/", "from 1 to 65535" },
	/* IPv4, and what a resolver takes for it */
	{ "256.0.0.1:80", "four numbers" },
	{ "1.2.3:80", "four numbers" },
	{ "127.1:80", "four numbers" },
	{ "1.2.3.4.5:80", "four numbers" },
	{ "01.2.3.4:80", "four numbers" },
	{ "1.2.3.4.:80", "four numbers" },
	{ "1..2.3:80", "letters, digits" },
	{ "2130706433:80", "four numbers" },
	{ "0x7f000001:80", "four numbers" },
	{ "0X7F.0.0.0x1:80", "four numbers" },
	{ "0x7f.1:80", "four numbers" },
	{ "example.1:80", "four numbers" },
	{ "0x:80", "four numbers" },
	/* IPv6 and brackets */
	{ "::1:80", "in brackets" },
	{ "2001:db8::1", "in brackets" },
	{ "::", "in brackets" },
	{ "[", "not closed" },
	{ "[::1", "not closed" },
	{ "[::1:80", "not closed" },
	{ "[]:80", "expected in brackets" },
	{ "[]", "expected in brackets" },
	{ "[::1]", "follow the bracket" },
	{ "[::1]80", "follow the bracket" },
	{ "[::1] :80", "follow the bracket" },
	{ "[::1]]:80", "follow the bracket" },
	{ "[[::1]]:80", "expected in brackets" },
	{ "[::1]:", "port is missing" },
	{ "[127.0.0.1]:80", "expected in brackets" },
	{ "[localhost]:80", "expected in brackets" },
	{ "[1:2:3:4:5:6:7:8:9]:80", "expected in brackets" },
	{ "[1::2::3]:80", "expected in brackets" },
	{ "[12345::]:80", "expected in brackets" },
	{ "[ ::1]:80", "expected in brackets" },
	{ "[::ffff:1.2.3.256]:80", "expected in brackets" },
	{ "[fe80::1%]:80", "interface's number" },
	{ "[fe80::1%0]:80", "interface's number" },
	{ "[fe80::1%eth0]:80", "interface's number" },
	{ "[fe80::1%02]:80", "interface's number" },
	{ "[fe80::1%4294967296]:80", "interface's number" },
	{ "[%1]:80", "expected in brackets" },
	{ "]:80", "letters, digits" },
	/* any */
	{ "*", "*:80" },
	{ "*80", "*:80" },
	{ "**:80", "*:80" },
	{ "*.example.com:80", "*:80" },
	{ "*:", "port is missing" },
	{ ":80", "*:80 for any" },
	{ ":", "*:80 for any" },
	/* unix and fd */
	{ "unix:", "unix:/path or unix:@name" },
	{ "unix:@", "name is missing" },
	{ "unix:run/app", "begins with a slash" },
	{ "unix:80", "begins with a slash" },
	{ "unix: /run/app", "begins with a slash" },
	{ "UNIX:/run/app", "from 1 to 65535" },
	{ "fd:", "fd:N" },
	{ "fd:x", "fd:N" },
	{ "fd:-1", "fd:N" },
	{ "fd:03", "fd:N" },
	{ "fd:3 ", "fd:N" },
	{ "fd:2147483648", "fd:N" },
	{ "fd:18446744073709551619", "fd:N" }, /* 2^64 + 3 */
	/* names */
	{ "-a:80", "letters, digits" },
	{ "a-:80", "letters, digits" },
	{ "a.-b.c:80", "letters, digits" },
	{ "a..b:80", "letters, digits" },
	{ ".a:80", "letters, digits" },
	{ ".:80", "letters, digits" },
	{ "a..:80", "letters, digits" },
	{ "a b:80", "letters, digits" },
	{ " a:80", "letters, digits" },
	{ "a/b:80", "letters, digits" },
	{ "user@host:80", "letters, digits" },
	{ "b\xc3\xbc" "cher.example:80", "letters, digits" },
	{ "http://example.com:80", "in brackets" },
};

TEST(bad_texts_are_refused_with_a_sentence_about_what_would_be_right)
{
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		check_refused(bad[i].text, bad[i].part);
}

TEST(names_and_paths_are_as_long_as_allowed_and_not_longer)
{
	char text[1024], label[64], name[300];
	struct addr addr;

	addr = parsed(repeated(text, sizeof(text), "unix:/", 'p', PATH_MAX_UNIX - 1, ""));
	CHECK_UINT(addr.len, sizeof(struct sockaddr_un));
	check_refused(repeated(text, sizeof(text), "unix:/", 'p', PATH_MAX_UNIX, ""), "107 bytes");
	addr = parsed(repeated(text, sizeof(text), "unix:@", 'p', PATH_MAX_UNIX - 1, ""));
	CHECK_UINT(addr.len, UNIX_PATH_OFFSET + PATH_MAX_UNIX);
	check_refused(repeated(text, sizeof(text), "unix:@", 'p', PATH_MAX_UNIX, ""), "107 bytes");

	parsed(repeated(text, sizeof(text), "", 'a', 63, ":80"));
	check_refused(repeated(text, sizeof(text), "", 'a', 64, ":80"), "at most 63");

	/* 3 * (63 + 1) + 61 = 253 */
	repeated(label, sizeof(label), "", 'a', 63, "");
	snprintf(name, sizeof(name), "%s.%s.%s.", label, label, label);
	addr = parsed(repeated(text, sizeof(text), name, 'b', 61, ":65535"));
	CHECK_UINT(strlen(addr.u.name.text), ADDR_NAME_MAX);
	check_refused(repeated(text, sizeof(text), name, 'b', 62, ":65535"), "at most 253");
	check_refused(repeated(text, sizeof(text), name, 'b', 800, ":80"), "at most 253");
	check_refused(repeated(text, sizeof(text), "[", ':', 900, "]:80"), "in brackets");
	check_refused(repeated(text, sizeof(text), "fe80::1%", '1', 900, ":80"), "in brackets");
}

TEST(the_longest_address_of_each_kind_fits_its_text)
{
	char long_text[1024], text[ADDR_TEXT_MAX];
	struct addr addr;

	addr = parsed("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
	CHECK_UINT(strlen(addr_format(text, &addr)), 58);
	addr = parsed(repeated(long_text, sizeof(long_text), "unix:@", 'p', 106, ""));
	CHECK_TEXT(addr_format(text, &addr), long_text);
}

/* ------------------------------------------------------------------ from the kernel */

TEST(what_the_kernel_returns_is_shown)
{
	static const char *const texts[] = { "192.0.2.7:80", "[2001:db8::1]:80", "unix:/run/app",
		                             "unix:@app", "[fe80::1%2]:80" };
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct addr made = parsed(texts[i]), addr;

		addr_from_sockaddr(&addr, &made.u.any, made.len);
		CHECK_INT(addr.kind, made.kind);
		CHECK_UINT(addr.len, made.len);
		CHECK(addr_equal(&addr, &made));
		CHECK_TEXT(addr_format(text, &addr), texts[i]);
	}
}

TEST(unix_names_of_all_lengths_are_shown)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	addr_from_sockaddr(&addr, (struct sockaddr *)&un, UNIX_PATH_OFFSET);
	CHECK_TEXT(addr_format(text, &addr), "unix:");
	memcpy(un.sun_path, "\0a\0b", 4);
	addr_from_sockaddr(&addr, (struct sockaddr *)&un, UNIX_PATH_OFFSET + 4);
	CHECK_TEXT(addr_format(text, &addr), "unix:@a@b");
	/* The whole array, without a zero behind it; and a length beyond what was written. */
	memset(un.sun_path, 'p', sizeof(un.sun_path));
	for (socklen_t more = 0; more < 2; more++) {
		addr_from_sockaddr(&addr, (struct sockaddr *)&un, sizeof(un) + more);
		CHECK_UINT(addr.len, sizeof(un));
		CHECK_UINT(strlen(addr_format(text, &addr)), 5 + sizeof(un.sun_path));
	}
	/* A buffer of the full size with the zero somewhere in it. */
	memcpy(un.sun_path, "/run", 5);
	addr_from_sockaddr(&addr, (struct sockaddr *)&un, sizeof(un));
	CHECK_TEXT(addr_format(text, &addr), "unix:/run");
}

TEST(what_is_no_address_of_ours_becomes_none)
{
	struct sockaddr_storage storage = { .ss_family = AF_INET };
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	addr_from_sockaddr(&addr, (struct sockaddr *)&storage, sizeof(struct sockaddr_in) - 1);
	CHECK_INT(addr.kind, ADDR_NONE);
	storage.ss_family = AF_INET6;
	addr_from_sockaddr(&addr, (struct sockaddr *)&storage, sizeof(struct sockaddr_in6) - 1);
	CHECK_INT(addr.kind, ADDR_NONE);
	storage.ss_family = AF_PACKET;
	addr_from_sockaddr(&addr, (struct sockaddr *)&storage, sizeof(storage));
	CHECK_INT(addr.kind, ADDR_NONE);
	addr_from_sockaddr(&addr, NULL, 0);
	CHECK_INT(addr.kind, ADDR_NONE);
	CHECK_TEXT(addr_format(text, &addr), "none");
	CHECK_UINT(addr.len, 0);
}

/* --------------------------------------------------------------------------- equality */

TEST(addresses_that_differ_in_anything_are_not_equal)
{
	static const char *const texts[] = {
		"192.0.2.7:80", "192.0.2.7:81", "192.0.2.8:80", "[::]:80", "*:80",
		"*:81",
		"[::1]:80", "[::1]:81", "[::2]:80", "[fe80::1%1]:80", "[fe80::1%2]:80",
		"[fe80::1]:80",
		"0.0.0.0:80", "unix:/a", "unix:/ab", "unix:@a", "unix:@ab", "unix:@/a",
		"fd:3", "fd:4", "a:80", "a:81", "b:80", "ab:80",
	};

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		for (size_t j = 0; j < ARRAY_COUNT(texts); j++) {
			struct addr a = parsed(texts[i]), b = parsed(texts[j]);

			unit_row(texts[i]);
			CHECK_INT(addr_equal(&a, &b), i == j);
			unit_row(NULL);
		}
	}
}

TEST(spellings_of_one_address_are_equal)
{
	static const char *const pairs[][2] = {
		{ "[::ffff:192.0.2.7]:80", "192.0.2.7:80" },
		{ "[::1]:80", "[0:0:0:0:0:0:0:1]:80" },
		{ "[2001:DB8::1]:80", "[2001:db8::1]:80" },
		{ "Example.COM:80", "example.com:80" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
		struct addr a = parsed(pairs[i][0]), b = parsed(pairs[i][1]);

		CHECK(addr_equal(&a, &b));
		CHECK(addr_equal(&b, &a));
	}
}

/* ------------------------------------------------------------------------- resolving */

TEST(localhost_resolves_and_keeps_its_port)
{
	struct addr addr = parsed("localhost:8081");
	const char *reason = NULL;

	if (!addr_resolve(&addr, &reason)) {
		CHECK(reason != NULL);
		unit_skip("this host cannot resolve localhost");
		return;
	}
	if (CHECK(addr.kind == ADDR_INET || addr.kind == ADDR_INET6))
		CHECK_UINT(ntohs(addr.u.in.sin_port), 8081); /* at the same place in both */
	CHECK(addr.len > 0);
}

/* RFC 6761 section 6.4: .invalid never exists. */
TEST(a_name_that_does_not_exist_is_refused_with_a_reason)
{
	struct addr addr = parsed("no-such-host.invalid:80"), before = addr;
	const char *reason = NULL;

	CHECK(!addr_resolve(&addr, &reason));
	CHECK(reason && reason[0] != '\0');
	CHECK(addr_equal(&addr, &before));
}

TEST(other_kinds_need_no_resolving)
{
	static const char *const texts[] = { "192.0.2.7:80", "[::1]:80", "*:80", "unix:/a",
		                             "fd:3" };

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct addr addr = parsed(texts[i]), before = addr;
		const char *reason = NULL;

		CHECK(addr_resolve(&addr, &reason));
		CHECK(memcmp(&addr, &before, sizeof(addr)) == 0);
		CHECK_TEXT(reason, NULL);
	}
}

static const struct unit_test tests[] = {
	ROW(good_texts_are_read_and_shown),
	ROW(the_socket_address_is_what_the_text_says),
	ROW(bad_texts_are_refused_with_a_sentence_about_what_would_be_right),
	ROW(names_and_paths_are_as_long_as_allowed_and_not_longer),
	ROW(the_longest_address_of_each_kind_fits_its_text),
	ROW(what_the_kernel_returns_is_shown),
	ROW(unix_names_of_all_lengths_are_shown),
	ROW(what_is_no_address_of_ours_becomes_none),
	ROW(addresses_that_differ_in_anything_are_not_equal),
	ROW(spellings_of_one_address_are_equal),
	ROW(localhost_resolves_and_keeps_its_port),
	ROW(a_name_that_does_not_exist_is_refused_with_a_reason),
	ROW(other_kinds_need_no_resolving),
};
UNIT_MAIN(tests)
