/* SPDX-License-Identifier: MIT */
/*
 * frame.c - the format of frame.h, and CRC-32C by the processor's instruction where it has one.
 */
#include "frame.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "pattern.h"

#define MAGIC 0x31464c53u /* "SLF1" */
#define POLYNOMIAL 0x82f63b78u

static uint32_t crc_bitwise(uint32_t crc, const uint8_t *bytes, uint64_t count)
{
	/* A nibble at a time: 16 entries, made by the compiler's own arithmetic below. */
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	static_assert(POLYNOMIAL == 0x82f63b78u, "the table is this polynomial's");
	while (count-- > 0) {
		crc ^= *bytes++;
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_instruction(uint32_t crc,
                                                                  const uint8_t *bytes,
                                                                  uint64_t count)
{
	uint64_t wide = crc;
	uint64_t word;

	for (; count >= 8; count -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t)wide;
	while (count-- > 0)
		crc = _mm_crc32_u8(crc, *bytes++);
	return crc;
}
#endif

uint32_t crc32c(uint32_t checksum, const uint8_t *bytes, uint64_t count)
{
	uint32_t crc = ~checksum;

#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_instruction(crc, bytes, count);
#endif
	return ~crc_bitwise(crc, bytes, count);
}

uint64_t frame_start(uint64_t id)
{
	/* An odd multiple of a cache line: neighbours are far apart, and no id shares its slice
	 * with one of the next 16,383. */
	return (id * 64 * 7919) % PATTERN_BYTES;
}

uint32_t frame_checksum(uint64_t id, uint32_t length)
{
	uint64_t start = frame_start(id);
	uint32_t checksum = 0;

	while (length > 0) {
		struct iovec piece = pattern_piece(start, length);

		checksum = crc32c(checksum, piece.iov_base, piece.iov_len);
		start += piece.iov_len;
		length -= (uint32_t)piece.iov_len;
	}
	return checksum;
}

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are copied as they lie");

void frame_write(uint8_t header[FRAME_HEADER], const struct frame *frame)
{
	put32(header, MAGIC);
	put32(header + 4, frame->flags);
	put32(header + 8, frame->length);
	put32(header + 12, frame->reply_length);
	put32(header + 16, frame->checksum);
	put32(header + 20, 0);
	memcpy(header + 24, &frame->id, 8);
}

bool frame_read(struct frame *frame, const uint8_t header[FRAME_HEADER])
{
	frame->flags = get32(header + 4);
	frame->length = get32(header + 8);
	frame->reply_length = get32(header + 12);
	frame->checksum = get32(header + 16);
	memcpy(&frame->id, header + 24, 8);
	return get32(header) == MAGIC && get32(header + 20) == 0;
}

void frame_reader_init(struct frame_reader *reader)
{
	reader->header_bytes = 0;
	reader->left = 0;
	reader->checksum = 0;
}

bool frame_reader_begun(const struct frame_reader *reader)
{
	return reader->header_bytes >= 4 && get32(reader->header) == MAGIC;
}

static uint32_t read_header(struct frame_reader *reader, const uint8_t *bytes, uint32_t count,
                            enum frame_event *event)
{
	uint32_t room = FRAME_HEADER - reader->header_bytes;
	uint32_t taken = count < room ? count : room;

	memcpy(reader->header + reader->header_bytes, bytes, taken);
	reader->header_bytes += taken;
	if (reader->header_bytes < FRAME_HEADER)
		return taken;
	if (!frame_read(&reader->frame, reader->header)) {
		*event = FRAME_JUNK;
		return taken;
	}
	reader->left = reader->frame.length;
	reader->checksum = 0;
	return taken;
}

uint32_t frame_reader_next(struct frame_reader *reader, const uint8_t *bytes, uint32_t count,
                           enum frame_event *event)
{
	bool checked;
	uint32_t taken = 0;
	uint32_t part;

	*event = FRAME_NONE;
	if (reader->header_bytes < FRAME_HEADER) {
		taken = read_header(reader, bytes, count, event);
		if (reader->header_bytes < FRAME_HEADER || *event == FRAME_JUNK)
			return taken;
	}
	checked = (reader->frame.flags & FRAME_CHECKED) != 0;
	part = count - taken < reader->left ? count - taken : reader->left;
	if (checked)
		reader->checksum = crc32c(reader->checksum, bytes + taken, part);
	reader->left -= part;
	taken += part;
	if (reader->left == 0) {
		bool good = !checked || reader->checksum == reader->frame.checksum;

		*event = good ? FRAME_GOOD : FRAME_CORRUPT;
		reader->header_bytes = 0;
	}
	return taken;
}
