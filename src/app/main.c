/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command line of sluice.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "doctor.h"
#include "proxy.h"

enum action {
	ACTION_RUN,
	ACTION_TEST,
	ACTION_DOCTOR,
	ACTION_HELP_CONF,
	ACTION_VERSION,
	ACTION_HELP
};

struct command {
	enum action action;
	const char *conf_path; /* NULL: look in the usual places */
	const char *key;       /* --help-config KEY */
};

static const char usage[] =
	"usage: sluice [-c FILE]              run in the foreground\n"
	"       sluice -t [-c FILE]           check the configuration\n"
	"       sluice --doctor [-c FILE]     report on this host, with remedies\n"
	"       sluice --help-config [KEY]    the manual of every key, or of one\n"
	"       sluice --version | --help\n"
	"\n"
	"Without -c: ./proxy.ini, then /etc/sluice/proxy.ini.\n"
	"Signals: TERM, INT drain (a second one ends at once); USR1 reopens the log and prints\n"
	"the counters into it.\n"
	"Exit status: 0 all sessions ended, 1 configuration error, 2 this host cannot run it,\n"
	"3 sessions were cut at drain_timeout or by a second signal.\n";

static bool parse(struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "test", no_argument, NULL, 't' },
		{ "config", required_argument, NULL, 'c' },
		{ "doctor", no_argument, NULL, 'd' },
		{ "help-config", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static const enum action actions[128] = {
		['t'] = ACTION_TEST,    ['d'] = ACTION_DOCTOR, ['k'] = ACTION_HELP_CONF,
		['v'] = ACTION_VERSION, ['h'] = ACTION_HELP,
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "c:thv", options, NULL)) >= 0) {
		if (letter == '?')
			return false;
		if (letter == 'c')
			command->conf_path = optarg;
		else
			command->action = actions[letter];
	}
	if (command->action == ACTION_HELP_CONF && optind < argc)
		command->key = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "sluice: unexpected argument \"%s\"\n", argv[optind]);
		return false;
	}
	return true;
}

static const char *find_conf(const char *asked)
{
	static const char *const places[] = { "./proxy.ini", "/etc/sluice/proxy.ini" };
	size_t i;

	if (asked != NULL)
		return asked;
	for (i = 0; i < ARRAY_COUNT(places); i++)
		if (access(places[i], F_OK) == 0)
			return places[i];
	return NULL;
}

/* A snapshot, or NULL with the errors printed. */
static struct conf *load(const char *asked)
{
	const char *path = find_conf(asked);
	struct conf_errors errors = { 0 };
	struct conf *conf;

	if (path == NULL) {
		fprintf(stderr, "sluice: there is no ./proxy.ini and no /etc/sluice/proxy.ini: "
				"say which file with -c FILE\n");
		return NULL;
	}
	conf = conf_load(path, &errors);
	conf_errors_print(&errors, path, stderr);
	conf_errors_free(&errors);
	return conf;
}

static int with_conf(const struct command *command)
{
	struct conf *conf = load(command->conf_path);
	int status = EXIT_CLEAN;

	if (conf == NULL)
		return EXIT_CONF;
	if (command->action == ACTION_TEST)
		printf("%s: ok\n", conf->path);
	else if (command->action == ACTION_DOCTOR)
		status = doctor_report(conf, stdout) ? EXIT_CLEAN : EXIT_HOST;
	else
		status = proxy_run(conf);
	conf_unref(conf);
	return status;
}

int main(int argc, char **argv)
{
	struct command command = { .action = ACTION_RUN };

	if (!parse(&command, argc, argv)) {
		fputs(usage, stderr);
		return EXIT_CONF;
	}
	switch (command.action) {
	case ACTION_HELP:
		fputs(usage, stdout);
		return EXIT_CLEAN;
	case ACTION_VERSION:
		printf("sluice %s\n", SLUICE_VERSION);
		return EXIT_CLEAN;
	case ACTION_HELP_CONF:
		return conf_help(stdout, stderr, command.key) ? EXIT_CLEAN : EXIT_CONF;
	case ACTION_DOCTOR:
		if (find_conf(command.conf_path) == NULL)
			return doctor_report(NULL, stdout) ? EXIT_CLEAN : EXIT_HOST;
		return with_conf(&command);
	case ACTION_RUN:
	case ACTION_TEST:
		return with_conf(&command);
	}
	return EXIT_CONF;
}
