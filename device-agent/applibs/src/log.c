/* SPDX-License-Identifier: MIT */
#include <applibs/log.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * Descriptor 2 is the pipe to the agent, set non-blocking by it. A write of at most PIPE_BUF bytes
 * to a pipe is all or nothing, so messages up to that size stay whole between threads.
 */

enum { usual_length = 1024 };

static atomic_uint dropped;
static atomic_llong next_report_second;

/* 0, or an errno number. */
static int write_all(const char* text, size_t length) {
  size_t written = 0;
  while (written < length) {
    const size_t left = length - written;
    const ssize_t count =
        write(STDERR_FILENO, text + written, left < PIPE_BUF ? left : (size_t)PIPE_BUF);
    if (count >= 0) {
      written += (size_t)count;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

/* Says how many messages were lost, at most once a second. */
static void report_dropped(void) {
  if (atomic_load(&dropped) == 0) {
    return;
  }
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  long long due = atomic_load(&next_report_second);
  if ((long long)now.tv_sec < due ||
      !atomic_compare_exchange_strong(&next_report_second, &due, (long long)now.tv_sec + 1)) {
    return;
  }
  const unsigned count = atomic_exchange(&dropped, 0);
  char line[64];
  const int length = snprintf(line, sizeof(line), "[log: %u messages dropped]\n", count);
  if (write_all(line, (size_t)length) != 0) {
    atomic_store(&next_report_second, 0);
    atomic_fetch_add(&dropped, count);
  }
}

/* 0, or an errno number. */
static int put(const char* text, size_t length) {
  report_dropped();
  const int error = write_all(text, length);
  if (error == EAGAIN) {
    atomic_fetch_add(&dropped, 1);
  }
  return error;
}

/* 0, or an errno number. */
static int format_long(const char* fmt, va_list args, size_t length) {
  char* text = malloc(length + 1);
  if (text == NULL) {
    return ENOMEM;
  }
  (void)vsnprintf(text, length + 1, fmt, args);
  const int error = put(text, length);
  free(text);
  return error;
}

int Log_DebugVarArgs(const char* fmt, va_list args) {
  if (fmt == NULL) {
    errno = EFAULT;
    return -1;
  }
  const int before = errno;
  char text[usual_length];
  va_list again;
  va_copy(again, args);
  const int length = vsnprintf(text, sizeof(text), fmt, args);
  int error = 0;
  if (length < 0) {
    error = errno;
  } else if ((size_t)length < sizeof(text)) {
    error = put(text, (size_t)length);
  } else {
    error = format_long(fmt, again, (size_t)length);
  }
  va_end(again);
  errno = error != 0 ? error : before;
  return error != 0 ? -1 : 0;
}

int Log_Debug(const char* fmt, ...) {
  va_list args;
  va_start(args, fmt);
  const int result = Log_DebugVarArgs(fmt, args);
  va_end(args);
  return result;
}
