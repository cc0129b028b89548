/* SPDX-License-Identifier: MIT */
/*
 * doors - the listening sockets of all listeners, for all workers.
 *
 *                 bind 0   bind 1   ..
 *      worker 0     fd       fd           accept = kernel: a socket each (SO_REUSEPORT); of unix
 *      worker 1     fd       fd           and inherited sockets the same one, duplicated
 *      ..                                 else: worker 0 only, -1 for the others
 */
#ifndef APP_DOORS_H
#define APP_DOORS_H

#include "conf/conf.h"

struct doors {
	uint32_t binds_count;
	uint32_t workers_count;
	int *fds;      /* [worker * binds_count + bind] */
	int *unix_fds; /* per bind: a duplicate to know the socket file by, or -1 */
};

/* Every address that cannot be opened is reported on `out`, with a remedy. */
bool doors_open(struct doors *doors, const struct conf *conf, uint32_t workers, FILE *out);
/* The descriptors of this worker now belong to its flow. */
void doors_given(struct doors *doors, uint32_t worker);
/* Closes what was not given away, and removes socket files. */
void doors_close(struct doors *doors, const struct conf *conf);

#endif
