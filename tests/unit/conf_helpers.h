/* SPDX-License-Identifier: MIT */
/*
 * conf_helpers.h - what the tests of conf/ have in common: texts, and what is said about them.
 */
#ifndef TESTS_UNIT_CONF_HELPERS_H
#define TESTS_UNIT_CONF_HELPERS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

#define TEXT_MAX 4096

static inline char *read_text(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = calloc(1, CONF_FILE_MAX);
	size_t len;

	assert(text);
	if (!file)
		return text;
	len = fread(text, 1, CONF_FILE_MAX - 1, file);
	assert(len < CONF_FILE_MAX - 1);
	fclose(file);
	return text;
}

/* What would be printed about a text; empty when it loads. The caller frees it. */
static inline char *complaints_len(const char *text, size_t text_len)
{
	struct conf_errors errors;
	struct conf *conf = conf_load_text("x.ini", text, text_len, &errors);
	char *said = NULL;
	size_t len;
	FILE *out = open_memstream(&said, &len);

	conf_errors_print(&errors, "x.ini", out);
	fclose(out);
	assert((conf == NULL) == (len > 0));
	conf_errors_free(&errors);
	if (conf)
		conf_unref(conf);
	return said;
}

static inline bool says(const char *text, const char *part)
{
	char *said = complaints_len(text, strlen(text));
	bool found = *part ? strstr(said, part) != NULL : *said == '\0';

	if (!found)
		printf("expected: %s\nbut said: %s\n", part, said);
	free(said);
	return found;
}

static inline bool is_silent_about(const char *text, const char *part)
{
	char *said = complaints_len(text, strlen(text));
	bool is_silent = strstr(said, part) == NULL;

	if (!is_silent)
		printf("unexpected: %s\n", said);
	free(said);
	return is_silent;
}

/* A file that is whole, with these lines in addition in its sections. */
static inline const char *whole(char text[TEXT_MAX], const char *proxy, const char *listener,
				const char *upstream)
{
	int len = snprintf(text, TEXT_MAX,
			   "[proxy]\n%s\n[listener web]\nbind = 127.0.0.1:80\nupstream = app\n%s\n"
			   "[upstream app]\nserver = 127.0.0.1:81\n%s\n",
			   proxy, listener, upstream);

	assert(len < TEXT_MAX);
	return text;
}

/* The same with mode = http and a route that leads to app. */
static inline const char *whole_http(char text[TEXT_MAX], const char *listener, const char *route)
{
	int len = snprintf(text, TEXT_MAX,
			   "[listener web]\nbind = 127.0.0.1:80\nmode = http\nupstream = app\n%s\n"
			   "[upstream app]\nserver = 127.0.0.1:81\n"
			   "[route r]\npath = /api/*\n%s\n",
			   listener, route);

	assert(len < TEXT_MAX);
	return text;
}

static inline struct conf *load(const char *text)
{
	struct conf_errors errors;
	struct conf *conf = conf_load_text("x.ini", text, strlen(text), &errors);

	conf_errors_print(&errors, "x.ini", stdout);
	conf_errors_free(&errors);
	return conf;
}

/* Append to a text that has room for CONF_FILE_MAX bytes. */
__attribute__((format(printf, 3, 4))) static inline void text_append(char *text, size_t *len,
								     const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	*len += (size_t)vsnprintf(text + *len, CONF_FILE_MAX - *len, format, arguments);
	va_end(arguments);
	assert(*len < CONF_FILE_MAX);
}

#endif
