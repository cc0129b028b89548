/* SPDX-License-Identifier: MIT */
/*
 * What cannot fit the host is refused, and the message names the number to change.
 */
#include "app/fit.h"

#include <stdlib.h>

#include "unit.h"

struct bench {
	struct conf conf;
	struct conf_listener listener;
	struct conf_upstream upstream;
	struct addr bind;
	struct host host;
	struct fit fit;
	char *text;
	size_t len;
};

static char path[] = "p.ini";

static void bench_init(struct bench *bench)
{
	*bench = (struct bench){ 0 };
	bench->listener.binds = &bench->bind;
	bench->listener.binds_count = 1;
	bench->conf = (struct conf){ .path = path,
				     .listeners = &bench->listener,
				     .listeners_count = 1,
				     .upstreams = &bench->upstream };
	bench->conf.proxy = (struct conf_proxy){
		.max_sessions = 1000,
		.buffer_memory = 64 << 20,
		.buffer_size = 16384,
		.session_window = 262144,
		.zero_copy_send = ZERO_COPY_AUTO,
	};
	bench->host = (struct host){ .descriptors_hard = 100000,
				     .memlock_bytes = HOST_UNKNOWN,
				     .memory_bytes = 8ull << 30,
				     .cpus_count = 2,
				     .cpus = { 0, 3 } };
}

static bool check(struct bench *bench)
{
	FILE *out = open_memstream(&bench->text, &bench->len);
	bool fits = fit_check(&bench->fit, &bench->conf, &bench->host, out);

	fclose(out);
	return fits;
}

/* It does not fit, and the message has each of the words (separated by |). */
static void check_refused(struct bench *bench, const char *words)
{
	char copy[256];
	char *word, *rest = copy;

	CHECK(!check(bench));
	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, "|")) != NULL) {
		unit_row(word);
		CHECK(strstr(bench->text, word) != NULL);
	}
	unit_row(NULL);
	free(bench->text);
}

TEST(the_sum_is_the_sum_of_its_parts)
{
	struct bench bench;

	bench_init(&bench);
	CHECK(check(&bench));
	CHECK_UINT(bench.fit.workers, 2);
	CHECK_INT(bench.fit.cpus[1], 3);
	CHECK_UINT(bench.fit.total_bytes,
		   bench.fit.region_bytes + bench.fit.rings_bytes + bench.fit.sessions_bytes);
	CHECK_UINT(bench.fit.max_sessions, 1000);
	CHECK(!bench.fit.max_sessions_lowered);
	free(bench.text);
}

TEST(a_default_of_max_sessions_is_lowered_to_the_descriptors)
{
	struct bench bench;

	bench_init(&bench);
	bench.host.descriptors_hard = 1024;
	CHECK(check(&bench));
	CHECK(bench.fit.max_sessions_lowered);
	CHECK(bench.fit.max_sessions < 512 && bench.fit.max_sessions > 400);
	CHECK(bench.fit.descriptors <= 1024);
	free(bench.text);
}

TEST(a_max_sessions_that_was_asked_for_is_refused)
{
	struct bench bench;

	bench_init(&bench);
	bench.conf.proxy.max_sessions_is_set = true;
	bench.host.descriptors_hard = 1024;
	check_refused(&bench, "p.ini|max_sessions = 1000|1024|LimitNOFILE");
}

TEST(more_than_the_machine_has_is_refused)
{
	struct bench bench;

	bench_init(&bench);
	bench.host.memory_bytes = 32 << 20;
	check_refused(&bench, "buffer_memory|32 MB");
}

TEST(a_region_too_small_for_its_workers_is_refused)
{
	struct bench bench;

	bench_init(&bench);
	bench.conf.proxy.workers = 200;
	check_refused(&bench, "buffer_memory|200 workers|100M");
}

TEST(required_huge_pages_that_are_missing_are_refused)
{
	struct bench bench;

	bench_init(&bench);
	bench.conf.proxy.huge_pages = HUGE_PAGES_REQUIRE;
	bench.host.huge_pages_total = 20;
	bench.host.huge_pages_free = 10;
	check_refused(&bench, "vm.nr_hugepages|at least 42");
}

TEST(locked_memory_over_the_limit_is_refused_unless_exempt)
{
	struct bench bench;

	bench_init(&bench);
	bench.host.memlock_bytes = 8 << 20;
	check_refused(&bench, "RLIMIT_MEMLOCK|zero_copy_send = off");
	bench.host.memlock_exempt = true;
	CHECK(check(&bench));
	free(bench.text);
}

TEST(a_cpu_that_may_not_be_used_is_refused)
{
	uint16_t cpus[] = { 0, 2 };
	struct bench bench;

	bench_init(&bench);
	bench.conf.proxy.cpu_affinity = AFFINITY_LIST;
	bench.conf.proxy.cpus = cpus;
	bench.conf.proxy.cpus_count = 2;
	check_refused(&bench, "CPU 2");
}

TEST(everything_wrong_is_said_at_once)
{
	struct bench bench;

	bench_init(&bench);
	bench.conf.proxy.max_sessions_is_set = true;
	bench.host.descriptors_hard = 100;
	bench.host.memory_bytes = 1 << 20;
	check_refused(&bench, "max_sessions|buffer_memory");
}

static const struct unit_test tests[] = {
	ROW(the_sum_is_the_sum_of_its_parts),
	ROW(a_default_of_max_sessions_is_lowered_to_the_descriptors),
	ROW(a_max_sessions_that_was_asked_for_is_refused),
	ROW(more_than_the_machine_has_is_refused),
	ROW(a_region_too_small_for_its_workers_is_refused),
	ROW(required_huge_pages_that_are_missing_are_refused),
	ROW(locked_memory_over_the_limit_is_refused_unless_exempt),
	ROW(a_cpu_that_may_not_be_used_is_refused),
	ROW(everything_wrong_is_said_at_once),
};
UNIT_MAIN(tests)
