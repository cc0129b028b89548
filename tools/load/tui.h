/* SPDX-License-Identifier: MIT */
/*
 * tui - a full screen while a run is on: rates, times, a curve of the last minute, where the times
 * lie. Plain escape sequences; nothing is read from the terminal.
 */
#ifndef LOAD_TUI_H
#define LOAD_TUI_H

#include "plan.h"
#include "series.h"

void tui_begin(FILE *out);
void tui_draw(FILE *out, const struct plan *plan, const struct series *series);
void tui_end(FILE *out);

#endif
