/* SPDX-License-Identifier: MIT */
/*
 * test_http_framing.c - what a head says about its body and its connection: one meaning, or none.
 */
#include "http/head.h"

#include "http_head_helpers.h"

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define OLD "POST / HTTP/1.0\r\nHost: a\r\n"
#define WITH(lines) POST lines "\r\n\r\n"
#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

/* --- requests -------------------------------------------------------------------------------- */

static const struct head_case lengths[] = {
	CASE(POST "\r\n", "none"),
	CASE(WITH(CL "0"), "length 0"),
	CASE(WITH(CL "5"), "length 5"),
	CASE(WITH(CL "\t 5 "), "length 5"),
	CASE(WITH(CL "5\t"), "LENGTH"),
	CASE(WITH("content-LENGTH:5"), "length 5"),
	CASE(WITH(CL "010"), "length 10"),
	CASE(WITH(CL "00"), "length 0"),
	CASE(WITH(CL "00000000000000000000000000000000000000000000000000000042"), "length 42"),
	CASE(WITH(CL "9223372036854775807"), "length 9223372036854775807"),
	CASE(OLD CL "7\r\n\r\n", "length 7"),
	CASE("GET / HTTP/1.1\r\nHost: a\r\n" CL "5\r\n\r\n", "length 5"),
	CASE(WITH(CL "9223372036854775808"), "LENGTH"),
	CASE(WITH(CL "18446744073709551615"), "LENGTH"),
	CASE(WITH(CL "18446744073709551616"), "LENGTH"),
	CASE(WITH(CL "18446744073709551621"), "LENGTH"),
	CASE(WITH(CL "99999999999999999999"), "LENGTH"),
	CASE(WITH(CL "5\r\n" CL "5"), "LENGTH"),
	CASE(WITH(CL "5\r\n" CL "6"), "LENGTH"),
	CASE(WITH(CL "5\r\nX: y\r\ncontent-length:5"), "LENGTH"),
	CASE(WITH(CL "5, 5"), "LENGTH"),
	CASE(WITH(CL "5,5"), "LENGTH"),
	CASE(WITH(CL "5,"), "LENGTH"),
	CASE(WITH(CL ",5"), "LENGTH"),
	CASE(WITH(CL "+5"), "LENGTH"),
	CASE(WITH(CL "-5"), "LENGTH"),
	CASE(WITH(CL "-0"), "LENGTH"),
	CASE(WITH(CL "0x5"), "LENGTH"),
	CASE(WITH(CL "0o5"), "LENGTH"),
	CASE(WITH(CL "5e1"), "LENGTH"),
	CASE(WITH(CL "5.0"), "LENGTH"),
	CASE(WITH(CL "1_0"), "LENGTH"),
	CASE(WITH(CL "1 0"), "LENGTH"),
	CASE(WITH(CL "1\t0"), "LENGTH"),
	CASE(WITH(CL "abc"), "LENGTH"),
	CASE(WITH(CL "5a"), "LENGTH"),
	CASE(WITH(CL "\"5\""), "LENGTH"),
	CASE(WITH(CL "5;"), "LENGTH"),
	CASE(WITH(CL), "LENGTH"),
	CASE(WITH("Content-Length:"), "LENGTH"),
	CASE(WITH("Content-Length : 5"), "FIELD"),
	CASE(WITH("Content-Length\t: 5"), "FIELD"),
	CASE(WITH("Content\tLength: 5"), "FIELD"),
	CASE(WITH("Content-Length:\r\n 5"), "FIELD"),
	CASE(WITH(" Content-Length: 5"), "FIELD"),
};

TEST(the_length_of_a_request_body_is_digits_once)
{
	static const struct head_case not_digits[] = {
		CASE(WITH(CL "\xb2"), ""),
		CASE(WITH(CL "5\xa0"), ""),
		CASE(WITH(CL "5\0"), ""),
		CASE(WITH(CL "\0"
			     "5"),
		     ""),
		CASE(WITH(CL "\x0b"
			     "5"),
		     ""),
		CASE(WITH(CL "5\x0c"), ""),
		CASE(WITH(CL "5\r6"), ""),
		CASE(WITH(CL "5\n6"), ""),
		CASE(WITH(CL "\xef\xbc\x95"), ""),
	};
	static struct http_head head;

	head_check_cases(lengths, ARRAY_COUNT(lengths), &setup_request, tell_framing);
	for (size_t i = 0; i < ARRAY_COUNT(not_digits); i++)
		CHECK_INT(head_feed_all_ways(&head, &setup_request, not_digits[i].text,
					     not_digits[i].len),
			  HTTP_REFUSED);
}

static const struct head_case codings[] = {
	CASE(WITH(TE "chunked"), "chunked"),
	CASE(WITH(TE "Chunked"), "chunked"),
	CASE(WITH("TRANSFER-ENCODING:CHUNKED"), "chunked"),
	CASE(WITH(TE "\t chunked \t"), "chunked"),
	/* sound, but not known here */
	CASE(WITH(TE "gzip, chunked"), "CODING"),
	CASE(WITH(TE "gzip,chunked"), "CODING"),
	CASE(WITH(TE "gzip \t,\t chunked"), "CODING"),
	CASE(WITH(TE "identity, chunked"), "CODING"),
	CASE(WITH(TE "a;b=c, d, chunked"), "CODING"),
	CASE(WITH(TE "xchunked, chunked"), "CODING"),
	/* chunked is not the last word */
	CASE(WITH(TE "chunked, gzip"), "CODING_BAD"),
	CASE(WITH(TE "gzip"), "CODING_BAD"),
	CASE(WITH(TE "identity"), "CODING_BAD"),
	CASE(WITH(TE "xchunked"), "CODING_BAD"),
	CASE(WITH(TE "chunkedx"), "CODING_BAD"),
	CASE(WITH(TE "chunke"), "CODING_BAD"),
	CASE(WITH(TE "chunked identity"), "CODING_BAD"),
	CASE(WITH(TE "x chunked"), "CODING_BAD"),
	/* more than once */
	CASE(WITH(TE "chunked, chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked,chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked, gzip, chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked\r\n" TE "chunked"), "CODING_BAD"),
	CASE(WITH(TE "gzip\r\n" TE "chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked\r\n" TE "identity"), "CODING_BAD"),
	CASE(WITH(TE "identity\r\nX: y\r\n" TE "chunked"), "CODING_BAD"),
	/* no list of codings */
	CASE(WITH(TE), "CODING_BAD"),
	CASE(WITH("Transfer-Encoding:"), "CODING_BAD"),
	CASE(WITH(TE ","), "CODING_BAD"),
	CASE(WITH(TE ",chunked"), "CODING_BAD"),
	CASE(WITH(TE ", chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked,"), "CODING_BAD"),
	CASE(WITH(TE "chunked, "), "CODING_BAD"),
	CASE(WITH(TE "gzip,,chunked"), "CODING_BAD"),
	CASE(WITH(TE "\"chunked\""), "CODING_BAD"),
	CASE(WITH(TE "'chunked'"), "CODING_BAD"),
	CASE(WITH(TE "(x)chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked;"), "CODING_BAD"),
	CASE(WITH(TE "chunked;a=b"), "CODING_BAD"),
	CASE(WITH(TE "chunked ;q=1"), "CODING_BAD"),
	CASE(WITH(TE "chunked\tx"), "CODING_BAD"),
	CASE(WITH(TE ": chunked"), "CODING_BAD"),
	CASE(WITH(TE "chunked\xa0"), "CODING_BAD"),
	CASE(WITH(TE "\xff"
		     "chunked"),
	     "CODING_BAD"),
	CASE(WITH(TE "chun\xc5\xb7ked"), "CODING_BAD"),
	CASE(WITH(TE "\xef\xbb\xbf"
		     "chunked"),
	     "CODING_BAD"),
	CASE(WITH(TE "c\xc4\xa7unked"), "CODING_BAD"),
	CASE(WITH(TE "chunk%65d"), "CODING_BAD"),
	CASE(WITH(TE "chunked#x"), "CODING_BAD"),
	CASE(WITH(TE "chunked/1.0"), "CODING_BAD"),
	CASE(WITH(TE "0"), "CODING_BAD"),
	CASE(WITH(TE "false"), "CODING_BAD"),
	/* with a length */
	CASE(WITH(TE "chunked\r\n" CL "5"), "LENGTH_AND_CHUNKED"),
	CASE(WITH(CL "5\r\n" TE "chunked"), "LENGTH_AND_CHUNKED"),
	CASE(WITH(CL "0\r\nX: y\r\n" TE "chunked"), "LENGTH_AND_CHUNKED"),
	CASE(WITH(TE "identity\r\n" CL "5"), "LENGTH_AND_CHUNKED"),
	CASE(WITH(TE "\r\n" CL "5"), "LENGTH_AND_CHUNKED"),
	CASE(WITH(TE "chunked;a=b\r\n" CL "5"), "LENGTH_AND_CHUNKED"),
	CASE(OLD TE "chunked\r\n" CL "5\r\n\r\n", "LENGTH_AND_CHUNKED"),
	/* HTTP/1.0 does not know it */
	CASE(OLD TE "chunked\r\n\r\n", "CODING_OLD"),
	CASE(OLD TE "gzip\r\n\r\n", "CODING_OLD"),
	/* another name is another field */
	CASE(WITH("Transfer_Encoding: chunked"), "none"),
	CASE(WITH("Content-Encoding: chunked"), "none"),
	CASE(WITH("X-Transfer-Encoding: chunked"), "none"),
	CASE(WITH("TransferEncoding: chunked"), "none"),
	CASE(WITH("X: y Transfer-Encoding: chunked"), "none"),
	CASE(WITH("TE: chunked"), "none"),
	/* no field at all */
	CASE(WITH("Transfer-Encoding : chunked"), "FIELD"),
	CASE(WITH(" " TE "chunked"), "FIELD"),
	CASE(WITH("\t" TE "chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\t: chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\x0b: chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\0: chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\xa0: chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\r: chunked"), "FIELD"),
	CASE(WITH("Transfer\r-Encoding: chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\n: chunked"), "FIELD"),
	CASE(WITH("Transfer Encoding: chunked"), "FIELD"),
	CASE(WITH("\"Transfer-Encoding\": chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding:\r\n chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding\r\n : chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding"), "FIELD"),
	CASE(WITH("X: y\n" TE "chunked"), "FIELD"),
	CASE(WITH("X: y\r" TE "chunked"), "FIELD"),
	CASE(WITH("X: y\0" TE "chunked"), "FIELD"),
	CASE(WITH("X:\n" TE "chunked"), "FIELD"),
	CASE(WITH("(" TE "chunked"), "FIELD"),
	CASE(WITH("\xff" TE "chunked"), "FIELD"),
	CASE(WITH("Tr\xc3\xa0nsfer-Encoding: chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding; chunked"), "FIELD"),
	CASE(WITH("Transfer-Encoding=chunked"), "FIELD"),
	CASE(WITH(TE "chunked\r\n identity"), "FIELD"),
	CASE(WITH(TE "x\r\n chunked"), "FIELD"),
	CASE(WITH(TE "chunked\x1f"), "FIELD"),
	CASE(WITH(TE "chunked\n"), "FIELD"),
};

TEST(a_request_is_chunked_once_alone_and_in_http_1_1)
{
	head_check_cases(codings, ARRAY_COUNT(codings), &setup_request, tell_framing);
}

/* One line in the middle of a head; whatever it is, no doubt may be left. */
static void check_line_means_one_thing(const char *line, size_t len)
{
	static struct http_head head, other;
	char text[256];
	size_t before = sizeof(POST) - 1, all = before + len + 4;
	enum http_progress progress;
	bool chunked;

	memcpy(text, POST, before);
	memcpy(text + before, line, len);
	memcpy(text + before + len, "\r\n\r\n", 4);
	progress = head_feed_pieces(&head, &setup_request, text, all, all, all);
	CHECK(head_is_same(&head, progress, &other,
			   head_feed_pieces(&other, &setup_request, text, all, before, 1)));
	if (progress == HTTP_REFUSED)
		return;
	if (!CHECK_INT(progress, HTTP_DONE))
		return;
	if (head.length !=
	    all) /* the line was two, and the second one empty: the head ended there */
		return;
	chunked = head.fields_count == 2 && head.fields[1].name.len == 17 &&
		  http_text_equal((const uint8_t *)text + head.fields[1].name.at, 17,
				  "transfer-encoding");
	CHECK_INT(head.framing, chunked ? HTTP_BODY_CHUNKED : HTTP_BODY_NONE);
	if (chunked) {
		CHECK_UINT(head.fields[1].value.len, 7);
		CHECK(http_text_equal((const uint8_t *)text + head.fields[1].value.at, 7,
				      "chunked"));
	}
}

TEST(no_byte_put_anywhere_makes_transfer_encoding_ambiguous)
{
	static const char line[] = TE "chunked";
	const size_t len = sizeof(line) - 1;
	char changed[64];

	for (size_t at = 0; at <= len; at++) {
		for (int c = 0; c < 256; c++) {
			memcpy(changed, line, at);
			changed[at] = (char)c;
			memcpy(changed + at + 1, line + at, len - at);
			check_line_means_one_thing(changed, len + 1);
			if (at == len)
				continue;
			memcpy(changed + at + 1, line + at + 1, len - at - 1);
			check_line_means_one_thing(changed, len);
		}
	}
}

/* --- responses ------------------------------------------------------------------------------- */

#define ANSWER(status, lines) "HTTP/1.1 " status " X\r\n" lines "\r\n"

TEST(the_body_of_a_response_ends_where_rfc_9112_6_3_says)
{
	static const struct head_case rows[] = {
		CASE(ANSWER("200", ""), "until close"),
		CASE(ANSWER("200", CL "5\r\n"), "length 5"),
		CASE(ANSWER("200", CL "0\r\n"), "length 0"),
		CASE(ANSWER("200", TE "chunked\r\n"), "chunked"),
		CASE(ANSWER("404", TE "Chunked\r\n"), "chunked"),
		CASE(ANSWER("204", ""), "none"),
		CASE(ANSWER("204", CL "5\r\n"), "none, length given"),
		CASE(ANSWER("204", TE "chunked\r\n"), "none"),
		CASE(ANSWER("304", CL "5\r\n"), "none, length given"),
		CASE(ANSWER("304", ""), "none"),
		CASE(ANSWER("100", ""), "none"),
		CASE(ANSWER("103", "Link: x\r\n"), "none"),
		CASE(ANSWER("199", CL "5\r\n"), "none, length given"),
		CASE(ANSWER("205", ""), "until close"),
		CASE("HTTP/1.0 200 OK\r\n\r\n", "until close"),
		CASE("HTTP/1.0 200 OK\r\n" CL "3\r\n\r\n", "length 3"),
		CASE("HTTP/1.0 200 OK\r\n" TE "chunked\r\n\r\n", "CODING_OLD"),
		CASE("HTTP/1.0 304 OK\r\n" TE "chunked\r\n\r\n", "CODING_OLD"),
		CASE(ANSWER("200", TE "chunked\r\n" CL "5\r\n"), "LENGTH_AND_CHUNKED"),
		CASE(ANSWER("200", CL "5\r\n" TE "chunked\r\n"), "LENGTH_AND_CHUNKED"),
		CASE(ANSWER("204", CL "5\r\n" TE "chunked\r\n"), "LENGTH_AND_CHUNKED"),
		CASE(ANSWER("200", CL "5\r\n" CL "5\r\n"), "LENGTH"),
		CASE(ANSWER("200", CL "5, 5\r\n"), "LENGTH"),
		CASE(ANSWER("304", CL "x\r\n"), "LENGTH"),
		CASE(ANSWER("200", CL "\r\n"), "LENGTH"),
		CASE(ANSWER("200", CL "18446744073709551615\r\n"), "LENGTH"),
		CASE(ANSWER("200", TE "chunked, gzip\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "gzip\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "identity\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "chunked, chunked\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "chunked\r\n" TE "chunked\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "gzip\r\n" TE "chunked\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE ",chunked\r\n"), "CODING_BAD"),
		CASE(ANSWER("200", TE "gzip, chunked\r\n"), "CODING"),
		CASE(ANSWER("101", ""), "UNASKED"),
		CASE(ANSWER("101", "Upgrade: x\r\nConnection: upgrade\r\n"), "UNASKED"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_response, tell_framing);
}

TEST(what_was_asked_decides_over_the_body_of_the_response)
{
	static const struct head_case to_head[] = {
		CASE(ANSWER("200", ""), "none"),
		CASE(ANSWER("200", CL "5\r\n"), "none, length given"),
		CASE(ANSWER("200", TE "chunked\r\n"), "none"),
		CASE(ANSWER("200", CL "x\r\n"), "LENGTH"),
		CASE(ANSWER("101", ""), "UNASKED"),
	};
	static const struct head_case to_connect[] = {
		CASE(ANSWER("200", ""), "none, tunnel"),
		CASE(ANSWER("299", CL "5\r\n"), "none, tunnel, length given"),
		CASE(ANSWER("299", TE "chunked\r\n"), "none, tunnel"),
		CASE(ANSWER("300", CL "5\r\n"), "length 5"),
		CASE(ANSWER("407", ""), "until close"),
		CASE(ANSWER("100", ""), "none"),
	};
	static const struct head_case to_upgrade[] = {
		CASE(ANSWER("101", ""), "none, tunnel"),
		CASE(ANSWER("200", CL "5\r\n"), "length 5"),
		CASE(ANSWER("426", ""), "until close"),
		CASE(ANSWER("100", ""), "none"),
		CASE(ANSWER("101", CL "5\r\n" TE "chunked\r\n"), "LENGTH_AND_CHUNKED"),
	};
	struct head_setup setup = setup_response;

	setup.asked.method = HTTP_METHOD_HEAD;
	head_check_cases(to_head, ARRAY_COUNT(to_head), &setup, tell_framing);
	setup.asked.method = HTTP_METHOD_CONNECT;
	head_check_cases(to_connect, ARRAY_COUNT(to_connect), &setup, tell_framing);
	setup.asked = (struct http_asked){ .method = HTTP_METHOD_GET, .upgrade = true };
	head_check_cases(to_upgrade, ARRAY_COUNT(to_upgrade), &setup, tell_framing);
}

/* --- the connection -------------------------------------------------------------------------- */

static void tell_connection(char *words, const struct http_head *head, const char *text)
{
	tell(words, "%s", head->persistent ? "stays" : "goes");
	if (head->upgrade)
		tell_span(words, ", upgrade ", text, head->upgrade_to);
	else
		CHECK_UINT(head->upgrade_to.len, 0);
	tell(words, "%s%s", head->expect ? ", expect" : "", head->te_trailers ? ", trailers" : "");
	for (uint32_t i = 0; i < head->fields_count; i++)
		if (head->fields[i].hop)
			tell_span(words, " -", text, head->fields[i].name);
}

#define GET(lines) "GET / HTTP/1.1\r\nHost: a\r\n" lines "\r\n\r\n"
#define GET_OLD(lines) "GET / HTTP/1.0\r\n" lines "\r\n\r\n"

#define OPTIONS_32                                         \
	"Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r," \
	"s,t,u,v,w,x,y,z,A,B,C,D,E,F"

TEST(connection_says_what_stays_and_what_goes)
{
	static const struct head_case rows[] = {
		CASE(GET("X: y"), "stays"),
		CASE(GET("Connection: close"), "goes -Connection"),
		CASE(GET("connection:CLOSE"), "goes -connection"),
		CASE(GET("Connection: keep-alive"), "stays -Connection"),
		CASE(GET("Connection: keep-alive, close"), "goes -Connection"),
		CASE(GET("Connection: x\r\nConnection: close"), "goes -Connection -Connection"),
		CASE(GET("Connection:"), "stays -Connection"),
		CASE(GET("Connection: , ,"), "stays -Connection"),
		CASE(GET("Connection: closed"), "stays -Connection"),
		CASE(GET("Connection: clos"), "stays -Connection"),
		CASE(GET_OLD("X: y"), "goes"),
		CASE(GET_OLD("Connection: Keep-Alive"), "stays -Connection"),
		CASE(GET_OLD("Connection: keep-alive, close"), "goes -Connection"),
		CASE(GET_OLD("Proxy-Connection: keep-alive"), "goes -Proxy-Connection"),
		CASE(GET("Connection: x ,\tY\r\nx: 1\r\ny: 2\r\nz: 3\r\nX: 4"),
		     "stays -Connection -x -y -X"),
		CASE(GET("x: 1\r\nConnection: x"), "stays -x -Connection"),
		CASE(GET("Keep-Alive:\r\nTE: x\r\nUpgrade: x\r\nHTTP2-Settings: y\r\nTrailer: z"),
		     "stays -Keep-Alive -TE -Upgrade -HTTP2-Settings"),
		CASE(GET("Connection: Trailer, TE\r\nTrailer: z"), "stays -Connection -Trailer"),
		CASE(GET("TE: trailers"), "stays, trailers -TE"),
		CASE(GET("TE: gzip , Trailers"), "stays, trailers -TE"),
		CASE(GET("TE: x\r\nTE: trailers"), "stays, trailers -TE -TE"),
		CASE(GET("TE: trailersx"), "stays -TE"),
		CASE(GET_OLD("TE: trailers"), "goes -TE"),
		CASE(GET("Connection: content-length"), "CONNECTION"),
		CASE(GET("Connection: Host"), "CONNECTION"),
		CASE(GET("Connection: close, Transfer-Encoding"), "CONNECTION"),
		CASE(GET("Connection: x\r\nConnection: X-Forwarded-For"), "CONNECTION"),
		CASE(GET("Connection: X-Forwarded-Proto"), "CONNECTION"),
		CASE(GET("Connection: X-Forwarded-Host"), "CONNECTION"),
		CASE(GET("Connection: X-Forwarded-Port"), "CONNECTION"),
		CASE(GET("Connection: Forwarded"), "CONNECTION"),
		CASE(GET("Connection: Cookie"), "CONNECTION"),
		CASE(GET("Connection: Authorization"), "CONNECTION"),
		CASE(GET("Connection: Expect"), "CONNECTION"),
		CASE(GET("Connection: Content-Type"), "CONNECTION"),
		CASE(GET("Connection: x-real-ip"), "CONNECTION"),
		CASE(GET_OLD("Connection: Host"), "CONNECTION"),
		CASE(GET("Connection: a b"), "FIELD"),
		CASE(GET("Connection: \"close\""), "FIELD"),
		CASE(GET("Connection: close;x"), "FIELD"),
		CASE(GET("Connection: close:"), "FIELD"),
		CASE(GET(OPTIONS_32), "stays -Connection"),
		CASE(GET(OPTIONS_32 ",G"), "FIELD"),
	};
	static const struct head_case answers[] = {
		CASE(ANSWER("200", CL "1\r\n"), "stays"),
		CASE(ANSWER("200", ""), "goes"),
		CASE(ANSWER("200", CL "1\r\nConnection: close\r\n"), "goes -Connection"),
		CASE("HTTP/1.0 200 X\r\n" CL "1\r\n\r\n", "goes"),
		CASE(ANSWER("204", ""), "stays"),
		CASE("HTTP/1.0 200 X\r\n" CL "1\r\nConnection: keep-alive\r\n\r\n",
		     "stays -Connection"),
		CASE("HTTP/1.0 200 X\r\nConnection: keep-alive\r\n\r\n", "goes -Connection"),
		CASE(ANSWER("200", CL "1\r\nUpgrade: h2c\r\nConnection: upgrade, x\r\nx: y\r\n"),
		     "stays -Upgrade -Connection -x"),
		CASE(ANSWER("200", CL "1\r\nConnection: Set-Cookie\r\n"), "CONNECTION"),
		CASE(ANSWER("200", CL "1\r\nConnection: Content-Length\r\n"), "CONNECTION"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_connection);
	head_check_cases(answers, ARRAY_COUNT(answers), &setup_response, tell_connection);
}

#define UPGRADE "Connection: upgrade\r\nUpgrade: "
#define STOPS " -Connection -Upgrade"

TEST(upgrade_is_asked_for_in_full_or_not_at_all)
{
	static const struct head_case rows[] = {
		CASE(GET(UPGRADE "websocket"), "stays, upgrade websocket" STOPS),
		CASE(GET("Connection: keep-alive, Upgrade\r\nUpgrade: a/1.0 , b"),
		     "stays, upgrade a/1.0 , b" STOPS),
		CASE(POST UPGRADE "websocket\r\n" CL "0\r\n\r\n", "stays, upgrade websocket" STOPS),
		CASE(GET("Upgrade: websocket"), "stays -Upgrade"),
		CASE(GET("Connection: upgrade"), "stays -Connection"),
		CASE(GET("Connection: upgrades\r\nUpgrade: websocket"), "stays" STOPS),
		CASE(GET_OLD(UPGRADE "websocket"), "goes" STOPS),
		CASE(GET(UPGRADE "h2c\r\nHTTP2-Settings: x"), "stays" STOPS " -HTTP2-Settings"),
		CASE(GET(UPGRADE "H2C"), "stays" STOPS),
		CASE(GET(UPGRADE "websocket, h2c"), "stays" STOPS),
		CASE(GET(UPGRADE "h2c-14/1"), "stays" STOPS),
		CASE(POST UPGRADE "h2c\r\n" CL "5\r\n\r\n", "stays" STOPS),
		CASE(POST "Upgrade: websocket\r\n" CL "5\r\n\r\n", "stays -Upgrade"),
		CASE(POST UPGRADE "websocket\r\n" CL "5\r\n\r\n", "UPGRADE_BODY"),
		CASE(POST UPGRADE "websocket\r\n" TE "chunked\r\n\r\n", "UPGRADE_BODY"),
		CASE(GET(UPGRADE "a\r\nUpgrade: b"), "FIELD"),
		CASE(GET(UPGRADE), "FIELD"),
		CASE(GET(UPGRADE ","), "FIELD"),
		CASE(GET(UPGRADE "a b"), "FIELD"),
		CASE(GET(UPGRADE "a/"), "FIELD"),
		CASE(GET(UPGRADE "/a"), "FIELD"),
		CASE(GET(UPGRADE "a/b/c"), "FIELD"),
		CASE(GET(UPGRADE "\"a\""), "FIELD"),
		CASE("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" UPGRADE "x\r\n\r\n", "stays" STOPS),
		CASE("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n" CL "5\r\n\r\n", "UPGRADE_BODY"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_connection);
}

TEST(only_one_thing_may_be_expected)
{
	static const struct head_case rows[] = {
		CASE(WITH(CL "5\r\nExpect: 100-continue"), "stays, expect"),
		CASE(WITH(CL "5\r\nexpect: 100-Continue "), "stays, expect"),
		CASE(OLD "Expect: 100-continue\r\n\r\n", "goes -Expect"),
		CASE(OLD "Expect: x\r\nExpect: y\r\n\r\n", "goes -Expect -Expect"),
		CASE(WITH("Expect: 200-ok"), "EXPECT"),
		CASE(WITH("Expect: y 100-continue"), "EXPECT"),
		CASE(WITH("Expect: 100-continue, x"), "EXPECT"),
		CASE(WITH("Expect: 100-continue;x"), "EXPECT"),
		CASE(WITH("Expect:"), "EXPECT"),
		CASE(WITH("Expect: 100-continue\r\nExpect: 100-continue"), "EXPECT"),
	};

	head_check_cases(rows, ARRAY_COUNT(rows), &setup_request, tell_connection);
}

static const struct unit_test tests[] = {
	ROW(the_length_of_a_request_body_is_digits_once),
	ROW(a_request_is_chunked_once_alone_and_in_http_1_1),
	ROW(no_byte_put_anywhere_makes_transfer_encoding_ambiguous),
	ROW(the_body_of_a_response_ends_where_rfc_9112_6_3_says),
	ROW(what_was_asked_decides_over_the_body_of_the_response),
	ROW(connection_says_what_stays_and_what_goes),
	ROW(upgrade_is_asked_for_in_full_or_not_at_all),
	ROW(only_one_thing_may_be_expected),
};
UNIT_MAIN(tests)
