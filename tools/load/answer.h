/* SPDX-License-Identifier: MIT */
/*
 * answer - what the origin is to answer: drawn from the policy of its command line, then changed by
 * the request's own query:
 *
 *      policy --(draw, by the seed)--> answer --(?size=64k&delay=10ms&status=503..)--> answer
 */
#ifndef LOAD_ANSWER_H
#define LOAD_ANSWER_H

#include "amounts.h"

struct answer_policy {
	uint64_t size;
	struct weights delays; /* ns */
	struct weights statuses;
	double close_percent;
	double reset_percent;
	bool chunked;
	bool trailers;
	bool informational;
	bool echo;
};

struct answer {
	uint64_t size;
	uint64_t delay_ns;
	uint64_t status;
	uint64_t cut;       /* end the connection after so many bytes of the body; UINT64_MAX: no */
	bool close;         /* say so, and close after it */
	bool reset;         /* abort the connection instead of answering */
	bool chunked;
	bool trailers;      /* with chunked */
	bool informational; /* 103 before it */
	bool echo;          /* the request's body */
};

void answer_draw(const struct answer_policy *policy, struct draw *draw, struct answer *answer);
/* Keys that are not ours are left alone; false: one of ours has a value that is none. */
bool answer_query(struct answer *answer, const char *target, uint32_t count);

#endif
