/* SPDX-License-Identifier: MIT */
/*
 * verdict.c - parsing and looking up, as in verdict.h.
 */
#include "verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amounts.h"
#include "outcome.h"

enum what { RPS, ERRORS, COMPLETED, TIMEOUTS, NON2XX, REFUSED, BYTES, MEAN, MAX, PERCENTILE };
enum compare { BELOW, ABOVE, EQUAL, AT_MOST, AT_LEAST };

static const struct name {
	const char *name;
	enum what what;
	bool is_time;
} names[] = {
	{ "rps", RPS, false },           { "errors", ERRORS, false },
	{ "completed", COMPLETED, false }, { "timeouts", TIMEOUTS, false },
	{ "non2xx", NON2XX, false },     { "refused", REFUSED, false },
	{ "bytes", BYTES, false },       { "mean", MEAN, true },
	{ "max", MAX, true },
};

static bool take_name(struct condition *condition, const char *text, size_t length, bool *is_time)
{
	char *end;
	size_t i;

	for (i = 0; i < ARRAY_COUNT(names); i++) {
		if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0) {
			condition->what = names[i].what;
			*is_time = names[i].is_time;
			return true;
		}
	}
	if (length < 2 || text[0] != 'p' || text[1] < '0' || text[1] > '9')
		return false;
	condition->what = PERCENTILE;
	condition->percentile = strtod(text + 1, &end);
	*is_time = true;
	return end == text + length && condition->percentile <= 100;
}

static bool take_compare(struct condition *condition, const char **at)
{
	const char *text = *at;

	condition->compare = text[0] == '<' ? BELOW : text[0] == '>' ? ABOVE : EQUAL;
	if (text[0] == '=' || text[1] != '=') {
		*at += text[0] == '=' && text[1] == '=' ? 2 : 1;
		return text[0] != '\0';
	}
	condition->compare = text[0] == '<' ? AT_MOST : AT_LEAST;
	*at += 2;
	return true;
}

static bool parse_condition(struct condition *condition, const char *text, const char **reason)
{
	size_t length = strcspn(text, "<>=");
	const char *at = text + length;
	bool is_time = false;
	uint64_t ns;

	*reason = "a condition is NAME<VALUE, NAME>VALUE or NAME=VALUE; NAME is rps, errors, "
		  "completed, timeouts, non2xx, refused, bytes, mean, max or a percentile such as "
		  "p99.9";
	(void)snprintf(condition->text, sizeof(condition->text), "%s", text);
	if (!take_name(condition, text, length, &is_time) || !take_compare(condition, &at))
		return false;
	if (!is_time) {
		if (strcmp(at, "0") == 0) {
			condition->value = 0;
			return true;
		}
		return amount_rate(at, &condition->value, reason);
	}
	if (!amount_time(at, &ns, reason))
		return false;
	condition->value = (double)ns;
	return true;
}

bool verdict_parse(struct verdict *verdict, const char *text, const char **reason)
{
	char part[48];

	verdict->count = 0;
	while (*text != '\0') {
		size_t length = strcspn(text, ",");

		*reason = "too many conditions, or one that is too long";
		if (length >= sizeof(part) || verdict->count == VERDICT_CONDITIONS_MAX)
			return false;
		memcpy(part, text, length);
		part[length] = '\0';
		if (!parse_condition(&verdict->conditions[verdict->count++], part, reason))
			return false;
		text += length + (text[length] == ',');
	}
	*reason = "a condition is needed";
	return verdict->count > 0;
}

double condition_value(const struct condition *condition, const struct outcome *outcome)
{
	const struct tally *total = outcome->total;
	const struct histogram *times = outcome_times(outcome);

	switch ((enum what)condition->what) {
	case RPS:
		return outcome_rps(outcome);
	case ERRORS:
		return (double)(tally_faults(total) + tally_get(total, unfinished));
	case COMPLETED:
		return (double)tally_get(total, completed);
	case TIMEOUTS:
		return (double)tally_faults_of(total, FAULT_TIMEOUT);
	case NON2XX:
		return (double)tally_get(total, not_2xx_3xx);
	case REFUSED:
		return (double)tally_refused(total);
	case BYTES:
		return (double)tally_get(total, bytes_in);
	case MEAN:
		return histogram_mean(times);
	case MAX:
		return (double)histogram_max(times);
	case PERCENTILE:
		return (double)histogram_value_at_percentile(times, condition->percentile);
	}
	unreachable();
	return 0;
}

bool condition_holds(const struct condition *condition, const struct outcome *outcome)
{
	double value = condition_value(condition, outcome);

	switch ((enum compare)condition->compare) {
	case BELOW:
		return value < condition->value;
	case ABOVE:
		return value > condition->value;
	case EQUAL:
		return value == condition->value;
	case AT_MOST:
		return value <= condition->value;
	case AT_LEAST:
		return value >= condition->value;
	}
	unreachable();
	return false;
}
