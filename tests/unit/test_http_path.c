/* SPDX-License-Identifier: MIT */
/*
 * test_http_path.c - the ways to read one path.
 */
#include <string.h>

#include "http/path.h"
#include "unit.h"

static void check_read(const char *path, uint32_t ways, const char *right)
{
	char text[128];
	uint32_t len = http_path_read((uint8_t *)text, (const uint8_t *)path,
				      (uint32_t)strlen(path), ways);

	text[len] = '\0';
	unit_row(path);
	CHECK_TEXT(text, right);
}

TEST(dots_and_escapes_are_read_as_servers_do__rfc3986_5_2_4)
{
	check_read("/a/b/c/./../../g", 0, "/a/g");
	check_read("/mid/content=5/../6", 0, "/mid/6");
	check_read("/..", 0, "/");
	check_read("/.", 0, "/");
	check_read("/a/..", 0, "/");
	check_read("/a/.", 0, "/a/");
	check_read("/a/b/..", 0, "/a/");
	check_read("/a//../b", 0, "/a/b");
	check_read("/a//../b", HTTP_PATH_JOINED, "/b");
	check_read("///a///", 0, "/a/");
	check_read("/%2e%2E/%7eu", 0, "/%2e%2E/%7eu");
	check_read("/x/%2e%2E/%7eu%c3%3f%00", HTTP_PATH_DECODED, "/~u%C3%3F%00");
	check_read("/x%2f..", HTTP_PATH_DECODED, "/x%2F..");
	check_read("/x%2f..", HTTP_PATH_SLASHES, "/");
	check_read("/x%5C\\..", HTTP_PATH_SLASHES, "/x/");
	check_read("/%", HTTP_PATH_DECODED, "/%");
	check_read("/%4", HTTP_PATH_DECODED, "/%4");
	check_read("/%4g%25", HTTP_PATH_DECODED, "/%4g%25");
	unit_row(NULL);
}

static bool is_plain(const char *path)
{
	return http_path_is_plain((const uint8_t *)path, (uint32_t)strlen(path));
}

TEST(a_path_is_plain_when_all_read_it_alike)
{
	static const char *const plain[] = { "/", "/a/b", "/a.b", "/.a", "/a./", "/..a/..." };
	static const char *const other[] = { "//",      "/a//b", "/.", "/..",  "/a/./b",
					     "/a/../b", "/a%62", "/%", "/a\\b" };

	for (size_t i = 0; i < ARRAY_COUNT(plain) - 1; i++)
		CHECK(is_plain(plain[i]));
	for (size_t i = 0; i < ARRAY_COUNT(other); i++)
		CHECK(!is_plain(other[i]));
}

/* What is plain is read as itself, and what was read is plain but for what stays an escape. */
TEST(random_paths_are_read_to_an_end)
{
	static const char pieces[] = "//..%2F5cea\\b";
	uint64_t seed = 3;
	uint8_t path[24];
	uint8_t once[24];
	uint8_t twice[24];

	for (int i = 0; i < 200000; i++) {
		uint32_t len = 1 + (uint32_t)(unit_random(&seed) % sizeof(path));
		uint32_t ways = (uint32_t)(unit_random(&seed) % HTTP_PATH_WAYS);
		uint32_t once_len;

		path[0] = '/';
		for (uint32_t at = 1; at < len; at++)
			path[at] = (uint8_t)pieces[unit_random(&seed) % (sizeof(pieces) - 1)];
		once_len = http_path_read(once, path, len, ways);
		CHECK(once_len >= 1 && once_len <= len && once[0] == '/');
		if (http_path_is_plain(path, len))
			CHECK(once_len == len && !memcmp(once, path, len));
		CHECK(!memmem(once, once_len, "//", 2));
		CHECK(!memmem(once, once_len, "/../", 4));
		CHECK(!memmem(once, once_len, "/./", 3));
		if (ways & HTTP_PATH_DECODED)
			continue; /* an escaped percent sign may be followed by two more digits */
		CHECK_UINT(http_path_read(twice, once, once_len, ways), once_len);
		CHECK(!memcmp(once, twice, once_len));
	}
}

static const struct unit_test tests[] = {
	ROW(dots_and_escapes_are_read_as_servers_do__rfc3986_5_2_4),
	ROW(a_path_is_plain_when_all_read_it_alike),
	ROW(random_paths_are_read_to_an_end),
};
UNIT_MAIN(tests)
