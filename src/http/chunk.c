/* SPDX-License-Identifier: MIT */
/*
 * chunk.c - one byte, one step; only data is taken by the piece.
 *
 *      SIZE -> SIZE_MORE -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ..
 *                |   ^         |
 *      extension '...'         '-- size 0: LINE -> NAME -> VALUE -> LINE_LF -> LINE ..
 *      states (EXT_)                         '-> END_LF -> DONE
 *
 * Whether a byte goes on depends on nothing behind it, so it does not matter where the stream is
 * cut. For that, leading zeros of a size are taken out: a "0" may be the last chunk, which is.
 */
#include "http/chunk.h"

#include <string.h>

#include "base/assert.h"

#define SIZE_DIGITS_MAX 16

enum chunk_state {
	CHUNK_SIZE, /* before the first digit */
	CHUNK_SIZE_MORE,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_EXT_BLANK, /* blanks behind the size or a value: a ';' must follow */
	CHUNK_EXT_NAME_FIRST,
	CHUNK_EXT_NAME,
	CHUNK_EXT_NAME_BLANK,
	CHUNK_EXT_VALUE_FIRST,
	CHUNK_EXT_VALUE,
	CHUNK_EXT_QUOTED,
	CHUNK_EXT_QUOTED_PAIR,
	CHUNK_EXT_QUOTED_END,
	CHUNK_TRAILER_LINE, /* before the first byte of a line */
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LINE_LF,
	CHUNK_TRAILER_END_LF,
	CHUNK_DONE,
	CHUNK_REFUSED,
};

/* Lower case; "_" is taken for "-", as servers do that make variables of fields (RFC 3875 4.1.18).
 * Whatever begins with "if-" is dropped as well. */
static const char *const dropped_names[] = {
#define HTTP_FIELD(id, name, hop) name,
#include "http/field.def"
#undef HTTP_FIELD
	"authorization",
	"cookie",
	"set-cookie",
	"cache-control",
	"content-encoding",
	"content-range",
	"content-type",
	"www-authenticate",
	"proxy-authenticate",
	"proxy-authorization",
	"age",
	"date",
	"expires",
	"location",
	"retry-after",
	"vary",
	"warning",
	"max-forwards",
	"pragma",
	"range",
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* RFC 9110 5.6.2 */
static bool is_token(uint8_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* What may stand in a field value, and behind a backslash (RFC 9110 5.5, 5.6.4). */
static bool is_text(uint8_t c)
{
	return (c >= ' ' && c != 0x7f) || c == '\t';
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static uint8_t name_letter(uint8_t c)
{
	return c == '_' ? '-' : lower(c);
}

static enum chunk_state refuse(struct http_chunk *chunk, enum http_refusal refusal)
{
	chunk->refusal = (uint8_t)refusal;
	return CHUNK_REFUSED;
}

void http_chunk_begin(struct http_chunk *chunk, enum http_chunk_mode mode)
{
	assert(mode == HTTP_CHUNK_KEEP || mode == HTTP_CHUNK_DATA);
	memset(chunk, 0, offsetof(struct http_chunk, trailer));
	chunk->mode = (uint8_t)mode;
	chunk->state = CHUNK_SIZE;
}

/* --- the size line --------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum chunk_state step_size(struct http_chunk *chunk, uint8_t c)
{
	int value = hex_value(c);

	if (value >= 0) {
		if (chunk->digits == SIZE_DIGITS_MAX || chunk->left >> 59 != 0)
			return refuse(chunk, HTTP_REFUSAL_CHUNK);
		chunk->digits++;
		chunk->left = chunk->left << 4 | (uint64_t)value;
		return CHUNK_SIZE_MORE;
	}
	if (chunk->digits == 0)
		return refuse(chunk, HTTP_REFUSAL_CHUNK);
	if (c == '\r')
		return CHUNK_SIZE_LF;
	if (c == ';')
		return CHUNK_EXT_NAME_FIRST;
	return is_blank(c) ? CHUNK_EXT_BLANK : refuse(chunk, HTTP_REFUSAL_CHUNK);
}

static enum chunk_state step_size_lf(struct http_chunk *chunk, uint8_t c)
{
	if (c != '\n')
		return refuse(chunk, HTTP_REFUSAL_CHUNK);
	return chunk->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_LINE;
}

static enum chunk_state step_data_end(struct http_chunk *chunk, uint8_t c)
{
	assert(chunk->left == 0);
	if (chunk->state == CHUNK_DATA_CR)
		return c == '\r' ? CHUNK_DATA_LF : refuse(chunk, HTTP_REFUSAL_CHUNK);
	if (c != '\n')
		return refuse(chunk, HTTP_REFUSAL_CHUNK);
	chunk->digits = 0;
	return CHUNK_SIZE;
}

/* --- extensions: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) -------------- */

/* Behind a whole extension or a name: what may follow it. */
static enum chunk_state step_behind(struct http_chunk *chunk, uint8_t c, enum chunk_state blank)
{
	if (c == ';')
		return CHUNK_EXT_NAME_FIRST;
	if (c == '\r')
		return CHUNK_SIZE_LF;
	return is_blank(c) ? blank : refuse(chunk, HTTP_REFUSAL_CHUNK);
}

static enum chunk_state step_name(struct http_chunk *chunk, uint8_t c)
{
	switch (chunk->state) {
	case CHUNK_EXT_BLANK:
		if (c == ';')
			return CHUNK_EXT_NAME_FIRST;
		return is_blank(c) ? CHUNK_EXT_BLANK : refuse(chunk, HTTP_REFUSAL_CHUNK);
	case CHUNK_EXT_NAME_FIRST:
		if (is_token(c))
			return CHUNK_EXT_NAME;
		return is_blank(c) ? CHUNK_EXT_NAME_FIRST : refuse(chunk, HTTP_REFUSAL_CHUNK);
	case CHUNK_EXT_NAME:
		if (is_token(c))
			return CHUNK_EXT_NAME;
		return c == '=' ? CHUNK_EXT_VALUE_FIRST :
				  step_behind(chunk, c, CHUNK_EXT_NAME_BLANK);
	default:
		assert(chunk->state == CHUNK_EXT_NAME_BLANK);
		if (c == '=')
			return CHUNK_EXT_VALUE_FIRST;
		if (c == ';')
			return CHUNK_EXT_NAME_FIRST;
		return is_blank(c) ? CHUNK_EXT_NAME_BLANK : refuse(chunk, HTTP_REFUSAL_CHUNK);
	}
}

static enum chunk_state step_value(struct http_chunk *chunk, uint8_t c)
{
	switch (chunk->state) {
	case CHUNK_EXT_VALUE_FIRST:
		if (c == '"')
			return CHUNK_EXT_QUOTED;
		if (is_token(c))
			return CHUNK_EXT_VALUE;
		return is_blank(c) ? CHUNK_EXT_VALUE_FIRST : refuse(chunk, HTTP_REFUSAL_CHUNK);
	case CHUNK_EXT_VALUE:
		return is_token(c) ? CHUNK_EXT_VALUE : step_behind(chunk, c, CHUNK_EXT_BLANK);
	case CHUNK_EXT_QUOTED:
		if (c == '"')
			return CHUNK_EXT_QUOTED_END;
		if (c == '\\')
			return CHUNK_EXT_QUOTED_PAIR;
		return is_text(c) ? CHUNK_EXT_QUOTED : refuse(chunk, HTTP_REFUSAL_CHUNK);
	case CHUNK_EXT_QUOTED_PAIR:
		return is_text(c) ? CHUNK_EXT_QUOTED : refuse(chunk, HTTP_REFUSAL_CHUNK);
	default:
		assert(chunk->state == CHUNK_EXT_QUOTED_END);
		return step_behind(chunk, c, CHUNK_EXT_BLANK);
	}
}

/* The bytes of a size line between its digits and its end are counted, blanks as well. */
static enum chunk_state count_extension(struct http_chunk *chunk, enum chunk_state next)
{
	if (next < CHUNK_EXT_BLANK || next > CHUNK_EXT_QUOTED_END)
		return next;
	if (chunk->extension_bytes == HTTP_CHUNK_EXTENSIONS_MAX)
		return refuse(chunk, HTTP_REFUSAL_CHUNK_EXTENSION);
	chunk->extension_bytes++;
	return next;
}

/* --- the trailer section --------------------------------------------------------------------- */

static bool is_dropped(const uint8_t *name, uint32_t len)
{
	if (len >= 3 && lower(name[0]) == 'i' && lower(name[1]) == 'f' &&
	    name_letter(name[2]) == '-')
		return true;
	for (size_t i = 0; i < ARRAY_COUNT(dropped_names); i++) {
		uint32_t same = 0;

		if (strlen(dropped_names[i]) != len)
			continue;
		while (same < len && name_letter(name[same]) == (uint8_t)dropped_names[i][same])
			same++;
		if (same == len)
			return true;
	}
	return false;
}

/* A whole line lies at the end of trailer[]: it stays, or it is forgotten. */
static void end_trailer_line(struct http_chunk *chunk)
{
	const uint8_t *line = chunk->trailer + chunk->line_start;
	uint32_t len = (uint32_t)(chunk->trailer_bytes - chunk->line_start);
	const uint8_t *colon = memchr(line, ':', len);

	assert(colon && colon > line);
	assert(len >= 4 && line[len - 1] == '\n');
	if (is_dropped(line, (uint32_t)(colon - line)))
		chunk->trailer_bytes = chunk->line_start;
	chunk->line_start = chunk->trailer_bytes;
}

static enum chunk_state step_trailer(struct http_chunk *chunk, uint8_t c)
{
	switch (chunk->state) {
	case CHUNK_TRAILER_LINE:
		if (c == '\r')
			return CHUNK_TRAILER_END_LF;
		return is_token(c) ? CHUNK_TRAILER_NAME : refuse(chunk, HTTP_REFUSAL_TRAILER);
	case CHUNK_TRAILER_NAME:
		if (c == ':')
			return CHUNK_TRAILER_VALUE;
		return is_token(c) ? CHUNK_TRAILER_NAME : refuse(chunk, HTTP_REFUSAL_TRAILER);
	case CHUNK_TRAILER_VALUE:
		if (c == '\r')
			return CHUNK_TRAILER_LINE_LF;
		return is_text(c) ? CHUNK_TRAILER_VALUE : refuse(chunk, HTTP_REFUSAL_TRAILER);
	case CHUNK_TRAILER_LINE_LF:
		return c == '\n' ? CHUNK_TRAILER_LINE : refuse(chunk, HTTP_REFUSAL_TRAILER);
	default:
		assert(chunk->state == CHUNK_TRAILER_END_LF);
		return c == '\n' ? CHUNK_DONE : refuse(chunk, HTTP_REFUSAL_TRAILER);
	}
}

/* Bytes of lines are counted and kept; those of the empty line at the end are neither. */
static enum chunk_state keep_trailer(struct http_chunk *chunk, uint8_t c, enum chunk_state next)
{
	if (next >= CHUNK_TRAILER_END_LF)
		return next;
	if (chunk->trailer_seen == HTTP_TRAILER_MAX)
		return refuse(chunk, HTTP_REFUSAL_TRAILER_LARGE);
	chunk->trailer_seen++;
	assert(chunk->trailer_bytes < HTTP_TRAILER_MAX);
	chunk->trailer[chunk->trailer_bytes++] = c;
	if (next == CHUNK_TRAILER_LINE)
		end_trailer_line(chunk);
	return next;
}

/* --- all of it ------------------------------------------------------------------------------- */

static enum chunk_state step(struct http_chunk *chunk, uint8_t c)
{
	switch (chunk->state) {
	case CHUNK_SIZE:
	case CHUNK_SIZE_MORE:
		return count_extension(chunk, step_size(chunk, c));
	case CHUNK_SIZE_LF:
		return step_size_lf(chunk, c);
	case CHUNK_DATA_CR:
	case CHUNK_DATA_LF:
		return step_data_end(chunk, c);
	case CHUNK_EXT_BLANK:
	case CHUNK_EXT_NAME_FIRST:
	case CHUNK_EXT_NAME:
	case CHUNK_EXT_NAME_BLANK:
		return count_extension(chunk, step_name(chunk, c));
	case CHUNK_EXT_VALUE_FIRST:
	case CHUNK_EXT_VALUE:
	case CHUNK_EXT_QUOTED:
	case CHUNK_EXT_QUOTED_PAIR:
	case CHUNK_EXT_QUOTED_END:
		return count_extension(chunk, step_value(chunk, c));
	default:
		assert(chunk->state >= CHUNK_TRAILER_LINE && chunk->state <= CHUNK_TRAILER_END_LF);
		return keep_trailer(chunk, c, step_trailer(chunk, c));
	}
}

/* Is the byte that led from `state` into `next` one of the size line or of the line end behind the
 * data? Only those go on, as far as they say more than that nothing follows. */
static bool is_framing(const struct http_chunk *chunk, enum chunk_state next)
{
	switch (next) {
	case CHUNK_SIZE_MORE:
	case CHUNK_SIZE_LF:
	case CHUNK_DATA:
		return chunk->left > 0;
	case CHUNK_DATA_LF:
	case CHUNK_SIZE:
		return true;
	default:
		return false;
	}
}

/* As much data as there is, moved only if something before it was taken out of this piece. */
static uint32_t pass_data(struct http_chunk *chunk, uint8_t *to, const uint8_t *from, uint32_t len)
{
	assert(chunk->left > 0 && to <= from);
	if (len > chunk->left)
		len = (uint32_t)chunk->left;
	if (to != from)
		memmove(to, from, len);
	chunk->left -= len;
	chunk->data += len;
	if (chunk->left == 0)
		chunk->state = CHUNK_DATA_CR;
	return len;
}

enum http_progress http_chunk_feed(struct http_chunk *chunk, uint8_t *bytes, uint32_t len,
				   uint32_t *passed, uint32_t *consumed)
{
	uint32_t in = 0, out = 0;

	while (in < len && chunk->state < CHUNK_DONE) {
		if (chunk->state == CHUNK_DATA) {
			uint32_t taken = pass_data(chunk, bytes + out, bytes + in, len - in);

			in += taken;
			out += taken;
			continue;
		}
		chunk->state = (uint8_t)step(chunk, bytes[in]);
		if (chunk->mode == HTTP_CHUNK_KEEP && is_framing(chunk, chunk->state))
			bytes[out++] = bytes[in];
		in++;
	}
	assert(out <= in && in <= len);
	*passed = out;
	*consumed = chunk->state == CHUNK_REFUSED ? len : in;
	if (chunk->state == CHUNK_REFUSED)
		return HTTP_REFUSED;
	return chunk->state == CHUNK_DONE ? HTTP_DONE : HTTP_MORE;
}
