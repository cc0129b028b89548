/* SPDX-License-Identifier: MIT */
/*
 * http_origin.c - virtual servers: they read requests, know which client's they are, and answer as
 * the seed or the scenario says.
 */
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "http_sim.h"
#include "watch.h"

struct http_origin {
	struct peer peer; /* first */
	struct origin *origin;
	struct ask *ask; /* that it reads or answers */
	uint32_t served; /* requests that came before */
	uint64_t answer_at_ns; /* 0: not yet known */
	bool answers;          /* its answer stands in what it writes */
	struct ask *asked_behind; /* the ask before a new request, and what was written then */
	uint64_t asked_written;
	uint64_t begins;       /* of the answer, in what it writes; before that: where it would */
	uint64_t ends;
	uint64_t stray; /* where bytes begin that belong to nothing; UINT64_MAX: nowhere */
	bool closes;    /* once all is written */
	bool resets;
	bool tunnel;
	uint64_t tunnel_begins; /* in what it writes */
	uint64_t tunnel_read;
	struct message message;
};

static struct http_origin *origin_of(const struct peer *peer)
{
	return container_of((struct peer *)(uintptr_t)peer, struct http_origin, peer);
}

struct peer *origin_peer(struct http_origin *origin)
{
	return &origin->peer;
}

bool http_origin_is_busy(const struct peer *peer)
{
	const struct http_origin *origin = origin_of(peer);

	if (!message_has_begun(&origin->message))
		return origin->served == 0;
	return origin->tunnel || !origin->answers || peer->conn->in.read < origin->ends;
}

bool ask_is_unlucky(const struct ask *ask)
{
	const struct peer *peer = &ask->at->peer;

	return ask->reply.fault != REPLY_SOUND || peer->conn->broken || peer->faulted ||
	       peer->conn->peer_reset || peer->conn->peer_closed;
}

uint64_t http_tunnel_bytes(const struct http_origin *origin)
{
	return origin->tunnel ? origin->peer.conn->in.written - origin->tunnel_begins : UINT64_MAX;
}

__attribute__((noreturn)) static void wrong(const struct http_origin *origin, const char *what)
{
	world_fail("conn %llx: at the server, request %llu: %s (fault %d)",
	           (unsigned long long)origin->peer.conn->key,
	           origin->ask != NULL ? (unsigned long long)origin->ask->id : 0ull, what,
	           origin->ask != NULL ? origin->ask->script.fault : -1);
}

/* --- answering ------------------------------------------------------------------------------- */

static void say_framing(struct http_origin *origin)
{
	struct peer *peer = &origin->peer;
	const struct reply *reply = &origin->ask->reply;
	const unsigned long long body = reply->body;
	uint32_t i;

	switch (reply->fault) {
	case REPLY_TWO_LENGTHS:
		say(peer, "Content-Length: 5\r\nContent-Length: 6\r\n");
		return;
	case REPLY_LENGTH_AND_CHUNKED:
		say(peer, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
		return;
	case REPLY_BAD_FIELD:
		say(peer, "No field at all\r\n");
		break;
	case REPLY_LARGE:
		for (i = 0; i < 700; i++)
			say(peer, "X-Much-%u: 012345678901234567890123456789012345678901\r\n", i);
		break;
	default:
		break;
	}
	if (reply->framing == FRAMED_LENGTH)
		say(peer, "Content-Length: %llu\r\n", body);
	else if (reply->framing == FRAMED_CHUNKED)
		say(peer, "Transfer-Encoding: chunked\r\n");
}

static void say_head(struct http_origin *origin)
{
	struct peer *peer = &origin->peer;
	const struct reply *reply = &origin->ask->reply;
	const struct ask *ask = origin->ask;
	uint32_t i;

	if (reply->fault == REPLY_BAD_LINE)
		say(peer, "HTTP/1.1 OK\r\n");
	else
		say(peer, "HTTP/1.%u %03u %s\r\n", reply->minor,
		    reply->fault == REPLY_UNASKED    ? 101u :
		    reply->fault == REPLY_BAD_STATUS ? 99u :
						       reply->status,
		    ask->id % 3 == 0 ? "" : "Of course");
	say(peer, "X-Id: %llu\r\nX-Try: %u\r\n", (unsigned long long)ask->id, ask->arrivals);
	for (i = 0; i < ask->id % 4; i++)
		say(peer, "X-Other-%u: value of some length, %llu\r\n", i,
		    (unsigned long long)ask->id);
	if (reply->status == 101)
		say(peer, "Connection: upgrade\r\nUpgrade: echo\r\n");
	else if (reply->close)
		say(peer, "Connection: close, X-Hop\r\nX-Hop: 1\r\n");
	else if (reply->minor == 0)
		say(peer, "Connection: keep-alive\r\nKeep-Alive: max=9\r\n");
	say_framing(origin);
	say(peer, "\r\n");
}

static bool is_tunnel(const struct http_origin *origin)
{
	const struct reply *reply = &origin->ask->reply;

	return origin->ask->script.upgrade && reply->fault < REPLY_BAD_LINE &&
	       (reply->status == 101 ||
	        (reply->status < 300 && strcmp(origin->ask->script.method, "CONNECT") == 0));
}

static void say_body(struct http_origin *origin)
{
	struct peer *peer = &origin->peer;
	const struct reply *reply = &origin->ask->reply;
	const uint64_t key = ask_reply_key(origin->ask, origin->ask->arrivals);

	if (is_tunnel(origin)) {
		origin->tunnel = true;
		origin->tunnel_begins = peer->conn->in.kept.count;
		say_stream(peer, key, 0, reply->body);
		return;
	}
	if (strcmp(origin->ask->script.method, "HEAD") == 0 || reply->framing == FRAMED_NONE ||
	    reply->status == 204 || reply->status == 304)
		return;
	if (reply->framing == FRAMED_CHUNKED)
		say_chunks(peer, key, reply->body, reply->fault == REPLY_BAD_CHUNK);
	else
		say_stream(peer, key, 0, reply->body);
}

static void idle_over(void *subject)
{
	struct http_origin *origin = subject;
	struct peer *peer = &origin->peer;
	const struct conn *conn = peer->conn;

	if (peer->gone || conn->in.finished || conn->peer_closed || origin->tunnel ||
	    !origin->answers || origin->message.state != MESSAGE_DONE ||
	    conn->in.written != conn->in.kept.count)
		return;
	if (conn_waiting(conn) > 0)
		peer_reset(peer);
	else
		peer_close(peer);
}

static void answer_breaks(struct http_origin *origin)
{
	struct bytes *kept = &origin->peer.conn->in.kept;
	const struct reply *reply = &origin->ask->reply;

	switch (reply->fault) {
	case REPLY_STRAY:
		if (origin->tunnel)
			return;
		origin->stray = kept->count;
		say(&origin->peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		return;
	case REPLY_ENDS:
		origin->closes = true;
		return;
	case REPLY_CUT:
	case REPLY_RESET:
		if (kept->count - origin->begins <= reply->cut_at) {
			origin->ask->reply.fault = REPLY_ENDS;
			origin->closes = true;
			return;
		}
		kept->count = origin->begins + reply->cut_at;
		if (kept->count < origin->tunnel_begins)
			origin->tunnel = false;
		origin->closes = reply->fault == REPLY_CUT;
		origin->resets = !origin->closes;
		return;
	case REPLY_ENDS_IDLE:
		world_after(reply->idle_ns, idle_over, origin);
		return;
	default:
		return;
	}
}

static void answer(struct http_origin *origin)
{
	struct peer *peer = &origin->peer;
	const struct reply *reply = &origin->ask->reply;
	uint32_t i;

	origin->answers = true;
	origin->begins = peer->conn->in.kept.count;
	for (i = 0; i < reply->interims; i++)
		say(peer, "HTTP/1.1 %s\r\nX-Id: %llu\r\nX-Try: %u\r\n\r\n",
		    i == 0 ? "103 Early Hints" : "102 Processing",
		    (unsigned long long)origin->ask->id, origin->ask->arrivals);
	say_head(origin);
	say_body(origin);
	origin->ends = peer->conn->in.kept.count;
	if (reply->framing == FRAMED_CLOSE && !origin->tunnel)
		origin->closes = true;
	if (reply->close)
		origin->closes = true;
	answer_breaks(origin);
	trace("conn %llx: answers request %llu with %u framed %u, %llu bytes, fault %u",
	      (unsigned long long)peer->conn->key, (unsigned long long)origin->ask->id,
	      reply->status, reply->framing, (unsigned long long)reply->body, reply->fault);
}

static void decide(struct http_origin *origin)
{
	const struct reply *reply = &origin->ask->reply;

	if (origin->answer_at_ns != 0 || origin->answers || reply->fault == REPLY_SILENT)
		return;
	if (reply->fault == REPLY_CLOSE) {
		origin->closes = true;
		peer_poke(&origin->peer);
		return;
	}
	origin->answer_at_ns = world->now_ns + reply->think_ns;
	peer_poke_after(&origin->peer, reply->think_ns);
}

static void act(struct peer *peer)
{
	struct http_origin *origin = origin_of(peer);

	if (!origin->answers && origin->answer_at_ns != 0 && origin->answer_at_ns <= world->now_ns)
		answer(origin);
	if (peer->conn->in.written != peer->conn->in.kept.count)
		return;
	if (origin->resets)
		peer_reset(peer);
	else if (origin->closes && !origin->tunnel && !peer->conn->in.finished)
		peer_close(peer);
}

/* --- reading --------------------------------------------------------------------------------- */

/* Rule (4). */
static void check_again(const struct http_origin *origin, const struct ask *ask)
{
	const struct http_origin *first = ask->at;

	if (!ask_is_idempotent(ask) || ask->script.framing != FRAMED_NONE)
		wrong(origin, "comes a second time, and must not");
	if (ask->arrivals > 1 || origin->served > 0)
		wrong(origin, "comes a second time over a connection that was used");
	if (first->served == 0)
		wrong(origin, "comes a second time although its first connection was fresh");
	if (first->peer.conn->in.read > first->begins)
		wrong(origin, "comes a second time although an answer had begun");
}

static void check_fields(const struct http_origin *origin, const struct ask *ask)
{
	const struct message *message = &origin->message;
	const struct ask_script *script = &ask->script;
	char target[64];

	(void)snprintf(target, sizeof(target), "/r/%llu%s", (unsigned long long)ask->id,
	               ask->id % 16 == 3 ? "" : "?q");
	if (strcmp(script->method, "CONNECT") == 0)
		(void)snprintf(target, sizeof(target), "a.example:443");
	if (strcmp(message->word[0], script->method) != 0 || strcmp(message->word[1], target) != 0)
		wrong(origin, "another method or target");
	if (strcmp(message->word[2], "HTTP/1.1") != 0 || message->hosts != 1)
		wrong(origin, "another version, or not one Host");
	if (message->chunked != (script->framing == FRAMED_CHUNKED) ||
	    (script->framing == FRAMED_LENGTH &&
	     (!message->has_length || message->length != script->body)) ||
	    (script->framing == FRAMED_NONE && message->has_length && message->length > 0))
		wrong(origin, "another framing");
	if (message->keep_alive || (message->upgrade && !script->upgrade))
		wrong(origin, "a field goes on that was to stop");
}

static void choose_reply(struct origin *origin, struct ask *ask)
{
	uint32_t number = origin->asked++;

	if (origin->replies == NULL)
		http_draw_reply(&ask->reply, &ask->script);
	else
		ask->reply = origin->replies[number < origin->replies_count ?
		                                     number :
		                                     origin->replies_count - 1];
}

static void arrives(struct http_origin *origin)
{
	struct message *message = &origin->message;
	struct ask *ask = ask_find(message->id);

	if (!message->has_id || ask == NULL)
		wrong(origin, "a request of nobody");
	origin->ask = ask;
	if (ask_is_refused(ask))
		wrong(origin, "a request that must be refused reaches a server");
	if (ask->script.own)
		wrong(origin, "a request that is answered elsewhere reaches a server");
	http_client_arrives(ask);
	front_reaches(http_client_conn(ask));
	watch_request(origin->peer.conn);
	check_fields(origin, ask);
	if (ask->arrivals > 0) {
		check_again(origin, ask);
		ask->refused_there = true;
	}
	ask->arrivals++;
	ask->at = origin;
	ask->whole = false;
	origin->answers = false;
	origin->answer_at_ns = 0;
	origin->begins = origin->peer.conn->in.kept.count;
	origin->stray = UINT64_MAX;
	choose_reply(origin->origin, ask);
	message_frame(message, message->chunked    ? FRAMED_CHUNKED :
	                       message->has_length ? FRAMED_LENGTH :
						     FRAMED_NONE, ask->id);
	trace("conn %llx: request %llu arrives, for the %u. time",
	      (unsigned long long)origin->peer.conn->key, (unsigned long long)ask->id,
	      ask->arrivals);
	if (origin->ask->reply.early)
		decide(origin);
	else if (message->expect && message->state != MESSAGE_DONE)
		say(&origin->peer, "HTTP/1.1 100 Continue\r\nX-Id: %llu\r\nX-Try: %u\r\n\r\n",
		    (unsigned long long)ask->id, ask->arrivals);
}

static void request_is_whole(struct http_origin *origin)
{
	struct ask *ask = origin->ask;

	if (origin->message.body != (ask->script.framing == FRAMED_NONE ? 0 : ask->script.body) ||
	    ask->script.fault != ASK_SOUND)
		wrong(origin, "a whole request that is not its client's");
	ask->whole = true;
	decide(origin);
}

/* What comes now is the next request. */
static void next(struct http_origin *origin)
{
	if (!origin->answers || origin->peer.conn->in.written < origin->ends)
		wrong(origin, "bytes behind a request that is not answered yet");
	origin->served++;
	message_begin(&origin->message, origin->peer.conn);
}

static void read_tunnel(struct http_origin *origin, const uint8_t *bytes, uint64_t count)
{
	if (!stream_matches(origin->ask->id, origin->tunnel_read, bytes, count))
		wrong(origin, "wrong bytes in a tunnel");
	origin->tunnel_read += count;
}

static void origin_read(struct peer *peer, const uint8_t *bytes, uint64_t count)
{
	struct http_origin *origin = origin_of(peer);

	while (count > 0) {
		uint64_t here;

		if (origin->tunnel) {
			read_tunnel(origin, bytes, count);
			return;
		}
		if (origin->message.state == MESSAGE_DONE)
			next(origin);
		here = message_read(&origin->message, bytes, count);
		bytes += here;
		count -= here;
		if (origin->message.state == MESSAGE_JUDGE)
			arrives(origin);
		if (origin->message.state == MESSAGE_DONE && !origin->ask->whole)
			request_is_whole(origin);
	}
}

static void origin_ended(struct peer *peer, bool reset)
{
	struct http_origin *origin = origin_of(peer);

	if (reset || !origin->tunnel || peer->conn->proxy_aborted)
		return;
	if (!http_client_finished(origin->ask, origin->tunnel_read))
		wrong(origin, "a tunnel ends that has not ended");
}

static bool origin_finish_is_due(const struct peer *peer)
{
	const struct http_origin *origin = origin_of(peer);

	return peer->saw_end || origin->tunnel;
}

void http_origin_asked(struct conn *conn)
{
	struct http_origin *origin;

	if (conn->from_client || conn->peer == NULL)
		return;
	origin = origin_of(conn->peer);
	/* Is it the begin of a request on a connection that served one? */
	if (origin->tunnel || origin->message.state != MESSAGE_DONE || !origin->answers ||
	    conn->out.written > conn->out.read || conn->peer->gone || conn->peer_closed)
		return;
	/* The rest of one whose send was cut short. */
	if (origin->ask == origin->asked_behind && conn->out.written > origin->asked_written)
		return;
	origin->asked_behind = origin->ask;
	origin->asked_written = conn->out.written;
	if (conn->in.read < origin->ends)
		wrong(origin, "a new request before the answer to the last one was received");
	if (pipe_used(&conn->in) > 0 || conn->in.finished || conn->peer_reset)
		wrong(origin, "a new request where something unread, or an end, stands");
	/* Bytes that come later than this could not be told from an answer. */
	if (origin->stray <= conn->in.written) {
		if (conn->in.read > origin->stray)
			wrong(origin, "a new request behind stray bytes");
		conn->in.kept.count = conn->in.written;
	} else if (origin->stray != UINT64_MAX) {
		conn->in.kept.count = origin->stray;
	}
	if (origin->ask->reply.fault == REPLY_STRAY)
		origin->ask->reply.fault = REPLY_SOUND;
}

struct peer *http_origin_new(struct origin *origin)
{
	static const struct mind mind = { .act = act, .read = origin_read, .ended = origin_ended,
		                          .finish_is_due = origin_finish_is_due };
	struct peer *peer = peer_new(sizeof(struct http_origin), &mind, origin->script, false,
	                             origin->tcp);
	struct http_origin *self = origin_of(peer);

	self->origin = origin;
	self->stray = UINT64_MAX;
	message_begin(&self->message, peer->conn);
	return peer;
}
