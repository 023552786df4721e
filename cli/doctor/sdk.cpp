// SPDX-License-Identifier: MIT
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/doctor/check.h"
#include "cli/environment/variables.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/text.h"

namespace sphere::cli::doctor {
namespace {

constexpr std::string_view kInstall = "install the SDK, or set SPHERE_SDK_DIR to its folder";
// Where old tools and our toolchain files find the compiler of a sysroot.
constexpr std::string_view kCompiler =
    "tools/sysroots/x86_64-pokysdk-linux/usr/bin/arm-poky-linux-musleabi/"
    "arm-poky-linux-musleabi-gcc";

// The directory and its VERSION.
Check directory_check(const std::filesystem::path& sdk) {
  constexpr std::size_t kLargest = 256;
  Check check{.name = "sdk: directory", .verdict = Verdict::ok, .detail = {}};
  const auto version = read_text_file(sdk / "VERSION", kLargest);
  if (sdk.empty() || !version) {
    check.verdict = Verdict::fail;
    check.detail = sdk.empty() ? "no SDK found" : fmt::format("{} has no VERSION", sdk.string());
    check.next = kInstall;
    return check;
  }
  check.detail = fmt::format("{}, version {}", sdk.string(), trim(*version));
  return check;
}

// Old projects append names to the variable without a slash between.
Check slash_check() {
  Check check{.name = "sdk: AzureSphereDefaultSDKDir", .verdict = Verdict::ok, .detail = {}};
  const auto value = filled_variable("AzureSphereDefaultSDKDir");
  if (!value) {
    check.verdict = Verdict::skip;
    check.detail = "not set; sphere project build sets it";
  } else if (!value->ends_with('/')) {
    check.verdict = Verdict::warn;
    check.detail = fmt::format("{} has no slash at its end", *value);
    check.next = fmt::format("export AzureSphereDefaultSDKDir={}/", *value);
  } else {
    check.detail = *value;
  }
  return check;
}

std::vector<std::filesystem::path> sysroots(const std::filesystem::path& sdk) {
  std::vector<std::filesystem::path> result;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{sdk / "Sysroots", error}, end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::is_directory(entry->path() / "usr" / "include", ignored)) {
      result.push_back(entry->path());
    }
  }
  return result;
}

Check sysroot_check(const std::filesystem::path& sdk) {
  const auto found = sysroots(sdk);
  if (found.empty()) {
    return {.name = "sdk: sysroots",
            .verdict = Verdict::fail,
            .detail = "no API set is installed",
            .next = std::string{kInstall}};
  }
  return {.name = "sdk: sysroots",
          .verdict = Verdict::ok,
          .detail = fmt::format("{} API sets", found.size())};
}

Check compiler_check(const std::filesystem::path& sdk) {
  for (const auto& sysroot : sysroots(sdk)) {
    const auto compiler = sysroot / kCompiler;
    const auto line = first_line_of(compiler.string(), "--version");
    if (!line.empty()) {
      return {.name = "sdk: compiler", .verdict = Verdict::ok, .detail = line};
    }
  }
  return {.name = "sdk: compiler",
          .verdict = Verdict::fail,
          .detail = "no compiler for devices can be run",
          .next = "install the package gcc-arm-linux-gnueabihf"};
}

Check tool_check(const std::string& program, const std::string& package, Verdict missing) {
  auto line = first_line_of(program, "--version");
  Check check{.name = fmt::format("sdk: {}", program), .verdict = Verdict::ok, .detail = line};
  if (line.empty()) {
    check.verdict = missing;
    check.detail = "not found on PATH";
    check.next = fmt::format("install the package {}", package);
  }
  return check;
}

}  // namespace

std::string first_line_of(const std::string& program, const std::string& argument) {
  const auto captured = run_captured({.program = program, .arguments = {argument}}, kCheckLimit);
  if (!captured || !captured->status.success()) {
    return {};
  }
  return split(trim(captured->output), '\n').front();
}

std::vector<Check> check_sdk(Context& context) {
  const auto& sdk = context.sdk_directory;
  std::vector<Check> checks = {directory_check(sdk), slash_check()};
  if (!sdk.empty()) {
    checks.push_back(sysroot_check(sdk));
    checks.push_back(compiler_check(sdk));
  }
  checks.push_back(tool_check("cmake", "cmake", Verdict::fail));
  checks.push_back(tool_check("ninja", "ninja-build", Verdict::fail));
  checks.push_back(tool_check("gdb-multiarch", "gdb-multiarch", Verdict::warn));
  return checks;
}

}  // namespace sphere::cli::doctor
