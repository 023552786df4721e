/* SPDX-License-Identifier: MIT */

/* An app that checks, from inside, what its library and its sysroot owe it. Prints what fails. */
#include <applibs/applications.h>
#include <applibs/eventloop.h>
#include <applibs/gpio.h>
#include <applibs/log.h>
#include <applibs/networking.h>
#include <applibs/storage.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/applibs/abi.h"

int __z_azsp_open(const char* path, int flags, ...);

static int failures;

static void expect(bool is_met, const char* what) {
  if (!is_met) {
    printf("FAILED: %s (errno %d, %s)\n", what, errno, strerror(errno));
    ++failures;
  }
}

static void check_descriptors(void) {
  expect(fcntl(3, F_GETFD) == -1 && errno == EBADF, "descriptor 3 is free");
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  expect(fd == 3, "the first descriptor an app opens is 3");
  close(fd);
}

static void check_gpio(void) {
  GPIO_Value_Type value = GPIO_Value_Low;
  const int out = GPIO_OpenAsOutput(8, GPIO_OutputMode_PushPull, GPIO_Value_High);
  expect(out >= 0, "GPIO_OpenAsOutput");
  expect(GPIO_GetValue(out, &value) == 0 && value == GPIO_Value_High, "the initial value");
  expect(GPIO_SetValue(out, GPIO_Value_Low) == 0, "GPIO_SetValue");
  expect(GPIO_GetValue(out, &value) == 0 && value == GPIO_Value_Low, "the value set");
  expect(close(out) == 0 && GPIO_GetValue(out, &value) == -1 && errno == EBADF, "a closed pin");
}

static void check_storage(void) {
  char text[4] = "";
  const int fd = Storage_OpenMutableFile();
  expect(fd >= 0 && write(fd, "abc", 3) == 3, "write to the mutable file");
  expect(lseek(fd, 0, SEEK_SET) == 0 && read(fd, text, 3) == 3 && strcmp(text, "abc") == 0,
         "read from the mutable file");
  close(fd);
  expect(Storage_DeleteMutableFile() == -1 && errno == EACCES, "a refusal of the agent");
  char* path = Storage_GetAbsolutePathInImagePackage("a.txt");
  expect(path != NULL && path[0] == '/', "Storage_GetAbsolutePathInImagePackage");
  free(path);
  expect(Storage_OpenFileInImagePackage("no-such-file") == -1 && errno == ENOENT,
         "a file that is not in the package");
}

static void on_timer(EventLoop* el, int fd, EventLoop_IoEvents events, void* context) {
  unsigned char count[8];
  (void)events;
  if (read(fd, count, sizeof(count)) == (ssize_t)sizeof(count) && ++*(int*)context == 3) {
    EventLoop_Stop(el);
  }
}

static void check_event_loop(void) {
  int ticks = 0;
  EventLoop* el = EventLoop_Create();
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const struct itimerspec period = {.it_interval = {.tv_nsec = 5000000},
                                    .it_value = {.tv_nsec = 5000000}};
  expect(timerfd_settime(timer, 0, &period, NULL) == 0, "timerfd_settime");
  EventRegistration* reg = EventLoop_RegisterIo(el, timer, EventLoop_Input, on_timer, &ticks);
  expect(reg != NULL, "EventLoop_RegisterIo");
  expect(EventLoop_Run(el, 5000, false) == EventLoop_Run_Finished && ticks == 3, "EventLoop_Run");
  expect(EventLoop_UnregisterIo(el, reg) == 0, "EventLoop_UnregisterIo");
  close(timer);
  EventLoop_Close(el);
}

static void check_device_access(void) {
  int available = -1;
  expect(__z_azsp_open("/dev/pwm0", O_RDWR | O_CLOEXEC) == -1 && errno == ENOENT,
         "a device without capability looks like a missing file");
  int ends[2];
  expect(pipe(ends) == 0 && write(ends[1], "xyz", 3) == 3, "pipe");
  expect(ioctl(ends[0], FIONREAD, &available) == 0 && available == 3, "ioctl reaches the kernel");
  const int fd = __z_azsp_open("/dev/null", O_RDONLY);
  expect(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "__z_azsp_open");
}

int main(void) {
  bool is_ready = true;
  check_descriptors();
  check_gpio();
  check_storage();
  check_event_loop();
  check_device_access();
  expect(Networking_IsNetworkingReady(&is_ready) == 0 && !is_ready, "Networking_IsNetworkingReady");
  expect(Applications_GetTotalMemoryUsageInKB() == 0 && errno == EACCES, "a refused figure");
  expect(Log_Debug("%s %lld\n", "probe", 1LL << 40) == 0, "Log_Debug");
  return failures + sphere_abi_failures() == 0 ? 0 : 1;
}
