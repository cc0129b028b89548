/* SPDX-License-Identifier: MIT */
/*
 * test_names_told.c - the names of a whole file, from a name server to the log.
 */
#include <sys/stat.h>

#include "app/names.h"
#include "conf_helpers.h"
#include "dns_server.h"
#include "unit.h"

#define WAIT_MS 5000u
#define MANY (RESOLVER_RECORDS_MAX + 50u)

static struct dns_server server;
static struct conf *conf;
static struct log names_log;
static struct upstreams_shared *shared;
static struct names *names;
static char log_path[] = "/tmp/sluice-names-XXXXXX";

/* One upstream with these lines; one name server. */
static void begin(const char *lines)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text),
		 "[proxy]\nresolver = 127.0.0.1:%u\nresolve_timeout = 100ms\nresolve_min = 10ms\n"
		 "resolve_max = 1s\n[listener a]\nbind = *:80\nupstream = b\n[upstream b]\n%s\n",
		 ntohs(server.addr.u.in.sin_port), lines);
	conf = load(text);
	memcpy(log_path + strlen(log_path) - 6, "XXXXXX", 6);
	close(mkstemp(log_path));
	CHECK_INT(log_open(&names_log, log_path, LOG_LEVEL_INFO), 0);
	CHECK_INT(upstreams_shared_open(&shared, conf, NULL, 1), 0);
	CHECK_INT(names_open(&names, conf, shared, &names_log), 0);
}

static void end(void)
{
	names_close(names);
	upstreams_shared_close(shared);
	log_close(&names_log);
	conf_unref(conf);
	unlink(log_path);
	dns_close(&server);
}

/* How often the log has it. */
static uint32_t told_count(const char *what)
{
	static char text[1u << 20];
	FILE *file = fopen(log_path, "re");
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	uint32_t count = 0;

	fclose(file);
	text[len] = '\0';
	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static bool changes_reach(uint64_t wanted)
{
	for (uint32_t i = 0; i < WAIT_MS; i++) {
		if (counter_read(&names_stats(names)->changes) >= wanted)
			return true;
		usleep(1000);
	}
	return false;
}

/* The report at start is made while the resolver may be told something. */
TEST(who_counts_names_may_be_told_meanwhile)
{
	uint32_t answered = 1;

	dns_open(&server);
	dns_do(&server, "app.test", ns_t_a, DNS_SILENT);
	begin("server = app.test:80 addresses=2\nresolve = ipv4");
	CHECK_UINT(names_count(names, &answered), 1);
	CHECK_UINT(answered, 0);
	dns_say(&server, "app.test", ns_t_a, 60, "10.0.0.1");
	for (uint32_t i = 0; i < WAIT_MS && answered == 0; i++) {
		CHECK_UINT(names_count(names, &answered), 1);
		usleep(1000);
	}
	CHECK_UINT(answered, 1);
	end();
}

static void say_many(uint32_t from)
{
	static char records[MANY * 16];
	size_t len = 0;

	for (uint32_t i = from; i < from + MANY; i++)
		len += (size_t)snprintf(records + len, sizeof(records) - len, "%s10.1.%u.%u",
					len > 0 ? " " : "", i / 250, i % 250 + 1);
	dns_say(&server, "app.test", ns_t_a, 0, records);
}

/* Not each time that others of them have come. */
TEST(that_there_are_too_many_is_told_once)
{
	dns_open(&server);
	say_many(0);
	begin("server = app.test:80 addresses=2\nresolve = ipv4");
	for (uint32_t i = 1; i < 5; i++) {
		CHECK(changes_reach(i));
		say_many(i);
	}
	CHECK(changes_reach(5));
	CHECK_UINT(told_count("are too many and left out"), 1);
	end();
}

static const struct unit_test tests[] = {
	ROW(who_counts_names_may_be_told_meanwhile),
	ROW(that_there_are_too_many_is_told_once),
};
UNIT_MAIN(tests)
