/* SPDX-License-Identifier: MIT */
/*
 * servers.c - from `server` lines to servers, and to places for the addresses of host names.
 *
 *      10.0.0.1:80                    10.0.0.1:80                            one server
 *      app:80 addresses=2             app:80#1  app:80#2                     places 2
 *      _x._tcp.app addresses=2        _x._tcp.app#1  #2  #3 backup  #4 backup    places 2, spares 2
 *
 * How many addresses a name has, now or later, is not known here. So it gets as many servers as it
 * may ever need, and all that is made once for each server is made when the file is read.
 */
#include "servers.h"

#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "build.h"
#include "errors.h"
#include "text.h"
#include "values.h"

static_assert(CONF_SERVERS_MAX <= 9999 && ADDR_NAME_MAX + sizeof(":65535#9999") <= ADDR_TEXT_MAX,
	      "the name of a place fits");

/* ------------------------------------------------------------------ options */

static bool option_given(const struct server_line *line, const char *name)
{
	const struct conf_key *key = keys_find(SECTION_SERVER, name);

	assert(key);
	return line->given[key_index(key)];
}

static void option_unknown(const char *option, int line, struct conf_errors *errors)
{
	const char *names[KEYS_MAX];
	size_t names_count = keys_names(SECTION_SERVER, names);
	const char *meant = nearest_word(option, names, names_count);

	if (meant)
		conf_errors_add(errors, line,
				"unknown option \"%.*s\" of server; did you mean \"%s\"?",
				CONF_QUOTE, option, meant);
	else
		conf_errors_add(errors, line,
				"unknown option \"%.*s\" of server; there are weight=N, "
				"max_sessions=N, backup, name=X and addresses=N",
				CONF_QUOTE, option);
}

/* One `name=value`, or a flag, behind the address. Returns false when what follows means nothing
 * either. */
static bool option_set(struct server_line *line, char *option, struct conf_errors *errors)
{
	char *equals = strchr(option, '=');
	const struct conf_key *key;

	if (equals)
		*equals = '\0';
	key = keys_find(SECTION_SERVER, option);
	if (!key) {
		option_unknown(option, line->row.line, errors);
		return true;
	}
	if (key->type == KEY_FLAG && equals) {
		conf_errors_add(errors, line->row.line,
				"option %s of server has no value: write it alone", key->name);
		return true;
	}
	if (key->type != KEY_FLAG && (!equals || equals[1] == '\0')) {
		conf_errors_add(errors, line->row.line,
				"option %s of server has no value: write %s=VALUE, without blanks",
				key->name, key->name);
		return false;
	}
	if (line->given[key_index(key)])
		conf_errors_add(errors, line->row.line, "option %s of server may be given once",
				key->name);
	line->given[key_index(key)] = true;
	value_set(key, equals ? equals + 1 : option, line->row.line, line, errors);
	return true;
}

static void options_check(const struct server_line *line, struct conf_errors *errors)
{
	if (line->row.addr.kind != ADDR_NAME && option_given(line, "addresses"))
		conf_errors_add(errors, line->row.line,
				"option addresses of server is for host names; \"%s\" is one "
				"address",
				line->row.name);
	if (line->is_srv && option_given(line, "weight"))
		conf_errors_add(errors, line->row.line,
				"option weight of server is not for SRV records, which bring "
				"weights of their own");
}

/* ------------------------------------------------------------------ addresses */

/* RFC 2782. What the labels may look like is for addr_parse() to say, which wants a port. */
static bool srv_parse(struct addr *addr, const char *text, const char **reason)
{
	char with_port[ADDR_NAME_MAX + sizeof("x:1")];
	const char *protocol = text + strcspn(text, ".");

	assert(text[0] == '_');
	if (strchr(text, ':')) {
		*reason = "a name that begins with _ is one of SRV records, which bring their "
			  "ports: write it without one";
		return false;
	}
	if (text[1] == '.' || strncasecmp(protocol, "._tcp.", 6) || protocol[6] == '\0') {
		*reason = "a name that begins with _ is one of SRV records: "
			  "_SERVICE._tcp.HOST (for example _http._tcp.app.example.org)";
		return false;
	}
	snprintf(with_port, sizeof(with_port), "%.*s:1", ADDR_NAME_MAX + 1, text);
	if (!addr_parse(addr, with_port, reason))
		return false;
	assert(addr->kind == ADDR_NAME);
	addr->u.name.port = 0;
	return true;
}

static bool address_usable(const struct addr *addr, const char *text, int line,
			   struct conf_errors *errors)
{
	if (addr->kind != ADDR_ANY && addr->kind != ADDR_FD)
		return true;
	conf_errors_add(errors, line,
			"server = %.*s: %s; it must be host:port, [v6]:port or unix:/path",
			CONF_QUOTE, text,
			addr->kind == ADDR_ANY ? "* is no address to connect to" :
						 "a descriptor cannot be connected");
	return false;
}

/* The address, and what the server is called without name=X. */
static bool address_set(struct server_line *line, const char *text, struct conf_errors *errors)
{
	struct addr *addr = &line->row.addr;
	const char *reason = "";

	line->is_srv = text[0] == '_';
	if (!(line->is_srv ? srv_parse(addr, text, &reason) : addr_parse(addr, text, &reason))) {
		assert(*reason);
		conf_errors_add(errors, line->row.line, "server = %.*s: %s", CONF_QUOTE, text,
				reason);
		return false;
	}
	if (!address_usable(addr, text, line->row.line, errors))
		return false;
	if (line->row.name[0] == '\0' && line->is_srv)
		memcpy(line->row.name, addr->u.name.text, strlen(addr->u.name.text) + 1);
	else if (line->row.name[0] == '\0')
		addr_format(line->row.name, addr);
	assert(line->row.name[0] != '\0');
	return true;
}

/* `address [option=value]..`, or a flag for an option; cuts the text up. Returns false when the
 * address is no good. */
static bool line_parse(struct server_line *line, char *text, struct conf_errors *errors)
{
	char *address = text_take_word(&text);
	char *option;

	assert(address);
	assert(line->row.line > 0);
	do {
		option = text_take_word(&text);
	} while (option && option_set(line, option, errors));
	if (!address_set(line, address, errors))
		return false;
	options_check(line, errors);
	return true;
}

/* ------------------------------------------------------------------ rows */

static bool row_add(struct conf_upstream *upstream, const struct conf_server *row,
		    struct conf_errors *errors)
{
	struct conf_server *grown =
		build_grow(upstream->servers, upstream->servers_count, sizeof(*grown), errors);

	if (!grown)
		return false;
	assert(upstream->servers_count < CONF_SERVERS_MAX);
	upstream->servers = grown;
	grown[upstream->servers_count++] = *row;
	return true;
}

/* RFC 4343: names are the same in either case. */
static void name_set_host(struct conf_name *name, const struct addr *addr)
{
	size_t len = strlen(addr->u.name.text);

	assert(addr->kind == ADDR_NAME);
	assert(len > 0 && len < sizeof(name->host));
	memcpy(name->host, addr->u.name.text, len + 1);
	if (name->host[len - 1] == '.')
		name->host[len - 1] = '\0';
	text_lower(name->host);
	assert(name->host[0] != '\0');
}

static bool places_add(struct conf_upstream *upstream, const struct conf_name *name,
		       const struct conf_server *like, struct conf_errors *errors)
{
	struct conf_server row = *like;

	assert(name->places > 0);
	for (uint32_t i = 0; i < name->places + name->spares; i++) {
		int len = snprintf(row.name, sizeof(row.name), "%s#%u", like->name, i + 1);

		assert(len > 0 && (size_t)len < sizeof(row.name));
		(void)len;
		row.is_backup = like->is_backup || i >= name->places;
		if (!row_add(upstream, &row, errors))
			return false;
	}
	return true;
}

static void name_add(struct conf_upstream *upstream, const struct server_line *line,
		     struct conf_errors *errors)
{
	struct conf_name name = {
		.port = line->row.addr.u.name.port,
		.is_srv = line->is_srv,
		.first = upstream->servers_count,
		.places = line->addresses,
		.spares = line->is_srv && !line->row.is_backup ? line->addresses : 0,
		.line = line->row.line,
	};
	uint32_t rows = name.places + name.spares;
	struct conf_name *grown;

	assert((name.port == 0) == name.is_srv);
	if (rows > CONF_SERVERS_MAX - upstream->servers_count) {
		conf_errors_add(errors, name.line,
				"too many servers in [upstream %s]; there may be %d: %u stand "
				"above, and this name reserves %u places%s; write a smaller "
				"addresses=N",
				upstream->name, CONF_SERVERS_MAX, upstream->servers_count, rows,
				name.spares > 0 ? ", half of them as backups" : "");
		return;
	}
	grown = build_grow(upstream->names, upstream->names_count, sizeof(*grown), errors);
	if (!grown)
		return;
	upstream->names = grown;
	name_set_host(&name, &line->row.addr);
	if (places_add(upstream, &name, &line->row, errors))
		grown[upstream->names_count++] = name;
}

void servers_add(struct conf_upstream *upstream, const struct entry *entry,
		 struct conf_errors *errors)
{
	struct server_line line = { .row.line = entry->line };

	if (upstream->servers_count == CONF_SERVERS_MAX) {
		conf_errors_add(errors, entry->line,
				"too many servers in [upstream %s]; there may be %d",
				upstream->name, CONF_SERVERS_MAX);
		return;
	}
	if (!build_defaults(SECTION_SERVER, &line, errors))
		return;
	if (!line_parse(&line, entry->value, errors))
		return;
	if (line.row.addr.kind == ADDR_NAME)
		name_add(upstream, &line, errors);
	else
		row_add(upstream, &line.row, errors);
}

/* ------------------------------------------------------------------ checks */

/* The places of a name are called alike but for their numbers: the first stands for all. */
static bool is_first_of_line(const struct conf_upstream *upstream, uint32_t index)
{
	assert(index < upstream->servers_count);
	return index == 0 || upstream->servers[index - 1].line != upstream->servers[index].line;
}

static void check_name_unique(const struct conf_upstream *upstream, uint32_t index,
			      struct conf_errors *errors)
{
	const struct conf_server *server = &upstream->servers[index];
	size_t len = strlen(server->name);

	assert(len > 0);
	if (server->addr.kind == ADDR_NAME)
		len = strcspn(server->name, "#");
	for (uint32_t i = 0; i < index; i++) {
		if (!is_first_of_line(upstream, i) ||
		    strcmp(upstream->servers[i].name, server->name))
			continue;
		conf_errors_add(errors, server->line,
				"server \"%.*s\" stands in line %d already; give one of them "
				"another name with name=X",
				(int)len, server->name, upstream->servers[i].line);
		return;
	}
}

void servers_check(const struct document *document, const struct section *section,
		   const struct conf_upstream *upstream, struct conf_errors *errors)
{
	const struct entry *resolve = document_find(document, section, "resolve");

	assert(upstream->servers_count <= CONF_SERVERS_MAX);
	for (uint32_t i = 1; i < upstream->servers_count; i++) {
		if (is_first_of_line(upstream, i))
			check_name_unique(upstream, i, errors);
	}
	/* A server that was refused may have been meant as a name. */
	if (resolve && upstream->servers_count > 0 && upstream->names_count == 0 &&
	    !section->is_faulty)
		conf_errors_add(errors, resolve->line,
				"resolve = %s: says which addresses of host names are used, and no "
				"server of [upstream %s] is a host name",
				resolve->value, upstream->name);
}
