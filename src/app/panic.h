/* SPDX-License-Identifier: MIT */
/*
 * panic - when an assertion fails: what the proxy was doing, on standard error, then the core dump.
 */
#ifndef APP_PANIC_H
#define APP_PANIC_H

#include <stdint.h>

#include "flow/flow.h"

/* The flows to dump; the array is borrowed. NULL, 0: none. The only state of the process that is
 * not passed down, because a signal handler has no argument. */
void panic_watch(struct flow *const *flows, uint32_t count);

#endif
