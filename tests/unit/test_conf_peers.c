/* SPDX-License-Identifier: MIT */
/*
 * test_conf_peers.c - who may come to a listener and how often, the PROXY protocol on both sides,
 * and where servers are dialed from. What is refused, and in which words, is in conf/peers.ini.
 */
#include <stdlib.h>
#include <string.h>

#include "conf_helpers.h"
#include "unit.h"

static bool allows(const struct conf_listener *listener, const char *text)
{
	const char *reason = "";
	struct addr addr;

	CHECK(addr_parse(&addr, text, &reason));
	return access_list_allows(listener->access, &addr);
}

TEST(without_their_keys_everybody_may_come_as_often_as_he_likes)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole(text, "", "", ""));
	const struct conf_listener *listener;

	if (!CHECK(conf))
		return;
	listener = &conf->listeners[0];
	CHECK_UINT(listener->proxy_protocol, PROXY_OFF);
	CHECK(listener->proxy_from == NULL);
	CHECK_UINT(listener->proxy_from_count, 0);
	CHECK(listener->access == NULL);
	CHECK_UINT(listener->source_sessions, 0);
	CHECK_UINT(listener->source_rate, 0);
	CHECK_UINT(listener->source_burst, 0);
	CHECK_UINT(conf->upstreams[0].send_proxy, SEND_PROXY_OFF);
	CHECK(conf->upstreams[0].sources == NULL);
	CHECK_UINT(conf->upstreams[0].sources_count, 0);
	conf_unref(conf);
}

TEST(every_key_reaches_its_member)
{
	char text[TEXT_MAX];
	char shown[ADDR_TEXT_MAX];
	struct conf *conf = load(whole(text, "",
				       "proxy_protocol = any\n"
				       "proxy_protocol_from = 10.0.0.0/8, ::1\n"
				       "proxy_protocol_from = 192.0.2.7\n"
				       "source_sessions = 10\nsource_rate = 1000000\n"
				       "source_burst = 30\n",
				       "send_proxy = v2\nsource = 127.0.0.2\nsource = ::1\n"
				       "source = 10.0.0.1\n"));
	const struct conf_listener *listener;
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	listener = &conf->listeners[0];
	upstream = &conf->upstreams[0];
	CHECK_UINT(listener->proxy_protocol, PROXY_ANY);
	CHECK_UINT(listener->proxy_from_count, 3);
	CHECK_UINT(listener->proxy_from[0].bits, 96 + 8);
	CHECK_UINT(listener->proxy_from[1].bits, 128);
	CHECK_UINT(listener->proxy_from[2].bits, 128);
	CHECK(listener->access == NULL);
	CHECK_UINT(listener->source_sessions, 10);
	CHECK_UINT(listener->source_rate, 1000000);
	CHECK_UINT(listener->source_burst, 30);
	CHECK_UINT(upstream->send_proxy, SEND_PROXY_V2);
	CHECK_UINT(upstream->sources_count, 3);
	CHECK_TEXT(addr_format(shown, &upstream->sources[0]), "127.0.0.2:0");
	CHECK_TEXT(addr_format(shown, &upstream->sources[1]), "[::1]:0");
	CHECK_TEXT(addr_format(shown, &upstream->sources[2]), "10.0.0.1:0");
	conf_unref(conf);
}

TEST(allow_and_deny_become_one_list)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole(text, "",
				       "deny = 10.9.0.0/16\nallow = 10.0.0.0/8, 2001:db8::/32\n"
				       "allow = 10.9.9.9\ndeny = 2001:db8:6::/48,10.7.7.7",
				       ""));
	const struct conf_listener *listener;

	if (!CHECK(conf))
		return;
	listener = &conf->listeners[0];
	CHECK(allows(listener, "10.1.2.3:1"));
	CHECK(!allows(listener, "10.9.1.1:1"));
	CHECK(allows(listener, "10.9.9.9:1"));
	CHECK(!allows(listener, "10.7.7.7:1"));
	CHECK(!allows(listener, "192.0.2.1:1"));
	CHECK(allows(listener, "[2001:db8::1]:1"));
	CHECK(!allows(listener, "[2001:db8:6::1]:1"));
	CHECK(!allows(listener, "unix:/x"));
	conf_unref(conf);
	conf = load(whole(text, "", "deny = 10.0.0.0/8", ""));
	if (!CHECK(conf))
		return;
	CHECK(!allows(&conf->listeners[0], "10.1.2.3:1"));
	CHECK(allows(&conf->listeners[0], "192.0.2.1:1"));
	CHECK(allows(&conf->listeners[0], "unix:/x"));
	conf_unref(conf);
}

/* As many lines as a list of networks to keep out may have. */
TEST(twenty_thousand_lines_are_one_list)
{
	char *text = calloc(1, CONF_FILE_MAX);
	struct conf *conf;
	size_t len = 0;

	assert(text);
	text_append(text, &len,
		    "[upstream b]\nserver = a:1\n[listener a]\nbind = *:80\n"
		    "upstream = b\n");
	for (int i = 0; i < 20000; i++)
		text_append(text, &len, "deny = 10.%d.%d.0/25\n", i >> 8, i & 255);
	conf = load(text);
	free(text);
	if (!CHECK(conf))
		return;
	CHECK(!allows(&conf->listeners[0], "10.78.31.1:1"));
	CHECK(allows(&conf->listeners[0], "10.78.31.128:1"));
	CHECK(allows(&conf->listeners[0], "10.78.32.1:1"));
	conf_unref(conf);
}

TEST(a_header_goes_with_connections_that_requests_of_one_client_use)
{
	static const char *const pools[] = { "client", "off" };
	char text[TEXT_MAX];
	char lines[64];

	for (size_t i = 0; i < ARRAY_COUNT(pools); i++) {
		snprintf(lines, sizeof(lines), "send_proxy = v1\npool = %s", pools[i]);
		CHECK(says(whole(text, "", "mode = http", lines), ""));
	}
	CHECK(says(whole(text, "", "mode = http", "send_proxy = v1"),
		   "send_proxy = v1: the header names one client, but with pool = worker"));
	CHECK(says(whole(text, "", "mode = tcp", "send_proxy = v1\npool = shared"), ""));
	CHECK(says(whole(text, "", "mode = http", "send_proxy = off"), ""));
}

TEST(sources_have_a_limit)
{
	char text[TEXT_MAX];
	char lines[TEXT_MAX / 2];
	size_t len = 0;

	for (int i = 0; i <= CONF_SOURCES_MAX; i++)
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "source = 10.0.0.%d\n",
					i + 1);
	CHECK(says(whole(text, "", "", lines),
		   "too many sources in [upstream app]; there may be 64"));
}

static const struct unit_test tests[] = {
	ROW(without_their_keys_everybody_may_come_as_often_as_he_likes),
	ROW(every_key_reaches_its_member),
	ROW(allow_and_deny_become_one_list),
	ROW(twenty_thousand_lines_are_one_list),
	ROW(a_header_goes_with_connections_that_requests_of_one_client_use),
	ROW(sources_have_a_limit),
};
UNIT_MAIN(tests)
