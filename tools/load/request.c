/* SPDX-License-Identifier: MIT */
/*
 * request.c - rendering, as in request.h.
 *
 * With --verify only the head is made here; the body is a frame of its own for each request.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pattern.h"

#define BODY_MAX (256u << 20)

struct body {
	char *bytes; /* owned */
	size_t count;
	bool given;
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
	*body = (struct body){ 0 };
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

	*reason = "-H needs \"Name: value\" on one line";
	for (i = 0; i < plan->headers.count; i++) {
		const char *line = plan->headers.items[i];

		if (strchr(line, ':') == NULL || line[0] == ':' || strpbrk(line, "\r\n") != NULL)
			return false;
	}
	return true;
}

static void put_fields(FILE *out, const struct plan *plan, const struct target *target,
                       const struct body *body)
{
	uint64_t length = plan->verify ? plan->size : body->count;
	uint32_t i;

	if (!has_field(plan, "Host"))
		fprintf(out, "Host: %s\r\n", plan->host != NULL ? plan->host : target->host);
	for (i = 0; i < plan->headers.count; i++)
		fprintf(out, "%s\r\n", plan->headers.items[i]);
	if (plan->mode == MODE_CRR && !has_field(plan, "Connection"))
		fprintf(out, "Connection: close\r\n");
	if ((plan->verify || body->given) && !has_field(plan, "Content-Length"))
		fprintf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
	fprintf(out, "\r\n");
}

static void render(struct request *request, const struct plan *plan, const struct target *target,
                   const struct body *body)
{
	const char *method = plan->method;
	const char *query = "";
	size_t bytes;
	FILE *out;

	if (method == NULL)
		method = plan->verify || body->given ? "POST" : "GET";
	if (plan->verify && strstr(request->path, "echo=1") == NULL)
		query = strchr(request->path, '?') != NULL ? "&echo=1" : "?echo=1";
	out = open_memstream(&request->text, &bytes);
	assert(out != NULL);
	fprintf(out, "%s %s%s HTTP/1.1\r\n", method, request->path, query);
	put_fields(out, plan, target, body);
	if (body->count > 0)
		(void)fwrite(body->bytes, 1, body->count, out);
	(void)fclose(out);
	request->bytes = (uint32_t)bytes;
	request->no_body = strcmp(method, "HEAD") == 0;
}

bool requests_render(struct plan *plan, const char **reason)
{
	struct body body;
	uint32_t t, r;

	if (!fields_are_good(plan, reason) || !take_body(&body, plan, reason))
		return false;
	for (t = 0; t < plan->targets.count; t++) {
		struct target *target = &plan->targets.items[t];

		for (r = 0; target->http && r < target->requests_count; r++)
			render(&target->requests[r], plan, target, &body);
	}
	free(body.bytes);
	return true;
}
