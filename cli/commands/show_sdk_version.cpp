// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kLargestVersion = 256;

// "9" before "10", and "10" before "10+Beta2611".
bool is_earlier(const std::string& a, const std::string& b) {
  const auto digits = [](const std::string& name) { return name.find_first_not_of("0123456789"); };
  const auto length_a = std::min(digits(a), a.size());
  const auto length_b = std::min(digits(b), b.size());
  return length_a != length_b ? length_a < length_b : a < b;
}

// The folders of Sysroots that hold a sysroot, sorted.
json::Value api_sets(const std::filesystem::path& sdk) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{sdk / "Sysroots", error}, end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::is_directory(entry->path() / "usr", ignored)) {
      names.push_back(entry->path().filename().string());
    }
  }
  std::ranges::sort(names, is_earlier);
  return json::Array(names.begin(), names.end());
}

Result<Output> run(Context& context, const Arguments& /*arguments*/) {
  if (context.sdk_directory.empty()) {
    return fail(Errc::not_found, "no SDK found",
                {.reason = "local.sdk-missing",
                 .next = "install the SDK, or set SPHERE_SDK_DIR to its folder"});
  }
  auto version = read_text_file(context.sdk_directory / "VERSION", kLargestVersion);
  if (!version) {
    return tl::make_unexpected(std::move(version).error().with_hint(
        {.reason = "local.sdk-missing",
         .value = context.sdk_directory.string(),
         .next = "set SPHERE_SDK_DIR to the folder of an SDK"}));
  }
  Output output{.columns = {{.key = "sdkVersion", .heading = "SDK version"},
                            {.key = "sdkDirectory", .heading = "SDK directory"},
                            {.key = "apiSets", .heading = "API sets"}}};
  output.data.set("sdkVersion", trim(*version));
  output.data.set("sdkDirectory", context.sdk_directory.string());
  output.data.set("apiSets", api_sets(context.sdk_directory));
  return output;
}

constexpr std::array<std::string_view, 2> kExamples = {"sphere show-sdk-version",
                                                       "sphere show-sdk-version --output json"};
constexpr std::array kCommands = {
    CommandSpec{.path = "show-sdk-version",
                .summary = "Show the version and the folder of the SDK, and its API sets",
                .examples = kExamples,
                .run = run},
};

}  // namespace

std::span<const CommandSpec> show_sdk_version_commands() { return kCommands; }

}  // namespace sphere::cli
