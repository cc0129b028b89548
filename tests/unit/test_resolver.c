/* SPDX-License-Identifier: MIT */
/*
 * test_resolver.c - the resolver's thread and c-ares against a name server of the test's own: what
 * becomes of one round of answers.
 */
#include "resolver_helpers.h"

/* ---------------------------------------------------------------------------------- the answers */

TEST(a_host_has_the_addresses_of_both_families)
{
	begin();
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.2 10.0.0.1 10.0.0.2");
	dns_say(&server, "app.test", ns_t_aaaa, 60, "2001:db8::1");
	ask_for("app.test", 8080, RESOLVER_ANY);
	expect_first(RESOLVER_FRESH, "10.0.0.1:8080 10.0.0.2:8080 [2001:db8::1]:8080", "");
	CHECK_UINT(stat_of(&resolver_stats(resolver)->queries), 2);
	CHECK_UINT(stat_of(&resolver_stats(resolver)->answers), 2);
	CHECK_UINT(stat_of(&resolver_stats(resolver)->changes), 1);
	CHECK_UINT(stat_of(&resolver_stats(resolver)->failures), 0);
	CHECK(!has_signals);
	end();
}

TEST(only_the_family_that_is_wanted_is_asked_for)
{
	static const struct {
		enum resolver_family family;
		const char *set;
	} rows[] = { { RESOLVER_INET, "10.0.0.1:80" }, { RESOLVER_INET6, "[2001:db8::1]:80" } };

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		begin();
		dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
		dns_say(&server, "app.test", ns_t_aaaa, 60, "2001:db8::1");
		ask_for("app.test", 80, rows[i].family);
		expect_first(RESOLVER_FRESH, rows[i].set, "");
		CHECK_UINT(dns_asked(&server, NULL, 0), 1);
		end();
	}
}

TEST(cname_records_are_followed_and_their_time_counts)
{
	const struct telling *telling;

	begin();
	dns_say(&server, "www.test", ns_t_a, 50,
		"cname:b.test/40 cname:c.test/30 10.0.0.1 10.0.0.2");
	ask_for("www.test", 80, RESOLVER_ANY);
	expect_first(RESOLVER_FRESH, "10.0.0.1:80 10.0.0.2:80", "");
	telling = telling_at(0);
	CHECK_UINT(telling->next_ms, 30000);
	end();
}

TEST(what_cannot_be_answered_is_gone_or_failed)
{
	static const struct {
		const char *name;
		enum dns_act act;
		enum resolver_outcome outcome;
		const char *why;
	} rows[] = {
		{ "no such name", DNS_NXDOMAIN, RESOLVER_GONE, "there is no such name (NXDOMAIN)" },
		{ "circle", DNS_LOOP, RESOLVER_GONE, "the name has no address" },
		{ "servfail", DNS_SERVFAIL, RESOLVER_FAILED, "SERVFAIL" },
		{ "refused", DNS_REFUSED, RESOLVER_FAILED, "REFUSED" },
		{ "notimp", DNS_NOTIMP, RESOLVER_FAILED, "NOTIMP" },
		{ "formerr", DNS_FORMERR, RESOLVER_FAILED, "FORMERR" },
		{ "silence", DNS_SILENT, RESOLVER_FAILED, "no answer in time" },
		{ "another id", DNS_OTHER_ID, RESOLVER_FAILED, "no answer in time" },
		{ "another question", DNS_OTHER_QUESTION, RESOLVER_FAILED, "no answer in time" },
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		uint64_t began_ms;

		unit_row(rows[i].name);
		begin();
		options.timeout_ms = 300;
		dns_do(&server, "loop.test", ns_t_a, rows[i].act);
		ask_for("loop.test", 80, RESOLVER_INET);
		began_ms = now_ms();
		expect_first(rows[i].outcome, "", rows[i].why);
		CHECK(now_ms() - began_ms < 300 + 1000);
		CHECK_UINT(stat_of(&resolver_stats(resolver)->answers), 0);
		CHECK((stat_of(&resolver_stats(resolver)->failures) > 0) ==
		      (rows[i].outcome == RESOLVER_FAILED));
		CHECK_UINT(stat_of(&resolver_stats(resolver)->gone),
			   rows[i].outcome == RESOLVER_GONE);
		end();
	}
	unit_row(NULL);
}

/* Whether c-ares says that it is malformed or waits for a better one depends on its version. */
TEST(garbage_is_a_failure)
{
	static const uint16_t types[] = { ns_t_a, ns_t_srv, ns_t_a, ns_t_srv };

	for (uint32_t i = 0; i < ARRAY_COUNT(types); i++) {
		begin();
		options.timeout_ms = 300;
		dns_do(&server, "app.test", types[i], i < 2 ? DNS_GARBAGE : DNS_NOISE);
		ask_for("app.test", types[i] == ns_t_a ? 80 : 0, RESOLVER_INET);
		if (!open_it())
			return;
		expect(0, RESOLVER_FAILED, "");
		end();
	}
}

TEST(a_name_without_records_is_gone)
{
	begin();
	dns_say(&server, "app.test", ns_t_a, 60, "");
	dns_say(&server, "app.test", ns_t_aaaa, 60, "");
	ask_for("app.test", 80, RESOLVER_ANY);
	expect_first(RESOLVER_GONE, "", "the name has no address");
	CHECK_UINT(stat_of(&resolver_stats(resolver)->gone), 2);
	end();
}

TEST(addresses_that_cannot_be_connected_to_are_left_out)
{
	begin();
	dns_say(&server, "app.test", ns_t_a, 60, "0.0.0.0 224.0.0.1 255.255.255.255 10.0.0.1");
	dns_say(&server, "app.test", ns_t_aaaa, 60, ":: ff02::1 ::ffff:10.0.0.1");
	ask_for("app.test", 80, RESOLVER_ANY);
	expect_first(RESOLVER_FRESH, "10.0.0.1:80", "");
	end();
}

TEST(a_truncated_answer_is_asked_for_again_over_tcp)
{
	begin();
	dns_rule(&server, "app.test", ns_t_a, DNS_TRUNCATED, 60, "10.0.0.1 10.0.0.2");
	ask_for("app.test", 80, RESOLVER_INET);
	expect_first(RESOLVER_FRESH, "10.0.0.1:80 10.0.0.2:80", "");
	CHECK_UINT(server.asked_tcp, 1);
	end();
}

TEST(a_large_answer_is_bounded)
{
	char *records = malloc(1 << 16);
	const struct telling *telling;
	size_t len = 0;

	begin();
	for (uint32_t i = 0; i < 1500; i++)
		len += (size_t)snprintf(records + len, (1 << 16) - len, "%s10.1.%u.%u",
					i > 0 ? " " : "", i / 250, i % 250);
	dns_say(&server, "app.test", ns_t_a, 60, records);
	ask_for("app.test", 80, RESOLVER_INET);
	if (open_it() && (telling = telling_at(0)) != NULL) {
		CHECK_INT(telling->outcome, RESOLVER_FRESH);
		CHECK_UINT(telling->count, RESOLVER_RECORDS_MAX);
		CHECK_UINT(telling->left_out, 1500 - RESOLVER_RECORDS_MAX);
		CHECK(strncmp(telling->set, "10.1.0.0:80 10.1.0.1:80 ", 24) == 0);
	}
	end();
	free(records);
}

/* ---------------------------------------------------------------------------------- SRV records */

TEST(srv_records_bring_ports_weights_and_priorities)
{
	begin();
	dns_say(&server, "_http._tcp.app.test", ns_t_srv, 60,
		"20:0:9000:s3.app.test 10:5:8080:s1.app.test 10:7:8081:S2.app.test");
	dns_say(&server, "s1.app.test", ns_t_a, 60, "10.0.0.1");
	dns_say(&server, "s2.app.test", ns_t_a, 60, "10.0.0.2");
	dns_say(&server, "s2.app.test", ns_t_aaaa, 60, "2001:db8::2");
	dns_say(&server, "s3.app.test", ns_t_a, 60, "cname:s1.app.test 10.0.0.1");
	ask_for("_http._tcp.app.test", 0, RESOLVER_ANY);
	expect_first(RESOLVER_FRESH,
		     "10.0.0.1:8080/10/5 10.0.0.2:8081/10/7 [2001:db8::2]:8081/10/7 "
		     "10.0.0.1:9000/20/0",
		     "");
	CHECK_UINT(dns_asked(&server, NULL, 0), 1 + 6);
	end();
}

TEST(a_host_of_several_srv_records_is_asked_for_once)
{
	begin();
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60,
		"10:1:81:s.test 10:1:82:s.test 20:9:82:s.test 10:3:83:s.test 10:8:83:s.test");
	dns_say(&server, "s.test", ns_t_a, 60, "10.0.0.1");
	ask_for("_x._tcp.app.test", 0, RESOLVER_INET);
	expect_first(RESOLVER_FRESH, "10.0.0.1:81/10/1 10.0.0.1:82/10/1 10.0.0.1:83/10/8", "");
	CHECK_UINT(dns_asked(&server, "s.test", ns_t_a), 1);
	end();
}

TEST(srv_records_without_a_usable_target_are_no_service)
{
	static const char *const rows[] = { "0:0:0:.", "0:0:443:.", "0:0:0:s.test",
					    "0:0:80:no*host.test" };

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i]);
		begin();
		dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, rows[i]);
		dns_say(&server, "s.test", ns_t_a, 60, "10.0.0.1");
		ask_for("_x._tcp.app.test", 0, RESOLVER_INET);
		expect_first(RESOLVER_GONE, "", "the name has no SRV records that can be used");
		CHECK_UINT(dns_asked(&server, "s.test", ns_t_a), 0);
		end();
	}
	unit_row(NULL);
}

TEST(srv_errors_are_told_as_those_of_hosts_are)
{
	static const struct {
		enum dns_act act;
		enum resolver_outcome outcome;
		const char *why;
	} rows[] = {
		{ DNS_NXDOMAIN, RESOLVER_GONE, "there is no such name (NXDOMAIN)" },
		{ DNS_SERVFAIL, RESOLVER_FAILED, "SERVFAIL" },
		{ DNS_SILENT, RESOLVER_FAILED, "no answer in time" },
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		unit_row(rows[i].why);
		begin();
		options.timeout_ms = 300;
		dns_do(&server, "_x._tcp.app.test", ns_t_srv, rows[i].act);
		ask_for("_x._tcp.app.test", 0, RESOLVER_ANY);
		expect_first(rows[i].outcome, "", rows[i].why);
		end();
	}
	unit_row(NULL);
	begin();
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, "");
	ask_for("_x._tcp.app.test", 0, RESOLVER_ANY);
	expect_first(RESOLVER_GONE, "", "the name has no SRV records");
	end();
}

TEST(a_target_that_fails_keeps_its_addresses_and_new_ones_come)
{
	begin();
	options.ttl_max_ms = 30;
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, "1:1:80:a.test 1:1:80:b.test");
	dns_say(&server, "a.test", ns_t_a, 60, "10.0.0.1");
	dns_say(&server, "b.test", ns_t_a, 60, "10.0.0.2");
	ask_for("_x._tcp.app.test", 0, RESOLVER_INET);
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80/1/1 10.0.0.2:80/1/1");
	dns_do(&server, "a.test", ns_t_a, DNS_SERVFAIL);
	dns_say(&server, "b.test", ns_t_a, 60, "10.0.0.3");
	expect(1, RESOLVER_FRESH, "10.0.0.1:80/1/1 10.0.0.3:80/1/1");
	dns_do(&server, "_x._tcp.app.test", ns_t_srv, DNS_SERVFAIL);
	expect(2, RESOLVER_FAILED, "10.0.0.1:80/1/1 10.0.0.3:80/1/1");
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, "1:1:80:b.test");
	expect(3, RESOLVER_FRESH, "10.0.0.3:80/1/1");
	end();
}

TEST(a_target_may_be_written_as_an_address)
{
	begin();
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, "1:1:80:10.0.0.9");
	ask_for("_x._tcp.app.test", 0, RESOLVER_ANY);
	expect_first(RESOLVER_FRESH, "10.0.0.9:80/1/1", "");
	CHECK_UINT(dns_asked(&server, NULL, 0), 1);
	end();
}

TEST(both_steps_of_srv_share_the_time)
{
	uint64_t began_ms;

	begin();
	options.timeout_ms = 500;
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, "1:1:80:a.test 1:1:80:b.test");
	dns_do(&server, "a.test", ns_t_a, DNS_SILENT);
	dns_say(&server, "b.test", ns_t_a, 60, "10.0.0.2");
	ask_for("_x._tcp.app.test", 0, RESOLVER_INET);
	began_ms = now_ms();
	expect_first(RESOLVER_FRESH, "10.0.0.2:80/1/1", "");
	CHECK(now_ms() - began_ms >= 450);
	CHECK(now_ms() - began_ms < 500 + 1000);
	end();
}

/* More names than are asked for at one time, whose servers say nothing, stand in front of one whose
 * server answers: its turn comes, although all of them failed at one time and will be due at one
 * time. */
TEST(names_without_answers_do_not_starve_others)
{
	static char hosts[200][16];
	uint64_t until_ms;
	bool is_found = false;

	begin();
	options.timeout_ms = 150;
	options.ttl_max_ms = 1000;
	for (uint32_t i = 0; i < ARRAY_COUNT(hosts); i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "s%u.test", i);
		dns_do(&server, hosts[i], ns_t_a, DNS_SILENT);
		ask_for(hosts[i], 80, RESOLVER_INET);
	}
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	until_ms = now_ms() + 4000;
	while (!is_found && now_ms() < until_ms) {
		usleep(5000);
		pthread_mutex_lock(&lock);
		for (uint32_t i = 0; i < tellings_count; i++)
			is_found |= tellings[i].question == ARRAY_COUNT(hosts) &&
				    tellings[i].outcome == RESOLVER_FRESH;
		pthread_mutex_unlock(&lock);
	}
	CHECK(is_found);
	/* Who was asked in vain waits all the longer, as ever. */
	CHECK(dns_asked(&server, hosts[0], ns_t_a) <= 12);
	end();
}

static const struct unit_test tests[] = {
	ROW(names_without_answers_do_not_starve_others),
	ROW(a_host_has_the_addresses_of_both_families),
	ROW(only_the_family_that_is_wanted_is_asked_for),
	ROW(cname_records_are_followed_and_their_time_counts),
	ROW(what_cannot_be_answered_is_gone_or_failed),
	ROW(garbage_is_a_failure),
	ROW(a_name_without_records_is_gone),
	ROW(addresses_that_cannot_be_connected_to_are_left_out),
	ROW(a_truncated_answer_is_asked_for_again_over_tcp),
	ROW(a_large_answer_is_bounded),
	ROW(srv_records_bring_ports_weights_and_priorities),
	ROW(a_host_of_several_srv_records_is_asked_for_once),
	ROW(srv_records_without_a_usable_target_are_no_service),
	ROW(srv_errors_are_told_as_those_of_hosts_are),
	ROW(a_target_that_fails_keeps_its_addresses_and_new_ones_come),
	ROW(a_target_may_be_written_as_an_address),
	ROW(both_steps_of_srv_share_the_time),
};
UNIT_MAIN(tests)
