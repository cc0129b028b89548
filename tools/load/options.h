/* SPDX-License-Identifier: MIT */
/*
 * options - command lines by table: one row is an option's name, letter, value, place and manual
 * sentence, and drives parsing, --help and the suggestion after a typing error alike.
 *
 * Read as wrk does: -t2, -t 2, --timeout 2s, --timeout=2s; options and other words in any order;
 * "--" ends the options.
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdio.h>

#include "amounts.h"

struct option_row {
	const char *name;     /* without the dashes; NULL: a heading, `text` */
	char letter;          /* 0: none */
	const char *argument; /* what help calls the value; NULL: a flag, the place is a bool */
	bool (*parse)(const char *text, void *place, const char **reason);
	size_t place;             /* in the struct that is filled */
	const char *text;         /* what it does; lines split at \n */
	const char *const *words; /* the place is an int: which of these, ended by NULL */
};

/* Fill `target` from the words after the program's name. Others go to `rest`. On failure returns
 * false after one line on `complaints`, "PROGRAM: what is wrong". */
bool options_parse(const struct option_row *rows, uint32_t rows_count, const char *program,
                   int argc, char **argv, void *target, struct texts *rest, FILE *complaints);
void options_help(const struct option_row *rows, uint32_t rows_count, FILE *out);

#endif
