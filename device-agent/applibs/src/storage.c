/* SPDX-License-Identifier: MIT */
#include <applibs/storage.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker_client.h"

/* The agent starts an app in the root of its package. The path is taken before main(), as the app
 * may go elsewhere. Empty: longer than PATH_MAX or gone. */
static char package_root[PATH_MAX];

__attribute__((constructor)) static void remember_package_root(void) {
  const int error = errno;
  if (getcwd(package_root, sizeof(package_root)) == NULL) {
    package_root[0] = '\0';
  }
  errno = error;
}

/* 0, or an errno number. */
static int check_relative(const char* path) {
  if (path == NULL) {
    return EFAULT;
  }
  if (path[0] == '\0' || path[0] == '/' || path[0] == '.' || strstr(path, "..") != NULL) {
    return EINVAL;
  }
  return package_root[0] == '\0' ? ENOENT : 0;
}

char* Storage_GetAbsolutePathInImagePackage(const char* relativePath) {
  const int error = check_relative(relativePath);
  if (error != 0) {
    errno = error;
    return NULL;
  }
  const size_t root = strlen(package_root);
  const size_t rest = strlen(relativePath) + 1;
  const bool needs_slash = package_root[root - 1] != '/';
  char* path = malloc(root + 1 + rest);
  if (path == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  // The second copy ends the text.
  memcpy(path, package_root, root);  // NOLINT(bugprone-not-null-terminated-result)
  path[root] = '/';
  memcpy(path + root + (needs_slash ? 1 : 0), relativePath, rest);
  return path;
}

/* 0 for a regular file, or an errno number. */
static int check_regular(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return errno;
  }
  if (S_ISREG(status.st_mode)) {
    return 0;
  }
  return S_ISDIR(status.st_mode) ? EISDIR : EACCES;
}

int Storage_OpenFileInImagePackage(const char* relativePath) {
  char* path = Storage_GetAbsolutePathInImagePackage(relativePath);
  if (path == NULL) {
    return -1;
  }
  // Non-blocking, so that a named pipe cannot hold the call up; without effect on regular files.
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  int error = fd < 0 ? errno : check_regular(fd);
  free(path);
  if (error == 0) {
    return fd;
  }
  if (fd >= 0) {
    close(fd);
  }
  errno = error;
  return -1;
}

int Storage_OpenMutableFile(void) {
  return sphere_broker_open(SPHERE_VERB_FILE_OPEN, NULL, 0, SPHERE_KIND_FILE);
}

int Storage_DeleteMutableFile(void) {
  const struct sphere_call call = {.verb = SPHERE_VERB_FILE_DELETE};
  return sphere_broker_call(&call);
}
