/* SPDX-License-Identifier: MIT */
/*
 * test_proxy_header.c - the PROXY protocol: its first version, read, and both of them, written.
 * The second is read in test_proxy_header_v2.c.
 */
#include "proxy_header_helpers.h"

/* ------------------------------------------------------------------------------------ version 1 */

static struct bytes bytes;

static void set_bytes(const char *text, size_t len)
{
	bytes.len = 0;
	add(&bytes, text, len);
}

TEST(a_line_of_version_1_gives_its_addresses)
{
	static const struct {
		const char *line;
		const char *source;
		const char *destination;
	} rows[] = {
		{ "TCP4 192.168.0.1 192.168.0.11 56324 443", "192.168.0.1:56324",
		  "192.168.0.11:443" },
		{ "TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255:65535",
		  "255.255.255.255:65535" },
		{ "TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0:0", "0.0.0.0:0" },
		{ "TCP4 1.2.3.4 5.6.7.8 1 10000", "1.2.3.4:1", "5.6.7.8:10000" },
		{ "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
		{ "TCP6 :: ::1 1 2", "[::]:1", "[::1]:2" },
		{ "TCP6 2001:DB8::aB 2001:0db8:0000:0000:0000:0000:0000:0001 1 2",
		  "[2001:db8::ab]:1", "[2001:db8::1]:2" },
		{ "TCP6 ::ffff:c000:207 ::ffff:192.0.2.8 1 2", "192.0.2.7:1", "192.0.2.8:2" },
		{ "UNKNOWN", NULL, NULL },
		{ "UNKNOWN ", NULL, NULL },
		{ "UNKNOWN TCP4 1.2.3.4 5.6.7.8 1 2", NULL, NULL },
		{ "UNKNOWN  \t\x01 PROXY, and whatever else there may be", NULL, NULL },
		{ "UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
		  NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct proxy_header header;
		char line[128];

		snprintf(line, sizeof(line), "PROXY %s\r\n", rows[i].line);
		unit_row(line);
		set_bytes(line, strlen(line));
		CHECK(bytes.len <= PROXY_HEADER_V1_MAX);
		if (check_good(&header, PROXY_HEADER_V1, &bytes))
			check_addresses(&header, rows[i].source, rows[i].destination);
	}
	unit_row(NULL);
}

static const char *const four = "two IPv4 addresses";
static const char *const six = "two IPv6 addresses";
static const char *const ports = "two ports from 0 to 65535";
static const char *const words = "TCP4, TCP6 or UNKNOWN";
static const char *const ends = "ends in CR and LF";
static const char *const no_header = "no PROXY header";
static const struct {
	const char *line;
	const char *const *reason;
} wrong_lines[] = {
	{ "GET / HTTP/1.1\r\n", &no_header },
	{ "POST / HTTP/1.1\r\n", &no_header },
	{ "PROXY", &no_header }, /* with the line end below: no blank */
	{ "PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2", &no_header },
	{ "proxy TCP4 1.2.3.4 5.6.7.8 1 2", &no_header },
	{ " PROXY TCP4 1.2.3.4 5.6.7.8 1 2", &no_header },
	{ "\r\nPROXY TCP4 1.2.3.4 5.6.7.8 1 2", &no_header },
	{ "PROXY ", &words },
	{ "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2", &words },
	{ "PROXY TCP 1.2.3.4 5.6.7.8 1 2", &words },
	{ "PROXY TCP5 1.2.3.4 5.6.7.8 1 2", &words },
	{ "PROXY tcp4 1.2.3.4 5.6.7.8 1 2", &words },
	{ "PROXY UDP4 1.2.3.4 5.6.7.8 1 2", &words },
	{ "PROXY UNKNOWN4", &words },
	{ "PROXY UNKNOW", &words },
	{ "PROXY UNKNOWN\t1.2.3.4", &words },
	{ "PROXY TCP4", &four },
	{ "PROXY TCP4 ", &four },
	{ "PROXY TCP41.2.3.4 5.6.7.8 1 2", &four },
	{ "PROXY TCP4  1.2.3.4 5.6.7.8 1 2", &four },
	{ "PROXY TCP4\t1.2.3.4 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.4  5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.4", &four },
	{ "PROXY TCP4 01.2.3.4 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.04 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.00 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.256 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.4.5 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 1.2.3.4 5.6.7 1 2", &four },
	{ "PROXY TCP4 0x7f.0.0.1 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 2130706433 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 ::1 ::1 1 2", &four },
	{ "PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 1 2", &four },
	{ "PROXY TCP4 -1.2.3.4 5.6.7.8 1 2", &four },
	{ "PROXY TCP6 1.2.3.4 5.6.7.8 1 2", &six },
	{ "PROXY TCP6 ::1 1.2.3.4 1 2", &six },
	{ "PROXY TCP6 [::1] [::1] 1 2", &six },
	{ "PROXY TCP6 ::1::2 ::1 1 2", &six },
	{ "PROXY TCP6 fe80::1%2 ::1 1 2", &six },
	{ "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2", &six },
	{ "PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2", &six },
	{ "PROXY TCP6 ::12345 ::1 1 2", &six },
	{ "PROXY TCP6 ::g ::1 1 2", &six },
	{ "PROXY TCP6 0000000000000000000000000000000000000000000001 ::1 1 2", &six },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 ", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 ", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1  2", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 4294967297", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 18446744073709551617", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 01 2", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 00 2", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 02", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 2a", &ports },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 0x1 2", &ports },
	{ "PROXY UNKNOWN\n", &ends },
	{ "PROXY UNKNOWN\r", &ends },
	{ "PROXY UNKNOWN a\rb", &ends },
	{ "PROXY UNKNOWN a\nb", &ends },
	{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", &ends },
	{ "PROXY \n", &ends },
};

TEST(a_line_with_another_spelling_is_refused)
{
	for (size_t i = 0; i < ARRAY_COUNT(wrong_lines); i++) {
		char line[160];

		snprintf(line, sizeof(line), "%s\r\n", wrong_lines[i].line);
		unit_row(line);
		set_bytes(line, strlen(line));
		check_bad(PROXY_HEADER_V1, &bytes, *wrong_lines[i].reason);
		check_bad(PROXY_HEADER_ANY, &bytes, *wrong_lines[i].reason);
	}
	unit_row(NULL);
}

TEST(what_follows_the_ports_is_refused)
{
	static const char *const rows[] = { " ", " 3", " \t" };

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char line[64];

		snprintf(line, sizeof(line), "PROXY TCP4 1.2.3.4 5.6.7.8 1 2%s\r\n", rows[i]);
		set_bytes(line, strlen(line));
		check_bad(PROXY_HEADER_V1, &bytes, "nothing stands behind");
	}
}

/* A zero byte would end an address for the system's functions, and hide what follows. */
TEST(a_zero_byte_in_a_field_is_refused)
{
	static const char one[] = "PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n";
	static const char two[] = "PROXY TCP4 1.2.3.4 5.6.7.8\0x 1 2\r\n";
	static const char three[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\0\r\n";

	set_bytes(one, sizeof(one) - 1);
	check_bad(PROXY_HEADER_V1, &bytes, "two IPv4 addresses");
	set_bytes(two, sizeof(two) - 1);
	check_bad(PROXY_HEADER_V1, &bytes, "two IPv4 addresses");
	set_bytes(three, sizeof(three) - 1);
	check_bad(PROXY_HEADER_V1, &bytes, "two ports");
}

TEST(a_line_has_107_bytes_and_not_one_more)
{
	struct proxy_header header;
	char line[200];

	for (int len = 104; len <= 112; len++) {
		snprintf(line, sizeof(line), "PROXY UNKNOWN %0*d\r\n", len - 16, 7);
		set_bytes(line, strlen(line));
		CHECK_UINT(bytes.len, (uint32_t)len);
		if (len <= 107)
			check_good(&header, PROXY_HEADER_V1, &bytes);
		else
			check_bad(PROXY_HEADER_V1, &bytes, "more than 107 bytes");
	}
	/* A line that never ends is refused as soon as it can end no more. */
	snprintf(line, sizeof(line), "PROXY UNKNOWN %0150d", 7);
	for (uint32_t len = 0; len <= 160; len++) {
		const char *reason = "";

		CHECK_UINT(parse(&header, PROXY_HEADER_V1, (const uint8_t *)line, len, &reason),
			   len < 106 ? PROXY_HEADER_MORE : PROXY_HEADER_REFUSED);
	}
}

/* -------------------------------------------------------------------------------------- writing */

static struct addr addr_of(const char *text)
{
	struct addr addr = { .kind = ADDR_NONE };
	const char *reason = "";

	if (!strcmp(text, "unix:")) {
		sa_family_t family = AF_UNIX;

		addr_from_sockaddr(&addr, (const struct sockaddr *)&family, sizeof(family));
		CHECK_UINT(addr.kind, ADDR_UNIX);
	} else if (strcmp(text, "none") != 0) {
		CHECK(addr_parse(&addr, text, &reason));
	}
	return addr;
}

static void write_pair(enum proxy_header_version version, const char *source,
		       const char *destination)
{
	struct addr one = addr_of(source), other = addr_of(destination);
	uint8_t *exact = malloc(PROXY_HEADER_MAX);
	uint32_t len;

	assert(exact);
	memset(exact, 0xa5, PROXY_HEADER_MAX);
	len = proxy_header_write(exact, version, &one, &other);
	CHECK(len <= PROXY_HEADER_MAX);
	bytes.len = 0;
	add(&bytes, exact, len);
	free(exact);
}

TEST(what_is_written_is_what_is_read)
{
	static const struct {
		const char *source;
		const char *destination;
		const char *line; /* of version 1; NULL: UNKNOWN */
		int family;       /* of version 2 */
	} rows[] = {
		{ "192.0.2.7:56324", "198.51.100.1:443", "TCP4 192.0.2.7 198.51.100.1 56324 443",
		  TCP4 },
		{ "255.255.255.255:65535", "255.255.255.255:65535",
		  "TCP4 255.255.255.255 255.255.255.255 65535 65535", TCP4 },
		{ "[2001:db8::1]:56324", "[2001:db8::2]:443",
		  "TCP6 2001:db8::1 2001:db8::2 56324 443", TCP6 },
		{ "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
		  "[2001:db8:1111:2222:3333:4444:5555:7777]:65535",
		  "TCP6 2001:db8:1111:2222:3333:4444:5555:6666 "
		  "2001:db8:1111:2222:3333:4444:5555:7777 65535 65535",
		  TCP6 },
		{ "[::ffff:192.0.2.7]:1", "[::ffff:192.0.2.8]:2", "TCP4 192.0.2.7 192.0.2.8 1 2",
		  TCP4 },
		{ "[::ffff:192.0.2.7]:1", "192.0.2.8:2", "TCP4 192.0.2.7 192.0.2.8 1 2", TCP4 },
		{ "192.0.2.7:1", "[2001:db8::2]:2", "TCP6 ::ffff:c000:207 2001:db8::2 1 2", TCP6 },
		{ "[2001:db8::2]:2", "192.0.2.7:1", "TCP6 2001:db8::2 ::ffff:c000:207 2 1", TCP6 },
		{ "[::ffff:0.0.0.5]:1", "[::5]:2", "TCP6 ::ffff:0:5 ::5 1 2", TCP6 },
		{ "[::1:2]:1", "[::ffff:1:0:2]:2", "TCP6 ::1:2 ::ffff:1:0:2 1 2", TCP6 },
		{ "[fe80::1%2]:1", "[fe80::2%2]:2", "TCP6 fe80::1 fe80::2 1 2", TCP6 },
		{ "unix:/run/a", "unix:/run/b", NULL, STREAM },
		{ "unix:", "unix:/run/b", NULL, STREAM },
		{ "unix:@a", "unix:@b", NULL, STREAM },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct addr source = addr_of(rows[i].source);
		struct addr destination = addr_of(rows[i].destination);
		struct proxy_header header;
		char line[128];

		unit_row(rows[i].source);
		source.u.in6.sin6_scope_id *= source.kind != ADDR_INET6;
		destination.u.in6.sin6_scope_id *= destination.kind != ADDR_INET6;
		write_pair(PROXY_HEADER_V1, rows[i].source, rows[i].destination);
		snprintf(line, sizeof(line), "PROXY %s\r\n",
			 rows[i].line ? rows[i].line : "UNKNOWN");
		CHECK_UINT(bytes.len, strlen(line));
		CHECK(memcmp(bytes.at, line, bytes.len) == 0);
		if (check_good(&header, PROXY_HEADER_V1, &bytes) && rows[i].line) {
			CHECK(addr_equal(&header.source, &source));
			CHECK(addr_equal(&header.destination, &destination));
		}
		CHECK(header.is_local == (rows[i].line == NULL));

		write_pair(PROXY_HEADER_V2, rows[i].source, rows[i].destination);
		CHECK_UINT(bytes.at[12], PROXY);
		CHECK_UINT(bytes.at[13], (unsigned)rows[i].family);
		if (check_good(&header, PROXY_HEADER_V2, &bytes)) {
			CHECK(!header.is_local);
			CHECK(addr_equal(&header.source, &source));
			CHECK(addr_equal(&header.destination, &destination));
		}
	}
	unit_row(NULL);
}

TEST(the_longest_path_is_written_whole)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	uint8_t written[PROXY_HEADER_MAX];
	struct proxy_header header;
	struct addr addr;

	memset(un.sun_path, '/', sizeof(un.sun_path));
	addr_from_sockaddr(&addr, (const struct sockaddr *)&un, sizeof(un));
	bytes.len = 0;
	add(&bytes, written, proxy_header_write(written, PROXY_HEADER_V2, &addr, &addr));
	CHECK_UINT(bytes.len, PROXY_HEADER_MAX);
	CHECK(check_good(&header, PROXY_HEADER_V2, &bytes));
	CHECK(addr_equal(&header.source, &addr));
	CHECK_UINT(header.source.len, addr.len);
}

TEST(what_cannot_be_said_is_written_as_unknown)
{
	static const char *const rows[][2] = {
		{ "none", "none" },
		{ "192.0.2.7:1", "none" },
		{ "none", "192.0.2.7:1" },
		{ "unix:/a", "192.0.2.7:1" },
		{ "[::1]:1", "unix:/a" },
		{ "unix:/a", "none" },
		{ "name.example:1", "192.0.2.7:1" },
		{ "fd:3", "fd:3" },
		{ "*:1", "*:1" },
	};
	struct proxy_header header;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i][0]);
		write_pair(PROXY_HEADER_V1, rows[i][0], rows[i][1]);
		CHECK_UINT(bytes.len, 15);
		CHECK(memcmp(bytes.at, "PROXY UNKNOWN\r\n", 15) == 0);
		write_pair(PROXY_HEADER_V2, rows[i][0], rows[i][1]);
		CHECK_UINT(bytes.len, 16);
		CHECK(memcmp(bytes.at, SIGNATURE "\x21\x00\x00\x00", 16) == 0);
		if (check_good(&header, PROXY_HEADER_V2, &bytes))
			check_addresses(&header, NULL, NULL);
	}
	unit_row(NULL);
}

TEST(a_connection_of_the_proxy_itself_is_local)
{
	uint8_t written[PROXY_HEADER_MAX];
	struct proxy_header header;

	bytes.len = 0;
	add(&bytes, written, proxy_header_write_local(written, PROXY_HEADER_V2));
	CHECK_UINT(bytes.len, 16);
	CHECK(memcmp(bytes.at, SIGNATURE "\x20\x00\x00\x00", 16) == 0);
	if (check_good(&header, PROXY_HEADER_V2, &bytes))
		check_addresses(&header, NULL, NULL);
	bytes.len = 0;
	add(&bytes, written, proxy_header_write_local(written, PROXY_HEADER_V1));
	CHECK_UINT(bytes.len, 15);
	CHECK(memcmp(bytes.at, "PROXY UNKNOWN\r\n", 15) == 0);
}

static void parse_nothing(void *argument)
{
	const char *reason = "";

	(void)argument;
	parse(NULL, (enum proxy_header_version)0, (const uint8_t *)"PROXY ", 6, &reason);
}

TEST(to_expect_no_version_is_a_mistake_of_the_caller)
{
	CHECK_ABORTS(parse_nothing, NULL);
}

static const struct unit_test tests[] = {
	ROW(a_line_of_version_1_gives_its_addresses),
	ROW(a_line_with_another_spelling_is_refused),
	ROW(what_follows_the_ports_is_refused),
	ROW(a_zero_byte_in_a_field_is_refused),
	ROW(a_line_has_107_bytes_and_not_one_more),
	ROW(what_is_written_is_what_is_read),
	ROW(the_longest_path_is_written_whole),
	ROW(what_cannot_be_said_is_written_as_unknown),
	ROW(a_connection_of_the_proxy_itself_is_local),
	ROW(to_expect_no_version_is_a_mistake_of_the_caller),
};
UNIT_MAIN(tests)
