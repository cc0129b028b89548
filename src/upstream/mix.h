/* SPDX-License-Identifier: MIT */
/*
 * mix - hashes and random numbers from 64 bits (the finalizer of splitmix64).
 */
#ifndef UPSTREAM_SRC_MIX_H
#define UPSTREAM_SRC_MIX_H

#include <stdint.h>

/* A one-to-one mapping: every bit of `x` changes about half of the result's. */
static inline uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t mix_two(uint64_t a, uint64_t b)
{
	return mix(a + 0x9e3779b97f4a7c15ull * (b + 1));
}

/* The next of a sequence. */
static inline uint64_t mix_random(uint64_t *seed)
{
	return mix(*seed += 0x9e3779b97f4a7c15ull);
}

/* 0 .. range-1 from 32 random bits. */
static inline uint32_t mix_range(uint32_t bits, uint32_t range)
{
	return (uint32_t)(((uint64_t)bits * range) >> 32);
}

/* Of a name (FNV-1a, mixed). */
static inline uint64_t mix_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	return mix(hash);
}

#endif
