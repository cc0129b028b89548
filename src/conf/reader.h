/* SPDX-License-Identifier: MIT */
/*
 * reader - from the bytes of a file to its document.
 */
#ifndef CONF_SRC_READER_H
#define CONF_SRC_READER_H

#include "document.h"

/* The text need not end in a NUL or a line feed. What is wrong is added to errors. */
void reader_read(struct document *document, const char *text, size_t len,
		 struct conf_errors *errors);

#endif
