// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/root_tree.h"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr unsigned long kNoSymlinkFollow = 256;  // MS_NOSYMFOLLOW of linux/mount.h, since 5.10.
constexpr unsigned long kPageBytes = 4096;

// The options a mount has already. A mount that came from a more privileged namespace keeps them
// locked, and a remount without one of them is refused.
unsigned long present_flags(const fs::path& path) {
  struct statvfs status = {};
  if (::statvfs(path.c_str(), &status) != 0) {
    return 0;
  }
  unsigned long flags = 0;
  const auto keep = [&](unsigned long present, unsigned long flag) {
    if ((status.f_flag & present) != 0) {
      flags |= flag;
    }
  };
  keep(ST_NOSUID, MS_NOSUID);
  keep(ST_NODEV, MS_NODEV);
  keep(ST_NOEXEC, MS_NOEXEC);
  keep(ST_RDONLY, MS_RDONLY);
  keep(ST_NOATIME, MS_NOATIME);
  keep(ST_NODIRATIME, MS_NODIRATIME);
  keep(ST_RELATIME, MS_RELATIME);
  return flags;
}

Step remount(const fs::path& path, unsigned long flags, std::string_view layer) {
  flags |= present_flags(path) | MS_REMOUNT | MS_BIND;
  return require(::mount(nullptr, path.c_str(), nullptr, flags, nullptr) == 0, layer,
                 "remount " + path.string());
}

Step mount_tmpfs(const fs::path& path, unsigned long flags, const std::string& options,
                 std::string_view layer) {
  return require(::mount("tmpfs", path.c_str(), "tmpfs", flags, options.c_str()) == 0, layer,
                 "mount a tmpfs on " + path.string());
}

Step bind(const fs::path& from, const fs::path& to, unsigned long flags) {
  if (auto bound = require(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0, "L4",
                           "bind " + from.string());
      !bound) {
    return bound;
  }
  return remount(to, flags, "L4");
}

Step make_directory(const fs::path& path) {
  return require(::mkdir(path.c_str(), 0755) == 0, "L4", "create directory " + path.string());
}

Step write_plain(const fs::path& path, std::span<const std::byte> content, bool executable,
                 std::string_view layer) {
  const Descriptor file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable ? 0755 : 0644)};
  return require(file && write_all(file.get(), content, path).has_value(), layer,
                 "write " + path.string());
}

// The verified bytes as files of a tmpfs that then becomes read-only.
Step mount_image(const fs::path& target, const Plan& plan, std::span<const std::byte> content,
                 bool writable) {
  unsigned long bytes = 16 * kPageBytes;
  for (const auto& file : plan.files) {
    bytes += (file.size / kPageBytes + 2) * kPageBytes;
  }
  const auto inodes = plan.files.size() + plan.directories.size() + 16;
  if (auto mounted = mount_tmpfs(target, MS_NOSUID | MS_NODEV,
                                 fmt::format("size={},nr_inodes={},mode=755", bytes, inodes), "L3");
      !mounted) {
    return mounted;
  }
  for (const auto& directory : plan.directories) {
    if (::mkdir((target / directory).c_str(), 0755) != 0 && errno != EEXIST) {
      return require(false, "L3", "create directory " + directory);
    }
  }
  for (const auto& file : plan.files) {
    if (file.size > content.size()) {
      errno = EINVAL;
      return require(false, "L3", "read " + file.path);
    }
    if (auto written =
            write_plain(target / file.path, content.first(file.size), file.executable, "L3");
        !written) {
      return written;
    }
    content = content.subspan(file.size);
  }
  if (writable) {
    return {};
  }
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (remount(target, kFlags | kNoSymlinkFollow, "L3")) {
    return {};
  }
  return remount(target, kFlags, "L3");
}

Step mount_devices(const fs::path& root) {
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NOEXEC;
  const auto devices = root / "dev";
  if (auto mounted =
          mount_tmpfs(devices, MS_NOSUID | MS_NOEXEC, "size=16k,nr_inodes=16,mode=755", "L4");
      !mounted) {
    return mounted;
  }
  for (const auto* name : {"null", "zero", "urandom"}) {
    if (auto made = write_plain(devices / name, {}, false, "L4"); !made) {
      return made;
    }
    if (auto bound = bind(fs::path{"/dev"} / name, devices / name, kFlags); !bound) {
      return bound;
    }
  }
  return remount(devices, kFlags, "L4");
}

Step write_configuration(const fs::path& root, const std::string& resolver) {
  constexpr std::string_view kHosts = "127.0.0.1 localhost\n::1 localhost\n";
  const auto names = "nameserver " + resolver + "\n";
  if (auto hosts = write_plain(root / "etc/hosts", std::as_bytes(std::span{kHosts}), false, "L4");
      !hosts) {
    return hosts;
  }
  return write_plain(root / "etc/resolv.conf", std::as_bytes(std::span{names}), false, "L4");
}

Step make_skeleton(const Plan& plan) {
  if (auto mounted = mount_tmpfs(plan.staging, MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                 "size=64k,nr_inodes=64,mode=755", "L4");
      !mounted) {
    return mounted;
  }
  const auto image = image_path(plan).substr(1);
  for (const auto* name : {"lib", "usr", "usr/lib", "etc", "dev", "proc", "tmp", "mnt",
                           "mnt/config", "mnt/apps", image.c_str()}) {
    if (auto made = make_directory(plan.staging / name); !made) {
      return made;
    }
  }
  return write_configuration(plan.staging, plan.resolver);
}

Step mount_libraries(const Plan& plan) {
  if (plan.libraries.empty()) {
    return {};
  }
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (auto bound = bind(plan.libraries, plan.staging / "lib", kFlags); !bound) {
    return bound;
  }
  return bind(plan.libraries, plan.staging / "usr/lib", kFlags);
}

Step mount_rest(const Plan& plan) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (auto mounted =
          mount_tmpfs(plan.staging / "tmp", kFlags,
                      fmt::format("size={},nr_inodes=64,mode=1777", kTemporaryBytes), "L4");
      !mounted) {
    return mounted;
  }
  return require(::mount("proc", (plan.staging / "proc").c_str(), "proc", kFlags | MS_RDONLY,
                         "hidepid=2") == 0,
                 "L4", "mount /proc of the app's PID namespace");
}

Step change_root(const fs::path& staging, bool pivot, bool& pivoted) {
  if (auto moved = require(::chdir(staging.c_str()) == 0, "L4", "enter the new root"); !moved) {
    return moved;
  }
  pivoted = pivot && ::syscall(SYS_pivot_root, ".", ".") == 0;
  if (pivot && !pivoted) {
    return require(false, "L4", "change the root directory");
  }
  if (pivoted) {
    // The old root lies on top of the new one.
    if (auto dropped = require(::umount2(".", MNT_DETACH) == 0, "L4", "detach the old root");
        !dropped) {
      return dropped;
    }
  } else if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0) {
    return require(false, "L4", "change the root directory");
  }
  return require(::chdir("/") == 0, "L4", "enter the new root");
}

}  // namespace

Step enter_root_tree(const Plan& plan, std::span<const std::byte> content,
                     const LauncherFaults& faults, bool& pivoted) {
  if (auto made = make_skeleton(plan); !made) {
    return made;
  }
  if (auto image =
          mount_image(plan.staging / image_path(plan).substr(1), plan, content, faults.skips("L3"));
      !image) {
    return image;
  }
  if (auto libraries = mount_libraries(plan); !libraries) {
    return libraries;
  }
  if (auto devices = mount_devices(plan.staging); !devices) {
    return devices;
  }
  if (auto rest = mount_rest(plan); !rest) {
    return rest;
  }
  const unsigned long kept = faults.skips("L4") ? 0 : MS_RDONLY;
  if (auto sealed = remount(plan.staging, kept | MS_NOSUID | MS_NODEV | MS_NOEXEC, "L4"); !sealed) {
    return sealed;
  }
  return change_root(plan.staging, plan.pivot_root, pivoted);
}

}  // namespace sphere::agent
