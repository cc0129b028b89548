/* SPDX-License-Identifier: MIT */
/*
 * origin - one worker of the test origin: its connections, and the services that they speak.
 *
 *      bytes --> [ stash ] --> service->take() --> [ outbox ] --> send
 *
 *   stash    what the service did not take yet: half a head, or requests behind one whose answer
 *            waits. Empty on almost every connection almost always, and then it owns no memory.
 *   outbox   the vector of the answers in hand and the text of their heads. Held only while
 *            something is to be sent; payload is never copied, it is a slice of the pattern.
 *
 * Flow control: receives are armed with a credit and not armed again while something is stashed, so
 * that a client that only sends costs at most ORIGIN_CREDIT and one buffer.
 *
 * A connection ends by origin_settle() when its service said so (`last`), or when the client
 * finished and all is answered.
 */
#ifndef LOAD_ORIGIN_H
#define LOAD_ORIGIN_H

#include "answer.h"
#include "base/counter.h"
#include "body_reader.h"
#include "frame.h"
#include "head_reader.h"
#include "net/addr.h"
#include "peer.h"

#define ORIGIN_CREDIT 65536u
#define ORIGIN_LISTENERS_MAX 16

struct origin_stats {
#define STAT(name, text) struct counter name;
#define GAUGE(name, text) struct counter name;
#include "origin_stats.def"
#undef STAT
#undef GAUGE
};

enum service_id { SERVICE_HTTP, SERVICE_ECHO, SERVICE_SINK, SERVICE_SOURCE, SERVICE_RR };
#define SERVICE_COUNT 5

struct connection;

struct service {
	const char *name;
	/* Take what can be taken of the bytes; returns how many. The rest is shown again. */
	uint32_t (*take)(struct connection *connection, uint8_t *bytes, uint32_t count);
	/* Go on without new bytes: the outbox has room again, or a delay is over. May be NULL. */
	void (*resume)(struct connection *connection);
	bool starts_itself; /* resume() is called at the start */
	bool one_by_one;    /* one receive, one send: the buffer is sent as it is */
};

extern const struct service origin_services[SERVICE_COUNT];
extern const char *const origin_service_names[SERVICE_COUNT + 1];

#define OUTBOX_TEXT 7000
#define OUTBOX_PARTS RING_VECTOR_MAX

struct outbox {
	struct outbox *next; /* in the free list */
	uint32_t parts_count;
	uint32_t parts_sent;    /* are home */
	uint32_t parts_sending; /* up to here, in the send that is away */
	uint32_t text_used;
	uint64_t sending_bytes;
	struct iovec parts[OUTBOX_PARTS];
	char text[OUTBOX_TEXT];
};

enum http_state {
	HTTP_STATE_HEAD,   /* waits for a request */
	HTTP_STATE_BODY,   /* takes its body */
	HTTP_STATE_WAIT,   /* the delay runs */
	HTTP_STATE_ANSWER, /* composes the body, as the outbox has room */
	HTTP_STATE_DRAIN,  /* an echo's memory is with the kernel */
};

struct http_exchange {
	enum http_state state;
	bool head_only;
	struct body_reader body;
	struct answer answer;
	uint64_t left;     /* of the answer's body */
	uint64_t position; /* in it */
	uint8_t *echo;
	uint64_t echo_bytes;
	uint64_t echo_room;
};

struct connection {
	struct peer peer;
	struct list link; /* in origin->connections */
	struct origin *origin;
	const struct service *service;
	struct alarm alarm; /* a delay, or the end of lingering */
	struct outbox *outbox;
	uint8_t *stash;
	uint32_t stash_bytes;
	uint32_t stash_room;
	bool blocked;   /* the service takes no more for now */
	bool last;      /* close when the outbox is sent */
	bool reset;     /* .. by a reset */
	bool lingering; /* our side is finished; waits for the client's */
	bool keeps;     /* a receive buffer */
	uint16_t kept_id;
	struct frame_reader frames;
	uint64_t frames_seen;
	bool frames_lost;
	struct http_exchange http;
};

struct origin_listener {
	struct op op;
	struct alarm retry;
	struct origin *origin;
	const struct service *service;
	int fd;
};

struct origin {
	struct engine engine;
	struct list connections;
	struct list spare; /* connection objects */
	struct outbox *outboxes; /* free ones */
	struct origin_listener listeners[ORIGIN_LISTENERS_MAX];
	uint32_t listeners_count;
	const struct answer_policy *policy;
	struct draw draw;
	struct head_reader heads;
	struct origin_stats stats;
	uint64_t date_second;
	char date[40]; /* "Date: ..\r\n" */
	atomic_bool stop;
};

/* Run until origin->stop; 0 or a negative errno. */
int origin_run(struct origin *origin);

/* --- for the services ------------------------------------------------------------------------ */

/* Room for one more head of `text` bytes and `parts` parts? Takes an outbox when there is none. */
bool origin_room(struct connection *connection, uint32_t text, uint32_t parts);
/* Append what is copied (heads) or borrowed until it is sent (payload). */
void origin_put_text(struct connection *connection, const char *text, uint32_t count);
void origin_put_word(struct connection *connection, const char *word);
void origin_put_number(struct connection *connection, uint64_t number);
void origin_put_part(struct connection *connection, const void *bytes, uint64_t count);

const char *origin_date(struct origin *origin);

uint32_t http_take(struct connection *connection, uint8_t *bytes, uint32_t count);
void http_resume(struct connection *connection);
/* The delay is over. */
void http_wake(struct connection *connection);
void http_release(struct connection *connection);

uint32_t echo_take(struct connection *connection, uint8_t *bytes, uint32_t count);
uint32_t sink_take(struct connection *connection, uint8_t *bytes, uint32_t count);
uint32_t rr_take(struct connection *connection, uint8_t *bytes, uint32_t count);
uint32_t source_take(struct connection *connection, uint8_t *bytes, uint32_t count);
void source_resume(struct connection *connection);

#endif
