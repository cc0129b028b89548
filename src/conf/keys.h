/* SPDX-License-Identifier: MIT */
/*
 * keys - the rows of conf/keys.def as an array, and how to find one.
 */
#ifndef CONF_SRC_KEYS_H
#define CONF_SRC_KEYS_H

#include "base/assert.h"

/* In the order of keys.def. SERVER is not a section of the file: its "keys" are the options behind
 * the address in a `server` line. */
enum keys_section {
	SECTION_PROXY,
	SECTION_LISTENER,
	SECTION_UPSTREAM,
	SECTION_ROUTE,
	SECTION_SERVER,
	SECTION_COUNT,
};
#define SECTIONS_OF_FILE SECTION_SERVER

enum key_type {
	KEY_NUMBER,
	KEY_SIZE,
	KEY_DURATION,
	KEY_WORD,
	KEY_SWITCH,
	KEY_CPUS,
	KEY_LOG,
	KEY_PROTOCOLS,
	KEY_TARGET,
	KEY_STATUSES,
	KEY_FLAG,
	KEY_USER,
	KEY_GROUP,
	KEY_NAME,
	KEY_ADDRESS,
	KEY_PAGE,
	KEY_SERVER,
	KEY_UPSTREAM,
	KEY_LISTENER,
	KEY_HOST,
	KEY_PATH,
	KEY_METHOD,
	KEY_FIELD,
	KEY_TARGETS,
	KEY_RESPOND,
	KEY_REDIRECT,
	KEY_LINE,
	KEY_FIELD_NAME,
	KEY_PREFIX,
	KEY_AUTHORITY,
	KEY_CIDRS,
	KEY_SOURCE,
	KEY_RESOLVER,
	KEY_TYPE_COUNT,
};

enum key_often { KEY_OPTIONAL, KEY_REPEATS, KEY_MANY };
enum key_applies { KEY_RELOAD, KEY_RESTART };

struct conf_key {
	enum keys_section section;
	const char *name;
	bool is_http; /* of listeners with mode = http only */
	enum key_type type;
	const char *words;    /* NULL: none */
	const char *fallback; /* the default; NULL: none */
	const char *min;
	const char *max;
	const char *unit;
	enum key_often often;
	enum key_applies applies;
	size_t offset; /* of the member in struct conf_<section>, of an option in server_line */
	size_t size;   /* of the member */
	const char *manual;
};

#define KEYS_MAX 128 /* room for arrays that are indexed by key */

extern const struct conf_key conf_keys[];
extern const size_t conf_keys_count;
extern const char *const keys_section_names[SECTION_COUNT];

static inline size_t key_index(const struct conf_key *key)
{
	size_t index = (size_t)(key - conf_keys);

	assert(index < conf_keys_count);
	return index;
}

/* NULL when the section has no such key. */
const struct conf_key *keys_find(enum keys_section section, const char *name);

/* The names of the section's keys. Returns how many. */
size_t keys_names(enum keys_section section, const char *names[KEYS_MAX]);

/* The words of a key, split. */
#define KEY_WORDS_MAX      8
#define KEY_WORDS_TEXT_MAX 128
struct key_words {
	char text[KEY_WORDS_TEXT_MAX]; /* what `words` point into */
	const char *words[KEY_WORDS_MAX];
	size_t count;
};
void key_words_split(struct key_words *split, const struct conf_key *key);

/* "a, b or c". Returns text. */
const char *key_words_join(char text[KEY_WORDS_TEXT_MAX], const struct conf_key *key);

#endif
