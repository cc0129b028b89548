/* SPDX-License-Identifier: MIT */
/*
 * units - sizes, durations and numbers as people write them.
 *
 * Sizes: decimal digits with an optional K, M or G (powers of 1,024, either case). Durations:
 * digits and one of us, ms, s, m, h; several parts may follow each other, largest first ("1m30s");
 * a bare number other than 0 is refused, since nobody remembers which unit a bare number has.
 * Every parser reads the whole text, refuses signs, spaces and overflow, and returns false without
 * touching *value when it refuses.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#include "base/assert.h"

bool units_parse_number(const char *text, uint64_t *value);
bool units_parse_size(const char *text, uint64_t *bytes);
bool units_parse_duration(const char *text, uint64_t *ns);

/* Shortest exact text ("64M", "1m30s", "0"), which the parsers read back; what is less than a us is
 * shown in ns, which they do not. Returns text. */
#define UNITS_TEXT_MAX 48
const char *units_format_size(char text[UNITS_TEXT_MAX], uint64_t bytes);
const char *units_format_duration(char text[UNITS_TEXT_MAX], uint64_t ns);
/* Rounded for reading ("1.4 MB"). */
const char *units_format_bytes(char text[UNITS_TEXT_MAX], uint64_t bytes);

#endif
