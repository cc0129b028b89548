/* SPDX-License-Identifier: MIT */
/*
 * addr - a socket address as a value, and its text.
 *
 *   192.0.2.7:80      IPv4                 [2001:db8::1]:80     IPv6; [fe80::1%2]:80 with the
 *                                                               number of its interface
 *   *:80              any address: one dual-stack IPv6 socket, IPv4 where IPv6 is off
 *   unix:/run/app     unix socket          unix:@name           abstract unix socket
 *   fd:3              an inherited descriptor (bind only)
 *   name:80           a host name, kept as text
 *
 * addr_parse() is pure: no system call, no allocation. It is fuzzed (tests/fuzz).
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/assert.h"

enum addr_kind { ADDR_NONE, ADDR_INET, ADDR_INET6, ADDR_UNIX, ADDR_ANY, ADDR_FD, ADDR_NAME };

#define ADDR_NAME_MAX 253 /* RFC 1035 section 2.3.4, without the final dot */
#define ADDR_TEXT_MAX (ADDR_NAME_MAX + 16)

struct addr {
	enum addr_kind kind;
	socklen_t len; /* of the sockaddr; 0 for FD and NAME */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6; /* ANY too: [::], to be opened dual-stack */
		struct sockaddr_un un;
		int fd;
		struct {
			char text[ADDR_NAME_MAX + 1];
			uint16_t port;
		} name;
	} u;
};

/* Parse the whole text. Ports are 1..65535 (0 is refused: nobody could find it). On failure returns
 * false and points *reason at a constant sentence that says what would be right. */
bool addr_parse(struct addr *addr, const char *text, const char **reason);

/* For a NAME: look it up with the system's resolver (blocks; start-up only) and replace it by its
 * first address. Other kinds are left alone. Returns false with *reason set when there is none. */
bool addr_resolve(struct addr *addr, const char **reason);

/* From what the kernel returned (accept, getpeername). Other families give NONE. */
void addr_from_sockaddr(struct addr *addr, const struct sockaddr *sockaddr, socklen_t len);

/* Text in the same form that addr_parse() reads; a NAME with port 0, which addr_parse() does not
 * make, is the name alone; an IPv4-mapped IPv6 address is shown as IPv4; an
 * unnamed unix peer as "unix:"; NONE as "none". Returns text. */
const char *addr_format(char text[ADDR_TEXT_MAX], const struct addr *addr);

/* The same address? IPv4 and the same address mapped into IPv6 are; [::]:80 and *:80 are not. */
bool addr_equal(const struct addr *a, const struct addr *b);

#endif
