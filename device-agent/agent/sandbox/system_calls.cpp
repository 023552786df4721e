// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/system_calls.h"

#include <array>
#include <span>

namespace sphere::agent {
namespace {

// Where a reason is not plain from the name, it stands beside it. "32" marks the form that 32-bit
// ABIs have of the call before it.
// NOLINTBEGIN(modernize-use-designated-initializers): rows of a table
constexpr std::array kPlainCalls = {
    PlainCall{"brk", CallGroup::memory},
    PlainCall{"munmap", CallGroup::memory},
    PlainCall{"mremap", CallGroup::memory},
    PlainCall{"madvise", CallGroup::memory},

    PlainCall{"openat", CallGroup::files},
    PlainCall{"open", CallGroup::files},
    PlainCall{"close", CallGroup::files},
    PlainCall{"read", CallGroup::files},
    PlainCall{"readv", CallGroup::files},
    PlainCall{"pread64", CallGroup::files},
    PlainCall{"write", CallGroup::files},
    PlainCall{"writev", CallGroup::files},
    PlainCall{"pwrite64", CallGroup::files},
    PlainCall{"lseek", CallGroup::files},
    PlainCall{"_llseek", CallGroup::files},  // 32
    PlainCall{"fstat", CallGroup::files},
    PlainCall{"fstat64", CallGroup::files},  // 32
    PlainCall{"newfstatat", CallGroup::files},
    PlainCall{"fstatat64", CallGroup::files},  // 32
    PlainCall{"stat", CallGroup::files},       // musl's stat() on amd64
    PlainCall{"lstat", CallGroup::files},
    PlainCall{"stat64", CallGroup::files},   // 32
    PlainCall{"lstat64", CallGroup::files},  // 32
    PlainCall{"statx", CallGroup::files},
    PlainCall{"readlinkat", CallGroup::files},
    PlainCall{"readlink", CallGroup::files},
    PlainCall{"getdents64", CallGroup::files},
    PlainCall{"faccessat", CallGroup::files},
    PlainCall{"access", CallGroup::files},
    PlainCall{"fcntl", CallGroup::files},
    PlainCall{"fcntl64", CallGroup::files},  // 32
    PlainCall{"dup", CallGroup::files},
    PlainCall{"dup2", CallGroup::files},
    PlainCall{"dup3", CallGroup::files},
    PlainCall{"pipe", CallGroup::files},  // musl's pipe() on amd64 and armhf
    PlainCall{"pipe2", CallGroup::files},
    PlainCall{"ftruncate", CallGroup::files},
    PlainCall{"ftruncate64", CallGroup::files},  // 32
    PlainCall{"fsync", CallGroup::files},
    PlainCall{"fdatasync", CallGroup::files},
    PlainCall{"unlinkat", CallGroup::files},
    PlainCall{"unlink", CallGroup::files},    // musl's unlink(); /tmp is all there is
    PlainCall{"mkdir", CallGroup::files},     // in /tmp
    PlainCall{"mkdirat", CallGroup::files},   // in /tmp
    PlainCall{"rmdir", CallGroup::files},     // in /tmp
    PlainCall{"rename", CallGroup::files},    // in /tmp
    PlainCall{"renameat", CallGroup::files},  // in /tmp
    PlainCall{"getcwd", CallGroup::files},
    PlainCall{"chdir", CallGroup::files},
    PlainCall{"umask", CallGroup::files},
    PlainCall{"flock", CallGroup::files},

    PlainCall{"epoll_create", CallGroup::waiting},  // musl tries epoll_create1 first
    PlainCall{"epoll_create1", CallGroup::waiting},
    PlainCall{"epoll_ctl", CallGroup::waiting},
    PlainCall{"epoll_pwait", CallGroup::waiting},
    PlainCall{"epoll_wait", CallGroup::waiting},
    PlainCall{"poll", CallGroup::waiting},
    PlainCall{"ppoll", CallGroup::waiting},
    PlainCall{"ppoll_time64", CallGroup::waiting},  // 32
    PlainCall{"pselect6", CallGroup::waiting},
    PlainCall{"pselect6_time64", CallGroup::waiting},  // 32
    PlainCall{"select", CallGroup::waiting},           // musl's select() on amd64
    PlainCall{"_newselect", CallGroup::waiting},       // 32
    PlainCall{"eventfd2", CallGroup::waiting},
    PlainCall{"timerfd_create", CallGroup::waiting},
    PlainCall{"timerfd_settime", CallGroup::waiting},
    PlainCall{"timerfd_settime64", CallGroup::waiting},  // 32
    PlainCall{"timerfd_gettime", CallGroup::waiting},
    PlainCall{"timerfd_gettime64", CallGroup::waiting},  // 32
    PlainCall{"signalfd4", CallGroup::waiting},

    PlainCall{"clock_gettime", CallGroup::time},
    PlainCall{"clock_gettime64", CallGroup::time},  // 32
    PlainCall{"clock_getres", CallGroup::time},
    PlainCall{"clock_getres_time64", CallGroup::time},  // 32
    PlainCall{"clock_nanosleep", CallGroup::time},
    PlainCall{"clock_nanosleep_time64", CallGroup::time},  // 32
    PlainCall{"nanosleep", CallGroup::time},
    PlainCall{"gettimeofday", CallGroup::time},
    PlainCall{"times", CallGroup::time},
    PlainCall{"getrusage", CallGroup::time},
    PlainCall{"timer_create", CallGroup::time},  // The app's watchdog.
    PlainCall{"timer_settime", CallGroup::time},
    PlainCall{"timer_settime64", CallGroup::time},  // 32
    PlainCall{"timer_gettime", CallGroup::time},
    PlainCall{"timer_gettime64", CallGroup::time},  // 32
    PlainCall{"timer_getoverrun", CallGroup::time},
    PlainCall{"timer_delete", CallGroup::time},
    PlainCall{"setitimer", CallGroup::time},
    PlainCall{"getitimer", CallGroup::time},
    PlainCall{"alarm", CallGroup::time},

    PlainCall{"futex", CallGroup::threads},
    PlainCall{"futex_time64", CallGroup::threads},  // 32
    PlainCall{"set_tid_address", CallGroup::threads},
    PlainCall{"set_robust_list", CallGroup::threads},
    PlainCall{"rseq", CallGroup::threads},  // glibc registers each thread
    PlainCall{"gettid", CallGroup::threads},
    PlainCall{"getpid", CallGroup::threads},
    PlainCall{"getppid", CallGroup::threads},
    PlainCall{"getpgrp", CallGroup::threads},
    PlainCall{"getuid", CallGroup::threads},
    PlainCall{"getuid32", CallGroup::threads},  // 32
    PlainCall{"geteuid", CallGroup::threads},
    PlainCall{"geteuid32", CallGroup::threads},  // 32
    PlainCall{"getgid", CallGroup::threads},
    PlainCall{"getgid32", CallGroup::threads},  // 32
    PlainCall{"getegid", CallGroup::threads},
    PlainCall{"getegid32", CallGroup::threads},  // 32
    PlainCall{"sched_yield", CallGroup::threads},
    PlainCall{"sched_getaffinity", CallGroup::threads},  // sysconf(_SC_NPROCESSORS_ONLN)
    PlainCall{"exit", CallGroup::threads},
    PlainCall{"exit_group", CallGroup::threads},
    PlainCall{"wait4", CallGroup::threads},
    PlainCall{"waitid", CallGroup::threads},
    PlainCall{"fork", CallGroup::threads},   // musl's fork() on amd64 and armhf
    PlainCall{"vfork", CallGroup::threads},  // musl's posix_spawn() and system()
    PlainCall{"kill", CallGroup::threads},   // Landlock and the PID namespace keep it inside.
    PlainCall{"tkill", CallGroup::threads},  // musl's raise() and pthread_kill()
    PlainCall{"tgkill", CallGroup::threads},
    PlainCall{"rt_sigaction", CallGroup::threads},
    PlainCall{"rt_sigprocmask", CallGroup::threads},
    PlainCall{"rt_sigpending", CallGroup::threads},
    PlainCall{"rt_sigreturn", CallGroup::threads},
    PlainCall{"sigreturn", CallGroup::threads},  // 32
    PlainCall{"rt_sigsuspend", CallGroup::threads},
    PlainCall{"rt_sigtimedwait", CallGroup::threads},
    PlainCall{"rt_sigtimedwait_time64", CallGroup::threads},  // 32
    PlainCall{"sigaltstack", CallGroup::threads},
    PlainCall{"pause", CallGroup::threads},
    PlainCall{"restart_syscall", CallGroup::threads},
    PlainCall{"membarrier", CallGroup::threads},

    PlainCall{"getrandom", CallGroup::other},
    PlainCall{"uname", CallGroup::other},
    PlainCall{"sysinfo", CallGroup::other},
    PlainCall{"getrlimit", CallGroup::other},
    PlainCall{"ugetrlimit", CallGroup::other},  // 32
    PlainCall{"arch_prctl", CallGroup::other},  // amd64: thread pointer
    PlainCall{"set_tls", CallGroup::other},     // armhf: thread pointer
    PlainCall{"cacheflush", CallGroup::other},  // armhf

    PlainCall{"socketpair", CallGroup::sockets},
    PlainCall{"connect", CallGroup::sockets},
    PlainCall{"bind", CallGroup::sockets},
    PlainCall{"listen", CallGroup::sockets},
    PlainCall{"accept", CallGroup::sockets},
    PlainCall{"accept4", CallGroup::sockets},
    PlainCall{"getsockname", CallGroup::sockets},
    PlainCall{"getpeername", CallGroup::sockets},
    PlainCall{"sendto", CallGroup::sockets},
    PlainCall{"send", CallGroup::sockets},  // 32
    PlainCall{"recvfrom", CallGroup::sockets},
    PlainCall{"recv", CallGroup::sockets},  // 32
    PlainCall{"sendmsg", CallGroup::sockets},
    PlainCall{"recvmsg", CallGroup::sockets},
    PlainCall{"shutdown", CallGroup::sockets},
    PlainCall{"setsockopt", CallGroup::sockets},
    PlainCall{"getsockopt", CallGroup::sockets},

    // Landlock and the mounts say what can be executed.
    PlainCall{"execve", CallGroup::exec},
    PlainCall{"execveat", CallGroup::exec},

    PlainCall{"get_robust_list", CallGroup::emulator},
    PlainCall{"fchdir", CallGroup::emulator},
    PlainCall{"faccessat2", CallGroup::emulator},
    PlainCall{"statfs", CallGroup::emulator},
    PlainCall{"fstatfs", CallGroup::emulator},
    PlainCall{"epoll_pwait2", CallGroup::emulator},
    PlainCall{"rt_sigqueueinfo", CallGroup::emulator},
    PlainCall{"rt_tgsigqueueinfo", CallGroup::emulator},
    PlainCall{"getpgid", CallGroup::emulator},
    PlainCall{"getsid", CallGroup::emulator},
    PlainCall{"preadv", CallGroup::emulator},
    PlainCall{"pwritev", CallGroup::emulator},
    PlainCall{"renameat2", CallGroup::emulator},
    PlainCall{"recvmmsg", CallGroup::emulator},
    PlainCall{"sendmmsg", CallGroup::emulator},
    PlainCall{"msync", CallGroup::emulator},
};
// NOLINTEND(modernize-use-designated-initializers)

}  // namespace

std::span<const PlainCall> plain_calls() { return kPlainCalls; }

}  // namespace sphere::agent
