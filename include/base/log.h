/* SPDX-License-Identifier: MIT */
/*
 * log - lines for the operator: to standard error, syslog or a file that can be reopened.
 *
 * A line is `2026-01-31T12:00:00.123Z level text`; to syslog only the text, with its priority.
 * A line is written by one write(2), so lines of several threads never mix. A line longer than
 * LOG_LINE_MAX, its newline included, is cut and ends in "...". Control characters in the text
 * become spaces, so that what a peer sent cannot forge a line.
 *
 * A log is a value passed down, not a global, so that two proxies fit in one process.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "base/assert.h"

#define LOG_LINE_MAX 1024

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT
};

extern const char *const log_level_names[LOG_LEVEL_COUNT]; /* "error" .. "debug" */

struct log {
	enum log_level level; /* lines above it are not formatted */
	int fd;               /* -1: syslog */
	char *path;           /* NULL: not a file */
};

/* target: "stderr", "syslog" or a path, which is opened for append and made if missing (0640).
 * Returns 0 or a negative errno. */
int log_open(struct log *log, const char *target, enum log_level level);
/* Open the path again, after it was renamed; on failure the old file stays in use. */
int log_reopen(struct log *log);
void log_close(struct log *log);

void log_write(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_at(log, wanted, ...)                                 \
	do {                                                     \
		if ((log)->level >= (wanted))                    \
			log_write((log), (wanted), __VA_ARGS__); \
	} while (0)
#define log_error(log, ...) log_at(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(log, ...) log_at(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(log, ...) log_at(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_at(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
