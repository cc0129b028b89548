/* SPDX-License-Identifier: MIT */
/*
 * log.c - one line, one write.
 *
 * A line is made on the caller's stack, so writers share nothing but the descriptor, and write(2)
 * on a file opened with O_APPEND, or on a pipe up to PIPE_BUF (at least 4,096) bytes, does not mix
 * with another's.
 *
 * A log that cannot be written to has nobody to tell; its lines are lost.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOG_FILE_MODE 0640
#define LOG_CUT "..."

static_assert(LOG_LINE_MAX <= 4096, "POSIX leaves PIPE_BUF open, Linux has 4,096");

const char *const log_level_names[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const int log_priorities[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARN] = LOG_WARNING,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static int log_open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, LOG_FILE_MODE);

	return fd < 0 ? -errno : fd;
}

int log_open(struct log *log, const char *target, enum log_level level)
{
	struct log made = { .level = level, .fd = -1, .path = NULL };

	assert(log);
	assert(target);
	assert(level < LOG_LEVEL_COUNT);
	if (strcmp(target, "stderr") == 0) {
		made.fd = STDERR_FILENO;
	} else if (strcmp(target, "syslog") != 0) {
		made.fd = log_open_file(target);
		if (made.fd < 0)
			return made.fd;
		made.path = strdup(target);
		if (!made.path) {
			close(made.fd);
			return -ENOMEM;
		}
	}
	/* The first conversion of a time reads files and allocates: here, and not in a worker. */
	tzset();
	*log = made;
	return 0;
}

int log_reopen(struct log *log)
{
	int fd, rc;

	if (!log->path)
		return 0;
	assert(log->fd >= 0);
	fd = log_open_file(log->path);
	if (fd < 0)
		return fd;
	/* Under the old number, in one step: other threads are writing to it. */
	rc = dup3(fd, log->fd, O_CLOEXEC) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

void log_close(struct log *log)
{
	if (log->path) {
		assert(log->fd >= 0);
		close(log->fd);
		free(log->path);
	}
	log->fd = -1;
	log->path = NULL;
}

static size_t put_time(char *line, size_t size)
{
	struct timespec now;
	struct tm utc;
	int written;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	written = snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", utc.tm_year + 1900,
	                   utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
	                   (int)(now.tv_nsec / 1000000));
	assert(written > 0 && (size_t)written < size);
	return (size_t)written;
}

/* A peer's bytes in a text must not be able to forge a line or to steer a terminal. */
static void blank_controls(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = ' ';
}

/* Returns the length that was put, less than size. */
static size_t put_text(char *text, size_t size, const char *format, va_list arguments)
{
	int wanted = vsnprintf(text, size, format, arguments);
	size_t len;

	assert(size > strlen(LOG_CUT));
	if (wanted < 0) /* only for a format or a string that this locale cannot encode */
		wanted = snprintf(text, size, "(a line that cannot be formatted)");
	len = (size_t)wanted;
	if (len >= size) {
		len = size - 1;
		memcpy(text + len - strlen(LOG_CUT), LOG_CUT, strlen(LOG_CUT));
	}
	blank_controls(text, len);
	return len;
}

static void write_line(int fd, const char *line, size_t len)
{
	ssize_t written;

	assert(len > 0 && len <= LOG_LINE_MAX);
	do {
		written = write(fd, line, len);
	} while (written < 0 && errno == EINTR);
}

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
	int saved_errno = errno; /* callers log first and return -errno then */
	char line[LOG_LINE_MAX + 1];
	va_list arguments;
	size_t len = 0;

	assert(level < LOG_LEVEL_COUNT);
	if (level > log->level)
		return;
	if (log->fd >= 0) {
		len = put_time(line, sizeof(line));
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s ",
		                        log_level_names[level]);
	}
	/* One byte stays for the newline. */
	va_start(arguments, format);
	len += put_text(line + len, sizeof(line) - 1 - len, format, arguments);
	va_end(arguments);
	assert(len < LOG_LINE_MAX);
	if (log->fd >= 0) {
		line[len++] = '\n';
		write_line(log->fd, line, len);
	} else {
		syslog(LOG_DAEMON | log_priorities[level], "%s", line);
	}
	errno = saved_errno;
}
