/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Single pins. Manifest: "Gpio" lists the pins an app may open. An opened pin is a descriptor;
 * close() gives it back and leaves its level as it is.
 */

/* Pin number of the chip; hardware definition headers give names to them. */
typedef int GPIO_Id;

typedef uint8_t GPIO_Value_Type;
typedef enum { GPIO_Value_Low = 0, GPIO_Value_High = 1 } GPIO_Value;

typedef uint8_t GPIO_OutputMode_Type;
typedef enum {
  GPIO_OutputMode_PushPull = 0,
  GPIO_OutputMode_OpenDrain = 1, /* Drives low only. */
  GPIO_OutputMode_OpenSource = 2 /* Drives high only. */
} GPIO_OutputMode;

/*
 * Opens a pin. Returns a descriptor, or -1 with errno
 *   EINVAL  output mode or initial value is none of the above
 *   EACCES  the manifest does not list the pin
 *   ENODEV  no such pin
 *   EBUSY   open already, in this app or another
 *   EMFILE  too many descriptors
 *   EAGAIN  the device is not ready, or the app asks too often
 *
 * An output has its initial value before it drives the pin.
 */
int GPIO_OpenAsInput(GPIO_Id gpioId);
int GPIO_OpenAsOutput(GPIO_Id gpioId, GPIO_OutputMode_Type outputMode,
                      GPIO_Value_Type initialValue);

/* Reads the pin, of an output too. 0, or -1 with EFAULT (outValue is NULL) or EBADF (no pin). */
int GPIO_GetValue(int gpioFd, GPIO_Value_Type* outValue);

/* Sets an output; on an input it does nothing and returns 0. -1 with EINVAL (value) or EBADF. */
int GPIO_SetValue(int gpioFd, GPIO_Value_Type value);

#ifdef __cplusplus
}
#endif
