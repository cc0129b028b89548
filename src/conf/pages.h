/* SPDX-License-Identifier: MIT */
/*
 * pages - error_page: texts that a listener sends in place of the proxy's own.
 */
#ifndef CONF_SRC_PAGES_H
#define CONF_SRC_PAGES_H

#include "document.h"

/* `error_page = STATUS PATH`; cuts the value up. The file is not touched yet. */
void pages_add(struct conf_listener *listener, const struct entry *entry,
	       struct conf_errors *errors);

/* Read the files. Blocks. */
void pages_read(struct conf_listener *listener, struct conf_errors *errors);

void pages_free(struct conf_listener *listener);

#endif
