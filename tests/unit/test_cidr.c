/* SPDX-License-Identifier: MIT */
/*
 * test_cidr.c - blocks of addresses: their text, and what is in them.
 */
#include <arpa/inet.h>
#include <string.h>

#include "net/cidr.h"
#include "unit.h"

static bool holds(const char *block, const char *address)
{
	const char *reason = "";
	struct cidr cidr;
	struct addr addr;

	if (!CHECK(cidr_parse(&cidr, block, &reason)) ||
	    !CHECK(addr_parse(&addr, address, &reason)))
		return false;
	return cidr_holds(&cidr, &addr);
}

static const char *fault(const char *text)
{
	struct cidr cidr = { .bits = 77 };
	const char *reason = "";

	CHECK(!cidr_parse(&cidr, text, &reason));
	CHECK_UINT(cidr.bits, 77);
	CHECK(*reason != '\0');
	return reason;
}

TEST(a_block_holds_its_first_and_last_address_and_no_neighbour)
{
	CHECK(holds("10.0.0.0/8", "10.0.0.0:1"));
	CHECK(holds("10.0.0.0/8", "10.255.255.255:1"));
	CHECK(!holds("10.0.0.0/8", "9.255.255.255:1"));
	CHECK(!holds("10.0.0.0/8", "11.0.0.0:1"));
	CHECK(holds("192.0.2.64/27", "192.0.2.64:1"));
	CHECK(holds("192.0.2.64/27", "192.0.2.95:1"));
	CHECK(!holds("192.0.2.64/27", "192.0.2.63:1"));
	CHECK(!holds("192.0.2.64/27", "192.0.2.96:1"));
	CHECK(holds("2001:db8::/33", "[2001:db8:7fff::1]:1"));
	CHECK(!holds("2001:db8::/33", "[2001:db8:8000::1]:1"));
	CHECK(!holds("2001:db8::/32", "[2001:db9::1]:1"));
}

TEST(an_address_alone_is_a_block_of_one)
{
	CHECK(holds("192.0.2.7", "192.0.2.7:1"));
	CHECK(!holds("192.0.2.7", "192.0.2.6:1"));
	CHECK(holds("192.0.2.7/32", "192.0.2.7:1"));
	CHECK(holds("::1", "[::1]:1"));
	CHECK(!holds("::1", "[::2]:1"));
	CHECK(holds("::1/128", "[::1]:1"));
}

TEST(ipv4_is_found_in_either_kind_of_socket)
{
	CHECK(holds("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
	CHECK(!holds("10.0.0.0/8", "[::ffff:11.1.2.3]:1"));
	CHECK(!holds("10.0.0.0/8", "[a00::1]:1"));
	CHECK(holds("::ffff:10.0.0.0/104", "10.1.2.3:1"));
	CHECK(holds("::/0", "10.1.2.3:1"));
	CHECK(holds("::/0", "[2001:db8::1]:1"));
	CHECK(holds("0.0.0.0/0", "255.1.2.3:1"));
	CHECK(!holds("0.0.0.0/0", "[2001:db8::1]:1"));
	CHECK(!holds("::/0", "unix:/run/x"));
}

TEST(sixteen_bytes_are_compared_as_they_are)
{
	const char *reason = "";
	struct cidr cidr;
	uint8_t in6[16];

	CHECK(cidr_parse(&cidr, "2001:db8:a000::/35", &reason));
	CHECK_UINT(cidr.bits, 35);
	for (uint32_t bit = 0; bit < 128; bit++) {
		CHECK(inet_pton(AF_INET6, "2001:db8:a000::", in6) == 1);
		in6[bit / 8] ^= (uint8_t)(0x80u >> (bit % 8));
		CHECK_UINT(cidr_holds_in6(&cidr, in6), bit >= 35);
	}
}

TEST(what_is_no_block_says_what_would_be_right)
{
	static const char *const texts[] = {
		"",      "/8",          "10.0.0/8",         "ten", "*", "10.0.0.0.0/8", "[::1]/128",
		":::/8", "10.0.0.0 /8", "2001:db8::1%2/128"
	};
	static const char *const bits[] = { "10.0.0.0/",   "10.0.0.0/33",  "10.0.0.0/08",
					    "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0",
					    "10.0.0.0/8 " };

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		CHECK(strstr(fault(texts[i]), "is written as 10.0.0.0/8") != NULL);
	for (size_t i = 0; i < ARRAY_COUNT(bits); i++)
		CHECK_TEXT(fault(bits[i]), "behind the slash of an IPv4 block stands 0 to 32");
	CHECK_TEXT(fault("::/129"), "behind the slash of an IPv6 block stands 0 to 128");
	CHECK(strstr(fault("10.0.0.1/8"), "bits behind those of the block") != NULL);
	CHECK(strstr(fault("2001:db8::1/64"), "bits behind those of the block") != NULL);
	CHECK(strstr(fault("0.0.0.1/0"), "bits behind those of the block") != NULL);
}

static const struct unit_test tests[] = {
	ROW(a_block_holds_its_first_and_last_address_and_no_neighbour),
	ROW(an_address_alone_is_a_block_of_one),
	ROW(ipv4_is_found_in_either_kind_of_socket),
	ROW(sixteen_bytes_are_compared_as_they_are),
	ROW(what_is_no_block_says_what_would_be_right),
};
UNIT_MAIN(tests)
