/* SPDX-License-Identifier: MIT */
/*
 * listen.c - from an address to a listening socket.
 *
 * Opening is a chain of system calls, and a person who reads "Permission denied" wants to know
 * which of them it was: `struct opening` carries the descriptor and the name of the step at hand,
 * and the first step that fails ends the chain.
 *
 * A unix socket's file outlives its process. Before binding, a file that is there is called: one
 * that answers is somebody's, one that refuses belongs to a socket that is gone.
 *
 * Whether a file is still ours when we go is asked of the kernel (sock_diag(7)): it knows the inode
 * a socket was bound to. Comparing paths would remove the file of a successor who took our place.
 */
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FD_INHERITED_MIN 3 /* a duplicate must not become standard input */

struct opening {
	int fd;           /* -1: none */
	const char *step; /* the call that is being made */
};

/* Give up: close what was opened. Returns the error that errno holds, negative. */
static int opening_fail(struct opening *opening)
{
	int error = errno;

	assert(error > 0);
	if (opening->fd >= 0)
		close(opening->fd);
	opening->fd = -1;
	return -error;
}

static int open_socket(struct opening *opening, int family)
{
	assert(opening->fd == -1);
	opening->step = "socket";
	opening->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return opening->fd < 0 ? opening_fail(opening) : 0;
}

static int set_option(struct opening *opening, const char *name, int level, int option, int value)
{
	assert(opening->fd >= 0);
	opening->step = name;
	if (setsockopt(opening->fd, level, option, &value, sizeof(value)) != 0)
		return opening_fail(opening);
	return 0;
}

static int bind_and_listen(struct opening *opening, const struct sockaddr *sockaddr, socklen_t len,
                           int backlog)
{
	assert(opening->fd >= 0);
	assert(backlog > 0);
	opening->step = "bind";
	if (bind(opening->fd, sockaddr, len) != 0)
		return opening_fail(opening);
	opening->step = "listen";
	if (listen(opening->fd, backlog) != 0)
		return opening_fail(opening);
	return 0;
}

/* v6_only: 0 or 1; -1 for IPv4. */
static int set_inet_options(struct opening *opening, const struct listen_options *options,
                            int v6_only)
{
	const struct {
		const char *name;
		int level, option, value;
		bool wanted;
	} rows[] = {
		{ "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, v6_only, v6_only >= 0 },
		{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 1, true },
		{ "SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, 1, options->reuse_port },
		{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1, true },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_COUNT(rows) && rc == 0; i++)
		if (rows[i].wanted)
			rc = set_option(opening, rows[i].name, rows[i].level, rows[i].option,
			                rows[i].value);
	return rc;
}

static int open_inet(struct opening *opening, const struct sockaddr *sockaddr, socklen_t len,
                     const struct listen_options *options, int v6_only)
{
	int rc = open_socket(opening, sockaddr->sa_family);

	assert((sockaddr->sa_family == AF_INET6) == (v6_only >= 0));
	if (rc == 0)
		rc = set_inet_options(opening, options, v6_only);
	if (rc == 0)
		rc = bind_and_listen(opening, sockaddr, len, options->backlog);
	return rc;
}

/* IPv6 for both families; where the kernel was started without IPv6 (ipv6.disable=1), IPv4. */
static int open_any(struct opening *opening, const struct addr *addr,
                    const struct listen_options *options)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = addr->u.in6.sin6_port };
	int rc = open_inet(opening, &addr->u.any, addr->len, options, 0);

	if (rc != -EAFNOSUPPORT)
		return rc;
	assert(opening->fd == -1);
	return open_inet(opening, (const struct sockaddr *)&in, sizeof(in), options, -1);
}

/* A mapped IPv4 address is IPv4 through an IPv6 socket; any other leaves IPv4 to others. */
static int open_inet6(struct opening *opening, const struct addr *addr,
                      const struct listen_options *options)
{
	bool is_mapped = IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr);

	assert(addr->kind == ADDR_INET6);
	return open_inet(opening, &addr->u.any, addr->len, options, is_mapped ? 0 : 1);
}

static bool is_path(const struct addr *addr)
{
	return addr->kind == ADDR_UNIX && addr->len > offsetof(struct sockaddr_un, sun_path) &&
	       addr->u.un.sun_path[0] != '\0';
}

/* Does a socket stand behind this file? The call must not wait for an acceptor that is slow. */
static bool is_abandoned(const struct addr *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool abandoned;

	assert(is_path(addr));
	if (fd < 0)
		return false;
	abandoned = connect(fd, &addr->u.any, addr->len) != 0 && errno == ECONNREFUSED;
	close(fd);
	return abandoned;
}

/* What is not a socket, or not abandoned, stays: bind() then says that the address is in use. */
static int remove_abandoned(struct opening *opening, const struct addr *addr)
{
	const char *path = addr->u.un.sun_path;
	struct stat file;

	if (!is_path(addr) || lstat(path, &file) != 0 || !S_ISSOCK(file.st_mode))
		return 0;
	if (!is_abandoned(addr))
		return 0;
	opening->step = "unlink";
	/* A second proxy that starts at this moment may have been faster. */
	if (unlink(path) != 0 && errno != ENOENT)
		return opening_fail(opening);
	return 0;
}

static int open_unix(struct opening *opening, const struct addr *addr,
                     const struct listen_options *options)
{
	int rc = remove_abandoned(opening, addr);

	if (rc == 0)
		rc = open_socket(opening, AF_UNIX);
	if (rc == 0)
		rc = bind_and_listen(opening, &addr->u.any, addr->len, options->backlog);
	return rc;
}

static int check_option(struct opening *opening, int fd, const char *name, int option, int wanted)
{
	int value = 0;
	socklen_t len = sizeof(value);

	opening->step = name;
	if (getsockopt(fd, SOL_SOCKET, option, &value, &len) != 0)
		return -errno;
	return value == wanted ? 0 : -EINVAL;
}

static int open_inherited(struct opening *opening, int fd)
{
	int rc = check_option(opening, fd, "SO_TYPE", SO_TYPE, SOCK_STREAM);
	int flags;

	assert(fd >= 0);
	if (rc == 0)
		rc = check_option(opening, fd, "SO_ACCEPTCONN", SO_ACCEPTCONN, 1);
	if (rc != 0)
		return rc;
	opening->step = "fcntl";
	opening->fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_INHERITED_MIN);
	if (opening->fd < 0)
		return opening_fail(opening);
	/* On a non-blocking descriptor the ring's accept fails when nobody is there yet. */
	flags = fcntl(opening->fd, F_GETFL);
	if (flags < 0 || fcntl(opening->fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
		return opening_fail(opening);
	return 0;
}

static int open_kind(struct opening *opening, const struct addr *addr,
                     const struct listen_options *options)
{
	switch (addr->kind) {
	case ADDR_INET:
		return open_inet(opening, &addr->u.any, addr->len, options, -1);
	case ADDR_INET6:
		return open_inet6(opening, addr, options);
	case ADDR_ANY:
		return open_any(opening, addr, options);
	case ADDR_UNIX:
		return open_unix(opening, addr, options);
	case ADDR_FD:
		return open_inherited(opening, addr->u.fd);
	case ADDR_NONE:
	case ADDR_NAME: /* resolved by the caller */
		break;
	}
	unreachable();
	return -EINVAL;
}

int listen_open(const struct addr *addr, const struct listen_options *options, const char **step)
{
	struct opening opening = { .fd = -1, .step = "" };
	int rc;

	assert(addr);
	assert(step);
	assert(options->backlog >= 1);
	rc = open_kind(&opening, addr, options);
	*step = opening.step;
	if (rc != 0) {
		assert(rc < 0);
		assert(opening.fd == -1);
		return rc;
	}
	assert(opening.fd >= 0);
	return opening.fd;
}

/* Ask the kernel about the unix socket with this inode. Returns the length of its answer. */
static ssize_t ask_diag(uint32_t inode, void *answer, size_t answer_size)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
		          .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		          .nlmsg_flags = NLM_F_REQUEST },
		.body = { .sdiag_family = AF_UNIX,
		          .udiag_states = UINT32_MAX,
		          .udiag_ino = inode,
		          .udiag_show = UDIAG_SHOW_VFS,
		          .udiag_cookie = { UINT32_MAX, UINT32_MAX } /* any */ },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t len = -1;

	if (fd < 0)
		return -1;
	if (send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
		len = recv(fd, answer, answer_size, 0);
	close(fd);
	return len;
}

/* The file that a unix socket is bound to. False when the kernel does not tell. */
static bool read_bound_file(int fd, struct unix_diag_vfs *file)
{
	_Alignas(struct nlmsghdr) char answer[1024];
	const struct nlmsghdr *head = (const void *)answer;
	const struct rtattr *attribute;
	struct stat socket_stat;
	ssize_t len;
	unsigned left;

	if (fstat(fd, &socket_stat) != 0)
		return false;
	len = ask_diag((uint32_t)socket_stat.st_ino, answer, sizeof(answer));
	if (len < 0 || !NLMSG_OK(head, (size_t)len) || head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return false;
	left = head->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(struct unix_diag_msg));
	if (left > sizeof(answer))
		return false;
	attribute = (const void *)(answer + NLMSG_SPACE(sizeof(struct unix_diag_msg)));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == UNIX_DIAG_VFS &&
		    RTA_PAYLOAD(attribute) >= sizeof(*file)) {
			memcpy(file, RTA_DATA(attribute), sizeof(*file));
			return true;
		}
	}
	return false;
}

/* The kernel answers with 32 bits of the inode's number, and its own encoding of the device. */
static bool is_same_file(const struct unix_diag_vfs *bound, const struct stat *file)
{
	uint32_t device = major(file->st_dev) << 20 | minor(file->st_dev);

	return bound->udiag_vfs_ino == (uint32_t)file->st_ino && bound->udiag_vfs_dev == device;
}

void listen_unlink(int fd, const struct addr *addr)
{
	struct unix_diag_vfs bound;
	struct stat file;

	assert(fd >= 0);
	if (!is_path(addr) || lstat(addr->u.un.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
		return;
	/* When in doubt the file stays: the next start removes it as abandoned. */
	if (read_bound_file(fd, &bound) && is_same_file(&bound, &file))
		unlink(addr->u.un.sun_path);
}
