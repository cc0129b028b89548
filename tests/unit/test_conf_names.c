/* SPDX-License-Identifier: MIT */
/*
 * test_conf_names.c - host names of servers: which places a line reserves, what they are called,
 * and who is asked for the addresses. What is refused, and in which words, is in conf/names.ini.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conf_helpers.h"
#include "unit.h"

/* A whole file whose [upstream b] has these lines. */
static struct conf *load_servers(const char *lines)
{
	char text[TEXT_MAX];
	int len = snprintf(text, sizeof(text),
			   "[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n%s\n", lines);

	assert(len < TEXT_MAX);
	return load(text);
}

static void check_place(const struct conf_upstream *upstream, uint32_t index, const char *name,
			bool is_backup)
{
	const struct conf_server *server = &upstream->servers[index];

	if (!CHECK(index < upstream->servers_count))
		return;
	CHECK_TEXT(server->name, name);
	CHECK_UINT(server->addr.kind, ADDR_NAME);
	CHECK_UINT(server->is_backup, is_backup);
}

static void check_name(const struct conf_upstream *upstream, uint32_t index, const char *host,
		       const struct conf_name *expected)
{
	const struct conf_name *name = &upstream->names[index];

	if (!CHECK(index < upstream->names_count))
		return;
	CHECK_TEXT(name->host, host);
	CHECK_UINT(name->port, expected->port);
	CHECK_UINT(name->is_srv, expected->is_srv);
	CHECK_UINT(name->first, expected->first);
	CHECK_UINT(name->places, expected->places);
	CHECK_UINT(name->spares, expected->spares);
	CHECK_UINT(name->line, expected->line);
}

TEST(a_host_name_takes_its_places_in_the_order_of_the_file)
{
	struct conf *conf = load_servers("server = 10.0.0.1:80\n"
					 "server = App.Example.org:8080 addresses=3 weight=7\n"
					 "server = unix:/x backup\n"
					 "server = b.example.:81 addresses=1 backup max_sessions=9"
					 " name=blue");
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	upstream = &conf->upstreams[0];
	CHECK_UINT(upstream->servers_count, 6);
	CHECK_UINT(upstream->names_count, 2);
	check_name(upstream, 0, "app.example.org",
		   &(struct conf_name){ .port = 8080, .first = 1, .places = 3, .line = 6 });
	check_name(upstream, 1, "b.example",
		   &(struct conf_name){ .port = 81, .first = 5, .places = 1, .line = 8 });
	CHECK_TEXT(upstream->servers[0].name, "10.0.0.1:80");
	check_place(upstream, 1, "App.Example.org:8080#1", false);
	check_place(upstream, 2, "App.Example.org:8080#2", false);
	check_place(upstream, 3, "App.Example.org:8080#3", false);
	CHECK_TEXT(upstream->servers[4].name, "unix:/x");
	check_place(upstream, 5, "blue#1", true);
	for (uint32_t i = 1; i < 4; i++) {
		CHECK_TEXT(upstream->servers[i].addr.u.name.text, "App.Example.org");
		CHECK_UINT(upstream->servers[i].addr.u.name.port, 8080);
		CHECK_UINT(upstream->servers[i].weight, 7);
		CHECK_UINT(upstream->servers[i].max_sessions, 0);
		CHECK_UINT(upstream->servers[i].line, 6);
	}
	CHECK_UINT(upstream->servers[5].weight, 1);
	CHECK_UINT(upstream->servers[5].max_sessions, 9);
	CHECK_UINT(upstream->servers[5].line, 8);
	CHECK_UINT(upstream->resolve, FAMILY_ANY);
	conf_unref(conf);
}

TEST(srv_records_have_as_many_places_for_backups_behind)
{
	struct conf *conf =
		load_servers("server = _http._TCP.App.example addresses=2"
			     " max_sessions=5\n"
			     "server = _http._tcp.b.example. addresses=2 backup name=b\n"
			     "server = 10.0.0.1:80");
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	upstream = &conf->upstreams[0];
	CHECK_UINT(upstream->servers_count, 7);
	CHECK_UINT(upstream->names_count, 2);
	check_name(upstream, 0, "_http._tcp.app.example",
		   &(struct conf_name){ .is_srv = true, .places = 2, .spares = 2, .line = 5 });
	check_name(upstream, 1, "_http._tcp.b.example",
		   &(struct conf_name){ .is_srv = true, .first = 4, .places = 2, .line = 6 });
	check_place(upstream, 0, "_http._TCP.App.example#1", false);
	check_place(upstream, 1, "_http._TCP.App.example#2", false);
	check_place(upstream, 2, "_http._TCP.App.example#3", true);
	check_place(upstream, 3, "_http._TCP.App.example#4", true);
	check_place(upstream, 4, "b#1", true);
	check_place(upstream, 5, "b#2", true);
	for (uint32_t i = 0; i < 6; i++) {
		CHECK_UINT(upstream->servers[i].addr.u.name.port, 0);
		CHECK_UINT(upstream->servers[i].weight, 1);
		CHECK_UINT(upstream->servers[i].max_sessions, i < 4 ? 5 : 0);
	}
	CHECK_UINT(upstream->servers[6].addr.kind, ADDR_INET);
	conf_unref(conf);
}

TEST(addresses_are_32_unless_it_is_said)
{
	struct conf *conf = load_servers("server = a.example:80\nserver = _x._tcp.a.example");
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	upstream = &conf->upstreams[0];
	CHECK_UINT(upstream->names[0].places, 32);
	CHECK_UINT(upstream->names[1].places, 32);
	CHECK_UINT(upstream->names[1].spares, 32);
	CHECK_UINT(upstream->servers_count, 96);
	conf_unref(conf);
}

TEST(the_longest_name_has_room_for_its_number)
{
	char lines[2 * ADDR_NAME_MAX];
	char label[64];
	struct conf *conf;

	memset(label, 'a', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	snprintf(lines, sizeof(lines), "server = %s.%s.%s.%.61s:65535 addresses=1024", label, label,
		 label, label);
	conf = load_servers(lines);
	if (!CHECK(conf))
		return;
	CHECK_UINT(strlen(conf->upstreams[0].names[0].host), ADDR_NAME_MAX);
	CHECK_UINT(strlen(conf->upstreams[0].servers[1023].name),
		   ADDR_NAME_MAX + strlen(":65535#1024"));
	CHECK_TEXT(conf->upstreams[0].servers[1023].name + ADDR_NAME_MAX, ":65535#1024");
	conf_unref(conf);

	snprintf(lines, sizeof(lines), "server = _x._tcp.%s.%s.%s.%.53s addresses=512", label,
		 label, label, label);
	conf = load_servers(lines);
	if (!CHECK(conf))
		return;
	CHECK_UINT(strlen(conf->upstreams[0].names[0].host), ADDR_NAME_MAX);
	CHECK_TEXT(conf->upstreams[0].servers[1023].name + ADDR_NAME_MAX, "#1024");
	conf_unref(conf);
}

TEST(servers_and_places_of_an_upstream_are_1024_at_most)
{
	struct conf *conf =
		load_servers("server = 10.0.0.1:80\nserver = a.example:80 addresses=23\n"
			     "server = _x._tcp.a.example addresses=500");

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->upstreams[0].servers_count, CONF_SERVERS_MAX);
	conf_unref(conf);
	CHECK(says("[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n"
		   "server = 10.0.0.1:80\nserver = a.example:80 addresses=24\n"
		   "server = _x._tcp.a.example addresses=500\n",
		   "x.ini:7: too many servers in [upstream b]; there may be 1024: 25 stand above, "
		   "and this name reserves 1000 places, half of them as backups; write a smaller "
		   "addresses=N\n"));
}

/* By what they are called, which is also how they are told apart in the log. */
TEST(a_name_may_be_there_twice_when_it_is_called_differently)
{
	struct conf *conf = load_servers("server = a.example:80\nserver = a.example:80 name=more\n"
					 "server = a.example:81\nserver = _x._tcp.a.example");

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->upstreams[0].names_count, 4);
	conf_unref(conf);
	CHECK(says("[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n"
		   "server = a.example:80\nserver = 10.0.0.1:80\n"
		   "server = a.example:80 addresses=1\n",
		   "x.ini:7: server \"a.example:80\" stands in line 5 already; give one of them "
		   "another name with name=X\n"));
}

TEST(a_port_for_checks_goes_with_names)
{
	struct conf *conf = load_servers("server = a.example:80 addresses=2\nhealth = tcp\n"
					 "server = _x._tcp.a.example\nhealth_port = 81");

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->upstreams[0].health_port, 81);
	conf_unref(conf);
	CHECK(says("[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n"
		   "server = a.example:80\nserver = unix:/b\nhealth_port = 81\n",
		   "x.ini:7: health_port = 81: server \"unix:/b\" in line 6 is a unix socket"));
}

TEST(resolve_says_which_addresses_are_wanted)
{
	static const char *const words[] = { "any", "ipv4", "ipv6" };
	static const enum conf_family families[] = { FAMILY_ANY, FAMILY_INET, FAMILY_INET6 };

	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		char lines[TEXT_MAX / 4];
		struct conf *conf;

		snprintf(lines, sizeof(lines), "resolve = %s\nserver = a.example:80", words[i]);
		conf = load_servers(lines);
		if (!CHECK(conf))
			return;
		CHECK_UINT(conf->upstreams[0].resolve, families[i]);
		conf_unref(conf);
	}
}

/* ------------------------------------------------------------------ who is asked, and how often */

TEST(without_their_keys_the_system_says_who_is_asked)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole(text, "", "", ""));

	if (!CHECK(conf))
		return;
	CHECK(conf->proxy.resolvers == NULL);
	CHECK_UINT(conf->proxy.resolvers_count, 0);
	CHECK_UINT(conf->proxy.resolve_timeout_ns, 2 * NS_PER_S);
	CHECK_UINT(conf->proxy.resolve_min_ns, NS_PER_S);
	CHECK_UINT(conf->proxy.resolve_max_ns, 300 * NS_PER_S);
	CHECK_UINT(conf->proxy.resolve_hold_ns, 30 * NS_PER_S);
	CHECK(conf->upstreams[0].names == NULL);
	CHECK_UINT(conf->upstreams[0].names_count, 0);
	conf_unref(conf);
}

TEST(every_key_reaches_its_member)
{
	static const char *const resolvers[] = { "127.0.0.1:53", "127.0.0.1:5353", "[::1]:53",
						 "[::1]:54", "[2001:db8::1]:53" };
	char text[TEXT_MAX];
	char shown[ADDR_TEXT_MAX];
	struct conf *conf = load(whole(text,
				       "resolver = 127.0.0.1\nresolver = 127.0.0.1:5353\n"
				       "resolver = ::1\nresolver = [::1]:54\n"
				       "resolver = 2001:db8::1\nresolve_timeout = 60s\n"
				       "resolve_min = 1h\nresolve_max = 1h\nresolve_hold = 0\n",
				       "", ""));

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->proxy.resolvers_count, ARRAY_COUNT(resolvers));
	for (size_t i = 0; i < ARRAY_COUNT(resolvers); i++)
		CHECK_TEXT(addr_format(shown, &conf->proxy.resolvers[i]), resolvers[i]);
	CHECK_UINT(conf->proxy.resolve_timeout_ns, 60 * NS_PER_S);
	CHECK_UINT(conf->proxy.resolve_min_ns, 3600 * NS_PER_S);
	CHECK_UINT(conf->proxy.resolve_max_ns, 3600 * NS_PER_S);
	CHECK_UINT(conf->proxy.resolve_hold_ns, 0);
	conf_unref(conf);
}

TEST(name_servers_are_eight_at_most)
{
	char lines[TEXT_MAX / 2] = "";
	char text[TEXT_MAX];
	size_t len = 0;

	for (int i = 1; i <= CONF_RESOLVERS_MAX; i++)
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "resolver = 10.0.0.%d\n",
					i);
	CHECK(says(whole(text, lines, "", ""), ""));
	snprintf(lines + len, sizeof(lines) - len, "resolver = 10.0.0.9");
	CHECK(says(whole(text, lines, "", ""), "x.ini:10: too many resolvers; there may be 8\n"));
}

static const struct unit_test tests[] = {
	ROW(a_host_name_takes_its_places_in_the_order_of_the_file),
	ROW(srv_records_have_as_many_places_for_backups_behind),
	ROW(addresses_are_32_unless_it_is_said),
	ROW(the_longest_name_has_room_for_its_number),
	ROW(servers_and_places_of_an_upstream_are_1024_at_most),
	ROW(a_name_may_be_there_twice_when_it_is_called_differently),
	ROW(a_port_for_checks_goes_with_names),
	ROW(resolve_says_which_addresses_are_wanted),
	ROW(without_their_keys_the_system_says_who_is_asked),
	ROW(every_key_reaches_its_member),
	ROW(name_servers_are_eight_at_most),
};
UNIT_MAIN(tests)
