/* SPDX-License-Identifier: MIT */
/*
 * test_conf_keys.c - what holds for every row of conf/keys.def alike, in the parser, in the manual
 * (--help-config) and in the shipped proxy.ini. A new row is tested without a new line here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "conf/conf.h"
#include "conf_helpers.h"
#include "unit.h"

struct row {
	const char *section;
	const char *key;
	const char *type;
	const char *words;
	const char *fallback;
	const char *min;
	const char *max;
	const char *often;
	const char *manual;
	bool is_option;
	bool is_http;
};

#define CONF_ROW(is_option, is_http, section, key, type, words, fallback, min, max, unit, often, \
		 applies, member, manual)                                                        \
	{ #section, #key, #type, words, fallback, min, max, #often, manual, is_option, is_http },
#define CONF_KEY(...) CONF_ROW(false, false, __VA_ARGS__)
#define CONF_KEY_HTTP(...) CONF_ROW(false, true, __VA_ARGS__)
#define CONF_OPTION(...) CONF_ROW(true, false, __VA_ARGS__)

static const struct row rows[] = {
#include "conf/keys.def"
};

/* ------------------------------------------------------------------ rows and values */

/* A whole file in which the row's key has this value. */
static const char *whole_with(char text[TEXT_MAX], const struct row *row, const char *value)
{
	char line[TEXT_MAX / 4];

	if (row->is_option) {
		snprintf(line, sizeof(line), "server = %s %s=%s",
			 strcmp(row->key, "addresses") ? "127.0.0.1:82" : "app.example:82",
			 row->key, value);
		return whole(text, "", "", line);
	}
	snprintf(line, sizeof(line), "%s = %s%s", row->key, value,
		 !strcmp(row->section, "route") ? "\nupstream = app" :
		 !strcmp(row->key, "resolve")   ? "\nserver = app.example:82" :
						  "");
	if (row->is_http || !strcmp(row->section, "route"))
		return whole_http(text, row->is_http ? line : "",
				  row->is_http ? "respond = 200" : line);
	return whole(text, !strcmp(row->section, "proxy") ? line : "",
		     !strcmp(row->section, "listener") ? line : "",
		     !strcmp(row->section, "upstream") ? line : "");
}

static bool row_is(const struct row *row, const char *type)
{
	return !strcmp(row->type, type);
}

/* The row's text as a number, and a number as a text of the row's type. */
static uint64_t row_parse(const struct row *row, const char *text)
{
	uint64_t value = 0;
	bool ok = row_is(row, "NUMBER") ? units_parse_number(text, &value) :
		  row_is(row, "SIZE")   ? units_parse_size(text, &value) :
					  units_parse_duration(text, &value);

	CHECK(ok);
	return value;
}

static void row_format(const struct row *row, uint64_t value, char text[UNITS_TEXT_MAX])
{
	if (row_is(row, "DURATION"))
		snprintf(text, UNITS_TEXT_MAX, "%lluus", (unsigned long long)value / 1000);
	else
		snprintf(text, UNITS_TEXT_MAX, "%llu", (unsigned long long)value);
}

TEST(every_bound_is_enforced_on_both_sides)
{
	int bounds = 0;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];
		uint64_t min;
		uint64_t max;
		uint64_t step = row_is(row, "DURATION") ? 1000 : 1;
		char value[UNITS_TEXT_MAX];
		char words[UNITS_TEXT_MAX * 4];
		char text[TEXT_MAX];

		if (!row->min)
			continue;
		min = row_parse(row, row->min);
		max = row_parse(row, row->max);
		CHECK(min < max);
		snprintf(words, sizeof(words), "%s to %s", row->min, row->max);
		CHECK(is_silent_about(whole_with(text, row, row->min), words));
		CHECK(is_silent_about(whole_with(text, row, row->max), words));
		row_format(row, max + step, value);
		CHECK(says(whole_with(text, row, value), words));
		if (min > 0) {
			row_format(row, min - step, value);
			CHECK(says(whole_with(text, row, value), words));
		}
		bounds++;
	}
	CHECK(bounds >= 21);
}

/* In a whole file, so defaults do not contradict each other either. */
TEST(every_default_is_valid_and_within_its_bounds)
{
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];
		char text[TEXT_MAX];

		if (!row->fallback)
			continue;
		CHECK(says(whole_with(text, row, row->fallback), ""));
	}
}

TEST(every_word_is_taken_and_a_misspelt_one_is_named)
{
	int words = 0;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];
		char copy[256];
		char *rest = copy;
		char *word;

		snprintf(copy, sizeof(copy), "%s", row->words ? row->words : "");
		while ((word = strsep(&rest, " ")) && *word) {
			char text[TEXT_MAX];
			char misspelt[64];

			CHECK(says(whole_with(text, row, word), ""));
			snprintf(misspelt, sizeof(misspelt), "%sx", word);
			CHECK(says(whole_with(text, row, misspelt), word));
			words++;
		}
	}
	CHECK(words >= 45);
}

TEST(the_words_of_log_level_are_those_of_the_log)
{
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char copy[256];
		char *rest = copy;

		if (strcmp(rows[i].key, "log_level"))
			continue;
		snprintf(copy, sizeof(copy), "%s", rows[i].words);
		for (int level = 0; level < LOG_LEVEL_COUNT; level++) {
			char *word = strsep(&rest, " ");

			CHECK(word != NULL);
			CHECK_TEXT(word, log_level_names[level]);
		}
		CHECK(rest == NULL);
		return;
	}
	CHECK(!"keys.def has log_level");
}

/* ------------------------------------------------------------------ the manual */

static char *help_text(const char *key, bool expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CHECK(conf_help(out, out, key) == expected);
	fclose(out);
	return text;
}

TEST(the_manual_has_every_key_with_its_default_and_bounds)
{
	char *all = help_text(NULL, true);

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const struct row *row = &rows[i];
		char name[128];
		char bounds[128];
		char *one;

		snprintf(name, sizeof(name), "%s.%s", row->section, row->key);
		one = help_text(name, true);
		CHECK(strstr(all, one) != NULL);
		CHECK(strstr(one, row->key) != NULL);
		CHECK(strstr(one, row->fallback ? row->fallback : "default   ") != NULL);
		snprintf(bounds, sizeof(bounds), "bounds    %s to %s\n", row->min ? row->min : "",
			 row->max ? row->max : "");
		CHECK((strstr(one, bounds) != NULL) == (row->min != NULL));
		CHECK((strstr(one, "needs     mode = http\n") != NULL) == row->is_http);
		CHECK_UINT(strncmp(row->manual, strstr(one, "\n\n") + 6, 12), 0);
		CHECK_UINT(row->manual[strlen(row->manual) - 1], '.');
		free(one);
	}
	free(all);
}

TEST(the_manual_of_one_key_is_found_by_either_name)
{
	char *both = help_text("max_sessions", true);
	char *unknown = help_text("max_sesions", false);
	char *far = help_text("qqqqqqqq", false);

	CHECK(strstr(both, "[proxy] max_sessions\n") != NULL);
	CHECK(strstr(both, "[listener NAME] max_sessions\n") != NULL);
	CHECK_TEXT(unknown, "unknown key \"max_sesions\"; did you mean \"max_sessions\"?\n");
	CHECK_TEXT(far, "unknown key \"qqqqqqqq\"; without one, all are listed\n");
	free(both);
	free(unknown);
	free(far);
}

/* ------------------------------------------------------------------ the shipped file */

TEST(the_shipped_file_serves_the_test_origin_as_it_is)
{
	struct conf_errors errors;
	struct conf *conf = conf_load("proxy.ini", &errors);
	char text[ADDR_TEXT_MAX];

	conf_errors_print(&errors, "proxy.ini", stdout);
	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->listeners_count, 1);
	CHECK_UINT(conf->listeners[0].binds_count, 1);
	CHECK_TEXT(addr_format(text, &conf->listeners[0].binds[0]), "127.0.0.1:8080");
	CHECK_UINT(conf->listeners[0].upstream->servers_count, 1);
	CHECK_UINT(conf->routes_count, 0);
	CHECK(!strcmp(addr_format(text, &conf->listeners[0].upstream->servers[0].addr),
		      "127.0.0.1:9000"));
	CHECK(!conf->proxy.max_sessions_is_set);
	conf_unref(conf);
	conf_errors_free(&errors);
}

/* The `key = value` of a line that is `key = value`, or `;key = value` when is_comment. */
static bool line_parse(char *line, bool is_comment, char **key, char **value)
{
	char *equals = strstr(line, " = ");

	if (is_comment && *line++ != ';')
		return false;
	if (!equals || strspn(line, "abcdefghijklmnopqrstuvwxyz_") != (size_t)(equals - line))
		return false;
	*equals = '\0';
	*key = line;
	*value = equals + strlen(" = ");
	return true;
}

struct shown {
	uint32_t commented;  /* lines ;key = value */
	uint32_t at_default; /* of them: with the default */
	uint32_t active;     /* lines key = value */
};

/* May the file show this key with other values beside its default? */
static bool has_examples(const struct row *row)
{
	return !strcmp(row->section, "route") || !strcmp(row->key, "mode") ||
	       !strcmp(row->key, "proxy_protocol");
}

/* How proxy.ini shows this row's key in its section. */
static struct shown shown_in(const char *text, const struct row *row)
{
	struct shown shown = { 0 };
	char *copy = strdup(text);
	char *rest = copy;
	bool is_inside = false;
	char *line;

	assert(copy);
	while ((line = strsep(&rest, "\n"))) {
		char *key;
		char *value;

		if (*line == '[' || !strncmp(line, ";[", 2)) {
			line += *line == ';';
			is_inside = !strncmp(line + 1, row->section, strlen(row->section));
		} else if (is_inside && line_parse(line, true, &key, &value)) {
			if (strcmp(key, row->key))
				continue;
			shown.commented++;
			shown.at_default += row->fallback && !strcmp(value, row->fallback);
		} else if (is_inside && line_parse(line, false, &key, &value)) {
			shown.active += !strcmp(key, row->key);
		}
	}
	free(copy);
	return shown;
}

TEST(the_shipped_file_shows_every_key_at_its_default)
{
	char *text = read_text("proxy.ini");

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct shown shown = shown_in(text, &rows[i]);

		if (rows[i].is_option)
			continue; /* no line of its own: see the next test */
		if (rows[i].fallback ? shown.at_default != 1 : shown.commented + shown.active == 0)
			printf("proxy.ini: [%s] %s\n", rows[i].section, rows[i].key);
		if (rows[i].fallback) {
			CHECK_UINT(shown.at_default, 1);
			CHECK(shown.commented == 1 || has_examples(&rows[i]));
			CHECK(shown.active == 0 || has_examples(&rows[i]));
		} else {
			CHECK(shown.commented + shown.active >= 1);
		}
	}
	free(text);
}

TEST(the_shipped_file_explains_the_options_of_server)
{
	char *text = read_text("proxy.ini");

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		char example[64];

		if (!rows[i].is_option)
			continue;
		snprintf(example, sizeof(example),
			 row_is(&rows[i], "FLAG") ? " %s\n" : " %s=", rows[i].key);
		CHECK(strstr(text, example) != NULL);
	}
	free(text);
}

/* Every line that looks like a key or a section and is a comment, without its ";". */
static char *without_semicolons(const char *text)
{
	char *result = calloc(1, CONF_FILE_MAX);
	char *copy = strdup(text);
	char *rest = copy;
	size_t len = 0;
	char *line;

	assert(result);
	assert(copy);
	while ((line = strsep(&rest, "\n"))) {
		char *probe = strdup(line);
		char *key;
		char *value;

		assert(probe);
		if (line_parse(probe, true, &key, &value) || !strncmp(line, ";[", 2))
			line++;
		text_append(result, &len, "%s\n", line);
		free(probe);
	}
	free(copy);
	return result;
}

/* Removing every ";" changes nothing but what only has an example. */
TEST(the_shipped_file_is_right_in_its_comments)
{
	char *text = read_text("proxy.ini");
	char *bare = without_semicolons(text);
	struct conf *shipped = load(text);
	struct conf *conf = load(bare);

	CHECK(strlen(bare) < strlen(text) - 20);
	if (!CHECK(shipped))
		return;
	if (!CHECK(conf))
		return;
	CHECK(conf->listeners[0].binds_count > shipped->listeners[0].binds_count);
	CHECK(conf->proxy.user != NULL);
	CHECK(conf->proxy.max_sessions_is_set);
	CHECK_UINT(conf->proxy.max_sessions, shipped->proxy.max_sessions);
	CHECK_UINT(conf->proxy.workers, shipped->proxy.workers);
	CHECK_UINT(conf->proxy.session_window, shipped->proxy.session_window);
	CHECK_UINT(conf->listeners[0].client_timeout_ns, shipped->listeners[0].client_timeout_ns);
	CHECK_UINT(conf->upstreams[0].retries, shipped->upstreams[0].retries);
	CHECK_UINT(conf->listeners[0].mode, MODE_HTTP);
	CHECK_UINT(conf->listeners[0].head_timeout_ns, shipped->listeners[0].head_timeout_ns);
	CHECK_UINT(conf->listeners[0].pages_count, 1);
	CHECK_UINT(conf->listeners_count, 2);
	CHECK_UINT(conf->listeners[1].mode, MODE_TCP);
	CHECK_UINT(conf->listeners[1].proxy_protocol, PROXY_V2);
	CHECK_UINT(conf->listeners[1].proxy_from_count, 2);
	CHECK(conf->listeners[0].access != NULL);
	CHECK_UINT(conf->upstreams[0].sources_count, 1);
	CHECK_UINT(conf->upstreams[0].names_count, 2);
	CHECK_UINT(conf->upstreams[0].servers_count, 3 + 16 + 2 * 32);
	CHECK_UINT(conf->proxy.resolvers_count, 2);
	CHECK_UINT(conf->upstreams_count, 3);
	CHECK_UINT(conf->routes_count, 4);
	for (uint32_t i = 0; i < conf->routes_count; i++)
		CHECK(conf->routes[i].listeners[0] == &conf->listeners[0]);
	CHECK_UINT(conf->routes[1].targets_count, 2);
	CHECK_UINT(conf->routes[1].trusted_count, 3);
	conf_unref(shipped);
	conf_unref(conf);
	free(bare);
	free(text);
}

/* One line makes a front door for HTTP of it. */
TEST(the_shipped_file_speaks_http_when_its_mode_says_so)
{
	char *text = read_text("proxy.ini");
	char *line = strstr(text, "\n;mode = http\n");
	struct conf *conf;

	if (line)
		memmove(line + 1, line + 2, strlen(line + 2) + 1);
	conf = load(text);
	free(text);
	if (!CHECK(conf))
		return;
	CHECK_UINT(conf->listeners[0].mode, MODE_HTTP);
	CHECK(conf->listeners[0].router != NULL);
	conf_unref(conf);
}

static const struct unit_test tests[] = {
	ROW(every_bound_is_enforced_on_both_sides),
	ROW(every_default_is_valid_and_within_its_bounds),
	ROW(every_word_is_taken_and_a_misspelt_one_is_named),
	ROW(the_words_of_log_level_are_those_of_the_log),
	ROW(the_manual_has_every_key_with_its_default_and_bounds),
	ROW(the_manual_of_one_key_is_found_by_either_name),
	ROW(the_shipped_file_serves_the_test_origin_as_it_is),
	ROW(the_shipped_file_shows_every_key_at_its_default),
	ROW(the_shipped_file_explains_the_options_of_server),
	ROW(the_shipped_file_is_right_in_its_comments),
	ROW(the_shipped_file_speaks_http_when_its_mode_says_so),
};
UNIT_MAIN(tests)
