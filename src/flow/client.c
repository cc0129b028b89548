/* SPDX-License-Identifier: MIT */
/*
 * client.c - who a session's client is, and whether it is let in.
 *
 *      session_start() --> PREFACE: a header of the PROXY protocol says who it is
 *             |               |
 *             '---------------'--> allow, deny --> limits of its source --> HEAD or CONNECT
 *
 * The peer's address is asked for when something depends on it: accepting many at once does not
 * tell it, and most listeners never need it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow_private.h"
#include "net/access_list.h"
#include "net/proxy_header.h"
#include "net/source_limits.h"

/* Who sends a header at all does so at once. */
#define PREFACE_MS 10000

static void take_address(struct session *session, const struct addr *addr)
{
	session->client_known = true;
	session->client_is_inet = true;
	memset(session->client_in6, 0, sizeof(session->client_in6));
	if (addr->kind == ADDR_INET6) {
		memcpy(session->client_in6, &addr->u.in6.sin6_addr, 16);
		session->client_port = ntohs(addr->u.in6.sin6_port);
	} else if (addr->kind == ADDR_INET) { /* as IPv6 sees it */
		memset(session->client_in6 + 10, 0xff, 2);
		memcpy(session->client_in6 + 12, &addr->u.in.sin_addr, 4);
		session->client_port = ntohs(addr->u.in.sin_port);
	} else {
		session->client_is_inet = false;
	}
}

static void learn(struct session *session)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct addr addr = { .kind = ADDR_NONE };

	if (session->client_known)
		return;
	if (ring_socket_peer(session->flow->ring, session->client.fd, &peer, &len) == 0)
		addr_from_sockaddr(&addr, (const struct sockaddr *)&peer, len);
	take_address(session, &addr);
}

static bool is_mapped(const uint8_t in6[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(in6, mapped, sizeof(mapped)) == 0;
}

void session_client_addr(struct session *session, struct addr *addr)
{
	learn(session);
	*addr = (struct addr){ .kind = ADDR_NONE };
	if (!session->client_is_inet)
		return;
	if (is_mapped(session->client_in6)) {
		addr->kind = ADDR_INET;
		addr->len = sizeof(addr->u.in);
		addr->u.in.sin_family = AF_INET;
		addr->u.in.sin_port = htons(session->client_port);
		memcpy(&addr->u.in.sin_addr, session->client_in6 + 12, 4);
		return;
	}
	addr->kind = ADDR_INET6;
	addr->len = sizeof(addr->u.in6);
	addr->u.in6.sin6_family = AF_INET6;
	addr->u.in6.sin6_port = htons(session->client_port);
	memcpy(&addr->u.in6.sin6_addr, session->client_in6, 16);
}

uint64_t session_client_hash(struct session *session)
{
	uint64_t words[2];

	learn(session);
	memcpy(words, session->client_in6, sizeof(words));
	return (words[0] ^ (words[1] << 29 | words[1] >> 35)) * 0x9e3779b97f4a7c15ull;
}

bool session_client_in(struct session *session, const struct cidr *blocks, uint32_t count)
{
	uint32_t i;

	learn(session);
	for (i = 0; session->client_is_inet && i < count; i++)
		if (cidr_holds_in6(&blocks[i], session->client_in6))
			return true;
	return false;
}

const char *session_client_text(struct session *session, char text[SESSION_CLIENT_TEXT_MAX])
{
	const uint8_t *in6 = session->client_in6;
	bool v4;

	learn(session);
	v4 = is_mapped(in6);
	if (!session->client_is_inet || inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? in6 + 12 : in6,
						  text, SESSION_CLIENT_TEXT_MAX) == NULL)
		(void)snprintf(text, SESSION_CLIENT_TEXT_MAX, "unix");
	return text;
}

/* --- letting it in ---------------------------------------------------------------------------- */

static enum close_reason admit(struct session *session)
{
	const struct conf_listener *listener = session->acceptor->listener;
	const struct source_rule rule = { .sessions = listener->source_sessions,
					  .rate = listener->source_rate,
					  .burst = listener->source_burst };
	struct addr addr;

	if (listener->access == NULL && rule.sessions == 0 && rule.rate == 0)
		return CLOSE_NONE;
	session_client_addr(session, &addr);
	if (!access_list_allows(listener->access, &addr))
		return CLOSE_ACCESS_DENIED;
	if (rule.sessions == 0 && rule.rate == 0)
		return CLOSE_NONE;
	switch (source_limits_admit(session->flow->shared->sources, &rule, &addr,
				    flow_now_ms(session->flow), &session->source_place)) {
	case SOURCE_OK:
		return CLOSE_NONE;
	case SOURCE_TOO_MANY:
		return CLOSE_SOURCE_SESSIONS;
	case SOURCE_TOO_FAST:
		return CLOSE_SOURCE_RATE;
	}
	unreachable();
	return CLOSE_NONE;
}

void session_client_gone(struct session *session)
{
	if (session->source_place != SOURCE_UNTRACKED)
		source_limits_release(session->flow->shared->sources, session->source_place);
	session->source_place = SOURCE_UNTRACKED;
}

void session_let_in(struct session *session)
{
	enum close_reason reason = admit(session);

	session_move(session, session->http ? SESSION_HEAD : SESSION_CONNECT);
	if (reason != CLOSE_NONE) {
		session_close(session, reason);
		return;
	}
	session_retime(session);
	relay_mark(&session->relays[SIDE_CLIENT]);
	if (!session->http)
		session_dial_later(session, session->relays[SIDE_CLIENT].bytes == 0);
}

/* --- the header ------------------------------------------------------------------------------- */

bool preface_is_expected(struct session *session)
{
	return session->acceptor->listener->proxy_protocol != PROXY_OFF;
}

void preface_begin(struct session *session)
{
	const struct conf_listener *listener = session->acceptor->listener;

	session_move(session, SESSION_PREFACE);
	session_retime(session);
	relay_mark(&session->relays[SIDE_CLIENT]);
	if (listener->proxy_from_count > 0 &&
	    !session_client_in(session, listener->proxy_from, listener->proxy_from_count))
		session_close(session, CLOSE_PROXY_HEADER);
}

uint64_t preface_deadline_ms(const struct session *session)
{
	uint64_t limit = session->acceptor->listener->client_timeout_ns / NS_PER_MS;

	return session->started_ms + (limit < PREFACE_MS ? limit : PREFACE_MS);
}

static enum proxy_header_version expected(const struct session *session)
{
	static const uint8_t versions[] = { [PROXY_V1] = PROXY_HEADER_V1,
					    [PROXY_V2] = PROXY_HEADER_V2,
					    [PROXY_ANY] = PROXY_HEADER_ANY };

	return (enum proxy_header_version)versions[session->acceptor->listener->proxy_protocol];
}

/* The header is there: its bytes go, what follows is the client's. */
static void header_done(struct session *session, const struct proxy_header *header)
{
	struct relay *up = &session->relays[SIDE_CLIENT];

	up->held_back -= header->length;
	relay_dequeue(session->flow, up, header->length);
	if (!session->http)
		up->held_back = 0;
	if (!header->is_local)
		take_address(session, &header->source);
	session_let_in(session);
}

/* Who sends a header sends it in one piece: when memory is short, an unfinished one does not keep a
 * slice from everybody. */
static bool is_in_the_way(const struct session *session, uint32_t len)
{
	return len > 0 && slices_pressed(&session->flow->slices);
}

void preface_flush(struct session *session)
{
	struct relay *up = &session->relays[SIDE_CLIENT];
	enum proxy_header_progress progress = PROXY_HEADER_MORE;
	struct proxy_header header;
	const char *reason = "";
	uint32_t len = 0;

	if (up->held_back > 0) {
		const uint8_t *bytes = http_gather(session, SIDE_CLIENT, &len);

		progress = proxy_header_parse(&header, expected(session), bytes, len, &reason);
	}
	if (progress == PROXY_HEADER_DONE) {
		header_done(session, &header);
		return;
	}
	if (progress == PROXY_HEADER_REFUSED || up->state != RELAY_OPEN ||
	    len >= PROXY_HEADER_READ_MAX || is_in_the_way(session, len)) {
		log_debug(session->flow->log, "session=%llu PROXY header: %s",
			  (unsigned long long)session->id, reason);
		session_close(session, CLOSE_PROXY_HEADER);
		return;
	}
	relay_flush_receive(session, up);
}

/* --- and ours to the server ------------------------------------------------------------------- */

void preface_write(struct session *session)
{
	const enum conf_send_proxy send_proxy = session->upstream->send_proxy;
	struct flow *flow = session->flow;
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);
	struct addr source, destination = { .kind = ADDR_NONE };
	struct preface *preface;

	if (send_proxy == SEND_PROXY_OFF)
		return;
	session_client_addr(session, &source);
	if (ring_socket_local(flow->ring, session->client.fd, &local, &len) == 0)
		addr_from_sockaddr(&destination, (const struct sockaddr *)&local, len);
	preface = server_conn_preface_take(session->conn);
	preface->len = (uint16_t)proxy_header_write(
		preface->bytes, send_proxy == SEND_PROXY_V1 ? PROXY_HEADER_V1 : PROXY_HEADER_V2,
		&source, &destination);
}
