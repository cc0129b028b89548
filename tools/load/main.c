/* SPDX-License-Identifier: MIT */
/*
 * main.c - sluice-load: one program, several commands.
 *
 *      sluice-load [OPTIONS] URL ..     put load on targets and measure (what wrk and wrk2 do)
 *      sluice-load serve [ADDRESS ..]   the test origin
 *      sluice-load merge FILE ..        add HdrHistogram logs up
 *      sluice-load plot FILE            a page with charts from --json
 */
#include <string.h>

#include "base/assert.h"
#include "html.h"
#include "load.h"
#include "merge.h"
#include "serve.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "serve", serve_main },
	{ "merge", merge_main },
	{ "plot", plot_main },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 1 && i < ARRAY_COUNT(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	return load_main(argc - 1, argv + 1);
}
