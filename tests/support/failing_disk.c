// SPDX-License-Identifier: MIT
// For LD_PRELOAD: calls that write to a file or name one fail, when its path contains the text of
// SPHERE_TEST_DISK_PATH. SPHERE_TEST_DISK_CALL is one of write (with pwrite), sync (fsync,
// fdatasync, syncfs), name (linkat), move (renameat2) or open (of an unnamed file);
// SPHERE_TEST_DISK_ERROR is an errno, or 0 for a kill by SIGKILL. Of writes those that would go
// beyond SPHERE_TEST_DISK_BYTES fail, so that some bytes get through, as on a full disk.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long number(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int is_hit(const char* call, const char* path) {
  const char* wanted_call = getenv("SPHERE_TEST_DISK_CALL");
  const char* wanted_path = getenv("SPHERE_TEST_DISK_PATH");
  return wanted_call != NULL && wanted_path != NULL && strcmp(call, wanted_call) == 0 &&
         strstr(path, wanted_path) != NULL;
}

static int is_open_hit(const char* call, int descriptor) {
  char link[64];
  char path[PATH_MAX + 1];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) {
    return 0;
  }
  path[length] = '\0';
  return is_hit(call, path);
}

static int fail_now(void) {
  const long error = number("SPHERE_TEST_DISK_ERROR");
  if (error == 0) {
    kill(getpid(), SIGKILL);
  }
  errno = (int)error;
  return -1;
}

// The next function of this name: libc's.
static void* next(const char* name) { return dlsym(RTLD_NEXT, name); }
#define NEXT(name) ((__typeof__(&(name)))next(#name))

ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (is_open_hit("write", descriptor)) {
    struct stat status;
    const off_t room = number("SPHERE_TEST_DISK_BYTES");
    if (fstat(descriptor, &status) != 0 || status.st_size >= room) {
      return fail_now();
    }
    if ((off_t)size > room - status.st_size) {
      size = (size_t)(room - status.st_size);
    }
  }
  return NEXT(write)(descriptor, bytes, size);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  if (is_open_hit("write", descriptor) && offset + (off_t)size > number("SPHERE_TEST_DISK_BYTES")) {
    return fail_now();
  }
  return NEXT(pwrite)(descriptor, bytes, size, offset);
}

int fsync(int descriptor) {
  return is_open_hit("sync", descriptor) ? fail_now() : NEXT(fsync)(descriptor);
}

int fdatasync(int descriptor) {
  return is_open_hit("sync", descriptor) ? fail_now() : NEXT(fdatasync)(descriptor);
}

int syncfs(int descriptor) {
  return is_open_hit("sync", descriptor) ? fail_now() : NEXT(syncfs)(descriptor);
}

int linkat(int from, const char* source, int to, const char* target, int flags) {
  return is_hit("name", target) ? fail_now() : NEXT(linkat)(from, source, to, target, flags);
}

int renameat2(int from, const char* source, int to, const char* target, unsigned int flags) {
  return is_hit("move", target) ? fail_now() : NEXT(renameat2)(from, source, to, target, flags);
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if ((flags & O_TMPFILE) == O_TMPFILE && is_hit("open", path)) {
    return fail_now();
  }
  return NEXT(open)(path, flags, mode);
}
