/* SPDX-License-Identifier: MIT */
/*
 * http_sim - virtual clients and servers that speak HTTP, and what each request met.
 *
 *      http_client.c   asks, one after the other or several ahead; reads answers strictly
 *      http_origin.c   reads requests strictly, and answers as the seed says
 *      http_read.c     the reading of either
 *      http_plan.c     how all that is drawn
 *
 * Every request is an `ask`, known to its client and, by the field X-Id, to the servers that it
 * comes to. What is checked, whatever the engine does:
 *
 *   (1) What reaches a server is a well-formed request of HTTP/1.1 without fields that were to stop
 *       on the way, and its body is what its client sent, byte for byte, or visibly cut.
 *   (2) What reaches a client is a well-formed answer to its oldest open request, and its body is
 *       what the server sent, byte for byte, or visibly cut. An answer of the engine's own has a
 *       status that something in this world explains.
 *   (3) A request that must be refused reaches no server, nor does anything behind it.
 *   (4) A request reaches servers once; a second time only over a fresh connection, if it is
 *       idempotent, has no body, and no byte of a first response was received.
 *   (5) No request begins on a connection on which something unread, an end or a reset stands.
 *   (6) What is behind an answer with "Connection: close" reaches no server.
 *   (7) An answer comes within the time limits.
 */
#ifndef SIM_HTTP_SIM_H
#define SIM_HTTP_SIM_H

#include "plan.h"

struct sim;
struct http_client;
struct http_origin;

#define ASKS_MAX 8
#define HEAD_MAX 40000u

enum message_framing { FRAMED_NONE, FRAMED_LENGTH, FRAMED_CHUNKED, FRAMED_CLOSE };

/* --- answers --------------------------------------------------------------------------------- */

enum reply_fault {
	REPLY_SOUND,
	REPLY_STRAY,     /* bytes behind it that belong to nothing */
	REPLY_ENDS,      /* the connection ends behind it, and nothing said so */
	REPLY_ENDS_IDLE, /* .. a while later */
	/* From here on no whole answer can come of it. */
	REPLY_CLOSE, /* none: the connection ends as soon as the request is there */
	REPLY_RESET, /* the same, with a reset; or in the middle: see cut_at */
	REPLY_CUT,   /* the connection ends in the middle */
	REPLY_SILENT,
	REPLY_BAD_LINE,
	REPLY_BAD_FIELD,
	REPLY_BAD_STATUS,
	REPLY_BAD_CHUNK,
	REPLY_TWO_LENGTHS,
	REPLY_LENGTH_AND_CHUNKED,
	REPLY_LARGE,
	REPLY_UNASKED, /* 101 */
	REPLY_FAULTS,
};

struct reply {
	uint16_t status; /* 101: where it was asked for, a tunnel */
	uint8_t framing;
	uint8_t minor;
	uint8_t fault;
	bool close; /* says so */
	uint8_t interims; /* 1xx in front of it */
	bool early; /* as soon as the request's head is there */
	uint64_t body;
	uint64_t cut_at; /* bytes of it that are sent */
	uint64_t think_ns;
	uint64_t idle_ns; /* ENDS_IDLE */
};

/* --- requests -------------------------------------------------------------------------------- */

enum ask_fault {
	ASK_SOUND,
	ASK_CUT, /* its client finishes in the middle of it */
	/* the chunks of its body go wrong, so its head may reach a server */
	ASK_BAD_CHUNK,
	/* those that must be refused */
	ASK_NO_HOST,
	ASK_TWO_HOSTS,
	ASK_TWO_LENGTHS,
	ASK_LENGTH_AND_CHUNKED,
	ASK_BAD_LENGTH,
	ASK_BAD_VERSION,
	ASK_BAD_CODING,
	ASK_BAD_FIELD,
	ASK_GARBAGE,
	ASK_LARGE,
	ASK_FAULTS,
};

struct ask_script {
	const char *method;
	uint8_t minor;
	uint8_t framing;
	uint8_t fault;
	uint64_t body;  /* bytes */
	bool close;     /* Connection: close; of HTTP/1.0: no Connection: keep-alive */
	bool expect;    /* 100-continue */
	bool upgrade;   /* to a tunnel; with CONNECT the same */
	bool own;       /* for a path at which the engine answers by itself */
	uint64_t cut_at; /* ASK_CUT: bytes of it that are sent */
};

struct ask {
	struct list node;
	uint64_t id;
	struct ask_script script;
	struct http_client *client;
	uint32_t index; /* of its client */
	uint64_t begins; /* in what its client writes */
	uint64_t ends;   /* UINT64_MAX: a part of it is to be written later */
	bool body_due;   /* the client waits for 100 Continue */
	/* at servers */
	uint32_t arrivals;
	bool whole;
	bool refused_there; /* a server that it came to was not sound, or was lost */
	struct http_origin *at;
	struct reply reply; /* of the last of them */
	/* at the client */
	bool answered;
	bool whole_answer;
	bool own_answer;
	uint16_t status;
};

/* Where the body of this try's response comes from. */
uint64_t ask_reply_key(const struct ask *ask, uint32_t try);
bool ask_is_refused(const struct ask *ask);
bool ask_is_idempotent(const struct ask *ask);
struct ask *ask_find(uint64_t id);

/* --- reading --------------------------------------------------------------------------------- */

enum message_state {
	MESSAGE_HEAD,
	MESSAGE_JUDGE, /* its head is read: whoever reads it says how its body is framed */
	MESSAGE_LENGTH,
	MESSAGE_SIZE,
	MESSAGE_DATA,
	MESSAGE_DATA_END,
	MESSAGE_TRAILER,
	MESSAGE_CLOSE,
	MESSAGE_DONE,
};

struct message {
	const struct conn *conn; /* for what is said about it */
	uint8_t state;
	uint32_t text_len;
	/* of the head */
	char word[3][64]; /* of the first line */
	uint64_t id;
	uint32_t try;
	bool has_id;
	bool has_length;
	bool chunked;
	bool close;
	bool keep_alive;
	bool upgrade;
	bool expect;
	uint32_t hosts;
	uint64_t length;
	/* of the body */
	uint64_t key; /* 0: it is not looked at */
	uint64_t left;
	uint64_t body;
	char text[HEAD_MAX]; /* the head, or the line, that is being read */
};

void message_begin(struct message *message, const struct conn *conn);
/* Up to the end of the head, or of the message; how many bytes were read. */
uint64_t message_read(struct message *message, const uint8_t *bytes, uint64_t count);
/* How its body ends. */
void message_frame(struct message *message, enum message_framing framing, uint64_t key);
/* Anything of it was read. */
static inline bool message_has_begun(const struct message *message)
{
	return message->state != MESSAGE_HEAD || message->text_len > 0;
}

/* Append to what a peer is to write. */
void say(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_stream(struct peer *peer, uint64_t key, uint64_t from, uint64_t bytes);
/* With its last chunk; bad: something that is no chunk stands in its place. */
void say_chunks(struct peer *peer, uint64_t key, uint64_t bytes, bool bad);

/* --- peers ----------------------------------------------------------------------------------- */

struct client_script {
	struct ask_script asks[ASKS_MAX];
	uint32_t asks_count;
	uint32_t ahead;       /* requests that may be open at a time */
	uint64_t think_ns;    /* between an answer and the next request, at most */
	enum peer_finish finish; /* WRITTEN: with the last request; AFTER_PEER: with its answer */
	uint64_t tunnel; /* bytes, each way */
};

struct peer *http_client_start(struct sock *listener, const struct script *script,
                               const struct client_script *asks);
struct peer *http_origin_new(struct origin *origin);
/* Something is sent to a server, from now on. */
void http_origin_asked(struct conn *conn);

/* http_client.c, for servers: it comes to one; its tunnel carried so much, and was finished. */
void http_client_arrives(const struct ask *ask);
struct conn *http_client_conn(const struct ask *ask);
bool http_client_finished(const struct ask *ask, uint64_t bytes);
/* For the end. */
bool http_client_is_over(const struct peer *peer);
uint32_t http_client_answered(const struct peer *peer);
/* Did it ask for more behind this, before it read that its answer is the last? What comes then is
 * met by a reset, which may take the rest of the answer along. */
bool http_client_asked_on(const struct ask *ask);

/* http_origin.c, for its clients. */
struct peer *origin_peer(struct http_origin *origin);
/* Does a request use its connection, or is it to? */
bool http_origin_is_busy(const struct peer *peer);
uint64_t http_tunnel_bytes(const struct http_origin *origin);
/* Did the server that it came to do anything that keeps answers from coming? */
bool ask_is_unlucky(const struct ask *ask);

/* --- the world ------------------------------------------------------------------------------- */

/* How they are drawn where none is given. */
void http_draw_client(struct client_script *script);
void http_draw_reply(struct reply *reply, const struct ask_script *ask);
/* How fast peers are, and what goes wrong with them. */
void http_draw_script(struct script *script, bool client);
/* From the seed; the listeners and upstreams are there. */
void http_plan_draw(struct plan *plan);
/* A listener of a quiet plan speaks HTTP. */
void http_plan_quiet(struct plan *plan);
void http_open(struct plan *plan);
void http_close(void);
/* Invariants that flow_check() does not know. */
void http_check(struct sim *sim);
void http_checks_at_end(struct sim *sim);
/* Connections that wait for any worker. */
uint32_t http_shared_idle(const struct sim *sim);
struct ask *ask_new(void);

struct http_world {
	struct plan *plan;
	struct list asks;
	uint64_t ids;
	uint32_t client_faults_permille;
	uint32_t reply_faults_permille;
	uint64_t body_max;
	uint64_t limit_ns; /* an answer comes within */
	bool drains;
	struct conf_route routes[2];
	struct conf_target targets[PLAN_LISTENERS_MAX];
};
extern struct http_world http_world;

#endif
