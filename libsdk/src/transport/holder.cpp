// SPDX-License-Identifier: MIT
#include "libsdk/src/transport/holder.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "sphere/core/file.h"
#include "sphere/core/text.h"

namespace sphere::transport {

namespace fs = std::filesystem;

namespace {

bool holds(const fs::path& process, const fs::path& file) {
  std::error_code error;
  for (fs::directory_iterator entry{process / "fd", error}, end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (fs::read_symlink(entry->path(), ignored) == file) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string holder_of(const fs::path& file) {
  constexpr std::size_t kLargestName = 64;
  std::error_code error;
  const fs::path real = fs::canonical(file, error);
  const std::string own = std::to_string(::getpid());
  for (fs::directory_iterator entry{"/proc", error}, end; !error && entry != end;
       entry.increment(error)) {
    const std::string pid = entry->path().filename().string();
    const bool is_process = std::ranges::all_of(pid, [](char c) { return c >= '0' && c <= '9'; });
    if (is_process && pid != own && holds(entry->path(), real)) {
      const auto name = read_text_file(entry->path() / "comm", kLargestName);
      return fmt::format("process {} ({})", pid, name ? escape_control(trim(*name)) : "?");
    }
  }
  return "another process";
}

}  // namespace sphere::transport
