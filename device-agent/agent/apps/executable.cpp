// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/executable.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/refusal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/executable_check.h"

namespace sphere::agent {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kNativeMachine = image::kMachineX86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kNativeMachine = image::kMachineAarch64;
#else
constexpr std::uint16_t kNativeMachine = 0;
#endif

constexpr std::string_view kArmInterpreter = "/lib/ld-musl-armhf.so.1";

tl::unexpected<Refusal> not_executable(std::string message) {
  return refuse(device_api::kEntryPointNotExecutable, "entry point " + std::move(message),
                "build the app for the board's sysroot");
}

}  // namespace

Answer<Executable> check_executable(std::span<const std::byte> content) {
  const auto elf = image::read_elf(content);
  if (!elf) {
    return not_executable("is not an ELF program: " + elf.error().message());
  }
  if (elf->type != image::kElfExecutable && elf->type != image::kElfShared) {
    return not_executable("is not an ELF program");
  }
  const bool arm = elf->machine == image::kMachineArm && !elf->is_64_bit;
  if (!arm && (elf->machine != kNativeMachine || !elf->is_64_bit)) {
    return not_executable("is for another processor: " + image::machine_text(elf->machine));
  }
  if (arm && !elf->interpreter.empty() && elf->interpreter != kArmInterpreter) {
    return not_executable(
        fmt::format("needs {}, the board has {}", elf->interpreter, kArmInterpreter));
  }
  return Executable{.machine = arm ? Machine::arm : Machine::native,
                    .dynamic = !elf->interpreter.empty()};
}

}  // namespace sphere::agent
