/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Figures of all apps of the device together. No capability needed. */

typedef struct Applications_OsVersion {
  char version[16]; /* "26.11", ends with NUL. */
} Applications_OsVersion;

/* Private to the inline functions below. */
enum {
  z__Applications_MemoryInfo_Total = 0,
  z__Applications_MemoryInfo_UserMode = 1,
  z__Applications_MemoryInfo_PeakUserMode = 2
};
int z__Applications_GetMemoryInfo(uint32_t attribute, void* buffer, size_t capacity);
int z__Applications_GetOsVersion(void* buffer, size_t capacity);

static inline size_t z__Applications_MemoryInKB(uint32_t attribute) {
  size_t value = 0;
  return z__Applications_GetMemoryInfo(attribute, &value, sizeof(value)) == 0 ? value : 0;
}

/*
 * Memory in KiB, or 0 with errno (EAGAIN: try later). The total has the kernel's memory on behalf
 * of the apps in it, user mode does not; the peak is that of user mode since the start.
 */
static inline size_t Applications_GetTotalMemoryUsageInKB(void) {
  return z__Applications_MemoryInKB(z__Applications_MemoryInfo_Total);
}
static inline size_t Applications_GetUserModeMemoryUsageInKB(void) {
  return z__Applications_MemoryInKB(z__Applications_MemoryInfo_UserMode);
}
static inline size_t Applications_GetPeakUserModeMemoryUsageInKB(void) {
  return z__Applications_MemoryInKB(z__Applications_MemoryInfo_PeakUserMode);
}

/* The version of the operating system. 0, or -1 with errno EFAULT, EAGAIN. */
static inline int Applications_GetOsVersion(Applications_OsVersion* outVersion) {
  if (outVersion == NULL) {
    errno = EFAULT;
    return -1;
  }
  return z__Applications_GetOsVersion(outVersion->version, sizeof(outVersion->version));
}

#ifdef __cplusplus
}
#endif
