/* SPDX-License-Identifier: MIT */
/*
 * preface - the PROXY protocol's header, with which a proxy in front tells whom it speaks for.
 */
#ifndef LOAD_PREFACE_H
#define LOAD_PREFACE_H

#include <stdint.h>

#define PREFACE_MAX 128

/* The header of this connection, version 1 or 2; returns its length. */
uint32_t preface_make(char preface[PREFACE_MAX], int version, int fd);

#endif
