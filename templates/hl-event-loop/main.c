// SPDX-License-Identifier: MIT
// An LED blinks; each press of a button changes how fast. Two timers in one event loop do it all.
#include <applibs/eventloop.h>
#include <applibs/gpio.h>
#include <applibs/log.h>
#include <errno.h>
#include <hw/sample_appliance.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "applibs_versions.h"
#include "button.h"

enum { kFirstInterval = 1000, kButtonPoll = 10 };  // Milliseconds.

// What the device reports when the app ends.
typedef enum {
  ExitCode_Success = 0,
  ExitCode_HandleSigterm = 1,
  ExitCode_CreateLoop = 2,
  ExitCode_OpenLed = 3,
  ExitCode_OpenButton = 4,
  ExitCode_CreateTimer = 5,
  ExitCode_ReadTimer = 6,
  ExitCode_SetLed = 7,
  ExitCode_ReadButton = 8,
  ExitCode_RunLoop = 9
} ExitCode;

typedef struct {
  int led;
  int button_pin;
  int blink_timer;
  int poll_timer;
  GPIO_Value_Type level;
  int interval_ms;
  Button button;
  ExitCode exit_code;
} App;

static volatile sig_atomic_t terminated = 0;

static void on_sigterm(int number) {
  (void)number;
  terminated = 1;
}

// Ends the app with `code`, with the reason of the call that failed.
static void give_up(EventLoop* loop, App* app, ExitCode code, const char* what) {
  Log_Debug("ERROR: cannot %s: %s (%d)\n", what, strerror(errno), errno);
  app->exit_code = code;
  EventLoop_Stop(loop);
}

static int set_timer(int timer, int period_ms) {
  const struct timespec period = {.tv_sec = period_ms / 1000,
                                  .tv_nsec = (period_ms % 1000) * 1000000L};
  const struct itimerspec value = {.it_interval = period, .it_value = period};
  return timerfd_settime(timer, 0, &value, NULL);
}

// Takes the expirations off a timer that is ready.
static int acknowledge(int timer) {
  uint64_t expirations = 0;
  return read(timer, &expirations, sizeof(expirations)) == (ssize_t)sizeof(expirations) ? 0 : -1;
}

static void on_blink(EventLoop* loop, int fd, EventLoop_IoEvents events, void* context) {
  (void)events;
  App* app = context;
  if (acknowledge(fd) != 0) {
    give_up(loop, app, ExitCode_ReadTimer, "read the timer");
    return;
  }
  app->level = app->level == GPIO_Value_Low ? GPIO_Value_High : GPIO_Value_Low;
  if (GPIO_SetValue(app->led, app->level) != 0) {
    give_up(loop, app, ExitCode_SetLed, "set the LED");
  }
}

static void on_poll(EventLoop* loop, int fd, EventLoop_IoEvents events, void* context) {
  (void)events;
  App* app = context;
  GPIO_Value_Type level = GPIO_Value_High;
  if (acknowledge(fd) != 0) {
    give_up(loop, app, ExitCode_ReadTimer, "read the timer");
    return;
  }
  if (GPIO_GetValue(app->button_pin, &level) != 0) {
    give_up(loop, app, ExitCode_ReadButton, "read the button");
    return;
  }
  // A pressed button connects its pin to ground.
  if (!Button_Sample(&app->button, level == GPIO_Value_Low)) {
    return;
  }
  app->interval_ms = NextInterval(app->interval_ms);
  Log_Debug("Blink interval: %d ms\n", app->interval_ms);
  if (set_timer(app->blink_timer, app->interval_ms) != 0) {
    give_up(loop, app, ExitCode_CreateTimer, "set the timer");
  }
}

// A timer whose expirations call `callback`; -1 when there is none.
static int add_timer(EventLoop* loop, int period_ms, EventLoopIoCallback* callback, App* app) {
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  if (timer == -1) {
    return -1;
  }
  if (set_timer(timer, period_ms) != 0 ||
      EventLoop_RegisterIo(loop, timer, EventLoop_Input, callback, app) == NULL) {
    close(timer);
    return -1;
  }
  return timer;
}

static ExitCode open_all(EventLoop* loop, App* app) {
  app->led = GPIO_OpenAsOutput(SAMPLE_LED, GPIO_OutputMode_PushPull, app->level);
  if (app->led == -1) {
    give_up(loop, app, ExitCode_OpenLed, "open the LED");
    return app->exit_code;
  }
  app->button_pin = GPIO_OpenAsInput(SAMPLE_BUTTON_1);
  if (app->button_pin == -1) {
    give_up(loop, app, ExitCode_OpenButton, "open the button");
    return app->exit_code;
  }
  app->blink_timer = add_timer(loop, app->interval_ms, on_blink, app);
  app->poll_timer = add_timer(loop, kButtonPoll, on_poll, app);
  if (app->blink_timer == -1 || app->poll_timer == -1) {
    give_up(loop, app, ExitCode_CreateTimer, "create a timer");
  }
  return app->exit_code;
}

static ExitCode run(EventLoop* loop, App* app) {
  if (open_all(loop, app) != ExitCode_Success) {
    return app->exit_code;
  }
  Log_Debug("Blink interval: %d ms\n", app->interval_ms);
  while (!terminated && app->exit_code == ExitCode_Success) {
    // A signal ends the wait with EINTR.
    if (EventLoop_Run(loop, -1, true) == EventLoop_Run_Failed && errno != EINTR) {
      give_up(loop, app, ExitCode_RunLoop, "run the event loop");
    }
  }
  return app->exit_code;
}

int main(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_sigterm;
  if (sigaction(SIGTERM, &action, NULL) != 0) {
    return ExitCode_HandleSigterm;
  }
  EventLoop* loop = EventLoop_Create();
  if (loop == NULL) {
    Log_Debug("ERROR: cannot create the event loop: %s (%d)\n", strerror(errno), errno);
    return ExitCode_CreateLoop;
  }
  App app = {.led = -1,
             .button_pin = -1,
             .blink_timer = -1,
             .poll_timer = -1,
             .level = GPIO_Value_High,
             .interval_ms = kFirstInterval,
             .button = {.is_pressed = false, .last_sample = false},
             .exit_code = ExitCode_Success};
  const ExitCode code = run(loop, &app);
  EventLoop_Close(loop);
  return code;
}
