/* SPDX-License-Identifier: MIT */
/*
 * test_destination.c - how much goes out at once, and that nothing waits for a reader.
 *
 * The pipes here block: a wrong step hangs.
 */
#include "base/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

static char folder[] = "/tmp/sluice_test_destination_XXXXXX";
static char path[64];

static void folder_make(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/there", folder);
}

static void folder_remove(void)
{
	unlink(path);
	CHECK_INT(rmdir(folder), 0);
}

/* Three pipe buffers of lines: 100 bytes, up to 4001, and a long one. */
static char lines[3 * 4096];

static void make_lines(void)
{
	memset(lines, 'x', sizeof(lines));
	lines[99] = lines[4000] = lines[sizeof(lines) - 1] = '\n';
}

/* Writes until there is no room; returns the sum. */
static ssize_t fill(struct destination *destination)
{
	ssize_t result, sum = 0;

	while ((result = destination_write(destination, lines, 4001)) > 0)
		sum += result;
	CHECK_INT(result, -EAGAIN);
	return sum;
}

TEST(a_file_takes_all_at_once)
{
	struct destination destination;

	folder_make();
	make_lines();
	CHECK_INT(destination_open(&destination, path, ""), 0);
	CHECK_INT(destination_write(&destination, lines, sizeof(lines)), (int64_t)sizeof(lines));
	destination_close(&destination);
	CHECK_INT(destination.fd, -1);
	folder_remove();
}

TEST(a_fifo_opens_without_a_reader_takes_whole_lines_and_says_when_it_is_full)
{
	struct destination destination;

	folder_make();
	make_lines();
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(destination_open(&destination, path, ""), 0);
	CHECK_INT(destination_write(&destination, lines, sizeof(lines)), 4001);
	CHECK_INT(destination_write(&destination, lines + 4001, sizeof(lines) - 4001),
		  (int64_t)sizeof(lines) - 4001);
	CHECK(fill(&destination) > 0);
	CHECK_INT(destination_reopen(&destination), 0);
	destination_close(&destination);
	folder_remove();
}

/* As where a terminal of another user cannot be opened once more. */
TEST(a_description_that_others_share_is_written_to_only_when_there_is_room)
{
	struct destination destination = { .target = "stderr", .kind = DESTINATION_SHARED };
	int fds[2] = { -1, -1 };

	make_lines();
	CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
	destination.fd = fds[1];
	CHECK_INT(destination_write(&destination, lines, sizeof(lines)), 4001);
	CHECK_INT(destination_write(&destination, lines, 100), 100);
	CHECK(fill(&destination) > 0);
	CHECK(read(fds[0], lines, sizeof(lines)) == (ssize_t)sizeof(lines));
	CHECK_INT(destination_write(&destination, "again\n", 6), 6);
	CHECK_INT(destination_reopen(&destination), 0); /* not a path: nothing to open */
	CHECK_INT(destination.fd, fds[1]);
	close(fds[0]);
	destination_close(&destination);
}

static int open_syslog_server(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, sizeof(path));
	CHECK_INT(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void check_datagram(int fd, const char *right_end)
{
	char text[256];
	ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (!CHECK(len > (ssize_t)strlen(right_end)))
		return;
	text[len] = '\0';
	CHECK(strncmp(text, "<30>", 4) == 0); /* daemon, info */
	CHECK_TEXT(text + len - strlen(right_end), right_end);
}

TEST(to_syslog_goes_a_datagram_per_line_as_soon_as_there_is_a_syslog)
{
	struct destination destination;
	int server;

	folder_make();
	CHECK_INT(destination_open(&destination, "syslog", path), 0);
	CHECK_INT(destination_write(&destination, "one\n", 4), -ENOENT);
	server = open_syslog_server();
	CHECK_INT(destination_write(&destination, "one\ntwo words\n", 14), 4);
	CHECK_INT(destination_write(&destination, "two words\n", 10), 10);
	check_datagram(server, "]: one");
	check_datagram(server, "]: two words");
	make_lines();
	while (destination_write(&destination, lines, 100) == 100)
		continue;
	CHECK_INT(destination_write(&destination, lines, 100), -EAGAIN); /* nobody reads */
	close(server);
	CHECK_INT(destination_write(&destination, "three\n", 6), -ECONNREFUSED);
	unlink(path);
	server = open_syslog_server(); /* it was started anew */
	CHECK_INT(destination_write(&destination, "three\n", 6), 6);
	check_datagram(server, "]: three");
	close(server);
	destination_close(&destination);
	folder_remove();
}

static const struct unit_test tests[] = {
	ROW(a_file_takes_all_at_once),
	ROW(a_fifo_opens_without_a_reader_takes_whole_lines_and_says_when_it_is_full),
	ROW(a_description_that_others_share_is_written_to_only_when_there_is_room),
	ROW(to_syslog_goes_a_datagram_per_line_as_soon_as_there_is_a_syslog),
};
UNIT_MAIN(tests)
