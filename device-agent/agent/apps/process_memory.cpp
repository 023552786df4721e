// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/process_memory.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <sys/types.h>

#include <fmt/format.h>

#include "sphere/core/file.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kFileBytes = 65536;

// "Pss:   123 kB" gives 123.
std::uint64_t field(std::string_view text, std::string_view name) {
  for (const auto& line : split(text, '\n')) {
    if (!line.starts_with(name)) {
      continue;
    }
    const auto rest = trim(std::string_view{line}.substr(name.size()));
    std::uint64_t value = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), value);
    return value;
  }
  return 0;
}

}  // namespace

ProcessMemory process_memory(pid_t pid) {
  const auto read = [pid](std::string_view name) {
    return read_text_file(fmt::format("/proc/{}/{}", pid, name), kFileBytes).value_or("");
  };
  const auto status = read("status");
  return {.total_kb = field(read("smaps_rollup"), "Pss:"),
          .user_kb = field(status, "RssAnon:") + field(status, "RssShmem:"),
          .peak_kb = field(status, "VmHWM:")};
}

}  // namespace sphere::agent
