// SPDX-License-Identifier: MIT
// A launcher that leaves out one layer: the one in the name it is called by, "skip-L7". sphered
// itself has no way to do that.
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "device-agent/agent/sandbox/faults.h"
#include "device-agent/agent/sandbox/launch.h"

int main(int argc, char* argv[]) {
  const std::span<char* const> arguments{argv, static_cast<std::size_t>(argc)};
  const auto name = std::filesystem::path{arguments[0]}.filename().string();
  constexpr std::string_view kPrefix = "skip-";
  return sphere::agent::run_launcher(
      {.skip = name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::string{}});
}
