/* SPDX-License-Identifier: MIT */
#define _AZSPHERE_USE_OBSOLETE_API
#include <applibs/application.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "broker_client.h"

enum { id_size = 16, id_text_length = 36 };

/* -1 for anything but a hexadecimal digit; the locale does not matter. */
static int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/*
 * 8-4-4-4-12 digits to the order in which ids are stored: the first three groups are little-endian
 * integers, the rest are bytes as written. Returns 0, or -1 for other text.
 */
static int parse_id(const char* text, uint8_t id[id_size]) {
  static const uint8_t place[id_size] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  if (strnlen(text, id_text_length + 1) != id_text_length) {
    return -1;
  }
  size_t at = 0;
  for (size_t i = 0; i < id_size; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text[at] != '-') {
        return -1;
      }
      ++at;
    }
    const int high = digit_value(text[at]);
    const int low = digit_value(text[at + 1]);
    if (high < 0 || low < 0) {
      return -1;
    }
    id[place[i]] = (uint8_t)((high * 16) + low);
    at += 2;
  }
  return 0;
}

int Application_Connect(const char* componentId) {
  uint8_t id[id_size];
  if (componentId == NULL || parse_id(componentId, id) != 0) {
    errno = EINVAL;
    return -1;
  }
  return sphere_broker_open(SPHERE_VERB_CONNECT, id, sizeof(id), SPHERE_KIND_RTCORE);
}

int Application_Socket(const char* componentId) { return Application_Connect(componentId); }

int Application_IsDeviceAuthReady(bool* outIsDeviceAuthReady) {
  uint8_t reply[4];
  const struct sphere_call call = {
      .verb = SPHERE_VERB_DEVICE_AUTH_READY, .reply = reply, .reply_length = sizeof(reply)};
  if (outIsDeviceAuthReady == NULL) {
    errno = EFAULT;
    return -1;
  }
  if (sphere_broker_call(&call) != 0) {
    return -1;
  }
  *outIsDeviceAuthReady = sphere_get_u32(reply) != 0;
  return 0;
}
