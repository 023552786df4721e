// SPDX-License-Identifier: MIT
// Toggles an LED every second until the device ends the app.
#include <applibs/gpio.h>
#include <applibs/log.h>
#include <errno.h>
#include <hw/sample_appliance.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "applibs_versions.h"
#include "blink.h"

// What the device reports when the app ends.
typedef enum {
  ExitCode_Success = 0,
  ExitCode_HandleSigterm = 1,
  ExitCode_OpenLed = 2,
  ExitCode_SetLed = 3
} ExitCode;

static volatile sig_atomic_t terminated = 0;

static void on_sigterm(int number) {
  (void)number;
  terminated = 1;
}

static int blink(int led) {
  GPIO_Value_Type level = GPIO_Value_High;
  while (!terminated) {
    level = toggled(level);
    if (GPIO_SetValue(led, level) != 0) {
      Log_Debug("ERROR: cannot set the LED: %s (%d)\n", strerror(errno), errno);
      return ExitCode_SetLed;
    }
    // SIGTERM ends the sleep early.
    nanosleep(&kBlinkInterval, NULL);
  }
  return ExitCode_Success;
}

int main(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_sigterm;
  if (sigaction(SIGTERM, &action, NULL) != 0) {
    return ExitCode_HandleSigterm;
  }

  // High is off on boards whose LEDs hang on the supply voltage.
  const int led = GPIO_OpenAsOutput(SAMPLE_LED, GPIO_OutputMode_PushPull, GPIO_Value_High);
  if (led == -1) {
    Log_Debug("ERROR: cannot open the LED: %s (%d). Is it in app_manifest.json?\n", strerror(errno),
              errno);
    return ExitCode_OpenLed;
  }
  Log_Debug("Blinking\n");
  return blink(led);
}
