/* SPDX-License-Identifier: MIT */
/*
 * document - a file's sections and keys, in its order, before values mean anything.
 *
 *      sections   [ proxy | listener web | upstream app | .. ]
 *                     |          |              |
 *      entries    [ a b c    d e f          g h ..         ]     each section owns one run of them
 *
 * Invariants:
 *   (1) Every entry's key belongs to the kind of its section.
 *   (2) A section or key that is not known is reported and not stored.
 *   (3) What is stored twice but may not be is reported and still stored, so that what else is
 *       wrong with it is found in the same pass.
 */
#ifndef CONF_SRC_DOCUMENT_H
#define CONF_SRC_DOCUMENT_H

#include "conf/conf.h"
#include "keys.h"

#define DOCUMENT_SECTIONS_MAX 4096

struct entry {
	const struct conf_key *key;
	char *value; /* never empty; a builder may cut it up */
	int line;
};

struct section {
	enum keys_section kind;
	int line;
	char name[CONF_NAME_MAX]; /* empty for [proxy], or when it was wrong */
	uint32_t entries_first;
	uint32_t entries_count;
	bool is_faulty; /* one of its values was refused */
};

/* Where a key that is read next belongs. */
enum document_place {
	DOCUMENT_BEFORE, /* no section yet */
	DOCUMENT_INSIDE, /* the last of `sections` */
	DOCUMENT_ASTRAY, /* a section that was refused: its keys are not reported again */
};

struct document {
	struct section *sections;
	uint32_t sections_count;
	uint32_t sections_max;
	uint32_t sections_refused; /* reported, not stored */
	struct entry *entries;
	uint32_t entries_count;
	uint32_t entries_max;
	char *text; /* of all values */
	size_t text_used;
	size_t text_size;
	enum document_place place;
	int line_of_key[KEYS_MAX]; /* in the last section: where a key stood first, or 0 */
};

/* Room for whatever a text of this length can hold. Returns false without memory. */
bool document_init(struct document *document, size_t text_len);
void document_deinit(struct document *document);

/* A line `[kind name]`; name is "" when there is none. */
void document_add_section(struct document *document, const char *kind, const char *name, int line,
			  struct conf_errors *errors);
/* A line `name = value`. */
void document_add_entry(struct document *document, const char *name, const char *value, int line,
			struct conf_errors *errors);

/* The first entry of this key in the section, or NULL. */
const struct entry *document_find(const struct document *document, const struct section *section,
				  const char *name);

/* The only [proxy] section, or NULL. */
const struct section *document_proxy(const struct document *document);

/* Names of listeners, upstreams, routes and servers: letters, digits, _ - and ., and shorter than
 * CONF_NAME_MAX. Otherwise says so, with `what` in front. */
bool document_name_valid(const char *name, const char *what, int line, struct conf_errors *errors);

#endif
