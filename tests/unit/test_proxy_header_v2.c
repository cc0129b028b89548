/* SPDX-License-Identifier: MIT */
/*
 * test_proxy_header_v2.c - the PROXY protocol, second version, read: front, addresses, TLVs.
 */
#include "proxy_header_helpers.h"

/* ------------------------------------------------------------------------------------ version 2 */

static const uint8_t v4_block[12] = { 192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb };
static const uint8_t v6_block[36] = { 0x20, 1,    0xd,      0xb8, [15] = 1, 0x20, 1,
				      0xd,  0xb8, [31] = 2, 0xdc, 4,        1,    0xbb };

static void front(struct bytes *bytes, int command, int family, uint32_t length)
{
	uint8_t rest[4] = { (uint8_t)command, (uint8_t)family, (uint8_t)(length >> 8),
			    (uint8_t)length };

	bytes->len = 0;
	add(bytes, SIGNATURE, 12);
	add(bytes, rest, sizeof(rest));
}

static void set_length(struct bytes *bytes)
{
	bytes->at[14] = (uint8_t)((bytes->len - 16) >> 8);
	bytes->at[15] = (uint8_t)(bytes->len - 16);
}

static void add_tlv(struct bytes *bytes, int type, const void *value, uint32_t len)
{
	uint8_t tlv[3] = { (uint8_t)type, (uint8_t)(len >> 8), (uint8_t)len };

	add(bytes, tlv, sizeof(tlv));
	if (value)
		add(bytes, value, len);
	else
		add_zeros(bytes, len);
	set_length(bytes);
}

static struct bytes bytes;

TEST(a_header_of_version_2_gives_its_addresses)
{
	static const struct {
		int command;
		int family;
		const char *source;
		const char *destination;
	} rows[] = {
		{ PROXY, TCP4, "192.0.2.7:56324", "198.51.100.1:443" },
		{ PROXY, UDP4, "192.0.2.7:56324", "198.51.100.1:443" },
		{ PROXY, TCP6, "[2001:db8::1]:56324", "[2001:db8::2]:443" },
		{ PROXY, UDP6, "[2001:db8::1]:56324", "[2001:db8::2]:443" },
		{ PROXY, 0x10, NULL, NULL }, /* of no transport that is named */
		{ PROXY, 0x20, NULL, NULL },
		{ PROXY, 0x01, NULL, NULL },
		{ PROXY, UNSPEC, NULL, NULL },
		{ LOCAL, UNSPEC, NULL, NULL },
		{ LOCAL, TCP4, NULL, NULL },
		{ LOCAL, TCP6, NULL, NULL },
		{ LOCAL, 0xff, NULL, NULL }, /* "including the family which is ignored" */
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct proxy_header header;
		char row[32];

		snprintf(row, sizeof(row), "%02x %02x", rows[i].command, rows[i].family);
		unit_row(row);
		front(&bytes, rows[i].command, rows[i].family, 0);
		if (rows[i].family >> 4 == 1)
			add(&bytes, v4_block, sizeof(v4_block));
		if (rows[i].family >> 4 == 2)
			add(&bytes, v6_block, sizeof(v6_block));
		set_length(&bytes);
		for (int tlvs = 0; tlvs < 3; tlvs++) {
			if (check_good(&header, PROXY_HEADER_V2, &bytes))
				check_addresses(&header, rows[i].source, rows[i].destination);
			add_tlv(&bytes, 0xe0 + tlvs, NULL, (uint32_t)tlvs * 17);
		}
	}
	unit_row(NULL);
}

TEST(what_is_not_defined_is_refused_as_soon_as_it_shows)
{
	for (int value = 0; value < 256; value++) {
		char row[32];

		snprintf(row, sizeof(row), "%02x", value);
		unit_row(row);
		front(&bytes, value, TCP4, 12);
		add(&bytes, v4_block, sizeof(v4_block));
		if (value != LOCAL && value != PROXY) {
			check_bad(PROXY_HEADER_V2, &bytes, "the version is not 2, or the command");
			bytes.len = 13;
			check_bad(PROXY_HEADER_V2, &bytes, "the version is not 2, or the command");
		}
		front(&bytes, PROXY, value, 216);
		add_zeros(&bytes, 216);
		if (value >> 4 > 3 || (value & 15) > 2) {
			check_bad(PROXY_HEADER_V2, &bytes, "the family or the transport");
			bytes.len = 14;
			check_bad(PROXY_HEADER_V2, &bytes, "the family or the transport");
		}
	}
	unit_row(NULL);
}

TEST(a_signature_that_is_wrong_in_any_byte_is_refused_at_that_byte)
{
	struct proxy_header header;
	const char *reason = "";

	for (uint32_t i = 0; i < 12; i++) {
		front(&bytes, PROXY, TCP4, 12);
		add(&bytes, v4_block, sizeof(v4_block));
		bytes.at[i] ^= 0x20;
		check_bad(PROXY_HEADER_V2, &bytes, "no PROXY header of version 2");
		check_bad(PROXY_HEADER_ANY, &bytes, "no PROXY header");
		CHECK_UINT(parse(&header, PROXY_HEADER_V2, bytes.at, i, &reason),
			   PROXY_HEADER_MORE);
		CHECK_UINT(parse(&header, PROXY_HEADER_V2, bytes.at, i + 1, &reason),
			   PROXY_HEADER_REFUSED);
	}
	front(&bytes, PROXY, TCP4, 12);
	check_bad(PROXY_HEADER_V1, &bytes, "no PROXY header of version 1");
}

TEST(a_length_that_the_family_does_not_fit_is_refused)
{
	static const struct {
		int family;
		uint32_t least;
	} rows[] = { { TCP4, 12 }, { UDP4, 12 },    { 0x10, 12 },      { TCP6, 36 },
		     { UDP6, 36 }, { STREAM, 216 }, { DATAGRAM, 216 }, { 0x30, 216 } };

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct proxy_header header;

		for (uint32_t length = 0; length < rows[i].least; length++) {
			front(&bytes, PROXY, rows[i].family, length);
			check_bad(PROXY_HEADER_V2, &bytes, "too short for the addresses");
			bytes.at[12] = LOCAL;
			add_zeros(&bytes, length);
			if (length % 5 == 0)
				check_good(&header, PROXY_HEADER_V2, &bytes);
		}
		front(&bytes, PROXY, rows[i].family, rows[i].least);
		add_zeros(&bytes, rows[i].least);
		check_good(&header, PROXY_HEADER_V2, &bytes);
	}
}

TEST(a_header_has_2280_bytes_and_not_one_more)
{
	struct proxy_header header;
	const char *reason = "";

	CHECK_UINT(PROXY_HEADER_READ_MAX, 2280);
	front(&bytes, PROXY, TCP4, 0);
	add(&bytes, v4_block, sizeof(v4_block));
	add_tlv(&bytes, 4, NULL, 2280 - 16 - 12 - 3);
	CHECK_UINT(bytes.len, PROXY_HEADER_READ_MAX);
	CHECK_UINT(parse(&header, PROXY_HEADER_V2, bytes.at, bytes.len - 1, &reason),
		   PROXY_HEADER_MORE);
	CHECK_UINT(parse(&header, PROXY_HEADER_V2, bytes.at, bytes.len, &reason),
		   PROXY_HEADER_DONE);
	for (int command = LOCAL; command <= PROXY; command++) {
		front(&bytes, command, TCP4, 2265);
		check_bad(PROXY_HEADER_V2, &bytes, "more than 2280 bytes");
		front(&bytes, command, UNSPEC, 65535);
		check_bad(PROXY_HEADER_V2, &bytes, "more than 2280 bytes");
	}
}

TEST(a_tlv_that_is_longer_than_the_rest_is_refused)
{
	static const struct {
		const char *tlvs;
		uint32_t len;
		const char *words;
	} rows[] = {
		{ "\x04", 1, "too short for a TLV" },
		{ "\x04\x00", 2, "too short for a TLV" },
		{ "\x04\x00\x01", 3, "longer than the rest" },
		{ "\x04\x01\x00", 3, "longer than the rest" },
		{ "\x04\xff\xff", 3, "longer than the rest" },
		{ "\x04\x00\x02x", 4, "longer than the rest" },
		{ "\x04\x00\x00\x01", 4, "too short for a TLV" },
		{ "\x04\x00\x01x\x01\x00", 6, "too short for a TLV" },
		{ "\x04\x00\x01x\x01\x00\x01", 7, "longer than the rest" },
		{ "\x03\x00\x00", 3, "one checksum, of 4 bytes" },
		{ "\x03\x00\x03xxx", 6, "one checksum, of 4 bytes" },
		{ "\x03\x00\x05xxxxx", 8, "one checksum, of 4 bytes" },
		{ "\x03\x00\x04xxxx", 7, "checksum of the header is wrong" },
		{ "\x03\x00\x04xxx", 6, "longer than the rest" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct proxy_header header;

		unit_row(rows[i].words);
		front(&bytes, PROXY, TCP4, 0);
		add(&bytes, v4_block, sizeof(v4_block));
		add(&bytes, rows[i].tlvs, rows[i].len);
		set_length(&bytes);
		check_bad(PROXY_HEADER_V2, &bytes, rows[i].words);
		bytes.at[13] = 0x10;
		check_bad(PROXY_HEADER_V2, &bytes, rows[i].words);
		bytes.at[12] = LOCAL; /* nothing of it is used */
		check_good(&header, PROXY_HEADER_V2, &bytes);
	}
	unit_row(NULL);
}

/* CRC-32C by its definition, one bit after the other. */
static uint32_t slow_crc32c(const uint8_t *at, uint32_t len)
{
	uint32_t crc = UINT32_MAX;

	for (uint32_t i = 0; i < len; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void put_checksum(uint32_t at)
{
	uint32_t crc;

	memset(bytes.at + at, 0, 4);
	crc = slow_crc32c(bytes.at, bytes.len);
	for (int i = 0; i < 4; i++)
		bytes.at[at + (uint32_t)i] = (uint8_t)(crc >> (24 - 8 * i));
}

TEST(a_checksum_is_verified_wherever_it_stands)
{
	struct proxy_header header;

	CHECK_UINT(slow_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	for (uint32_t before = 0; before < 5; before++) {
		uint32_t at;

		front(&bytes, PROXY, TCP6, 0);
		add(&bytes, v6_block, sizeof(v6_block));
		for (uint32_t i = 0; i < before; i++)
			add_tlv(&bytes, 2, "host.example", 12);
		at = bytes.len + 3;
		add_tlv(&bytes, 3, NULL, 4);
		for (uint32_t i = before; i < 3; i++)
			add_tlv(&bytes, 0x20, NULL, 5);
		put_checksum(at);
		check_good(&header, PROXY_HEADER_V2, &bytes);
		check_addresses(&header, "[2001:db8::1]:56324", "[2001:db8::2]:443");
		/* Any change is found, also one of the sum itself. */
		for (uint32_t i = 16; i < 16 + 36; i++) {
			bytes.at[i] ^= 1;
			check_bad(PROXY_HEADER_V2, &bytes, "checksum of the header is wrong");
			bytes.at[i] ^= 1;
		}
		bytes.at[at] ^= 0x80;
		check_bad(PROXY_HEADER_V2, &bytes, "checksum of the header is wrong");
	}
	/* Two of them cannot both be over a header in which the other is zero. */
	front(&bytes, PROXY, TCP4, 0);
	add(&bytes, v4_block, sizeof(v4_block));
	add_tlv(&bytes, 3, NULL, 4);
	add_tlv(&bytes, 3, NULL, 4);
	put_checksum(16 + 12 + 3);
	check_bad(PROXY_HEADER_V2, &bytes, "one checksum, of 4 bytes");
}

/* Its sum was computed by another program. */
TEST(a_header_with_a_checksum_from_elsewhere_is_taken)
{
	static const uint8_t known[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55,
					 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 0x13, 0x7f, 0x00,
					 0x00, 0x01, 0x7f, 0x00, 0x00, 0x01, 0x30, 0x39, 0x1f,
					 0x90, 0x03, 0x00, 0x04, 0xf2, 0x58, 0x87, 0xab };
	struct proxy_header header;

	bytes.len = 0;
	add(&bytes, known, sizeof(known));
	check_good(&header, PROXY_HEADER_V2, &bytes);
	check_addresses(&header, "127.0.0.1:12345", "127.0.0.1:8080");
}

/* ---------------------------------------------------------------------------------------- unix */

static void add_unix(const char *path, size_t len)
{
	add(&bytes, path, len);
	add_zeros(&bytes, 108 - len);
}

TEST(unix_addresses_are_read_as_paths_and_abstract_names)
{
	static char full[108];
	char expected[ADDR_TEXT_MAX];
	const struct {
		const char *path;
		size_t len;
		const char *text;
	} rows[] = {
		{ "/run/app", 8, "unix:/run/app" },
		{ "/run/app\0left over", 18, "unix:/run/app" },
		{ "/a b", 4, "unix:/a b" },
		{ "relative", 8, "unix:relative" },
		{ "", 0, "unix:" },
		{ "\0abstract", 9, "unix:@abstract" },
		{ "\0two\0parts", 10, "unix:@two@parts" },
		{ full, 108, expected },
	};

	memset(full, 'p', sizeof(full));
	full[0] = '/';
	snprintf(expected, sizeof(expected), "unix:%.108s", full);
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct proxy_header header;
		struct addr again;

		unit_row(rows[i].text);
		front(&bytes, PROXY, STREAM, 216);
		add_unix(rows[i].path, rows[i].len);
		add_unix("/x", 2);
		if (!check_good(&header, PROXY_HEADER_V2, &bytes))
			continue;
		check_addresses(&header, rows[i].text, "unix:/x");
		/* The length is what the kernel counts. */
		addr_from_sockaddr(&again, &header.source.u.any, header.source.len);
		CHECK(addr_equal(&again, &header.source));
	}
	unit_row(NULL);
	front(&bytes, PROXY, DATAGRAM, 216);
	add_unix("/run/app\nX: y", 13);
	add_unix("/x", 2);
	check_bad(PROXY_HEADER_V2, &bytes, "control characters");
	front(&bytes, PROXY, STREAM, 216);
	add_unix("/x", 2);
	add_unix("\0\x1b[2J", 5);
	check_bad(PROXY_HEADER_V2, &bytes, "control characters");
}

static const struct unit_test tests[] = {
	ROW(a_header_of_version_2_gives_its_addresses),
	ROW(what_is_not_defined_is_refused_as_soon_as_it_shows),
	ROW(a_signature_that_is_wrong_in_any_byte_is_refused_at_that_byte),
	ROW(a_length_that_the_family_does_not_fit_is_refused),
	ROW(a_header_has_2280_bytes_and_not_one_more),
	ROW(a_tlv_that_is_longer_than_the_rest_is_refused),
	ROW(a_checksum_is_verified_wherever_it_stands),
	ROW(a_header_with_a_checksum_from_elsewhere_is_taken),
	ROW(unix_addresses_are_read_as_paths_and_abstract_names),
};
UNIT_MAIN(tests)
