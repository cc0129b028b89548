/* SPDX-License-Identifier: MIT */
/*
 * amounts.c - the parsers of amounts.h.
 */
#include "amounts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

/* A decimal number without a sign at the beginning of the text. */
static bool decimal(const char *text, double *value, const char **rest)
{
	char *end;

	if (!((*text >= '0' && *text <= '9') || *text == '.'))
		return false;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return false;
	errno = 0;
	*value = strtod(text, &end);
	*rest = end;
	return errno == 0 && end != text && isfinite(*value);
}

static bool thousands(const char *text, double *value, const char **rest)
{
	if (!decimal(text, value, rest))
		return false;
	switch (**rest) {
	case 'k':
	case 'K':
		*value *= 1e3;
		(*rest)++;
		return true;
	case 'm':
	case 'M':
		*value *= 1e6;
		(*rest)++;
		return true;
	default:
		return true;
	}
}

bool amount_count(const char *text, void *uint64, const char **reason)
{
	const char *rest;
	double value;

	*reason = "a number such as 100, 10k or 2m is needed";
	if (!thousands(text, &value, &rest) || *rest != '\0' || value > 1e15)
		return false;
	if (value != floor(value))
		return false;
	*(uint64_t *)uint64 = (uint64_t)value;
	return true;
}

bool amount_rate(const char *text, void *as_double, const char **reason)
{
	const char *rest;
	double value;

	*reason = "a rate per second above 0, such as 20000 or 20k, is needed";
	if (!thousands(text, &value, &rest))
		return false;
	if (strcmp(rest, "") != 0 && strcmp(rest, "/s") != 0)
		return false;
	if (value <= 0 || value > 1e9)
		return false;
	*(double *)as_double = value;
	return true;
}

bool amount_time(const char *text, void *uint64_ns, const char **reason)
{
	const char *rest;
	double seconds;
	uint64_t ns;

	*reason = "a time such as 30s, 500ms or 1m30s is needed (a bare number is seconds)";
	if (decimal(text, &seconds, &rest) && (*rest == '\0' || strcmp(rest, "s") == 0)) {
		if (seconds > 1e8)
			return false;
		*(uint64_t *)uint64_ns = (uint64_t)(seconds * 1e9 + 0.5);
		return true;
	}
	if (!units_parse_duration(text, &ns))
		return false;
	*(uint64_t *)uint64_ns = ns;
	return true;
}

bool amount_size(const char *text, void *uint64_bytes, const char **reason)
{
	*reason = "a size such as 1024, 64k or 1M is needed";
	return units_parse_size(text, uint64_bytes);
}

bool amount_percent(const char *text, void *as_double, const char **reason)
{
	const char *rest;
	double value;

	*reason = "a percentage from 0 to 100 is needed";
	if (!decimal(text, &value, &rest) || value > 100)
		return false;
	if (strcmp(rest, "") != 0 && strcmp(rest, "%") != 0)
		return false;
	*(double *)as_double = value;
	return true;
}

bool amount_text(const char *text, void *const_char_pointer, const char **reason)
{
	*reason = "may not be empty";
	if (*text == '\0')
		return false;
	*(const char **)const_char_pointer = text;
	return true;
}

bool amount_texts(const char *text, void *texts, const char **reason)
{
	struct texts *list = texts;

	*reason = "given too often";
	if (list->count == TEXTS_MAX)
		return false;
	list->items[list->count++] = text;
	return true;
}

bool amount_status(const char *text, void *value, const char **reason)
{
	uint64_t status;

	*reason = "a status from 200 to 599 is needed";
	if (!units_parse_number(text, &status) || status < 200 || status > 599)
		return false;
	*(uint64_t *)value = status;
	return true;
}

typedef bool amount_parser(const char *text, void *value, const char **reason);

static bool weight(struct weights *weights, char *item, amount_parser *parse, const char **reason)
{
	char *colon = strchr(item, ':');
	double percent = 100;

	*reason = "too many values";
	if (weights->count == WEIGHTS_MAX)
		return false;
	if (colon != NULL) {
		*colon = '\0';
		if (!amount_percent(colon + 1, &percent, reason))
			return false;
	}
	if (!parse(item, &weights->values[weights->count], reason))
		return false;
	weights->percents[weights->count++] = percent;
	return true;
}

static bool parse_weights(const char *text, struct weights *out, amount_parser *parse,
                          const char **reason)
{
	struct weights weights = { .count = 0 };
	double sum = 0;
	char copy[256];
	char *item = copy;
	uint32_t i;

	*reason = "too long";
	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	while (item != NULL) {
		char *comma = strchr(item, ',');

		if (comma != NULL)
			*comma++ = '\0';
		if (!weight(&weights, item, parse, reason))
			return false;
		item = comma;
	}
	for (i = 0; i < weights.count; i++)
		sum += weights.percents[i];
	*reason = "the percentages exceed 100";
	if (sum > 100.000001)
		return false;
	*out = weights;
	return true;
}

bool amount_time_weights(const char *text, void *weights, const char **reason)
{
	return parse_weights(text, weights, amount_time, reason);
}

bool amount_status_weights(const char *text, void *weights, const char **reason)
{
	return parse_weights(text, weights, amount_status, reason);
}

uint64_t weights_draw(const struct weights *weights, struct draw *draw, uint64_t none)
{
	double left;
	uint32_t i;

	if (weights->count == 0)
		return none;
	left = draw_unit(draw) * 100;
	for (i = 0; i < weights->count; i++) {
		if (left < weights->percents[i])
			return weights->values[i];
		left -= weights->percents[i];
	}
	return none;
}

static const char *format(char text[AMOUNT_TEXT_MAX], double value, const char *unit)
{
	int digits = value < 10 ? 2 : value < 100 ? 1 : 0;

	(void)snprintf(text, AMOUNT_TEXT_MAX, "%.*f%s", digits, value, unit);
	return text;
}

const char *amount_format_time(char text[AMOUNT_TEXT_MAX], double ns)
{
	if (ns < 1e3) {
		(void)snprintf(text, AMOUNT_TEXT_MAX, "%.0fns", ns);
		return text;
	}
	if (ns < 1e6)
		return format(text, ns / 1e3, "us");
	if (ns < 1e9)
		return format(text, ns / 1e6, "ms");
	return format(text, ns / 1e9, "s");
}

const char *amount_format_bytes(char text[AMOUNT_TEXT_MAX], double bytes)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB" };
	uint32_t unit = 0;

	while (bytes >= 1024 && unit + 1 < ARRAY_COUNT(units)) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(text, AMOUNT_TEXT_MAX, unit == 0 ? "%.0f%s" : "%.2f%s", bytes, units[unit]);
	return text;
}
