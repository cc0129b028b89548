/* SPDX-License-Identifier: MIT */
/*
 * dns_message.h - answers of name servers, written as bytes.
 *
 *      struct dns_writer w = { bytes, 0, sizeof(bytes), "www.test" };
 *      dns_put_header(&w, id, 0, ns_t_a);
 *      dns_put_records(&w, 60, "cname:app.test/30 10.0.0.1 10.0.0.2");
 *
 * A record is an address, `cname:NAME` or `PRIORITY:WEIGHT:PORT:TARGET`, each with /TTL behind it
 * if it has another one. Names are compressed as far as the question's name allows.
 */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"

struct dns_writer {
	uint8_t *bytes;
	uint32_t len;
	uint32_t max;
	const char *question; /* its name begins at 12 */
};

static inline void dns_put(struct dns_writer *w, const void *bytes, uint32_t len)
{
	assert(w->len + len <= w->max);
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static inline void dns_put16(struct dns_writer *w, uint32_t number)
{
	uint16_t value = htons((uint16_t)number);

	dns_put(w, &value, 2);
}

static inline void dns_put32(struct dns_writer *w, uint32_t number)
{
	dns_put16(w, number >> 16);
	dns_put16(w, number & 0xffff);
}

/* Where in the question's name this text begins at a label; 0: nowhere. */
static inline uint32_t dns_offset(const struct dns_writer *w, const char *text)
{
	size_t whole = strlen(w->question), part = strlen(text);

	if (w->len < NS_HFIXEDSZ + 1 || part == 0 || part > whole ||
	    strcasecmp(w->question + whole - part, text) != 0 ||
	    (part < whole && w->question[whole - part - 1] != '.'))
		return 0;
	return NS_HFIXEDSZ + (uint32_t)(whole - part);
}

static inline void dns_put_name(struct dns_writer *w, const char *text)
{
	while (*text != '\0' && strcmp(text, ".") != 0) {
		uint32_t len = (uint32_t)strcspn(text, ".");
		uint32_t offset = dns_offset(w, text);
		uint8_t byte = (uint8_t)len;

		if (offset != 0) {
			dns_put16(w, 0xc000 | offset);
			return;
		}
		dns_put(w, &byte, 1);
		dns_put(w, text, len);
		text += len + (text[len] == '.');
	}
	dns_put(w, "", 1);
}

static inline void dns_put_header(struct dns_writer *w, uint16_t id, uint32_t flags, uint16_t type)
{
	const char *question = w->question;

	dns_put(w, &id, 2);
	dns_put16(w, 0x8180 | flags); /* an answer; recursion was wanted, and is available */
	dns_put16(w, 1);
	dns_put(w, "\0\0\0\0\0\0", 6);
	w->question = "";
	dns_put_name(w, question);
	w->question = question;
	dns_put16(w, type);
	dns_put16(w, ns_c_in);
}

/* One record, its length filled in afterwards; the number of answers goes up. */
static inline void dns_put_record(struct dns_writer *w, const char *owner, uint32_t ttl, char *word)
{
	uint8_t in6[16];
	uint32_t length_at, count;

	dns_put_name(w, owner);
	if (strncmp(word, "cname:", 6) == 0)
		dns_put16(w, ns_t_cname);
	else if (strchr(word, ':') && inet_pton(AF_INET6, word, in6) != 1)
		dns_put16(w, ns_t_srv);
	else
		dns_put16(w, strchr(word, ':') ? ns_t_aaaa : ns_t_a);
	dns_put16(w, ns_c_in);
	dns_put32(w, ttl);
	length_at = w->len;
	dns_put16(w, 0);
	if (strncmp(word, "cname:", 6) == 0) {
		dns_put_name(w, word + 6);
	} else if (inet_pton(AF_INET6, word, in6) == 1) {
		dns_put(w, in6, 16);
	} else if (inet_pton(AF_INET, word, in6) == 1) {
		dns_put(w, in6, 4);
	} else {
		for (int i = 0; i < 3; i++) {
			dns_put16(w, (uint32_t)strtoul(word, &word, 10));
			word += *word == ':';
		}
		dns_put_name(w, word);
	}
	count = w->len - length_at - 2;
	w->bytes[length_at] = (uint8_t)(count >> 8);
	w->bytes[length_at + 1] = (uint8_t)count;
	count = (uint32_t)(w->bytes[6] << 8 | w->bytes[7]) + 1;
	w->bytes[6] = (uint8_t)(count >> 8);
	w->bytes[7] = (uint8_t)count;
}

/* All in one text. Behind a CNAME record its target is the owner. */
static inline void dns_put_records(struct dns_writer *w, uint32_t ttl, const char *records)
{
	char *copy = strdup(records), *word = copy;
	const char *owner = w->question;

	while (*word != '\0') {
		char *end = word + strcspn(word, " ");
		char *slash = memchr(word, '/', (size_t)(end - word));
		bool is_last = *end == '\0';

		*end = '\0';
		if (slash)
			*slash = '\0';
		dns_put_record(w, owner, slash ? (uint32_t)strtoul(slash + 1, NULL, 10) : ttl,
			       word);
		if (strncmp(word, "cname:", 6) == 0)
			owner = word + 6;
		word = is_last ? end : end + 1;
	}
	free(copy);
}

#endif
