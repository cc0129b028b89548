/* SPDX-License-Identifier: MIT */
/*
 * check_peer.c - the other end of a health check: it reads what is asked, strictly, and answers as
 * its origin's mood is.
 *
 * A check is refused as a whole when it begins with anything but the header that its upstream wants
 * (LOCAL: the connection is nobody's), or asks for anything but health_path.
 */
#include <stdlib.h>
#include <string.h>

#include "http_sim.h"
#include "net/proxy_header.h"

#define ASKED_MAX 1024u

struct check_peer {
	struct peer peer; /* first */
	struct origin *origin;
	char asked[ASKED_MAX];
	uint32_t asked_len;
	bool is_asked; /* all of it has come */
	bool answered;
	bool closes;
	bool resets;
};

static struct check_peer *self_of(const struct peer *peer)
{
	return container_of((struct peer *)(uintptr_t)peer, struct check_peer, peer);
}

__attribute__((noreturn)) static void wrong(const struct check_peer *self, const char *what)
{
	world_fail("conn %llx: a check of origin %u: %s: %.*s",
		   (unsigned long long)self->peer.conn->key, self->origin->number, what,
		   (int)self->asked_len, self->asked);
}

/* --- what is asked --------------------------------------------------------------------------- */

/* Bytes of the header in front, or the whole length while it is not all there. */
static uint32_t header_bytes(const struct check_peer *self)
{
	const enum conf_send_proxy version =
		(enum conf_send_proxy)self->origin->upstream->send_proxy;
	struct proxy_header header;
	const char *reason = "";

	if (version == SEND_PROXY_OFF)
		return 0;
	switch (proxy_header_parse(&header,
				   version == SEND_PROXY_V1 ? PROXY_HEADER_V1 : PROXY_HEADER_V2,
				   (const uint8_t *)self->asked, self->asked_len, &reason)) {
	case PROXY_HEADER_MORE:
		return self->asked_len;
	case PROXY_HEADER_REFUSED:
		wrong(self, reason);
	case PROXY_HEADER_DONE:
		break;
	}
	if (!header.is_local)
		wrong(self, "its header names somebody");
	return header.length;
}

static void look(struct check_peer *self)
{
	const struct conf_upstream *upstream = self->origin->upstream;
	const uint32_t front = header_bytes(self);
	const char *text = self->asked + front;
	const uint32_t len = self->asked_len - front;
	char begin[200];
	uint32_t begin_len;
	const char *end;

	if (len == 0)
		return;
	if (upstream->health != PROBE_HTTP)
		wrong(self, "it says something");
	begin_len = (uint32_t)snprintf(begin, sizeof(begin),
				       "GET %s HTTP/1.1\r\nHost: ", upstream->health_path);
	if (memcmp(text, begin, len < begin_len ? len : begin_len) != 0)
		wrong(self, "it asks for something else");
	end = memmem(text, len, "\r\n\r\n", 4);
	if (end == NULL)
		return;
	if (end + 4 != text + len || memmem(text, len, "\r\nConnection: close\r\n", 21) == NULL)
		wrong(self, "it says more, or less");
	self->is_asked = true;
	peer_poke_after(&self->peer, prng_spread(&world->prng, 0, self->origin->answer_ns));
}

static void check_read(struct peer *peer, const uint8_t *bytes, uint64_t count)
{
	struct check_peer *self = self_of(peer);

	if (self->asked_len + count > ASKED_MAX)
		wrong(self, "it says too much");
	memcpy(self->asked + self->asked_len, bytes, count);
	self->asked_len += (uint32_t)count;
	look(self);
}

/* --- what is answered ------------------------------------------------------------------------ */

static void answer_well(struct check_peer *self)
{
	const struct conf_statuses *statuses = &self->origin->upstream->health_status;
	struct peer *peer = &self->peer;
	const struct bytes *kept = &peer->conn->in.kept;

	say(peer, "HTTP/1.1 %u Well\r\nContent-Length: 2\r\n",
	    prng_chance(&world->prng, 500) ? statuses->first : statuses->last);
	while (kept->count + 25 < self->origin->head_bytes)
		say(peer, "X-Much: 0123456789\r\n");
	say(peer, "\r\nok");
}

static void answer_badly(struct check_peer *self)
{
	struct peer *peer = &self->peer;

	switch (prng_below(&world->prng, 5)) {
	case 0:
		say(peer, "HTTP/1.1 %u Ill\r\nContent-Length: 0\r\n\r\n",
		    self->origin->upstream->health_status.last + 1);
		return;
	case 1:
		say(peer, "220 ready when you are\r\n");
		return;
	case 2:
		self->closes = true;
		return;
	case 3:
		say(peer, "HTTP/1.1 200 O");
		self->closes = true;
		return;
	default:
		self->resets = true;
		return;
	}
}

static void check_act(struct peer *peer)
{
	struct check_peer *self = self_of(peer);

	if (self->is_asked && !self->answered && self->origin->mood != MOOD_MUTE) {
		self->answered = true;
		if (self->origin->mood == MOOD_WRONG)
			answer_badly(self);
		else
			answer_well(self);
	}
	if (!self->answered || peer->conn->in.written != peer->conn->in.kept.count)
		return;
	if (self->resets)
		peer_reset(peer);
	else if (self->closes && !peer->conn->in.finished)
		peer_close(peer);
}

static void check_ended(struct peer *peer, bool reset)
{
	(void)peer;
	(void)reset;
}

static bool check_finish_is_due(const struct peer *peer)
{
	return peer->saw_end;
}

struct peer *check_peer_new(struct origin *origin)
{
	static const struct mind mind = { .act = check_act,
					  .read = check_read,
					  .ended = check_ended,
					  .finish_is_due = check_finish_is_due };
	static const struct script script = {
		.write_max = 4000, .read_max = 4000, .pause_ns = 100 * NS_PER_US, .capacity = 4000
	};
	struct peer *peer = peer_new(sizeof(struct check_peer), &mind, &script, false, origin->tcp);
	struct check_peer *self = self_of(peer);

	self->origin = origin;
	peer->conn->is_check = true;
	if (prng_chance(&world->prng, 300))
		peer->script.write_max = (uint32_t)prng_range(&world->prng, 5, 40);
	return peer;
}
