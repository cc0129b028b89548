/* SPDX-License-Identifier: MIT */
/*
 * html - one page that needs nothing else: page.html with the JSON of report_json.h inside it. Its
 * script draws the percentile curve, the seconds and the heat map as SVG.
 */
#ifndef LOAD_HTML_H
#define LOAD_HTML_H

#include <stdio.h>

#include "outcome.h"

void html_write(FILE *out, const struct outcome *outcomes, uint32_t count);
/* The command `sluice-load plot FILE [-o PAGE]`: the page of an earlier run's --json. */
int plot_main(int argc, char **argv);

/* page.html, made into C by embed.py. */
extern const char html_page[];

#endif
