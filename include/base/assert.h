/* SPDX-License-Identifier: MIT */
/*
 * assert - assertions that stay on in release builds.
 *
 * An assertion is for "we are wrong", never for "the world misbehaves": see src/README.md.
 * The C library's own assert is used; the process's SIGABRT handler adds the state dump.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#ifdef NDEBUG
#error "sluice keeps its assertions in release builds: do not define NDEBUG"
#endif

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

/* A branch that cannot be taken. */
#define unreachable() assert(!"unreachable")

/* Expensive checks, on in builds with -Dchecks=full. */
#ifdef SLUICE_CHECKS_FULL
#define CHECKS_FULL true
#else
#define CHECKS_FULL false
#endif

/* The struct that embeds `member`, from the member's address. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
