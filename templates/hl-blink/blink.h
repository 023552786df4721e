// SPDX-License-Identifier: MIT
#pragma once

#include <applibs/gpio.h>
#include <time.h>

// Time between two changes of the LED.
extern const struct timespec kBlinkInterval;

// The other level.
GPIO_Value_Type toggled(GPIO_Value_Type level);
