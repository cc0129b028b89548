/* SPDX-License-Identifier: MIT */
/*
 * request - the bytes of each HTTP request of a plan, made once, before the run.
 */
#ifndef LOAD_REQUEST_H
#define LOAD_REQUEST_H

#include "plan.h"

/* Render every request of every HTTP target. False with *reason: a field or the body is not
 * usable. */
bool requests_render(struct plan *plan, const char **reason);

#endif
