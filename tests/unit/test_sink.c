/* SPDX-License-Identifier: MIT */
/*
 * test_sink.c - lines of several producers, as they arrive in files, pipes and sockets, and what
 * happens when nobody takes them. Built with ThreadSanitizer too.
 */
#include "base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"

#define PRODUCERS 4
#define LINES_EACH 30000u
#define WAIT_NS (20 * NS_PER_S) /* for what should happen at once, on a busy host */

static char folder[] = "/tmp/sluice_test_sink_XXXXXX";
static char path[64], path_old[64], path_other[64];

static void folder_make(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/lines", folder);
	snprintf(path_old, sizeof(path_old), "%s/lines.1", folder);
	snprintf(path_other, sizeof(path_other), "%s/other", folder);
}

static void folder_remove(void)
{
	unlink(path);
	unlink(path_old);
	unlink(path_other);
	CHECK_INT(rmdir(folder), 0);
}

/* The whole file, ended by a zero; the caller frees it. */
static char *file_text(const char *name)
{
	FILE *file = fopen(name, "re");
	struct stat st;
	char *text;
	size_t len;

	if (!CHECK(file != NULL))
		return calloc(1, 1);
	CHECK_INT(fstat(fileno(file), &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	len = fread(text, 1, (size_t)st.st_size, file);
	CHECK_UINT(len, (uint64_t)st.st_size);
	fclose(file);
	return text;
}

static void check_file(const char *name, const char *right)
{
	char *text = file_text(name);

	CHECK_TEXT(text, right);
	free(text);
}

static void sleep_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* Until a counter has a value, or WAIT_NS. */
static void wait_for(const struct counter *counter, uint64_t value)
{
	uint64_t until = clock_ns() + WAIT_NS;

	while (counter_read(counter) < value && clock_ns() < until)
		sleep_ms(1);
	CHECK(counter_read(counter) >= value);
}

static struct sinks *open_targets(const char *const *targets, uint32_t count, uint32_t ring_bytes)
{
	struct sinks_options options = { .targets = targets,
					 .targets_count = count,
					 .producers = PRODUCERS,
					 .ring_bytes = ring_bytes,
					 .close_ns = 300 * NS_PER_MS };
	struct sinks *sinks = NULL;
	const char *failed;

	CHECK_INT(sinks_open(&sinks, &options, &failed), 0);
	CHECK(failed == NULL);
	return sinks;
}

static struct sinks *open_one(const char *target, uint32_t ring_bytes)
{
	return open_targets(&target, 1, ring_bytes);
}

static bool put(struct sink *sink, uint32_t producer, const char *line)
{
	return sink_write(sink, producer, line, (uint32_t)strlen(line));
}

/* --- order and counts ------------------------------------------------------------------------ */

TEST(lines_written_before_the_start_and_after_it_arrive_in_order)
{
	struct sinks *sinks;
	struct sink *sink;

	folder_make();
	sinks = open_one(path, 0);
	sink = sinks_find(sinks, path);
	CHECK(put(sink, 0, "one\n"));
	CHECK(put(sink, 0, "two\n"));
	CHECK_INT(sinks_start(sinks), 0);
	CHECK(put(sink, 0, "three\n"));
	wait_for(&sink_stats(sink)->lines_out, 3);
	CHECK(put(sink, 0, "four\n"));
	CHECK_UINT(sinks_close(sinks), 0);
	check_file(path, "one\ntwo\nthree\nfour\n");
	folder_remove();
}

struct producer {
	pthread_t thread;
	struct sink *sink;
	uint32_t index;
	uint64_t accepted, refused;
};

static const char filler[] = "................................................................";

/* Lines of many lengths, `index number ...`, so that the ring's end is met at every offset. */
static void *produce(void *argument)
{
	struct producer *producer = argument;
	char line[128];
	uint32_t i;

	for (i = 0; i < LINES_EACH; i++) {
		int len = snprintf(line, sizeof(line), "%u %u %.*s\n", producer->index, i,
				   (int)(i % 61), filler);

		if (sink_write(producer->sink, producer->index, line, (uint32_t)len))
			producer->accepted++;
		else
			producer->refused++;
		if (i % 5000 == 0)
			sleep_ms(25); /* let the writer nap in between */
	}
	return NULL;
}

/* Every line is whole, and the numbers of each producer only grow. Returns the lines of each. */
static void check_lines(const char *text, uint64_t counts[PRODUCERS])
{
	int64_t last[PRODUCERS] = { -1, -1, -1, -1 };
	bool whole = true, ordered = true;
	char right[128];

	while (*text != '\0') {
		char *end;
		unsigned long index = strtoul(text, &end, 10), number = strtoul(end, &end, 10);

		if (!CHECK(index < PRODUCERS))
			return;
		snprintf(right, sizeof(right), "%lu %lu %.*s\n", index, number, (int)(number % 61),
			 filler);
		whole &= strncmp(text, right, strlen(right)) == 0;
		ordered &= (int64_t)number > last[index];
		last[index] = (int64_t)number;
		counts[index]++;
		text += strlen(right);
		if (!whole)
			break;
	}
	CHECK(whole);
	CHECK(ordered);
}

TEST(lines_of_several_producers_stay_whole_and_ordered_and_the_counts_are_exact)
{
	struct producer producers[PRODUCERS];
	uint64_t counts[PRODUCERS] = { 0 };
	struct sinks *sinks;
	struct sink *sink;
	char *text;
	uint32_t i;

	folder_make();
	sinks = open_one(path, 64u << 10);
	sink = sinks_find(sinks, path);
	CHECK_INT(sinks_start(sinks), 0);
	for (i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){ .sink = sink, .index = i };
		CHECK_INT(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
	}
	for (i = 0; i < 20; i++) { /* reopening loses nothing */
		sinks_reopen(sinks);
		sleep_ms(2);
	}
	for (i = 0; i < PRODUCERS; i++) {
		const struct sink_counts *found = sink_counts(sink, i);

		pthread_join(producers[i].thread, NULL);
		CHECK_UINT(counter_read(&found->lines_written), producers[i].accepted);
		CHECK_UINT(counter_read(&found->lines_dropped), producers[i].refused);
		CHECK_UINT(producers[i].accepted + producers[i].refused, LINES_EACH);
	}
	CHECK_UINT(sinks_close(sinks), 0);
	text = file_text(path);
	check_lines(text, counts);
	for (i = 0; i < PRODUCERS; i++)
		CHECK_UINT(counts[i], producers[i].accepted);
	free(text);
	folder_remove();
}

TEST(a_full_ring_drops_and_counts_exactly_and_leaves_other_rings_alone)
{
	static char line[SINK_LINE_MAX];
	struct sinks *sinks;
	struct sink *sink;
	uint32_t i;

	folder_make();
	sinks = open_one(path, 2 * SINK_LINE_MAX);
	sink = sinks_find(sinks, path);
	memset(line, 'x', sizeof(line));
	line[99] = '\n';
	for (i = 0; i < 200; i++) /* 16384 bytes: 163 lines of 100, and 84 bytes are left */
		CHECK(sink_write(sink, 1, line, 100) == (i < 163));
	CHECK(put(sink, 1, "a shorter one that fits\n"));
	CHECK_UINT(counter_read(&sink_counts(sink, 1)->lines_written), 164);
	CHECK_UINT(counter_read(&sink_counts(sink, 1)->lines_dropped), 37);
	line[99] = 'x';
	line[SINK_LINE_MAX - 1] = '\n';
	for (i = 0; i < 3; i++) /* full to the last byte */
		CHECK(sink_write(sink, 2, line, SINK_LINE_MAX) == (i < 2));
	CHECK_UINT(counter_read(&sink_counts(sink, 2)->lines_dropped), 1);
	CHECK_UINT(counter_read(&sink_counts(sink, 0)->lines_dropped), 0);
	CHECK_INT(sinks_start(sinks), 0);
	wait_for(&sink_stats(sink)->lines_out, 166);
	CHECK(sink_write(sink, 2, line, SINK_LINE_MAX)); /* there is room again */
	CHECK_UINT(sinks_close(sinks), 0);
	folder_remove();
}

TEST(taking_lines_without_a_writer_gives_whole_lines)
{
	static char line[SINK_LINE_MAX], out[SINK_LINE_MAX + 100];
	struct sinks *sinks;
	struct sink *sink;

	folder_make();
	sinks = open_one(path, 2 * SINK_LINE_MAX);
	sink = sinks_find(sinks, path);
	memset(line, 'x', sizeof(line));
	line[SINK_LINE_MAX - 1] = '\n';
	CHECK_UINT(sink_take(sink, 3, out, sizeof(out)), 0);
	CHECK(put(sink, 3, "short\n"));
	CHECK(sink_write(sink, 3, line, SINK_LINE_MAX));
	CHECK(put(sink, 3, "last\n"));
	CHECK_UINT(sink_take(sink, 3, out, SINK_LINE_MAX), 6);
	CHECK(memcmp(out, "short\n", 6) == 0);
	CHECK_UINT(sink_take(sink, 3, out, sizeof(out)), SINK_LINE_MAX + 5);
	CHECK(memcmp(out + SINK_LINE_MAX, "last\n", 5) == 0);
	CHECK_UINT(sink_take(sink, 3, out, sizeof(out)), 0);
	sinks_close(sinks);
	folder_remove();
}

TEST(a_busy_sink_makes_few_writes_and_an_idle_one_is_woken)
{
	struct sinks *sinks;
	struct sink *sink;
	uint64_t writes;
	uint32_t i;

	folder_make();
	sinks = open_one(path, 0);
	sink = sinks_find(sinks, path);
	CHECK_INT(sinks_start(sinks), 0);
	CHECK(put(sink, 0, "wake\n"));
	wait_for(&sink_stats(sink)->lines_out, 1);
	for (i = 0; i < 2000; i++)
		CHECK(put(sink, i % PRODUCERS, "a line of a busy proxy\n"));
	wait_for(&sink_stats(sink)->lines_out, 2001);
	writes = counter_read(&sink_stats(sink)->writes);
	CHECK(writes < 200);
	sleep_ms(1500); /* the writer sleeps without an end now */
	CHECK(put(sink, 0, "one more\n"));
	wait_for(&sink_stats(sink)->lines_out, 2002);
	sleep_ms(1500);
	sinks_reopen(sinks);
	wait_for(&sink_stats(sink)->reopens, 1);
	CHECK_UINT(counter_read(&sink_stats(sink)->writes), writes + 1);
	CHECK_UINT(sinks_close(sinks), 0);
	folder_remove();
}

/* --- reopening ------------------------------------------------------------------------------- */

TEST(after_a_rename_the_old_file_is_used_until_reopened)
{
	const struct sink_stats *stats;
	struct sinks *sinks;
	struct sink *sink;

	folder_make();
	sinks = open_one(path, 0);
	sink = sinks_find(sinks, path);
	stats = sink_stats(sink);
	CHECK_INT(sinks_start(sinks), 0);
	CHECK(put(sink, 0, "one\n"));
	wait_for(&stats->lines_out, 1);
	CHECK_INT(rename(path, path_old), 0);
	CHECK(put(sink, 1, "two\n"));
	wait_for(&stats->lines_out, 2);
	sinks_reopen(sinks);
	wait_for(&stats->reopens, 1);
	CHECK(put(sink, 0, "three\n"));
	wait_for(&stats->lines_out, 3);
	/* A folder in its place: the file that is open stays in use. */
	CHECK_INT(rename(path, path_other), 0);
	CHECK_INT(mkdir(path, 0700), 0);
	sinks_reopen(sinks);
	wait_for(&stats->reopens, 2);
	CHECK_UINT(counter_read(&stats->reopens_failed), 1);
	CHECK(put(sink, 0, "four\n"));
	CHECK_UINT(sinks_close(sinks), 0);
	CHECK_INT(rmdir(path), 0);
	check_file(path_old, "one\ntwo\n");
	check_file(path_other, "three\nfour\n");
	folder_remove();
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(a_line_torn_by_a_full_disk_goes_on_there_or_is_whole_in_the_new_file)
{
	const struct sink_stats *stats;
	struct sinks *sinks;
	struct sink *sink;

	folder_make();
	sinks = open_one(path, 0);
	sink = sinks_find(sinks, path);
	stats = sink_stats(sink);
	CHECK(put(sink, 0, "first\n"));
	CHECK(put(sink, 0, "second\n"));
	CHECK(put(sink, 0, "third\n"));
	limit_files(9);
	CHECK_INT(sinks_start(sinks), 0);
	wait_for(&stats->errors, 1);
	CHECK_UINT(counter_read(&stats->error), EFBIG);
	CHECK_UINT(counter_read(&stats->lines_out), 1);
	limit_files(15);
	wait_for(&stats->lines_out, 2); /* tried again after a second */
	CHECK_INT(rename(path, path_old), 0);
	limit_files(RLIM_INFINITY);
	sinks_reopen(sinks);
	wait_for(&stats->lines_out, 3);
	CHECK_UINT(counter_read(&stats->error), 0);
	CHECK_UINT(sinks_close(sinks), 0);
	check_file(path_old, "first\nsecond\nth");
	check_file(path, "third\n");
	folder_remove();
}

/* --- destinations that take nothing ---------------------------------------------------------- */

/* Far more than ring, batch and pipe hold. Returns how long the slowest write took. */
static uint64_t write_much(struct sink *sink, uint32_t lines)
{
	static const char line[] = "GET /some/target/of/a/usual/length HTTP/1.1 200 in=0 out=1\n";
	uint64_t before = clock_ns(), slowest = 0;
	uint32_t i;

	for (i = 0; i < lines; i++) {
		uint64_t now;

		(void)put(sink, 0, line);
		now = clock_ns();
		slowest = now - before > slowest ? now - before : slowest;
		before = now;
	}
	return slowest;
}

TEST(a_pipe_that_nobody_reads_blocks_no_producer_no_other_sink_and_no_close)
{
	const char *targets[2];
	struct sinks *sinks;
	struct sink *pipe_sink, *file_sink;
	uint64_t began, lost;

	folder_make();
	targets[0] = path;
	targets[1] = path_other;
	CHECK_INT(mkfifo(path, 0600), 0);
	sinks = open_targets(targets, 2, 0); /* nobody has it open for reading */
	pipe_sink = sinks_find(sinks, path);
	file_sink = sinks_find(sinks, path_other);
	CHECK_INT(sinks_start(sinks), 0);
	CHECK(write_much(pipe_sink, 20000) < 5 * NS_PER_S);
	CHECK_UINT(counter_read(&sink_counts(pipe_sink, 0)->lines_written) +
			   counter_read(&sink_counts(pipe_sink, 0)->lines_dropped),
		   20000);
	CHECK(counter_read(&sink_counts(pipe_sink, 0)->lines_dropped) > 5000);
	CHECK(put(file_sink, 0, "the other sink goes on\n"));
	wait_for(&sink_stats(file_sink)->lines_out, 1);
	CHECK_UINT(counter_read(&sink_stats(pipe_sink)->errors), 0); /* full is no failure */
	began = clock_ns();
	lost = sinks_close(sinks);
	CHECK(clock_ns() - began < 5 * NS_PER_S); /* 300 ms were asked for */
	CHECK(lost > 0 && lost < 20000);
	check_file(path_other, "the other sink goes on\n");
	folder_remove();
}

static void *read_slowly(void *argument)
{
	int fd = *(int *)argument;
	static char text[64u << 10];
	ssize_t len;
	uint64_t *lines = calloc(1, sizeof(*lines));

	while ((len = read(fd, text, sizeof(text))) > 0) {
		ssize_t i;

		for (i = 0; i < len; i++)
			*lines += text[i] == '\n';
		sleep_ms(1);
	}
	return lines;
}

/* fd 2 is replaced by `fd` while the sinks are opened. */
static struct sinks *open_stderr(int fd)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct sinks *sinks;

	CHECK(saved >= 0);
	CHECK(dup2(fd, STDERR_FILENO) >= 0);
	sinks = open_one("stderr", 1u << 20);
	CHECK(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	return sinks;
}

/* A pipe and a socket; the reader gets every line although it is slower than the producer. */
TEST(stderr_is_written_to_without_blocking_and_its_flags_stay_as_they_are)
{
	unsigned kind;

	for (kind = 0; kind < 2; kind++) {
		int fds[2] = { -1, -1 };
		struct sinks *sinks;
		struct sink *sink;
		pthread_t reader;
		void *lines = NULL;

		unit_row(kind == 0 ? "pipe" : "socket");
		if (kind == 0)
			CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
		else
			CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		sinks = open_stderr(fds[1]);
		sink = sinks_find(sinks, "stderr");
		CHECK_INT(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
		CHECK_INT(sinks_start(sinks), 0);
		CHECK(write_much(sink, 15000) < 5 * NS_PER_S);
		CHECK_INT(pthread_create(&reader, NULL, read_slowly, &fds[0]), 0);
		wait_for(&sink_stats(sink)->lines_out, 15000);
		sinks_reopen(sinks);
		wait_for(&sink_stats(sink)->reopens, 1);
		CHECK_UINT(sinks_close(sinks), 0);
		close(fds[1]);
		pthread_join(reader, &lines);
		CHECK_UINT(*(uint64_t *)lines, 15000);
		free(lines);
		close(fds[0]);
	}
}

TEST(a_full_disk_is_counted_and_does_not_hold_up_the_close)
{
	const struct sink_stats *stats;
	struct sinks *sinks;
	struct sink *sink;
	uint64_t began;

	folder_make();
	sinks = open_one("/dev/full", 0);
	sink = sinks_find(sinks, "/dev/full");
	stats = sink_stats(sink);
	CHECK_INT(sinks_start(sinks), 0);
	CHECK(put(sink, 0, "does not fit\n"));
	wait_for(&stats->errors, 1);
	CHECK_UINT(counter_read(&stats->error), ENOSPC);
	CHECK_UINT(counter_read(&stats->lines_out), 0);
	began = clock_ns();
	CHECK_UINT(sinks_close(sinks), 1);
	CHECK(clock_ns() - began < 5 * NS_PER_S);
	folder_remove();
}

/* --- names, errors ---------------------------------------------------------------------------- */

TEST(a_target_named_twice_is_one_sink_and_a_file_is_for_owner_and_group)
{
	const char *targets[3];
	mode_t mask = umask(0);
	struct sinks *sinks;
	struct stat st;

	folder_make();
	targets[0] = targets[2] = path;
	targets[1] = path_other;
	sinks = open_targets(targets, 3, 0);
	umask(mask);
	CHECK(sinks_find(sinks, path) != NULL);
	CHECK(sinks_find(sinks, path) != sinks_find(sinks, path_other));
	CHECK(sinks_find(sinks, "stderr") == NULL);
	CHECK_INT(stat(path, &st), 0);
	CHECK_UINT(st.st_mode & 07777, 0640);
	CHECK(put(sinks_find(sinks, path), 0, "never started\n"));
	CHECK_UINT(sinks_close(sinks), 1);
	CHECK_UINT(sinks_close(NULL), 0);
	folder_remove();
}

TEST(a_path_that_cannot_be_opened_is_an_error_that_names_it)
{
	static const char *const targets[] = { "stderr", "/nonexistent/folder/lines" };
	struct sinks_options options = { .targets = targets, .targets_count = 2, .producers = 1 };
	struct sinks *sinks = NULL;
	const char *failed = NULL;

	CHECK_INT(sinks_open(&sinks, &options, &failed), -ENOENT);
	CHECK_TEXT(failed, targets[1]);
	CHECK(sinks == NULL);
	options.targets_count = 0; /* no access log anywhere */
	CHECK_INT(sinks_open(&sinks, &options, &failed), 0);
	CHECK_INT(sinks_start(sinks), 0);
	CHECK_UINT(sinks_close(sinks), 0);
}

static const struct unit_test tests[] = {
	ROW(lines_written_before_the_start_and_after_it_arrive_in_order),
	ROW(lines_of_several_producers_stay_whole_and_ordered_and_the_counts_are_exact),
	ROW(a_full_ring_drops_and_counts_exactly_and_leaves_other_rings_alone),
	ROW(taking_lines_without_a_writer_gives_whole_lines),
	ROW(a_busy_sink_makes_few_writes_and_an_idle_one_is_woken),
	ROW(after_a_rename_the_old_file_is_used_until_reopened),
	ROW(a_line_torn_by_a_full_disk_goes_on_there_or_is_whole_in_the_new_file),
	ROW(a_pipe_that_nobody_reads_blocks_no_producer_no_other_sink_and_no_close),
	ROW(stderr_is_written_to_without_blocking_and_its_flags_stay_as_they_are),
	ROW(a_full_disk_is_counted_and_does_not_hold_up_the_close),
	ROW(a_target_named_twice_is_one_sink_and_a_file_is_for_owner_and_group),
	ROW(a_path_that_cannot_be_opened_is_an_error_that_names_it),
};
UNIT_MAIN(tests)
