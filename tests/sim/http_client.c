/* SPDX-License-Identifier: MIT */
/*
 * http_client.c - virtual clients: what they ask, and what they make of the answers.
 */
#include <stdlib.h>
#include <string.h>

#include "http_sim.h"

struct http_client {
	struct peer peer; /* first */
	struct client_script script;
	struct ask *asks[ASKS_MAX];
	uint32_t asked;
	uint32_t answered;
	uint64_t think_until_ns;
	uint64_t waits_since_ns; /* for an answer, with nothing left to write; 0: it does not */
	bool judged; /* the head of an answer is read, its body not yet */
	bool own;    /* .. and it is the engine's own */
	uint64_t expected; /* bytes of its body */
	bool over;   /* no further answer comes */
	uint32_t last; /* the request whose answer said so */
	bool tunnel;
	uint64_t tunnel_key;
	uint64_t tunnel_read;
	struct message message;
};

static struct http_client *client_of(const struct peer *peer)
{
	return container_of((struct peer *)(uintptr_t)peer, struct http_client, peer);
}

__attribute__((noreturn)) static void wrong(const struct http_client *client, const char *what)
{
	const struct ask *ask =
		client->answered < client->asked ? client->asks[client->answered] : NULL;

	world_fail("conn %llx: request %llu: %s (status %s, reply %d, fault %d)",
	           (unsigned long long)client->peer.conn->key,
	           ask != NULL ? (unsigned long long)ask->id : 0ull, what, client->message.word[1],
	           ask != NULL && ask->at != NULL ? ask->reply.fault : -1,
	           ask != NULL ? ask->script.fault : -1);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void say_framing(struct peer *peer, const struct ask_script *ask)
{
	const unsigned long long body = ask->body;

	switch (ask->fault) {
	case ASK_TWO_LENGTHS:
		say(peer, "Content-Length: 5\r\nContent-Length: 6\r\n");
		return;
	case ASK_LENGTH_AND_CHUNKED:
		say(peer, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
		return;
	case ASK_BAD_LENGTH:
		say(peer, "Content-Length: %s\r\n", body % 2 == 0 ? "+5" : "5x");
		return;
	case ASK_BAD_CODING:
		say(peer, "Transfer-Encoding: %s\r\n", body % 2 == 0 ? "gzip" : "chunked, gzip");
		return;
	default:
		break;
	}
	if (ask->framing == FRAMED_LENGTH)
		say(peer, "Content-Length: %llu\r\n", body);
	else if (ask->framing == FRAMED_CHUNKED)
		say(peer, "%s: chunked\r\n",
		    body % 2 == 0 ? "Transfer-Encoding" : "transfer-encoding");
}

static void say_connection(struct peer *peer, const struct ask_script *ask)
{
	if (ask->upgrade && strcmp(ask->method, "CONNECT") != 0)
		say(peer, "Connection: Upgrade\r\nUpgrade: echo\r\n");
	else if (ask->close && ask->minor == 1)
		say(peer, "Connection: close, X-Hop\r\nX-Hop: 1\r\n");
	else if (!ask->close && ask->minor == 0)
		say(peer, "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n");
	if (ask->expect)
		say(peer, "Expect: 100-continue\r\n");
}

static void say_target(struct peer *peer, const struct ask *ask)
{
	static const char *const hosts[] = { "a.example", "b.example:80", "192.0.2.7" };
	const struct ask_script *script = &ask->script;
	const char *host = hosts[ask->id % ARRAY_COUNT(hosts)];
	const char *version = script->fault == ASK_BAD_VERSION ? "HTTP/2.0" :
	                      script->minor == 0               ? "HTTP/1.0" :
								 "HTTP/1.1";

	if (strcmp(script->method, "CONNECT") == 0)
		say(peer, "CONNECT a.example:443 %s\r\n", version);
	else if (script->own)
		say(peer, "%s /own %s\r\n", script->method, version);
	else if (ask->id % 16 == 3)
		say(peer, "%s http://%s/r/%llu %s\r\n", script->method, host,
		    (unsigned long long)ask->id, version);
	else
		say(peer, "%s /r/%llu?q %s\r\n", script->method, (unsigned long long)ask->id,
		    version);
	if (script->fault != ASK_NO_HOST)
		say(peer, "Host: %s\r\n",
		    strcmp(script->method, "CONNECT") == 0 ? "a.example:443" : host);
	if (script->fault == ASK_TWO_HOSTS)
		say(peer, "Host: other\r\n");
}

static void say_body(struct ask *ask)
{
	struct peer *peer = &ask->client->peer;
	const struct ask_script *script = &ask->script;

	if (script->framing == FRAMED_LENGTH)
		say_stream(peer, ask->id, 0, script->body);
	else if (script->framing == FRAMED_CHUNKED)
		say_chunks(peer, ask->id, script->body, script->fault == ASK_BAD_CHUNK);
	ask->body_due = false;
	ask->ends = peer->conn->in.kept.count;
}

static void say_head(struct ask *ask)
{
	struct peer *peer = &ask->client->peer;
	const struct ask_script *script = &ask->script;
	uint32_t i;

	if (script->fault == ASK_GARBAGE)
		say(peer, "\x16\x03\x01 no request\r\n");
	say_target(peer, ask);
	say(peer, "X-Id: %llu\r\n", (unsigned long long)ask->id);
	if (script->fault == ASK_BAD_FIELD)
		say(peer, "%s", ask->id % 2 == 0 ? "X-Space : 1\r\n" : "No field at all\r\n");
	for (i = 0; script->fault == ASK_LARGE && i < 400; i++)
		say(peer, "X-Much-%u: 01234567890123456789012345678901234567890123456789\r\n", i);
	for (i = 0; i < ask->id % 5; i++)
		say(peer, "X-Other-%u: value of some length, %llu\r\n", i,
		    (unsigned long long)ask->id);
	say_connection(peer, script);
	say_framing(peer, script);
	say(peer, "\r\n");
}

/* What is written of the last request is all. */
static bool is_cut(const struct http_client *client)
{
	return client->asked > 0 && client->asks[client->asked - 1]->script.fault == ASK_CUT;
}

static void ask_next(struct http_client *client)
{
	struct bytes *kept = &client->peer.conn->in.kept;
	struct ask *ask = ask_new();

	ask->script = client->script.asks[client->asked];
	ask->client = client;
	ask->index = client->asked;
	ask->begins = kept->count;
	ask->ends = UINT64_MAX;
	client->asks[client->asked++] = ask;
	say_head(ask);
	ask->body_due = ask->script.expect;
	if (!ask->body_due)
		say_body(ask);
	if (ask->script.fault == ASK_CUT && kept->count - ask->begins > ask->script.cut_at) {
		kept->count = ask->begins + ask->script.cut_at;
		ask->ends = UINT64_MAX;
	} else if (ask->script.fault == ASK_CUT) {
		ask->script.fault = ASK_SOUND;
	}
	trace("conn %llx: request %llu: %s 1.%u framed %u with %llu bytes, fault %u%s",
	      (unsigned long long)client->peer.conn->key, (unsigned long long)ask->id,
	      ask->script.method, ask->script.minor, ask->script.framing,
	      (unsigned long long)ask->script.body, ask->script.fault,
	      ask->script.close ? ", close" : "");
}

static bool asked_all(const struct http_client *client)
{
	return client->asked == client->script.asks_count || is_cut(client) || client->over;
}

static void act(struct peer *peer)
{
	struct http_client *client = client_of(peer);

	if (client->think_until_ns > world->now_ns) {
		peer_poke_after(peer, client->think_until_ns - world->now_ns);
	} else {
		while (!asked_all(client) && !peer->conn->in.finished &&
		       client->asked - client->answered < client->script.ahead &&
		       (client->asked == 0 || !client->asks[client->asked - 1]->body_due))
			ask_next(client);
	}
	if (client->waits_since_ns == 0 && !client->judged &&
	    client->answered < client->asked && peer->conn->tcp &&
	    peer->conn->in.written == peer->conn->in.kept.count &&
	    pipe_used(&peer->conn->in) == 0)
		client->waits_since_ns = world->now_ns;
}

/* --- answers --------------------------------------------------------------------------------- */

static void check_own(const struct http_client *client, const struct ask *ask, uint16_t status)
{
	static const uint16_t refusals[ASK_FAULTS] = {
		[ASK_BAD_CHUNK] = 400, [ASK_NO_HOST] = 400,    [ASK_TWO_HOSTS] = 400,
		[ASK_TWO_LENGTHS] = 400, [ASK_LENGTH_AND_CHUNKED] = 400, [ASK_BAD_LENGTH] = 400,
		[ASK_BAD_VERSION] = 505, [ASK_BAD_FIELD] = 400, [ASK_GARBAGE] = 400,
		[ASK_LARGE] = 431,
	};
	const bool gentle = http_world.plan->gentle;

	if (ask->script.own && status == 200 && !ask_is_refused(ask))
		return;
	if (ask->script.fault == ASK_BAD_CODING && (status == 501 || status == 400))
		return;
	if (refusals[ask->script.fault] == status)
		return;
	if (ask_is_refused(ask) && (gentle || (status != 408 && status != 431)))
		wrong(client, "a refused request has the wrong status");
	/* A header to a server needs memory, which it does not wait for. */
	if (gentle && (status != 503 || !plan_sends_headers(http_world.plan)))
		wrong(client, "a sound request has an answer of the engine's own");
	switch (status) {
	case 408:
	case 504:
		return;
	case 431: /* no memory to have the head in one piece */
		return;
	case 502:
		if (ask->arrivals > 0 && !ask->refused_there && !ask_is_unlucky(ask) &&
		    world->breaks_made == 0)
			wrong(client, "a sound answer was replaced");
		return;
	case 503:
		if (ask->arrivals > 0 && !ask_is_unlucky(ask))
			wrong(client, "a server was reached, and was not");
		return;
	default:
		wrong(client, "nothing explains this status");
	}
}

static bool has_no_body(const struct http_client *client, const struct ask *ask,
                        uint16_t status)
{
	/* Of a head that is not there the method is not known. */
	if (client->own && (status == 408 || ask->script.fault == ASK_GARBAGE))
		return false;
	return strcmp(ask->script.method, "HEAD") == 0 || status < 200 || status == 204 ||
	       status == 304;
}

static void begin_tunnel(struct http_client *client, struct ask *ask)
{
	struct peer *peer = &client->peer;

	if (!ask->script.upgrade || ask->at == NULL)
		wrong(client, "a tunnel that was not asked for");
	client->tunnel = true;
	client->tunnel_key = ask_reply_key(ask, ask->arrivals);
	client->waits_since_ns = 0;
	ask->answered = ask->whole_answer = true;
	say_stream(peer, ask->id, 0, client->script.tunnel);
}

static void check_identity(struct http_client *client, const struct ask *ask, uint16_t status)
{
	const struct message *message = &client->message;

	if (message->id != ask->id)
		wrong(client, "the answer of another request");
	if (ask->at == NULL || message->try == 0 || message->try > ask->arrivals)
		wrong(client, "an answer that no server gave");
	if (status >= 200 && status != ask->reply.status)
		wrong(client, "another status than the server's");
}

static void check_time(struct http_client *client)
{
	/* One that stalled looks late. */
	if (client->waits_since_ns != 0 && !client->peer.faulted &&
	    world->now_ns - client->waits_since_ns > http_world.limit_ns)
		wrong(client, "the answer comes too late");
	client->waits_since_ns = 0;
}

static void frame(struct http_client *client, struct ask *ask, uint16_t status)
{
	struct message *message = &client->message;
	const uint64_t key = client->own ? 0 : ask_reply_key(ask, message->try);
	enum message_framing framing = message->chunked    ? FRAMED_CHUNKED :
	                               message->has_length ? FRAMED_LENGTH :
	                                                     FRAMED_CLOSE;

	if (message->chunked && ask->script.minor == 0)
		wrong(client, "chunks for an HTTP/1.0 client");
	if (has_no_body(client, ask, status))
		framing = FRAMED_NONE;
	client->expected = client->own || framing == FRAMED_NONE ? 0 : ask->reply.body;
	if (framing == FRAMED_CLOSE && !message->close)
		wrong(client, "an answer without framing that does not say close");
	message_frame(message, framing, key);
	if (message->close || (ask->script.minor == 0 && !message->keep_alive)) {
		client->over = true;
		client->last = ask->index;
	}
}

static void judge(struct http_client *client)
{
	struct message *message = &client->message;
	uint16_t status = (uint16_t)strtoul(message->word[1], NULL, 10);
	struct ask *ask;

	if (client->answered == client->asked)
		wrong(client, "an answer to nothing");
	ask = client->asks[client->answered];
	if (strcmp(message->word[0], "HTTP/1.1") != 0 || status < 100 || status > 599)
		wrong(client, "the status line is wrong");
	trace("conn %llx: status %u for request %llu%s%s",
	      (unsigned long long)client->peer.conn->key, status, (unsigned long long)ask->id,
	      message->has_id ? "" : ", the engine's own", message->close ? ", close" : "");
	client->own = !message->has_id;
	check_time(client);
	if (client->own)
		check_own(client, ask, status);
	else
		check_identity(client, ask, status);
	if (!client->own && ask->script.upgrade &&
	    (status == 101 ||
	     (status >= 200 && status < 300 && strcmp(ask->script.method, "CONNECT") == 0))) {
		begin_tunnel(client, ask);
		return;
	}
	if (status < 200) {
		if (ask->script.minor == 0 || client->own)
			wrong(client, "a 1xx for one who knows none");
		if (ask->body_due && status == 100)
			say_body(ask);
		message_begin(message, client->peer.conn);
		return;
	}
	ask->answered = true;
	ask->own_answer = client->own;
	ask->status = status;
	client->judged = true;
	frame(client, ask, status);
}

static void answer_is_whole(struct http_client *client)
{
	struct ask *ask = client->asks[client->answered];

	if (!client->own && client->message.body != client->expected)
		wrong(client, "a whole answer that is not the server's");
	if (!client->own && ask->reply.fault >= REPLY_CLOSE)
		wrong(client, "a whole answer where the server gave none");
	ask->whole_answer = true;
	client->judged = false;
	client->answered++;
	if (ask->body_due) { /* answered without it: it must come all the same, or the end */
		client->over = true;
		ask->body_due = false;
	}
	if (ask->script.close)
		client->over = true;
	client->think_until_ns =
		world->now_ns + prng_spread(&world->prng, 0, client->script.think_ns);
	peer_poke_after(&client->peer, client->think_until_ns - world->now_ns);
	message_begin(&client->message, client->peer.conn);
}

static void read_tunnel(struct http_client *client, const uint8_t *bytes, uint64_t count)
{
	if (!stream_matches(client->tunnel_key, client->tunnel_read, bytes, count))
		wrong(client, "wrong bytes in a tunnel");
	client->tunnel_read += count;
}

static void client_read(struct peer *peer, const uint8_t *bytes, uint64_t count)
{
	struct http_client *client = client_of(peer);

	while (count > 0) {
		uint64_t here;

		if (client->tunnel) {
			read_tunnel(client, bytes, count);
			return;
		}
		if (client->over && !client->judged)
			wrong(client, "bytes behind the last answer");
		here = message_read(&client->message, bytes, count);
		bytes += here;
		count -= here;
		if (client->message.state == MESSAGE_JUDGE)
			judge(client);
		if (client->judged && client->message.state == MESSAGE_DONE)
			answer_is_whole(client);
	}
}

static void tunnel_ended(const struct http_client *client)
{
	const struct ask *ask = client->asks[client->answered];
	const struct conn *server = origin_peer(ask->at)->conn;

	if (client->peer.conn->proxy_aborted)
		return;
	if (!conn_has_ended(server) ||
	    client->tunnel_read != http_tunnel_bytes(ask->at))
		wrong(client, "a tunnel ends that has not ended");
}

/* It ended a body that only its end ends: nobody can tell. */
static bool server_closed_early(const struct http_client *client)
{
	const struct ask *ask = client->asks[client->answered];
	const struct peer *server = client->own ? NULL : origin_peer(ask->at);

	return server != NULL && server->faulted && server->script.fault == FAULT_CLOSE &&
	       client->message.body < client->expected;
}

/* The last request was answered by a server that did not take all of it: that ends the connection,
 * and may be found out when the answer is on its way. */
static bool was_not_taken(const struct http_client *client)
{
	return client->answered > 0 && !client->asks[client->answered - 1]->own_answer &&
	       !client->asks[client->answered - 1]->whole;
}

/* The connection ends as one that is idle: then nothing of a request was received on it. */
static void check_unanswered(const struct http_client *client)
{
	const struct peer *peer = &client->peer;

	if (client->over || client->answered == client->asked || http_world.drains ||
	    peer_is_faulty(peer) || is_cut(client) || client->judged || was_not_taken(client))
		return;
	if (peer->conn->in.read > client->asks[client->answered]->begins)
		wrong(client, "a request was received and is not answered");
}

static void client_ended(struct peer *peer, bool reset)
{
	struct http_client *client = client_of(peer);
	bool clean = !reset && !peer->conn->proxy_aborted;

	check_time(client);
	if (clean && client->tunnel)
		tunnel_ended(client);
	else if (clean && client->judged && client->message.state == MESSAGE_CLOSE &&
	         !server_closed_early(client))
		answer_is_whole(client);
	else if (clean)
		check_unanswered(client);
	client->over = true;
}

static bool client_finish_is_due(const struct peer *peer)
{
	const struct http_client *client = client_of(peer);

	if (peer->saw_end || is_cut(client))
		return true;
	if (client->tunnel)
		return client->script.finish != FINISH_NEVER;
	if (!asked_all(client) || client->script.finish == FINISH_NEVER)
		return false;
	return (client->script.finish == FINISH_WRITTEN && client->asked > 0 &&
	        !client->asks[client->asked - 1]->body_due &&
	        !client->asks[client->asked - 1]->script.upgrade) ||
	       client->answered == client->asked;
}

void http_client_arrives(const struct ask *ask)
{
	const struct http_client *client = ask->client;
	uint32_t i;

	for (i = 0; i < ask->index; i++) {
		const struct ask *before = client->asks[i];

		if (before->script.fault != ASK_SOUND || before->script.close ||
		    (!before->own_answer && !before->script.own && before->arrivals == 0 &&
		     before->answered))
			wrong(client, "a later request reaches a server");
		if (i >= client->answered && before->arrivals == 0 && !before->script.own &&
		    http_world.plan->gentle)
			wrong(client, "a later request overtakes an earlier one");
	}
	if (ask->index > client->last)
		wrong(client, "a request behind the last answer reaches a server");
}

struct conn *http_client_conn(const struct ask *ask)
{
	return ask->client->peer.conn;
}

bool http_client_finished(const struct ask *ask, uint64_t bytes)
{
	const struct conn *conn = ask->client->peer.conn;

	if (!ask->client->tunnel) /* the 101 never got there */
		return true;
	return conn_has_ended(conn) && bytes == conn->in.written - ask->ends;
}

bool http_client_is_over(const struct peer *peer)
{
	const struct http_client *client = client_of(peer);

	return client->over || client->answered == client->script.asks_count;
}

bool http_client_asked_on(const struct ask *ask)
{
	return ask->client->over && ask->client->last == ask->index &&
	       ask->client->asked > ask->index + 1;
}

uint32_t http_client_answered(const struct peer *peer)
{
	return client_of(peer)->answered;
}

struct peer *http_client_start(struct sock *listener, const struct script *script,
                               const struct client_script *asks)
{
	static const struct mind mind = { .act = act, .read = client_read, .ended = client_ended,
		                          .finish_is_due = client_finish_is_due };
	struct peer *peer =
		peer_new(sizeof(struct http_client), &mind, script, true, listener->tcp);
	struct http_client *client = client_of(peer);

	if (asks != NULL)
		client->script = *asks;
	else
		http_draw_client(&client->script);
	client->last = UINT32_MAX;
	message_begin(&client->message, peer->conn);
	client_offer(peer, listener);
	return peer;
}
