/* SPDX-License-Identifier: MIT */
/*
 * http_read.c - messages as their readers see them, strictly: whatever a careful peer would refuse
 * is a failure. What is written stands here too.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_sim.h"

__attribute__((noreturn)) static void wrong(const struct message *message, const char *what)
{
	world_fail("conn %llx: the %s gets a message in which %s: %s",
	           (unsigned long long)message->conn->key,
	           message->conn->from_client ? "client" : "server", what, message->text);
}

void message_begin(struct message *message, const struct conn *conn)
{
	memset(message, 0, offsetof(struct message, text) + 1);
	message->conn = conn;
}

/* --- heads ----------------------------------------------------------------------------------- */

static uint64_t number(const struct message *message, const char *text, int base)
{
	char *end;
	uint64_t value = strtoull(text, &end, base);

	if (end == text || *end != '\0')
		wrong(message, "a number is none");
	return value;
}

static void list_value(struct message *message, char *value)
{
	char *rest = value, *word;

	while ((word = strsep(&rest, ",")) != NULL) {
		word += strspn(word, " ");
		if (strcasecmp(word, "close") == 0)
			message->close = true;
		else if (strcasecmp(word, "keep-alive") == 0)
			message->keep_alive = true;
		else if (strcasecmp(word, "upgrade") == 0)
			message->upgrade = true;
		else
			wrong(message, "Connection names a field");
	}
}

static void field(struct message *message, const char *name, char *value)
{
	if (strcasecmp(name, "host") == 0) {
		message->hosts++;
	} else if (strcasecmp(name, "x-id") == 0) {
		message->has_id = true;
		message->id = number(message, value, 10);
	} else if (strcasecmp(name, "x-try") == 0) {
		message->try = (uint32_t)number(message, value, 10);
	} else if (strcasecmp(name, "content-length") == 0) {
		if (message->has_length || message->chunked)
			wrong(message, "the length is given twice");
		message->has_length = true;
		message->length = number(message, value, 10);
	} else if (strcasecmp(name, "transfer-encoding") == 0) {
		if (message->has_length || message->chunked || strcmp(value, "chunked") != 0)
			wrong(message, "the coding is wrong");
		message->chunked = true;
	} else if (strcasecmp(name, "connection") == 0) {
		list_value(message, value);
	} else if (strcasecmp(name, "expect") == 0) {
		message->expect = true;
	} else if (strcasecmp(name, "x-hop") == 0 || strcasecmp(name, "keep-alive") == 0) {
		wrong(message, "a field goes on that was to stop");
	}
}

static void first_line(struct message *message, char *line)
{
	uint32_t i;

	for (i = 0; i < 3; i++) {
		char *word = i < 2 ? strsep(&line, " ") : line;

		if (word == NULL || (i < 2 && *word == '\0') ||
		    strlen(word) >= sizeof(message->word[0]))
			wrong(message, "the first line is malformed");
		memcpy(message->word[i], word, strlen(word) + 1);
	}
}

static void parse_head(struct message *message)
{
	char *text = message->text, *line;
	bool first = true;

	text[message->text_len - 2] = '\0'; /* the empty line */
	while (*text != '\0') {
		char *end = strstr(text, "\r\n"), *colon;

		line = text;
		if (end == NULL)
			wrong(message, "a line has no end");
		*end = '\0';
		text = end + 2;
		if (strpbrk(line, "\r\n") != NULL)
			wrong(message, "there is a bare line end");
		if (first) {
			first_line(message, line);
			first = false;
			continue;
		}
		colon = strchr(line, ':');
		if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
			wrong(message, "a field is malformed");
		*colon = '\0';
		field(message, line, colon + 1 + strspn(colon + 1, " \t"));
	}
	message->state = MESSAGE_JUDGE;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* One more byte of a line or head; true: it has its end. */
static bool add(struct message *message, uint8_t byte, const char *end)
{
	size_t len = strlen(end);

	if (message->text_len + 2 > HEAD_MAX || byte == '\0')
		wrong(message, "something is too long, or zero");
	message->text[message->text_len++] = (char)byte;
	message->text[message->text_len] = '\0';
	return message->text_len >= len &&
	       memcmp(message->text + message->text_len - len, end, len) == 0;
}

static void size_line(struct message *message)
{
	size_t digits = strspn(message->text, "0123456789abcdefABCDEF");

	if (digits == 0 || digits != message->text_len - 2u)
		wrong(message, "a chunk's size is malformed");
	message->text[digits] = '\0';
	message->left = number(message, message->text, 16);
	message->state = message->left > 0 ? MESSAGE_DATA : MESSAGE_TRAILER;
	message->text_len = 0;
}

static void line_byte(struct message *message, uint8_t byte)
{
	switch (message->state) {
	case MESSAGE_HEAD:
		if (add(message, byte, "\r\n\r\n"))
			parse_head(message);
		return;
	case MESSAGE_SIZE:
		if (add(message, byte, "\r\n"))
			size_line(message);
		return;
	case MESSAGE_DATA_END:
		if (add(message, byte, "\r\n") || message->text_len >= 2) {
			if (message->text[0] != '\r' || message->text[1] != '\n')
				wrong(message, "a chunk has no end");
			message->state = MESSAGE_SIZE;
			message->text_len = 0;
		}
		return;
	default:
		assert(message->state == MESSAGE_TRAILER);
		if (!add(message, byte, "\r\n"))
			return;
		if (message->text_len == 2)
			message->state = MESSAGE_DONE;
		else if (strncasecmp(message->text, "x-tail: ", 8) != 0)
			wrong(message, "a trailer field is unknown");
		message->text_len = 0;
		return;
	}
}

static uint64_t data_bytes(struct message *message, const uint8_t *bytes, uint64_t count)
{
	if (count > message->left)
		count = message->left;
	if (message->key != 0 && !stream_matches(message->key, message->body, bytes, count))
		wrong(message, "the body has the wrong content");
	message->body += count;
	message->left -= count;
	if (message->left == 0)
		message->state = message->state == MESSAGE_DATA ? MESSAGE_DATA_END : MESSAGE_DONE;
	message->text_len = 0;
	return count;
}

uint64_t message_read(struct message *message, const uint8_t *bytes, uint64_t count)
{
	uint64_t done = 0;

	while (done < count && message->state != MESSAGE_JUDGE && message->state != MESSAGE_DONE) {
		if (message->state == MESSAGE_LENGTH || message->state == MESSAGE_DATA ||
		    message->state == MESSAGE_CLOSE)
			done += data_bytes(message, bytes + done, count - done);
		else
			line_byte(message, bytes[done++]);
	}
	return done;
}

void message_frame(struct message *message, enum message_framing framing, uint64_t key)
{
	static const uint8_t states[] = { MESSAGE_DONE, MESSAGE_LENGTH, MESSAGE_SIZE,
		                          MESSAGE_CLOSE };

	assert(message->state == MESSAGE_JUDGE);
	message->state = states[framing];
	message->key = key;
	message->text_len = 0;
	message->left = framing == FRAMED_LENGTH ? message->length : UINT64_MAX;
	if (framing == FRAMED_LENGTH && message->length == 0)
		message->state = MESSAGE_DONE;
}

/* --- writing --------------------------------------------------------------------------------- */

void say(struct peer *peer, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	assert(length >= 0 && (size_t)length < sizeof(text));
	bytes_add(&peer->conn->in.kept, text, (uint64_t)length);
}

void say_stream(struct peer *peer, uint64_t key, uint64_t from, uint64_t bytes)
{
	uint8_t piece[4096];

	while (bytes > 0) {
		uint64_t here = bytes < sizeof(piece) ? bytes : sizeof(piece);

		stream_fill(key, from, piece, here);
		bytes_add(&peer->conn->in.kept, piece, here);
		from += here;
		bytes -= here;
	}
}

void say_chunks(struct peer *peer, uint64_t key, uint64_t bytes, bool bad)
{
	static const char *const extensions[] = { "", "", "", ";a", ";name=value", " ; q=\"x y\"" };
	static const char *const wrongs[] = { "x\r\n", "-1\r\n", "5\n", "0x5\r\n", "\r\n",
		                              "11111111111111111\r\n" };
	struct prng *prng = &world->prng;
	uint64_t from = 0;
	uint32_t chunks = 0;

	while (from < bytes) {
		uint64_t here = prng_spread(prng, 1, bytes - from);

		say(peer, prng_chance(prng, 200) ? "00%llX%s\r\n" : "%llx%s\r\n",
		    (unsigned long long)here,
		    extensions[prng_below(prng, ++chunks > 60 ? 3 : ARRAY_COUNT(extensions))]);
		say_stream(peer, key, from, here);
		say(peer, "\r\n");
		from += here;
	}
	if (bad) {
		say(peer, "%s", wrongs[prng_below(prng, ARRAY_COUNT(wrongs))]);
		return;
	}
	say(peer, "%s\r\n", prng_chance(prng, 200) ? "000" : "0");
	if (prng_chance(prng, 200))
		say(peer, "X-Tail: yes\r\n");
	if (prng_chance(prng, 100))
		say(peer, "Content-Length: 5\r\n"); /* must not go on */
	say(peer, "\r\n");
}
