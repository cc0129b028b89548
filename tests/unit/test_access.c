/* SPDX-License-Identifier: MIT */
/*
 * test_access.c - records and the lines they become, byte for byte; hostile bytes; lines that do
 * not fit. Every JSON line goes through a strict reader.
 */
#include "flow/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

#define ROOM 8192u
#define TEXT(literal)                        \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
#define NEVER_ALL                                                                      \
	.head_us = ACCESS_NEVER, .queue_us = ACCESS_NEVER, .connect_us = ACCESS_NEVER, \
	.first_byte_us = ACCESS_NEVER, .total_us = ACCESS_NEVER

/* --- a strict reader of one JSON line --------------------------------------------------------- */

static bool read_literal(const char **at, const char *literal)
{
	size_t len = strlen(literal);

	if (strncmp(*at, literal, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Printable ASCII and the escapes that are used here. */
static bool read_string(const char **at)
{
	const char *c = *at;
	uint32_t i;

	if (*c++ != '"')
		return false;
	for (; *c != '"'; c++) {
		if (*c < ' ' || *c > '~')
			return false;
		if (*c != '\\')
			continue;
		c++;
		if (*c == '"' || *c == '\\')
			continue;
		if (*c != 'u')
			return false;
		for (i = 0; i < 4; i++)
			if (!is_hex(*++c))
				return false;
	}
	*at = c + 1;
	return true;
}

static bool read_number(const char **at)
{
	const char *c = *at;

	if (*c == '0') {
		*at = c + 1;
		return true;
	}
	while (*c >= '0' && *c <= '9')
		c++;
	if (c == *at)
		return false;
	*at = c;
	return true;
}

static bool read_value(const char **at)
{
	return read_string(at) || read_number(at) || read_literal(at, "null") ||
	       read_literal(at, "true") || read_literal(at, "false");
}

/* One flat object with these keys in this order, a newline, and nothing behind it. */
static bool is_json_line(const char *text)
{
	static const char *const keys[] = {
		"time",       "listener",      "client",   "protocol",  "method",   "target",
		"host",       "status",        "bytes_in", "bytes_out", "head_us",  "queue_us",
		"connect_us", "first_byte_us", "total_us", "route",     "upstream", "server",
		"reused",     "tries",         "close",
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(keys); i++) {
		if (!read_literal(&text, i == 0 ? "{\"" : ",\"") || !read_literal(&text, keys[i]) ||
		    !read_literal(&text, "\":") || !read_value(&text))
			return false;
	}
	return read_literal(&text, "}\n") && *text == '\0';
}

TEST(the_reader_of_this_test_is_strict)
{
	const struct access_record empty = { .listener = NULL, NEVER_ALL };
	char line[ROOM + 1];
	uint32_t len = access_format_json(&empty, line, ROOM), i;

	line[len] = '\0';
	CHECK(is_json_line(line));
	for (i = 0; i < len; i++) {
		char broken[ROOM + 1];

		/* Without any mark of the syntax it is none. In the time are colons too. */
		if (strchr("{}\",:\n", line[i]) == NULL || (line[i] == ':' && i > 8 && i < 34))
			continue;
		memcpy(broken, line, i);
		memcpy(broken + i, line + i + 1, len - i);
		CHECK(!is_json_line(broken));
	}
	CHECK(!is_json_line("{\"time\":01}\n"));
}

/* --- records and their lines ----------------------------------------------------------------- */

struct row {
	const char *name;
	struct access_record record;
	const char *text;
	const char *json;
};

static const struct row rows[] = {
	{ "a request",
	  { .listener = "web",
	    .client = "192.0.2.1",
	    .time_ms = 1795608000123,
	    .is_http = true,
	    .method = TEXT("GET"),
	    .target = TEXT("/a?b"),
	    .host = TEXT("example.org"),
	    .minor = 1,
	    .status = 200,
	    .bytes_out = 1024,
	    .head_us = 100,
	    .queue_us = ACCESS_NEVER,
	    .connect_us = 200,
	    .first_byte_us = 1100,
	    .total_us = 1300,
	    .route = "api",
	    .upstream = "app",
	    .server = "10.0.0.2:9000",
	    .tries = 1,
	    .reused = true },
	  "2026-11-25T12:00:00.123Z web 192.0.2.1 \"GET /a?b HTTP/1.1\" 200 in=0 out=1024 "
	  "head=0.1ms queue=- connect=0.2ms first=1.1ms total=1.3ms host=example.org route=api "
	  "server=app/10.0.0.2:9000 tries=1 conn=reused close=-\n",
	  "{\"time\":\"2026-11-25T12:00:00.123Z\",\"listener\":\"web\",\"client\":\"192.0.2.1\","
	  "\"protocol\":\"HTTP/1.1\",\"method\":\"GET\",\"target\":\"/a?b\","
	  "\"host\":\"example.org\",\"status\":200,\"bytes_in\":0,\"bytes_out\":1024,"
	  "\"head_us\":100,\"queue_us\":null,\"connect_us\":200,\"first_byte_us\":1100,"
	  "\"total_us\":1300,\"route\":\"api\",\"upstream\":\"app\","
	  "\"server\":\"10.0.0.2:9000\",\"reused\":true,\"tries\":1,\"close\":null}\n" },
	{ "a TCP session",
	  { .listener = "db",
	    .client = "2001:db8::7",
	    .time_ms = 951827696789,
	    .bytes_in = 18446744073709551615u,
	    .bytes_out = 1,
	    .head_us = ACCESS_NEVER,
	    .queue_us = 0,
	    .connect_us = 1,
	    .first_byte_us = 1000,
	    .total_us = 3600000010,
	    .upstream = "pg",
	    .server = "unix:/run/pg",
	    .tries = 3,
	    .close_reason = "CLIENT_RESET" },
	  "2000-02-29T12:34:56.789Z db 2001:db8::7 tcp - in=18446744073709551615 out=1 head=- "
	  "queue=0ms connect=0.001ms first=1ms total=3600000.01ms host=- route=- "
	  "server=pg/unix:/run/pg tries=3 conn=new close=CLIENT_RESET\n",
	  "{\"time\":\"2000-02-29T12:34:56.789Z\",\"listener\":\"db\","
	  "\"client\":\"2001:db8::7\",\"protocol\":\"tcp\",\"method\":null,\"target\":null,"
	  "\"host\":null,\"status\":null,\"bytes_in\":18446744073709551615,\"bytes_out\":1,"
	  "\"head_us\":null,\"queue_us\":0,\"connect_us\":1,\"first_byte_us\":1000,"
	  "\"total_us\":3600000010,\"route\":null,\"upstream\":\"pg\","
	  "\"server\":\"unix:/run/pg\",\"reused\":false,\"tries\":3,"
	  "\"close\":\"CLIENT_RESET\"}\n" },
	{ "a head that is none, and nothing known",
	  { .is_http = true, .minor = 0, .status = 400, .time_ms = 0, NEVER_ALL },
	  "1970-01-01T00:00:00.000Z - - \"-\" 400 in=0 out=0 head=- queue=- connect=- first=- "
	  "total=- host=- route=- server=- tries=0 conn=- close=-\n",
	  "{\"time\":\"1970-01-01T00:00:00.000Z\",\"listener\":null,\"client\":null,"
	  "\"protocol\":\"HTTP/1.0\",\"method\":null,\"target\":null,\"host\":null,"
	  "\"status\":400,\"bytes_in\":0,\"bytes_out\":0,\"head_us\":null,\"queue_us\":null,"
	  "\"connect_us\":null,\"first_byte_us\":null,\"total_us\":null,\"route\":null,"
	  "\"upstream\":null,\"server\":null,\"reused\":null,\"tries\":0,\"close\":null}\n" },
	{ "no server of the upstream was reached",
	  { .listener = "web",
	    .client = "unix:",
	    .is_http = true,
	    .method = TEXT("POST"),
	    .target = TEXT("/"),
	    .host = TEXT("h"),
	    .minor = 1,
	    .status = 503,
	    .time_ms = UINT64_MAX,
	    NEVER_ALL,
	    .upstream = "app",
	    .close_reason = "NO_SERVER" },
	  "9999-12-31T23:59:59.999Z web unix: \"POST / HTTP/1.1\" 503 in=0 out=0 head=- queue=- "
	  "connect=- first=- total=- host=h route=- server=app/- tries=0 conn=- "
	  "close=NO_SERVER\n",
	  "{\"time\":\"9999-12-31T23:59:59.999Z\",\"listener\":\"web\",\"client\":\"unix:\","
	  "\"protocol\":\"HTTP/1.1\",\"method\":\"POST\",\"target\":\"/\",\"host\":\"h\","
	  "\"status\":503,\"bytes_in\":0,\"bytes_out\":0,\"head_us\":null,\"queue_us\":null,"
	  "\"connect_us\":null,\"first_byte_us\":null,\"total_us\":null,\"route\":null,"
	  "\"upstream\":\"app\",\"server\":null,\"reused\":null,\"tries\":0,"
	  "\"close\":\"NO_SERVER\"}\n" },
	{ "bytes that would forge a field, a line, a terminal's colour",
	  { .listener = "a b",
	    .client = "unix:@x y",
	    .is_http = true,
	    .method = TEXT("GE\"T"),
	    .target = TEXT("/\\x\x1b[2J\xc3\xa4 \x7f\n\t\x80\xff"),
	    .host = { "a\0b =c", 6 },
	    .minor = 1,
	    .status = 200,
	    NEVER_ALL,
	    .route = "r\"",
	    .close_reason = "" },
	  "1970-01-01T00:00:00.000Z a\\x20b unix:@x\\x20y \"GE\\x22T "
	  "/\\x5cx\\x1b[2J\\xc3\\xa4 \\x7f\\x0a\\x09\\x80\\xff HTTP/1.1\" 200 in=0 out=0 head=- "
	  "queue=- connect=- first=- total=- host=a\\x00b\\x20=c route=r\\x22 server=- tries=0 "
	  "conn=- close=-\n",
	  "{\"time\":\"1970-01-01T00:00:00.000Z\",\"listener\":\"a b\","
	  "\"client\":\"unix:@x y\",\"protocol\":\"HTTP/1.1\",\"method\":\"GE\\\"T\","
	  "\"target\":\"/\\\\x\\u001b[2J\\u00c3\\u00a4 \\u007f\\u000a\\u0009\\u0080\\u00ff\","
	  "\"host\":\"a\\u0000b =c\",\"status\":200,\"bytes_in\":0,\"bytes_out\":0,"
	  "\"head_us\":null,\"queue_us\":null,\"connect_us\":null,\"first_byte_us\":null,"
	  "\"total_us\":null,\"route\":\"r\\\"\",\"upstream\":null,\"server\":null,"
	  "\"reused\":null,\"tries\":0,\"close\":null}\n" },
};

TEST(records_become_exactly_these_lines)
{
	char line[ROOM + 1];
	size_t i;

	for (i = 0; i < ARRAY_COUNT(rows); i++) {
		uint32_t len;

		unit_row(rows[i].name);
		len = access_format_text(&rows[i].record, line, ROOM);
		line[len] = '\0';
		CHECK_TEXT(line, rows[i].text);
		len = access_format_json(&rows[i].record, line, ROOM);
		line[len] = '\0';
		CHECK_TEXT(line, rows[i].json);
		CHECK(is_json_line(line));
	}
}

/* Every day until the year 9999, against the C library. */
TEST(dates_are_those_of_the_calendar)
{
	uint64_t day, wrong = 0;

	for (day = 0; day <= 2932896; day++) {
		const struct access_record record = { .time_ms = day * 86400000 + 1, NEVER_ALL };
		time_t seconds = (time_t)(day * 86400);
		char line[ROOM], right[64];
		struct tm utc;

		gmtime_r(&seconds, &utc);
		strftime(right, sizeof(right), "%Y-%m-%dT%H:%M:%S.001Z ", &utc);
		access_format_text(&record, line, ROOM);
		wrong += memcmp(line, right, strlen(right)) != 0;
	}
	CHECK_UINT(wrong, 0);
}

/* --- lines that do not fit ------------------------------------------------------------------- */

/* Length and content of a line in a buffer of exactly that size, which a sanitizer watches. */
static char *format_in(const struct access_record *record, uint32_t room, bool json, uint32_t *len)
{
	char *out = malloc(room), *copy = calloc(1, room + 1);

	*len = json ? access_format_json(record, out, room) : access_format_text(record, out, room);
	CHECK(*len <= room);
	memcpy(copy, out, *len);
	free(out);
	CHECK(strlen(copy) == *len && strchr(copy, '\n') == copy + *len - 1);
	if (json && !CHECK(is_json_line(copy)))
		printf("%s", copy);
	return copy;
}

TEST(a_long_target_is_cut_visibly_and_the_rest_stays)
{
	static char target[40000];
	struct access_record record = rows[0].record;
	uint32_t room, len;

	memset(target, 't', sizeof(target));
	record.target = (struct access_text){ target, sizeof(target) };
	for (room = ACCESS_LINE_MIN; room < 700; room++) {
		char *text = format_in(&record, room, false, &len);
		char *json = format_in(&record, room, true, &len);

		CHECK_UINT(len, room);
		CHECK_UINT(strlen(text), room);
		CHECK(strstr(text, "ttt\\... HTTP/1.1\" 200 in=0 out=1024 ") != NULL);
		CHECK(strstr(text, "tries=1 conn=reused close=-\n") != NULL);
		CHECK(strstr(json, "ttt\\u2026\",\"host\":\"example.org\",") != NULL);
		free(text);
		free(json);
	}
}

TEST(a_cut_never_falls_into_an_escape)
{
	static char target[2000];
	struct access_record record = rows[0].record;
	uint32_t room, len;

	memset(target, 0xff, sizeof(target));
	record.target = (struct access_text){ target, sizeof(target) };
	for (room = ACCESS_LINE_MIN; room < 600; room++) {
		char *text = format_in(&record, room, false, &len);
		char *json = format_in(&record, room, true, &len);

		CHECK(len > room - 6);
		CHECK(strstr(text, "\\xff\\... HTTP/1.1") != NULL);
		CHECK(strstr(json, "\\u00ff\\u2026\",") != NULL);
		free(text);
		free(json);
	}
}

/* At every room around its length, a line is whole exactly when it fits. */
TEST(a_line_is_cut_exactly_when_it_does_not_fit)
{
	static char target[600];
	struct access_record record = rows[0].record;
	uint32_t json, len, whole, room;

	memset(target, 't', sizeof(target));
	record.target = (struct access_text){ target, sizeof(target) };
	for (json = 0; json < 2; json++) {
		const char *mark = json ? "\\u2026" : "\\...";

		free(format_in(&record, ROOM, json, &whole));
		for (room = whole - 20; room < whole + 20; room++) {
			char *line = format_in(&record, room, json, &len);

			CHECK((strstr(line, mark) == NULL) == (room >= whole));
			CHECK_UINT(len, room < whole ? room : whole);
			free(line);
		}
	}
}

/* All numbers at their longest, and each text of many lengths and bytes. */
TEST(the_largest_record_fits_the_least_room)
{
	static char texts[9][3000];
	struct access_record record = { .is_http = true,
					.minor = UINT8_MAX,
					.status = UINT16_MAX,
					.time_ms = UINT64_MAX,
					.bytes_in = UINT64_MAX,
					.bytes_out = UINT64_MAX,
					.head_us = UINT64_MAX - 1,
					.queue_us = UINT64_MAX - 1,
					.connect_us = UINT64_MAX - 1,
					.first_byte_us = UINT64_MAX - 1,
					.total_us = UINT64_MAX - 1,
					.tries = UINT32_MAX };
	uint64_t seed = 20261125;
	uint32_t i, j, round, len;

	for (round = 0; round < 2000; round++) {
		uint64_t kind = unit_random(&seed) % 3;

		for (i = 0; i < 9; i++) {
			uint32_t text_len = (uint32_t)(unit_random(&seed) % 12);

			if (round == 0 || unit_random(&seed) % 4 == 0)
				text_len = sizeof(texts[i]) - 1;
			for (j = 0; j < text_len; j++)
				texts[i][j] = kind == 0 ? (char)0x80 :
					      kind == 1 ? 'x' :
							  (char)(unit_random(&seed) % 255 + 1);
			texts[i][text_len] = '\0';
		}
		memcpy(record.client, texts[0], sizeof(record.client) - 1);
		record.method = (struct access_text){ texts[1], (uint32_t)strlen(texts[1]) };
		record.target = (struct access_text){ texts[2], (uint32_t)strlen(texts[2]) };
		record.host = (struct access_text){ texts[3], (uint32_t)strlen(texts[3]) };
		record.listener = texts[4];
		record.route = texts[5];
		record.upstream = texts[6];
		record.server = texts[7];
		record.close_reason = texts[8];
		free(format_in(&record, ACCESS_LINE_MIN, false, &len));
		free(format_in(&record, ACCESS_LINE_MIN, true, &len));
	}
}

static const struct unit_test tests[] = {
	ROW(the_reader_of_this_test_is_strict),
	ROW(records_become_exactly_these_lines),
	ROW(dates_are_those_of_the_calendar),
	ROW(a_long_target_is_cut_visibly_and_the_rest_stays),
	ROW(a_cut_never_falls_into_an_escape),
	ROW(a_line_is_cut_exactly_when_it_does_not_fit),
	ROW(the_largest_record_fits_the_least_room),
};
UNIT_MAIN(tests)
