// SPDX-License-Identifier: MIT
#include "button.h"

enum { kSlowest = 1000, kFastest = 250 };

bool Button_Sample(Button* button, bool is_down) {
  const bool settled = is_down == button->last_sample;
  button->last_sample = is_down;
  if (!settled || is_down == button->is_pressed) {
    return false;
  }
  button->is_pressed = is_down;
  return is_down;
}

int NextInterval(int interval_ms) { return interval_ms > kFastest ? interval_ms / 2 : kSlowest; }
