/* SPDX-License-Identifier: MIT */
/*
 * test_http_target.c - what is asked for, and of whom.
 */
#include "http/head.h"

#include "http_head_helpers.h"

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

static void tell_target(char *words, const struct http_head *head, const char *text)
{
	tell_span(words, "", text, head->authority);
	tell_span(words, "|", text, head->host);
	tell_span(words, "|", text, head->path);
	tell_span(words, "|", text, head->query);
}

#define TO(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"

TEST(targets_are_taken_apart)
{
	static const struct head_case rows[] = {
		CASE(TO("/"), "a|a|/|"),
		CASE(TO("/b/c?d=e?f"), "a|a|/b/c|?d=e?f"),
		CASE(TO("/?"), "a|a|/|?"),
		CASE(TO("//b//..//"), "a|a|//b//..//|"),
		CASE(TO("/%41%7e%fF?%00%zZ"), "TARGET"),
		CASE(TO("/%41%7e%fF?%00"), "a|a|/%41%7e%fF|?%00"),
		CASE(TO("/-._~!$&'()*+,;=:@[]|"), "a|a|/-._~!$&'()*+,;=:@[]||"),
		CASE(TO("/?-._~!$&'()*+,;=:@/?[]|^`{}"), "a|a|/|?-._~!$&'()*+,;=:@/?[]|^`{}"),
		CASE(TO("http://b"), "b|b||"),
		CASE(TO("http://b/"), "b|b|/|"),
		CASE(TO("HTTPS://B.c.:8/d?e"), "B.c.:8|B.c|/d|?e"),
		CASE(TO("http://b?c"), "b|b||?c"),
		CASE(TO("http://[::1]:80/x"), "[::1]:80|[::1]|/x|"),
		CASE("GET http://b/ HTTP/1.0\r\n\r\n", "b|b|/|"),
		CASE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "a|a|*|"),
		CASE("OPTIONS http://b HTTP/1.1\r\n" HOST "\r\n", "b|b||"),
		CASE("CONNECT b.c:443 HTTP/1.1\r\n" HOST "\r\n", "b.c:443|b.c||"),
		CASE("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n" HOST "\r\n",
		     "[2001:db8::1]:443|[2001:db8::1]||"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_target);
}

static const struct head_case wrong_targets[] = {
	CASE(TO("*"), "TARGET"),
	CASE("OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("OPTIONS */ HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE(TO("foo"), "TARGET"),
	CASE(TO("a:80"), "TARGET"),
	CASE(TO("?a"), "TARGET"),
	CASE(TO("#"), "TARGET"),
	CASE("CONNECT / HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT http://b/ HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT b HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT b: HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT b:0 HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT b:65536 HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT b:80/ HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT x@b:80 HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE("CONNECT * HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	CASE(TO("ftp://b/"), "TARGET"),
	CASE(TO("ws://b/"), "TARGET"),
	CASE(TO("http:/b/"), "TARGET"),
	CASE(TO("http:b"), "TARGET"),
	CASE(TO("http://"), "TARGET"),
	CASE(TO("http:///b"), "TARGET"),
	CASE(TO("http://:80/"), "TARGET"),
	CASE(TO("http://x@b/"), "TARGET"),
	CASE(TO("http://x:y@b/"), "TARGET"),
	CASE(TO("http://b:x/"), "TARGET"),
	CASE(TO("http://b#c"), "TARGET"),
	CASE(TO("http://b\\c/"), "TARGET"),
	CASE(TO("/#"), "TARGET"),
	CASE(TO("/a#b"), "TARGET"),
	CASE(TO("/?a#b"), "TARGET"),
	CASE(TO("/\\"), "TARGET"),
	CASE(TO("/\""), "TARGET"),
	CASE(TO("/<"), "TARGET"),
	CASE(TO("/>"), "TARGET"),
	CASE(TO("/^"), "TARGET"),
	CASE(TO("/`"), "TARGET"),
	CASE(TO("/{"), "TARGET"),
	CASE(TO("/}"), "TARGET"),
	CASE(TO("/?\\"), "TARGET"),
	CASE(TO("/?\""), "TARGET"),
	CASE(TO("/?<"), "TARGET"),
	CASE(TO("/?>"), "TARGET"),
	CASE(TO("/%"), "TARGET"),
	CASE(TO("/%4"), "TARGET"),
	CASE(TO("/%zz"), "TARGET"),
	CASE(TO("/%4g"), "TARGET"),
	CASE(TO("/?%"), "TARGET"),
	CASE(TO("/a%00b"), "TARGET"),
	CASE(TO("/\x01"), "TARGET"),
	CASE(TO("/\x7f"), "TARGET"),
	CASE(TO("/\0"), "TARGET"),
	CASE(TO("/\r"), "LINE"),
	CASE(TO("/?\n"), "LINE"),
	CASE(TO("/caf\xc3\xa9"), "TARGET"),
	CASE(TO("/\xc0\xaf"), "TARGET"),
	CASE(TO("/?\xff"), "TARGET"),
};

TEST(targets_of_the_wrong_form_or_with_wrong_characters_are_refused)
{
	char text[64] = TO("/?_");

	head_check_cases(wrong_targets, ARRAY_COUNT(wrong_targets), &setup_request, tell_ok);
	for (int c = 0; c < 256; c++) {
		static struct http_head head;

		if (c > ' ' && c < 0x7f && !strchr("\"#%<>\\", c))
			continue;
		text[6] = (char)c;
		CHECK_INT(head_feed_all_ways(&head, &setup_request, text, sizeof(TO("/?_")) - 1),
			  HTTP_REFUSED);
	}
}

#define FOR(host) GET "Host: " host "\r\n\r\n"

TEST(hosts_are_taken_apart_or_refused)
{
	static const struct head_case rows[] = {
		CASE(FOR("a"), "a|a|/|"),
		CASE(FOR("a.b-c_d.E:8080"), "a.b-c_d.E:8080|a.b-c_d.E|/|"),
		CASE(FOR("a."), "a.|a|/|"),
		CASE(FOR("a.:80"), "a.:80|a|/|"),
		CASE(FOR(" \t a \t "), "a|a|/|"),
		CASE(FOR("a:"), "a:|a|/|"),
		CASE(FOR("a:0"), "a:0|a|/|"),
		CASE(FOR("a:65535"), "a:65535|a|/|"),
		CASE(FOR("192.0.2.1:80"), "192.0.2.1:80|192.0.2.1|/|"),
		CASE(FOR("[::]"), "[::]|[::]|/|"),
		CASE(FOR("[::ffff:192.0.2.1]:80"), "[::ffff:192.0.2.1]:80|[::ffff:192.0.2.1]|/|"),
		CASE(GET "\r\n", "HOST"),
		CASE(FOR(""), "HOST"),
		CASE(FOR(" "), "HOST"),
		CASE(GET "Host: a\r\nHost: a\r\n\r\n", "HOST"),
		CASE(GET "Host: a\r\nHost: b\r\n\r\n", "HOST"),
		CASE(GET "hOST: a\r\nX: y\r\nHOST: a\r\n\r\n", "HOST"),
		CASE("GET http://b/ HTTP/1.1\r\n\r\n", "HOST"),
		CASE("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", "HOST"),
		CASE("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "HOST"),
		CASE("GET / HTTP/1.0\r\nHost:\r\n\r\n", "HOST"),
		CASE("GET / HTTP/1.0\r\n\r\n", "||/|"),
		CASE("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "a|a|/|"),
		CASE(FOR("a, b"), "HOST"),
		CASE(FOR("a,b"), "HOST"),
		CASE(FOR("a b"), "HOST"),
		CASE(FOR("a/b"), "HOST"),
		CASE(FOR("a@b"), "HOST"),
		CASE(FOR("a?b"), "HOST"),
		CASE(FOR("a#b"), "HOST"),
		CASE(FOR("a\\b"), "HOST"),
		CASE(FOR("http://a"), "HOST"),
		CASE(FOR("a%41"), "HOST"),
		CASE(FOR("caf\xc3\xa9"), "HOST"),
		CASE(FOR("*"), "HOST"),
		CASE(FOR("."), "HOST"),
		CASE(FOR(".a"), "HOST"),
		CASE(FOR("a..b"), "HOST"),
		CASE(FOR("a.."), "HOST"),
		CASE(FOR(":80"), "HOST"),
		CASE(FOR("a:65536"), "HOST"),
		CASE(FOR("a:000080"), "HOST"),
		CASE(FOR("a:+80"), "HOST"),
		CASE(FOR("a:80x"), "HOST"),
		CASE(FOR("a:80:80"), "HOST"),
		CASE(FOR("::1"), "HOST"),
		CASE(FOR("[::1"), "HOST"),
		CASE(FOR("[]"), "HOST"),
		CASE(FOR("[a]"), "HOST"),
		CASE(FOR("[::1]x"), "HOST"),
		CASE(FOR("[::1]."), "HOST"),
		CASE(FOR("[::1%25eth0]"), "HOST"),
		CASE(FOR("[v1.a]"), "HOST"),
		CASE(FOR("[[::1]]"), "HOST"),
		CASE(FOR("[1.2.3.4]"), "HOST"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_target);
}

static const struct unit_test tests[] = {
	ROW(targets_are_taken_apart),
	ROW(targets_of_the_wrong_form_or_with_wrong_characters_are_refused),
	ROW(hosts_are_taken_apart_or_refused),
};
UNIT_MAIN(tests)
