/* SPDX-License-Identifier: MIT */
/*
 * load_hlog.c - any bytes as a compressed stream, as a line of an HdrHistogram log, and as the
 * counts within one.
 *
 * Properties:
 *   (1) A stream is refused, or becomes at most as many bytes as there is room for.
 *   (2) A line is refused, or its counts are in the histogram or among the lost.
 *   (3) What was read and is written again reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hlog.h"
#include "inflate.h"

#define HIGHEST 60000ull /* a small one is made and compared quickly */
#define ROOM 65536u
#define HEADER 40u

static void check_stream(const uint8_t *data, uint32_t len)
{
	uint8_t *out = malloc(ROOM), *packed;
	int64_t count;
	uint32_t bytes;

	assert(out != NULL);
	count = inflate_zlib(data, len, out, ROOM);
	assert(count >= -1 && count <= (int64_t)ROOM);
	if (count >= 0) {
		uint8_t *again = malloc(ROOM);

		packed = malloc(zlib_stored_bytes((uint32_t)count));
		assert(again != NULL && packed != NULL);
		bytes = zlib_store(out, (uint32_t)count, packed);
		assert(bytes == zlib_stored_bytes((uint32_t)count));
		assert(inflate_zlib(packed, bytes, again, ROOM) == count);
		assert(memcmp(out, again, (size_t)count) == 0);
		free(again);
		free(packed);
	}
	free(out);
}

static struct histogram open_histogram(void)
{
	uint64_t *counts = calloc(histogram_slots_count(HIGHEST), sizeof(*counts));
	struct histogram histogram;

	assert(counts != NULL);
	histogram_init(&histogram, HIGHEST, counts);
	return histogram;
}

static void check_encoding(const char *text)
{
	struct histogram first = open_histogram(), second = open_histogram();
	uint64_t lost = 0, lost_again = 0, sum = 0;
	uint32_t i;

	if (hlog_decode(text, &first, &lost)) {
		char *again = hlog_encode(&first);

		assert(hlog_decode(again, &second, &lost_again) && lost_again == 0);
		assert(memcmp(first.counts, second.counts,
		              first.slots_count * sizeof(*first.counts)) == 0);
		for (i = 0; i < first.slots_count; i++)
			sum += first.counts[i];
		assert(sum == first.total && second.total == first.total);
		assert(histogram_max(&first) == histogram_max(&second));
		free(again);
	}
	free(first.counts);
	free(second.counts);
}

static void check_line(const uint8_t *data, uint32_t len)
{
	char *line = malloc(len + 1u);
	char *encoding;

	assert(line != NULL);
	memcpy(line, data, len);
	line[len] = '\0';
	encoding = hlog_encoding_of(line);
	assert(encoding == NULL || (encoding > line && encoding[0] != '\0'));
	if (encoding != NULL)
		check_encoding(encoding);
	free(line);
}

static void put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static char *base64(const uint8_t *bytes, uint32_t count)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc((size_t)count * 2 + 8), *at = text;
	uint32_t word = 0, bits = 0, i;

	assert(text != NULL);
	for (i = 0; i < count; i++) {
		word = word << 8 | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*at++ = digits[word >> (bits - 6) & 63];
	}
	if (bits > 0)
		*at++ = digits[word << (6 - bits) & 63];
	*at = '\0';
	return text;
}

/* The bytes are the counts of a histogram whose header is right. */
static void check_counts(const uint8_t *data, uint32_t len)
{
	uint8_t *plain = calloc(1, HEADER + len), *packed;
	uint32_t bytes;
	char *text;

	assert(plain != NULL);
	put32(plain, 0x1c849313u);
	put32(plain + 4, len);
	put32(plain + 12, 3);
	put32(plain + 20, 1);
	memcpy(plain + HEADER, data, len);
	packed = malloc(8 + zlib_stored_bytes(HEADER + len));
	assert(packed != NULL);
	bytes = zlib_store(plain, HEADER + len, packed + 8);
	put32(packed, 0x1c849314u);
	put32(packed + 4, bytes);
	text = base64(packed, 8 + bytes);
	check_encoding(text);
	free(text);
	free(packed);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t count = len < ROOM / 2 ? (uint32_t)len : ROOM / 2;

	if (count == 0)
		return 0;
	check_stream(data, count);
	check_line(data, count);
	check_counts(data, count);
	return 0;
}
