/* SPDX-License-Identifier: MIT */
/*
 * answer.c - drawing and overriding, as in answer.h.
 */
#include "answer.h"

#include <string.h>

static bool chance(double percent, struct draw *draw)
{
	return percent > 0 && draw_unit(draw) * 100 < percent;
}

void answer_draw(const struct answer_policy *policy, struct draw *draw, struct answer *answer)
{
	*answer = (struct answer){
		.size = policy->size,
		.delay_ns = weights_draw(&policy->delays, draw, 0),
		.status = weights_draw(&policy->statuses, draw, 200),
		.cut = UINT64_MAX,
		.close = chance(policy->close_percent, draw),
		.reset = chance(policy->reset_percent, draw),
		.chunked = policy->chunked || policy->trailers,
		.trailers = policy->trailers,
		.informational = policy->informational,
		.echo = policy->echo,
	};
}

static bool parse_flag(const char *text, void *place, const char **reason)
{
	*reason = "0 or 1 is needed";
	if ((text[0] != '0' && text[0] != '1') || text[1] != '\0')
		return false;
	*(bool *)place = text[0] == '1';
	return true;
}

static const struct key {
	const char *name;
	bool (*parse)(const char *text, void *place, const char **reason);
	size_t place;
} keys[] = {
	{ "size", amount_size, offsetof(struct answer, size) },
	{ "delay", amount_time, offsetof(struct answer, delay_ns) },
	{ "status", amount_status, offsetof(struct answer, status) },
	{ "cut", amount_size, offsetof(struct answer, cut) },
	{ "close", parse_flag, offsetof(struct answer, close) },
	{ "reset", parse_flag, offsetof(struct answer, reset) },
	{ "chunked", parse_flag, offsetof(struct answer, chunked) },
	{ "trailers", parse_flag, offsetof(struct answer, trailers) },
	{ "1xx", parse_flag, offsetof(struct answer, informational) },
	{ "echo", parse_flag, offsetof(struct answer, echo) },
};

static bool take_pair(struct answer *answer, const char *name, size_t name_count, const char *value,
                      size_t value_count)
{
	const char *reason;
	char text[32];
	size_t i;

	for (i = 0; i < ARRAY_COUNT(keys); i++)
		if (strlen(keys[i].name) == name_count &&
		    memcmp(keys[i].name, name, name_count) == 0)
			break;
	if (i == ARRAY_COUNT(keys))
		return true;
	if (value_count >= sizeof(text))
		return false;
	memcpy(text, value, value_count);
	text[value_count] = '\0';
	return keys[i].parse(text, (char *)answer + keys[i].place, &reason);
}

bool answer_query(struct answer *answer, const char *target, uint32_t count)
{
	const char *at = memchr(target, '?', count);
	const char *end = target + count;

	if (at == NULL)
		return true;
	for (at++; at < end; at++) {
		const char *stop = memchr(at, '&', (size_t)(end - at));
		const char *equals;

		if (stop == NULL)
			stop = end;
		equals = memchr(at, '=', (size_t)(stop - at));
		if (equals != NULL && !take_pair(answer, at, (size_t)(equals - at), equals + 1,
		                                 (size_t)(stop - equals) - 1))
			return false;
		at = stop;
	}
	if (answer->trailers)
		answer->chunked = true;
	return true;
}
