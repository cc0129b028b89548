/* SPDX-License-Identifier: MIT */
/*
 * merge - the command `sluice-load merge FILE ..`: HdrHistogram logs of several generators, or of
 * other programs, as one.
 */
#ifndef LOAD_MERGE_H
#define LOAD_MERGE_H

int merge_main(int argc, char **argv);

#endif
