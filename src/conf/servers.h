/* SPDX-License-Identifier: MIT */
/*
 * servers - `server` lines of an upstream, with their options. See servers.c.
 */
#ifndef CONF_SRC_SERVERS_H
#define CONF_SRC_SERVERS_H

#include "document.h"

/* What one line says. */
struct server_line {
	struct conf_server row; /* what each server that it makes is like */
	uint32_t addresses;     /* places, when it is a host name */
	bool is_srv;
	bool given[KEYS_MAX]; /* options, by key_index() */
};

/* Append the server, or the places of the host name. Cuts up the entry's value. */
void servers_add(struct conf_upstream *upstream, const struct entry *entry,
		 struct conf_errors *errors);

/* What is wrong between servers, and between them and other keys of the section. */
void servers_check(const struct document *document, const struct section *section,
		   const struct conf_upstream *upstream, struct conf_errors *errors);

#endif
