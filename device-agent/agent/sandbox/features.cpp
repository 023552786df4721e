// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/features.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device-agent/agent/sandbox/landlock.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/privileges.h"

namespace sphere::agent {
namespace {

template <typename Deed>
bool works(Deed deed) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(deed() ? 0 : 1);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

bool can_unshare(int flags) {
  return works([flags] { return ::unshare(flags) == 0; });
}

bool can_pivot(const std::filesystem::path& staging) {
  return works([&] {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("tmpfs", staging.c_str(), "tmpfs", 0, "size=4k") == 0 &&
           ::chdir(staging.c_str()) == 0 && ::syscall(SYS_pivot_root, ".", ".") == 0;
  });
}

bool can_filter_calls() {
  return works([] {
    std::array<sock_filter, 4> filter = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program = {.len = filter.size(), .filter = filter.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 &&
           ::syscall(SYS_getppid) == -1 && errno == EPERM;
  });
}

bool refuses_executable_pages() {
  return works([] {
    if (!refuse_executable_pages()) {
      return false;
    }
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED;  // NOLINT(performance-no-int-to-ptr): the macro's own cast
  });
}

bool landlock_refuses() {
  return works([] {
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && refuse_all_files() &&
           ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES;
  });
}

}  // namespace

KernelFeatures probe_kernel(const std::filesystem::path& staging) {
  KernelFeatures features;
  utsname kernel = {};
  if (::uname(&kernel) == 0) {
    features.release = static_cast<const char*>(kernel.release);
  }
  features.pid_namespace = can_unshare(CLONE_NEWPID);
  features.mount_namespace = can_unshare(CLONE_NEWNS);
  features.ipc_namespace = can_unshare(CLONE_NEWIPC);
  features.uts_namespace = can_unshare(CLONE_NEWUTS);
  features.network_namespace = can_unshare(CLONE_NEWNET);
  features.user_namespace = can_unshare(CLONE_NEWUSER);
  features.cgroup_namespace = can_unshare(CLONE_NEWCGROUP);
  features.pivot_root = can_pivot(staging);
  features.seccomp = can_filter_calls();
  features.mdwe = refuses_executable_pages();
  features.landlock_abi = landlock_refuses() ? landlock_abi() : 0;
  return features;
}

}  // namespace sphere::agent
