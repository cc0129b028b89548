/* SPDX-License-Identifier: MIT */
/*
 * amounts - counts, rates, times, sizes, percentages and weighted choices as people write them.
 *
 *      count     100  10k  2m            (powers of 1,000, either case)
 *      rate      20000  20k  1.5m  20k/s
 *      time      30  30s  500ms  1m30s   a bare number is seconds, as wrk has it
 *      size      1024  64k  1M           (powers of 1,024)
 *      percent   1  0.5  1%
 *      weights   5ms:50,1s:1             value:percent, several; one value alone is 100 percent;
 *                                        what is missing to 100 percent is "none of these"
 *
 * Each parser takes the whole text and returns false, with *reason a constant sentence, without
 * touching the value. Their shape is what options.h wants.
 */
#ifndef LOAD_AMOUNTS_H
#define LOAD_AMOUNTS_H

#include <stdint.h>

#include "base/assert.h"
#include "draw.h"

#define WEIGHTS_MAX 16
#define TEXTS_MAX 64

struct weights {
	uint64_t values[WEIGHTS_MAX];
	double percents[WEIGHTS_MAX];
	uint32_t count;
};

struct texts {
	const char *items[TEXTS_MAX];
	uint32_t count;
};

bool amount_count(const char *text, void *uint64, const char **reason);
bool amount_rate(const char *text, void *as_double, const char **reason);
bool amount_time(const char *text, void *uint64_ns, const char **reason);
bool amount_size(const char *text, void *uint64_bytes, const char **reason);
bool amount_percent(const char *text, void *as_double, const char **reason);
bool amount_status(const char *text, void *uint64, const char **reason); /* 200 .. 599 */
bool amount_time_weights(const char *text, void *weights, const char **reason);
bool amount_status_weights(const char *text, void *weights, const char **reason);
/* Kept as it is, borrowed from the command line. */
bool amount_text(const char *text, void *const_char_pointer, const char **reason);
bool amount_texts(const char *text, void *texts, const char **reason);

/* One of the values by its weight; `none` when it is none of them. */
uint64_t weights_draw(const struct weights *weights, struct draw *draw, uint64_t none);

/* For reading: "212us", "2.41ms", "1.20s"; "486.40MB". Return text. */
#define AMOUNT_TEXT_MAX 32
const char *amount_format_time(char text[AMOUNT_TEXT_MAX], double ns);
const char *amount_format_bytes(char text[AMOUNT_TEXT_MAX], double bytes);

#endif
