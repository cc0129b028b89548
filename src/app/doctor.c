/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - findings about the host, each with its remedy.
 *
 * Start uses the same functions with the fatal findings only, so both say the same in the same
 * words.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/units.h"
#include "fit.h"
#include "ring/ring.h"

#define KERNEL_MAJOR_MIN 6
#define KERNEL_MINOR_MIN 12
#define PORTS_ADVISED 20000

struct doctor {
	FILE *out;
	bool fatal_only;
	bool can_run;
};

static void find(struct doctor *doctor, enum finding_grade grade, const char *remedy,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void find(struct doctor *doctor, enum finding_grade grade, const char *remedy,
		 const char *format, ...)
{
	static const char *const marks[] = { "ok     ", "advice ", "FATAL  " };
	va_list arguments;

	if (grade == FINDING_FATAL)
		doctor->can_run = false;
	if (doctor->fatal_only && grade != FINDING_FATAL)
		return;
	fprintf(doctor->out, "%s", doctor->fatal_only ? "" : marks[grade]);
	va_start(arguments, format);
	vfprintf(doctor->out, format, arguments);
	va_end(arguments);
	fprintf(doctor->out, "\n");
	if (remedy != NULL && grade != FINDING_OK)
		fprintf(doctor->out, "%s%s\n", doctor->fatal_only ? "  " : "         ", remedy);
}

static void look_at_kernel(struct doctor *doctor, const struct host *host)
{
	bool old =
		host->kernel_major < KERNEL_MAJOR_MIN ||
		(host->kernel_major == KERNEL_MAJOR_MIN && host->kernel_minor < KERNEL_MINOR_MIN);

	find(doctor, old ? FINDING_FATAL : FINDING_OK,
	     "sluice needs Linux 6.12 or later: install a newer kernel (Debian 13 has 6.12)",
	     "kernel %s", host->kernel);
}

/* Whether io_uring is there at all; what is tried next needs it. */
static bool look_at_rings(struct doctor *doctor, const struct host *host,
			  struct ring_features *features)
{
	int result = ring_probe(features);

	if (host->io_uring_disabled != HOST_UNKNOWN)
		find(doctor,
		     host->io_uring_disabled == 0 || result == 0 ? FINDING_OK : FINDING_FATAL,
		     "set the sysctl kernel.io_uring_disabled to 0, or to 1 and make the user a "
		     "member of kernel.io_uring_group",
		     "kernel.io_uring_disabled = %llu",
		     (unsigned long long)host->io_uring_disabled);
	find(doctor, !host->seccomp || result == 0 ? FINDING_OK : FINDING_FATAL,
	     "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile",
	     "seccomp filter: %s", host->seccomp ? "active" : "none");
	if (result < 0)
		find(doctor, FINDING_FATAL, ring_open_remedy(result),
		     "io_uring_setup fails with error %d", -result);
	else
		find(doctor, FINDING_OK, NULL, "io_uring_setup works");
	return result == 0;
}

static void look_at_features(struct doctor *doctor, const struct ring_features *features)
{
	struct ring_feature_text rows[RING_FEATURES_MAX];
	unsigned count = ring_features_table(features, rows);
	unsigned i;

	for (i = 0; i < count; i++) {
		enum finding_grade missing = rows[i].required ? FINDING_FATAL : FINDING_ADVICE;

		find(doctor, rows[i].found ? FINDING_OK : missing, rows[i].without,
		     "io_uring feature %s (%s; Linux %s): %s", rows[i].name, rows[i].purpose,
		     rows[i].since, rows[i].found ? "works" : "does not work");
	}
}

static void look_at_descriptors(struct doctor *doctor, const struct host *host)
{
	find(doctor, host->descriptors_hard < 65536 ? FINDING_ADVICE : FINDING_OK,
	     "a session needs two descriptors: raise the hard limit for many sessions (ulimit -Hn, "
	     "LimitNOFILE=1048576)",
	     "descriptors: soft limit %llu, hard limit %llu (start raises soft to hard)",
	     (unsigned long long)host->descriptors_soft,
	     (unsigned long long)host->descriptors_hard);
}

static void look_at_memory(struct doctor *doctor, const struct host *host)
{
	char text[UNITS_TEXT_MAX];
	bool limited = !host->memlock_exempt && host->memlock_bytes != HOST_UNKNOWN;

	find(doctor, limited && host->memlock_bytes < 128u << 20 ? FINDING_ADVICE : FINDING_OK,
	     "rings and the buffer region are locked memory: raise RLIMIT_MEMLOCK "
	     "(LimitMEMLOCK=infinity), start as root with user =, or set zero_copy_send = off",
	     "locked memory: %s",
	     limited ? units_format_bytes(text, host->memlock_bytes) : "no limit");
	find(doctor,
	     host->huge_pages_free == 0 && !host->transparent_huge_pages ? FINDING_ADVICE :
									   FINDING_OK,
	     "set the sysctl vm.nr_hugepages to buffer_memory / 2M, or allow transparent huge "
	     "pages (madvise)",
	     "huge pages: %llu free of %llu; transparent huge pages %s",
	     (unsigned long long)host->huge_pages_free, (unsigned long long)host->huge_pages_total,
	     host->transparent_huge_pages ? "allowed" : "off");
}

static void look_at_network(struct doctor *doctor, const struct host *host)
{
	uint64_t ports = 0;

	if (host->somaxconn != HOST_UNKNOWN)
		find(doctor, host->somaxconn < 4096 ? FINDING_ADVICE : FINDING_OK,
		     "a listener's backlog is cut to it: set the sysctl net.core.somaxconn to 4096 "
		     "or more",
		     "net.core.somaxconn = %llu", (unsigned long long)host->somaxconn);
	if (host->port_first == HOST_UNKNOWN || host->port_last < host->port_first)
		return;
	ports = host->port_last - host->port_first + 1;
	find(doctor, ports < PORTS_ADVISED ? FINDING_ADVICE : FINDING_OK,
	     "each session to one server needs a local port: widen "
	     "net.ipv4.ip_local_port_range (1024 65535)",
	     "local ports: %llu to %llu, %llu sessions to one server at most",
	     (unsigned long long)host->port_first, (unsigned long long)host->port_last,
	     (unsigned long long)ports);
}

static void look_at_fit(struct doctor *doctor, const struct conf *conf, const struct host *host)
{
	struct fit fit;

	if (!fit_check(&fit, conf, host, doctor->out)) {
		find(doctor, FINDING_FATAL, "see the lines above", "%s does not fit this host",
		     conf->path);
		return;
	}
	find(doctor, fit.max_sessions_lowered ? FINDING_ADVICE : FINDING_OK,
	     "raise the hard descriptor limit, or set max_sessions yourself",
	     "%s fits: %u workers, %u sessions%s", conf->path, fit.workers, fit.max_sessions,
	     fit.max_sessions_lowered ? " (lowered to what descriptors allow)" : "");
}

bool doctor_can_run(const struct host *host, struct ring_features *features, FILE *out)
{
	struct doctor doctor = { .out = out, .fatal_only = true, .can_run = true };

	look_at_kernel(&doctor, host);
	if (look_at_rings(&doctor, host, features))
		look_at_features(&doctor, features);
	return doctor.can_run;
}

bool doctor_report(const struct conf *conf, FILE *out)
{
	struct doctor doctor = { .out = out, .can_run = true };
	struct ring_features features;
	struct host host;

	host_read(&host);
	look_at_kernel(&doctor, &host);
	if (look_at_rings(&doctor, &host, &features))
		look_at_features(&doctor, &features);
	look_at_descriptors(&doctor, &host);
	look_at_memory(&doctor, &host);
	look_at_network(&doctor, &host);
	if (conf != NULL)
		look_at_fit(&doctor, conf, &host);
	fprintf(out, "%s\n",
		doctor.can_run ? "sluice can run on this host." :
				 "sluice cannot run on this host.");
	return doctor.can_run;
}
