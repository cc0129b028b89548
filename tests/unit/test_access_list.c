/* SPDX-License-Identifier: MIT */
/*
 * test_access_list.c - allowed and denied blocks: which of them decides, also of very many. The
 * reference asks every block in turn.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/access_list.h"
#include "unit.h"

#define BLOCKS_MAX 10000

struct blocks {
	struct cidr allow[BLOCKS_MAX];
	struct cidr deny[BLOCKS_MAX];
	uint32_t allow_count;
	uint32_t deny_count;
};

static struct blocks blocks;

/* Words apart by blanks: "+10.0.0.0/8 -10.1.0.0/16". */
static struct access_list *list_of(const char *text)
{
	char copy[512];
	char *rest = copy;
	char *word;

	snprintf(copy, sizeof(copy), "%s", text);
	blocks.allow_count = 0;
	blocks.deny_count = 0;
	while ((word = strsep(&rest, " "))) {
		const char *reason = "";
		struct cidr cidr;

		if (*word == '\0')
			continue;
		CHECK(cidr_parse(&cidr, word + 1, &reason));
		if (*word == '+')
			blocks.allow[blocks.allow_count++] = cidr;
		else
			blocks.deny[blocks.deny_count++] = cidr;
	}
	return access_list_open(blocks.allow, blocks.allow_count, blocks.deny, blocks.deny_count);
}

/* "+10.0.0.1:1 -[::1]:1": what is allowed, and what is not. */
static void check(const char *rows, const char *answers)
{
	struct access_list *list = list_of(rows);
	char copy[512];
	char *rest = copy;
	char *word;

	assert(list);
	unit_row(rows);
	snprintf(copy, sizeof(copy), "%s", answers);
	while ((word = strsep(&rest, " "))) {
		const char *reason = "";
		struct addr addr;

		CHECK(addr_parse(&addr, word + 1, &reason));
		if (!CHECK(access_list_allows(list, &addr) == (*word == '+')))
			printf("of %s\n", word);
	}
	unit_row(NULL);
	access_list_close(list);
}

TEST(without_an_allowed_block_all_others_are_allowed)
{
	check("", "+10.0.0.1:1 +[2001:db8::1]:1 +unix:/x");
	check("-10.0.0.0/8", "-10.0.0.0:1 -10.255.255.255:1 +9.255.255.255:1 +11.0.0.0:1 +[::1]:1 "
			     "+unix:/x");
	check("+10.0.0.0/8", "+10.0.0.0:1 +10.255.255.255:1 -9.255.255.255:1 -11.0.0.0:1 -[::1]:1 "
			     "-unix:/x -unix:@y");
	check("+10.0.0.0/8 -10.0.0.0/16", "-10.0.0.1:1 +10.1.0.0:1 -11.0.0.0:1");
}

TEST(the_longest_block_decides)
{
	check("+10.0.0.0/8 -10.9.0.0/16 +10.9.9.9",
	      "+10.8.255.255:1 -10.9.0.0:1 -10.9.9.8:1 +10.9.9.9:1 -10.9.9.10:1 -10.9.255.255:1 "
	      "+10.10.0.0:1 -192.0.2.1:1");
	check("-0.0.0.0/0 +10.0.0.0/8 -10.128.0.0/9 +10.192.0.0/10",
	      "-9.0.0.0:1 +10.0.0.0:1 +10.127.255.255:1 -10.128.0.0:1 -10.191.255.255:1 "
	      "+10.192.0.0:1 +10.255.255.255:1 -11.0.0.0:1 -[::1]:1");
	check("+::/0 -2001:db8::/32 +2001:db8::/128",
	      "+[2001:db7:ffff::]:1 +[2001:db8::]:1 -[2001:db8::1]:1 "
	      "-[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:1 +[2001:db9::]:1 +10.0.0.1:1");
}

TEST(of_the_same_block_allowed_and_denied_it_is_denied)
{
	check("+10.0.0.0/8 -10.0.0.0/8", "-10.0.0.1:1 -11.0.0.1:1");
	check("-10.0.0.0/8 +10.0.0.0/8", "-10.0.0.1:1 -11.0.0.1:1");
	check("-10.0.0.0/8 +10.0.0.0/8 +10.0.0.0/8 -10.0.0.0/8 +10.1.0.0/16",
	      "-10.0.0.1:1 +10.1.0.1:1 -10.2.0.0:1");
	check("+0.0.0.0/0 -0.0.0.0/0", "-0.0.0.0:1 -255.255.255.255:1 -[::]:1");
}

TEST(the_ends_of_all_addresses_are_in_their_blocks)
{
	check("+::/0", "+[::]:1 +[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1 -unix:/x");
	check("-ffff::/16 -ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff -::",
	      "-[::]:1 +[::1]:1 +[fffe:ffff::]:1 -[ffff::]:1 "
	      "-[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1");
	check("+ffff:ffff:ffff:ffff::/64", "+[ffff:ffff:ffff:ffff::]:1 -[::]:1 "
					   "-[ffff:ffff:ffff:fffe:ffff:ffff:ffff:ffff]:1 "
					   "+[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1");
	check("+255.255.255.255 +0.0.0.0",
	      "+255.255.255.255:1 -255.255.255.254:1 +0.0.0.0:1 -0.0.0.1:1 -[::1:0:0:0]:1");
}

TEST(ipv4_is_found_in_either_kind_of_socket)
{
	check("+10.0.0.0/8", "+[::ffff:10.1.2.3]:1 -[::ffff:11.1.2.3]:1 -[a00::1]:1");
	check("-::/0 +::ffff:10.0.0.0/104", "+10.1.2.3:1 -11.0.0.1:1");
}

TEST(no_list_allows_everybody)
{
	struct addr addr = { .kind = ADDR_NONE };
	const uint8_t in6[16] = { 0 };

	CHECK(access_list_allows(NULL, &addr));
	CHECK(access_list_allows_in6(NULL, in6));
	access_list_close(NULL);
}

/* -------------------------------------------------------------------------------- the reference */

static bool reference(const uint8_t in6[16])
{
	int longest = -1;
	bool allowed = blocks.allow_count == 0;

	for (uint32_t i = 0; i < blocks.allow_count; i++) {
		if (blocks.allow[i].bits > longest && cidr_holds_in6(&blocks.allow[i], in6)) {
			longest = blocks.allow[i].bits;
			allowed = true;
		}
	}
	for (uint32_t i = 0; i < blocks.deny_count; i++) {
		if (blocks.deny[i].bits >= longest && cidr_holds_in6(&blocks.deny[i], in6)) {
			longest = blocks.deny[i].bits;
			allowed = false;
		}
	}
	return allowed;
}

/* Few values for each byte, so that blocks meet. */
static void random_in6(uint64_t *seed, uint32_t values, uint8_t in6[16])
{
	bool is_v4 = unit_random(seed) % 2;

	memset(in6, 0, 16);
	in6[10] = in6[11] = is_v4 ? 0xff : 0;
	for (int i = is_v4 ? 12 : 0; i < 16; i++) {
		uint8_t value = (uint8_t)(unit_random(seed) % values);

		in6[i] = unit_random(seed) % 4 ? value : (uint8_t)(255 - value);
	}
}

static struct cidr random_block(uint64_t *seed, uint32_t values)
{
	struct cidr cidr;

	random_in6(seed, values, cidr.bytes);
	cidr.bits = (uint8_t)(unit_random(seed) % 129);
	for (uint32_t i = cidr.bits; i < 128; i++)
		cidr.bytes[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
	return cidr;
}

/* The neighbour of an address, and so of the end of a block. */
static void step(uint8_t in6[16], bool up)
{
	for (int i = 15; i >= 0; i--) {
		in6[i] = (uint8_t)(in6[i] + (up ? 1 : 255));
		if (in6[i] != (up ? 0 : 255))
			return;
	}
}

static void last_of(const struct cidr *cidr, uint8_t in6[16])
{
	memcpy(in6, cidr->bytes, 16);
	for (uint32_t i = cidr->bits; i < 128; i++)
		in6[i / 8] |= (uint8_t)(0x80u >> (i % 8));
}

static void compare(const struct access_list *list, const uint8_t in6[16])
{
	char text[INET6_ADDRSTRLEN];

	if (!CHECK(access_list_allows_in6(list, in6) == reference(in6)))
		printf("of %s\n", inet_ntop(AF_INET6, in6, text, sizeof(text)));
}

/* At both ends of the block, and one beyond. */
static void compare_around(const struct access_list *list, const struct cidr *cidr)
{
	uint8_t in6[16];

	memcpy(in6, cidr->bytes, 16);
	compare(list, in6);
	step(in6, false);
	compare(list, in6);
	last_of(cidr, in6);
	compare(list, in6);
	step(in6, true);
	compare(list, in6);
}

static void fill(uint64_t *seed, uint32_t count, uint32_t values)
{
	bool only_deny = unit_random(seed) % 4 == 0;

	blocks.allow_count = 0;
	blocks.deny_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct cidr cidr = random_block(seed, values);

		if (!only_deny && unit_random(seed) % 2)
			blocks.allow[blocks.allow_count++] = cidr;
		else
			blocks.deny[blocks.deny_count++] = cidr;
	}
}

TEST(any_blocks_answer_as_a_look_at_each_of_them_does)
{
	uint64_t seed = 71;

	for (int round = 0; round < 300; round++) {
		uint32_t count = (uint32_t)(unit_random(&seed) % 40);
		struct access_list *list;
		uint8_t in6[16];

		fill(&seed, count, round % 3 ? 2 : 4);
		list = access_list_open(blocks.allow, blocks.allow_count, blocks.deny,
					blocks.deny_count);
		if (!CHECK(list))
			return;
		for (uint32_t i = 0; i < blocks.allow_count; i++)
			compare_around(list, &blocks.allow[i]);
		for (uint32_t i = 0; i < blocks.deny_count; i++)
			compare_around(list, &blocks.deny[i]);
		for (int i = 0; i < 50; i++) {
			random_in6(&seed, 4, in6);
			compare(list, in6);
		}
		access_list_close(list);
	}
}

TEST(ten_thousand_blocks_answer_as_a_look_at_each_of_them_does)
{
	uint64_t seed = 72;
	struct access_list *list;

	fill(&seed, BLOCKS_MAX, 200);
	list = access_list_open(blocks.allow, blocks.allow_count, blocks.deny, blocks.deny_count);
	if (!CHECK(list))
		return;
	for (int i = 0; i < 200; i++) {
		if (blocks.allow_count > 0)
			compare_around(list,
				       &blocks.allow[unit_random(&seed) % blocks.allow_count]);
		compare_around(list, &blocks.deny[unit_random(&seed) % blocks.deny_count]);
	}
	access_list_close(list);
}

/* With as many blocks as it has, a lookup that goes through them would take minutes. */
TEST(a_million_lookups_among_ten_thousand_blocks_are_quick)
{
	uint64_t seed = 73;
	struct access_list *list;
	uint32_t allowed = 0;

	fill(&seed, BLOCKS_MAX, 256);
	list = access_list_open(blocks.allow, blocks.allow_count, blocks.deny, blocks.deny_count);
	if (!CHECK(list))
		return;
	for (int i = 0; i < 1000000; i++) {
		uint8_t in6[16];

		random_in6(&seed, 256, in6);
		allowed += access_list_allows_in6(list, in6);
	}
	CHECK(allowed > 0 && allowed < 1000000);
	access_list_close(list);
}

static const struct unit_test tests[] = {
	ROW(without_an_allowed_block_all_others_are_allowed),
	ROW(the_longest_block_decides),
	ROW(of_the_same_block_allowed_and_denied_it_is_denied),
	ROW(the_ends_of_all_addresses_are_in_their_blocks),
	ROW(ipv4_is_found_in_either_kind_of_socket),
	ROW(no_list_allows_everybody),
	ROW(any_blocks_answer_as_a_look_at_each_of_them_does),
	ROW(ten_thousand_blocks_answer_as_a_look_at_each_of_them_does),
	ROW(a_million_lookups_among_ten_thousand_blocks_are_quick),
};
UNIT_MAIN(tests)
