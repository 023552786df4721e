/* SPDX-License-Identifier: MIT */
#ifndef SPHERE_DESCRIPTOR_TABLE_H
#define SPHERE_DESCRIPTOR_TABLE_H

#include <stdbool.h>

#include "broker_protocol.h"

/*
 * What the broker handed over, by descriptor number. Apps close descriptors with plain close() and
 * the kernel reuses numbers, so an entry also holds device and inode, and is believed only while
 * fstat() gives the same. The table is static: 256 entries of 24 bytes.
 */

#define SPHERE_DESCRIPTOR_COUNT 256

struct sphere_descriptor {
  enum sphere_descriptor_kind kind; /* SPHERE_KIND_NONE: not from the broker, or reused. */
  bool is_socket;                   /* A simulated peripheral answers, not the kernel. */
};

/* Enters `fd`. On failure closes it and returns -1 with errno: EMFILE when the number is too large,
 * or that of fstat(). Otherwise returns `fd`. */
int sphere_descriptor_add(int fd, enum sphere_descriptor_kind kind);

/* What `fd` is now. -1 with EBADF when it is not open. */
int sphere_descriptor_find(int fd, struct sphere_descriptor* found);

#endif
