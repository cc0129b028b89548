/* SPDX-License-Identifier: MIT */
/* fuzz.h - what a fuzz target defines. Must return 0, must not keep data. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
