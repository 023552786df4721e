/* SPDX-License-Identifier: MIT */
#include "device_access.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int __z_azsp_open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
    va_list args;
    va_start(args, flags);
    mode = (mode_t)va_arg(args, unsigned);
    va_end(args);
  }
  return open(path, flags | O_CLOEXEC, mode);
}

int ioctl(int fd, sphere_ioctl_request request, ...) {
  va_list args;
  va_start(args, request);
  void* argument = va_arg(args, void*);
  va_end(args);
  return (int)syscall(SYS_ioctl, fd, request, argument);
}
