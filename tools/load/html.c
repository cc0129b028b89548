/* SPDX-License-Identifier: MIT */
/*
 * html.c - putting data into the page.
 *
 * The data stands in a script element of type application/json, in which only "</" could end it
 * early; the JSON has it in strings only, where "<\/" says the same.
 */
#include "html.h"

#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "report_json.h"

#define MARK "@DATA@"
#define PROGRAM "sluice-load plot"

static void put_data(FILE *out, const char *data, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (data[i] == '<' && i + 1 < count && data[i + 1] == '/')
			fputs("<\\", out);
		else
			fputc(data[i], out);
	}
}

static void put_page(FILE *out, const char *data, size_t count)
{
	const char *mark = strstr(html_page, MARK);

	assert(mark != NULL);
	(void)fwrite(html_page, 1, (size_t)(mark - html_page), out);
	put_data(out, data, count);
	fputs(mark + strlen(MARK), out);
}

void html_write(FILE *out, const struct outcome *outcomes, uint32_t count)
{
	char *json = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&json, &bytes);

	assert(memory != NULL);
	report_json(memory, outcomes, count);
	(void)fclose(memory);
	put_page(out, json, bytes);
	free(json);
}

/* The whole file, or NULL when it cannot be read or is not ours. */
static char *read_json(const char *path, size_t *count)
{
	static const char beginning[] = "{\"schema\":\"sluice-load.1\"";
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;
	ssize_t bytes = -1;

	if (file != NULL) {
		bytes = getdelim(&text, &room, '\0', file);
		(void)fclose(file);
	}
	if (bytes > 0 && strncmp(text, beginning, sizeof(beginning) - 1) == 0) {
		*count = (size_t)bytes;
		return text;
	}
	free(text);
	return NULL;
}

struct plot_options {
	const char *output;
	bool help;
};

static const struct option_row rows[] = {
	{ "output", 'o', "FILE", amount_text, offsetof(struct plot_options, output),
	  "the page (standard output)", NULL },
	{ "help", 'h', NULL, NULL, offsetof(struct plot_options, help), "this text", NULL },
};

int plot_main(int argc, char **argv)
{
	struct plot_options options = { .help = false };
	struct texts files = { .count = 0 };
	FILE *out = stdout;
	size_t count;
	char *json;

	if (!options_parse(rows, ARRAY_COUNT(rows), PROGRAM, argc, argv, &options, &files, stderr))
		return 1;
	if (options.help || files.count != 1) {
		printf("usage: sluice-load plot [-o PAGE] FILE\n\n"
		       "A page with charts of --json FILE.\n");
		options_help(rows, ARRAY_COUNT(rows), stdout);
		return options.help ? 0 : 1;
	}
	json = read_json(files.items[0], &count);
	if (json == NULL) {
		fprintf(stderr, PROGRAM ": %s: not the --json of a run\n", files.items[0]);
		return 1;
	}
	if (options.output != NULL)
		out = fopen(options.output, "w");
	if (out == NULL)
		fprintf(stderr, PROGRAM ": %s: cannot be written\n", options.output);
	else
		put_page(out, json, count);
	free(json);
	if (out == NULL)
		return 1;
	return fclose(out) == 0 ? 0 : 1;
}
