/* SPDX-License-Identifier: MIT */
/*
 * pair_check.c - the streams of a run, read message by message: see pair_check.h.
 */
#include "pair_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/chunk.h"
#include "pair_ring.h"

#define MESSAGES_MAX 600u

enum outcome { NOTHING, CUT, REFUSED, WHOLE };

struct message {
	enum outcome outcome;
	bool head_read; /* what follows is valid */
	uint8_t method;
	uint8_t minor;
	uint8_t framing;
	bool persistent;
	bool upgrade;
	bool tunnel;
	uint16_t status;
	char *text; /* request: method and target */
	uint8_t *body;
	uint32_t body_len;
	uint32_t end; /* WHOLE: offset behind it */
};

struct exchange {
	struct message request;
	struct message response; /* the final one */
};

struct list {
	struct exchange exchanges[MESSAGES_MAX];
	uint32_t count;
};

static struct list asked, served; /* by all clients, by all servers */

static const char *const kinds[] = { "listener", "client", "server" };

static void show(void)
{
	for (uint32_t i = 0; i < pair_ring.socks_count; i++) {
		const struct pair_sock *each = &pair_ring.socks[i];

		fprintf(stderr, "--- socket %u, a %s, gave:\n%.*s\n--- and got:\n%.*s\n", i,
			kinds[each->kind], (int)each->in.len, (const char *)each->in.at,
			(int)each->out.len, (const char *)each->out.at);
		fprintf(stderr, "--- ended %d reset %d; finished %d aborted %d\n", each->in_ended,
			each->peer_reset, each->finished, each->aborted);
	}
}

static __attribute__((noreturn)) void wrong(const struct pair_sock *sock, uint32_t at,
					    const char *what)
{
	fprintf(stderr, "pair: socket %d, a %s, byte %u: %s\n", (int)(sock - pair_ring.socks),
		kinds[sock->kind], at, what);
	show();
	abort();
}

/* --- reading one message ---------------------------------------------------------------------- */

static void note_text(struct message *message, const struct http_head *head, const uint8_t *base)
{
	const char *path = head->path.len > 0 ? (const char *)base + head->path.at : "/";
	int path_len = head->path.len > 0 ? head->path.len : 1;

	if (head->method == HTTP_METHOD_CONNECT) {
		path = (const char *)base + head->target.at;
		path_len = head->target.len;
	}
	if (asprintf(&message->text, "%.*s %.*s%.*s", head->method_text.len,
		     (const char *)base + head->method_text.at, path_len, path, head->query.len,
		     (const char *)base + head->query.at) < 0)
		abort();
}

static void read_chunks(struct message *message, const uint8_t *base, uint32_t at, uint32_t len)
{
	static struct http_chunk chunk;
	uint32_t passed = 0, consumed = 0;
	enum http_progress progress;

	message->body = malloc(len - at + 1);
	assert(message->body != NULL);
	memcpy(message->body, base + at, len - at);
	http_chunk_begin(&chunk, HTTP_CHUNK_DATA);
	progress = http_chunk_feed(&chunk, message->body, len - at, &passed, &consumed);
	message->body_len = passed;
	message->end = at + consumed;
	message->outcome = progress == HTTP_DONE ? WHOLE : progress == HTTP_MORE ? CUT : REFUSED;
}

static void read_body(struct message *message, const struct http_head *head, const uint8_t *base,
		      uint32_t at, uint32_t len, bool ended)
{
	uint64_t bytes = len - at;

	if (head->framing == HTTP_BODY_CHUNKED) {
		read_chunks(message, base, at, len);
		return;
	}
	message->outcome = WHOLE;
	if (head->framing == HTTP_BODY_UNTIL_CLOSE) {
		message->outcome = ended ? WHOLE : CUT;
	} else if (bytes < head->content_length) {
		message->outcome = CUT;
	} else {
		bytes = head->content_length;
	}
	message->body = malloc(bytes + 1);
	assert(message->body != NULL);
	memcpy(message->body, base + at, bytes);
	message->body_len = (uint32_t)bytes;
	message->end = at + message->body_len;
}

/* request: what it answers, or NULL for a request. ended: nothing follows, by its sender's will. */
static void read_message(struct message *message, const struct message *request,
			 const struct http_limits *limits, const struct pair_bytes *bytes,
			 uint32_t at, bool ended)
{
	static struct http_head head;
	const struct http_asked what = { .method = request != NULL ? request->method : 0,
					 .upgrade = request != NULL && request->upgrade };
	uint32_t len = bytes->len - at;
	enum http_progress progress;

	*message = (struct message){ .outcome = NOTHING };
	if (len == 0)
		return;
	http_head_begin(&head, request != NULL ? HTTP_HEAD_RESPONSE : HTTP_HEAD_REQUEST, limits,
			request != NULL ? &what : NULL);
	progress = http_head_feed(&head, bytes->at + at, len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX);
	message->outcome = progress == HTTP_MORE ? CUT : REFUSED;
	if (len >= 5 && memcmp(bytes->at + at, "HEAD ", 5) == 0)
		message->method = HTTP_METHOD_HEAD;
	if (progress != HTTP_DONE)
		return;
	message->head_read = true;
	message->method = head.method;
	message->minor = head.minor;
	message->framing = head.framing;
	message->persistent = head.persistent;
	message->upgrade = head.upgrade;
	message->tunnel = head.tunnel;
	message->status = head.status;
	if (request == NULL)
		note_text(message, &head, bytes->at + at);
	read_body(message, &head, bytes->at, at + head.length, bytes->len, ended);
}

static void message_free(struct message *message)
{
	free(message->text);
	free(message->body);
	*message = (struct message){ .outcome = NOTHING };
}

/* The final response, interim ones before it are passed over; their number. */
static uint32_t read_response(struct message *message, const struct message *request,
			      const struct pair_bytes *bytes, uint32_t at, bool ended)
{
	static const struct http_limits limits = { HTTP_HEAD_MAX, HTTP_FIELDS_MAX };
	uint32_t interims = 0;

	read_message(message, request, &limits, bytes, at, ended);
	while (message->outcome == WHOLE && message->status < 200 && !message->tunnel) {
		at = message->end;
		interims++;
		message_free(message);
		read_message(message, request, &limits, bytes, at, ended);
		if (message->outcome == NOTHING) /* the final one is missing */
			message->outcome = CUT;
	}
	return interims;
}

static bool is_prefix(const struct message *part, const struct message *whole)
{
	return part->body_len <= whole->body_len &&
	       (part->body_len == 0 || memcmp(part->body, whole->body, part->body_len) == 0) &&
	       (part->outcome != WHOLE ||
		(whole->outcome == WHOLE && part->body_len == whole->body_len));
}

static struct exchange *next_exchange(struct list *list)
{
	if (list->count == MESSAGES_MAX)
		return NULL;
	return &list->exchanges[list->count];
}

/* --- what servers got ------------------------------------------------------------------------- */

/* What the server had sent when the byte was given to be sent to it. */
static uint32_t in_len_at(const struct pair_sock *sock, uint32_t out_at)
{
	uint32_t in_len = 0;

	for (uint32_t i = 0; i < sock->marks_count && sock->marks[i].out_at <= out_at; i++)
		in_len = sock->marks[i].in_len;
	return in_len;
}

static bool was_asked(const struct message *request)
{
	for (uint32_t i = 0; i < asked.count; i++) {
		const struct message *from = &asked.exchanges[i].request;

		if (from->head_read && strcmp(from->text, request->text) == 0 &&
		    is_prefix(request, from))
			return true;
	}
	return false;
}

static void check_tunnel(const struct pair_sock *to, uint32_t to_at, enum pair_kind from_kind)
{
	uint32_t len = to->out.len - to_at;

	for (uint32_t i = 0; i < pair_ring.socks_count; i++) {
		const struct pair_bytes *in = &pair_ring.socks[i].in;

		if (pair_ring.socks[i].kind != from_kind || in->len < len)
			continue;
		if (len == 0 || memmem(in->at, in->len, to->out.at + to_at, len) != NULL)
			return;
	}
	wrong(to, to_at, "bytes in a tunnel that nobody sent");
}

static void check_server(const struct pair_sock *sock)
{
	static const struct http_limits limits = { HTTP_HEAD_MAX, HTTP_FIELDS_MAX };
	uint32_t out_at = 0, in_at = 0;
	struct exchange *each;
	const struct exchange *last = NULL;

	while ((each = next_exchange(&served)) != NULL) {
		read_message(&each->request, NULL, &limits, &sock->out, out_at, false);
		if (each->request.outcome == NOTHING)
			return;
		served.count++;
		if (each->request.outcome == REFUSED)
			wrong(sock, out_at, "a malformed request");
		if (in_len_at(sock, out_at) != in_at)
			wrong(sock, out_at, "a request behind bytes that answer none");
		if (last != NULL && (last->response.outcome != WHOLE || !last->response.persistent))
			wrong(sock, out_at, "a request on a connection that was to end");
		if (each->request.head_read && !was_asked(&each->request))
			wrong(sock, out_at, "a request that no client made");
		(void)read_response(&each->response, &each->request, &sock->in, in_at,
				    sock->in_ended && !sock->peer_reset);
		if (each->response.tunnel) {
			check_tunnel(sock, each->request.end, PAIR_CLIENT);
			return;
		}
		if (each->request.outcome == CUT)
			return;
		out_at = each->request.end;
		in_at = each->response.end;
		last = each;
	}
}

/* --- what clients got ------------------------------------------------------------------------- */

static bool is_answer(const struct exchange *exchange, const struct exchange *from)
{
	const struct message *response = &exchange->response;

	if (!from->response.head_read || from->response.status != response->status)
		return false;
	/* Answered before the head was there: it is not known what was answered. */
	if (!from->request.head_read)
		return response->body_len <= from->response.body_len &&
		       memcmp(response->body, from->response.body, response->body_len) == 0;
	return exchange->request.head_read &&
	       strcmp(from->request.text, exchange->request.text) == 0 &&
	       is_prefix(response, &from->response);
}

/* Sent by a server as the answer to such a request? */
static bool was_served(const struct exchange *exchange)
{
	for (uint32_t i = 0; i < served.count; i++)
		if (is_answer(exchange, &served.exchanges[i]))
			return true;
	return false;
}

/* Does it look like what the proxy answers in a server's place? */
static bool is_own(const struct exchange *exchange)
{
	const struct message *response = &exchange->response;
	const char *text = PAIR_ROUTE_TEXT;
	char status[8];
	uint32_t len;

	if (response->body_len == 0)
		return exchange->request.method == HTTP_METHOD_HEAD || response->outcome == CUT ||
		       response->status == 302;
	len = (uint32_t)snprintf(status, sizeof(status), "%u ", response->status);
	if (response->status == 200)
		len = (uint32_t)strlen(text);
	else
		text = status;
	if (len > response->body_len)
		len = response->body_len;
	return memcmp(response->body, text, len) == 0;
}

/* The answer to a head that was not understood may have a body, whatever was asked. */
static bool is_own_to_head(const struct pair_sock *sock, const struct exchange *exchange)
{
	char status[8];
	size_t len = (size_t)snprintf(status, sizeof(status), "%u ", exchange->response.status);

	return exchange->request.method == HTTP_METHOD_HEAD && exchange->response.status >= 400 &&
	       sock->out.len - exchange->response.end >= len &&
	       memcmp(sock->out.at + exchange->response.end, status, len) == 0;
}

static void check_cut(const struct pair_sock *sock, const struct exchange *exchange, uint32_t at)
{
	if (!sock->aborted && !sock->peer_reset)
		wrong(sock, at, "a response is cut, and no reset tells of it");
	if (exchange->response.head_read && !was_served(exchange) && !is_own(exchange))
		wrong(sock, at, "a response that no server sent");
}

/* True: there may be another one behind it. */
static bool check_response(const struct pair_sock *sock, const struct exchange *exchange,
			   uint32_t at, uint32_t interims)
{
	const struct message *request = &exchange->request;
	const struct message *response = &exchange->response;

	if (response->outcome == REFUSED)
		wrong(sock, at, "a malformed response");
	if (request->head_read && request->minor == 0 &&
	    (interims > 0 || response->framing == HTTP_BODY_CHUNKED))
		wrong(sock, at, "a client of HTTP/1.0 gets what it does not know");
	if (response->outcome == CUT) {
		check_cut(sock, exchange, at);
		return false;
	}
	if (request->outcome == NOTHING)
		wrong(sock, at, "a response to no request");
	if (!was_served(exchange) && !is_own(exchange))
		wrong(sock, at, "a response that no server sent");
	if (response->tunnel) {
		check_tunnel(sock, response->end, PAIR_SERVER);
		return false;
	}
	if (response->persistent && request->outcome == WHOLE)
		return true;
	if (response->end < sock->out.len && !is_own_to_head(sock, exchange))
		wrong(sock, response->end, "something behind the last response");
	return false;
}

/* What came first is read before servers are looked at; responses after that. */
static void read_client(const struct pair_sock *sock, const struct http_limits *limits)
{
	struct exchange *each;
	uint32_t at = 0;

	while ((each = next_exchange(&asked)) != NULL) {
		read_message(&each->request, NULL, limits, &sock->in, at, false);
		asked.count++;
		if (each->request.outcome != WHOLE)
			return;
		at = each->request.end;
	}
}

static uint32_t check_client(const struct pair_sock *sock, uint32_t first)
{
	bool ended = sock->finished && !sock->aborted;
	bool more = true;
	uint32_t at = 0;

	while (first < asked.count) {
		struct exchange *each = &asked.exchanges[first++];

		if (more) {
			uint32_t interims = read_response(&each->response, &each->request,
							  &sock->out, at, ended);

			more = each->response.outcome != NOTHING &&
			       check_response(sock, each, at, interims);
			at = each->response.end;
		}
		if (each->request.outcome != WHOLE)
			break;
	}
	return first;
}

/* --- all -------------------------------------------------------------------------------------- */

static void list_free(struct list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		message_free(&list->exchanges[i].request);
		message_free(&list->exchanges[i].response);
	}
	list->count = 0;
}

void pair_check(const struct http_limits *limits)
{
	uint32_t first = 0;

	if (getenv("PAIR_SHOW") != NULL)
		show();
	for (uint32_t i = 0; i < pair_ring.socks_count; i++)
		if (pair_ring.socks[i].kind == PAIR_CLIENT)
			read_client(&pair_ring.socks[i], limits);
	for (uint32_t i = 0; i < pair_ring.socks_count; i++)
		if (pair_ring.socks[i].kind == PAIR_SERVER)
			check_server(&pair_ring.socks[i]);
	for (uint32_t i = 0; i < pair_ring.socks_count; i++)
		if (pair_ring.socks[i].kind == PAIR_CLIENT)
			first = check_client(&pair_ring.socks[i], first);
	list_free(&asked);
	list_free(&served);
}
