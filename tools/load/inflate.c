/* SPDX-License-Identifier: MIT */
/*
 * inflate.c - the decoder of RFC 1951, by canonical codes: for each length, how many codes have it,
 * and the symbols in the order of their codes. A code is read bit by bit and known by its length as
 * soon as it is smaller than the first code that is longer.
 */
#include "inflate.h"

#include <string.h>

#define LENGTHS_MAX 15
#define LITERALS_MAX 288
#define DISTANCES_MAX 30
#define STORED_MAX 65535u

struct stream {
	const uint8_t *in;
	uint32_t in_count;
	uint32_t in_at;
	uint32_t bits;
	uint32_t bits_count;
	uint8_t *out;
	uint32_t out_room;
	uint32_t out_at;
	bool bad;
};

struct codes {
	uint16_t counts[LENGTHS_MAX + 1];
	uint16_t symbols[LITERALS_MAX];
};

static uint32_t take_bits(struct stream *s, uint32_t count)
{
	uint32_t value;

	while (s->bits_count < count) {
		if (s->in_at == s->in_count) {
			s->bad = true;
			return 0;
		}
		s->bits |= (uint32_t)s->in[s->in_at++] << s->bits_count;
		s->bits_count += 8;
	}
	value = s->bits & ((1u << count) - 1);
	s->bits >>= count;
	s->bits_count -= count;
	return value;
}

static void put_byte(struct stream *s, uint8_t byte)
{
	if (s->out_at == s->out_room)
		s->bad = true;
	else
		s->out[s->out_at++] = byte;
}

/* False: more codes than their lengths leave room for. */
static bool make_codes(struct codes *codes, const uint8_t *lengths, uint32_t count)
{
	uint16_t places[LENGTHS_MAX + 1];
	int left = 1;
	uint32_t i;

	memset(codes->counts, 0, sizeof(codes->counts));
	for (i = 0; i < count; i++)
		codes->counts[lengths[i]]++;
	for (i = 1; i <= LENGTHS_MAX; i++) {
		left = left * 2 - codes->counts[i];
		if (left < 0)
			return false;
	}
	places[1] = 0;
	for (i = 1; i < LENGTHS_MAX; i++)
		places[i + 1] = (uint16_t)(places[i] + codes->counts[i]);
	for (i = 0; i < count; i++)
		if (lengths[i] != 0)
			codes->symbols[places[lengths[i]]++] = (uint16_t)i;
	codes->counts[0] = 0;
	return true;
}

static uint32_t take_symbol(struct stream *s, const struct codes *codes)
{
	uint32_t code = 0, first = 0, index = 0, length;

	for (length = 1; length <= LENGTHS_MAX; length++) {
		uint32_t count = codes->counts[length];

		code |= take_bits(s, 1);
		if (s->bad)
			return 0;
		if (code - first < count)
			return codes->symbols[index + code - first];
		index += count;
		first = (first + count) << 1;
		code <<= 1;
	}
	s->bad = true;
	return 0;
}

static void copy_back(struct stream *s, uint32_t distance, uint32_t length)
{
	if (distance > s->out_at) {
		s->bad = true;
		return;
	}
	while (length-- > 0 && !s->bad)
		put_byte(s, s->out[s->out_at - distance]);
}

static void take_block(struct stream *s, const struct codes *literals,
                       const struct codes *distances)
{
	static const uint16_t length_base[] = { 3,  4,  5,  6,  7,  8,  9,  10,  11,  13,
		                                15, 17, 19, 23, 27, 31, 35, 43,  51,  59,
		                                67, 83, 99, 115, 131, 163, 195, 227, 258 };
	static const uint8_t length_extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
		                                2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
	static const uint16_t distance_base[] = { 1,    2,    3,    4,    5,    7,     9,    13,
		                                  17,   25,   33,   49,   65,   97,    129,  193,
		                                  257,  385,  513,  769,  1025, 1537,  2049, 3073,
		                                  4097, 6145, 8193, 12289, 16385, 24577 };

	while (!s->bad) {
		uint32_t symbol = take_symbol(s, literals);
		uint32_t length, which;

		if (s->bad || symbol == 256)
			return;
		if (symbol < 256) {
			put_byte(s, (uint8_t)symbol);
			continue;
		}
		symbol -= 257;
		if (symbol >= ARRAY_COUNT(length_base)) {
			s->bad = true;
			return;
		}
		length = length_base[symbol] + take_bits(s, length_extra[symbol]);
		which = take_symbol(s, distances);
		if (s->bad || which >= ARRAY_COUNT(distance_base)) {
			s->bad = true;
			return;
		}
		copy_back(s, distance_base[which] + take_bits(s, which < 2 ? 0 : which / 2 - 1),
		          length);
	}
}

static void take_fixed(struct stream *s)
{
	uint8_t lengths[LITERALS_MAX];
	struct codes literals, distances;

	memset(lengths, 8, 144);
	memset(lengths + 144, 9, 112);
	memset(lengths + 256, 7, 24);
	memset(lengths + 280, 8, 8);
	(void)make_codes(&literals, lengths, LITERALS_MAX);
	memset(lengths, 5, DISTANCES_MAX);
	(void)make_codes(&distances, lengths, DISTANCES_MAX);
	take_block(s, &literals, &distances);
}

/* The lengths of both codes, themselves coded. */
static void take_lengths(struct stream *s, uint8_t *lengths, uint32_t count)
{
	static const uint8_t order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14,
		                         1, 15 };
	uint32_t coded = take_bits(s, 4) + 4;
	uint8_t first[19] = { 0 };
	struct codes codes;
	uint32_t at = 0, i;

	for (i = 0; i < coded; i++)
		first[order[i]] = (uint8_t)take_bits(s, 3);
	s->bad |= !make_codes(&codes, first, 19);
	while (at < count && !s->bad) {
		uint32_t symbol = take_symbol(s, &codes);
		uint32_t times = 1;
		uint8_t length = (uint8_t)symbol;

		if (symbol == 16) {
			s->bad |= at == 0;
			length = at > 0 ? lengths[at - 1] : 0;
			times = 3 + take_bits(s, 2);
		} else if (symbol > 16) {
			length = 0;
			times = symbol == 17 ? 3 + take_bits(s, 3) : 11 + take_bits(s, 7);
		}
		s->bad |= at + times > count;
		while (times-- > 0 && !s->bad)
			lengths[at++] = length;
	}
}

static void take_dynamic(struct stream *s)
{
	uint32_t literals_count = take_bits(s, 5) + 257;
	uint32_t distances_count = take_bits(s, 5) + 1;
	uint8_t lengths[LITERALS_MAX + 32] = { 0 };
	struct codes literals, distances;

	if (literals_count > 286 || distances_count > DISTANCES_MAX) {
		s->bad = true;
		return;
	}
	take_lengths(s, lengths, literals_count + distances_count);
	if (s->bad || !make_codes(&literals, lengths, literals_count) ||
	    !make_codes(&distances, lengths + literals_count, distances_count)) {
		s->bad = true;
		return;
	}
	take_block(s, &literals, &distances);
}

static void take_stored(struct stream *s)
{
	uint32_t length;

	s->bits = s->bits_count = 0;
	if (s->in_count - s->in_at < 4) {
		s->bad = true;
		return;
	}
	length = s->in[s->in_at] | (uint32_t)s->in[s->in_at + 1] << 8;
	s->in_at += 4;
	if (length > s->in_count - s->in_at || length > s->out_room - s->out_at) {
		s->bad = true;
		return;
	}
	memcpy(s->out + s->out_at, s->in + s->in_at, length);
	s->in_at += length;
	s->out_at += length;
}

static uint32_t adler32(const uint8_t *bytes, uint32_t count)
{
	uint32_t a = 1, b = 0, i;

	for (i = 0; i < count; i++) {
		a = (a + bytes[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

int64_t inflate_zlib(const uint8_t *bytes, uint32_t count, uint8_t *out, uint32_t room)
{
	struct stream s = { .in = bytes, .in_count = count, .in_at = 2, .out = out,
		            .out_room = room };
	bool last = false;

	if (count < 6 || (bytes[0] & 15) != 8 || (bytes[0] << 8 | bytes[1]) % 31 != 0 ||
	    (bytes[1] & 32) != 0)
		return -1;
	while (!last && !s.bad) {
		last = take_bits(&s, 1) != 0;
		switch (take_bits(&s, 2)) {
		case 0:
			take_stored(&s);
			break;
		case 1:
			take_fixed(&s);
			break;
		case 2:
			take_dynamic(&s);
			break;
		default:
			s.bad = true;
		}
	}
	/* Whole bytes that were read ahead belong to the checksum. */
	s.in_at -= s.bits_count / 8;
	if (s.bad || s.in_count - s.in_at < 4 ||
	    big_endian(bytes + s.in_at) != adler32(out, s.out_at))
		return -1;
	return s.out_at;
}

uint32_t zlib_stored_bytes(uint32_t count)
{
	uint32_t blocks = count == 0 ? 1 : (count + STORED_MAX - 1) / STORED_MAX;

	return 2 + blocks * 5 + count + 4;
}

uint32_t zlib_store(const uint8_t *bytes, uint32_t count, uint8_t *out)
{
	uint32_t sum = adler32(bytes, count);
	uint32_t at = 0, done = 0;

	out[at++] = 0x78;
	out[at++] = 0x01;
	do {
		uint32_t part = count - done < STORED_MAX ? count - done : STORED_MAX;

		out[at++] = done + part == count;
		out[at++] = (uint8_t)part;
		out[at++] = (uint8_t)(part >> 8);
		out[at++] = (uint8_t)~part;
		out[at++] = (uint8_t)(~part >> 8);
		memcpy(out + at, bytes + done, part);
		at += part;
		done += part;
	} while (done < count);
	out[at++] = (uint8_t)(sum >> 24);
	out[at++] = (uint8_t)(sum >> 16);
	out[at++] = (uint8_t)(sum >> 8);
	out[at++] = (uint8_t)sum;
	assert(at == zlib_stored_bytes(count));
	return at;
}
