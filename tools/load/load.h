/* SPDX-License-Identifier: MIT */
/*
 * load - the command `sluice-load URL ..`: runs, reports, judges.
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

/* The words after the program's name. Returns the exit status, as --help lists them. */
int load_main(int argc, char **argv);

#endif
