/* SPDX-License-Identifier: MIT */
/*
 * serve - the command `sluice-load serve`: the test origin.
 */
#ifndef LOAD_SERVE_H
#define LOAD_SERVE_H

/* The words after "serve". Returns the exit status: 0 ended by a signal, 1 usage, 2 could not
 * listen or run. */
int serve_main(int argc, char **argv);

#endif
