/* SPDX-License-Identifier: MIT */
/*
 * host.c - reading limits from the kernel and /proc.
 */
#include "host.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t len;

	text[0] = '\0';
	if (file == NULL)
		return false;
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	fclose(file);
	return len > 0;
}

static uint64_t read_number(const char *path)
{
	char text[64];
	char *end;
	uint64_t number;

	if (!read_text(path, text, sizeof(text)))
		return HOST_UNKNOWN;
	errno = 0;
	number = strtoull(text, &end, 10);
	return end == text || errno != 0 ? HOST_UNKNOWN : number;
}

/* The number behind "Name:" in a /proc file of such lines. */
static uint64_t read_field(const char *path, const char *name)
{
	char text[8192];
	const char *at;

	if (!read_text(path, text, sizeof(text)))
		return HOST_UNKNOWN;
	at = strstr(text, name);
	return at == NULL ? HOST_UNKNOWN : strtoull(at + strlen(name), NULL, 10);
}

static uint64_t memory_limit(void)
{
	uint64_t machine = read_field("/proc/meminfo", "MemTotal:");
	uint64_t group = read_number("/sys/fs/cgroup/memory.max"); /* "max": unknown */

	if (machine != HOST_UNKNOWN)
		machine *= 1024;
	return group < machine ? group : machine;
}

static bool has_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return (data[0].effective & (1u << CAP_IPC_LOCK)) != 0;
}

static void read_limits(struct host *host)
{
	struct rlimit limit;

	host->descriptors_soft = host->descriptors_hard = HOST_UNKNOWN;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		host->descriptors_soft = limit.rlim_cur;
		host->descriptors_hard = limit.rlim_max;
	}
	host->memlock_bytes = HOST_UNKNOWN;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		host->memlock_bytes = limit.rlim_cur;
	host->memlock_exempt = has_ipc_lock();
}

static void read_cpus(struct host *host)
{
	cpu_set_t set;
	uint32_t cpu;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		CPU_SET(0, &set);
	for (cpu = 0; cpu < ARRAY_COUNT(host->cpus); cpu++)
		if (CPU_ISSET(cpu, &set))
			host->cpus[host->cpus_count++] = (uint16_t)cpu;
}

static void read_kernel(struct host *host)
{
	struct utsname name;
	char *end;

	if (uname(&name) < 0)
		return;
	snprintf(host->kernel, sizeof(host->kernel), "%.60s", name.release);
	host->kernel_major = (uint32_t)strtoul(name.release, &end, 10);
	if (*end == '.')
		host->kernel_minor = (uint32_t)strtoul(end + 1, NULL, 10);
}

void host_read(struct host *host)
{
	char text[256];

	memset(host, 0, sizeof(*host));
	read_limits(host);
	read_cpus(host);
	read_kernel(host);
	host->memory_bytes = memory_limit();
	host->huge_pages_free = read_field("/proc/meminfo", "HugePages_Free:");
	host->huge_pages_total = read_field("/proc/meminfo", "HugePages_Total:");
	host->somaxconn = read_number("/proc/sys/net/core/somaxconn");
	host->io_uring_disabled = read_number("/proc/sys/kernel/io_uring_disabled");
	host->seccomp = read_field("/proc/self/status", "Seccomp:") == 2;
	host->transparent_huge_pages =
		read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) &&
		strstr(text, "[never]") == NULL;
	host->port_first = host->port_last = HOST_UNKNOWN;
	if (read_text("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text))) {
		char *end;

		host->port_first = strtoull(text, &end, 10);
		host->port_last = strtoull(end, NULL, 10);
	}
}

void host_raise_descriptors(struct host *host)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		host->descriptors_soft = limit.rlim_max;
}
