/* SPDX-License-Identifier: MIT */
/*
 * test_conf.c - proxy.ini: what is read, what is refused, and in which words.
 *
 * conf/NAME.ini with conf/NAME.expect beside it is a file and every word that is said about it. To
 * write the expected texts anew after a change of wording, and then read the difference:
 *
 *     UPDATE_EXPECT=1 build/tests/unit/test_conf        at the top of the tree
 *
 * What can be said of every key alike is in test_conf_keys.c.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "conf_helpers.h"
#include "unit.h"

#define FOLDER "tests/unit/conf"
#define PATH_LEN_MAX 512

/* ------------------------------------------------------------------ files and their errors */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);

	return len > strlen(suffix) && !strcmp(name + len - strlen(suffix), suffix);
}

static void expect_file(const char *name)
{
	char path[PATH_LEN_MAX];
	char expect_path[PATH_LEN_MAX];
	struct conf_errors errors;
	struct conf *conf;
	char *said = NULL;
	char *expected;
	size_t len;
	FILE *out = open_memstream(&said, &len);

	snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
	snprintf(expect_path, sizeof(expect_path), "%.*s.expect", (int)(strlen(path) - 4), path);
	conf = conf_load(path, &errors);
	conf_errors_print(&errors, name, out);
	fclose(out);
	CHECK(conf == NULL);
	CHECK(errors.count > 0);
	conf_errors_free(&errors);
	if (getenv("UPDATE_EXPECT")) {
		FILE *file = fopen(expect_path, "w");

		if (CHECK(file)) {
			fputs(said, file);
			fclose(file);
		}
	}
	expected = read_text(expect_path);
	if (strcmp(said, expected))
		printf("--- %s\n%s+++ said\n%s", expect_path, expected, said);
	CHECK(!strcmp(said, expected));
	free(expected);
	free(said);
}

TEST(each_file_is_refused_in_the_words_beside_it)
{
	struct dirent **entries = NULL;
	int count = scandir(FOLDER, &entries, NULL, alphasort);
	int files = 0;

	CHECK(count > 0);
	for (int i = 0; i < count; i++) {
		if (has_suffix(entries[i]->d_name, ".ini")) {
			expect_file(entries[i]->d_name);
			files++;
		}
		free(entries[i]);
	}
	free(entries);
	CHECK(files >= 9);
}

TEST(a_file_that_cannot_be_read_is_an_error_of_the_file)
{
	static const char *const paths[] = { "no/such/file.ini", "tests", "/dev/zero" };
	static const char *const words[] = { "cannot be opened: No such file or directory",
					     "cannot be read: Is a directory",
					     "too large: it may have 1048576 bytes" };

	for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
		struct conf_errors errors;

		CHECK(conf_load(paths[i], &errors) == NULL);
		CHECK_UINT(errors.count, 1);
		CHECK_UINT(errors.rows[0].line, 0);
		CHECK(strstr(errors.rows[0].text, words[i]) != NULL);
		conf_errors_free(&errors);
	}
}

/* conf_load() of a text. */
static struct conf *load_by_file(const char *text, struct conf_errors *errors)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	int fd = mkstemp(path);
	FILE *file;
	struct conf *conf;

	CHECK(fd >= 0);
	file = fdopen(fd, "w");
	fputs(text, file);
	fclose(file);
	conf = conf_load(path, errors);
	CHECK(!conf || !strcmp(conf->path, path));
	remove(path);
	return conf;
}

TEST(host_names_of_binds_are_looked_up_by_load_and_those_of_servers_never)
{
	static const char text[] = "[listener a]\nbind = localhost:80\nupstream = b\n"
				   "[upstream b]\nserver = localhost:81\n"
				   "server = no-such-host.invalid:81\n";
	struct conf_errors errors;
	struct conf *conf = load(text);

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->listeners[0].binds[0].kind, ADDR_NAME);
	CHECK_UINT(conf->upstreams[0].servers[0].addr.kind, ADDR_NAME);
	conf_unref(conf);

	conf = load_by_file(text, &errors);
	if (!CHECK(conf))
		return;
	CHECK(conf->listeners[0].binds[0].kind == ADDR_INET ||
	      conf->listeners[0].binds[0].kind == ADDR_INET6);
	CHECK_UINT(conf->upstreams[0].servers[0].addr.kind, ADDR_NAME);
	CHECK_TEXT(conf->upstreams[0].servers[0].name, "localhost:81#1");
	CHECK_UINT(conf->upstreams[0].names_count, 2);
	conf_unref(conf);
	conf_errors_free(&errors);
}

/* A name that never exists (RFC 6761 section 6.4); why not depends on the network. */
TEST(a_host_to_bind_that_is_unknown_is_an_error_of_its_line)
{
	struct conf_errors errors;

	CHECK(!load_by_file("[listener a]\nbind = *:80\nbind = no-such-host.invalid:81\n"
			    "upstream = b\n[upstream b]\nserver = 127.0.0.1:81\n",
			    &errors));
	CHECK_UINT(errors.count, 1);
	CHECK_UINT(errors.rows[0].line, 3);
	CHECK(strstr(errors.rows[0].text, "bind = no-such-host.invalid:81: ") ==
	      errors.rows[0].text);
	conf_errors_free(&errors);
}

/* ------------------------------------------------------------------ lines */

TEST(a_text_of_any_line_ends_is_read_alike)
{
	static const char body[] = "[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n"
				   "server = 127.0.0.1:81";

	CHECK(says(body, ""));
	CHECK(says("\xef\xbb\xbf[listener a]\nbind=*:80\nupstream=b\n[upstream b]\nserver=a:81",
		   ""));
	CHECK(says(
		"[listener a]\r\nbind = *:80\r\nupstream = b\r\n[upstream b]\r\nserver = a:81\r\n",
		""));
	CHECK(says("[listener a]\rbind = *:80\r", "x.ini:1: control character 0x0d in column 13"));
	CHECK(says("[proxy]\n\xef\xbb\xbf[listener a]\n", "x.ini:2: "));
}

TEST(a_nul_or_control_character_is_refused_with_its_place)
{
	static const char nul[] = "[proxy]\nworkers = 4\0two\n";
	static const char utf16[] = "[\0p\0r\0o\0x\0y\0]\0\n\0";
	char *said = complaints_len(nul, sizeof(nul) - 1);

	CHECK(strstr(said, "x.ini:2: control character 0x00 in column 12") != NULL);
	free(said);
	said = complaints_len(utf16, sizeof(utf16) - 1);
	CHECK(strstr(said, "x.ini:1: control character 0x00 in column 2") != NULL);
	free(said);
	CHECK(says("; even in a comment\x1b\n", "x.ini:1: control character 0x1b in column 20"));
}

/* inih would cut the line at 200 bytes, or at whatever it was built with. */
TEST(a_long_line_is_read_whole_or_refused)
{
	char value[TEXT_MAX + TEXT_MAX];
	char text[2 * sizeof(value)];
	struct conf *conf;
	char *said;

	value[0] = '/';
	memset(value + 1, 'a', sizeof(value) - 1);
	snprintf(text, sizeof(text),
		 "[proxy]\nlog = %.1000s\n[listener a]\nbind = *:80\nupstream = b\n"
		 "[upstream b]\nserver = a:81\n",
		 value);
	conf = load(text);
	if (!CHECK(conf))
		return;
	CHECK_UINT(strlen(conf->proxy.log), 1000);
	conf_unref(conf);
	snprintf(text, sizeof(text), "[proxy]\n; %.7000s\nlog = %.4094s\nworkers = x\n", value,
		 value);
	said = complaints_len(text, strlen(text));
	CHECK(strstr(said, "x.ini:3: the line is too long: key and value may have 4095 bytes"));
	CHECK(strstr(said, "x.ini:4: workers"));
	CHECK(!strstr(said, "x.ini:2:"));
	free(said);
}

TEST(a_comment_needs_a_blank_in_front_of_it)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole(text, "log = /a;b#c ; d # e", "", ""));

	if (!CHECK(conf))
		return;
	CHECK_TEXT(conf->proxy.log, "/a;b#c");
	conf_unref(conf);
	conf = load(whole(text, "log = /d\t# e ; f", "", ""));
	if (!CHECK(conf))
		return;
	CHECK_TEXT(conf->proxy.log, "/d");
	conf_unref(conf);
}

/* inih cuts the names of sections at 50 bytes: two that differ behind would be one. */
TEST(long_names_of_sections_are_told_apart)
{
	static const char text[] =
		"[listener a]\nbind = *:80\n"
		"upstream = abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij2\n"
		"[upstream abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij1]\n"
		"server = 127.0.0.1:1\n"
		"[upstream abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij2]\n"
		"server = 127.0.0.1:2\n";
	struct conf *conf = load(text);

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->upstreams_count, 2);
	CHECK(conf->listeners[0].upstream == &conf->upstreams[1]);
	CHECK_UINT(conf->listeners[0].upstream->index, 1);
	conf_unref(conf);
}

/* ------------------------------------------------------------------ errors */

TEST(errors_come_in_the_order_of_lines_and_are_counted_beyond_the_limit)
{
	char *text = calloc(1, CONF_FILE_MAX);
	struct conf_errors errors;
	char *said = NULL;
	size_t len = 0;
	FILE *out;

	assert(text);
	text_append(text, &len, "[listener web]\n[proxy]\n");
	for (int i = 0; i < CONF_ERRORS_MAX + 50; i++)
		text_append(text, &len, "key%d = 1\n", i);
	CHECK(conf_load_text("x.ini", text, len, &errors) == NULL);
	CHECK_UINT(errors.count, CONF_ERRORS_MAX);
	CHECK(errors.dropped >= 50);
	for (uint32_t i = 1; i < errors.count; i++)
		CHECK(errors.rows[i - 1].line <= errors.rows[i].line);
	out = open_memstream(&said, &len);
	conf_errors_print(&errors, "x.ini", out);
	fclose(out);
	CHECK(strstr(said, "x.ini: and 5") != NULL);
	free(said);
	conf_errors_free(&errors);
	free(text);
	CHECK(says("[upstream b]\n[listener a]\n[proxy]\nx = 1\n",
		   "x.ini:1: [upstream b] needs at least one server"));
}

TEST(what_has_a_limit_says_so)
{
	char *text = calloc(1, CONF_FILE_MAX);
	size_t len = 0;
	char *said;

	assert(text);
	text_append(text, &len, "[listener a]\nupstream = b\n");
	for (int i = 0; i <= CONF_BINDS_MAX; i++)
		text_append(text, &len, "bind = unix:/%d\n", i);
	text_append(text, &len, "[upstream b]\n");
	for (int i = 0; i <= CONF_SERVERS_MAX; i++)
		text_append(text, &len, "server = unix:/%d\n", i);
	for (int i = 0; i < 4100; i++)
		text_append(text, &len, "[upstream c%d]\nserver = unix:/c\n", i);
	said = complaints_len(text, len);
	CHECK(strstr(said, "x.ini:1027: too many binds in [listener a]; there may be 1024"));
	CHECK(strstr(said, "x.ini:2053: too many servers in [upstream b]; there may be 1024"));
	CHECK(strstr(said, "too many sections; there may be 4096"));
	free(said);
	free(text);
}

/* ------------------------------------------------------------------ values */

TEST(what_is_left_out_has_its_default)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole(text, "", "", ""));
	const struct conf_proxy *proxy;
	const struct conf_listener *listener;
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	proxy = &conf->proxy;
	listener = &conf->listeners[0];
	upstream = &conf->upstreams[0];
	CHECK_UINT(proxy->workers, 0);
	CHECK_UINT(proxy->cpu_affinity, AFFINITY_AUTO);
	CHECK(proxy->cpus == NULL);
	CHECK_UINT(proxy->max_sessions, 16384);
	CHECK(!proxy->max_sessions_is_set);
	CHECK_UINT(proxy->buffer_memory, 64ull << 20);
	CHECK_UINT(proxy->buffer_size, 16384);
	CHECK_UINT(proxy->session_window, 256u << 10);
	CHECK_UINT(proxy->huge_pages, HUGE_PAGES_TRY);
	CHECK_UINT(proxy->accept, ACCEPT_KERNEL);
	CHECK_UINT(proxy->wait, WAIT_BALANCED);
	CHECK_UINT(proxy->zero_copy_send, ZERO_COPY_AUTO);
	CHECK_UINT(proxy->drain_timeout_ns, 30 * NS_PER_S);
	CHECK_TEXT(proxy->log, "stderr");
	CHECK_UINT(proxy->log_level, LOG_LEVEL_INFO);
	CHECK(proxy->user == NULL);
	CHECK(proxy->group == NULL);
	CHECK_UINT(listener->mode, MODE_TCP);
	CHECK_UINT(listener->max_sessions, 0);
	CHECK_UINT(listener->backlog, 4096);
	CHECK_UINT(listener->client_timeout_ns, 300 * NS_PER_S);
	CHECK_UINT(listener->fin_timeout_ns, 30 * NS_PER_S);
	CHECK_UINT(upstream->connect_timeout_ns, 2 * NS_PER_S);
	CHECK_UINT(upstream->server_timeout_ns, 300 * NS_PER_S);
	CHECK_UINT(upstream->retries, 2);
	CHECK_UINT(upstream->servers[0].weight, 1);
	CHECK_TEXT(upstream->servers[0].name, "127.0.0.1:81");
	conf_unref(conf);
}

TEST(every_key_of_proxy_reaches_its_member)
{
	char text[TEXT_MAX];
	struct conf *conf =
		load(whole(text,
			   "workers = 3\ncpu_affinity = 6,0-2\nmax_sessions = 16384\n"
			   "buffer_memory = 2G\nbuffer_size = 32K\nsession_window = 1M\n"
			   "huge_pages = require\naccept = least_sessions\nwait = sqpoll\n"
			   "zero_copy_send = off\ndrain_timeout = 1m30s\nlog = /var/log/sluice\n"
			   "log_level = debug\nuser = somebody\ngroup = some-group\n",
			   "", ""));
	const struct conf_proxy *proxy;

	if (!CHECK(conf))
		return;
	proxy = &conf->proxy;
	CHECK_UINT(proxy->workers, 3);
	CHECK_UINT(proxy->cpu_affinity, AFFINITY_LIST);
	CHECK_UINT(proxy->cpus_count, 4);
	CHECK(proxy->cpus[0] == 6 && proxy->cpus[1] == 0 && proxy->cpus[3] == 2);
	CHECK_UINT(proxy->max_sessions, 16384);
	CHECK(proxy->max_sessions_is_set);
	CHECK_UINT(proxy->buffer_memory, 2ull << 30);
	CHECK_UINT(proxy->buffer_size, 32u << 10);
	CHECK_UINT(proxy->session_window, 1u << 20);
	CHECK_UINT(proxy->huge_pages, HUGE_PAGES_REQUIRE);
	CHECK_UINT(proxy->accept, ACCEPT_LEAST_SESSIONS);
	CHECK_UINT(proxy->wait, WAIT_SQPOLL);
	CHECK_UINT(proxy->zero_copy_send, ZERO_COPY_OFF);
	CHECK_UINT(proxy->drain_timeout_ns, 90 * NS_PER_S);
	CHECK_TEXT(proxy->log, "/var/log/sluice");
	CHECK_UINT(proxy->log_level, LOG_LEVEL_DEBUG);
	CHECK_TEXT(proxy->user, "somebody");
	CHECK_TEXT(proxy->group, "some-group");
	conf_unref(conf);
}

TEST(every_key_of_listener_and_upstream_reaches_its_member)
{
	struct conf *conf = load("[listener a]\nupstream = c\nbind = [::1]:80\nbind = fd:3\n"
				 "mode = tcp\nmax_sessions = 7\nbacklog = 9\nclient_timeout = 1h\n"
				 "fin_timeout = 5ms\n"
				 "[upstream b]\nserver = unix:/b\n"
				 "[upstream c]\nserver = 10.0.0.1:80 weight=0\n"
				 "server = 10.0.0.2:81 name=x weight=256\n"
				 "connect_timeout = 10m\n"
				 "server_timeout = 24h\n"
				 "retries = 0\n");
	const struct conf_listener *listener;
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	listener = &conf->listeners[0];
	upstream = listener->upstream;
	CHECK_TEXT(listener->name, "a");
	CHECK_UINT(listener->line, 1);
	CHECK_UINT(listener->binds_count, 2);
	CHECK_UINT(listener->binds[0].kind, ADDR_INET6);
	CHECK_UINT(listener->binds[1].kind, ADDR_FD);
	CHECK_UINT(listener->binds_lines[1], 4);
	CHECK_UINT(listener->mode, MODE_TCP);
	CHECK_UINT(listener->max_sessions, 7);
	CHECK_UINT(listener->backlog, 9);
	CHECK_UINT(listener->client_timeout_ns, 3600 * NS_PER_S);
	CHECK_UINT(listener->fin_timeout_ns, 5 * NS_PER_MS);
	CHECK_UINT(conf->upstreams_count, 2);
	CHECK(upstream == &conf->upstreams[1]);
	CHECK_TEXT(upstream->name, "c");
	CHECK_UINT(upstream->line, 12);
	CHECK_UINT(upstream->index, 1);
	CHECK_UINT(upstream->servers_count, 2);
	CHECK_UINT(upstream->servers[0].weight, 0);
	CHECK_TEXT(upstream->servers[0].name, "10.0.0.1:80");
	CHECK_UINT(upstream->servers[1].weight, 256);
	CHECK_TEXT(upstream->servers[1].name, "x");
	CHECK_UINT(upstream->servers[1].line, 14);
	CHECK_UINT(upstream->connect_timeout_ns, 600 * NS_PER_S);
	CHECK_UINT(upstream->server_timeout_ns, 24 * 3600 * NS_PER_S);
	CHECK_UINT(upstream->retries, 0);
	conf_unref(conf);
}

TEST(every_key_about_balance_and_health_reaches_its_member)
{
	struct conf *conf =
		load("[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n"
		     "server = 10.0.0.1:80\nserver = 10.0.0.2:80 max_sessions=9 backup\n"
		     "balance = maglev\nhealth = http\nhealth_interval = 5s\n"
		     "health_timeout = 2s\nhealth_rise = 4\nhealth_fall = 6\n"
		     "health_path = /up?deep=1\nhealth_host = a.example:8080\n"
		     "health_status = 204\nhealth_port = 81\neject_after = 7\n"
		     "eject_time = 11s\nslow_start = 1m\non_down = close\nqueue = 12\n"
		     "queue_timeout = 13s\nretry_budget = 14\n[upstream c]\n"
		     "server = unix:/c\n");
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	upstream = &conf->upstreams[0];
	CHECK_UINT(upstream->servers[0].max_sessions, 0);
	CHECK(!upstream->servers[0].is_backup);
	CHECK_UINT(upstream->servers[1].max_sessions, 9);
	CHECK(upstream->servers[1].is_backup);
	CHECK_UINT(upstream->balance, BALANCE_MAGLEV);
	CHECK_UINT(upstream->health, PROBE_HTTP);
	CHECK_UINT(upstream->health_interval_ns, 5 * NS_PER_S);
	CHECK_UINT(upstream->health_timeout_ns, 2 * NS_PER_S);
	CHECK_UINT(upstream->health_rise, 4);
	CHECK_UINT(upstream->health_fall, 6);
	CHECK_TEXT(upstream->health_path, "/up?deep=1");
	CHECK_TEXT(upstream->health_host, "a.example:8080");
	CHECK_UINT(upstream->health_status.first, 204);
	CHECK_UINT(upstream->health_status.last, 204);
	CHECK_UINT(upstream->health_port, 81);
	CHECK_UINT(upstream->eject_after, 7);
	CHECK_UINT(upstream->eject_time_ns, 11 * NS_PER_S);
	CHECK_UINT(upstream->slow_start_ns, 60 * NS_PER_S);
	CHECK_UINT(upstream->on_down, ON_DOWN_CLOSE);
	CHECK_UINT(upstream->queue, 12);
	CHECK_UINT(upstream->queue_timeout_ns, 13 * NS_PER_S);
	CHECK_UINT(upstream->retry_budget, 14);
	upstream = &conf->upstreams[1];
	CHECK_UINT(upstream->balance, BALANCE_ROUND_ROBIN);
	CHECK_UINT(upstream->health, PROBE_OFF);
	CHECK_TEXT(upstream->health_path, "/");
	CHECK(upstream->health_host == NULL);
	CHECK_UINT(upstream->health_status.first, 200);
	CHECK_UINT(upstream->health_status.last, 399);
	CHECK_UINT(upstream->health_port, 0);
	CHECK_UINT(upstream->eject_after, 5);
	CHECK_UINT(upstream->slow_start_ns, 0);
	CHECK_UINT(upstream->on_down, ON_DOWN_KEEP);
	CHECK_UINT(upstream->queue, 0);
	CHECK_UINT(upstream->retry_budget, 20);
	conf_unref(conf);
}

/* A host name may be longer than a name that somebody chose. */
TEST(a_server_is_called_by_its_address_however_long)
{
	static const char text[] =
		"[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n"
		"server = a-rather-long-host.in-a-rather-long-namespace.svc.cluster.local:8080\n";
	struct conf *conf = load(text);

	if (!CHECK(conf))
		return;
	CHECK(strlen(conf->upstreams[0].servers[0].name) > CONF_NAME_MAX);
	CHECK(has_suffix(conf->upstreams[0].servers[0].name, "cluster.local:8080#1"));
	conf_unref(conf);
}

TEST(a_snapshot_lives_until_its_last_reference)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole(text, "", "", ""));

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->refs, 1);
	CHECK(conf_ref(conf) == conf);
	CHECK_UINT(conf->refs, 2);
	conf_unref(conf);
	CHECK_UINT(conf->refs, 1);
	CHECK_TEXT(conf->listeners[0].name, "web");
	conf_unref(conf);
}

static const struct unit_test tests[] = {
	ROW(each_file_is_refused_in_the_words_beside_it),
	ROW(a_file_that_cannot_be_read_is_an_error_of_the_file),
	ROW(host_names_of_binds_are_looked_up_by_load_and_those_of_servers_never),
	ROW(a_host_to_bind_that_is_unknown_is_an_error_of_its_line),
	ROW(a_text_of_any_line_ends_is_read_alike),
	ROW(a_nul_or_control_character_is_refused_with_its_place),
	ROW(a_long_line_is_read_whole_or_refused),
	ROW(a_comment_needs_a_blank_in_front_of_it),
	ROW(long_names_of_sections_are_told_apart),
	ROW(errors_come_in_the_order_of_lines_and_are_counted_beyond_the_limit),
	ROW(what_has_a_limit_says_so),
	ROW(what_is_left_out_has_its_default),
	ROW(every_key_of_proxy_reaches_its_member),
	ROW(every_key_of_listener_and_upstream_reaches_its_member),
	ROW(every_key_about_balance_and_health_reaches_its_member),
	ROW(a_server_is_called_by_its_address_however_long),
	ROW(a_snapshot_lives_until_its_last_reference),
};
UNIT_MAIN(tests)
