/* SPDX-License-Identifier: MIT */
/*
 * tally.c - adding up, as in tally.h.
 */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

const char *const tally_time_names[TALLY_TIMES] = {
	[TALLY_RESPONSE] = "response",     [TALLY_SERVICE] = "service",
	[TALLY_FIRST_BYTE] = "first byte", [TALLY_CONNECT] = "connect",
	[TALLY_LAG] = "lag",
};

const char *const fault_phase_names[FAULT_PHASES] = {
	[FAULT_CONNECT] = "connect", [FAULT_SEND] = "send",     [FAULT_RECEIVE] = "receive",
	[FAULT_PARSE] = "parse",     [FAULT_VERIFY] = "verify", [FAULT_TIMEOUT] = "timeout",
};

const char *const tally_count_names[TALLY_COUNTS] = {
#define STAT(name, text) #name,
#include "tally_stats.def"
#undef STAT
};

struct tally *tally_open(void)
{
	uint32_t slots = histogram_slots_count(TALLY_HIGHEST_NS);
	struct tally *tally = calloc(1, sizeof(*tally) + TALLY_TIMES * slots * sizeof(uint64_t));
	uint64_t *counts = (uint64_t *)(void *)(tally + 1);
	int i;

	assert(tally != NULL);
	for (i = 0; i < TALLY_TIMES; i++)
		histogram_init(&tally->times[i], TALLY_HIGHEST_NS, counts + (size_t)i * slots);
	return tally;
}

void tally_close(struct tally *tally)
{
	free(tally);
}

void tally_reset(struct tally *tally)
{
	int i;

	memset(tally->counts, 0, sizeof(tally->counts));
	memset(tally->statuses, 0, sizeof(tally->statuses));
	for (i = 0; i < TALLY_TIMES; i++)
		if (tally->times[i].total > 0)
			histogram_reset(&tally->times[i]);
	tally->faults_count = 0;
	tally->unfinished_oldest_ns = 0;
	tally->open = 0;
	tally->backlog = 0;
}

/* The row of this kind, or a new one; the last row takes what finds no room. */
static struct fault *fault_row(struct tally *tally, enum fault_phase phase, int error,
                               const char *reason)
{
	struct fault *row;
	uint32_t i;

	for (i = 0; i < tally->faults_count; i++) {
		row = &tally->faults[i];
		if (row->phase == phase && row->error == error && row->reason == reason)
			return row;
	}
	if (tally->faults_count == FAULTS_MAX)
		return &tally->faults[FAULTS_MAX - 1];
	row = &tally->faults[tally->faults_count++];
	*row = (struct fault){ .phase = phase, .error = error, .reason = reason,
		               .first_ns = UINT64_MAX };
	return row;
}

void tally_fault(struct tally *tally, enum fault_phase phase, int error, const char *reason,
                 uint64_t at_ns)
{
	struct fault *row = fault_row(tally, phase, error, reason);

	assert((error > 0) == (reason == NULL));
	row->count++;
	if (at_ns < row->first_ns)
		row->first_ns = at_ns;
	if (at_ns > row->last_ns)
		row->last_ns = at_ns;
}

static void merge_faults(struct tally *to, const struct tally *from)
{
	uint32_t i;

	for (i = 0; i < from->faults_count; i++) {
		const struct fault *f = &from->faults[i];
		struct fault *row = fault_row(to, f->phase, f->error, f->reason);

		row->count += f->count;
		if (f->first_ns < row->first_ns)
			row->first_ns = f->first_ns;
		if (f->last_ns > row->last_ns)
			row->last_ns = f->last_ns;
	}
}

void tally_merge(struct tally *to, const struct tally *from)
{
	int i;

	for (i = 0; i < TALLY_COUNTS; i++)
		to->counts[i] += from->counts[i];
	for (i = 0; i < STATUS_MAX; i++)
		to->statuses[i] += from->statuses[i];
	for (i = 0; i < TALLY_TIMES; i++)
		if (from->times[i].total > 0)
			(void)histogram_merge(&to->times[i], &from->times[i]);
	merge_faults(to, from);
	if (from->unfinished_oldest_ns > to->unfinished_oldest_ns)
		to->unfinished_oldest_ns = from->unfinished_oldest_ns;
}

uint64_t tally_faults_of(const struct tally *tally, enum fault_phase phase)
{
	uint64_t count = 0;
	uint32_t i;

	for (i = 0; i < tally->faults_count; i++)
		if (tally->faults[i].phase == phase)
			count += tally->faults[i].count;
	return count;
}

uint64_t tally_faults(const struct tally *tally)
{
	uint64_t count = 0;
	int phase;

	for (phase = 0; phase < FAULT_PHASES; phase++)
		count += tally_faults_of(tally, (enum fault_phase)phase);
	return count;
}

uint64_t tally_refused(const struct tally *tally)
{
	return tally_get(tally, refused_502) + tally_get(tally, refused_503) +
	       tally_get(tally, refused_504);
}

const char *fault_text(const struct fault *fault)
{
	return fault->reason != NULL ? fault->reason : strerror(fault->error);
}
