/* SPDX-License-Identifier: MIT */
/*
 * edits - what a route changes in the heads that pass.
 */
#ifndef CONF_SRC_EDITS_H
#define CONF_SRC_EDITS_H

#include "document.h"

struct edits_line {
	char *name; /* a token */
	char *value;
};

/* `Name: value`, which cuts the entry's value up; or false after an error was added. */
bool edits_line_parse(struct edits_line *line, const struct entry *entry,
		      struct conf_errors *errors);

/* LINE: set_header, add_header and those of responses. Cuts the value up. */
void edits_add_line(struct conf_route *route, const struct entry *entry,
		    struct conf_errors *errors);
/* FIELD_NAME: remove_header, remove_response_header. */
void edits_remove(struct conf_route *route, const struct entry *entry, struct conf_errors *errors);

void edits_set_prefix(struct conf_route *route, const struct entry *entry,
		      struct conf_errors *errors);
void edits_set_host(struct conf_route *route, const struct entry *entry,
		    struct conf_errors *errors);
/* What a check sends as Host: *host is NULL, or the caller's. */
void edits_set_health_host(char **host, const struct entry *entry, struct conf_errors *errors);
/* Cuts the value up. */
void edits_add_trusted(struct conf_route *route, const struct entry *entry,
		       struct conf_errors *errors);

void edits_free(struct http_edits *edits);

#endif
