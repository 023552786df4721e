// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

// Which file it is, whatever path leads there.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// The file tree of one app as planned_mounts() has it, but for /tmp and /proc. The agent lays it
// out from the bytes that it has verified, in its own mount namespace, and then makes it read-only,
// the superblocks as well as the mounts: nobody can write there by whatever other way. A start
// finds it in its copy of the mount namespace, mounts its own /tmp and /proc and makes it its root.
// Starts anew use the same tree as long as it has the same bytes.
class AppTree {
 public:
  // Builds the tree for `plan` and the files of a verified image package at `place`, a directory
  // that is made when it is not there and is removed with the tree. To be called with CAP_SYS_ADMIN
  // over the mount namespace.
  [[nodiscard]] static tl::expected<std::unique_ptr<AppTree>, StepFailure> build(
      const Plan& plan, std::span<const std::byte> package, const std::filesystem::path& place);
  // Takes it away from here; apps that run on it keep it.
  ~AppTree();
  AppTree(const AppTree&) = delete;
  AppTree& operator=(const AppTree&) = delete;
  AppTree(AppTree&&) = delete;
  AppTree& operator=(AppTree&&) = delete;

  // Whether it is meant for starts of `plan` with this verified package: nothing of the plan that
  // is seen in it differs, and the package has the same size and signature. Before an app runs on
  // it holds() must be true as well, which takes longer.
  [[nodiscard]] bool suits(const Plan& plan, std::span<const std::byte> package) const;
  // Whether it has the files of this verified package, byte for byte, and no others.
  [[nodiscard]] bool holds(std::span<const std::byte> package) const;

  [[nodiscard]] const std::filesystem::path& place() const noexcept { return place_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  // Of a file of the package, "/bin/app".
  [[nodiscard]] std::optional<FileIdentity> identity(const std::string& path) const;

 private:
  struct File {
    std::string path;  // In the package.
    bool executable = false;
  };
  AppTree(const Plan& plan, std::span<const std::byte> package, std::filesystem::path place);

  std::string image_, resolver_;
  std::filesystem::path libraries_, place_;
  std::size_t package_bytes_;
  std::vector<std::byte> signature_;
  std::vector<std::string> directories_;
  std::vector<File> files_;
  std::uint64_t bytes_ = 0;
};

}  // namespace sphere::agent
