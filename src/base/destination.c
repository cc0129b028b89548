/* SPDX-License-Identifier: MIT */
/*
 * destination.c - opening, opening again, and writes that do not wait.
 */
#include "destination.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define FILE_MODE 0640
/* Such a write to a pipe is whole or not at all (PIPE_BUF). */
#define PIECE_MAX 4096u

static enum destination_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
		return DESTINATION_FILE;
	return S_ISSOCK(st.st_mode) ? DESTINATION_SOCKET : DESTINATION_STREAM;
}

static int open_path(const char *path)
{
	const int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, O_WRONLY | flags, FILE_MODE);
	struct stat st;

	if (fd < 0 && errno == ENXIO && stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK); /* its reader may come later */
	return fd < 0 ? -errno : fd;
}

static int open_stderr(enum destination_kind *kind)
{
	int fd;

	*kind = kind_of(STDERR_FILENO);
	if (*kind == DESTINATION_STREAM) {
		fd = open("/proc/self/fd/2",
			  O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd >= 0)
			return fd;
		*kind = DESTINATION_SHARED;
	}
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd < 0 ? -errno : fd;
}

int destination_open(struct destination *destination, const char *target, const char *syslog_path)
{
	*destination = (struct destination){
		.target = target, .syslog_path = syslog_path, .kind = DESTINATION_SYSLOG, .fd = -1
	};
	if (strcmp(target, "syslog") == 0)
		return 0;
	destination->is_path = strcmp(target, "stderr") != 0;
	destination->fd = destination->is_path ? open_path(target) :
						 open_stderr(&destination->kind);
	if (destination->fd < 0)
		return destination->fd;
	if (destination->is_path)
		destination->kind = kind_of(destination->fd);
	return 0;
}

void destination_close(struct destination *destination)
{
	if (destination->fd >= 0)
		close(destination->fd);
	destination->fd = -1;
}

int destination_reopen(struct destination *destination)
{
	int fd;

	if (!destination->is_path)
		return 0;
	fd = open_path(destination->target);
	if (fd < 0)
		return fd;
	destination_close(destination);
	destination->fd = fd;
	destination->kind = kind_of(fd);
	return 0;
}

/* --- syslog ---------------------------------------------------------------------------------- */

static int connect_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, result = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		result = -errno;
	if (result < 0 && fd >= 0)
		close(fd);
	return result < 0 ? result : fd;
}

/* What syslog(3) puts in front of a text. */
static size_t put_syslog_head(char *head, size_t size)
{
	time_t now = time(NULL);
	char stamp[32];
	struct tm local;
	int len;

	localtime_r(&now, &local);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &local);
	len = snprintf(head, size, "<%d>%s %.32s[%d]: ", LOG_DAEMON | LOG_INFO, stamp,
		       program_invocation_short_name, (int)getpid());
	assert(len > 0 && (size_t)len < size);
	return (size_t)len;
}

static ssize_t send_line(int fd, const char *line, size_t len)
{
	char head[128];
	struct iovec parts[2] = { { .iov_base = head },
				  { .iov_base = (char *)(uintptr_t)line, .iov_len = len - 1 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = ARRAY_COUNT(parts) };

	parts[0].iov_len = put_syslog_head(head, sizeof(head));
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : (ssize_t)len;
}

static ssize_t write_syslog(struct destination *destination, const char *lines, size_t len)
{
	const char *end = memchr(lines, '\n', len);
	ssize_t result;

	assert(end != NULL);
	if (destination->fd < 0) {
		int fd = connect_syslog(destination->syslog_path);

		if (fd < 0)
			return fd;
		destination->fd = fd;
	}
	result = send_line(destination->fd, lines, (size_t)(end - lines) + 1);
	if (result < 0 && result != -EAGAIN && result != -EINTR)
		destination_close(destination); /* it was started anew: connect again */
	return result;
}

/* --- writing --------------------------------------------------------------------------------- */

/* Whole lines, so that what others write there stays apart; a longer line, or its rest, alone. */
static size_t piece_len(const char *lines, size_t len)
{
	const char *end;

	if (len <= PIECE_MAX)
		return len;
	end = memrchr(lines, '\n', PIECE_MAX);
	if (end == NULL)
		end = memchr(lines, '\n', len);
	assert(end != NULL);
	return (size_t)(end - lines) + 1;
}

static ssize_t write_once(struct destination *destination, const char *lines, size_t len)
{
	struct pollfd room = { .fd = destination->fd, .events = POLLOUT };
	ssize_t sent = -1;

	switch (destination->kind) {
	case DESTINATION_FILE:
		sent = write(destination->fd, lines, len);
		break;
	case DESTINATION_SHARED:
		if (poll(&room, 1, 0) <= 0)
			return -EAGAIN;
		sent = write(destination->fd, lines, piece_len(lines, len));
		break;
	case DESTINATION_STREAM:
		sent = write(destination->fd, lines, piece_len(lines, len));
		break;
	case DESTINATION_SOCKET:
		sent = send(destination->fd, lines, piece_len(lines, len),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case DESTINATION_SYSLOG:
		return write_syslog(destination, lines, len);
	}
	if (sent == 0)
		return -EIO;
	return sent < 0 ? -errno : sent;
}

ssize_t destination_write(struct destination *destination, const char *lines, size_t len)
{
	ssize_t result;

	assert(len > 0);
	do
		result = write_once(destination, lines, len);
	while (result == -EINTR);
	assert(result != 0 && result <= (ssize_t)len);
	return result;
}
