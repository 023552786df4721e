/* SPDX-License-Identifier: MIT */
#ifndef SPHERE_DEVICE_ACCESS_H
#define SPHERE_DEVICE_ACCESS_H

/*
 * Entry points of binaries that have parts of the API inlined and reach devices themselves. An app
 * has no device nodes, so opening one fails with ENOENT, which that code turns into EACCES.
 */

#include <sys/ioctl.h>

/* The second parameter of ioctl() is what the C library declares. */
#ifdef __GLIBC__
typedef unsigned long sphere_ioctl_request;
#else
typedef int sphere_ioctl_request;
#endif

/* open(), always close-on-exec. */
int __z_azsp_open(const char* path, int flags, ...);

/*
 * ioctl(), found before that of the C library. It goes straight to the kernel: musl's own version
 * adds conversions for kernels before 5.1 only.
 */
int ioctl(int fd, sphere_ioctl_request request, ...);

#endif
