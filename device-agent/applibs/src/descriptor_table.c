/* SPDX-License-Identifier: MIT */
#include "descriptor_table.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
  uint64_t device;
  uint64_t inode;
  uint8_t kind;
};

static struct entry entries[SPHERE_DESCRIPTOR_COUNT];

int sphere_descriptor_add(int fd, enum sphere_descriptor_kind kind) {
  struct stat status;
  int error = 0;
  if (fd >= SPHERE_DESCRIPTOR_COUNT) {
    error = EMFILE;
  } else if (fstat(fd, &status) != 0) {
    error = errno;
  }
  if (error != 0) {
    close(fd);
    errno = error;
    return -1;
  }
  entries[fd] = (struct entry){
      .device = (uint64_t)status.st_dev, .inode = (uint64_t)status.st_ino, .kind = (uint8_t)kind};
  return fd;
}

int sphere_descriptor_find(int fd, struct sphere_descriptor* found) {
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) {
    errno = EBADF;
    return -1;
  }
  *found = (struct sphere_descriptor){SPHERE_KIND_NONE, S_ISSOCK(status.st_mode)};
  if (fd < SPHERE_DESCRIPTOR_COUNT && entries[fd].device == (uint64_t)status.st_dev &&
      entries[fd].inode == (uint64_t)status.st_ino) {
    found->kind = (enum sphere_descriptor_kind)entries[fd].kind;
  }
  return 0;
}
