/* SPDX-License-Identifier: MIT */
/*
 * host - what this machine grants the process: descriptors, memory, huge pages, CPUs, sysctls.
 *
 * Reading only; what is not readable (a container without /proc) reads as unknown.
 */
#ifndef APP_HOST_H
#define APP_HOST_H

#include <stdint.h>

#include "base/assert.h"

#define HOST_UNKNOWN UINT64_MAX

struct host {
	uint64_t descriptors_soft;
	uint64_t descriptors_hard;
	uint64_t memlock_bytes; /* UINT64_MAX: no limit */
	bool memlock_exempt;    /* CAP_IPC_LOCK */
	uint64_t memory_bytes;  /* of the machine or the control group, whichever is smaller */
	uint64_t huge_pages_free;
	uint64_t huge_pages_total;
	uint64_t somaxconn;
	uint64_t port_first;
	uint64_t port_last;
	uint64_t io_uring_disabled;
	bool seccomp; /* a filter is active */
	bool transparent_huge_pages;
	char kernel[64];
	uint32_t kernel_major;
	uint32_t kernel_minor;
	uint32_t cpus_count;
	uint16_t cpus[1024]; /* that the process may use */
};

void host_read(struct host *host);
/* Raise the soft descriptor limit to the hard one; descriptors_soft says what was reached. */
void host_raise_descriptors(struct host *host);

#endif
