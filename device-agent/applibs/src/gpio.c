/* SPDX-License-Identifier: MIT */
#include <applibs/gpio.h>
#include <errno.h>
#include <linux/gpio.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "broker_client.h"
#include "descriptor_table.h"
#include "device_access.h"

/*
 * A pin is a GPIO v2 line request of one line (a real board) or a message socket to the simulator
 * (a virtual board); fstat() tells which.
 */

static atomic_uint next_simulator_id = 1;

int GPIO_OpenAsInput(GPIO_Id gpioId) {
  uint8_t request[4];
  sphere_put_u32(request, (uint32_t)gpioId);
  return sphere_broker_open(SPHERE_VERB_GPIO_IN, request, sizeof(request), SPHERE_KIND_GPIO);
}

int GPIO_OpenAsOutput(GPIO_Id gpioId, GPIO_OutputMode_Type outputMode,
                      GPIO_Value_Type initialValue) {
  if (outputMode > GPIO_OutputMode_OpenSource || initialValue > GPIO_Value_High) {
    errno = EINVAL;
    return -1;
  }
  uint8_t request[6];
  sphere_put_u32(request, (uint32_t)gpioId);
  request[4] = outputMode;
  request[5] = initialValue;
  return sphere_broker_open(SPHERE_VERB_GPIO_OUT, request, sizeof(request), SPHERE_KIND_GPIO);
}

/* Finds out what `fd` is. A duplicate of a kernel line is not in the table but still a line, which
 * the kernel itself can tell; a socket that is not in the table is no pin. 0, or -1 and EBADF. */
static int find_pin(int fd, struct sphere_descriptor* pin) {
  if (sphere_descriptor_find(fd, pin) != 0) {
    return -1;
  }
  if (pin->kind == SPHERE_KIND_GPIO || (pin->kind == SPHERE_KIND_NONE && !pin->is_socket)) {
    return 0;
  }
  errno = EBADF;
  return -1;
}

/* 0, or an errno number. */
static int ask_simulator(int fd, uint16_t verb, const uint8_t* request, size_t request_length,
                         int32_t* result) {
  uint8_t reply[4];
  const struct sphere_call call = {.verb = verb,
                                   .request = request,
                                   .request_length = request_length,
                                   .reply = reply,
                                   .reply_length = sizeof(reply)};
  const uint32_t id = atomic_fetch_add(&next_simulator_id, 1);
  const int error = sphere_exchange(fd, id, &call, SPHERE_BROKER_TIMEOUT_MS);
  *result = error == 0 ? (int32_t)sphere_get_u32(reply) : 0;
  return error == ECONNRESET ? EBADF : error;
}

/* 0, or an errno number. */
static int ask_kernel(int fd, bool is_set, uint64_t* bits) {
  struct gpio_v2_line_values values = {.bits = *bits, .mask = 1};
  const sphere_ioctl_request request =
      (sphere_ioctl_request)(is_set ? GPIO_V2_LINE_SET_VALUES_IOCTL
                                    : GPIO_V2_LINE_GET_VALUES_IOCTL);
  if (ioctl(fd, request, &values) != 0) {
    return errno == ENOTTY ? EBADF : errno;
  }
  *bits = values.bits;
  return 0;
}

static int finish(int error, int before) {
  errno = error != 0 ? error : before;
  return error != 0 ? -1 : 0;
}

int GPIO_GetValue(int gpioFd, GPIO_Value_Type* outValue) {
  const int before = errno;
  struct sphere_descriptor pin;
  if (outValue == NULL) {
    errno = EFAULT;
    return -1;
  }
  if (find_pin(gpioFd, &pin) != 0) {
    return -1;
  }
  uint64_t bits = 0;
  int error = 0;
  if (pin.is_socket) {
    int32_t level = 0;
    error = ask_simulator(gpioFd, SPHERE_VERB_GPIO_GET, NULL, 0, &level);
    bits = level != 0 ? 1 : 0;
  } else {
    error = ask_kernel(gpioFd, false, &bits);
  }
  if (error == 0) {
    *outValue = (bits & 1U) != 0 ? GPIO_Value_High : GPIO_Value_Low;
  }
  return finish(error, before);
}

int GPIO_SetValue(int gpioFd, GPIO_Value_Type value) {
  const int before = errno;
  struct sphere_descriptor pin;
  if (value > GPIO_Value_High) {
    errno = EINVAL;
    return -1;
  }
  if (find_pin(gpioFd, &pin) != 0) {
    return -1;
  }
  int error = 0;
  if (pin.is_socket) {
    int32_t result = 0;
    error = ask_simulator(gpioFd, SPHERE_VERB_GPIO_SET, &value, sizeof(value), &result);
  } else {
    uint64_t bits = value;
    error = ask_kernel(gpioFd, true, &bits);
  }
  // EPERM: the pin is an input, which the API ignores.
  return finish(error == EPERM ? 0 : error, before);
}
