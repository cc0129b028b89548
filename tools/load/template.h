/* SPDX-License-Identifier: MIT */
/*
 * template - a text with places that are filled in anew for each request.
 *
 *      {seq}       the number of the request in the run, from 0; each is given once
 *      {conn}      the number of the connection, from 0
 *      {rand:N}    N random characters, 0-9 and a-z, of the seed and the request's number
 *      {{          a brace; one that no name follows, as in JSON, stands for itself anyway
 *
 * It is split into parts once, before the run; filling is copying, and the same numbers always
 * make the same text. Pure.
 */
#ifndef LOAD_TEMPLATE_H
#define LOAD_TEMPLATE_H

#include <stdint.h>

#include "base/assert.h"

#define TEMPLATE_RANDOM_MAX 64u

enum template_kind {
	TEMPLATE_TEXT,
	TEMPLATE_SEQ,
	TEMPLATE_CONN,
	TEMPLATE_RANDOM,
	/* For the maker of a whole message: */
	TEMPLATE_LENGTH, /* {length}: bytes from {body} on */
	TEMPLATE_BODY,   /* {body}: nothing is written here */
};

struct template_part {
	enum template_kind kind;
	uint32_t count; /* characters of text, or random ones */
	uint32_t at;    /* of text, in the template's own copy */
};

struct template {
	struct template_part *parts; /* owned */
	uint32_t parts_count;
	char *text; /* owned */
	uint32_t text_bytes;
	uint32_t room; /* at most so many bytes are written */
};

struct template_values {
	uint64_t seq;
	uint64_t conn;
	uint64_t seed;
};

/* Is this a template as users may write it? If not, *reason is a constant sentence. */
bool template_check(const char *text, uint64_t count, const char **reason);

/* Split a text, in which {length} and {body} are names as well. False: not a template, or more
 * than 256 MB long. */
bool template_open(struct template *template, const char *text, uint64_t count,
                   const char **reason);
void template_close(struct template *template);

/* Write it to out, which has `room` bytes; returns how many there are. */
uint32_t template_fill(const struct template *template, char *out,
                       const struct template_values *values);

#endif
