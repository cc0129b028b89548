/* SPDX-License-Identifier: MIT */
/*
 * request.c - rendering, as in request.h.
 *
 * With --template what is rendered is a template of the whole message: what the user did not mean
 * as one is written with its braces doubled, and {length} and {body} are the maker's.
 *
 * With --verify only the head is made here; the body is a frame of its own for each request.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/head.h"
#include "pattern.h"

#define BODY_MAX (256u << 20)

struct body {
	char *bytes; /* owned */
	size_t count;
	bool given;
	bool filled; /* a template */
};

static bool read_file(struct body *body, const char *path, const char **reason)
{
	FILE *file = fopen(path, "rb");
	size_t room = 1 << 16;

	*reason = "the body's file cannot be read, or is larger than 256 MB";
	if (file == NULL)
		return false;
	body->bytes = malloc(room);
	assert(body->bytes != NULL);
	for (;;) {
		size_t got = fread(body->bytes + body->count, 1, room - body->count, file);

		body->count += got;
		if (got == 0)
			break;
		if (body->count == room && room <= BODY_MAX) {
			room *= 2;
			body->bytes = realloc(body->bytes, room);
			assert(body->bytes != NULL);
		}
	}
	body->given = ferror(file) == 0 && body->count <= BODY_MAX;
	(void)fclose(file);
	return body->given;
}

static void make_body(struct body *body, uint64_t size)
{
	uint64_t at = 0;

	body->given = true;
	body->count = size;
	body->bytes = malloc(size + 1);
	assert(body->bytes != NULL);
	while (at < size) {
		struct iovec piece = pattern_piece(at, size - at);

		memcpy(body->bytes + at, piece.iov_base, piece.iov_len);
		at += piece.iov_len;
	}
}

static bool take_body(struct body *body, const struct plan *plan, const char **reason)
{
	const char *template = plan->body_template;

	*body = (struct body){ .filled = template != NULL };
	if (template != NULL && template[0] == '@')
		return read_file(body, template + 1, reason) &&
		       template_check(body->bytes, body->count, reason);
	if (template != NULL) {
		body->given = true;
		body->count = strlen(template);
		body->bytes = strdup(template);
		assert(body->bytes != NULL);
		return true;
	}
	if (plan->body_file != NULL)
		return read_file(body, plan->body_file, reason);
	if (plan->body_text != NULL && plan->body_text[0] == '@')
		return read_file(body, plan->body_text + 1, reason);
	if (plan->body_text != NULL) {
		body->given = true;
		body->count = strlen(plan->body_text);
		body->bytes = strdup(plan->body_text);
		assert(body->bytes != NULL);
	} else if (plan->size > 0 && !plan->verify) {
		make_body(body, plan->size);
	}
	return true;
}

static bool is_field(const char *line, const char *name)
{
	size_t length = strlen(name);

	return strncasecmp(line, name, length) == 0 && line[length] == ':';
}

static bool has_field(const struct plan *plan, const char *name)
{
	uint32_t i;

	for (i = 0; i < plan->headers.count; i++)
		if (is_field(plan->headers.items[i], name))
			return true;
	return false;
}

static bool fields_are_good(const struct plan *plan, const char **reason)
{
	uint32_t i;

	for (i = 0; i < plan->headers.count; i++) {
		const char *line = plan->headers.items[i];

		if (plan->templates.count > 0 && !template_check(line, strlen(line), reason))
			return false;
		*reason = "-H needs \"Name: value\" on one line";
		if (strchr(line, ':') == NULL || line[0] == ':' || strpbrk(line, "\r\n") != NULL)
			return false;
	}
	return true;
}

/* Bytes that are sent as they are. */
static void put_plain(FILE *out, const struct plan *plan, const char *bytes, size_t count)
{
	const char *end = bytes + count;

	for (; bytes < end && plan->templates.count > 0; bytes++) {
		if (*bytes == '{')
			fputc('{', out);
		fputc(*bytes, out);
	}
	if (bytes < end)
		(void)fwrite(bytes, 1, (size_t)(end - bytes), out);
}

static void put_plain_text(FILE *out, const struct plan *plan, const char *text)
{
	put_plain(out, plan, text, strlen(text));
}

static void put_length(FILE *out, const struct plan *plan, uint64_t length)
{
	fputs("Content-Length: ", out);
	if (plan->body_template != NULL)
		fputs("{length}\r\n", out);
	else
		fprintf(out, "%llu\r\n", (unsigned long long)length);
}

static void put_fields(FILE *out, const struct plan *plan, const struct target *target,
                       const struct body *body)
{
	uint64_t length = plan->verify ? plan->size : body->count;
	uint32_t i;

	if (!has_field(plan, "Host")) {
		fputs("Host: ", out);
		put_plain_text(out, plan, plan->host != NULL ? plan->host : target->host);
		fputs("\r\n", out);
	}
	for (i = 0; i < plan->headers.count; i++)
		fprintf(out, "%s\r\n", plan->headers.items[i]);
	if (plan->mode == MODE_CRR && !has_field(plan, "Connection"))
		fprintf(out, "Connection: close\r\n");
	if (plan->chunked && body->given)
		fputs("Transfer-Encoding: chunked\r\n", out);
	else if ((plan->verify || body->given) && !has_field(plan, "Content-Length"))
		put_length(out, plan, length);
	fprintf(out, "\r\n");
}

static void put_path(FILE *out, const struct plan *plan, const struct request *request)
{
	const char *query = "";

	if (plan->path_template != NULL) {
		fputs(plan->path_template, out);
		return;
	}
	if (plan->verify && strstr(request->path, "echo=1") == NULL)
		query = strchr(request->path, '?') != NULL ? "&echo=1" : "?echo=1";
	put_plain_text(out, plan, request->path);
	fputs(query, out);
}

#define CHUNK_BYTES 4096u

static void put_chunks(FILE *out, const struct plan *plan, const struct body *body)
{
	size_t at, part;

	for (at = 0; at < body->count; at += part) {
		part = body->count - at < CHUNK_BYTES ? body->count - at : CHUNK_BYTES;
		fprintf(out, "%zx\r\n", part);
		put_plain(out, plan, body->bytes + at, part);
		fputs("\r\n", out);
	}
	fputs("0\r\n\r\n", out);
}

static void put_body(FILE *out, const struct plan *plan, const struct body *body)
{
	if (body->filled)
		fputs("{body}", out);
	if (body->filled && body->count > 0)
		(void)fwrite(body->bytes, 1, body->count, out);
	else if (body->count > 0)
		put_plain(out, plan, body->bytes, body->count);
}

/* The text is a template of the message: keep what it was split into instead. */
static bool take_template(struct plan *plan, struct request *request, size_t bytes,
                          const char **reason)
{
	bool good = template_open(&request->template, request->text, bytes, reason);

	free(request->text);
	request->text = NULL;
	request->bytes = 0;
	if (good && request->template.room > plan->targets.template_room)
		plan->targets.template_room = request->template.room;
	return good;
}

/* Methods are told apart as far as the framing of their answers differs. */
static enum http_method asked_as(const char *method)
{
	if (strcmp(method, "HEAD") == 0)
		return HTTP_METHOD_HEAD;
	return strcmp(method, "CONNECT") == 0 ? HTTP_METHOD_CONNECT : HTTP_METHOD_GET;
}

static bool render(struct request *request, struct plan *plan, const struct target *target,
                   const struct body *body, const char **reason)
{
	const char *method = plan->method;
	size_t bytes;
	FILE *out;

	if (method == NULL)
		method = plan->verify || body->given ? "POST" : "GET";
	out = open_memstream(&request->text, &bytes);
	assert(out != NULL);
	put_plain_text(out, plan, method);
	fputc(' ', out);
	put_path(out, plan, request);
	fputs(" HTTP/1.1\r\n", out);
	put_fields(out, plan, target, body);
	if (plan->chunked && body->given)
		put_chunks(out, plan, body);
	else
		put_body(out, plan, body);
	(void)fclose(out);
	request->bytes = (uint32_t)bytes;
	request->asked = asked_as(method);
	return plan->templates.count == 0 || take_template(plan, request, bytes, reason);
}

bool requests_render(struct plan *plan, const char **reason)
{
	struct body body;
	bool good = true;
	uint32_t t, r;

	if (!fields_are_good(plan, reason))
		return false;
	if (!take_body(&body, plan, reason)) {
		free(body.bytes);
		return false;
	}
	for (t = 0; t < plan->targets.count; t++) {
		struct target *target = &plan->targets.items[t];

		for (r = 0; target->http && good && r < target->requests_count; r++)
			good = render(&target->requests[r], plan, target, &body, reason);
	}
	free(body.bytes);
	return good;
}
