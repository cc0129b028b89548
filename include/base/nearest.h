/* SPDX-License-Identifier: MIT */
/*
 * nearest - the valid word that a person most likely meant.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include "base/assert.h"

/* The word of `words` (count of them) with the smallest edit distance (insert, delete, replace,
 * swap of neighbours) to `word`, or NULL when even that one is farther than a third of the longer
 * length (at least 2). Ties: the earlier one. A word of more than 63 bytes is near nothing. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
