/* SPDX-License-Identifier: MIT */
/*
 * reader.c - from the bytes of a file to its document; the only user of inih.
 *
 *      text --line--> vet --clean line, or an empty one--> inih --name, value--> document
 *                      |
 *                      '--[section]----------------------------------------------> document
 *
 * inih is a fine splitter of "name = value", but what else it does depends on how it was compiled,
 * and it is quiet about it: as Debian builds it, it cuts lines at 200 bytes and section names at
 * 50, goes on with the value of the line above when a line is indented, takes "a: b" for "a = b",
 * ignores what follows "]", knows only ";" as a comment behind a value, and stops a line at a NUL.
 * So it never sees such a line. It asks for its lines one by one, and what it is given is one line
 * of the form name=value, without indentation or comment, that fits its buffer; every other line
 * is dealt with here and passed on as an empty one.
 *
 * Invariants, whatever the options inih was built with:
 *   (1) A line is stored whole, or an error names it.
 *   (2) inih hands over exactly the name and value of the line it was last given; if it does
 *       otherwise, that is an error of that line.
 */
#include <ctype.h>
#include <ini.h>
#include <pthread.h>
#include <string.h>

#include "errors.h"
#include "reader.h"

/* Where the library lets its user choose, this is how long a line may be. The symbol is weak since
 * only Debian's inih has it; others keep the length they were built with. */
#define READER_LINE_MAX 4096
extern int ini_max_line __attribute__((weak));

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* A piece of the text, not terminated. */
struct span {
	const char *start;
	size_t len;
};

struct reader {
	const char *at;
	const char *end;
	int line;              /* of the line read last, from 1 */
	bool line_is_given;    /* it was given to inih, which has not handed it over yet */
	size_t line_given_len; /* of its name and value together */
	struct document *document;
	struct conf_errors *errors;
};

static pthread_once_t tune_once = PTHREAD_ONCE_INIT;

static void reader_tune(void)
{
	if (&ini_max_line)
		ini_max_line = READER_LINE_MAX + 2; /* the line feed and the NUL */
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span span_trim(struct span span)
{
	while (span.len > 0 && is_blank(span.start[0])) {
		span.start++;
		span.len--;
	}
	while (span.len > 0 && is_blank(span.start[span.len - 1]))
		span.len--;
	return span;
}

/* Without its comment: from the front, or from a blank in front of ";" or "#". */
static struct span span_cut_comment(struct span span)
{
	for (size_t i = 0; i < span.len; i++) {
		if (span.start[i] != ';' && span.start[i] != '#')
			continue;
		if (i == 0 || is_blank(span.start[i - 1])) {
			span.len = i;
			break;
		}
	}
	return span_trim(span);
}

/* The next line without its end, CR LF or LF. */
static struct span reader_take_line(struct reader *reader)
{
	size_t rest = (size_t)(reader->end - reader->at);
	const char *feed = memchr(reader->at, '\n', rest);
	struct span line = { reader->at, feed ? (size_t)(feed - reader->at) : rest };

	assert(reader->at < reader->end);
	reader->at = feed ? feed + 1 : reader->end;
	reader->line++;
	assert(reader->at <= reader->end);
	assert(!memchr(line.start, '\n', line.len));
	if (line.len > 0 && line.start[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* A control character hides the rest of its line from people or from programs. This also finds
 * files that are not text, UTF-16, and lines that end in a lone CR. */
static bool reader_line_is_text(struct reader *reader, struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.start[i];

		if (!iscntrl(c) || c == '\t')
			continue;
		conf_errors_add(reader->errors, reader->line,
				"control character 0x%02x in column %zu; the file must be plain "
				"text (ASCII or UTF-8)",
				c, i + 1);
		return false;
	}
	return true;
}

/* Copy a span as a string, cut to what a message or a comparison needs. */
static void span_copy(struct span span, char *text, size_t size)
{
	size_t len = span.len < size ? span.len : size - 1;

	assert(size > 0);
	memcpy(text, span.start, len);
	text[len] = '\0';
}

/* `[kind]` or `[kind name]`. A name or kind longer than `inside` is far longer than any valid one,
 * and is refused for that by the document. */
static void reader_section(struct reader *reader, struct span line)
{
	char inside[4 * CONF_NAME_MAX];
	struct span kind;
	const char *close = memchr(line.start, ']', line.len);

	assert(line.start[0] == '[');
	if (!close) {
		conf_errors_add(reader->errors, reader->line,
				"a section ends in \"]\", for example [listener web]");
		close = line.start + line.len;
	} else if (close != line.start + line.len - 1) {
		conf_errors_add(reader->errors, reader->line,
				"nothing but a comment may follow the \"]\" of a section");
	}
	assert(close > line.start);
	kind = span_trim((struct span){ line.start + 1, (size_t)(close - line.start - 1) });
	span_copy(kind, inside, sizeof(inside));

	char *name = inside + strcspn(inside, " \t");

	if (*name) {
		*name++ = '\0';
		name += strspn(name, " \t");
	}
	document_add_section(reader->document, inside, name, reader->line, reader->errors);
}

static void reader_no_equals(struct reader *reader, struct span line)
{
	char first[CONF_NAME_MAX];
	size_t word = 0;

	while (word < line.len && !is_blank(line.start[word]) && line.start[word] != ':')
		word++;
	span_copy((struct span){ line.start, word }, first, sizeof(first));
	for (int section = 0; section < SECTIONS_OF_FILE; section++) {
		if (!keys_find((enum keys_section)section, first))
			continue;
		conf_errors_add(reader->errors, reader->line, "\"=\" is missing: write %s = VALUE",
				first);
		return;
	}
	conf_errors_add(reader->errors, reader->line,
			"\"%.*s\" is neither [section] nor key = value nor a comment (; or #)",
			(int)(line.len < CONF_QUOTE ? line.len : CONF_QUOTE), line.start);
}

/* A key that inih would not split where "=" is, or that no section can know. */
static bool reader_key_is_word(struct reader *reader, struct span key)
{
	bool is_word = key.len > 0;

	for (size_t i = 0; i < key.len; i++)
		is_word = is_word && (isalnum((unsigned char)key.start[i]) || key.start[i] == '_' ||
				      key.start[i] == '-');
	if (is_word)
		return true;
	conf_errors_add(reader->errors, reader->line,
			"\"%.*s\" cannot be a key: in front of \"=\" stands one word of letters, "
			"digits and _",
			(int)(key.len < CONF_QUOTE ? key.len : CONF_QUOTE), key.start);
	return false;
}

static bool reader_value_is_plain(struct reader *reader, struct span key, struct span value)
{
	if (value.len == 0) {
		conf_errors_add(reader->errors, reader->line,
				"%.*s has no value; leave the line out to have the default",
				(int)(key.len < CONF_QUOTE ? key.len : CONF_QUOTE), key.start);
		return false;
	}
	if (value.start[0] == '"' || value.start[0] == '\'') {
		conf_errors_add(reader->errors, reader->line,
				"%.*s: values are written without quotation marks",
				(int)(key.len < CONF_QUOTE ? key.len : CONF_QUOTE), key.start);
		return false;
	}
	return true;
}

/* True when the line may be given to inih, as name=value in the buffer, which has `size` bytes. */
static bool reader_entry(struct reader *reader, struct span line, char *buffer, size_t size)
{
	const char *equals = memchr(line.start, '=', line.len);
	struct span key;
	struct span value;

	if (!equals) {
		reader_no_equals(reader, line);
		return false;
	}
	key = span_trim((struct span){ line.start, (size_t)(equals - line.start) });
	value = span_trim(
		(struct span){ equals + 1, line.len - (size_t)(equals - line.start) - 1 });
	if (!reader_key_is_word(reader, key) || !reader_value_is_plain(reader, key, value))
		return false;
	if (key.len + value.len + sizeof("=\n") > size) {
		conf_errors_add(reader->errors, reader->line,
				"the line is too long: key and value may have %zu bytes",
				size - sizeof("=\n"));
		return false;
	}
	assert(!memchr(key.start, ':', key.len));
	assert(!memchr(value.start, '\n', value.len));
	memcpy(buffer, key.start, key.len);
	buffer[key.len] = '=';
	memcpy(buffer + key.len + 1, value.start, value.len);
	memcpy(buffer + key.len + 1 + value.len, "\n", sizeof("\n"));
	reader->line_given_len = key.len + value.len;
	return true;
}

/* Invariant (2), first half: what was given was handed over. */
static void reader_check_handed_over(struct reader *reader)
{
	if (reader->line_is_given)
		conf_errors_add(reader->errors, reader->line, "the line cannot be read");
	reader->line_is_given = false;
}

/* inih's source of lines, in place of fgets(). */
static char *on_reader_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;
	struct span line;

	assert(size > 2);
	reader_check_handed_over(reader);
	if (reader->at == reader->end)
		return NULL;
	memcpy(buffer, "\n", sizeof("\n"));
	line = reader_take_line(reader);
	if (!reader_line_is_text(reader, line))
		return buffer;
	line = span_cut_comment(span_trim(line));
	if (line.len == 0)
		return buffer;
	assert(!is_blank(line.start[0]));
	assert(!is_blank(line.start[line.len - 1]));
	if (line.start[0] == '[')
		reader_section(reader, line);
	else
		reader->line_is_given = reader_entry(reader, line, buffer, (size_t)size);
	return buffer;
}

/* inih's destination. Returns nonzero: inih need not count errors. */
static int on_reader_entry(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;

	(void)section; /* kept by the document, without inih's limit on its length */
	if (!reader->line_is_given || !value ||
	    strlen(name) + strlen(value) != reader->line_given_len) {
		reader->line_is_given = true;
		reader_check_handed_over(reader);
		return 1;
	}
	reader->line_is_given = false;
	document_add_entry(reader->document, name, value, reader->line, reader->errors);
	return 1;
}

void reader_read(struct document *document, const char *text, size_t len,
		 struct conf_errors *errors)
{
	struct reader reader = {
		.at = text,
		.end = text + len,
		.document = document,
		.errors = errors,
	};
	size_t mark_len = sizeof(byte_order_mark) - 1;

	assert(text);
	assert(document->place == DOCUMENT_BEFORE);
	pthread_once(&tune_once, reader_tune);
	if (len >= mark_len && !memcmp(text, byte_order_mark, mark_len))
		reader.at += mark_len;
	if (ini_parse_stream(on_reader_line, &reader, on_reader_entry, &reader) < 0)
		conf_errors_add_memory(errors);
	reader_check_handed_over(&reader);
	if (reader.at < reader.end)
		conf_errors_add(errors, reader.line, "nothing behind this line can be read");
}
