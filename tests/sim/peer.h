/* SPDX-License-Identifier: MIT */
/*
 * peer - virtual clients and origin servers, each with a script.
 *
 * A script says how much a peer writes, in which pieces and how fast, when it begins and when it
 * finishes, and what goes wrong with it: a reset, a stall, a loss (it never answers again, and
 * never says so), a close that reads no more.
 *
 * A step of a peer reads a little and writes a little; its next one follows after a pause, or when
 * the connection wakes it.
 */
#ifndef SIM_PEER_H
#define SIM_PEER_H

#include "socket_sim.h"

enum peer_finish {
	FINISH_WRITTEN,    /* as soon as all is written */
	FINISH_AFTER_PEER, /* and the other side has finished */
	FINISH_NEVER,
};

enum peer_fault {
	FAULT_NONE,
	FAULT_RESET,
	FAULT_LOST,
	FAULT_STALL, /* reads and writes nothing for fault_ns */
	FAULT_CLOSE, /* finishes, reads no more, and answers what still comes by a reset */
};

struct script {
	uint64_t total; /* bytes to write; of an echo: no limit */
	bool echo;      /* writes as much as it has read */
	uint64_t start_after; /* bytes to have read before writing */
	uint32_t write_max;   /* per step */
	uint32_t read_max;
	uint64_t pause_ns; /* between steps, at most */
	uint32_t capacity; /* of each of its pipes */
	enum peer_finish finish;
	enum peer_fault fault;
	uint64_t fault_at; /* when it has read and written so much together */
	uint64_t fault_ns;
};

struct peer;

/* One that speaks HTTP: its script says only how fast it is and what goes wrong with it. What it
 * writes stands in conn->in.kept. */
struct mind {
	void (*act)(struct peer *peer); /* first thing of every step */
	void (*read)(struct peer *peer, const uint8_t *bytes, uint64_t count);
	void (*ended)(struct peer *peer, bool reset);
	/* Everything that is there is written: what now? */
	bool (*finish_is_due)(const struct peer *peer);
};

struct peer {
	struct list node; /* in world->peers */
	const struct mind *mind; /* NULL: it has a script and no more */
	struct conn *conn;
	struct sock *listener; /* of a client */
	struct script script;
	bool scheduled;
	bool started;
	bool gone;      /* takes no more steps */
	bool stalled;
	bool faulted;   /* the fault has happened */
	bool saw_end;
	bool saw_reset;
};

/* What an origin is like for a while. */
enum mood {
	MOOD_GOOD,
	MOOD_REFUSES,
	MOOD_HANGS, /* connects to it come to nothing */
	MOOD_DIES,  /* refuses, and ends what was open with a reset */
	/* These only a check with health = http finds out; sessions are served. */
	MOOD_MUTE,  /* never answers a check */
	MOOD_WRONG, /* answers one with a status that is not wanted, with rubbish, or with an end */
	MOODS,
};

struct origin {
	uint16_t number; /* its port; the first character of its name if it is a unix socket */
	bool tcp;
	const struct conf_upstream *upstream;
	const struct conf_server *conf;
	enum mood mood;
	uint64_t mood_ns; /* since when */
	uint32_t flaps;   /* changes of its mood that are still to come */
	uint64_t flap_ns; /* between two, at most */
	uint32_t head_bytes; /* of such an answer: filled up with fields to so many */
	/* how a connect to it ends, in 1/1,000; else it succeeds */
	uint32_t refuses;
	uint32_t is_silent; /* until the deadline */
	uint32_t unreachable;
	uint64_t answer_ns; /* at most */
	uint64_t connect_ns; /* what connects of sessions take; 0: drawn */
	const struct script *script; /* NULL: drawn */
	uint32_t connects; /* made to it */
	/* HTTP: to the requests that come to it, in order, the last of them again and again; NULL:
	 * drawn */
	const struct reply *replies;
	uint32_t replies_count;
	uint32_t asked;
};

/* How scripts are drawn where none is given. */
extern void (*script_draw)(struct script *script, bool client);

struct origin *origin_find(uint16_t number);
void origins_set(struct origin *origins, uint32_t count);
void origin_turn(struct origin *origin, enum mood mood);
/* Would a check that begins now, and meets nothing else, fail? */
bool origin_is_down(const struct origin *origin);
/* 0 or a negative errno, to be reported after after_ns. */
int origin_answer(uint16_t number, bool of_check, uint64_t *after_ns);
struct conn *origin_accept(uint16_t number, bool of_check);
/* check_peer.c: the other end of a health check. */
struct peer *check_peer_new(struct origin *origin);

/* A client that connects to the listening socket; script NULL: drawn. */
struct peer *client_start(struct sock *listener, const struct script *script);
/* For http_client.c, http_origin.c: `bytes` of a structure that begins with a peer. */
struct peer *peer_new(size_t bytes, const struct mind *mind, const struct script *script,
                      bool client, bool tcp);
void client_offer(struct peer *peer, struct sock *listener);
/* Another step, in a while. */
void peer_poke_after(struct peer *peer, uint64_t after_ns);
/* Finishes, reads no more, and answers what still comes by a reset. */
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer);
/* The client's first step, or the server's once it is paired. */
void peer_start(struct peer *peer);
void peer_poke(struct peer *peer);

/* Both ways carried all there was, and both ends were seen. */
bool peer_is_complete(const struct peer *peer);
/* Something was done to the peer itself that keeps its session from completing. */
static inline bool peer_is_faulty(const struct peer *peer)
{
	return peer->script.fault != FAULT_NONE || peer->conn->broken;
}

#endif
