/* SPDX-License-Identifier: MIT */
/*
 * conf.c - from a path to a snapshot: the steps in their order, and who owns the result.
 *
 *      read file -> reader -> document -> build -> lookup (conf_load only) -> checks -> rules
 *                                                                                   -> snapshot
 *
 * Every step runs whatever the earlier ones found, so that one pass shows all errors; only then is
 * the snapshot given out, or destroyed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "checks.h"
#include "errors.h"
#include "lookup.h"
#include "reader.h"
#include "rules.h"

/* What runs between build and checks, or NULL. */
typedef void conf_lookup(struct conf *conf, const struct document *document,
			 struct conf_errors *errors);

static struct conf *conf_from_text(const char *path, const char *text, size_t len,
				   conf_lookup *lookup, struct conf_errors *errors)
{
	struct document document;
	struct conf *conf;

	assert(len <= CONF_FILE_MAX);
	if (!document_init(&document, len)) {
		conf_errors_add_memory(errors);
		return NULL;
	}
	reader_read(&document, text, len, errors);
	conf = build_conf(path, &document, errors);
	if (conf && lookup)
		lookup(conf, &document, errors);
	if (conf) {
		checks_run(conf, &document, errors);
		rules_run(conf, &document, errors);
	}
	document_deinit(&document);
	if (conf && conf_errors_any(errors)) {
		build_destroy(conf);
		conf = NULL;
	}
	conf_errors_sort(errors);
	assert((conf != NULL) != conf_errors_any(errors));
	return conf;
}

static void conf_too_large(struct conf_errors *errors)
{
	conf_errors_add(errors, 0, "the file is too large: it may have %u bytes", CONF_FILE_MAX);
}

struct conf *conf_load_text(const char *path, const char *text, size_t len,
			    struct conf_errors *errors)
{
	assert(path);
	assert(text || len == 0);
	conf_errors_init(errors);
	if (len > CONF_FILE_MAX) {
		conf_too_large(errors);
		return NULL;
	}
	return conf_from_text(path, len > 0 ? text : "", len, NULL, errors);
}

/* Reads at most CONF_FILE_MAX + 1 bytes, so that too long a file shows. Returns NULL after an
 * error was added; the caller frees the text. */
static char *conf_read_file(const char *path, size_t *len, struct conf_errors *errors)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;

	if (!file) {
		conf_errors_add(errors, 0, "cannot be opened: %s", strerror(errno));
		return NULL;
	}
	text = malloc(CONF_FILE_MAX + 1);
	if (!text) {
		conf_errors_add_memory(errors);
		goto out;
	}
	errno = 0;
	*len = fread(text, 1, CONF_FILE_MAX + 1, file);
	if (ferror(file))
		conf_errors_add(errors, 0, "cannot be read: %s", strerror(errno));
	else if (*len > CONF_FILE_MAX)
		conf_too_large(errors);
	else
		goto out;
	free(text);
	text = NULL;
out:
	fclose(file);
	assert(text || conf_errors_any(errors));
	return text;
}

struct conf *conf_load(const char *path, struct conf_errors *errors)
{
	struct conf *conf;
	size_t len = 0;
	char *text;

	assert(path);
	conf_errors_init(errors);
	text = conf_read_file(path, &len, errors);
	if (!text)
		return NULL;
	conf = conf_from_text(path, text, len, lookup_all, errors);
	free(text);
	return conf;
}

struct conf *conf_ref(struct conf *conf)
{
	uint32_t before = atomic_fetch_add_explicit(&conf->refs, 1, memory_order_relaxed);

	assert(before > 0);
	assert(before < UINT32_MAX);
	return conf;
}

/* Release: what this holder read happens before the end. Acquire: the end sees all of it. */
void conf_unref(struct conf *conf)
{
	uint32_t before = atomic_fetch_sub_explicit(&conf->refs, 1, memory_order_acq_rel);

	assert(before > 0);
	if (before == 1)
		build_destroy(conf);
}
