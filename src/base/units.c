/* SPDX-License-Identifier: MIT */
/*
 * units.c - digits, and the words behind them.
 *
 * A parser is a cursor that walks over the text: read_digits() takes digits, and what follows them
 * is looked up in a table of units, largest first. Formatting reads the same tables.
 */
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct unit {
	const char *name;
	uint64_t value;
};

static const struct unit duration_units[] = {
	{ "h", 3600 * NS_PER_S }, { "m", 60 * NS_PER_S }, { "s", NS_PER_S },
	{ "ms", NS_PER_MS },      { "us", NS_PER_US },
};

static const struct unit size_units[] = {
	{ "G", 1ull << 30 },
	{ "M", 1ull << 20 },
	{ "K", 1ull << 10 },
};

/* Take digits off the front of *text. False when there are none, or when they overflow. */
static bool read_digits(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t sum = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(sum, 10u, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*value = sum;
	return true;
}

bool units_parse_number(const char *text, uint64_t *value)
{
	uint64_t read;

	assert(value);
	if (!read_digits(&text, &read) || *text != '\0')
		return false;
	*value = read;
	return true;
}

/* The factor of a size's suffix, 1 for none, or 0 for one that does not exist. */
static uint64_t size_factor(const char *suffix)
{
	if (suffix[0] == '\0')
		return 1;
	if (suffix[1] != '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_COUNT(size_units); i++) {
		char upper = size_units[i].name[0];

		assert(upper >= 'A' && upper <= 'Z');
		if (suffix[0] == upper || suffix[0] == upper - 'A' + 'a')
			return size_units[i].value;
	}
	return 0;
}

bool units_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t read, factor;

	assert(bytes);
	if (!read_digits(&text, &read))
		return false;
	factor = size_factor(text);
	if (factor == 0 || __builtin_mul_overflow(read, factor, &read))
		return false;
	*bytes = read;
	return true;
}

/* The row of the unit at the front of *text, whose letters are taken off, or the table's end. */
static size_t read_duration_unit(const char **text)
{
	size_t len = strspn(*text, "abcdefghijklmnopqrstuvwxyz");

	for (size_t i = 0; i < ARRAY_COUNT(duration_units); i++) {
		const char *name = duration_units[i].name;

		if (strlen(name) == len && memcmp(*text, name, len) == 0) {
			*text += len;
			return i;
		}
	}
	return ARRAY_COUNT(duration_units);
}

bool units_parse_duration(const char *text, uint64_t *ns)
{
	size_t row_min = 0; /* the largest unit that may still follow */
	uint64_t sum = 0;

	assert(ns);
	if (strcmp(text, "0") == 0) {
		*ns = 0;
		return true;
	}
	do {
		uint64_t part;
		size_t row;

		if (!read_digits(&text, &part))
			return false;
		row = read_duration_unit(&text);
		if (row < row_min || row == ARRAY_COUNT(duration_units))
			return false;
		row_min = row + 1;
		if (__builtin_mul_overflow(part, duration_units[row].value, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return false;
	} while (*text != '\0');
	*ns = sum;
	return true;
}

const char *units_format_size(char text[UNITS_TEXT_MAX], uint64_t bytes)
{
	struct unit unit = { "", 1 };
	int written;

	for (size_t i = 0; i < ARRAY_COUNT(size_units) && bytes > 0; i++) {
		if (bytes % size_units[i].value == 0) {
			unit = size_units[i];
			break;
		}
	}
	written = snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", bytes / unit.value, unit.name);
	assert(written > 0 && written < UNITS_TEXT_MAX);
	return text;
}

static size_t put_part(char *text, size_t len, uint64_t count, const char *unit)
{
	int written = snprintf(text + len, UNITS_TEXT_MAX - len, "%" PRIu64 "%s", count, unit);

	assert(written > 0);
	assert(len + (size_t)written < UNITS_TEXT_MAX);
	return len + (size_t)written;
}

const char *units_format_duration(char text[UNITS_TEXT_MAX], uint64_t ns)
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_COUNT(duration_units); i++) {
		const struct unit *unit = &duration_units[i];

		if (ns >= unit->value)
			len = put_part(text, len, ns / unit->value, unit->name);
		ns %= unit->value;
	}
	if (ns > 0)
		len = put_part(text, len, ns, "ns");
	if (len == 0)
		put_part(text, len, 0, "");
	return text;
}

const char *units_format_bytes(char text[UNITS_TEXT_MAX], uint64_t bytes)
{
	static const char *const names[] = { "KB", "MB", "GB", "TB", "PB", "EB" };
	uint64_t tenths = 0;
	size_t i;
	int written;

	if (bytes < 1024) {
		put_part(text, 0, bytes, " B");
		return text;
	}
	/* Up a unit while rounding to tenths still gives 1,024.0 or more. */
	for (i = 0; i < ARRAY_COUNT(names); i++) {
		unsigned shift = 10 * (unsigned)(i + 1);
		uint64_t rest = bytes & ((1ull << shift) - 1);

		tenths = (bytes >> shift) * 10 + ((rest * 10 + (1ull << (shift - 1))) >> shift);
		if (tenths < 10240)
			break;
	}
	assert(i < ARRAY_COUNT(names)); /* 2^64 is 16 EB */
	if (tenths % 10 == 0)
		written = snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 " %s", tenths / 10, names[i]);
	else
		written = snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
		                   tenths % 10, names[i]);
	assert(written > 0 && written < UNITS_TEXT_MAX);
	return text;
}
