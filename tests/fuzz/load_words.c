/* SPDX-License-Identifier: MIT */
/*
 * load_words.c - any lines as the words of a command line, as amounts, conditions, source
 * addresses and templates.
 *
 * Properties:
 *   (1) What is refused has a reason, and left the value as it was; a refused command line has one
 *       line of complaint.
 *   (2) What is taken keeps the limits of its kind.
 *   (3) A template writes no more than it announced, and the same each time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "options.h"
#include "source.h"
#include "template.h"
#include "verdict.h"

#define TEXT_MAX 4096
#define WORDS_MAX 64

struct target {
	uint64_t count;
	uint64_t time_ns;
	uint64_t size;
	double rate;
	double percent;
	const char *text;
	struct texts texts;
	struct weights weights;
	int word;
	bool flag;
};

static const char *const words[] = { "one", "two", "three", NULL };
#define AT(member) offsetof(struct target, member)
static const struct option_row rows[] = {
	{ .text = "Heading:" },
	{ "count", 'c', "N", amount_count, AT(count), "text", NULL },
	{ "duration", 'd', "T", amount_time, AT(time_ns), "text", NULL },
	{ "size", 0, "SIZE", amount_size, AT(size), "text", NULL },
	{ "rate", 'R', "N", amount_rate, AT(rate), "two\nlines", NULL },
	{ "percent", 0, "%", amount_percent, AT(percent), "text", NULL },
	{ "text", 't', "TEXT", amount_text, AT(text), "text", NULL },
	{ "header", 'H', "LINE", amount_texts, AT(texts), "text", NULL },
	{ "delay", 0, "T:%", amount_time_weights, AT(weights), "text", NULL },
	{ "status", 0, "S:%", amount_status_weights, AT(weights), "text", NULL },
	{ "mode", 0, "one|two|three", NULL, AT(word), "text", words },
	{ "quiet", 'q', NULL, NULL, AT(flag), NULL, NULL },
};

static void check_target(const struct target *target)
{
	double sum = 0;
	uint32_t i;

	assert(target->count <= 1000000000000000ull);
	assert(isfinite(target->rate) && target->rate >= 0 && target->rate <= 1e9);
	assert(target->percent >= 0 && target->percent <= 100);
	assert(target->text == NULL || target->text[0] != '\0');
	assert(target->texts.count <= TEXTS_MAX && target->weights.count <= WEIGHTS_MAX);
	for (i = 0; i < target->weights.count; i++)
		sum += target->weights.percents[i];
	assert(sum <= 100.0001);
	assert(target->word >= 0 && target->word < 3);
}

static void check_command_line(int argc, char **argv)
{
	struct target target = { .count = 1 };
	struct texts rest = { .count = 0 };
	char *complaint = NULL;
	size_t bytes = 0;
	FILE *complaints = open_memstream(&complaint, &bytes);
	bool good;

	assert(complaints != NULL);
	good = options_parse(rows, ARRAY_COUNT(rows), "fuzz", argc, argv, &target, &rest,
	                     complaints);
	(void)fclose(complaints);
	check_target(&target);
	assert(good == (bytes == 0));
	if (!good)
		assert(strncmp(complaint, "fuzz: ", 6) == 0 && complaint[bytes - 1] == '\n');
	free(complaint);
}

static void check_template(const char *text, uint64_t count)
{
	const struct template_values values = { 12345678901ull, 7, 1 };
	const char *reason = NULL;
	struct template template;
	bool users = template_check(text, count, &reason);
	char *first, *second;
	uint32_t bytes;

	if (!template_open(&template, text, count, &reason)) {
		assert(!users && reason != NULL);
		return;
	}
	first = malloc(template.room + 1u);
	second = malloc(template.room + 1u);
	assert(first != NULL && second != NULL);
	bytes = template_fill(&template, first, &values);
	assert(bytes <= template.room);
	assert(template_fill(&template, second, &values) == bytes);
	assert(memcmp(first, second, bytes) == 0);
	if (memchr(text, '{', count) == NULL)
		assert(bytes == count && memcmp(first, text, count) == 0);
	free(first);
	free(second);
	template_close(&template);
}

static void check_word(const char *word)
{
	struct verdict verdict;
	struct source source = { .family = -1 };
	const char *reason = NULL;
	unsigned i;

	if (verdict_parse(&verdict, word, &reason)) {
		assert(verdict.count > 0 && verdict.count <= VERDICT_CONDITIONS_MAX);
		for (i = 0; i < verdict.count; i++)
			assert(isfinite(verdict.conditions[i].value));
	} else {
		assert(reason != NULL);
	}
	reason = NULL;
	if (source_parse(&source, word, &reason))
		assert(source.count >= 1 && source.count <= 1u << 24);
	else
		assert(reason != NULL && source.family == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[TEXT_MAX];
	char *argv[WORDS_MAX + 1];
	size_t count = len < TEXT_MAX ? len : TEXT_MAX - 1;
	char *word = text;
	int argc = 0;

	if (count > 0)
		memcpy(text, data, count);
	text[count] = '\0';
	check_template(text, count);
	while (argc < WORDS_MAX && word != NULL) {
		char *end = strchr(word, '\n');

		if (end != NULL)
			*end++ = '\0';
		argv[argc++] = word;
		check_word(word);
		word = end;
	}
	argv[argc] = NULL;
	check_command_line(argc, argv);
	return 0;
}
