/* SPDX-License-Identifier: MIT */
/*
 * test_listen.c - listening sockets, on the loopback and in the file system.
 */
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static const struct listen_options plain = { .backlog = 16 };
static const struct listen_options shared = { .backlog = 16, .reuse_port = true };

static struct addr parsed(const char *text)
{
	struct addr addr = { .kind = ADDR_NONE };
	const char *reason = "";

	if (!CHECK(addr_parse(&addr, text, &reason)))
		printf("%s: %s\n", text, reason);
	return addr;
}

/* Port 0, which a text cannot say: the kernel chooses a free one. */
static struct addr with_free_port(const char *text)
{
	struct addr addr = parsed(text);

	addr.u.in.sin_port = 0; /* at the same place for IPv6 */
	return addr;
}

static struct addr bound(int fd)
{
	struct sockaddr_storage storage = { .ss_family = 0 };
	socklen_t len = sizeof(storage);
	struct addr addr;

	CHECK_INT(getsockname(fd, (struct sockaddr *)&storage, &len), 0);
	addr_from_sockaddr(&addr, (struct sockaddr *)&storage, len);
	return addr;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK_INT(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Can this address be called? Returns 0 or a negative errno. */
static int call(const struct addr *addr)
{
	int fd = socket(addr->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	CHECK(fd >= 0);
	rc = connect(fd, &addr->u.any, addr->len) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

static int open_checked(const struct addr *addr, const struct listen_options *options)
{
	const char *step = NULL;
	int fd = listen_open(addr, options, &step);

	if (!CHECK(fd >= 0)) {
		printf("%s: %s\n", step, strerror(-fd));
		return -1;
	}
	CHECK_INT(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	return fd;
}

static void check_fails(const struct addr *addr, int error, const char *right_step)
{
	const char *step = NULL;

	CHECK_INT(listen_open(addr, &plain, &step), error);
	CHECK_TEXT(step, right_step);
}

static bool has_inet6(void)
{
	struct addr addr = with_free_port("[::1]:1");
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, &addr.u.any, addr.len) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

/* -------------------------------------------------------------------------------- TCP */

TEST(an_ipv4_listener_can_be_called_and_passes_nodelay_on)
{
	struct addr addr = with_free_port("127.0.0.1:1");
	int fd = open_checked(&addr, &plain), client, accepted;

	addr = bound(fd);
	CHECK_INT(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	CHECK_INT(option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(client, &addr.u.any, addr.len), 0);
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	CHECK(accepted >= 0);
	CHECK(option(accepted, IPPROTO_TCP, TCP_NODELAY) != 0);
	close(accepted);
	close(client);
	close(fd);
}

TEST(any_takes_ipv4_and_ipv6_calls_on_one_socket)
{
	struct addr addr = with_free_port("*:1"), caller;
	char text[64];
	int fd, port;

	if (!has_inet6()) {
		unit_skip("no IPv6 here");
		return;
	}
	fd = open_checked(&addr, &plain);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	port = ntohs(bound(fd).u.in6.sin6_port);
	snprintf(text, sizeof(text), "127.0.0.1:%d", port);
	caller = parsed(text);
	CHECK_INT(call(&caller), 0);
	snprintf(text, sizeof(text), "[::1]:%d", port);
	caller = parsed(text);
	CHECK_INT(call(&caller), 0);
	close(fd);
}

TEST(an_ipv6_listener_leaves_ipv4_to_another_on_the_same_port)
{
	struct addr addr = with_free_port("[::]:1"), four = parsed("0.0.0.0:1");
	int fd, fd_four;

	if (!has_inet6()) {
		unit_skip("no IPv6 here");
		return;
	}
	fd = open_checked(&addr, &plain);
	CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	four.u.in.sin_port = bound(fd).u.in6.sin6_port;
	fd_four = open_checked(&four, &plain);
	close(fd);
	close(fd_four);
}

TEST(a_mapped_ipv4_address_listens_on_ipv4)
{
	struct addr addr = with_free_port("[::ffff:127.0.0.1]:1"), four = parsed("127.0.0.1:1");
	int fd;

	if (!has_inet6()) {
		unit_skip("no IPv6 here");
		return;
	}
	fd = open_checked(&addr, &plain);
	four.u.in.sin_port = bound(fd).u.in6.sin6_port;
	CHECK_INT(call(&four), 0);
	close(fd);
}

/* In a child: from now on the kernel says that it has no IPv6. */
static bool forbid_inet6(void)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_COUNT(rows), .filter = rows };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Exit status of the child: 0 right, 1 wrong, 2 cannot be tried. */
static int any_without_inet6(void)
{
	struct addr addr = with_free_port("*:1"), six = with_free_port("[::1]:1"), four;
	const char *step = "";
	int fd;

	if (!forbid_inet6())
		return 2;
	if (listen_open(&six, &plain, &step) != -EAFNOSUPPORT || strcmp(step, "socket") != 0)
		return 1;
	fd = listen_open(&addr, &plain, &step);
	if (fd < 0)
		return 1;
	four = bound(fd);
	four.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return four.kind == ADDR_INET && call(&four) == 0 ? 0 : 1;
}

TEST(any_is_ipv4_where_the_kernel_has_no_ipv6)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(any_without_inet6());
	CHECK_INT(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		unit_skip("no seccomp filters here");
	else
		CHECK_INT(status, 0);
}

TEST(a_busy_address_is_refused_unless_both_share_the_port)
{
	struct addr addr = with_free_port("127.0.0.1:1");
	int fd = open_checked(&addr, &plain), fds[3];

	addr = bound(fd);
	check_fails(&addr, -EADDRINUSE, "bind");
	close(fd);

	addr = with_free_port("127.0.0.1:1");
	fds[0] = open_checked(&addr, &shared);
	addr = bound(fds[0]);
	fds[1] = open_checked(&addr, &shared);
	fds[2] = open_checked(&addr, &shared);
	CHECK_INT(option(fds[2], SOL_SOCKET, SO_REUSEPORT), 1);
	check_fails(&addr, -EADDRINUSE, "bind"); /* one who does not share stays out */
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		close(fds[i]);
}

/* SO_REUSEADDR: closed connections of a predecessor that linger do not keep us out. */
TEST(an_address_with_lingering_connections_is_free)
{
	struct addr addr = with_free_port("127.0.0.1:1");
	int fd = open_checked(&addr, &plain), client, accepted;

	addr = bound(fd);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(client, &addr.u.any, addr.len), 0);
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	close(accepted); /* the first to close lingers in TIME_WAIT */
	close(client);
	close(fd);
	fd = open_checked(&addr, &plain);
	close(fd);
}

TEST(a_failure_names_its_step_and_leaves_no_descriptor)
{
	struct addr addr = parsed("192.0.2.7:80"); /* RFC 5737: nobody's */
	int before = lowest_free_fd();

	check_fails(&addr, -EADDRNOTAVAIL, "bind");
	addr = parsed("unix:/nonexistent/folder/socket");
	check_fails(&addr, -ENOENT, "bind");
	CHECK_INT(lowest_free_fd(), before);
}

/* ------------------------------------------------------------------------------- unix */

static char folder[] = "/tmp/sluice_test_listen_XXXXXX";
static char path[64], path_moved[64];

static struct addr folder_make(void)
{
	char text[80];

	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(path_moved, sizeof(path_moved), "%s/moved", folder);
	snprintf(text, sizeof(text), "unix:%s", path);
	return parsed(text);
}

static void folder_remove(void)
{
	unlink(path);
	unlink(path_moved);
	CHECK_INT(rmdir(folder), 0);
}

static bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

TEST(a_unix_listener_can_be_called_and_removes_its_file)
{
	struct addr addr = folder_make();
	int fd = open_checked(&addr, &plain);

	CHECK_INT(call(&addr), 0);
	listen_unlink(fd, &addr);
	CHECK(!exists(path));
	listen_unlink(fd, &addr); /* already gone */
	close(fd);
	folder_remove();
}

TEST(the_file_of_a_socket_that_is_gone_is_replaced)
{
	struct addr addr = folder_make();
	int fd = open_checked(&addr, &plain);

	close(fd);
	CHECK(exists(path));
	fd = open_checked(&addr, &plain);
	CHECK_INT(call(&addr), 0);
	close(fd);
	folder_remove();
}

TEST(a_unix_socket_that_answers_is_in_use_even_when_its_queue_is_full)
{
	struct listen_options narrow = { .backlog = 1 };
	struct addr addr = folder_make();
	int fd = open_checked(&addr, &narrow), callers[3];

	check_fails(&addr, -EADDRINUSE, "bind");
	for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
		callers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(callers[i], &addr.u.any, addr.len);
	}
	check_fails(&addr, -EADDRINUSE, "bind");
	CHECK(exists(path));
	for (size_t i = 0; i < ARRAY_COUNT(callers); i++)
		close(callers[i]);
	close(fd);
	folder_remove();
}

TEST(a_datagram_socket_of_somebody_is_in_use)
{
	struct addr addr = folder_make();
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK_INT(bind(fd, &addr.u.any, addr.len), 0);
	check_fails(&addr, -EADDRINUSE, "bind");
	CHECK(exists(path));
	close(fd);
	folder_remove();
}

TEST(what_is_not_a_socket_is_never_removed)
{
	struct addr addr = folder_make();
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	check_fails(&addr, -EADDRINUSE, "bind");
	CHECK(exists(path));
	close(fd);
	unlink(path);

	/* A link to an abandoned socket: the link is not ours to remove either. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(fd, &addr.u.any, addr.len), 0);
	close(fd);
	CHECK_INT(rename(path, path_moved), 0);
	CHECK_INT(symlink(path_moved, path), 0);
	check_fails(&addr, -EADDRINUSE, "bind");
	CHECK(exists(path));
	CHECK(exists(path_moved));
	folder_remove();
}

TEST(the_file_of_a_successor_is_not_removed)
{
	struct addr addr = folder_make();
	int fd = open_checked(&addr, &plain), successor;

	CHECK_INT(unlink(path), 0);
	successor = open_checked(&addr, &plain);
	listen_unlink(fd, &addr);
	CHECK(exists(path));
	listen_unlink(successor, &addr);
	CHECK(!exists(path));
	close(fd);
	close(successor);
	folder_remove();
}

TEST(a_moved_file_and_a_plain_file_in_its_place_are_not_removed)
{
	struct addr addr = folder_make();
	int fd = open_checked(&addr, &plain), file;

	CHECK_INT(rename(path, path_moved), 0);
	listen_unlink(fd, &addr);
	CHECK(exists(path_moved));
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	listen_unlink(fd, &addr);
	CHECK(exists(path));
	close(file);
	close(fd);
	folder_remove();
}

TEST(an_abstract_name_has_no_file_and_goes_with_its_socket)
{
	char text[64];
	struct addr addr;
	int fd;

	snprintf(text, sizeof(text), "unix:@sluice_test_listen_%d", (int)getpid());
	addr = parsed(text);
	fd = open_checked(&addr, &plain);
	CHECK_INT(call(&addr), 0);
	check_fails(&addr, -EADDRINUSE, "bind");
	listen_unlink(fd, &addr);
	CHECK_INT(call(&addr), 0);
	close(fd);
	CHECK_INT(call(&addr), -ECONNREFUSED);
	fd = open_checked(&addr, &plain);
	close(fd);
}

TEST(unlinking_is_nothing_for_tcp)
{
	struct addr addr = with_free_port("127.0.0.1:1");
	int fd = open_checked(&addr, &plain);

	listen_unlink(fd, &addr);
	addr = bound(fd);
	CHECK_INT(call(&addr), 0);
	close(fd);
}

/* -------------------------------------------------------------------------- inherited */

static struct addr inherited(int fd)
{
	char text[32];

	snprintf(text, sizeof(text), "fd:%d", fd);
	return parsed(text);
}

TEST(an_inherited_listener_is_duplicated_and_made_blocking)
{
	struct addr addr = with_free_port("127.0.0.1:1"), by_fd;
	int fd = open_checked(&addr, &plain), again;

	addr = bound(fd);
	CHECK_INT(fcntl(fd, F_SETFD, 0), 0);
	CHECK_INT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	by_fd = inherited(fd);
	again = open_checked(&by_fd, &plain);
	CHECK(again != fd);
	CHECK(again >= 3);
	close(fd);
	CHECK_INT(call(&addr), 0);
	close(again);
	CHECK_INT(call(&addr), -ECONNREFUSED);
}

TEST(an_inherited_unix_listener_is_taken_too)
{
	struct addr addr = folder_make(), by_fd;
	int fd = open_checked(&addr, &plain), again;

	by_fd = inherited(fd);
	again = open_checked(&by_fd, &plain);
	listen_unlink(again, &by_fd); /* not our file */
	CHECK(exists(path));
	close(fd);
	close(again);
	folder_remove();
}

TEST(descriptors_that_are_no_stream_listeners_are_refused)
{
	struct addr free_port = with_free_port("127.0.0.1:1"), addr;
	int before = lowest_free_fd(), fd;

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	addr = inherited(fd);
	check_fails(&addr, -ENOTSOCK, "SO_TYPE");
	close(fd);
	check_fails(&addr, -EBADF, "SO_TYPE");

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	addr = inherited(fd);
	check_fails(&addr, -EINVAL, "SO_TYPE");
	close(fd);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(fd, &free_port.u.any, free_port.len), 0);
	addr = inherited(fd);
	check_fails(&addr, -EINVAL, "SO_ACCEPTCONN");
	close(fd);
	CHECK_INT(lowest_free_fd(), before);
}

static void open_name(void *argument)
{
	const char *step;

	listen_open(argument, &plain, &step);
}

TEST(a_name_that_was_not_resolved_is_an_assertion)
{
	struct addr addr = parsed("localhost:80");

	CHECK_ABORTS(open_name, &addr);
}

static const struct unit_test tests[] = {
	ROW(an_ipv4_listener_can_be_called_and_passes_nodelay_on),
	ROW(any_takes_ipv4_and_ipv6_calls_on_one_socket),
	ROW(an_ipv6_listener_leaves_ipv4_to_another_on_the_same_port),
	ROW(a_mapped_ipv4_address_listens_on_ipv4),
	ROW(any_is_ipv4_where_the_kernel_has_no_ipv6),
	ROW(a_busy_address_is_refused_unless_both_share_the_port),
	ROW(an_address_with_lingering_connections_is_free),
	ROW(a_failure_names_its_step_and_leaves_no_descriptor),
	ROW(a_unix_listener_can_be_called_and_removes_its_file),
	ROW(the_file_of_a_socket_that_is_gone_is_replaced),
	ROW(a_unix_socket_that_answers_is_in_use_even_when_its_queue_is_full),
	ROW(a_datagram_socket_of_somebody_is_in_use),
	ROW(what_is_not_a_socket_is_never_removed),
	ROW(the_file_of_a_successor_is_not_removed),
	ROW(a_moved_file_and_a_plain_file_in_its_place_are_not_removed),
	ROW(an_abstract_name_has_no_file_and_goes_with_its_socket),
	ROW(unlinking_is_nothing_for_tcp),
	ROW(an_inherited_listener_is_duplicated_and_made_blocking),
	ROW(an_inherited_unix_listener_is_taken_too),
	ROW(descriptors_that_are_no_stream_listeners_are_refused),
	ROW(a_name_that_was_not_resolved_is_an_assertion),
};
UNIT_MAIN(tests)
