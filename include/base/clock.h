/* SPDX-License-Identifier: MIT */
/*
 * clock - monotonic time as unsigned 64-bit nanoseconds or milliseconds since an arbitrary start.
 *
 * The data path never calls these: it reads the time that ring/ took once per turn, so that a
 * simulated ring can supply a time of its own.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define MS_PER_S 1000ull

static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
