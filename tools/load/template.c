/* SPDX-License-Identifier: MIT */
/*
 * template.c - splitting and filling, as in template.h.
 */
#include "template.h"

#include <stdlib.h>
#include <string.h>

#include "draw.h"

#define NUMBER_MAX 20u /* digits of the largest */
#define TEXT_MAX (256u << 20)
#define STREAM 7000 /* of random numbers, unlike those of the threads */

static const struct name {
	const char *name;
	enum template_kind kind;
	bool ours; /* not for users */
} names[] = {
	{ "seq", TEMPLATE_SEQ, false },      { "conn", TEMPLATE_CONN, false },
	{ "rand", TEMPLATE_RANDOM, false },  { "length", TEMPLATE_LENGTH, true },
	{ "body", TEMPLATE_BODY, true },
};

struct reader {
	const char *at;
	const char *end;
	bool ours_too;
};

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

/* "16" before the closing brace; 0: none, or too many. */
static uint32_t take_count(struct reader *reader)
{
	uint32_t count = 0;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' &&
	       count <= TEMPLATE_RANDOM_MAX)
		count = count * 10 + (uint32_t)(*reader->at++ - '0');
	return count <= TEMPLATE_RANDOM_MAX ? count : 0;
}

/* What is after an opening brace and begins with a letter. */
static bool take_name(struct reader *reader, struct template_part *part)
{
	const char *name = reader->at;
	size_t length, i;

	while (reader->at < reader->end && is_letter(*reader->at))
		reader->at++;
	length = (size_t)(reader->at - name);
	for (i = 0; i < ARRAY_COUNT(names); i++)
		if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
			break;
	if (i == ARRAY_COUNT(names) || (names[i].ours && !reader->ours_too))
		return false;
	*part = (struct template_part){ .kind = names[i].kind };
	if (part->kind == TEMPLATE_RANDOM) {
		if (reader->at == reader->end || *reader->at++ != ':')
			return false;
		part->count = take_count(reader);
		if (part->count == 0)
			return false;
	}
	return reader->at < reader->end && *reader->at++ == '}';
}

/* The next part; text is up to the next brace. False: a brace that begins nothing known. */
static bool next_part(struct reader *reader, struct template_part *part, const char **text)
{
	const char *brace;

	*text = reader->at;
	if (*reader->at == '{' && reader->at + 1 < reader->end && is_letter(reader->at[1])) {
		reader->at++;
		return take_name(reader, part);
	}
	*part = (struct template_part){ .kind = TEMPLATE_TEXT };
	if (*reader->at == '{') {
		reader->at += reader->at + 1 < reader->end && reader->at[1] == '{' ? 2 : 1;
		part->count = 1;
		return true;
	}
	brace = memchr(reader->at, '{', (size_t)(reader->end - reader->at));
	reader->at = brace != NULL ? brace : reader->end;
	part->count = (uint32_t)(reader->at - *text);
	return true;
}

bool template_check(const char *text, uint64_t count, const char **reason)
{
	struct reader reader = { text, text + count, false };
	struct template_part part;

	*reason = "a brace before a letter begins {seq}, {conn} or {rand:N}, N from 1 to 64; "
		  "{{ is a mere brace";
	while (reader.at < reader.end)
		if (!next_part(&reader, &part, &text))
			return false;
	return true;
}

static uint32_t room_of(const struct template_part *part)
{
	switch (part->kind) {
	case TEMPLATE_SEQ:
	case TEMPLATE_CONN:
	case TEMPLATE_LENGTH:
		return NUMBER_MAX;
	case TEMPLATE_TEXT:
	case TEMPLATE_RANDOM:
		return part->count;
	case TEMPLATE_BODY:
		return 0;
	}
	unreachable();
	return 0;
}

static void add_part(struct template *template, struct template_part part, const char *text)
{
	struct template_part *last =
		template->parts_count > 0 ? &template->parts[template->parts_count - 1] : NULL;

	if (part.kind == TEMPLATE_TEXT) {
		part.at = template->text_bytes;
		memcpy(template->text + part.at, text, part.count);
		template->text_bytes += part.count;
	}
	template->room += room_of(&part);
	if (last != NULL && part.kind == TEMPLATE_TEXT && last->kind == part.kind)
		last->count += part.count;
	else
		template->parts[template->parts_count++] = part;
}

bool template_open(struct template *template, const char *text, uint64_t count,
                   const char **reason)
{
	struct reader reader = { text, text + count, true };
	const char *at = memchr(text, '{', count);
	struct template_part part;
	uint64_t braces = 0;

	*template = (struct template){ 0 };
	*reason = "too long for a template";
	if (count > TEXT_MAX)
		return false;
	for (; at != NULL; at = memchr(at + 1, '{', (size_t)(text + count - at - 1)))
		braces++;
	/* Each brace is a part of its own, and may have text after it. */
	template->parts = calloc(2 * braces + 1, sizeof(*template->parts));
	template->text = malloc(count + 1);
	assert(template->parts != NULL && template->text != NULL);
	while (reader.at < reader.end) {
		if (!next_part(&reader, &part, &text)) {
			*reason = "a brace that begins nothing known";
			template_close(template);
			return false;
		}
		add_part(template, part, text);
	}
	return true;
}

void template_close(struct template *template)
{
	free(template->parts);
	free(template->text);
	*template = (struct template){ 0 };
}

/* --- filling --------------------------------------------------------------------------------- */

static uint32_t digits_of(uint64_t number)
{
	uint32_t digits = 1;

	while (number >= 10) {
		number /= 10;
		digits++;
	}
	return digits;
}

static uint32_t put_number(char *out, uint64_t number)
{
	uint32_t digits = digits_of(number);
	uint32_t i;

	for (i = digits; i-- > 0; number /= 10)
		out[i] = (char)('0' + number % 10);
	return digits;
}

static uint32_t put_random(char *out, uint32_t count, struct draw *draw)
{
	static const char characters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint32_t i;

	for (i = 0; i < count; i++)
		out[i] = characters[draw_below(draw, sizeof(characters) - 1)];
	return count;
}

static uint32_t length_of(const struct template_part *part, const struct template_values *values)
{
	if (part->kind == TEMPLATE_SEQ)
		return digits_of(values->seq);
	return part->kind == TEMPLATE_CONN ? digits_of(values->conn) : room_of(part);
}

static uint64_t body_length(const struct template *template, const struct template_values *values)
{
	uint32_t i = template->parts_count;
	uint64_t length = 0;

	while (i-- > 0 && template->parts[i].kind != TEMPLATE_BODY)
		length += length_of(&template->parts[i], values);
	return length;
}

static uint32_t put_part(const struct template *template, const struct template_part *part,
                         const struct template_values *values, struct draw *draw, char *out)
{
	switch (part->kind) {
	case TEMPLATE_TEXT:
		memcpy(out, template->text + part->at, part->count);
		return part->count;
	case TEMPLATE_SEQ:
		return put_number(out, values->seq);
	case TEMPLATE_CONN:
		return put_number(out, values->conn);
	case TEMPLATE_RANDOM:
		return put_random(out, part->count, draw);
	case TEMPLATE_LENGTH:
		return put_number(out, body_length(template, values));
	case TEMPLATE_BODY:
		return 0;
	}
	unreachable();
	return 0;
}

uint32_t template_fill(const struct template *template, char *out,
                       const struct template_values *values)
{
	uint32_t bytes = 0;
	struct draw draw;
	uint32_t i;

	draw_init(&draw, values->seed, STREAM + values->seq);
	for (i = 0; i < template->parts_count; i++)
		bytes += put_part(template, &template->parts[i], values, &draw, out + bytes);
	assert(bytes <= template->room);
	return bytes;
}
