/* SPDX-License-Identifier: MIT */
/*
 * head_fields.c - the fields of a head: where they begin and end, which mean something to a proxy,
 * and which of them stop here because Connection says so.
 *
 * A name is recognised by its length and first letter: seven of eight names in a typical head are
 * passed over without a comparison.
 *
 * A name that would be one of http/field.def if "_" were "-" is marked as hop: servers that hand
 * fields to programs as environment variables (RFC 3875 4.1.18) cannot tell the two apart, so
 * Content_Length or X_Forwarded_For would speak for the real one there. Such a field means nothing
 * here and goes no further.
 */
#include <endian.h>
#include <string.h>

#include "head_private.h"

/* More options than this do not occur; each is looked for among all fields. */
#define OPTIONS_MAX 32u

const struct head_set head_token = { {
	HEAD_SET_DIGITS | HEAD_SET_BIT('!') | HEAD_SET_BIT('#') | HEAD_SET_BIT('$') |
		HEAD_SET_BIT('%') | HEAD_SET_BIT('&') | HEAD_SET_BIT('\'') | HEAD_SET_BIT('*') |
		HEAD_SET_BIT('+') | HEAD_SET_BIT('-') | HEAD_SET_BIT('.'),
	HEAD_SET_LETTERS | HEAD_SET_BIT('^') | HEAD_SET_BIT('_') | HEAD_SET_BIT('`') |
		HEAD_SET_BIT('|') | HEAD_SET_BIT('~'),
} };

static const struct {
	const char *text;
	bool hop;
} names[HTTP_FIELD_COUNT] = {
#define HTTP_FIELD(id, name, hop) [HTTP_FIELD_##id] = { name, hop },
#include "http/field.def"
#undef HTTP_FIELD
};

/* The names of http/field.def by their length; the unit test finds each of them. */
static const uint8_t names_of_length[][3] = {
	[2] = { HTTP_FIELD_TE },
	[4] = { HTTP_FIELD_HOST },
	[6] = { HTTP_FIELD_EXPECT },
	[7] = { HTTP_FIELD_UPGRADE, HTTP_FIELD_TRAILER },
	[9] = { HTTP_FIELD_FORWARDED },
	[10] = { HTTP_FIELD_CONNECTION, HTTP_FIELD_KEEP_ALIVE },
	[14] = { HTTP_FIELD_CONTENT_LENGTH, HTTP_FIELD_HTTP2_SETTINGS },
	[15] = { HTTP_FIELD_X_FORWARDED_FOR },
	[16] = { HTTP_FIELD_PROXY_CONNECTION, HTTP_FIELD_X_FORWARDED_HOST,
		 HTTP_FIELD_X_FORWARDED_PORT },
	[17] = { HTTP_FIELD_TRANSFER_ENCODING, HTTP_FIELD_X_FORWARDED_PROTO },
};

enum name_match { NAME_OTHER, NAME_EXACT, NAME_UNDERSCORES };

/* --- text ------------------------------------------------------------------------------------ */

static uint8_t text_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool http_text_equal(const uint8_t *text, uint32_t len, const char *other)
{
	for (uint32_t i = 0; i < len; i++)
		if (other[i] == '\0' || text_lower(text[i]) != text_lower((uint8_t)other[i]))
			return false;
	return other[len] == '\0';
}

static bool text_equal_text(struct head_text a, struct head_text b)
{
	if (a.len != b.len)
		return false;
	for (uint32_t i = 0; i < a.len; i++)
		if (text_lower(a.at[i]) != text_lower(b.at[i]))
			return false;
	return true;
}

bool head_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

bool head_is_token(struct head_text text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (!head_set_has(&head_token, text.at[i]))
			return false;
	return text.len > 0;
}

struct head_list head_list(struct head_text text)
{
	return (struct head_list){ text.at, text.at + text.len };
}

/* The end of the list is one behind its last element's comma, so that "a," has two elements. */
bool head_list_next(struct head_list *list, struct head_text *element)
{
	const uint8_t *comma, *end;

	if (list->at > list->end)
		return false;
	comma = memchr(list->at, ',', (size_t)(list->end - list->at));
	end = comma ? comma : list->end;
	element->at = list->at;
	list->at = end + 1;
	while (element->at < end && head_is_blank(element->at[0]))
		element->at++;
	while (end > element->at && head_is_blank(end[-1]))
		end--;
	element->len = (uint32_t)(end - element->at);
	return true;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* How many bytes there are in front of the next control character, DEL included. */
static uint32_t text_controls_free(const uint8_t *text, uint32_t len)
{
	const uint64_t each = 0x0101010101010101ull;
	uint32_t at = 0;

	for (; at + 8 <= len; at += 8) {
		uint64_t word, low, del;

		memcpy(&word, text + at, sizeof(word));
		word = le64toh(word);
		low = word - each * 0x20;
		del = (word ^ each * 0x7f) - each;
		/* The lowest high bit left is exact: nothing was borrowed from below it. */
		word = (low | del) & ~word & each * 0x80;
		if (word)
			return at + (uint32_t)__builtin_ctzll(word) / 8;
	}
	while (at < len && text[at] >= 0x20 && text[at] != 0x7f)
		at++;
	return at;
}

/* RFC 9112 2.2, 9110 5.5: exactly so many CRLF, and no control character but HTAB. llhttp found the
 * same; but that no field can hold a line is worth two opinions. */
static bool lines_are_whole(const uint8_t *base, uint32_t at, uint32_t end, uint32_t lines)
{
	while (at < end) {
		at += text_controls_free(base + at, end - at);
		if (at == end)
			break;
		if (base[at] == '\t') {
			at++;
			continue;
		}
		if (base[at] != '\r' || at + 1 == end || base[at + 1] != '\n' || lines == 0)
			return false;
		at += 2;
		lines--;
	}
	return lines == 0;
}

/* --- names ----------------------------------------------------------------------------------- */

/* Of one length, and a token: setting bit 0x20 makes no two characters of these names equal that
 * differ by more than case. */
static enum name_match name_match(struct head_text name, const char *known)
{
	enum name_match match = NAME_EXACT;

	for (uint32_t i = 0; i < name.len; i++) {
		if ((name.at[i] | 0x20) == known[i])
			continue;
		if (name.at[i] != '_' || known[i] != '-')
			return NAME_OTHER;
		match = NAME_UNDERSCORES;
	}
	return match;
}

static enum name_match name_find(struct head_text name, enum http_field_id *id)
{
	const uint8_t *candidates;

	*id = HTTP_FIELD_OTHER;
	if (name.len >= ARRAY_COUNT(names_of_length))
		return NAME_OTHER;
	candidates = names_of_length[name.len];
	for (uint32_t i = 0; i < ARRAY_COUNT(names_of_length[0]) && candidates[i]; i++) {
		const char *known = names[candidates[i]].text;
		enum name_match match;

		if ((name.at[0] | 0x20) != known[0])
			continue;
		match = name_match(name, known);
		if (match == NAME_EXACT)
			*id = (enum http_field_id)candidates[i];
		if (match != NAME_OTHER)
			return match;
	}
	return NAME_OTHER;
}

enum http_field_id head_field_id(struct head_text name)
{
	enum http_field_id id;

	name_find(name, &id);
	return id;
}

/* Where the field ends is known; its value is found here, without the blanks around it. */
static bool field_complete(struct http_field *field, const uint8_t *base, uint32_t end)
{
	uint32_t at = field->name.at + field->name.len + 1u;
	enum http_field_id id;
	enum name_match match;

	if (field->name.len == 0 || at + 2 > end || base[at - 1] != ':' || base[end - 2] != '\r')
		return false;
	field->end = (uint16_t)end;
	end -= 2;
	while (at < end && head_is_blank(base[at]))
		at++;
	while (end > at && head_is_blank(base[end - 1]))
		end--;
	field->value = head_span(at, end);
	match = name_find(head_text(base, field->name), &id);
	field->id = (uint8_t)id;
	field->hop = match == NAME_UNDERSCORES || names[id].hop;
	return true;
}

bool head_judge_fields(struct http_head *head, const uint8_t *base, struct head_index *index)
{
	uint32_t last_line = head->length - 2u;

	memset(index, 0, sizeof(*index));
	head->line_end = (uint16_t)(head->fields_count ? head->fields[0].name.at : last_line);
	/* A reason phrase may hold anything: head_judge_status_line() looks at it. */
	if (head->kind == HTTP_HEAD_REQUEST &&
	    !lines_are_whole(base, head->start, head->line_end, 1))
		return head_refuse(head, HTTP_REFUSAL_SYNTAX);
	if (!lines_are_whole(base, head->line_end, head->length, head->fields_count + 1u))
		return head_refuse(head, HTTP_REFUSAL_SYNTAX);
	for (uint32_t i = 0; i < head->fields_count; i++) {
		struct http_field *field = &head->fields[i];
		uint32_t end = i + 1u < head->fields_count ? field[1].name.at : last_line;

		if (!field_complete(field, base, end))
			return head_refuse(head, HTTP_REFUSAL_FIELD);
		if (index->count[field->id]++ == 0)
			index->first[field->id] = (uint16_t)i;
	}
	return true;
}

int http_head_find(const struct http_head *head, enum http_field_id id, uint32_t from)
{
	for (uint32_t i = from; i < head->fields_count; i++)
		if (head->fields[i].id == id)
			return (int)i;
	return -1;
}

/* --- Connection ------------------------------------------------------------------------------ */

/* RFC 9110 7.6.1: an option must not name a field that is meant for all recipients. Taking one of
 * these out would change the length of the body, who is asked, who asks, or what is stored. */
static bool option_is_protected(struct head_text option)
{
	static const char *const others[] = {
		"authorization", "cache-control", "content-encoding", "content-range",
		"content-type",  "cookie",        "set-cookie",       "x-real-ip",
	};

	switch (head_field_id(option)) {
	case HTTP_FIELD_HOST:
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_TRANSFER_ENCODING:
	case HTTP_FIELD_EXPECT:
	case HTTP_FIELD_X_FORWARDED_FOR:
	case HTTP_FIELD_X_FORWARDED_PROTO:
	case HTTP_FIELD_X_FORWARDED_HOST:
	case HTTP_FIELD_X_FORWARDED_PORT:
	case HTTP_FIELD_FORWARDED:
		return true;
	default:
		break;
	}
	for (uint32_t i = 0; i < ARRAY_COUNT(others); i++)
		if (head_text_is(option, others[i]))
			return true;
	return false;
}

static bool head_apply_option(struct http_head *head, const uint8_t *base, struct head_text option,
			      struct head_options *options)
{
	if (head_text_is(option, "close")) {
		options->close = true;
		return true;
	}
	if (head_text_is(option, "keep-alive")) {
		options->keep_alive = true;
		return true;
	}
	if (head_text_is(option, "upgrade")) {
		options->upgrade = true;
		return true;
	}
	if (!head_is_token(option))
		return head_refuse(head, HTTP_REFUSAL_FIELD);
	if (option_is_protected(option))
		return head_refuse(head, HTTP_REFUSAL_CONNECTION);
	for (uint32_t i = 0; i < head->fields_count; i++)
		if (text_equal_text(head_text(base, head->fields[i].name), option))
			head->fields[i].hop = true;
	return true;
}

bool head_judge_connection(struct http_head *head, const uint8_t *base,
			   const struct head_index *index, struct head_options *options)
{
	uint32_t left = index->count[HTTP_FIELD_CONNECTION];
	uint32_t options_count = 0;

	*options = (struct head_options){ 0 };
	for (uint32_t i = index->first[HTTP_FIELD_CONNECTION]; left > 0; i++) {
		struct head_text option;
		struct head_list list;

		assert(i < head->fields_count);
		if (head->fields[i].id != HTTP_FIELD_CONNECTION)
			continue;
		left--;
		list = head_list(head_text(base, head->fields[i].value));
		while (head_list_next(&list, &option)) {
			if (option.len == 0)
				continue; /* RFC 9110 5.6.1.2 */
			if (++options_count > OPTIONS_MAX)
				return head_refuse(head, HTTP_REFUSAL_FIELD);
			if (!head_apply_option(head, base, option, options))
				return false;
		}
	}
	return true;
}
