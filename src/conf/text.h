/* SPDX-License-Identifier: MIT */
/*
 * text - taking the value of a key apart, in place.
 */
#ifndef CONF_SRC_TEXT_H
#define CONF_SRC_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/* Cut the next word off the text, or NULL at its end. */
char *text_take_word(char **text);

/* Cut off what stands in front of the next `separator`, without the blanks around it. NULL when
 * nothing is left; "" for an item that is empty. */
char *text_take_item(char **text, char separator);

/* Without the blanks at its ends. */
char *text_trim(char *text);

/* ASCII letters only. */
void text_lower(char *text);

/* One or more characters of a token (RFC 9110 5.6.2). */
bool text_is_token(const char *text, size_t len);

/* The decimal number at the front, which has at most 9 digits and ends at the text's end or at a
 * blank; *text goes behind it and the blanks. False: there is none. */
bool text_take_number(char **text, uint32_t *number);

#endif
