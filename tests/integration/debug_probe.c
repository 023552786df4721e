/* SPDX-License-Identifier: MIT */
/* An app to debug: counts, in two threads, and prints each tenth number. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <time.h>
#include <unistd.h>

static volatile int rounds;
static volatile int other;

static void rest(long milliseconds) {
  const struct timespec pause = {.tv_sec = milliseconds / 1000,
                                 .tv_nsec = milliseconds % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

__attribute__((noinline)) static int step_on(int value) {
  const int next = value + 1;
  rounds = next;
  return next;
}

static void* work(void* argument) {
  (void)argument;
  while (1) {
    other = other + 1;
    rest(1);
  }
  return NULL;
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "count";
  pthread_t thread;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("tracing: %ld\n", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  if (strcmp(mode, "threads") == 0 && pthread_create(&thread, NULL, work, NULL) != 0) {
    return 3;
  }
  if (strcmp(mode, "alarm") == 0) {
    alarm(1);
  }
  for (int value = 0; value < 100000; value = step_on(value)) {
    if (strcmp(mode, "crash") == 0 && value == 5) {
      *(volatile int*)0 = value;
    }
    if (strcmp(mode, "exit") == 0 && value == 5) {
      return 7;
    }
    if (value % 10 == 0) {
      printf("round %d\n", value);
    }
    rest(10);
  }
  return 0;
}
