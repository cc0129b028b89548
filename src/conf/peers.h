/* SPDX-License-Identifier: MIT */
/*
 * peers - addresses of those whom a listener serves, those that an upstream dials from, and name
 * servers.
 */
#ifndef CONF_SRC_PEERS_H
#define CONF_SRC_PEERS_H

#include "document.h"

/* Append the blocks of one line, with commas between them; a wrong one is reported. */
void peers_add_blocks(struct cidr **blocks, uint32_t *count, const struct entry *entry,
		      struct conf_errors *errors);

/* proxy_protocol_from, allow and deny of a section. */
void peers_set_clients(struct conf_listener *listener, const struct document *document,
		       const struct section *section, struct conf_errors *errors);

void peers_add_source(struct conf_upstream *upstream, const struct entry *entry,
		      struct conf_errors *errors);

void peers_add_resolver(struct conf_proxy *proxy, const struct entry *entry,
			struct conf_errors *errors);

/* What is wrong between these and other keys. */
void peers_check_listener(const struct document *document, const struct section *section,
			  const struct conf_listener *listener, struct conf_errors *errors);
void peers_check_upstream(const struct conf *conf, const struct document *document,
			  const struct section *section, const struct conf_upstream *upstream,
			  struct conf_errors *errors);

#endif
