/* SPDX-License-Identifier: MIT */
/*
 * path.c - decode, join, resolve: each step is never longer than what it began with.
 */
#include "http/path.h"

#include <string.h>

#include "base/assert.h"

/* Has the path only one way to be read? */
bool http_path_is_plain(const uint8_t *path, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		uint8_t next = i + 1 < len ? path[i + 1] : '\0';
		uint8_t after = i + 2 < len ? path[i + 2] : '/';

		if (path[i] == '%' || path[i] == '\\')
			return false;
		if (path[i] != '/')
			continue;
		if (next == '/' || (next == '.' && (after == '/' || after == '.')))
			return false;
	}
	return true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Escapes and backslashes as `ways` says. Returns the length, at most len. */
static uint32_t path_decode(uint8_t *text, const uint8_t *path, uint32_t len, uint32_t ways)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < len; i++) {
		int high = path[i] == '%' && i + 2 < len ? hex_digit(path[i + 1]) : -1;
		int byte = high >= 0 && hex_digit(path[i + 2]) >= 0 ?
				   high * 16 + hex_digit(path[i + 2]) :
				   -1;
		bool is_slash = byte == '/' || byte == '\\';

		if (byte < 0) {
			text[used++] = path[i] == '\\' && ways & HTTP_PATH_SLASHES ? '/' : path[i];
			continue;
		}
		i += 2;
		if (is_slash && ways & HTTP_PATH_SLASHES) {
			text[used++] = '/';
		} else if (!is_slash && ways & HTTP_PATH_DECODED && byte > ' ' && byte < 0x7f &&
			   byte != '%' && byte != '?' && byte != '#') {
			text[used++] = (uint8_t)byte;
		} else {
			memcpy(text + used, path + i - 2, 3);
			if (ways & HTTP_PATH_DECODED) {
				text[used + 1] = (uint8_t) "0123456789ABCDEF"[byte >> 4];
				text[used + 2] = (uint8_t) "0123456789ABCDEF"[byte & 15];
			}
			used += 3;
		}
	}
	assert(used <= len);
	return used;
}

/* One slash for each row of them. */
static uint32_t path_join(uint8_t *text, uint32_t len)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < len; i++) {
		if (text[i] != '/' || used == 0 || text[used - 1] != '/')
			text[used++] = text[i];
	}
	return used;
}

/* Takes out "." and "..", in place (RFC 3986 5.2.4). Each segment is kept with the slash in front
 * of it. */
static uint32_t path_resolve(uint8_t *text, uint32_t len)
{
	uint32_t used = 0;
	uint32_t at = 0;

	assert(len > 0);
	assert(text[0] == '/');
	while (at < len) {
		const uint8_t *slash = memchr(text + at + 1, '/', len - at - 1);
		uint32_t end = slash ? (uint32_t)(slash - text) : len;
		uint32_t segment = end - at - 1;
		bool is_up = segment == 2 && text[at + 1] == '.' && text[at + 2] == '.';
		bool is_here = segment == 1 && text[at + 1] == '.';

		if (is_up) {
			while (used > 0 && text[--used] != '/')
				;
		}
		if (!is_up && !is_here) {
			memmove(text + used, text + at, end - at);
			used += end - at;
		} else if (end == len) {
			text[used++] = '/';
		}
		at = end;
	}
	if (used == 0)
		text[used++] = '/';
	assert(used <= len);
	return used;
}

uint32_t http_path_read(uint8_t *text, const uint8_t *path, uint32_t len, uint32_t ways)
{
	uint32_t used = path_decode(text, path, len, ways);

	assert(ways < HTTP_PATH_WAYS);
	if (ways & HTTP_PATH_JOINED)
		used = path_join(text, used);
	return path_join(text, path_resolve(text, used));
}
