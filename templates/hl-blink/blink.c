// SPDX-License-Identifier: MIT
#include "blink.h"

const struct timespec kBlinkInterval = {.tv_sec = 1, .tv_nsec = 0};

GPIO_Value_Type toggled(GPIO_Value_Type level) {
  return level == GPIO_Value_Low ? GPIO_Value_High : GPIO_Value_Low;
}
