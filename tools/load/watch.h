/* SPDX-License-Identifier: MIT */
/*
 * watch - what other processes cost meanwhile, from /proc: nanoseconds on the CPU (schedstat of
 * every thread), resident memory, descriptors, context switches.
 */
#ifndef LOAD_WATCH_H
#define LOAD_WATCH_H

#include <stdint.h>

#include "base/assert.h"

struct watch_sample {
	uint64_t cpu_ns;
	uint64_t rss_bytes;
	uint64_t fds;
	uint64_t switches;
	bool alive;
};

struct watch_sample watch_take(int pid);

#endif
