// SPDX-License-Identifier: MIT
#include "blink.h"

#include <stdio.h>

int main(void) {
  if (toggled(GPIO_Value_Low) != GPIO_Value_High || toggled(GPIO_Value_High) != GPIO_Value_Low) {
    fprintf(stderr, "toggled does not give the other level\n");
    return 1;
  }
  return 0;
}
