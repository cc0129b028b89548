/* SPDX-License-Identifier: MIT */
/*
 * access.c - a record as text or JSON; pure.
 *
 * A line is made once. Only if it turns out too long, the texts that make it so are cut, in the
 * order of `enum field`, and it is made once more.
 *
 * The calendar is worked out here: gmtime_r() takes a lock that all threads share.
 */
#include "flow/access.h"

#include <string.h>

#define MS_PER_DAY 86400000ull
#define TIME_MS_MAX 253402300799999ull /* the last one of the year 9999 */

/* Texts that may be cut, in this order. */
enum field {
	FIELD_TARGET,
	FIELD_HOST,
	FIELD_METHOD,
	FIELD_CLOSE,
	FIELD_ROUTE,
	FIELD_SERVER,
	FIELD_UPSTREAM,
	FIELD_LISTENER,
	FIELD_CLIENT,
	FIELD_COUNT
};

struct line {
	char *out;
	uint32_t room;
	uint64_t len; /* may exceed room: then it did not fit */
	bool json;
	uint64_t shown[FIELD_COUNT];     /* bytes that the text took */
	uint64_t shown_max[FIELD_COUNT]; /* the mark of a cut included */
};

/* --- pieces ---------------------------------------------------------------------------------- */

static inline void put_bytes(struct line *line, const char *bytes, uint32_t len)
{
	if (line->len + len <= line->room)
		memcpy(line->out + line->len, bytes, len);
	line->len += len;
}

/* Inline, so that the length of a literal is a constant. */
static inline void put(struct line *line, const char *text)
{
	put_bytes(line, text, (uint32_t)strlen(text));
}

static void put_number(struct line *line, uint64_t number)
{
	char digits[20];
	uint32_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put_bytes(line, digits + at, (uint32_t)sizeof(digits) - at);
}

/* With zeros in front. */
static void put_padded(struct line *line, uint64_t number, uint32_t width)
{
	char digits[20];
	uint32_t at;

	assert(width <= sizeof(digits));
	for (at = width; at > 0; number /= 10)
		digits[--at] = (char)('0' + number % 10);
	put_bytes(line, digits, width);
}

/* Days from 1970 to the first of January of a year, Gregorian. */
static uint64_t days_before(uint64_t year)
{
	uint64_t past = year - 1;
	const uint64_t past_1970 = 1969;

	assert(year >= 1970);
	return (past - past_1970) * 365 + (past / 4 - past_1970 / 4) -
	       (past / 100 - past_1970 / 100) + (past / 400 - past_1970 / 400);
}

static void put_date(struct line *line, uint64_t days)
{
	uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t year = 1970 + days * 400 / 146097, month = 0; /* 146,097 days in 400 years */

	/* By the mean length of a year: at most one off. */
	if (days_before(year) > days)
		year--;
	else if (days_before(year + 1) <= days)
		year++;
	days -= days_before(year);
	lengths[1] += year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	for (; days >= lengths[month]; month++) {
		days -= lengths[month];
		assert(month + 1 < ARRAY_COUNT(lengths));
	}
	put_padded(line, year, 4);
	put(line, "-");
	put_padded(line, month + 1, 2);
	put(line, "-");
	put_padded(line, days + 1, 2);
}

static void put_time(struct line *line, uint64_t time_ms)
{
	uint64_t of_day;

	if (time_ms > TIME_MS_MAX)
		time_ms = TIME_MS_MAX;
	of_day = time_ms % MS_PER_DAY;
	put_date(line, time_ms / MS_PER_DAY);
	put(line, "T");
	put_padded(line, of_day / 3600000, 2);
	put(line, ":");
	put_padded(line, of_day / 60000 % 60, 2);
	put(line, ":");
	put_padded(line, of_day / 1000 % 60, 2);
	put(line, ".");
	put_padded(line, of_day % 1000, 3);
	put(line, "Z");
}

/* --- texts ----------------------------------------------------------------------------------- */

static bool is_plain(char byte, bool blank_is_plain)
{
	unsigned char value = (unsigned char)byte;

	return (value > ' ' && value < 0x7f && value != '"' && value != '\\') ||
	       (value == ' ' && blank_is_plain);
}

/* Nearly every text: shown as it is, and not too long. */
static bool put_plain(struct line *line, const char *text, uint64_t len, bool blank_is_plain,
		      uint64_t max)
{
	uint64_t i;

	if (len > max)
		return false;
	for (i = 0; i < len; i++)
		if (!is_plain(text[i], blank_is_plain))
			return false;
	put_bytes(line, text, (uint32_t)len);
	return true;
}

/* How one byte is shown. Returns the length. */
static uint32_t show_byte(const struct line *line, char byte, bool blank_is_plain, char shown[6])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char value = (unsigned char)byte;
	bool special = byte == '"' || byte == '\\';

	if (is_plain(byte, blank_is_plain)) {
		shown[0] = byte;
		return 1;
	}
	shown[0] = '\\';
	if (line->json && special) {
		shown[1] = byte;
		return 2;
	}
	if (line->json) {
		memcpy(shown + 1, "u00", 3);
		shown[4] = hex[value >> 4];
		shown[5] = hex[value & 15];
		return 6;
	}
	shown[1] = 'x';
	shown[2] = hex[value >> 4];
	shown[3] = hex[value & 15];
	return 4;
}

static const char *cut_mark(const struct line *line)
{
	return line->json ? "\\u2026" : "\\...";
}

/* Does the text take at most `max` bytes? *shown: what it takes, or more than max. */
static bool text_fits(const struct line *line, const char *text, uint64_t len, bool blank_is_plain,
		      uint64_t max, uint64_t *shown)
{
	char byte[6];
	uint64_t i;

	*shown = 0;
	for (i = 0; i < len && *shown <= max; i++)
		*shown += show_byte(line, text[i], blank_is_plain, byte);
	return *shown <= max;
}

static void put_text(struct line *line, enum field field, const char *text, uint64_t len,
		     bool blank_is_plain)
{
	uint64_t max = line->shown_max[field], shown, used = 0, i;
	bool fits;

	/* What is longer than the room is cut anyway; there is no need to look at all of it. */
	if (max > line->room)
		max = line->room;
	line->shown[field] = len;
	if (put_plain(line, text, len, blank_is_plain, max))
		return;
	fits = text_fits(line, text, len, blank_is_plain, max, &shown);
	line->shown[field] = shown;
	if (!fits && line->shown_max[field] > line->room) {
		line->len += shown; /* the line will be made once more */
		return;
	}
	if (!fits)
		max -= strlen(cut_mark(line));
	for (i = 0; i < len; i++) {
		char byte[6];
		uint32_t bytes = show_byte(line, text[i], blank_is_plain, byte);

		if (used + bytes > max)
			break;
		put_bytes(line, byte, bytes);
		used += bytes;
	}
	if (!fits)
		put(line, cut_mark(line));
}

static void put_name(struct line *line, enum field field, const char *name)
{
	if (name == NULL || name[0] == '\0')
		put(line, "-");
	else
		put_text(line, field, name, strlen(name), false);
}

/* --- text ------------------------------------------------------------------------------------ */

/* Milliseconds, exact: 1234 us is 1.234ms, 1200 us is 1.2ms. */
static void put_ms(struct line *line, const char *key, uint64_t us)
{
	uint32_t rest = (uint32_t)(us % 1000), width = 3;

	put(line, key);
	if (us == ACCESS_NEVER) {
		put(line, "-");
		return;
	}
	put_number(line, us / 1000);
	if (rest > 0) {
		for (; rest % 10 == 0; rest /= 10)
			width--;
		put(line, ".");
		put_padded(line, rest, width);
	}
	put(line, "ms");
}

static void put_request(struct line *line, const struct access_record *record)
{
	if (!record->is_http) {
		put(line, " tcp ");
	} else if (record->method.len == 0) {
		put(line, " \"-\" ");
	} else {
		put(line, " \"");
		put_text(line, FIELD_METHOD, record->method.text, record->method.len, true);
		put(line, " ");
		put_text(line, FIELD_TARGET, record->target.text, record->target.len, true);
		put(line, " HTTP/1.");
		put_number(line, record->minor);
		put(line, "\" ");
	}
	if (record->status > 0)
		put_number(line, record->status);
	else
		put(line, "-");
}

static void put_server(struct line *line, const struct access_record *record)
{
	put(line, " server=");
	if (record->upstream != NULL) {
		put_name(line, FIELD_UPSTREAM, record->upstream);
		put(line, "/");
	}
	put_name(line, FIELD_SERVER, record->server);
	put(line, " tries=");
	put_number(line, record->tries);
	put(line, " conn=");
	put(line, record->server == NULL ? "-" : record->reused ? "reused" : "new");
}

static void make_text(struct line *line, const struct access_record *record)
{
	put_time(line, record->time_ms);
	put(line, " ");
	put_name(line, FIELD_LISTENER, record->listener);
	put(line, " ");
	put_name(line, FIELD_CLIENT, record->client);
	put_request(line, record);
	put(line, " in=");
	put_number(line, record->bytes_in);
	put(line, " out=");
	put_number(line, record->bytes_out);
	put_ms(line, " head=", record->head_us);
	put_ms(line, " queue=", record->queue_us);
	put_ms(line, " connect=", record->connect_us);
	put_ms(line, " first=", record->first_byte_us);
	put_ms(line, " total=", record->total_us);
	put(line, " host=");
	if (record->host.len > 0)
		put_text(line, FIELD_HOST, record->host.text, record->host.len, false);
	else
		put(line, "-");
	put(line, " route=");
	put_name(line, FIELD_ROUTE, record->route);
	put_server(line, record);
	put(line, " close=");
	put_name(line, FIELD_CLOSE, record->close_reason);
	put(line, "\n");
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void put_json_text(struct line *line, const char *key, enum field field, const char *text,
			  uint64_t len)
{
	put(line, key);
	if (len == 0) {
		put(line, "null");
		return;
	}
	put(line, "\"");
	put_text(line, field, text, len, true);
	put(line, "\"");
}

static void put_json_name(struct line *line, const char *key, enum field field, const char *name)
{
	put_json_text(line, key, field, name, name != NULL ? strlen(name) : 0);
}

static void put_json_number(struct line *line, const char *key, uint64_t number, bool known)
{
	put(line, key);
	if (known)
		put_number(line, number);
	else
		put(line, "null");
}

static void put_json_us(struct line *line, const char *key, uint64_t us)
{
	put_json_number(line, key, us, us != ACCESS_NEVER);
}

static void put_json_request(struct line *line, const struct access_record *record)
{
	put(line, ",\"protocol\":\"");
	if (record->is_http) {
		put(line, "HTTP/1.");
		put_number(line, record->minor);
	} else {
		put(line, "tcp");
	}
	put(line, "\"");
	put_json_text(line, ",\"method\":", FIELD_METHOD, record->method.text, record->method.len);
	put_json_text(line, ",\"target\":", FIELD_TARGET, record->target.text, record->target.len);
	put_json_text(line, ",\"host\":", FIELD_HOST, record->host.text, record->host.len);
	put_json_number(line, ",\"status\":", record->status, record->status > 0);
}

static void make_json(struct line *line, const struct access_record *record)
{
	put(line, "{\"time\":\"");
	put_time(line, record->time_ms);
	put(line, "\"");
	put_json_name(line, ",\"listener\":", FIELD_LISTENER, record->listener);
	put_json_name(line, ",\"client\":", FIELD_CLIENT, record->client);
	put_json_request(line, record);
	put_json_number(line, ",\"bytes_in\":", record->bytes_in, true);
	put_json_number(line, ",\"bytes_out\":", record->bytes_out, true);
	put_json_us(line, ",\"head_us\":", record->head_us);
	put_json_us(line, ",\"queue_us\":", record->queue_us);
	put_json_us(line, ",\"connect_us\":", record->connect_us);
	put_json_us(line, ",\"first_byte_us\":", record->first_byte_us);
	put_json_us(line, ",\"total_us\":", record->total_us);
	put_json_name(line, ",\"route\":", FIELD_ROUTE, record->route);
	put_json_name(line, ",\"upstream\":", FIELD_UPSTREAM, record->upstream);
	put_json_name(line, ",\"server\":", FIELD_SERVER, record->server);
	put(line, ",\"reused\":");
	put(line, record->server == NULL ? "null" : record->reused ? "true" : "false");
	put_json_number(line, ",\"tries\":", record->tries, true);
	put_json_name(line, ",\"close\":", FIELD_CLOSE, record->close_reason);
	put(line, "}\n");
}

/* --- fitting --------------------------------------------------------------------------------- */

static void make(struct line *line, const struct access_record *record)
{
	line->len = 0;
	memset(line->shown, 0, sizeof(line->shown));
	if (line->json)
		make_json(line, record);
	else
		make_text(line, record);
}

/* Take what is too much from the texts, first to last; each keeps the mark at least. */
static void cut(struct line *line)
{
	uint64_t excess = line->len - line->room, mark = strlen(cut_mark(line));
	uint32_t field;

	for (field = 0; field < FIELD_COUNT && excess > 0; field++) {
		uint64_t can_go = line->shown[field] > mark ? line->shown[field] - mark : 0;
		uint64_t goes = can_go < excess ? can_go : excess;

		if (goes > 0)
			line->shown_max[field] = line->shown[field] - goes;
		excess -= goes;
	}
	assert(excess == 0);
}

static uint32_t format(const struct access_record *record, char *out, uint32_t room, bool json)
{
	struct line line = { .out = out, .room = room, .json = json };

	assert(room >= ACCESS_LINE_MIN);
	assert(memchr(record->client, '\0', sizeof(record->client)) != NULL);
	memset(line.shown_max, 0xff, sizeof(line.shown_max));
	make(&line, record);
	if (line.len > room) {
		cut(&line);
		make(&line, record);
	}
	assert(line.len <= room);
	assert(out[line.len - 1] == '\n');
	return (uint32_t)line.len;
}

uint32_t access_format_text(const struct access_record *record, char *out, uint32_t room)
{
	return format(record, out, room, false);
}

uint32_t access_format_json(const struct access_record *record, char *out, uint32_t room)
{
	return format(record, out, room, true);
}
