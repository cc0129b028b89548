/* SPDX-License-Identifier: MIT */
/*
 * values.c - what each type of value looks like, and what to say when it does not.
 *
 * A setter of `setters[]` belongs to a type, never to a key: what is special about a key is in its
 * row of keys.def. An error repeats the key and the value, and ends with what would be right.
 */
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/units.h"
#include "document.h"
#include "errors.h"
#include "text.h"
#include "values.h"

/* What a setter needs to know of the line it works for. */
struct value {
	const struct conf_key *key;
	const char *text;
	int line;
	struct conf_errors *errors;
};

static void *value_member(const struct value *value, void *target)
{
	assert(target);
	return (char *)target + value->key->offset;
}

/* The member's width was checked against the key's bounds by tests/unit/test_conf.c. */
static void value_store(const struct value *value, void *target, uint64_t number)
{
	uint32_t narrow = (uint32_t)number;
	uint8_t byte = (uint8_t)number;

	if (value->key->size == sizeof(number)) {
		memcpy(value_member(value, target), &number, sizeof(number));
		return;
	}
	if (value->key->size == sizeof(byte)) {
		assert(number == byte);
		memcpy(value_member(value, target), &byte, sizeof(byte));
		return;
	}
	assert(value->key->size == sizeof(narrow));
	assert(number == narrow);
	memcpy(value_member(value, target), &narrow, sizeof(narrow));
}

static void value_complain(const struct value *value, const char *right)
{
	conf_errors_add(value->errors, value->line, "%s = %.*s: %s", value->key->name, CONF_QUOTE,
			value->text, right);
}

/* The index of the text among the key's words, or -1. */
static int value_word_index(const struct value *value)
{
	struct key_words words;

	key_words_split(&words, value->key);
	assert(words.count <= KEY_WORDS_MAX);
	for (size_t i = 0; i < words.count; i++) {
		if (!strcmp(words.words[i], value->text))
			return (int)i;
	}
	return -1;
}

/* When the text is nearly one of the key's words, says so and returns true. */
static bool value_complain_nearest(const struct value *value)
{
	struct key_words words;
	char all[KEY_WORDS_TEXT_MAX];
	const char *meant;

	key_words_split(&words, value->key);
	meant = words.count > 0 ? nearest_word(value->text, words.words, words.count) : NULL;
	if (!meant)
		return false;
	if (value->key->type == KEY_WORD)
		conf_errors_add(value->errors, value->line, "%s = %.*s: did you mean \"%s\"? (%s)",
				value->key->name, CONF_QUOTE, value->text, meant,
				key_words_join(all, value->key));
	else
		conf_errors_add(value->errors, value->line, "%s = %.*s: did you mean \"%s\"?",
				value->key->name, CONF_QUOTE, value->text, meant);
	return true;
}

bool value_parse_quantity(enum key_type type, const char *text, uint64_t *quantity)
{
	switch (type) {
	case KEY_NUMBER:
		return units_parse_number(text, quantity);
	case KEY_SIZE:
		return units_parse_size(text, quantity);
	case KEY_DURATION:
		return units_parse_duration(text, quantity);
	default:
		break;
	}
	unreachable();
	return false;
}

#define WORDS_OR_MAX (KEY_WORDS_TEXT_MAX + 8)

/* "auto or " for a number that may be a word. */
static const char *words_or(char text[WORDS_OR_MAX], const struct conf_key *key)
{
	char joined[KEY_WORDS_TEXT_MAX];

	text[0] = '\0';
	if (key->words)
		snprintf(text, WORDS_OR_MAX, "%s or ", key_words_join(joined, key));
	return text;
}

static void quantity_complain_form(const struct value *value)
{
	const struct conf_key *key = value->key;
	char words[WORDS_OR_MAX];
	uint64_t bare;

	words_or(words, key);
	if (value_complain_nearest(value))
		return;
	switch (key->type) {
	case KEY_NUMBER:
		conf_errors_add(value->errors, value->line,
				"%s = %.*s: must be %sa whole number, %s to %s", key->name,
				CONF_QUOTE, value->text, words, key->min, key->max);
		return;
	case KEY_SIZE:
		conf_errors_add(value->errors, value->line,
				"%s = %.*s: must be a size, %s to %s: a whole number of bytes, or "
				"with K, M or G (for example %s)",
				key->name, CONF_QUOTE, value->text, key->min, key->max,
				key->fallback);
		return;
	case KEY_DURATION:
		if (units_parse_number(value->text, &bare))
			conf_errors_add(value->errors, value->line,
					"%s = %.*s: a duration needs a unit: us, ms, s, m or h "
					"(for example %.*ss)",
					key->name, CONF_QUOTE, value->text, CONF_QUOTE,
					value->text);
		else
			conf_errors_add(value->errors, value->line,
					"%s = %.*s: must be a duration, %s to %s: a whole number "
					"with us, ms, s, m or h (for example %s)",
					key->name, CONF_QUOTE, value->text, key->min, key->max,
					key->fallback);
		return;
	default:
		break;
	}
	unreachable();
}

static bool set_quantity(const struct value *value, void *target)
{
	const struct conf_key *key = value->key;
	int word = value_word_index(value);
	char words[WORDS_OR_MAX];
	uint64_t quantity;
	uint64_t min = 0;
	uint64_t max = 0;

	if (word >= 0) {
		value_store(value, target, (uint64_t)word);
		return true;
	}
	if (!value_parse_quantity(key->type, value->text, &quantity)) {
		quantity_complain_form(value);
		return false;
	}
	if (!value_parse_quantity(key->type, key->min, &min) ||
	    !value_parse_quantity(key->type, key->max, &max))
		unreachable();
	assert(min <= max);
	if (quantity < min || quantity > max) {
		conf_errors_add(value->errors, value->line, "%s = %.*s: must be %s%s to %s",
				key->name, CONF_QUOTE, value->text, words_or(words, key), key->min,
				key->max);
		return false;
	}
	value_store(value, target, quantity);
	return true;
}

static bool set_word(const struct value *value, void *target)
{
	char all[KEY_WORDS_TEXT_MAX];
	int word = value_word_index(value);

	if (word >= 0) {
		value_store(value, target, (uint64_t)word);
		return true;
	}
	/* To name the nearest of one word would be odd. */
	if (!strchr(value->key->words, ' ') || !value_complain_nearest(value))
		conf_errors_add(value->errors, value->line, "%s = %.*s: must be %s",
				value->key->name, CONF_QUOTE, value->text,
				key_words_join(all, value->key));
	return false;
}

/* The words come in pairs: false, true. */
static bool set_switch(const struct value *value, void *target)
{
	char all[KEY_WORDS_TEXT_MAX];
	int word = value_word_index(value);

	assert(value->key->size == sizeof(bool));
	if (word >= 0) {
		value_store(value, target, (uint64_t)word % 2);
		return true;
	}
	if (!value_complain_nearest(value))
		conf_errors_add(value->errors, value->line, "%s = %.*s: must be %s",
				value->key->name, CONF_QUOTE, value->text,
				key_words_join(all, value->key));
	return false;
}

/* Replaces the member's string by one of the heap, or by NULL. */
static void value_store_string(const struct value *value, void *target, char *string)
{
	char *old;

	assert(value->key->size == sizeof(string));
	memcpy(&old, value_member(value, target), sizeof(old));
	free(old);
	memcpy(value_member(value, target), &string, sizeof(string));
}

static bool set_string(const struct value *value, void *target)
{
	char *copy = strdup(value->text);

	if (!copy) {
		conf_errors_add_memory(value->errors);
		return false;
	}
	value_store_string(value, target, copy);
	return true;
}

/* A path needs a slash, so that a misspelt word does not become the name of a file. */
static bool set_log(const struct value *value, void *target)
{
	int word = value_word_index(value);

	if (word >= 0 && !strcmp(value->text, "off")) {
		value_store_string(value, target, NULL);
		return true;
	}
	if (word >= 0 || strchr(value->text, '/'))
		return set_string(value, target);
	if (!value_complain_nearest(value))
		conf_errors_add(value->errors, value->line,
				"%s = %.*s: must be %sstderr, syslog or a path with a slash in it "
				"(for example ./%.*s)",
				value->key->name, CONF_QUOTE, value->text,
				strncmp(value->key->words, "off ", 4) ? "" : "off, ", CONF_QUOTE,
				value->text);
	return false;
}

/* What is wrong with one name of a list of protocols, or NULL. */
static const char *protocol_fault(const char *name)
{
	static const char *const carriers[] = { "h2c", "http", "tls" };

	if (!text_is_token(name, strlen(name)))
		return "must be off, or names of protocols separated by blanks (for example "
		       "websocket)";
	if (!strcmp(name, "off"))
		return "off stands alone";
	for (size_t i = 0; i < ARRAY_COUNT(carriers); i++) {
		if (!strcmp(name, carriers[i]))
			return "h2c, http and tls would carry requests past the routes, unseen; "
			       "they cannot be passed on";
	}
	return NULL;
}

/* Kept in lower case, with one blank between two. */
static bool set_protocols(const struct value *value, void *target)
{
	char *list;
	char *copy;
	char *rest;
	char *name;
	size_t used = 0;

	if (value_word_index(value) >= 0) {
		value_store_string(value, target, NULL);
		return true;
	}
	if (!strpbrk(value->text, " \t") && value_complain_nearest(value))
		return false;
	list = calloc(1, strlen(value->text) + 2);
	copy = strdup(value->text);
	if (!list || !copy) {
		conf_errors_add_memory(value->errors);
		goto fail;
	}
	text_lower(copy);
	rest = copy;
	while ((name = text_take_word(&rest))) {
		const char *fault = protocol_fault(name);

		if (fault) {
			value_complain(value, fault);
			goto fail;
		}
		memcpy(list + used, name, strlen(name));
		used += strlen(name);
		list[used++] = ' ';
	}
	assert(used > 0);
	list[used - 1] = '\0';
	free(copy);
	value_store_string(value, target, list);
	return true;
fail:
	free(list);
	free(copy);
	return false;
}

/* It goes into the first line of a request as it is. */
static bool set_target(const struct value *value, void *target)
{
	for (const char *at = value->text; *at; at++) {
		if (*at <= ' ' || *at > '~' || *at == '#') {
			value_complain(value, "must be plain ASCII without blanks and \"#\"; write "
					      "others as %XX");
			return false;
		}
	}
	if (value->text[0] != '/') {
		value_complain(value, "must begin with a slash (for example /health)");
		return false;
	}
	if (strlen(value->text) > CONF_TARGET_MAX) {
		static_assert(CONF_TARGET_MAX == 512, "the text says so");
		value_complain(value, "may have 512 characters at most");
		return false;
	}
	return set_string(value, target);
}

/* `200` or `200-399`. */
static bool set_statuses(const struct value *value, void *target)
{
	struct conf_statuses statuses;
	char first[] = "000";
	const char *last = value->text;
	uint64_t numbers[2] = { 0 };
	bool ok = strlen(value->text) >= 3;

	if (ok) {
		memcpy(first, value->text, 3);
		last += last[3] == '-' ? 4 : 0;
		ok = units_parse_number(first, &numbers[0]) &&
		     units_parse_number(last, &numbers[1]);
	}
	if (!ok || numbers[0] < 100 || numbers[0] > numbers[1] || numbers[1] > 599) {
		value_complain(value, "must be one status from 100 to 599, or a range (for example "
				      "200-399)");
		return false;
	}
	statuses = (struct conf_statuses){ (uint32_t)numbers[0], (uint32_t)numbers[1] };
	assert(value->key->size == sizeof(statuses));
	memcpy(value_member(value, target), &statuses, sizeof(statuses));
	return true;
}

static bool set_flag(const struct value *value, void *target)
{
	assert(value->key->size == sizeof(bool));
	value_store(value, target, true);
	return true;
}

/* The name of a user or a group: that it exists is found out by lookup.c. */
static bool set_account(const struct value *value, void *target)
{
	if (!strpbrk(value->text, " \t:/"))
		return set_string(value, target);
	value_complain(value, "must be the name of one account, without blanks, \":\" and \"/\"");
	return false;
}

static bool set_name(const struct value *value, void *target)
{
	if (!document_name_valid(value->text, value->key->name, value->line, value->errors))
		return false;
	assert(strlen(value->text) < value->key->size);
	memcpy(value_member(value, target), value->text, strlen(value->text) + 1);
	return true;
}

/* One CPU or a range, `3` or `0-3`, between *text and its next comma. */
static bool cpus_parse_range(const char **text, uint64_t *first, uint64_t *last)
{
	char part[16];
	size_t len = strcspn(*text, ",");
	char *dash;

	if (len == 0 || len >= sizeof(part))
		return false;
	memcpy(part, *text, len);
	part[len] = '\0';
	*text += len;
	dash = strchr(part, '-');
	if (dash)
		*dash = '\0';
	if (!units_parse_number(part, first))
		return false;
	*last = *first;
	if (dash && !units_parse_number(dash + 1, last))
		return false;
	return *first <= *last && *last < CONF_CPUS_MAX;
}

/* Returns how many, or 0 after an error was added. */
static uint32_t cpus_parse(const struct value *value, uint16_t cpus[CONF_CPUS_MAX])
{
	bool seen[CONF_CPUS_MAX] = { false };
	const char *at = value->text;
	uint32_t count = 0;
	uint64_t first;
	uint64_t last;

	for (;;) {
		if (!cpus_parse_range(&at, &first, &last)) {
			value_complain(value, "must be auto, off or a list of CPUs and ranges, "
					      "each below 1024 (for example 0-3,6)");
			return 0;
		}
		for (; first <= last; first++) {
			if (seen[first]) {
				value_complain(value, "a CPU may be in the list once");
				return 0;
			}
			assert(count < CONF_CPUS_MAX);
			seen[first] = true;
			cpus[count++] = (uint16_t)first;
		}
		assert(count > 0);
		if (*at == '\0')
			return count;
		assert(*at == ',');
		at++;
	}
}

static bool set_cpus(const struct value *value, void *target)
{
	struct conf_proxy *proxy = target;
	uint16_t cpus[CONF_CPUS_MAX];
	int word = value_word_index(value);
	uint32_t count;

	assert(value->key->section == SECTION_PROXY);
	if (word >= 0) {
		value_store(value, target, (uint64_t)word);
		return true;
	}
	if (value_complain_nearest(value))
		return false;
	count = cpus_parse(value, cpus);
	if (count == 0)
		return false;
	free(proxy->cpus);
	proxy->cpus_count = 0;
	proxy->cpus = calloc(count, sizeof(proxy->cpus[0]));
	if (!proxy->cpus) {
		conf_errors_add_memory(value->errors);
		return false;
	}
	memcpy(proxy->cpus, cpus, count * sizeof(cpus[0]));
	proxy->cpus_count = count;
	value_store(value, target, AFFINITY_LIST);
	return true;
}

bool value_set(const struct conf_key *key, const char *text, int line, void *target,
	       struct conf_errors *errors)
{
	static bool (*const setters[KEY_TYPE_COUNT])(const struct value *, void *) = {
		[KEY_NUMBER] = set_quantity,   [KEY_SIZE] = set_quantity,
		[KEY_DURATION] = set_quantity, [KEY_WORD] = set_word,
		[KEY_SWITCH] = set_switch,     [KEY_CPUS] = set_cpus,
		[KEY_LOG] = set_log,           [KEY_PROTOCOLS] = set_protocols,
		[KEY_USER] = set_account,      [KEY_GROUP] = set_account,
		[KEY_NAME] = set_name,         [KEY_TARGET] = set_target,
		[KEY_STATUSES] = set_statuses, [KEY_FLAG] = set_flag,
	};
	struct value value = { .key = key, .text = text, .line = line, .errors = errors };

	assert(*text);
	assert(key->type < KEY_TYPE_COUNT);
	assert(setters[key->type]);
	return setters[key->type](&value, target);
}
