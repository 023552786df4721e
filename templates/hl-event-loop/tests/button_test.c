// SPDX-License-Identifier: MIT
#include "button.h"

#include <stddef.h>
#include <stdio.h>

static int failures = 0;

static void check(bool condition, const char* what) {
  if (!condition) {
    fprintf(stderr, "failed: %s\n", what);
    ++failures;
  }
}

static int presses_in(const bool* samples, size_t count) {
  Button button = {.is_pressed = false, .last_sample = false};
  int presses = 0;
  for (size_t i = 0; i < count; ++i) {
    presses += Button_Sample(&button, samples[i]) ? 1 : 0;
  }
  return presses;
}

int main(void) {
  const bool held[] = {false, true, true, true, true, false, false};
  check(presses_in(held, sizeof(held)) == 1, "a held button is one press");
  const bool bounce[] = {false, true, false, true, false, false};
  check(presses_in(bounce, sizeof(bounce)) == 0, "bouncing is no press");
  const bool twice[] = {true, true, false, false, true, true};
  check(presses_in(twice, sizeof(twice)) == 2, "two presses are two");
  check(NextInterval(1000) == 500 && NextInterval(500) == 250 && NextInterval(250) == 1000,
        "intervals go round");
  return failures == 0 ? 0 : 1;
}
