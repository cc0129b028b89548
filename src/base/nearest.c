/* SPDX-License-Identifier: MIT */
/*
 * nearest.c - edit distance, three rows at a time.
 *
 * The distance of the first i letters of one word to the first j of the other follows from the
 * distances of shorter beginnings: the row above (delete), the cell to the left (insert), the cell
 * between (replace, or nothing when the letters agree) and, for two letters that changed places,
 * the cell two up and two left. Known as optimal string alignment.
 */
#include "base/nearest.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 63 /* longer words are no words: near nothing */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];

	assert(a_len <= WORD_MAX);
	assert(b_len <= WORD_MAX);
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3];
		const size_t *above_that = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t least = smaller(above[j], row[j - 1]) + 1;

			row[j] = smaller(least, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = smaller(row[j], above_that[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
	const char *nearest = NULL;
	size_t len = strlen(word), nearest_len = 0;
	size_t nearest_distance = SIZE_MAX, limit;

	if (len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t other_len = strlen(words[i]), far;

		if (other_len > WORD_MAX)
			continue;
		far = distance(word, len, words[i], other_len);
		assert(far <= (len > other_len ? len : other_len));
		if (far < nearest_distance) {
			nearest = words[i];
			nearest_len = other_len;
			nearest_distance = far;
		}
	}
	if (!nearest)
		return NULL;
	limit = (len > nearest_len ? len : nearest_len) / 3;
	if (limit < 2)
		limit = 2;
	return nearest_distance <= limit ? nearest : NULL;
}
