/* SPDX-License-Identifier: MIT */
/*
 * report_csv.c - the lines of report_csv.h.
 */
#include "report_csv.h"

void report_csv(FILE *out, const struct series *series, uint32_t run)
{
	uint32_t i;

	if (run == 0)
		fprintf(out, "run,at_s,length_s,completed,errors,bytes_in,bytes_out,open,backlog,"
		             "p50_us,p99_us,p99.9_us,max_us\n");
	for (i = 0; i < series->count; i++) {
		const struct series_row *row = &series->rows[i];

		fprintf(out, "%u,%.3f,%.6f,%llu,%llu,%llu,%llu,%llu,%llu,%.3f,%.3f,%.3f,%.3f\n",
		        run, row->at_s, row->length_s, (unsigned long long)row->completed,
		        (unsigned long long)row->faults, (unsigned long long)row->bytes_in,
		        (unsigned long long)row->bytes_out, (unsigned long long)row->open,
		        (unsigned long long)row->backlog, (double)row->p50 / 1e3,
		        (double)row->p99 / 1e3, (double)row->p999 / 1e3, (double)row->max / 1e3);
	}
}
