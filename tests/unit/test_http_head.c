/* SPDX-License-Identifier: MIT */
/*
 * test_http_head.c - lines, fields and limits of heads. Their targets are in test_http_target.c,
 * what they mean in test_http_framing.c.
 */
#include "http/head.h"

#include "http_head_helpers.h"

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

/* --- lines ----------------------------------------------------------------------------------- */

static void tell_line(char *words, const struct http_head *head, const char *text)
{
	tell(words, "%u ", head->method);
	tell_span(words, "", text, head->method_text);
	tell_span(words, " ", text, head->target);
	tell(words, " 1.%u", head->minor);
	CHECK(memcmp(text + head->line_end - 2, "\r\n", 2) == 0);
}

TEST(request_lines_are_told_apart)
{
	static const struct head_case rows[] = {
		CASE("GET /a HTTP/1.1\r\n" HOST "\r\n", "0 GET /a 1.1"),
		CASE("HEAD /a HTTP/1.1\r\n" HOST "\r\n", "1 HEAD /a 1.1"),
		CASE("POST /a HTTP/1.0\r\n" HOST "\r\n", "2 POST /a 1.0"),
		CASE("PUT /a HTTP/1.1\r\n" HOST "\r\n", "3 PUT /a 1.1"),
		CASE("DELETE /a HTTP/1.1\r\n" HOST "\r\n", "4 DELETE /a 1.1"),
		CASE("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", "5 CONNECT a:1 1.1"),
		CASE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "6 OPTIONS * 1.1"),
		CASE("TRACE /a HTTP/1.1\r\n" HOST "\r\n", "7 TRACE /a 1.1"),
		CASE("PATCH /a HTTP/1.1\r\n" HOST "\r\n", "8 PATCH /a 1.1"),
		CASE("PROPFIND /a HTTP/1.1\r\n" HOST "\r\n", "9 PROPFIND /a 1.1"),
		CASE("M-SEARCH * HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
		CASE("GET / HTTP/1.0\r\n\r\n", "0 GET / 1.0"),
		CASE("\r\n" GET HOST "\r\n", "0 GET / 1.1"),
		CASE("\r\n\r\n" GET HOST "\r\n", "0 GET / 1.1"),
		CASE("", "more"),
		CASE("\r\n\r\n", "more"),
		CASE("\r\n\r", "more"),
		CASE("\r\n\r\n\r", "LINE"),
		CASE(GET HOST "\r", "more"),
		CASE(GET HOST "X: val", "more"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_line);
}

TEST(what_is_no_request_line_is_refused)
{
	static const struct head_case rows[] = {
		/* empty lines and blanks */
		CASE("\n" GET HOST "\r\n", "LINE"),
		CASE("\r\n\n" GET HOST "\r\n", "LINE"),
		CASE("\rGET / HTTP/1.1\r\n" HOST "\r\n", "LINE"),
		CASE("\r\n\r\n\r\n" GET HOST "\r\n", "LINE"),
		CASE(" " GET HOST "\r\n", "SYNTAX"),
		CASE("\t" GET HOST "\r\n", "SYNTAX"),
		CASE("   \r\n\r\n", "SYNTAX"),
		CASE("GET  / HTTP/1.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET /  HTTP/1.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/1.1 \r\n" HOST "\r\n", "LINE"),
		CASE("GET\t/ HTTP/1.1\r\n" HOST "\r\n", "SYNTAX"),
		CASE("GET /\tHTTP/1.1\r\n" HOST "\r\n", "TARGET"),
		CASE("GET / HTTP/1.1\t\r\n" HOST "\r\n", "LINE"),
		CASE("GET /a b HTTP/1.1\r\n" HOST "\r\n", "LINE"),
		/* ends of lines */
		CASE("GET / HTTP/1.1\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/1.1\r" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/1.1\r\r\n" HOST "\r\n", "LINE"),
		/* versions */
		CASE("GET /\r\n", "LINE"),
		CASE("GET /\n", "LINE"),
		CASE("GET / \r\n", "LINE"),
		CASE("GET / HTTP/0.9\r\n" HOST "\r\n", "VERSION"),
		CASE("GET / HTTP/1.2\r\n" HOST "\r\n", "VERSION"),
		CASE("GET / HTTP/2.0\r\n" HOST "\r\n", "VERSION"),
		CASE("GET / HTTP/9.9\r\n" HOST "\r\n", "VERSION"),
		CASE("GET / HTTP/2\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/1.10\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/01.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/11.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP/1,1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTP /1.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / http/1.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / HTTQ/1.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / FTP/1.1\r\n" HOST "\r\n", "LINE"),
		CASE("GET / RTSP/1.0\r\n" HOST "\r\n", "VERSION"),
		CASE("OPTIONS / RTSP/1.0\r\n" HOST "\r\n", "VERSION"),
		CASE("GET / ICE/1.0\r\n" HOST "\r\n", "LINE"),
		CASE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "VERSION"),
		CASE("PRI / HTTP/1.1\r\n" HOST "\r\n", "VERSION"),
		/* methods */
		CASE("FOO / HTTP/1.1\r\n" HOST "\r\n", "METHOD"),
		CASE("GETX / HTTP/1.1\r\n" HOST "\r\n", "METHOD"),
		CASE("GE / HTTP/1.1\r\n" HOST "\r\n", "METHOD"),
		CASE("get / HTTP/1.1\r\n" HOST "\r\n", "METHOD"),
		CASE("DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", "METHOD"),
		CASE("FLUSH / RTSP/1.0\r\n" HOST "\r\n", "METHOD"),
		CASE("SOURCE / ICE/1.0\r\n" HOST "\r\n", "METHOD"),
		CASE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		     "METHOD"),
		CASE("GET(/ HTTP/1.1\r\n" HOST "\r\n", "SYNTAX"),
		CASE("G\0T / HTTP/1.1\r\n" HOST "\r\n", "SYNTAX"),
		CASE("F\xd6\xd6 / HTTP/1.1\r\n" HOST "\r\n", "SYNTAX"),
		CASE("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "SYNTAX"),
		CASE("HTTP/1.1 200 OK\r\n" HOST "\r\n", "SYNTAX"),
		CASE("FOO", "more"),
		CASE("GET HTTP/1.1\r\n" HOST "\r\n", "TARGET"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_ok);
}

static void tell_status(char *words, const struct http_head *head, const char *text)
{
	tell(words, "1.%u %u", head->minor, head->status);
	tell_span(words, "|", text, head->reason);
}

TEST(status_lines_are_told_apart)
{
	static const struct head_case rows[] = {
		CASE("HTTP/1.1 200 OK\r\n\r\n", "1.1 200|OK"),
		CASE("HTTP/1.0 404 Not  Found\tat all \r\n" HOST "\r\n",
		     "1.0 404|Not  Found\tat all "),
		CASE("HTTP/1.1 100 \r\n\r\n", "1.1 100|"),
		CASE("HTTP/1.1 599\r\n\r\n", "1.1 599|"),
		CASE("HTTP/1.1 200 O\0K\r\n\r\n", "1.1 200|"),
		CASE("HTTP/1.1 200 O\x1b[1mK\r\n\r\n", "1.1 200|"),
		CASE("HTTP/1.1 200 O\x7fK\r\n\r\n", "1.1 200|"),
		CASE("HTTP/1.1 200 \xc9t\xe9\r\n\r\n", "1.1 200|"),
		CASE("HTTP/1.1 099 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 000 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 600 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 999 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 2000 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 20 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 20x OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 -20 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1  200 OK\r\n\r\n", "STATUS"),
		CASE("HTTP/1.1 \r\n\r\n", "STATUS"),
		CASE("HTTP/1.1\t200 OK\r\n\r\n", "LINE"),
		CASE("HTTP/1.1\r\n\r\n", "LINE"),
		CASE("HTTP/1.2 200 OK\r\n\r\n", "VERSION"),
		CASE("HTTP/2 200 OK\r\n\r\n", "LINE"),
		CASE("HTTP/2.0 200 OK\r\n\r\n", "VERSION"),
		CASE("HTTP/0.9 200 OK\r\n\r\n", "VERSION"),
		CASE("ICY 200 OK\r\n\r\n", "LINE"),
		CASE("RTSP/1.0 200 OK\r\n\r\n", "LINE"),
		CASE("http/1.1 200 OK\r\n\r\n", "LINE"),
		CASE("\r\nHTTP/1.1 200 OK\r\n\r\n", "LINE"),
		CASE("\nHTTP/1.1 200 OK\r\n\r\n", "LINE"),
		CASE(" HTTP/1.1 200 OK\r\n\r\n", "LINE"),
		CASE("HTTP/1.1 200 OK\n\r\n", "LINE"),
		CASE("HTTP/1.1 200 OK\r\rX-A: b\r\n\r\n", "LINE"),
		CASE("HTTP/1.1 200 OK\r\r\r\n", "LINE"),
		CASE("HTTP/1.1 200 O\rK\r\n\r\n", "LINE"),
		CASE("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "FIELD"),
		CASE("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "FIELD"),
		CASE("HTTP/1.1 200 OK\r\nX: a\n\r\n", "FIELD"),
		CASE("<html>hello</html>\r\n\r\n", "LINE"),
		CASE("HTTP/1.1 200 OK\r\n", "more"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_response, tell_status);
}

/* --- fields ---------------------------------------------------------------------------------- */

static void tell_fields(char *words, const struct http_head *head, const char *text)
{
	uint32_t at = head->line_end;

	for (uint32_t i = 0; i < head->fields_count; i++) {
		const struct http_field *field = &head->fields[i];

		CHECK_UINT(field->name.at, at);
		CHECK(memcmp(text + field->end - 2, "\r\n", 2) == 0);
		at = field->end;
		tell_span(words, i ? "," : "", text, field->name);
		tell_span(words, "=", text, field->value);
		tell(words, "%s", field->hop ? " hop" : "");
	}
	CHECK_UINT(at + 2u, head->length);
}

#define WITH(lines) GET HOST lines "\r\n\r\n"

TEST(fields_are_taken_apart_or_refused)
{
	static const struct head_case rows[] = {
		CASE(WITH("X:"), "Host=a,X="),
		CASE(WITH("X:  \t"), "Host=a,X="),
		CASE(WITH("X:y"), "Host=a,X=y"),
		CASE(WITH("X: \t y \t z \t"), "Host=a,X=y \t z"),
		CASE(WITH("X: \xc3\xa9\xff"), "Host=a,X=\xc3\xa9\xff"),
		CASE(WITH("X: ::"), "Host=a,X=::"),
		CASE(WITH("!#$%&'*+-.^_`|~0aZ: 1"), "Host=a,!#$%&'*+-.^_`|~0aZ=1"),
		CASE(WITH("X: 1\r\nx: 2\r\nX:3"), "Host=a,X=1,x=2,X=3"),
		/* what programs behind the server would take for the real ones */
		CASE(WITH("Content_Length: 9"), "Host=a,Content_Length=9 hop"),
		CASE(WITH("Transfer_Encoding: chunked"), "Host=a,Transfer_Encoding=chunked hop"),
		CASE(WITH("x_forwarded-for: b"), "Host=a,x_forwarded-for=b hop"),
		CASE(WITH("X_Y: b"), "Host=a,X_Y=b"),
		CASE(WITH(": y"), "FIELD"),
		CASE(WITH(":"), "FIELD"),
		CASE(WITH("X"), "FIELD"),
		CASE(WITH("X : y"), "FIELD"),
		CASE(WITH("X\t: y"), "FIELD"),
		CASE(WITH(" X: y"), "FIELD"),
		CASE(WITH("\tX: y"), "FIELD"),
		CASE(WITH("X: y\r\n z"), "FIELD"),
		CASE(WITH("X: y\r\n\tz"), "FIELD"),
		CASE(WITH("X:\r\n y"), "FIELD"),
		CASE(WITH("X: y\nZ: 1"), "FIELD"),
		CASE(WITH("X: y\rZ: 1"), "FIELD"),
		CASE(WITH("X: y\r\rZ: 1"), "FIELD"),
		CASE(WITH("X: y\n"), "FIELD"),
		CASE(WITH("X: y\r"), "FIELD"),
		CASE(WITH("X\r: y"), "FIELD"),
		CASE(WITH("X\n: y"), "FIELD"),
		CASE(WITH("X: y\0"), "FIELD"),
		CASE(WITH("X\0: y"), "FIELD"),
		CASE(WITH("X: \x01"), "FIELD"),
		CASE(WITH("X: a\x07\x08\x0b"), "FIELD"),
		CASE(WITH("X: \x7f"), "FIELD"),
		CASE(WITH("X: \x1f"), "FIELD"),
		CASE(WITH("X\x7f: y"), "FIELD"),
		CASE(WITH("X[: y"), "FIELD"),
		CASE(WITH("\"X\": y"), "FIELD"),
		CASE(WITH("X Y: z"), "FIELD"),
		CASE(WITH("X\xc3\xa9: y"), "FIELD"),
		CASE(GET "\r\n", "HOST"),
		CASE(GET " \r\n" HOST "\r\n", "FIELD"),
		CASE(GET HOST "\n", "FIELD"),
		CASE(GET HOST "\r\r\n", "FIELD"),
		CASE(GET HOST "\rX", "FIELD"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_fields);
}

TEST(every_name_of_the_table_is_recognised_in_any_case)
{
	static const struct {
		const char *name;
		enum http_field_id id;
		bool hop;
	} rows[] = {
#define HTTP_FIELD(id, name, hop) { name, HTTP_FIELD_##id, hop },
#include "http/field.def"
#undef HTTP_FIELD
		{ "hos", HTTP_FIELD_OTHER, false },
		{ "hosts", HTTP_FIELD_OTHER, false },
		{ "accept", HTTP_FIELD_OTHER, false },
		{ "x-forwarded-fro", HTTP_FIELD_OTHER, false },
	};
	static struct http_head head;
	char text[128];

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const char *value = rows[i].id == HTTP_FIELD_TRANSFER_ENCODING ? "Chunked" : "1";
		int len = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nx: y\r\n%s: %s\r\n\r\n",
				   rows[i].name, value);

		unit_row(rows[i].name);
		for (int pass = 0; pass < 2; pass++) {
			CHECK_INT(head_feed_all_ways(&head, &setup_response, text, (size_t)len),
				  HTTP_DONE);
			CHECK_UINT(head.fields[1].id, rows[i].id);
			CHECK_INT(head.fields[1].hop, rows[i].hop);
			if (rows[i].id != HTTP_FIELD_OTHER) {
				CHECK_INT(http_head_find(&head, rows[i].id, 0), 1);
				CHECK_INT(http_head_find(&head, rows[i].id, 2), -1);
			}
			for (char *c = text + 23; *c != ':'; c++)
				*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
		}
	}
	unit_row(NULL);
}

/* --- limits ---------------------------------------------------------------------------------- */

static enum http_progress feed_coarsely(struct http_head *head, const struct head_setup *setup,
					const char *text, size_t len)
{
	static struct http_head other;
	enum http_progress progress = head_feed_pieces(head, setup, text, len, len, len);

	CHECK(head_is_same(head, progress, &other,
			   head_feed_pieces(&other, setup, text, len, len - 1, 1)));
	CHECK(head_is_same(head, progress, &other,
			   head_feed_pieces(&other, setup, text, len, 1000, 997)));
	return progress;
}

TEST(a_head_may_be_as_large_as_the_limit)
{
	static const char text[] = WITH("X: yyyyyyyyyyyyyyyy");
	struct head_setup setup = setup_request;
	static struct http_head head;

	setup.limits.head_bytes = sizeof(text) - 1;
	CHECK_INT(head_feed_all_ways(&head, &setup, text, sizeof(text) - 1), HTTP_DONE);
	for (setup.limits.head_bytes = 1; setup.limits.head_bytes < sizeof(text) - 1;
	     setup.limits.head_bytes++) {
		CHECK_INT(head_feed_all_ways(&head, &setup, text, sizeof(text) - 1), HTTP_REFUSED);
		CHECK_UINT(head.refusal, setup.limits.head_bytes == 5 ? HTTP_REFUSAL_TARGET_LONG :
									HTTP_REFUSAL_HEAD_LARGE);
	}
}

TEST(offsets_are_right_up_to_the_largest_head)
{
	static char text[HTTP_HEAD_MAX];
	struct head_setup setup = setup_request;
	static struct http_head head;

	setup.limits.head_bytes = HTTP_HEAD_MAX;
	memset(text, 'y', sizeof(text));
	memcpy(text, GET HOST "X: ", sizeof(GET HOST "X: ") - 1);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	CHECK_INT(feed_coarsely(&head, &setup, text, sizeof(text)), HTTP_DONE);
	CHECK_UINT(head.length, HTTP_HEAD_MAX);
	CHECK_UINT(head.fields[1].end, HTTP_HEAD_MAX - 2);
	text[sizeof(text) - 1] = 'y';
	CHECK_INT(feed_coarsely(&head, &setup, text, sizeof(text)), HTTP_REFUSED);
	CHECK_UINT(head.refusal, HTTP_REFUSAL_FIELD);
	text[sizeof(text) - 4] = 'y';
	text[sizeof(text) - 3] = 'y';
	CHECK_INT(feed_coarsely(&head, &setup, text, sizeof(text) - 2), HTTP_MORE);
	text[sizeof(text) - 2] = 'y';
	CHECK_INT(feed_coarsely(&head, &setup, text, sizeof(text)), HTTP_REFUSED);
	CHECK_UINT(head.refusal, HTTP_REFUSAL_HEAD_LARGE);
}

TEST(a_target_may_be_long_but_not_longer)
{
	static const char rest[] = " HTTP/1.1\r\n" HOST "\r\n";
	static char text[HTTP_HEAD_MAX];
	struct head_setup setup = setup_request;
	static struct http_head head;

	setup.limits.head_bytes = HTTP_HEAD_MAX;
	memset(text, 'y', sizeof(text));
	memcpy(text, "GET /", 5);
	memcpy(text + 4 + HTTP_TARGET_MAX, rest, sizeof(rest) - 1);
	CHECK_INT(feed_coarsely(&head, &setup, text, 4 + HTTP_TARGET_MAX + sizeof(rest) - 1),
		  HTTP_DONE);
	CHECK_UINT(head.target.len, HTTP_TARGET_MAX);
	text[4 + HTTP_TARGET_MAX] = 'y';
	memcpy(text + 5 + HTTP_TARGET_MAX, rest, sizeof(rest) - 1);
	CHECK_INT(feed_coarsely(&head, &setup, text, 5 + HTTP_TARGET_MAX + sizeof(rest) - 1),
		  HTTP_REFUSED);
	CHECK_UINT(head.refusal, HTTP_REFUSAL_TARGET_LONG);
	memset(text + 5, 'y', sizeof(text) - 5);
	CHECK_INT(feed_coarsely(&head, &setup, text, sizeof(text)), HTTP_REFUSED);
	CHECK_UINT(head.refusal, HTTP_REFUSAL_TARGET_LONG);
}

TEST(fields_may_be_as_many_as_the_limit)
{
	static const uint32_t limits[] = { 1, 2, 100, HTTP_FIELDS_MAX };
	static char text[HTTP_HEAD_MAX];
	struct head_setup setup = setup_request;
	static struct http_head head;

	for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
		size_t len = sizeof(GET HOST) - 1;

		setup.limits.fields = limits[i];
		memcpy(text, GET HOST, len);
		for (uint32_t field = 1; field < limits[i]; field++, len += 6)
			memcpy(text + len, "X: y\r\n", 6);
		memcpy(text + len, "\r\n", 2);
		CHECK_INT(head_feed_all_ways(&head, &setup, text, len + 2), HTTP_DONE);
		CHECK_UINT(head.fields_count, limits[i]);
		memcpy(text + len, "X: y\r\n\r\n", 8);
		CHECK_INT(head_feed_all_ways(&head, &setup, text, len + 8), HTTP_REFUSED);
		CHECK_UINT(head.refusal, HTTP_REFUSAL_FIELDS_MANY);
	}
}

/* --- the rest -------------------------------------------------------------------------------- */

TEST(refusals_have_a_name_a_text_and_a_status)
{
	for (int i = 1; i < HTTP_REFUSAL_COUNT; i++) {
		CHECK(http_refusal_names[i][0] != '\0');
		CHECK(http_refusal_texts[i][0] != '\0');
		CHECK(http_refusal_status[i] >= 400 && http_refusal_status[i] <= 599);
	}
	CHECK_UINT(http_refusal_status[HTTP_REFUSAL_METHOD], 501);
}

TEST(text_is_compared_without_case)
{
	CHECK(http_text_equal((const uint8_t *)"Ab-1", 4, "aB-1"));
	CHECK(http_text_equal((const uint8_t *)"", 0, ""));
	CHECK(!http_text_equal((const uint8_t *)"a", 1, "ab"));
	CHECK(!http_text_equal((const uint8_t *)"ab", 2, "a"));
	CHECK(!http_text_equal((const uint8_t *)"a\0", 2, "a"));
	CHECK(!http_text_equal((const uint8_t *)"\r", 1, "-"));
	CHECK(!http_text_equal((const uint8_t *)"@", 1, "`"));
}

TEST(what_may_be_sent_twice_is_known)
{
	CHECK(http_method_is_idempotent(HTTP_METHOD_GET));
	CHECK(http_method_is_idempotent(HTTP_METHOD_PUT));
	CHECK(!http_method_is_idempotent(HTTP_METHOD_POST));
	CHECK(!http_method_is_idempotent(HTTP_METHOD_PATCH));
	CHECK(!http_method_is_idempotent(HTTP_METHOD_CONNECT));
	CHECK(!http_method_is_idempotent(HTTP_METHOD_OTHER));
}

static void feed_once_more(void *head)
{
	http_head_feed(head, (const uint8_t *)GET HOST "\r\n", sizeof(GET HOST "\r\n") - 1);
}

TEST(a_head_that_is_done_is_not_fed)
{
	static struct http_head head;

	head_setup_begin(&head, &setup_request);
	feed_once_more(&head);
	CHECK_ABORTS(feed_once_more, &head);
}

static const struct unit_test tests[] = {
	ROW(request_lines_are_told_apart),
	ROW(what_is_no_request_line_is_refused),
	ROW(status_lines_are_told_apart),
	ROW(fields_are_taken_apart_or_refused),
	ROW(every_name_of_the_table_is_recognised_in_any_case),
	ROW(a_head_may_be_as_large_as_the_limit),
	ROW(offsets_are_right_up_to_the_largest_head),
	ROW(a_target_may_be_long_but_not_longer),
	ROW(fields_may_be_as_many_as_the_limit),
	ROW(refusals_have_a_name_a_text_and_a_status),
	ROW(text_is_compared_without_case),
	ROW(what_may_be_sent_twice_is_known),
	ROW(a_head_that_is_done_is_not_fed),
};
UNIT_MAIN(tests)
