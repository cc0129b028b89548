/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_rounds.c - the resolver's thread and c-ares against name servers of the test's own:
 * round after round, several servers, many names, the thread, and the files of the host.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "resolver_helpers.h"

/* ------------------------------------------------------------------------------ again and again */

TEST(a_name_is_asked_again_within_the_bounds)
{
	static const struct {
		uint32_t ttl;
		uint64_t next_ms;
	} rows[] = { { 0, 2000 }, { 1, 2000 }, { 7, 7000 }, { 3600, 9000 } };

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		static const uint16_t types[] = { ns_t_a, ns_t_srv };

		for (uint32_t j = 0; j < ARRAY_COUNT(types); j++) {
			const struct telling *telling;

			begin();
			options.ttl_min_ms = 2000;
			options.ttl_max_ms = 9000;
			dns_say(&server, "app.test", types[j], rows[i].ttl,
				types[j] == ns_t_a ? "10.0.0.1" : "1:1:80:10.0.0.1");
			ask_for("app.test", types[j] == ns_t_a ? 80 : 0, RESOLVER_INET);
			if (open_it() && (telling = telling_at(0)) != NULL)
				CHECK_UINT(telling->next_ms, rows[i].next_ms);
			end();
		}
	}
}

TEST(it_is_told_only_what_has_changed)
{
	begin();
	options.ttl_max_ms = 20;
	dns_say(&server, "app.test", ns_t_a, 0, "10.0.0.1 10.0.0.2");
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80 10.0.0.2:80");
	wait_until_asked("app.test", ns_t_a, 4);
	dns_say(&server, "app.test", ns_t_a, 5, "10.0.0.2 10.0.0.1");
	wait_until_asked("app.test", ns_t_a, 8);
	CHECK_UINT(tellings_now(), 1);
	dns_say(&server, "app.test", ns_t_a, 5, "10.0.0.3 10.0.0.1");
	expect(1, RESOLVER_FRESH, "10.0.0.1:80 10.0.0.3:80");
	CHECK_UINT(stat_of(&resolver_stats(resolver)->changes), 2);
	end();
}

TEST(a_failure_keeps_the_addresses_and_is_told_once)
{
	uint32_t asked;

	begin();
	options.ttl_max_ms = 20;
	dns_say(&server, "app.test", ns_t_a, 0, "10.0.0.1");
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80");
	dns_do(&server, "app.test", ns_t_a, DNS_SERVFAIL);
	expect(1, RESOLVER_FAILED, "10.0.0.1:80");
	CHECK_TEXT(telling_at(1)->why, "SERVFAIL");
	asked = dns_asked(&server, "app.test", ns_t_a);
	wait_until_asked("app.test", ns_t_a, asked + 4);
	CHECK_UINT(tellings_now(), 2);
	dns_say(&server, "app.test", ns_t_a, 0, "10.0.0.1");
	expect(2, RESOLVER_FRESH, "10.0.0.1:80");
	CHECK_UINT(stat_of(&resolver_stats(resolver)->changes), 1);
	end();
}

TEST(after_failures_it_is_asked_less_and_less)
{
	uint64_t began_ms = now_ms();

	begin();
	dns_do(&server, "app.test", ns_t_a, DNS_SERVFAIL);
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	CHECK(resolver_wait(resolver, PATIENCE_MS));
	CHECK_UINT(telling_at(0)->next_ms, 1000);
	wait_until_asked("app.test", ns_t_a, 3); /* after one second, and after two more */
	CHECK(now_ms() - began_ms >= 3000);
	end();
}

TEST(a_name_that_is_gone_is_held_for_a_while)
{
	uint64_t gone_ms;

	begin();
	options.ttl_max_ms = 20;
	options.hold_ms = 400;
	dns_say(&server, "app.test", ns_t_a, 0, "10.0.0.1");
	ask_for("app.test", 80, RESOLVER_ANY);
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80");
	dns_do(&server, "app.test", ns_t_a, DNS_NXDOMAIN);
	expect(1, RESOLVER_GONE, "10.0.0.1:80");
	gone_ms = now_ms();
	expect(2, RESOLVER_GONE, "");
	CHECK(now_ms() - gone_ms >= 300);
	dns_say(&server, "app.test", ns_t_a, 0, "10.0.0.2");
	expect(3, RESOLVER_FRESH, "10.0.0.2:80");
	end();
}

TEST(what_no_server_can_be_asked_for_is_tried_again_too)
{
	uint64_t until_ms = now_ms() + PATIENCE_MS;

	begin();
	options.ttl_max_ms = 20;
	ask_for("a-label-has-63-characters-at-most-but-this-one-has-more-of-them-by-far.test", 80,
		RESOLVER_INET);
	expect_first(RESOLVER_FAILED, "", "no name server can be asked for such a name");
	while (stat_of(&resolver_stats(resolver)->failures) < 5 && now_ms() < until_ms)
		usleep(2000);
	CHECK(stat_of(&resolver_stats(resolver)->failures) >= 5);
	CHECK_UINT(dns_asked(&server, NULL, 0), 0);
	end();
}

TEST(a_refresh_asks_at_once)
{
	begin();
	dns_say(&server, "app.test", ns_t_a, 3600, "10.0.0.1");
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80");
	dns_say(&server, "app.test", ns_t_a, 3600, "10.0.0.2");
	resolver_refresh(resolver);
	expect(1, RESOLVER_FRESH, "10.0.0.2:80");
	end();
}

TEST(a_refresh_while_it_is_asked_asks_once_more)
{
	begin();
	options.timeout_ms = 300;
	dns_do(&server, "app.test", ns_t_a, DNS_SILENT);
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	wait_until_asked("app.test", ns_t_a, 1);
	resolver_refresh(resolver);
	expect(0, RESOLVER_FAILED, "");
	CHECK_UINT(telling_at(0)->next_ms, 0);
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
	expect(1, RESOLVER_FRESH, "10.0.0.1:80");
	end();
}

/* ------------------------------------------------------------------------------ several servers */

static struct dns_server other_server;

static void begin_two(struct addr addrs[2])
{
	begin();
	dns_open(&other_server);
	addrs[0] = server.addr;
	addrs[1] = other_server.addr;
	options.servers = addrs;
	options.servers_count = 2;
	dns_say(&other_server, "app.test", ns_t_a, 60, "10.0.0.2");
	ask_for("app.test", 80, RESOLVER_INET);
}

TEST(another_server_is_asked_when_one_fails)
{
	static const enum dns_act rows[] = { DNS_SILENT, DNS_SERVFAIL, DNS_REFUSED, DNS_NOTIMP,
					     DNS_FORMERR };

	for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct addr addrs[2];
		uint32_t asked;

		begin_two(addrs);
		options.timeout_ms = 2000;
		dns_do(&server, "app.test", ns_t_a, rows[i]);
		expect_first(RESOLVER_FRESH, "10.0.0.2:80", "");
		asked = dns_asked(&server, "app.test", ns_t_a);
		CHECK(asked > 0);
		/* The one that answered is asked first from now on. */
		dns_say(&other_server, "app.test", ns_t_a, 60, "10.0.0.3");
		resolver_refresh(resolver);
		expect(1, RESOLVER_FRESH, "10.0.0.3:80");
		CHECK_UINT(dns_asked(&server, "app.test", ns_t_a), asked);
		end();
		dns_close(&other_server);
	}
}

TEST(a_good_answer_is_not_asked_for_again)
{
	struct addr addrs[2];

	begin_two(addrs);
	dns_do(&server, "app.test", ns_t_a, DNS_NXDOMAIN);
	expect_first(RESOLVER_GONE, "", "there is no such name (NXDOMAIN)");
	CHECK_UINT(dns_asked(&other_server, "app.test", ns_t_a), 0);
	end();
	dns_close(&other_server);
}

TEST(an_error_is_told_rather_than_the_silence_of_others)
{
	struct addr addrs[2];

	begin_two(addrs);
	options.timeout_ms = 300;
	dns_do(&server, "app.test", ns_t_a, DNS_REFUSED);
	dns_do(&other_server, "app.test", ns_t_a, DNS_SILENT);
	expect_first(RESOLVER_FAILED, "", "REFUSED");
	CHECK_UINT(dns_asked(&server, "app.test", ns_t_a), 1);
	CHECK(dns_asked(&other_server, "app.test", ns_t_a) > 1);
	end();
	dns_close(&other_server);
}

TEST(a_lost_answer_is_asked_for_again_in_time)
{
	begin();
	options.timeout_ms = 2000;
	dns_do(&server, "app.test", ns_t_a, DNS_SILENT);
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	wait_until_asked("app.test", ns_t_a, 1);
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
	expect(0, RESOLVER_FRESH, "10.0.0.1:80");
	CHECK_UINT(dns_asked(&server, "app.test", ns_t_a), 2);
	end();
}

TEST(without_any_server_it_fails_at_once)
{
	uint64_t began_ms = now_ms();

	begin();
	dns_stop(&server);
	ask_for("app.test", 80, RESOLVER_ANY);
	ask_for("_x._tcp.app.test", 0, RESOLVER_ANY);
	expect_first(RESOLVER_FAILED, "", "no name server can be reached");
	expect(1, RESOLVER_FAILED, "");
	CHECK(now_ms() - began_ms < 3000);
	end();
}

/* ----------------------------------------------------------------------------------- many names */

#define MANY 500u

static void ask_many(enum dns_act act)
{
	static char names[MANY][24];

	for (uint32_t i = 0; i < MANY; i++) {
		char records[64];

		snprintf(names[i], sizeof(names[i]), "n%u.test", i);
		snprintf(records, sizeof(records), "10.2.%u.%u", i / 250, i % 250);
		dns_rule(&server, names[i], ns_t_a, act, 60, records);
		ask_for(names[i], 80, RESOLVER_INET);
	}
}

TEST(many_names_are_asked_for_at_once)
{
	uint32_t wrong = 0;

	begin();
	ask_many(DNS_ANSWER);
	if (!open_it())
		return;
	CHECK(resolver_wait(resolver, PATIENCE_MS));
	CHECK_UINT(tellings_now(), MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		char set[64];
		uint32_t question = tellings[i].question;

		snprintf(set, sizeof(set), "10.2.%u.%u:80", question / 250, question % 250);
		wrong += strcmp(tellings[i].set, set) != 0;
	}
	CHECK_UINT(wrong, 0);
	CHECK_UINT(stat_of(&resolver_stats(resolver)->queries), MANY);
	end();
}

TEST(many_names_fail_together_when_nobody_answers)
{
	uint64_t began_ms = now_ms();

	begin();
	options.timeout_ms = 500;
	ask_many(DNS_SILENT);
	if (!open_it())
		return;
	CHECK(!resolver_wait(resolver, 100));
	CHECK(resolver_wait(resolver, PATIENCE_MS));
	CHECK(now_ms() - began_ms < 500 + 2000);
	CHECK_UINT(tellings_now(), MANY);
	/* Two tries of as many as there may be at one time; the rest is not sent, as it is late. */
	CHECK(stat_of(&resolver_stats(resolver)->queries) < MANY);
	end();
}

TEST(a_server_that_ends_its_connection_behind_each_answer_is_asked_again)
{
	uint32_t fresh = 0;

	begin();
	options.ttl_max_ms = 200; /* who had no luck in the first round is soon asked again */
	for (uint32_t i = 0; i < 8; i++) {
		static char names[8][16];

		snprintf(names[i], sizeof(names[i]), "t%u.test", i);
		dns_rule(&server, names[i], ns_t_a, DNS_TRUNCATED_ONCE, 3600, "10.0.0.1");
		ask_for(names[i], 80, RESOLVER_INET);
	}
	if (!open_it())
		return;
	for (uint32_t i = 0; fresh < 8; i++) {
		const struct telling *telling = telling_at(i);

		if (!telling)
			break;
		fresh += telling->outcome == RESOLVER_FRESH;
	}
	end();
}

/* ----------------------------------------------------------------------------------- the thread */

TEST(closing_does_not_wait_for_anybody)
{
	uint64_t took_ms = UINT64_MAX;

	/* Where the machine is busy with other things, the best of three counts. */
	for (uint32_t i = 0; i < 3 && took_ms >= 100; i++) {
		begin();
		options.timeout_ms = 60000;
		ask_many(DNS_SILENT);
		dns_do(&server, "_x._tcp.app.test", ns_t_srv, DNS_SILENT);
		ask_for("_x._tcp.app.test", 0, RESOLVER_INET);
		if (!open_it())
			return;
		wait_until_asked("n0.test", ns_t_a, 1);
		took_ms = now_ms();
		resolver_close(resolver);
		took_ms = now_ms() - took_ms;
		resolver = NULL;
		CHECK_UINT(tellings_now(), 0);
		end();
	}
	CHECK(took_ms < 100);
}

TEST(opened_and_closed_at_any_moment_it_leaves_nothing_behind)
{
	begin();
	dns_say(&server, "_x._tcp.app.test", ns_t_srv, 60, "1:1:80:a.test 1:1:80:b.test");
	dns_say(&server, "a.test", ns_t_a, 60, "10.0.0.1");
	dns_rule(&server, "b.test", ns_t_a, DNS_TRUNCATED, 60, "10.0.0.2");
	ask_for("_x._tcp.app.test", 0, RESOLVER_ANY);
	ask_for("a.test", 80, RESOLVER_ANY);
	for (uint32_t i = 0; i < 100; i++) {
		if (!open_it())
			break;
		usleep(i * 30);
		if (i % 3 == 0)
			resolver_refresh(resolver);
		resolver_close(resolver);
		resolver = NULL;
	}
	end();
	resolver_close(NULL);
}

TEST(waiting_has_an_end)
{
	uint64_t began_ms = now_ms();

	begin();
	dns_do(&server, "app.test", ns_t_a, DNS_SILENT);
	ask_for("app.test", 80, RESOLVER_INET);
	if (!open_it())
		return;
	CHECK(!resolver_wait(resolver, 0));
	CHECK(!resolver_wait(resolver, 50));
	CHECK(now_ms() - began_ms >= 50);
	end();
}

/* ----------------------------------------------------------------------------- the host's files */

TEST(the_hosts_file_comes_first)
{
	const struct telling *telling;

	begin();
	dns_say(&server, "localhost", ns_t_a, 60, "10.0.0.1");
	ask_for("localhost", 80, RESOLVER_INET);
	expect_first(RESOLVER_FRESH, "127.0.0.1:80", "");
	telling = telling_at(0);
	CHECK_UINT(telling->next_ms, 30000);
	CHECK_UINT(dns_asked(&server, NULL, 0), 0);
	CHECK_UINT(stat_of(&resolver_stats(resolver)->queries), 0);
	end();
}

TEST(search_domains_are_tried_for_hosts_and_not_for_srv)
{
	setenv("LOCALDOMAIN", "other.test", 1); /* as `search` in resolv.conf */
	begin();
	dns_say(&server, "db.other.test", ns_t_a, 60, "10.0.0.1");
	dns_say(&server, "_x._tcp.db.other.test", ns_t_srv, 60, "1:1:80:10.0.0.2");
	dns_say(&server, "_y._tcp.db", ns_t_srv, 60, "1:1:80:db");
	ask_for("db", 80, RESOLVER_INET);
	ask_for("_x._tcp.db", 0, RESOLVER_INET);
	ask_for("_y._tcp.db", 0, RESOLVER_INET);
	if (open_it() && CHECK(resolver_wait(resolver, PATIENCE_MS))) {
		for (uint32_t i = 0; i < 3; i++) {
			bool is_host = tellings[i].question == 0;

			CHECK_INT(tellings[i].outcome, is_host ? RESOLVER_FRESH : RESOLVER_GONE);
			CHECK_TEXT(tellings[i].set, is_host ? "10.0.0.1:80" : "");
		}
	}
	end();
	unsetenv("LOCALDOMAIN");
}

/* In one write and always of the same length, so that nobody reads half of it. */
static bool write_file(const char *path, const char *text)
{
	char lines[128];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	memset(lines, '\n', sizeof(lines));
	assert(strlen(text) < sizeof(lines));
	memcpy(lines, text, strlen(text));
	written = write(fd, lines, sizeof(lines));
	close(fd);
	return written == sizeof(lines);
}

/* Files of our own in the place of the system's, and a network where port 53 is free, seen by this
 * process only. */
static bool replace_files(const char *hosts, const char *resolv_conf)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	return unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
	       ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCSIFFLAGS, &loopback) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL) == 0 &&
	       mount(resolv_conf, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
}

static void check_files(const char *hosts, const char *resolv_conf)
{
	begin_at("127.0.0.2", 53);
	dns_open_at(&other_server, "127.0.0.3", 53);
	options.servers_count = 0;
	options.ttl_max_ms = 100;
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
	dns_say(&other_server, "app.test", ns_t_a, 60, "10.0.0.2");
	ask_for("app.test", 80, RESOLVER_ANY);
	CHECK(write_file(resolv_conf, "nameserver 127.0.0.2\n"));
	CHECK(write_file(hosts, "127.0.0.1 localhost\n"));
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80");
	CHECK(write_file(resolv_conf, "# another\nnameserver 127.0.0.3\n"));
	expect(1, RESOLVER_FRESH, "10.0.0.2:80");
	/* Now the hosts file has the name, and then only one family of it. */
	CHECK(write_file(hosts, "10.7.7.7 app.test app\n2001:db8::7 x app.test\n"));
	expect(2, RESOLVER_FRESH, "10.7.7.7:80 [2001:db8::7]:80");
	CHECK(write_file(hosts, "2001:db8::8 app.test\n"));
	expect(3, RESOLVER_FRESH, "[2001:db8::8]:80");
	/* Nothing at all: c-ares tries this host, where there is no name server. */
	CHECK(write_file(hosts, ""));
	CHECK(write_file(resolv_conf, "options ndots:1\n"));
	expect(4, RESOLVER_FAILED, "[2001:db8::8]:80");
	dns_do(&server, "app.test", ns_t_a, DNS_NXDOMAIN);
	dns_say(&server, "app.test.b.test", ns_t_a, 60, "10.0.0.3");
	CHECK(write_file(resolv_conf, "nameserver 127.0.0.2\nsearch a.test b.test\n"));
	expect(5, RESOLVER_FRESH, "10.0.0.3:80");
	end();
	dns_close(&other_server);
}

/* Another name makes resolv.conf be looked at while the first one is still being asked for. */
static void check_interrupted(const char *resolv_conf)
{
	begin_at("127.0.0.2", 53);
	dns_open_at(&other_server, "127.0.0.3", 53);
	options.servers_count = 0;
	options.ttl_max_ms = 100;
	options.timeout_ms = 60000;
	dns_do(&server, "slow.test", ns_t_a, DNS_SILENT);
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
	dns_say(&other_server, "slow.test", ns_t_a, 60, "10.0.0.2");
	dns_say(&other_server, "app.test", ns_t_a, 60, "10.0.0.1");
	ask_for("app.test", 80, RESOLVER_INET);
	ask_for("slow.test", 80, RESOLVER_INET);
	CHECK(write_file(resolv_conf, "nameserver 127.0.0.2\n"));
	if (!open_it())
		return;
	expect(0, RESOLVER_FRESH, "10.0.0.1:80");
	wait_until_asked("slow.test", ns_t_a, 1);
	CHECK(write_file(resolv_conf, "nameserver 127.0.0.3\n"));
	expect(1, RESOLVER_FRESH, "10.0.0.2:80");
	end();
	dns_close(&other_server);
}

TEST(the_files_are_read_again_when_they_change)
{
	char hosts[] = "/tmp/sluice-hosts-XXXXXX", resolv_conf[] = "/tmp/sluice-resolv-XXXXXX";
	int hosts_fd = mkstemp(hosts), resolv_fd = mkstemp(resolv_conf);

	if (CHECK(hosts_fd >= 0 && resolv_fd >= 0)) {
		if (replace_files(hosts, resolv_conf)) {
			check_files(hosts, resolv_conf);
			check_interrupted(resolv_conf);
		} else {
			unit_skip("no namespaces of its own may be made here");
		}
	}
	close(hosts_fd);
	close(resolv_fd);
	unlink(hosts);
	unlink(resolv_conf);
}

static const struct unit_test tests[] = {
	ROW(a_name_is_asked_again_within_the_bounds),
	ROW(it_is_told_only_what_has_changed),
	ROW(a_failure_keeps_the_addresses_and_is_told_once),
	ROW(after_failures_it_is_asked_less_and_less),
	ROW(a_name_that_is_gone_is_held_for_a_while),
	ROW(what_no_server_can_be_asked_for_is_tried_again_too),
	ROW(a_refresh_asks_at_once),
	ROW(a_refresh_while_it_is_asked_asks_once_more),
	ROW(another_server_is_asked_when_one_fails),
	ROW(a_good_answer_is_not_asked_for_again),
	ROW(an_error_is_told_rather_than_the_silence_of_others),
	ROW(a_lost_answer_is_asked_for_again_in_time),
	ROW(without_any_server_it_fails_at_once),
	ROW(many_names_are_asked_for_at_once),
	ROW(many_names_fail_together_when_nobody_answers),
	ROW(a_server_that_ends_its_connection_behind_each_answer_is_asked_again),
	ROW(closing_does_not_wait_for_anybody),
	ROW(opened_and_closed_at_any_moment_it_leaves_nothing_behind),
	ROW(waiting_has_an_end),
	ROW(the_hosts_file_comes_first),
	ROW(search_domains_are_tried_for_hosts_and_not_for_srv),
	ROW(the_files_are_read_again_when_they_change),
};
UNIT_MAIN(tests)
