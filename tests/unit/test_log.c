/* SPDX-License-Identifier: MIT */
/*
 * test_log.c - lines of the log, as they arrive in a file and on a socket.
 *
 * A sequenced socket keeps writes apart, so it shows what one write(2) carried.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define TEXT_MAX 65536
#define THREADS 4
#define LINES_PER_THREAD 500

static char folder[] = "/tmp/sluice_test_log_XXXXXX";
static char path[64], path_old[64];

static void folder_make(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(path_old, sizeof(path_old), "%s/log.1", folder);
}

static void folder_remove(void)
{
	unlink(path);
	unlink(path_old);
	CHECK_INT(rmdir(folder), 0);
}

static const char *file_text(const char *name)
{
	static char text[TEXT_MAX * 4];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

static bool matches(const char *text, const char *pattern)
{
	regex_t regex;
	bool found;

	CHECK_INT(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

/* A log into a socket pair; *reader is the other end. */
static struct log log_into_socket(int *reader, enum log_level level)
{
	struct log log = { .level = level, .fd = -1 };
	int fds[2] = { -1, -1 };

	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	log.fd = fds[0];
	*reader = fds[1];
	return log;
}

static ssize_t receive(int reader, char text[TEXT_MAX])
{
	ssize_t len = recv(reader, text, TEXT_MAX - 1, MSG_DONTWAIT);

	text[len < 0 ? 0 : len] = '\0';
	return len;
}

TEST(a_line_has_time_level_and_text)
{
	struct log log;

	folder_make();
	CHECK_INT(log_open(&log, path, LOG_LEVEL_INFO), 0);
	log_warn(&log, "%d of %s", 3, "four");
	CHECK(matches(file_text(path), "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
	                               "[0-6][0-9]\\.[0-9]{3}Z warn 3 of four\n$"));
	log_close(&log);
	folder_remove();
}

TEST(a_file_is_made_for_owner_and_group_and_appended_to)
{
	struct log log;
	struct stat st;
	mode_t mask = umask(0);

	folder_make();
	CHECK_INT(log_open(&log, path, LOG_LEVEL_INFO), 0);
	umask(mask);
	CHECK_INT(stat(path, &st), 0);
	CHECK_UINT(st.st_mode & 07777, 0640);
	CHECK(fcntl(log.fd, F_GETFD) & FD_CLOEXEC);
	log_info(&log, "one");
	log_close(&log);
	CHECK_INT(log_open(&log, path, LOG_LEVEL_INFO), 0);
	log_info(&log, "two");
	log_close(&log);
	CHECK(matches(file_text(path), "^[^\n]* info one\n[^\n]* info two\n$"));
	folder_remove();
}

static unsigned evaluated_count;

static int evaluate(void)
{
	return (int)++evaluated_count;
}

TEST(lines_above_the_level_are_neither_written_nor_evaluated)
{
	char text[TEXT_MAX];

	for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++) {
		int reader, expected = (int)level + 1, received = 0;
		struct log log = log_into_socket(&reader, (enum log_level)level);

		evaluated_count = 0;
		log_error(&log, "%d", evaluate());
		log_warn(&log, "%d", evaluate());
		log_info(&log, "%d", evaluate());
		log_debug(&log, "%d", evaluate());
		log_write(&log, LOG_LEVEL_DEBUG, "the function itself looks at the level");
		while (receive(reader, text) > 0)
			received++;
		CHECK_INT(received, expected + (level == LOG_LEVEL_DEBUG));
		CHECK_UINT(evaluated_count, (unsigned)expected);
		close(log.fd);
		close(reader);
	}
}

TEST(levels_have_the_words_of_the_configuration)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < LOG_LEVEL_COUNT; i++)
		CHECK_TEXT(log_level_names[i], words[i]);
}

/* Around the limit, and far beyond it. */
TEST(a_line_is_cut_at_its_limit_ends_in_dots_and_is_one_write)
{
	static char long_text[10000], received[TEXT_MAX];
	size_t head_len = strlen("2026-01-31T12:00:00.123Z info ");
	int reader;
	struct log log = log_into_socket(&reader, LOG_LEVEL_INFO);

	for (size_t len = LOG_LINE_MAX - head_len - 4; len < sizeof(long_text); len++) {
		bool cut = head_len + len + 1 > LOG_LINE_MAX;
		size_t right = cut ? LOG_LINE_MAX : head_len + len + 1;

		if (len > LOG_LINE_MAX)
			len = sizeof(long_text) - 1;
		memset(long_text, 'x', len);
		long_text[len] = '\0';
		log_info(&log, "%s", long_text);
		CHECK_INT(receive(reader, received), (int64_t)right);
		CHECK_TEXT(received + right - 5, cut ? "x...\n" : "xxxx\n");
		CHECK(receive(reader, received) < 0); /* and not a second write */
	}
	close(log.fd);
	close(reader);
}

TEST(control_characters_cannot_forge_a_second_line)
{
	char received[TEXT_MAX];
	int reader;
	struct log log = log_into_socket(&reader, LOG_LEVEL_INFO);

	log_info(&log, "host %s", "a\n2026-01-31T12:00:00.123Z error forged\r\t\x1b[2J\x7f");
	CHECK(receive(reader, received) > 0);
	CHECK(matches(received, "Z info host a 2026-01-31T12:00:00.123Z error forged   \\[2J \n$"));
	log_info(&log, "%s", "bytes above 127 stay: \xc3\xa4");
	CHECK(receive(reader, received) > 0);
	CHECK(matches(received, "stay: \xc3\xa4\n$"));
	close(log.fd);
	close(reader);
}

TEST(logging_keeps_errno)
{
	struct log log = { .level = LOG_LEVEL_INFO, .fd = open("/dev/full", O_WRONLY | O_CLOEXEC) };

	CHECK(log.fd >= 0);
	errno = EXDEV;
	log_info(&log, "this write fails");
	CHECK_INT(errno, EXDEV);
	close(log.fd);
}

TEST(after_a_rename_the_old_file_is_used_until_reopened)
{
	struct log log;
	int fd;

	folder_make();
	CHECK_INT(log_open(&log, path, LOG_LEVEL_INFO), 0);
	fd = log.fd;
	log_info(&log, "one");
	CHECK_INT(rename(path, path_old), 0);
	log_info(&log, "two");
	CHECK_INT(log_reopen(&log), 0);
	CHECK_INT(log.fd, fd); /* other threads are writing to this number */
	CHECK(fcntl(log.fd, F_GETFD) & FD_CLOEXEC);
	log_info(&log, "three");
	CHECK(matches(file_text(path_old), "one\n[^\n]*two\n$"));
	CHECK(matches(file_text(path), "^[^\n]*three\n$"));
	log_close(&log);
	folder_remove();
}

TEST(when_reopening_fails_the_old_file_stays_in_use)
{
	struct log log;

	folder_make();
	CHECK_INT(log_open(&log, path, LOG_LEVEL_INFO), 0);
	CHECK_INT(rename(path, path_old), 0);
	CHECK_INT(mkdir(path, 0700), 0);
	CHECK_INT(log_reopen(&log), -EISDIR);
	log_info(&log, "still here");
	CHECK(matches(file_text(path_old), "still here\n$"));
	log_close(&log);
	CHECK_INT(rmdir(path), 0);
	folder_remove();
}

TEST(targets_that_are_no_files_need_no_reopening)
{
	struct log log;

	CHECK_INT(log_open(&log, "stderr", LOG_LEVEL_ERROR), 0);
	CHECK_INT(log.fd, STDERR_FILENO);
	CHECK_INT(log_reopen(&log), 0);
	log_close(&log);
	CHECK(fcntl(STDERR_FILENO, F_GETFD) >= 0); /* not ours to close */
	CHECK_INT(log_open(&log, "syslog", LOG_LEVEL_ERROR), 0);
	CHECK_INT(log.fd, -1);
	CHECK_INT(log_reopen(&log), 0);
	log_close(&log);
}

TEST(a_path_that_cannot_be_opened_is_an_error_that_leaves_the_log_alone)
{
	struct log log = { .fd = 77 };

	CHECK_INT(log_open(&log, "/nonexistent/folder/log", LOG_LEVEL_INFO), -ENOENT);
	CHECK_INT(log_open(&log, "", LOG_LEVEL_INFO), -ENOENT);
	CHECK_INT(log_open(&log, "/tmp", LOG_LEVEL_INFO), -EISDIR);
	CHECK_INT(log.fd, 77);
}

static void *write_lines(void *argument)
{
	for (int i = 0; i < LINES_PER_THREAD; i++)
		log_info((struct log *)argument, "begin %050d end", i);
	return NULL;
}

TEST(lines_of_several_threads_do_not_mix_and_survive_reopening)
{
	pthread_t threads[THREADS];
	const char *text;
	struct log log;
	size_t lines = 0;

	folder_make();
	CHECK_INT(log_open(&log, path, LOG_LEVEL_INFO), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, write_lines, &log), 0);
	for (int i = 0; i < 100; i++)
		CHECK_INT(log_reopen(&log), 0);
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	for (text = file_text(path); *text != '\0'; text = strchr(text, '\n') + 1) {
		static const char head[] = "2026-01-31T12:00:00.123Z info begin 0";

		CHECK(strchr(text, '\n') - text == (ptrdiff_t)strlen(head) + 49 + 4);
		lines++;
	}
	CHECK_UINT(lines, THREADS * LINES_PER_THREAD);
	log_close(&log);
	folder_remove();
}

static const struct unit_test tests[] = {
	ROW(a_line_has_time_level_and_text),
	ROW(a_file_is_made_for_owner_and_group_and_appended_to),
	ROW(lines_above_the_level_are_neither_written_nor_evaluated),
	ROW(levels_have_the_words_of_the_configuration),
	ROW(a_line_is_cut_at_its_limit_ends_in_dots_and_is_one_write),
	ROW(control_characters_cannot_forge_a_second_line),
	ROW(logging_keeps_errno),
	ROW(after_a_rename_the_old_file_is_used_until_reopened),
	ROW(when_reopening_fails_the_old_file_stays_in_use),
	ROW(targets_that_are_no_files_need_no_reopening),
	ROW(a_path_that_cannot_be_opened_is_an_error_that_leaves_the_log_alone),
	ROW(lines_of_several_threads_do_not_mix_and_survive_reopening),
};
UNIT_MAIN(tests)
