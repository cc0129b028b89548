/* SPDX-License-Identifier: MIT */
/*
 * http_chunk.c - any bytes as a chunked body, whole and in pieces.
 *
 * The first byte says how many bytes of piece lengths follow (0: byte by byte); the rest is the
 * stream.
 *
 * Properties:
 *   (1) Where the stream is cut makes no difference to what goes on, is kept and is refused.
 *   (2) What goes on with HTTP_CHUNK_KEEP, read by a reader that knows nothing but the plainest
 *       form of chunks, is what goes on with HTTP_CHUNK_DATA.
 *   (3) With the end that the caller writes it is a body again: nothing more is taken out of it,
 *       and its trailer is the same.
 */
#include <string.h>

#include "base/assert.h"
#include "fuzz.h"
#include "http/chunk.h"

#define STREAM_MAX 16384
#define CUTS_MAX 32

struct stream {
	uint8_t bytes[STREAM_MAX + HTTP_TRAILER_MAX + 8];
	uint32_t len;
};

struct result {
	struct stream out;
	struct http_chunk chunk;
	enum http_progress progress;
	uint32_t consumed;
};

/* Pieces as long as the cuts say, again and again; NULL: one piece. */
static void feed(struct result *result, enum http_chunk_mode mode, const struct stream *stream,
		 const uint8_t *cuts, uint32_t cuts_count)
{
	static uint8_t copy[sizeof(stream->bytes)];
	uint32_t at = 0;

	memcpy(copy, stream->bytes, stream->len);
	http_chunk_begin(&result->chunk, mode);
	result->out.len = 0;
	result->progress = HTTP_MORE;
	for (uint32_t i = 0; at < stream->len && result->progress == HTTP_MORE; i++) {
		uint32_t piece = stream->len - at, passed, consumed;

		if (cuts && cuts_count == 0)
			piece = 1;
		else if (cuts && cuts[i % cuts_count] + 1u < piece)
			piece = cuts[i % cuts_count] + 1u;
		result->progress =
			http_chunk_feed(&result->chunk, copy + at, piece, &passed, &consumed);
		assert(passed <= consumed && consumed <= piece);
		assert(consumed == piece || result->progress == HTTP_DONE);
		/* what was not looked at was not touched */
		assert(memcmp(copy + at + consumed, stream->bytes + at + consumed,
			      stream->len - at - consumed) == 0);
		memcpy(result->out.bytes + result->out.len, copy + at, passed);
		result->out.len += passed;
		at += consumed;
	}
	result->consumed = at;
	assert((result->chunk.refusal != HTTP_REFUSAL_NONE) == (result->progress == HTTP_REFUSED));
}

static void check_same(const struct result *whole, const struct result *cut)
{
	assert(whole->progress == cut->progress);
	assert(whole->chunk.refusal == cut->chunk.refusal);
	assert(whole->chunk.data == cut->chunk.data);
	assert(whole->out.len == cut->out.len);
	assert(memcmp(whole->out.bytes, cut->out.bytes, whole->out.len) == 0);
	assert(whole->progress == HTTP_REFUSED || whole->consumed == cut->consumed);
	assert(whole->chunk.trailer_bytes == cut->chunk.trailer_bytes);
	assert(memcmp(whole->chunk.trailer, cut->chunk.trailer, whole->chunk.trailer_bytes) == 0);
}

static uint32_t hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	assert(c >= 'a' && c <= 'f');
	return c - 'a' + 10u;
}

/* "size CRLF data CRLF", as often as there are bytes, the last one perhaps not whole. */
static void decode_plain(struct stream *data, const struct stream *kept)
{
	uint32_t at = 0;

	data->len = 0;
	while (at < kept->len) {
		uint64_t size = 0;

		assert(kept->bytes[at] != '0');
		for (; at < kept->len && kept->bytes[at] != '\r'; at++)
			size = size << 4 | hex_value(kept->bytes[at]);
		assert(at >= kept->len || size > 0);
		assert(at + 1 >= kept->len || kept->bytes[at + 1] == '\n');
		at += 2;
		for (; at < kept->len && size > 0; size--)
			data->bytes[data->len++] = kept->bytes[at++];
		assert(at >= kept->len || kept->bytes[at] == '\r');
		assert(at + 1 >= kept->len || kept->bytes[at + 1] == '\n');
		at += 2;
	}
}

static void append(struct stream *stream, const void *bytes, uint32_t len)
{
	assert(stream->len + len <= sizeof(stream->bytes));
	memcpy(stream->bytes + stream->len, bytes, len);
	stream->len += len;
}

static void check_written_again(const struct result *kept)
{
	static struct stream again;
	static struct result result;

	again = kept->out;
	append(&again, "0\r\n", 3);
	append(&again, kept->chunk.trailer, kept->chunk.trailer_bytes);
	append(&again, "\r\n", 2);
	feed(&result, HTTP_CHUNK_KEEP, &again, NULL, 0);
	assert(result.progress == HTTP_DONE);
	assert(result.consumed == again.len);
	assert(result.chunk.extension_bytes == 0);
	assert(result.chunk.data == kept->chunk.data);
	assert(result.out.len == kept->out.len);
	assert(memcmp(result.out.bytes, kept->out.bytes, kept->out.len) == 0);
	assert(result.chunk.trailer_bytes == kept->chunk.trailer_bytes);
	assert(memcmp(result.chunk.trailer, kept->chunk.trailer, kept->chunk.trailer_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct stream stream, decoded;
	static struct result kept, only_data, cut;
	uint32_t cuts_count;

	if (len == 0)
		return 0;
	cuts_count = data[0] % CUTS_MAX;
	if (cuts_count > len - 1)
		cuts_count = (uint32_t)len - 1;
	stream.len = (uint32_t)len - 1 - cuts_count;
	if (len - 1 - cuts_count > STREAM_MAX)
		stream.len = STREAM_MAX;
	memcpy(stream.bytes, data + 1 + cuts_count, stream.len);

	feed(&kept, HTTP_CHUNK_KEEP, &stream, NULL, 0);
	feed(&cut, HTTP_CHUNK_KEEP, &stream, data + 1, cuts_count);
	check_same(&kept, &cut);
	feed(&only_data, HTTP_CHUNK_DATA, &stream, NULL, 0);
	feed(&cut, HTTP_CHUNK_DATA, &stream, data + 1, cuts_count);
	check_same(&only_data, &cut);

	assert(kept.progress == only_data.progress &&
	       kept.chunk.refusal == only_data.chunk.refusal);
	assert(only_data.chunk.data == only_data.out.len);
	decode_plain(&decoded, &kept.out);
	assert(decoded.len == only_data.out.len);
	assert(memcmp(decoded.bytes, only_data.out.bytes, decoded.len) == 0);
	if (kept.progress == HTTP_DONE)
		check_written_again(&kept);
	return 0;
}
