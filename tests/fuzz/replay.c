/* SPDX-License-Identifier: MIT */
/*
 * replay.c - run a fuzz target over the files of a folder, without libFuzzer.
 *
 *   replay_NAME FOLDER|FILE...
 *
 * This is how a corpus is a regression test in every build and with every
 * compiler. Prints the file it is at before it runs it, so that the last line
 * of a crash names the input.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int replay_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t len;
	uint8_t *exact;

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	len = fread(data, 1, sizeof(data), file);
	fclose(file);

	/* A block of exactly its length: a read past its end is then caught. */
	exact = malloc(len > 0 ? len : 1);
	if (exact == NULL)
		return -1;
	memcpy(exact, data, len);
	printf("%s: %zu bytes\n", path, len);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

static int replay_folder(const char *path, int *files_count)
{
	struct dirent **entries = NULL;
	int entries_count = scandir(path, &entries, NULL, alphasort);
	int rc = 0;

	for (int i = 0; i < entries_count; i++) {
		char name[PATH_MAX];

		if (entries[i]->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
			rc |= replay_file(name);
			*files_count += 1;
		}
		free(entries[i]);
	}
	free(entries);
	return entries_count < 0 ? -1 : rc;
}

int main(int argc, char **argv)
{
	int files_count = 0;
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) != 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
			rc = -1;
		} else if (S_ISDIR(st.st_mode)) {
			rc |= replay_folder(argv[i], &files_count);
		} else {
			rc |= replay_file(argv[i]);
			files_count++;
		}
	}
	printf("%d inputs\n", files_count);
	return rc != 0 || files_count == 0;
}
