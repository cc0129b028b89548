/* SPDX-License-Identifier: MIT */
/*
 * test_conf_http.c - http listeners, pools and [route NAME]: what is read and what comes of it.
 * What is refused, and in which words, is in conf/http.ini and conf/routes.ini, and here where it
 * takes a whole file to be right.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf_helpers.h"
#include "http/router.h"
#include "unit.h"

/* --------------------------------------------------------------------------- listener, upstream */

TEST(what_is_left_out_of_an_http_listener_has_its_default)
{
	char text[TEXT_MAX];
	struct conf *conf = load(whole_http(text, "", "respond = 204"));
	const struct conf_listener *listener;
	const struct conf_upstream *upstream;

	if (!CHECK(conf))
		return;
	listener = &conf->listeners[0];
	upstream = &conf->upstreams[0];
	CHECK_UINT(listener->mode, MODE_HTTP);
	CHECK_UINT(listener->head_timeout_ns, 10 * NS_PER_S);
	CHECK_UINT(listener->keepalive_timeout_ns, 60 * NS_PER_S);
	CHECK_UINT(listener->max_head, 32u << 10);
	CHECK_UINT(listener->max_headers, 100);
	CHECK(listener->access_log == NULL);
	CHECK_UINT(listener->access_log_format, ACCESS_TEXT);
	CHECK(!listener->allow_connect);
	CHECK_TEXT(listener->upgrade_protocols, "websocket");
	CHECK_UINT(listener->pages_count, 0);
	CHECK_UINT(listener->body_min_rate, 100);
	CHECK(listener->router != NULL);
	CHECK_UINT(upstream->pool, POOL_WORKER);
	CHECK_UINT(upstream->pool_idle_ns, 60 * NS_PER_S);
	CHECK_UINT(upstream->pool_max, 256);
	conf_unref(conf);
}

TEST(every_key_of_an_http_listener_and_its_pool_reaches_its_member)
{
	struct conf *conf =
		load("[listener a]\nbind = *:80\nmode = http\nupstream = b\n"
		     "head_timeout = 1s\nkeepalive_timeout = 2s\nmax_head = 65535\n"
		     "max_headers = 256\naccess_log = ./a.log\naccess_log_format = json\n"
		     "connect = yes\nupgrade_protocols = WebSocket \t mqtt\n"
		     "error_page = 404 /a b.html\nerror_page = 503 x.txt\n"
		     "error_page = 502 y.json\nbody_min_rate = 1K\n"
		     "[upstream b]\nserver = a:1\npool = client\npool_idle = 3s\n"
		     "pool_max = 0\n");
	const struct conf_listener *listener;

	if (!CHECK(conf))
		return;
	listener = &conf->listeners[0];
	CHECK_UINT(listener->head_timeout_ns, NS_PER_S);
	CHECK_UINT(listener->keepalive_timeout_ns, 2 * NS_PER_S);
	CHECK_UINT(listener->max_head, 65535);
	CHECK_UINT(listener->max_headers, 256);
	CHECK_TEXT(listener->access_log, "./a.log");
	CHECK_UINT(listener->access_log_format, ACCESS_JSON);
	CHECK(listener->allow_connect);
	CHECK_TEXT(listener->upgrade_protocols, "websocket mqtt");
	CHECK_UINT(listener->pages_count, 3);
	CHECK_UINT(listener->pages[0].status, 404);
	CHECK_TEXT(listener->pages[0].path, "/a b.html");
	CHECK_TEXT(listener->pages[0].type, "text/html");
	CHECK_TEXT(listener->pages[1].type, "text/plain");
	CHECK_TEXT(listener->pages[2].type, "application/json");
	CHECK(listener->pages[0].body == NULL);
	CHECK_UINT(listener->pages[0].line, 13);
	CHECK_UINT(listener->body_min_rate, 1024);
	CHECK_UINT(conf->upstreams[0].pool, POOL_CLIENT);
	CHECK_UINT(conf->upstreams[0].pool_idle_ns, 3 * NS_PER_S);
	CHECK_UINT(conf->upstreams[0].pool_max, 0);
	conf_unref(conf);
}

TEST(a_switch_and_off_are_what_they_say)
{
	static const char *const on[] = { "on", "yes", "true" };
	static const char *const off[] = { "off", "no", "false" };
	char text[TEXT_MAX];
	char line[64];
	struct conf *conf;

	for (size_t i = 0; i < 2 * ARRAY_COUNT(on); i++) {
		snprintf(line, sizeof(line),
			 "connect = %s\nupgrade_protocols = off\naccess_log = off",
			 i % 2 ? on[i / 2] : off[i / 2]);
		conf = load(whole_http(text, line, "respond = 204"));
		if (!CHECK(conf))
			return;
		CHECK_UINT(conf->listeners[0].allow_connect, i % 2);
		CHECK(conf->listeners[0].upgrade_protocols == NULL);
		CHECK(conf->listeners[0].access_log == NULL);
		conf_unref(conf);
	}
}

TEST(an_http_listener_needs_an_upstream_or_a_route)
{
	CHECK(says("[listener a]\nbind = *:80\nmode = http\n",
		   "x.ini:1: [listener a] needs upstream, for example upstream = app, or a [route "
		   "NAME]"));
	CHECK(says("[listener a]\nbind = *:80\nmode = http\n[route r]\nrespond = 200\n", ""));
	CHECK(says("[listener a]\nbind = *:80\nmode = http\n"
		   "[listener b]\nbind = *:81\nmode = http\n"
		   "[route r]\nlistener = a\nrespond = 200\n",
		   "x.ini:4: [listener b] needs upstream"));
	CHECK(says("[listener a]\nbind = *:80\nmode = tcp\n[route r]\nrespond = 200\n",
		   "x.ini:1: [listener a] needs upstream, for example upstream = app"));
}

/* A misspelt mode is one error, not one for each key that follows from it. */
TEST(a_misspelt_mode_is_one_error)
{
	struct conf_errors errors;
	static const char text[] = "[listener a]\nbind = *:80\nmode = htpp\nmax_head = 2K\n"
				   "[route r]\nlistener = a\nrespond = 200\n"
				   "[route s]\npath = /s\nrespond = 200\n";

	CHECK(conf_load_text("x.ini", text, strlen(text), &errors) == NULL);
	CHECK_UINT(errors.count, 1);
	CHECK_TEXT(errors.rows[0].text, "mode = htpp: did you mean \"http\"? (tcp or http)");
	conf_errors_free(&errors);
}

/* ---------------------------------------------------------------------------------- error pages */

static char folder[] = "/tmp/test_conf_http.XXXXXX";

static void write_file(const char *name, const char *text, size_t len)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert(file);
	fwrite(text, 1, len, file);
	fclose(file);
}

static struct conf *load_with_page(const char *page, struct conf_errors *errors)
{
	char text[512];
	char path[128];

	snprintf(text, sizeof(text),
		 "[listener a]\nbind = *:80\nmode = http\nupstream = b\n"
		 "error_page = 503 %s/%s\n[upstream b]\nserver = 127.0.0.1:1\n",
		 folder, page);
	write_file("proxy.ini", text, strlen(text));
	snprintf(path, sizeof(path), "%s/proxy.ini", folder);
	return conf_load(path, errors);
}

static void check_page_refused(const char *page, const char *words)
{
	struct conf_errors errors;

	CHECK(load_with_page(page, &errors) == NULL);
	CHECK_UINT(errors.count, 1);
	CHECK_UINT(errors.rows[0].line, 5);
	unit_row(errors.rows[0].text);
	CHECK(strstr(errors.rows[0].text, words) != NULL);
	unit_row(NULL);
	conf_errors_free(&errors);
}

TEST(an_error_page_is_read_with_the_configuration)
{
	static char large[CONF_PAGE_MAX + 1];
	struct conf_errors errors;
	struct conf *conf;
	char path[128];

	CHECK(mkdtemp(folder) != NULL);
	memset(large, 'x', sizeof(large));
	write_file("503.html", "<h1>\0soon", 9);
	write_file("full.txt", large, CONF_PAGE_MAX);
	write_file("large.txt", large, sizeof(large));
	conf = load_with_page("503.html", &errors);
	if (CHECK(conf)) {
		CHECK_UINT(conf->listeners[0].pages[0].len, 9);
		CHECK(!memcmp(conf->listeners[0].pages[0].body, "<h1>\0soon", 9));
		conf_unref(conf);
	}
	conf_errors_free(&errors);
	conf = load_with_page("full.txt", &errors);
	if (CHECK(conf)) {
		CHECK_UINT(conf->listeners[0].pages[0].len, CONF_PAGE_MAX);
		conf_unref(conf);
	}
	conf_errors_free(&errors);
	check_page_refused("large.txt", "the file is too large: a page may have 64K");
	check_page_refused("none.html", "No such file or directory");
	snprintf(path, sizeof(path), "%s/pipe.html", folder);
	CHECK(mkfifo(path, 0600) == 0);
	check_page_refused("pipe.html", "is no ordinary file");
	check_page_refused("", "is no ordinary file");
	for (size_t i = 0; i < 5; i++) {
		static const char *const names[] = { "503.html", "full.txt", "large.txt",
						     "pipe.html", "proxy.ini" };

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	CHECK(rmdir(folder) == 0);
}

/* --------------------------------------------------------------------------------------- routes */

static const char full[] =
	"[listener a]\nbind = *:80\nmode = http\nconnect = on\n"
	"[listener b]\nbind = *:81\nmode = http\n"
	"[listener raw]\nbind = *:82\nupstream = blue\n"
	"[upstream blue]\nserver = a:1\n[upstream green]\nserver = a:2\n"
	"[route first]\nlistener = b\nlistener = a\nhost = WWW.Example.org\nhost = *.shop.example\n"
	"host = [2001:DB8::1]\npath = /api\npath = /api/*\nmethod = PUT\n"
	"header = X-Tenant:  a b \nupstream = blue=90 , green = 10\n"
	"set_header = X-One: 1\nadd_header = X-Two:2\nremove_header = X-Three\n"
	"set_header = X-Four: a;b: c\nset_response_header = Cache-Control: no-store\n"
	"add_response_header = Vary: x\nremove_response_header = Server\n"
	"strip_prefix = /api/\nhost_header = Inside.example:81\nforwarded = both\n"
	"trusted = 10.0.0.0/8, ::1\ntrusted = 192.0.2.7\n"
	"[route second]\nrespond = 200 hello, world\n"
	"[route third]\npath = /old/*\nredirect = 308 https://{host}/new{path}{query}\n"
	"add_response_header = X-Moved: yes\n"
	"[route tunnel]\nmethod = CONNECT\nupstream = green\nhost_header = server\nforwarded = x\n";

TEST(every_key_of_route_reaches_its_member)
{
	struct conf *conf = load(full);
	const struct conf_route *route;

	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->routes_count, 4);
	route = &conf->routes[0];
	CHECK_TEXT(route->name, "first");
	CHECK_UINT(route->index, 0);
	CHECK_UINT(route->line, 15);
	CHECK_UINT(route->listeners_count, 2);
	CHECK(route->listeners[0] == &conf->listeners[1]);
	CHECK(route->listeners[1] == &conf->listeners[0]);
	CHECK_UINT(route->hosts_count, 3);
	CHECK_TEXT(route->hosts[0], "www.example.org");
	CHECK_TEXT(route->hosts[1], "*.shop.example");
	CHECK_TEXT(route->hosts[2], "[2001:db8::1]");
	CHECK_UINT(route->paths_count, 2);
	CHECK_TEXT(route->paths[1], "/api/*");
	CHECK_TEXT(route->method, "PUT");
	CHECK_TEXT(route->field_name, "x-tenant");
	CHECK_TEXT(route->field_value, "a b");
	CHECK_UINT(route->action, ACTION_UPSTREAM);
	CHECK_UINT(route->targets_count, 2);
	CHECK(route->targets[0].upstream == &conf->upstreams[0]);
	CHECK_UINT(route->targets[0].weight, 90);
	CHECK(route->targets[1].upstream == &conf->upstreams[1]);
	CHECK_UINT(route->targets[1].weight, 10);
	CHECK_UINT(route->weights_sum, 100);
	CHECK_UINT(route->trusted_count, 3);
	CHECK_UINT(route->trusted[0].bits, 96 + 8);
	CHECK_UINT(route->trusted[1].bits, 128);
	conf_unref(conf);
}

TEST(edits_of_a_route_are_ready_for_the_data_path)
{
	struct conf *conf = load(full);
	const struct http_edits *edits;

	if (!CHECK(conf))
		return;
	edits = &conf->routes[0].request_edits;
	CHECK_UINT(edits->removed_count, 3);
	CHECK_TEXT(edits->removed[0].text, "x-one");
	CHECK_UINT(edits->removed[0].len, 5);
	CHECK_TEXT(edits->removed[1].text, "x-three");
	CHECK_TEXT(edits->removed[2].text, "x-four");
	CHECK_TEXT(edits->added, "X-One: 1\r\nX-Two: 2\r\nX-Four: a;b: c\r\n");
	CHECK_UINT(edits->added_len, strlen(edits->added));
	CHECK_UINT(edits->host_header, HTTP_HOST_VALUE);
	CHECK_TEXT(edits->host, "Inside.example:81");
	CHECK_UINT(edits->forwarded, HTTP_FORWARD_X | HTTP_FORWARD_RFC7239);
	CHECK_UINT(edits->strip_prefix, strlen("/api"));
	edits = &conf->routes[0].response_edits;
	CHECK_UINT(edits->removed_count, 2);
	CHECK_TEXT(edits->removed[0].text, "cache-control");
	CHECK_TEXT(edits->removed[1].text, "server");
	CHECK_TEXT(edits->added, "Cache-Control: no-store\r\nVary: x\r\n");
	edits = &conf->routes[3].request_edits;
	CHECK_UINT(edits->host_header, HTTP_HOST_SERVER);
	CHECK(edits->host == NULL);
	CHECK_UINT(edits->forwarded, HTTP_FORWARD_X);
	edits = &conf->routes[1].request_edits;
	CHECK_UINT(edits->host_header, HTTP_HOST_KEEP);
	CHECK_UINT(edits->forwarded, 0);
	CHECK(edits->added == NULL);
	CHECK_UINT(edits->removed_count, 0);
	conf_unref(conf);
}

TEST(a_route_without_a_listener_belongs_to_all_http_listeners)
{
	struct conf *conf = load(full);
	const struct conf_route *route;

	if (!CHECK(conf))
		return;
	route = &conf->routes[1];
	CHECK_UINT(route->listeners_count, 2);
	CHECK(route->listeners[0] == &conf->listeners[0]);
	CHECK_UINT(route->action, ACTION_RESPOND);
	CHECK_UINT(route->status, 200);
	CHECK_TEXT(route->text, "hello, world");
	CHECK(conf->listeners[2].router == NULL);
	route = &conf->routes[2];
	CHECK_UINT(route->action, ACTION_REDIRECT);
	CHECK_UINT(route->status, 308);
	CHECK_TEXT(route->text, "https://{host}/new{path}{query}");
	CHECK_TEXT(route->response_edits.added, "X-Moved: yes\r\n");
	conf_unref(conf);
}

/* The router's answer for a request without fields. */
static int ask(const struct conf_listener *listener, const char *method, const char *host,
	       const char *path)
{
	static struct http_head head;
	char bytes[256];
	int len = snprintf(bytes, sizeof(bytes), "%s%s%s", method, host, path);

	assert((size_t)len < sizeof(bytes));
	memset(&head, 0, sizeof(head));
	head.method = !strcmp(method, "CONNECT") ? HTTP_METHOD_CONNECT : HTTP_METHOD_GET;
	head.method_text.len = (uint16_t)strlen(method);
	head.host.at = head.method_text.len;
	head.host.len = (uint16_t)strlen(host);
	head.path.at = (uint16_t)(head.host.at + head.host.len);
	head.path.len = (uint16_t)strlen(path);
	return http_router_find(listener->router, &head, (const uint8_t *)bytes);
}

TEST(each_listener_finds_its_own_routes)
{
	static const char text[] = "[listener a]\nbind = *:80\nmode = http\nupstream = u\n"
				   "connect = on\n[listener b]\nbind = *:81\nmode = http\n"
				   "upstream = u\n[upstream u]\nserver = a:1\n"
				   "[route ra]\nlistener = a\npath = /x/*\nrespond = 200\n"
				   "[route rb]\nlistener = b\npath = /x/*\nrespond = 200\n"
				   "[route both]\nhost = *.h\npath = /\npath = /y\nrespond = 200\n"
				   "[route c]\nmethod = CONNECT\nupstream = u\n";
	struct conf *conf = load(text);

	if (!CHECK(conf))
		return;
	CHECK_INT(ask(&conf->listeners[0], "GET", "h", "/x/1"), 0);
	CHECK_INT(ask(&conf->listeners[1], "GET", "h", "/x/1"), 1);
	CHECK_INT(ask(&conf->listeners[0], "GET", "A.h", "/y"), 2);
	CHECK_INT(ask(&conf->listeners[1], "GET", "A.h", "/"), 2);
	CHECK_INT(ask(&conf->listeners[1], "GET", "h", "/y"), HTTP_RULE_NONE);
	CHECK_INT(ask(&conf->listeners[0], "CONNECT", "h", ""), 3);
	CHECK_INT(ask(&conf->listeners[0], "GET", "h", "/x/../y"), HTTP_RULE_AMBIGUOUS);
	conf_unref(conf);
}

/* --------------------------------------------------------------------------------------- errors */

static bool route_says(const char *lines, const char *words)
{
	char text[TEXT_MAX];

	return says(whole_http(text, "connect = on", lines), words);
}

TEST(an_example_that_a_message_gives_is_right)
{
	CHECK(route_says("respond = 200 ok", ""));
	CHECK(route_says("redirect = 301 https://{host}{path}{query}", ""));
	CHECK(route_says("redirect = 301 /elsewhere{path}", ""));
	CHECK(route_says("upstream = app=1", ""));
	CHECK(route_says("upstream = app\nset_response_header = X-Frame-Options: DENY", ""));
	CHECK(route_says("upstream = app\nstrip_prefix = /api", ""));
	CHECK(route_says("upstream = app\nhost_header = [::1]:80", ""));
	CHECK(route_says("upstream = app\nhost_header = serve:80", ""));
	CHECK(route_says("upstream = app\npath = /caf%C3%A9/%20", ""));
}

TEST(two_routes_that_ask_for_the_same_are_an_error)
{
	CHECK(route_says("upstream = app\n[route s]\npath = /api/*\nrespond = 200",
			 "x.ini:11: [route s]: [route r] in line 8 asks for the same host (any), "
			 "path (/api/*), method and header, so this one could never be reached"));
	CHECK(route_says("upstream = app\nhost = A.h\n[route s]\nhost = b.h\nhost = a.H\n"
			 "path = /x\npath = /api/*\nrespond = 200",
			 "[route s]: [route r] in line 8"));
	CHECK(route_says("upstream = app\n[route s]\npath = /*\nrespond = 200\n"
			 "[route t]\nrespond = 200",
			 "[route t]: [route s]"));
	CHECK(route_says("upstream = app\npath = /api/*",
			 "[route r]: host any with path /api/* stands in it twice"));
	CHECK(route_says("upstream = app\n[route s]\npath = /api/*\nmethod = GET\nrespond = 200\n"
			 "[route t]\npath = /api/*\nheader = X: 1\nrespond = 200\n"
			 "[route u]\npath = /api/*\nheader = X: 2\nrespond = 200",
			 ""));
}

TEST(what_routes_have_limits_of_says_so)
{
	char *text = calloc(1, CONF_FILE_MAX);
	size_t len = 0;
	char *said;

	assert(text);
	text_append(text, &len, "[listener a]\nbind = *:80\nmode = http\nupstream = b\n");
	for (int i = 400; i <= 400 + CONF_PAGES_MAX; i++)
		text_append(text, &len, "error_page = %d x\n", i);
	text_append(text, &len, "[upstream b]\nserver = a:1\n[route r]\nupstream = b\n");
	for (int i = 0; i <= CONF_EDITS_MAX; i++)
		text_append(text, &len, "remove_header = x%d\n", i);
	for (int i = 0; i < 10; i++)
		text_append(text, &len, "add_header = a: %02000d\n", i);
	text_append(text, &len, "[route s]\nrespond = 200\n");
	for (int i = 0; i < 300; i++)
		text_append(text, &len, "host = h%d\npath = /%d\n", i, i);
	said = complaints_len(text, len);
	CHECK(strstr(said, "too many error pages in [listener a]; there may be 64"));
	CHECK(strstr(said, "too many headers are set or removed in [route r]; there may be 128"));
	CHECK(strstr(said, "too many headers are set or added in [route r]; all of them may have "
			   "16384 bytes"));
	CHECK(strstr(said, "[route s]: too many hosts and paths; over all routes and listeners "
			   "there may be 65536 pairs of them"));
	free(said);
	free(text);
}

static const struct unit_test tests[] = {
	ROW(what_is_left_out_of_an_http_listener_has_its_default),
	ROW(every_key_of_an_http_listener_and_its_pool_reaches_its_member),
	ROW(a_switch_and_off_are_what_they_say),
	ROW(an_http_listener_needs_an_upstream_or_a_route),
	ROW(a_misspelt_mode_is_one_error),
	ROW(an_error_page_is_read_with_the_configuration),
	ROW(every_key_of_route_reaches_its_member),
	ROW(edits_of_a_route_are_ready_for_the_data_path),
	ROW(a_route_without_a_listener_belongs_to_all_http_listeners),
	ROW(each_listener_finds_its_own_routes),
	ROW(an_example_that_a_message_gives_is_right),
	ROW(two_routes_that_ask_for_the_same_are_an_error),
	ROW(what_routes_have_limits_of_says_so),
};
UNIT_MAIN(tests)
