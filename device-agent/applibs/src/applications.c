/* SPDX-License-Identifier: MIT */
#include <applibs/applications.h>
#include <errno.h>
#include <string.h>

#include "broker_client.h"

enum { version_size = sizeof(((Applications_OsVersion*)NULL)->version) };

static int fail_with(int error) {
  errno = error;
  return -1;
}

int z__Applications_GetMemoryInfo(uint32_t attribute, void* buffer, size_t capacity) {
  uint8_t request[4];
  uint8_t reply[8];
  if (buffer == NULL) {
    return fail_with(EFAULT);
  }
  if (capacity != sizeof(size_t) || attribute > z__Applications_MemoryInfo_PeakUserMode) {
    return fail_with(capacity < sizeof(size_t) ? ERANGE : EINVAL);
  }
  sphere_put_u32(request, attribute);
  const struct sphere_call call = {.verb = SPHERE_VERB_MEMORY_INFO,
                                   .request = request,
                                   .request_length = sizeof(request),
                                   .reply = reply,
                                   .reply_length = sizeof(reply)};
  if (sphere_broker_call(&call) != 0) {
    return -1;
  }
  const uint64_t kib = sphere_get_u64(reply);
  if (kib > SIZE_MAX) {
    return fail_with(EOVERFLOW);
  }
  const size_t value = (size_t)kib;
  memcpy(buffer, &value, sizeof(value));
  return 0;
}

int z__Applications_GetOsVersion(void* buffer, size_t capacity) {
  char version[version_size];
  const struct sphere_call call = {
      .verb = SPHERE_VERB_OS_VERSION, .reply = version, .reply_length = sizeof(version)};
  if (buffer == NULL) {
    return fail_with(EFAULT);
  }
  if (capacity < sizeof(version)) {
    return fail_with(ERANGE);
  }
  if (sphere_broker_call(&call) != 0) {
    return -1;
  }
  version[sizeof(version) - 1] = '\0';
  memcpy(buffer, version, sizeof(version));
  return 0;
}
