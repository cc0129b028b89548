/* SPDX-License-Identifier: MIT */
/*
 * build - from a document to a snapshot. See build.c.
 */
#ifndef CONF_SRC_BUILD_H
#define CONF_SRC_BUILD_H

#include "document.h"

/* Returns a snapshot with one reference, which is whole only when no error was added; or NULL
 * without memory. Cuts up the values of `server` lines in the document. */
struct conf *build_conf(const char *path, struct document *document, struct conf_errors *errors);

/* Give every key of this section that has a default its default. Returns false without memory. */
bool build_defaults(enum keys_section section, void *target, struct conf_errors *errors);

/* Room for one more behind `count` elements that build_grow() made room for: the array, which may
 * have moved. NULL after an error was added; the array is then as it was. */
void *build_grow(void *array, uint32_t count, size_t size, struct conf_errors *errors);

/* The [upstream NAME], or NULL after an error was added. */
struct conf_upstream *build_find_upstream(struct conf *conf, const char *name, int line,
					  struct conf_errors *errors);

/* Adds the error `kind = name: there is no [kind name]`, with the nearest of the names. */
void build_unknown_name(const char *kind, const char *name, const char *const *names,
			uint32_t count, int line, struct conf_errors *errors);

/* Frees all that the snapshot owns, and itself. */
void build_destroy(struct conf *conf);

#endif
