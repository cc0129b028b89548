/* SPDX-License-Identifier: MIT */
/*
 * region - the payload memory of the process: one mapping, split evenly among the workers.
 *
 *   1. explicit huge pages (MAP_HUGETLB), when the system has reserved enough
 *   2. transparent huge pages (madvise)
 *   3. ordinary pages
 */
#ifndef WORKER_REGION_H
#define WORKER_REGION_H

#include <stdint.h>

#include "conf/conf.h"

enum region_pages { REGION_HUGE, REGION_TRANSPARENT, REGION_ORDINARY };

extern const char *const region_pages_names[3];

struct region {
	uint8_t *base;
	uint64_t bytes;      /* mapped: a multiple of 2 MB */
	uint64_t part_bytes; /* of one worker: a multiple of the slice size */
	enum region_pages pages;
};

/* What asking for so many bytes maps: whole huge pages. */
uint64_t region_bytes_mapped(uint64_t bytes);
/* Returns 0 or a negative errno (-ENOMEM also when huge pages are required and missing). */
int region_open(struct region *region, uint64_t bytes, uint32_t parts, uint32_t slice_bytes,
		enum conf_huge_pages huge_pages);
void region_close(struct region *region);

#endif
