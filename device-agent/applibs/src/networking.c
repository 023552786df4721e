/* SPDX-License-Identifier: MIT */
#include <applibs/networking.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "broker_client.h"

enum {
  interface_magic = (int)0xFA9A0000, /* Upper half of z__magicAndVersion. */
  interface_version = 1,
  interface_reply = SPHERE_INTERFACE_NAME_MAX + 3
};

static int fail_with(int error) {
  errno = error;
  return -1;
}

/* The name, padded with zeros as the protocol wants it. 0, or -1 and errno. */
static int encode_name(const char* name, uint8_t* to) {
  if (name == NULL) {
    return fail_with(EFAULT);
  }
  const size_t length = strnlen(name, SPHERE_INTERFACE_NAME_MAX);
  if (length == 0 || length == SPHERE_INTERFACE_NAME_MAX) {
    return fail_with(ENOENT);
  }
  memset(to, 0, SPHERE_INTERFACE_NAME_MAX);
  memcpy(to, name, length);
  return 0;
}

/* A request without payload that is answered by an i32. */
static int ask_integer(uint16_t verb, int32_t* value) {
  uint8_t reply[4];
  const struct sphere_call call = {.verb = verb, .reply = reply, .reply_length = sizeof(reply)};
  if (sphere_broker_call(&call) != 0) {
    return -1;
  }
  *value = (int32_t)sphere_get_u32(reply);
  return 0;
}

int Networking_IsNetworkingReady(bool* outIsNetworkingReady) {
  if (outIsNetworkingReady == NULL) {
    return fail_with(EFAULT);
  }
  int32_t is_ready = 0;
  if (ask_integer(SPHERE_VERB_NET_READY, &is_ready) != 0) {
    return -1;
  }
  *outIsNetworkingReady = is_ready != 0;
  return 0;
}

ssize_t Networking_GetInterfaceCount(void) {
  int32_t count = 0;
  if (ask_integer(SPHERE_VERB_NET_COUNT, &count) != 0) {
    return -1;
  }
  return count >= 0 ? count : fail_with(EPROTO);
}

static int get_interface(uint32_t index, Networking_NetworkInterface* to) {
  uint8_t request[4];
  uint8_t reply[interface_reply];
  sphere_put_u32(request, index);
  const struct sphere_call call = {.verb = SPHERE_VERB_NET_INTERFACE,
                                   .request = request,
                                   .request_length = sizeof(request),
                                   .reply = reply,
                                   .reply_length = sizeof(reply)};
  if (sphere_broker_call(&call) != 0) {
    return -1;
  }
  const size_t length = strnlen((const char*)reply, SPHERE_INTERFACE_NAME_MAX);
  if (length == SPHERE_INTERFACE_NAME_MAX) {
    return fail_with(EPROTO);
  }
  memset(to, 0, sizeof(*to));
  to->z__magicAndVersion = (uint32_t)interface_magic | interface_version;
  to->isEnabled = reply[16] != 0;
  memcpy(to->interfaceName, reply, length);
  to->reserved = (uint32_t)length;  // API set 3 has the name's length here.
  to->ipConfigurationType = reply[17];
  to->interfaceMediumType = reply[18];
  return 0;
}

ssize_t z__Networking_GetInterfaces(struct z__Networking_NetworkInterface_Base* array, size_t count,
                                    uint32_t structVersion) {
  if (array == NULL) {
    return fail_with(EFAULT);
  }
  if (count == 0) {
    return fail_with(ERANGE);
  }
  if (structVersion != interface_version) {
    return fail_with(EINVAL);
  }
  const ssize_t present = Networking_GetInterfaceCount();
  if (present < 0) {
    return -1;
  }
  Networking_NetworkInterface* to = (Networking_NetworkInterface*)array;
  ssize_t written = 0;
  while (written < present && (size_t)written < count) {
    if (get_interface((uint32_t)written, &to[written]) != 0) {
      return -1;
    }
    ++written;
  }
  return written;
}

/* A request about one interface. */
static int ask_about(uint16_t verb, const char* name, void* reply, size_t reply_length) {
  uint8_t request[SPHERE_INTERFACE_NAME_MAX];
  if (encode_name(name, request) != 0) {
    return -1;
  }
  const struct sphere_call call = {.verb = verb,
                                   .request = request,
                                   .request_length = sizeof(request),
                                   .reply = reply,
                                   .reply_length = reply_length};
  return sphere_broker_call(&call);
}

int Networking_GetInterfaceConnectionStatus(const char* networkInterfaceName,
                                            Networking_InterfaceConnectionStatus* outStatus) {
  uint8_t reply[4];
  if (outStatus == NULL) {
    return fail_with(EFAULT);
  }
  if (ask_about(SPHERE_VERB_NET_STATUS, networkInterfaceName, reply, sizeof(reply)) != 0) {
    return -1;
  }
  *outStatus = sphere_get_u32(reply);
  return 0;
}

int Networking_SetInterfaceState(const char* networkInterfaceName, bool isEnabled) {
  uint8_t request[SPHERE_INTERFACE_NAME_MAX + 1];
  if (encode_name(networkInterfaceName, request) != 0) {
    return -1;
  }
  request[SPHERE_INTERFACE_NAME_MAX] = isEnabled ? 1 : 0;
  const struct sphere_call call = {
      .verb = SPHERE_VERB_NET_SET_STATE, .request = request, .request_length = sizeof(request)};
  return sphere_broker_call(&call);
}

ssize_t z__Networking_GetInterfaceOpt(const char* name, uint8_t attribute, void* buffer,
                                      size_t capacity) {
  uint8_t address[HARDWARE_ADDRESS_LENGTH];
  if (name == NULL || (buffer == NULL && capacity != 0)) {
    return fail_with(EFAULT);
  }
  if (attribute != z__Networking_InterfaceOpt_HardwareAddress) {
    return fail_with(EINVAL);
  }
  if (buffer == NULL) {
    return HARDWARE_ADDRESS_LENGTH;
  }
  if (capacity < sizeof(address)) {
    return fail_with(ERANGE);
  }
  if (ask_about(SPHERE_VERB_NET_HARDWARE_ADDRESS, name, address, sizeof(address)) != 0) {
    return -1;
  }
  memcpy(buffer, address, sizeof(address));
  return HARDWARE_ADDRESS_LENGTH;
}
