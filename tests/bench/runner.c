// SPDX-License-Identifier: MIT
// runner SECONDS_FILE COMMAND [ARGUMENT...]
//
// Runs one command with its standard streams on /dev/null (standard input is kept), and writes one
// line to SECONDS_FILE: wall and CPU milliseconds (user + system, children included), peak memory
// in KiB, exit status (128 + n for signal n). It is as small as it is because a child's peak memory
// as the kernel counts it begins at that of the process it was forked from.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static double milliseconds(struct timeval time) {
  return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

int main(int count, char** words) {
  if (count < 3) {
    fputs("usage: runner SECONDS_FILE COMMAND [ARGUMENT...]\n", stderr);
    return 2;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  struct timespec begin;
  struct timespec end;
  pid_t child = 0;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  if (posix_spawnp(&child, words[2], &actions, NULL, words + 2, environ) != 0) {
    perror(words[2]);
    return 1;
  }
  int status = 0;
  struct rusage usage;
  wait4(child, &status, 0, &usage);
  clock_gettime(CLOCK_MONOTONIC, &end);
  FILE* out = fopen(words[1], "w");
  if (out == NULL) {
    perror(words[1]);
    return 1;
  }
  fprintf(out, "%.4f %.4f %ld %d\n",
          (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6,
          milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime), usage.ru_maxrss,
          WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  return fclose(out) == 0 ? 0 : 1;
}
