// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>

// A button that is looked at again and again. It bounces for some milliseconds, so a change counts
// once it was seen twice in a row.
typedef struct {
  bool is_pressed;
  bool last_sample;
} Button;

// Takes one sample. True when it completes a press: the button goes from released to pressed.
bool Button_Sample(Button* button, bool is_down);

// Milliseconds between two changes of the LED after one more press: 1000, 500, 250, and again.
int NextInterval(int interval_ms);
