// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/private_mounts.h"

#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::agent {
namespace {

Error layer_error(std::string_view what, int number, std::string_view next) {
  return system_error(what, "the sandbox (layer L1 namespaces)", number)
      .with_hint({.reason = "board.sandbox", .value = "L1", .next = std::string{next}});
}

Result<void> enter_user_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return tl::unexpected<Error>{layer_error(
        "make a user namespace for", errno,
        "run the board outside a chroot, allow user namespaces (sysctl "
        "user.max_user_namespaces and kernel.unprivileged_userns_clone), or run it as root")};
  }
  for (const auto& [path, text] : {std::pair{"/proc/self/setgroups", std::string{"deny"}},
                                   std::pair{"/proc/self/uid_map", fmt::format("0 {} 1", uid)},
                                   std::pair{"/proc/self/gid_map", fmt::format("0 {} 1", gid)}}) {
    const Descriptor file{::open(path, O_WRONLY | O_CLOEXEC)};
    if (!file) {
      return tl::unexpected<Error>{system_error("open", path, errno)};
    }
    SPHERE_TRY(write_all(file.get(), std::as_bytes(std::span{text}), path));
  }
  return {};
}

// In a chroot whose root is no mount point there is nothing to make private, and no pivot_root()
// either. A bind mount of the root is one. It must not stand on the root itself: the mount below
// may be shared with the host, which would then get the bind mount, too. /proc is a mount point in
// every chroot that works, and can be made private on its own.
bool make_root_a_mount() {
  return ::mount(nullptr, "/proc", nullptr, MS_PRIVATE, nullptr) == 0 &&
         ::mount("/", "/proc", nullptr, MS_BIND | MS_REC, nullptr) == 0 && ::chdir("/proc") == 0 &&
         ::chroot(".") == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
}

}  // namespace

Result<bool> enter_private_mounts() {
  const bool rootless = ::geteuid() != 0;
  if (rootless) {
    SPHERE_TRY(enter_user_namespace());
  } else if (::unshare(CLONE_NEWNS) != 0) {
    return tl::unexpected<Error>{
        layer_error("make a mount namespace for", errno,
                    "give the board CAP_SYS_ADMIN, or run it as an ordinary user")};
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0 && !make_root_a_mount()) {
    return tl::unexpected<Error>{
        layer_error("make the mounts private for", errno,
                    "give the board CAP_SYS_ADMIN and CAP_SYS_CHROOT; in a chroot, mount /proc")};
  }
  return rootless;
}

}  // namespace sphere::agent
