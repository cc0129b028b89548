/* SPDX-License-Identifier: MIT */
/*
 * keys.c - conf/keys.def as data.
 */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "keys.h"
#include "servers.h"

/* What keys.def calls a section, as its enumerator. */
enum {
	section_of_proxy = SECTION_PROXY,
	section_of_listener = SECTION_LISTENER,
	section_of_upstream = SECTION_UPSTREAM,
	section_of_route = SECTION_ROUTE,
	section_of_server = SECTION_SERVER,
};

const char *const keys_section_names[SECTION_COUNT] = {
	[SECTION_PROXY] = "proxy",
	[SECTION_LISTENER] = "listener",
	[SECTION_UPSTREAM] = "upstream",
	[SECTION_ROUTE] = "route",
	[SECTION_SERVER] = "server",
};

const struct conf_key conf_keys[] = {
#define CONF_ROW(is_http_row, row_struct, row_section, row_name, row_type, row_words,          \
		 row_fallback, row_min, row_max, row_unit, row_often, row_applies, row_member, \
		 row_manual)                                                                   \
	{                                                                                      \
		.section = (enum keys_section)section_of_##row_section,                        \
		.name = #row_name,                                                             \
		.is_http = is_http_row,                                                        \
		.type = KEY_##row_type,                                                        \
		.words = row_words,                                                            \
		.fallback = row_fallback,                                                      \
		.min = row_min,                                                                \
		.max = row_max,                                                                \
		.unit = row_unit,                                                              \
		.often = KEY_##row_often,                                                      \
		.applies = KEY_##row_applies,                                                  \
		.offset = offsetof(struct row_struct, row_member),                             \
		.size = sizeof(((struct row_struct *)NULL)->row_member),                       \
		.manual = row_manual,                                                          \
	},
#define CONF_KEY(section, ...) CONF_ROW(false, conf_##section, section, __VA_ARGS__)
#define CONF_KEY_HTTP(section, ...) CONF_ROW(true, conf_##section, section, __VA_ARGS__)
#define CONF_OPTION(section, ...) CONF_ROW(false, server_line, section, __VA_ARGS__)
#include "conf/keys.def"
};

const size_t conf_keys_count = ARRAY_COUNT(conf_keys);
static_assert(ARRAY_COUNT(conf_keys) <= KEYS_MAX, "arrays indexed by key have KEYS_MAX places");

const struct conf_key *keys_find(enum keys_section section, const char *name)
{
	assert(section < SECTION_COUNT);
	assert(name);
	for (size_t i = 0; i < conf_keys_count; i++) {
		if (conf_keys[i].section == section && !strcmp(conf_keys[i].name, name))
			return &conf_keys[i];
	}
	return NULL;
}

size_t keys_names(enum keys_section section, const char *names[KEYS_MAX])
{
	size_t count = 0;

	assert(section < SECTION_COUNT);
	for (size_t i = 0; i < conf_keys_count; i++) {
		if (conf_keys[i].section == section)
			names[count++] = conf_keys[i].name;
	}
	assert(count > 0);
	assert(count <= KEYS_MAX);
	return count;
}

void key_words_split(struct key_words *split, const struct conf_key *key)
{
	const char *words = key->words ? key->words : "";
	char *at = split->text;

	assert(strlen(words) < sizeof(split->text));
	memcpy(split->text, words, strlen(words) + 1);
	split->count = 0;
	while (*at) {
		assert(split->count < KEY_WORDS_MAX);
		split->words[split->count++] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = '\0';
	}
	assert((split->count > 0) == (key->words != NULL));
}

const char *key_words_join(char text[KEY_WORDS_TEXT_MAX], const struct conf_key *key)
{
	struct key_words split;
	size_t used = 0;

	key_words_split(&split, key);
	text[0] = '\0';
	for (size_t i = 0; i < split.count; i++) {
		const char *before = i == 0 ? "" : i + 1 == split.count ? " or " : ", ";

		used += (size_t)snprintf(text + used, KEY_WORDS_TEXT_MAX - used, "%s%s", before,
					 split.words[i]);
		assert(used < KEY_WORDS_TEXT_MAX);
	}
	return text;
}
