/* SPDX-License-Identifier: MIT */
/*
 * watch.c - reading /proc, as in watch.h.
 */
#include "watch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *text, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t count;

	if (file == NULL)
		return false;
	count = fread(text, 1, room - 1, file);
	text[count] = '\0';
	(void)fclose(file);
	return count > 0;
}

static uint64_t number_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void add_thread(struct watch_sample *sample, int pid, const char *thread)
{
	char path[320], text[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread);
	if (read_text(path, text, sizeof(text)))
		sample->cpu_ns += strtoull(text, NULL, 10);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, thread);
	if (!read_text(path, text, sizeof(text)))
		return;
	sample->switches += number_after(text, "\nvoluntary_ctxt_switches:") +
			    number_after(text, "\nnonvoluntary_ctxt_switches:");
}

static void add_threads(struct watch_sample *sample, int pid)
{
	struct dirent *entry;
	char path[64];
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.')
			add_thread(sample, pid, entry->d_name);
	(void)closedir(folder);
}

static uint64_t count_fds(int pid)
{
	struct dirent *entry;
	uint64_t count = 0;
	char path[64];
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(folder);
	return count;
}

struct watch_sample watch_take(int pid)
{
	struct watch_sample sample = { 0 };
	char path[64], text[4096];
	const char *second;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	sample.alive = read_text(path, text, sizeof(text));
	if (!sample.alive)
		return sample;
	second = strchr(text, ' ');
	if (second != NULL)
		sample.rss_bytes = strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
	add_threads(&sample, pid);
	sample.fds = count_fds(pid);
	return sample;
}
