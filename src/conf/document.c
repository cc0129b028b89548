/* SPDX-License-Identifier: MIT */
/*
 * document.c - sections and keys, and all that can be wrong with their names.
 *
 * Arrays are sized once, from the length of the text. The shortest key takes a letter, "=", a
 * letter of value and the end of the line; the shortest section "[a]" and the end of the line. So a
 * text of n bytes has at most n / 4 + 1 of either (the last line may lack its end), and all values
 * together, each with a NUL in place of its "=", fit in n bytes.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "document.h"
#include "errors.h"

bool document_init(struct document *document, size_t text_len)
{
	size_t most = text_len / 4 + 1;

	assert(text_len < UINT32_MAX);
	memset(document, 0, sizeof(*document));
	document->entries_max = (uint32_t)most;
	document->sections_max = most < DOCUMENT_SECTIONS_MAX ? (uint32_t)most :
								DOCUMENT_SECTIONS_MAX;
	document->text_size = text_len + 1;
	document->entries = calloc(document->entries_max, sizeof(document->entries[0]));
	document->sections = calloc(document->sections_max, sizeof(document->sections[0]));
	document->text = malloc(document->text_size);
	if (document->entries && document->sections && document->text)
		return true;
	document_deinit(document);
	return false;
}

void document_deinit(struct document *document)
{
	free(document->entries);
	free(document->sections);
	free(document->text);
	memset(document, 0, sizeof(*document));
}

bool document_name_valid(const char *name, const char *what, int line, struct conf_errors *errors)
{
	size_t len = strlen(name);

	assert(*what);
	assert(line > 0);
	for (size_t i = 0; i < len; i++) {
		if (isalnum((unsigned char)name[i]) || strchr("_-.", name[i]))
			continue;
		conf_errors_add(errors, line,
				"%s \"%.*s\": a name is made of letters, digits, _, - and .", what,
				CONF_QUOTE, name);
		return false;
	}
	if (len > 0 && len < CONF_NAME_MAX)
		return true;
	conf_errors_add(errors, line, "%s \"%.*s\": a name has 1 to %d characters", what,
			CONF_QUOTE, name, CONF_NAME_MAX - 1);
	return false;
}

static void section_unknown(const char *kind, int line, struct conf_errors *errors)
{
	const char *meant = nearest_word(kind, keys_section_names, SECTIONS_OF_FILE);

	if (meant)
		conf_errors_add(errors, line, "unknown section [%.*s]; did you mean [%s]?",
				CONF_QUOTE, kind, meant);
	else
		conf_errors_add(errors, line,
				"unknown section [%.*s]; there are [proxy], [listener NAME], "
				"[upstream NAME] and [route NAME]",
				CONF_QUOTE, kind);
}

static enum keys_section section_kind(const char *kind)
{
	for (int i = 0; i < SECTIONS_OF_FILE; i++) {
		if (!strcmp(keys_section_names[i], kind))
			return (enum keys_section)i;
	}
	return SECTION_COUNT;
}

/* Fill in the section's name, or say why not. */
static void section_set_name(struct section *section, const char *name, struct conf_errors *errors)
{
	const char *kind = keys_section_names[section->kind];

	assert(section->name[0] == '\0');
	if (section->kind == SECTION_PROXY) {
		if (*name)
			conf_errors_add(errors, section->line,
					"[proxy] takes no name: write [proxy], not [proxy %.*s]",
					CONF_QUOTE, name);
	} else if (!*name) {
		conf_errors_add(errors, section->line, "[%s] needs a name, for example [%s %s]",
				kind, kind, section->kind == SECTION_LISTENER ? "web" : "app");
	} else if (document_name_valid(name, kind, section->line, errors)) {
		memcpy(section->name, name, strlen(name) + 1);
	}
}

/* An earlier section of the same kind and name? */
static void section_check_unique(const struct document *document, const struct section *section,
				 struct conf_errors *errors)
{
	bool is_proxy = section->kind == SECTION_PROXY;

	assert(section->line > 0);
	assert(section < document->sections + document->sections_count);
	if (!is_proxy && section->name[0] == '\0')
		return;
	for (const struct section *other = document->sections; other < section; other++) {
		if (other->kind != section->kind || strcmp(other->name, section->name))
			continue;
		conf_errors_add(errors, section->line, "[%s%s%s] stands in line %d already; %s",
				keys_section_names[section->kind], is_proxy ? "" : " ",
				section->name, other->line,
				is_proxy ? "join the two" : "join the two or choose another name");
		return;
	}
}

void document_add_section(struct document *document, const char *kind, const char *name, int line,
			  struct conf_errors *errors)
{
	enum keys_section known = section_kind(kind);
	struct section *section;

	assert(line > 0);
	document->place = DOCUMENT_ASTRAY;
	if (known == SECTION_COUNT) {
		document->sections_refused++;
		section_unknown(kind, line, errors);
		return;
	}
	if (document->sections_count == DOCUMENT_SECTIONS_MAX) {
		document->sections_refused++;
		conf_errors_add(errors, line, "too many sections; there may be %d",
				DOCUMENT_SECTIONS_MAX);
		return;
	}
	assert(document->sections_count < document->sections_max);
	document->place = DOCUMENT_INSIDE;
	memset(document->line_of_key, 0, sizeof(document->line_of_key));
	section = &document->sections[document->sections_count++];
	section->kind = known;
	section->line = line;
	section->entries_first = document->entries_count;
	section_set_name(section, name, errors);
	section_check_unique(document, section, errors);
}

/* The heading that a section of this kind has. */
static const char *section_heading(enum keys_section kind)
{
	static const char *const headings[SECTIONS_OF_FILE] = {
		[SECTION_PROXY] = "[proxy]",
		[SECTION_LISTENER] = "[listener NAME]",
		[SECTION_UPSTREAM] = "[upstream NAME]",
		[SECTION_ROUTE] = "[route NAME]",
	};

	assert(kind < SECTIONS_OF_FILE);
	return headings[kind];
}

static void key_unknown(enum keys_section kind, const char *name, int line,
			struct conf_errors *errors)
{
	const char *names[KEYS_MAX];
	size_t count = keys_names(kind, names);
	const char *meant;

	for (int other = 0; other < SECTIONS_OF_FILE; other++) {
		if (!keys_find((enum keys_section)other, name))
			continue;
		conf_errors_add(errors, line, "\"%s\" is not a key of %s but of %s", name,
				section_heading(kind), section_heading((enum keys_section)other));
		return;
	}
	meant = nearest_word(name, names, count);
	if (meant)
		conf_errors_add(errors, line, "unknown key \"%.*s\" in [%s]; did you mean \"%s\"?",
				CONF_QUOTE, name, keys_section_names[kind], meant);
	else
		conf_errors_add(errors, line,
				"unknown key \"%.*s\" in [%s]; sluice --help-config lists the keys",
				CONF_QUOTE, name, keys_section_names[kind]);
}

static void key_check_once(struct document *document, const struct conf_key *key, int line,
			   struct conf_errors *errors)
{
	int *first = &document->line_of_key[key_index(key)];

	if (*first > 0 && key->often == KEY_OPTIONAL)
		conf_errors_add(errors, line, "%s stands in line %d already; it may be given once",
				key->name, *first);
	if (*first == 0)
		*first = line;
}

static void document_store(struct document *document, const struct conf_key *key, const char *value,
			   int line)
{
	struct section *section = &document->sections[document->sections_count - 1];
	size_t size = strlen(value) + 1;
	char *text = document->text + document->text_used;

	assert(document->entries_count < document->entries_max);
	assert(size <= document->text_size - document->text_used);
	assert(key->section == section->kind);
	memcpy(text, value, size);
	document->text_used += size;
	document->entries[document->entries_count++] =
		(struct entry){ .key = key, .value = text, .line = line };
	section->entries_count++;
	assert(section->entries_first + section->entries_count == document->entries_count);
}

void document_add_entry(struct document *document, const char *name, const char *value, int line,
			struct conf_errors *errors)
{
	const struct conf_key *key;
	enum keys_section kind;

	assert(line > 0);
	assert(*name);
	assert(*value);
	if (document->place == DOCUMENT_BEFORE) {
		conf_errors_add(errors, line,
				"\"%.*s\" stands before the first section; begin with [proxy], "
				"[listener NAME], [upstream NAME] or [route NAME]",
				CONF_QUOTE, name);
		document->place = DOCUMENT_ASTRAY;
	}
	if (document->place == DOCUMENT_ASTRAY)
		return;
	assert(document->place == DOCUMENT_INSIDE);
	assert(document->sections_count > 0);
	kind = document->sections[document->sections_count - 1].kind;
	key = keys_find(kind, name);
	if (!key) {
		key_unknown(kind, name, line, errors);
		return;
	}
	key_check_once(document, key, line, errors);
	document_store(document, key, value, line);
}

const struct entry *document_find(const struct document *document, const struct section *section,
				  const char *name)
{
	const struct conf_key *key = keys_find(section->kind, name);

	assert(key);
	assert(section->entries_first + section->entries_count <= document->entries_count);
	for (uint32_t i = 0; i < section->entries_count; i++) {
		const struct entry *entry = &document->entries[section->entries_first + i];

		assert(entry->key->section == section->kind);
		if (entry->key == key)
			return entry;
	}
	return NULL;
}

const struct section *document_proxy(const struct document *document)
{
	for (uint32_t i = 0; i < document->sections_count; i++) {
		if (document->sections[i].kind == SECTION_PROXY)
			return &document->sections[i];
	}
	return NULL;
}
