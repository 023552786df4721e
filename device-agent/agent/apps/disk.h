// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::agent {

// The steps by which the app store changes what is on disk. Each is durable when it returns, and
// each is complete or has not happened, whenever the process ends.
class StoreDisk {
 public:
  virtual ~StoreDisk() = default;
  // Moves a file that is complete to its place, which it replaces.
  [[nodiscard]] virtual Result<void> place(const std::filesystem::path& from,
                                           const std::filesystem::path& to) = 0;
  [[nodiscard]] virtual Result<void> write(const std::filesystem::path& path,
                                           std::string_view text) = 0;
  [[nodiscard]] virtual Result<void> remove(const std::filesystem::path& path) = 0;
};

class SystemStoreDisk final : public StoreDisk {
 public:
  [[nodiscard]] Result<void> place(const std::filesystem::path& from,
                                   const std::filesystem::path& to) override;
  [[nodiscard]] Result<void> write(const std::filesystem::path& path,
                                   std::string_view text) override;
  [[nodiscard]] Result<void> remove(const std::filesystem::path& path) override;
};

}  // namespace sphere::agent
