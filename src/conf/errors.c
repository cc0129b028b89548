/* SPDX-License-Identifier: MIT */
/*
 * errors.c - all that is wrong with a file, found in any order, shown in the order of its lines.
 *
 * The rows are allocated once, for CONF_ERRORS_MAX of them. An error that finds no room or no
 * memory is counted as dropped, so a file that has errors never looks like one that has none.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

void conf_errors_init(struct conf_errors *errors)
{
	memset(errors, 0, sizeof(*errors));
	errors->rows = calloc(CONF_ERRORS_MAX, sizeof(errors->rows[0]));
}

void conf_errors_add(struct conf_errors *errors, int line, const char *format, ...)
{
	va_list arguments;
	char *text;
	int len;

	assert(line >= 0);
	assert(errors->count <= CONF_ERRORS_MAX);
	if (!errors->rows || errors->count == CONF_ERRORS_MAX) {
		errors->dropped++;
		return;
	}
	va_start(arguments, format);
	len = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (len < 0) {
		errors->dropped++;
		return;
	}
	assert(len > 0);
	errors->rows[errors->count++] = (struct conf_error){ .line = line, .text = text };
}

void conf_errors_add_memory(struct conf_errors *errors)
{
	conf_errors_add(errors, 0, "not enough memory to read the configuration");
}

/* Insertion sort: it is stable, and there are at most CONF_ERRORS_MAX. */
void conf_errors_sort(struct conf_errors *errors)
{
	assert(errors->count <= CONF_ERRORS_MAX);
	for (uint32_t i = 1; i < errors->count; i++) {
		struct conf_error moved = errors->rows[i];
		uint32_t to = i;

		for (; to > 0 && errors->rows[to - 1].line > moved.line; to--)
			errors->rows[to] = errors->rows[to - 1];
		errors->rows[to] = moved;
	}
}

void conf_errors_print(const struct conf_errors *errors, const char *path, FILE *out)
{
	assert(path);
	assert(out);
	for (uint32_t i = 0; i < errors->count; i++) {
		const struct conf_error *error = &errors->rows[i];

		if (error->line > 0)
			fprintf(out, "%s:%d: %s\n", path, error->line, error->text);
		else
			fprintf(out, "%s: %s\n", path, error->text);
	}
	if (errors->dropped > 0)
		fprintf(out, "%s: and %u more errors\n", path, errors->dropped);
}

void conf_errors_free(struct conf_errors *errors)
{
	assert(errors->rows || errors->count == 0);
	for (uint32_t i = 0; i < errors->count; i++)
		free(errors->rows[i].text);
	free(errors->rows);
	memset(errors, 0, sizeof(*errors));
}
