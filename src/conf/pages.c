/* SPDX-License-Identifier: MIT */
/*
 * pages.c - error_page, and its file.
 */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"
#include "errors.h"
#include "text.h"

static const char *page_type(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strcmp(dot, ".txt"))
		return "text/plain";
	if (dot && !strcmp(dot, ".json"))
		return "application/json";
	return "text/html";
}

static bool page_is_first(const struct conf_listener *listener, uint32_t status, int line,
			  struct conf_errors *errors)
{
	for (uint32_t i = 0; i < listener->pages_count; i++) {
		if (listener->pages[i].status != status)
			continue;
		conf_errors_add(errors, line,
				"error_page = %u: line %d has a page for this status already",
				status, listener->pages[i].line);
		return false;
	}
	if (listener->pages_count < CONF_PAGES_MAX)
		return true;
	conf_errors_add(errors, line, "too many error pages in [listener %s]; there may be %d",
			listener->name, CONF_PAGES_MAX);
	return false;
}

void pages_add(struct conf_listener *listener, const struct entry *entry,
	       struct conf_errors *errors)
{
	char *path = entry->value;
	struct conf_page *pages;
	uint32_t status;

	if (!text_take_number(&path, &status) || status < 400 || status > 599 || *path == '\0') {
		conf_errors_add(errors, entry->line,
				"error_page = %.*s: must be a status, 400 to 599, and the path of "
				"a file (for example 503 /etc/sluice/503.html)",
				CONF_QUOTE, entry->value);
		return;
	}
	if (!page_is_first(listener, status, entry->line, errors))
		return;
	pages = build_grow(listener->pages, listener->pages_count, sizeof(*pages), errors);
	if (!pages)
		return;
	listener->pages = pages;
	pages += listener->pages_count;
	*pages = (struct conf_page){ .status = (uint16_t)status,
				     .type = page_type(path),
				     .line = entry->line,
				     .path = strdup(path) };
	if (pages->path)
		listener->pages_count++;
	else
		conf_errors_add_memory(errors);
}

static void page_complain(const struct conf_page *page, const char *what,
			  struct conf_errors *errors)
{
	conf_errors_add(errors, page->line, "error_page = %u %.*s: %s", page->status, CONF_QUOTE,
			page->path, what);
}

/* Reads at most one byte more than a page may have, so that too long a file shows. */
static void page_read_fd(struct conf_page *page, int fd, struct conf_errors *errors)
{
	uint32_t used = 0;
	ssize_t got;

	page->body = malloc(CONF_PAGE_MAX + 1);
	if (!page->body) {
		conf_errors_add_memory(errors);
		return;
	}
	do {
		got = read(fd, page->body + used, CONF_PAGE_MAX + 1 - used);
		used += got > 0 ? (uint32_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0)
		page_complain(page, strerror(errno), errors);
	else if (used > CONF_PAGE_MAX)
		page_complain(page, "the file is too large: a page may have 64K", errors);
	else
		page->len = used;
}

/* A pipe or a device is not waited for. */
static void page_read(struct conf_page *page, struct conf_errors *errors)
{
	int fd = open(page->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0) {
		page_complain(page, strerror(errno), errors);
		return;
	}
	if (fstat(fd, &status) < 0)
		page_complain(page, strerror(errno), errors);
	else if (!S_ISREG(status.st_mode))
		page_complain(page, "is no ordinary file", errors);
	else
		page_read_fd(page, fd, errors);
	close(fd);
}

void pages_read(struct conf_listener *listener, struct conf_errors *errors)
{
	for (uint32_t i = 0; i < listener->pages_count; i++)
		page_read(&listener->pages[i], errors);
}

void pages_free(struct conf_listener *listener)
{
	for (uint32_t i = 0; i < listener->pages_count; i++) {
		free(listener->pages[i].body);
		free(listener->pages[i].path);
	}
	free(listener->pages);
}
