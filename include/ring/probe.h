/* SPDX-License-Identifier: MIT */
/*
 * probe - what this kernel's io_uring can do, found by doing it.
 *
 * Versions lie (backports, disabled features, seccomp), so each newer feature is tried on a socket
 * pair within a millisecond and its effect is looked at.
 */
#ifndef RING_PROBE_H
#define RING_PROBE_H

#include "base/assert.h"

/* FEATURE(name, required, since, "what it is for", "what happens or must be done without it") */
struct ring_features {
#define FEATURE(name, required, since, purpose, without) bool name;
#include "ring/features.def"
#undef FEATURE
};

/* Returns 0, or the negative errno of the first io_uring_setup (nothing could be tried). */
int ring_probe(struct ring_features *features);

struct ring_feature_text {
	const char *name;
	const char *since; /* the first mainline kernel with it */
	const char *purpose;
	const char *without;
	bool required;
	bool found;
};

/* The rows of features.def with what was found; returns their number. rows may be NULL. */
#define RING_FEATURES_MAX 16
unsigned ring_features_table(const struct ring_features *features,
			     struct ring_feature_text rows[RING_FEATURES_MAX]);

#endif
