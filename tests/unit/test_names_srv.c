/* SPDX-License-Identifier: MIT */
/*
 * test_names_srv.c - SRV records as bytes, and the order of addresses.
 */
#include <stdio.h>

#include "dns_message.h"
#include "names/records.h"
#include "names/srv.h"
#include "unit.h"

#define NAME "_http._tcp.app.test"
#define MALFORMED "the answer is malformed"
#define NO_SERVICE "the name has no SRV records that can be used"

static uint8_t bytes[65535];
static struct dns_writer w;

static void begin(void)
{
	w = (struct dns_writer){ bytes, 0, sizeof(bytes), NAME };
	dns_put_header(&w, 1, 0, ns_t_srv);
}

/* From memory of exactly its size, so that the sanitizer sees a byte too many. */
static struct reply parse(uint32_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	struct reply reply;

	memcpy(exact, bytes, len);
	reply = srv_parse(exact, len);
	free(exact);
	return reply;
}

static const char *format_targets(const struct reply *reply)
{
	static char text[2048];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < reply->targets_count && len < sizeof(text); i++) {
		const struct target *target = &reply->targets[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u:%u:%u:%s",
					i > 0 ? " " : "", target->priority, target->weight,
					target->port, target->host);
	}
	return text;
}

static void check_found(const char *targets, uint64_t ttl_ms)
{
	struct reply reply = parse(w.len);

	CHECK_INT(reply.kind, REPLY_FOUND);
	CHECK_TEXT(format_targets(&reply), targets);
	CHECK_UINT(reply.ttl_ms, ttl_ms);
	reply_deinit(&reply);
}

static void check_without(enum reply_kind kind, const char *why)
{
	struct reply reply = parse(w.len);

	CHECK_INT(reply.kind, kind);
	CHECK_TEXT(reply.why, why);
	CHECK(reply.targets == NULL && reply.targets_count == 0);
	reply_deinit(&reply);
}

/* ------------------------------------------------------------------------------------- messages */

TEST(records_come_in_one_order_and_none_twice)
{
	static const char *const rows[] = {
		"20:1:80:a.test 10:2:80:b.test 10:2:80:a.test 10:3:80:b.test 10:2:79:b.test",
		"10:2:79:b.test 10:3:80:B.Test 10:2:80:b.test 10:2:80:a.test 20:1:80:a.test",
		"10:2:80:a.test 20:1:80:A.TEST 10:2:79:b.test 10:2:80:b.test 10:3:80:b.test",
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		begin();
		dns_put_records(&w, 60, rows[i]);
		check_found("10:2:80:a.test 10:2:79:b.test 10:3:80:b.test 20:1:80:a.test", 60000);
	}
}

TEST(compressed_targets_are_read)
{
	begin();
	dns_put_records(&w, 60, "0:0:1:s1.app.test 0:0:2:app.test 0:0:3:test 0:0:4:s.other.test");
	CHECK(w.len < 160); /* they are */
	check_found("0:0:2:app.test 0:0:4:s.other.test 0:0:1:s1.app.test 0:0:3:test", 60000);
}

TEST(the_least_time_to_live_counts)
{
	static const struct {
		const char *records;
		uint64_t ttl_ms;
	} rows[] = {
		{ "1:1:1:a.test/50 1:1:2:a.test/40", 40000 },
		{ "cname:other.test/30 1:1:1:a.test/50", 30000 },
		{ "1:1:1:a.test/0 1:1:2:a.test", 0 },
		{ "1:1:1:a.test/2147483647", 2147483647000 },
		{ "1:1:1:a.test/2147483648", 0 }, /* RFC 2181 section 8 */
		{ "1:1:1:a.test/4294967295", 0 },
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct reply reply;

		unit_row(rows[i].records);
		begin();
		dns_put_records(&w, 60, rows[i].records);
		reply = parse(w.len);
		CHECK_INT(reply.kind, REPLY_FOUND);
		CHECK_UINT(reply.ttl_ms, rows[i].ttl_ms);
		reply_deinit(&reply);
	}
	unit_row(NULL);
}

TEST(cname_records_are_followed_and_other_records_are_not_taken)
{
	begin();
	dns_put_records(&w, 60, "cname:x.test cname:y.test 1:1:1:a.test");
	dns_put_record(&w, NAME, 1, (char[]){ "1:1:2:a.test" }); /* it is called y.test by now */
	dns_put_record(&w, "z.test", 1, (char[]){ "1:1:3:a.test" });
	dns_put_record(&w, "Y.test", 60, (char[]){ "10.0.0.1" });
	dns_put_record(&w, "Y.test", 60, (char[]){ "1:1:4:b.test" });
	check_found("1:1:1:a.test 1:1:4:b.test", 60000);
}

TEST(targets_that_are_no_host_or_have_no_port_are_not_used)
{
	static const char *const rows[] = {
		"",
		"0:0:0:.",
		"0:0:80:.",
		"0:0:0:a.test",
		"0:0:80:a*.test",
		"0:0:80:a\\.test",
		"10.0.0.1",
		"cname:x.test",
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i]);
		begin();
		dns_put_records(&w, 60, rows[i]);
		check_without(REPLY_GONE, NO_SERVICE);
	}
	unit_row(NULL);
	begin();
	dns_put_records(&w, 60, "0:0:0:. 1:1:80:a_b-c.test 0:0:80:.");
	check_found("1:1:80:a_b-c.test", 60000);
}

TEST(a_long_target_is_no_host)
{
	char record[300] = "0:0:80:";

	for (uint32_t len = 252; len <= 254; len++) {
		for (uint32_t i = 0; i < len; i++)
			record[7 + i] = i % 64 == 63 ? '.' : 'a';
		record[7 + len] = '\0';
		begin();
		dns_put_records(&w, 60, record);
		if (len <= ADDR_NAME_MAX)
			check_found(record, 60000);
		else /* 255 bytes on the wire are all that a name may have */
			check_without(REPLY_FAILED, MALFORMED);
	}
}

TEST(more_targets_than_there_is_room_for_are_left_out)
{
	struct reply reply;

	begin();
	for (uint32_t i = 1500; i > 0; i--) {
		char record[64];

		snprintf(record, sizeof(record), "%u:1:%u:a%u.app.test", i % 3, i, i % 7);
		dns_put_record(&w, NAME, 60, record);
	}
	reply = parse(w.len);
	CHECK_INT(reply.kind, REPLY_FOUND);
	CHECK_UINT(reply.targets_count, RESOLVER_RECORDS_MAX);
	CHECK_UINT(reply.left_out, 1500 - RESOLVER_RECORDS_MAX);
	CHECK_UINT(reply.targets[0].priority, 0);
	CHECK_UINT(reply.targets[RESOLVER_RECORDS_MAX - 1].priority, 2);
	reply_deinit(&reply);
}

TEST(a_message_that_is_cut_is_malformed)
{
	begin();
	dns_put_records(&w, 60, "cname:x.test 1:1:1:a.app.test 2:2:2:b.test");
	for (uint32_t len = 0; len < w.len; len++) {
		struct reply reply = parse(len);

		CHECK_INT(reply.kind, REPLY_FAILED);
		reply_deinit(&reply);
	}
	check_found("1:1:1:a.app.test 2:2:2:b.test", 60000);
}

TEST(a_message_that_is_changed_is_not_believed)
{
	uint32_t record_at, data_at;
	static const struct {
		uint32_t at; /* from the record's first byte */
		uint32_t value;
		enum reply_kind kind;
	} rows[] = {
		{ 2, 0x0001, REPLY_GONE },    /* type */
		{ 4, 0x0003, REPLY_GONE },    /* class */
		{ 10, 0x0000, REPLY_FAILED }, /* length of the data: none, */
		{ 10, 0x0006, REPLY_FAILED }, /* no target, */
		{ 10, 0x0007, REPLY_FAILED }, /* half of it, */
		{ 10, 0xffff, REPLY_FAILED }, /* beyond the message */
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		begin();
		record_at = w.len;
		dns_put_records(&w, 60, "1:1:1:a.test");
		bytes[record_at + rows[i].at] = (uint8_t)(rows[i].value >> 8);
		bytes[record_at + rows[i].at + 1] = (uint8_t)rows[i].value;
		check_without(rows[i].kind, rows[i].kind == REPLY_GONE ? NO_SERVICE : MALFORMED);
	}
	begin();
	dns_put_records(&w, 60, "1:1:1:a.test");
	bytes[record_at + 3] = ns_t_a; /* of which nobody reads the data, but it must be there */
	bytes[record_at + 10] = 1;
	check_without(REPLY_FAILED, MALFORMED);
	begin();
	dns_put_records(&w, 60, "1:1:1:a.test");
	data_at = w.len - 4; /* the target: it points at itself */
	bytes[data_at] = 0xc0 | (uint8_t)(data_at >> 8);
	bytes[data_at + 1] = (uint8_t)data_at;
	check_without(REPLY_FAILED, MALFORMED);
}

TEST(an_error_or_another_number_of_questions_is_no_answer)
{
	begin();
	dns_put_records(&w, 60, "1:1:1:a.test");
	bytes[3] |= ns_r_servfail;
	check_without(REPLY_FAILED, MALFORMED);
	bytes[3] &= 0xf0;
	bytes[5] = 0;
	check_without(REPLY_FAILED, MALFORMED);
	bytes[5] = 2;
	check_without(REPLY_FAILED, MALFORMED);
	bytes[5] = 1;
	bytes[6] = 0xff; /* answers */
	check_without(REPLY_FAILED, MALFORMED);
	bytes[6] = 0;
	check_found("1:1:1:a.test", 60000);
}

/* --------------------------------------------------------------------------------------- orders */

static struct addr addr_of(const char *text)
{
	struct addr addr;
	const char *reason;

	assert(addr_parse(&addr, text, &reason));
	return addr;
}

static void shuffle(void *items, uint32_t count, size_t size, uint64_t *seed)
{
	uint8_t kept[sizeof(struct resolver_record)], *bytes_of = items;

	for (uint32_t i = count; i > 1; i--) {
		uint32_t other = (uint32_t)(unit_random(seed) % i);

		memcpy(kept, bytes_of + (i - 1) * size, size);
		memcpy(bytes_of + (i - 1) * size, bytes_of + other * size, size);
		memcpy(bytes_of + other * size, kept, size);
	}
}

TEST(addresses_have_one_order)
{
	static const char *const sorted[] = { "1.2.3.4:80",   "9.0.0.1:80", "10.0.0.1:80",
					      "200.0.0.1:80", "[::1]:80",   "[2001:db8::1]:80",
					      "[fe80::1]:80" };
	static const char *const others[] = {
		"0.0.0.0:80", "255.255.255.255:80",  "239.1.1.1:80",        "[ff02::1]:80",
		"[::]:80",    "[::ffff:9.0.0.1]:80", "[::ffff:0.0.0.0]:80", "1.2.3.4:80"
	};
	struct addr addrs[ARRAY_COUNT(sorted) + ARRAY_COUNT(others)];
	uint64_t seed = 1;

	for (uint32_t round = 0; round < 100; round++) {
		char text[ADDR_TEXT_MAX];
		uint32_t count = 0, kept;

		for (uint32_t i = 0; i < ARRAY_COUNT(sorted); i++)
			addrs[count++] = addr_of(sorted[i]);
		for (uint32_t i = 0; i < ARRAY_COUNT(others); i++)
			addrs[count++] = addr_of(others[i]);
		shuffle(addrs, count, sizeof(*addrs), &seed);
		kept = addrs_sort(addrs, count);
		if (!CHECK_UINT(kept, ARRAY_COUNT(sorted)))
			return;
		for (uint32_t i = 0; i < kept; i++)
			CHECK_TEXT(addr_format(text, &addrs[i]), sorted[i]);
	}
	CHECK_UINT(addrs_sort(addrs, 0), 0);
}

static struct resolver_record record_of(const char *addr, uint16_t priority, uint16_t weight)
{
	return (struct resolver_record){ addr_of(addr), priority, weight };
}

TEST(of_one_address_the_lowest_priority_and_then_the_highest_weight_stays)
{
	const struct resolver_record all[] = {
		record_of("10.0.0.2:80", 1, 1),      record_of("10.0.0.1:80", 2, 9),
		record_of("10.0.0.1:80", 2, 7),      record_of("10.0.0.1:80", 3, 100),
		record_of("10.0.0.1:81", 1, 5),      record_of("[2001:db8::1]:80", 1, 0),
		record_of("[2001:db8::1]:80", 1, 3),
	};
	const struct resolver_record right[] = {
		record_of("10.0.0.1:81", 1, 5),
		record_of("10.0.0.2:80", 1, 1),
		record_of("[2001:db8::1]:80", 1, 3),
		record_of("10.0.0.1:80", 2, 9),
	};
	uint64_t seed = 2;

	for (uint32_t round = 0; round < 100; round++) {
		struct resolver_record records[ARRAY_COUNT(all)];
		uint32_t kept;

		memcpy(records, all, sizeof(all));
		shuffle(records, ARRAY_COUNT(all), sizeof(*records), &seed);
		kept = records_sort(records, ARRAY_COUNT(all));
		CHECK(records_same(records, kept, right, ARRAY_COUNT(right)));
	}
}

TEST(sets_differ_by_address_port_priority_or_weight)
{
	const struct resolver_record one = record_of("10.0.0.1:80", 1, 1);
	const struct resolver_record others[] = {
		record_of("10.0.0.2:80", 1, 1),      record_of("10.0.0.1:81", 1, 1),
		record_of("10.0.0.1:80", 2, 1),      record_of("10.0.0.1:80", 1, 2),
		record_of("[2001:db8::1]:80", 1, 1),
	};

	CHECK(records_same(&one, 1, &one, 1));
	CHECK(records_same(&one, 0, NULL, 0));
	CHECK(!records_same(&one, 1, &one, 0));
	for (uint32_t i = 0; i < ARRAY_COUNT(others); i++)
		CHECK(!records_same(&one, 1, &others[i], 1));
}

static const struct unit_test tests[] = {
	ROW(records_come_in_one_order_and_none_twice),
	ROW(compressed_targets_are_read),
	ROW(the_least_time_to_live_counts),
	ROW(cname_records_are_followed_and_other_records_are_not_taken),
	ROW(targets_that_are_no_host_or_have_no_port_are_not_used),
	ROW(a_long_target_is_no_host),
	ROW(more_targets_than_there_is_room_for_are_left_out),
	ROW(a_message_that_is_cut_is_malformed),
	ROW(a_message_that_is_changed_is_not_believed),
	ROW(an_error_or_another_number_of_questions_is_no_answer),
	ROW(addresses_have_one_order),
	ROW(of_one_address_the_lowest_priority_and_then_the_highest_weight_stays),
	ROW(sets_differ_by_address_port_priority_or_weight),
};
UNIT_MAIN(tests)
