// SPDX-License-Identifier: MIT
#include "sphere/project/source_place.h"

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/executable_check.h"

namespace sphere::project {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestProgram = std::size_t{256} << 20U;
constexpr std::chrono::seconds kToolLimit{10};
constexpr std::string_view kSysrootTool =
    "tools/sysroots/x86_64-pokysdk-linux/usr/bin/arm-poky-linux-musleabi/"
    "arm-poky-linux-musleabi-addr2line";
constexpr std::string_view kUnknown = "??";

// The address that the linker gave to a place in the file.
std::optional<std::uint64_t> address_of(const image::ElfInfo& elf, std::uint64_t offset) {
  for (const auto& segment : elf.segments) {
    if (segment.executable && offset >= segment.file_offset &&
        offset - segment.file_offset < segment.file_size) {
      return offset - segment.file_offset + segment.address;
    }
  }
  return std::nullopt;
}

// Programs that may know the machine, the best one first.
std::vector<fs::path> tools_for(std::uint16_t machine, const fs::path& sdk) {
  switch (machine) {
    case image::kMachineArm:
      return {newest_sysroot(sdk) / kSysrootTool, "arm-linux-gnueabihf-addr2line"};
    case image::kMachineAarch64:
      return {"aarch64-linux-gnu-addr2line", "addr2line"};
    default:
      return {"addr2line", "x86_64-linux-gnu-addr2line"};
  }
}

// Two lines: the function, and "file:line" with perhaps more behind it.
SourcePlace read_answer(std::string_view text) {
  SourcePlace place;
  const auto lines = split(text, '\n');
  if (!lines.empty() && lines.front() != kUnknown) {
    place.function = trim(lines.front());
  }
  if (lines.size() < 2 || lines[1].starts_with(kUnknown)) {
    return place;
  }
  const std::string_view where = lines[1];
  const auto colon = where.rfind(':');
  place.file = where.substr(0, colon);
  if (colon != std::string_view::npos) {
    const auto digits = where.substr(colon + 1);
    place.line = digits.substr(0, digits.find_first_not_of("0123456789"));
  }
  if (place.line == "0") {
    place.line.clear();
  }
  return place;
}

Result<SourcePlace> ask(const SourceRequest& request, const image::ElfInfo& elf,
                        std::uint64_t address) {
  for (const auto& tool : tools_for(elf.machine, request.sdk_directory)) {
    const auto answer = run_captured(
        {.program = tool,
         .arguments = {"-f", "-C", "-e", request.program.string(), fmt::format("{:#x}", address)}},
        kToolLimit);
    if (answer && answer->status.success()) {
      return read_answer(answer->output);
    }
    if (!answer && answer.error().code() != Errc::not_found) {
      return tl::make_unexpected(answer.error());
    }
  }
  return fail(
      Errc::not_found,
      fmt::format("no addr2line for {} programs", image::machine_text(elf.machine)),
      {.reason = "local.tool-missing",
       .value = "addr2line",
       .next = "install the Debian package binutils (binutils-arm-linux-gnueabihf for ARM)"});
}

}  // namespace

std::string to_text(const SourcePlace& place) {
  const auto file = fs::path{place.file}.filename().string();
  const auto where = place.line.empty() ? file : fmt::format("{}:{}", file, place.line);
  if (place.function.empty() || where.empty()) {
    return place.function + where;
  }
  return fmt::format("{} ({})", place.function, where);
}

Result<SourcePlace> find_source(const SourceRequest& request) {
  SPHERE_TRY_ASSIGN(const auto bytes, read_file(request.program, kLargestProgram));
  SPHERE_TRY_ASSIGN(const auto elf, image::read_elf(bytes));
  if (!request.build_id.empty() && request.build_id != elf.build_id) {
    return fail(Errc::unverified, "the program is another build than the one that ran",
                {.reason = "package.executable",
                 .value = request.program.string(),
                 .next = "build and deploy again: sphere project run"});
  }
  const auto address = address_of(elf, request.offset);
  if (!address) {
    return fail(Errc::not_found, fmt::format("the program has no code at {:#x}", request.offset),
                {.reason = "package.executable", .value = request.program.string()});
  }
  return ask(request, elf, *address);
}

fs::path newest_sysroot(const fs::path& sdk_directory) {
  fs::path newest;
  int highest = -1;
  std::error_code error;
  for (fs::directory_iterator entry{sdk_directory / "Sysroots", error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    int number = 0;
    const char* const last = std::to_address(name.cend());
    const auto [rest, wrong] = std::from_chars(std::to_address(name.cbegin()), last, number);
    // "5+Beta2004" is a number and more.
    if (wrong == std::errc{} && rest == last && number > highest) {
      highest = number;
      newest = entry->path();
    }
  }
  return newest;
}

}  // namespace sphere::project
