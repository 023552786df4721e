// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/root_tree.h"

#include <string>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {
namespace {

Step mount_rest() {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const auto options = "size=" + std::to_string(kTemporaryBytes) + ",nr_inodes=64,mode=1777";
  if (auto mounted = require(::mount("tmpfs", "tmp", "tmpfs", kFlags, options.c_str()) == 0, "L4",
                             "mount a tmpfs on /tmp");
      !mounted) {
    return mounted;
  }
  return require(::mount("proc", "proc", "proc", kFlags | MS_RDONLY, "hidepid=2") == 0, "L4",
                 "mount /proc of the app's PID namespace");
}

// The agent has made the tree read-only: what a fault leaves out has to be undone.
void undo(const Plan& plan, const LauncherFaults& faults) {
  constexpr unsigned long kFlags = MS_REMOUNT | MS_NOSUID | MS_NODEV;
  const auto image = image_path(plan).substr(1);
  [[maybe_unused]] int done = 0;
  if (faults.skips("L3")) {
    done = ::mount(nullptr, image.c_str(), nullptr, kFlags | MS_BIND, nullptr);
  }
  if (faults.skips("L3b")) {  // The superblock, and then not the mount.
    done = ::mount(nullptr, image.c_str(), nullptr, kFlags, nullptr);
    done = ::mount(nullptr, image.c_str(), nullptr, kFlags | MS_BIND | MS_RDONLY, nullptr);
  }
  if (faults.skips("L4")) {
    done = ::mount(nullptr, ".", nullptr, kFlags | MS_NOEXEC | MS_BIND, nullptr);
  }
}

Step change_root(bool pivot, bool& pivoted) {
  pivoted = pivot && ::syscall(SYS_pivot_root, ".", ".") == 0;
  if (pivot && !pivoted) {
    return require(false, "L4", "change the root directory");
  }
  if (!pivoted && (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0)) {
    return require(false, "L4", "change the root directory");
  }
  return {};
}

}  // namespace

Step enter_root_tree(const Plan& plan, const LauncherFaults& faults, bool& pivoted) {
  if (auto moved = require(::chdir(plan.staging.c_str()) == 0, "L4", "enter the new root");
      !moved) {
    return moved;
  }
  undo(plan, faults);
  if (auto rest = mount_rest(); !rest) {
    return rest;
  }
  return change_root(plan.pivot_root, pivoted);
}

Step detach_old_root(bool pivoted) {
  return require((!pivoted || ::umount2(".", MNT_DETACH) == 0) && ::chdir("/") == 0, "L4",
                 "detach the old root");
}

}  // namespace sphere::agent
