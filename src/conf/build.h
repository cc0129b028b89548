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

/* Frees all that the snapshot owns, and itself. */
void build_destroy(struct conf *conf);

#endif
