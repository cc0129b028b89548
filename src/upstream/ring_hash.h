/* SPDX-License-Identifier: MIT */
/*
 * ring_hash - a key goes to the next point of a ring.
 *
 * Each server has RING_POINTS points per weight, at places that only its name decides. A key
 * belongs to the first point at or after it. So a server that is added to the file takes keys from
 * all others and moves no other key, whatever its place in the file.
 *
 * When the sum of weights exceeds RING_POINTS_MAX / RING_POINTS, and at each doubling from there,
 * every server has half as many points: the ring stays small, and such a step moves more keys.
 *
 * Points are sorted, and `starts` says for each value of a point's upper bits where those begin: a
 * look-up is one step into `starts` and one or two along the points.
 */
#ifndef UPSTREAM_SRC_RING_HASH_H
#define UPSTREAM_SRC_RING_HASH_H

#include <stddef.h>
#include <stdint.h>

#define RING_POINTS 1024u
#define RING_POINTS_MAX (1u << 18)

struct ring_hash {
	uint32_t count;
	uint32_t shift;   /* of a hash, to its index in starts */
	uint64_t *points; /* 48 bits of place, 16 of server */
	uint32_t *starts; /* and one more, for the end */
};

/* Points per weight, for this sum of weights (at most RING_POINTS_MAX). */
uint32_t ring_hash_points(uint64_t weights_sum);

/* Bytes of memory, aligned as for malloc(), that ring_hash_init() wants. */
size_t ring_hash_size(uint64_t weights_sum);
/* The most that it wants for any sum of weights up to this one. */
size_t ring_hash_size_max(uint64_t weights_sum);
/* What a ring has of it, from ring->points on. */
size_t ring_hash_bytes(const struct ring_hash *ring);

/* `ids`: a hash of each server's name. At least one weight is above 0. O(points) */
void ring_hash_init(struct ring_hash *ring, const uint32_t *weights, const uint64_t *ids,
		    uint32_t servers, void *memory);

/* The server of a key, whose bits are well mixed. */
uint32_t ring_hash_find(const struct ring_hash *ring, uint64_t hash);

#endif
