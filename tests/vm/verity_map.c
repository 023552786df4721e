// SPDX-License-Identifier: MIT
// verity_map DEVICE DATA_BLOCKS HASH_START_BLOCK ROOT_HASH SALT
//
// Maps DEVICE, which holds data and hash area, through the kernel's dm-verity, then reads every
// block of the mapping by itself. Prints the number of good blocks, of blocks that the kernel
// refused, and the first of those:
//
//   MAPPED /dev/vda good=6 bad=0 first_bad=-1
//
// Runs in the guest of tests/vm, which has neither cryptsetup nor udev; so it speaks the ioctl
// interface of linux/dm-ioctl.h.
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { kBlock = 4096, kSectorsPerBlock = 8, kRequestBytes = 4096 };

static void die(const char* what) {
  printf("FAILED %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct dm_ioctl* new_request(void* memory, const char* name, uint32_t flags) {
  memset(memory, 0, kRequestBytes);
  struct dm_ioctl* request = memory;
  request->version[0] = 4;
  request->data_size = kRequestBytes;
  request->data_start = sizeof *request;
  request->flags = flags;
  snprintf(request->name, sizeof request->name, "%s", name);
  return request;
}

static dev_t map_device(char** words) {
  static uint64_t memory[kRequestBytes / sizeof(uint64_t)];
  const int control = open("/dev/mapper/control", O_RDWR);
  if (control < 0) {
    die("open /dev/mapper/control");
  }
  const char* name = strrchr(words[1], '/') + 1;
  struct dm_ioctl* request = new_request(memory, name, 0);
  if (ioctl(control, DM_DEV_CREATE, request) != 0) {
    die("DM_DEV_CREATE");
  }
  const dev_t device = request->dev;

  request = new_request(memory, name, DM_READONLY_FLAG);
  request->target_count = 1;
  struct dm_target_spec* target = (void*)((char*)memory + sizeof *request);
  target->length = strtoull(words[2], NULL, 10) * kSectorsPerBlock;
  snprintf(target->target_type, sizeof target->target_type, "verity");
  char* parameters = (char*)(target + 1);
  const size_t room = kRequestBytes - sizeof *request - sizeof *target;
  snprintf(parameters, room, "1 %s %s %d %d %s %s sha256 %s %s", words[1], words[1], kBlock, kBlock,
           words[2], words[3], words[4], words[5]);
  if (ioctl(control, DM_TABLE_LOAD, request) != 0) {
    die("DM_TABLE_LOAD");
  }
  request = new_request(memory, name, 0);  // "Suspend" without its flag resumes.
  if (ioctl(control, DM_DEV_SUSPEND, request) != 0) {
    die("DM_DEV_SUSPEND");
  }
  close(control);
  return device;
}

int main(int count, char** words) {
  if (count != 6 || strchr(words[1], '/') == NULL) {
    puts("usage: verity_map DEVICE DATA_BLOCKS HASH_START_BLOCK ROOT_HASH SALT");
    return 2;
  }
  const dev_t device = map_device(words);
  unlink("/tmp/mapped");
  if (mknod("/tmp/mapped", S_IFBLK | 0400, device) != 0) {
    die("mknod");
  }
  const int mapped = open("/tmp/mapped", O_RDONLY);
  if (mapped < 0) {
    die("open the mapping");
  }
  // Without read-ahead a damaged block fails alone.
  posix_fadvise(mapped, 0, 0, POSIX_FADV_RANDOM);
  long good = 0;
  long bad = 0;
  long first_bad = -1;
  const long blocks = strtol(words[2], NULL, 10);
  static char block[kBlock];
  for (long index = 0; index < blocks; ++index) {
    if (pread(mapped, block, kBlock, (off_t)index * kBlock) == kBlock) {
      ++good;
    } else {
      first_bad = bad == 0 ? index : first_bad;
      ++bad;
    }
  }
  printf("MAPPED %s good=%ld bad=%ld first_bad=%ld\n", words[1], good, bad, first_bad);
  return 0;
}
