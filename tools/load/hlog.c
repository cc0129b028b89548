/* SPDX-License-Identifier: MIT */
/*
 * hlog.c - encoding and decoding, as in hlog.h.
 */
#include "hlog.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inflate.h"

#define COOKIE 0x1c849303u /* V2; the word size in bits 4..7 is 1 */
#define COOKIE_COMPRESSED 0x1c849304u
#define COOKIE_WORD 0x10u
#define HEADER 40u
#define DIGITS 3u
#define LEB_MAX 9u
#define PAYLOAD_MAX (4u << 20)

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put64(uint8_t *at, uint64_t value)
{
	put32(at, (uint32_t)(value >> 32));
	put32(at + 4, (uint32_t)value);
}

/* Zig-zag LEB128 in at most 9 bytes: the ninth holds 8 bits. */
static uint32_t put_leb(uint8_t *at, int64_t number)
{
	uint64_t left = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
	uint32_t count = 0;

	while (left > 127 && count < LEB_MAX - 1) {
		at[count++] = (uint8_t)(left | 128);
		left >>= 7;
	}
	at[count++] = (uint8_t)left;
	return count;
}

static bool get_leb(const uint8_t *bytes, uint32_t count, uint32_t *at, int64_t *number)
{
	uint64_t value = 0;
	uint32_t i;

	for (i = 0; i < LEB_MAX; i++) {
		uint8_t byte;

		if (*at == count)
			return false;
		byte = bytes[(*at)++];
		value |= (uint64_t)(i < LEB_MAX - 1 ? byte & 127 : byte) << (7 * i);
		if (i == LEB_MAX - 1 || !(byte & 128))
			break;
	}
	*number = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
	return true;
}

static uint32_t put_counts(uint8_t *at, const struct histogram *histogram)
{
	struct histogram_walk walk;
	uint32_t next = 0, bytes = 0;

	for (histogram_walk_start(&walk, histogram); histogram_next_recorded(&walk);) {
		uint32_t index = histogram_index(walk.value);

		if (index > next)
			bytes += put_leb(at + bytes, -(int64_t)(index - next));
		bytes += put_leb(at + bytes, (int64_t)walk.count);
		next = index + 1;
	}
	return bytes;
}

static char *to_base64(const uint8_t *bytes, uint32_t count)
{
	char *text = malloc(((size_t)count + 2) / 3 * 4 + 1);
	char *at = text;
	uint32_t i;

	assert(text != NULL);
	for (i = 0; i < count; i += 3) {
		uint32_t left = count - i;
		uint32_t word = (uint32_t)bytes[i] << 16 |
				(left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				(left > 2 ? bytes[i + 2] : 0);

		*at++ = base64[word >> 18];
		*at++ = base64[word >> 12 & 63];
		*at++ = left > 1 ? base64[word >> 6 & 63] : '=';
		*at++ = left > 2 ? base64[word & 63] : '=';
	}
	*at = '\0';
	return text;
}

char *hlog_encode(const struct histogram *histogram)
{
	/* Each slot costs a count, and a run of empty ones before it. */
	uint8_t *plain = malloc(HEADER + 2 * LEB_MAX * ((size_t)histogram->slots_count + 1));
	uint8_t *packed;
	uint32_t payload, bytes;
	char *text;

	assert(plain != NULL);
	payload = put_counts(plain + HEADER, histogram);
	put32(plain, COOKIE | COOKIE_WORD);
	put32(plain + 4, payload);
	put32(plain + 8, 0); /* normalizing index offset */
	put32(plain + 12, DIGITS);
	put64(plain + 16, 1); /* lowest value told apart from 0 */
	put64(plain + 24, histogram->highest);
	put64(plain + 32, 0x3ff0000000000000ull); /* conversion ratio: 1.0 */
	packed = malloc(8 + zlib_stored_bytes(HEADER + payload));
	assert(packed != NULL);
	bytes = zlib_store(plain, HEADER + payload, packed + 8);
	put32(packed, COOKIE_COMPRESSED | COOKIE_WORD);
	put32(packed + 4, bytes);
	text = to_base64(packed, 8 + bytes);
	free(plain);
	free(packed);
	return text;
}

/* Returns the bytes, or 0. */
static uint32_t from_base64(const char *text, uint8_t *out)
{
	uint32_t word = 0, bits = 0, count = 0;

	for (; *text != '\0' && *text != '='; text++) {
		const char *digit = strchr(base64, *text);

		if (digit == NULL)
			return 0;
		word = word << 6 | (uint32_t)(digit - base64);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[count++] = (uint8_t)(word >> bits);
		}
	}
	return count;
}

/* Would the sum of all counts be more than a histogram holds? Then the log is damaged. */
static bool too_many(const struct histogram *histogram, uint64_t lost, uint64_t more)
{
	uint64_t room = INT64_MAX;

	return histogram->total > room || lost > room - histogram->total ||
	       more > room - histogram->total - lost;
}

static bool take_counts(const uint8_t *bytes, uint32_t count, struct histogram *histogram,
                        uint64_t *lost)
{
	uint64_t index = 0;
	uint32_t at = 0;
	int64_t number;

	while (at < count) {
		if (!get_leb(bytes, count, &at, &number))
			return false;
		if (number < 0) {
			index += 0 - (uint64_t)number;
		} else {
			if (too_many(histogram, *lost, (uint64_t)number))
				return false;
			if (number > 0 &&
			    (index >= histogram->slots_count ||
			     !histogram_record_many(histogram,
			                            histogram_slot_lowest((uint32_t)index),
			                            (uint64_t)number)))
				*lost += (uint64_t)number;
			index++;
		}
		if (index > UINT32_MAX)
			return false;
	}
	return true;
}

bool hlog_decode(const char *text, struct histogram *histogram, uint64_t *lost)
{
	uint8_t *packed = malloc(strlen(text) + 1);
	uint8_t *plain = malloc(PAYLOAD_MAX);
	uint32_t count;
	int64_t bytes = -1;
	bool good = false;

	assert(packed != NULL && plain != NULL);
	count = from_base64(text, packed);
	if (count > 8 && get32(packed) == (COOKIE_COMPRESSED | COOKIE_WORD))
		bytes = inflate_zlib(packed + 8, count - 8, plain, PAYLOAD_MAX);
	if (bytes >= HEADER && get32(plain) == (COOKIE | COOKIE_WORD) &&
	    get32(plain + 12) == DIGITS && get32(plain + 16) == 0 && get32(plain + 20) == 1 &&
	    get32(plain + 4) <= (uint64_t)bytes - HEADER)
		good = take_counts(plain + HEADER, get32(plain + 4), histogram, lost);
	free(packed);
	free(plain);
	return good;
}

void hlog_begin(FILE *out, double start_s)
{
	char date[64];
	time_t second = (time_t)start_s;
	struct tm parts;

	(void)strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", gmtime_r(&second, &parts));
	fprintf(out, "#[Logged with sluice-load " SLUICE_VERSION ", times in nanoseconds]\n");
	fprintf(out, "#[Histogram log format version 1.3]\n");
	fprintf(out, "#[StartTime: %.3f (seconds since epoch), %s]\n", start_s, date);
	fprintf(out, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
	             "\"Interval_Compressed_Histogram\"\n");
}

void hlog_line(FILE *out, double at_s, double length_s, const struct histogram *histogram)
{
	char *text = hlog_encode(histogram);

	fprintf(out, "%.3f,%.3f,%.3f,%s\n", at_s, length_s, (double)histogram_max(histogram) / 1e6,
	        text);
	free(text);
}

char *hlog_encoding_of(char *line)
{
	char *comma = strrchr(line, ',');

	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '#' || line[0] == '"' || comma == NULL || comma[1] == '\0')
		return NULL;
	return comma + 1;
}
