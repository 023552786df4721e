// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/privileges.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

Step drop_bounding_set() {
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (auto set = require(::prctl(PR_SET_SECUREBITS, kBits) == 0, "L5", "set the secure bits");
      !set) {
    return set;
  }
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (auto dropped = require(::prctl(PR_CAPBSET_DROP, capability) == 0, "L5",
                               "empty the capability bounding set");
        !dropped) {
      return dropped;
    }
  }
  return {};
}

Step drop_capabilities() {
  // Kernels before 4.3 have no ambient set.
  [[maybe_unused]] const int ambient = ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, 2> none = {};
  if (auto emptied = require(::syscall(SYS_capset, &header, none.data()) == 0, "L5",
                             "empty the capability sets");
      !emptied) {
    return emptied;
  }
  return require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "L5", "set no_new_privs");
}

Step change_user(std::uint32_t uid) {
  if (auto group = require(::setresgid(uid, uid, uid) == 0, "L0", "change the group"); !group) {
    return group;
  }
  return require(::setresuid(uid, uid, uid) == 0, "L0", "change the user");
}

bool refuse_executable_pages() {
  constexpr int kSetMdwe = 65;  // PR_SET_MDWE of linux/prctl.h since 6.3.
  constexpr unsigned long kRefuseExecGain = 1;
  return ::prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) == 0;
}

Step leave_key_ring() {
  const auto ring = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  // A kernel without keys has none to leave; some container hosts forbid the call, and then the
  // app's filter forbids it as well.
  return require(ring >= 0 || errno == ENOSYS || errno == EPERM, "L5", "make a key ring");
}

Step set_limits(const Plan& plan) {
  const auto limit = [](auto which, std::uint64_t value) {
    const rlimit both = {.rlim_cur = value, .rlim_max = value};
    return ::setrlimit(which, &both) == 0;
  };
  if (!limit(RLIMIT_NOFILE, kDescriptorLimit) || !limit(RLIMIT_NPROC, kProcessLimit) ||
      !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_MEMLOCK, 0) ||
      !limit(RLIMIT_FSIZE, plan.file_bytes) ||
      (plan.address_space_bytes > 0 && !limit(RLIMIT_AS, plan.address_space_bytes))) {
    return require(false, "L8", "set the resource limits");
  }
  return require(::signal(SIGXFSZ, SIG_IGN) != SIG_ERR, "L8", "ignore SIGXFSZ");
}

}  // namespace sphere::agent
