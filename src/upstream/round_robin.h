/* SPDX-License-Identifier: MIT */
/*
 * round_robin - smooth weighted round robin in O(log n).
 *
 * The rule: at each choice every server's credit grows by its weight, the largest credit is chosen
 * (the first among equals) and pays back the sum of all weights. With weights 5, 1, 1 the choices
 * are a a b a c a a. The sum of all credits never changes.
 *
 * Between its choices a credit is a straight line in time, time being the number of choices:
 * credit = base + weight * now. So the largest of them is kept in a tournament of lines:
 *
 *                     winner                 a node knows which line of its two is above the other,
 *                   /        \               and how long that stays so without a choice: `until`,
 *               winner      winner           the least of its own and those of the nodes below
 *               /    \      /    \
 *              a      b    c      d
 *
 * A choice bends one line, so the nodes above it are played again; and so are those whose time has
 * passed, which are found from the top by their `until`. With equal weights the lines are parallel
 * and no time ever passes. The result is the rule's, choice by choice.
 *
 * A server that is full leaves with round_robin_remove() and returns with round_robin_insert(), and
 * keeps its credit meanwhile.
 */
#ifndef UPSTREAM_SRC_ROUND_ROBIN_H
#define UPSTREAM_SRC_ROUND_ROBIN_H

#include <stddef.h>
#include <stdint.h>

#define ROUND_ROBIN_NONE UINT16_MAX

struct round_robin {
	uint32_t leaves; /* a power of two */
	uint32_t count;  /* servers that take part: weight above 0 */
	int64_t now;     /* the next choice is made at this time */
	int64_t weights_sum;
	int64_t *base;    /* of a server that takes no part: its credit */
	uint32_t *weight; /* 0: takes no part */
	uint16_t
		*winners; /* by node: 1 is the top, node i is above 2i and 2i+1, leaves come last */
	int64_t *until;   /* by node */
};

/* Bytes of memory, aligned as for malloc(), that round_robin_init() wants for so many servers. */
size_t round_robin_size(uint32_t servers);
void round_robin_init(struct round_robin *rr, uint32_t servers, void *memory);

/* Give all servers their weights, up to 2^20 each. One that takes part anew has the mean of the
 * others' credits. O(n) */
void round_robin_set(struct round_robin *rr, const uint32_t *weights, uint32_t servers);

/* The server whose turn it is, other than `avoid`; ROUND_ROBIN_NONE: nobody else takes part. */
uint32_t round_robin_first(struct round_robin *rr, uint32_t avoid);
/* It had its turn. */
void round_robin_take(struct round_robin *rr, uint32_t server);

void round_robin_remove(struct round_robin *rr, uint32_t server);
void round_robin_insert(struct round_robin *rr, uint32_t server, uint32_t weight);

#endif
