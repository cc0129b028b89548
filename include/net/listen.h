/* SPDX-License-Identifier: MIT */
/*
 * listen - opening a listening socket (start-up only; accepting is ring/'s work).
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/addr.h"

struct listen_options {
	int backlog;     /* 1 .. somaxconn; the kernel caps it silently */
	bool reuse_port; /* SO_REUSEPORT: one socket per worker on one address */
};

/* Returns a blocking, close-on-exec listening descriptor, or a negative errno with *step naming the
 * call that failed ("socket", "bind", "listen", ..).
 *
 * TCP: SO_REUSEADDR, and TCP_NODELAY, which accepted sockets inherit. ANY: IPv6 with IPV6_V6ONLY
 * off, IPv4 where IPv6 is not available. IPv6: IPV6_V6ONLY on, so that [::]:80 and 0.0.0.0:80 can
 * be had side by side. Unix: a socket file that nobody listens on is removed
 * first; one that answers gives -EADDRINUSE. FD: checked to be a listening stream socket,
 * duplicated. NONE and NAME are not accepted. */
int listen_open(const struct addr *addr, const struct listen_options *options, const char **step);

/* Remove a unix socket's file, if it is still the one that fd is bound to. Nothing happens for
 * other kinds, nor where the kernel does not tell which file that is. */
void listen_unlink(int fd, const struct addr *addr);

#endif
