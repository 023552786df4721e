/* SPDX-License-Identifier: MIT */
/*
 * Tries to break out of the sandbox it runs in, one way a row, each in a process of its own, and
 * prints "name TAB result" a line: SUCCEEDS, the name of the errno that stopped it, or KILLED(n).
 *
 * Several rows mount, fork or write to global files, so it exits 77 unless it is the child of a
 * pid 1 and its launcher has sent it the token on descriptor 3.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUCCEEDS 0
#define NO_RESULT 200 /* Above every errno. */
#define PAGE 4096U

/* "return 42" in the instructions of this machine. */
#if defined(__x86_64__)
static const unsigned char kReturn42[] = {0xB8, 0x2A, 0, 0, 0, 0xC3};
#elif defined(__aarch64__)
static const unsigned char kReturn42[] = {0x40, 0x05, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6};
#else
static const unsigned char kReturn42[] = {0x2A, 0x00, 0xA0, 0xE3, 0x1E, 0xFF, 0x2F, 0xE1};
#endif

/* On a page of its own, so that overwriting it breaks nothing else. */
__attribute__((noinline, aligned(4096), section(".text.victim"))) static int victim(void) {
  __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop");
  return 1;
}

static int call(void* code) {
  int (*function)(void) = NULL;
  memcpy(&function, &code, sizeof(function));
  return function() == 42 ? SUCCEEDS : NO_RESULT;
}

static void* victim_page(void) {
  int (*function)(void) = victim;
  void* page = NULL;
  memcpy(&page, &function, sizeof(page));
  return page;
}

static int write_memory(const char* path) {
  const int file = open(path, O_RDWR);
  if (file < 0) {
    return errno;
  }
  if (pwrite(file, kReturn42, sizeof(kReturn42), (off_t)(uintptr_t)victim_page()) < 0) {
    return errno;
  }
  return call(victim_page());
}

static int self_mem(void) { return write_memory("/proc/self/mem"); }
static int thread_self_mem(void) { return write_memory("/proc/thread-self/mem"); }
static int pid_mem(void) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/mem", (int)getpid());
  return write_memory(path);
}
static int task_mem(void) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/mem", (int)getpid());
  return write_memory(path);
}
static int parent_mem(void) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
  return write_memory(path);
}
/* A descriptor of /proc/self/mem that a child has opened and passes on. */
static int passed_mem(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0) {
    return errno;
  }
  const pid_t child = fork();
  if (child == 0) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
    const int file = open(path, O_RDWR);
    const int number = errno;
    const unsigned char failed = file < 0 ? (unsigned char)number : 0;
    (void)!write(ends[1], &failed, 1);
    _exit(0);
  }
  unsigned char failed = 0;
  if (read(ends[0], &failed, 1) != 1) {
    return NO_RESULT;
  }
  waitpid(child, NULL, 0);
  return failed;
}

static int ptrace_poke(void) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const long attached = ptrace(PTRACE_ATTACH, child, NULL, NULL);
  int result = attached == 0 ? SUCCEEDS : errno;
  if (attached == 0) {
    waitpid(child, NULL, 0);
    long word = 0;
    memcpy(&word, kReturn42, sizeof(kReturn42) < sizeof(word) ? sizeof(kReturn42) : sizeof(word));
    result = ptrace(PTRACE_POKETEXT, child, victim_page(), word) == 0 ? SUCCEEDS : errno;
  }
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return result;
}

static int vm_writev(void) {
  unsigned char code[sizeof(kReturn42)];
  memcpy(code, kReturn42, sizeof(code));
  const struct iovec from = {.iov_base = code, .iov_len = sizeof(code)};
  const struct iovec to = {.iov_base = victim_page(), .iov_len = sizeof(code)};
  return process_vm_writev(getpid(), &from, 1, &to, 1, 0) < 0 ? errno : call(victim_page());
}

static int mmap_rwx(void) {
  void* page =
      mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return errno;
  }
  memcpy(page, kReturn42, sizeof(kReturn42));
  __builtin___clear_cache((char*)page, (char*)page + PAGE);
  return call(page);
}

static int mprotect_rx(void) {
  void* page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return NO_RESULT;
  }
  memcpy(page, kReturn42, sizeof(kReturn42));
  __builtin___clear_cache((char*)page, (char*)page + PAGE);
  return mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0 ? errno : call(page);
}

/* A file in /tmp that is mapped as code. */
static int map_temporary(void) {
  const int file = open("/tmp/code", O_RDWR | O_CREAT | O_TRUNC, 0700);
  if (file < 0 || write(file, kReturn42, sizeof(kReturn42)) < 0) {
    return NO_RESULT;
  }
  void* page = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  return page == MAP_FAILED ? errno : call(page);
}

static int memory_file(void) { return (int)syscall(SYS_memfd_create, "code", 0); }

static int memfd_map(void) {
  const int file = memory_file();
  if (file < 0) {
    return errno;
  }
  if (write(file, kReturn42, sizeof(kReturn42)) < 0) {
    return NO_RESULT;
  }
  void* page = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  return page == MAP_FAILED ? errno : call(page);
}

static int read_implies_exec(void) {
  if (syscall(SYS_personality, READ_IMPLIES_EXEC) < 0) { /* glibc's own hides errors on 32 bits. */
    return errno;
  }
  void* page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return errno;
  }
  memcpy(page, kReturn42, sizeof(kReturn42));
  return call(page);
}

/* Any program does: the kernel's answer comes before it looks at the content. */
static int exec_copy(void) {
  static const char kScript[] = "#!/proc/self/exe\n";
  const int file = open("/tmp/copy", O_WRONLY | O_CREAT | O_TRUNC, 0700);
  if (file < 0 || write(file, kScript, sizeof(kScript) - 1) < 0) {
    return NO_RESULT;
  }
  close(file);
  char* arguments[] = {(char*)"/tmp/copy", NULL};
  char* environment[] = {NULL};
  execve("/tmp/copy", arguments, environment);
  return errno;
}

static int execveat_memfd(void) {
  const int file = memory_file();
  if (file < 0) {
    return errno;
  }
  char* arguments[] = {(char*)"code", NULL};
  char* environment[] = {NULL};
  syscall(SYS_execveat, file, "", arguments, environment, AT_EMPTY_PATH);
  return errno;
}

static int make_device(const char* path) {
  return mknod(path, S_IFCHR | 0600, makedev(1, 3)) != 0 ? errno : SUCCEEDS;
}
static int mknod_device(void) { return make_device("/tmp/device"); }
static int mknod_open(void) {
  const int made = make_device("/tmp/device2");
  if (made != SUCCEEDS) {
    return made;
  }
  return open("/tmp/device2", O_RDONLY) < 0 ? errno : SUCCEEDS;
}

static int unshare_user(void) { return unshare(CLONE_NEWUSER) != 0 ? errno : SUCCEEDS; }
static int mount_tmp(void) {
  return mount("tmpfs", "/tmp", "tmpfs", 0, NULL) != 0 ? errno : SUCCEEDS;
}
static int user_then_mount(void) {
  return unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ? errno : mount_tmp();
}
static int clone3_user(void) {
  uint64_t arguments[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
  const long child = syscall(SYS_clone3, arguments, sizeof(arguments));
  if (child == 0) {
    _exit(0);
  }
  return child < 0 ? errno : SUCCEEDS;
}
static int clone_user(void) {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    _exit(0);
  }
  return child < 0 ? errno : SUCCEEDS;
}
static int set_namespace(void) {
  const int space = open("/proc/self/ns/net", O_RDONLY);
  return space < 0 || setns(space, 0) != 0 ? errno : SUCCEEDS;
}
static int open_filesystem(void) { return syscall(SYS_fsopen, "tmpfs", 0) < 0 ? errno : SUCCEEDS; }
static int change_root(void) { return chroot("/tmp") != 0 ? errno : SUCCEEDS; }

static int kernel_log(void) {
  char buffer[256];
  return klogctl(3, buffer, sizeof(buffer)) < 0 ? errno : SUCCEEDS;
}
static int kernel_log_device(void) { return open("/dev/kmsg", O_RDONLY) < 0 ? errno : SUCCEEDS; }

static int make_socket(int family, int type) {
  return socket(family, type, 0) < 0 ? errno : SUCCEEDS;
}
static int packet_socket(void) { return make_socket(17, SOCK_RAW); }
static int alg_socket(void) { return make_socket(38, SOCK_SEQPACKET); }
static int inet_socket(void) { return make_socket(AF_INET, SOCK_STREAM); }
static int netlink_socket(void) { return make_socket(16, SOCK_RAW); }
static int vsock_socket(void) { return make_socket(40, SOCK_STREAM); }
static int raw_socket(void) {
  return socket(AF_INET, SOCK_RAW, 1 /* ICMP */) < 0 ? errno : SUCCEEDS;
}

static int bpf_map(void) {
  uint32_t attributes[16] = {2, 4, 4, 1};
  return syscall(SYS_bpf, 0, attributes, sizeof(attributes)) < 0 ? errno : SUCCEEDS;
}
static int io_uring(void) {
  unsigned char parameters[128] = {0};
  return syscall(SYS_io_uring_setup, 4, parameters) < 0 ? errno : SUCCEEDS;
}
static int user_fault(void) { return syscall(SYS_userfaultfd, 1) < 0 ? errno : SUCCEEDS; }
static int perf_event(void) {
  uint64_t attributes[16] = {1U | ((uint64_t)sizeof(uint64_t[14]) << 32U)};
  return syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0) < 0 ? errno : SUCCEEDS;
}
static int key_control(void) { return syscall(SYS_keyctl, 0, -3, 1) < 0 ? errno : SUCCEEDS; }

static int write_image(void) { return open("app_manifest.json", O_WRONLY) < 0 ? errno : SUCCEEDS; }
static int plant_in_image(void) {
  return open("planted", O_WRONLY | O_CREAT, 0700) < 0 ? errno : SUCCEEDS;
}
static int sysrq(void) { return open("/proc/sysrq-trigger", O_WRONLY) < 0 ? errno : SUCCEEDS; }
static int core_pattern(void) {
  return open("/proc/sys/kernel/core_pattern", O_WRONLY) < 0 ? errno : SUCCEEDS;
}

static int host_pids(void) {
  DIR* directory = opendir("/proc");
  if (directory == NULL) {
    return errno;
  }
  for (struct dirent* entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    const int pid = atoi(entry->d_name);
    if (pid > 0 && pid != getpid() && pid != getppid()) {
      return SUCCEEDS;
    }
  }
  closedir(directory);
  struct stat status;
  return stat("/proc/1/status", &status) == 0 ? SUCCEEDS : errno;
}
static int signal_init(void) { return kill(1, 0) != 0 ? errno : SUCCEEDS; }

static int message_queue(void) {
  return syscall(SYS_mq_open, "probe", O_RDWR | O_CREAT, 0600, NULL) < 0 ? errno : SUCCEEDS;
}
static int shared_memory(void) {
  return syscall(SYS_shmget, 0, 4096, 01600) < 0 ? errno : SUCCEEDS;
}
static int semaphores(void) { return syscall(SYS_semget, 0, 1, 01600) < 0 ? errno : SUCCEEDS; }

static int many_forks(void) {
  static pid_t children[600];
  int result = SUCCEEDS;
  int count = 0;
  while (count < 600) {
    const pid_t child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    if (child < 0) {
      result = errno;
      break;
    }
    children[count++] = child;
  }
  for (int i = 0; i < count; i++) {
    kill(children[i], SIGKILL);
    waitpid(children[i], NULL, 0);
  }
  return result;
}

static int set_user(void) { return setuid(0) != 0 ? errno : SUCCEEDS; }
static int raise_limit(void) {
  const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
  return setrlimit(RLIMIT_NOFILE, &limit) != 0 ? errno : SUCCEEDS;
}
static int inject_terminal(void) {
  return ioctl(0, 0x5412 /* TIOCSTI */, "x") != 0 ? errno : SUCCEEDS;
}
/* The name is one that the launching test listens on, outside. */
static int abstract_socket(void) {
  const int local = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  static const char kName[] = "sphere-attack-probe";
  memcpy(address.sun_path + 1, kName, sizeof(kName) - 1);
  const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(kName));
  return connect(local, (const struct sockaddr*)&address, size) != 0 ? errno : SUCCEEDS;
}

struct probe {
  const char* name;
  int (*run)(void);
};

static const struct probe kProbes[] = {
    {"P1 self-mem", self_mem},
    {"P2 thread-self-mem", thread_self_mem},
    {"P3 ptrace", ptrace_poke},
    {"P4 process-vm-writev", vm_writev},
    {"P5 mmap-rwx", mmap_rwx},
    {"P6 mprotect-rx", mprotect_rx},
    {"P7 memfd-map", memfd_map},
    {"P8 read-implies-exec", read_implies_exec},
    {"P9 exec-copy", exec_copy},
    {"P10 execveat-memfd", execveat_memfd},
    {"P11 mknod", mknod_device},
    {"P12 mknod-open", mknod_open},
    {"P13 unshare-user", unshare_user},
    {"P14 user-then-mount", user_then_mount},
    {"P15 mount", mount_tmp},
    {"P16 kernel-log", kernel_log},
    {"P17 packet-socket", packet_socket},
    {"P18 alg-socket", alg_socket},
    {"P19 inet-socket", inet_socket},
    {"P20 netlink-socket", netlink_socket},
    {"P21 vsock-socket", vsock_socket},
    {"P22 bpf", bpf_map},
    {"P23 io-uring", io_uring},
    {"P24 userfaultfd", user_fault},
    {"P25 perf-event", perf_event},
    {"P26 keyctl", key_control},
    {"P27 write-image", write_image},
    {"P28 sysrq", sysrq},
    {"P29 core-pattern", core_pattern},
    {"P30 host-pids", host_pids},
    {"P31 mq-open", message_queue},
    {"P32 shmget", shared_memory},
    {"P33 many-forks", many_forks},
    {"P34 setuid", set_user},
    {"X1 pid-mem", pid_mem},
    {"X2 task-mem", task_mem},
    {"X3 parent-mem", parent_mem},
    {"X4 passed-mem", passed_mem},
    {"X5 map-temporary", map_temporary},
    {"X6 clone3-user", clone3_user},
    {"X7 clone-user", clone_user},
    {"X8 setns", set_namespace},
    {"X9 fsopen", open_filesystem},
    {"X10 chroot", change_root},
    {"X11 kmsg", kernel_log_device},
    {"X12 plant-in-image", plant_in_image},
    {"X13 signal-init", signal_init},
    {"X14 semget", semaphores},
    {"X15 raise-limit", raise_limit},
    {"X16 tiocsti", inject_terminal},
    {"X17 abstract-socket", abstract_socket},
    {"X18 raw-socket", raw_socket},
};

static int is_sandboxed(void) {
  static const char kToken[] = "attack";
  char buffer[16] = "";
  struct pollfd socket = {.fd = 3, .events = POLLIN};
  return getppid() == 1 && getpid() != 1 && poll(&socket, 1, 1000) == 1 &&
         recv(3, buffer, sizeof(buffer), MSG_DONTWAIT) == (ssize_t)sizeof(kToken) - 1 &&
         memcmp(buffer, kToken, sizeof(kToken) - 1) == 0;
}

static void run_probe(const struct probe* probe) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(5);
    _exit(probe->run());
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) {
    printf("%s\tno process\n", probe->name);
  } else if (WIFSIGNALED(status)) {
    printf("%s\tKILLED(%d)\n", probe->name, WTERMSIG(status));
  } else if (WEXITSTATUS(status) == SUCCEEDS) {
    printf("%s\tSUCCEEDS\n", probe->name);
  } else {
    printf("%s\t%s\n", probe->name,
           WEXITSTATUS(status) >= NO_RESULT ? "no result" : strerrorname_np(WEXITSTATUS(status)));
  }
}

int main(int argc, char* argv[]) {
  if (!is_sandboxed()) {
    fprintf(stderr, "attack_probe runs in a sandbox only\n");
    return 77;
  }
  for (size_t i = 0; i < sizeof(kProbes) / sizeof(kProbes[0]); i++) {
    if (argc < 2 || strcmp(argv[1], kProbes[i].name) == 0) {
      run_probe(&kProbes[i]);
    }
  }
  fflush(stdout);
  return 0;
}
