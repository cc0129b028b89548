/* SPDX-License-Identifier: MIT */
/*
 * region.c - mapping the payload memory.
 */
#include "worker/region.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2u * 1024 * 1024)
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

const char *const region_pages_names[3] = { "huge pages", "transparent huge pages",
					    "ordinary pages" };

static bool transparent_allowed(void)
{
	char text[128] = "";
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

	if (file == NULL)
		return false;
	(void)!fgets(text, sizeof(text), file);
	fclose(file);
	return strstr(text, "[never]") == NULL;
}

static bool map_explicit(struct region *region)
{
	region->base = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	region->pages = REGION_HUGE;
	return region->base != MAP_FAILED;
}

/* Aligned to huge pages, so that transparent ones can be used. */
static bool map_ordinary(struct region *region, bool transparent)
{
	uint8_t *raw = mmap(NULL, region->bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t skip;

	if (raw == MAP_FAILED)
		return false;
	skip = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
	if (skip > 0)
		munmap(raw, skip);
	munmap(raw + skip + region->bytes, HUGE_PAGE - skip);
	region->base = raw + skip;
	region->pages = REGION_ORDINARY;
	if (transparent && transparent_allowed() &&
	    madvise(region->base, region->bytes, MADV_HUGEPAGE) == 0)
		region->pages = REGION_TRANSPARENT;
	return true;
}

uint64_t region_bytes_mapped(uint64_t bytes)
{
	return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

int region_open(struct region *region, uint64_t bytes, uint32_t parts, uint32_t slice_bytes,
		enum conf_huge_pages huge_pages)
{
	assert(parts > 0);
	*region = (struct region){ 0 };
	region->bytes = region_bytes_mapped(bytes);
	region->part_bytes = region->bytes / parts / slice_bytes * slice_bytes;
	if (huge_pages != HUGE_PAGES_OFF && map_explicit(region))
		return 0;
	if (huge_pages == HUGE_PAGES_REQUIRE)
		return -ENOMEM;
	if (!map_ordinary(region, huge_pages != HUGE_PAGES_OFF)) {
		region->base = NULL;
		return -ENOMEM;
	}
	return 0;
}

void region_close(struct region *region)
{
	if (region->base != NULL)
		munmap(region->base, region->bytes);
	region->base = NULL;
}
