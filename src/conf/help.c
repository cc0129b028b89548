/* SPDX-License-Identifier: MIT */
/*
 * help.c - `sluice --help-config`: the rows of keys.def as a manual.
 *
 *     [listener NAME] backlog
 *         type      whole number, connections
 *         default   4096
 *         bounds    1 to 65535
 *         applies   on reload
 *
 *         Connections that the kernel ...
 */
#include <string.h>

#include "base/nearest.h"
#include "conf/conf.h"
#include "keys.h"

#define HELP_COLUMNS 78
#define HELP_INDENT 4

static const char *const type_names[KEY_TYPE_COUNT] = {
	[KEY_NUMBER] = "whole number",
	[KEY_SIZE] = "size: bytes, or with K, M or G",
	[KEY_DURATION] = "duration: with us, ms, s, m or h",
	[KEY_WORD] = "one of",
	[KEY_SWITCH] = "switch:",
	[KEY_CPUS] = "list of CPUs as 0-3,6, or",
	[KEY_LOG] = "path with a slash in it, or",
	[KEY_PROTOCOLS] = "names separated by blanks, or",
	[KEY_TARGET] = "path, and perhaps a query",
	[KEY_STATUSES] = "status, or a range of them",
	[KEY_FLAG] = "written alone, or not at all",
	[KEY_USER] = "name of a user",
	[KEY_GROUP] = "name of a group",
	[KEY_NAME] = "name: letters, digits, _, - and .",
	[KEY_ADDRESS] = "address",
	[KEY_PAGE] = "STATUS PATH",
	[KEY_SERVER] = "address [weight=N] [max_sessions=N] [backup] [name=X] [addresses=N]",
	[KEY_UPSTREAM] = "name of an [upstream NAME]",
	[KEY_LISTENER] = "name of a [listener NAME]",
	[KEY_HOST] = "host, or *.suffix",
	[KEY_PATH] = "/path, or /prefix/*",
	[KEY_METHOD] = "method, in capitals",
	[KEY_FIELD] = "Name: value, or Name: *",
	[KEY_TARGETS] = "name of an [upstream NAME], or NAME=WEIGHT, NAME=WEIGHT..",
	[KEY_RESPOND] = "STATUS [TEXT]",
	[KEY_REDIRECT] = "STATUS LOCATION",
	[KEY_LINE] = "Name: value",
	[KEY_FIELD_NAME] = "name of a header",
	[KEY_PREFIX] = "/prefix",
	[KEY_AUTHORITY] = "host or host:port, or",
	[KEY_CIDRS] = "addresses and blocks, separated by commas",
	[KEY_SOURCE] = "address without port",
	[KEY_RESOLVER] = "address, or address:port",
};

/* Words up to the column, then on the next line. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		assert(word > 0);
		if (column > 0 && column + 1 + word > HELP_COLUMNS) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%*s%.*s", column > 0 ? 1 : HELP_INDENT, "",
					  (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_heading(FILE *out, const struct conf_key *key)
{
	switch (key->section) {
	case SECTION_PROXY:
		fprintf(out, "[proxy] %s\n", key->name);
		return;
	case SECTION_LISTENER:
	case SECTION_UPSTREAM:
	case SECTION_ROUTE:
		fprintf(out, "[%s NAME] %s\n", keys_section_names[key->section], key->name);
		return;
	case SECTION_SERVER:
		fprintf(out, "[upstream NAME] server = ... %s%s\n", key->name,
			key->type == KEY_FLAG ? "" : "=");
		return;
	case SECTION_COUNT:
		break;
	}
	unreachable();
}

static void print_type(FILE *out, const struct conf_key *key)
{
	char words[KEY_WORDS_TEXT_MAX];
	bool is_quantity = key->type == KEY_NUMBER || key->type == KEY_SIZE ||
			   key->type == KEY_DURATION;

	assert(type_names[key->type]);
	fprintf(out, "    type      %s", type_names[key->type]);
	if (key->type == KEY_NUMBER)
		fprintf(out, ", %s", key->unit);
	if (key->words)
		fprintf(out, "%s %s", is_quantity ? ", or" : "", key_words_join(words, key));
	fputc('\n', out);
}

static const char *default_text(const struct conf_key *key)
{
	if (key->fallback)
		return key->fallback;
	switch (key->often) {
	case KEY_OPTIONAL:
		return "(unset)";
	case KEY_REPEATS:
		return "none, required; may repeat";
	case KEY_MANY:
		return "(unset); may repeat";
	}
	unreachable();
	return "";
}

static void print_key(FILE *out, const struct conf_key *key)
{
	print_heading(out, key);
	print_type(out, key);
	fprintf(out, "    default   %s\n", default_text(key));
	if (key->min)
		fprintf(out, "    bounds    %s to %s\n", key->min, key->max);
	if (key->is_http)
		fprintf(out, "    needs     mode = http\n");
	fprintf(out, "    applies   %s\n\n",
		key->applies == KEY_RELOAD ? "on reload" : "on restart");
	print_wrapped(out, key->manual);
}

/* "name", or "section.name". */
static bool key_is_called(const struct conf_key *key, const char *called)
{
	const char *section = keys_section_names[key->section];
	size_t len = strlen(section);

	if (!strcmp(key->name, called))
		return true;
	return !strncmp(called, section, len) && called[len] == '.' &&
	       !strcmp(called + len + 1, key->name);
}

static bool unknown(FILE *err, const char *called)
{
	const char *names[KEYS_MAX];
	const char *dot = strrchr(called, '.');
	const char *meant;

	assert(called);
	for (size_t i = 0; i < conf_keys_count; i++)
		names[i] = conf_keys[i].name;
	meant = nearest_word(dot ? dot + 1 : called, names, conf_keys_count);
	if (meant)
		fprintf(err, "unknown key \"%s\"; did you mean \"%s\"?\n", called, meant);
	else
		fprintf(err, "unknown key \"%s\"; without one, all are listed\n", called);
	return false;
}

bool conf_help(FILE *out, FILE *err, const char *key)
{
	size_t printed = 0;

	assert(out);
	assert(err);
	for (size_t i = 0; i < conf_keys_count; i++) {
		if (key && !key_is_called(&conf_keys[i], key))
			continue;
		if (printed++ > 0)
			fputc('\n', out);
		print_key(out, &conf_keys[i]);
	}
	return printed > 0 || unknown(err, key);
}
