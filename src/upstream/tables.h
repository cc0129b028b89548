/* SPDX-License-Identifier: MIT */
/*
 * tables - the table of a tier for a balancing by hash: ring_hash or maglev.
 *
 * Where all servers have addresses of their own a tier has one table, made at start, which all
 * workers read. Where some are places of names, the servers of a tier change:
 *
 *      weights, ids --table_build()--> the memory that is not in use
 *                                            |  table_swap(), under the upstream's lock
 *                                            v
 *                     the memory in use --table_copy(), under the lock--> each worker's own
 *
 * So no reader ever waits for a table that is being made, and none is changed under a reader.
 */
#ifndef UPSTREAM_SRC_TABLES_H
#define UPSTREAM_SRC_TABLES_H

#include "arena.h"
#include "conf/conf.h"
#include "maglev.h"
#include "ring_hash.h"

struct table {
	bool is_there; /* some weight is above 0, and a hash is wanted */
	bool is_maglev;
	struct ring_hash ring;
	struct maglev maglev;
};

struct table_maker {
	enum conf_balance balance;
	uint32_t servers;  /* of the tier */
	uint32_t *weights; /* what table_build() reads */
	uint64_t *ids;
	struct maglev_turn *turns;
	void *memory[2];
	size_t bytes; /* of one of the two */
	uint32_t in_use;
	struct table table;
};

static inline bool table_is_wanted(enum conf_balance balance)
{
	return balance == BALANCE_SOURCE_HASH || balance == BALANCE_MAGLEV;
}

/* First weights and ids, to be filled in; then the memory of a table of just these, or of any two
 * whose weights have a sum of up to weights_sum_max. */
void table_reserve_scratch(struct table_maker *maker, enum conf_balance balance, uint32_t servers,
			   struct arena *arena);
void table_reserve(struct table_maker *maker, struct arena *arena);
void table_reserve_two(struct table_maker *maker, uint64_t weights_sum_max, struct arena *arena);

/* Make the table of weights and ids where none is read. */
void table_build(struct table_maker *maker, struct table *built);
/* It is the one to be read. */
void table_swap(struct table_maker *maker, const struct table *built);
/* `memory`: maker->bytes of them, the reader's own. */
void table_copy(struct table *copy, void *memory, const struct table_maker *maker);

/* The server of a key, whose bits are well mixed. */
static inline uint32_t table_find(const struct table *table, uint64_t hash)
{
	return table->is_maglev ? maglev_find(&table->maglev, hash) :
				  ring_hash_find(&table->ring, hash);
}

#endif
