/* SPDX-License-Identifier: MIT */
/*
 * options.c - the command lines of options.h.
 */
#include "options.h"

#include <string.h>

#include "base/nearest.h"

#define NAMES_MAX 96
#define HELP_COLUMN 28

struct reader {
	const struct option_row *rows;
	uint32_t rows_count;
	const char *program;
	char **argv;
	int argc;
	int at;
	void *target;
	FILE *complaints;
};

static const struct option_row *by_name(const struct reader *reader, const char *name,
                                        size_t length)
{
	uint32_t i;

	for (i = 0; i < reader->rows_count; i++) {
		const struct option_row *row = &reader->rows[i];

		if (row->name != NULL && strlen(row->name) == length &&
		    memcmp(row->name, name, length) == 0)
			return row;
	}
	return NULL;
}

static const struct option_row *by_letter(const struct reader *reader, char letter)
{
	uint32_t i;

	for (i = 0; i < reader->rows_count; i++)
		if (reader->rows[i].name != NULL && reader->rows[i].letter == letter)
			return &reader->rows[i];
	return NULL;
}

static bool complain_unknown(const struct reader *reader, const char *word)
{
	const char *names[NAMES_MAX];
	const char *nearest;
	char name[64];
	uint32_t count = 0;
	uint32_t i;

	for (i = 0; i < reader->rows_count && count < NAMES_MAX; i++)
		if (reader->rows[i].name != NULL)
			names[count++] = reader->rows[i].name;
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	nearest = word[0] == '-' && word[1] == '-' ? nearest_word(name + 2, names, count) : NULL;
	fprintf(reader->complaints, "%s: unknown option %s", reader->program, name);
	if (nearest != NULL)
		fprintf(reader->complaints, "; did you mean --%s?", nearest);
	fprintf(reader->complaints, " (--help lists them)\n");
	return false;
}

static bool take_word(const struct reader *reader, const struct option_row *row, const char *text)
{
	const char *nearest;
	size_t count;

	for (count = 0; row->words[count] != NULL; count++) {
		if (strcmp(row->words[count], text) == 0) {
			*(int *)(void *)((char *)reader->target + row->place) = (int)count;
			return true;
		}
	}
	nearest = nearest_word(text, row->words, count);
	fprintf(reader->complaints, "%s: --%s %s: one of %s is needed", reader->program, row->name,
	        text, row->argument);
	if (nearest != NULL)
		fprintf(reader->complaints, "; did you mean %s?", nearest);
	fputc('\n', reader->complaints);
	return false;
}

static bool take_value(const struct reader *reader, const struct option_row *row, const char *text)
{
	const char *reason = "";

	if (row->words != NULL)
		return take_word(reader, row, text);
	if (row->parse(text, (char *)reader->target + row->place, &reason))
		return true;
	fprintf(reader->complaints, "%s: --%s %s: %s\n", reader->program, row->name, text, reason);
	return false;
}

/* The value is `attached`, or the next word. */
static bool take_option(struct reader *reader, const struct option_row *row, const char *attached)
{
	if (attached == NULL) {
		if (reader->at >= reader->argc) {
			fprintf(reader->complaints, "%s: --%s needs a value: %s\n", reader->program,
			        row->name, row->argument);
			return false;
		}
		attached = reader->argv[reader->at++];
	}
	return take_value(reader, row, attached);
}

static void set_flag(struct reader *reader, const struct option_row *row)
{
	*(bool *)((char *)reader->target + row->place) = true;
}

static bool take_long(struct reader *reader, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t length = equals != NULL ? (size_t)(equals - word) - 2 : strlen(word) - 2;
	const struct option_row *row = by_name(reader, word + 2, length);

	if (row == NULL)
		return complain_unknown(reader, word);
	if (row->argument != NULL)
		return take_option(reader, row, equals != NULL ? equals + 1 : NULL);
	if (equals != NULL) {
		fprintf(reader->complaints, "%s: --%s takes no value\n", reader->program,
		        row->name);
		return false;
	}
	set_flag(reader, row);
	return true;
}

static bool take_short(struct reader *reader, const char *word)
{
	const char *at;

	for (at = word + 1; *at != '\0'; at++) {
		const struct option_row *row = by_letter(reader, *at);

		if (row == NULL)
			return complain_unknown(reader, word);
		if (row->argument != NULL)
			return take_option(reader, row, at[1] != '\0' ? at + 1 : NULL);
		set_flag(reader, row);
	}
	return true;
}

bool options_parse(const struct option_row *rows, uint32_t rows_count, const char *program,
                   int argc, char **argv, void *target, struct texts *rest, FILE *complaints)
{
	struct reader reader = {
		.rows = rows,
		.rows_count = rows_count,
		.program = program,
		.argv = argv,
		.argc = argc,
		.target = target,
		.complaints = complaints,
	};
	bool options_ended = false;
	const char *reason = "";

	assert(rows_count <= NAMES_MAX);
	while (reader.at < argc) {
		const char *word = argv[reader.at++];
		bool good;

		if (options_ended || word[0] != '-' || word[1] == '\0')
			good = amount_texts(word, rest, &reason);
		else if (strcmp(word, "--") == 0)
			good = options_ended = true;
		else if (word[1] == '-')
			good = take_long(&reader, word);
		else
			good = take_short(&reader, word);
		if (!good) {
			if (*reason != '\0' && rest->count == TEXTS_MAX)
				fprintf(complaints, "%s: too many words\n", program);
			return false;
		}
	}
	return true;
}

static void help_row(const struct option_row *row, FILE *out)
{
	char left[64];
	const char *text = row->text;
	int width;

	width = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", row->letter ? '-' : ' ',
	                 row->letter ? row->letter : ' ', row->letter ? "," : " ", row->name,
	                 row->argument ? " " : "", row->argument ? row->argument : "");
	fputs(left, out);
	if (width >= HELP_COLUMN) {
		fputc('\n', out);
		width = 0;
	}
	while (text != NULL) {
		const char *newline = strchr(text, '\n');

		fprintf(out, "%*s%.*s\n", HELP_COLUMN - width, "",
		        newline != NULL ? (int)(newline - text) : (int)strlen(text), text);
		text = newline != NULL ? newline + 1 : NULL;
		width = 0;
	}
}

void options_help(const struct option_row *rows, uint32_t rows_count, FILE *out)
{
	uint32_t i;

	for (i = 0; i < rows_count; i++) {
		if (rows[i].name == NULL)
			fprintf(out, "\n%s\n", rows[i].text);
		else if (rows[i].text != NULL)
			help_row(&rows[i], out);
	}
}
