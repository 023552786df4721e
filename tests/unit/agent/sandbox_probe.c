/* SPDX-License-Identifier: MIT */
/*
 * Runs inside a sandbox and prints what it sees, one "name: value" a line. Its arguments say how it
 * ends: "exit N", "abort", "crash", "memory", "fill", "alarm", or "wait" for a signal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare(const void* a, const void* b) {
  return strcmp(*(const char* const*)a, *(const char* const*)b);
}

static void list(const char* name, const char* path) {
  DIR* directory = opendir(path);
  char* names[64];
  size_t count = 0;
  if (directory == NULL) {
    printf("%s: error %d\n", name, errno);
    return;
  }
  const int own = dirfd(directory);
  for (struct dirent* entry = readdir(directory); entry != NULL && count < 64;
       entry = readdir(directory)) {
    char number[16];
    snprintf(number, sizeof(number), "%d", own);
    if (entry->d_name[0] != '.' &&
        (strcmp(path, "/proc/self/fd") != 0 || strcmp(entry->d_name, number) != 0)) {
      names[count++] = strdup(entry->d_name);
    }
  }
  closedir(directory);
  qsort(names, count, sizeof(names[0]), compare);
  printf("%s:", name);
  for (size_t i = 0; i < count; i++) {
    printf(" %s", names[i]);
    free(names[i]);
  }
  printf("\n");
}

static void try_write(const char* name, const char* path) {
  const int file = open(path, O_WRONLY | O_CREAT, 0755);
  printf("%s: %d\n", name, file < 0 ? errno : 0);
  if (file >= 0) {
    close(file);
  }
}

static void copy_lines(const char* name, const char* path, const char* const* prefixes) {
  FILE* file = fopen(path, "r");
  char line[512];
  while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
    for (size_t i = 0; prefixes[i] != NULL; i++) {
      if (strncmp(line, prefixes[i], strlen(prefixes[i])) == 0) {
        printf("%s %s", name, line);
      }
    }
  }
  if (file != NULL) {
    fclose(file);
  }
}

static void count_processes(void) {
  DIR* directory = opendir("/proc");
  int count = 0;
  for (struct dirent* entry = directory == NULL ? NULL : readdir(directory); entry != NULL;
       entry = readdir(directory)) {
    count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
  }
  if (directory != NULL) {
    closedir(directory);
  }
  printf("visible processes: %d\n", count);
}

/* Ends in a fault whose place the test knows. */
__attribute__((noinline)) static void crash_here(volatile int* where) { *where = 1; }

static void crash(void) {
  volatile int* volatile nowhere = NULL;
  void (*function)(volatile int*) = crash_here;
  uintptr_t address = 0;
  memcpy(&address, &function, sizeof(address));
  printf("crash at: %#lx\n", (unsigned long)address);
  fflush(stdout);
  crash_here(nowhere);
  printf("still here\n");
}

/* Touches memory until something stops it, and says how much after each 16 KiB. */
static void use_memory(void) {
  for (unsigned kib = 16; kib <= 65536; kib += 16) {
    char* piece = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) {
      printf("memory: error %d\n", errno);
      break;
    }
    memset(piece, 1, 16384);
    printf("memory: %u\n", kib);
    fflush(stdout);
  }
}

/* Fills a file to the edge, then tries every way beyond it that an app has. */
static void fill_file(void) {
  static char piece[1000];
  const int file = open("/tmp/fill", O_RDWR | O_CREAT | O_TRUNC, 0600);
  long total = 0;
  ssize_t count = 0;
  while ((count = write(file, piece, sizeof(piece))) > 0) {
    total += count;
  }
  printf("fill: %ld %d\n", total, errno);
  printf("extend: %d\n", ftruncate(file, 1 << 20) == 0 ? 0 : errno);
  printf("sparse: %d\n", pwrite(file, "x", 1, 1 << 20) == 1 ? 0 : errno);
  printf("still here\n");
}

int main(int argc, char* argv[]) {
  static const char* const kStatus[] = {"CapEff", "CapBnd", "NoNewPrivs", NULL};
  static const char* const kNetwork[] = {"  eth", "  wlan", "  en", NULL};
  char folder[256] = "";
  printf("uid: %u %u\n", getuid(), getgid());
  printf("pid: %d %d\n", (int)getpid(), (int)getppid());
  printf("cwd: %s\n", getcwd(folder, sizeof(folder)) == NULL ? "" : folder);
  printf("environment: %s\n", environ[0] == NULL ? "empty" : environ[0]);
  list("devices", "/dev");
  list("root", "/");
  list("descriptors", "/proc/self/fd");
  try_write("write image", "planted");
  try_write("write root", "/planted");
  try_write("write tmp", "/tmp/planted");
  copy_lines("status", "/proc/self/status", kStatus);
  copy_lines("network", "/proc/net/dev", kNetwork);
  count_processes();
  printf("setuid: %d\n", setuid(0) == 0 ? 0 : errno);
  fflush(stdout);
  if (argc > 2 && strcmp(argv[1], "exit") == 0) {
    return atoi(argv[2]);
  }
  if (argc > 1 && strcmp(argv[1], "abort") == 0) {
    abort();
  }
  if (argc > 1 && strcmp(argv[1], "crash") == 0) {
    crash();
  }
  if (argc > 1 && strcmp(argv[1], "fill") == 0) {
    fill_file();
  }
  if (argc > 1 && strcmp(argv[1], "memory") == 0) {
    use_memory();
  }
  if (argc > 1 && strcmp(argv[1], "alarm") == 0) {
    const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    pause();
  }
  while (argc > 1 && strcmp(argv[1], "wait") == 0) {
    pause();
  }
  return 0;
}
