// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/app_tree.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/package_content.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

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

Step remount(const fs::path& path, unsigned long flags) {
  flags |= present_flags(path) | MS_REMOUNT | MS_BIND;
  return require(::mount(nullptr, path.c_str(), nullptr, flags, nullptr) == 0, "L4",
                 "remount " + path.string());
}

Step mount_tmpfs(const fs::path& path, unsigned long flags, const std::string& options,
                 std::string_view layer) {
  return require(::mount("tmpfs", path.c_str(), "tmpfs", flags, options.c_str()) == 0, layer,
                 "mount a tmpfs on " + path.string());
}

// Mount and superblock become read-only: no other mount of it can be written either.
Step seal_tmpfs(const fs::path& path, unsigned long flags, std::string_view layer) {
  return require(
      ::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY | flags, nullptr) == 0, layer,
      "make " + path.string() + " read-only");
}

Step bind(const fs::path& from, const fs::path& to, unsigned long flags) {
  if (auto bound = require(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0, "L4",
                           "bind " + from.string());
      !bound) {
    return bound;
  }
  return remount(to, flags);
}

// The modes below do not depend on the mask that the agent was started with: the app is another
// user and must be able to read.
Step make_directory(const fs::path& path, std::string_view layer) {
  return require(::mkdir(path.c_str(), 0755) == 0 && ::chmod(path.c_str(), 0755) == 0, layer,
                 "create directory " + path.string());
}

struct NewFile {
  fs::path path;
  bool executable = false;
  std::string_view layer = "L4";
};

template <typename Write>
Step write_file(const NewFile& wish, Write write) {
  const mode_t mode = wish.executable ? 0755 : 0644;
  const Descriptor file{
      ::open(wish.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)};
  return require(file && write(file.get()) && ::fchmod(file.get(), mode) == 0, wish.layer,
                 "write " + wish.path.string());
}

Step write_text(const fs::path& path, std::string_view text) {
  return write_file({.path = path}, [&](int file) {
    return write_all(file, std::as_bytes(std::span{text}), path.string()).has_value();
  });
}

Step mount_devices(const fs::path& root) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NOEXEC;
  const auto devices = root / "dev";
  if (auto mounted = mount_tmpfs(devices, kFlags, "size=16k,nr_inodes=16,mode=755", "L4");
      !mounted) {
    return mounted;
  }
  for (const auto* name : {"null", "zero", "urandom"}) {
    if (auto made = write_text(devices / name, {}); !made) {
      return made;
    }
    if (auto bound = bind(fs::path{"/dev"} / name, devices / name, kFlags | MS_RDONLY); !bound) {
      return bound;
    }
  }
  return seal_tmpfs(devices, kFlags, "L4");
}

Step make_skeleton(const Plan& plan, const fs::path& root) {
  if (auto mounted = mount_tmpfs(root, MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                 "size=64k,nr_inodes=64,mode=755", "L4");
      !mounted) {
    return mounted;
  }
  const auto image = image_path(plan).substr(1);
  for (const auto* name : {"lib", "usr", "usr/lib", "etc", "dev", "proc", "tmp", "mnt",
                           "mnt/config", "mnt/apps", image.c_str()}) {
    if (auto made = make_directory(root / name, "L4"); !made) {
      return made;
    }
  }
  if (auto hosts = write_text(root / "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"); !hosts) {
    return hosts;
  }
  return write_text(root / "etc/resolv.conf", "nameserver " + plan.resolver + "\n");
}

Step mount_libraries(const Plan& plan, const fs::path& root) {
  if (plan.libraries.empty()) {
    return {};
  }
  constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (auto bound = bind(plan.libraries, root / "lib", kFlags); !bound) {
    return bound;
  }
  return bind(plan.libraries, root / "usr/lib", kFlags);
}

unsigned long room_for(const image::FileSystem& files) {
  unsigned long bytes = 16 * kPageBytes;
  for (const auto& file : files.files) {
    bytes += (file.size / kPageBytes + 2) * kPageBytes;
  }
  return bytes;
}

Step write_files(const image::FileSystem& files, const fs::path& target) {
  for (const auto& directory : files.directories) {
    if (auto made = make_directory(target / directory.path, "L3"); !made) {
      return made;
    }
  }
  for (const auto& entry : files.files) {
    const auto path = target / entry.path;
    auto written =
        write_file({.path = path, .executable = entry.executable, .layer = "L3"}, [&](int file) {
          return image::stream_file_content(files, entry,
                                            [&](std::span<const std::byte> part) {
                                              return write_all(file, part, path.string());
                                            })
              .has_value();
        });
    if (!written) {
      return written;
    }
  }
  return {};
}

// The verified bytes as files of a tmpfs that nobody can write to any more.
Step mount_image(const image::FileSystem& files, const fs::path& target) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV;
  const auto inodes = files.files.size() + files.directories.size() + 16;
  const auto options = fmt::format("size={},nr_inodes={},mode=755", room_for(files), inodes);
  if (auto mounted = mount_tmpfs(target, kFlags, options, "L3"); !mounted) {
    return mounted;
  }
  if (auto written = write_files(files, target); !written) {
    return written;
  }
  if (seal_tmpfs(target, kFlags | kNoSymlinkFollow, "L3b")) {
    return {};
  }
  return seal_tmpfs(target, kFlags, "L3b");
}

// Of a package of either format, which has been verified: its last bytes.
std::span<const std::byte> signature_of(std::span<const std::byte> package) {
  constexpr std::size_t kSignatureBytes = 64;
  return package.last(std::min(package.size(), kSignatureBytes));
}

// Whether the file at `path` has exactly the bytes of `entry`.
bool same_file(const image::FileSystem& files, const image::FileEntry& entry,
               const fs::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  std::vector<std::byte> buffer(std::size_t{64} * 1024);
  auto compare = [&](std::span<const std::byte> part) -> Result<void> {
    while (!part.empty()) {
      const auto wanted = std::min(part.size(), buffer.size());
      const auto count = ::read(file.get(), buffer.data(), wanted);
      if (count <= 0 ||
          std::memcmp(buffer.data(), part.data(), static_cast<std::size_t>(count)) != 0) {
        return fail(Errc::corrupt, "another file");
      }
      part = part.subspan(static_cast<std::size_t>(count));
    }
    return {};
  };
  return file && image::stream_file_content(files, entry, compare).has_value() &&
         ::read(file.get(), buffer.data(), 1) == 0;
}

}  // namespace

AppTree::AppTree(const Plan& plan, std::span<const std::byte> package, fs::path place)
    : image_{image_path(plan)},
      resolver_{plan.resolver},
      libraries_{plan.libraries},
      place_{std::move(place)},
      package_bytes_{package.size()} {
  const auto signature = signature_of(package);
  signature_.assign(signature.begin(), signature.end());
}

AppTree::~AppTree() {
  ::umount2(place_.c_str(), MNT_DETACH);
  ::rmdir(place_.c_str());
}

tl::expected<std::unique_ptr<AppTree>, StepFailure> AppTree::build(
    const Plan& plan, std::span<const std::byte> package, const fs::path& place) {
  const auto parsed = open_verified(package);
  if (!parsed) {
    return tl::unexpected<StepFailure>{
        StepFailure{.layer = "L3", .what = parsed.error().message(), .number = 0}};
  }
  // The directory may be left of an agent that was killed; its mounts have ended with it.
  if (auto made = require(::mkdir(place.c_str(), 0700) == 0 || errno == EEXIST, "L4",
                          "create " + place.string());
      !made) {
    return tl::unexpected<StepFailure>{std::move(made).error()};
  }
  // From here on it is taken away whatever happens.
  std::unique_ptr<AppTree> tree{
      new AppTree{plan, package, place}};  // NOLINT(cppcoreguidelines-owning-memory): private
  const auto image = place / image_path(plan).substr(1);
  const auto done = [&]() -> Step {
    if (auto made = make_skeleton(plan, place); !made) {
      return made;
    }
    if (auto mounted = mount_image(parsed->files, image); !mounted) {
      return mounted;
    }
    if (auto mounted = mount_libraries(plan, place); !mounted) {
      return mounted;
    }
    if (auto mounted = mount_devices(place); !mounted) {
      return mounted;
    }
    return seal_tmpfs(place, MS_NOSUID | MS_NODEV | MS_NOEXEC, "L4");
  }();
  if (!done) {
    return tl::unexpected<StepFailure>{done.error()};
  }
  for (const auto& directory : parsed->files.directories) {
    tree->directories_.push_back(directory.path);
  }
  for (const auto& file : parsed->files.files) {
    tree->files_.push_back({.path = file.path, .executable = file.executable});
    tree->bytes_ += file.size;
  }
  return tree;
}

bool AppTree::suits(const Plan& plan, std::span<const std::byte> package) const {
  return image_path(plan) == image_ && plan.resolver == resolver_ && plan.libraries == libraries_ &&
         package.size() == package_bytes_ && std::ranges::equal(signature_of(package), signature_);
}

bool AppTree::holds(std::span<const std::byte> package) const {
  const auto parsed = open_verified(package);
  if (!parsed || parsed->files.files.size() != files_.size() ||
      parsed->files.directories.size() != directories_.size()) {
    return false;
  }
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    if (parsed->files.directories[i].path != directories_[i]) {
      return false;
    }
  }
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const auto& wanted = parsed->files.files[i];
    if (wanted.path != files_[i].path || wanted.executable != files_[i].executable ||
        !same_file(parsed->files, wanted, place_ / image_.substr(1) / wanted.path)) {
      return false;
    }
  }
  return true;
}

std::optional<FileIdentity> AppTree::identity(const std::string& path) const {
  struct stat status = {};
  const auto file = place_ / image_.substr(1) / path.substr(path.starts_with('/') ? 1 : 0);
  if (::stat(file.c_str(), &status) != 0) {
    return std::nullopt;
  }
  return FileIdentity{.device = status.st_dev, .inode = status.st_ino};
}

}  // namespace sphere::agent
