/* SPDX-License-Identifier: MIT */
/*
 * doors.c - opening and closing the listening sockets.
 */
#include "doors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/listen.h"

static const char *remedy_of(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another process listens there (ss -ltnp shows which): stop it or choose "
		       "another address";
	case -EADDRNOTAVAIL:
		return "this machine has no such address: see ip addr, or use *:PORT";
	case -EACCES:
	case -EPERM:
		return "ports below net.ipv4.ip_unprivileged_port_start need root or "
		       "CAP_NET_BIND_SERVICE: start as root and set user =, or choose a higher "
		       "port";
	case -EAFNOSUPPORT:
		return "this machine has no such address family";
	case -ENOENT:
		return "the folder of the socket does not exist";
	case -EBADF:
	case -ENOTSOCK:
	case -EINVAL:
		return "fd:N must be an inherited listening stream socket";
	default:
		return "see the address and the system's limits";
	}
}

static bool is_shared(const struct addr *addr)
{
	return addr->kind == ADDR_UNIX || addr->kind == ADDR_FD;
}

static bool complain(const struct conf *conf, const struct conf_listener *listener,
		     const struct addr *addr, int error, const char *step, FILE *out)
{
	char text[ADDR_TEXT_MAX];

	fprintf(out, "%s:%d: listener %s cannot listen on %s: %s: %s: %s\n", conf->path,
		listener->line, listener->name, addr_format(text, addr), step, strerror(-error),
		remedy_of(error));
	return false;
}

static int open_one(const struct conf_listener *listener, const struct addr *addr, bool reuse_port,
		    const char **step)
{
	struct listen_options options = { .backlog = (int)listener->backlog,
					  .reuse_port = reuse_port };

	return listen_open(addr, &options, step);
}

/* With SO_REUSEPORT a second proxy on the same address would start and take half of the
 * connections. So the address is tried without it first. */
static int try_alone(const struct conf_listener *listener, const struct addr *addr,
		     const char **step)
{
	int fd = open_one(listener, addr, false, step);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static bool open_bind(struct doors *doors, const struct conf *conf,
		      const struct conf_listener *listener, const struct addr *addr, uint32_t bind,
		      FILE *out)
{
	uint32_t workers = conf->proxy.accept == ACCEPT_KERNEL ? doors->workers_count : 1;
	bool reuse_port = workers > 1 && !is_shared(addr);
	const char *step = "";
	uint32_t worker;
	int fd = 0;

	if (reuse_port)
		fd = try_alone(listener, addr, &step);
	for (worker = 0; worker < workers && fd >= 0; worker++) {
		int *slot = &doors->fds[worker * doors->binds_count + bind];

		if (worker > 0 && is_shared(addr)) {
			step = "duplicate";
			fd = fcntl(doors->fds[bind], F_DUPFD_CLOEXEC, 0);
			fd = fd < 0 ? -errno : fd;
		} else {
			fd = open_one(listener, addr, reuse_port, &step);
		}
		*slot = fd < 0 ? -1 : fd;
	}
	if (fd < 0)
		return complain(conf, listener, addr, fd, step, out);
	if (addr->kind == ADDR_UNIX)
		doors->unix_fds[bind] = fcntl(doors->fds[bind], F_DUPFD_CLOEXEC, 0);
	return true;
}

bool doors_open(struct doors *doors, const struct conf *conf, uint32_t workers, FILE *out)
{
	uint32_t bind = 0, i, j;
	bool opened = true;

	*doors = (struct doors){ .workers_count = workers };
	for (i = 0; i < conf->listeners_count; i++)
		doors->binds_count += conf->listeners[i].binds_count;
	doors->fds = malloc(sizeof(int) * workers * doors->binds_count);
	doors->unix_fds = malloc(sizeof(int) * doors->binds_count);
	if (doors->fds == NULL || doors->unix_fds == NULL) {
		fprintf(out, "no memory for the listening sockets\n");
		return false;
	}
	for (i = 0; i < workers * doors->binds_count; i++)
		doors->fds[i] = -1;
	for (i = 0; i < doors->binds_count; i++)
		doors->unix_fds[i] = -1;
	for (i = 0; i < conf->listeners_count; i++)
		for (j = 0; j < conf->listeners[i].binds_count; j++)
			opened = open_bind(doors, conf, &conf->listeners[i],
					   &conf->listeners[i].binds[j], bind++, out) &&
				 opened;
	return opened;
}

void doors_given(struct doors *doors, uint32_t worker)
{
	uint32_t bind;

	assert(worker < doors->workers_count);
	for (bind = 0; bind < doors->binds_count; bind++)
		doors->fds[worker * doors->binds_count + bind] = -1;
}

void doors_close(struct doors *doors, const struct conf *conf)
{
	uint32_t bind = 0, i, j;

	for (i = 0; doors->unix_fds != NULL && i < conf->listeners_count; i++)
		for (j = 0; j < conf->listeners[i].binds_count; j++, bind++)
			if (doors->unix_fds[bind] >= 0) {
				listen_unlink(doors->unix_fds[bind], &conf->listeners[i].binds[j]);
				close(doors->unix_fds[bind]);
			}
	for (i = 0; doors->fds != NULL && i < doors->workers_count * doors->binds_count; i++)
		if (doors->fds[i] >= 0)
			close(doors->fds[i]);
	free(doors->fds);
	free(doors->unix_fds);
	*doors = (struct doors){ 0 };
}
